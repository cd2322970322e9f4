/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/event.h>

#define WAITERS UINT32_C(2)

struct box {
	struct prusik_event event, back;
	int waiting, gone, timed_out;
	int work, taken;
	long message; /* written before a set, read after a wait, without further ado */
};

static void one_more(int *word)
{
	prk_add32_acqrel((uint32_t *)word, 1);
}

/* Somebody has announced that he sleeps on it. */
static void await_sleeper(const struct prusik_event *event)
{
	while (!(prk_load32_acq(&event->word) & WAITERS))
		pause_ms(1);
}

TEST(zeroed_is_not_set)
{
	struct prusik_event event = { 0 };

	ck_assert_int_eq(prusik_event_is_set(&event), 0);
	ck_assert_int_eq(prusik_event_wait(&event, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_uint_eq(event.word, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(prusik_event_set(&event), 0);
		ck_assert_int_eq(prusik_event_set(&event), 0);
		ck_assert_int_eq(prusik_event_is_set(&event), 1);
		ck_assert_int_eq(prusik_event_wait(&event, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_event_wait(&event, PRUSIK_FOREVER), 0);
		ck_assert_int_eq(prusik_event_clear(&event), 0);
		ck_assert_int_eq(prusik_event_clear(&event), 0);
		ck_assert_int_eq(prusik_event_is_set(&event), 0);
	}
}

TEST(misuse)
{
	struct prusik_event event = { 0 };
	struct prusik_event *askew = (struct prusik_event *)(void *)((char *)&event + 1);

	ck_assert_int_eq(prusik_event_set(NULL), -EINVAL);
	ck_assert_int_eq(prusik_event_set(askew), -EINVAL);
	ck_assert_int_eq(prusik_event_clear(NULL), -EINVAL);
	ck_assert_int_eq(prusik_event_clear(askew), -EINVAL);
	ck_assert_int_eq(prusik_event_is_set(NULL), -EINVAL);
	ck_assert_int_eq(prusik_event_is_set(askew), -EINVAL);
	ck_assert_int_eq(prusik_event_wait(NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_event_wait(askew, PRUSIK_FOREVER), -EINVAL);
	ck_assert_uint_eq(event.word, 0);
}

/* A word that nobody ever wrote: every value is an event that is set or is not. */
TEST(hostile_word)
{
	struct prusik_event event = { .word = UINT32_MAX };

	ck_assert_int_eq(prusik_event_wait(&event, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_event_clear(&event), 0);
	ck_assert_uint_eq(event.word, 0); /* the count comes round */
	event.word = UINT32_MAX - 1;
	ck_assert_int_eq(prusik_event_wait(&event, prusik_in_ms(10)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_event_set(&event), 0);
	ck_assert_int_eq(prusik_event_wait(&event, PRUSIK_NOW), 0);
}

static int time_out(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_event_wait(&box->event, INT64_MIN) == -ETIMEDOUT);
	PARTY_CHECK(prusik_event_wait(&box->event, prusik_now() - 1) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_event_wait(&box->event, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	return 0;
}

static int not_timed_out(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_event_wait(&box->event, INT64_MIN) == 0);
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_FOREVER) == 0);
	return 0;
}

/* CPython: test_timeout */
static void deadlines(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 4, time_out, box);
	ck_assert_int_eq(prusik_event_set(&box->event), 0);
	party_run(kind, 4, not_timed_out, box);
}
BOTH(deadlines)

static int wait_twice(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	one_more(&box->waiting);
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_FOREVER) == 0);
	one_more(&box->gone);
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_FOREVER) == 0);
	return 0;
}

/* CPython: test_notify. All of them go at once, and none before. */
static void lets_all_go(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[6];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 6; i++)
			all[i] = party_start(kind, wait_twice, box, i);
		party_await(&box->waiting, 6 * (round + 1));
		await_sleeper(&box->event);
		pause_ms(20);
		ck_assert_int_eq(party_word(&box->gone), 6 * round);
		ck_assert_int_eq(prusik_event_set(&box->event), 0);
		for (int i = 0; i < 6; i++)
			ck_assert_int_eq(party_join(all[i]), 0);
		ck_assert_int_eq(prusik_event_clear(&box->event), 0);
	}
	ck_assert_int_eq(box->gone, 12);
}
BOTH(lets_all_go)

static int wait_once(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	one_more(&box->waiting);
	PARTY_CHECK(prusik_event_wait(&box->event, prusik_in_s(15)) == 0);
	PARTY_CHECK(box->message == 42);
	one_more(&box->gone);
	return 0;
}

/* CPython: test_set_and_clear. Those who slept go, though it is cleared at once. */
static void set_and_clear_at_once(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[6];

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 6; i++)
			all[i] = party_start(kind, wait_once, box, i);
		party_await(&box->waiting, 6 * (round + 1));
		pause_ms(20);
		box->message = 42;
		ck_assert_int_eq(prusik_event_set(&box->event), 0);
		ck_assert_int_eq(prusik_event_clear(&box->event), 0);
		for (int i = 0; i < 6; i++)
			ck_assert_int_eq(party_join(all[i]), 0);
		ck_assert_int_eq(prusik_event_is_set(&box->event), 0);
	}
}
BOTH(set_and_clear_at_once)

static int set_and_clear(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; party_word(&box->gone) < 2; i++) {
		PARTY_CHECK(prusik_event_set(&box->event) == 0);
		if ((i + index) % 3)
			PARTY_CHECK(prusik_event_clear(&box->event) == 0);
		if (i % 64 == 0)
			pause_ms(1);
	}
	return 0;
}

static int wait_often(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 3000; i++)
		PARTY_CHECK(prusik_event_wait(&box->event, prusik_in_s(15)) == 0);
	one_more(&box->gone);
	return 0;
}

/* Several set and clear as they like: whoever waits goes on. */
static void set_and_cleared_by_many(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[6];

	for (int i = 0; i < 6; i++)
		all[i] = party_start(kind, i < 2 ? wait_often : set_and_clear, box, i);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
}
BOTH(set_and_cleared_by_many)

#define TURNS 20000

static int bring_work(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 1; i <= TURNS; i++) {
		prk_store32_rlx((uint32_t *)&box->work, (uint32_t)i);
		PARTY_CHECK(prusik_event_set(&box->event) == 0);
		while (party_word(&box->taken) < i)
			PARTY_CHECK(prusik_event_wait(&box->back, prusik_in_s(15)) == 0);
		PARTY_CHECK(prusik_event_clear(&box->back) == 0);
	}
	return 0;
}

static int take_work(void *shared, int index)
{
	struct box *box = shared;
	uint32_t last = 0;

	(void)index;
	while (last < TURNS) {
		PARTY_CHECK(prusik_event_clear(&box->event) == 0);
		uint32_t work = prk_load32_rlx((uint32_t *)&box->work);
		if (work == last) {
			PARTY_CHECK(prusik_event_wait(&box->event, prusik_in_s(15)) == 0);
			continue;
		}
		last = work;
		party_say(&box->taken, (int)work);
		PARTY_CHECK(prusik_event_set(&box->back) == 0);
	}
	return 0;
}

/* Clear, look, wait: also when the flag was set already as the work came. */
static void clear_then_look_loses_nothing(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *taker = party_start(kind, take_work, box, 0);

	party_run(kind, 1, bring_work, box);
	ck_assert_int_eq(party_join(taker), 0);
}
BOTH(clear_then_look_loses_nothing)

static int set_as_a_stranger(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prk_self()->id == 0);
	box->message = 42;
	PARTY_CHECK(prusik_event_set(&box->event) == 0);
	PARTY_CHECK(prusik_event_is_set(&box->event) == 1);
	PARTY_CHECK(prk_self()->id == 0); /* still takes no part */
	return 0;
}

static void set_by_one_who_takes_no_part(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *waiter = party_start(kind, wait_once, box, 0);

	await_sleeper(&box->event);
	party_run(kind, 1, set_as_a_stranger, box);
	ck_assert_int_eq(party_join(waiter), 0);
}
BOTH(set_by_one_who_takes_no_part)

static struct prusik_event *from_handler;
static volatile sig_atomic_t signals_seen;

static void set_on_signal(int signal)
{
	(void)signal;
	signals_seen++;
	prusik_event_set(from_handler);
}

static void count_signal(int signal)
{
	(void)signal;
	signals_seen++;
}

/* The one who waits is the one who sets it, in a handler. */
static int set_under_own_wait(void *shared, int index)
{
	struct box *box = shared;
	struct sigaction action = { .sa_handler = set_on_signal };

	from_handler = &box->event;
	sigaction(SIGALRM, &action, NULL);
	for (int i = 0; i < 50; i++) {
		ualarm((unsigned int)(200 + 137 * (i + index)), 0);
		PARTY_CHECK(prusik_event_wait(&box->event, prusik_in_s(15)) == 0);
		PARTY_CHECK(prusik_event_clear(&box->event) == 0);
	}
	return 0;
}

TEST(set_by_a_handler_during_the_wait)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	party_run(PROCESSES, 1, set_under_own_wait, box);
}

static int waiter_under_signals(void *shared, int index)
{
	struct box *box = shared;
	struct sigaction action = { .sa_handler = count_signal };

	(void)index;
	sigaction(SIGUSR1, &action, NULL);
	one_more(&box->waiting);
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(signals_seen > 0);
	return 0;
}

TEST(signals_do_not_end_the_wait)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *p = party_start(PROCESSES, waiter_under_signals, box, 0);

	party_await(&box->waiting, 1);
	for (int i = 0; i < 20; i++) {
		pause_ms(2);
		ck_assert_int_eq(kill(p->pid, SIGUSR1), 0);
	}
	ck_assert_int_eq(prusik_event_set(&box->event), 0);
	ck_assert_int_eq(party_join(p), 0);
}

TEST(killed_waiters_cost_nothing)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *all[4];

	for (int i = 0; i < 4; i++)
		all[i] = party_start(PROCESSES, wait_once, box, i);
	party_await(&box->waiting, 4);
	pause_ms(20);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(kill(all[i]->pid, SIGKILL), 0);
		ck_assert_int_eq(party_join(all[i]), -SIGKILL);
	}
	ck_assert_int_eq(party_word(&box->gone), 0); /* no death lets anyone go */
	box->message = 42;
	ck_assert_int_eq(prusik_event_set(&box->event), 0);
	for (int i = 2; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->gone, 2);
}

static int set_then_die(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	box->message = 42;
	prusik_event_set(&box->event);
	kill(getpid(), SIGKILL);
	return 0;
}

TEST(setter_killed_after_it)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *waiter = party_start(PROCESSES, wait_once, box, 0);

	await_sleeper(&box->event);
	ck_assert_int_eq(party_join(party_start(PROCESSES, set_then_die, box, 0)), -SIGKILL);
	ck_assert_int_eq(party_join(waiter), 0);
}
