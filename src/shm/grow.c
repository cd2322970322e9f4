/* SPDX-License-Identifier: MIT */
/*
 * grow - an arena that becomes longer while everybody has it
 *
 * Each attacher has address space for the limit mapped from the beginning, of a file
 * that is shorter. Growing is: make the file longer, all of it set aside (G1); say
 * so, in reach (G2); then, through the undo log, make the arena longer by a free block
 * at its end. The others need not be told: who meets an offset beyond what he knows
 * looks at reach (prk_arena_learn).
 *
 * Killed after G1: the file is longer than it says, the next one who grows uses that.
 * After G2: reach is ahead of size, which harms nobody. After that: the undo log.
 */
#include "shm/alloc.h"
#include "shm/huge.h"
#include "shm/segment.h"

#include "base/sys.h"

#include <errno.h>

/* Grow by half, but by no more than this: it happens under the lock, some milliseconds. */
#define STEP_MAX (UINT64_C(8) << 20)
#define STEP_MIN (UINT64_C(64) << 10)

static uint64_t clamp(uint64_t n, uint64_t low, uint64_t high)
{
	return n < low ? low : n > high ? high : n;
}

static uint64_t pages(uint64_t n)
{
	return (n + PRK_ARENA_PAGE - 1) / PRK_ARENA_PAGE * PRK_ARENA_PAGE;
}

/* ---- knowing ---- */

/* Corrupt bytes may say what they like: is the file that long? */
static bool is_backed(const struct prusik_arena *arena, uint64_t reach)
{
	uint64_t bytes = prk_segment_bytes(arena);

	return bytes == 0 || bytes >= reach;
}

uint64_t prk_arena_learn(const struct prusik_arena *arena)
{
	uint64_t known = prk_load64_rlx(&arena->known);

	if (known == arena->limit)
		return known;
	uint64_t reach = prk_load64_acq(&arena->shm->reach); /* acq [arena.reach]: G2 */
	if (reach <= known || reach > arena->limit || reach % PRK_ARENA_PAGE || !is_backed(arena, reach))
		return known;
	/* The handle is ours to change, whatever the caller may do. */
	prk_store64_rlx((uint64_t *)(uintptr_t)&arena->known, reach);
	return reach;
}

/* ---- growing ---- */

/* The file becomes that long. */
static int set_aside(struct prusik_arena *arena, uint64_t size)
{
	uint64_t reach = prk_load64_rlx(&arena->shm->reach);

	if (size <= reach)
		return 0; /* one who has died had come so far */
	if (arena->fd >= 0) {
		if (prk_segment_bytes(arena) == 0)
			return -EBADF;
		int r = prk_sys_fallocate(arena->fd, (off_t)reach, (off_t)(size - reach)); /* G1 */
		if (r < 0)
			return r == -EFBIG ? -ENOSPC : r;
		prk_huge_fill(arena, reach, size);
	}
	prk_store64_rel(&arena->shm->reach, size); /* G2, rel [arena.reach]: it is there */
	return 0;
}

/* As much as is sensible, or at least what is needed. The new size, or -errno. */
static int64_t lengthen(struct prusik_arena *arena, uint64_t more)
{
	uint64_t room = arena->limit - arena->size;

	if (more > room)
		return -ENOSPC;
	uint64_t ample = pages(clamp(arena->size / 2, STEP_MIN, STEP_MAX));
	ample = clamp(ample, more, room);
	int r = set_aside(arena, arena->size + ample);
	if (r == -ENOSPC && ample > more) {
		ample = more;
		r = set_aside(arena, arena->size + ample);
	}
	return r < 0 ? r : (int64_t)(arena->size + ample);
}

/* The last block is free, and becomes longer. 7 words. */
static int extend_last(struct prusik_arena *arena, struct prk_block *last, uint64_t offset, uint64_t size,
		       uint64_t more)
{
	int r = prk_block_remove(arena, last, offset, size);

	if (r < 0)
		return r;
	prk_undo_set64(&arena->shm->undo, &last->word, (size + more) | PRK_BLOCK_FREE);
	return prk_block_push(arena, last, offset, size + more);
}

/* A free block beyond the last one, that nobody can reach yet. 5 words. */
static int append(struct prusik_arena *arena, uint64_t before, uint64_t offset, uint64_t more)
{
	struct prk_block *block = (struct prk_block *)(void *)((char *)arena->shm + offset);

	if (prk_load64_rlx(&arena->shm->fresh) < offset + sizeof *block)
		prk_store64_rlx(&arena->shm->fresh, offset + sizeof *block); /* F1 */
	prk_barrier();
	prk_store64_rlx(&block->word, more | PRK_BLOCK_FREE);
	prk_store64_rlx(&block->before, before);
	prk_undo_set64(&arena->shm->undo, &arena->shm->last, offset);
	return prk_block_push(arena, block, offset, more);
}

/* One word more: size. */
static int take_in(struct prusik_arena *arena, uint64_t last, uint64_t size)
{
	uint64_t end = arena->end, more = prk_arena_end(size) - end, free;
	struct prk_block *block = prk_block_get(arena, last, PRK_BLOCK_FREE, &free);

	prk_undo_set64(&arena->shm->undo, &arena->shm->size, size);
	int r = prk_arena_measure(arena);
	if (r < 0)
		return r;
	return block ? extend_last(arena, block, last, free, more) : append(arena, last, end, more);
}

int prk_arena_grow(struct prusik_arena *arena, uint64_t need)
{
	uint64_t last = prk_load64_rlx(&arena->shm->last), free = 0;
	struct prk_block *block = prk_block_at(arena, last);

	if (!block || arena->end - last != prk_block_size(prk_load64_rlx(&block->word)))
		return -EPROTO;
	if (!prk_block_get(arena, last, PRK_BLOCK_FREE, &free))
		free = 0;
	if (free >= need)
		return -EPROTO; /* it should have been found */
	int64_t size = lengthen(arena, pages(need - free));
	return size < 0 ? (int)size : take_in(arena, last, (uint64_t)size);
}
