/* SPDX-License-Identifier: MIT */
#include "line.h"

#include "cmd.h"
#include "names.h"

#include <errno.h>
#include <math.h>
#include <prusik/common.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cmd_line_begin(struct cmd_line *line, char **argv)
{
	*line = (struct cmd_line){ .command_name = argv[0], .argv = argv + 1 };
}

/* To be freed; NULL: no memory. */
__attribute__((format(printf, 1, 0))) static char *text_of(const char *format, va_list arguments)
{
	char *text;

	return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

void cmd_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *text = text_of(format, arguments);
	va_end(arguments);
	for (char *c = text; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	fprintf(stderr, "prusik%s\n", text ? text : ": out of memory");
	free(text);
}

int cmd_usage(const struct cmd_line *line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *text = text_of(format, arguments);
	va_end(arguments);
	cmd_say(" %s: %s; see man prusik-%s", line->command_name, text ? text : "out of memory", line->command_name);
	free(text);
	return CMD_USAGE;
}

int cmd_object(const char *name, int result)
{
	if (!cmd_domain_refused())
		cmd_say(": %s: %s", name, prusik_strerror(result));
	return CMD_OBJECT;
}

/* The option takes an argument: what follows it, or the next word. */
static int take_value(struct cmd_line *line, const struct cmd_option *option, const char *attached)
{
	line->value = attached;
	if (!option->argument || attached)
		return option->letter;
	if (!*line->argv || strcmp(*line->argv, "--") == 0) {
		cmd_usage(line, "%s needs a %s", line->option, option->argument);
		return -1;
	}
	line->value = *line->argv++;
	return option->letter;
}

static int unknown(struct cmd_line *line)
{
	cmd_usage(line, "no option %s", line->option);
	return -1;
}

static int long_option(struct cmd_line *line, const struct cmd_option *options)
{
	char *equals = strchr(line->option, '=');
	size_t length = equals ? (size_t)(equals - line->option) - 2 : strlen(line->option + 2);

	for (; options->letter; options++)
		if (options->name && strlen(options->name) == length &&
		    strncmp(options->name, line->option + 2, length) == 0)
			break;
	if (!options->letter || (equals && !options->argument))
		return unknown(line);
	return take_value(line, options, equals ? equals + 1 : NULL);
}

static int short_option(struct cmd_line *line, const struct cmd_option *options)
{
	char letter = *line->cluster++;

	while (options->letter && options->letter != letter)
		options++;
	if (!options->letter)
		return unknown(line);
	char *rest = options->argument && *line->cluster ? line->cluster : NULL;
	if (options->argument)
		line->cluster = NULL;
	return take_value(line, options, rest);
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != 0;
}

int cmd_line_next(struct cmd_line *line, const struct cmd_option *options)
{
	if (line->cluster && *line->cluster)
		return short_option(line, options);
	line->cluster = NULL;
	for (; *line->argv; line->argv++) {
		if (strcmp(*line->argv, "--") == 0) {
			line->command = line->argv + 1;
			return 0;
		}
		if (is_option(*line->argv)) {
			line->option = *line->argv++;
			if (line->option[1] == '-')
				return long_option(line, options);
			line->cluster = (char *)(uintptr_t)line->option + 1;
			return short_option(line, options);
		}
		if (line->words == CMD_WORDS_MAX) {
			cmd_usage(line, "too many words");
			return -1;
		}
		line->word[line->words++] = *line->argv;
	}
	return 0;
}

int cmd_seconds(const char *text, int64_t *ret_ns)
{
	char *end;

	errno = 0;
	double seconds = strtod(text, &end);
	if (end == text || *end || errno || !isfinite(seconds) || seconds < 0)
		return 0;
	*ret_ns = seconds > 9e9 ? INT64_MAX : (int64_t)(seconds * 1e9);
	return 1;
}

int cmd_number(const char *text, uint32_t least, uint32_t most, uint32_t *ret_number)
{
	char *end;

	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (end == text || *end || errno || *text == '-' || number < least || number > most)
		return 0;
	*ret_number = (uint32_t)number;
	return 1;
}

int cmd_line_seconds(struct cmd_line *line, int64_t *ret_ns)
{
	if (cmd_seconds(line->value, ret_ns))
		return 0;
	cmd_usage(line, "'%s' is no number of seconds", line->value);
	return -1;
}

int cmd_line_number(struct cmd_line *line, uint32_t least, uint32_t most, uint32_t *ret_number)
{
	if (cmd_number(line->value, least, most, ret_number))
		return 0;
	cmd_usage(line, "'%s' is no number from %u to %u", line->value, least, most);
	return -1;
}

void cmd_json(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c == 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}
