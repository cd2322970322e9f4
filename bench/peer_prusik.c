/* SPDX-License-Identifier: MIT */
/* prusik's queue in the queue workloads: get, which copies, and take, which lends. */
#include "queue.h"

#include <errno.h>
#include <prusik/arena.h>
#include <prusik/queue.h>
#include <stdlib.h>
#include <string.h>

struct line {
	struct prusik_arena *arena;
	struct prusik_queue *queue;
};

/* What a consumer that takes keeps between take and done. */
struct loan {
	struct prusik_lease leases[QUEUE_BATCH_MAX];
};

static struct prusik_queue *queue_of(const struct queue_end *end)
{
	return ((struct line *)end->line)->queue;
}

static void close_prusik(void *opened)
{
	struct line *line = opened;

	prusik_queue_free(line->queue);
	prusik_arena_close(line->arena);
	free(line);
}

static int open_prusik(const struct queue_shape *shape, void **ret_line)
{
	const struct prusik_queue_options options = { .capacity = shape->capacity, .item_max = shape->size };
	struct line *line = calloc(1, sizeof(*line));
	int result;

	if (!line)
		return -ENOMEM;
	result = prusik_arena_create(NULL, prusik_queue_size(&options) + (64 << 10), &line->arena);
	if (result >= 0)
		result = prusik_queue_create(line->arena, "queue", &options, &line->queue);
	if (result < 0) {
		close_prusik(line);
		return result;
	}
	*ret_line = line;
	return 0;
}

/* The first use joins the domain: before the start, as others connect. */
static int join_prusik(struct queue_end *end)
{
	struct prusik_queue_stats stats;

	return prusik_queue_stats(queue_of(end), &stats);
}

static int put_all(struct prusik_queue *queue, const struct iovec *items, uint32_t n)
{
	for (int64_t put; n > 0; items += put, n -= (uint32_t)put) {
		put = prusik_queue_put_many(queue, items, n, PRUSIK_FOREVER);
		if (put < 0)
			return (int)put;
	}
	return 0;
}

static int put_prusik(struct queue_end *end, uint32_t n)
{
	if (n > 1)
		return put_all(queue_of(end), end->items, n);
	return prusik_queue_put(queue_of(end), end->items[0].iov_base, end->items[0].iov_len, PRUSIK_FOREVER);
}

static int get_prusik(struct queue_end *end, uint32_t n)
{
	struct iovec *item = &end->items[0];
	int64_t length;

	if (n > 1)
		return (int)prusik_queue_get_many(queue_of(end), end->items, n, PRUSIK_FOREVER);
	length = prusik_queue_get(queue_of(end), item->iov_base, item->iov_len, PRUSIK_FOREVER);
	if (length < 0)
		return (int)length;
	item->iov_len = (size_t)length;
	return 1;
}

static int join_taker(struct queue_end *end)
{
	end->own = calloc(1, sizeof(struct loan));
	return end->own ? join_prusik(end) : -ENOMEM;
}

static void leave_taker(struct queue_end *end)
{
	free(end->own);
}

static int take_prusik(struct queue_end *end, uint32_t n)
{
	struct loan *loan = end->own;
	int64_t taken;

	if (n > 1) {
		taken = prusik_queue_take_many(queue_of(end), loan->leases, n, PRUSIK_FOREVER);
	} else {
		taken = prusik_queue_take(queue_of(end), loan->leases, PRUSIK_FOREVER);
		taken = taken < 0 ? taken : 1;
	}
	for (int64_t i = 0; i < taken; i++)
		end->items[i] = (struct iovec){ loan->leases[i].data, loan->leases[i].length };
	return (int)taken;
}

static int done_prusik(struct queue_end *end, uint32_t n)
{
	const struct loan *loan = end->own;

	if (n == 1)
		return prusik_queue_done(queue_of(end), loan->leases);
	return prusik_queue_done_many(queue_of(end), loan->leases, n) == n ? 0 : -ESTALE;
}

static int open_private(const struct queue_shape *shape, void **ret_line)
{
	const struct prusik_queue_options options = { .capacity = shape->capacity, .item_max = shape->size };
	struct line *line = calloc(1, sizeof(*line));
	int result;

	if (!line)
		return -ENOMEM;
	result = prusik_queue_create(NULL, NULL, &options, &line->queue);
	if (result < 0) {
		free(line);
		return result;
	}
	*ret_line = line;
	return 0;
}

/* The item is made where it will lie: here, copied there, as it comes from the bench's own memory. */
static int put_in_place(struct queue_end *end, uint32_t n)
{
	struct prusik_reservation room;
	int result = 0;

	for (uint32_t i = 0; i < n && result == 0; i++) {
		const struct iovec *item = &end->items[i];
		result = prusik_queue_reserve(queue_of(end), item->iov_len, &room, PRUSIK_FOREVER);
		if (result < 0)
			return result;
		memcpy(room.data, item->iov_base, item->iov_len);
		result = prusik_queue_commit(queue_of(end), &room, item->iov_len, NULL);
	}
	return result;
}

const struct queue_peer queue_prusik_in_place = {
	.open = open_prusik,
	.close = close_prusik,
	.join = join_taker,
	.leave = leave_taker,
	.put = put_in_place,
	.get = take_prusik,
	.done = done_prusik,
};

const struct queue_peer queue_prusik_private_get = {
	.open = open_private,
	.close = close_prusik,
	.join = join_prusik,
	.put = put_prusik,
	.get = get_prusik,
};

const struct queue_peer queue_prusik_private_take = {
	.open = open_private,
	.close = close_prusik,
	.join = join_taker,
	.leave = leave_taker,
	.put = put_prusik,
	.get = take_prusik,
	.done = done_prusik,
};

const struct queue_peer queue_prusik_get = {
	.open = open_prusik,
	.close = close_prusik,
	.join = join_prusik,
	.put = put_prusik,
	.get = get_prusik,
};

const struct queue_peer queue_prusik_take = {
	.open = open_prusik,
	.close = close_prusik,
	.join = join_taker,
	.leave = leave_taker,
	.put = put_prusik,
	.get = take_prusik,
	.done = done_prusik,
};
