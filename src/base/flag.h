/* SPDX-License-Identifier: MIT */
/*
 * flag - a word that is set or not, which anyone may set, even from a signal
 * handler and without taking part
 *
 * The word of struct prusik_event and of struct prusik_cancel.
 *
 * WORD     bit 0 SET; bit 1 WAITERS: somebody may be asleep on it; bits 31..2: how
 *          often a set flag was cleared
 * WRITES   anyone, by CAS; the kernel, by OR of SET, in prk_change_and_wake
 * ALWAYS   F1 somebody sleeps on it => WAITERS is set and SET is not
 *          F2 the count differs from what it was => it has been set since then
 * MAY LIE  WAITERS with no sleeper: costs one system call. A waiter who does not run
 *          during 2^30 clears may take the count for unchanged.
 * KILLED   each change is one step. With somebody asleep, setting is a system call
 *          that changes the word and wakes all, so there is no instruction between
 *          the two; setters whose death nobody hears of need no more than that.
 *
 * The count is raised by clearing and not by setting: so setting is an OR, which two
 * may do at once.
 */
#ifndef PRK_BASE_FLAG_H
#define PRK_BASE_FLAG_H

#include "base/atomic.h"

#define PRK_FLAG_SET UINT32_C(1)
#define PRK_FLAG_WAITERS UINT32_C(2)
#define PRK_FLAG_ONE_CLEAR UINT32_C(4)

/* Both async-signal-safe. */
void prk_flag_set(uint32_t *word);
void prk_flag_clear(uint32_t *word);

/*
 * About to sleep on it: sets WAITERS; *ret_value is the value to sleep on. False: the
 * flag is set.
 */
bool prk_flag_announce(uint32_t *word, uint32_t *ret_value);

/* Is it set, or has it been since its word was began? */
static inline bool prk_flag_passed(const uint32_t *word, uint32_t began)
{
	uint32_t seen = prk_load32_acq(word); /* acq [flag]: pairs with F-S */

	return (seen & PRK_FLAG_SET) || (seen ^ began) >= PRK_FLAG_ONE_CLEAR;
}

#endif
