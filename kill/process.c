/* SPDX-License-Identifier: MIT */
/*
 * prusik-process - starts, ends and kills of processes, counted
 *
 *	prusik-process [--quick] [deaths|steps|calls|forks|flights|trees [COUNT]]
 *
 * deaths: a program that starts daemons by all methods is killed -9 at a random moment around a start;
 * no daemon, and no child of one, may outlive it. "Late" are those that took longer than a second:
 * none where processes get a processor when they want one, some on a machine that is loaded; "wrong"
 * are those that did not end at all. steps: starters, and their children, are killed after a counted
 * number of instructions. calls: all who have to do with a start, by all methods, are killed at each
 * system call. (COUNT of these two: so many points of each way.) forks: a program with 8 busy threads
 * forks; no child may be stuck. flights: 1,000 children at once, by many rounds; none may be left as a
 * zombie. trees: grown anew each time, with double forks and sessions of their own; kill_tree leaves
 * nobody. One line for each; the exit code is 1 when anything was wrong.
 */
#include "process_calls.h"
#include "process_steps.h"

#include "base/atomic.h"

#include <limits.h>
#include <prusik/lock.h>
#include <prusik/process.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Who lives this long after his program lives for ever. */
#define NEVER INT64_C(60000000000)
#define LATE INT64_C(1000000000)

static int bad;
static int64_t longest;
static int late;

static void report(const char *what, int count, int wrong)
{
	printf("%-8s %6d  wrong %d\n", what, count, wrong);
	fflush(stdout);
	bad |= wrong != 0;
}

static uint32_t random_below(uint32_t limit)
{
	static uint64_t state = UINT64_C(88172645463325252);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state % limit);
}

/* ---- deaths ---- */

int sleep_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return 0;
}

/* A daemon with a child of its own, and one that it has left behind. */
static int be_daemon(void *unused)
{
	(void)unused;
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			sleep_for_ever(NULL);
		_exit(0);
	}
	return sleep_for_ever(NULL);
}

/* It goes on starting until it is killed. */
static int start_daemons(void *argument)
{
	uint32_t method = *(const uint32_t *)argument;

	for (;;) {
		struct prusik_process_options options = { .daemon = 1, .method = method };
		struct prusik_process *process;
		if (prusik_process_start(method ? sleep_for_ever : be_daemon, NULL, &options, &process) < 0)
			return 1;
		if (random_below(2))
			prusik_process_kill_tree(process);
		prusik_process_free(process);
	}
}

static int run_daemons(void *argument)
{
	static const char *const argv[] = { "sleep", "1000", NULL };
	struct prusik_run_options options = { .daemon = 1 };
	struct prusik_process *process;

	(void)argument;
	while (prusik_process_run(argv, &options, &process) == 0)
		prusik_process_free(process);
	return 1;
}

/* Whoever is left of them is ours now: they are to end soon. */
int reap_all(void)
{
	int64_t began = prusik_now();

	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);
		int64_t took = prusik_now() - began;
		if (pid < 0) {
			late += took > LATE;
			longest = took > longest ? took : longest;
			return 0;
		}
		if (pid == 0 && took > NEVER)
			return 1;
		if (pid == 0)
			usleep(200);
	}
}

void kill_everybody(void)
{
	char command[64];

	snprintf(command, sizeof command, "pkill -KILL -P %d", getpid());
	while (reap_all() && system(command) >= 0)
		;
}

static int start_and_kill(uint32_t method)
{
	int (*starter)(void *) = method < 3 ? start_daemons : run_daemons;
	struct prusik_process *parent;

	if (prusik_process_start(starter, &method, NULL, &parent) < 0)
		return 1;
	usleep(random_below(method == 0 ? 4000 : 12000));
	prusik_process_kill(parent);
	prusik_process_join(parent, PRUSIK_FOREVER, NULL);
	prusik_process_free(parent);
	return reap_all();
}

static void deaths(int count)
{
	int wrong = 0;

	for (int i = 0; i < count; i++) {
		int left = start_and_kill(i % 10 < 7 ? 0 : (uint32_t)(i % 10 - 6));
		if (left)
			kill_everybody();
		wrong += left;
	}
	report("deaths", count, wrong);
	printf("         late %d  longest end %.1f ms\n", late, (double)longest / 1e6);
}

static void steps(int points)
{
	int count, wrong = process_steps(points, &count);

	report("steps", count, wrong);
}

static void calls(int points)
{
	int count, wrong = process_calls(points, &count);

	report("calls", count, wrong);
}

/* ---- forks ---- */

struct busy {
	struct prusik_lock lock;
	uint32_t stop;
};

static void *be_busy(void *argument)
{
	struct busy *busy = argument;

	while (!prk_load32_rlx(&busy->stop)) {
		free(malloc(random_below(10000)));
		if (prusik_lock_acquire(&busy->lock, PRUSIK_FOREVER) >= 0)
			prusik_lock_release(&busy->lock);
	}
	return NULL;
}

static int use_everything(void *argument)
{
	struct busy *busy = argument;

	free(malloc(1000));
	printf("%s", "");
	return prusik_lock_acquire(&busy->lock, prusik_in_s(30)) < 0 ? 1 : prusik_lock_release(&busy->lock);
}

static void forks(int count)
{
	struct busy *busy = mmap(NULL, sizeof *busy, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_t threads[8];
	int wrong = 0;

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, be_busy, busy);
	for (int i = 0; i < count; i++) {
		struct prusik_process *child;
		int code = 1;
		if (prusik_process_start(use_everything, busy, NULL, &child) < 0 ||
		    prusik_process_join(child, prusik_in_s(60), &code) < 0 || code != 0)
			wrong++;
		prusik_process_free(child);
	}
	prk_store32_rlx(&busy->stop, 1);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	report("forks", count, wrong);
}

/* ---- flight ---- */

static int return_it(void *code)
{
	return *(int *)code;
}

static int one_flight(void)
{
	static struct prusik_process *children[1000];
	int wrong = 0;

	for (int i = 0; i < 1000; i++) {
		int code = i % 200;
		if (prusik_process_start(return_it, &code, NULL, &children[i]) < 0)
			return 1;
	}
	for (int i = 0; i < 1000; i++) {
		int code = -1;
		prusik_process_join(children[i], PRUSIK_FOREVER, &code);
		prusik_process_free(children[i]);
		wrong += code != i % 200;
	}
	return wrong + (waitpid(-1, NULL, WNOHANG) >= 0);
}

static void flights(int count)
{
	int wrong = 0;

	for (int i = 0; i < count; i++)
		wrong += one_flight();
	report("flight", count * 1000, wrong);
}

/* ---- trees ---- */

static int grow(void *argument)
{
	uint32_t *count = argument;

	for (int i = 0; i < 6; i++) {
		if (fork() != 0)
			continue;
		prk_add32_acqrel(count, 1);
		if (i % 2)
			setsid();
		if (i % 3 && fork() != 0)
			_exit(0);
	}
	return sleep_for_ever(NULL);
}

static int fell_one(uint32_t *count)
{
	struct prusik_process *root;

	if (prusik_process_start(grow, count, NULL, &root) < 0)
		return 1;
	usleep(random_below(8000));
	int r = prusik_process_kill_tree(root);
	prusik_process_join(root, PRUSIK_FOREVER, NULL);
	prusik_process_free(root);
	return r != 0 || waitpid(-1, NULL, WNOHANG) >= 0;
}

static void trees(int count)
{
	uint32_t *members = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int wrong = 0;

	for (int i = 0; i < count; i++)
		wrong += fell_one(members);
	report("trees", count, wrong);
}

/* ---- which ---- */

static const struct part {
	const char *name;
	void (*run)(int count);
	int quick, full;
} parts[] = {
	{ "deaths", deaths, 100, 10000 }, { "steps", steps, 10, INT_MAX }, { "calls", calls, 8, INT_MAX },
	{ "forks", forks, 100, 10000 },	  { "flights", flights, 1, 20 },   { "trees", trees, 20, 1000 },
};

/* How many there are of that name. */
static int run_parts(int quick, const char *only, int count)
{
	int ran = 0;

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (only && strcmp(only, parts[i].name) != 0)
			continue;
		parts[i].run(count > 0 ? count : quick ? parts[i].quick : parts[i].full);
		ran++;
	}
	return ran;
}

static int usage(void)
{
	fputs("usage: prusik-process [--quick] [deaths|steps|calls|forks|flights|trees [COUNT]]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	struct rlimit files;

	prusik_process_register("sleep_for_ever", sleep_for_ever);
	prusik_process_register("calls_work", calls_work);
	prusik_process_main();
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	argv += 1 + quick;
	int count = argv[0] && argv[1] ? atoi(argv[1]) : 0;
	if (argv[0] && argv[1] && (count < 1 || argv[2]))
		return usage();
	return run_parts(quick, argv[0], count) > 0 ? bad : usage();
}
