/* SPDX-License-Identifier: MIT */
#include "bytes.h"

#include "cmd.h"

#include <errno.h>
#include <prusik/common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int bytes_code(const struct bytes_options *options, const char *name, int64_t result)
{
	switch (result) {
	case -ENOENT:
	case -EEXIST:
	case -ESTALE:
		return options->no_code;
	case -ETIMEDOUT:
		return options->deadline == PRUSIK_NOW ? options->no_code : CMD_TIMED_OUT;
	default:
		return options->quiet ? CMD_OBJECT : cmd_object(name, (int)result);
	}
}

/* ---- options ---- */

int bytes_number(const char *text, int64_t *ret_number)
{
	char *end;

	errno = 0;
	long long n = strtoll(text, &end, 10);
	*ret_number = n;
	return *text != 0 && *end == 0 && errno == 0;
}

/* With k, M, G for powers of 1024. */
static int read_size(const char *text, uint64_t *ret_size)
{
	static const char units[] = "kMG";
	char *end;

	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;
	*ret_size = (uint64_t)n << shift;
	return end != text && *text != '-' && errno == 0 && n <= UINT64_MAX >> shift && n > 0 && end[unit != NULL] == 0;
}

static int take_option(struct bytes_options *o, int c)
{
	int64_t ns;
	uint32_t n;

	switch (c) {
	case 'q':
		o->quiet = 1;
		return 0;
	case 'j':
		o->json = 1;
		return 0;
	case '0':
		o->nul = 1;
		return 0;
	case 'x':
		o->only_new = 1;
		return 0;
	case 'r':
		o->reverse = 1;
		return 0;
	case 'd':
		o->fallback = o->line.value;
		return 0;
	case 'n':
		o->deadline = PRUSIK_NOW;
		return 0;
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
	default:
		if (read_size(o->line.value, &o->size))
			return 0;
		cmd_usage(&o->line, "%s: no size: %s", o->line.option, o->line.value);
		return -1;
	}
}

int bytes_options(char **argv, struct bytes_options *ret_options, void (*help)(void))
{
	static const struct cmd_option options[] = {
		{ 'q', "quiet", NULL },	  { 'j', "json", NULL },       { '0', "null", NULL },
		{ 'x', "new", NULL },	  { 'd', "default", "VALUE" }, { 'w', "wait", "SECONDS" },
		{ 'n', "nowait", NULL },  { 's', "size", "BYTES" },    { 'E', "no-code", "N" },
		{ 'r', "reverse", NULL }, { 'h', "help", NULL },       { 0, NULL, NULL },
	};
	struct bytes_options *o = ret_options;
	int c;

	*o = (struct bytes_options){ .no_code = CMD_NO, .deadline = PRUSIK_FOREVER };
	cmd_line_begin(&o->line, argv);
	while ((c = cmd_line_next(&o->line, options)) > 0) {
		if (c == 'h') {
			help();
			return CMD_OK;
		}
		if (take_option(o, c) < 0)
			return CMD_USAGE;
	}
	if (c < 0)
		return CMD_USAGE;
	for (; o->argc < o->line.words; o->argc++)
		o->argv[o->argc] = o->line.word[o->argc];
	o->command = o->argc;
	for (char **word = o->line.command; word && *word && o->argc < 2 * CMD_WORDS_MAX - 1; word++)
		o->argv[o->argc++] = *word;
	return -1;
}

const void *bytes_verb(const struct bytes_options *options, const void *verbs, size_t size)
{
	const struct bytes_verb *verb = verbs;

	if (options->argc == 0) {
		cmd_usage(&options->line, "needs a verb and a NAME; see --help");
		return NULL;
	}
	while (verb->name && strcmp(verb->name, options->argv[0]) != 0)
		verb = (const struct bytes_verb *)(const void *)((const char *)verb + size);
	int more = options->argc - 2;
	if (!verb->name)
		cmd_usage(&options->line, "no verb '%s'; see --help", options->argv[0]);
	else if (more < verb->least || more > verb->most)
		cmd_usage(&options->line, "%s: wrong number of words; see --help", verb->name);
	else
		return verb;
	return NULL;
}

/* ---- values ---- */

int bytes_reserve(struct bytes *bytes, size_t room)
{
	if (room <= bytes->room)
		return 0;
	char *data = realloc(bytes->data, room);
	if (!data)
		return -ENOMEM;
	bytes->data = data;
	bytes->room = room;
	return 0;
}

int bytes_read(struct bytes *bytes, int fd)
{
	for (;;) {
		if (bytes_reserve(bytes, bytes->length + (bytes->length < 65536 ? 65536 : bytes->length)) < 0)
			return -ENOMEM;
		ssize_t n = read(fd, bytes->data + bytes->length, bytes->room - bytes->length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		bytes->length += (size_t)n;
	}
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){ 0 };
}

void bytes_put(const void *data, size_t length)
{
	fwrite(data, 1, length, stdout);
}

/* The length of the UTF-8 sequence there; 0: it is none. */
static size_t sequence(const unsigned char *s, size_t length)
{
	size_t n = s[0] < 0x80		       ? 1 :
		   s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		   s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
		   s[0] >= 0xf0 && s[0] < 0xf5 ? 4 :
						 0;

	if (n == 0 || n > length)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)))
		return 0;
	if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90)))
		return 0;
	return n;
}

void bytes_put_json(const void *data, size_t length)
{
	const unsigned char *s = data;

	putchar('"');
	for (size_t i = 0, n; i < length; i += n ? n : 1) {
		n = sequence(s + i, length - i);
		if (n == 0)
			printf("\\udc%02x", s[i]);
		else if (s[i] == '"' || s[i] == '\\')
			printf("\\%c", s[i]);
		else if (s[i] < 0x20)
			printf("\\u%04x", s[i]);
		else
			fwrite(s + i, 1, n, stdout);
	}
	putchar('"');
}

void bytes_line(const struct bytes_options *options, const void *data, size_t length)
{
	if (options->json)
		bytes_put_json(data, length);
	else
		bytes_put(data, length);
	putchar(options->nul ? 0 : '\n');
}
