/* SPDX-License-Identifier: MIT */
/*
 * queue_kit - a test of queues, once for each kind, in private memory among threads and
 * in shared memory among processes
 *
 * Items are small numbers; their priority is their value.
 */
#ifndef TEST_QUEUE_KIT_H
#define TEST_QUEUE_KIT_H

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
static inline struct setting *begin(enum party_kind party, enum prusik_queue_kind kind, uint64_t capacity)
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

#define KIND(body, name, party, kind)                                                                                  \
	TEST(body##_##name)                                                                                            \
	{                                                                                                              \
		body(party, kind);                                                                                     \
	}
#define ALL(body)                                                                                                      \
	KIND(body, fifo_threads, THREADS, PRUSIK_QUEUE_FIFO)                                                           \
	KIND(body, lifo_threads, THREADS, PRUSIK_QUEUE_LIFO)                                                           \
	KIND(body, priority_threads, THREADS, PRUSIK_QUEUE_PRIORITY)                                                   \
	KIND(body, fifo_processes, PROCESSES, PRUSIK_QUEUE_FIFO)                                                       \
	KIND(body, lifo_processes, PROCESSES, PRUSIK_QUEUE_LIFO)                                                       \
	KIND(body, priority_processes, PROCESSES, PRUSIK_QUEUE_PRIORITY)

static inline int put(struct prusik_queue *q, int value, int64_t deadline)
{
	struct prusik_queue_put_options options = { .priority = value };

	return prusik_queue_put_with(q, &value, sizeof value, &options, deadline);
}

/* The value, or why there is none. */
static inline int get(struct prusik_queue *q, int64_t deadline)
{
	int value = 0;
	int64_t r = prusik_queue_get(q, &value, sizeof value, deadline);

	return r < 0 ? (int)r : value;
}

static inline int take_and_finish(struct prusik_queue *q, int64_t deadline)
{
	struct prusik_lease lease;
	int r = prusik_queue_take(q, &lease, deadline);

	if (r < 0)
		return r;
	memcpy(&r, lease.data, sizeof r);
	int d = prusik_queue_done(q, &lease);
	return d < 0 ? d : r;
}

#endif
