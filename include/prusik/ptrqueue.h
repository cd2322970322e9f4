/* SPDX-License-Identifier: MIT */
/*
 * ptrqueue - pointers in line, bounded, between the threads of one process, fast
 *
 *	struct prusik_ptrqueue *jobs;
 *	int r = prusik_ptrqueue_create(0, &jobs);
 *
 *	r = prusik_ptrqueue_put(jobs, job, PRUSIK_FOREVER);          // any number of threads
 *	...
 *	void *job;
 *	while (prusik_ptrqueue_get(jobs, &job, PRUSIK_FOREVER) == 0)  // any number of others
 *		work(job);                                      // -EPIPE: closed, and all is taken
 *
 * First in, first out; any pointer but NULL. Who gets a pointer sees all that was stored
 * before it was put, and owns what it points at, as the two agree. The names, the order of
 * things and the results are those of prusik_queue, as far as both have a call.
 *
 * Take this one when both ends are threads of one process and what goes through are
 * pointers. Take prusik_queue (prusik/queue.h) when processes share it, when an item must
 * not be lost with the thread that took it, or for priorities, delays, join.
 *
 * kill -9: the queue lies in private memory and ends with its process. A thread does not
 * end inside a call: there is no point at which it could be cancelled.
 *
 * fork: the child has a copy of its own, with all that was in it when fork copied it, and
 * nobody else's lock, nor sleepers: it can be used at once, whatever the parent's threads
 * were doing. So can the parent's. A put or get that another thread was in the middle of
 * has happened in the copy or has not.
 *
 * Context of every call: threads; not signal handlers. None is ended by a signal.
 * A call that waits may also return -ECANCELED (prusik/cancel.h). No call needs the
 * domain.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_PTRQUEUE_H
#define PRUSIK_PTRQUEUE_H

#include <prusik/common.h>
#include <prusik/queue.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle; may be used by all threads of the process. */
struct prusik_ptrqueue;

/* Most pointers that a queue can be made for. */
#define PRUSIK_PTRQUEUE_MAX ((uint64_t)1 << 24)

/*
 * prusik_ptrqueue_create - make a queue that holds up to capacity pointers
 *
 * capacity 0: 1024. It takes 4 KiB and 8 bytes for each, in whole pages.
 *
 * Returns 0 with *ret_queue set, or
 *   -EINVAL  capacity above PRUSIK_PTRQUEUE_MAX; ret_queue NULL
 *   -ENOMEM
 */
int prusik_ptrqueue_create(uint64_t capacity, struct prusik_ptrqueue **ret_queue) PRUSIK_MUST_USE;

/*
 * prusik_ptrqueue_free - give its memory back. Accepts NULL.
 *
 * What is still in it is forgotten, not freed. All calls of other threads have
 * returned: close it and join them first.
 */
void prusik_ptrqueue_free(struct prusik_ptrqueue *queue);

/*
 * prusik_ptrqueue_put - append a pointer, waiting for room until deadline
 *
 * Returns 0, or
 *   -ETIMEDOUT  still full at deadline
 *   -EPIPE      closed
 *   -EINVAL     the pointer or queue is NULL
 */
int prusik_ptrqueue_put(struct prusik_ptrqueue *queue, void *pointer, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_ptrqueue_put_many - append count pointers, in order
 *
 * Others' may come between those of two pieces, when there is not room for all at once.
 * Returns how many were put: count, or fewer (at least 1) when the deadline passed, the
 * wait was cancelled or the queue was closed meanwhile; or, with nothing put, a cause as
 * of prusik_ptrqueue_put; -EINVAL also for count 0. All are looked at before the first
 * is put.
 */
int64_t prusik_ptrqueue_put_many(struct prusik_ptrqueue *queue, void *const *pointers, uint32_t count,
				 int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_ptrqueue_get - take the oldest one out, waiting for one until deadline
 *
 * Returns 0 with *ret_pointer set, or
 *   -ETIMEDOUT  nothing there until deadline
 *   -EPIPE      closed, and nothing is left
 *   -EINVAL     queue or ret_pointer is NULL
 */
int prusik_ptrqueue_get(struct prusik_ptrqueue *queue, void **ret_pointer, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_ptrqueue_get_many - take out up to count, the oldest first, waiting for the first
 *
 * Returns how many, at least 1, which stood next to each other; or as get. -EINVAL also
 * for count 0.
 */
int64_t prusik_ptrqueue_get_many(struct prusik_ptrqueue *queue, void **ret_pointers, uint32_t count,
				 int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_ptrqueue_close - no more puts; wake everybody who waits
 *
 * Putters get -EPIPE from now on. With PRUSIK_QUEUE_DRAIN getters get what is left, then
 * -EPIPE. With PRUSIK_QUEUE_DISCARD what is left is forgotten: where somebody has to free
 * it, drain instead, and get it. Closing a closed queue is fine; DISCARD after DRAIN
 * discards. Returns 0, -EINVAL.
 */
int prusik_ptrqueue_close(struct prusik_ptrqueue *queue, enum prusik_queue_close how);

/*
 * How many are in it now; is that none; is there no room for one more now? -EINVAL for
 * NULL. Never block.
 */
int64_t prusik_ptrqueue_length(const struct prusik_ptrqueue *queue);
int prusik_ptrqueue_is_empty(const struct prusik_ptrqueue *queue);
int prusik_ptrqueue_is_full(const struct prusik_ptrqueue *queue);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
