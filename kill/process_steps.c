/* SPDX-License-Identifier: MIT */
/*
 * Starts that are killed after a counted number of instructions: the starter while it starts, or its
 * child on the way from its first instruction to its end. (process_calls.c: by all methods.)
 */
#include "process_steps.h"

#include <limits.h>
#include <prusik/process.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* Shared by all who take part. */
static volatile struct steps {
	int returned; /* the start, with 0 */
	int ran, ended; /* the child's function */
	int joined, code;
} * steps;

static const struct way {
	const char *name;
	struct prusik_process_options options;
	int kills_child;
	int points_max;
} ways[] = {
	{ "starter, fork", { .method = PRUSIK_PROCESS_FORK }, 0, INT_MAX },
	{ "starter, fork, daemon", { .method = PRUSIK_PROCESS_FORK, .daemon = 1 }, 0, INT_MAX },
	/* A long way, on which each point costs an image of the program. */
	{ "starter, forkserver, daemon", { .method = PRUSIK_PROCESS_FORKSERVER, .daemon = 1 }, 0, 500 },
	{ "child, fork", { .method = PRUSIK_PROCESS_FORK }, 1, INT_MAX },
};

#define CODE 7

static int run_to_the_end(void *unused)
{
	(void)unused;
	steps->ran++;
	usleep(1000);
	steps->ended++;
	return CODE;
}

/* ---- the starter ---- */

__attribute__((noreturn)) static void be_starter(const struct way *way)
{
	struct prusik_process *child;
	int code = 1000;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	int r = prusik_process_start(way->options.daemon ? sleep_for_ever : run_to_the_end, NULL, &way->options,
				     &child);
	steps->returned = r == 0 ? 1 : r;
	if (r == 0)
		steps->joined = prusik_process_join(child, PRUSIK_FOREVER, &code) == 0;
	steps->code = code;
	_exit(0);
}

static pid_t start_starter(const struct way *way)
{
	int status;

	memset((void *)(uintptr_t)steps, 0, sizeof *steps);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		be_starter(way);
	waitpid(pid, &status, 0);
	return pid;
}

/* ---- stepping ---- */

/* How many instructions it did; it is dead then. */
static long step_and_kill(pid_t victim, long limit, volatile const int *until)
{
	int status = 0, signal = 0;
	long n;

	for (n = 0; n < limit && !*until; n++) {
		if (ptrace(PTRACE_SINGLESTEP, victim, 0, signal) < 0 || waitpid(victim, &status, __WALL) < 0 ||
		    !WIFSTOPPED(status))
			return n;
		signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
	}
	kill(victim, SIGKILL);
	waitpid(victim, &status, __WALL);
	return n;
}

/* The starter goes on, its child has stopped before its first instruction. */
static pid_t catch_child(pid_t starter)
{
	unsigned long child = 0;
	int status = 0;

	ptrace(PTRACE_SETOPTIONS, starter, 0, PTRACE_O_TRACEFORK);
	while (status >> 8 != (SIGTRAP | PTRACE_EVENT_FORK << 8)) {
		ptrace(PTRACE_CONT, starter, 0, 0);
		if (waitpid(starter, &status, __WALL) < 0 || !WIFSTOPPED(status))
			return -1;
	}
	ptrace(PTRACE_GETEVENTMSG, starter, 0, &child);
	waitpid((pid_t)child, &status, __WALL);
	ptrace(PTRACE_DETACH, starter, 0, 0);
	return (pid_t)child;
}

/* ---- points ---- */

/* All of the child runs, or nothing; a daemon has ended. */
static int starter_dies(const struct way *way, long after, long *ret_did)
{
	*ret_did = step_and_kill(start_starter(way), after, &steps->returned);
	if (reap_all())
		return 1;
	return steps->ran != steps->ended || (steps->returned == 1 && !way->options.daemon && !steps->ran);
}

static int child_dies(const struct way *way, long after, long *ret_did)
{
	static const int never;
	pid_t child = catch_child(start_starter(way));

	*ret_did = child < 0 ? 0 : step_and_kill(child, after, &never);
	if (child < 0 || reap_all())
		return 1;
	return steps->returned != 1 || !steps->joined ||
	       (steps->code != -SIGKILL && (steps->code != CODE || !steps->ended));
}

static int one_point(const struct way *way, long after, long *ret_did)
{
	return way->kills_child ? child_dies(way, after, ret_did) : starter_dies(way, after, ret_did);
}

/* Evenly over the whole way, whose length is found out first. */
static int go_way(const struct way *way, int points, int *count)
{
	long length = 0, did;
	int wrong = one_point(way, LONG_MAX, &length);
	int most = points < way->points_max ? points : way->points_max;
	long step = most < length ? length / most : 1;

	for (long at = 0; at <= length; at += step, ++*count) {
		int r = one_point(way, at, &did);
		if (r)
			kill_everybody();
		wrong += r;
	}
	printf("         %s: %ld instructions, wrong %d\n", way->name, length, wrong);
	fflush(stdout);
	return wrong;
}

/* Every step is two switches between two processes: they are cheap on one processor. */
static void pin(cpu_set_t *ret_before)
{
	cpu_set_t one;

	sched_getaffinity(0, sizeof *ret_before, ret_before);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
}

int process_steps(int points, int *ret_count)
{
	int wrong = 0, ways_count = (int)(sizeof ways / sizeof ways[0]);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cpu_set_t before;

	steps = page;
	*ret_count = 0;
	pin(&before);
	for (int i = 0; i < ways_count; i++)
		wrong += go_way(&ways[i], points, ret_count);
	sched_setaffinity(0, sizeof before, &before);
	munmap(page, 4096);
	return wrong;
}
