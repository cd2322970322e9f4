/* SPDX-License-Identifier: MIT */
/*
 * undo - change several words under a lock, as one step in the face of SIGKILL
 *
 *	lock; if recovered: prk_undo_rollback(log);
 *	prk_undo_set64(log, &a, 1);
 *	prk_undo_set64(log, &b, 2);
 *	prk_undo_commit(log);             // from here both are so, until here neither
 *	unlock
 *
 * struct prk_undo - the log; lies beside what it protects, in the same memory
 *
 * WORD     count: entries that are valid, 0 = no change is under way. damaged: 1 = it
 *          held what no log holds; then its owner refuses to be used.
 * WRITES   the holder of the lock that protects the structure, only; damaged: upwards
 * ALWAYS   U1 for each changed word of an unfinished change there is a valid entry
 *          with its old value, older entries first
 * MAY LIE  entries at and beyond count hold anything. A count that is not 0 though
 *          nobody died, or out of range: the memory was written to by others, and what
 *          was to be undone is lost (prk_undo_sound).
 * KILLED   after T1 (entry) or T2 (count up): the word still has its old value,
 *          writing that back changes nothing. After T3 (the store): undone.
 *          After T4 (count to 0): done. During the rollback: it is repeated;
 *          R1 (restore) comes before R2 (count down).
 *
 * Entries name words by their distance from the log, so it works at any address.
 * Payload that nobody can reach yet needs no log: write it first.
 */
#ifndef PRK_SHM_UNDO_H
#define PRK_SHM_UNDO_H

#include "base/atomic.h"

#define PRK_UNDO_MAX 32u

struct prk_undo {
	union {
		struct {
			uint32_t count;
			uint32_t damaged;
		};
		uint64_t count_and_damaged;
	};
	struct {
		int64_t distance; /* in bytes; bit 0 set: the word has 32 bits, not 64 */
		uint64_t old;
	} entry[PRK_UNDO_MAX];
};

/* The lock was taken over from nobody: is there no change under way, as there should be? */
static inline bool prk_undo_sound(const struct prk_undo *log)
{
	return prk_load64_rlx(&log->count_and_damaged) == 0;
}

/* Something is wrong with it: say so for ever. */
void prk_undo_damage(struct prk_undo *log) __attribute__((cold));

/*
 * Out of range can only be bytes of a stranger's, since each step of ours fits. The
 * change goes on without its log: no kill is as bad as what has happened already.
 */
static inline void prk_undo_note(struct prk_undo *log, const void *word, uint64_t old, int64_t narrow)
{
	uint32_t n = prk_load32_rlx(&log->count);

	if (__builtin_expect(n >= PRK_UNDO_MAX, 0)) {
		prk_undo_damage(log);
		return;
	}
	log->entry[n].distance = ((const char *)word - (const char *)log) | narrow;
	log->entry[n].old = old; /* T1 */
	prk_barrier();
	prk_store32_rlx(&log->count, n + 1); /* T2 */
	prk_barrier();
}

static inline void prk_undo_set64(struct prk_undo *log, uint64_t *word, uint64_t value)
{
	prk_undo_note(log, word, prk_load64_rlx(word), 0);
	prk_store64_rlx(word, value); /* T3 */
	prk_barrier();
}

static inline void prk_undo_set32(struct prk_undo *log, uint32_t *word, uint32_t value)
{
	prk_undo_note(log, word, prk_load32_rlx(word), 1);
	prk_store32_rlx(word, value); /* T3 */
	prk_barrier();
}

static inline void prk_undo_commit(struct prk_undo *log)
{
	prk_barrier();
	prk_store32_rlx(&log->count, 0); /* T4 */
	prk_barrier();
}

/*
 * Undo an unfinished change; nothing to do when there is none. low and high bound
 * the memory that entries may name: a log of corrupt bytes is dropped, not obeyed.
 * False when that happened, now or before.
 */
bool prk_undo_rollback(struct prk_undo *log, void *low, void *high);

#endif
