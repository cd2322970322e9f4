/* SPDX-License-Identifier: MIT */
/* bytes - what `prusik dict` and `prusik list` share: options, values in and out */
#ifndef CMD_BYTES_H
#define CMD_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* The options of both; what a verb does not use is left alone. */
struct bytes_options {
	const char *command; /* "prusik dict", for complaints */
	int quiet, json, nul, only_new, no_code;
	int has_wait;
	int64_t deadline; /* of --wait */
	const char *fallback; /* --default */
	uint64_t size; /* of the arena, if it is made */
};

/*
 * Read the options; *ret_argc and *ret_argv are what is left: the verb and so on. An exit
 * code; -1: go on.
 */
int bytes_options(int argc, char **argv, struct bytes_options *ret_options, int *ret_argc, char ***ret_argv,
		  void (*help)(void));

/* A value that grows as need be. */
struct bytes {
	char *data;
	size_t length, room;
};
int bytes_reserve(struct bytes *bytes, size_t room);
/* All that can be read from there. 0, or -errno. */
int bytes_read(struct bytes *bytes, int fd);
void bytes_free(struct bytes *bytes);

/* On stdout: bytes as they are; as a JSON string (what is not UTF-8 as Python's surrogateescape). */
void bytes_put(const void *data, size_t length);
void bytes_put_json(const void *data, size_t length);
/* A value alone on a line, as the options say. */
void bytes_line(const struct bytes_options *options, const void *data, size_t length);

/* A line on stderr, unless quiet. */
void bytes_complain(const struct bytes_options *options, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* After a complaint unless it is an answer: the exit code for a result below 0. */
int bytes_code(const struct bytes_options *options, const char *name, int64_t result);

/* A whole number; false if it is not one. */
int bytes_number(const char *text, int64_t *ret_number);

#endif
