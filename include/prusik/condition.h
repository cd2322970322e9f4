/* SPDX-License-Identifier: MIT */
/*
 * condition - wait, under a lock, until something that the lock protects is so
 *
 *	prusik_lock_acquire(&box->lock, PRUSIK_FOREVER);
 *	while (box->n == 0)                                   // while, never if
 *		prusik_condition_wait(&box->filled, &box->lock, PRUSIK_FOREVER);
 *	take_one(box);
 *	prusik_lock_release(&box->lock);
 *
 * All zero is a valid condition nobody waits on. Always use a condition with the
 * one lock that protects its predicate: that two use it with different locks is not
 * noticed, and then a notify may be lost.
 *
 * kill -9: a notifier that dies between changing the predicate and notifying,
 * and a waiter that dies with the wake-up in its hands, leave nobody asleep:
 * every death in the domain wakes the waiters, who look at the predicate again.
 * So a wait may end without a notify meant for it, as everywhere with conditions.
 * notify never waits for the ones it woke.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_CONDITION_H
#define PRUSIK_CONDITION_H

#include <prusik/lock.h>
#include <prusik/rlock.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* 8 bytes, private: bits 31..1 count the notifies, bit 0 somebody may be asleep. */
struct prusik_condition {
	uint32_t word;
	uint32_t reserved;
};

/*
 * prusik_condition_wait - release lock, sleep until notified, take lock again
 *
 * Returns with the lock held in every case but -EPERM and -EINVAL:
 *   0                 notified, or somebody in the domain died: look again
 *   PRUSIK_RECOVERED  the same, and the lock's last holder died holding it
 *   -ETIMEDOUT        deadline passed
 *   -ECANCELED        the token that the thread heeds is set (prusik/cancel.h)
 *   -EPERM            the calling thread does not hold lock; nothing was done
 *   -EINVAL           NULL or misaligned
 * The deadline bounds the sleep, not the taking of the lock afterwards.
 *
 * Killed inside: nothing is lost; a notify meant for the dead reaches another.
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_condition_wait(struct prusik_condition *condition, struct prusik_lock *lock,
			  int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_condition_wait_for - wait until predicate(arg) is not 0
 *
 * predicate is called with the lock held; not 0 means yes. Returns with the lock
 * held in every case but -EPERM and -EINVAL:
 *   0                 predicate says yes
 *   PRUSIK_RECOVERED  the lock's last holder died holding it, at a moment when
 *                     predicate said no: mend what the lock protects, call again
 *   -ETIMEDOUT        predicate still said no at the deadline
 *   -ECANCELED        predicate said no, and the token is set
 *   -EPERM            as above
 *   -EINVAL           as above, or no predicate
 */
int prusik_condition_wait_for(struct prusik_condition *condition, struct prusik_lock *lock, int (*predicate)(void *),
			      void *arg, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_condition_wait_rlock, prusik_condition_wait_for_rlock - the same under an rlock
 *
 * However often the calling thread holds it, the wait frees it; afterwards the thread
 * holds it as often as before, after PRUSIK_RECOVERED too. Those who notify give
 * &rlock->lock.
 */
int prusik_condition_wait_rlock(struct prusik_condition *condition, struct prusik_rlock *rlock,
				int64_t deadline) PRUSIK_MUST_USE;
int prusik_condition_wait_for_rlock(struct prusik_condition *condition, struct prusik_rlock *rlock,
				    int (*predicate)(void *), void *arg, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_condition_notify - wake up to n of those who wait
 * prusik_condition_notify_all - wake all of them
 *
 * Returns 0, or
 *   -EPERM   the calling thread does not hold lock
 *   -EINVAL  NULL or misaligned
 * n = 0 does nothing. Wakes while the lock is held: the woken take it in turn.
 * Killed inside: waiters are woken by the death instead.
 */
int prusik_condition_notify(struct prusik_condition *condition, struct prusik_lock *lock, uint32_t n);
int prusik_condition_notify_all(struct prusik_condition *condition, struct prusik_lock *lock);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
