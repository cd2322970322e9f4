/* SPDX-License-Identifier: MIT */
/* bytes - what `prusik dict` and `prusik list` share: options, values in and out */
#ifndef CMD_BYTES_H
#define CMD_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "line.h"

/* The options of both; what a verb does not use is left alone. */
struct bytes_options {
	struct cmd_line line;
	int quiet, json, nul, only_new, reverse, no_code;
	int64_t deadline; /* of --wait */
	const char *fallback; /* --default */
	uint64_t size; /* set aside, if it is made */
	int argc; /* the words that are no options; what follows "--" belongs to them */
	char *argv[2 * CMD_WORDS_MAX];
	int command; /* where in argv what follows "--" begins; argc: there is none */
};

/* Read the options. An exit code; -1: go on. */
int bytes_options(char **argv, struct bytes_options *ret_options, void (*help)(void));

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

/* After a complaint unless it is an answer: the exit code for a result below 0. */
int bytes_code(const struct bytes_options *options, const char *name, int64_t result);

/* A whole number; false if it is not one. */
int bytes_number(const char *text, int64_t *ret_number);

/*
 * A verb: how many words follow the name, and whether it makes the object. run gets
 * the name and them.
 */
struct bytes_verb {
	const char *name;
	int least, most;
	int makes;
};
/* The verb of options.argv, of an array that ends with a NULL name, each so many bytes long. NULL: none, or wrong, and said so. */
const void *bytes_verb(const struct bytes_options *options, const void *verbs, size_t size);

#endif
