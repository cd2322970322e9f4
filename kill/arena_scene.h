/* SPDX-License-Identifier: MIT */
/*
 * arena_scene - arenas for cases: how they begin, and what they are compared with
 *
 * An arena is made once for a case, in a process of its own, and its bytes are
 * copied into the object at each point: its parts are named by offsets, so they
 * work anywhere. Besides the start there are two more pictures of it, the start
 * tidied up by the next holder of the lock, and what the operation makes of that.
 * After a kill the arena must be like one of the two, block by block; or, where it
 * had to grow, like a third: longer, and the block free again, for the growing is
 * done when the block is claimed.
 *
 * All links are roots: the first of them, A to H, link the blocks of the start in
 * their order in memory. Every block that is free, the last apart, is full of
 * rubbish, so that what is not zeroed shows.
 */
#ifndef KILL_ARENA_SCENE_H
#define KILL_ARENA_SCENE_H

#include "kill.h"
#include "shm/arena.h"

#define SCENE_SIZE ((size_t)PRK_ARENA_MIN)
#define SCENE_BLOCKS 8
/* A block with more rubbish in it than this is zeroed without the lock. */
#define SCENE_ZERO_LOCKED 1100u

/* The roots. */
enum { A, B, C, D, E, F, G, H, SPARE, SCENE_ROOTS };

/* In kill_run->note. */
enum { SCENE_RESULT, SCENE_OTHER };

/* What case.data points to. */
struct scene_plan {
	uint64_t blocks[SCENE_BLOCKS]; /* payloads, of A and so on */
	const char *freed; /* which of them are then freed, in this order */
	bool (*extra)(struct prusik_arena *arena); /* the rest of the start state */
	int (*act)(struct prusik_arena *arena, const struct scene_plan *plan);
	uint64_t size; /* for act: an argument, */
	const char *name; /* and another */
	int expects; /* of act; PRUSIK_RECOVERED and 0 differ */
	bool small; /* the arena is as small as can be, and may grow to SCENE_SIZE */
	bool loose; /* there are other states that it may end in */
};

/* The arena whose bytes lie there. */
struct prusik_arena scene_arena(void *object);
const struct scene_plan *scene_plan(void);
uint64_t *scene_link(const struct prusik_arena *arena, unsigned int root);

/* For case.begin and case.setup. */
void scene_begin(void *image);
void scene_setup(void *object);
/* case.victim: the plan's act. */
void scene_act(void *object);
/* case.recover: be the next who holds the lock. */
void scene_recover(void *object);
/* case.beside: somebody allocates and frees. */
void scene_passer_by(void *object);

/* For checks; each complains. */
bool scene_sound(void *object); /* valid, and all figures add up */
bool scene_as_promised(void *object); /* like one of the pictures; the second, if finished */
bool scene_is_after(void *object);
bool scene_serves(void *object); /* what is free can be had, is zero, and can be given back */
bool scene_all_comes_back(void *object); /* once every link is freed, all is one free block */

#endif
