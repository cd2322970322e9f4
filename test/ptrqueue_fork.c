/* SPDX-License-Identifier: MIT */
/* ptrqueue, in children of a process whose threads are using it */
#include "ptrqueue_kit.h"

#include "base/tsan.h"

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
	for (int i = 0; i < 8; i++)
		PARTY_CHECK(prusik_ptrqueue_get(queue, &got, PRUSIK_NOW) == 0);
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
	/* AddressSanitizer's own locks are not made for forks among busy threads. */
	for (int i = 0; i < (TEST_ADDRESS_SANITIZER ? 0 : 40); i++)
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

/* Forked while a getter holds the getters' lock: in the child nobody does, and he has got nothing. */
TEST(child_while_one_gets)
{
	struct prusik_ptrqueue *queue = new_queue(8);

	for (int i = 0; i < 8; i++)
		put(queue, i);
	struct party *getter = start_stopped_getter(queue);
	ck_assert_int_eq(prusik_ptrqueue_length(queue), 8);
	ck_assert_int_eq(test_join(test_fork(use_copy, queue)), 0);
	party_say(&stop.go, 1);
	ck_assert_int_eq(party_join(getter), 0);
	counts(queue, 6, 0);
}
