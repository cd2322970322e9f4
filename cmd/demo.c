/* SPDX-License-Identifier: MIT */
/*
 * prusik demo - count lines, words and bytes with worker processes that are being
 * killed all the time, and show that it comes out right
 */
#include "demo.h"

#include "cmd.h"
#include "progress.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_LEAST 4
#define WORKERS_MOST 64
#define WORKERS_LIMIT 1024
#define KILL_EVERY_MS 50
#define KILL_EVERY_LIMIT 3600000
#define PASSES_LIMIT 1000000000

static const char demo_usage[] =
	"usage: prusik demo [OPTION...] [DIR]\n"
	"\n"
	"Counts the lines, words (runs of bytes other than white space) and bytes of all\n"
	"files under DIR with worker processes that get their work from a shared queue, kills\n"
	"one of them with SIGKILL every now and then and starts another in its place, and\n"
	"compares the outcome with that of a single process. DIR is the current directory by\n"
	"default.\n"
	"\n"
	"  --workers N      worker processes, 1 to 1024 (default: one for each processor, but\n"
	"                   at least 4 and at most 64)\n"
	"  --kill-every MS  kill a random worker every so many milliseconds (default 50;\n"
	"                   0: never)\n"
	"  --passes N       count everything N times, and compare each time (default: until 50\n"
	"                   workers have been killed; 1 with --kill-every 0)\n"
	"  --help           print this\n"
	"\n"
	"Symbolic links are not followed. What is not a regular file is left out, and so are\n"
	"directories named .git and other file systems mounted under DIR.\n"
	"\n"
	"Exit code: 0 the outcomes are equal, 1 they are not, 2 wrong usage, 3 a file could\n"
	"not be read or changed meanwhile, or the workers could not be started.\n";

void demo_complain(const char *format, ...)
{
	char line[8192];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	fprintf(stderr, "prusik demo: %s\n", line);
}

const char *demo_shown(const char *path)
{
	static char shown[4096];
	size_t i;

	for (i = 0; path[i] && i < sizeof shown - 1; i++)
		shown[i] = (unsigned char)path[i] < 32 || path[i] == 127 ? '?' : path[i];
	shown[i] = '\0';
	return shown;
}

void demo_file_trouble(const struct demo_files *files, size_t index, int trouble)
{
	const char *path = demo_shown(demo_path(files, index));

	if (trouble == DEMO_CHANGED)
		demo_complain("%s changed while it was being counted", path);
	else
		demo_complain("cannot read %s: %s", path, strerror(-trouble));
}

/* ---- the command line ---- */

static int wrong_usage(const char *what, const char *argument)
{
	demo_complain("%s %s; see prusik demo --help", what, demo_shown(argument));
	return CMD_USAGE;
}

static int parse_number(const char *name, const char *text, unsigned int least, unsigned int most,
			unsigned int *ret_number)
{
	char *end;

	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && number >= least && number <= most) {
		*ret_number = (unsigned int)number;
		return CMD_OK;
	}
	demo_complain("%s must be a number from %u to %u, not '%s'", name, least, most, demo_shown(text));
	return CMD_USAGE;
}

static unsigned int default_workers(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < WORKERS_LEAST)
		return WORKERS_LEAST;
	return processors > WORKERS_MOST ? WORKERS_MOST : (unsigned int)processors;
}

static int parse_option(int option, char **argv, struct demo_options *options)
{
	switch (option) {
	case 'w':
		return parse_number("--workers", optarg, 1, WORKERS_LIMIT, &options->workers);
	case 'k':
		return parse_number("--kill-every", optarg, 0, KILL_EVERY_LIMIT, &options->kill_every);
	case 'p':
		return parse_number("--passes", optarg, 1, PASSES_LIMIT, &options->passes);
	case ':':
		return wrong_usage("a number must follow", argv[optind - 1]);
	default:
		return wrong_usage("no option", argv[optind - 1]);
	}
}

/* CMD_OK, CMD_USAGE, or -1: help was asked for. */
static int parse_options(int argc, char **argv, struct demo_options *options)
{
	static const struct option known[] = {
		{ "workers", required_argument, NULL, 'w' },
		{ "kill-every", required_argument, NULL, 'k' },
		{ "passes", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, r = CMD_OK;

	opterr = 0;
	while (r == CMD_OK && (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		if (option == 'h')
			return -1;
		r = parse_option(option, argv, options);
	}
	if (r == CMD_OK && argc - optind > 1)
		return wrong_usage("one directory at a time, not also", argv[optind + 1]);
	if (r == CMD_OK && optind < argc)
		options->directory = argv[optind];
	return r;
}

/* ---- the single process ---- */

static void drop_file(struct demo_files *files, size_t index)
{
	files->unreadable++;
	files->file[index] = files->file[--files->count];
}

static int count_alone(struct demo_files *files)
{
	struct progress progress = { 0 };
	size_t i = 0;

	while (i < files->count) {
		struct demo_file *file = &files->file[i];
		int trouble = demo_count_file(file, demo_path(files, i), &file->expected);
		if (trouble) {
			progress_clear(&progress);
			demo_file_trouble(files, i, trouble);
		}
		if (trouble == DEMO_CHANGED)
			return CMD_OBJECT;
		if (trouble)
			drop_file(files, i);
		else
			i++;
		if (progress_due(&progress))
			progress_draw(&progress, (double)i / (double)files->count, "one process alone");
	}
	progress_clear(&progress);
	return CMD_OK;
}

/* ---- the table ---- */

static struct demo_count sum_found(const struct demo_files *files)
{
	struct demo_count sum = { 0 };

	for (size_t i = 0; i < files->count; i++) {
		sum.lines += files->file[i].found.lines;
		sum.words += files->file[i].found.words;
		sum.bytes += files->file[i].found.bytes;
	}
	return sum;
}

static void row(const char *name, uint64_t value)
{
	printf("%-16s %15llu\n", name, (unsigned long long)value);
}

static void print_table(const struct demo_files *files, const struct demo_report *report)
{
	struct demo_count sum = sum_found(files);
	double megabytes = (double)sum.bytes * (double)report->passes / 1e6;

	row("files", files->count);
	row("lines", sum.lines);
	row("words", sum.words);
	row("bytes", sum.bytes);
	row("passes", report->passes);
	printf("%-16s %15.2f\n", "seconds", report->seconds);
	printf("%-16s %15.1f\n", "MB/s", report->seconds > 0 ? megabytes / report->seconds : 0.0);
	row("workers killed", report->killed);
	row("jobs run again", report->again);
	row("results ignored", report->doubles);
	printf("equal to a single-process count: %s\n", report->differs ? "no" : "yes");
}

static int demo(const struct demo_options *options, struct demo_files *files)
{
	struct demo_report report = { 0 };
	int r = count_alone(files);

	if (r == CMD_OK)
		r = demo_pool_run(options, files, &report);
	if (r != CMD_OK && r != CMD_NO)
		return r;
	print_table(files, &report);
	if (report.differs)
		demo_complain("%s was counted wrongly", demo_shown(report.differs));
	if (fflush(stdout) != 0) {
		demo_complain("cannot write the table: %s", strerror(errno));
		return CMD_OBJECT;
	}
	return r == CMD_OK && files->unreadable ? CMD_OBJECT : r;
}

int prusik_cmd_demo(int argc, char **argv)
{
	struct demo_options options = {
		.directory = ".",
		.workers = default_workers(),
		.kill_every = KILL_EVERY_MS,
	};
	struct demo_files files;
	int r = parse_options(argc, argv, &options);

	if (r < 0)
		fputs(demo_usage, stdout);
	if (r != CMD_OK)
		return r < 0 ? CMD_OK : r;
	signal(SIGCHLD, SIG_DFL); /* where it is ignored, nobody learns how a worker ended */
	r = demo_files_find(&files, options.directory);
	r = r < 0 ? CMD_OBJECT : demo(&options, &files);
	demo_files_free(&files);
	return r;
}
