/* SPDX-License-Identifier: MIT */
#ifndef PRK_SYNC_LOCK_H
#define PRK_SYNC_LOCK_H

#include "base/life.h"

#include <prusik/lock.h>

#define PRK_LOCK_WAITERS UINT32_C(0x80000000)

int prk_lock_acquire_slow(struct prusik_lock *lock, int64_t deadline);
int prk_lock_release_slow(struct prusik_lock *lock);

/*
 * Take a lock of the library's own: without a deadline, and heeding no token. What
 * it protects is held for a moment only.
 */
int prk_lock_take_slow(struct prusik_lock *lock);

/* Free, and now the calling thread's? The fast path, without a call. */
static inline bool prk_lock_try(struct prusik_lock *lock)
{
	struct prk_self *self = prk_self();
	uint32_t free = 0;

	/* L1, acq [lock.word]: pairs with L2 */
	if (__builtin_expect(self->id == 0 || !prk_cas32_acq(&lock->word, &free, self->id), 0))
		return false;
	self->held++;
	return true;
}

static inline int prk_lock_acquire(struct prusik_lock *lock, int64_t deadline)
{
	return prk_lock_try(lock) ? 0 : prk_lock_acquire_slow(lock, deadline);
}

static inline int prk_lock_take(struct prusik_lock *lock)
{
	return prk_lock_try(lock) ? 0 : prk_lock_take_slow(lock);
}

static inline int prk_lock_release(struct prusik_lock *lock)
{
	struct prk_self *self = prk_self();
	uint32_t mine = self->id;

	/* L2, rel [lock.word]: publishes what was done under the lock */
	if (__builtin_expect(mine != 0 && prk_cas32_rel(&lock->word, &mine, 0), 1)) {
		self->held--;
		return 0;
	}
	return prk_lock_release_slow(lock);
}

/* Does the calling thread hold it? */
static inline bool prk_lock_mine(const struct prusik_lock *lock)
{
	uint32_t id = prk_self()->id;

	return id != 0 && (prk_load32_rlx(&lock->word) & PRK_ID_MASK) == id;
}

/* NULL, or not where a futex can be. */
static inline bool prk_misplaced(const void *object)
{
	return !object || ((uintptr_t)object & 3);
}

#endif
