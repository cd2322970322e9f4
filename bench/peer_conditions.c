/* SPDX-License-Identifier: MIT */
/* A ring under a mutex with two conditions: what one writes oneself, between threads. */
#include "queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ring {
	pthread_mutex_t mutex;
	pthread_cond_t filled, emptied;
	uint64_t first, count, capacity;
	uint64_t items[];
};

static int open_conditions(const struct queue_shape *shape, void **ret_line)
{
	struct ring *ring = calloc(1, sizeof *ring + shape->capacity * sizeof ring->items[0]);

	if (!ring)
		return -ENOMEM;
	pthread_mutex_init(&ring->mutex, NULL);
	pthread_cond_init(&ring->filled, NULL);
	pthread_cond_init(&ring->emptied, NULL);
	ring->capacity = shape->capacity;
	*ret_line = ring;
	return 0;
}

static int put_conditions(struct queue_end *end, uint32_t n)
{
	struct ring *ring = end->line;

	pthread_mutex_lock(&ring->mutex);
	for (uint32_t i = 0; i < n; i++) {
		while (ring->count == ring->capacity)
			pthread_cond_wait(&ring->emptied, &ring->mutex);
		memcpy(&ring->items[(ring->first + ring->count++) % ring->capacity], end->items[i].iov_base, 8);
		pthread_cond_signal(&ring->filled);
	}
	pthread_mutex_unlock(&ring->mutex);
	return 0;
}

static int get_conditions(struct queue_end *end, uint32_t n)
{
	struct ring *ring = end->line;
	uint32_t got;

	pthread_mutex_lock(&ring->mutex);
	while (ring->count == 0)
		pthread_cond_wait(&ring->filled, &ring->mutex);
	for (got = 0; got < n && ring->count > 0; got++, ring->count--) {
		memcpy(end->items[got].iov_base, &ring->items[ring->first], 8);
		ring->first = (ring->first + 1) % ring->capacity;
		pthread_cond_signal(&ring->emptied);
	}
	pthread_mutex_unlock(&ring->mutex);
	return (int)got;
}

const struct queue_peer queue_conditions = {
	.open = open_conditions,
	.close = free,
	.put = put_conditions,
	.get = get_conditions,
};
