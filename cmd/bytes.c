/* SPDX-License-Identifier: MIT */
#include "bytes.h"

#include "cmd.h"

#include <errno.h>
#include <getopt.h>
#include <prusik/common.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void bytes_complain(const struct bytes_options *options, const char *format, ...)
{
	va_list args;

	if (options->quiet)
		return;
	fprintf(stderr, "%s: ", options->command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int bytes_code(const struct bytes_options *options, const char *name, int64_t result)
{
	switch (result) {
	case -ENOENT:
	case -EEXIST:
	case -ESTALE:
		return options->no_code;
	case -ETIMEDOUT:
		return CMD_TIMEOUT;
	default:
		bytes_complain(options, "%s: %s", name, prusik_strerror((int)result));
		return CMD_OBJECT;
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

static int read_seconds(const char *text, int64_t *ret_deadline)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0))
		return 0;
	*ret_deadline = seconds > 1e9 ? PRUSIK_FOREVER : prusik_in_ns((int64_t)(seconds * 1e9));
	return 1;
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

static int take_option(int c, struct bytes_options *o)
{
	int64_t n = 0;
	int ok = 1;

	switch (c) {
	case 'q':
		o->quiet = 1;
		break;
	case 'j':
		o->json = 1;
		break;
	case '0':
		o->nul = 1;
		break;
	case 'x':
		o->only_new = 1;
		break;
	case 'd':
		o->fallback = optarg;
		break;
	case 'n':
		o->has_wait = 1;
		o->deadline = PRUSIK_NOW;
		break;
	case 'w':
		o->has_wait = 1;
		ok = read_seconds(optarg, &o->deadline);
		break;
	case 's':
		ok = read_size(optarg, &o->size);
		break;
	case 'E':
		ok = bytes_number(optarg, &n) && n >= 0 && n < 256;
		o->no_code = (int)n;
		break;
	default:
		return 0;
	}
	if (!ok)
		bytes_complain(o, "bad argument of -%c: %s", c, optarg);
	return ok;
}

int bytes_options(int argc, char **argv, struct bytes_options *ret_options, int *ret_argc, char ***ret_argv,
		  void (*help)(void))
{
	static const struct option names[] = {
		{ "quiet", no_argument, NULL, 'q' },	   { "json", no_argument, NULL, 'j' },
		{ "null", no_argument, NULL, '0' },	   { "new", no_argument, NULL, 'x' },
		{ "default", required_argument, NULL, 'd' }, { "wait", required_argument, NULL, 'w' },
		{ "nowait", no_argument, NULL, 'n' },	   { "size", required_argument, NULL, 's' },
		{ "no-code", required_argument, NULL, 'E' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	ret_options->no_code = CMD_NO;
	ret_options->deadline = PRUSIK_FOREVER;
	optind = 0; /* begin anew, GNU's own way too */
	while ((c = getopt_long(argc, argv, "+qj0xd:w:ns:E:h", names, NULL)) != -1) {
		if (c == 'h') {
			help();
			return CMD_OK;
		}
		if (!take_option(c, ret_options))
			return CMD_USAGE;
	}
	*ret_argc = argc - optind;
	*ret_argv = argv + optind;
	return -1;
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
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

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
