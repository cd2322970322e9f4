/* SPDX-License-Identifier: MIT */
/* The end of a stream: when the last of its producers has detached, ended or been killed. */
#include "party.h"

#include "data/queue.h"

#include <prusik/queue.h>
#include <prusik/thread.h>

struct share {
	struct prusik_queue *queue;
	pid_t first; /* the process that the case runs in */
	int step, turn;
};

static struct share *new_share(enum party_kind kind)
{
	struct prusik_queue_options options = { .ends_with_producers = 1 };
	struct share *share = party_memory(kind, sizeof *share);
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, prusik_queue_size(&options) + 65536, &arena), 0);
	ck_assert_int_eq(prusik_queue_create(arena, arena ? "items" : NULL, &options, &share->queue), 0);
	party_keep(arena);
	party_keep(share->queue);
	share->first = getpid();
	return share;
}

static int produce(void *shared, int index)
{
	struct share *share = shared;
	char text[2] = { (char)('a' + index), 0 };

	PARTY_CHECK(prusik_queue_attach_producer(share->queue) == 0);
	PARTY_CHECK(prusik_queue_attach_producer(share->queue) == 0);
	prk_add32_acqrel((uint32_t *)&share->step, 1);
	while (party_word(&share->step) < 3)
		pause_ms(1);
	PARTY_CHECK(prusik_queue_put(share->queue, text, 2, PRUSIK_FOREVER) == 0);
	if (index == 0)
		PARTY_CHECK(prusik_queue_detach_producer(share->queue) == 0);
	if (index == 1 && getpid() != share->first)
		raise(SIGKILL);
	return 0; /* the rest end attached */
}

static void the_last_producer_ends_the_stream(enum party_kind kind)
{
	struct share *share = new_share(kind);
	struct prusik_lease lease;
	struct party *p[3];
	int n = 0, r;

	ck_assert_int_eq(prusik_queue_take(share->queue, &lease, prusik_in_ms(5)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_detach_producer(share->queue), -EPERM);
	for (int i = 0; i < 3; i++)
		p[i] = party_start(kind, produce, share, i);
	while ((r = prusik_queue_take(share->queue, &lease, PRUSIK_FOREVER)) == 0) {
		ck_assert_int_eq(prusik_queue_done(share->queue, &lease), 0);
		n++;
	}
	ck_assert_int_eq(r, -EPIPE);
	ck_assert_int_eq(n, 3);
	ck_assert_int_eq(prusik_queue_attach_producer(share->queue), -EPIPE);
	ck_assert_int_eq(prusik_queue_put(share->queue, "x", 2, PRUSIK_NOW), -EPIPE);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(party_join(p[i]), kind == PROCESSES && i == 1 ? -SIGKILL : 0);
}
BOTH(the_last_producer_ends_the_stream)

/* Attached, asleep for ever; or it has detached before. */
static int attach_and_stay(void *shared, int detach)
{
	struct share *share = shared;

	PARTY_CHECK(prusik_queue_attach_producer(share->queue) == 0);
	if (detach)
		PARTY_CHECK(prusik_queue_detach_producer(share->queue) == 0);
	party_say(&share->step, 1);
	for (;;)
		pause_ms(1000);
}

static int wait_for_the_end(void *shared, int index)
{
	struct share *share = shared;
	struct prusik_lease lease;

	(void)index;
	PARTY_CHECK(prusik_queue_take(share->queue, &lease, PRUSIK_FOREVER) == -EPIPE);
	return 0;
}

/* Those who sleep hear of its death, and nobody else comes by. */
TEST(takers_asleep_hear_of_the_last_ones_death)
{
	struct share *share = new_share(PROCESSES);
	struct party *producer = party_start(PROCESSES, attach_and_stay, share, 0), *taker[3];

	party_await(&share->step, 1);
	for (int i = 0; i < 3; i++)
		taker[i] = party_start(PROCESSES, wait_for_the_end, share, 0);
	pause_ms(50);
	ck_assert_int_eq(kill(producer->pid, SIGKILL), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(party_join(taker[i]), 0);
	ck_assert_int_eq(party_join(producer), -SIGKILL);
}

/* In the copy that fork makes of a private queue there is nobody who could put any more. */
static int see_the_end(void *queue)
{
	struct prusik_lease lease;

	PARTY_CHECK(prusik_queue_take(queue, &lease, PRUSIK_FOREVER) == -EPIPE);
	return 0;
}

TEST(the_stream_ends_in_a_copy)
{
	struct share *share = new_share(THREADS);
	struct prusik_lease lease;

	ck_assert_int_eq(prusik_queue_attach_producer(share->queue), 0);
	ck_assert_int_eq(test_join(test_fork(see_the_end, share->queue)), 0);
	ck_assert_int_eq(prusik_queue_take(share->queue, &lease, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_detach_producer(share->queue), 0);
	ck_assert_int_eq(prusik_queue_take(share->queue, &lease, PRUSIK_FOREVER), -EPIPE);
}

/* One is attached at each moment, now this one, now that one. */
#define TURNS 100

static int attach_in_turn(void *shared, int index)
{
	struct share *share = shared;

	for (int i = index; i < TURNS; i += 2) {
		while (party_word(&share->turn) < i)
			prusik_thread_yield();
		PARTY_CHECK(prusik_queue_attach_producer(share->queue) == 0);
		party_say(&share->turn, i + 1);
		while (party_word(&share->turn) < i + 2 && i + 2 <= TURNS)
			prusik_thread_yield();
		if (i + 1 < TURNS)
			PARTY_CHECK(prusik_queue_detach_producer(share->queue) == 0);
	}
	party_await(&share->step, 1); /* the last one stays attached until nobody looks */
	return 0;
}

/* Who looks at one after the other must not find all gone. */
static void a_stream_goes_on_while_producers_take_turns(enum party_kind kind)
{
	struct share *share = new_share(kind);
	struct party *p[2];
	struct prusik_lease lease;

	for (int i = 0; i < 2; i++)
		p[i] = party_start(kind, attach_in_turn, share, i);
	while (party_word(&share->turn) < TURNS)
		ck_assert_int_eq(prusik_queue_take(share->queue, &lease, PRUSIK_NOW), -ETIMEDOUT);
	party_say(&share->step, 1);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(party_join(p[i]), 0);
	ck_assert_int_eq(prusik_queue_take(share->queue, &lease, PRUSIK_FOREVER), -EPIPE);
}
BOTH(a_stream_goes_on_while_producers_take_turns)
