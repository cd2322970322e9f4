/* SPDX-License-Identifier: MIT */
/*
 * semaphore - one word that counts permits
 *
 * struct prusik_semaphore - 8 bytes; private or shared memory; zero = none, no limit
 *
 * WORD     bit 31 WAITERS: somebody may be asleep on the word. Bits 30..0: permits;
 *          those above the limit are void, whoever takes one drops them.
 *          limit: 0 is PRUSIK_SEMAPHORE_MAX.
 * WRITES   word: anyone, by CAS; the kernel, by addition, in prk_change_and_wake.
 *          limit: init only.
 * ALWAYS   S1 a permit is taken by the CAS of the one who gets it
 *          S2 somebody sleeps on the word => WAITERS is set, or one who was woken
 *          has not looked yet (the baton)
 *          S3 somebody sleeps on the word, and there are permits => there is a baton
 * MAY LIE  WAITERS with no sleeper: the next release finds out, by one system call.
 * KILLED   a releaser, who need not take part: with somebody asleep he changes the
 *          word and wakes in one system call (S-R2), else there is one CAS (S-R1).
 *          Who has the baton, before he takes a permit (S-A), or after that before
 *          he wakes the next one (S-W): he takes part, all sleepers are woken by the
 *          epoch and look. A permit taken is gone with its taker.
 *
 * The baton. Who has slept sets WAITERS again as he takes a permit, and if he leaves
 * any behind he wakes the next one: while WAITERS was not set they were released
 * without a wake. So WAITERS may be cleared whenever there are permits (S-C): if
 * anybody sleeps then, by S3 there is a baton. S3 holds since sleepers went to
 * sleep when there were none, and each permit since has woken one of them, or had no
 * WAITERS to see.
 */
#include <prusik/semaphore.h>

#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>

#define WAITERS UINT32_C(0x80000000)

_Static_assert(sizeof(struct prusik_semaphore) == 8, "shared layout");
/* Releasers who all saw room may add so much too much before the count runs into WAITERS. */
_Static_assert(PRUSIK_SEMAPHORE_MAX <= WAITERS / 2, "room for surplus");

/* 0 is below all others here: it wraps around. */
static uint32_t limit_of(const struct prusik_semaphore *s)
{
	return s->limit - 1 < PRUSIK_SEMAPHORE_MAX ? s->limit : PRUSIK_SEMAPHORE_MAX;
}

static uint32_t permits_in(const struct prusik_semaphore *s, uint32_t word)
{
	uint32_t permits = word & ~WAITERS, limit = limit_of(s);

	return permits < limit ? permits : limit;
}

int prusik_semaphore_init(struct prusik_semaphore *semaphore, uint32_t value, uint32_t limit)
{
	struct prusik_semaphore made = { .limit = limit };

	if (prk_misplaced(semaphore) || limit > PRUSIK_SEMAPHORE_MAX || value > limit_of(&made))
		return -EINVAL;
	made.word = value;
	*semaphore = made;
	return 0;
}

/* Take a permit, if there is any: how many there were. with: bits to set beside. */
static uint32_t take(struct prusik_semaphore *s, uint32_t *ret_seen, uint32_t with)
{
	uint32_t seen = prk_load32_rlx(&s->word), permits;

	while ((permits = permits_in(s, seen)) > 0)
		/* S-A, acq [semaphore.word]: pairs with S-R1, S-R2 */
		if (prk_cas32_acq(&s->word, &seen, (seen & WAITERS) | with | (permits - 1)))
			break;
	*ret_seen = seen;
	return permits;
}

static bool spin(struct prusik_semaphore *s)
{
	uint32_t seen;

	for (int i = 1; i < PRK_SPINS; i += i) {
		prk_pause_for(i);
		if (take(s, &seen, 0) > 0)
			return true;
	}
	return false;
}

static int sleep_for(struct prusik_semaphore *s, int64_t deadline)
{
	uint32_t with = 0, seen;

	for (;;) {
		uint32_t epoch = prk_epoch();
		uint32_t permits = take(s, &seen, with);
		if (permits > 0) {
			if (with && permits > 1)
				prk_wake(&s->word, 1); /* S-W */
			return 0;
		}
		if (!(seen & WAITERS) && !prk_cas32_rlx(&s->word, &seen, seen | WAITERS))
			continue;
		int r = prk_wait(&s->word, WAITERS, epoch, deadline);
		if (r < 0)
			return r;
		with = WAITERS;
	}
}

static __attribute__((noinline)) int acquire_slow(struct prusik_semaphore *semaphore, int64_t deadline)
{
	uint32_t seen;

	if (take(semaphore, &seen, 0) > 0)
		return 0;
	if (deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	int r = prk_joined();
	if (r < 0 || spin(semaphore))
		return r;
	return sleep_for(semaphore, deadline);
}

int prusik_semaphore_acquire(struct prusik_semaphore *semaphore, int64_t deadline)
{
	if (prk_misplaced(semaphore))
		return -EINVAL;
	uint32_t seen = prk_load32_rlx(&semaphore->word);
	/* Neither none nor too many, nobody asleep. S-A, acq [semaphore.word]: pairs with S-R1, S-R2 */
	if (__builtin_expect(seen - 1 < limit_of(semaphore), 1) &&
	    __builtin_expect(prk_cas32_acq(&semaphore->word, &seen, seen - 1), 1))
		return 0;
	return acquire_slow(semaphore, deadline);
}

/* Add permits and wake as many, as one step. How many were added. */
static uint32_t add_and_wake(struct prusik_semaphore *s, uint32_t count)
{
	uint32_t part = count < PRK_ARGUMENT_MAX ? count : PRK_ARGUMENT_MAX;

	if (prk_change_and_wake(&s->word, PRK_CHANGE_ADD, part, (int)part) < (int)part) { /* S-R2 */
		uint32_t seen = prk_load32_rlx(&s->word);
		if (seen > WAITERS)
			prk_cas32_rlx(&s->word, &seen, seen & ~WAITERS); /* S-C; not now: the next release */
	}
	return part;
}

/* Add permits, all or the first of them, as one step. How many were added, or -EOVERFLOW. */
static int add(struct prusik_semaphore *s, uint32_t count)
{
	uint32_t seen = prk_load32_rlx(&s->word), limit = limit_of(s);

	for (;;) {
		uint32_t permits = permits_in(s, seen);
		if (count > limit - permits)
			return -EOVERFLOW;
		if (seen & WAITERS)
			return (int)add_and_wake(s, count);
		/* S-R1, rel [semaphore.word]: pairs with S-A */
		if (prk_cas32_rel(&s->word, &seen, permits + count))
			return (int)count;
	}
}

static __attribute__((noinline)) int release_slow(struct prusik_semaphore *semaphore, uint32_t count)
{
	int r = add(semaphore, count);

	if (r < 0)
		return r;
	while ((count -= (uint32_t)r) > 0) {
		r = add(semaphore, count);
		if (r < 0)
			break; /* others have filled it up meanwhile: a surplus is void */
	}
	return 0;
}

int prusik_semaphore_release(struct prusik_semaphore *semaphore, uint32_t count)
{
	if (prk_misplaced(semaphore) || count == 0)
		return -EINVAL;
	uint32_t seen = prk_load32_rlx(&semaphore->word), limit = limit_of(semaphore);
	/* Room enough, nobody asleep. S-R1, rel [semaphore.word]: pairs with S-A */
	if (__builtin_expect(seen <= limit && count <= limit - seen, 1) &&
	    __builtin_expect(prk_cas32_rel(&semaphore->word, &seen, seen + count), 1))
		return 0;
	return release_slow(semaphore, count);
}

int64_t prusik_semaphore_value(const struct prusik_semaphore *semaphore)
{
	if (prk_misplaced(semaphore))
		return -EINVAL;
	return permits_in(semaphore, prk_load32_rlx(&semaphore->word));
}
