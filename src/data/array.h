/* SPDX-License-Identifier: MIT */
/*
 * array.h - items in words, and the same number of words to write a change down in
 *
 * A change that lies within one word is one store. A longer one is first made in the
 * words beside (next), at the same places; then one store says that it is so, and after
 * that it is copied. Whoever is killed while copying has it done by the next holder of
 * the lock: forward, never back, for others may have seen some of it.
 */
#ifndef PRK_DATA_ARRAY_H
#define PRK_DATA_ARRAY_H

#include "data/made.h"
#include "data/section.h"

#include <prusik/array.h>

#define PRK_ARRAY_MAGIC UINT64_C(0x7961727261737270) /* "prsarray" */
#define PRK_ARRAY_VERSION 1u

/*
 * struct prk_array_body - the shared part; in an arena, or in private memory
 *
 * WORD     version: odd = items are being copied, or somebody is between begin and end.
 *          first, count: the words that are to be copied from next; count 0 = none.
 *          words: the items, then as many words for next.
 * WRITES   kind, item_size, length: once. The rest: the holder of section.lock.
 * ALWAYS   A1 version is even => the items are those of one moment, which lasts until
 *          version has changed, or until one store more
 *          A2 count != 0 => next has, at those places, what the items are to be, and
 *          version is odd, or has become even since they are
 * MAY LIE  next while count is 0; first too. A version that is odd though its maker
 *          has died: readers take the lock, whose next holder makes it even.
 * KILLED   before the store to the one word (A-W), or to count (A-C): nothing has
 *          happened. After A-W, before version is raised (A-V): it has; the next holder,
 *          told by RECOVERED, raises it before he changes anything. After A-C: the next
 *          holder copies (again); then A-E. Between begin and end: section.h, and the
 *          items are as the dead one left them.
 */
struct prk_array_body {
	struct prk_made made;

	/* 64 */
	uint64_t version;
	struct prk_section section;
	uint64_t first;
	uint64_t count;
	uint64_t length;
	uint32_t kind;
	uint32_t item_size;
	uint64_t reserved;
	uint64_t words[];
};

/* This process's view. What is checked at opening is kept here. */
struct prusik_array {
	struct prk_array_body *body;
	uint64_t *next;
	uint64_t words; /* of the items */
	uint64_t length;
	uint32_t kind;
	uint32_t item_size;
	struct prk_home home;
};

/* 0: that cannot be. */
static inline uint64_t prk_array_words(uint64_t length, uint32_t item_size)
{
	uint64_t bytes;

	if (__builtin_mul_overflow(length, item_size, &bytes) || bytes > PRK_ARENA_MAX)
		return 0;
	return (bytes + 7) / 8;
}

/* A handle of a body that has room for what these say. */
static inline struct prusik_array prk_array_view(struct prk_array_body *body, uint32_t kind, uint32_t item_size,
						 uint64_t length)
{
	uint64_t words = prk_array_words(length, item_size);

	return (struct prusik_array){
		.body = body,
		.next = body->words + words,
		.words = words,
		.length = length,
		.kind = kind,
		.item_size = item_size,
	};
}

/* ---- array.c ---- */

/* Somebody has died with the lock, which is held now: finish what he has left. */
void prk_array_recover(struct prusik_array *a);

/* Take the lock for a verb; results as of prk_section_enter. */
static inline int prk_array_enter(struct prusik_array *a, int64_t deadline)
{
	int r = prk_section_enter(&a->body->section, deadline);

	if (__builtin_expect(r == PRUSIK_RECOVERED, 0))
		prk_array_recover(a);
	return r;
}

static inline void prk_array_leave(struct prusik_array *a, int entered)
{
	prk_section_leave(&a->body->section, entered);
}

/* The words that some bytes of the items lie in. */
struct prk_span {
	uint64_t first, count;
};

static inline struct prk_span prk_array_span(uint64_t offset, uint64_t bytes)
{
	return (struct prk_span){ offset / 8, bytes ? (offset + bytes - 1) / 8 - offset / 8 + 1 : 0 };
}

/* With the lock: copy the items there to next, or make what is in next by now so. entered: what enter returned. */
void prk_array_load(struct prusik_array *a, struct prk_span span);
void prk_array_store(struct prusik_array *a, struct prk_span span, int entered);
/* The same for one word of them, which need not be in next. */
void prk_array_store_word(struct prusik_array *a, uint64_t number, uint64_t word, int entered);

#endif
