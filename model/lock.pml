/* SPDX-License-Identifier: MIT */
/*
 * lock - the word protocol of src/sync/lock.c and the sleep of src/base/wait.c
 *
 * N participants take and release one lock, each as often as it likes; up to KILLS
 * of them are killed, each between any two steps. The last one has a deadline. A
 * sweeper, which does not die here (sentinel.pml is about that), buries the dead
 * some time later, and a newcomer may then take the dead one's slot.
 *
 * Checked: never two living owners; a lock whose holder died inside is taken as
 * RECOVERED; when nobody can take a step, nobody alive is asleep (or anywhere else
 * but out of the lock, since holders go on).
 *
 * Each option of a do is one step: one load or store that others can see.
 */
#ifndef N
#define N 3
#endif
#ifndef KILLS
#define KILLS 2
#endif

#define BIT(i) (1 << (i))
#define CLEAR(set, i) set = set & ~BIT(i)
#define SET(set, i) set = set | BIT(i)
#define HAS(set, i) (set & BIT(i))
#define AT(where) pc[me] == where

mtype = { out, read_epoch, load, look_tag, look_life, set_waiters, late_epoch, queue_word, queue_epoch,
	  asleep, take, inside, leaving, wake, done, dead };

/* The word. */
byte owner; /* 0: free */
bit waiters;

/* The slots; participant i lives in slot i. */
byte live = 254; /* tag: LIVE, with the participant's generation */
byte died; /* life: DIED */

/* The kernel's queues. */
byte on_word, on_epoch;
byte woken; /* no longer in all of its queues */

/* The participants' variables. */
mtype pc[N + 1] = out;
byte seen[N + 1];
byte seen_waiters; /* bits */
byte with; /* bits */
byte epoch_changed; /* bits: since the participant read it */
bit dirty; /* a critical section was begun and not ended */

/* Go to where a new turn of sleep_for begins. */
inline again()
{
	seen[me] = 0;
	CLEAR(seen_waiters, me);
	CLEAR(epoch_changed, me);
	CLEAR(on_word, me);
	CLEAR(on_epoch, me);
	CLEAR(woken, me);
#ifdef BUG_EPOCH_AFTER_LOOK
	pc[me] = load
#else
	pc[me] = read_epoch
#endif
}

inline take_it(id, bits)
{
	assert(!dirty || id);
	assert(owner == id || !(HAS(live, owner) && !HAS(died, owner)));
	owner = me;
	waiters = bits;
	dirty = 1;
	seen[me] = 0;
	CLEAR(seen_waiters, me);
	CLEAR(with, me);
	CLEAR(epoch_changed, me);
	pc[me] = inside
}

inline wake_one(i)
{
	CLEAR(on_word, i);
	SET(woken, i);
	CLEAR(seen_waiters, me);
	pc[me] = out
}

active [N] proctype participant()
{
	byte me = _pid + 1;

end:
	do
	:: d_step { AT(out) -> pc[me] = done }
	:: d_step { AT(out) && owner == 0 && !waiters -> take_it(0, 0) } /* L1 */
	:: d_step { AT(out) && (owner != 0 || waiters) -> again() }

	/* sleep_for */
	:: d_step { AT(read_epoch) -> CLEAR(epoch_changed, me); pc[me] = load }
	:: d_step {
		AT(load) ->
		seen[me] = owner;
		if
		:: waiters -> SET(seen_waiters, me)
		:: else
		fi;
		if
		:: owner == 0 -> pc[me] = take
		:: else -> pc[me] = look_tag
		fi
	   }
	:: d_step {
		/* prk_dead: the tag, then life */
		AT(look_tag) ->
		if
		:: !HAS(live, seen[me]) -> pc[me] = take
		:: else -> pc[me] = look_life
		fi
	   }
	:: d_step {
		AT(look_life) ->
		if
		:: HAS(died, seen[me]) -> pc[me] = take
#ifndef BUG_DEAD_TORN
		/* and the tag again: life may have been somebody else's by then */
		:: !HAS(died, seen[me]) && !HAS(live, seen[me]) -> pc[me] = take
#endif
		:: else -> pc[me] = set_waiters
		fi
	   }
	:: d_step {
		AT(take) ->
		if
		:: owner == seen[me] && waiters == (HAS(seen_waiters, me) != 0) ->
			take_it(seen[me], waiters || HAS(with, me))
#ifdef BUG_TAKE_BY_STORE
		:: else -> take_it(seen[me], HAS(seen_waiters, me) || HAS(with, me))
#else
		:: else -> again()
#endif
		fi
	   }
	:: d_step {
		AT(set_waiters) ->
		if
		:: owner == seen[me] && waiters >= (HAS(seen_waiters, me) != 0) &&
		   (!waiters || HAS(seen_waiters, me)) ->
#ifndef BUG_NO_WAITERS
			waiters = 1;
			SET(seen_waiters, me);
#endif
#ifdef BUG_EPOCH_AFTER_LOOK
			pc[me] = late_epoch
#else
			pc[me] = queue_word
#endif
		:: else -> again()
		fi
	   }
	:: d_step { AT(late_epoch) -> CLEAR(epoch_changed, me); pc[me] = queue_word }

	/* prk_wait: the kernel compares and queues one word after the other */
	:: d_step {
		AT(queue_word) ->
#ifndef BUG_NO_WAITERS_AFTER_SLEEP
		SET(with, me);
#endif
		if
#ifndef BUG_SLEEP_WITHOUT_COMPARE
		:: owner != seen[me] || waiters != (HAS(seen_waiters, me) != 0) -> again()
#endif
		:: else ->
			SET(on_word, me);
			seen[me] = 0;
			CLEAR(seen_waiters, me);
			pc[me] = queue_epoch
		fi
	   }
	:: d_step {
		AT(queue_epoch) ->
		if
		:: HAS(epoch_changed, me) || HAS(woken, me) -> again()
		:: else -> SET(on_epoch, me); pc[me] = asleep
		fi
	   }
	:: d_step { AT(asleep) && HAS(woken, me) -> again() }
	:: d_step {
		AT(asleep) && !HAS(woken, me) && me == N -> /* -ETIMEDOUT */
		again();
		CLEAR(with, me);
		pc[me] = done
	   }

	/* the critical section, and prk_lock_release */
	:: d_step { AT(inside) -> assert(owner == me); dirty = 0; pc[me] = leaving }
	:: d_step {
		AT(leaving) -> /* L2: others can only have set WAITERS */
		assert(owner == me);
		owner = 0;
		if
		:: waiters -> pc[me] = wake; waiters = 0
		:: else -> pc[me] = out
		fi
	   }
	/* prk_wake: any one, also one who is awake already, from the epoch */
	:: d_step { AT(wake) && on_word == 0 -> pc[me] = out }
	:: d_step { AT(wake) && HAS(on_word, 1) -> wake_one(1) }
	:: d_step { AT(wake) && HAS(on_word, 2) -> wake_one(2) }
#if N > 2
	:: d_step { AT(wake) && HAS(on_word, 3) -> wake_one(3) }
#endif
	od
}

/* prk_bury, of one slot after the other. */
active proctype sweeper()
{
	byte i;

end:
	do
	:: d_step {
		(live & died) != 0 ->
		i = 1;
		do
		:: HAS(live & died, i) -> break
		:: else -> i++
		od
	   };
#ifndef BUG_NO_EPOCH
	   epoch_changed = 255; /* B1 */
	   d_step { woken = woken | on_epoch; on_epoch = 0 }; /* B2 */
#endif
	   CLEAR(live, i); /* B3 */
	   if
	   :: CLEAR(died, i) /* A1 of a newcomer in that slot */
	   :: skip
	   fi;
	   i = 0
	od
}

/*
 * SIGKILL. One who has been killed and not marked yet is to the others like one
 * who is slow; so to be killed and to be marked is one step.
 */
byte kills;

inline kill(who)
{
	kills++;
	me = who;
	again();
	CLEAR(with, me);
	SET(died, me);
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
#if N > 2
	:: d_step { MORTAL(3) -> kill(3) }
#endif
	:: d_step { kills < KILLS -> kills = KILLS } /* no more of it */
	od
}

#define AWAY(i) (pc[i] == dead || pc[i] == done)

active proctype judge()
{
end:
	do
	:: timeout -> assert(AWAY(1) && AWAY(2) && AWAY(N)); break
	od
}
