/* SPDX-License-Identifier: MIT */
/* number - what `prusik value` and `prusik array` share: options, numbers in and out */
#ifndef CMD_NUMBER_H
#define CMD_NUMBER_H

#include "line.h"

#include <stddef.h>
#include <stdint.h>

/* The words for --type, of an array that ends with a NULL name. */
struct number_type {
	const char *name;
	uint32_t kind;
};

struct number_options {
	struct cmd_line line;
	int quiet, json, no_code;
	int64_t deadline; /* of --wait */
	uint32_t kind; /* of --type; 0: nothing was said */
	uint32_t size, length;
	int argc; /* the words that are no options; what follows "--" belongs to them */
	char *argv[2 * CMD_WORDS_MAX];
};

/* Read the options. An exit code; -1: go on. */
int number_options(char **argv, const struct number_type *types, struct number_options *ret_options,
		   void (*help)(void));

/* How many words follow the name, and whether the verb makes the object. */
struct number_verb {
	const char *name;
	int least, most, makes;
};
/* The number of the verb of options.argv; -1: none, or wrong, and said so. */
int number_verb(const struct number_options *options, const struct number_verb *verbs);

/* After a complaint unless it is an answer: the exit code for a result below 0. */
int number_code(const struct number_options *options, const char *name, int64_t result);

/* The whole text as a number; false: it is none. */
int number_int(const char *text, int64_t *ret_number);
int number_unsigned(const char *text, uint64_t *ret_number);
int number_double(const char *text, double *ret_number);

/* On a line: a double with all its digits (in JSON what is no number is null); text, or a JSON string. */
void number_show_double(double number, int json);
void number_show_text(const char *text, size_t length, int json);

#endif
