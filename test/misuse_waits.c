/* SPDX-License-Identifier: MIT */
/*
 * The lists of misuse.c go on: what is refused while somebody waits leaves him waiting,
 * and he is served in the end; a deadline of the past, or below 0, has passed.
 */
#include "misuse_kit.h"

/* ---- while others wait ---- */

static int wait_for_the_condition(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	while (party_word(&box->go) == 0)
		PARTY_CHECK(prusik_condition_wait(&box->condition, &box->lock, PRUSIK_FOREVER) == 0);
	return prusik_lock_release(&box->lock);
}

static int wait_for_the_semaphore(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	return prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER);
}

static int wait_at_the_barrier(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	return (int)prusik_barrier_wait(&box->pair, NULL, NULL, PRUSIK_FOREVER) - 1;
}

static int wait_for_the_permit(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) == 0);
	return prusik_permits_release(&box->permits);
}

static int misuse_what_is_waited_for(struct box *box)
{
	REFUSED(-EPERM, prusik_condition_notify(&box->condition, &box->lock, 1));
	REFUSED(-EPERM, prusik_condition_notify_all(&box->condition, &box->rlock.lock));
	REFUSED(-EINVAL, prusik_semaphore_init(&box->semaphore, 2, 1));
	REFUSED(-EINVAL, prusik_semaphore_release(&box->semaphore, 0));
	REFUSED(-EOVERFLOW, prusik_semaphore_release(&box->semaphore, 4));
	REFUSED(-EINVAL, prusik_barrier_init(&box->pair, 0));
	REFUSED(-EINVAL, prusik_permits_init(&box->permits, 0));
	return 0;
}

/* Until each of them is about to sleep, or sleeps: bits 0 and 31 of the words. */
static void until_all_wait(const struct box *box)
{
	while (!(prk_load32_rlx(&box->condition.word) & 1) || prusik_barrier_waiting(&box->pair) != 1 ||
	       !(prk_load32_rlx(&box->semaphore.word) >> 31) || !(prk_load32_rlx(&box->permits.word) & 1) ||
	       prusik_lock_locked(&box->lock))
		pause_ms(1);
	pause_ms(10);
}

static void serve_all(struct box *box)
{
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	party_say(&box->go, 1);
	ck_assert_int_eq(prusik_condition_notify(&box->condition, &box->lock, 1), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 3), 0);
	ck_assert_int_eq(prusik_barrier_wait(&box->pair, NULL, NULL, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
}

static void waited_for(enum party_kind kind)
{
	party_fn *const functions[] = { wait_for_the_condition, wait_for_the_semaphore, wait_at_the_barrier,
					wait_for_the_permit };
	struct box *box = party_memory(kind, sizeof *box);
	struct party *waiters[4];

	party_quiet();
	ck_assert_int_eq(make(box), 0);
	ck_assert_int_eq(prusik_semaphore_init(&box->semaphore, 0, 3), 0);
	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_NOW), 0);
	for (int i = 0; i < 4; i++)
		waiters[i] = party_start(kind, functions[i], box, i);
	until_all_wait(box);
	ck_assert_int_eq(misuse_what_is_waited_for(box), 0);
	serve_all(box);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(waiters[i]), 0);
	ck_assert_int_eq(all_work(box), 0);
}
BOTH(waited_for)

/* ---- deadlines that have passed ---- */

static int hold(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(take_all(box, prusik_rwlock_write) == 0);
	party_say(&box->step, 1);
	party_await(&box->go, 1);
	return give_all_back(box);
}

static int wait_until(struct box *box, int64_t deadline)
{
	PARTY_CHECK(prusik_lock_acquire(&box->lock, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_event_wait(&box->event, deadline) == -ETIMEDOUT);
	for (int i = 0; i < 2; i++)
		PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, deadline) == 0);
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_semaphore_release(&box->semaphore, 2) == 0);
	PARTY_CHECK(prusik_barrier_wait(&box->pair, NULL, NULL, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_barrier_broken(&box->pair) == 1 && prusik_barrier_reset(&box->pair) == 0);
	return 0;
}

/* What need not be waited for is to be had with any deadline. */
static int take_free_ones(struct box *box, int64_t deadline)
{
	PARTY_CHECK(prusik_lock_acquire(&box->lock, deadline) == 0);
	PARTY_CHECK(prusik_condition_wait(&box->condition, &box->lock, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, deadline) == 0);
	PARTY_CHECK(prusik_condition_wait_rlock(&box->condition, &box->rlock, deadline) == -ETIMEDOUT);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, deadline) == 0);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, deadline) == 0);
	PARTY_CHECK(prusik_once(&box->once, make_nothing, NULL, deadline) == 0);
	box->once.word = 0;
	return give_all_back(box);
}

static void past_deadlines(enum party_kind kind)
{
	const int64_t past[] = { PRUSIK_NOW, 1, -1, -INT64_C(1000000000), INT64_MIN };

	for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
		struct box *box = party_memory(kind, sizeof *box);
		ck_assert_int_eq(make(box), 0);
		struct party *holder = party_start(kind, hold, box, 0);
		party_await(&box->step, 1);
		ck_assert_int_eq(wait_until(box, past[i]), 0);
		party_say(&box->go, 1);
		ck_assert_int_eq(party_join(holder), 0);
		ck_assert_int_eq(take_free_ones(box, past[i]), 0);
		ck_assert_int_eq(all_work(box), 0);
	}
}
BOTH(past_deadlines)
