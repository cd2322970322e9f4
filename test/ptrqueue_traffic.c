/* SPDX-License-Identifier: MIT */
/* ptrqueue, with many at both ends, and with those who are about to sleep */
#include "ptrqueue_kit.h"

#include <prusik/thread.h>

#define PRODUCERS 4
#define CONSUMERS 4

/* ---- many of them ---- */

/* What is put: who made it, and his how manieth it is; freed by who gets it. */
struct parcel {
	int producer, number;
};

struct traffic {
	struct prusik_ptrqueue *queue;
	int each, batch, patience_us;
	int put, got;
	char seen[PRODUCERS][20000];
};

static int64_t put_all(struct traffic *t, void **parcels, int count)
{
	int64_t deadline = t->patience_us ? prusik_in_us(t->patience_us) : PRUSIK_FOREVER;

	if (t->batch > 1)
		return prusik_ptrqueue_put_many(t->queue, parcels, (uint32_t)count, deadline);
	int r = prusik_ptrqueue_put(t->queue, parcels[0], deadline);
	return r < 0 ? r : 1;
}

static int produce(struct traffic *t, int index)
{
	void *parcels[16];

	for (int made = 0, n = 0; made < t->each || n > 0;) {
		for (; n < t->batch && made < t->each; n++) {
			struct parcel *parcel = malloc(sizeof *parcel);
			PARTY_CHECK(parcel);
			*parcel = (struct parcel){ index, made++ };
			parcels[n] = parcel;
		}
		int64_t r = put_all(t, parcels, n);
		if (r == -ETIMEDOUT && t->patience_us)
			continue;
		PARTY_CHECK(r > 0 && r <= n);
		n -= (int)r;
		memmove(parcels, parcels + r, (size_t)n * sizeof parcels[0]);
	}
	/* The last one closes. */
	if (prk_add32_acqrel((uint32_t *)&t->put, 1) + 1 == PRODUCERS)
		PARTY_CHECK(prusik_ptrqueue_close(t->queue, PRUSIK_QUEUE_DRAIN) == 0);
	return 0;
}

static int64_t get_some(struct traffic *t, void **parcels)
{
	int64_t deadline = t->patience_us ? prusik_in_us(t->patience_us) : PRUSIK_FOREVER;

	if (t->batch > 1)
		return prusik_ptrqueue_get_many(t->queue, parcels, (uint32_t)t->batch, deadline);
	int r = prusik_ptrqueue_get(t->queue, parcels, deadline);
	return r < 0 ? r : 1;
}

/* Each once; one producer's in order. */
static int consume(struct traffic *t)
{
	int last[PRODUCERS] = { -1, -1, -1, -1 };
	void *parcels[16];
	int64_t r;

	while ((r = get_some(t, parcels)) > 0 || (r == -ETIMEDOUT && t->patience_us)) {
		for (int64_t i = 0; i < r; i++) {
			struct parcel *parcel = parcels[i];
			PARTY_CHECK(parcel->number > last[parcel->producer]);
			last[parcel->producer] = parcel->number;
			PARTY_CHECK(t->seen[parcel->producer][parcel->number]++ == 0);
			free(parcel);
			one_more(&t->got);
		}
	}
	PARTY_CHECK(r == -EPIPE);
	return 0;
}

static int take_a_side(void *shared, int index)
{
	struct traffic *t = shared;

	return index < PRODUCERS ? produce(t, index) : consume(t);
}

static void traffic(uint64_t capacity, int each, int batch, int patience_us)
{
	struct traffic *t = party_memory(THREADS, sizeof *t);

	*t = (struct traffic){ .queue = new_queue(capacity), .each = each, .batch = batch, .patience_us = patience_us };
	party_run(THREADS, PRODUCERS + CONSUMERS, take_a_side, t);
	ck_assert_int_eq(t->got, PRODUCERS * each);
	for (int producer = 0; producer < PRODUCERS; producer++)
		for (int number = 0; number < each; number++)
			ck_assert_int_eq(t->seen[producer][number], 1);
	counts(t->queue, 0, 0);
}

TEST(one_by_one_through_one_place)
{
	traffic(1, 2000, 1, 0);
}

TEST(one_by_one)
{
	traffic(7, 20000, 1, 0);
}

TEST(one_by_one_in_a_wide_queue)
{
	traffic(1024, 20000, 1, 0);
}

TEST(in_batches)
{
	traffic(1024, 20000, 16, 0);
}

TEST(in_batches_larger_than_the_queue)
{
	traffic(5, 10000, 16, 0);
}

TEST(with_little_patience)
{
	traffic(3, 5000, 1, 50);
}

TEST(in_batches_with_little_patience)
{
	traffic(20, 10000, 16, 50);
}

/* Back and forth between two, who sleep each time or nearly so: no wake is lost. */
struct court {
	struct prusik_ptrqueue *there, *back;
};

static int return_each(void *shared, int unused)
{
	struct court *court = shared;
	void *ball;

	(void)unused;
	while (prusik_ptrqueue_get(court->there, &ball, PRUSIK_FOREVER) == 0)
		PARTY_CHECK(prusik_ptrqueue_put(court->back, ball, PRUSIK_FOREVER) == 0);
	return 0;
}

TEST(back_and_forth)
{
	struct court *court = party_memory(THREADS, sizeof *court);
	void *ball;

	*court = (struct court){ new_queue(1), new_queue(1) };
	struct party *p = party_start(THREADS, return_each, court, 0);
	for (int i = 0; i < 3000; i++) {
		ck_assert_int_eq(prusik_ptrqueue_put(court->there, &place[i], PRUSIK_FOREVER), 0);
		ck_assert_int_eq(prusik_ptrqueue_get(court->back, &ball, PRUSIK_FOREVER), 0);
		ck_assert_ptr_eq(ball, &place[i]);
	}
	ck_assert_int_eq(prusik_ptrqueue_close(court->there, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(party_join(p), 0);
}

/*
 * What a waiter needs comes after he has looked, and before he sleeps: a large batch
 * takes its time, during which he sees nothing yet, and then waits for the lock.
 */
#define MANY 32768

struct moments {
	struct prusik_ptrqueue *queue;
	int turn, puts;
	void *pile[MANY];
};

#define MOMENTS 1000

static int wait_each_turn(void *shared, int unused)
{
	struct moments *m = shared;
	void *got;

	(void)unused;
	for (int i = 1; i <= MOMENTS; i++) {
		while (party_word(&m->turn) < 2 * i - 1)
			prusik_thread_yield();
		int r = m->puts ? prusik_ptrqueue_put(m->queue, place, PRUSIK_FOREVER) :
				  prusik_ptrqueue_get(m->queue, &got, PRUSIK_FOREVER);
		PARTY_CHECK(r == 0);
		party_say(&m->turn, 2 * i);
	}
	return 0;
}

static int64_t move(struct moments *m, int in, uint32_t count)
{
	return in ? prusik_ptrqueue_put_many(m->queue, m->pile, count, PRUSIK_NOW) :
		    prusik_ptrqueue_get_many(m->queue, m->pile, count, PRUSIK_NOW);
}

static void as_one_falls_asleep(int puts)
{
	struct moments *m = party_memory(THREADS, sizeof *m);

	m->queue = new_queue(MANY);
	m->puts = puts;
	for (int i = 0; i < MANY; i++)
		m->pile[i] = &place[1];
	if (puts)
		ck_assert_int_eq(move(m, 1, MANY), MANY);
	struct party *p = party_start(THREADS, wait_each_turn, m, 0);
	for (int i = 1; i <= MOMENTS; i++) {
		party_say(&m->turn, 2 * i - 1);
		ck_assert_int_eq(move(m, !puts, MANY), MANY);
		while (party_word(&m->turn) < 2 * i)
			prusik_thread_yield();
		ck_assert_int_eq(move(m, puts, MANY), MANY - 1);
	}
	ck_assert_int_eq(party_join(p), 0);
}

TEST(pointers_come_as_one_falls_asleep)
{
	as_one_falls_asleep(0);
}

TEST(room_comes_as_one_falls_asleep)
{
	as_one_falls_asleep(1);
}

/* The room that a putter found missing comes while he waits for the lock to register as a sleeper. */
TEST(room_comes_before_one_falls_asleep)
{
	struct box *box = new_box(8);

	for (int i = 0; i < 8; i++)
		put(box->queue, i);
	struct party *getter = start_stopped_getter(box->queue);
	struct party *putter = party_start(THREADS, put_one, box, 0);
	party_await(&box->coming, 1);
	pause_ms(50); /* enough, most times, and nothing depends on it */
	party_say(&stop.go, 1);
	ck_assert_int_eq(party_join(getter), 0);
	ck_assert_int_eq(party_join(putter), 0);
	counts(box->queue, 7, 0);
}

/* As soon as put has returned everybody sees it. */
static int put_and_look(void *shared, int unused)
{
	struct box *box = shared;
	void *got;

	(void)unused;
	for (int i = 0; i < 5000; i++) {
		PARTY_CHECK(prusik_ptrqueue_put(box->queue, place, PRUSIK_NOW) == 0);
		PARTY_CHECK(prusik_ptrqueue_is_empty(box->queue) == 0);
		PARTY_CHECK(prusik_ptrqueue_length(box->queue) >= 1);
		PARTY_CHECK(prusik_ptrqueue_is_full(box->queue) == 0);
		PARTY_CHECK(prusik_ptrqueue_get(box->queue, &got, PRUSIK_NOW) == 0);
	}
	return 0;
}

TEST(put_is_seen_at_once)
{
	party_run(THREADS, 4, put_and_look, new_box(5));
}
