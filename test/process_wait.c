/* SPDX-License-Identifier: MIT */
/* Waiting for a descriptor and for a token at once. */
#include "process_kit.h"

#include "base/sys.h"

#include <prusik/cancel.h>
#include <prusik/thread.h>
#include <sys/resource.h>

static struct prusik_cancel token;

struct long_join {
	struct prusik_process *child;
	int result;
	long switches; /* how often it went to sleep */
};

static int join_long(void *argument)
{
	struct long_join *join = argument;
	struct rusage before, after;

	prusik_cancel_use(&token);
	getrusage(RUSAGE_THREAD, &before);
	join->result = prusik_process_join(join->child, PRUSIK_FOREVER, NULL);
	getrusage(RUSAGE_THREAD, &after);
	join->switches = after.ru_nvcsw - before.ru_nvcsw;
	return 0;
}

static void wait_long(struct prusik_process *child, void (*end)(struct prusik_process *child), int expected)
{
	struct long_join join = { .child = child };
	struct prusik_thread *thread;

	ck_assert_int_eq(prusik_thread_start(join_long, &join, NULL, &thread), 0);
	usleep(600000);
	end(child);
	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(60), NULL), 0);
	prusik_thread_free(thread);
	ck_assert_int_eq(join.result, expected);
	ck_assert_int_lt(join.switches, 30); /* asleep, not looking */
}

static void set_and_clear(struct prusik_process *child)
{
	(void)child;
	prusik_cancel_set(&token);
	prusik_cancel_clear(&token);
}

static void kill_it(struct prusik_process *child)
{
	prusik_process_kill(child);
}

TEST(a_long_wait_with_a_token_sleeps)
{
	struct prusik_process *child = start(sleep_for_ever, NULL);
	int files = open_files();

	prusik_cancel_clear(&token);
	wait_long(child, set_and_clear, -ECANCELED);
	wait_long(child, set_and_clear, -ECANCELED);
	ck_assert_int_eq(open_files(), files);
	wait_long(child, kill_it, 0);
	ck_assert_int_eq(open_files(), files);
	prusik_process_free(child);
}

/* It looks itself then. */
TEST(a_long_wait_without_memory_for_a_thread)
{
	struct prusik_process *child = start(sleep_for_ever, NULL);
	struct long_join join = { .child = child };
	struct prusik_thread *thread;

	prusik_cancel_clear(&token);
	ck_assert_int_eq(prusik_thread_start(join_long, &join, NULL, &thread), 0);
	prk_sys_fail(PRK_SYS_THREAD, 1, EAGAIN);
	usleep(50000);
	prusik_cancel_set(&token);
	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(60), NULL), 0);
	prk_sys_fail(PRK_SYS_THREAD, 0, 0);
	prusik_thread_free(thread);
	ck_assert_int_eq(join.result, -ECANCELED);
	prusik_process_kill(child);
	prusik_cancel_clear(&token);
	ck_assert_int_eq(finish(child), -SIGKILL);
}
