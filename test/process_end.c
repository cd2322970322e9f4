/* SPDX-License-Identifier: MIT */
/* Who ends when somebody ends: daemons, trees, programs. */
#include "process_kit.h"

#include "base/atomic.h"

#include <prusik/cancel.h>
#include <prusik/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* ---- dying with the parent ---- */

struct family {
	uint32_t grandchild; /* its number, once it runs */
};

static int be_grandchild(void *argument)
{
	struct family *family = argument;

	prk_store32_rel(&family->grandchild, (uint32_t)getpid());
	return sleep_for_ever(NULL);
}

static const struct prusik_process_options with_parent = { .daemon = 1 };

static int be_middle(void *family)
{
	struct prusik_process *grandchild;

	if (prusik_process_start(be_grandchild, family, &with_parent, &grandchild) < 0)
		return 1;
	return sleep_for_ever(NULL);
}

static void *start_in_thread(void *family)
{
	struct prusik_process *grandchild;

	if (prusik_process_start(be_grandchild, family, &with_parent, &grandchild) < 0)
		exit(1);
	return NULL; /* the thread ends, its process does not */
}

static int be_threaded_middle(void *family)
{
	pthread_t thread;

	pthread_create(&thread, NULL, start_in_thread, family);
	pthread_join(thread, NULL);
	return sleep_for_ever(NULL);
}

static int wait_for_grandchild(struct family *family)
{
	uint32_t pid;

	while ((pid = prk_load32_acq(&family->grandchild)) == 0)
		usleep(1000);
	return (int)pid;
}

static void assert_gone_soon(int pid)
{
	int64_t deadline = prusik_in_s(10);

	/* Become its parent, so that it does not linger as somebody else's zombie. */
	while (waitpid(pid, NULL, WNOHANG) != pid && kill(pid, 0) == 0) {
		ck_assert_int_lt(prusik_now(), deadline);
		usleep(1000);
	}
}

/* All that is left are grandchildren, and now ours: they end, and are reaped. */
static void assert_all_gone(void)
{
	int64_t deadline = prusik_in_s(15);

	while (waitpid(-1, NULL, WNOHANG) >= 0) {
		ck_assert_int_lt(prusik_now(), deadline);
		usleep(200);
	}
}

static void kill_the_middle(int (*middle)(void *))
{
	struct family *family = test_shared(sizeof *family);

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	struct prusik_process *process = start(middle, family);
	int grandchild = wait_for_grandchild(family);
	usleep(20000);
	ck_assert_int_eq(kill(grandchild, 0), 0); /* also when the thread that forked it has ended */
	prusik_process_kill(process);
	ck_assert_int_eq(finish(process), -SIGKILL);
	assert_gone_soon(grandchild);
}

TEST(dies_with_parent)
{
	kill_the_middle(be_middle);
}

TEST(dies_with_parent_but_not_with_the_thread)
{
	kill_the_middle(be_threaded_middle);
}

static void *idle(void *unused)
{
	sleep_for_ever(unused);
	return NULL;
}

/* With threads: the kernel takes the child from its parent before the last of them has ended. */
static int start_and_end(void *family)
{
	struct prusik_process *grandchild;
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, idle, NULL) == 0)
			pthread_detach(thread);
	return prusik_process_start(be_grandchild, family, &with_parent, &grandchild) < 0;
}

/* The parent ends while the child is on its way: it never outlives it, at whatever moment. */
TEST(dies_with_parent_from_the_first_line_on)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < 100; i++) {
		struct family *family = test_shared(sizeof *family);
		ck_assert_int_eq(finish(start(start_and_end, family)), 0);
		assert_all_gone();
	}
}

static int start_some(void *unused)
{
	(void)unused;
	for (;;) {
		struct prusik_process *one;
		if (prusik_process_start(sleep_for_ever, NULL, &with_parent, &one) < 0)
			return 1;
		prusik_process_kill(one);
		prusik_process_free(one);
	}
}

/* kill -9 of one that is starting children all the time, at random moments. */
TEST(a_killed_starter_leaves_nobody)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < 60; i++) {
		struct prusik_process *starter = start(start_some, NULL);
		usleep((useconds_t)(500 + i * 97));
		prusik_process_kill(starter);
		ck_assert_int_eq(finish(starter), -SIGKILL);
		assert_all_gone();
	}
}

TEST(outlives_its_parent_unless_asked)
{
	struct family *family = test_shared(sizeof *family);
	struct prusik_process_options options = { 0 };
	struct prusik_process *child = start_with(be_grandchild, family, &options);
	int pid = wait_for_grandchild(family);

	ck_assert_int_eq(prusik_process_is_alive(child), 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(finish(child), -SIGKILL);
}

/* ---- daemons of all kinds ---- */

static int stop_itself(void *argument)
{
	struct family *family = argument;

	prk_store32_rel(&family->grandchild, (uint32_t)getpid());
	raise(SIGSTOP);
	return 0;
}

static int start_stopping(void *family)
{
	struct prusik_process *child;

	return prusik_process_start(stop_itself, family, &with_parent, &child) < 0 ? 1 : sleep_for_ever(NULL);
}

TEST(a_stopped_daemon_ends_too)
{
	kill_the_middle(start_stopping);
}

static int run_a_program(void *argument)
{
	static const char *const argv[] = { "sh", "-c", "sleep 1000 & echo $! >&3; exec sleep 1000", NULL };
	struct family *family = argument;
	int ends[2], fd = 3;
	char line[16];
	struct prusik_run_options options = { .daemon = 1, .descriptors = &fd, .descriptor_count = 1 };
	struct prusik_process *program;

	if (pipe(ends) < 0 || dup2(ends[1], 3) < 0 || prusik_process_run(argv, &options, &program) < 0)
		return 1;
	ssize_t n = read(ends[0] == 3 ? 4 : ends[0], line, sizeof line - 1);
	line[n > 0 ? n : 0] = 0;
	prk_store32_rel(&family->grandchild, (uint32_t)atoi(line));
	return sleep_for_ever(NULL);
}

/* The grandchild is a child of the program, which became another one. */
TEST(a_program_that_is_a_daemon)
{
	int low = dup(0); /* keeps 3 free for the pipe's copy */

	ck_assert_int_ge(low, 0);
	close(low);
	kill_the_middle(run_a_program);
}

static int count_guards(void)
{
	char path[80];

	snprintf(path, sizeof path, "pgrep -P %d -x prusik-guard | grep -c .", getpid());
	FILE *file = popen(path, "r");
	int n = -1, fields = fscanf(file, "%d", &n);
	pclose(file);
	return fields == 1 ? n : -1;
}

/* It gives itself its name when it runs. */
static void await_one_guard(void)
{
	int64_t deadline = prusik_in_s(15);

	while (count_guards() != 1) {
		ck_assert_int_lt(prusik_now(), deadline);
		usleep(1000);
	}
}

TEST(the_guard_is_not_seen_and_ends_with_us)
{
	struct prusik_process *daemon = start_with(sleep_for_ever, NULL, &with_parent);

	ck_assert_int_eq(prusik_process_is_daemon(daemon), 1);
	await_one_guard();
	ck_assert_int_eq(prusik_process_active_children(NULL, 0), 1);
	prusik_process_kill(daemon);
	ck_assert_int_eq(finish(daemon), -SIGKILL);
	assert_childless();
}

static int start_twice(void *argument)
{
	struct family *families = argument;
	struct prusik_process *child;
	char command[200];

	if (prusik_process_start(be_grandchild, &families[0], &with_parent, &child) < 0)
		return 1;
	snprintf(command, sizeof command,
		 "until pkill -KILL -P %d -x prusik-guard; do sleep 0.01; done; "
		 "while pgrep -r R,S,D -P %d -x prusik-guard >/dev/null; do sleep 0.01; done",
		 getpid(), getpid());
	if (system(command) != 0)
		return 2;
	if (prusik_process_start(be_grandchild, &families[1], &with_parent, &child) < 0)
		return 3;
	return sleep_for_ever(NULL);
}

TEST(a_guard_that_was_killed_is_replaced)
{
	struct family *families = test_shared(2 * sizeof *families);

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	struct prusik_process *parent = start(start_twice, families);
	wait_for_grandchild(&families[1]);
	prusik_process_kill(parent);
	ck_assert_int_eq(finish(parent), -SIGKILL);
	assert_gone_soon((int)families[0].grandchild);
	assert_gone_soon((int)families[1].grandchild);
}

/* ---- the end of a program ---- */

struct ending {
	uint32_t done;
	uint32_t pid;
};

static int work(void *argument)
{
	struct ending *ending = argument;

	usleep(50000);
	prk_add32_rlx(&ending->done, 1);
	return 0;
}

static int main_with_children(void *argument)
{
	static struct prusik_process *children[6]; /* in the leak checker's sight to the end */
	struct ending *ending = argument;
	struct prusik_process_options daemon = { .daemon = 1 };

	for (int i = 0; i < 5; i++) {
		if (prusik_process_start(work, ending, NULL, &children[i]) < 0)
			return 1;
		if (i % 2)
			prusik_process_free(children[i]); /* waited for all the same */
	}
	if (prusik_process_start(sleep_for_ever, NULL, &daemon, &children[5]) < 0)
		return 1;
	prk_store32_rel(&ending->pid, (uint32_t)prusik_process_pid(children[5]));
	return 6;
}

static void assert_orderly_end(struct prusik_process *program, struct ending *ending, int code)
{
	ck_assert_int_eq(finish(program), code);
	ck_assert_uint_eq(prk_load32_acq(&ending->done), 5);
	ck_assert_int_eq(kill((pid_t)ending->pid, 0), -1); /* daemons are killed, and not left as zombies */
}

TEST(children_are_joined_at_the_end)
{
	struct ending *ending = test_shared(sizeof *ending);

	assert_orderly_end(start(main_with_children, ending), ending, 6);
}

static int exits(void *ending)
{
	exit(main_with_children(ending) + 1);
}

static int prusik_exits(void *ending)
{
	static struct prusik_cancel stop;

	prusik_cancel_set(&stop);
	prusik_cancel_use(&stop); /* is not heeded at the end */
	prusik_exit(main_with_children(ending) + 2);
}

TEST(children_are_joined_at_exit)
{
	struct ending *ending = test_shared(2 * sizeof *ending);

	assert_orderly_end(start(exits, &ending[0]), &ending[0], 7);
	assert_orderly_end(start(prusik_exits, &ending[1]), &ending[1], 8);
}

/* A program that has nothing to do with us but the library. */
TEST(children_are_joined_at_the_end_of_a_forked_program)
{
	struct ending *ending = test_shared(sizeof *ending);
	pid_t pid = fork();

	if (pid == 0)
		exit(main_with_children(ending));
	ck_assert_int_eq(test_join(pid), 6);
	ck_assert_uint_eq(prk_load32_acq(&ending->done), 5);
}

static int *marks;

static void mark(void)
{
	++*marks;
}

static int exit_with_5(void *unused)
{
	(void)unused;
	exit(5);
}

/* One that starts a child of its own does more at its end. */
static int start_one_more(void *code)
{
	struct prusik_process *child;
	int got = 0;

	if (prusik_process_start(return_it, code, NULL, &child) < 0 ||
	    prusik_process_join(child, prusik_in_s(15), &got) < 0)
		return 1;
	prusik_process_free(child);
	return got;
}

/* What a parent has given to atexit is for its own end. */
TEST(a_parents_exit_handlers_are_not_its_childrens)
{
	int code = 5;

	marks = test_shared(sizeof *marks);
	ck_assert_int_eq(atexit(mark), 0);
	ck_assert_int_eq(finish(start(return_it, &code)), 5);
	ck_assert_int_eq(finish(start(exit_with_5, NULL)), 5);
	ck_assert_int_eq(finish(start(start_one_more, &code)), 5);
	ck_assert_int_eq(*marks, 0);
}

TEST(terminate_then_exitcode)
{
	int code = 1000;

	signal(SIGTERM, SIG_DFL);
	struct prusik_process *child = start(sleep_for_ever, NULL);
	ck_assert_int_eq(prusik_process_exitcode(child, &code), -ETIMEDOUT);
	ck_assert_int_eq(prusik_process_terminate(child), 0);
	while (prusik_process_is_alive(child))
		usleep(1000);
	ck_assert_int_eq(prusik_process_exitcode(child, &code), 0);
	ck_assert_int_eq(code, -15);
	prusik_process_free(child);
}

static int join_with_token(void *argument)
{
	struct prusik_process *child = argument;

	return -prusik_process_join(child, PRUSIK_FOREVER, NULL);
}

static struct prusik_cancel token;

static int heed_and_join(void *child)
{
	prusik_cancel_use(&token);
	return join_with_token(child);
}

TEST(join_heeds_a_token)
{
	struct prusik_process *child = start(sleep_for_ever, NULL);
	struct prusik_thread *thread;
	int result = 0;

	ck_assert_int_eq(prusik_thread_start(heed_and_join, child, NULL, &thread), 0);
	usleep(20000);
	prusik_cancel_set(&token);
	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(10), &result), 0);
	ck_assert_int_eq(result, ECANCELED);
	prusik_thread_free(thread);
	prusik_process_kill(child);
	prusik_cancel_use(&token);
	while (prusik_process_is_alive(child))
		usleep(1000);
	ck_assert_int_eq(finish(child), -SIGKILL); /* needs no wait */
	prusik_cancel_use(NULL);
}

/* ---- many ---- */

TEST_WITHIN(a_thousand_at_once, 60)
{
	static struct prusik_process *children[1000];
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 0; i < 1000; i++) {
		int ms = i % 7;
		children[i] = start(return_it, &ms);
	}
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(finish(children[i]), i % 7);
	ck_assert_int_eq(prusik_process_active_children(NULL, 0), 0);
	assert_childless();
}

TEST_WITHIN(a_thousand_forgotten, 60)
{
	int code = 0;

	for (int i = 0; i < 1000; i++)
		prusik_process_free(start(return_it, &code));
	while (prusik_process_active_children(NULL, 0) > 0)
		usleep(1000);
	assert_childless();
}

TEST(active_children)
{
	struct prusik_process *children[3], *active[8];

	for (int i = 0; i < 3; i++)
		children[i] = start(sleep_for_ever, NULL);
	ck_assert_int_eq(prusik_process_active_children(active, 2), 3);
	prusik_process_free(active[0]);
	prusik_process_free(active[1]);
	prusik_process_kill(children[1]);
	ck_assert_int_eq(finish(children[1]), -SIGKILL);
	ck_assert_int_eq(prusik_process_active_children(active, 8), 2);
	for (int i = 0; i < 2; i++) {
		prusik_process_kill(active[i]);
		ck_assert_int_eq(finish(active[i]), -SIGKILL);
	}
	ck_assert_int_eq(finish(children[0]), -SIGKILL);
	ck_assert_int_eq(finish(children[2]), -SIGKILL);
	ck_assert_int_eq(prusik_process_active_children(NULL, 1), -EINVAL);
	assert_childless();
}
