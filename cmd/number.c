/* SPDX-License-Identifier: MIT */
#include "number.h"

#include "bytes.h"
#include "cmd.h"

#include <errno.h>
#include <math.h>
#include <prusik/common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int number_code(const struct number_options *options, const char *name, int64_t result)
{
	switch (result) {
	case -ENOENT:
	case -ESTALE:
		return options->no_code;
	case -ETIMEDOUT:
		return options->deadline == PRUSIK_NOW ? options->no_code : CMD_TIMED_OUT;
	default:
		return options->quiet ? CMD_OBJECT : cmd_object(name, (int)result);
	}
}

/* ---- options ---- */

static int take_type(struct number_options *o, const struct number_type *types)
{
	for (; types->name; types++)
		if (strcmp(types->name, o->line.value) == 0) {
			o->kind = types->kind;
			return 0;
		}
	cmd_usage(&o->line, "no type %s", o->line.value);
	return -1;
}

static int take_option(struct number_options *o, const struct number_type *types, int c)
{
	uint32_t n;
	int64_t ns;

	switch (c) {
	case 't':
		return take_type(o, types);
	case 's':
		return cmd_line_number(&o->line, 1, UINT32_MAX, &o->size);
	case 'l':
		return cmd_line_number(&o->line, 1, UINT32_MAX, &o->length);
	case 'w':
		if (cmd_line_seconds(&o->line, &ns) < 0)
			return -1;
		o->deadline = prusik_in_ns(ns);
		return 0;
	case 'E':
		if (cmd_line_number(&o->line, 0, 255, &n) < 0)
			return -1;
		o->no_code = (int)n;
		return 0;
	case 'n':
		o->deadline = PRUSIK_NOW;
		return 0;
	case 'j':
		o->json = 1;
		return 0;
	default:
		o->quiet = 1;
		return 0;
	}
}

int number_options(char **argv, const struct number_type *types, struct number_options *ret_options, void (*help)(void))
{
	static const struct cmd_option options[] = {
		{ 'q', "quiet", NULL },	  { 'j', "json", NULL },      { 't', "type", "TYPE" },
		{ 's', "size", "BYTES" }, { 'l', "length", "ITEMS" }, { 'w', "wait", "SECONDS" },
		{ 'n', "nowait", NULL },  { 'E', "no-code", "N" },    { 'h', "help", NULL },
		{ 0, NULL, NULL },
	};
	struct number_options *o = ret_options;
	int c;

	*o = (struct number_options){ .no_code = CMD_NO, .deadline = PRUSIK_FOREVER };
	cmd_line_begin(&o->line, argv);
	while ((c = cmd_line_next(&o->line, options)) > 0) {
		if (c == 'h') {
			help();
			return CMD_OK;
		}
		if (take_option(o, types, c) < 0)
			return CMD_USAGE;
	}
	if (c < 0)
		return CMD_USAGE;
	for (; o->argc < o->line.words; o->argc++)
		o->argv[o->argc] = o->line.word[o->argc];
	for (char **word = o->line.command; word && *word && o->argc < 2 * CMD_WORDS_MAX - 1; word++)
		o->argv[o->argc++] = *word;
	return -1;
}

int number_verb(const struct number_options *options, const struct number_verb *verbs)
{
	int i = 0;

	if (options->argc == 0) {
		cmd_usage(&options->line, "needs a verb and a NAME; see --help");
		return -1;
	}
	while (verbs[i].name && strcmp(verbs[i].name, options->argv[0]) != 0)
		i++;
	if (!verbs[i].name)
		cmd_usage(&options->line, "no verb '%s'; see --help", options->argv[0]);
	else if (options->argc - 2 < verbs[i].least || options->argc - 2 > verbs[i].most)
		cmd_usage(&options->line, "%s: wrong number of words; see --help", verbs[i].name);
	else
		return i;
	return -1;
}

/* ---- numbers ---- */

int number_int(const char *text, int64_t *ret_number)
{
	return bytes_number(text, ret_number);
}

int number_unsigned(const char *text, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	*ret_number = n;
	return end != text && *end == 0 && errno == 0 && !strchr(text, '-');
}

/* Too small is 0, too large is no number; the words inf and nan are some. */
int number_double(const char *text, double *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtod(text, &end);
	return end != text && *end == 0 && (errno == 0 || fabs(*ret_number) < 1);
}

void number_show_double(double number, int json)
{
	char text[40];

	/* As short as it can be. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	printf("%s\n", json && !isfinite(number) ? "null" : text);
}

void number_show_text(const char *text, size_t length, int json)
{
	if (json)
		bytes_put_json(text, length);
	else
		bytes_put(text, length);
	putchar('\n');
}
