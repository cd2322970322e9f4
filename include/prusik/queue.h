/* SPDX-License-Identifier: MIT */
/*
 * queue - items in line, bounded, and none is lost with its worker
 *
 *	struct prusik_lease job;
 *	while (prusik_queue_take(jobs, &job, PRUSIK_FOREVER) >= 0) {
 *		if (work(job.data, job.length, job.attempt) == 0)
 *			prusik_queue_done(jobs, &job);        // until here the job is only lent to us
 *		else
 *			prusik_queue_retry(jobs, &job, prusik_in_s(5));
 *	}                                             // -EPIPE: closed, and all is done
 *
 * Items are bytes of any length up to the queue's limit; they come out first in,
 * first out, or last in, first out, or by priority. put and get copy; take lends the
 * item in place, and reserve lends room for one. When put returns every participant
 * sees the item. A queue lies in an arena, where processes share it, or in private
 * memory, where threads do: the same calls, the same promises. For pointers between
 * threads there is a faster one, prusik/ptrqueue.h.
 *
 * kill -9: a putter leaves its item whole in the queue or not at all. A taker's
 * leases return to the front of the line, in their order, with the attempt
 * counter raised, and whoever waits gets them at once. So an item is handed out
 * at least once, and again only when its taker died before prusik_queue_done; an
 * item taken with get is out of the queue when get returns. A lease belongs to
 * the thread that took it, and returns when that thread ends, or when its time is
 * over, if the queue or prusik_queue_detach has set one.
 *
 * Context of every call: threads; not signal handlers. None is ended by a signal.
 * A call that waits may also return -ECANCELED (prusik/cancel.h). Any may return -EPROTO:
 * the queue's memory has been written to by others, and what one who died in it was
 * doing cannot be undone; from then on it is refused.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_QUEUE_H
#define PRUSIK_QUEUE_H

#include <prusik/arena.h>
#include <prusik/named.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle: this process's view. May be used by all its threads, and by children. */
struct prusik_queue;

/* Which item is the next one. */
enum prusik_queue_kind {
	PRUSIK_QUEUE_FIFO,
	PRUSIK_QUEUE_LIFO,
	PRUSIK_QUEUE_PRIORITY, /* the lowest priority number; among equals the one put first */
};

/* Zero means default. */
struct prusik_queue_options {
	uint64_t capacity; /* items it holds at most, leased and dead ones included; default 1024, at most 2^24 */
	uint64_t item_max; /* longest item in bytes; default 256, at most 2^30 */
	uint32_t kind; /* enum prusik_queue_kind */
	uint32_t attempts_max; /* after so many failed attempts an item is dead; default: never */
	uint64_t lease_ms; /* a lease ends by itself after so long; default: with its taker only */
	uint32_t ends_with_producers; /* not 0: it closes when the last attached producer has gone */
	uint32_t reserved;
};

/* What prusik_queue_put_with may be told about an item. Zero means default. */
struct prusik_queue_put_options {
	int64_t not_before; /* a time as deadlines are: it is not handed out before; default: at once */
	int32_t priority; /* for PRUSIK_QUEUE_PRIORITY; the lowest comes first */
	uint32_t reserved;
};

/* An item on lease. All fields are the queue's; data may be written to. */
struct prusik_lease {
	void *data;
	uint64_t length;
	uint32_t attempt; /* 1 when handed out for the first time */
	uint32_t node; /* with ticket and turn, which lease this is */
	uint64_t ticket;
	uint32_t turn;
	int32_t priority;
};

/* Room for an item, not yet in the queue. data is to be written to; the rest is the queue's. */
struct prusik_reservation {
	void *data;
	uint64_t length; /* bytes that data has room for */
	uint64_t ticket;
	uint32_t node;
	uint32_t reserved;
};

/* How prusik_queue_close ends a queue. */
enum prusik_queue_close {
	PRUSIK_QUEUE_DRAIN, /* what is in it may still be taken; the default */
	PRUSIK_QUEUE_DISCARD, /* what is in it, leases apart, is thrown away */
};

/*
 * What prusik_queue_stats tells, at one moment. From put to recovered, and of waits, the
 * totals since the queue was made: the difference of two looks is a rate. Of a death in
 * between they may have counted one too many.
 */
struct prusik_queue_stats {
	uint64_t capacity, item_max;
	uint64_t ready; /* items that can be taken */
	uint64_t delayed; /* items whose time has not come; or has, and nobody has looked since */
	uint64_t leased; /* items taken and not yet done */
	uint64_t dead; /* items given up */
	uint64_t reserved; /* room lent to putters */
	uint64_t put; /* items put since the queue was made */
	uint64_t done; /* items that have left it: done, got, or drained */
	uint64_t returned; /* leases that came back because their taker or their time had ended */
	uint64_t retried; /* leases given back by their takers */
	uint64_t buried; /* times that an item was given up */
	uint64_t recovered; /* times that somebody died inside the queue and was cleaned up after */
	uint32_t closed; /* 0 or 1 */
	uint32_t kind;
	uint64_t lease_ms;
	uint32_t attempts_max;
	uint32_t producers; /* attached and alive */
	uint64_t put_waits; /* times that somebody went to sleep for room */
	uint64_t take_waits; /* times that somebody went to sleep for an item */
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
int prusik_queue_create(struct prusik_arena *arena, const char *name, const struct prusik_queue_options *options,
			struct prusik_queue **ret_queue) PRUSIK_MUST_USE;

/*
 * prusik_queue_open - attach to the queue of that name
 *
 * Returns 0 with *ret_queue set; -ENOENT: no such queue; -EPROTO: something else
 * goes by that name, or its bytes are not those of a queue; -EINVAL, -ENOMEM.
 */
int prusik_queue_open(struct prusik_arena *arena, const char *name, struct prusik_queue **ret_queue) PRUSIK_MUST_USE;

/*
 * prusik_queue_open_named - the queue of that name in the domain, made where there is none
 *
 * It has an arena of its own, which is the named object (prusik/named.h): flags are
 * PRUSIK_EXISTING, PRUSIK_NEW and PRUSIK_PERSISTENT as there, and so is how long it
 * lives. options count when it is made; NULL: all defaults.
 *
 * Returns 0 with *ret_queue set, or
 *   -ENOENT, -EEXIST  none with PRUSIK_EXISTING, one with PRUSIK_NEW
 *   -EPROTO           damaged, or another version;   -EPROTOTYPE  something else goes by that name, or its bytes are not a queue's
 *   -ENOSPC, -EINVAL, -ENAMETOOLONG, -EPERM, -ENOMEM, -EMFILE, or the domain could not be joined
 * Killed inside: no queue, or a whole one.
 */
int prusik_queue_open_named(const char *name, const struct prusik_queue_options *options, uint32_t flags,
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
int prusik_queue_put(struct prusik_queue *queue, const void *data, uint64_t length, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_put_with - the same with a priority, or not to be handed out before a time
 *
 * options NULL: as prusik_queue_put. An item that is delayed counts as in the queue:
 * it takes room, and prusik_queue_join waits for it. Returns as prusik_queue_put.
 */
int prusik_queue_put_with(struct prusik_queue *queue, const void *data, uint64_t length,
			  const struct prusik_queue_put_options *options, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_reserve - borrow room for an item of at most length bytes, to be filled in place
 *
 * The room counts as used. Returns 0 with *ret_reservation filled, or as
 * prusik_queue_put. The place in line is that of the commit.
 * Killed, or the thread ends, before prusik_queue_commit: the room is free again.
 */
int prusik_queue_reserve(struct prusik_queue *queue, uint64_t length, struct prusik_reservation *ret_reservation,
			 int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_commit - what was written to the reservation is an item of that length
 *
 * options as of prusik_queue_put_with; may be NULL. Returns 0, or
 *   -EPIPE     closed meanwhile; the reservation is still to be abandoned
 *   -EMSGSIZE  longer than what was reserved
 *   -ESTALE    committed or abandoned already
 *   -EPERM     another thread's
 *   -EINVAL, or the domain could not be joined
 * Killed inside: the whole item is in the queue, or nothing.
 */
int prusik_queue_commit(struct prusik_queue *queue, const struct prusik_reservation *reservation, uint64_t length,
			const struct prusik_queue_put_options *options);

/* prusik_queue_abandon - give the room back unused. 0, -ESTALE, -EPERM, -EINVAL */
int prusik_queue_abandon(struct prusik_queue *queue, const struct prusik_reservation *reservation);

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
int64_t prusik_queue_get(struct prusik_queue *queue, void *buffer, uint64_t capacity, int64_t deadline) PRUSIK_MUST_USE;

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
 * prusik_queue_peek - copy the next item, which stays where it is
 *
 * Waits for one until deadline. Returns its length, or as prusik_queue_get. It may be
 * gone when the call returns.
 */
int64_t prusik_queue_peek(struct prusik_queue *queue, void *buffer, uint64_t capacity,
			  int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_queue_take - borrow the oldest item, waiting for one until deadline
 *
 * Fills *ret_lease; lease->data points at the item itself, valid until done.
 * Returns 0, or -ETIMEDOUT, -EPIPE, -EINVAL as get.
 * Killed before prusik_queue_done: the item is the oldest again, with its
 * attempt counter raised.
 */
int prusik_queue_take(struct prusik_queue *queue, struct prusik_lease *ret_lease, int64_t deadline) PRUSIK_MUST_USE;

/* prusik_queue_take_many - borrow up to count items, waiting for the first; how many, or as take */
int64_t prusik_queue_take_many(struct prusik_queue *queue, struct prusik_lease *ret_leases, uint32_t count,
			       int64_t deadline) PRUSIK_MUST_USE;

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
int64_t prusik_queue_done_many(struct prusik_queue *queue, const struct prusik_lease *leases, uint32_t count);

/*
 * prusik_queue_retry - the attempt has failed: hand the item out again, not before that time
 *
 * not_before PRUSIK_NOW: at once, at the front of the line; else as of
 * prusik_queue_put_with. The attempt counts: an item that has had attempts_max of them
 * is dead, and 1 is returned instead of 0. Any thread may say so. -ESTALE, -EINVAL.
 * Killed inside: leased still, or given back.
 */
int prusik_queue_retry(struct prusik_queue *queue, const struct prusik_lease *lease, int64_t not_before);

/* prusik_queue_release - the same at once, and the attempt does not count. 0, -ESTALE, -EINVAL */
int prusik_queue_release(struct prusik_queue *queue, const struct prusik_lease *lease);

/* prusik_queue_bury - give the item up: it is dead. 0, -ESTALE, -EINVAL */
int prusik_queue_bury(struct prusik_queue *queue, const struct prusik_lease *lease);

/*
 * prusik_queue_extend - the lease ends by time at that deadline, not before
 *
 * Where leases have no limit (lease_ms 0, not detached) there is nothing to extend:
 * 0 says that the lease is still held. -ESTALE: it is over. -EINVAL.
 */
int prusik_queue_extend(struct prusik_queue *queue, const struct prusik_lease *lease, int64_t until);

/*
 * prusik_queue_detach - the lease no longer ends with the thread that took it, but at that deadline
 *
 * For who takes an item and leaves it to others to say what became of it, as a
 * command in a shell does. PRUSIK_FOREVER: it never ends by itself. 0, -ESTALE, -EINVAL.
 */
int prusik_queue_detach(struct prusik_queue *queue, const struct prusik_lease *lease, int64_t until);

/*
 * The dead: items that have had attempts_max attempts, or were buried. They take room.
 *
 * dead_peek copies the first dead item whose number is at least *number, in the order
 * of putting; *number becomes its number + 1, so calling it again gives the next one.
 * dead_get takes the oldest one out. Both return its length, -ETIMEDOUT: there is none,
 * -EMSGSIZE, -EINVAL. *ret_attempts (may be NULL): how many it has had.
 * dead_requeue makes up to count of them, the oldest first, items as if never tried,
 * and returns how many.
 * Killed inside: each is dead still, or gone, or an item again.
 */
int64_t prusik_queue_dead_peek(struct prusik_queue *queue, uint64_t *number, void *buffer, uint64_t capacity,
			       uint32_t *ret_attempts) PRUSIK_MUST_USE;
int64_t prusik_queue_dead_get(struct prusik_queue *queue, void *buffer, uint64_t capacity) PRUSIK_MUST_USE;
int64_t prusik_queue_dead_requeue(struct prusik_queue *queue, uint64_t count);

/*
 * prusik_queue_join - wait until everything put is done, or until deadline
 *
 * Done, got, discarded by close, or dead. Items whose takers have died are not: somebody
 * must be there to take them again; but for a queue that is discarded, where they are
 * discarded too. Returns 0, -ETIMEDOUT, -ECANCELED, -EINVAL, or the domain
 * could not be joined.
 */
int prusik_queue_join(struct prusik_queue *queue, int64_t deadline);

/*
 * prusik_queue_attach_producer - the calling thread is one of those who put
 *
 * In a queue made with ends_with_producers, when all who have attached have detached
 * or ended in any way, the queue is closed, as by PRUSIK_QUEUE_DRAIN: takers get what
 * is left, then -EPIPE. Before the first has attached it stays open. Others may put too.
 * Returns 0 (also when attached already), -EPIPE: closed already, -ENOSPC: 64 are
 * attached, -EINVAL, or the domain could not be joined. detach: 0, -EPERM: was not
 * attached, -EINVAL.
 */
int prusik_queue_attach_producer(struct prusik_queue *queue) PRUSIK_MUST_USE;
int prusik_queue_detach_producer(struct prusik_queue *queue);

/*
 * prusik_queue_close - no more puts; wake everybody who waits
 *
 * Putters get -EPIPE from now on. With PRUSIK_QUEUE_DRAIN takers get what is left,
 * then -EPIPE. Closing a closed queue is fine; DISCARD after DRAIN discards.
 * Returns 0, -EINVAL, or the domain could not be joined.
 */
int prusik_queue_close(struct prusik_queue *queue, enum prusik_queue_close how);

/*
 * How many items can be taken now; is that none; is there no room for one more now?
 * -EINVAL for NULL. Never block. A delayed item counts once somebody has looked after
 * its time had come.
 */
int64_t prusik_queue_length(const struct prusik_queue *queue);
int prusik_queue_is_empty(const struct prusik_queue *queue);
int prusik_queue_is_full(const struct prusik_queue *queue);

/* All the figures of one moment. Returns 0, -EINVAL, or the domain could not be joined. */
int prusik_queue_stats(struct prusik_queue *queue, struct prusik_queue_stats *ret_stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
