/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/once.h>

struct box {
	struct prusik_once once;
	int runs, recoveries, waiting, running, stop, others;
	long made; /* written by the function, read by whoever got 0, without further ado */
};

static void one_more(int *word)
{
	prk_add32_acqrel((uint32_t *)word, 1);
}

static int make(void *arg, int recovered)
{
	struct box *box = arg;

	one_more(&box->runs);
	if (recovered)
		one_more(&box->recoveries);
	box->made = 42;
	return 0;
}

static int must_not_run(void *arg, int recovered)
{
	(void)recovered;
	one_more(&((struct box *)arg)->runs);
	return -EIO;
}

static int refuse(void *arg, int recovered)
{
	must_not_run(arg, recovered);
	return -EIO;
}

static int plenty(void *arg, int recovered)
{
	must_not_run(arg, recovered);
	return 7;
}

TEST(runs_once)
{
	struct box box = { 0 };

	ck_assert_int_eq(prusik_once_done(&box.once), 0);
	ck_assert_int_eq(prusik_once(&box.once, make, &box, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_once_done(&box.once), 1);
	ck_assert_int_eq(prusik_once(&box.once, must_not_run, &box, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_once(&box.once, must_not_run, &box, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(box.runs, 1);
	ck_assert_int_eq(box.recoveries, 0);
	ck_assert_uint_eq(prk_self()->held, 0);
}

TEST(misuse)
{
	struct box box = { 0 };
	struct prusik_once *askew = (struct prusik_once *)(void *)((char *)&box + 1);

	ck_assert_int_eq(prusik_once(NULL, make, &box, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_once(askew, make, &box, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_once(&box.once, NULL, &box, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_once_done(NULL), -EINVAL);
	ck_assert_int_eq(prusik_once_done(askew), -EINVAL);
	ck_assert_int_eq(box.runs, 0);
	ck_assert_uint_eq(box.once.word, 0);
}

TEST(failing_is_not_doing)
{
	struct box box = { 0 };

	ck_assert_int_eq(prusik_once(&box.once, refuse, &box, PRUSIK_NOW), -EIO);
	ck_assert_int_eq(prusik_once_done(&box.once), 0);
	ck_assert_int_eq(prusik_once(&box.once, refuse, &box, PRUSIK_FOREVER), -EIO);
	ck_assert_int_eq(prusik_once(&box.once, plenty, &box, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_once(&box.once, refuse, &box, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(box.runs, 3);
	ck_assert_uint_eq(prk_self()->held, 0);
}

static int call_again(void *arg, int recovered)
{
	struct box *box = arg;

	box->others = prusik_once(&box->once, must_not_run, box, PRUSIK_FOREVER);
	return make(arg, recovered);
}

TEST(within_itself)
{
	struct box box = { 0 };

	ck_assert_int_eq(prusik_once(&box.once, call_again, &box, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(box.others, -EDEADLK);
	ck_assert_int_eq(box.runs, 1);
}

/* A word that nobody ever wrote: done, or taken over as from the dead. */
TEST(hostile_word)
{
	struct box box = { .once.word = 0x3fffffff };

	ck_assert_int_eq(prusik_once_done(&box.once), 0);
	ck_assert_int_eq(prusik_once(&box.once, make, &box, PRUSIK_NOW), 0);
	ck_assert_int_eq(box.recoveries, 1);
	box.once.word = UINT32_MAX;
	ck_assert_int_eq(prusik_once(&box.once, must_not_run, &box, PRUSIK_NOW), 0);
}

static int do_it(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_once(&box->once, make, box, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(box->made == 42);
	return 0;
}

static void one_of_many_runs_it(enum party_kind kind)
{
	for (int i = 0; i < 20; i++) {
		struct box *box = party_memory(kind, sizeof *box);

		party_run(kind, 8, do_it, box);
		ck_assert_int_eq(box->runs, 1);
		ck_assert_int_eq(box->recoveries, 0);
	}
}
BOTH(one_of_many_runs_it)

/* Runs until told; then does it (stop 1), or fails (stop 2). */
static int run_until_told(void *arg, int recovered)
{
	struct box *box = arg;

	one_more(&box->running);
	while (!party_word(&box->stop))
		pause_ms(1);
	return party_word(&box->stop) == 2 ? -EIO : make(arg, recovered);
}

static int runner(void *shared, int index)
{
	struct box *box = shared;
	int r = prusik_once(&box->once, run_until_told, box, PRUSIK_FOREVER);

	PARTY_CHECK(r == index);
	return 0;
}

static int wait_for_it(void *shared, int index)
{
	struct box *box = shared;

	one_more(&box->waiting);
	return do_it(box, index);
}

static int time_out(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_once_done(&box->once) == 0);
	PARTY_CHECK(prusik_once(&box->once, must_not_run, box, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_once(&box->once, must_not_run, box, INT64_MIN) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_once(&box->once, must_not_run, box, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	return 0;
}

static void others_wait(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *first = party_start(kind, runner, box, 0), *all[4];

	party_await(&box->running, 1);
	party_run(kind, 3, time_out, box);
	for (int i = 0; i < 4; i++)
		all[i] = party_start(kind, wait_for_it, box, i);
	party_await(&box->waiting, 4);
	pause_ms(20);
	party_say(&box->stop, 1);
	ck_assert_int_eq(party_join(first), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->runs, 1);
}
BOTH(others_wait)

/* The runner fails: one of those who wait does it. */
static void next_one_does_it(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *first = party_start(kind, runner, box, -EIO), *all[4];

	party_await(&box->running, 1);
	for (int i = 0; i < 4; i++)
		all[i] = party_start(kind, wait_for_it, box, i);
	party_await(&box->waiting, 4);
	pause_ms(20);
	party_say(&box->stop, 2);
	ck_assert_int_eq(party_join(first), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->runs, 1);
	ck_assert_int_eq(box->recoveries, 0);
}
BOTH(next_one_does_it)

TEST(runner_killed)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *first = party_start(PROCESSES, runner, box, 0), *all[4];

	party_await(&box->running, 1);
	for (int i = 0; i < 4; i++)
		all[i] = party_start(PROCESSES, wait_for_it, box, i);
	party_await(&box->waiting, 4);
	pause_ms(20);
	ck_assert_int_eq(kill(first->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(first), -SIGKILL);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->runs, 1);
	ck_assert_int_eq(box->recoveries, 1);
}

static int end_the_thread(void *arg, int recovered)
{
	(void)arg;
	(void)recovered;
	pthread_exit(NULL);
}

static int end_within(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	(void)!prusik_once(&box->once, end_the_thread, box, PRUSIK_FOREVER);
	return 1; /* not reached */
}

TEST(thread_that_ends_within_has_died)
{
	struct box *box = party_memory(THREADS, sizeof *box);

	party_run(THREADS, 1, end_within, box);
	ck_assert_int_eq(prusik_once_done(&box->once), 0);
	ck_assert_int_eq(prusik_once(&box->once, make, box, PRUSIK_NOW), 0);
	ck_assert_int_eq(box->recoveries, 1);
}
