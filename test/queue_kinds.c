/* SPDX-License-Identifier: MIT */
/*
 * What CPython's own tests ask of queue.Queue, LifoQueue and PriorityQueue, asked of
 * each kind, in private memory among threads, and in shared memory among processes.
 * Items are small numbers; their priority is their value.
 */
#include "party.h"

#include "data/queue.h"

#include <prusik/queue.h>

struct setting {
	enum party_kind party;
	enum prusik_queue_kind kind;
	struct prusik_queue *queue;
	int step; /* how far a party has come */
	int result[8];
};

/* A capacity of two is what CPython's tests use. */
static struct setting *begin(enum party_kind party, enum prusik_queue_kind kind, uint64_t capacity)
{
	struct prusik_queue_options options = { .capacity = capacity, .item_max = sizeof(int), .kind = kind };
	struct setting *s = party_memory(party, sizeof *s);
	struct prusik_arena *arena = NULL;

	if (party == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, prusik_queue_size(&options) + 65536, &arena), 0);
	*s = (struct setting){ .party = party, .kind = kind };
	ck_assert_int_eq(prusik_queue_create(arena, arena ? "items" : NULL, &options, &s->queue), 0);
	party_keep(arena);
	party_keep(s->queue);
	return s;
}

#define KIND(body, name, party, kind)                                                             \
	TEST(body##_##name)                                                                       \
	{                                                                                         \
		body(party, kind);                                                                \
	}
#define ALL(body)                                                                                 \
	KIND(body, fifo_threads, THREADS, PRUSIK_QUEUE_FIFO)                                      \
	KIND(body, lifo_threads, THREADS, PRUSIK_QUEUE_LIFO)                                      \
	KIND(body, priority_threads, THREADS, PRUSIK_QUEUE_PRIORITY)                              \
	KIND(body, fifo_processes, PROCESSES, PRUSIK_QUEUE_FIFO)                                  \
	KIND(body, lifo_processes, PROCESSES, PRUSIK_QUEUE_LIFO)                                  \
	KIND(body, priority_processes, PROCESSES, PRUSIK_QUEUE_PRIORITY)

static int put(struct prusik_queue *q, int value, int64_t deadline)
{
	struct prusik_queue_put_options options = { .priority = value };

	return prusik_queue_put_with(q, &value, sizeof value, &options, deadline);
}

/* The value, or why there is none. */
static int get(struct prusik_queue *q, int64_t deadline)
{
	int value = 0;
	int64_t r = prusik_queue_get(q, &value, sizeof value, deadline);

	return r < 0 ? (int)r : value;
}

static int take_and_finish(struct prusik_queue *q, int64_t deadline)
{
	struct prusik_lease lease;
	int r = prusik_queue_take(q, &lease, deadline);

	if (r < 0)
		return r;
	memcpy(&r, lease.data, sizeof r);
	int d = prusik_queue_done(q, &lease);
	return d < 0 ? d : r;
}

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

/* ---- shutdown ---- */

static void close_empty(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 2)->queue;

	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(put(q, 1, PRUSIK_NOW), -EPIPE);
	ck_assert_int_eq(get(q, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(get(q, PRUSIK_NOW), -EPIPE);
	ck_assert_int_eq(prusik_queue_join(q, PRUSIK_FOREVER), 0);
}
ALL(close_empty)

static void close_nonempty(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 2)->queue;

	ck_assert_int_eq(put(q, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(get(q, PRUSIK_FOREVER), 1);
	ck_assert_int_eq(get(q, PRUSIK_FOREVER), -EPIPE);
}
ALL(close_nonempty)

static void close_at_once(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 2)->queue;

	ck_assert_int_eq(put(q, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DISCARD), 0);
	ck_assert_int_eq(prusik_queue_length(q), 0);
	ck_assert_int_eq(get(q, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(prusik_queue_join(q, PRUSIK_FOREVER), 0);
}
ALL(close_at_once)

static void close_again(enum party_kind party, enum prusik_queue_kind kind)
{
	struct prusik_queue *q = begin(party, kind, 2)->queue;

	ck_assert_int_eq(put(q, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(prusik_queue_length(q), 1);
	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DISCARD), 0);
	ck_assert_int_eq(get(q, PRUSIK_NOW), -EPIPE);
	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DRAIN), 0); /* what is thrown away stays so */
	ck_assert_int_eq(get(q, PRUSIK_NOW), -EPIPE);
}
ALL(close_again)

static int wait_in_get(void *shared, int index)
{
	struct setting *s = shared;

	prk_add32_acqrel((uint32_t *)&s->step, 1);
	s->result[index] = get(s->queue, PRUSIK_FOREVER);
	return 0;
}

static int wait_in_put(void *shared, int index)
{
	struct setting *s = shared;

	prk_add32_acqrel((uint32_t *)&s->step, 1);
	s->result[index] = put(s->queue, index, PRUSIK_FOREVER);
	return 0;
}

static int wait_in_join(void *shared, int index)
{
	struct setting *s = shared;

	prk_add32_acqrel((uint32_t *)&s->step, 1);
	s->result[index] = prusik_queue_join(s->queue, PRUSIK_FOREVER);
	return 0;
}

static void close_wakes(struct setting *s, party_fn *waiting, enum prusik_queue_close how, int expected)
{
	struct party *p[4];

	for (int i = 0; i < 4; i++)
		p[i] = party_start(s->party, waiting, s, i);
	party_await(&s->step, 4);
	pause_ms(20);
	ck_assert_int_eq(prusik_queue_close(s->queue, how), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(party_join(p[i]), 0);
		ck_assert_int_eq(s->result[i], expected);
	}
}

static void close_wakes_getters(enum party_kind party, enum prusik_queue_kind kind)
{
	close_wakes(begin(party, kind, 2), wait_in_get, PRUSIK_QUEUE_DRAIN, -EPIPE);
}
ALL(close_wakes_getters)

static void close_at_once_wakes_getters(enum party_kind party, enum prusik_queue_kind kind)
{
	close_wakes(begin(party, kind, 2), wait_in_get, PRUSIK_QUEUE_DISCARD, -EPIPE);
}
ALL(close_at_once_wakes_getters)

static void close_wakes_putters(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 1);

	ck_assert_int_eq(put(s->queue, 9, PRUSIK_NOW), 0);
	close_wakes(s, wait_in_put, PRUSIK_QUEUE_DRAIN, -EPIPE);
	ck_assert_int_eq(get(s->queue, PRUSIK_NOW), 9);
}
ALL(close_wakes_putters)

static void close_at_once_wakes_putters(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 1);

	ck_assert_int_eq(put(s->queue, 9, PRUSIK_NOW), 0);
	close_wakes(s, wait_in_put, PRUSIK_QUEUE_DISCARD, -EPIPE);
}
ALL(close_at_once_wakes_putters)

static void close_at_once_wakes_joiners(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 2);

	ck_assert_int_eq(put(s->queue, 9, PRUSIK_NOW), 0);
	close_wakes(s, wait_in_join, PRUSIK_QUEUE_DISCARD, 0);
}
ALL(close_at_once_wakes_joiners)

static void join_of_a_closed_queue_waits(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 2);

	ck_assert_int_eq(put(s->queue, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(put(s->queue, 2, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_close(s->queue, PRUSIK_QUEUE_DRAIN), 0);
	struct party *p = party_start(party, wait_in_join, s, 0);
	party_await(&s->step, 1);
	s->result[0] = 1;
	ck_assert_int_gt(take_and_finish(s->queue, PRUSIK_NOW), 0);
	ck_assert_int_gt(take_and_finish(s->queue, PRUSIK_NOW), 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(s->result[0], 0);
}
ALL(join_of_a_closed_queue_waits)

static void a_lease_outlives_close(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 2);
	struct prusik_lease lease;

	ck_assert_int_eq(put(s->queue, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(put(s->queue, 2, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_take(s->queue, &lease, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_close(s->queue, PRUSIK_QUEUE_DISCARD), 0);
	ck_assert_int_eq(prusik_queue_join(s->queue, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_done(s->queue, &lease), 0);
	ck_assert_int_eq(prusik_queue_join(s->queue, PRUSIK_NOW), 0);
}
ALL(a_lease_outlives_close)

/* Many putters and getters, closed in the midst of it: nothing that was put is lost. */
static int put_until_closed(void *shared, int index)
{
	struct setting *s = shared;
	int r, n = 0;

	while ((r = put(s->queue, 1, PRUSIK_FOREVER)) == 0)
		n++;
	s->result[index] = n;
	PARTY_CHECK(r == -EPIPE);
	return 0;
}

static int count_until_closed(void *shared, int index)
{
	struct setting *s = shared;
	int r, n = 0;

	while ((r = get(s->queue, PRUSIK_FOREVER)) == 1)
		n++;
	s->result[index] = n;
	PARTY_CHECK(r == -EPIPE);
	return 0;
}

static void close_among_many(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 4);
	struct party *p[6];

	for (int i = 0; i < 6; i++)
		p[i] = party_start(party, i < 3 ? put_until_closed : count_until_closed, s, i);
	pause_ms(30);
	ck_assert_int_eq(prusik_queue_close(s->queue, PRUSIK_QUEUE_DRAIN), 0);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(party_join(p[i]), 0);
	ck_assert_int_eq(s->result[0] + s->result[1] + s->result[2],
			 s->result[3] + s->result[4] + s->result[5]);
	ck_assert(prk_queue_valid(s->queue));
}
ALL(close_among_many)

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
