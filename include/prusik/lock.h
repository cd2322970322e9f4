/* SPDX-License-Identifier: MIT */
/*
 * lock - mutual exclusion that outlives its holder
 *
 *	struct account { struct prusik_lock lock; int64_t a, b; };  // invariant: a + b == 0
 *
 *	int r = prusik_lock_acquire(&acc->lock, PRUSIK_FOREVER);
 *	if (r < 0)
 *		return r;                        // we do not have it
 *	if (r == PRUSIK_RECOVERED)
 *		acc->b = -acc->a;                // the last holder died in here: mend what it left
 *	acc->a += 5;
 *	acc->b -= 5;
 *	prusik_lock_release(&acc->lock);
 *
 * All zero is a valid, free lock. Put it into private memory and threads share
 * it, into shared memory and processes share it; all of them must be in the same
 * domain (prusik/common.h).
 *
 * kill -9: the word names its holder. When the holder dies, at whatever
 * instruction and however many others wait, the next one gets the lock at once
 * and is told PRUSIK_RECOVERED. A waiter that dies takes nothing with it.
 *
 * Fairness: whoever comes takes a free lock, also past those who sleep for it, since
 * that is what makes it fast. But one who has waited for 1 ms, was woken, and finds it
 * taken again is promised the lock: it is then freed for him alone, and others, those
 * that only try (PRUSIK_NOW) too, count it as held. So nobody is passed over for ever.
 *
 * Not recursive. Any thread may release it, as in Python.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_LOCK_H
#define PRUSIK_LOCK_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * 8 bytes, private fields. For debuggers, word is:
 * bit 31 somebody may be asleep on it, bit 30 promised, bits 29..0 the holder's id,
 * 0 = free; next: bits 29..0 the id of the one it is promised to.
 */
struct prusik_lock {
	uint32_t word;
	uint32_t next;
};

/* Who holds a lock, as far as it can be told. */
struct prusik_owner {
	int32_t pid; /* as the holder's own PID namespace numbers it */
	int32_t tid;
};

/*
 * prusik_lock_acquire - take the lock, waiting until deadline
 *
 * Returns 0 or PRUSIK_RECOVERED: it is yours; or
 *   -ETIMEDOUT  still held, or promised to another, at deadline (PRUSIK_NOW: now)
 *   -ECANCELED  the token that the thread heeds is set (prusik/cancel.h)
 *   -EDEADLK    the calling thread holds it
 *   -EINVAL     NULL or misaligned (4 bytes)
 *   or a cause for which the domain could not be joined (prusik/common.h)
 *
 * Killed inside: held by the dead or free, never lost to the others.
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_lock_acquire(struct prusik_lock *lock, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_lock_release - give the lock back, and wake one waiter
 *
 * Returns 0, or
 *   -EPERM   it was free: nothing to release; or its holder died: the next one to
 *            acquire it is told
 *   -EINVAL  NULL or misaligned
 * Killed inside: still held by the dead, or free; waiters go on either way.
 * Context: threads; not signal handlers.
 */
int prusik_lock_release(struct prusik_lock *lock);

/*
 * prusik_lock_locked - is it held, by a living thread, at this moment
 *
 * Returns 1 or 0; -EINVAL as above. Never blocks.
 */
int prusik_lock_locked(const struct prusik_lock *lock);

/*
 * prusik_lock_owner - who holds it at this moment
 *
 * Returns 1 with *ret_owner filled, 0 when it is free (or its holder died), or
 * -EINVAL. ret_owner may be NULL. The answer may be old before it is read.
 */
int prusik_lock_owner(const struct prusik_lock *lock, struct prusik_owner *ret_owner);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
