/* SPDX-License-Identifier: MIT */
#include "base/flag.h"

#include "base/wait.h"

#include <limits.h>

/*
 * One that is set already is written all the same: the caller may have stored
 * something before, which whoever clears the flag now must see when he looks again.
 */
void prk_flag_set(uint32_t *word)
{
	uint32_t seen = prk_load32_rlx(word);

	do {
		if ((seen & (PRK_FLAG_SET | PRK_FLAG_WAITERS)) == PRK_FLAG_WAITERS) {
			prk_change_and_wake(word, PRK_CHANGE_OR, PRK_FLAG_SET, INT_MAX); /* F-S */
			return;
		}
		/* F-S, rel [flag]: pairs with prk_flag_passed and prk_flag_clear */
	} while (!prk_cas32_rel(word, &seen, seen | PRK_FLAG_SET));
}

void prk_flag_clear(uint32_t *word)
{
	uint32_t seen = prk_load32_acq(word); /* acq [flag]: F-S, cleared by another */

	while (seen & PRK_FLAG_SET) {
		uint32_t clears = seen & ~(PRK_FLAG_SET | PRK_FLAG_WAITERS);
		/* acq [flag]: what was stored before F-S is seen after this */
		if (prk_cas32_acqrel(word, &seen, clears + PRK_FLAG_ONE_CLEAR))
			return;
	}
}

bool prk_flag_announce(uint32_t *word, uint32_t *ret_value)
{
	uint32_t seen = prk_load32_acq(word); /* acq [flag] */

	while (!(seen & PRK_FLAG_SET)) {
		*ret_value = seen | PRK_FLAG_WAITERS;
		if (seen == *ret_value || prk_cas32_acqrel(word, &seen, *ret_value))
			return true;
	}
	return false;
}
