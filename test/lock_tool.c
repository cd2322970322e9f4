/* SPDX-License-Identifier: MIT */
/*
 * prusik lock NAME -- COMMAND, killed between any two instructions, and in every system
 * call, from when it has opened the lock to its end: commands never overlap, and the next one gets it.
 *
 * A command holds a flock while it runs, which the kernel drops when the last of its
 * processes ends; so who gets the prusik lock and finds the flock taken, overlaps.
 */
#include "test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static char tool[4096];

void test_begin(void)
{
	const char *build = getenv("BUILD");

	snprintf(tool, sizeof tool, "%s/prusik", build ? build : "build");
}

/* Not under the sanitizers: it is the tool's every step that is stepped, and theirs with it. */
#if defined(__x86_64__) && !TEST_THREAD_SANITIZER && !TEST_ADDRESS_SANITIZER

/* Not every instruction: that many moments, spread over all, each time others. */
#define MOMENTS 40
#define COMMAND "exec 9>>$PRUSIK_DIR/in; flock -n 9 || : >$PRUSIK_DIR/overlap; sleep 0.02"

static char path[4096];

static const char *in_domain(const char *file)
{
	snprintf(path, sizeof path, "%s/%s", getenv("PRUSIK_DIR"), file);
	return path;
}

static pid_t start(int traced, const char *option)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	if (traced)
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	execl(tool, "prusik", "lock", "l", option, "10", "--", "sh", "-c", COMMAND, (char *)NULL);
	_exit(99);
}

static int end_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Whether it still runs after this. */
static int go_on(pid_t pid, enum __ptrace_request how, int *status)
{
	ck_assert_int_eq(ptrace(how, pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(pid, status, 0), pid);
	return WIFSTOPPED(*status);
}

/* openat of the lock's file, as the kernel sees it. */
static int opens_the_lock(pid_t pid)
{
	struct user_regs_struct r;
	uint64_t words[2] = { 0 };

	ck_assert_int_eq(ptrace(PTRACE_GETREGS, pid, NULL, &r), 0);
	if (r.orig_rax != 257)
		return 0;
	words[0] = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, r.rsi, NULL);
	return memcmp(words, "l.arena", 8) == 0;
}

/* Run up to there, then n steps more. False: it ended by itself before. */
static int run_to(pid_t pid, enum __ptrace_request step, uint64_t n)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL), 0);
	do
		ck_assert(go_on(pid, PTRACE_SYSCALL, &status));
	while (!opens_the_lock(pid));
	for (; n > 0; n--)
		if (!go_on(pid, step, &status))
			return 0;
	return 1;
}

/* Kill one at that moment: the next one is alone. False: there is no such moment. */
static int kill_at(enum __ptrace_request step, uint64_t n)
{
	pid_t victim = start(1, "-w");
	int there = run_to(victim, step, n);

	if (there) {
		ck_assert_int_eq(kill(victim, SIGKILL), 0);
		ck_assert_int_eq(end_of(victim), -1);
	}
	pid_t other = start(0, "-w"), third = start(0, "-w");
	ck_assert_int_eq(end_of(other), 0);
	ck_assert_int_eq(end_of(third), 0);
	ck_assert_msg(access(in_domain("overlap"), F_OK) < 0, "overlap, killed after %llu %s", (unsigned long long)n,
		      step == PTRACE_SINGLESTEP ? "instructions" : "halves of system calls");
	return there;
}

/* How many instructions there are. */
static uint64_t count_all(void)
{
	pid_t pid = start(1, "-w");
	uint64_t n = 0;
	int status;

	ck_assert(run_to(pid, PTRACE_SINGLESTEP, 0));
	while (go_on(pid, PTRACE_SINGLESTEP, &status))
		n++;
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	return n;
}

static void prepare(void)
{
	cpu_set_t one;

	CPU_ZERO(&one); /* who steps and who is stepped take turns anyway */
	CPU_SET((unsigned int)sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	ck_assert_int_eq(end_of(start(0, "-w")), 0); /* the lock is there */
}

TEST_WITHIN(killed_at_any_instruction, 240)
{
	int killed = 0;

	prepare();
	uint64_t all = count_all(), stride = all / MOMENTS + 1;
	for (uint64_t n = (uint64_t)getpid() % stride; n < all; n += stride)
		killed += kill_at(PTRACE_SINGLESTEP, n);
	ck_assert_int_ge(killed, MOMENTS / 2);
}

/* Before and after each: what others can see changes there, and in a few stores besides. */
TEST_WITHIN(killed_at_every_system_call, 240)
{
	uint64_t n = 0;

	prepare();
	while (kill_at(PTRACE_SYSCALL, n))
		n++;
	ck_assert_uint_ge(n, 40);
}

/* The command has forgotten a child: the lock is free all the same. */
TEST(a_forgotten_child_does_not_keep_the_lock)
{
	char text[4200];

	snprintf(text, sizeof text,
		 "%s lock l -- sh -c 'sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >$PRUSIK_DIR/child'", tool);
	ck_assert_int_eq(system(text), 0);
	snprintf(text, sizeof text, "%s lock l -n -- true", tool);
	ck_assert_int_eq(system(text), 0);
	snprintf(text, sizeof text, "kill $(cat %s)", in_domain("child"));
	ck_assert_int_eq(system(text), 0);
}

#else

/* Stepping is written for x86-64. */
TEST(the_tool_is_there)
{
	ck_assert_int_eq(access(tool, X_OK), 0);
}

#endif
