/* SPDX-License-Identifier: MIT */
/*
 * condition - a count of notifies that waiters sleep on
 *
 * struct prusik_condition - 8 bytes; private or shared memory; zero = nobody waits
 *
 * WORD     bits 31..1 notifies, counted; bit 0 WAITERS: somebody may be asleep
 * WRITES   the holder of the lock that goes with it, only
 * ALWAYS   C1 somebody sleeps on the word => WAITERS is set, or he has been woken
 * MAY LIE  WAITERS with no sleeper (he timed out or died): costs one wake
 * KILLED   a notifier after his change of the predicate, before the wake: the
 *          waiters are woken by the epoch, take the lock (RECOVERED), and look.
 *          A woken waiter, before he acts on it: all others are woken by the
 *          epoch and look. The epoch is read while the lock is still held: a
 *          death before that, under this lock, has already been told to this
 *          thread as RECOVERED; a later one ends the sleep.
 *
 * The wake comes before the lock is released, so that a killed notifier has either
 * not released it or woken them all.
 *
 * Under an rlock the waiter keeps its depth on its own stack: killed before it has
 * put it back, it leaves an rlock held by the dead, whose next holder sets it anew.
 */
#include <prusik/condition.h>

#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>
#include <limits.h>

#define WAITERS UINT32_C(1)
#define ONE_NOTIFY UINT32_C(2)

_Static_assert(sizeof(struct prusik_condition) == 8, "shared layout");

/* 0: condition and lock are usable and the caller holds the lock. */
static int check(const struct prusik_condition *condition, const struct prusik_lock *lock)
{
	if (prk_misplaced(condition) || prk_misplaced(lock))
		return -EINVAL;
	return prk_lock_mine(lock) ? 0 : -EPERM;
}

/* depth: NULL, or that of the rlock which lock belongs to. The caller holds lock. */
static int wait_once(struct prusik_condition *condition, struct prusik_lock *lock, uint32_t *depth, int64_t deadline)
{
	uint32_t times = depth ? prk_load32_rlx(depth) : 0;
	uint32_t epoch = prk_epoch();
	uint32_t seen = prk_load32_rlx(&condition->word) | WAITERS;

	prk_store32_rlx(&condition->word, seen);
	prk_lock_release(lock);
	int r;
	do /* neither notified, nor a death: a signal */
		r = prk_wait(&condition->word, seen, epoch, deadline);
	while (r == 0 && prk_load32_rlx(&condition->word) == seen && prk_epoch() == epoch);
	int again = prk_lock_take(lock);
	if (depth)
		prk_store32_rlx(depth, times);
	return again != 0 ? again : r;
}

static int wait_for(struct prusik_condition *condition, struct prusik_lock *lock, uint32_t *depth,
		    int (*predicate)(void *), void *arg, int64_t deadline)
{
	int r = predicate ? check(condition, lock) : -EINVAL;

	if (r < 0)
		return r;
	while (!predicate(arg)) {
		if (r != 0)
			return r;
		r = wait_once(condition, lock, depth, deadline);
	}
	return 0;
}

int prusik_condition_wait(struct prusik_condition *condition, struct prusik_lock *lock, int64_t deadline)
{
	int r = check(condition, lock);

	return r < 0 ? r : wait_once(condition, lock, NULL, deadline);
}

int prusik_condition_wait_for(struct prusik_condition *condition, struct prusik_lock *lock, int (*predicate)(void *),
			      void *arg, int64_t deadline)
{
	return wait_for(condition, lock, NULL, predicate, arg, deadline);
}

int prusik_condition_wait_rlock(struct prusik_condition *condition, struct prusik_rlock *rlock, int64_t deadline)
{
	int r = prk_misplaced(rlock) ? -EINVAL : check(condition, &rlock->lock);

	return r < 0 ? r : wait_once(condition, &rlock->lock, &rlock->depth, deadline);
}

int prusik_condition_wait_for_rlock(struct prusik_condition *condition, struct prusik_rlock *rlock,
				    int (*predicate)(void *), void *arg, int64_t deadline)
{
	if (prk_misplaced(rlock))
		return -EINVAL;
	return wait_for(condition, &rlock->lock, &rlock->depth, predicate, arg, deadline);
}

static int notify(struct prusik_condition *condition, struct prusik_lock *lock, int n)
{
	int r = check(condition, lock);
	uint32_t word = r < 0 ? 0 : prk_load32_rlx(&condition->word);

	if (!(word & WAITERS) || n == 0)
		return r;
	prk_store32_rlx(&condition->word, word + ONE_NOTIFY);
	/* Fewer woken than wanted: nobody is left asleep. */
	if (prk_wake(&condition->word, n) < n)
		prk_store32_rlx(&condition->word, (word + ONE_NOTIFY) & ~WAITERS);
	return 0;
}

int prusik_condition_notify(struct prusik_condition *condition, struct prusik_lock *lock, uint32_t n)
{
	return notify(condition, lock, n > INT_MAX ? INT_MAX : (int)n);
}

int prusik_condition_notify_all(struct prusik_condition *condition, struct prusik_lock *lock)
{
	return notify(condition, lock, INT_MAX);
}
