/* SPDX-License-Identifier: MIT */
/*
 * condition - wait and notify of src/sync/condition.c
 *
 * Two waiters want an item each; a notifier makes two, one in each of two critical
 * sections, with a notify(1) for each. Up to KILLS of the three are killed, each
 * between any two steps. The lock is taken in one step here, from nobody or from
 * the dead (lock.pml shows that this comes to pass). A sweeper that does not die
 * raises the epoch after each death.
 *
 * Checked: when nobody can take a step, nobody alive is asleep while there is an
 * item, or still wants the lock.
 */
#ifndef KILLS
#define KILLS 2
#endif

#define BIT(i) (1 << (i))
#define CLEAR(set, i) set = set & ~BIT(i)
#define SET(set, i) set = set | BIT(i)
#define HAS(set, i) (set & BIT(i))
#define AT(where) pc[me] == where
#define FREE (owner == 0 || HAS(died, owner))

mtype = { lock, look, read_epoch, set_waiters, release, late_epoch, late_waiters, queue_word, queue_epoch, asleep,
	  change, count, wake, no_waiters, unlock, done, dead };

byte owner; /* the lock's word */
byte items; /* the predicate */
bit waiters; /* the condition's word: WAITERS, */
byte counted; /* bits: notifies were counted since the participant looked */

byte died, unheard; /* life words: DIED; not buried yet */
byte on_word, on_epoch, woken; /* the kernel's queues */
byte epoch_changed; /* bits: since the participant read it */
mtype pc[4] = lock;
byte to_make = 2;

inline awake()
{
	CLEAR(on_word, me);
	CLEAR(on_epoch, me);
	CLEAR(woken, me);
	CLEAR(counted, me);
	CLEAR(epoch_changed, me);
	pc[me] = lock
}

active [2] proctype waiter()
{
	byte me = _pid + 1;

end:
	do
	:: d_step { AT(lock) && FREE -> owner = me; pc[me] = look }
	:: d_step {
		AT(look) ->
		if
		:: items > 0 -> items--; pc[me] = unlock
#ifdef BUG_EPOCH_AFTER_RELEASE
		:: else -> pc[me] = set_waiters
#else
		:: else -> pc[me] = read_epoch
#endif
		fi
	   }
	/* prusik_condition_wait */
	:: d_step { AT(read_epoch) -> CLEAR(epoch_changed, me); pc[me] = set_waiters }
	:: d_step {
		AT(set_waiters) ->
		CLEAR(counted, me);
#ifndef BUG_WAITERS_AFTER_RELEASE
		waiters = 1;
#endif
		pc[me] = release
	   }
	:: d_step {
		AT(release) ->
		owner = 0;
#ifdef BUG_EPOCH_AFTER_RELEASE
		pc[me] = late_epoch
#elif defined(BUG_WAITERS_AFTER_RELEASE)
		pc[me] = late_waiters
#else
		pc[me] = queue_word
#endif
	   }
	:: d_step { AT(late_epoch) -> CLEAR(epoch_changed, me); pc[me] = queue_word }
	:: d_step { AT(late_waiters) -> waiters = 1; pc[me] = queue_word }
	/* prk_wait */
	:: d_step {
		AT(queue_word) ->
		if
#ifndef BUG_SLEEP_WITHOUT_COMPARE
		:: HAS(counted, me) || !waiters -> awake()
#endif
		:: else -> SET(on_word, me); pc[me] = queue_epoch
		fi
	   }
	:: d_step {
		AT(queue_epoch) ->
		if
		:: HAS(epoch_changed, me) || HAS(woken, me) -> awake()
		:: else -> SET(on_epoch, me); pc[me] = asleep
		fi
	   }
	:: d_step { AT(asleep) && HAS(woken, me) -> awake() }
	:: d_step { AT(unlock) -> owner = 0; pc[me] = done }
	od
}

#ifdef BUG_NOTIFY_AFTER_RELEASE_NO_EPOCH
#define AFTER_NOTIFY (to_make > 0 -> lock : done)
#define AFTER_CHANGE unlock
#define AFTER_UNLOCK count
#else
#define AFTER_NOTIFY unlock
#define AFTER_CHANGE count
#define AFTER_UNLOCK (to_make > 0 -> lock : done)
#endif

/* notify(1): any one that is queued, also one who is awake already, from the epoch. */
inline wake_one(i)
{
	CLEAR(on_word, i);
	SET(woken, i);
	pc[me] = AFTER_NOTIFY
}

active proctype notifier()
{
	byte me = _pid + 1;

end:
	do
	:: d_step { AT(lock) && FREE -> owner = me; pc[me] = change }
	:: d_step { AT(change) -> items++; to_make--; pc[me] = AFTER_CHANGE }
	:: d_step {
		AT(count) ->
		if
		:: waiters ->
#ifndef BUG_NOTIFY_WITHOUT_COUNT
			counted = 255;
#endif
			pc[me] = wake
		:: else -> pc[me] = AFTER_NOTIFY
		fi
	   }
#ifdef BUG_NOTIFY_CLEARS_WAITERS
	:: d_step { AT(wake) && HAS(on_word, 1) -> waiters = 0; wake_one(1) }
	:: d_step { AT(wake) && HAS(on_word, 2) -> waiters = 0; wake_one(2) }
#else
	:: d_step { AT(wake) && HAS(on_word, 1) -> wake_one(1) }
	:: d_step { AT(wake) && HAS(on_word, 2) -> wake_one(2) }
#endif
	:: d_step { AT(wake) && on_word == 0 -> pc[me] = no_waiters }
	:: d_step { AT(no_waiters) -> waiters = 0; pc[me] = AFTER_NOTIFY }
	:: d_step { AT(unlock) -> owner = 0; pc[me] = AFTER_UNLOCK }
	od
}

active proctype sweeper()
{
end:
	do
	:: d_step { unheard != 0 -> unheard = 0; epoch_changed = 255 }; /* B1 */
	   d_step { woken = woken | on_epoch; on_epoch = 0 } /* B2 */
	od
}

byte kills;

/* SIGKILL, and the kernel's mark. */
inline kill(who)
{
	kills++;
	me = who;
	awake();
	SET(died, me);
#ifdef BUG_NO_EPOCH
	skip;
#elif defined(BUG_NOTIFY_AFTER_RELEASE_NO_EPOCH)
	if
	:: owner == me -> SET(unheard, me)
	:: else
	fi;
#else
	SET(unheard, me);
#endif
	pc[me] = dead;
	me = 0
}

#define MORTAL(i) (kills < KILLS && pc[i] != dead && pc[i] != done)

active proctype killer()
{
	byte me;

end:
	do
	:: d_step { MORTAL(1) -> kill(1) }
	:: d_step { MORTAL(2) -> kill(2) }
	:: d_step { MORTAL(3) -> kill(3) }
	:: d_step { kills < KILLS -> kills = KILLS } /* no more of it */
	od
}

#define WELL(i) (pc[i] == dead || pc[i] == done || (pc[i] == asleep && items == 0))

active proctype judge()
{
end:
	do
	:: timeout -> assert(WELL(1) && WELL(2) && WELL(3)); break
	od
}
