/* SPDX-License-Identifier: MIT */
/*
 * arena_valid - is an arena what arena.h says it always is
 *
 * For tests and for whoever doubts a file. Believes nothing that it reads: each
 * walk goes strictly upwards, or stops where the way back does not fit.
 */
#include "shm/alloc.h"

#include <string.h>

/* What the walk over all blocks has found. */
struct prk_tally {
	uint64_t used, blocks, listed, claimed;
};

static bool count_block(struct prk_tally *tally, uint64_t state, uint64_t size)
{
	switch (state) {
	case PRK_BLOCK_FREE:
		tally->listed++;
		return true;
	case PRK_BLOCK_CLAIMED:
		tally->claimed++;
		break;
	case PRK_BLOCK_USED:
		break;
	default:
		return false;
	}
	tally->used += size;
	tally->blocks++;
	return true;
}

/* B1, B2, the header part of A3, and the figures. */
static bool blocks_valid(struct prusik_arena *arena, struct prk_tally *tally)
{
	uint64_t before = 0, offset = PRK_ARENA_FIRST, state = 0;

	while (offset < arena->end) {
		struct prk_block *block = prk_block_at(arena, offset);
		uint64_t word = prk_load64_rlx(&block->word), size = prk_block_size(word);
		bool both_free = state == PRK_BLOCK_FREE && prk_block_state(word) == PRK_BLOCK_FREE;
		state = prk_block_state(word);
		if (both_free || size == 0 || size > arena->end - offset || prk_load64_rlx(&block->before) != before ||
		    !count_block(tally, state, size))
			return false;
		before = offset;
		offset += size;
	}
	if (prk_load64_rlx(&arena->shm->last) != before)
		return false;
	uint64_t fresh = prk_load64_rlx(&arena->shm->fresh);
	return fresh % sizeof(uint64_t) == 0 && fresh >= before + sizeof(struct prk_block);
}

/* B3 of one class: how many are listed, or -1. */
static int64_t list_length(struct prusik_arena *arena, uint32_t class)
{
	uint64_t offset = prk_load64_rlx(&arena->shm->head[class]), prev = 0, size;
	int64_t n = 0;

	for (; offset && n <= (int64_t)(arena->size / PRK_GRANULE); n++) {
		struct prk_block *block = prk_block_get(arena, offset, PRK_BLOCK_FREE, &size);
		if (!block || prk_class_of(size) != class || prk_load64_rlx(&block->prev) != prev)
			return -1;
		prev = offset;
		offset = prk_load64_rlx(&block->next);
	}
	return n;
}

/* B3 and A2. As each listed block is of its list's class, none is in two. */
static bool lists_valid(struct prusik_arena *arena, const struct prk_tally *tally)
{
	uint64_t listed = 0;

	for (uint32_t class = 0; class < PRK_CLASSES; class ++) {
		bool some = prk_load64_rlx(&arena->shm->head[class]) != 0;
		bool marked = prk_load64_rlx(&arena->shm->map[class / 64]) >> class % 64 & 1;
		int64_t n = list_length(arena, class);
		if (n < 0 || some != marked)
			return false;
		listed += (uint64_t)n;
	}
	return listed == tally->listed;
}

/* B4 */
static bool claims_valid(struct prusik_arena *arena, const struct prk_tally *tally)
{
	uint64_t n = 0, size;

	for (uint32_t i = 0; i < PRK_CLAIMS_MAX; i++) {
		uint64_t offset = prk_load64_rlx(&arena->shm->claim[i].offset);
		if (offset == 0)
			continue;
		if (!prk_block_get(arena, offset, PRK_BLOCK_CLAIMED, &size))
			return false;
		n++;
	}
	return n == tally->claimed && n == prk_load64_rlx(&arena->shm->claims);
}

/* R */
static bool roots_valid(struct prusik_arena *arena)
{
	struct prk_root *root = arena->shm->root;
	uint64_t count = prk_load64_rlx(&arena->shm->roots);

	if (count > PRK_ROOTS_MAX)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		if (root[i].name[0] == 0 || root[i].name[PRUSIK_NAME_MAX] != 0)
			return false;
		for (uint64_t k = 0; k < i; k++)
			if (memcmp(root[i].name, root[k].name, sizeof root[i].name) == 0)
				return false;
	}
	return true;
}

/* The rest of A3: what is called fresh is zero. */
static bool fresh_valid(struct prusik_arena *arena)
{
	uint64_t offset = prk_load64_rlx(&arena->shm->fresh);

	for (; offset < arena->size; offset += sizeof(uint64_t))
		if (prk_load64_rlx((uint64_t *)(void *)((char *)arena->shm + offset)) != 0)
			return false;
	return true;
}

static bool valid_locked(struct prusik_arena *arena)
{
	struct prk_tally tally = { 0 };

	return blocks_valid(arena, &tally) && lists_valid(arena, &tally) && claims_valid(arena, &tally) &&
	       roots_valid(arena) && tally.used == prk_load64_rlx(&arena->shm->used) &&
	       tally.blocks == prk_load64_rlx(&arena->shm->blocks) && fresh_valid(arena);
}

bool prk_arena_valid(struct prusik_arena *arena)
{
	if (prk_arena_lock(arena) < 0)
		return false;
	bool valid = valid_locked(arena);
	prk_arena_unlock(arena, 0);
	return valid;
}
