/* SPDX-License-Identifier: MIT */
/* prusik kill - send a signal; names and numbers of signals */
#include "cmd.h"

#include <errno.h>
#include <prusik/signal.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 5

static const char kill_usage[] =
	"usage: prusik kill [-SIGNAL | -s SIGNAL] [--] PID...\n"
	"       prusik kill -l [NAME | NUMBER]...\n"
	"\n"
	"Sends a signal, SIGTERM unless said otherwise, to each process PID; a PID below -1, "
	"after\n"
	"--, means the process group of that number. SIGNAL is a name (TERM, SIGTERM, RTMIN+3) or "
	"a\n"
	"number; 0 sends nothing, but tells whether it could be done.\n"
	"\n"
	"  -l               list all signals; or of each name print the number, of each number "
	"the\n"
	"                   name (128 and more: that of a shell's exit code)\n"
	"  -s SIGNAL        the signal\n"
	"  --help           print this\n"
	"\n"
	"Exit code: 0 sent to all of them, 1 not to all, 2 wrong usage.\n";

struct order {
	int signal;
	char **targets; /* up to a NULL */
};

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *format, ...)
{
	va_list arguments;

	fputs("prusik kill: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* In one line, whatever it holds. */
static const char *clean(char *argument)
{
	for (char *c = argument; *c; c++)
		if ((unsigned char)*c < 32 || *c == 127)
			*c = '?';
	return argument;
}

static int wrong(const char *what, char *argument)
{
	complain("%s '%s'; see prusik kill --help", what, clean(argument));
	return CMD_USAGE;
}

/* ---- -l ---- */

static int list_all(void)
{
	int column = 0;

	for (int signal = 1; signal <= PRUSIK_SIGNAL_MAX; signal++) {
		const char *name = prusik_signal_name(signal);
		if (!name)
			continue;
		column = column % COLUMNS + 1;
		printf(column == COLUMNS ? "%2d) %s\n" : "%2d) %-12s ", signal, name);
	}
	if (column != COLUMNS)
		putchar('\n');
	return CMD_OK;
}

static int convert(char *text)
{
	int is_number = text[0] && text[strspn(text, "0123456789")] == '\0';
	long code = is_number && strlen(text) < 6 ? strtol(text, NULL, 10) : 0;
	int signal = code > 128 && code <= 128 + PRUSIK_SIGNAL_MAX ? (int)code - 128 : prusik_signal_number(text);
	const char *name = prusik_signal_name(signal);

	if (!name)
		return wrong("no such signal", text);
	if (is_number)
		puts(name + strlen("SIG"));
	else
		printf("%d\n", signal);
	return CMD_OK;
}

static int list(char **texts)
{
	int r = *texts ? CMD_OK : list_all();

	for (; *texts && r == CMD_OK; texts++)
		r = convert(*texts);
	return r;
}

/* ---- the command line ---- */

static int parse_signal(char *text, int *ret_signal)
{
	*ret_signal = strcmp(text, "0") == 0 ? 0 : prusik_signal_number(text);
	return *ret_signal < 0 ? wrong("no such signal", text) : CMD_OK;
}

/* Up to the targets. */
static int parse(char **argv, struct order *order)
{
	int r = CMD_OK;

	order->signal = SIGTERM;
	if (*argv && strcmp(*argv, "-s") == 0) {
		if (!argv[1])
			return wrong("a signal must follow", argv[0]);
		r = parse_signal(argv[1], &order->signal);
		argv += 2;
	} else if (*argv && (*argv)[0] == '-' && strcmp(*argv, "--") != 0) {
		r = parse_signal(*argv + 1, &order->signal);
		argv++;
	}
	if (r == CMD_OK && *argv && strcmp(*argv, "--") == 0)
		argv++;
	else if (r == CMD_OK && *argv && (*argv)[0] == '-')
		return wrong("one option is enough; a process group must follow --, not", *argv);
	order->targets = argv;
	return r;
}

/* A process, or below -1 a group; others are refused. */
static int parse_target(char *text, long *ret_target)
{
	const char *digits = text + (*text == '-');
	char *end;

	errno = 0;
	*ret_target = strtol(text, &end, 10);
	if (!*digits || digits[strspn(digits, "0123456789")] || errno || *ret_target > INT32_MAX ||
	    *ret_target < -INT32_MAX || (*ret_target < 1 && *ret_target > -2))
		return wrong("not the number of a process or group:", text);
	return CMD_OK;
}

/* ---- sending ---- */

static int send_to(long target, int signal)
{
	int r = target > 0 ? prusik_signal_kill((int)target, signal) : prusik_signal_kill_group((int)-target, signal);

	if (r == 0)
		return CMD_OK;
	complain("cannot signal %s %ld: %s", target > 0 ? "process" : "group", labs(target), strerror(-r));
	return CMD_NO;
}

/* Nothing is sent when the command line is wrong anywhere. */
static int send_to_all(const struct order *order)
{
	int code = CMD_OK;
	long target;

	for (char **text = order->targets; *text; text++)
		if (parse_target(*text, &target) != CMD_OK)
			return CMD_USAGE;
	for (char **text = order->targets; *text; text++) {
		parse_target(*text, &target);
		if (send_to(target, order->signal) != CMD_OK)
			code = CMD_NO;
	}
	return code;
}

int prusik_cmd_kill(int argc, char **argv)
{
	struct order order;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(kill_usage, stdout);
		return CMD_OK;
	}
	if (argc > 1 && strcmp(argv[1], "-l") == 0)
		return list(argv + 2);
	if (parse(argv + 1, &order) != CMD_OK)
		return CMD_USAGE;
	if (!*order.targets) {
		complain("no process to signal; see prusik kill --help");
		return CMD_USAGE;
	}
	return send_to_all(&order);
}
