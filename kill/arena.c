/* SPDX-License-Identifier: MIT */
/*
 * kill: arena - blocks and roots
 *
 * Names of arenas are in arena_name.c, queues that lie in one in arena_queue.c, dicts
 * and lists in arena_made.c.
 */
#include "arena_scene.h"

#include "shm/alloc.h"

#include <errno.h>
#include <stdio.h>

/* Nobody has it. */
#define DEAD ((PRK_ID_MASK & ~PRK_SLOT_MASK) | (PRK_SLOTS_MAX - 1))

/* ---- what there is at the start, besides blocks ---- */

/* C's block was claimed by one who died then. */
static bool dead_claim(struct prusik_arena *arena)
{
	uint64_t *link = scene_link(arena, C), offset = *link - sizeof(struct prk_block), size;
	struct prk_block *block = prk_block_get(arena, offset, PRK_BLOCK_USED, &size);

	if (!block)
		return false;
	block->word = size | PRK_BLOCK_CLAIMED;
	arena->shm->claim[1] = (struct prk_claim){ .offset = offset, .owner = DEAD };
	arena->shm->claims = 1;
	*link = 0;
	return true;
}

/* One who has died had freed C's block, and not committed that. */
static bool dead_inside(struct prusik_arena *arena)
{
	int r = prk_arena_free_locked(arena, scene_link(arena, C));

	arena->shm->lock.word = DEAD;
	return r == 0 && arena->shm->undo.count > 0;
}

/* One who has died had taken it, and done no more. */
static bool dead_holder(struct prusik_arena *arena)
{
	arena->shm->lock.word = DEAD;
	return true;
}

static bool both(struct prusik_arena *arena)
{
	return dead_claim(arena) && dead_holder(arena);
}

static bool full(struct prusik_arena *arena)
{
	struct prusik_arena_stats s;

	return prusik_arena_stats(arena, &s) == 0 && prusik_arena_alloc(arena, s.largest, scene_link(arena, H)) == 0;
}

static bool roots_full(struct prusik_arena *arena)
{
	uint64_t *link;
	char name[8];

	for (uint64_t i = arena->shm->roots; i < PRK_ROOTS_MAX; i++) {
		snprintf(name, sizeof name, "%u", (unsigned int)i);
		if (prusik_arena_root(arena, name, &link) != 0)
			return false;
	}
	return true;
}

/* The entry of a root that was never counted. */
static bool root_left(struct prusik_arena *arena)
{
	arena->shm->root[arena->shm->roots] = (struct prk_root){ .name = "a longer name" };
	return true;
}

/* ---- operations ---- */

static int alloc(struct prusik_arena *arena, const struct scene_plan *plan)
{
	return prusik_arena_alloc(arena, plan->size, scene_link(arena, A));
}

static int alloc_all(struct prusik_arena *arena, const struct scene_plan *plan)
{
	(void)plan;
	return prusik_arena_alloc(arena, arena->end - PRK_ARENA_FIRST - sizeof(struct prk_block), scene_link(arena, A));
}

static int free_b(struct prusik_arena *arena, const struct scene_plan *plan)
{
	(void)plan;
	return prusik_arena_free(arena, scene_link(arena, B));
}

static int free_inside(struct prusik_arena *arena, const struct scene_plan *plan)
{
	uint64_t *link = prusik_arena_pointer(arena, *scene_link(arena, B)), offset = *link;

	(void)plan;
	*link = *scene_link(arena, B) + PRK_GRANULE; /* no block begins there */
	int r = prusik_arena_free(arena, link);
	*link = offset;
	return r;
}

static int root(struct prusik_arena *arena, const struct scene_plan *plan)
{
	uint64_t *link = NULL;
	int r = prusik_arena_root(arena, plan->name, &link);

	return r >= 0 && (!link || *link != 0) ? -EILSEQ : r;
}

static int stats(struct prusik_arena *arena, const struct scene_plan *plan)
{
	struct prusik_arena_stats s = { 0 };
	int r = prusik_arena_stats(arena, &s);

	(void)plan;
	return r == 0 && s.size != prk_arena_overhead(arena) + s.used + s.free ? -EILSEQ : r;
}

/* ---- what is promised ---- */

static bool check(void *object)
{
	return scene_sound(object) && scene_as_promised(object) && scene_serves(object) && scene_all_comes_back(object);
}

/* The victim's link is taken by another, against the rules; nothing is lost by that. */
static bool take_link(void *object)
{
	struct prusik_arena arena = scene_arena(object);

	if (prk_joined() < 0)
		return false;
	kill_hello();
	int r = prusik_arena_alloc(&arena, 40, scene_link(&arena, A));
	return kill_claim(r == 0 || r == -EEXIST, "somebody else can have the link");
}

static void link_taker(void *object)
{
	(void)object;
	kill_asleep(take_link, KILL_FINISHES);
}

#define PLAN(...)                                                                                                      \
	.data = &(const struct scene_plan)                                                                             \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#define CASE(operation_, state_)                                                                                       \
	.noun = "arena", .operation = operation_, .state = state_, .size = SCENE_SIZE, .begin = scene_begin,           \
	.setup = scene_setup, .victim = scene_act, .recover = scene_recover, .check = check
/* One process more at a point, in few cases: all others have the same two lock words. */
#define BESIDE .beside = scene_passer_by

static const struct kill_case arena_cases[] = {
	{ CASE("alloc", "fresh memory"), PLAN(.act = alloc, .size = 200), BESIDE },
	{ CASE("alloc", "all of it"), PLAN(.act = alloc_all) },
	{ CASE("alloc", "reused, split"), PLAN(.blocks = { 500, 64 }, .freed = "A", .act = alloc, .size = 200) },
	{ CASE("alloc", "reused, exact"), PLAN(.blocks = { 480, 64 }, .freed = "A", .act = alloc, .size = 480) },
	{ CASE("alloc", "reused, the first of three"),
	  PLAN(.blocks = { 480, 64, 480, 64, 480, 64 }, .freed = "ACE", .act = alloc, .size = 480) },
	{ CASE("alloc", "reused, the second of three"),
	  PLAN(.blocks = { 992, 64, 1056, 64, 992, 64 }, .freed = "ACE", .act = alloc, .size = 1056) },
	{ CASE("alloc", "long, split"), PLAN(.blocks = { 2000, 64 }, .freed = "A", .act = alloc, .size = 1200),
	  BESIDE },
	{ CASE("alloc", "long, exact"), PLAN(.blocks = { 1248, 64 }, .freed = "A", .act = alloc, .size = 1248) },
	{ CASE("alloc", "long, the link is taken meanwhile"),
	  PLAN(.blocks = { 1248, 64 }, .freed = "A", .act = alloc, .size = 1248, .loose = true), .beside = link_taker },
	{ CASE("alloc", "full"), PLAN(.extra = full, .act = alloc, .size = 1, .expects = -ENOSPC) },
	{ CASE("alloc", "link in use"), PLAN(.blocks = { 100 }, .act = alloc, .size = 100, .expects = -EEXIST) },
	{ CASE("alloc", "a dead one has a claim"),
	  PLAN(.blocks = { 100, 64, 480, 64 }, .freed = "A", .extra = dead_claim, .act = alloc, .size = 480) },
	{ CASE("alloc", "a dead one was freeing"),
	  PLAN(.blocks = { 100, 64, 480, 64 }, .freed = "AB", .extra = dead_inside, .act = alloc, .size = 480) },
	{ CASE("grow", "the last block is in use"), PLAN(.small = true, .extra = full, .act = alloc, .size = 200) },
	{ CASE("grow", "the last block is free, and too short"),
	  PLAN(.small = true, .blocks = { 64, 2000, 3000 }, .freed = "A", .act = alloc, .size = 5000), BESIDE },
	{ CASE("grow", "the last block is free, in the midst of a list"),
	  PLAN(.small = true, .blocks = { 64, 64, 1900, 64, 1900, 64, 1500 }, .freed = "ACEG", .act = alloc,
	       .size = 5000) },
	{ CASE("grow", "all of it"), PLAN(.small = true, .extra = full, .act = alloc, .size = 45000) },
	{ CASE("grow", "beyond the limit"), PLAN(.small = true, .act = alloc, .size = 60000, .expects = -ENOSPC) },
	{ CASE("grow", "a dead one was freeing"),
	  PLAN(.small = true, .blocks = { 64, 200, 480, 200, 64 }, .freed = "AD", .extra = dead_inside, .act = alloc,
	       .size = 9000) },
	{ CASE("free", "no free neighbour"), PLAN(.blocks = { 200, 200, 200 }, .act = free_b), BESIDE },
	{ CASE("free", "left is free"), PLAN(.blocks = { 200, 200, 200 }, .freed = "A", .act = free_b) },
	{ CASE("free", "right is free"), PLAN(.blocks = { 200, 200, 200, 64 }, .freed = "C", .act = free_b) },
	{ CASE("free", "both are free"), PLAN(.blocks = { 200, 200, 200, 64 }, .freed = "AC", .act = free_b), BESIDE },
	{ CASE("free", "both are free, in the midst of lists"),
	  PLAN(.blocks = { 200, 264, 200, 64, 200, 64, 200 }, .freed = "EACG", .act = free_b) },
	{ CASE("free", "the last one in use"), PLAN(.blocks = { 200, 200 }, .freed = "A", .act = free_b) },
	{ CASE("free", "link is 0"), PLAN(.blocks = { 200, 200 }, .freed = "B", .act = free_b) },
	{ CASE("free", "long"), PLAN(.blocks = { 64, 3000, 64 }, .act = free_b) },
	{ CASE("free", "a dead one has a claim"),
	  PLAN(.blocks = { 64, 200, 480, 64 }, .freed = "A", .extra = dead_claim, .act = free_b) },
	{ CASE("free", "a dead one has a claim, between two free"),
	  PLAN(.blocks = { 64, 200, 480, 200, 64, 200 }, .freed = "AD", .extra = dead_claim, .act = free_b) },
	{ CASE("free", "a dead one was freeing"),
	  PLAN(.blocks = { 64, 200, 480, 200, 64 }, .freed = "AD", .extra = dead_inside, .act = free_b) },
	{ CASE("free", "no block there"),
	  PLAN(.blocks = { 64, 200, 64 }, .act = free_inside, .expects = -EINVAL, .loose = true) },
	{ CASE("root", "new"), PLAN(.act = root, .name = "new"), BESIDE },
	{ CASE("root", "there"), PLAN(.act = root, .name = "spare") },
	{ CASE("root", "table full"), PLAN(.extra = roots_full, .act = root, .name = "new", .expects = -ENOSPC) },
	{ CASE("root", "one half made by a dead one"), PLAN(.extra = root_left, .act = root, .name = "new") },
	{ CASE("root", "a dead one was freeing"),
	  PLAN(.blocks = { 64, 200, 480, 200, 64 }, .freed = "BD", .extra = dead_inside, .act = root, .name = "new",
	       .expects = PRUSIK_RECOVERED) },
	{ CASE("stats", "nobody died"), PLAN(.blocks = { 200, 200, 64 }, .freed = "B", .act = stats), BESIDE },
	{ CASE("stats", "a dead one has a claim, between two free"),
	  PLAN(.blocks = { 64, 200, 480, 200, 64 }, .freed = "BD", .extra = dead_claim, .act = stats) },
	{ CASE("stats", "a dead holder, and a claim"),
	  PLAN(.blocks = { 64, 200, 480, 200, 64 }, .freed = "B", .extra = both, .act = stats) },
};

const struct kill_table kill_arena_table = KILL_TABLE(arena_cases);
