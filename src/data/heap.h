/* SPDX-License-Identifier: MIT */
/*
 * heap - the objects of one container, carved from pages, and changed in steps
 *
 * A dict or a list has a heap: a lock, an undo log, and pages that it got from its
 * arena as blocks. A page holds up to 64 objects of one size, and a word that says
 * which are free; so taking an object and giving one back are a store each, and
 * nothing is written into an object that somebody without the lock may still read.
 * An object longer than PRK_OBJECT_SHARED bytes has a page of its own.
 *
 * A change is made like this, under the lock:
 *
 *	r = prk_heap_reserve(v, shelf, bytes);          // may get a page from the arena
 *	prk_heap_begin(v);
 *	prk_heap_take(v, shelf, bytes, &offset);        // in the undo log
 *	... fill the object, which nobody can reach ...
 *	prk_heap_give(v, shelf, old);                   // in the undo log
 *	prk_heap_publish(v, word, value);               // it has happened
 *
 * Others, who read without the lock, see the change with the one store of publish,
 * and once seen it is never undone: who recovers looks whether the word has that value.
 * If so all is kept, if not all is undone.
 */
#ifndef PRK_DATA_HEAP_H
#define PRK_DATA_HEAP_H

#include "base/tsan.h"
#include "shm/arena.h"

#define PRK_HEAP_GRANULE 16u
#define PRK_OBJECT_SHARED 4096u
#define PRK_HEAP_CLASSES 49u
#define PRK_PAGE_OBJECTS 64u

/*
 * struct prk_page - the head of a page; its objects follow
 *
 * WORD     next, prev: neighbours in the list it is in, 0 = none. free: bit i = object
 *          i is free. size: of an object, in bytes. count: of objects.
 *          full: 1 = in shelf.full, 0 = in shelf.partial of its class.
 * WRITES   the holder of the heap's lock, through the undo log; all of it before the
 *          page is in a list, without
 * ALWAYS   P1 free has no bit at and above count
 *          P2 full is 0 => free is not 0
 *          P3 the first word of an object in use has its distance from the page, in
 *          granules, in its low 16 bits
 * MAY LIE  a page in shelf.full may have some free objects: it moves to shelf.partial
 *          when an eighth of them is free, lest it move at every turn
 * KILLED   the undo log puts everything back, or publish had happened
 */
struct prk_page {
	uint64_t next, prev;
	uint64_t free;
	uint64_t size;
	uint32_t count;
	uint32_t full;
	uint64_t reserved[3];
};

/*
 * struct prk_shelf - the pages of a container
 *
 * WORD     partial: by class, the first page that surely has a free object. full: the
 *          first of the rest. bytes: of all pages. grown: by class, how often the next
 *          page is to have twice as many objects as the first.
 * WRITES   the holder of the heap's lock; grown: without the undo log
 * ALWAYS   every page of the container is in one list once
 * MAY LIE  grown is a hint
 * KILLED   see prk_page
 */
struct prk_shelf {
	uint64_t partial[PRK_HEAP_CLASSES];
	uint64_t full;
	uint64_t bytes;
	uint8_t grown[PRK_HEAP_CLASSES + 7];
};

/*
 * struct prk_heap - the lock and what goes with it
 *
 * WORD     broken: 1 = a dead one's undo log was nonsense. recovered: how many died
 *          inside. deciding: the offset of the word whose value tells whether the
 *          running change has happened, 0 = it has not; decided: that value.
 *          spare: a block from the arena that is no page yet. doomed: a block that is
 *          no page any more.
 * WRITES   the holder of lock; spare and doomed are links (arena.h)
 * ALWAYS   H1 undo.count != 0 => a change is under way, and deciding was set for it
 *          H2 doomed and spare are 0 when the lock is free and nobody died
 * MAY LIE  deciding and decided while undo.count is 0
 * KILLED   before publish's store: the next holder rolls back. After it: the next
 *          holder drops the log. With a spare or doomed block: he frees it. What else
 *          is to be repaired the container knows (dict.h, list.h).
 */
struct prk_heap {
	struct prusik_lock lock;
	uint32_t broken;
	uint32_t recovered;
	uint64_t deciding;
	uint64_t decided;
	uint64_t spare;
	uint64_t doomed;
	struct prk_undo undo;
};

/* This process's view. */
struct prk_heap_view {
	struct prk_heap *heap;
	struct prusik_arena *arena;
};

/* ---- offsets ---- */

/* That many bytes at offset; NULL where they do not all lie among the arena's blocks, or no words can begin. */
static inline void *prk_heap_at(const struct prk_heap_view *v, uint64_t offset, uint64_t bytes)
{
	if (offset % sizeof(uint64_t) || offset < PRK_ARENA_FIRST || !prk_arena_within(v->arena, offset, bytes))
		return NULL;
	return (char *)v->arena->shm + offset;
}

static inline uint64_t prk_heap_offset(const struct prk_heap_view *v, const void *pointer)
{
	return (uint64_t)((const char *)pointer - (const char *)v->arena->shm);
}

/* ---- reading what may be gone ---- */

/*
 * A word of memory that may have been given away meanwhile: the caller finds out
 * afterwards, and throws away what he read. acq, so that what he looks at then is no
 * older: pairs with the rel of prk_heap_fill, and with the arena's lock for memory that
 * was given back to it. The new owner need not know about atomics, so ThreadSanitizer is
 * told not to look.
 */
#ifdef PRK_TSAN
__attribute__((no_sanitize("thread"), noinline)) static uint64_t prk_peek64(const uint64_t *word)
{
	return *(const volatile uint64_t *)word;
}
#else
static inline uint64_t prk_peek64(const uint64_t *word)
{
	return prk_load64_acq(word);
}
#endif

/* Copy length bytes out of words that may be gone. */
static inline void prk_peek(void *to, const uint64_t *from, uint64_t length)
{
	char *out = to;
	uint64_t i = 0, word;

	for (; i + 8 <= length; i += 8) {
		word = prk_peek64(from++);
		__builtin_memcpy(out + i, &word, 8);
	}
	if (i < length) {
		word = prk_peek64(from);
		__builtin_memcpy(out + i, &word, length - i);
	}
}

/* Up to 8 bytes as a word, the rest zeros. */
static inline uint64_t prk_word_of(const void *bytes, uint64_t length)
{
	uint64_t word = 0;

	__builtin_memcpy(&word, bytes, length);
	return word;
}

/* The words there, the last one padded with zeros, are these bytes. They may be gone. */
static inline bool prk_peek_equal(const uint64_t *words, const void *bytes, uint64_t length)
{
	const char *in = bytes;
	uint64_t i = 0;

	for (; i + 8 <= length; i += 8)
		if (prk_peek64(words++) != prk_word_of(in + i, 8))
			return false;
	return i == length || prk_peek64(words) == prk_word_of(in + i, length - i);
}

/* Copy length bytes into an object that nobody can reach, the last word padded with zeros. */
static inline void prk_heap_fill(uint64_t *to, const void *from, uint64_t length)
{
	const char *in = from;
	uint64_t i = 0;

	/* rel [object]: who peeks at it as at what it was before, sees that it was given away */
	for (; i + 8 <= length; i += 8)
		prk_store64_rel(to++, prk_word_of(in + i, 8));
	if (i < length)
		prk_store64_rel(to, prk_word_of(in + i, length - i));
}

/* ---- the lock; results as of prk_arena_lock ---- */

int prk_heap_lock(struct prk_heap_view *v) PRUSIK_MUST_USE;
void prk_heap_unlock_slow(struct prk_heap_view *v);

/* After a death: links of ours that the arena was changing are as before, or changed. */
int prk_heap_settle_arena(struct prusik_arena *arena);

/* The arena's naming lock, links settled. */
static inline int prk_heap_name_lock(struct prusik_arena *arena)
{
	int r = prk_arena_name_lock(arena);

	if (r == PRUSIK_RECOVERED && (r = prk_heap_settle_arena(arena)) < 0)
		prk_arena_name_unlock(arena);
	return r;
}

/* ---- changes; the lock is held. -EPROTO: corrupt bytes ---- */

/* So that a take of that many bytes can follow: 0, -ENOSPC, -EPROTO. Not within a change. */
int prk_heap_reserve(struct prk_heap_view *v, struct prk_shelf *shelf, uint64_t bytes);

/* A change begins. */
static inline void prk_heap_begin(struct prk_heap_view *v)
{
	prk_store64_rlx(&v->heap->deciding, 0); /* H-B */
	prk_barrier();
}

static inline void prk_heap_set(struct prk_heap_view *v, uint64_t *word, uint64_t value)
{
	prk_undo_set64(&v->heap->undo, word, value);
}

/* The same for a word that others read without the lock. */
static inline void prk_heap_set_rel(struct prk_heap_view *v, uint64_t *word, uint64_t value)
{
	prk_undo_note(&v->heap->undo, word, prk_load64_rlx(word), 0);
	prk_store64_rel(word, value); /* rel [heap]: as the caller says */
	prk_barrier();
}

/*
 * An object, in whose first word the caller puts *ret_distance, in the low 16 bits, before it can
 * be reached. 8 words at most.
 */
int prk_heap_take(struct prk_heap_view *v, struct prk_shelf *shelf, uint64_t bytes, uint64_t *ret_offset,
		  uint64_t *ret_distance);
/* The object of that first word. 8 words at most. */
int prk_heap_give(struct prk_heap_view *v, struct prk_shelf *shelf, uint64_t offset, uint64_t first_word);

/* The object of that first word will be given back: have its page come. */
static inline void prk_heap_fetch_page(const struct prk_heap_view *v, uint64_t offset, uint64_t first_word)
{
	__builtin_prefetch((const char *)v->arena->shm + offset - (first_word & 0xffff) * PRK_HEAP_GRANULE);
}

/* Give up the change: nothing of it has happened. Returns result. */
int prk_heap_undo(struct prk_heap_view *v, int result);

/* The change has happened; nobody could see it. */
static inline void prk_heap_commit(struct prk_heap_view *v)
{
	prk_undo_commit(&v->heap->undo);
}

/* The change happens with this store; others see it. */
static inline void prk_heap_publish(struct prk_heap_view *v, uint64_t *word, uint64_t value)
{
	prk_store64_rlx(&v->heap->decided, value);
	prk_barrier();
	prk_store64_rlx(&v->heap->deciding, prk_heap_offset(v, word)); /* H-D */
	prk_barrier();
	prk_store64_rel(word, value); /* H-P, rel [heap]: who sees it sees the object */
	prk_undo_commit(&v->heap->undo);
}

static inline void prk_heap_unlock(struct prk_heap_view *v)
{
	prk_heap_unlock_slow(v);
}

/*
 * Free one page of the shelf, whatever is in it, or find that there is none. 1: there
 * may be more; 0; -EPROTO.
 */
int prk_heap_drop_page(struct prk_heap_view *v, struct prk_shelf *shelf);

/* What a shelf has. False: its lists are not what they should be. Any bytes do. */
struct prk_heap_tally {
	uint64_t pages, objects, bytes;
};
bool prk_heap_count(const struct prk_heap_view *v, const struct prk_shelf *shelf, struct prk_heap_tally *ret_tally);

#endif
