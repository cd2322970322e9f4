/* SPDX-License-Identifier: MIT */
/* GAsyncQueue: pointers between threads. It has no limit, and a batch is one holding of its lock. */
#include "queue.h"

#include <glib.h>
#include <string.h>

/* No item is a NULL pointer. */
static gpointer pointer_of(const struct iovec *item)
{
	uint64_t word;

	memcpy(&word, item->iov_base, sizeof word);
	return (gpointer)(uintptr_t)(word + 1);
}

static void item_of(gpointer pointer, const struct iovec *item)
{
	uint64_t word = (uint64_t)(uintptr_t)pointer - 1;

	memcpy(item->iov_base, &word, sizeof word);
}

static int open_glib(const struct queue_shape *shape, void **ret_line)
{
	(void)shape;
	*ret_line = g_async_queue_new();
	return 0;
}

static void close_glib(void *line)
{
	g_async_queue_unref(line);
}

static int put_glib(struct queue_end *end, uint32_t n)
{
	if (n == 1) {
		g_async_queue_push(end->line, pointer_of(&end->items[0]));
		return 0;
	}
	g_async_queue_lock(end->line);
	for (uint32_t i = 0; i < n; i++)
		g_async_queue_push_unlocked(end->line, pointer_of(&end->items[i]));
	g_async_queue_unlock(end->line);
	return 0;
}

static int get_glib(struct queue_end *end, uint32_t n)
{
	gpointer next;
	uint32_t got = 1;

	if (n == 1) {
		item_of(g_async_queue_pop(end->line), &end->items[0]);
		return 1;
	}
	g_async_queue_lock(end->line);
	item_of(g_async_queue_pop_unlocked(end->line), &end->items[0]);
	while (got < n && (next = g_async_queue_try_pop_unlocked(end->line)))
		item_of(next, &end->items[got++]);
	g_async_queue_unlock(end->line);
	return (int)got;
}

const struct queue_peer queue_glib = {
	.open = open_glib,
	.close = close_glib,
	.put = put_glib,
	.get = get_glib,
};
