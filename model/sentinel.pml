/* SPDX-License-Identifier: MIT */
/*
 * sentinel - who watches whom: src/base/sentinel.c, prk_bury, prk_sweep, prk_leave
 * and joining (A0 to A4) of src/base/life.c
 *
 * Threads 1 and up, each in its process and its slot; up to KILLS processes are
 * killed, each between any two steps of any of its threads, and the kernel marks
 * their threads in any order. CAST says who takes part:
 *
 *   1  three sentinels in a circle, and a newcomer without one: 1 (4) 2 3
 *   2  a process of a sentinel and a thread that it guards, another sentinel, and
 *      a newcomer who finds no free slot, sweeps, and takes a dead one's
 *   3  a process whose sentinel starts, and perhaps gives up, while another watches
 *   4  the same, with a kernel that takes no more than one word beside the bell
 *   5  a thread that ends holding something, in a process without sentinel
 *
 * Checked: when nobody can take a step and a process with a sentinel lives, the
 * epoch was raised after each death of a participant that had joined; those
 * asleep were woken after it was raised.
 *
 * Each option of a do is one step. Two abstractions: for bell and life words, each
 * sleeper has a bit "changed since I read it" in place of the values compared; and
 * B1 and B2 are one step, since nothing here looks at the epoch.
 */
#ifndef CAST
#define CAST 1
#endif
#ifndef KILLS
#define KILLS 2
#endif

/*
 * NT threads, NS slots, and, from thread 1 on: the slot each has at first (0: it
 * joins), its process, whether it is a sentinel; OWN: its process's sentinel, so
 * that a thread that has joined already is guarded by it.
 */
#if CAST == 1
#define NT 4
#define NS 4
#define CAST_ALL cast(1, 1, 1, 1, 0) ; cast(2, 3, 2, 1, 0) ; cast(3, 4, 3, 1, 0) ; cast(4, 0, 4, 0, 0)
#elif CAST == 2
#define NT 4
#define NS 3
#define CAST_ALL cast(1, 1, 1, 1, 0) ; cast(2, 3, 2, 1, 0) ; cast(3, 2, 2, 0, 2) ; cast(4, 0, 3, 0, 0)
#elif CAST == 3
#define NT 3
#define NS 3
#define GIVES_UP
#define CAST_ALL cast(1, 1, 1, 1, 0) ; cast(2, 0, 2, 1, 0) ; cast(3, 2, 2, 0, 0)
#elif CAST == 4
#define NT 5
#define NS 5
#define MAX_WORDS 1
#define CAST_ALL cast(1, 1, 1, 1, 0) ; cast(2, 0, 2, 1, 0) ; cast(3, 2, 2, 0, 0) ; cast(4, 3, 3, 1, 0) ; cast(5, 4, 3, 0, 4)
#elif CAST == 5
#define NT 3
#define NS 3
#define LEAVES
#define CAST_ALL cast(1, 1, 1, 1, 0) ; cast(2, 3, 2, 1, 0) ; cast(3, 2, 3, 0, 0)
#endif
#ifndef MAX_WORDS
#define MAX_WORDS NS
#endif

#define BIT(i) (1 << (i))
#define CLEAR(set, i) set = set & ~BIT(i)
#define SET(set, i) set = set | BIT(i)
#define HAS(set, i) (set & BIT(i))
#define AT(where) pc[me] == where

mtype = { dead, done, idle, seek, set_guard, set_live, join_ring, join_wake, become, name_guards, guards_ring, guards_wake,
	  bell, sweep, raise, bury_ring, bury_wake, clear, next, choose, guard_tag, guard_life, watch, sleep, asleep,
	  leave, leave_wake, no_guard, silent, silent_life };

/* The slots. */
byte tid[NS + 1]; /* life: the thread */
byte died, waiters; /* life: DIED, WAITERS; a bit each slot */
byte who[NS + 1]; /* tag: the thread that is LIVE; 0: not LIVE. A thread joins once, so it is its own generation */
byte guard[NS + 1];

/* The processes. */
byte sentinel_id[5];
byte doomed; /* SIGKILL was sent */

/* The threads. */
mtype pc[NT + 1];
byte process[NT + 1], slot[NT + 1];
byte sentinels; /* bits */
byte joined; /* bits: past A4 */
byte i[NT + 1], seen[NT + 1];
byte words[NT + 1]; /* the words it will sleep on, sleeps on: bit 0 the bell */
byte looking; /* bits: has read the bell, will sleep */
byte changed; /* bits: one of the words is no longer what it was */
byte woken;
byte buried; /* bits: a newcomer's sweep found something */
byte leaving;
byte wake_due; /* bits: slots whose one sleeper the kernel has yet to wake */
byte owed; /* bits: slots whose occupant died, and the epoch was not raised */

#define KIND(t) HAS(sentinels, t)
#define ALIVE(t) (pc[t] != dead && pc[t] != done)

inline word_changes(t, w)
{
	if
	:: HAS(looking, t) && HAS(words[t], w) -> SET(changed, t)
	:: else
	fi
}

/* The life word of a slot is no longer what it was. */
inline life_changes(s)
{
#ifndef BUG_WATCH_WITHOUT_COMPARE
	word_changes(1, s);
	word_changes(2, s);
	word_changes(3, s);
#if NT > 3
	word_changes(4, s);
#endif
#endif
	skip
}

inline bell_changes()
{
#ifndef BUG_BELL_AFTER_LOOK
	changed = changed | looking;
#endif
	skip
}

inline wake_thread(t, w)
{
	if
	:: pc[t] == asleep && HAS(words[t], w) -> CLEAR(words[t], w); SET(woken, t)
	:: else
	fi
}

inline wake_all(w)
{
	wake_thread(1, w);
	wake_thread(2, w);
	wake_thread(3, w);
#if NT > 3
	wake_thread(4, w)
#endif
}

inline look_again()
{
	CLEAR(looking, me);
	CLEAR(changed, me);
	CLEAR(woken, me);
	words[me] = 0;
	seen[me] = 0;
	i[me] = 0;
	pc[me] = bell
}

inline fall_asleep()
{
	seen[me] = 0;
	i[me] = 0;
	pc[me] = sleep
}

/* The slot that choose() looks at, i steps after its own. */
#define THERE (((slot[me] - 1 + i[me]) % NS) + 1)

inline step_on()
{
	seen[me] = 0;
	if
	:: i[me] == NS - 1 -> fall_asleep()
	:: else -> i[me]++; pc[me] = choose
	fi
}

/* The kernel: the thread ends, and leaves its queues; its life word is marked. */
inline mark(t)
{
	if
	:: slot[t] != 0 && tid[slot[t]] == t ->
		tid[slot[t]] = 0;
		if
		:: HAS(joined, t) && !KIND(t) && who[slot[t]] == t && !HAS(died, slot[t]) -> SET(owed, slot[t])
		:: else /* marked by itself before, in prk_leave: that was its death */
		fi;
		SET(died, slot[t]);
		life_changes(slot[t]);
		if
		:: HAS(waiters, slot[t]) -> SET(wake_due, slot[t])
		:: else
		fi
	:: else
	fi;
	CLEAR(looking, t);
	CLEAR(changed, t);
	CLEAR(woken, t);
	CLEAR(buried, t);
	CLEAR(leaving, t);
	words[t] = 0;
	seen[t] = 0;
	i[t] = 0;
	pc[t] = dead
}

inline claim(s)
{
	tid[s] = me; /* A1 */
	CLEAR(died, s);
	CLEAR(waiters, s);
	slot[me] = s;
	CLEAR(buried, me);
	pc[me] = set_guard
}

#define CLAIMABLE(s) (who[s] == 0 && (tid[s] == 0 || HAS(died, s)))

#if NS > 4
#define ROOM (CLAIMABLE(1) || CLAIMABLE(2) || CLAIMABLE(3) || CLAIMABLE(4) || CLAIMABLE(5))
#elif NS > 3
#define ROOM (CLAIMABLE(1) || CLAIMABLE(2) || CLAIMABLE(3) || CLAIMABLE(4))
#else
#define ROOM (CLAIMABLE(1) || CLAIMABLE(2) || CLAIMABLE(3))
#endif

/* The order of prk_bury. */
#if defined(BUG_CLEAR_BEFORE_RAISE)
#define BURY_FIRST clear
#define AFTER_CLEAR raise
#define AFTER_RAISE bury_ring
#define AFTER_RING next
#elif defined(BUG_BELL_AFTER_CLEAR)
#define BURY_FIRST raise
#define AFTER_RAISE clear
#define AFTER_CLEAR bury_ring
#define AFTER_RING next
#else
#define BURY_FIRST raise
#define AFTER_RAISE bury_ring
#define AFTER_RING clear
#define AFTER_CLEAR next
#endif

#ifdef BUG_BELL_BEFORE_LIVE
#define AFTER_GUARD join_ring
#define AFTER_LIVE (KIND(me) -> become : idle)
#define AFTER_JOIN_RING set_live
#else
#define AFTER_GUARD set_live
#define AFTER_LIVE join_ring
#define AFTER_JOIN_RING (KIND(me) -> become : idle)
#endif

#ifdef BUG_NO_CIRCLE
#define ENOUGH KIND(seen[me])
#else
#define ENOUGH (MAX_WORDS == 1 && words[me] != BIT(0))
#endif

active [NT] proctype thread()
{
	byte me = _pid + 1;

end:
	do
	/* claim_any: a free slot; or a sweep; or a longer table, which is of no interest here */
	:: d_step { AT(seek) && CLAIMABLE(1) -> claim(1) }
	:: d_step { AT(seek) && CLAIMABLE(2) -> claim(2) }
	:: d_step { AT(seek) && CLAIMABLE(3) -> claim(3) }
#if NS > 3
	:: d_step { AT(seek) && CLAIMABLE(4) -> claim(4) }
#endif
#if NS > 4
	:: d_step { AT(seek) && CLAIMABLE(5) -> claim(5) }
#endif
	:: d_step {
		AT(seek) && !ROOM ->
		i[me] = 1;
		pc[me] = sweep
	   }

	/* occupy */
	:: d_step { AT(set_guard) -> guard[slot[me]] = sentinel_id[process[me]]; pc[me] = AFTER_GUARD }
	:: d_step { AT(set_live) -> who[slot[me]] = me; pc[me] = AFTER_LIVE; joined = joined | (pc[me] == idle -> BIT(me) : 0) } /* A3 */
	:: d_step { /* A4 */
		AT(join_ring) ->
		if
#ifdef BUG_NO_BELL
		:: true -> pc[me] = AFTER_JOIN_RING
#endif
		:: guard[slot[me]] == 0 -> bell_changes(); pc[me] = join_wake
		:: else -> pc[me] = AFTER_JOIN_RING
		fi;
		joined = joined | (pc[me] == idle -> BIT(me) : 0)
	   }
	:: d_step { AT(join_wake) -> wake_all(0); pc[me] = AFTER_JOIN_RING; joined = joined | (pc[me] == idle -> BIT(me) : 0) }

	/* become_guard */
	:: d_step { AT(become) -> sentinel_id[process[me]] = me; pc[me] = name_guards }
	:: d_step {
		AT(name_guards) -> /* the casts have one thread to be guarded at most */
		i[me] = 1;
		do
		:: i[me] > NS -> break
		:: i[me] <= NS && who[i[me]] != 0 && process[who[i[me]]] == process[me] -> guard[i[me]] = me; i[me]++
		:: else -> i[me]++
		od;
		i[me] = 0;
#ifdef BUG_NO_BELL_AFTER_GUARDS
		pc[me] = bell
#else
		pc[me] = guards_ring
#endif
	   }
	:: d_step { AT(guards_ring) -> bell_changes(); pc[me] = guards_wake }
	:: d_step { AT(guards_wake) -> wake_all(0); pc[me] = bell }

	/* stand_guard */
	:: d_step { AT(bell) -> SET(looking, me); words[me] = BIT(0); i[me] = 1; pc[me] = sweep }
	/* prk_sweep */
	:: d_step {
		AT(sweep) ->
		if
		:: who[i[me]] != 0 && HAS(died, i[me]) ->
			seen[me] = who[i[me]];
			if
			:: !KIND(me) -> SET(buried, me)
			:: else
			fi;
			pc[me] = BURY_FIRST
		:: else -> pc[me] = next
		fi
	   }
	:: d_step { AT(next) && i[me] < NS && !HAS(leaving, me) -> seen[me] = 0; i[me]++; pc[me] = sweep }
	:: d_step {
		AT(next) && i[me] == NS && !HAS(leaving, me) ->
		seen[me] = 0;
		if
		:: KIND(me) -> i[me] = 1; pc[me] = choose
		:: else -> i[me] = 0; pc[me] = (HAS(buried, me) -> seek : done); CLEAR(buried, me)
		fi
	   }
	/* prk_bury */
	:: d_step {
		AT(raise) -> /* B1, B2 */
		if
		:: !KIND(seen[me]) -> CLEAR(owed, i[me])
		:: else
		fi;
		pc[me] = AFTER_RAISE
	   }
	:: d_step { AT(bury_ring) -> bell_changes(); pc[me] = bury_wake } /* B4 */
	:: d_step { AT(bury_wake) -> wake_all(0); pc[me] = AFTER_RING }
	:: d_step {
		AT(clear) -> /* B3 */
		if
		:: who[i[me]] == seen[me] -> who[i[me]] = 0
		:: else
		fi;
		pc[me] = AFTER_CLEAR
	   }
	/* choose */
	:: d_step {
		AT(choose) ->
		if
		:: who[THERE] == 0 -> step_on()
		:: else ->
			seen[me] = who[THERE];
			if
			:: !KIND(seen[me]) && guard[THERE] != 0 -> pc[me] = guard_tag
			:: else -> pc[me] = watch
			fi
		fi
	   }
	/* guarded: prk_dead of the guard */
	:: d_step {
		AT(guard_tag) ->
		if
		:: who[slot[guard[THERE]]] == guard[THERE] -> pc[me] = guard_life
		:: else -> pc[me] = watch
		fi
	   }
	:: d_step {
		AT(guard_life) ->
		if
#ifndef BUG_GUARD_DEAD
		:: HAS(died, slot[guard[THERE]]) -> pc[me] = watch
#ifndef BUG_DEAD_TORN
		:: !HAS(died, slot[guard[THERE]]) && who[slot[guard[THERE]]] != guard[THERE] -> pc[me] = watch
#endif
#endif
		:: else -> step_on()
		fi
	   }
	:: d_step {
		AT(watch) ->
		if
		:: ENOUGH -> fall_asleep()
		:: !ENOUGH && (who[THERE] != seen[me] || HAS(died, THERE)) -> look_again()
		:: else ->
			SET(waiters, THERE);
			SET(words[me], THERE);
			if
			:: KIND(seen[me]) -> fall_asleep()
			:: else -> step_on()
			fi
		fi
	   }
	/* the kernel compares, and queues it */
	:: d_step {
		AT(sleep) ->
		if
		:: HAS(changed, me) -> look_again()
		:: else -> CLEAR(looking, me); pc[me] = asleep
		fi
	   }
	:: d_step { AT(asleep) && HAS(woken, me) -> look_again() }

#ifdef GIVES_UP
	/* sentinel(), after stand_guard */
	:: d_step { AT(bell) && me == 2 -> pc[me] = no_guard }
#ifdef BUG_GIVE_UP_SILENTLY
	:: d_step { AT(no_guard) -> sentinel_id[process[me]] = 0; pc[me] = silent }
#else
	:: d_step { AT(no_guard) -> sentinel_id[process[me]] = 0; pc[me] = leave }
#endif
#endif
#ifdef LEAVES
	:: d_step { AT(idle) && me == 3 -> pc[me] = leave }
#endif
	/* prk_leave of one who may hold something: L1, bury, wake */
	:: d_step {
		AT(leave) ->
		SET(leaving, me);
		life_changes(slot[me]);
		SET(died, slot[me]);
		if
		:: !KIND(me) -> SET(owed, slot[me])
		:: else
		fi;
#ifdef BUG_LEAVE_SWAPS
		tid[slot[me]] = 0; /* and the kernel will not know it any more */
#endif
		i[me] = slot[me];
		seen[me] = me;
		pc[me] = BURY_FIRST
	   }
	:: d_step { AT(next) && HAS(leaving, me) -> pc[me] = leave_wake }
	:: d_step { AT(leave_wake) -> wake_all(slot[me]); CLEAR(leaving, me); seen[me] = 0; i[me] = 0; pc[me] = done }
	/* prk_leave of one who holds nothing: L1, L3 and wake */
	:: d_step { AT(silent) -> who[slot[me]] = 0; pc[me] = silent_life }
	:: d_step { AT(silent_life) -> tid[slot[me]] = 0; life_changes(slot[me]); wake_all(slot[me]); pc[me] = done }
	od
}

#define ENDS(t) :: d_step { HAS(doomed, process[t]) && ALIVE(t) -> mark(t) }
#define QUEUED(t, s) (pc[t] == asleep && HAS(words[t], s))
#define WAKES(t, s) :: d_step { HAS(wake_due, s) && QUEUED(t, s) -> CLEAR(wake_due, s); CLEAR(words[t], s); SET(woken, t) }
#if NT > 3
#define NO_SLEEPER(s) !QUEUED(1, s) && !QUEUED(2, s) && !QUEUED(3, s) && !QUEUED(4, s)
#define WAKES_ONE(s) WAKES(1, s) WAKES(2, s) WAKES(3, s) WAKES(4, s) \
	:: d_step { HAS(wake_due, s) && NO_SLEEPER(s) -> CLEAR(wake_due, s) }
#else
#define NO_SLEEPER(s) !QUEUED(1, s) && !QUEUED(2, s) && !QUEUED(3, s)
#define WAKES_ONE(s) WAKES(1, s) WAKES(2, s) WAKES(3, s) \
	:: d_step { HAS(wake_due, s) && NO_SLEEPER(s) -> CLEAR(wake_due, s) }
#endif

/* Threads of the killed end, in any order; each mark wakes one sleeper, any one that is queued. */
active proctype kernel()
{
end:
	do
	ENDS(1)
	ENDS(2)
	ENDS(3)
	WAKES_ONE(1)
	WAKES_ONE(2)
	WAKES_ONE(3)
#if NT > 3
	ENDS(4)
#endif
#if NT > 4
	ENDS(5)
#endif
#if NS > 3
	WAKES_ONE(4)
#endif
#if NS > 4
	WAKES_ONE(5)
#endif
	od
}

byte kills;

#define KILL(p) :: d_step { kills < KILLS && !HAS(doomed, p) -> kills++; SET(doomed, p) }

active proctype killer()
{
end:
	do
	KILL(1)
	KILL(2)
	KILL(3)
#if CAST == 1
	KILL(4)
#endif
	:: d_step { kills < KILLS -> kills = KILLS } /* no more of it */
	od
}

#if NT > 3
#define WATCHED (WATCHES(1) || WATCHES(2) || WATCHES(3) || WATCHES(4))
#else
#define WATCHED (WATCHES(1) || WATCHES(2) || WATCHES(3))
#endif
#define WATCHES(t) (KIND(t) && ALIVE(t))

active proctype judge()
{
end:
	do
	:: timeout -> assert(owed == 0 || !WATCHED); break
	od
}

inline cast(t, at, proc, kind, guarded_by)
{
	process[t] = proc;
	sentinels = sentinels | (kind -> BIT(t) : 0);
	slot[t] = at;
	tid[at] = (at -> t : 0);
	who[at] = (at -> t : 0);
	guard[at] = guarded_by;
	sentinel_id[proc] = (at && kind -> t : sentinel_id[proc]);
	joined = joined | (at && !kind -> BIT(t) : 0);
	pc[t] = (at == 0 -> seek : (kind -> bell : idle));
}

init
{
	d_step { CAST_ALL }
}
