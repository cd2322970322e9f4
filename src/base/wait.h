/* SPDX-License-Identifier: MIT */
/*
 * wait - the one place where a participant sleeps
 *
 *	for (;;) {
 *		uint32_t epoch = prk_epoch();            // first
 *		uint32_t seen = load(word);              // then look, also at owners' lives
 *		if (what I wait for is so)
 *			return take it;
 *		int r = prk_wait(&word, seen, epoch, deadline);
 *		if (r < 0)
 *			return r;
 *	}
 *
 * Whoever changes what others wait for changes the word, then calls prk_wake.
 * State carries the truth, the wake is a hint: who wakes looks again.
 */
#ifndef PRK_BASE_WAIT_H
#define PRK_BASE_WAIT_H

#include <stdint.h>

/*
 * Sleep while *word == value and the epoch is as given. 0: look again (woken, a
 * death, a signal, or no reason at all); -ETIMEDOUT: deadline passed; -ECANCELED:
 * the token that this thread heeds is set, or was while it slept. Who is woken by
 * prk_wake on the word always gets 0: nobody's wake is lost with him.
 */
int prk_wait(uint32_t *word, uint32_t value, uint32_t epoch, int64_t deadline);

/*
 * The same for a word that only threads of this process change, each of which ends
 * orderly or together with all others: nobody's death could go unheard, so there is
 * no epoch, and neither a domain nor a sentinel is needed.
 */
int prk_wait_private(uint32_t *word, uint32_t value, int64_t deadline);

/* Wake up to count of those who sleep on word; how many were. */
int prk_wake(uint32_t *word, int count);

/*
 * Change *word and wake up to count of those who sleep on it, as one step: the
 * kernel does both, so there is no instruction between them to be killed at. For
 * callers that need not be participants, whose death nobody would hear of. Returns
 * how many were woken. Async-signal-safe. A release, for those who load the word
 * with acq. argument: at most PRK_ARGUMENT_MAX.
 */
#define PRK_ARGUMENT_MAX 2047u
enum prk_change {
	PRK_CHANGE_ADD = 1, /* *word += argument */
	PRK_CHANGE_OR = 2, /* *word |= argument */
};
int prk_change_and_wake(uint32_t *word, enum prk_change change, uint32_t argument, int count);

/* The flag (flag.h) that ends the calling thread's waits; NULL: none (sync/cancel.c). */
extern __thread uint32_t *prk_cancel_here __attribute__((tls_model("initial-exec")));

/*
 * Look this often, pausing, before going to sleep: a sleep costs some 5 us.
 * kill/ is built with fewer turns, since it visits every instruction.
 */
#ifndef PRK_SPINS
#define PRK_SPINS 128
#endif

#endif
