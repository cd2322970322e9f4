/* SPDX-License-Identifier: MIT */
#include "arena_scene.h"

#include "base/sys.h"
#include "shm/alloc.h"
#include "shm/segment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RUBBISH 0xaa

struct scene {
	_Alignas(64) char start[SCENE_SIZE];
	_Alignas(64) char before[SCENE_SIZE];
	_Alignas(64) char after[SCENE_SIZE];
	_Alignas(64) char grown[SCENE_SIZE];
	struct prusik_arena handle;
	bool made;
};
_Static_assert(sizeof(struct scene) <= KILL_IMAGE_MAX, "a scene fits");

static struct scene *scene(void)
{
	return (struct scene *)(void *)kill_run->image;
}

const struct scene_plan *scene_plan(void)
{
	return kill_now_case->data;
}

struct prusik_arena scene_arena(void *object)
{
	struct prusik_arena arena = scene()->handle;

	arena.shm = object;
	arena.known = arena.limit; /* all of it is memory that is there */
	arena.zero_locked = SCENE_ZERO_LOCKED;
	return arena;
}

uint64_t *scene_link(const struct prusik_arena *arena, unsigned int root)
{
	return &arena->shm->root[root].link;
}

/* ---- making ---- */

static bool make_roots(struct prusik_arena *arena)
{
	static const char *const names[SCENE_ROOTS] = { "a", "b", "c", "d", "e", "f", "g", "h", "spare" };
	uint64_t *link;

	for (unsigned int i = 0; i < SCENE_ROOTS; i++)
		if (prusik_arena_root(arena, names[i], &link) != 0 || link != scene_link(arena, i))
			return false;
	return true;
}

static bool make_blocks(struct prusik_arena *arena, const struct scene_plan *plan)
{
	for (unsigned int i = 0; i < SCENE_BLOCKS && plan->blocks[i]; i++) {
		uint64_t *link = scene_link(arena, i), size = plan->blocks[i];
		if (prusik_arena_alloc(arena, size, link) != 0)
			return false;
		memset(prusik_arena_pointer(arena, *link), RUBBISH, size);
	}
	for (const char *c = plan->freed; c && *c; c++)
		if (prusik_arena_free(arena, scene_link(arena, (unsigned int)(*c - 'A'))) != 0)
			return false;
	return true;
}

static bool tidy(void *picture)
{
	struct prusik_arena arena = scene_arena(picture);
	int r = prk_arena_lock(&arena);

	return r >= 0 && prk_arena_unlock(&arena, 0) == 0 && prk_arena_valid(&arena);
}

/* What had to grow and is then given back, as by whoever finds a dead one's claim. */
static bool make_grown(const struct scene_plan *plan)
{
	struct scene *s = scene();
	struct prusik_arena grown = scene_arena(s->grown);
	bool gives_back = plan->small && plan->expects == 0;

	memcpy(s->grown, gives_back ? s->after : s->before, SCENE_SIZE);
	return !gives_back || prusik_arena_free(&grown, scene_link(&grown, A)) == 0;
}

static bool make_pictures(const struct scene_plan *plan)
{
	struct scene *s = scene();
	struct prusik_arena start = scene_arena(s->start), after = scene_arena(s->after);

	if (!make_roots(&start) || !make_blocks(&start, plan) || (plan->extra && !plan->extra(&start)))
		return false;
	memcpy(s->before, s->start, SCENE_SIZE);
	memcpy(s->after, s->start, SCENE_SIZE);
	int r = plan->act(&after, plan);
	if (r != plan->expects)
		printf("        the operation returns %d, not %d\n", r, plan->expects);
	return r == plan->expects && tidy(s->before) && tidy(s->after) && make_grown(plan);
}

static bool make_scene(void *unused)
{
	const struct prk_segment_plan plan = {
		.kind = "arena",
		.size = scene_plan()->small ? PRK_ARENA_LEAST : SCENE_SIZE,
		.limit = SCENE_SIZE,
	};
	struct scene *s = scene();
	struct prusik_arena *arena;

	(void)unused;
	if (prk_joined() < 0 || prk_segment_create(NULL, &plan, &arena) != 0)
		return false;
	s->handle = *arena;
	s->handle.fd = -1;
	memcpy(s->start, arena->shm, arena->size);
	prusik_arena_close(arena);
	s->made = make_pictures(scene_plan());
	return kill_claim(s->made, "the scene can be made");
}

void scene_begin(void *image)
{
	memset(image, 0, sizeof(struct scene));
	kill_settle(kill_start(make_scene, KILL_FINISHES));
}

void scene_setup(void *object)
{
	memcpy(object, scene()->start, SCENE_SIZE);
}

/* ---- acting ---- */

void scene_act(void *object)
{
	struct prusik_arena arena = scene_arena(object);
	const struct scene_plan *plan = scene_plan();

	kill_run->note[SCENE_RESULT] = (uint32_t)plan->act(&arena, plan);
}

void scene_recover(void *object)
{
	struct prusik_arena arena = scene_arena(object);

	if (prk_arena_lock(&arena) >= 0)
		prk_arena_unlock(&arena, 0);
}

static bool pass_by(void *object)
{
	struct prusik_arena arena = scene_arena(object);

	if (prk_joined() < 0)
		return false;
	kill_hello();
	int r = prusik_arena_alloc(&arena, 40, scene_link(&arena, SPARE));
	return kill_claim(r == 0 || r == -ENOSPC, "somebody beside can allocate") &&
	       kill_claim(prusik_arena_free(&arena, scene_link(&arena, SPARE)) == 0, "and free");
}

void scene_passer_by(void *object)
{
	(void)object;
	kill_asleep(pass_by, KILL_FINISHES);
}

/* ---- comparing; both arenas are valid ---- */

static bool same_blocks(const struct prusik_arena *a, const struct prusik_arena *b)
{
	for (uint64_t offset = PRK_ARENA_FIRST; offset < a->end;) {
		const struct prk_block *one = prk_block_at(a, offset), *other = prk_block_at(b, offset);
		if (!one || !other || one->word != other->word || one->before != other->before)
			return false;
		uint64_t size = prk_block_size(one->word);
		if (prk_block_state(one->word) == PRK_BLOCK_USED && memcmp(one + 1, other + 1, size - sizeof *one) != 0)
			return false;
		offset += size;
	}
	return true;
}

static bool same(void *object, void *picture)
{
	struct prusik_arena a = scene_arena(object), b = scene_arena(picture);
	const struct prk_arena_shm *one = a.shm, *other = b.shm;

	if (prk_arena_measure(&a) < 0 || prk_arena_measure(&b) < 0 || a.size != b.size)
		return false;

	return one->used == other->used && one->blocks == other->blocks && one->roots == other->roots &&
	       one->claims == 0 && !one->broken &&
	       memcmp(one->root, other->root, one->roots * sizeof one->root[0]) == 0 && same_blocks(&a, &b);
}

bool scene_is_after(void *object)
{
	return same(object, scene()->after);
}

bool scene_as_promised(void *object)
{
	const struct scene_plan *plan = scene_plan();
	int r = (int)kill_run->note[SCENE_RESULT];

	if (plan->loose)
		return true;
	if (!kill_run->finished)
		return kill_claim(same(object, scene()->before) || same(object, scene()->after) ||
					  same(object, scene()->grown),
				  "the arena is as before, or as after, or as before but longer");
	return kill_claim(r == plan->expects, "the operation returns what it should") &&
	       kill_claim(same(object, scene()->after), "the arena is as after");
}

/* ---- checking ---- */

static bool adds_up(const struct prusik_arena *arena, const struct prusik_arena_stats *s)
{
	uint64_t linked = 0;

	for (uint64_t i = 0; i < arena->shm->roots; i++)
		linked += *scene_link(arena, (unsigned int)i) != 0;
	return kill_claim(s->size == prk_arena_overhead(arena) + s->used + s->free, "used and free make up the size") &&
	       kill_claim(s->blocks == linked, "each block in use has a link");
}

bool scene_sound(void *object)
{
	struct prusik_arena arena = scene_arena(object);
	struct prusik_arena_stats s;

	return kill_claim(scene()->made, "there is a scene") &&
	       kill_claim(prk_arena_valid(&arena), "the arena is valid") &&
	       kill_claim(prusik_arena_stats(&arena, &s) == 0, "it can be counted") && adds_up(&arena, &s);
}

static bool is_zero(const char *bytes, uint64_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Take the longest block, see that it is zero, use it, give it back. */
static bool longest_serves(struct prusik_arena *arena, uint64_t size)
{
	uint64_t *link = scene_link(arena, SPARE);

	if (size == 0 && scene_plan()->small)
		return true; /* it would grow */
	if (size == 0)
		return kill_claim(prusik_arena_alloc(arena, 1, link) == -ENOSPC, "full is full");
	if (!kill_claim(prusik_arena_alloc(arena, size, link) == 0, "a newcomer can allocate"))
		return false;
	char *bytes = prusik_arena_pointer(arena, *link);
	bool zero = is_zero(bytes, size);
	memset(bytes, RUBBISH, size);
	return kill_claim(zero, "what he gets is zero") &&
	       kill_claim(prusik_arena_free(arena, link) == 0, "he can free");
}

bool scene_serves(void *object)
{
	struct prusik_arena arena = scene_arena(object);
	struct prusik_arena_stats s, t;

	return prusik_arena_stats(&arena, &s) == 0 && longest_serves(&arena, s.largest) &&
	       prusik_arena_stats(&arena, &t) == 0 &&
	       kill_claim(memcmp(&s, &t, sizeof s) == 0, "and then all is as it was");
}

bool scene_all_comes_back(void *object)
{
	struct prusik_arena arena = scene_arena(object);
	struct prusik_arena_stats s;

	for (uint64_t i = 0; i < arena.shm->roots; i++)
		if (!kill_claim(prusik_arena_free(&arena, scene_link(&arena, (unsigned int)i)) == 0,
				"everything can be freed"))
			return false;
	return prusik_arena_stats(&arena, &s) == 0 &&
	       kill_claim(s.used == 0 && s.blocks == 0 && s.largest == s.free - sizeof(struct prk_block),
			  "all is one free block then") &&
	       scene_serves(object) && kill_claim(prk_arena_valid(&arena), "it is still valid");
}
