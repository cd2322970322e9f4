/* SPDX-License-Identifier: MIT */
/*
 * queue - first in, first out, bounded, and no item is lost with its worker
 *
 *	struct prusik_lease job;
 *	while (prusik_queue_take(jobs, &job, PRUSIK_FOREVER) >= 0) {
 *		work(job.data, job.length, job.attempt);
 *		prusik_queue_done(jobs, &job);        // until here the job is only lent to us
 *	}                                             // -EPIPE: closed, and all is done
 *
 * Items are bytes of any length up to the queue's limit. put and get copy; take
 * lends the item in place. When put returns every participant sees the item.
 * A queue lies in an arena, where processes share it, or in private memory, where
 * threads do.
 *
 * kill -9: a putter leaves its item whole in the queue or not at all. A taker's
 * leases return to the front of the line, in their order, with the attempt
 * counter raised, and whoever waits gets them at once. So an item is handed out
 * at least once, and again only when its taker died before prusik_queue_done; an
 * item taken with get is out of the queue when get returns. A lease belongs to
 * the thread that took it, and returns when that thread ends.
 *
 * Context of every call: threads; not signal handlers. None is ended by a signal.
 * A call that waits may also return -ECANCELED (prusik/cancel.h).
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_QUEUE_H
#define PRUSIK_QUEUE_H

#include <prusik/arena.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle: this process's view. May be used by all its threads, and by children. */
struct prusik_queue;

/* Zero means default. */
struct prusik_queue_options {
	uint64_t capacity; /* items it holds at most, leased ones included; default 1024, at most 2^24 */
	uint64_t item_max; /* longest item in bytes; default 256, at most 2^30 */
};

/* An item on lease. All fields are the queue's; data may be written to. */
struct prusik_lease {
	void *data;
	uint64_t length;
	uint32_t attempt; /* 1 when handed out for the first time */
	uint32_t node;    /* with ticket, which lease this is */
	uint64_t ticket;
};

/* How prusik_queue_close ends a queue. */
enum prusik_queue_close {
	PRUSIK_QUEUE_DRAIN, /* what is in it may still be taken; the default */
	PRUSIK_QUEUE_DISCARD, /* what is in it, leases apart, is thrown away */
};

/* What prusik_queue_stats tells, at one moment. */
struct prusik_queue_stats {
	uint64_t capacity, item_max;
	uint64_t ready;     /* items that can be taken */
	uint64_t leased;    /* items taken and not yet done */
	uint64_t put;       /* items put since the queue was made */
	uint64_t returned;  /* leases that came back because their taker had ended */
	uint64_t recovered; /* times that somebody died inside the queue and was cleaned up after */
	uint32_t closed;    /* 0 or 1 */
};

/*
 * prusik_queue_create - make a queue
 *
 * With an arena, the queue lies in it and name says under which root (see
 * prusik_arena_root) others find it. With arena NULL it lies in private memory,
 * name must be NULL, and freeing the handle frees the queue.
 * options NULL means all defaults.
 *
 * Returns 0 with *ret_queue set, or
 *   -EEXIST  the name is taken in this arena
 *   -ENOSPC  the arena has no room
 *   -EINVAL, -ENAMETOOLONG, -ENOMEM, or the domain could not be joined
 * Killed inside: no queue, or a whole one; nothing leaks.
 */
int prusik_queue_create(struct prusik_arena *arena, const char *name,
			const struct prusik_queue_options *options,
			struct prusik_queue **ret_queue) PRUSIK_MUST_USE;

/*
 * prusik_queue_open - attach to the queue of that name
 *
 * Returns 0 with *ret_queue set; -ENOENT: no such queue; -EPROTO: something else
 * goes by that name, or its bytes are not those of a queue; -EINVAL, -ENOMEM.
 */
int prusik_queue_open(struct prusik_arena *arena, const char *name,
		      struct prusik_queue **ret_queue) PRUSIK_MUST_USE;

/* Bytes of arena that such a queue takes; 0 when the options are out of range. */
uint64_t prusik_queue_size(const struct prusik_queue_options *options);

/* prusik_queue_free - drop the handle. Accepts NULL. Leases taken stay leased. */
void prusik_queue_free(struct prusik_queue *queue);

/*
 * prusik_queue_put - append a copy of length bytes, waiting for room until deadline
 *
 * Returns 0, or
 *   -ETIMEDOUT  still full at deadline
 *   -EPIPE      closed
 *   -EMSGSIZE   longer than the queue's item_max
 *   -EINVAL, or the domain could not be joined
 * Killed inside: the whole item is in the queue, or nothing.
 */
int prusik_queue_put(struct prusik_queue *queue, const void *data, uint64_t length,
		     int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_put_many - append count items, in order
 *
 * Returns how many were put: count, or fewer (at least 1) when the deadline
 * passed or the queue was closed meanwhile; or, with nothing put, a cause as of
 * prusik_queue_put. All lengths are checked before the first is put.
 * Killed inside: some of the first ones are in the queue, each whole.
 */
int64_t prusik_queue_put_many(struct prusik_queue *queue, const struct iovec *items, uint32_t count,
			      int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_get - take the oldest item out, waiting for one until deadline
 *
 * Copies it to buffer, which has room for capacity bytes. Returns its length, or
 *   -ETIMEDOUT  nothing there until deadline
 *   -EPIPE      closed, nothing is left, and no other taker has one on lease
 *   -EMSGSIZE   the oldest item is longer than capacity; it stays the oldest
 *   -EINVAL, or the domain could not be joined
 * Killed inside: the item is still in the queue, or gone with the caller. Use
 * prusik_queue_take where that must not happen.
 */
int64_t prusik_queue_get(struct prusik_queue *queue, void *buffer, uint64_t capacity,
			 int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_get_many - take out up to count items, waiting for the first
 *
 * Item i goes to items[i].iov_base, which has room for items[i].iov_len bytes,
 * and iov_len becomes its length. Stops before an item that does not fit; when
 * that is the first, -EMSGSIZE. Returns how many, at least 1, or as get.
 */
int64_t prusik_queue_get_many(struct prusik_queue *queue, struct iovec *items, uint32_t count,
			      int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_take - borrow the oldest item, waiting for one until deadline
 *
 * Fills *ret_lease; lease->data points at the item itself, valid until done.
 * Returns 0, or -ETIMEDOUT, -EPIPE, -EINVAL as get.
 * Killed before prusik_queue_done: the item is the oldest again, with its
 * attempt counter raised.
 */
int prusik_queue_take(struct prusik_queue *queue, struct prusik_lease *ret_lease,
		      int64_t deadline) PRUSIK_MUST_USE;

/* prusik_queue_take_many - borrow up to count items, waiting for the first; how many, or as take */
int64_t prusik_queue_take_many(struct prusik_queue *queue, struct prusik_lease *ret_leases,
			       uint32_t count, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_done - the item has been dealt with: it leaves the queue
 *
 * Any thread may say so. Returns 0, or
 *   -ESTALE  this lease is over: done already, or returned after its taker ended
 *   -EINVAL, or the domain could not be joined
 * Killed inside: leased still (and so handed out again), or done.
 */
int prusik_queue_done(struct prusik_queue *queue, const struct prusik_lease *lease);

/* prusik_queue_done_many - the same for count leases; how many were not stale, or -EINVAL */
int64_t prusik_queue_done_many(struct prusik_queue *queue, const struct prusik_lease *leases,
			       uint32_t count);

/*
 * prusik_queue_close - no more puts; wake everybody who waits
 *
 * Putters get -EPIPE from now on. With PRUSIK_QUEUE_DRAIN takers get what is left,
 * then -EPIPE. Closing a closed queue is fine; DISCARD after DRAIN discards.
 * Returns 0, -EINVAL, or the domain could not be joined.
 */
int prusik_queue_close(struct prusik_queue *queue, enum prusik_queue_close how);

/* How many items can be taken now; -EINVAL for NULL. Never blocks. */
int64_t prusik_queue_length(const struct prusik_queue *queue);

/* All the figures of one moment. Returns 0, -EINVAL, or the domain could not be joined. */
int prusik_queue_stats(struct prusik_queue *queue, struct prusik_queue_stats *ret_stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
