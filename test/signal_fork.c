/* SPDX-License-Identifier: MIT */
/* Functions for signals in children and in new programs: what they have, and what they have not. */
#include "signal_kit.h"

#include "base/sys.h"

#include <prusik/process.h>
#include <prusik/thread.h>
#include <sched.h>
#include <sys/syscall.h>

static uint32_t count;

/* For children: no assertions. */
static int reaches(const uint32_t *word, uint32_t at_least)
{
	int64_t deadline = prusik_in_s(10);

	while (prk_load32_acq(word) < at_least && prusik_now() < deadline)
		pause_ms(1);
	return prk_load32_acq(word) >= at_least;
}

static int raise_some(void *unused)
{
	uint32_t before = prk_load32_acq(&count);

	(void)unused;
	for (uint32_t i = 1; i <= 3; i++) {
		PARTY_CHECK(prusik_signal_raise(SIGUSR1) == 0);
		PARTY_CHECK(reaches(&count, before + i));
	}
	PARTY_CHECK(prusik_signal_get(SIGUSR1, NULL, NULL) == PRUSIK_SIGNAL_ON);
	PARTY_CHECK(prusik_signal_mask() == 0);
	return 0;
}

static int raise_in_grandchild(void *unused)
{
	pid_t child = fork();

	if (child == 0)
		_exit(raise_some(unused));
	int status = -1;
	waitpid(child, &status, 0);
	return status ? 1 : raise_some(unused);
}

TEST(children_have_the_functions)
{
	struct prusik_process *child;
	int code = -1;

	ck_assert_int_eq(prusik_signal_on(SIGUSR1, count_up, &count), 0);
	if (TEST_ADDRESS_SANITIZER)
		pause_ms(200); /* its own locks are not made for forks among busy threads */
	ck_assert_int_eq(test_join(test_fork(raise_some, NULL)), 0);
	ck_assert_int_eq(test_join(test_fork(raise_in_grandchild, NULL)), 0);
	ck_assert_int_eq(prusik_process_start(raise_some, NULL, NULL, &child), 0);
	ck_assert_int_eq(prusik_process_join(child, prusik_in_s(15), &code), 0);
	ck_assert_int_eq(code, 0);
	prusik_process_free(child);
	ck_assert_int_eq(raise_some(NULL), 0);
}

static int dispatch_in_child(void *unused)
{
	(void)unused;
	PARTY_CHECK(prusik_signal_dispatch(PRUSIK_NOW) == -ETIMEDOUT); /* the parent's is not ours */
	PARTY_CHECK(prusik_signal_raise(SIGUSR1) == 0);
	pause_ms(5);
	PARTY_CHECK(prk_load32_acq(&count) == 0);
	PARTY_CHECK(prusik_signal_dispatch(prusik_in_s(10)) == 1);
	PARTY_CHECK(prk_load32_acq(&count) == 1);
	return 0;
}

TEST(what_arrived_for_the_parent_is_the_parents)
{
	ck_assert_int_eq(prusik_signal_dispatch(PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_signal_on(SIGUSR1, count_up, &count), 0);
	for (uint32_t i = 0; i < 5000; i++)
		ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	ck_assert_int_eq(test_join(test_fork(dispatch_in_child, NULL)), 0);
	while (prusik_signal_dispatch(PRUSIK_NOW) > 0)
		;
	ck_assert_uint_eq(count, 5000);
}

/* The fork of a child from a function, in the library's thread. */
static int code_of_child;
static uint32_t child_ended;

static void fork_and_work(const struct prusik_signal_info *info, void *unused)
{
	(void)info;
	pid_t child = fork();
	if (child == 0)
		_exit(raise_some(unused));
	waitpid(child, &code_of_child, 0);
	prk_add32_acqrel(&child_ended, 1);
}

/* Its exit handlers have run; no leak checker is to look at what is left of the parent. */
static void quit(void)
{
	_exit(42);
}

static void fork_and_return(const struct prusik_signal_info *info, void *unused)
{
	(void)info;
	(void)unused;
	pid_t child = fork();
	if (child == 0) {
		atexit(quit);
		return;
	}
	waitpid(child, &code_of_child, 0);
	prk_add32_acqrel(&child_ended, 1);
}

TEST(a_function_may_fork)
{
	ck_assert_int_eq(prusik_signal_on(SIGUSR1, count_up, &count), 0);
	ck_assert_int_eq(prusik_signal_on(SIGUSR2, fork_and_work, NULL), 0);
	for (uint32_t i = 1; i <= 10; i++) {
		ck_assert_int_eq(prusik_signal_raise(SIGUSR2), 0);
		ck_assert(reaches(&child_ended, i));
		ck_assert_int_eq(code_of_child, 0);
	}
	ck_assert_int_eq(prusik_signal_on(SIGUSR2, fork_and_return, NULL), 0);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR2), 0);
	ck_assert(reaches(&child_ended, 11));
	ck_assert_int_eq(WEXITSTATUS(code_of_child), 42);
	ck_assert_int_eq(raise_some(NULL), 0);
}

/* Children of a program whose threads send signals, set functions and fork all the time. */
static uint32_t busy_over;

static int be_busy(void *unused)
{
	(void)unused;
	while (!prk_load32_acq(&busy_over)) {
		prusik_signal_raise(SIGRTMIN);
		if (prusik_signal_on(SIGUSR2, count_up, &count) < 0)
			return 1;
		usleep(100);
	}
	return 0;
}

TEST_WITHIN(forks_of_a_busy_program, 60)
{
	struct prusik_thread *threads[4];
	static uint32_t other;

	if (!SIGNALS_ARE_REAL)
		return;
	ck_assert_int_eq(prusik_signal_on(SIGUSR1, count_up, &count), 0);
	ck_assert_int_eq(prusik_signal_on(SIGRTMIN, count_up, &other), 0);
	ck_assert_int_eq(prusik_signal_on(SIGUSR2, count_up, &other), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(prusik_thread_start(be_busy, NULL, NULL, &threads[i]), 0);
	for (int i = 0; i < 4; i++) /* a beginning thread holds a lock of AddressSanitizer's */
		ck_assert_int_gt(prusik_thread_native_id(threads[i]), 0);
	for (int i = 0; i < 200; i++) {
		pid_t child = test_fork(raise_some, NULL);
		prusik_signal_kill(child, SIGRTMIN); /* at its very start */
		prusik_signal_kill(child, SIGUSR2);
		ck_assert_int_eq(test_join(child), 0);
	}
	prk_store32_rel(&busy_over, 1);
	for (int i = 0; i < 4; i++) {
		int result = -1;
		ck_assert_int_eq(prusik_thread_join(threads[i], prusik_in_s(15), &result), 0);
		ck_assert_int_eq(result, 0);
		prusik_thread_free(threads[i]);
	}
}

/* ---- children by other ways ---- */

static int raise_on_borrowed_memory(void *unused)
{
	(void)unused;
	syscall(SYS_kill, syscall(SYS_getpid), SIGTERM);
	syscall(SYS_exit, 1);
	return 1;
}

/* As vfork makes them. */
TEST(a_child_that_shares_memory_has_defaults)
{
	static _Alignas(64) char stack[65536];

	if (!SIGNALS_ARE_REAL)
		return;
	ck_assert_int_eq(prusik_signal_on(SIGTERM, count_up, &count), 0);
	for (int i = 0; i < 20; i++) {
		int status;
		pid_t child =
			clone(raise_on_borrowed_memory, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	}
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(prusik_signal_raise(SIGTERM), 0); /* the parent still has it */
	ck_assert(reaches(&count, 1));
}

TEST(a_bare_clone_has_defaults)
{
	int status;

	if (!SIGNALS_ARE_REAL)
		return;
	ck_assert_int_eq(prusik_signal_on(SIGTERM, count_up, &count), 0);
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0) {
		syscall(SYS_kill, syscall(SYS_getpid), SIGTERM);
		syscall(SYS_exit, 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	ck_assert_uint_eq(count, 0);
}

/* ---- new programs ---- */

/* What a new program blocks and ignores. */
#define LOOK                                                                                                           \
	"while read -r name value; do case $name in SigBlk:|SigIgn:|SigCgt:) echo $value;; esac; "                     \
	"done </proc/self/status"

struct masks {
	uint64_t blocked, ignored, caught;
	uint32_t read;
};

static void read_masks(FILE *stream, struct masks *masks)
{
	unsigned long long blocked = 1, ignored = 1, caught = 1;

	if (stream && fscanf(stream, "%llx %llx %llx", &blocked, &ignored, &caught) == 3)
		masks->blocked = blocked, masks->ignored = ignored, masks->caught = caught;
	prk_store32_rel(&masks->read, 1);
}

static void open_pipe(struct masks *masks)
{
	FILE *stream = popen("exec sh -c '" LOOK "'", "r");

	read_masks(stream, masks);
	if (stream)
		pclose(stream);
}

static void fork_and_exec(struct masks *masks)
{
	int ends[2];

	if (pipe(ends) < 0)
		return;
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], 1);
		close(ends[0]);
		close(ends[1]);
		execl("/bin/sh", "sh", "-c", LOOK, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	FILE *stream = fdopen(ends[0], "r");
	waitpid(child, NULL, 0);
	read_masks(stream, masks);
	if (stream)
		fclose(stream);
}

static void open_pipe_in_function(const struct prusik_signal_info *info, void *context)
{
	(void)info;
	open_pipe(context);
}

static void fork_and_exec_in_function(const struct prusik_signal_info *info, void *context)
{
	(void)info;
	fork_and_exec(context);
}

static void check_masks(struct masks *masks, uint64_t may_block)
{
	ck_assert(reaches(&masks->read, 1));
	ck_assert_msg((masks->blocked & ~may_block) == 0, "%llx", (unsigned long long)masks->blocked);
	ck_assert_uint_eq(masks->ignored & PRUSIK_SIGNAL_BIT(SIGPIPE), 0);
	ck_assert_uint_eq(masks->caught & (PRUSIK_SIGNAL_BIT(SIGUSR1) | PRUSIK_SIGNAL_BIT(SIGPIPE)), 0);
	memset(masks, 0, sizeof *masks);
}

TEST(new_programs_have_defaults)
{
	static struct masks masks;
	uint64_t realtime = ~UINT64_C(0) << (SIGRTMIN - 1);

	ck_assert_int_eq(prusik_signal_on(SIGPIPE, count_up, &count), 0);
	ck_assert_int_eq(prusik_signal_on(SIGUSR1, open_pipe_in_function, &masks), 0);
	open_pipe(&masks);
	check_masks(&masks, 0);
	fork_and_exec(&masks);
	check_masks(&masks, 0);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	check_masks(&masks, realtime);
	ck_assert_int_eq(prusik_signal_on(SIGUSR1, fork_and_exec_in_function, &masks), 0);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	check_masks(&masks, 0);
}
