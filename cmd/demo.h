/* SPDX-License-Identifier: MIT */
/*
 * demo - what the files of `prusik demo` share
 *
 * demo.c          the command line, the order of things, the table
 * demo_files.c    the table of files, made once before any worker is forked
 * demo_count.c    counting a file, or a piece of one
 * demo_pool.c     feeding the workers, and collecting what they found
 * demo_workers.c  being a worker; starting and killing workers
 */
#ifndef CMD_DEMO_H
#define CMD_DEMO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* As wc: newlines, runs of bytes that are not white space in the C locale, bytes. */
struct demo_count {
	uint64_t lines, words, bytes;
};

/* A file as it was when the table was made. It must stay like that. */
struct demo_file {
	size_t path; /* where its name begins in names */
	dev_t device;
	ino_t inode;
	uint64_t size;
	struct timespec modified, changed;
	struct demo_count expected; /* as the single process counts */
	struct demo_count found; /* as the workers count, in the pass that is running */
};

struct demo_files {
	struct demo_file *file;
	size_t count, room;
	char *names;
	size_t names_length, names_room;
	size_t unreadable; /* files and directories that could not be read */
};

/* What can come of looking at a file, beside 0 and -errno. */
#define DEMO_CHANGED 1

struct demo_options {
	const char *directory;
	unsigned int workers;
	unsigned int kill_every; /* ms; 0: never */
	unsigned int passes; /* 0: until DEMO_KILLS workers have been killed */
};

#define DEMO_KILLS 50

struct demo_report {
	uint64_t passes, killed, again, doubles;
	double seconds;
	const char *differs; /* a file whose counts differ, or NULL */
};

/* One line on stderr, begun with the command's name. */
void demo_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A path fit for a line of text; good until the next call. */
const char *demo_shown(const char *path);

/* Fill the table with all regular files under directory. 0, or -errno after a complaint. */
int demo_files_find(struct demo_files *files, const char *directory);
void demo_files_free(struct demo_files *files);
const char *demo_path(const struct demo_files *files, size_t index);

/* Is it still the file in the table, unchanged? */
int demo_same(const struct demo_file *file, const struct stat *st);

/* Complain of what came of looking at a file. */
void demo_file_trouble(const struct demo_files *files, size_t index, int trouble);

/* Count a whole file from begin to end. 0, DEMO_CHANGED, -errno. */
int demo_count_file(const struct demo_file *file, const char *path, struct demo_count *ret_count);

/*
 * Count a piece: the newlines in it, its bytes, and the words that begin in it.
 * The pieces of a file thus add up to the whole, wherever it is cut.
 */
int demo_count_piece(const struct demo_file *file, const char *path, uint64_t offset, uint64_t length,
		     struct demo_count *ret_count);

/*
 * Have the workers count all files, in as many passes as it takes. An exit code
 * (cmd.h), after a complaint if it is not CMD_OK or CMD_NO.
 */
int demo_pool_run(const struct demo_options *options, struct demo_files *files, struct demo_report *ret_report);

#endif
