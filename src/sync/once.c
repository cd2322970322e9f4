/* SPDX-License-Identifier: MIT */
/*
 * once - a word that names who is doing it, until it is done
 *
 * struct prusik_once - 8 bytes; private or shared memory; zero = not done
 *
 * WORD     bit 31 WAITERS: somebody may be asleep on the word; bit 30 DONE;
 *          bits 29..0: the id of who does it, 0 = nobody
 * WRITES   anyone, by CAS; nobody any more when DONE
 * ALWAYS   O1 the id was that of the thread that set it, alive at that moment
 *          O2 somebody sleeps on the word => WAITERS is set, or all have been woken
 *          and those who sleep again will have set it before
 *          O3 DONE => function returned 0 or more
 * MAY LIE  WAITERS with no sleeper: costs one wake
 * KILLED   after O-A, in function, before O-F: the word names a dead id; newcomers
 *          see that, who sleeps is woken by the epoch, one of them does it again and
 *          tells function. After O-F, before O-W: done (or nobody's, if function
 *          failed); who sleeps is woken by the epoch and sees that.
 */
#include <prusik/once.h>

#include "base/ghost.h"
#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>
#include <limits.h>

#define WAITERS UINT32_C(0x80000000)
#define DONE UINT32_C(0x40000000)

_Static_assert(sizeof(struct prusik_once) == 8, "shared layout");

/* The word becomes DONE or 0, and all who wait look. */
static void finish(struct prusik_once *once, uint32_t word)
{
	/* O-F, rel [once.word]: publishes what function did */
	uint32_t before = prk_swap32_acqrel(&once->word, word);

	prk_self()->held--;
	if (before & WAITERS)
		prk_wake(&once->word, INT_MAX); /* O-W */
}

/* Nobody is at it: do it, if nobody gets in between. 1: somebody did. */
static int attempt(struct prusik_once *once, uint32_t seen, int (*function)(void *, int), void *arg)
{
	struct prk_self *self = prk_self();
	int recovered = (seen & PRK_ID_MASK) != 0;

	/* O-A, acq [once.word]: pairs with O-F, or with the dead one's life word */
	if (!prk_cas32_acq(&once->word, &seen, self->id | (seen & WAITERS)))
		return 1;
	self->held++;
	int r = function(arg, recovered);
	finish(once, r < 0 ? 0 : DONE);
	return r < 0 ? r : 0;
}

static int sleep_once(struct prusik_once *once, uint32_t seen, uint32_t epoch, int64_t deadline)
{
	if (deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	if (!(seen & WAITERS) && !prk_cas32_rlx(&once->word, &seen, seen | WAITERS))
		return 0;
	return prk_wait(&once->word, seen | WAITERS, epoch, deadline);
}

static __attribute__((noinline)) int slow(struct prusik_once *once, int (*function)(void *, int), void *arg,
					  int64_t deadline)
{
	int r = prk_joined();

	while (r >= 0) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_acq(&once->word); /* acq [once.word]: O-F */
		uint32_t runner = seen & PRK_ID_MASK;
		if (seen & DONE)
			return 0;
		if (runner == prk_self()->id)
			return -EDEADLK;
		if (runner != 0 && !prk_gone(once, runner)) {
			r = sleep_once(once, seen, epoch, deadline);
			continue;
		}
		r = attempt(once, seen, function, arg);
		if (r <= 0)
			return r;
	}
	return r;
}

int prusik_once(struct prusik_once *once, int (*function)(void *arg, int recovered), void *arg, int64_t deadline)
{
	if (prk_misplaced(once) || !function)
		return -EINVAL;
	/* acq [once.word]: pairs with O-F */
	return prk_load32_acq(&once->word) & DONE ? 0 : slow(once, function, arg, deadline);
}

int prusik_once_done(const struct prusik_once *once)
{
	if (prk_misplaced(once))
		return -EINVAL;
	return (prk_load32_acq(&once->word) & DONE) != 0; /* acq [once.word]: O-F */
}
