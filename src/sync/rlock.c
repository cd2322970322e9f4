/* SPDX-License-Identifier: MIT */
/*
 * rlock - a lock, and how often its owner has taken it
 *
 * struct prusik_rlock - 16 bytes; private or shared memory; zero = free
 *
 * WORD     lock: sync/lock.c. depth: how often lock's owner has it.
 * WRITES   depth: the owner of lock only, while it is that
 * ALWAYS   R1 lock is held by one who has returned from acquire => depth >= 1
 * MAY LIE  depth, while lock is free or its owner is inside acquire, or dead: it is
 *          the last owner's, and nobody believes it then
 * KILLED   after lock was taken (also from the dead), before depth is 1; with any
 *          depth: lock is held by the dead, the next one is told and sets depth to 1
 *          before anything else.
 */
#include <prusik/rlock.h>

#include "sync/lock.h"

#include <errno.h>

_Static_assert(sizeof(struct prusik_rlock) == 16, "shared layout");
_Static_assert(offsetof(struct prusik_rlock, lock) == 0, "a misplaced rlock is a misplaced lock");

static int once_more(struct prusik_rlock *rlock)
{
	uint32_t depth = prk_load32_rlx(&rlock->depth);

	if (depth == UINT32_MAX)
		return -EOVERFLOW;
	prk_store32_rlx(&rlock->depth, depth + 1);
	return 0;
}

int prusik_rlock_acquire(struct prusik_rlock *rlock, int64_t deadline)
{
	if (prk_misplaced(rlock))
		return -EINVAL;
	if (prk_lock_mine(&rlock->lock))
		return once_more(rlock);
	int r = prk_lock_acquire(&rlock->lock, deadline);
	if (r >= 0)
		prk_store32_rlx(&rlock->depth, 1);
	return r;
}

int prusik_rlock_release(struct prusik_rlock *rlock)
{
	if (prk_misplaced(rlock))
		return -EINVAL;
	if (!prk_lock_mine(&rlock->lock))
		return -EPERM;
	uint32_t depth = prk_load32_rlx(&rlock->depth);
	if (depth > 1) {
		prk_store32_rlx(&rlock->depth, depth - 1);
		return 0;
	}
	/* depth stays as it is: free, nobody believes it; and after this it is the next owner's */
	return prk_lock_release(&rlock->lock);
}

int prusik_rlock_locked(const struct prusik_rlock *rlock)
{
	return prk_misplaced(rlock) ? -EINVAL : prusik_lock_locked(&rlock->lock);
}

int64_t prusik_rlock_depth(const struct prusik_rlock *rlock)
{
	if (prk_misplaced(rlock))
		return -EINVAL;
	return prk_lock_mine(&rlock->lock) ? (int64_t)prk_load32_rlx(&rlock->depth) : 0;
}

int prusik_rlock_owner(const struct prusik_rlock *rlock, struct prusik_owner *ret_owner)
{
	return prk_misplaced(rlock) ? -EINVAL : prusik_lock_owner(&rlock->lock, ret_owner);
}
