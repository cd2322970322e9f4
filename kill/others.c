/* SPDX-License-Identifier: MIT */
#include "others.h"

#include "base/sentinel.h"
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <prusik/common.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct other {
	pid_t pid; /* 0: ended and reaped */
	int status;
	enum kill_stay stay;
};

static struct other others[KILL_OTHERS_MAX];
static int count;
static int my_number = -1; /* in an other: which */

int64_t kill_clock(void)
{
	return prusik_now();
}

void kill_rest(unsigned int round)
{
	if (round < 16)
		sched_yield();
	else
		nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}

bool kill_claim(bool ok, const char *what)
{
	if (!ok)
		printf("        not so: %s\n", what);
	return ok;
}

/* ---- who sleeps ---- */

/* The letter that /proc gives for a thread's state; 0: there is no such thread. */
static char state_of(pid_t pid, const char *tid)
{
	char path[64], line[512];

	snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", (int)pid, tid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	size_t n = fread(line, 1, sizeof line - 1, file);
	fclose(file);
	line[n] = 0;
	const char *end = strrchr(line, ')'); /* of the name, which may hold anything */
	return end && end[1] ? end[2] : 0;
}

bool kill_thread_sleeps(pid_t pid, pid_t tid)
{
	char number[16];

	snprintf(number, sizeof number, "%d", (int)tid);
	return state_of(pid, number) == 'S';
}

uint64_t kill_thread_naps(pid_t pid, pid_t tid)
{
	static const char wanted[] = "\nvoluntary_ctxt_switches:";
	char path[64], text[4096];

	snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	size_t n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = 0;
	const char *found = strstr(text, wanted);
	return found ? strtoull(found + strlen(wanted), NULL, 10) : 0;
}

bool kill_sleeps(pid_t pid, pid_t apart)
{
	char path[32];
	struct dirent *entry;
	bool all = true;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	if (!tasks)
		return false;
	while (all && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != apart)
			all = state_of(pid, entry->d_name) == 'S';
	closedir(tasks);
	return all;
}

/* ---- starting and ending ---- */

void kill_pin(bool here)
{
	static cpu_set_t anywhere, one;

	if (CPU_COUNT(&one) == 0) {
		sched_getaffinity(0, sizeof anywhere, &anywhere);
		CPU_SET(sched_getcpu(), &one);
	}
	sched_setaffinity(0, sizeof one, here ? &one : &anywhere);
}

/* A terminal sends them to all: the engine ends, and this one with it. */
static void block_interrupts(void)
{
	sigset_t interrupts;

	sigemptyset(&interrupts);
	sigaddset(&interrupts, SIGINT);
	sigaddset(&interrupts, SIGTERM);
	sigprocmask(SIG_BLOCK, &interrupts, NULL);
}

pid_t kill_fork(void)
{
	fflush(stdout);
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		block_interrupts();
		kill_pin(false);
		prk_sentinel_belt = PRUSIK_FOREVER;
	}
	return pid;
}

/* Leaving is silent, so that it wakes nobody; what is still held makes it loud. */
static _Noreturn void end_other(bool ok)
{
	prk_leave();
	fflush(stdout);
	_exit(ok ? 0 : 1);
}

int kill_start(kill_check_fn *function, enum kill_stay stay)
{
	int number = count;

	if (number == KILL_OTHERS_MAX) {
		fprintf(stderr, "too many processes in %s\n", kill_now_case->operation);
		exit(2);
	}
	prk_store32_rlx(&kill_run->hello[number], 0);
	pid_t pid = kill_fork();
	if (pid == 0) {
		my_number = number;
		end_other(function(kill_run->object[0]));
	}
	others[count++] = (struct other){ .pid = pid, .stay = stay };
	return number;
}

static bool reaped(struct other *o, int flags)
{
	if (o->pid && waitpid(o->pid, &o->status, flags) == o->pid)
		o->pid = 0;
	return o->pid == 0;
}

bool kill_lives(int other)
{
	return !reaped(&others[other], WNOHANG);
}

void kill_settle(int other)
{
	int64_t end = kill_clock() + KILL_LIMIT;

	for (unsigned int round = 0; kill_clock() < end; round++) {
		if (!kill_lives(other))
			return;
		if (prk_load32_acq(&kill_run->hello[other]) && kill_sleeps(others[other].pid, 0))
			return;
		kill_rest(round);
	}
}

#define SETTLING INT64_C(50000000)

void kill_settle_all(void)
{
	int64_t end = kill_clock() + SETTLING;
	unsigned int round = 0;

	for (int i = 0; i < count; i++)
		while (kill_lives(i) && !kill_sleeps(others[i].pid, 0) && kill_clock() < end)
			kill_rest(round++);
}

int kill_asleep(kill_check_fn *function, enum kill_stay stay)
{
	int other = kill_start(function, stay);

	kill_settle(other);
	return other;
}

void kill_now(int other)
{
	struct other *o = &others[other];

	if (o->pid)
		kill(o->pid, SIGKILL);
	reaped(o, 0);
	o->stay = KILL_STAYS; /* what it returned no longer matters */
}

/* So long a burial may take on a busy machine before it is not waited for. */
#define BURIAL INT64_C(50000000)

void kill_and_bury(int other)
{
	uint32_t before = prk_epoch();
	int64_t end = kill_clock() + BURIAL;

	kill_now(other);
	for (unsigned int round = 0; prk_epoch() == before && kill_clock() < end; round++)
		kill_rest(round);
}

int kill_others(void)
{
	return count;
}

void kill_others_from(int first)
{
	for (int i = first; i < count; i++)
		if (others[i].pid)
			kill(others[i].pid, SIGKILL);
	for (int i = first; i < count; i++)
		kill_now(i);
	count = first;
}

void kill_others_at_once(void)
{
	for (int i = 0; i < count; i++)
		if (others[i].pid)
			kill(others[i].pid, SIGKILL);
	for (int i = 0; i < count; i++)
		kill_now(i);
}

static enum kill_outcome verdict(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return KILL_FINE;
	if (WIFSIGNALED(status))
		printf("        a process ended by signal %d\n", WTERMSIG(status));
	else
		printf("        a process was not content\n");
	return KILL_BROKEN;
}

int64_t kill_patience = KILL_LIMIT;

static bool all_asleep(const struct other *o)
{
	bool all = kill_sleeps(o->pid, 0);

	for (int i = 0; all && i < count; i++)
		all = !kill_lives(i) || kill_sleeps(others[i].pid, 0);
	return all;
}

static enum kill_outcome await(struct other *o)
{
	int64_t begin = kill_clock(), now = begin;

	for (unsigned int round = 0; now < begin + KILL_LIMIT; round++, now = kill_clock()) {
		if (reaped(o, WNOHANG))
			return verdict(o->status);
		if (now > begin + kill_patience && all_asleep(o))
			return KILL_HUNG;
		kill_rest(round);
	}
	return KILL_HUNG;
}

enum kill_outcome kill_await_others(void)
{
	for (int i = 0; i < count; i++) {
		enum kill_outcome r = others[i].stay == KILL_FINISHES ? await(&others[i]) : KILL_FINE;
		if (r != KILL_FINE)
			return r;
	}
	return KILL_FINE;
}

enum kill_outcome kill_newcomer(kill_check_fn *function, void *object)
{
	struct other o = { .pid = kill_fork(), .stay = KILL_FINISHES };

	if (o.pid == 0)
		end_other(function(object));
	enum kill_outcome r = await(&o);
	if (o.pid) {
		kill(o.pid, SIGKILL);
		reaped(&o, 0);
	}
	return r;
}

/* ---- the domain ---- */

int kill_in_directory(const char *file)
{
	DIR *directory = opendir(getenv("PRUSIK_DIR"));
	struct dirent *entry;
	int found = 0;

	while (directory && found >= 0 && (entry = readdir(directory))) {
		if (strcmp(entry->d_name, file) == 0)
			found = 1;
		else if (entry->d_name[0] != '.' && strcmp(entry->d_name, "life") != 0)
			found = -1;
	}
	if (directory)
		closedir(directory);
	return found;
}

/* ---- what others do ---- */

void kill_hello(void)
{
	if (my_number >= 0)
		prk_store32_rel(&kill_run->hello[my_number], 1);
}

void kill_await_go(uint32_t times)
{
	uint32_t seen;

	kill_hello();
	while ((seen = prk_load32_acq(&kill_run->go)) < times)
		prk_sys_futex_wait(&kill_run->go, seen, PRUSIK_FOREVER);
}

void kill_go(void)
{
	prk_add32_acqrel(&kill_run->go, 1);
	prk_sys_futex_wake(&kill_run->go, INT_MAX);
}
