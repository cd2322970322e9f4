/* SPDX-License-Identifier: MIT */
/*
 * lock - one word that names its owner
 *
 * struct prusik_lock - 8 bytes; private or shared memory; zero = free
 *
 * WORD     bit 31 WAITERS: somebody may be asleep on the word. Bits 29..0: the
 *          owner's id, 0 = free.
 * WRITES   anyone, by CAS only
 * ALWAYS   L1 the id was that of the thread that set it, alive at that moment
 *          L2 somebody sleeps on the word => WAITERS is set, or he has been woken
 *          and not looked yet, or the one woken in his place has not looked yet
 * MAY LIE  WAITERS with no sleeper: costs one wake
 * KILLED   after acquire's CAS: the word names a dead id. A newcomer sees that
 *          before he sleeps; who sleeps is woken by the raised epoch, looks, and
 *          takes the lock over by CAS from the dead id to his own: RECOVERED.
 *          after release's CAS, before the wake: the word is free, a sleeper is
 *          woken by the epoch. A woken waiter, before he takes it: the same.
 *          Two taken over at once by a death: each word speaks for itself.
 *
 * The algorithm is the futex mutex of Drepper, "Futexes are tricky" (2011), with
 * the owner in the word: who has slept takes the lock with WAITERS set, since
 * others may sleep still.
 */
#include "sync/lock.h"

#include "base/wait.h"

#include <errno.h>

_Static_assert(sizeof(struct prusik_lock) == 8, "shared layout");

/* Free, or its owner dead: it may be taken. */
static bool available(uint32_t word)
{
	uint32_t owner = word & PRK_ID_MASK;

	return owner == 0 || prk_dead(owner);
}

/* Take a free or dead one's word; with: bits to set beside my id. 0, RECOVERED, or -EAGAIN. */
static int take(struct prusik_lock *lock, uint32_t seen, uint32_t with)
{
	struct prk_self *self = prk_self();
	uint32_t wanted = self->id | (seen & PRK_LOCK_WAITERS) | with;
	int r = seen & PRK_ID_MASK ? PRUSIK_RECOVERED : 0;

	/*
	 * acq [lock.word]: pairs with the release, or with the dead one's life word; sc
	 * because rwlock.c's writer goes on to look at the readers
	 */
	if (!prk_cas32_sc(&lock->word, &seen, wanted))
		return -EAGAIN;
	self->held++;
	return r;
}

static int spin(struct prusik_lock *lock)
{
	for (int i = 0; i < PRK_SPINS; i++) {
		uint32_t seen = prk_load32_rlx(&lock->word);
		if ((seen & PRK_ID_MASK) == 0 && take(lock, seen, 0) == 0)
			return 0;
		prk_pause();
	}
	return -EAGAIN;
}

static int sleep_for(struct prusik_lock *lock, int64_t deadline)
{
	uint32_t with = 0;

	for (;;) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_rlx(&lock->word);
		if (available(seen)) {
			int r = take(lock, seen, with);
			if (r >= 0)
				return r;
			continue;
		}
		if (deadline == PRUSIK_NOW)
			return -ETIMEDOUT;
		if (!(seen & PRK_LOCK_WAITERS)) {
			if (!prk_cas32_rlx(&lock->word, &seen, seen | PRK_LOCK_WAITERS))
				continue;
			seen |= PRK_LOCK_WAITERS;
		}
		int r = prk_wait(&lock->word, seen, epoch, deadline);
		if (r < 0)
			return r;
		with = PRK_LOCK_WAITERS;
	}
}

int prk_lock_acquire_slow(struct prusik_lock *lock, int64_t deadline)
{
	int r = prk_joined();

	if (r < 0)
		return r;
	if (prk_lock_mine(lock))
		return -EDEADLK;
	if (deadline != PRUSIK_NOW && spin(lock) == 0)
		return 0;
	return sleep_for(lock, deadline);
}

int prk_lock_take_slow(struct prusik_lock *lock)
{
	uint32_t *cancel = prk_cancel_here;

	prk_cancel_here = NULL;
	int r = prk_lock_acquire_slow(lock, PRUSIK_FOREVER);
	prk_cancel_here = cancel;
	return r;
}

int prk_lock_release_slow(struct prusik_lock *lock)
{
	struct prk_self *self = prk_self();
	uint32_t seen = prk_load32_rlx(&lock->word);

	do {
		if ((seen & PRK_ID_MASK) == 0 || prk_life_open() < 0 || prk_dead(seen & PRK_ID_MASK))
			return -EPERM;
		/* rel [lock.word]: publishes what was done under the lock */
	} while (!prk_cas32_rel(&lock->word, &seen, 0));
	if ((seen & PRK_ID_MASK) == self->id)
		self->held--;
	if (seen & PRK_LOCK_WAITERS)
		prk_wake(&lock->word, 1);
	return 0;
}

int prusik_lock_acquire(struct prusik_lock *lock, int64_t deadline)
{
	return prk_misplaced(lock) ? -EINVAL : prk_lock_acquire(lock, deadline);
}

int prusik_lock_release(struct prusik_lock *lock)
{
	return prk_misplaced(lock) ? -EINVAL : prk_lock_release(lock);
}

int prusik_lock_owner(const struct prusik_lock *lock, struct prusik_owner *ret_owner)
{
	if (prk_misplaced(lock))
		return -EINVAL;
	uint32_t owner = prk_load32_rlx(&lock->word) & PRK_ID_MASK;
	if (owner == 0 || prk_life_open() < 0 || prk_dead(owner))
		return 0;
	const struct prk_slot *slot = prk_slot_of(owner);
	if (ret_owner) {
		ret_owner->pid = (int32_t)prk_load32_rlx(&slot->pid);
		ret_owner->tid = (int32_t)prk_load32_rlx(&slot->tid);
	}
	return 1;
}

int prusik_lock_locked(const struct prusik_lock *lock)
{
	return prusik_lock_owner(lock, NULL);
}
