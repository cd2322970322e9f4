/* SPDX-License-Identifier: MIT */
/*
 * lock - the two words of src/sync/lock.c and the sleep of src/base/wait.c
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
 * Modelled: acquire (L1, sleep_for, become_next, wait_as_next), release (L2,
 * call_next), prk_dead, prk_wait, prk_wake, prk_bury. Whoever has slept may find at any
 * later look that he has waited long enough. Left out: spinning, which is L1 again;
 * cancellation, which ends a wait as the deadline does; ghosts, which are dead.
 *
 * Each option of a do is one step: one load, store or CAS that others can see.
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
#define HAS(set, i) ((set & BIT(i)) != 0)
#define AT(where) pc[me] == where

mtype = { out, read_epoch, load, look, look_life, load_next, look_next, set_waiters, late_epoch, queue_word,
	  queue_epoch, asleep, take, inside, leaving, wake, done, dead,
	  become_load, become_look, become_cas,
	  next_epoch, next_store, next_load, next_look, next_take, next_announce, next_queue, next_queue_epoch,
	  next_asleep, next_clear, next_done,
	  call_load, call_look, call_cas, call_wake, free_load, free_cas };

/* word */
byte owner; /* 0: free */
bit waiters, promised;
/* next */
byte next;
bit called;

/* The slots; participant i lives in slot i. */
byte live = 254; /* tag: LIVE, with the participant's generation */
byte died; /* life: DIED */
#define LIVES(i) (HAS(live, i) && !HAS(died, i))

/* The kernel's queues. */
byte on_word, on_next, on_epoch;
byte woken; /* no longer in all of its queues */

/* The participants' variables. */
mtype pc[N + 1] = out;
byte seen[N + 1]; /* the owner in word, or who next names */
byte seen_waiters, seen_promised, seen_called; /* bits */
byte with; /* bits */
byte gave_up; /* bits */
byte epoch_changed; /* bits: since the participant read it */
bit dirty; /* a critical section was begun and not ended */

#define WORD_AS_SEEN                                                                              \
	(owner == seen[me] && waiters == HAS(seen_waiters, me) && promised == HAS(seen_promised, me))
#define NEXT_AS_SEEN (next == seen[me] && called == HAS(seen_called, me))

inline see_word()
{
	seen[me] = owner;
	seen_waiters = (seen_waiters & ~BIT(me)) | (waiters << me);
	seen_promised = (seen_promised & ~BIT(me)) | (promised << me)
}

inline see_next()
{
	seen[me] = next;
	seen_called = (seen_called & ~BIT(me)) | (called << me)
}

inline forget()
{
	seen[me] = 0;
	CLEAR(seen_waiters, me);
	CLEAR(seen_promised, me);
	CLEAR(seen_called, me)
}

/* Awake, and before a new turn. */
inline get_up(where)
{
	forget();
	CLEAR(epoch_changed, me);
	CLEAR(on_word, me);
	CLEAR(on_next, me);
	CLEAR(on_epoch, me);
	CLEAR(woken, me);
	pc[me] = where
}

inline again()
{
#ifdef BUG_EPOCH_AFTER_LOOK
	get_up(load)
#else
	get_up(read_epoch)
#endif
}

/* The word becomes mine; it named id before. */
inline own(id)
{
	assert(!dirty || id);
	assert(owner == id || !LIVES(owner));
	owner = me;
	dirty = 1;
	forget();
	CLEAR(with, me);
	CLEAR(gave_up, me);
	CLEAR(epoch_changed, me)
}

inline wake_on(queue, i)
{
	CLEAR(queue, i);
	SET(woken, i);
	forget();
	pc[me] = out
}

active [N] proctype participant()
{
	byte me = _pid + 1;

end:
	do
	:: d_step { AT(out) -> pc[me] = done }
	:: d_step { AT(out) && owner == 0 && !waiters && !promised -> own(0); pc[me] = inside } /* L1 */
	:: d_step { AT(out) && (owner != 0 || waiters || promised) -> again() }

	/* sleep_for: available */
	:: d_step { AT(read_epoch) -> CLEAR(epoch_changed, me); pc[me] = load }
	:: d_step {
		AT(load) ->
		see_word();
		if
		:: owner != 0 -> pc[me] = look
		:: owner == 0 && promised -> pc[me] = load_next
		:: else -> pc[me] = take
		fi
	   }
	:: d_step {
		AT(look) -> /* prk_dead */
		if
#ifdef BUG_DEAD_TORN
		:: HAS(live, seen[me]) -> pc[me] = look_life
#else
		:: LIVES(seen[me]) -> pc[me] = set_waiters
#endif
		:: else -> pc[me] = take
		fi
	   }
	:: d_step { AT(look_life) -> pc[me] = (HAS(died, seen[me]) -> take : set_waiters) }
	:: d_step {
		AT(load_next) -> /* the word that was seen named nobody: seen is free for this */
		seen[me] = (next == me -> 0 : next);
		pc[me] = (seen[me] == 0 -> take : look_next)
	   }
	:: d_step { AT(look_next) -> pc[me] = (LIVES(seen[me]) -> set_waiters : take); seen[me] = 0 }
	:: d_step {
		AT(take) ->
		if
		:: WORD_AS_SEEN ->
			waiters = waiters || HAS(with, me);
			own(seen[me]);
			pc[me] = inside
#ifdef BUG_TAKE_BY_STORE
		:: else ->
			waiters = HAS(seen_waiters, me) || HAS(with, me);
			own(seen[me]);
			pc[me] = inside
#else
		:: else -> again()
#endif
		fi
	   }

	/* He has slept, and long enough: become_next. Else, and if there is a next one: sleep. */
	:: d_step { AT(set_waiters) && HAS(with, me) -> forget(); pc[me] = become_load }
	:: d_step { AT(become_load) -> see_next(); pc[me] = (next == 0 -> become_cas : become_look) }
	:: d_step {
		AT(become_look) ->
		if
		:: LIVES(seen[me]) -> again(); pc[me] = read_epoch
		:: else -> pc[me] = become_cas
		fi
	   }
	:: d_step {
		AT(become_cas) ->
		if
		:: NEXT_AS_SEEN -> next = me; called = 0; get_up(next_epoch)
		:: else -> again()
		fi
	   }
	:: d_step {
		AT(set_waiters) ->
		if
		:: HAS(seen_waiters, me) || WORD_AS_SEEN ->
#ifndef BUG_NO_WAITERS
			if
			:: !HAS(seen_waiters, me) -> waiters = 1; SET(seen_waiters, me)
			:: else
			fi;
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
		:: !WORD_AS_SEEN -> again()
#endif
		:: else ->
			SET(on_word, me);
			forget();
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

	/* wait_as_next */
	:: d_step { AT(next_epoch) -> CLEAR(epoch_changed, me); pc[me] = next_store }
	:: d_step { AT(next_store) -> next = me; called = 0; pc[me] = next_load }
	:: d_step { AT(next_load) -> see_word(); pc[me] = (owner == 0 -> next_take : next_look) }
	:: d_step { AT(next_look) -> pc[me] = (LIVES(seen[me]) -> next_announce : next_take) }
	:: d_step {
		AT(next_take) ->
		if
		:: WORD_AS_SEEN ->
			own(seen[me]);
			promised = 0;
#ifndef BUG_NEXT_TAKES_WITHOUT_WAITERS
			waiters = 1;
#endif
			pc[me] = next_clear
		:: else -> get_up(next_epoch)
		fi
	   }
	:: d_step { AT(next_clear) -> next = 0; called = 0; pc[me] = inside }
	:: d_step {
		AT(next_announce) -> /* sleep_as_next */
		if
		:: !WORD_AS_SEEN -> CLEAR(gave_up, me); get_up(next_epoch)
		:: WORD_AS_SEEN && HAS(gave_up, me) ->
			promised = 0;
			forget();
			CLEAR(gave_up, me);
			pc[me] = next_done
		:: else ->
			promised = 1;
#ifndef BUG_NEXT_SLEEPS_WITHOUT_WAITERS
			waiters = 1;
#endif
			forget();
			pc[me] = next_queue
		fi
	   }
	:: d_step { AT(next_done) -> next = 0; called = 0; CLEAR(with, me); CLEAR(epoch_changed, me); pc[me] = done }
	:: d_step {
		AT(next_queue) ->
		if
		:: called -> get_up(next_epoch)
		:: else -> SET(on_next, me); pc[me] = next_queue_epoch
		fi
	   }
	:: d_step {
		AT(next_queue_epoch) ->
		if
		:: HAS(epoch_changed, me) || HAS(woken, me) -> get_up(next_epoch)
		:: else -> SET(on_epoch, me); pc[me] = next_asleep
		fi
	   }
	:: d_step { AT(next_asleep) && HAS(woken, me) -> get_up(next_epoch) }
	:: d_step { AT(next_asleep) && !HAS(woken, me) && me == N -> SET(gave_up, me); get_up(next_epoch) }

	/* the critical section, and prk_lock_release */
	:: d_step { AT(inside) -> assert(owner == me); dirty = 0; pc[me] = leaving }
	:: d_step {
		AT(leaving) -> /* L2: others can only have set WAITERS, and next PROMISED */
		assert(owner == me);
		owner = 0;
		if
		:: promised -> pc[me] = call_load
		:: !promised && waiters -> pc[me] = wake; waiters = 0
		:: else -> pc[me] = out
		fi
	   }
	/* prk_wake: any one, also one who is awake already, from the epoch */
	:: d_step { AT(wake) && on_word == 0 -> pc[me] = out }
	:: d_step { AT(wake) && HAS(on_word, 1) -> wake_on(on_word, 1) }
	:: d_step { AT(wake) && HAS(on_word, 2) -> wake_on(on_word, 2) }
#if N > 2
	:: d_step { AT(wake) && HAS(on_word, 3) -> wake_on(on_word, 3) }
#endif

	/* call_next */
	:: d_step { AT(call_load) -> see_next(); pc[me] = (next == 0 -> free_load : call_look) }
#ifdef BUG_DEAD_IS_CALLED
	:: d_step { AT(call_look) -> pc[me] = call_cas }
#else
	:: d_step { AT(call_look) -> pc[me] = (LIVES(seen[me]) -> call_cas : free_load) }
#endif
	:: d_step {
		AT(call_cas) ->
#ifndef BUG_NOT_CALLED_ONLY_WOKEN
		if
		:: NEXT_AS_SEEN -> called = 1
		:: else
		fi;
#endif
		forget();
		pc[me] = call_wake
	   }
	:: d_step { AT(call_wake) && on_next == 0 -> pc[me] = out }
	:: d_step { AT(call_wake) && HAS(on_next, 1) -> wake_on(on_next, 1) }
	:: d_step { AT(call_wake) && HAS(on_next, 2) -> wake_on(on_next, 2) }
#if N > 2
	:: d_step { AT(call_wake) && HAS(on_next, 3) -> wake_on(on_next, 3) }
#endif
	:: d_step {
		AT(free_load) ->
		forget();
		if
#ifdef BUG_NOBODY_IS_CALLED
		:: true -> pc[me] = out
#endif
		:: owner == 0 && promised -> see_word(); pc[me] = free_cas
		:: else -> pc[me] = out
		fi
	   }
	:: d_step {
		AT(free_cas) ->
		if
		:: WORD_AS_SEEN -> waiters = 0; promised = 0; forget(); pc[me] = wake
		:: else -> pc[me] = free_load
		fi
	   }
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
	get_up(dead);
	CLEAR(with, me);
	CLEAR(gave_up, me);
	SET(died, me);
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
