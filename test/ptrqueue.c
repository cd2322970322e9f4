/* SPDX-License-Identifier: MIT */
#include "ptrqueue_kit.h"

#include "base/sys.h"

#include <prusik/thread.h>

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
