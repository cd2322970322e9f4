/* SPDX-License-Identifier: MIT */
/*
 * lock - one word that names its owner, one that names who is served next
 *
 * struct prusik_lock - 8 bytes; private or shared memory; zero = free
 *
 * WORD     word: bit 31 WAITERS: somebody may be asleep on the word. Bit 30 PROMISED:
 *          when free, it is for the one that next names. Bits 29..0: the owner's id,
 *          0 = free.
 *          next: bits 29..0 the id of one who has waited long enough, 0 = nobody. Bit
 *          31 CALLED: the lock was freed for him. He sleeps on next, not on word.
 * WRITES   word: anyone, by CAS only; PROMISED is set by the one that next names, and
 *          cleared by him, or on a free word once next names nobody alive.
 *          next: anyone, by CAS from 0 or a dead id to his own; then that one alone,
 *          but for CALLED, which who frees the lock sets by CAS.
 * ALWAYS   L1 the id was that of the thread that set it, alive at that moment
 *          L2 somebody sleeps on the word => WAITERS is set, or he has been woken
 *          and not looked yet, or the one woken in his place has not looked yet
 *          L3 somebody sleeps on next => it is his id, and the word was held, PROMISED,
 *          when he looked; so it has not been freed since, or he is being called
 * MAY LIE  WAITERS with no sleeper: costs one wake. PROMISED when next names nobody or
 *          one who has died: costs a look at next.
 * KILLED   after acquire's CAS: the word names a dead id. A newcomer sees that
 *          before he sleeps; who sleeps is woken by the raised epoch, looks, and
 *          takes the lock over by CAS from the dead id to his own: RECOVERED.
 *          after release's CAS, before the wake or the call: the word is free, a
 *          sleeper is woken by the epoch. A woken waiter, before he takes it: the same.
 *          Two taken over at once by a death: each word speaks for itself.
 *          The one that next names, wherever he is: the promise is void, since his id
 *          is dead; all are woken by the epoch and see that.
 *
 * The algorithm is the futex mutex of Drepper, "Futexes are tricky" (2011), with
 * the owner in the word: who has slept takes the lock with WAITERS set, since
 * others may sleep still. What next adds is that nobody is passed over for ever:
 * whoever was woken and finds the lock taken again, PATIENCE after he began to wait,
 * becomes next, unless somebody is. No time-out is involved: the promise names him.
 */
#include "sync/lock.h"

#include "base/ghost.h"
#include "base/wait.h"

#include <errno.h>

#define PROMISED UINT32_C(0x40000000)
#define CALLED UINT32_C(0x80000000)

#define PATIENCE INT64_C(1000000)

_Static_assert(sizeof(struct prusik_lock) == 8, "shared layout");

/* He that next names; not if the word is a copy that a fork has made while he waited for the other. */
static bool lives(const struct prusik_lock *lock, uint32_t id)
{
	return id != 0 && !prk_dead(id) && !(prk_joined() == 0 && prk_ghost(lock, id));
}

/* Free, or its owner dead, or the copy of one: may I take it? */
static bool available(const struct prusik_lock *lock, uint32_t word)
{
	uint32_t owner = word & PRK_ID_MASK;

	if (owner)
		return prk_dead(owner) || prk_ghost(lock, owner);
	if (!(word & PROMISED))
		return true;
	uint32_t next = prk_load32_sc(&lock->next) & PRK_ID_MASK;
	return next == prk_self()->id || !lives(lock, next);
}

/* Take a free or dead one's word, keeping and setting these bits. 0, RECOVERED, or -EAGAIN. */
static int take(struct prusik_lock *lock, uint32_t seen, uint32_t keep, uint32_t set)
{
	struct prk_self *self = prk_self();
	uint32_t wanted = self->id | (seen & keep) | set;
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
		if ((seen & (PRK_ID_MASK | PROMISED)) == 0 && take(lock, seen, PRK_LOCK_WAITERS, 0) == 0)
			return 0;
		prk_pause();
	}
	return -EAGAIN;
}

static bool become_next(struct prusik_lock *lock)
{
	uint32_t next = prk_load32_sc(&lock->next);

	/* sc [lock.next]: pairs with the look in call_next */
	return !lives(lock, next & PRK_ID_MASK) && prk_cas32_sc(&lock->next, &next, prk_self()->id);
}

/* I am next, and have seen the word held by a living one. r < 0: and give up. */
static int sleep_as_next(struct prusik_lock *lock, uint32_t seen, uint32_t epoch, int64_t deadline, int r)
{
	uint32_t both = PROMISED | PRK_LOCK_WAITERS;
	uint32_t wanted = r < 0 ? seen & ~PROMISED : seen | both;

	if (wanted != seen && !prk_cas32_sc(&lock->word, &seen, wanted))
		return 0;
	return r < 0 ? r : prk_wait(&lock->next, prk_self()->id, epoch, deadline);
}

static int wait_as_next(struct prusik_lock *lock, int64_t deadline)
{
	int r = 0, gave_up = 0;

	for (;;) {
		uint32_t epoch = prk_epoch();
		/* sc [lock.next]: not CALLED any more; pairs with call_next, as the look at word */
		prk_store32_sc(&lock->next, prk_self()->id);
		uint32_t seen = prk_load32_sc(&lock->word);
		if (available(lock, seen)) {
			r = take(lock, seen, 0, PRK_LOCK_WAITERS);
			if (r >= 0)
				break;
			continue;
		}
		r = sleep_as_next(lock, seen, epoch, deadline, gave_up);
		if (gave_up < 0 && r < 0)
			break;
		gave_up = r;
	}
	prk_store32_sc(&lock->next, 0); /* sc [lock.next]: pairs with become_next */
	return r;
}

static int sleep_for(struct prusik_lock *lock, int64_t deadline)
{
	uint32_t with = 0;
	int64_t patient_until = 0;

	for (;;) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_rlx(&lock->word);
		if (available(lock, seen)) {
			int r = take(lock, seen, PRK_LOCK_WAITERS | PROMISED, with);
			if (r >= 0)
				return r;
			continue;
		}
		if (deadline == PRUSIK_NOW)
			return -ETIMEDOUT;
		if (with == 0)
			patient_until = prusik_in_ns(PATIENCE);
		else if (prusik_now() >= patient_until && become_next(lock))
			return wait_as_next(lock, deadline);
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

/* The word was freed for the one who is next. If there is nobody: for anybody. */
static void call_next(struct prusik_lock *lock)
{
	uint32_t next = prk_load32_sc(&lock->next); /* sc [lock.next]: wait_as_next */

	if (lives(lock, next & PRK_ID_MASK)) {
		prk_cas32_sc(&lock->next, &next, next | CALLED);
		prk_wake(&lock->next, 1);
		return;
	}
	uint32_t seen = prk_load32_sc(&lock->word);
	while ((seen & (PRK_ID_MASK | PROMISED)) == PROMISED) {
		if (prk_cas32_sc(&lock->word, &seen, 0)) {
			prk_wake(&lock->word, 1);
			return;
		}
	}
}

int prk_lock_release_slow(struct prusik_lock *lock)
{
	struct prk_self *self = prk_self();
	uint32_t seen = prk_load32_rlx(&lock->word), wanted;

	do {
		if ((seen & PRK_ID_MASK) == 0 || prk_life_open() < 0 || prk_dead(seen & PRK_ID_MASK))
			return -EPERM;
		wanted = seen & PROMISED ? seen & ~PRK_ID_MASK : 0;
		/* rel [lock.word]: publishes what was done under the lock; sc: call_next looks */
	} while (!prk_cas32_sc(&lock->word, &seen, wanted));
	if ((seen & PRK_ID_MASK) == self->id)
		self->held--;
	if (seen & PROMISED)
		call_next(lock);
	else if (seen & PRK_LOCK_WAITERS)
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
