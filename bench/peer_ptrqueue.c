/* SPDX-License-Identifier: MIT */
/* prusik's queue for pointers, between threads. */
#include "queue.h"

#include <prusik/ptrqueue.h>
#include <string.h>

/* No item is a NULL pointer. */
static void *pointer_of(const struct iovec *item)
{
	uint64_t word;

	memcpy(&word, item->iov_base, sizeof word);
	return (void *)(uintptr_t)(word + 1);
}

static void item_of(void *pointer, const struct iovec *item)
{
	uint64_t word = (uint64_t)(uintptr_t)pointer - 1;

	memcpy(item->iov_base, &word, sizeof word);
}

static int open_pointers(const struct queue_shape *shape, void **ret_line)
{
	struct prusik_ptrqueue *queue;
	int result = prusik_ptrqueue_create(shape->capacity, &queue);

	*ret_line = queue;
	return result;
}

static void close_pointers(void *line)
{
	prusik_ptrqueue_free(line);
}

static int put_pointers(struct queue_end *end, uint32_t n)
{
	void *pointers[QUEUE_BATCH_MAX];

	if (n == 1)
		return prusik_ptrqueue_put(end->line, pointer_of(&end->items[0]), PRUSIK_FOREVER);
	for (uint32_t i = 0; i < n; i++)
		pointers[i] = pointer_of(&end->items[i]);
	int64_t put = prusik_ptrqueue_put_many(end->line, pointers, n, PRUSIK_FOREVER);
	return put < 0 ? (int)put : 0;
}

static int get_pointers(struct queue_end *end, uint32_t n)
{
	void *pointers[QUEUE_BATCH_MAX];
	int64_t got;

	if (n == 1)
		got = prusik_ptrqueue_get(end->line, pointers, PRUSIK_FOREVER) == 0 ? 1 : -1;
	else
		got = prusik_ptrqueue_get_many(end->line, pointers, n, PRUSIK_FOREVER);
	for (int64_t i = 0; i < got; i++)
		item_of(pointers[i], &end->items[i]);
	return (int)got;
}

const struct queue_peer queue_prusik_pointers = {
	.open = open_pointers,
	.close = close_pointers,
	.put = put_pointers,
	.get = get_pointers,
};
