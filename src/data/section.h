/* SPDX-License-Identifier: MIT */
/*
 * section - the lock of a value or an array, and what its holder is doing
 *
 * Writers take it for a moment. The user may take it for longer (prusik_value_lock,
 * prusik_array_begin), and the same verbs then work for him and nobody else; and it is
 * held while a function of his runs (modify), from which they are refused.
 *
 * struct prk_section - the shared part
 *
 * WORD     lock: lock.c. doing: PRK_SECTION_OPEN: the user has taken it, and has not
 *          given it back | PRK_SECTION_INSIDE: a function of the user's runs.
 * WRITES   the holder of lock
 * ALWAYS   X1 OPEN without a living holder => somebody died in a section of his own,
 *          and the next to open one is told
 * MAY LIE  INSIDE without a living holder: whoever takes the lock clears it
 * KILLED   before OPEN is set (X-O): the section has not begun. Before it is cleared
 *          (X-C): the next to open one is told; others, who come in between, change
 *          nothing about that. After it: done.
 */
#ifndef PRK_DATA_SECTION_H
#define PRK_DATA_SECTION_H

#include "sync/lock.h"

#include <errno.h>

#define PRK_SECTION_OPEN 1u
#define PRK_SECTION_INSIDE 2u

struct prk_section {
	struct prusik_lock lock;
	uint32_t doing;
	uint32_t reserved;
};

/* Beside 0 and PRUSIK_RECOVERED: it is the caller's, from before. */
#define PRK_SECTION_MINE 2

/*
 * Take the lock for a verb, or a section: 0, PRUSIK_RECOVERED, MINE, or as of
 * prusik_lock_acquire; -EDEADLK: in the caller's own function.
 */
static inline int prk_section_enter(struct prk_section *s, int64_t deadline)
{
	bool taken = prk_lock_try(&s->lock);

	if (!taken && prk_lock_mine(&s->lock))
		return prk_load32_rlx(&s->doing) & PRK_SECTION_INSIDE ? -EDEADLK : PRK_SECTION_MINE;
	int r = taken ? 0 : prk_lock_acquire_slow(&s->lock, deadline);
	if (r >= 0 && (prk_load32_rlx(&s->doing) & PRK_SECTION_INSIDE))
		prk_store32_rlx(&s->doing, prk_load32_rlx(&s->doing) & PRK_SECTION_OPEN);
	return r;
}

/* entered: what enter returned. */
static inline void prk_section_leave(struct prk_section *s, int entered)
{
	if (entered != PRK_SECTION_MINE)
		prk_lock_release(&s->lock);
}

/* It is the user's from here on. PRUSIK_RECOVERED: the last one to open it died in it. */
static inline int prk_section_open(struct prk_section *s)
{
	int r = prk_load32_rlx(&s->doing) & PRK_SECTION_OPEN ? PRUSIK_RECOVERED : 0;

	prk_store32_rlx(&s->doing, PRK_SECTION_OPEN); /* X-O */
	prk_barrier();
	return r;
}

/* Not any more. The lock is still held. */
static inline void prk_section_close(struct prk_section *s)
{
	prk_barrier();
	prk_store32_rlx(&s->doing, 0); /* X-C */
	prk_barrier();
}

/* Is it the calling thread's, opened by him, and not from a function of his own? 0, -EPERM, -EDEADLK. */
static inline int prk_section_may_close(const struct prk_section *s)
{
	uint32_t doing = prk_load32_rlx(&s->doing);

	if (!prk_lock_mine(&s->lock) || !(doing & PRK_SECTION_OPEN))
		return -EPERM;
	return doing & PRK_SECTION_INSIDE ? -EDEADLK : 0;
}

static inline void prk_section_inside(struct prk_section *s, bool inside)
{
	uint32_t open = prk_load32_rlx(&s->doing) & PRK_SECTION_OPEN;

	prk_store32_rlx(&s->doing, open | (inside ? PRK_SECTION_INSIDE : 0));
	prk_barrier();
}

#endif
