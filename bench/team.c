/* SPDX-License-Identifier: MIT */
#include "team.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t team_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void *team_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void team_memory_free(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

/* 1 when the caller was the last to come and opened the gate. */
static int arrive(struct team_gate *gate, uint32_t size)
{
	if (atomic_fetch_add(&gate->arrived, 1) + 1 < size)
		return 0;
	gate->opened_at = team_now();
	atomic_store(&gate->open, 1);
	return 1;
}

void team_meet(struct team_gate *gate, uint32_t size)
{
	if (arrive(gate, size))
		return;
	while (!atomic_load(&gate->open))
		sched_yield();
}

void team_part(struct team_gate *gate, uint32_t size)
{
	const struct timespec look_again = { .tv_nsec = 1000000 };

	if (arrive(gate, size))
		return;
	while (!atomic_load(&gate->open))
		nanosleep(&look_again, NULL);
}

/* The processors the program had when it began: a pinned thread would see one. */
static const cpu_set_t *processors(void)
{
	static cpu_set_t set;

	if (CPU_COUNT(&set) == 0 && sched_getaffinity(0, sizeof(set), &set) < 0)
		CPU_SET(0, &set);
	return &set;
}

uint32_t team_processors(void)
{
	return (uint32_t)CPU_COUNT(processors());
}

void team_pin(uint32_t index)
{
	const cpu_set_t *all = processors();
	uint32_t skip = index % team_processors();
	cpu_set_t one;
	size_t cpu;

	for (cpu = 0; !CPU_ISSET(cpu, all) || skip > 0; cpu++)
		skip -= CPU_ISSET(cpu, all) ? 1 : 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* 1 while it runs, 0 when it ended well, -ECHILD when not. */
static int look_at(int pid)
{
	int status;
	int reaped = waitpid(pid, &status, WNOHANG);

	if (reaped == 0)
		return 1;
	if (reaped < 0)
		return -ECHILD;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "prusik-bench: a child was killed by signal %d\n", WTERMSIG(status));
	return -ECHILD;
}

/* Reap those that have ended; -1 takes their place. How many still run, or -ECHILD. */
static int reap_ended(int *pids, struct pollfd *ends, uint32_t count)
{
	int running = 0, failed = 0;

	for (uint32_t i = 0; i < count; i++) {
		int state = pids[i] < 0 ? 0 : look_at(pids[i]);

		if (state == 1) {
			running++;
			continue;
		}
		failed |= state < 0;
		pids[i] = -1;
		if (ends[i].fd >= 0)
			close(ends[i].fd);
		ends[i].fd = -1;
	}
	return failed ? -ECHILD : running;
}

static void kill_rest(const int *pids, struct pollfd *ends, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (pids[i] < 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		if (ends[i].fd >= 0)
			close(ends[i].fd);
	}
}

int team_wait(const int *children, uint32_t count, int64_t limit_ns)
{
	struct pollfd ends[TEAM_MAX];
	int pids[TEAM_MAX];
	int64_t deadline = team_now() + limit_ns;
	int result;

	for (uint32_t i = 0; i < count; i++) {
		pids[i] = children[i];
		ends[i] = (struct pollfd){ .fd = pidfd_open(pids[i], 0), .events = POLLIN };
	}
	while ((result = reap_ended(pids, ends, count)) > 0) {
		int64_t left_ms = (deadline - team_now()) / 1000000;

		if (left_ms <= 0) {
			result = -ETIMEDOUT;
			break;
		}
		poll(ends, count, (int)left_ms);
	}
	kill_rest(pids, ends, count);
	return result;
}

/* What a child does; it ends with its parent, and takes no longer than the team may. */
static _Noreturn void be_member(int parent, int (*member)(void *, uint32_t), void *arg, uint32_t index)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	_exit(member(arg, index) == 0 ? 0 : 1);
}

int team_run(uint32_t size, int (*member)(void *, uint32_t), void (*parent)(void *), void *arg)
{
	int pids[TEAM_MAX];
	int self = getpid();
	uint32_t started = 0;

	processors();
	fflush(NULL);
	for (; started < size; started++) {
		pids[started] = fork();
		if (pids[started] == 0)
			be_member(self, member, arg, started);
		if (pids[started] < 0)
			break;
	}
	if (started < size) {
		team_wait(pids, started, 0);
		return -EAGAIN;
	}
	if (parent)
		parent(arg);
	return team_wait(pids, size, TEAM_LIMIT_NS);
}
