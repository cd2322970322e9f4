/* SPDX-License-Identifier: MIT */
/*
 * cancel - a word that every wait of a thread sleeps on beside its own
 *
 * struct prusik_cancel - 8 bytes; private or shared memory; zero = not set
 *
 * WORD     bit 0 SET; bit 1 WAITERS: somebody may be asleep on it
 * WRITES   anyone, by CAS, or the kernel in prk_change_and_wake
 * ALWAYS   K1 somebody sleeps on it => WAITERS is set, SET is not
 * MAY LIE  WAITERS with no sleeper: costs one system call
 * KILLED   the set and the wake are one system call: before it nothing happened,
 *          after it all are awake
 */
#include <prusik/cancel.h>

#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>
#include <limits.h>

_Static_assert(sizeof(struct prusik_cancel) == 8, "shared layout");

int prusik_cancel_set(struct prusik_cancel *cancel)
{
	if (prk_misplaced(cancel))
		return -EINVAL;
	uint32_t seen = prk_load32_rlx(&cancel->word);
	while (!(seen & PRK_CANCEL_SET)) {
		if (seen & PRK_CANCEL_WAITERS) {
			prk_change_and_wake(&cancel->word, PRK_CHANGE_SET, PRK_CANCEL_SET, INT_MAX);
			return 0;
		}
		/* rel [cancel.word]: pairs with heed in base/wait.c */
		if (prk_cas32_rel(&cancel->word, &seen, PRK_CANCEL_SET))
			return 0;
	}
	return 0;
}

int prusik_cancel_clear(struct prusik_cancel *cancel)
{
	if (prk_misplaced(cancel))
		return -EINVAL;
	uint32_t set = PRK_CANCEL_SET;
	prk_cas32_rlx(&cancel->word, &set, 0); /* not set: nothing to clear */
	return 0;
}

int prusik_cancel_is_set(const struct prusik_cancel *cancel)
{
	if (prk_misplaced(cancel))
		return -EINVAL;
	return prk_load32_acq(&cancel->word) & PRK_CANCEL_SET; /* acq [cancel.word] */
}

struct prusik_cancel *prusik_cancel_use(struct prusik_cancel *cancel)
{
	struct prusik_cancel *before = (struct prusik_cancel *)(void *)prk_cancel_here;

	prk_cancel_here = prk_misplaced(cancel) ? NULL : &cancel->word;
	return before;
}
