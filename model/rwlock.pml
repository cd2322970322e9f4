/* SPDX-License-Identifier: MIT */
/*
 * rwlock - readers and writers of src/sync/rwlock.c and rwlock_write.c
 *
 * READERS readers and WRITERS writers go in and out as often as they like; up to KILLS
 * of them are killed, each between any two steps. A sweeper that does not die raises the
 * epoch after each death.
 *
 * Checked: a writer is alone inside; who comes in after a writer that died inside is
 * told; when nobody can take a step, nobody alive is asleep, or still waits.
 *
 * The writer's place is a lock, taken here in one step from nobody or from the dead
 * (lock.pml shows that this comes to pass). Patience may be over at any look, and never
 * ends a sleep: none has to be ended by it. Whoever waits may give up. Left out: spinning,
 * which is a look more; places, of which each reader has one here.
 *
 * Each option of a do is one step: one load, store or CAS that others can see.
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define ALL (READERS + WRITERS)

#define BIT(i) (1 << (i))
#define CLEAR(set, i) set = set & ~BIT(i)
#define SET(set, i) set = set | BIT(i)
#define HAS(set, i) ((set & BIT(i)) != 0)
#define AT(where) pc[me] == where
#define FREE (owner == 0 || HAS(died, owner))

#define ASLEEP 1
#define OVERDUE 2

mtype = { out, done, dead, queue, queue_epoch, asleep, say_taken,
	  /* readers */
	  claim, look_taken, look_writer, step_back, tell, wake_left, read_epoch, read_turn, look_claim,
	  say_waiting, look_again, step_in, look_in, pass_on, pass_taken, late_epoch, give_up, reading,
	  /* writers */
	  look, forget, bare, watch, want_left, late_watch, scan, again, go_in, tear, writing, unsay,
	  /* prk_rwlock_free_writer */
	  look_waiting, swap_waiting, let_in, free, look_after, count, wake_turn, late_unsay };

byte owner; /* writer.word */
bit taken, told; /* told: inside is not 0 */
byte waiting;
bit wanted; /* left: WANTED */
byte claimed, waits; /* reader: bits; the dead's are left there */
byte turn_same, left_same, epoch_same; /* bits: since the participant read it */

bit torn; /* what the lock protects */
byte in; /* writers inside */

byte died, unheard; /* life words: DIED; not buried yet */
byte on_word, on_epoch, woken; /* the kernel's queues: a reader's word is turn, a writer's left */

mtype pc[ALL + 1] = out, after[ALL + 1] = out;
byte place[ALL + 1]; /* of a look at all claims */
byte waited; /* bits */

#define IS_READER(i) ((i) <= READERS)
#define ALL_READERS (BIT(READERS + 1) - 2)

inline get_up(where)
{
	CLEAR(on_word, me);
	CLEAR(on_epoch, me);
	CLEAR(woken, me);
	CLEAR(epoch_same, me);
	CLEAR(turn_same, me);
	CLEAR(left_same, me);
	pc[me] = where
}

inline then(where, next)
{
	pc[me] = where;
	after[me] = next
}

inline go_on()
{
	if
	:: after[me] == out -> get_up(out)
	:: else -> pc[me] = after[me]; after[me] = out
	fi
}

#ifdef BUG_TAKE_OVER_IN_SILENCE
#define TAKEN_OVER(say, next) next
#else
#define TAKEN_OVER(say, next) (owner != 0 -> say : next)
#endif

/* prk_wait */
#define SLEEP_STEPS(same, next)                                                                \
	:: d_step {                                                                               \
		AT(queue) ->                                                                      \
		if                                                                                \
		:: !HAS(same, me) -> get_up(next)                                               \
		:: else -> SET(on_word, me); pc[me] = queue_epoch                                 \
		fi                                                                                \
	   }                                                                                      \
	:: d_step {                                                                               \
		AT(queue_epoch) ->                                                                \
		if                                                                                \
		:: !HAS(epoch_same, me) || HAS(woken, me) -> get_up(next)                       \
		:: else -> SET(on_epoch, me); pc[me] = asleep                                     \
		fi                                                                                \
	   }                                                                                      \
	:: d_step { AT(asleep) && HAS(woken, me) -> get_up(next) }

#ifdef BUG_FREE_WITHOUT_LOOKING_AFTER
#define AFTER_FREE (HAS(waited, me) -> count : after[me])
#else
#define AFTER_FREE (HAS(waited, me) -> count : look_after)
#endif

/* prk_rwlock_free_writer; afterwards it goes on at after[me] */
#define FREE_STEPS                                                                                \
	:: d_step { AT(look_waiting) -> pc[me] = (waiting == 0 -> free : swap_waiting) }          \
	:: d_step {                                                                               \
		AT(swap_waiting) ->                                                               \
		SET(waited, me);                                                                  \
		place[me] = 1;                                                                    \
		pc[me] = (waiting == OVERDUE -> let_in : free);                                   \
		waiting = 0                                                                       \
	   }                                                                                      \
	:: d_step { AT(let_in) && place[me] <= READERS -> CLEAR(waits, place[me]); place[me]++ }  \
	:: d_step { AT(let_in) && place[me] > READERS -> place[me] = 0; pc[me] = free }           \
	:: d_step { AT(free) -> place[me] = 0; owner = 0; pc[me] = AFTER_FREE }                   \
	:: d_step {                                                                               \
		AT(look_after) ->                                                                 \
		if                                                                                \
		:: waiting != 0 -> pc[me] = count                                                 \
		:: else -> go_on()                                                                \
		fi                                                                                \
	   }                                                                                      \
	:: d_step { AT(count) -> CLEAR(waited, me); turn_same = 0; pc[me] = wake_turn }      \
	:: d_step {                                                                               \
		AT(wake_turn) ->                                                                  \
		woken = woken | (on_word & ALL_READERS);                                          \
		on_word = on_word & ~ALL_READERS;                                                 \
		go_on()                                                                           \
	   }

#define ALONE ((in & ~died) == 0)

inline enter_reading()
{
	get_up(reading);
	assert(ALONE);
	assert(!torn || told)
}

active [READERS] proctype reader()
{
	byte me = _pid + 1;

end:
	do
	:: d_step { AT(out) -> pc[me] = done }
#ifdef BUG_TAKEN_BEFORE_CLAIM
	:: d_step { AT(out) -> pc[me] = (taken -> claim : say_taken) }
	:: d_step { AT(say_taken) -> taken = 1; pc[me] = claim }
	:: d_step { AT(claim) -> SET(claimed, me); pc[me] = look_writer }
#else
	:: d_step { AT(out) -> SET(claimed, me); pc[me] = look_taken }
	:: d_step { AT(look_taken) -> then((taken -> look_writer : say_taken), look_writer) }
	:: d_step { AT(say_taken) -> taken = 1; go_on() }
#endif
	:: d_step {
		AT(look_writer) ->
		if
		:: owner == 0 -> enter_reading()
		:: else -> pc[me] = step_back
		fi
	   }
	:: d_step {
		AT(step_back) ->
		SET(waits, me);
#ifdef BUG_STEPS_BACK_IN_SILENCE
		pc[me] = read_epoch
#else
		then(tell, read_epoch)
#endif
	   }
	:: d_step {
		AT(tell) ->
		if
		:: wanted -> wanted = 0; left_same = 0; pc[me] = wake_left
		:: else -> go_on()
		fi
	   }
	:: d_step {
		AT(wake_left) ->
		woken = woken | (on_word & ~ALL_READERS);
		on_word = on_word & ALL_READERS;
		go_on()
	   }

	/* next_turn */
	:: d_step { AT(read_epoch) -> SET(epoch_same, me); pc[me] = read_turn }
	:: d_step { AT(read_turn) -> SET(turn_same, me); pc[me] = look_claim }
	:: d_step {
		AT(look_claim) ->
		if
		:: !HAS(waits, me) -> enter_reading()
		:: else -> pc[me] = say_waiting
		fi
	   }
#ifdef BUG_SLEEPS_UNSAID
	:: d_step { AT(say_waiting) -> pc[me] = look_again }
#else
	:: d_step { AT(say_waiting) -> waiting = OVERDUE; pc[me] = look_again }
	:: d_step { AT(say_waiting) -> waiting = (waiting == 0 -> ASLEEP : waiting); pc[me] = look_again }
#endif
	:: d_step {
		AT(look_again) ->
		if
		:: owner == 0 -> pc[me] = step_in
		:: owner != 0 && HAS(died, owner) -> pc[me] = pass_on
#ifdef BUG_EPOCH_AFTER_LOOK
		:: else -> pc[me] = late_epoch
#else
		:: else -> pc[me] = queue
#endif
		fi
	   }
	:: d_step { AT(late_epoch) -> SET(epoch_same, me); pc[me] = queue }
	:: d_step {
		AT(step_in) ->
		if
		:: !HAS(waits, me) -> enter_reading()
#ifdef BUG_STEPS_IN_BLINDLY
		:: else -> CLEAR(waits, me); enter_reading()
#else
		:: else -> CLEAR(waits, me); pc[me] = look_in
#endif
		fi
	   }
	:: d_step {
		AT(look_in) ->
		if
		:: owner == 0 -> enter_reading()
		:: else -> pc[me] = step_back
		fi
	   }
	:: d_step {
		AT(pass_on) ->
		if
		:: FREE -> then(TAKEN_OVER(pass_taken, look_waiting), read_epoch); owner = me
		:: else -> pc[me] = read_epoch
		fi
	   }
	:: d_step { AT(pass_taken) -> taken = 1; pc[me] = look_waiting }
	SLEEP_STEPS(turn_same, read_epoch)
	FREE_STEPS

	:: d_step { AT(queue) -> get_up(give_up) }
	:: d_step {
		AT(give_up) ->
		if
		:: !HAS(waits, me) -> enter_reading()
		:: else -> pc[me] = reading
		fi
	   }
	:: d_step { AT(reading) -> CLEAR(claimed, me); CLEAR(waits, me); then(tell, out) }
	od
}

/* Of a claim: does it keep a writer out? Is it there at all? */
#define READS(i) (HAS(claimed, i) && !HAS(waits, i) && !HAS(died, i))
#define STANDS(i) (HAS(claimed, i) && !HAS(died, i))

inline look_at(where)
{
	place[me] = 1;
	pc[me] = where
}

inline decide(where)
{
	place[me] = 0;
	pc[me] = where
}

active [WRITERS] proctype writer()
{
	byte me = _pid + 1;

end:
	do
	:: d_step { AT(out) -> pc[me] = done }
	:: d_step { AT(out) && FREE -> then(TAKEN_OVER(say_taken, look_taken), look_taken); owner = me }
	:: d_step { AT(say_taken) -> taken = 1; go_on() }
	:: d_step {
		AT(look_taken) ->
		after[me] = out;
		if
		:: taken -> look_at(look)
		:: else -> pc[me] = go_in
		fi
	   }
	:: d_step {
		AT(look) ->
		if
		:: place[me] > READERS -> decide(forget)
		:: place[me] <= READERS && READS(place[me]) -> decide(watch)
		:: else -> place[me]++
		fi
	   }

	/* look_in_vain: now and then */
	:: d_step { AT(forget) -> pc[me] = go_in }
#ifdef BUG_FORGETS_AT_ONCE
	:: d_step { AT(forget) -> taken = 0; pc[me] = go_in }
#else
	:: d_step { AT(forget) -> taken = 0; look_at(bare) }
#endif
	:: d_step {
		AT(bare) ->
		if
		:: place[me] > READERS -> decide(go_in)
		:: place[me] <= READERS && STANDS(place[me]) -> decide(say_taken); after[me] = go_in
		:: else -> place[me]++
		fi
	   }

	/* until_empty, outwait_readers */
#ifdef BUG_WATCHES_LATE
	:: d_step { AT(watch) -> SET(epoch_same, me); look_at(scan) }
	:: d_step { AT(late_watch) -> SET(left_same, me); wanted = 1; pc[me] = queue }
#define SLEEP late_watch
#else
	:: d_step { AT(watch) -> SET(epoch_same, me); pc[me] = want_left }
	:: d_step { AT(want_left) -> SET(left_same, me); wanted = 1; look_at(scan) }
#define SLEEP queue
#endif
	:: d_step { AT(scan) && place[me] > READERS -> decide(go_in) }
	:: d_step { AT(scan) && place[me] <= READERS && !READS(place[me]) -> place[me]++ }
	:: d_step { AT(scan) && place[me] <= READERS && READS(place[me]) -> decide(SLEEP) } /* outwait */
	:: d_step {
		AT(scan) && place[me] <= READERS && READS(place[me]) -> /* stand aside */
		decide(look_waiting);
		after[me] = SLEEP
	   }
	:: d_step {
		AT(scan) && place[me] <= READERS && READS(place[me]) -> /* give up */
		decide(look_waiting);
		after[me] = out
	   }
	SLEEP_STEPS(left_same, (owner == me -> watch : again))
	:: d_step { AT(again) && FREE -> then(TAKEN_OVER(say_taken, watch), watch); owner = me }

	:: d_step {
		AT(go_in) ->
		get_up(tear);
		assert(ALONE);
		assert(!torn || told);
		SET(in, me);
		told = 1
	   }
	:: d_step { AT(tear) -> torn = 1; pc[me] = writing }
	:: d_step { AT(writing) -> torn = 0; CLEAR(in, me); pc[me] = unsay }
#ifdef BUG_UNSAID_AFTER_FREE
	:: d_step { AT(unsay) -> then(look_waiting, late_unsay) }
	:: d_step { AT(late_unsay) -> told = 0; pc[me] = out }
#else
	:: d_step { AT(unsay) -> told = 0; then(look_waiting, out) }
#endif
	FREE_STEPS
	od
}

active proctype sweeper()
{
end:
	do
	:: d_step { unheard != 0 -> unheard = 0; epoch_same = 0 }; /* B1 */
	   d_step { woken = woken | on_epoch; on_epoch = 0 } /* B2 */
	od
}

byte kills;

/* SIGKILL, and the kernel's mark. What he noted for himself is forgotten. */
inline kill(who)
{
	kills++;
	me = who;
	get_up(dead);
	after[me] = out;
	place[me] = 0;
	CLEAR(waited, me);
	SET(died, me);
#ifndef BUG_NO_EPOCH
	SET(unheard, me);
#endif
	me = 0
}

#define MORTAL(i) (kills < KILLS && i <= ALL && pc[i] != dead && pc[i] != done)

active proctype killer()
{
	byte me;

end:
	do
	:: d_step { MORTAL(1) -> kill(1) }
	:: d_step { MORTAL(2) -> kill(2) }
	:: d_step { MORTAL(3) -> kill(3) }
#if ALL > 3
	:: d_step { MORTAL(4) -> kill(4) }
#endif
	:: d_step { kills < KILLS -> kills = KILLS } /* no more of it */
	od
}

#define WELL(i) (pc[i] == dead || pc[i] == done)

active proctype judge()
{
end:
	do
	:: timeout ->
		assert(WELL(1) && WELL(2) && WELL(3));
#if ALL > 3
		assert(WELL(4));
#endif
		break
	od
}
