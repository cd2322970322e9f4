/* SPDX-License-Identifier: MIT */
#include "container.h"

#include <stdio.h>
#include <string.h>

/* In kill_run->note; the cases' own ones begin at 0. */
#define RESULT 14

struct scene {
	_Alignas(64) char start[CONTAINER_BYTES];
	_Alignas(64) char tried[CONTAINER_BYTES];
	_Alignas(64) char before[CONTAINER_CONTENTS];
	_Alignas(64) char after[CONTAINER_CONTENTS];
	struct prusik_arena handle;
	uint64_t body;
	bool made;
};
_Static_assert(sizeof(struct scene) <= KILL_IMAGE_MAX, "a scene fits");

static struct scene *scene(void)
{
	return (struct scene *)(void *)kill_run->image;
}

static const struct container_plan *plan(void)
{
	return kill_now_case->data;
}

const void *container_before(void)
{
	return scene()->before;
}

const void *container_after(void)
{
	return scene()->after;
}

/* A view of that arena's bytes. */
static struct prusik_arena *arena_at(void *object)
{
	static struct prusik_arena arena[8]; /* two for each handle: container_owns_all looks at both */
	static uint32_t turn;

	turn = (turn + 1) % 8;
	arena[turn] = scene()->handle;
	arena[turn].shm = object;
	return &arena[turn];
}

void *container_at(void *object)
{
	static _Alignas(64) char handle[4][CONTAINER_HANDLE];
	static uint32_t turn;

	turn = (turn + 1) % 4;
	plan()->sort->look(arena_at(object), (char *)object + scene()->body, handle[turn]);
	return handle[turn];
}

/* ---- making ---- */

static bool make_pictures(void)
{
	const struct container_sort *sort = plan()->sort;
	struct scene *s = scene();

	if (!sort->fill(container_at(s->start)))
		return false;
	memcpy(s->tried, s->start, sizeof s->tried);
	bool ok = sort->read(container_at(s->tried), s->before);
	int64_t r = sort->act(container_at(s->tried));
	if (r != plan()->expects)
		printf("        the operation returns %d, not %d\n", (int)r, (int)plan()->expects);
	return ok && r == plan()->expects && sort->read(container_at(s->tried), s->after);
}

static bool make_scene(void *unused)
{
	struct scene *s = scene();
	struct prusik_arena *arena;

	(void)unused;
	if (prk_joined() < 0 || prusik_arena_create(NULL, CONTAINER_BYTES, &arena) != 0)
		return false;
	bool ok = plan()->sort->create(arena, &s->body);
	s->handle = *arena;
	memcpy(s->start, arena->shm, sizeof s->start);
	prusik_arena_close(arena);
	s->made = ok && make_pictures();
	return kill_claim(s->made, "the scene can be made");
}

void container_begin(void *image)
{
	memset(image, 0, sizeof(struct scene));
	kill_settle(kill_start(make_scene, KILL_FINISHES));
}

void container_setup(void *object)
{
	memcpy(object, scene()->start, CONTAINER_BYTES);
}

/* ---- acting ---- */

void container_victim(void *object)
{
	kill_run->note[RESULT] = (uint32_t)plan()->sort->act(container_at(object));
}

void container_recover(void *object)
{
	void *handle = container_at(object);

	if (plan()->sort->lock(handle) == 0)
		plan()->sort->unlock(handle);
}

/* ---- checking ---- */

bool container_made(void)
{
	return kill_claim(scene()->made, "there is a scene");
}

bool container_as_promised(const void *contents)
{
	const struct container_sort *sort = plan()->sort;
	const struct scene *s = scene();

	if (!kill_run->finished)
		return kill_claim(sort->same(contents, s->before) || sort->same(contents, s->after) ||
					  (sort->between && sort->between(contents)),
				  "it is as before, or as after");
	return kill_claim((int32_t)kill_run->note[RESULT] == (int32_t)plan()->expects,
			  "the operation returns what it should") &&
	       kill_claim(sort->same(contents, s->after), "it is as after");
}

bool container_owns_all(void *object)
{
	struct prusik_arena *arena = arena_at(object);
	struct prusik_arena_stats stats;
	uint64_t blocks = 0;

	return kill_claim(plan()->sort->valid(container_at(object), &blocks), "it is valid") &&
	       kill_claim(prk_arena_valid(arena), "the arena is valid") &&
	       kill_claim(prusik_arena_stats(arena, &stats) == 0, "it can be counted") &&
	       kill_claim(stats.blocks == blocks, "every block is the container's");
}

bool container_gives_all_back(void *object)
{
	struct prusik_arena *arena = arena_at(object);
	struct prusik_arena_stats stats;

	return kill_claim(plan()->sort->destroy(arena, &arena->shm->root[0].link) == 0, "it can be destroyed") &&
	       prusik_arena_stats(arena, &stats) == 0 && kill_claim(stats.blocks == 0, "and then all is given back");
}
