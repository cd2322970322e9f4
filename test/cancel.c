/* SPDX-License-Identifier: MIT */
#include "waits_kit.h"

#define WAITERS UINT32_C(2)

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

static int count_waits(enum party_kind kind, int not_so)
{
	const struct wait *chosen[WAITS];

	return choose_waits(kind, WAIT_NOT_CANCELED | not_so, chosen);
}

/* All that are possible there; then again those that more than one at a time can do. */
static const struct wait *choose(const struct box *box, int index)
{
	const struct wait *chosen[WAITS];
	int all = count_waits(box->kind, 0);

	if (index < all)
		choose_waits(box->kind, WAIT_NOT_CANCELED, chosen);
	else
		index = (index - all) % choose_waits(box->kind, WAIT_NOT_CANCELED | WAIT_ALONE, chosen);
	return chosen[index];
}

/* In a party's function. */
#define WAIT_CHECK(one, deadline, expected)                                                                            \
	do {                                                                                                           \
		int r_ = (one)->wait(box, (deadline));                                                                 \
		if (r_ != (expected)) {                                                                                \
			fprintf(stderr, "%s: %d\n", (one)->name, r_);                                                  \
			return __LINE__ % 255 + 1;                                                                     \
		}                                                                                                      \
	} while (0)

static int wait_canceled(void *shared, int index)
{
	struct box *box = shared;
	const struct wait *one = choose(box, index);

	prusik_cancel_use(&box->stop);
	one_more(&box->waiting);
	WAIT_CHECK(one, PRUSIK_FOREVER, -ECANCELED);
	WAIT_CHECK(one, prusik_in_s(100), -ECANCELED); /* still set */
	WAIT_CHECK(one, PRUSIK_NOW, one->is & WAIT_ALWAYS ? -ECANCELED : -ETIMEDOUT);
	one_more(&box->gone);
	return 0;
}

/* One token ends all kinds of waits, of many threads or processes. */
static void ends_every_wait(enum party_kind kind)
{
	struct box *box = box_to_wait_in(kind);
	struct party *all[2 * WAITS];
	int n = count_waits(kind, 0) + count_waits(kind, WAIT_ALONE);

	for (int i = 0; i < n; i++)
		all[i] = party_start(kind, wait_canceled, box, i);
	party_await(&box->waiting, n);
	await_sleeper(&box->stop);
	pause_ms(30);
	ck_assert_int_eq(party_word(&box->gone), 0);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	box_leave(box);
}
BOTH(ends_every_wait)

static int wait_canceled_with_others(void *shared, int index)
{
	return wait_canceled(shared, count_waits(PROCESSES, 0) + index);
}

static int crew(void *shared, int index)
{
	(void)index;
	party_run(THREADS, count_waits(PROCESSES, WAIT_ALONE), wait_canceled_with_others, shared);
	return 0;
}

TEST(one_token_for_threads_of_several_processes)
{
	struct box *box = box_to_wait_in(PROCESSES);
	struct party *a = party_start(PROCESSES, crew, box, 0);
	struct party *b = party_start(PROCESSES, crew, box, 0);

	party_await(&box->waiting, 2 * count_waits(PROCESSES, WAIT_ALONE));
	pause_ms(30);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	ck_assert_int_eq(party_join(a), 0);
	ck_assert_int_eq(party_join(b), 0);
	box_leave(box);
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

	for (int i = 0; i < count_waits(kind, 0); i++) {
		struct party *p = party_start(kind, set_before, box, i);
		ck_assert_int_eq(party_join(p), 0);
	}
	box_leave(box);
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
	ck_assert_int_eq(prusik_once(&box->once, do_nothing, NULL, PRUSIK_FOREVER), 0);
	prusik_cancel_use(NULL);
}

static int wait_canceled_once(void *shared, int index)
{
	struct box *box = shared;
	const struct wait *one = choose(box, index);

	prusik_cancel_use(&box->stop);
	one_more(&box->waiting);
	WAIT_CHECK(one, prusik_in_s(100), -ECANCELED);
	one_more(&box->gone);
	return 0;
}

/* Set and cleared at once: who slept comes back, later waits wait. */
static void set_and_cleared_at_once(enum party_kind kind)
{
	struct box *box = box_to_wait_in(kind);
	struct party *all[WAITS];
	int n = count_waits(kind, 0);

	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < n; i++)
			all[i] = party_start(kind, wait_canceled_once, box, i);
		party_await(&box->waiting, round * n);
		while (party_word(&box->gone) < round * n) { /* once, but for those that came late */
			pause_ms(50);
			ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
			ck_assert_int_eq(prusik_cancel_clear(&box->stop), 0);
		}
		for (int i = 0; i < n; i++)
			ck_assert_int_eq(party_join(all[i]), 0);
	}
	prusik_cancel_use(&box->stop);
	ck_assert_int_eq(prusik_event_wait(&box->event, prusik_in_ms(10)), -ETIMEDOUT);
	box_leave(box);
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
	box_leave(box);
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

static int event_canceled(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	prusik_cancel_use(&box->stop);
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_FOREVER) == -ECANCELED);
	return 0;
}

TEST(set_by_one_who_takes_no_part_and_dies)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *waiter = party_start(PROCESSES, event_canceled, box, 0);

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
