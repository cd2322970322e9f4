/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/cancel.h>
#include <prusik/condition.h>

struct box {
	struct prusik_lock lock;
	struct prusik_rlock rlock;
	struct prusik_cancel stop;
	struct prusik_condition changed;
	int filled, taken, waiting, woken, ready;
};

static int is_filled(void *arg)
{
	return ((struct box *)arg)->filled;
}

TEST(misuse)
{
	struct box box = { 0 };

	ck_assert_int_eq(prusik_condition_wait(&box.changed, &box.lock, PRUSIK_NOW), -EPERM);
	ck_assert_int_eq(prusik_condition_notify(&box.changed, &box.lock, 1), -EPERM);
	ck_assert_int_eq(prusik_condition_notify_all(&box.changed, &box.lock), -EPERM);
	ck_assert_int_eq(prusik_condition_wait_for(&box.changed, &box.lock, is_filled, &box, PRUSIK_NOW), -EPERM);
	ck_assert_int_eq(prusik_lock_acquire(&box.lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_condition_wait(NULL, &box.lock, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_condition_wait(&box.changed, NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_condition_notify(NULL, &box.lock, 1), -EINVAL);
	ck_assert_int_eq(prusik_condition_wait_for(&box.changed, &box.lock, NULL, &box, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_condition_notify(&box.changed, &box.lock, 0), 0);
	ck_assert_int_eq(prusik_condition_notify_all(&box.changed, &box.lock), 0);
	ck_assert_uint_eq(box.changed.word, 0);
	ck_assert_int_eq(prusik_lock_release(&box.lock), 0);
}

TEST(times_out_holding_the_lock)
{
	struct box box = { 0 };

	party_quiet();
	ck_assert_int_eq(prusik_lock_acquire(&box.lock, PRUSIK_FOREVER), 0);
	int64_t begin = prusik_now();
	ck_assert_int_eq(prusik_condition_wait(&box.changed, &box.lock, prusik_in_ms(30)), -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - begin, 30000000);
	ck_assert_int_eq(prusik_condition_wait(&box.changed, &box.lock, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_condition_wait_for(&box.changed, &box.lock, is_filled, &box, prusik_in_ms(10)),
			 -ETIMEDOUT);
	box.filled = 1;
	ck_assert_int_eq(prusik_condition_wait_for(&box.changed, &box.lock, is_filled, &box, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_lock_release(&box.lock), 0);
}

/* One after the other fills and takes: nothing is lost either way. */
static int exchange(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < 3000; i++) {
		PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
		while (box->filled == index % 2)
			PARTY_CHECK(prusik_condition_wait(&box->changed, &box->lock, PRUSIK_FOREVER) == 0);
		box->filled = index % 2;
		box->taken++;
		PARTY_CHECK(prusik_condition_notify_all(&box->changed, &box->lock) == 0);
		PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	}
	return 0;
}

static void producer_and_consumer(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 4, exchange, box);
	ck_assert_int_eq(box->taken, 4 * 3000);
}
BOTH(producer_and_consumer)

static int wait_once(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	box->waiting++;
	PARTY_CHECK(prusik_condition_wait(&box->changed, &box->lock, PRUSIK_FOREVER) == 0);
	box->woken++;
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	return 0;
}

static int under_lock(struct box *box, const int *word)
{
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	int value = *word;
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	return value;
}

static void notify(struct box *box, uint32_t n)
{
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_condition_notify(&box->changed, &box->lock, n), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
}

/* As CPython's test_notify: so many are woken as were called, and no more. */
static void wakes_as_many(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[6];

	party_quiet();
	for (int i = 0; i < 6; i++)
		all[i] = party_start(kind, wait_once, box, i);
	while (under_lock(box, &box->waiting) < 6)
		pause_ms(1);
	pause_ms(30);
	static const struct {
		uint32_t n;
		int sum;
	} steps[] = { { 1, 1 }, { 2, 3 }, { UINT32_MAX, 6 } };
	for (int s = 0; s < 3; s++) {
		notify(box, steps[s].n);
		while (under_lock(box, &box->woken) < steps[s].sum)
			pause_ms(1);
		pause_ms(30);
		ck_assert_int_eq(under_lock(box, &box->woken), steps[s].sum);
	}
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
}
BOTH(wakes_as_many)

static int fill_and_die(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	box->filled = 1;
	kill(getpid(), SIGKILL);
	return 0;
}

static int wait_filled(void *shared, int index)
{
	struct box *box = shared;
	int recovered = 0, r;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	box->waiting++;
	while (!box->filled) {
		r = prusik_condition_wait(&box->changed, &box->lock, PRUSIK_FOREVER);
		PARTY_CHECK(r >= 0);
		recovered += r;
	}
	box->woken += recovered;
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	return 0;
}

TEST(notifier_killed_before_the_notify)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *first = party_start(PROCESSES, wait_filled, box, 0);
	struct party *second = party_start(PROCESSES, wait_filled, box, 1);

	while (under_lock(box, &box->waiting) < 2)
		pause_ms(1);
	pause_ms(20);
	ck_assert_int_eq(party_join(party_start(PROCESSES, fill_and_die, box, 0)), -SIGKILL);
	ck_assert_int_eq(party_join(first), 0);
	ck_assert_int_eq(party_join(second), 0);
	ck_assert_int_eq(box->woken, 1); /* told once */
}

static int wait_for_told(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	party_say(&box->waiting, 1);
	PARTY_CHECK(prusik_condition_wait_for(&box->changed, &box->lock, is_filled, box, PRUSIK_FOREVER) ==
		    PRUSIK_RECOVERED);
	PARTY_CHECK(!box->filled);
	return 0;
}

static int die_holding(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	kill(getpid(), SIGKILL);
	return 0;
}

TEST(wait_for_tells_of_a_death)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *waiter = party_start(PROCESSES, wait_for_told, box, 0);

	party_await(&box->waiting, 1);
	pause_ms(20);
	ck_assert_int_eq(party_join(party_start(PROCESSES, die_holding, box, 0)), -SIGKILL);
	ck_assert_int_eq(party_join(waiter), 0);
}

static int be_canceled(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	prusik_cancel_use(&box->stop);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	party_say(&box->waiting, 1);
	PARTY_CHECK(prusik_condition_wait_for(&box->changed, &box->lock, is_filled, box, PRUSIK_FOREVER) == -ECANCELED);
	PARTY_CHECK(prusik_condition_wait(&box->changed, &box->lock, PRUSIK_FOREVER) == -ECANCELED);
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0); /* it is held all the same */
	return 0;
}

static void cancel(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_quiet();
	struct party *p = party_start(kind, be_canceled, box, 0);
	party_await(&box->waiting, 1);
	pause_ms(20);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
}
BOTH(cancel)

/* As CPython's test_waitfor_timeout: notifies in between do not put off the deadline. */
static int notify_often(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	while (!party_word(&box->ready)) {
		notify(box, 1);
		pause_ms(1);
	}
	return 0;
}

static void notifies_do_not_put_off_the_deadline(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *p = party_start(kind, notify_often, box, 0);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	int64_t begin = prusik_now();
	ck_assert_int_eq(prusik_condition_wait_for(&box->changed, &box->lock, is_filled, box, prusik_in_ms(50)),
			 -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - begin, 50000000);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	party_say(&box->ready, 1);
	ck_assert_int_eq(party_join(p), 0);
}
BOTH(notifies_do_not_put_off_the_deadline)

/* ---- under an rlock ---- */

TEST(misuse_rlock)
{
	struct box box = { 0 };

	ck_assert_int_eq(prusik_condition_wait_rlock(&box.changed, &box.rlock, PRUSIK_NOW), -EPERM);
	ck_assert_int_eq(prusik_condition_wait_rlock(&box.changed, NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_condition_wait_rlock(NULL, &box.rlock, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_condition_wait_for_rlock(&box.changed, &box.rlock, is_filled, &box, PRUSIK_NOW),
			 -EPERM);
	ck_assert_int_eq(prusik_condition_wait_for_rlock(&box.changed, NULL, is_filled, &box, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_condition_notify(&box.changed, &box.rlock.lock, 1), -EPERM);
	ck_assert_int_eq(prusik_rlock_acquire(&box.rlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_condition_wait_for_rlock(&box.changed, &box.rlock, NULL, &box, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_rlock_depth(&box.rlock), 1);
	ck_assert_uint_eq(box.changed.word, 0);
}

static int wait_deep(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < 3 + index; i++)
		PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) == 0);
	box->waiting++;
	PARTY_CHECK(prusik_condition_wait_for_rlock(&box->changed, &box->rlock, is_filled, box, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(prusik_rlock_depth(&box->rlock) == 3 + index);
	box->woken++;
	for (int i = 0; i < 3 + index; i++)
		PARTY_CHECK(prusik_rlock_release(&box->rlock) == 0);
	return 0;
}

static int under_rlock(struct box *box, const int *word)
{
	ck_assert_int_ge(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER), 0);
	int value = *word;
	ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
	return value;
}

static void wait_frees_the_rlock_and_takes_it_as_often(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[4];

	for (int i = 0; i < 4; i++)
		all[i] = party_start(kind, wait_deep, box, i);
	while (under_rlock(box, &box->waiting) < 4)
		pause_ms(1);
	ck_assert_int_eq(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER), 0);
	box->filled = 1;
	ck_assert_int_eq(prusik_condition_notify_all(&box->changed, &box->rlock.lock), 0);
	ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
	pause_ms(10);
	ck_assert_int_eq(box->woken, 0);
	ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->woken, 4);
	ck_assert_int_eq(prusik_rlock_locked(&box->rlock), 0);
}
BOTH(wait_frees_the_rlock_and_takes_it_as_often)

TEST(rlock_times_out_as_deep_as_before)
{
	struct box box = { 0 };

	party_quiet();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(prusik_rlock_acquire(&box.rlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_condition_wait_rlock(&box.changed, &box.rlock, prusik_in_ms(10)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_rlock_depth(&box.rlock), 3);
	ck_assert_int_eq(prusik_condition_wait_rlock(&box.changed, &box.rlock, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_rlock_depth(&box.rlock), 3);
}

static int die_deep(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < index; i++)
		PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) == 0);
	kill(getpid(), SIGKILL);
	return 0;
}

static int wait_told_deep(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < index; i++)
		PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) == 0);
	party_say(&box->waiting, 1);
	PARTY_CHECK(prusik_condition_wait_for_rlock(&box->changed, &box->rlock, is_filled, box, PRUSIK_FOREVER) ==
		    PRUSIK_RECOVERED);
	PARTY_CHECK(prusik_rlock_depth(&box->rlock) == index);
	return 0;
}

TEST(rlock_recovered_in_the_wait_is_as_deep_as_before)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *waiter = party_start(PROCESSES, wait_told_deep, box, 2);

	party_await(&box->waiting, 1);
	pause_ms(20);
	ck_assert_int_eq(party_join(party_start(PROCESSES, die_deep, box, 7)), -SIGKILL);
	ck_assert_int_eq(party_join(waiter), 0);
}

/*
 * A woken waiter that dies instead of looking: another one gets what was notified. Which
 * of the two is woken first is the kernel's affair: that one dies.
 */
static int first_woken_dies(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	box->waiting++;
	while (!box->filled)
		PARTY_CHECK(prusik_condition_wait(&box->changed, &box->lock, PRUSIK_FOREVER) >= 0);
	int woken = ++box->woken;
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	if (woken == 1)
		kill(getpid(), SIGKILL);
	return 0;
}

TEST(woken_waiter_killed)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *first = party_start(PROCESSES, first_woken_dies, box, 0);
	struct party *second = party_start(PROCESSES, first_woken_dies, box, 0);

	while (under_lock(box, &box->waiting) < 2)
		pause_ms(1);
	pause_ms(20);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	box->filled = 1;
	ck_assert_int_eq(prusik_condition_notify(&box->changed, &box->lock, 1), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	int r = party_join(first);
	ck_assert_int_eq(party_join(second), r == 0 ? -SIGKILL : 0);
	ck_assert(r == 0 || r == -SIGKILL);
}
