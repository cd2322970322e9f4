/* SPDX-License-Identifier: MIT */
/*
 * prusik - the tool: main looks its first argument up in a table of commands
 *
 * A command gets argv from its own name on and returns the exit code (cmd.h).
 */
#include "cmd.h"
#include "line.h"

#include <prusik/common.h>
#include <stdio.h>
#include <string.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

static int version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("prusik %s\n", prusik_version());
	return CMD_OK;
}

static int help(int argc, char **argv);

static const struct command commands[] = {
	{ "array", prusik_cmd_array, "numbers or records, so many of one size" },
	{ "barrier", prusik_cmd_barrier, "wait until so many have come" },
	{ "demo", prusik_cmd_demo, "count words with workers that are being killed" },
	{ "kill", prusik_cmd_kill, "send a signal; list the signals" },
	{ "dict", prusik_cmd_dict, "keys and values" },
	{ "doctor", prusik_cmd_doctor, "is all there that prusik needs" },
	{ "event", prusik_cmd_event, "set, clear, wait for, ask a flag" },
	{ "gc", prusik_cmd_gc, "remove what is proved dead" },
	{ "list", prusik_cmd_list, "items in order" },
	{ "lock", prusik_cmd_lock, "run a command while nobody else does" },
	{ "ls", prusik_cmd_ls, "list the names of the domain" },
	{ "rm", prusik_cmd_rm, "remove names" },
	{ "sem", prusik_cmd_sem, "run a command while few others do; semaphores" },
	{ "queue", prusik_cmd_queue, "queues that shells and programs share by name" },
	{ "value", prusik_cmd_value, "one number, or one record" },
	{ "--help", help, "print this" },
	{ "--version", version, "print the version" },
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(FILE *stream)
{
	fprintf(stream, "usage: prusik COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(stream, "\nExit code: 0 ok, 1 no, 2 wrong usage, 3 an object could not be used, 124 timed out,\n"
			"125 failed before COMMAND ran, 126 it cannot be executed, 127 it was not found,\n"
			"128+n signal n killed it; else COMMAND's own.\n");
}

static int help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	print_help(stdout);
	return CMD_OK;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return CMD_USAGE;
	}
	const struct command *command = find_command(argv[1]);
	if (!command) {
		cmd_say(": no command '%s'; see prusik --help", argv[1]);
		return CMD_USAGE;
	}
	int code = command->run(argc - 1, argv + 1);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("prusik: stdout");
		return CMD_OBJECT;
	}
	return code;
}
