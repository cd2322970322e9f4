/* SPDX-License-Identifier: MIT */
/*
 * What docs/lock-cases.md names and the files of the nouns show in one form only: here
 * in both, private memory with threads and shared memory with processes.
 */
#include "party.h"

#include <prusik/barrier.h>
#include <prusik/condition.h>
#include <prusik/event.h>
#include <prusik/rlock.h>
#include <prusik/semaphore.h>
#include <prusik/thread.h>

struct box {
	struct prusik_lock lock;
	struct prusik_rlock rlock;
	struct prusik_event event;
	struct prusik_condition condition;
	struct prusik_semaphore semaphore;
	struct prusik_barrier barrier;
	uint32_t room[2];
	struct prusik_permits permits;
	uint32_t holder[1];
	int step, finished, true_count, state;
};

static int one_more(int *word)
{
	return (int)prk_add32_acqrel((uint32_t *)word, 1) + 1;
}

/* A body that is one party's: it runs where the object's other users do. */
static void in_a_party(enum party_kind kind, party_fn *function)
{
	party_run(kind, 1, function, party_memory(kind, sizeof(struct box)));
}

/* ---- lock ---- */

static int use_fresh_lock(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 3; i++) {
		PARTY_CHECK(prusik_lock_locked(&box->lock) == 0);
		PARTY_CHECK(prusik_lock_release(&box->lock) == -EPERM);
		PARTY_CHECK(prusik_lock_acquire(&box->lock, i ? PRUSIK_NOW : PRUSIK_FOREVER) == 0);
		PARTY_CHECK(prusik_lock_locked(&box->lock) == 1);
		PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	}
	return 0;
}

static void lock_fresh(enum party_kind kind)
{
	in_a_party(kind, use_fresh_lock);
}
BOTH(lock_fresh)

static int acquire_and_release(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	one_more(&box->step);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	one_more(&box->finished);
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	return 0;
}

static int acquire_and_release_rlock(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	one_more(&box->step);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) == 0);
	one_more(&box->finished);
	PARTY_CHECK(prusik_rlock_release(&box->rlock) == 0);
	return 0;
}

/* Five want what the caller holds: none gets it, until release() gives it back; then all do. */
static void five_wait(enum party_kind kind, struct box *box, party_fn *function)
{
	struct party *all[5];

	for (int i = 0; i < 5; i++)
		all[i] = party_start(kind, function, box, i);
	party_await(&box->step, 5);
	pause_ms(30);
	ck_assert_int_eq(party_word(&box->finished), 0);
	ck_assert_int_eq(function == acquire_and_release ? prusik_lock_release(&box->lock) :
							   prusik_rlock_release(&box->rlock),
			 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(party_word(&box->finished), 5);
}

static void lock_contended(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	five_wait(kind, box, acquire_and_release);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
}
BOTH(lock_contended)

static void rlock_contended(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER), 0);
	five_wait(kind, box, acquire_and_release_rlock);
	ck_assert_int_eq(prusik_rlock_locked(&box->rlock), 0);
}
BOTH(rlock_contended)

/* The memory goes while it is held. */
static int drop_held(void *unused, int index)
{
	struct box *box = mmap(NULL, sizeof *box, PROT_READ | PROT_WRITE,
			       (index ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	PARTY_CHECK(box != MAP_FAILED);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(prusik_semaphore_init(&box->semaphore, 1, 1) == 0);
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(munmap(box, sizeof *box) == 0);
	return 0;
}

static void memory_dropped_while_held(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(party_start(kind, drop_held, NULL, i % 2)), 0);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_NOW), 0);
}
BOTH(memory_dropped_while_held)

/* Who only uses a lock is no thread that must be remembered, and its slot is used again. */
static void users_leave_nothing(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	int64_t threads = prusik_thread_active_count();

	party_quiet();
	party_run(kind, 1, acquire_and_release, box);
	uint32_t top = prk_load32_rlx(&prk_life->top);
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(
			party_join(party_start(kind, i % 2 ? acquire_and_release : acquire_and_release_rlock, box, i)),
			0);
	ck_assert_int_eq(prusik_thread_active_count(), threads);
	ck_assert_uint_eq(prk_load32_rlx(&prk_life->top), top);
}
BOTH(users_leave_nothing)

/* Unlike Python's, which waits for another thread to release it: told so, not stuck. */
static int take_twice(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == -EDEADLK);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_NOW) == -EDEADLK);
	party_say(&box->step, 1);
	party_await(&box->step, 2);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	return prusik_lock_release(&box->lock);
}

static void lock_taken_again_by_its_holder(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *p = party_start(kind, take_twice, box, 0);

	party_await(&box->step, 1);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	party_say(&box->step, 2);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
}
BOTH(lock_taken_again_by_its_holder)

static int time_out_on_lock(void *shared, int index)
{
	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&((struct box *)shared)->lock, prusik_in_ms(10)) == -ETIMEDOUT);
	return 0;
}

static void lock_free_after_a_time_out(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	party_run(kind, 2, time_out_on_lock, box);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
	party_run(kind, 1, acquire_and_release, box);
}
BOTH(lock_free_after_a_time_out)

/* ---- rlock ---- */

static int count_depth(void *shared, int index)
{
	struct prusik_rlock *rlock = &((struct box *)shared)->rlock;

	(void)index;
	PARTY_CHECK(prusik_rlock_release(rlock) == -EPERM);
	PARTY_CHECK(prusik_rlock_depth(rlock) == 0 && prusik_rlock_locked(rlock) == 0);
	for (int i = 1; i <= 2; i++) {
		PARTY_CHECK(prusik_rlock_acquire(rlock, PRUSIK_FOREVER) == 0);
		PARTY_CHECK(prusik_rlock_depth(rlock) == i && prusik_rlock_locked(rlock) == 1);
	}
	PARTY_CHECK(prusik_rlock_release(rlock) == 0);
	PARTY_CHECK(prusik_rlock_acquire(rlock, PRUSIK_NOW) == 0);
	for (int i = 1; i >= 0; i--) {
		PARTY_CHECK(prusik_rlock_release(rlock) == 0);
		PARTY_CHECK(prusik_rlock_depth(rlock) == i && prusik_rlock_locked(rlock) == (i > 0));
	}
	PARTY_CHECK(prusik_rlock_release(rlock) == -EPERM);
	return 0;
}

static void rlock_counts(enum party_kind kind)
{
	in_a_party(kind, count_depth);
}
BOTH(rlock_counts)

/* ---- event ---- */

static int see_event(void *shared, int index)
{
	PARTY_CHECK(prusik_event_is_set(&((struct box *)shared)->event) == index);
	return 0;
}

static void event_seen_by_others(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(party_join(party_start(kind, see_event, box, 0)), 0);
		ck_assert_int_eq(prusik_event_set(&box->event), 0);
		ck_assert_int_eq(party_join(party_start(kind, see_event, box, 1)), 0);
		ck_assert_int_eq(prusik_event_set(&box->event), 0);
		ck_assert_int_eq(party_join(party_start(kind, see_event, box, 1)), 0);
		ck_assert_int_eq(prusik_event_clear(&box->event), 0);
		ck_assert_int_eq(prusik_event_clear(&box->event), 0);
	}
}
BOTH(event_seen_by_others)

/* ---- condition ---- */

static int never(void *unused)
{
	(void)unused;
	return 0;
}

/* Held by nobody, or by another. */
static int use_without_the_lock(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_condition_wait(&box->condition, &box->lock, PRUSIK_FOREVER) == -EPERM);
	PARTY_CHECK(prusik_condition_wait_for(&box->condition, &box->lock, never, box, PRUSIK_NOW) == -EPERM);
	PARTY_CHECK(prusik_condition_wait_rlock(&box->condition, &box->rlock, PRUSIK_FOREVER) == -EPERM);
	PARTY_CHECK(prusik_condition_notify(&box->condition, &box->lock, 1) == -EPERM);
	PARTY_CHECK(prusik_condition_notify_all(&box->condition, &box->rlock.lock) == -EPERM);
	return 0;
}

static void condition_without_its_lock(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 2, use_without_the_lock, box);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER), 0);
	party_run(kind, 2, use_without_the_lock, box);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
	ck_assert_uint_eq(box->condition.word, 0);
}
BOTH(condition_without_its_lock)

static int time_out_on_condition(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	int64_t begin = prusik_now();
	/* 0: awake for no reason, which may be. */
	while (prusik_condition_wait(&box->condition, &box->lock, begin + 50000000) == 0)
		;
	PARTY_CHECK(prusik_now() - begin >= 50000000);
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0); /* it has it again */
	return 0;
}

static void condition_times_out_for_all(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 5, time_out_on_condition, box);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
}
BOTH(condition_times_out_for_all)

static int is_four(void *box)
{
	return ((struct box *)box)->state == 4;
}

static int wait_for_four(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(prusik_condition_wait_for(&box->condition, &box->lock, is_four, box, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(box->state == 4);
	return prusik_lock_release(&box->lock);
}

static void condition_waits_for_four(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *p = party_start(kind, wait_for_four, box, 0);

	for (int i = 0; i < 4; i++) {
		pause_ms(10);
		ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
		box->state++;
		ck_assert_int_eq(prusik_condition_notify(&box->condition, &box->lock, 1), 0);
		ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	}
	ck_assert_int_eq(party_join(p), 0);
}
BOTH(condition_waits_for_four)

/* ---- semaphore: without a limit, and bounded by its first value ---- */

static int try_twice(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 2; i++)
		if (prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW) == 0)
			one_more(&box->true_count);
	return 0;
}

static void semaphore_tried(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	for (uint32_t limit = 0; limit <= 4; limit += 4) {
		ck_assert_int_eq(prusik_semaphore_init(&box->semaphore, 4, limit), 0);
		ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW), 0);
		party_say(&box->true_count, 0);
		party_run(kind, 5, try_twice, box);
		ck_assert_int_eq(party_word(&box->true_count), 3);
		ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW), -ETIMEDOUT);
		ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 1), 0);
		ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW), 0);
	}
}
BOTH(semaphore_tried)

static int acquire_permit(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	party_say(&box->step, 1);
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER) == 0);
	party_say(&box->finished, 1);
	return prusik_semaphore_release(&box->semaphore, 1);
}

/* One permit keeps others out as a lock does. */
static void semaphore_of_one(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	for (uint32_t limit = 0; limit <= 1; limit++) {
		ck_assert_int_eq(prusik_semaphore_init(&box->semaphore, 1, limit), 0);
		ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER), 0);
		party_say(&box->finished, 0);
		party_say(&box->step, 0);
		struct party *p = party_start(kind, acquire_permit, box, 0);
		party_await(&box->step, 1);
		pause_ms(20);
		ck_assert_int_eq(party_word(&box->finished), 0);
		ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 1), 0);
		ck_assert_int_eq(party_join(p), 0);
		ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 1);
	}
}
BOTH(semaphore_of_one)

static int release_unacquired(void *shared, int index)
{
	struct prusik_semaphore *semaphore = &((struct box *)shared)->semaphore;

	(void)index;
	PARTY_CHECK(prusik_semaphore_init(semaphore, 1, 0) == 0);
	PARTY_CHECK(prusik_semaphore_release(semaphore, 1) == 0);
	PARTY_CHECK(prusik_semaphore_acquire(semaphore, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_semaphore_acquire(semaphore, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_semaphore_init(semaphore, 1, 1) == 0);
	PARTY_CHECK(prusik_semaphore_release(semaphore, 1) == -EOVERFLOW);
	PARTY_CHECK(prusik_semaphore_acquire(semaphore, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_semaphore_release(semaphore, 1) == 0);
	PARTY_CHECK(prusik_semaphore_release(semaphore, 1) == -EOVERFLOW);
	PARTY_CHECK(prusik_semaphore_init(semaphore, (uint32_t)-1, 0) == -EINVAL);
	PARTY_CHECK(prusik_semaphore_value(semaphore) == 1);
	return 0;
}

static void semaphore_released_without_acquire(enum party_kind kind)
{
	in_a_party(kind, release_unacquired);
}
BOTH(semaphore_released_without_acquire)

/* ---- barrier ---- */

static int meet_nobody(void *shared, int index)
{
	struct prusik_barrier *barrier = &((struct box *)shared)->barrier;

	(void)index;
	PARTY_CHECK(prusik_barrier_init(barrier, 1) == 0);
	PARTY_CHECK(prusik_barrier_init(barrier, 0) == -EINVAL);
	PARTY_CHECK(prusik_barrier_init(barrier, (uint32_t)-1) == -EINVAL);
	for (int i = 0; i < 2; i++)
		PARTY_CHECK(prusik_barrier_wait(barrier, NULL, NULL, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(prusik_barrier_parties(barrier) == 1);
	PARTY_CHECK(prusik_barrier_waiting(barrier) == 0 && prusik_barrier_broken(barrier) == 0);
	return 0;
}

static int initialise_again(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (uint32_t i = 0; i < 3; i++) {
		PARTY_CHECK(prusik_barrier_init(&box->barrier, 2) == 0);
		PARTY_CHECK(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_NOW) == -ETIMEDOUT);
		PARTY_CHECK(prusik_barrier_broken(&box->barrier) == 1);
		PARTY_CHECK(prusik_barrier_init(&box->barrier, 1) == 0);
		PARTY_CHECK(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_NOW) == 0);
		PARTY_CHECK(prusik_semaphore_init(&box->semaphore, i, 2) == 0);
		PARTY_CHECK(prusik_semaphore_value(&box->semaphore) == (int64_t)i);
		PARTY_CHECK(prusik_permits_init(&box->permits, 1) == 0);
		PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_NOW) == 0);
		PARTY_CHECK(prusik_permits_init(&box->permits, 1) == 0);
		PARTY_CHECK(prusik_permits_release(&box->permits) == -EPERM);
		PARTY_CHECK(prusik_permits_value(&box->permits) == 1);
	}
	return 0;
}

/* Not an error that could be seen: all is as after the first time. */
static void made_anew(enum party_kind kind)
{
	in_a_party(kind, initialise_again);
}
BOTH(made_anew)

static void barrier_of_one(enum party_kind kind)
{
	in_a_party(kind, meet_nobody);
}
BOTH(barrier_of_one)
