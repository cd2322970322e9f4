/* SPDX-License-Identifier: MIT */
/* kill: arena - queues that are made in one: whole or absent, and half made ones taken over */
#include "arena_scene.h"

#include "data/queue.h"

#include <errno.h>
#include <string.h>

#define NAME "a queue"

static const struct prusik_queue_options options = { .capacity = 3, .item_max = 8 };
static const struct prusik_queue_options longer = { .capacity = 8, .item_max = 8 };

/* ---- what there is at the start ---- */

static bool there(struct prusik_arena *arena)
{
	struct prusik_queue *queue;

	if (prusik_queue_create(arena, NAME, &options, &queue) != 0)
		return false;
	prusik_queue_free(queue);
	return true;
}

/* As its maker left it before the last store. */
static bool half_made(struct prusik_arena *arena)
{
	struct prusik_queue *queue;

	if (prusik_queue_create(arena, NAME, &longer, &queue) != 0)
		return false;
	queue->body->magic = 0;
	prusik_queue_free(queue);
	return true;
}

static bool no_room(struct prusik_arena *arena)
{
	struct prusik_arena_stats s;

	return prusik_arena_stats(arena, &s) == 0 &&
	       prusik_arena_alloc(arena, s.largest - 256, scene_link(arena, A)) == 0;
}

/* ---- operations ---- */

static int create(struct prusik_arena *arena, const struct scene_plan *plan)
{
	struct prusik_queue *queue = NULL;
	int r = prusik_queue_create(arena, NAME, &options, &queue);

	(void)plan;
	prusik_queue_free(queue);
	return r;
}

static int open_it(struct prusik_arena *arena, const struct scene_plan *plan)
{
	struct prusik_queue *queue = NULL;
	int r = prusik_queue_open(arena, NAME, &queue);

	(void)plan;
	prusik_queue_free(queue);
	return r;
}

/* What everybody does who wants that queue. */
static int open_or_create(struct prusik_arena *arena, struct prusik_queue **ret_queue)
{
	int r = prusik_queue_open(arena, NAME, ret_queue);

	if (r == -ENOENT)
		r = prusik_queue_create(arena, NAME, &options, ret_queue);
	return r == -EEXIST ? prusik_queue_open(arena, NAME, ret_queue) : r;
}

static void recover(void *object)
{
	struct prusik_arena arena = scene_arena(object);
	struct prusik_queue *queue = NULL;

	open_or_create(&arena, &queue);
	prusik_queue_free(queue);
}

static bool also_wants_it(void *object)
{
	struct prusik_arena arena = scene_arena(object);
	struct prusik_queue *queue = NULL;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	bool ok = kill_claim(open_or_create(&arena, &queue) == 0, "somebody beside gets the queue");
	prusik_queue_free(queue);
	return ok;
}

static void beside(void *object)
{
	(void)object;
	kill_asleep(also_wants_it, KILL_FINISHES);
}

/* ---- what is promised ---- */

static bool works(struct prusik_queue *queue)
{
	char item[8];

	return kill_claim(prk_queue_valid(queue), "the queue is valid") &&
	       kill_claim(prusik_queue_length(queue) == 0, "and empty") &&
	       kill_claim(prusik_queue_put(queue, "an item", 8, PRUSIK_NOW) == 0, "it takes an item") &&
	       kill_claim(prusik_queue_get(queue, item, 8, PRUSIK_NOW) == 8 && memcmp(item, "an item", 8) == 0,
			  "and gives it back");
}

/* Whole or absent, and what the operation had done stays so. */
static bool as_left(struct prusik_arena *arena)
{
	const struct scene_plan *plan = scene_plan();
	struct prusik_queue *queue = NULL;
	int r = prusik_queue_open(arena, NAME, &queue), result = (int)kill_run->note[SCENE_RESULT];

	prusik_queue_free(queue);
	if (!kill_claim(r == 0 || r == -ENOENT, "the queue is whole or absent"))
		return false;
	return !kill_run->finished ||
	       (kill_claim(plan->loose || result == plan->expects, "the operation returns what it should") &&
		kill_claim(result != 0 || r == 0, "what it promised is there"));
}

static bool can_be_had(struct prusik_arena *arena)
{
	struct prusik_queue *queue = NULL;
	int r = open_or_create(arena, &queue);
	bool ok;

	if (scene_plan()->expects == -ENOSPC)
		ok = kill_claim(r == -ENOSPC, "there is still no room");
	else
		ok = kill_claim(r == 0, "the queue can be had") && works(queue) &&
		     kill_claim(prusik_queue_create(arena, NAME, &options, &queue) == -EEXIST, "its name is taken");
	prusik_queue_free(queue);
	return ok;
}

static bool had_like_after(void *object)
{
	recover(object);
	return scene_plan()->loose || kill_claim(scene_is_after(object), "then the arena is as if nobody had died");
}

static bool check(void *object)
{
	struct prusik_arena arena = scene_arena(object);

	return scene_sound(object) && as_left(&arena) && had_like_after(object) && can_be_had(&arena) &&
	       scene_sound(object) && scene_serves(object) && scene_all_comes_back(object);
}

#define PLAN(...)                                                                                                      \
	.data = &(const struct scene_plan)                                                                             \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#define CASE(operation_, state_)                                                                                       \
	.noun = "arena", .operation = operation_, .state = state_, .size = SCENE_SIZE, .begin = scene_begin,           \
	.setup = scene_setup, .victim = scene_act, .recover = recover, .check = check

static const struct kill_case cases[] = {
	{ CASE("queue create", "new name"), PLAN(.blocks = { 1000, 64 }, .freed = "A", .act = create) },
	{ CASE("queue create", "another wants it too"),
	  PLAN(.blocks = { 1000, 64 }, .freed = "A", .act = create, .loose = true), .beside = beside },
	{ CASE("queue create", "half made by a dead one"), PLAN(.extra = half_made, .act = create) },
	{ CASE("queue create", "name taken"), PLAN(.extra = there, .act = create, .expects = -EEXIST) },
	{ CASE("queue create", "no room"), PLAN(.extra = no_room, .act = create, .expects = -ENOSPC) },
	{ CASE("queue open", "there"), PLAN(.extra = there, .act = open_it), .beside = beside },
	{ CASE("queue open", "half made by a dead one"),
	  PLAN(.extra = half_made, .act = open_it, .expects = -ENOENT, .loose = true) },
};

const struct kill_table kill_arena_queue_table = KILL_TABLE(cases);
