/* SPDX-License-Identifier: MIT */
/*
 * Waking a consumer that waits on a condition, measured as in wake.c: a box with
 * room for one item, its lock, and a condition that says that it is full.
 *
 * prusik notifies while it holds the lock. pthread may do so too, or after the
 * release, so that the woken one finds the mutex free: both are measured.
 */
#include "team.h"
#include "wake.h"

#include <errno.h>
#include <prusik/condition.h>
#include <pthread.h>
#include <string.h>

struct box {
	struct prusik_lock lock;
	struct prusik_condition filled;
	pthread_mutex_t mutex;
	pthread_cond_t signalled;
	_Alignas(64) int full;
	char item[WAKE_ITEM];
};

static void fill(struct box *box, const struct queue_end *end)
{
	memcpy(box->item, end->items[0].iov_base, WAKE_ITEM);
	box->full = 1;
}

static void drain(struct box *box, const struct queue_end *end)
{
	memcpy(end->items[0].iov_base, box->item, WAKE_ITEM);
	box->full = 0;
}

static void close_box(void *line)
{
	team_memory_free(line, sizeof(struct box));
}

/* ---- prusik: fresh memory is a free lock and an empty condition ---- */

static int open_prusik(const struct queue_shape *shape, void **ret_line)
{
	(void)shape;
	*ret_line = team_memory(sizeof(struct box));
	return *ret_line ? 0 : -ENOMEM;
}

static int put_prusik(struct queue_end *end, uint32_t n)
{
	struct box *box = end->line;
	int result = prusik_lock_acquire(&box->lock, PRUSIK_FOREVER);

	(void)n;
	if (result < 0)
		return result;
	fill(box, end);
	result = prusik_condition_notify(&box->filled, &box->lock, 1);
	prusik_lock_release(&box->lock);
	return result;
}

static int get_prusik(struct queue_end *end, uint32_t n)
{
	struct box *box = end->line;
	int result = prusik_lock_acquire(&box->lock, PRUSIK_FOREVER);

	(void)n;
	while (result >= 0 && !box->full)
		result = prusik_condition_wait(&box->filled, &box->lock, PRUSIK_FOREVER);
	if (result < 0)
		return result;
	drain(box, end);
	prusik_lock_release(&box->lock);
	return 1;
}

static const struct queue_peer condition_prusik = {
	.open = open_prusik,
	.close = close_box,
	.put = put_prusik,
	.get = get_prusik,
};

/* ---- pthread ---- */

static int open_pthread(const struct queue_shape *shape, void **ret_line)
{
	struct box *box = team_memory(sizeof(*box));
	pthread_mutexattr_t of_mutex;
	pthread_condattr_t of_condition;

	(void)shape;
	if (!box)
		return -ENOMEM;
	pthread_mutexattr_init(&of_mutex);
	pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&box->mutex, &of_mutex);
	pthread_condattr_init(&of_condition);
	pthread_condattr_setpshared(&of_condition, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&box->signalled, &of_condition);
	*ret_line = box;
	return 0;
}

static int put_held(struct queue_end *end, uint32_t n)
{
	struct box *box = end->line;

	(void)n;
	pthread_mutex_lock(&box->mutex);
	fill(box, end);
	pthread_cond_signal(&box->signalled);
	return -pthread_mutex_unlock(&box->mutex);
}

static int put_after(struct queue_end *end, uint32_t n)
{
	struct box *box = end->line;

	(void)n;
	pthread_mutex_lock(&box->mutex);
	fill(box, end);
	pthread_mutex_unlock(&box->mutex);
	return -pthread_cond_signal(&box->signalled);
}

static int get_pthread(struct queue_end *end, uint32_t n)
{
	struct box *box = end->line;

	(void)n;
	pthread_mutex_lock(&box->mutex);
	while (!box->full)
		pthread_cond_wait(&box->signalled, &box->mutex);
	drain(box, end);
	pthread_mutex_unlock(&box->mutex);
	return 1;
}

static const struct queue_peer condition_held = {
	.open = open_pthread,
	.close = close_box,
	.put = put_held,
	.get = get_pthread,
};

static const struct queue_peer condition_after = {
	.open = open_pthread,
	.close = close_box,
	.put = put_after,
	.get = get_pthread,
};

static const struct bench_subject subjects[] = {
	WAKE_SUBJECT("prusik", 1, &condition_prusik),
	WAKE_SUBJECT("pthread-held", 0, &condition_held),
	WAKE_SUBJECT("pthread-after", 0, &condition_after),
	{ .name = NULL },
};

const struct bench_workload bench_condition[] = {
	{ .name = "wake-condition", .unit = "us", .subjects = subjects },
	{ .name = NULL },
};
