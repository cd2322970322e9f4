/* SPDX-License-Identifier: MIT */
#ifndef PRK_SHM_ALLOC_H
#define PRK_SHM_ALLOC_H

#include "shm/arena.h"

/* All of these: the caller holds the arena's lock. -EPROTO means corrupt bytes. */

/*
 * prusik_arena_alloc without the lock and the commit; zeroes under the lock
 * whatever the size. 0, -ENOSPC, -EEXIST, -EINVAL, -EPROTO.
 */
int prk_arena_alloc_locked(struct prusik_arena *arena, uint64_t size, uint64_t *link);

/* prusik_arena_free without the lock and the commit. 0, -EINVAL, -EPROTO. */
int prk_arena_free_locked(struct prusik_arena *arena, uint64_t *link);

/* Free what dead ones have claimed; commits. 0, or -EPROTO. */
int prk_arena_reclaim(struct prusik_arena *arena);

/* The size, header included, of the longest free block; 0 = none. 0 or -EPROTO. */
int prk_arena_longest(struct prusik_arena *arena, uint64_t *ret_size);

/* The one free block of a fresh arena. Nobody else sees the arena yet. */
void prk_arena_fill(struct prusik_arena *arena);

/* Into and out of the list of its class: 4 and 2 words of the undo log at most. 0 or -EPROTO. */
int prk_block_push(struct prusik_arena *arena, struct prk_block *block, uint64_t offset, uint64_t size);
int prk_block_remove(struct prusik_arena *arena, struct prk_block *block, uint64_t offset, uint64_t size);

/* The class that a block of this size belongs to. */
uint32_t prk_class_of(uint64_t size);

static inline uint64_t prk_block_size(uint64_t word)
{
	return word & ~PRK_BLOCK_STATE;
}

static inline uint64_t prk_block_state(uint64_t word)
{
	return word & PRK_BLOCK_STATE;
}

/* The block at that offset, or NULL where none can be. Its bytes are not looked at. */
static inline struct prk_block *prk_block_at(const struct prusik_arena *arena, uint64_t offset)
{
	bool can = offset >= PRK_ARENA_FIRST && offset < arena->end && (offset - PRK_ARENA_FIRST) % PRK_GRANULE == 0;

	return can ? (struct prk_block *)(void *)((char *)arena->shm + offset) : NULL;
}

/* The same for a block that is in that state and ends inside the arena; *ret_size is its size. */
static inline struct prk_block *prk_block_get(const struct prusik_arena *arena, uint64_t offset,
					      enum prk_block_state state, uint64_t *ret_size)
{
	struct prk_block *block = prk_block_at(arena, offset);
	uint64_t word = block ? prk_load64_rlx(&block->word) : 0, size = prk_block_size(word);

	if (prk_block_state(word) != state || size == 0 || size > arena->end - offset)
		return NULL;
	*ret_size = size;
	return block;
}

#endif
