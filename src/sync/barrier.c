/* SPDX-License-Identifier: MIT */
/*
 * barrier - a round, who has arrived in it by name, and how it ended
 *
 * struct prusik_barrier - 32 bytes, then an id for each party; private or shared memory
 *
 * WORD     word: the round in bits 31..1, bit 0 BROKEN; all who wait sleep on it.
 *          arrivals: bits 16..0 so many ids are valid, bits 31..17 of the round with
 *          these lowest bits; in any other round it means 0. full: bit N: the round
 *          of the last 32 with N as its lowest bits ended full. broken: the last round
 *          that did not (as in word). looked: an epoch; whoever had arrived and died
 *          before it was raised to this has been seen by somebody.
 * WRITES   the holder of lock, only. parties: init.
 * ALWAYS   B1 word leaves a round only upwards, by one store (E); before it the round
 *          is on, after it all who were in it can tell how it ended
 *          B2 whose id is valid is inside prusik_barrier_wait, or dead
 *          B3 a round ends full only if all its ids were alive after the last came
 * MAY LIE  arrivals of a round that has ended. full, for a round that is still on.
 *          broken: one who was killed before E may have named a round that then went
 *          on. looked: too old.
 * KILLED   holding lock: the next one is told so by the lock; it may have been a party
 *          about to arrive, so he breaks a round in which somebody waits. After the
 *          id and arrivals were stored, inside the action or asleep: dead and valid,
 *          so whoever looks breaks the round, and all look, woken by the epoch. After
 *          E, before the wake: the epoch wakes them, and they see a round that is over.
 *
 * Those who wait look at all ids only when the epoch is not the one that somebody has
 * looked at: no death, no look. The last one to come looks in any case.
 */
#include <prusik/barrier.h>

#include "base/ghost.h"
#include "base/sys.h"
#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>
#include <limits.h>

#define BROKEN UINT32_C(1)
#define ONE_ROUND UINT32_C(2)
#define REMEMBERED 32u /* rounds in full */

#define COUNT_BITS 17
#define COUNT_MASK ((UINT32_C(1) << COUNT_BITS) - 1)

_Static_assert(sizeof(struct prusik_barrier) == 32, "shared layout");
_Static_assert(PRUSIK_BARRIER_PARTIES_MAX <= COUNT_MASK, "a full round can be counted");

static uint32_t *ids(struct prusik_barrier *barrier)
{
	return (uint32_t *)(void *)(barrier + 1);
}

static uint32_t tag_of(uint32_t round)
{
	return (round >> 1) << COUNT_BITS;
}

/* How many have arrived in the round that word is in. */
static uint32_t count(const struct prusik_barrier *barrier, uint32_t word)
{
	uint32_t arrivals = prk_load32_rlx(&barrier->arrivals);

	return (arrivals & ~COUNT_MASK) == tag_of(word) ? arrivals & COUNT_MASK : 0;
}

static int check(const struct prusik_barrier *barrier)
{
	if (prk_misplaced(barrier))
		return -EINVAL;
	return barrier->parties - 1 < PRUSIK_BARRIER_PARTIES_MAX ? 0 : -EINVAL;
}

/* The round is over, for all at once. broken: BROKEN, or 0: whole again. True: wake those in it. */
static bool turn(struct prusik_barrier *barrier, bool full, uint32_t broken)
{
	uint32_t word = prk_load32_rlx(&barrier->word);
	uint32_t bit = UINT32_C(1) << (word >> 1) % REMEMBERED;
	uint32_t others = prk_load32_rlx(&barrier->full) & ~bit;
	bool anybody = count(barrier, word) > 0;

	if (!full)
		prk_store32_rlx(&barrier->broken, word & ~BROKEN);
	/* rel [barrier.full]: who sees this bit sees the word of the round before E */
	prk_store32_rel(&barrier->full, full ? others | bit : others);
	/* E, rel [barrier.word]: publishes what each did before it arrived */
	prk_store32_rel(&barrier->word, ((word & ~BROKEN) + ONE_ROUND) | broken);
	/* Or they would be valid again in 2^15 rounds, if none between has arrivals: one party. */
	prk_store32_rlx(&barrier->arrivals, tag_of(word + ONE_ROUND));
	return anybody;
}

static void end_round(struct prusik_barrier *barrier, bool full, uint32_t broken)
{
	if (turn(barrier, full, broken))
		prk_wake(&barrier->word, INT_MAX);
}

static void enter(struct prusik_barrier *barrier)
{
	int r = prk_lock_take(&barrier->lock);

	if (r == PRUSIK_RECOVERED && count(barrier, prk_load32_rlx(&barrier->word)) > 0)
		end_round(barrier, false, BROKEN);
}

static void leave(struct prusik_barrier *barrier)
{
	prk_lock_release(&barrier->lock);
}

static bool all_alive(struct prusik_barrier *barrier, uint32_t n)
{
	if (n > barrier->parties)
		return false; /* hostile memory */
	for (uint32_t i = 0; i < n; i++)
		if (prk_gone(barrier, prk_load32_rlx(&ids(barrier)[i])))
			return false;
	return true;
}

/* A fork copied the round: all who arrived before it are ghosts, the last one too. */
static bool last_is_gone(struct prusik_barrier *barrier, uint32_t n)
{
	return n > 0 && n <= barrier->parties && prk_gone(barrier, prk_load32_rlx(&ids(barrier)[n - 1]));
}

/* Under the lock: break the round if one of those in it has died. The epoch was read before. */
static void look(struct prusik_barrier *barrier, uint32_t epoch)
{
	uint32_t n = count(barrier, prk_load32_rlx(&barrier->word));

	if (prk_load32_rlx(&barrier->looked) == epoch && !last_is_gone(barrier, n))
		return;
	if (all_alive(barrier, n))
		prk_store32_rlx(&barrier->looked, epoch);
	else
		end_round(barrier, false, BROKEN);
}

/* How did that round, which is over, end? 0 or -EPIPE. */
static int outcome(const struct prusik_barrier *barrier, uint32_t round)
{
	uint32_t full = prk_load32_acq(&barrier->full); /* acq [barrier.full] */
	uint32_t word = prk_load32_acq(&barrier->word); /* acq [barrier.word]: E */

	if ((word - round) / ONE_ROUND < REMEMBERED)
		return full >> (round >> 1) % REMEMBERED & 1 ? 0 : -EPIPE;
	return (int32_t)(round - prk_load32_rlx(&barrier->broken)) > 0 ? 0 : -EPIPE;
}

static bool over(const struct prusik_barrier *barrier, uint32_t round)
{
	return prk_load32_acq(&barrier->word) != round; /* acq [barrier.word]: E */
}

/*
 * End it in my way, if it is still on; the lock is held and then no more. Who is woken
 * finds it free, and may come again before I have woken them all.
 */
static int settle(struct prusik_barrier *barrier, uint32_t round, int result)
{
	uint32_t n = barrier->parties;
	bool wake = false;

	if (over(barrier, round)) {
		result = outcome(barrier, round);
	} else if (result < 0) {
		wake = turn(barrier, false, BROKEN);
	} else if (!all_alive(barrier, count(barrier, round) < n ? n - 1 : n)) {
		wake = turn(barrier, false, BROKEN);
		result = -EPIPE;
	} else {
		wake = turn(barrier, true, 0);
	}
	leave(barrier);
	if (wake)
		prk_wake(&barrier->word, INT_MAX);
	return result;
}

static void record(struct prusik_barrier *barrier, uint32_t round, uint32_t n)
{
	struct prk_self *self = prk_self();

	prk_store32_rlx(&ids(barrier)[n], self->id);
	prk_barrier(); /* never valid before it is there */
	prk_store32_rlx(&barrier->arrivals, tag_of(round) | (n + 1));
	self->held++;
}

/* I am the last one; the lock is held. */
static int complete(struct prusik_barrier *barrier, uint32_t round, int (*action)(void *), void *arg)
{
	if (!action)
		return settle(barrier, round, 0);
	if (!all_alive(barrier, barrier->parties - 1))
		return settle(barrier, round, -EPIPE);
	record(barrier, round, barrier->parties - 1);
	leave(barrier);
	int r = action(arg);
	enter(barrier);
	r = settle(barrier, round, r < 0 ? r : 0);
	prk_self()->held--;
	return r;
}

static bool spin(const struct prusik_barrier *barrier, uint32_t round)
{
	for (int i = 0; i < PRK_SPINS; i++) {
		if (over(barrier, round))
			return true;
		prk_pause();
	}
	return false;
}

/*
 * More than one is still to come, some of them perhaps to this processor: let them. A
 * round of many that ends so needs neither sleeps nor wakes.
 */
static bool give_way(const struct prusik_barrier *barrier, uint32_t round)
{
	for (int i = 0; i < PRK_SPINS / 32; i++) {
		prk_sys_yield();
		if (over(barrier, round))
			return true;
	}
	return false;
}

static bool over_soon(const struct prusik_barrier *barrier, uint32_t round, uint32_t left, int64_t deadline)
{
	if (left == 1)
		return spin(barrier, round);
	return deadline != PRUSIK_NOW && give_way(barrier, round);
}

/* I have arrived. */
static int await(struct prusik_barrier *barrier, uint32_t round, int64_t deadline)
{
	int r = 0;

	while (r == 0) {
		uint32_t epoch = prk_epoch();
		if (over(barrier, round))
			return outcome(barrier, round);
		if (prk_load32_rlx(&barrier->looked) != epoch) {
			enter(barrier);
			look(barrier, epoch);
			leave(barrier);
		}
		r = prk_wait(&barrier->word, round, epoch, deadline);
	}
	enter(barrier);
	return settle(barrier, round, r);
}

/* All are there, and the action runs: nothing is mine to break. */
static int await_next(struct prusik_barrier *barrier, uint32_t round, uint32_t epoch, int64_t deadline)
{
	if (prk_load32_rlx(&ids(barrier)[barrier->parties - 1]) == prk_self()->id)
		return -EDEADLK;
	return prk_wait(&barrier->word, round, epoch, deadline);
}

/*
 * Take the lock in a round that has room: 0, and the lock is held; or why not. A
 * round without BROKEN is equal to the word.
 */
static int find_room(struct prusik_barrier *barrier, uint32_t *ret_round, int64_t deadline)
{
	for (;;) {
		uint32_t epoch = prk_epoch();
		enter(barrier);
		look(barrier, epoch);
		uint32_t word = prk_load32_rlx(&barrier->word);
		*ret_round = word;
		if (!(word & BROKEN) && count(barrier, word) < barrier->parties)
			return 0;
		leave(barrier);
		int r = word & BROKEN ? -EPIPE : await_next(barrier, word, epoch, deadline);
		if (r < 0)
			return r;
	}
}

int64_t prusik_barrier_wait(struct prusik_barrier *barrier, int (*action)(void *), void *arg, int64_t deadline)
{
	uint32_t round = 0;
	int r = check(barrier);

	if (r == 0)
		r = prk_joined();
	if (r == 0)
		r = find_room(barrier, &round, deadline);
	if (r < 0)
		return r;
	uint32_t n = count(barrier, round), left = barrier->parties - 1 - n;
	if (left == 0)
		return complete(barrier, round, action, arg);
	record(barrier, round, n);
	leave(barrier);
	if (over_soon(barrier, round, left, deadline))
		r = outcome(barrier, round);
	else
		r = await(barrier, round, deadline);
	prk_self()->held--;
	return r < 0 ? r : (int64_t)left;
}

static int end_by_hand(struct prusik_barrier *barrier, uint32_t broken)
{
	int r = check(barrier);

	if (r == 0)
		r = prk_joined();
	if (r < 0)
		return r;
	enter(barrier);
	uint32_t word = prk_load32_rlx(&barrier->word);
	if (count(barrier, word) > 0)
		end_round(barrier, false, broken);
	else
		prk_store32_rel(&barrier->word, (word & ~BROKEN) | broken); /* rel [barrier.word] */
	leave(barrier);
	return 0;
}

int prusik_barrier_reset(struct prusik_barrier *barrier)
{
	return end_by_hand(barrier, 0);
}

int prusik_barrier_abort(struct prusik_barrier *barrier)
{
	return end_by_hand(barrier, BROKEN);
}

size_t prusik_barrier_size(uint32_t parties)
{
	if (parties - 1 >= PRUSIK_BARRIER_PARTIES_MAX)
		return 0;
	return sizeof(struct prusik_barrier) + (size_t)parties * sizeof(uint32_t);
}

int prusik_barrier_init(struct prusik_barrier *barrier, uint32_t parties)
{
	if (prk_misplaced(barrier) || prusik_barrier_size(parties) == 0)
		return -EINVAL;
	*barrier = (struct prusik_barrier){ .parties = parties, .broken = 0 - ONE_ROUND };
	return 0;
}

int64_t prusik_barrier_parties(const struct prusik_barrier *barrier)
{
	int r = check(barrier);

	return r < 0 ? r : (int64_t)barrier->parties;
}

int64_t prusik_barrier_waiting(const struct prusik_barrier *barrier)
{
	int r = check(barrier);

	return r < 0 ? r : (int64_t)count(barrier, prk_load32_acq(&barrier->word));
}

int prusik_barrier_broken(const struct prusik_barrier *barrier)
{
	int r = check(barrier);

	return r < 0 ? r : (int)(prk_load32_acq(&barrier->word) & BROKEN);
}
