/* SPDX-License-Identifier: MIT */
/* How a program with threads ends. */
#include "test.h"

#include "base/atomic.h"

#include <prusik/cancel.h>
#include <prusik/thread.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* What the programs tell of themselves. */
static struct {
	uint32_t done;
	uint32_t handlers;
} * book;

static const struct prusik_thread_options daemon_options = { .daemon = 1 };

static void exit_handler(void)
{
	prk_add32_rlx(&book->handlers, 1);
}

/* The code of a program that is main(), and how many of its threads came to their ends. */
static int run(int (*program)(void *), uint32_t expected_done)
{
	book = test_shared(sizeof *book);
	int code = test_join(test_fork(program, NULL));

	ck_assert_uint_eq(prk_load32_acq(&book->done), expected_done);
	ck_assert_uint_le(prk_load32_acq(&book->handlers), 1);
	return code;
}

static int work(void *unused)
{
	(void)unused;
	usleep(30000);
	prk_add32_rlx(&book->done, 1);
	return 0;
}

static int sleep_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return 0;
}

static void go(int (*function)(void *), const struct prusik_thread_options *options)
{
	if (prusik_thread_start(function, NULL, options, NULL) < 0)
		_exit(99);
}

/* ---- who is waited for ---- */

static int main_with_workers(void *unused)
{
	(void)unused;
	atexit(exit_handler);
	for (int i = 0; i < 5; i++)
		go(work, NULL);
	prusik_exit(3);
}

TEST(exit_waits_for_threads)
{
	ck_assert_int_eq(run(main_with_workers, 5), 3);
	ck_assert_uint_eq(book->handlers, 1);
}

static int main_without_threads(void *unused)
{
	(void)unused;
	prusik_exit(300);
}

TEST(exit_of_a_program_without_threads)
{
	ck_assert_int_eq(run(main_without_threads, 0), 300 & 0xff);
}

static int main_with_daemons(void *unused)
{
	(void)unused;
	go(sleep_for_ever, &daemon_options);
	go(work, NULL);
	go(sleep_for_ever, &daemon_options);
	prusik_exit(4);
}

TEST(exit_does_not_wait_for_daemons)
{
	ck_assert_int_eq(run(main_with_daemons, 1), 4);
}

static int start_another(void *unused)
{
	usleep(20000);
	go(work, NULL);
	return work(unused);
}

static int main_with_successors(void *unused)
{
	(void)unused;
	go(start_another, NULL);
	prusik_exit(5);
}

TEST(exit_waits_for_threads_started_meanwhile)
{
	ck_assert_int_eq(run(main_with_successors, 2), 5);
}

static int main_heeding_a_token(void *unused)
{
	static struct prusik_cancel stop;

	(void)unused;
	prusik_cancel_set(&stop);
	prusik_cancel_use(&stop);
	go(work, NULL);
	prusik_exit(6);
}

TEST(exit_heeds_no_token)
{
	ck_assert_int_eq(run(main_heeding_a_token, 1), 6);
}

/* ---- who calls it ---- */

static int exit_with_7(void *unused)
{
	(void)unused;
	prusik_exit(7);
}

static int main_ended_by(const struct prusik_thread_options *options)
{
	go(work, NULL);
	go(exit_with_7, options);
	return sleep_for_ever(NULL);
}

static int main_ended_by_daemon(void *unused)
{
	(void)unused;
	return main_ended_by(&daemon_options);
}

static int main_ended_by_thread(void *unused)
{
	(void)unused;
	return main_ended_by(NULL);
}

TEST(exit_from_a_daemon)
{
	ck_assert_int_eq(run(main_ended_by_daemon, 1), 7);
}

TEST(exit_from_a_thread)
{
	ck_assert_int_eq(run(main_ended_by_thread, 1), 7);
}

static uint32_t all_started;

static int exit_with_all(void *unused)
{
	while (!prk_load32_acq(&all_started))
		prusik_thread_yield();
	return exit_with_7(unused);
}

/* At the same time, and nobody while main starts one still: that would be cut short. */
static int main_with_many_exits(void *unused)
{
	(void)unused;
	atexit(exit_handler);
	go(work, NULL);
	for (int i = 0; i < 8; i++)
		go(exit_with_all, i % 2 ? &daemon_options : NULL);
	prk_store32_rel(&all_started, 1);
	prusik_exit(7);
}

/* They wait for each other, and so that must not be for ever. */
TEST(exit_from_everywhere)
{
	for (int i = 0; i < 30; i++) {
		ck_assert_int_eq(run(main_with_many_exits, 1), 7);
		ck_assert_uint_eq(book->handlers, 1);
	}
}

static int main_ends_its_thread(void *unused)
{
	(void)unused;
	go(work, NULL);
	prusik_thread_exit(8);
}

TEST(thread_exit_in_main_ends_the_program)
{
	ck_assert_int_eq(run(main_ends_its_thread, 1), 8);
}

static void exit_again(void)
{
	prk_add32_rlx(&book->done, 1);
	prusik_exit(9);
}

static int main_exits_in_handler(void *unused)
{
	(void)unused;
	atexit(exit_again);
	prusik_exit(1);
}

TEST(exit_from_an_exit_handler)
{
	ck_assert_int_eq(run(main_exits_in_handler, 1), 9);
}

static int join_main(void *first)
{
	int r = prusik_thread_join(first, prusik_in_s(10), NULL);

	prusik_thread_free(first);
	if (r == 0)
		prk_add32_rlx(&book->done, 1);
	prusik_exit(10);
}

static int main_leaves_by_pthread_exit(void *unused)
{
	struct prusik_thread *me = prusik_thread_current();

	(void)unused;
	if (prusik_thread_start(join_main, me, NULL, NULL) < 0)
		_exit(99);
	test_ignore_leaks();
	pthread_exit(NULL);
}

TEST(main_can_be_joined)
{
	ck_assert_int_eq(run(main_leaves_by_pthread_exit, 1), 10);
}

static int child_of_exiting(void *unused)
{
	(void)unused;
	usleep(10000);
	int code = test_join(test_fork(main_with_workers, NULL));
	return code == 3 ? work(NULL) : 1;
}

static int main_waits_while_another_forks(void *unused)
{
	(void)unused;
	go(child_of_exiting, NULL);
	prusik_exit(11);
}

/* The child's prusik_exit is its own. */
TEST(exit_in_a_child_of_a_program_that_exits)
{
	ck_assert_int_eq(run(main_waits_while_another_forks, 6), 11);
}

/* ---- timers ---- */

static void timer_work(void *unused)
{
	(void)unused;
	work(NULL);
}

static int main_with_timers(void *unused)
{
	(void)unused;
	if (prusik_timer_start(prusik_in_s(100), timer_work, NULL, NULL) < 0 ||
	    prusik_timer_start(PRUSIK_NOW, timer_work, NULL, NULL) < 0)
		_exit(99);
	usleep(10000); /* the second one runs */
	prusik_exit(12);
}

TEST(exit_waits_for_timers_that_run)
{
	ck_assert_int_eq(run(main_with_timers, 1), 12);
}
