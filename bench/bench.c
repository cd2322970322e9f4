/* SPDX-License-Identifier: MIT */
/* prusik-bench: options, rounds, medians, the table. README.md says how to read it. */
#include "bench.h"
#include "noise.h"
#include "team.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 99
#define MS INT64_C(1000000)

/* On a busy machine a workload ends early, with this many rounds at least. */
#define ROUNDS_ENOUGH 3

static const struct bench_workload *const tables[] = {
	bench_lock,	  bench_lock_command, bench_rlock,     bench_rwlock,	 bench_event,	     bench_semaphore,
	bench_barrier,	  bench_once,	      bench_cancel,    bench_thread,	 bench_process,	     bench_signal,
	bench_wake,	  bench_condition,    bench_queue,     bench_queue_trip, bench_queue_memory, bench_dict,
	bench_dict_scale, bench_list,	      bench_list_sort, bench_value,	 bench_arena,	     bench_named,
};

struct options {
	int rounds;
	int64_t piece_ns;
	int list;
	const char *filter; /* part of a workload's name, or NULL */
	const char *subject; /* a subject's name, or NULL */
};

/* One subject of the workload at hand. */
struct entry {
	const struct bench_subject *subject;
	uint64_t count;
	int present;
	int rounds;
	double values[ROUNDS_MAX];
	double median;
};

/* Not 0 as soon as something failed; the program's exit code. */
static int exit_code;

void bench_note(const struct bench_piece *piece, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "prusik-bench: %s %s: ", piece->workload->name, piece->subject->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ---- pieces ---- */

static int run_piece(struct bench_piece *piece)
{
	int result = piece->subject->setup(piece);

	if (result == 0) {
		result = piece->subject->run(piece);
		piece->subject->teardown(piece);
	}
	if (result == BENCH_WRONG) {
		bench_note(piece, "WRONG RESULT");
		exit(1);
	}
	if (result < 0) {
		bench_note(piece, "failed: %s", strerror(-result));
		exit_code = 1;
	}
	return result;
}

/* How much larger the next attempt should be; a slow start must not mislead it. */
static double growth(const struct bench_piece *piece)
{
	double factor = (double)piece->wanted_ns / (double)(piece->ns > 0 ? piece->ns : 1);

	return factor < 2 ? 2 : factor > 8 ? 8 : factor;
}

/* Find out how many operations fill the wanted time. It is the warm-up too. */
static int find_count(struct bench_piece *piece)
{
	int result;

	piece->count = 64;
	while ((result = run_piece(piece)) == 0 && piece->ns < piece->wanted_ns / 2)
		piece->count = (uint64_t)((double)piece->count * growth(piece));
	if (result == 0)
		piece->count = 1 + (uint64_t)((double)piece->count * (double)piece->wanted_ns / (double)piece->ns);
	return result;
}

static void prepare(const struct bench_workload *workload, struct entry *entry, int64_t piece_ns)
{
	struct bench_piece piece = { .workload = workload, .subject = entry->subject, .wanted_ns = piece_ns };

	entry->present = (workload->counted ? find_count(&piece) : run_piece(&piece)) == 0;
	entry->count = piece.count;
}

static void run_round(const struct bench_workload *workload, struct entry *entry, int64_t piece_ns)
{
	struct bench_piece piece = {
		.workload = workload,
		.subject = entry->subject,
		.wanted_ns = piece_ns,
		.count = entry->count,
	};

	if (!entry->present)
		return;
	entry->present = run_piece(&piece) == 0;
	if (entry->present)
		entry->values[entry->rounds++] = piece.value;
}

/* ---- the table ---- */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void find_median(struct entry *entry)
{
	int n = entry->rounds;

	qsort(entry->values, (size_t)n, sizeof(double), compare_doubles);
	entry->median = (entry->values[(n - 1) / 2] + entry->values[n / 2]) / 2;
}

/* How many times better a is than b. */
static double times_better(const struct bench_workload *workload, double a, double b)
{
	return workload->higher_is_better ? a / b : b / a;
}

/* The best of prusik's subjects (ours) or of the peers; NULL when there is none. */
static const struct entry *best(const struct bench_workload *workload, const struct entry *entries, int ours)
{
	const struct entry *found = NULL;

	for (const struct entry *e = entries; e->subject; e++) {
		if (!e->present || e->subject->ours != ours)
			continue;
		if (!found || times_better(workload, e->median, found->median) > 1)
			found = e;
	}
	return found;
}

static void print_value(double value, int width)
{
	int decimals = value >= 1000 ? 0 : value >= 10 ? 1 : 2;

	printf(" %*.*f", width, decimals, value);
}

static void print_header(void)
{
	printf("%-34s %-15s %11s %-11s %7s %11s %11s\n", "workload", "subject", "value", "unit", "ratio", "min", "max");
}

static void print_entry(const struct bench_workload *workload, const struct entry *entry, const struct entry *rival)
{
	printf("%-34s %-15s", workload->name, entry->subject->name);
	print_value(entry->median, 11);
	printf(" %-11s", workload->unit);
	if (rival)
		printf(" %7.2f", times_better(workload, entry->median, rival->median));
	else
		printf(" %7s", "-");
	print_value(entry->values[0], 11);
	print_value(entry->values[entry->rounds - 1], 11);
	putchar('\n');
}

static void report(const struct bench_workload *workload, struct entry *entries)
{
	for (struct entry *e = entries; e->subject; e++)
		if (e->present)
			find_median(e);
	for (const struct entry *e = entries; e->subject; e++)
		if (e->present)
			print_entry(workload, e, best(workload, entries, !e->subject->ours));
	fflush(stdout);
}

/* ---- workloads ---- */

static void run_workload(const struct bench_workload *workload, const struct options *options)
{
	static struct entry entries[BENCH_SUBJECTS_MAX + 1];
	int64_t deadline;
	int n = 0;

	memset(entries, 0, sizeof(entries));
	for (const struct bench_subject *s = workload->subjects; s->name; s++)
		if (!options->subject || strcmp(options->subject, s->name) == 0)
			entries[n++].subject = s;
	for (int i = 0; i < n; i++)
		prepare(workload, &entries[i], options->piece_ns);
	deadline = team_now() + 3 * n * options->rounds * options->piece_ns;
	for (int round = 0; round < options->rounds; round++) {
		if (round >= ROUNDS_ENOUGH && team_now() > deadline)
			break;
		for (int i = 0; i < n; i++)
			run_round(workload, &entries[i], options->piece_ns);
	}
	report(workload, entries);
}

static void list_workload(const struct bench_workload *workload, const struct options *unused)
{
	(void)unused;
	printf("%-34s %-11s %s is better:", workload->name, workload->unit,
	       workload->higher_is_better ? "higher" : "lower");
	for (const struct bench_subject *s = workload->subjects; s->name; s++)
		printf(" %s", s->name);
	putchar('\n');
}

static int wanted(const struct options *options, const struct bench_workload *workload)
{
	if (options->filter && !strstr(workload->name, options->filter))
		return 0;
	for (const struct bench_subject *s = workload->subjects; s->name; s++)
		if (!options->subject || strcmp(options->subject, s->name) == 0)
			return 1;
	return 0;
}

/* do_it with each of those wanted; how many there are. */
static int each_workload(const struct options *options,
			 void (*do_it)(const struct bench_workload *, const struct options *))
{
	int n = 0;

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct bench_workload *w = tables[t]; w->name; w++) {
			if (!wanted(options, w))
				continue;
			n++;
			if (do_it)
				do_it(w, options);
		}
	return n;
}

static int nothing_to_do(const struct options *options)
{
	if (each_workload(options, NULL) > 0)
		return 0;
	fputs("prusik-bench: no workload", stderr);
	if (options->subject)
		fprintf(stderr, " with the subject '%s'", options->subject);
	if (options->filter)
		fprintf(stderr, " has '%s' in its name", options->filter);
	fputs("; --list prints them\n", stderr);
	return 1;
}

/* Figures of a busy machine are to be taken with care. */
static void tell_noise(void)
{
	double share = noise_share();

	if (share >= 0)
		fprintf(stderr, "prusik-bench: %.0f %% of the processors' time went to others\n", share * 100);
}

/* ---- options ---- */

static const char usage[] =
	"usage: prusik-bench [--quick] [--rounds N] [--subject NAME] [--list] [PART-OF-A-WORKLOAD'S-NAME]\n";

/* 0, or the exit code. */
static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "rounds", required_argument, NULL, 'r' },  { "quick", no_argument, NULL, 'q' },
		{ "subject", required_argument, NULL, 's' }, { "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },	     { NULL, 0, NULL, 0 },
	};
	int option, rounds = -1;

	*options = (struct options){ .rounds = 9, .piece_ns = 100 * MS };
	while ((option = getopt_long(argc, argv, "r:qs:lh", names, NULL)) != -1) {
		if (option == 'r') {
			rounds = atoi(optarg);
		} else if (option == 'q') {
			options->rounds = 3;
			options->piece_ns = 30 * MS;
		} else if (option == 's') {
			options->subject = optarg;
		} else if (option == 'l') {
			options->list = 1;
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? -1 : 2;
		}
	}
	if (rounds >= 0)
		options->rounds = rounds;
	options->filter = argv[optind];
	if (argc - optind > 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (options->rounds >= 1 && options->rounds <= ROUNDS_MAX)
		return 0;
	fprintf(stderr, "prusik-bench: 1 to %d rounds\n", ROUNDS_MAX);
	return 2;
}

int main(int argc, char **argv)
{
	struct options options;

	bench_process_begin();
	int stop = read_options(argc, argv, &options);

	if (stop)
		return stop < 0 ? 0 : stop;
	if (nothing_to_do(&options))
		return 2;
	if (options.list) {
		each_workload(&options, list_workload);
		return 0;
	}
	print_header();
	noise_start();
	each_workload(&options, run_workload);
	tell_noise();
	return exit_code;
}
