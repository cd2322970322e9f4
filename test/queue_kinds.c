/* SPDX-License-Identifier: MIT */
/*
 * What CPython's own tests ask of queue.Queue, LifoQueue and PriorityQueue (24 tests in
 * Lib/test/test_queue.py), asked of each kind, private and shared. Which of ours shows what:
 *
 *	basic                     order, full_and_empty, get_waits_for_put, put_waits_for_get
 *	queue_task_done           done_twice_is_refused
 *	queue_join                join_waits_for_the_last_done
 *	negative_timeout          a_deadline_that_has_passed (here it is a try: deadlines are absolute)
 *	nowait                    full_and_empty
 *	shrinking_queue           full_and_empty (a capacity does not change here; full stays full)
 *	shutdown...               all 18 of them in queue_close.c
 *
 * and that empty() right after put() is never true: never_empty_after_put,
 * never_empty_while_others_move_items.
 */
#include "queue_kit.h"

/* The order in which 111, 333, 222 come out. */
static const int orders[3][3] = { { 111, 333, 222 }, { 222, 333, 111 }, { 111, 222, 333 } };

/* ---- test_basic and what belongs to it ---- */

static void order(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 3);

	for (int lap = 0; lap < 5; lap++) {
		ck_assert_int_eq(prusik_queue_is_empty(s->queue), 1);
		ck_assert_int_eq(put(s->queue, 111, PRUSIK_NOW), 0);
		ck_assert_int_eq(put(s->queue, 333, PRUSIK_NOW), 0);
		ck_assert_int_eq(put(s->queue, 222, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_queue_is_full(s->queue), 1);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq((lap & 1 ? get : take_and_finish)(s->queue, PRUSIK_NOW), orders[kind][i]);
		ck_assert(prk_queue_valid(s->queue));
	}
}
ALL(order)

static void full_and_empty(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 2)->queue;

	ck_assert_int_eq(prusik_queue_is_empty(q), 1);
	ck_assert_int_eq(put(q, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_is_empty(q), 0);
	ck_assert_int_eq(prusik_queue_is_full(q), 0);
	ck_assert_int_eq(prusik_queue_length(q), 1);
	ck_assert_int_eq(put(q, 2, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_is_full(q), 1);
	ck_assert_int_eq(put(q, 3, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(put(q, 3, prusik_in_ms(5)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_length(q), 2);
	ck_assert_int_ge(get(q, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_is_full(q), 0);
	ck_assert_int_ge(get(q, PRUSIK_NOW), 0);
	ck_assert_int_eq(get(q, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(get(q, prusik_in_ms(5)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_is_empty(q), 1);
}
ALL(full_and_empty)

static void a_deadline_that_has_passed(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 1)->queue;

	ck_assert_int_eq(get(q, -1), -ETIMEDOUT);
	ck_assert_int_eq(put(q, 1, -1), 0);
	ck_assert_int_eq(put(q, 1, -1), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_join(q, -1), -ETIMEDOUT);
	ck_assert_int_eq(get(q, -1), 1);
}
ALL(a_deadline_that_has_passed)

static int put_one(void *shared, int index)
{
	struct setting *s = shared;

	party_say(&s->step, 1);
	PARTY_CHECK(put(s->queue, 7 + index, PRUSIK_FOREVER) == 0);
	return 0;
}

static void get_waits_for_put(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 2);

	for (int i = 0; i < 10; i++) {
		struct party *p = party_start(party, put_one, s, i);
		ck_assert_int_eq(get(s->queue, PRUSIK_FOREVER), 7 + i);
		ck_assert_int_eq(party_join(p), 0);
	}
	ck_assert_int_eq(get(s->queue, prusik_in_ms(5)), -ETIMEDOUT);
	struct prusik_queue_stats stats;
	ck_assert_int_eq(prusik_queue_stats(s->queue, &stats), 0);
	ck_assert_uint_ge(stats.take_waits, 1);
	ck_assert(stats.put == 10 && stats.done == 10 && stats.put_waits == 0);
}
ALL(get_waits_for_put)

static void put_waits_for_get(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 2);

	ck_assert_int_eq(put(s->queue, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(put(s->queue, 2, PRUSIK_NOW), 0);
	struct party *p = party_start(party, put_one, s, 0);
	struct prusik_queue_stats stats = { .put_waits = 0 };
	while (stats.put_waits == 0) { /* until it sleeps, or is about to */
		pause_ms(1);
		ck_assert_int_eq(prusik_queue_stats(s->queue, &stats), 0);
	}
	ck_assert_uint_eq(stats.put, 2);
	ck_assert_int_gt(get(s->queue, PRUSIK_NOW), 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(prusik_queue_is_full(s->queue), 1);
	ck_assert_int_eq(prusik_queue_stats(s->queue, &stats), 0);
	ck_assert_uint_ge(stats.put_waits, 1);
	ck_assert_uint_eq(stats.take_waits, 0);
}
ALL(put_waits_for_get)

static void never_empty_after_put(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 8)->queue;

	for (int i = 0; i < 2000; i++) {
		ck_assert_int_eq(put(q, i, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_queue_is_empty(q), 0);
		if (i % 3 == 2)
			for (int j = 0; j < 3; j++)
				ck_assert_int_ge(get(q, PRUSIK_NOW), 0);
	}
}
ALL(never_empty_after_put)

/* Another one takes and gives back all the time, so items move between ring and heap. */
static int shuffle(void *shared, int index)
{
	struct setting *s = shared;
	struct prusik_lease lease;

	(void)index;
	while (party_word(&s->step) == 0) {
		if (prusik_queue_take(s->queue, &lease, PRUSIK_NOW) == 0)
			PARTY_CHECK(prusik_queue_release(s->queue, &lease) == 0);
	}
	return 0;
}

/* With two items, of which the other has one at most. */
static void never_empty_while_others_move_items(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 8);
	struct party *p = party_start(party, shuffle, s, 0);

	for (int i = 0; i < 3000; i++) {
		ck_assert_int_eq(put(s->queue, 1, PRUSIK_NOW), 0);
		ck_assert_int_eq(put(s->queue, 2, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_queue_is_empty(s->queue), 0);
		ck_assert_int_gt(get(s->queue, PRUSIK_FOREVER), 0);
		ck_assert_int_gt(get(s->queue, PRUSIK_FOREVER), 0);
	}
	party_say(&s->step, 1);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert(prk_queue_valid(s->queue));
}
ALL(never_empty_while_others_move_items)

static void peek(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 3)->queue;
	int value = 0;

	ck_assert_int_eq(prusik_queue_peek(q, &value, sizeof value, PRUSIK_NOW), -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(put(q, orders[0][i], PRUSIK_NOW), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(prusik_queue_peek(q, &value, sizeof value, PRUSIK_NOW), sizeof value);
		ck_assert_int_eq(value, orders[kind][i]);
		ck_assert_int_eq(prusik_queue_peek(q, &value, 1, PRUSIK_NOW), -EMSGSIZE);
		ck_assert_int_eq(get(q, PRUSIK_NOW), value);
	}
}
ALL(peek)

/* ---- task_done and join ---- */

static int work_until_closed(void *shared, int index)
{
	struct setting *s = shared;
	int r;

	(void)index;
	while ((r = take_and_finish(s->queue, PRUSIK_FOREVER)) >= 0)
		prk_add32_rlx((uint32_t *)&s->result[0], (uint32_t)r);
	PARTY_CHECK(r == -EPIPE);
	return 0;
}

static void join_waits_for_the_last_done(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 16);
	struct party *p[2];
	int sum = 0;

	ck_assert_int_eq(prusik_queue_join(s->queue, PRUSIK_NOW), 0);
	for (int i = 0; i < 2; i++)
		p[i] = party_start(party, work_until_closed, s, i);
	for (int lap = 0; lap < 5; lap++) {
		for (int i = 0; i < 100; i++, sum += i)
			ck_assert_int_eq(put(s->queue, i + 1, PRUSIK_FOREVER), 0);
		ck_assert_int_eq(prusik_queue_join(s->queue, PRUSIK_FOREVER), 0);
		ck_assert_int_eq(party_word(&s->result[0]) <= sum, 1);
	}
	ck_assert_int_eq(prusik_queue_close(s->queue, PRUSIK_QUEUE_DRAIN), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(party_join(p[i]), 0);
	ck_assert_int_eq(s->result[0], sum);
}
ALL(join_waits_for_the_last_done)

static void done_twice_is_refused(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 2)->queue;
	struct prusik_lease lease;

	ck_assert_int_eq(put(q, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_take(q, &lease, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_join(q, prusik_in_ms(5)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_done(q, &lease), 0);
	ck_assert_int_eq(prusik_queue_done(q, &lease), -ESTALE);
	ck_assert_int_eq(prusik_queue_join(q, PRUSIK_NOW), 0);
}
ALL(done_twice_is_refused)

/* ---- order, at length ---- */

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* What came out must be what the model, a plain array, has next. */
static int model_first(const int *value, const int *when, int n, enum prusik_queue_kind kind)
{
	int best = 0;

	for (int i = 1; i < n; i++) {
		bool earlier = kind == PRUSIK_QUEUE_FIFO ? when[i] < when[best] :
			       kind == PRUSIK_QUEUE_LIFO ? when[i] > when[best] :
			       value[i] != value[best]	 ? value[i] < value[best] :
							   when[i] < when[best];
		if (earlier)
			best = i;
	}
	return best;
}

static void order_as_of_a_model(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 50)->queue;
	int value[50], when[50], n = 0, expected;
	uint64_t random = 1;

	for (int i = 0; i < 20000; i++) {
		struct prusik_queue_put_options options = { .priority = (int)(next_random(&random) % 7) - 3 };
		if (n < 50 && next_random(&random) % 2) {
			int item[1] = { i };
			ck_assert_int_eq(prusik_queue_put_with(q, item, sizeof item, &options, PRUSIK_NOW), 0);
			value[n] = options.priority;
			when[n++] = i;
		} else if (n > 0) {
			expected = model_first(value, when, n, kind);
			ck_assert_int_eq((i % 3 ? get : take_and_finish)(q, PRUSIK_NOW), when[expected]);
			value[expected] = value[--n];
			when[expected] = when[n];
		}
		ck_assert_int_eq(prusik_queue_length(q), n);
	}
	ck_assert(prk_queue_valid(q));
}
ALL(order_as_of_a_model)
