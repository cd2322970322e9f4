/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "base/sys.h"
#include "base/tsan.h"

#include <prusik/cancel.h>
#include <prusik/ptrqueue.h>
#include <prusik/thread.h>

#define PRODUCERS 4
#define CONSUMERS 4

/* Pointers to nothing, but different from each other. */
static char place[4096];

static struct prusik_ptrqueue *new_queue(uint64_t capacity)
{
	struct prusik_ptrqueue *queue = NULL;

	ck_assert_int_eq(prusik_ptrqueue_create(capacity, &queue), 0);
	return party_keep(queue);
}

static void put(struct prusik_ptrqueue *queue, int n)
{
	ck_assert_int_eq(prusik_ptrqueue_put(queue, &place[n], PRUSIK_NOW), 0);
}

static void get(struct prusik_ptrqueue *queue, int expected)
{
	void *got = NULL;

	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, PRUSIK_NOW), 0);
	ck_assert_ptr_eq(got, &place[expected]);
}

static void counts(const struct prusik_ptrqueue *queue, int length, int full)
{
	ck_assert_int_eq(prusik_ptrqueue_length(queue), length);
	ck_assert_int_eq(prusik_ptrqueue_is_empty(queue), length == 0);
	ck_assert_int_eq(prusik_ptrqueue_is_full(queue), full);
}

/* ---- alone ---- */

TEST(in_order_and_bounded)
{
	struct prusik_ptrqueue *queue = new_queue(3);
	void *got = &place[9];

	for (int lap = 0; lap < 50; lap++) {
		counts(queue, 0, 0);
		ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, PRUSIK_NOW), -ETIMEDOUT);
		put(queue, 1);
		counts(queue, 1, 0);
		put(queue, 2);
		put(queue, 3);
		counts(queue, 3, 1);
		ck_assert_int_eq(prusik_ptrqueue_put(queue, &place[4], PRUSIK_NOW), -ETIMEDOUT);
		get(queue, 1);
		put(queue, 4);
		get(queue, 2);
		get(queue, 3);
		get(queue, 4);
	}
	ck_assert_ptr_eq(got, &place[9]);
}

TEST(capacities)
{
	static const uint64_t given[] = { 0, 1, 2, 3, 4, 5, 1000, 1025 };

	for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
		struct prusik_ptrqueue *queue = new_queue(given[i]);
		int capacity = given[i] ? (int)given[i] : 1024;
		for (int n = 0; n < capacity; n++)
			put(queue, n);
		counts(queue, capacity, 1);
		ck_assert_int_eq(prusik_ptrqueue_put(queue, place, PRUSIK_NOW), -ETIMEDOUT);
		for (int n = 0; n < capacity; n++)
			get(queue, n);
		counts(queue, 0, 0);
		prusik_ptrqueue_free(queue);
	}
}

TEST(misuse)
{
	struct prusik_ptrqueue *queue = NULL;
	void *some[2] = { &place[1], NULL }, *got = &place[9];

	ck_assert_int_eq(prusik_ptrqueue_create(PRUSIK_PTRQUEUE_MAX + 1, &queue), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_create(UINT64_MAX, &queue), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_create(0, NULL), -EINVAL);
	ck_assert_ptr_null(queue);
	queue = new_queue(4);
	ck_assert_int_eq(prusik_ptrqueue_put(NULL, place, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_put(queue, NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_put_many(NULL, some, 1, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_put_many(queue, NULL, 1, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_put_many(queue, some, 0, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_put_many(queue, some, 2, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_get(NULL, &got, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_get(queue, NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_get_many(NULL, some, 1, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_get_many(queue, NULL, 1, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_get_many(queue, some, 0, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_close(NULL, PRUSIK_QUEUE_DRAIN), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_close(queue, (enum prusik_queue_close)7), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_length(NULL), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_is_empty(NULL), -EINVAL);
	ck_assert_int_eq(prusik_ptrqueue_is_full(NULL), -EINVAL);
	prusik_ptrqueue_free(NULL);
	/* Nothing of all that has changed anything. */
	counts(queue, 0, 0);
	put(queue, 1);
	get(queue, 1);
}

TEST(no_memory)
{
	struct prusik_ptrqueue *queue = NULL;

	for (uint32_t nth = 1; nth <= 2; nth++) {
		prk_sys_fail(PRK_SYS_MMAP, nth, ENOMEM);
		ck_assert_int_eq(prusik_ptrqueue_create(0, &queue), -ENOMEM);
		ck_assert_ptr_null(queue);
	}
	prk_sys_fail(PRK_SYS_MMAP, 0, 0);
	prusik_ptrqueue_free(new_queue(PRUSIK_PTRQUEUE_MAX));
}

TEST(batches)
{
	struct prusik_ptrqueue *queue = new_queue(5);
	void *in[8], *out[8];

	for (int i = 0; i < 8; i++)
		in[i] = &place[i];
	for (int lap = 0; lap < 20; lap++) {
		ck_assert_int_eq(prusik_ptrqueue_put_many(queue, in, 3, PRUSIK_NOW), 3);
		/* As many as there is room for, then the deadline. */
		ck_assert_int_eq(prusik_ptrqueue_put_many(queue, in + 3, 5, prusik_in_ms(2)), 2);
		ck_assert_int_eq(prusik_ptrqueue_put_many(queue, in + 5, 3, PRUSIK_NOW), -ETIMEDOUT);
		counts(queue, 5, 1);
		ck_assert_int_eq(prusik_ptrqueue_get_many(queue, out, 2, PRUSIK_NOW), 2);
		ck_assert_int_eq(prusik_ptrqueue_get_many(queue, out + 2, 6, PRUSIK_NOW), 3);
		for (int i = 0; i < 5; i++)
			ck_assert_ptr_eq(out[i], in[i]);
		ck_assert_int_eq(prusik_ptrqueue_get_many(queue, out, 8, prusik_in_ms(2)), -ETIMEDOUT);
	}
}

TEST(deadlines)
{
	struct prusik_ptrqueue *queue = new_queue(1);
	void *got;
	int64_t began = prusik_now();

	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, prusik_in_ms(30)), -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - began, 30000000);
	put(queue, 1);
	began = prusik_now();
	ck_assert_int_eq(prusik_ptrqueue_put(queue, place, prusik_in_ms(30)), -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - began, 30000000);
	/* One that has passed tries, and no more. */
	ck_assert_int_eq(prusik_ptrqueue_put(queue, place, 1), -ETIMEDOUT);
	get(queue, 1);
	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, 1), -ETIMEDOUT);
	/* What is there needs no wait. */
	ck_assert_int_eq(prusik_ptrqueue_put(queue, place, 1), 0);
	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, 1), 0);
}

/* ---- closing ---- */

TEST(close_drains)
{
	struct prusik_ptrqueue *queue = new_queue(4);
	void *some[4] = { &place[1], &place[2], &place[3], &place[4] }, *got;

	put(queue, 1);
	put(queue, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(prusik_ptrqueue_close(queue, PRUSIK_QUEUE_DRAIN), 0);
		ck_assert_int_eq(prusik_ptrqueue_put(queue, place, PRUSIK_NOW), -EPIPE);
		ck_assert_int_eq(prusik_ptrqueue_put_many(queue, some, 4, PRUSIK_FOREVER), -EPIPE);
	}
	counts(queue, 2, 0);
	get(queue, 1);
	ck_assert_int_eq(prusik_ptrqueue_get_many(queue, some, 4, PRUSIK_FOREVER), 1);
	ck_assert_ptr_eq(some[0], &place[2]);
	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, PRUSIK_NOW), -EPIPE);
	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(prusik_ptrqueue_get_many(queue, some, 4, PRUSIK_FOREVER), -EPIPE);
}

TEST(close_discards_what_nobody_has_seen)
{
	struct prusik_ptrqueue *queue = new_queue(3);
	void *got;

	for (int i = 0; i < 3; i++)
		put(queue, i);
	ck_assert_int_eq(prusik_ptrqueue_close(queue, PRUSIK_QUEUE_DISCARD), 0);
	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, PRUSIK_NOW), -EPIPE);
	counts(queue, 0, 0);
}

TEST(close_discards)
{
	struct prusik_ptrqueue *queue = new_queue(3);
	void *got;

	for (int i = 0; i < 3; i++)
		put(queue, i);
	ck_assert_int_eq(prusik_ptrqueue_close(queue, PRUSIK_QUEUE_DRAIN), 0);
	get(queue, 0);
	ck_assert_int_eq(prusik_ptrqueue_close(queue, PRUSIK_QUEUE_DISCARD), 0);
	counts(queue, 0, 0);
	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(prusik_ptrqueue_put(queue, place, PRUSIK_FOREVER), -EPIPE);
}

/* ---- with others ---- */

struct box {
	struct prusik_ptrqueue *queue;
	struct prusik_cancel stop;
	int coming, gone, leave;
	int64_t result;
};

static struct box *new_box(uint64_t capacity)
{
	struct box *box = party_memory(THREADS, sizeof *box);

	box->queue = new_queue(capacity);
	return box;
}

static void one_more(int *word)
{
	prk_add32_acqrel((uint32_t *)word, 1);
}

static int get_one(void *shared, int expected)
{
	struct box *box = shared;
	void *got = NULL;

	one_more(&box->coming);
	int r = prusik_ptrqueue_get(box->queue, &got, PRUSIK_FOREVER);
	one_more(&box->gone);
	PARTY_CHECK(expected == -EPIPE ? r == -EPIPE : r == 0 && got != NULL);
	return 0;
}

static int put_one(void *shared, int expected)
{
	struct box *box = shared;

	one_more(&box->coming);
	int r = prusik_ptrqueue_put(box->queue, &place[1], PRUSIK_FOREVER);
	one_more(&box->gone);
	PARTY_CHECK(r == expected);
	return 0;
}

/* So many of them, asleep; a moment is enough, most times, and nothing depends on it. */
static void start_sleepers(struct party **crew, int count, party_fn *function, struct box *box, int expected)
{
	for (int i = 0; i < count; i++)
		crew[i] = party_start(THREADS, function, box, expected);
	party_await(&box->coming, count);
	pause_ms(20);
}

static void end_sleepers(struct party **crew, int count)
{
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(party_join(crew[i]), 0);
}

/* One pointer wakes one who sleeps, each time. */
TEST(each_put_wakes)
{
	struct box *box = new_box(64);
	struct party *crew[8];

	start_sleepers(crew, 8, get_one, box, 0);
	for (int i = 1; i <= 8; i++) {
		put(box->queue, i);
		party_await(&box->gone, i);
	}
	end_sleepers(crew, 8);
	counts(box->queue, 0, 0);
}

/* A batch brings work for many: the first to come calls the next. */
TEST(a_batch_wakes_all)
{
	struct box *box = new_box(64);
	struct party *crew[8];
	void *some[8];

	for (int i = 0; i < 8; i++)
		some[i] = &place[i];
	for (int lap = 1; lap <= 20; lap++) {
		box->coming = box->gone = 0;
		start_sleepers(crew, 8, get_one, box, 0);
		ck_assert_int_eq(prusik_ptrqueue_put_many(box->queue, some, 8, PRUSIK_NOW), 8);
		end_sleepers(crew, 8);
		counts(box->queue, 0, 0);
	}
}

/* The same on the other side. */
TEST(room_wakes_all)
{
	struct box *box = new_box(8);
	struct party *crew[8];
	void *some[8];

	for (int lap = 1; lap <= 20; lap++) {
		box->coming = box->gone = 0;
		for (int i = 0; i < 8; i++)
			put(box->queue, i);
		start_sleepers(crew, 8, put_one, box, 0);
		counts(box->queue, 8, 1);
		get(box->queue, 0);
		party_await(&box->gone, 1);
		ck_assert_int_eq(prusik_ptrqueue_get_many(box->queue, some, 8, PRUSIK_FOREVER), 8);
		end_sleepers(crew, 8);
		ck_assert_int_eq(prusik_ptrqueue_get_many(box->queue, some, 8, PRUSIK_NOW), 7);
	}
}

TEST(close_wakes_getters)
{
	struct box *box = new_box(8);
	struct party *crew[8];

	start_sleepers(crew, 8, get_one, box, -EPIPE);
	ck_assert_int_eq(prusik_ptrqueue_close(box->queue, PRUSIK_QUEUE_DRAIN), 0);
	end_sleepers(crew, 8);
}

static void close_wakes_putters(enum prusik_queue_close how, int left)
{
	struct box *box = new_box(2);
	struct party *crew[8];

	put(box->queue, 1);
	put(box->queue, 2);
	start_sleepers(crew, 8, put_one, box, -EPIPE);
	ck_assert_int_eq(prusik_ptrqueue_close(box->queue, how), 0);
	end_sleepers(crew, 8);
	ck_assert_int_eq(prusik_ptrqueue_length(box->queue), left);
}

TEST(close_wakes_putters_drain)
{
	close_wakes_putters(PRUSIK_QUEUE_DRAIN, 2);
}

TEST(close_wakes_putters_discard)
{
	close_wakes_putters(PRUSIK_QUEUE_DISCARD, 0);
}

static int put_three(void *shared, int unused)
{
	struct box *box = shared;
	void *some[3] = { &place[1], &place[2], &place[3] };

	(void)unused;
	one_more(&box->coming);
	box->result = prusik_ptrqueue_put_many(box->queue, some, 3, PRUSIK_FOREVER);
	return 0;
}

/* What was put before the closing stays put, and counts. */
TEST(close_in_the_middle_of_a_batch)
{
	struct box *box = new_box(2);
	struct party *p = party_start(THREADS, put_three, box, 0);

	while (prusik_ptrqueue_length(box->queue) < 2)
		pause_ms(1);
	ck_assert_int_eq(prusik_ptrqueue_close(box->queue, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(box->result, 2);
	get(box->queue, 1);
	get(box->queue, 2);
}

static int wait_for_token(void *shared, int puts)
{
	struct box *box = shared;
	void *got;

	prusik_cancel_use(&box->stop);
	one_more(&box->coming);
	int r = puts ? prusik_ptrqueue_put(box->queue, place, PRUSIK_FOREVER) :
		       prusik_ptrqueue_get(box->queue, &got, PRUSIK_FOREVER);
	PARTY_CHECK(r == -ECANCELED);
	one_more(&box->gone);
	party_await(&box->gone, 4);
	/* What need not wait goes on. */
	PARTY_CHECK(puts ? prusik_ptrqueue_get(box->queue, &got, PRUSIK_FOREVER) == 0 :
			   prusik_ptrqueue_put(box->queue, place, PRUSIK_FOREVER) == 0);
	prusik_cancel_use(NULL);
	return 0;
}

static void token_ends_waits(int puts)
{
	struct box *box = new_box(4);
	struct party *crew[4];

	for (int i = 0; puts && i < 4; i++)
		put(box->queue, i);
	start_sleepers(crew, 4, wait_for_token, box, puts);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	end_sleepers(crew, 4);
	ck_assert_int_eq(prusik_ptrqueue_length(box->queue), puts ? 0 : 4);
}

TEST(token_ends_gets)
{
	token_ends_waits(0);
}

TEST(token_ends_puts)
{
	token_ends_waits(1);
}

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

	*t = (struct traffic){ .queue = new_queue(capacity), .each = each, .batch = batch,
			       .patience_us = patience_us };
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

/* ---- fork ---- */

#ifndef PRK_TSAN
/* Who sleeps is woken, at both ends. */
static int wake_in_copy(struct prusik_ptrqueue *queue)
{
	struct box box = { .queue = queue };
	void *got;

	struct party *p = party_start(THREADS, get_one, &box, 0);
	party_await(&box.coming, 1);
	pause_ms(2);
	PARTY_CHECK(prusik_ptrqueue_put(queue, place, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(party_join(p) == 0);
	for (int i = 0; i < 8; i++)
		PARTY_CHECK(prusik_ptrqueue_put(queue, place, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_ptrqueue_put(queue, place, prusik_in_ms(1)) == -ETIMEDOUT);
	p = party_start(THREADS, put_one, &box, 0);
	party_await(&box.coming, 2);
	pause_ms(2);
	PARTY_CHECK(prusik_ptrqueue_get(queue, &got, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(party_join(p) == 0);
	return 0;
}
#endif

/* In a child: whatever the others were doing, the queue works, both ends, sleeping too. */
static int use_copy(void *argument)
{
	struct prusik_ptrqueue *queue = argument;
	void *got;

	int64_t length = prusik_ptrqueue_length(queue);
	PARTY_CHECK(length >= 0 && length <= 8);
	for (int64_t i = 0; i < length; i++) {
		PARTY_CHECK(prusik_ptrqueue_get(queue, &got, PRUSIK_NOW) == 0);
		PARTY_CHECK((char *)got >= place && (char *)got < place + sizeof place);
	}
	PARTY_CHECK(prusik_ptrqueue_get(queue, &got, prusik_in_ms(1)) == -ETIMEDOUT);
#ifndef PRK_TSAN /* it follows no threads that a child of a process with threads starts */
	PARTY_CHECK(wake_in_copy(queue) == 0);
#endif
	PARTY_CHECK(prusik_ptrqueue_close(queue, PRUSIK_QUEUE_DISCARD) == 0);
	prusik_ptrqueue_free(queue);
	return 0;
}

static int churn(void *shared, int index)
{
	struct prusik_ptrqueue *queue = shared;
	void *some[3] = { &place[index], &place[index + 10], &place[index + 20] };

	for (;;) {
		int64_t r = index % 2 ? prusik_ptrqueue_put_many(queue, some, 3, PRUSIK_FOREVER) :
					prusik_ptrqueue_get_many(queue, some, 3, PRUSIK_FOREVER);
		if (r == -EPIPE)
			return 0;
		PARTY_CHECK(r > 0);
	}
}

TEST(child_of_a_busy_parent)
{
	struct prusik_ptrqueue *queue = new_queue(8);
	struct party *crew[4];

	for (int i = 0; i < 4; i++)
		crew[i] = party_start(THREADS, churn, queue, i);
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(test_join(test_fork(use_copy, queue)), 0);
	ck_assert_int_eq(prusik_ptrqueue_close(queue, PRUSIK_QUEUE_DISCARD), 0);
	end_sleepers(crew, 4);
}

/* It lives on until all have been forked. */
static int get_one_and_stay(void *shared, int expected)
{
	struct box *box = shared;

	PARTY_CHECK(get_one(shared, expected) == 0);
	party_await(&box->leave, 1);
	return 0;
}

/* Forked while somebody sleeps, and has perhaps been called: the child's own are woken all the same. */
TEST(child_of_sleepers)
{
	struct box *box = new_box(8);
	struct party *crew[4];

	start_sleepers(crew, 4, get_one_and_stay, box, 0);
	ck_assert_int_eq(test_join(test_fork(use_copy, box->queue)), 0);
	for (int i = 0; i < 4; i++) {
		put(box->queue, i);
		ck_assert_int_eq(test_join(test_fork(use_copy, box->queue)), 0);
	}
	party_say(&box->leave, 1);
	end_sleepers(crew, 4);
}
