/* SPDX-License-Identifier: MIT */
#ifndef CMD_LINE_H
#define CMD_LINE_H

#include <stdint.h>

/* An option of a command: -l, --name; argument: what it takes, or NULL. */
struct cmd_option {
	char letter;
	const char *name;
	const char *argument;
};

/*
 * struct cmd_line - a command line being read
 *
 *	while ((c = cmd_line_next(&line, options)) > 0)
 *		switch (c) { case 'w': ... line.value ... }
 *
 * Words that are no options are collected in word. What follows "--" is command, NULL
 * where there is no "--"; it is never looked into.
 */
#define CMD_WORDS_MAX 64
struct cmd_line {
	const char *command_name; /* for messages */
	char **argv; /* what is left of it */
	char **command;
	char *word[CMD_WORDS_MAX];
	int words;
	const char *value; /* of the option just read */
	char *cluster; /* the rest of -abc */
	const char *option; /* as it was written, for messages */
};

/* argv[0] is the command's own name. */
void cmd_line_begin(struct cmd_line *line, char **argv);

/* The next option's letter; 0: no more; -1: wrong, and said so. */
int cmd_line_next(struct cmd_line *line, const struct cmd_option *options);

/* A message on stderr: "prusik", then this; one line, whatever is in it: control characters as '?'. */
void cmd_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Say on stderr, in one line, what is wrong with the command line; CMD_USAGE. */
int cmd_usage(const struct cmd_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Say what happened to an object, or, when that is what is wrong, to the domain; CMD_OBJECT. */
int cmd_object(const char *name, int result);

/* A number, of seconds perhaps with a fraction, in nanoseconds; false: it is none. */
int cmd_seconds(const char *text, int64_t *ret_ns);
int cmd_number(const char *text, uint32_t least, uint32_t most, uint32_t *ret_number);

/* The same for the option just read; says what is wrong, and returns -1. */
int cmd_line_seconds(struct cmd_line *line, int64_t *ret_ns);
int cmd_line_number(struct cmd_line *line, uint32_t least, uint32_t most, uint32_t *ret_number);

/* Text as a JSON string, quotes included, on stdout. */
void cmd_json(const char *text);

#endif
