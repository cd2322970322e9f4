/* SPDX-License-Identifier: MIT */
/*
 * rlock - a lock that its holder may take again
 *
 * Released as often as it was acquired, by the thread that holds it only. All zero
 * is a free one. Private or shared memory.
 *
 * kill -9: as prusik/lock.h: the next one gets it at once, holds it once however
 * often the dead one did, and is told.
 *
 * With a condition: prusik_condition_wait_rlock; where a call wants a lock of which
 * only the holder matters (prusik_condition_notify), give it &rlock->lock.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_RLOCK_H
#define PRUSIK_RLOCK_H

#include <prusik/lock.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* 16 bytes, private; lock is the first member. depth: how often its holder has it. */
struct prusik_rlock {
	struct prusik_lock lock;
	uint32_t depth;
	uint32_t reserved;
};

/*
 * Take it, or take it once more. Returns 0, PRUSIK_RECOVERED, or
 *   -ETIMEDOUT  held by another until deadline    -ECANCELED  (prusik/cancel.h)
 *   -EOVERFLOW  2^32 - 1 times already            -EINVAL     NULL or misaligned
 *   or a cause for which the domain could not be joined (prusik/common.h)
 *
 * Killed inside: held by the dead or free, never lost to the others.
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_rlock_acquire(struct prusik_rlock *rlock, int64_t deadline) PRUSIK_MUST_USE;

/*
 * Give it back once; the last time frees it. 0; -EPERM: the calling thread does not
 * hold it; -EINVAL.
 */
int prusik_rlock_release(struct prusik_rlock *rlock);

/* 1 when a living thread holds it, else 0; -EINVAL. */
int prusik_rlock_locked(const struct prusik_rlock *rlock);

/* How often the calling thread holds it; -EINVAL. */
int64_t prusik_rlock_depth(const struct prusik_rlock *rlock);

/* As prusik_lock_owner. */
int prusik_rlock_owner(const struct prusik_rlock *rlock, struct prusik_owner *ret_owner);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
