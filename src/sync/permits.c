/* SPDX-License-Identifier: MIT */
/*
 * permits - a word for each permit, which names its holder
 *
 * struct prusik_permits - 8 bytes, then count words; private or shared memory
 *
 * WORD     holder words: the id of who holds it, 0 = free. word: bit 0 WAITERS,
 *          somebody may be asleep on it; bits 31..1: releases and goings to sleep,
 *          counted
 * WRITES   holder words: from 0 or a dead id to one's own, by CAS; to 0, by the
 *          holder. word: anyone, by CAS or addition. count: init only.
 * ALWAYS   P1 an id in a holder word was that of the thread that set it, alive then
 *          P2 somebody sleeps on word => WAITERS is set
 *          P3 word is changed after a permit became free (P-C after P-F): so a scan
 *          that found none, and the same word before and after, was right
 * MAY LIE  WAITERS with no sleeper: the next release finds out, by one system call.
 * KILLED   after taking (P-A): the holder word names a dead id; who scans takes it
 *          over: RECOVERED. A releaser after P-F before P-C, after P-C before P-W, a
 *          woken waiter before P-A: the permit is free, all sleepers are woken by
 *          the epoch and scan again.
 *
 * WAITERS is cleared (P-N) by a releaser who found nobody to wake, if the word is as
 * he left it: whoever goes to sleep counts himself in it, so nobody did since.
 */
#include <prusik/semaphore.h>

#include "base/ghost.h"
#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>

#define WAITERS UINT32_C(1)
#define ONE UINT32_C(2)

_Static_assert(sizeof(struct prusik_permits) == 8, "shared layout");

static uint32_t *holder_words(const struct prusik_permits *permits)
{
	return (uint32_t *)(uintptr_t)(permits + 1);
}

static bool unusable(const struct prusik_permits *permits)
{
	return prk_misplaced(permits) || permits->count == 0 || permits->count > PRUSIK_PERMITS_MAX;
}

size_t prusik_permits_size(uint32_t count)
{
	if (count == 0 || count > PRUSIK_PERMITS_MAX)
		return 0;
	return sizeof(struct prusik_permits) + count * sizeof(uint32_t);
}

int prusik_permits_init(struct prusik_permits *permits, uint32_t count)
{
	if (prk_misplaced(permits) || prusik_permits_size(count) == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		holder_words(permits)[i] = 0;
	*permits = (struct prusik_permits){ .count = count };
	return 0;
}

/* Where the calling thread begins to look: threads keep out of one another's way. */
static uint32_t first(const struct prusik_permits *permits)
{
	return (prk_self()->id & PRK_SLOT_MASK) % permits->count;
}

static uint32_t next(const struct prusik_permits *permits, uint32_t i)
{
	return i + 1 < permits->count ? i + 1 : 0;
}

/* 0, RECOVERED, or -EAGAIN: all are held. */
static int take(struct prusik_permits *permits)
{
	struct prk_self *self = prk_self();
	uint32_t i = first(permits);

	for (uint32_t n = 0; n < permits->count; n++, i = next(permits, i)) {
		uint32_t *word = &holder_words(permits)[i];
		uint32_t holder = prk_load32_rlx(word);
		int r = holder == 0 ? 0 : PRUSIK_RECOVERED;
		if (holder != 0 && !prk_gone(word, holder))
			continue;
		/* P-A, acq [permits.holder]: pairs with P-F, or with the dead one's life word */
		if (!prk_cas32_acq(word, &holder, self->id))
			continue;
		self->held++;
		return r;
	}
	return -EAGAIN;
}

static int spin(struct prusik_permits *permits)
{
	int r = -EAGAIN;

	for (int i = 1; r == -EAGAIN && i < PRK_SPINS; i += i) {
		prk_pause_for(i);
		r = take(permits);
	}
	return r;
}

/* All were held when the word was seen: announce it, and sleep. 0: look again. */
static int sleep_once(struct prusik_permits *permits, uint32_t seen, uint32_t epoch, int64_t deadline)
{
	uint32_t value = (seen + ONE) | WAITERS;

	if (!prk_cas32_acqrel(&permits->word, &seen, value))
		return 0;
	return prk_wait(&permits->word, value, epoch, deadline);
}

static int try_now(struct prusik_permits *permits)
{
	for (;;) {
		uint32_t seen = prk_load32_acq(&permits->word); /* acq [permits.word]: P-C */
		int r = take(permits);
		if (r != -EAGAIN)
			return r;
		if (prk_load32_acq(&permits->word) == seen)
			return -ETIMEDOUT;
	}
}

static int sleep_for(struct prusik_permits *permits, int64_t deadline)
{
	for (;;) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_acq(&permits->word); /* acq [permits.word]: P-C */
		int r = take(permits);
		if (r != -EAGAIN)
			return r;
		r = sleep_once(permits, seen, epoch, deadline);
		if (r < 0)
			return r;
	}
}

int prusik_permits_acquire(struct prusik_permits *permits, int64_t deadline)
{
	int r = unusable(permits) ? -EINVAL : prk_joined();

	if (r < 0)
		return r;
	if (deadline == PRUSIK_NOW)
		return try_now(permits);
	r = take(permits);
	if (r == -EAGAIN)
		r = spin(permits);
	return r == -EAGAIN ? sleep_for(permits, deadline) : r;
}

/* The word of a permit that the calling thread holds, or NULL. */
static uint32_t *find_mine(const struct prusik_permits *permits)
{
	uint32_t id = prk_self()->id, i;

	if (id == 0)
		return NULL;
	i = first(permits);
	for (uint32_t n = 0; n < permits->count; n++, i = next(permits, i))
		if (prk_load32_rlx(&holder_words(permits)[i]) == id)
			return &holder_words(permits)[i];
	return NULL;
}

static void wake_one(struct prusik_permits *permits, uint32_t seen)
{
	if (prk_wake(&permits->word, 1) < 1) /* P-W */
		prk_cas32_rlx(&permits->word, &seen, seen & ~WAITERS); /* P-N */
}

int prusik_permits_release(struct prusik_permits *permits)
{
	if (unusable(permits))
		return -EINVAL;
	uint32_t *mine = find_mine(permits);
	if (!mine)
		return -EPERM;
	prk_store32_rel(mine, 0); /* P-F, rel [permits.holder] */
	prk_self()->held--;
	uint32_t before = prk_add32_acqrel(&permits->word, ONE); /* P-C, rel [permits.word] */
	if (before & WAITERS)
		wake_one(permits, before + ONE);
	return 0;
}

int64_t prusik_permits_value(const struct prusik_permits *permits)
{
	int64_t n = 0;
	int r = unusable(permits) ? -EINVAL : prk_life_open();

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < permits->count; i++) {
		uint32_t holder = prk_load32_rlx(&holder_words(permits)[i]);
		n += holder == 0 || prk_gone(permits, holder);
	}
	return n;
}
