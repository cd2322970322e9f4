/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/arena.h>
#include <prusik/cancel.h>
#include <prusik/condition.h>
#include <prusik/event.h>
#include <prusik/lock.h>
#include <prusik/once.h>
#include <prusik/queue.h>
#include <prusik/semaphore.h>

#define WAITERS UINT32_C(2)

struct box {
	struct prusik_cancel stop, other;
	struct prusik_lock lock;
	struct prusik_condition condition;
	struct prusik_event event;
	struct prusik_semaphore semaphore;
	struct prusik_once once;
	struct prusik_permits permits;
	uint32_t holders[1];
	struct prusik_queue *empty, *full;
	int waiting, gone, kinds;
};

static void one_more(int *word)
{
	prk_add32_acqrel((uint32_t *)word, 1);
}

static void await_sleeper(const struct prusik_cancel *cancel)
{
	while (!(prk_load32_acq(&cancel->word) & WAITERS))
		pause_ms(1);
}

TEST(flag)
{
	struct prusik_cancel c = { 0 };
	struct prusik_cancel *askew = (struct prusik_cancel *)(void *)((char *)&c + 1);

	ck_assert_int_eq(prusik_cancel_is_set(&c), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(prusik_cancel_set(&c), 0);
		ck_assert_int_eq(prusik_cancel_set(&c), 0);
		ck_assert_int_eq(prusik_cancel_is_set(&c), 1);
		ck_assert_int_eq(prusik_cancel_clear(&c), 0);
		ck_assert_int_eq(prusik_cancel_clear(&c), 0);
		ck_assert_int_eq(prusik_cancel_is_set(&c), 0);
	}
	ck_assert_int_eq(prusik_cancel_set(NULL), -EINVAL);
	ck_assert_int_eq(prusik_cancel_set(askew), -EINVAL);
	ck_assert_int_eq(prusik_cancel_clear(NULL), -EINVAL);
	ck_assert_int_eq(prusik_cancel_clear(askew), -EINVAL);
	ck_assert_int_eq(prusik_cancel_is_set(NULL), -EINVAL);
	ck_assert_int_eq(prusik_cancel_is_set(askew), -EINVAL);
}

TEST(use_tells_the_one_before)
{
	struct prusik_cancel a = { 0 }, b = { 0 };

	ck_assert_ptr_null(prusik_cancel_use(&a));
	ck_assert_ptr_eq(prusik_cancel_use(&b), &a);
	ck_assert_ptr_eq(prusik_cancel_use(&b), &b);
	ck_assert_ptr_eq(prusik_cancel_use(NULL), &b);
	ck_assert_ptr_null(prusik_cancel_use(NULL));
}

static int heeds_none(void *shared, int index)
{
	(void)shared;
	(void)index;
	PARTY_CHECK(!prusik_cancel_use(NULL));
	return 0;
}

static int heeds_its_parents(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_FOREVER) == -ECANCELED);
	PARTY_CHECK(prusik_cancel_use(NULL) == &box->stop);
	return 0;
}

TEST(new_threads_heed_none_and_forked_children_the_same)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	prusik_cancel_use(&box->stop);
	party_run(THREADS, 1, heeds_none, box);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	party_run(PROCESSES, 1, heeds_its_parents, box);
	prusik_cancel_use(NULL);
}

/* ---- all waits of the library ---- */

static int nothing(void *arg, int recovered)
{
	(void)arg;
	(void)recovered;
	return 0;
}

static int wait_lock(struct box *box, int64_t deadline)
{
	return prusik_lock_acquire(&box->lock, deadline);
}

static int wait_event(struct box *box, int64_t deadline)
{
	return prusik_event_wait(&box->event, deadline);
}

static int wait_semaphore(struct box *box, int64_t deadline)
{
	return prusik_semaphore_acquire(&box->semaphore, deadline);
}

static int wait_permits(struct box *box, int64_t deadline)
{
	return prusik_permits_acquire(&box->permits, deadline);
}

static int wait_once(struct box *box, int64_t deadline)
{
	return prusik_once(&box->once, nothing, NULL, deadline);
}

static int wait_get(struct box *box, int64_t deadline)
{
	char item[16];

	return (int)prusik_queue_get(box->empty, item, sizeof item, deadline);
}

static int wait_put(struct box *box, int64_t deadline)
{
	return prusik_queue_put(box->full, "x", 1, deadline);
}

typedef int wait_fn(struct box *box, int64_t deadline);
static wait_fn *const waits[] = {
	wait_lock, wait_event, wait_semaphore, wait_permits, wait_once, wait_get, wait_put,
};
#define WAITS ((int)(sizeof waits / sizeof waits[0]))

static struct prusik_queue *new_queue(enum party_kind kind)
{
	const struct prusik_queue_options options = { .capacity = 2, .item_max = 16 };
	struct prusik_arena *arena = NULL;
	struct prusik_queue *queue;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, prusik_queue_size(&options) + 65536, &arena), 0);
	ck_assert_int_eq(prusik_queue_create(arena, arena ? "items" : NULL, &options, &queue), 0);
	party_keep(arena);
	return party_keep(queue);
}

/* Everything in it is held by the caller, empty or full: whoever comes must wait. */
static struct box *box_to_wait_in(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_quiet();
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_permits_init(&box->permits, 1), 0);
	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER), 0);
	box->once.word = prk_self()->id;
	box->empty = new_queue(kind);
	box->full = new_queue(kind);
	while (prusik_queue_put(box->full, "x", 1, PRUSIK_NOW) == 0)
		;
	return box;
}

static int wait_canceled(void *shared, int index)
{
	struct box *box = shared;

	prusik_cancel_use(&box->stop);
	one_more(&box->waiting);
	PARTY_CHECK(waits[index % WAITS](box, PRUSIK_FOREVER) == -ECANCELED);
	PARTY_CHECK(waits[index % WAITS](box, prusik_in_s(100)) == -ECANCELED); /* still set */
	PARTY_CHECK(waits[index % WAITS](box, PRUSIK_NOW) == -ETIMEDOUT); /* does not wait */
	one_more(&box->gone);
	return 0;
}

/* One token ends all kinds of waits, of many threads or processes. */
static void ends_every_wait(enum party_kind kind)
{
	struct box *box = box_to_wait_in(kind);
	struct party *all[2 * WAITS];

	for (int i = 0; i < 2 * WAITS; i++)
		all[i] = party_start(kind, wait_canceled, box, i);
	party_await(&box->waiting, 2 * WAITS);
	await_sleeper(&box->stop);
	pause_ms(30);
	ck_assert_int_eq(party_word(&box->gone), 0);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	for (int i = 0; i < 2 * WAITS; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 0);
	ck_assert_int_eq(prusik_permits_value(&box->permits), 1);
}
BOTH(ends_every_wait)

static int crew(void *shared, int index)
{
	(void)index;
	party_run(THREADS, WAITS, wait_canceled, shared);
	return 0;
}

TEST(one_token_for_threads_of_several_processes)
{
	struct box *box = box_to_wait_in(PROCESSES);
	struct party *a = party_start(PROCESSES, crew, box, 0);
	struct party *b = party_start(PROCESSES, crew, box, 0);

	party_await(&box->waiting, 2 * WAITS);
	pause_ms(30);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	ck_assert_int_eq(party_join(a), 0);
	ck_assert_int_eq(party_join(b), 0);
}

static int set_before(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(prusik_cancel_set(&box->stop) == 0);
	return wait_canceled(box, index);
}

static void set_before_the_wait(enum party_kind kind)
{
	struct box *box = box_to_wait_in(kind);

	for (int i = 0; i < WAITS; i++) {
		struct party *p = party_start(kind, set_before, box, i);
		ck_assert_int_eq(party_join(p), 0);
	}
}
BOTH(set_before_the_wait)

/* What need not wait goes on as ever. */
TEST(set_but_no_need_to_wait)
{
	struct box *box = party_memory(THREADS, sizeof *box);

	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	prusik_cancel_use(&box->stop);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), -EDEADLK);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_event_set(&box->event), 0);
	ck_assert_int_eq(prusik_event_wait(&box->event, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 1), 0);
	ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER), -ECANCELED);
	ck_assert_int_eq(prusik_permits_init(&box->permits, 1), 0);
	ck_assert_int_eq(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_permits_release(&box->permits), 0);
	ck_assert_int_eq(prusik_once(&box->once, nothing, NULL, PRUSIK_FOREVER), 0);
	prusik_cancel_use(NULL);
}

static int wait_canceled_once(void *shared, int index)
{
	struct box *box = shared;

	prusik_cancel_use(&box->stop);
	one_more(&box->waiting);
	PARTY_CHECK(waits[index % WAITS](box, prusik_in_s(15)) == -ECANCELED);
	return 0;
}

/* Set and cleared at once: who slept comes back, later waits wait. */
static void set_and_cleared_at_once(enum party_kind kind)
{
	struct box *box = box_to_wait_in(kind);
	struct party *all[WAITS];

	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < WAITS; i++)
			all[i] = party_start(kind, wait_canceled_once, box, i);
		party_await(&box->waiting, round * WAITS);
		pause_ms(50);
		ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
		ck_assert_int_eq(prusik_cancel_clear(&box->stop), 0);
		for (int i = 0; i < WAITS; i++)
			ck_assert_int_eq(party_join(all[i]), 0);
	}
	prusik_cancel_use(&box->stop);
	ck_assert_int_eq(prusik_event_wait(&box->event, prusik_in_ms(10)), -ETIMEDOUT);
	prusik_cancel_use(NULL);
}
BOTH(set_and_cleared_at_once)

static int wait_on_condition(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	prusik_cancel_use(&box->stop);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	one_more(&box->waiting);
	PARTY_CHECK(prusik_condition_wait(&box->condition, &box->lock, PRUSIK_FOREVER) == -ECANCELED);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_NOW) == -EDEADLK); /* it has it again */
	pause_ms(5); /* the others are kept waiting for it, the token being set */
	box->gone++;
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	return 0;
}

static void condition_takes_its_lock_again(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[5];

	party_quiet();
	for (int i = 0; i < 5; i++)
		all[i] = party_start(kind, wait_on_condition, box, i);
	party_await(&box->waiting, 5);
	pause_ms(20);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->gone, 5);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
}
BOTH(condition_takes_its_lock_again)

static int put_and_get(void *shared, int index)
{
	struct box *box = shared;
	char item[16];

	(void)index;
	prusik_cancel_use(&box->stop);
	for (int i = 0; i < 3000; i++) {
		int r = prusik_queue_put(box->empty, "x", 1, PRUSIK_NOW);
		PARTY_CHECK(r == 0 || r == -ETIMEDOUT);
		int64_t n = prusik_queue_get(box->empty, item, sizeof item, PRUSIK_NOW);
		PARTY_CHECK(n == 1 || n == -ETIMEDOUT);
	}
	return 0;
}

/* The queue's own locks are waited for, token or not: nothing is half done. */
TEST(locks_of_the_library_are_not_affected)
{
	struct box *box = box_to_wait_in(THREADS);

	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	party_run(THREADS, 6, put_and_get, box);
}

static struct prusik_cancel *from_handler;

static void set_on_signal(int signal)
{
	(void)signal;
	prusik_cancel_set(from_handler);
}

static int canceled_by_own_handler(void *shared, int index)
{
	struct box *box = shared;
	struct sigaction action = { .sa_handler = set_on_signal };

	(void)index;
	from_handler = &box->stop;
	prusik_cancel_use(&box->stop);
	sigaction(SIGALRM, &action, NULL);
	for (int i = 0; i < 50; i++) {
		ualarm((unsigned int)(200 + 137 * i), 0);
		PARTY_CHECK(prusik_event_wait(&box->event, prusik_in_s(15)) == -ECANCELED);
		PARTY_CHECK(prusik_cancel_clear(&box->stop) == 0);
	}
	return 0;
}

TEST(set_by_a_handler)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	party_run(PROCESSES, 1, canceled_by_own_handler, box);
}

static int set_as_a_stranger(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_cancel_set(&box->stop) == 0);
	PARTY_CHECK(prk_self()->id == 0);
	kill(getpid(), SIGKILL);
	return 0;
}

TEST(set_by_one_who_takes_no_part_and_dies)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *waiter = party_start(PROCESSES, wait_canceled, box, 1);

	await_sleeper(&box->stop);
	ck_assert_int_eq(party_join(party_start(PROCESSES, set_as_a_stranger, box, 0)), -SIGKILL);
	ck_assert_int_eq(party_join(waiter), 0);
}

/* A token that is not heeded any more, or not yet, ends nothing. */
TEST(another_token_is_not_heeded)
{
	struct box *box = party_memory(THREADS, sizeof *box);

	prusik_cancel_use(&box->other);
	prusik_cancel_use(&box->stop);
	ck_assert_int_eq(prusik_cancel_set(&box->other), 0);
	ck_assert_int_eq(prusik_event_wait(&box->event, prusik_in_ms(10)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	ck_assert_int_eq(prusik_event_wait(&box->event, prusik_in_ms(10)), -ECANCELED);
	prusik_cancel_use(NULL);
	ck_assert_int_eq(prusik_event_wait(&box->event, prusik_in_ms(10)), -ETIMEDOUT);
}

static int take_one(void *shared, int index)
{
	struct box *box = shared;

	if (index % 2)
		prusik_cancel_use(&box->stop);
	one_more(&box->waiting);
	int r = prusik_semaphore_acquire(&box->semaphore, prusik_in_s(15));
	PARTY_CHECK(r == 0 || (index % 2 && r == -ECANCELED));
	if (r == 0)
		one_more(&box->gone);
	return 0;
}

/* Canceled and released at the same moment: no permit is lost with a canceled waiter. */
static void no_permit_is_lost(enum party_kind kind)
{
	for (int round = 0; round < 30; round++) {
		struct box *box = party_memory(kind, sizeof *box);
		struct party *all[6];

		for (int i = 0; i < 6; i++)
			all[i] = party_start(kind, take_one, box, i);
		party_await(&box->waiting, 6);
		pause_ms(round % 4);
		ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 3), 0);
		ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
		/* whoever was canceled took none: three are enough for those who were not */
		party_await(&box->gone, 3);
		ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 3), 0);
		for (int i = 0; i < 6; i++)
			ck_assert_int_eq(party_join(all[i]), 0);
		ck_assert_int_eq(box->gone + prusik_semaphore_value(&box->semaphore), 6);
	}
}
BOTH(no_permit_is_lost)
