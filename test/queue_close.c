/* SPDX-License-Identifier: MIT */
/*
 * What CPython's tests ask of Queue.shutdown, of each kind, private and shared.
 * PRUSIK_QUEUE_DISCARD is shutdown(immediate=True). Which of ours shows what:
 *
 *	shutdown_empty, _nonempty, _immediate        close_empty, close_nonempty, close_at_once
 *	shutdown_allowed_transitions                 close_again
 *	shutdown_all_methods_in_one_thread, and the
 *	same with immediate                          every_call_once_closed
 *	shutdown_all_methods_in_many_threads,
 *	and with immediate                           close_among_many, close_at_once_among_many
 *	shutdown_get, _pending_get, immediate_get    close_wakes_getters, close_at_once_wakes_getters
 *	shutdown_put, immediate_put                  close_wakes_putters, close_at_once_wakes_putters
 *	shutdown_join, immediate_join                close_leaves_joiners_waiting, join_of_a_closed_queue_waits,
 *	                                             close_at_once_wakes_joiners
 *	shutdown_put_join, immediate_put_join        close_with_a_putter_and_a_joiner, close_at_once_with_...
 *	shutdown_get_task_done_join                  close_while_the_last_is_worked_on, a_lease_outlives_close
 */
#include "queue_kit.h"

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

/* How many were put, how many came out. */
static void among_many(struct setting *s, enum prusik_queue_close how, int *ret_put, int *ret_got)
{
	struct party *p[6];

	for (int i = 0; i < 6; i++)
		p[i] = party_start(s->party, i < 3 ? put_until_closed : count_until_closed, s, i);
	pause_ms(30);
	ck_assert_int_eq(prusik_queue_close(s->queue, how), 0);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(party_join(p[i]), 0);
	*ret_put = s->result[0] + s->result[1] + s->result[2];
	*ret_got = s->result[3] + s->result[4] + s->result[5];
	ck_assert(prk_queue_valid(s->queue));
}

static void close_among_many(enum party_kind party, enum prusik_queue_kind kind)
{
	int had, got;

	among_many(begin(party, kind, 4), PRUSIK_QUEUE_DRAIN, &had, &got);
	ck_assert_int_eq(had, got);
}
ALL(close_among_many)

/* What is thrown away is no more than there is room for. */
static void close_at_once_among_many(enum party_kind party, enum prusik_queue_kind kind)
{
	int had, got;

	among_many(begin(party, kind, 4), PRUSIK_QUEUE_DISCARD, &had, &got);
	ck_assert(got <= had && had - got <= 4);
}
ALL(close_at_once_among_many)

/* ---- all calls, and several at once ---- */

/* What is there may be had, if not thrown away; then there is nothing for ever. */
static void every_call_once_closed(enum party_kind party, enum prusik_queue_kind kind)
{
	for (int how = PRUSIK_QUEUE_DRAIN; how <= PRUSIK_QUEUE_DISCARD; how++) {
		struct prusik_queue *q = begin(party, kind, 4)->queue;
		struct prusik_reservation room;
		struct prusik_lease lease, more[2];
		int value, left = how == PRUSIK_QUEUE_DRAIN ? 3 : 0;

		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(put(q, 2, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_queue_take(q, &lease, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_queue_close(q, (enum prusik_queue_close)how), 0);
		ck_assert_int_eq(put(q, 1, PRUSIK_NOW), -EPIPE);
		ck_assert_int_eq(put(q, 1, prusik_in_ms(5)), -EPIPE);
		ck_assert_int_eq(put(q, 1, PRUSIK_FOREVER), -EPIPE);
		ck_assert_int_eq(prusik_queue_put_many(q, &(struct iovec){ &value, sizeof value }, 1, PRUSIK_NOW),
				 -EPIPE);
		ck_assert_int_eq(prusik_queue_reserve(q, 1, &room, PRUSIK_FOREVER), -EPIPE);
		ck_assert_int_eq(prusik_queue_length(q), left);
		ck_assert_int_eq(prusik_queue_is_empty(q), left == 0);
		ck_assert_int_eq(prusik_queue_peek(q, &value, sizeof value, PRUSIK_NOW),
				 left ? (int)sizeof value : -EPIPE);
		for (; left > 1; left--)
			ck_assert_int_eq(get(q, PRUSIK_FOREVER), 2);
		ck_assert_int_eq(prusik_queue_join(q, PRUSIK_NOW), -ETIMEDOUT);
		if (left == 1)
			ck_assert_int_eq(take_and_finish(q, PRUSIK_FOREVER), 2);
		ck_assert_int_eq(get(q, PRUSIK_NOW), -EPIPE);
		ck_assert_int_eq(prusik_queue_take_many(q, more, 2, PRUSIK_FOREVER), -EPIPE);
		ck_assert_int_eq(prusik_queue_done(q, &lease), 0);
		ck_assert_int_eq(prusik_queue_join(q, PRUSIK_FOREVER), 0);
		ck_assert_int_eq(get(q, PRUSIK_FOREVER), -EPIPE);
		ck_assert(prk_queue_valid(q));
	}
}
ALL(every_call_once_closed)

static void close_leaves_joiners_waiting(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 2);

	ck_assert_int_eq(put(s->queue, 1, PRUSIK_NOW), 0);
	s->result[0] = 1;
	struct party *p = party_start(party, wait_in_join, s, 0);
	party_await(&s->step, 1);
	pause_ms(20);
	ck_assert_int_eq(prusik_queue_close(s->queue, PRUSIK_QUEUE_DRAIN), 0);
	pause_ms(20);
	ck_assert_int_eq(party_word(&s->result[0]), 1); /* it is there still */
	ck_assert_int_eq(take_and_finish(s->queue, PRUSIK_NOW), 1);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(s->result[0], 0);
}
ALL(close_leaves_joiners_waiting)

/* One waits for room, one for the end of all work. */
static void a_putter_and_a_joiner(struct setting *s, enum prusik_queue_close how)
{
	ck_assert_int_eq(put(s->queue, 1, PRUSIK_NOW), 0);
	struct party *putter = party_start(s->party, wait_in_put, s, 0);
	struct party *joiner = party_start(s->party, wait_in_join, s, 1);
	party_await(&s->step, 2);
	pause_ms(20);
	ck_assert_int_eq(prusik_queue_close(s->queue, how), 0);
	ck_assert_int_eq(party_join(putter), 0);
	ck_assert_int_eq(s->result[0], -EPIPE);
	if (how == PRUSIK_QUEUE_DRAIN)
		ck_assert_int_eq(take_and_finish(s->queue, PRUSIK_NOW), 1);
	ck_assert_int_eq(party_join(joiner), 0);
	ck_assert_int_eq(s->result[1], 0);
	ck_assert_int_eq(get(s->queue, PRUSIK_NOW), -EPIPE);
}

static void close_with_a_putter_and_a_joiner(enum party_kind party, enum prusik_queue_kind kind)
{
	a_putter_and_a_joiner(begin(party, kind, 1), PRUSIK_QUEUE_DRAIN);
}
ALL(close_with_a_putter_and_a_joiner)

static void close_at_once_with_a_putter_and_a_joiner(enum party_kind party, enum prusik_queue_kind kind)
{
	a_putter_and_a_joiner(begin(party, kind, 1), PRUSIK_QUEUE_DISCARD);
}
ALL(close_at_once_with_a_putter_and_a_joiner)

/* The last item is being worked on when the queue is closed, and somebody waits for that. */
static void close_while_the_last_is_worked_on(enum party_kind party, enum prusik_queue_kind kind)
{
	struct setting *s = begin(party, kind, 2);
	struct prusik_lease lease;

	ck_assert_int_eq(put(s->queue, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_take(s->queue, &lease, PRUSIK_NOW), 0);
	s->result[0] = 1;
	struct party *p = party_start(party, wait_in_join, s, 0);
	party_await(&s->step, 1);
	pause_ms(20);
	ck_assert_int_eq(prusik_queue_close(s->queue, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(party_word(&s->result[0]), 1);
	ck_assert_int_eq(prusik_queue_done(s->queue, &lease), 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(s->result[0], 0);
}
ALL(close_while_the_last_is_worked_on)

static int take_and_stay(void *shared, int unused)
{
	struct setting *s = shared;
	struct prusik_lease lease;

	(void)unused;
	PARTY_CHECK(prusik_queue_take(s->queue, &lease, PRUSIK_NOW) == 0);
	party_say(&s->step, 1);
	for (;;)
		pause_ms(1000);
}

static int join(void *shared, int unused)
{
	struct setting *s = shared;

	(void)unused;
	PARTY_CHECK(prusik_queue_join(s->queue, prusik_in_ms(1)) == -ETIMEDOUT);
	party_say(&s->step, 2);
	PARTY_CHECK(prusik_queue_join(s->queue, PRUSIK_FOREVER) == 0);
	return 0;
}

/* Nobody will take again what a dead one had, nor wait for its return. */
static void a_dead_takers_item_is_discarded_too(enum prusik_queue_kind kind)
{
	struct setting *s = begin(PROCESSES, kind, 2);

	ck_assert_int_eq(put(s->queue, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(put(s->queue, 2, PRUSIK_NOW), 0);
	struct party *taker = party_start(PROCESSES, take_and_stay, s, 0);
	party_await(&s->step, 1);
	ck_assert_int_eq(prusik_queue_close(s->queue, PRUSIK_QUEUE_DISCARD), 0);
	struct party *joiner = party_start(PROCESSES, join, s, 0);
	party_await(&s->step, 2);
	pause_ms(20);
	ck_assert_int_eq(kill(taker->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(joiner), 0);
	ck_assert_int_eq(party_join(taker), -SIGKILL);
	ck_assert(prk_queue_valid(s->queue));
}

TEST(a_dead_takers_item_is_discarded_too_fifo)
{
	a_dead_takers_item_is_discarded_too(PRUSIK_QUEUE_FIFO);
}

TEST(a_dead_takers_item_is_discarded_too_lifo)
{
	a_dead_takers_item_is_discarded_too(PRUSIK_QUEUE_LIFO);
}

TEST(a_dead_takers_item_is_discarded_too_priority)
{
	a_dead_takers_item_is_discarded_too(PRUSIK_QUEUE_PRIORITY);
}

/* Its time comes though nobody comes. */
TEST(a_lease_ends_by_time_in_a_discarded_queue)
{
	struct prusik_queue *q = begin(THREADS, PRUSIK_QUEUE_FIFO, 2)->queue;
	struct prusik_lease lease;

	ck_assert_int_eq(put(q, 1, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_take(q, &lease, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_detach(q, &lease, prusik_in_ms(30)), 0);
	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DISCARD), 0);
	ck_assert_int_eq(prusik_queue_join(q, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_join(q, PRUSIK_FOREVER), 0);
}
