/* SPDX-License-Identifier: MIT */
/*
 * alloc - blocks in an arena
 *
 * A segregated fit in the manner of Masmano et al., "TLSF" (2004): free blocks
 * hang in lists by size class, a bit map tells which lists have any, a block is
 * split when it is longer than needed, and merges with free neighbours when it is
 * freed. So both calls take a bounded number of steps while memory is not scarce,
 * and all freed means one block again.
 *
 * A request first looks at a few blocks of its own class, some of which may be too
 * short; then takes the first block of any higher class, all of which fit; and only
 * when there is none looks at all of its own class. -ENOSPC thus means that no
 * free block is long enough.
 *
 * Zeros. A block reads as zeros when it is handed out. What was never written is
 * zero already (arena_shm.fresh). The rest is zeroed when it is allocated, not when
 * it is freed: a kill then leaves nothing to remember, for the block is still free.
 * This happens under the lock up to PRK_ARENA_ZERO_LOCKED bytes. For a
 * longer block the lock is given up meanwhile: the block is first claimed, a
 * transaction of its own that records who does this. It belongs to no link then,
 * but to a living thread; should that die, the next holder of the lock frees it.
 */
#include "shm/alloc.h"

#include "base/life.h"

#include <errno.h>
#include <string.h>

/* How many blocks of its own class a request looks at first. */
#define LOOKS 8u

/*
 * Words that the longest steps change: freeing a claimed block between two free ones;
 * growing (8), taking, linking.
 */
#define STEP_WORDS 20u
_Static_assert(STEP_WORDS + PRK_ARENA_SPARE <= PRK_UNDO_MAX, "a step fits the undo log");

static void word_set(struct prusik_arena *arena, uint64_t *word, uint64_t value)
{
	prk_undo_set64(&arena->shm->undo, word, value);
}

/* ---- classes ---- */

uint32_t prk_class_of(uint64_t size)
{
	uint64_t granules = size / PRK_GRANULE;

	if (granules < 1u << PRK_CLASS_STEPS_LOG2)
		return (uint32_t)granules;
	uint32_t log2 = 63 - (uint32_t)__builtin_clzll(granules);
	uint32_t shift = log2 - PRK_CLASS_STEPS_LOG2;
	uint32_t step = (uint32_t)(granules >> shift) & ((1u << PRK_CLASS_STEPS_LOG2) - 1);

	return ((shift + 1) << PRK_CLASS_STEPS_LOG2) + step;
}

/* The lowest class all of whose blocks are at least as long. */
static uint32_t class_above(uint64_t size)
{
	return prk_class_of(size - PRK_GRANULE) + 1;
}

/* The lowest class from there on that has a free block; PRK_CLASSES: none. */
static uint32_t class_with_block(struct prk_arena_shm *shm, uint32_t class)
{
	for (; class < PRK_CLASSES; class = (class / 64 + 1) * 64) {
		uint64_t bits = prk_load64_rlx(&shm->map[class / 64]) >> class % 64;
		if (bits)
			return class + (uint32_t)__builtin_ctzll(bits);
	}
	return PRK_CLASSES;
}

static void mark_class(struct prusik_arena *arena, uint32_t class, bool some)
{
	uint64_t *map = &arena->shm->map[class / 64], bit = UINT64_C(1) << class % 64;
	uint64_t bits = prk_load64_rlx(map);

	word_set(arena, map, some ? bits | bit : bits & ~bit);
}

/* ---- free lists ---- */

/* 2 words at most: one towards prev, and next's prev or the map's. */
int prk_block_remove(struct prusik_arena *arena, struct prk_block *block, uint64_t offset, uint64_t size)
{
	uint64_t next = prk_load64_rlx(&block->next), prev = prk_load64_rlx(&block->prev), unused;
	uint32_t class = prk_class_of(size);
	struct prk_block *before = prk_block_get(arena, prev, PRK_BLOCK_FREE, &unused);
	struct prk_block *after = prk_block_get(arena, next, PRK_BLOCK_FREE, &unused);

	if ((prev && !before) || (next && !after))
		return -EPROTO;
	uint64_t *from = before ? &before->next : &arena->shm->head[class];
	if (prk_load64_rlx(from) != offset || (after && prk_load64_rlx(&after->prev) != offset))
		return -EPROTO;
	word_set(arena, from, next);
	if (after)
		word_set(arena, &after->prev, prev);
	else if (!before)
		mark_class(arena, class, false);
	return 0;
}

/* 4 words at most. */
int prk_block_push(struct prusik_arena *arena, struct prk_block *block, uint64_t offset, uint64_t size)
{
	uint32_t class = prk_class_of(size);
	uint64_t *head = &arena->shm->head[class], first = prk_load64_rlx(head), unused;
	struct prk_block *second = prk_block_get(arena, first, PRK_BLOCK_FREE, &unused);

	if (first && !second)
		return -EPROTO;
	word_set(arena, &block->next, first);
	word_set(arena, &block->prev, 0);
	if (second)
		word_set(arena, &second->prev, offset);
	else
		mark_class(arena, class, true);
	word_set(arena, head, offset);
	return 0;
}

/*
 * The free block of that class at *offset, where prev's next led; *offset becomes
 * its next. NULL: corrupt. A list that runs in a circle has a block whose prev is
 * not where we came from.
 */
static struct prk_block *list_step(const struct prusik_arena *arena, uint32_t class, uint64_t prev, uint64_t *offset,
				   uint64_t *ret_size)
{
	struct prk_block *block = prk_block_get(arena, *offset, PRK_BLOCK_FREE, ret_size);

	if (!block || prk_load64_rlx(&block->prev) != prev || prk_class_of(*ret_size) != class)
		return NULL;
	*offset = prk_load64_rlx(&block->next);
	return block;
}

/* The first of up to looks blocks of the class that is long enough. */
static int list_find(struct prusik_arena *arena, uint32_t class, uint64_t need, uint64_t looks, uint64_t *ret_offset)
{
	uint64_t next = prk_load64_rlx(&arena->shm->head[class]), prev = 0, size;

	for (; next && looks > 0; looks--) {
		uint64_t offset = next;
		if (!list_step(arena, class, prev, &next, &size))
			return -EPROTO;
		if (size >= need) {
			*ret_offset = offset;
			return 0;
		}
		prev = offset;
	}
	return -ENOSPC;
}

static int list_longest(struct prusik_arena *arena, uint32_t class, uint64_t *ret_size)
{
	uint64_t next = prk_load64_rlx(&arena->shm->head[class]), prev = 0, size;

	for (uint64_t looks = arena->size / PRK_GRANULE; next && looks > 0; looks--) {
		uint64_t offset = next;
		if (!list_step(arena, class, prev, &next, &size))
			return -EPROTO;
		if (size > *ret_size)
			*ret_size = size;
		prev = offset;
	}
	return 0;
}

static int block_find(struct prusik_arena *arena, uint64_t need, uint64_t *ret_offset)
{
	uint32_t own = prk_class_of(need);
	int r = list_find(arena, own, need, LOOKS, ret_offset);

	if (r != -ENOSPC)
		return r;
	uint32_t class = class_with_block(arena->shm, class_above(need));
	if (class == PRK_CLASSES)
		return list_find(arena, own, need, arena->size / PRK_GRANULE, ret_offset);
	r = list_find(arena, class, need, 1, ret_offset);
	return r == -ENOSPC ? -EPROTO : r; /* the map was wrong */
}

/* ---- taking ---- */

/* Of a block that is about to be handed out, where the bytes end that need zeroing. */
static uint64_t dirty_end(const struct prusik_arena *arena, uint64_t offset, uint64_t size)
{
	uint64_t fresh = prk_load64_rlx(&arena->shm->fresh);
	uint64_t payload = offset + sizeof(struct prk_block);
	uint64_t end = fresh < offset + size ? fresh : offset + size;

	return end > payload ? end : payload;
}

static void block_zero(struct prusik_arena *arena, uint64_t offset, uint64_t end)
{
	uint64_t payload = offset + sizeof(struct prk_block);

	memset((char *)arena->shm + payload, 0, end - payload);
}

static void raise_fresh(struct prusik_arena *arena, uint64_t offset)
{
	if (prk_load64_rlx(&arena->shm->fresh) < offset)
		prk_store64_rlx(&arena->shm->fresh, offset); /* F1 */
	prk_barrier();
}

/* The block that begins there, or the end of the arena, now follows before. */
static void set_before(struct prusik_arena *arena, uint64_t offset, uint64_t before)
{
	struct prk_block *block = prk_block_at(arena, offset);

	word_set(arena, block ? &block->before : &arena->shm->last, before);
}

/* A free block of rest bytes begins at offset, cut off from before. 5 words at most. */
static int block_split(struct prusik_arena *arena, uint64_t before, uint64_t offset, uint64_t rest)
{
	struct prk_block *block = prk_block_at(arena, offset);

	/* Unreachable yet: it lies in the payload of a free block. */
	prk_store64_rlx(&block->word, rest | PRK_BLOCK_FREE);
	prk_store64_rlx(&block->before, before);
	set_before(arena, offset + rest, offset);
	return prk_block_push(arena, block, offset, rest);
}

/* bytes and count are added to what is in use; both may be "negative". */
static void account_blocks(struct prusik_arena *arena, uint64_t bytes, uint64_t count)
{
	struct prk_arena_shm *shm = arena->shm;

	word_set(arena, &shm->used, prk_load64_rlx(&shm->used) + bytes);
	word_set(arena, &shm->blocks, prk_load64_rlx(&shm->blocks) + count);
}

/* Make need bytes of the free block at offset a block in that state. 10 words at most. */
static int block_take(struct prusik_arena *arena, uint64_t offset, uint64_t need, enum prk_block_state state)
{
	uint64_t size;
	struct prk_block *block = prk_block_get(arena, offset, PRK_BLOCK_FREE, &size);
	int r = block && size >= need ? prk_block_remove(arena, block, offset, size) : -EPROTO;

	if (r < 0)
		return r;
	raise_fresh(arena, offset + need + sizeof *block);
	if (size > need)
		r = block_split(arena, offset, offset + need, size - need);
	if (r < 0)
		return r;
	word_set(arena, &block->word, need | (uint64_t)state);
	account_blocks(arena, need, 1);
	return 0;
}

/* The block's size for a payload of that size; 0 = longer than the arena can be. */
static uint64_t block_needed(const struct prusik_arena *arena, uint64_t size)
{
	uint64_t room = arena->limit - PRK_ARENA_FIRST;

	if (size > room)
		return 0;
	uint64_t need = size + sizeof(struct prk_block) + PRK_GRANULE - 1;
	need -= need % PRK_GRANULE;
	return need <= room ? need : 0;
}

/* What prusik_arena_alloc would use for that request, now. */
static int block_look(struct prusik_arena *arena, uint64_t size, const uint64_t *link, uint64_t *ret_need,
		      uint64_t *ret_offset)
{
	if (prk_load64_rlx(link) != 0)
		return -EEXIST;
	*ret_need = block_needed(arena, size);
	if (*ret_need == 0)
		return -ENOSPC;
	int r = block_find(arena, *ret_need, ret_offset);
	if (r != -ENOSPC)
		return r;
	r = prk_arena_grow(arena, *ret_need);
	return r < 0 ? r : block_find(arena, *ret_need, ret_offset);
}

static int block_take_for(struct prusik_arena *arena, uint64_t offset, uint64_t need, uint64_t *link)
{
	block_zero(arena, offset, dirty_end(arena, offset, need));
	int r = block_take(arena, offset, need, PRK_BLOCK_USED);
	if (r == 0)
		word_set(arena, link, offset + sizeof(struct prk_block));
	return r;
}

int prk_arena_alloc_locked(struct prusik_arena *arena, uint64_t size, uint64_t *link)
{
	uint64_t need, offset;

	if (size == 0 || !prk_arena_is_link(arena, link))
		return -EINVAL;
	int r = block_look(arena, size, link, &need, &offset);
	return r < 0 ? r : block_take_for(arena, offset, need, link);
}

/* ---- giving back ---- */

/* If the block at offset is free, take it out of its list; *size grows by its size. 3 words. */
static int block_absorb(struct prusik_arena *arena, uint64_t offset, uint64_t *size)
{
	uint64_t more;
	struct prk_block *block = prk_block_get(arena, offset, PRK_BLOCK_FREE, &more);

	if (!block)
		return 0;
	int r = prk_block_remove(arena, block, offset, more);
	if (r < 0)
		return r;
	word_set(arena, &block->word, 0);
	*size += more;
	return 1;
}

/* Free the block, which was found in place. 14 words at most. */
static int block_release(struct prusik_arena *arena, struct prk_block *block, uint64_t offset, uint64_t size)
{
	uint64_t before = prk_load64_rlx(&block->before);

	account_blocks(arena, -size, UINT64_MAX);
	int r = block_absorb(arena, offset + size, &size);
	if (r < 0)
		return r;
	r = block_absorb(arena, before, &size);
	if (r < 0)
		return r;
	if (r > 0) {
		word_set(arena, &block->word, 0);
		offset = before;
		block = prk_block_at(arena, offset);
	}
	word_set(arena, &block->word, size | PRK_BLOCK_FREE);
	set_before(arena, offset + size, offset);
	return prk_block_push(arena, block, offset, size);
}

/*
 * Do the neighbours agree that a block lies there? Bytes of a payload that happen
 * to look like a header do not pass.
 */
static bool block_in_place(const struct prusik_arena *arena, const struct prk_block *block, uint64_t offset,
			   uint64_t size)
{
	uint64_t before = prk_load64_rlx(&block->before);
	struct prk_block *left = prk_block_at(arena, before);
	struct prk_block *right = prk_block_at(arena, offset + size);

	if (right && prk_load64_rlx(&right->before) != offset)
		return false;
	if (before == 0)
		return offset == PRK_ARENA_FIRST;
	return left && before + prk_block_size(prk_load64_rlx(&left->word)) == offset;
}

int prk_arena_free_locked(struct prusik_arena *arena, uint64_t *link)
{
	if (!prk_arena_is_link(arena, link))
		return -EINVAL;
	uint64_t payload = prk_load64_rlx(link), size;
	if (payload == 0)
		return 0;
	uint64_t offset = payload - sizeof(struct prk_block);
	struct prk_block *block = prk_block_get(arena, offset, PRK_BLOCK_USED, &size);
	if (!block || !block_in_place(arena, block, offset, size))
		return -EINVAL;
	word_set(arena, link, 0);
	return block_release(arena, block, offset, size);
}

/* ---- claims ---- */

static struct prk_claim *claim_of(struct prusik_arena *arena, uint64_t offset)
{
	for (uint32_t i = 0; i < PRK_CLAIMS_MAX; i++)
		if (prk_load64_rlx(&arena->shm->claim[i].offset) == offset)
			return &arena->shm->claim[i];
	return NULL;
}

/* 2 words. */
static void claim_set(struct prusik_arena *arena, struct prk_claim *claim, uint64_t offset)
{
	uint64_t *claims = &arena->shm->claims;

	word_set(arena, &claim->offset, offset); /* C2 */
	word_set(arena, claims, prk_load64_rlx(claims) + (offset ? 1 : UINT64_MAX));
}

static int claim_make(struct prusik_arena *arena, struct prk_claim *claim, uint64_t offset, uint64_t need)
{
	int r = block_take(arena, offset, need, PRK_BLOCK_CLAIMED);

	if (r < 0)
		return r;
	prk_store32_rlx(&claim->owner, prk_self()->id); /* C1 */
	prk_barrier();
	claim_set(arena, claim, offset);
	return 0;
}

static int claim_free(struct prusik_arena *arena, struct prk_claim *claim)
{
	uint64_t offset = prk_load64_rlx(&claim->offset), size;
	struct prk_block *block = prk_block_get(arena, offset, PRK_BLOCK_CLAIMED, &size);

	if (!block || !block_in_place(arena, block, offset, size))
		return -EPROTO;
	claim_set(arena, claim, 0);
	return block_release(arena, block, offset, size);
}

int prk_arena_reclaim(struct prusik_arena *arena)
{
	for (uint32_t i = 0; i < PRK_CLAIMS_MAX; i++) {
		struct prk_claim *claim = &arena->shm->claim[i];
		if (prk_load64_rlx(&claim->offset) == 0 || !prk_dead(prk_load32_rlx(&claim->owner)))
			continue;
		int r = claim_free(arena, claim);
		if (r < 0)
			return r;
		prk_undo_commit(&arena->shm->undo);
	}
	return 0;
}

/* The claimed block is zeroed: make it link's. */
static int claim_link(struct prusik_arena *arena, uint64_t offset, uint64_t *link)
{
	struct prk_claim *claim = claim_of(arena, offset);
	uint64_t size;
	struct prk_block *block = prk_block_get(arena, offset, PRK_BLOCK_CLAIMED, &size);

	if (!claim || !block)
		return -EPROTO;
	if (prk_load64_rlx(link) != 0) {
		int r = claim_free(arena, claim);
		return r < 0 ? r : 1;
	}
	claim_set(arena, claim, 0);
	word_set(arena, &block->word, size | PRK_BLOCK_USED);
	word_set(arena, link, offset + sizeof *block);
	return 0;
}

/* ---- the public calls ---- */

/* Gives the lock up, zeroes, takes it again. */
static int alloc_long(struct prusik_arena *arena, struct prk_claim *claim, uint64_t offset, uint64_t need,
		      uint64_t *link)
{
	uint64_t end = dirty_end(arena, offset, need);
	int r = prk_arena_unlock(arena, claim_make(arena, claim, offset, need));

	if (r < 0)
		return r;
	block_zero(arena, offset, end);
	prk_barrier();
	r = prk_arena_lock(arena);
	if (r < 0)
		return r;
	r = prk_arena_unlock(arena, claim_link(arena, offset, link));
	return r > 0 ? -EEXIST : r; /* somebody else used the link meanwhile */
}

int prusik_arena_alloc(struct prusik_arena *arena, uint64_t size, uint64_t *link)
{
	uint64_t need, offset;

	if (!arena || size == 0 || !prk_arena_is_link(arena, link))
		return -EINVAL;
	int r = prk_arena_lock(arena);
	if (r < 0)
		return r;
	r = block_look(arena, size, link, &need, &offset);
	if (r < 0)
		return prk_arena_unlock(arena, r);
	struct prk_claim *claim = claim_of(arena, 0);
	if (claim && dirty_end(arena, offset, need) - offset > arena->zero_locked)
		return alloc_long(arena, claim, offset, need, link);
	return prk_arena_unlock(arena, block_take_for(arena, offset, need, link));
}

int prusik_arena_free(struct prusik_arena *arena, uint64_t *link)
{
	if (!arena || !prk_arena_is_link(arena, link))
		return -EINVAL;
	int r = prk_arena_lock(arena);
	return r < 0 ? r : prk_arena_unlock(arena, prk_arena_free_locked(arena, link));
}

uint64_t prk_arena_bytes_from(const struct prusik_arena *arena, uint64_t offset)
{
	uint64_t at = offset - sizeof(struct prk_block);

	if (offset < PRK_ARENA_FIRST + sizeof(struct prk_block) || (at - PRK_ARENA_FIRST) % PRK_GRANULE ||
	    !prk_arena_within(arena, at, sizeof(struct prk_block)))
		return 0;
	const struct prk_block *block = (const void *)((const char *)arena->shm + at);
	uint64_t word = prk_load64_rlx(&block->word), size = prk_block_size(word);
	if (prk_block_state(word) != PRK_BLOCK_USED || size == 0 || !prk_arena_within(arena, at, size))
		return 0;
	return size - sizeof(struct prk_block);
}

/* ---- for arena.c ---- */

int prk_arena_longest(struct prusik_arena *arena, uint64_t *ret_size)
{
	uint32_t class = PRK_CLASSES;

	*ret_size = 0;
	for (uint32_t c = class_with_block(arena->shm, 0); c < PRK_CLASSES; c = class_with_block(arena->shm, c + 1))
		class = c;
	return class == PRK_CLASSES ? 0 : list_longest(arena, class, ret_size);
}

void prk_arena_fill(struct prusik_arena *arena)
{
	uint64_t size = arena->end - PRK_ARENA_FIRST;
	struct prk_block *block = prk_block_at(arena, PRK_ARENA_FIRST);
	uint32_t class = prk_class_of(size);

	block->word = size | PRK_BLOCK_FREE;
	arena->shm->fresh = PRK_ARENA_FIRST + sizeof *block;
	arena->shm->last = PRK_ARENA_FIRST;
	arena->shm->head[class] = PRK_ARENA_FIRST;
	arena->shm->map[class / 64] = UINT64_C(1) << class % 64;
}
