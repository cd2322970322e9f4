/* SPDX-License-Identifier: MIT */
/* heap: pages and the objects in them (heap.h says how they are used) */
#include "data/heap.h"

#include "base/life.h"
#include "sync/lock.h"

#include <errno.h>

/* A page has 8 objects at first, in small containers, and 64 later, of 64 KiB at most. */
#define FIRST_LOG2 3u
#define PAGE_BYTES_MAX (UINT64_C(64) << 10)

_Static_assert(sizeof(struct prk_page) == PRK_GRANULE, "objects of a line begin on a line");
_Static_assert(PAGE_BYTES_MAX / PRK_HEAP_GRANULE < UINT64_C(1) << 16, "a distance has 16 bits");

static void word_set(struct prk_heap_view *v, uint64_t *word, uint64_t value)
{
	prk_undo_set64(&v->heap->undo, word, value);
}

/* ---- classes: by granule up to 16 of them, then 8 steps per power of two ---- */

static uint64_t granules_for(uint64_t bytes)
{
	uint64_t n = (bytes + PRK_HEAP_GRANULE - 1) / PRK_HEAP_GRANULE;

	return n < 2 ? 2 : n;
}

static uint32_t class_of(uint64_t granules)
{
	if (granules <= 16)
		return (uint32_t)granules;
	uint32_t log2 = 63 - (uint32_t)__builtin_clzll(granules - 1);
	return 16 + (log2 - 4) * 8 + (uint32_t)((granules - 1) >> (log2 - 3)) - 7;
}

/* The size of the objects of a class, in bytes. */
static uint64_t class_bytes(uint32_t class)
{
	if (class <= 16)
		return class * PRK_HEAP_GRANULE;
	uint32_t log2 = (class - 17) / 8 + 4, step = (class - 17) % 8;
	return ((UINT64_C(9) + step) << (log2 - 3)) * PRK_HEAP_GRANULE;
}

static bool is_shared(uint64_t bytes)
{
	return bytes <= PRK_OBJECT_SHARED;
}

static uint64_t all_free(uint32_t count)
{
	return count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

/* ---- pages ---- */

/* The page at that offset, if it can be one. */
static struct prk_page *page_at(const struct prk_heap_view *v, uint64_t offset)
{
	struct prk_page *page = prk_heap_at(v, offset, sizeof *page);

	if (!page || offset % PRK_GRANULE != 0)
		return NULL;
	uint64_t size = prk_load64_rlx(&page->size);
	uint32_t count = prk_load32_rlx(&page->count);
	bool sound = count > 0 && count <= PRK_PAGE_OBJECTS && size > 0 && size % PRK_HEAP_GRANULE == 0 &&
		     size <= PRK_ARENA_MAX && prk_arena_within(v->arena, offset, sizeof *page + size * count) &&
		     (prk_load64_rlx(&page->free) & ~all_free(count)) == 0 && (count == 1 || is_shared(size));
	return sound ? page : NULL;
}

static uint64_t *list_of(struct prk_shelf *shelf, const struct prk_page *page)
{
	uint64_t size = prk_load64_rlx(&page->size);

	if (prk_load32_rlx(&page->full) || !is_shared(size))
		return &shelf->full;
	return &shelf->partial[class_of(granules_for(size))];
}

/* 2 words. */
static int page_unlink(struct prk_heap_view *v, struct prk_shelf *shelf, struct prk_page *page)
{
	uint64_t next = prk_load64_rlx(&page->next), prev = prk_load64_rlx(&page->prev);
	struct prk_page *after = page_at(v, next), *before = page_at(v, prev);
	uint64_t *from = before ? &before->next : list_of(shelf, page);

	if ((next && !after) || (prev && !before) || prk_load64_rlx(from) != prk_heap_offset(v, page))
		return -EPROTO;
	word_set(v, from, next);
	if (after)
		word_set(v, &after->prev, prev);
	return 0;
}

/* 4 words. */
static int page_push(struct prk_heap_view *v, uint64_t *list, struct prk_page *page)
{
	uint64_t offset = prk_heap_offset(v, page), first = prk_load64_rlx(list);
	struct prk_page *second = page_at(v, first);

	if (first && !second)
		return -EPROTO;
	word_set(v, &page->next, first);
	word_set(v, &page->prev, 0);
	if (second)
		word_set(v, &second->prev, offset);
	word_set(v, list, offset);
	return 0;
}

/* 6 words, and the one that says which list. */
static int page_move(struct prk_heap_view *v, struct prk_shelf *shelf, struct prk_page *page, uint32_t full)
{
	int r = page_unlink(v, shelf, page);

	if (r < 0)
		return r;
	prk_undo_set32(&v->heap->undo, &page->full, full);
	return page_push(v, list_of(shelf, page), page);
}

static uint64_t page_bytes(const struct prk_page *page)
{
	return sizeof *page + page->size * page->count;
}

/* 1 word. */
static void account(struct prk_heap_view *v, struct prk_shelf *shelf, uint64_t more)
{
	word_set(v, &shelf->bytes, prk_load64_rlx(&shelf->bytes) + more);
}

/* A page for objects of that size is heap.spare. */
static int page_get(struct prk_heap_view *v, uint64_t size, uint32_t count)
{
	int r = prusik_arena_alloc(v->arena, sizeof(struct prk_page) + size * count, &v->heap->spare);

	if (r < 0)
		return r;
	struct prk_page *page = prk_heap_at(v, v->heap->spare, sizeof *page);
	if (!page)
		return -EPROTO;
	page->size = size;
	page->count = count;
	page->free = all_free(count);
	return 0;
}

static uint32_t next_count(struct prk_shelf *shelf, uint32_t class)
{
	uint32_t log2 = shelf->grown[class] <= 3 ? shelf->grown[class] : 3;
	uint64_t count = PAGE_BYTES_MAX / 2 / class_bytes(class), wanted = UINT64_C(1) << (FIRST_LOG2 + log2);

	shelf->grown[class] = (uint8_t)(log2 + 1);
	return (uint32_t)(wanted < count ? wanted : count);
}

static int add_page(struct prk_heap_view *v, struct prk_shelf *shelf, uint32_t class)
{
	int r = page_get(v, class_bytes(class), next_count(shelf, class));

	if (r == -ENOSPC)
		r = page_get(v, class_bytes(class), 1);
	if (r < 0)
		return r;
	struct prk_page *page = page_at(v, v->heap->spare);
	prk_heap_begin(v);
	r = page ? page_push(v, &shelf->partial[class], page) : -EPROTO;
	if (r < 0)
		return prk_heap_undo(v, r);
	account(v, shelf, page_bytes(page));
	word_set(v, &v->heap->spare, 0);
	prk_heap_commit(v);
	return 0;
}

/* Room in a page that counts as full is room all the same, when there is no other. */
static int find_in_full(struct prk_heap_view *v, struct prk_shelf *shelf, uint32_t class)
{
	uint64_t offset = prk_load64_rlx(&shelf->full);

	for (uint64_t looks = prk_arena_learn(v->arena) / PRK_GRANULE; offset && looks > 0; looks--) {
		struct prk_page *page = page_at(v, offset);
		if (!page)
			return -EPROTO;
		if (prk_load64_rlx(&page->free) && page->size == class_bytes(class)) {
			prk_heap_begin(v);
			int r = page_move(v, shelf, page, 0);
			if (r < 0)
				return prk_heap_undo(v, r);
			prk_heap_commit(v);
			return 0;
		}
		offset = prk_load64_rlx(&page->next);
	}
	return -ENOSPC;
}

int prk_heap_reserve(struct prk_heap_view *v, struct prk_shelf *shelf, uint64_t bytes)
{
	if (bytes > PRK_ARENA_MAX)
		return -ENOSPC;
	uint64_t granules = granules_for(bytes);

	if (!is_shared(bytes))
		return page_get(v, granules * PRK_HEAP_GRANULE, 1);
	uint32_t class = class_of(granules);
	if (prk_load64_rlx(&shelf->partial[class]))
		return 0;
	int r = add_page(v, shelf, class);
	return r == -ENOSPC ? find_in_full(v, shelf, class) : r;
}

/* ---- objects ---- */

/* A spare page becomes one with an object in use. */
static int take_alone(struct prk_heap_view *v, struct prk_shelf *shelf, uint64_t *ret_offset)
{
	uint64_t offset = prk_load64_rlx(&v->heap->spare);
	struct prk_page *page = page_at(v, offset);

	if (!page)
		return -EPROTO;
	page->free = 0; /* unreachable yet */
	page->full = 1;
	int r = page_push(v, &shelf->full, page);
	account(v, shelf, page_bytes(page));
	word_set(v, &v->heap->spare, 0);
	*ret_offset = offset + sizeof *page;
	return r;
}

int prk_heap_take(struct prk_heap_view *v, struct prk_shelf *shelf, uint64_t bytes, uint64_t *ret_offset,
		  uint64_t *ret_distance)
{
	*ret_distance = sizeof(struct prk_page) / PRK_HEAP_GRANULE;
	if (!is_shared(bytes))
		return take_alone(v, shelf, ret_offset);
	uint32_t class = class_of(granules_for(bytes));
	uint64_t offset = prk_load64_rlx(&shelf->partial[class]);
	struct prk_page *page = page_at(v, offset);
	if (!page || page->size != class_bytes(class) || prk_load64_rlx(&page->free) == 0)
		return -EPROTO;
	uint64_t free = prk_load64_rlx(&page->free), bit = (uint64_t)__builtin_ctzll(free);
	*ret_distance += bit * page->size / PRK_HEAP_GRANULE;
	*ret_offset = offset + *ret_distance * PRK_HEAP_GRANULE;
	word_set(v, &page->free, free & (free - 1));
	return free & (free - 1) ? 0 : page_move(v, shelf, page, 1);
}

/* All its objects are free. The last page of a class stays, lest it come and go. */
static int page_empty(struct prk_heap_view *v, struct prk_shelf *shelf, struct prk_page *page)
{
	bool last = !page->full && page->next == 0 && page->prev == 0;

	if (prk_load64_rlx(&v->heap->doomed) || (last && page->count > 1))
		return 0;
	int r = page_unlink(v, shelf, page);
	account(v, shelf, -page_bytes(page));
	word_set(v, &v->heap->doomed, prk_heap_offset(v, page));
	return r;
}

int prk_heap_give(struct prk_heap_view *v, struct prk_shelf *shelf, uint64_t offset, uint64_t first_word)
{
	uint64_t distance = (first_word & 0xffff) * PRK_HEAP_GRANULE - sizeof(struct prk_page);
	struct prk_page *page = page_at(v, offset - distance - sizeof *page);

	if (!page || distance % page->size != 0 || distance / page->size >= page->count)
		return -EPROTO;
	uint64_t bit = UINT64_C(1) << distance / page->size, free = prk_load64_rlx(&page->free);
	if (free & bit)
		return -EPROTO;
	free |= bit;
	word_set(v, &page->free, free);
	if (free == all_free(page->count))
		return page_empty(v, shelf, page);
	if (page->full && (uint32_t)__builtin_popcountll(free) * 8 >= page->count)
		return page_move(v, shelf, page, 0);
	return 0;
}

/* ---- the lock ---- */

static bool roll_back(struct prk_heap_view *v)
{
	char *low = (char *)v->arena->shm;
	uint64_t known = prk_arena_learn(v->arena); /* the dead one may have made it longer */

	return prk_undo_rollback(&v->heap->undo, low + PRK_ARENA_FIRST, low + known);
}

int prk_heap_undo(struct prk_heap_view *v, int result)
{
	roll_back(v);
	return result;
}

/* Somebody died with a change under way: had it happened? */
static bool has_happened(const struct prk_heap_view *v)
{
	uint64_t deciding = prk_load64_rlx(&v->heap->deciding);
	const uint64_t *word = prk_heap_at(v, deciding, sizeof *word);

	return deciding % sizeof *word == 0 && word && prk_load64_rlx(word) == prk_load64_rlx(&v->heap->decided);
}

/*
 * He may have died in a call to the arena, which then still holds half of a change to
 * links of ours: have that done or undone before anybody looks at them.
 */
int prk_heap_settle_arena(struct prusik_arena *arena)
{
	int r = prk_arena_lock(arena);

	return r < 0 ? r : prk_arena_unlock(arena, 0);
}

static void recover(struct prk_heap_view *v)
{
	struct prk_heap *h = v->heap;

	prk_store32_rlx(&h->recovered, prk_load32_rlx(&h->recovered) + 1);
	if (prk_load32_rlx(&h->undo.count) == 0)
		return;
	if (prk_load32_rlx(&h->undo.count) <= PRK_UNDO_MAX && has_happened(v))
		prk_undo_commit(&h->undo);
	else if (!roll_back(v))
		prk_store32_rlx(&h->broken, 1);
}

/* Give back to the arena what belongs to nobody. */
static int tidy(struct prk_heap_view *v)
{
	int r = 0;

	if (prk_load64_rlx(&v->heap->doomed))
		r = prusik_arena_free(v->arena, &v->heap->doomed);
	if (r >= 0 && prk_load64_rlx(&v->heap->spare))
		r = prusik_arena_free(v->arena, &v->heap->spare);
	return r < 0 ? -EPROTO : 0;
}

int prk_heap_lock(struct prk_heap_view *v)
{
	struct prk_heap *h = v->heap;

	if (prk_lock_mine(&h->lock))
		return -EDEADLK;
	int r = prk_lock_take(&h->lock);
	if (r < 0)
		return r;
	int state = 0;
	if (r == PRUSIK_RECOVERED) {
		recover(v);
		state = prk_heap_settle_arena(v->arena);
	}
	/* A log that is not empty, though nobody died, is no log. */
	if (!prk_undo_sound(&h->undo))
		prk_undo_damage(&h->undo);
	if (prk_load32_rlx(&h->broken) || !prk_undo_sound(&h->undo))
		state = -EPROTO;
	if (state == 0 && (prk_load64_rlx(&h->doomed) || prk_load64_rlx(&h->spare)))
		state = tidy(v);
	if (state == 0)
		return r;
	prk_lock_release(&h->lock);
	return state;
}

void prk_heap_unlock_slow(struct prk_heap_view *v)
{
	if (prk_load64_rlx(&v->heap->doomed) || prk_load64_rlx(&v->heap->spare))
		tidy(v);
	prk_lock_release(&v->heap->lock);
}

/* ---- all pages ---- */

static uint64_t *some_list(struct prk_shelf *shelf)
{
	for (uint32_t i = 0; i < PRK_HEAP_CLASSES; i++)
		if (prk_load64_rlx(&shelf->partial[i]))
			return &shelf->partial[i];
	return prk_load64_rlx(&shelf->full) ? &shelf->full : NULL;
}

int prk_heap_drop_page(struct prk_heap_view *v, struct prk_shelf *shelf)
{
	uint64_t *list = some_list(shelf);

	if (!list)
		return 0;
	struct prk_page *page = page_at(v, prk_load64_rlx(list));
	struct prk_page *after = page ? page_at(v, prk_load64_rlx(&page->next)) : NULL;
	if (!page || (page->next && !after))
		return -EPROTO;
	prk_heap_begin(v);
	word_set(v, &v->heap->doomed, prk_load64_rlx(list));
	word_set(v, list, page->next);
	account(v, shelf, -page_bytes(page));
	if (after)
		word_set(v, &after->prev, 0);
	prk_heap_commit(v);
	return prusik_arena_free(v->arena, &v->heap->doomed) < 0 ? -EPROTO : 1;
}

static bool count_list(const struct prk_heap_view *v, uint64_t offset, uint32_t full, uint32_t class,
		       struct prk_heap_tally *tally)
{
	uint64_t prev = 0;

	for (uint64_t looks = prk_arena_learn(v->arena) / PRK_GRANULE; offset; looks--) {
		const struct prk_page *page = page_at(v, offset);
		if (looks == 0 || !page || page->prev != prev || page->full != full ||
		    (!full && (page->free == 0 || page->size != class_bytes(class))))
			return false;
		tally->pages++;
		tally->objects += page->count - (uint32_t)__builtin_popcountll(page->free);
		tally->bytes += page_bytes(page);
		prev = offset;
		offset = page->next;
	}
	return true;
}

bool prk_heap_count(const struct prk_heap_view *v, const struct prk_shelf *shelf, struct prk_heap_tally *ret_tally)
{
	*ret_tally = (struct prk_heap_tally){ 0 };
	for (uint32_t i = 0; i < PRK_HEAP_CLASSES; i++)
		if (!count_list(v, shelf->partial[i], 0, i, ret_tally))
			return false;
	return count_list(v, shelf->full, 1, 0, ret_tally) && ret_tally->bytes == shelf->bytes;
}
