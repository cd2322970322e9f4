/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/semaphore.h>

#define MOST 8

struct box {
	struct prusik_permits permits;
	uint32_t holders[MOST]; /* where prusik_permits_size(MOST) reaches */
	int waiting, gone, inside, most, stop;
	int turns[8];
};

_Static_assert(offsetof(struct box, holders) == sizeof(struct prusik_permits), "one piece");

static int one_more(int *word)
{
	return (int)prk_add32_acqrel((uint32_t *)word, 1) + 1;
}

static void one_less(int *word)
{
	prk_add32_acqrel((uint32_t *)word, UINT32_MAX);
}

static struct box *box_with(enum party_kind kind, uint32_t count)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_permits_init(&box->permits, count), 0);
	ck_assert_int_eq(prusik_permits_value(&box->permits), count);
	return box;
}

TEST(size)
{
	ck_assert_uint_eq(prusik_permits_size(0), 0);
	ck_assert_uint_eq(prusik_permits_size(1), 12);
	ck_assert_uint_eq(prusik_permits_size(MOST), 8 + 4 * MOST);
	ck_assert_uint_eq(prusik_permits_size(65536), 8 + 4 * 65536);
	ck_assert_uint_eq(prusik_permits_size(65537), 0);
	ck_assert_uint_eq(prusik_permits_size(UINT32_MAX), 0);
}

TEST(misuse)
{
	struct prusik_permits none = { 0 };
	struct box *box = box_with(THREADS, 2);
	struct prusik_permits *askew = (struct prusik_permits *)(void *)((char *)box + 2);

	ck_assert_int_eq(prusik_permits_init(NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_permits_init(askew, 1), -EINVAL);
	ck_assert_int_eq(prusik_permits_init(&box->permits, 0), -EINVAL);
	ck_assert_int_eq(prusik_permits_init(&box->permits, 65537), -EINVAL);
	ck_assert_int_eq(prusik_permits_value(&box->permits), 2);
	ck_assert_int_eq(prusik_permits_acquire(NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_permits_acquire(askew, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_permits_acquire(&none, PRUSIK_FOREVER), -EINVAL);
	ck_assert_int_eq(prusik_permits_release(NULL), -EINVAL);
	ck_assert_int_eq(prusik_permits_release(&none), -EINVAL);
	ck_assert_int_eq(prusik_permits_value(NULL), -EINVAL);
	ck_assert_int_eq(prusik_permits_value(&none), -EINVAL);
	ck_assert_int_eq(prusik_permits_release(&box->permits), -EPERM); /* takes no part yet */
	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
	ck_assert_int_eq(prusik_permits_release(&box->permits), -EPERM);
	ck_assert_int_eq(prusik_permits_value(&box->permits), 2);
}

TEST(a_thread_may_hold_several)
{
	struct box *box = box_with(THREADS, MOST);

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MOST; i++) {
			ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER), 0);
			ck_assert_int_eq(prusik_permits_value(&box->permits), MOST - 1 - i);
		}
		ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_NOW), -ETIMEDOUT);
		ck_assert_int_eq(prusik_permits_acquire(&box->permits, prusik_in_ms(5)), -ETIMEDOUT);
		for (int i = 0; i < MOST; i++)
			ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
		ck_assert_int_eq(prusik_permits_release(&box->permits), -EPERM);
	}
	ck_assert_uint_eq(prk_self()->held, 0);
}

/* Ids that nobody ever had: taken over as from the dead. */
TEST(hostile_words)
{
	struct box *box = box_with(THREADS, 2);

	box->holders[0] = UINT32_MAX;
	box->holders[1] = 0x3fffffff;
	ck_assert_int_eq(prusik_permits_value(&box->permits), 2);
	ck_assert_int_eq(prusik_permits_release(&box->permits), -EPERM);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_NOW), PRUSIK_RECOVERED);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
	box->permits.count = 65537;
	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_NOW), -EINVAL);
}

static int not_mine(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_permits_release(&box->permits) == -EPERM);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_NOW) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_permits_acquire(&box->permits, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, INT64_MIN) == -ETIMEDOUT);
	PARTY_CHECK(prusik_permits_release(&box->permits) == -EPERM);
	return 0;
}

static void deadlines(enum party_kind kind)
{
	struct box *box = box_with(kind, 1);

	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER), 0);
	party_run(kind, 4, not_mine, box);
	ck_assert_int_eq(prusik_permits_value(&box->permits), 0);
	ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
}
BOTH(deadlines)

static int enter(struct box *box)
{
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) == 0);
	int inside = one_more(&box->inside);
	PARTY_CHECK(inside <= 3);
	if (inside > party_word(&box->most))
		party_say(&box->most, inside);
	return 0;
}

static int go_in_and_out(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < 5000; i++) {
		int r = enter(box);
		if (r != 0)
			return r;
		if ((i + index) % 1000 == 0)
			pause_ms(1);
		one_less(&box->inside);
		PARTY_CHECK(prusik_permits_release(&box->permits) == 0);
	}
	return 0;
}

static void never_more_than_there_are(enum party_kind kind)
{
	struct box *box = box_with(kind, 3);

	party_quiet();
	party_run(kind, 8, go_in_and_out, box);
	ck_assert_int_eq(prusik_permits_value(&box->permits), 3);
	ck_assert_int_ge(box->most, 2);
}
BOTH(never_more_than_there_are)

static int take_turns(void *shared, int index)
{
	struct box *box = shared;

	while (!party_word(&box->stop)) {
		PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) == 0);
		one_more(&box->turns[index]);
		PARTY_CHECK(prusik_permits_release(&box->permits) == 0);
	}
	return 0;
}

static void nobody_is_passed_over(enum party_kind kind)
{
	struct box *box = box_with(kind, 2);
	struct party *all[6];
	int before[6];

	for (int i = 0; i < 6; i++)
		all[i] = party_start(kind, take_turns, box, i);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 6; i++)
			before[i] = party_word(&box->turns[i]);
		for (int i = 0; i < 6; i++)
			party_await(&box->turns[i], before[i] + 1);
	}
	party_say(&box->stop, 1);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
}
BOTH(nobody_is_passed_over)

static int end_holding(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) >= 0);
	if (index)
		PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) >= 0);
	return 0;
}

/* A thread that returns, a process that ends, holding one: the next one is told, once. */
static void recovers(enum party_kind kind)
{
	struct box *box = box_with(kind, 1);

	party_run(kind, 1, end_holding, box);
	ck_assert_int_eq(prusik_permits_value(&box->permits), 1);
	ck_assert_int_eq(prusik_permits_release(&box->permits), -EPERM);
	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_NOW), PRUSIK_RECOVERED);
	ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
}
BOTH(recovers)

static int hold_until_told(void *shared, int index)
{
	struct box *box = shared;
	int r = end_holding(box, index);

	one_more(&box->inside);
	while (!party_word(&box->stop))
		pause_ms(1);
	return r;
}

static int wait_recovered(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	one_more(&box->waiting);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	one_more(&box->gone);
	while (party_word(&box->gone) < 2)
		pause_ms(1);
	PARTY_CHECK(prusik_permits_release(&box->permits) == 0);
	return 0;
}

/* Those who sleep already get what a thread leaves behind as it ends. */
static void waiters_hear_of_the_end(enum party_kind kind)
{
	struct box *box = box_with(kind, 2);
	struct party *holder = party_start(kind, hold_until_told, box, 1);

	party_await(&box->inside, 1);
	struct party *first = party_start(kind, wait_recovered, box, 0);
	struct party *second = party_start(kind, wait_recovered, box, 0);
	party_await(&box->waiting, 2);
	pause_ms(20);
	party_say(&box->stop, 1);
	ck_assert_int_eq(party_join(holder), 0);
	ck_assert_int_eq(party_join(first), 0);
	ck_assert_int_eq(party_join(second), 0);
	ck_assert_int_eq(prusik_permits_value(&box->permits), 2);
}
BOTH(waiters_hear_of_the_end)

TEST(killed_holder_wakes_as_many_as_it_held)
{
	struct box *box = box_with(PROCESSES, 2);
	struct party *holder = party_start(PROCESSES, hold_until_told, box, 1);

	party_await(&box->inside, 1);
	struct party *first = party_start(PROCESSES, wait_recovered, box, 0);
	struct party *second = party_start(PROCESSES, wait_recovered, box, 0);
	party_await(&box->waiting, 2);
	pause_ms(20);
	ck_assert_int_eq(kill(holder->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(holder), -SIGKILL);
	ck_assert_int_eq(party_join(first), 0);
	ck_assert_int_eq(party_join(second), 0);
}

static int acquire_once(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	one_more(&box->waiting);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) >= 0);
	PARTY_CHECK(prusik_permits_release(&box->permits) == 0);
	return 0;
}

/* The one who is woken is killed at some moment about then: the next one gets it. */
TEST(killed_waiter_takes_nothing_with_it)
{
	struct box *box = box_with(PROCESSES, 1);

	for (int round = 1; round <= 40; round++) {
		ck_assert_int_ge(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER), 0);
		struct party *victim = party_start(PROCESSES, acquire_once, box, 0);
		party_await(&box->waiting, 2 * round - 1);
		pause_ms(2);
		struct party *next = party_start(PROCESSES, acquire_once, box, 1);
		party_await(&box->waiting, 2 * round);
		pause_ms(2);
		if (round % 2)
			kill(victim->pid, SIGKILL);
		ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
		kill(victim->pid, SIGKILL);
		int r = party_join(victim);
		ck_assert_msg(r == 0 || r == -SIGKILL, "victim: %d", r);
		ck_assert_int_eq(party_join(next), 0);
	}
	ck_assert_int_eq(prusik_permits_value(&box->permits), 1);
}

/* fork copies the parent's permits into a child who is somebody else. */
TEST(forked_child_holds_none)
{
	struct box *box = box_with(PROCESSES, 1);

	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER), 0);
	party_run(PROCESSES, 1, not_mine, box);
	ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
}
