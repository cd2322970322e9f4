/* SPDX-License-Identifier: MIT */
/*
 * The gate that a child waits at: how it comes through, and what it does about a parent that has
 * ended. The parents here are processes that only live; the gate is opened by the test.
 */
#include "process_kit.h"

#include "base/sys.h"
#include "task/process.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define NUMBER 5
#define PASSED 7
#define SENT_AWAY 0 /* what the gate ends a child with */

struct scene {
	uint32_t *gate; /* closed */
	pid_t parent;
	int parent_pidfd;
};

static uint32_t word(uint32_t number, enum prk_gate state)
{
	return number * PRK_GATE_ONE | (uint32_t)state;
}

static struct scene set_scene(void)
{
	struct scene s = { .gate = test_shared(sizeof *s.gate), .parent = test_fork(sleep_for_ever, NULL) };

	s.parent_pidfd = prk_sys_pidfd_open(s.parent);
	ck_assert_int_ge(s.parent_pidfd, 0);
	prk_store32_rel(s.gate, word(NUMBER, PRK_GATE_CLOSED));
	return s;
}

static void end_parent(const struct scene *s)
{
	test_kill(s->parent);
}

static int pass(void *argument)
{
	const struct scene *s = argument;

	prk_gate_pass(s->gate, NUMBER, s->parent_pidfd);
	return PASSED;
}

/* How it goes by an open gate. */
static int pass_now(uint32_t at_gate)
{
	struct scene s = set_scene();

	prk_store32_rel(s.gate, at_gate);
	int code = test_join(test_fork(pass, &s));
	end_parent(&s);
	return code;
}

TEST(go_and_away)
{
	ck_assert_int_eq(pass_now(word(NUMBER, PRK_GATE_GO)), PASSED);
	ck_assert_int_eq(pass_now(word(NUMBER, PRK_GATE_AWAY)), SENT_AWAY);
}

TEST(a_start_that_is_over_was_its_own)
{
	ck_assert_int_eq(pass_now(word(NUMBER + 1, PRK_GATE_CLOSED)), PASSED);
	ck_assert_int_eq(pass_now(word(NUMBER + 1, PRK_GATE_AWAY)), PASSED);
}

static int opened_later(enum prk_gate state)
{
	struct scene s = set_scene();
	pid_t child = test_fork(pass, &s);

	usleep(30000); /* several looks at the parent, who lives */
	ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
	prk_gate_open(s.gate, state);
	int code = test_join(child);
	end_parent(&s);
	return code;
}

TEST(waits_until_it_is_opened)
{
	ck_assert_int_eq(opened_later(PRK_GATE_GO), PASSED);
	ck_assert_int_eq(opened_later(PRK_GATE_AWAY), SENT_AWAY);
}

TEST(a_parent_that_ended_before)
{
	struct scene s = set_scene();

	end_parent(&s);
	ck_assert_int_eq(test_join(test_fork(pass, &s)), SENT_AWAY);
}

TEST(a_parent_that_ends_while_it_waits)
{
	struct scene s = set_scene();
	pid_t child = test_fork(pass, &s);

	usleep(30000);
	end_parent(&s);
	ck_assert_int_eq(test_join(child), SENT_AWAY);
}

TEST(a_parent_that_opened_it_and_ended)
{
	struct scene s = set_scene();

	prk_gate_open(s.gate, PRK_GATE_GO);
	end_parent(&s);
	ck_assert_int_eq(test_join(test_fork(pass, &s)), PASSED);
}

/* ---- between the child's look at the gate and that at its parent ---- */

static int pass_traced(void *argument)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	return pass(argument);
}

static void await_stop(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, __WALL), child);
	ck_assert_msg(WIFSTOPPED(status), "it came to its end");
}

/* It has seen a closed gate, and is about to ask whether its parent lives. */
static void lead_to_its_look(pid_t child)
{
	struct __ptrace_syscall_info info = { .op = PTRACE_SYSCALL_INFO_NONE };

	await_stop(child);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD);
	while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_ppoll) {
		ck_assert_int_eq(ptrace(PTRACE_SYSCALL, child, 0, 0), 0);
		await_stop(child);
		ck_assert_int_gt(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info), 0);
	}
}

static int opened_after_its_look(enum prk_gate state)
{
	struct scene s = set_scene();
	pid_t child = test_fork(pass_traced, &s);

	lead_to_its_look(child);
	prk_gate_open(s.gate, state);
	end_parent(&s);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, child, 0, 0), 0);
	return test_join(child);
}

/* Its start has returned to a parent that then ended: so it runs. */
TEST(a_parent_that_opens_it_and_ends_meanwhile)
{
	ck_assert_int_eq(opened_after_its_look(PRK_GATE_GO), PASSED);
	ck_assert_int_eq(opened_after_its_look(PRK_GATE_AWAY), SENT_AWAY);
	ck_assert_int_eq(opened_after_its_look(PRK_GATE_CLOSED), SENT_AWAY);
}
