/* SPDX-License-Identifier: MIT */
/* kill: arena - dicts and lists that are made in one, and destroyed: whole or absent, and nothing leaks */
#include "arena_scene.h"

#include "data/dict.h"
#include "data/list.h"

#include <errno.h>

#define NAME "a container"

/* The case's plan says which: size 0 is a dict. */
static bool is_list(void)
{
	return scene_plan()->size != 0;
}

/* ---- either of them ---- */

static int make(struct prusik_arena *arena)
{
	struct prusik_dict *dict = NULL;
	struct prusik_list *list = NULL;
	int r = is_list() ? prusik_list_create(arena, NAME, NULL, &list) : prusik_dict_create(arena, NAME, NULL, &dict);

	prusik_list_free(list);
	prusik_dict_free(dict);
	return r;
}

static bool dict_works(struct prusik_dict *dict)
{
	struct prk_dict_tally tally;

	return kill_claim(prk_dict_valid(dict, &tally), "the dict is valid") &&
	       kill_claim(prusik_dict_set(dict, "key", 3, "value", 5) >= 0 &&
				  prusik_dict_get(dict, "key", 3, NULL, 0) == 5,
			  "it takes a key");
}

static bool list_works(struct prusik_list *list)
{
	struct prk_list_tally tally;

	return kill_claim(prk_list_valid(list, &tally), "the list is valid") &&
	       kill_claim(prusik_list_append(list, "value", 5) == 0 && prusik_list_get(list, -1, NULL, 0) == 5,
			  "it takes an item");
}

/* 0: it is there, and works; -ENOENT; or something that must not be. */
static int look(struct prusik_arena *arena)
{
	struct prusik_dict *dict = NULL;
	struct prusik_list *list = NULL;
	int r = is_list() ? prusik_list_open(arena, NAME, &list) : prusik_dict_open(arena, NAME, &dict);

	if (r == 0 && !(list ? list_works(list) : dict_works(dict)))
		r = -EPROTO;
	prusik_list_free(list);
	prusik_dict_free(dict);
	return r;
}

static int unmake(struct prusik_arena *arena)
{
	uint64_t *link;
	int r = prusik_arena_root(arena, NAME, &link);

	if (r < 0)
		return r;
	return is_list() ? prusik_list_destroy(arena, link) : prusik_dict_destroy(arena, link);
}

/* ---- what there is at the start ---- */

static bool there(struct prusik_arena *arena)
{
	return make(arena) == 0 && look(arena) == 0; /* with something in it */
}

/* As one left it who died while making, or destroying. */
static bool with_magic(struct prusik_arena *arena, uint64_t magic)
{
	uint64_t *link;

	if (!there(arena) || prusik_arena_root(arena, NAME, &link) < 0)
		return false;
	*(uint64_t *)prusik_arena_pointer(arena, *link) = magic;
	return true;
}

static bool half_made(struct prusik_arena *arena)
{
	return with_magic(arena, 0);
}

static bool half_destroyed(struct prusik_arena *arena)
{
	return with_magic(arena, PRK_MADE_DYING);
}

/* ---- operations ---- */

static int create(struct prusik_arena *arena, const struct scene_plan *plan)
{
	(void)plan;
	return make(arena);
}

static int destroy(struct prusik_arena *arena, const struct scene_plan *plan)
{
	(void)plan;
	return unmake(arena);
}

static int make_anyway(struct prusik_arena *arena)
{
	int r = make(arena);

	return r == -EEXIST ? 0 : r;
}

static void recover(void *object)
{
	struct prusik_arena arena = scene_arena(object);

	make_anyway(&arena);
}

/* ---- what is promised ---- */

static bool as_left(struct prusik_arena *arena)
{
	const struct scene_plan *plan = scene_plan();
	int r = look(arena), result = (int)kill_run->note[SCENE_RESULT];

	if (!kill_claim(r == 0 || r == -ENOENT, "it is whole or absent"))
		return false;
	if (!kill_run->finished)
		return true;
	/* Who recovers makes it, and may have come to the end of that. */
	bool gone = plan->act == destroy && kill_run->second_id == 0;
	return kill_claim(result == plan->expects, "the operation returns what it should") &&
	       kill_claim(plan->act == destroy ? r == -ENOENT || !gone : r == 0, "what it promised is so");
}

static bool check(void *object)
{
	struct prusik_arena arena = scene_arena(object);

	return as_left(&arena) && kill_claim(make_anyway(&arena) == 0 && look(&arena) == 0, "it can be had") &&
	       kill_claim(prk_arena_valid(&arena), "the arena is valid") &&
	       kill_claim(unmake(&arena) == 0 && look(&arena) == -ENOENT, "it can be destroyed") &&
	       kill_claim(unmake(&arena) == 0, "twice, too") && scene_sound(object) && scene_all_comes_back(object);
}

#define PLAN(...)                                                                                                      \
	.data = &(const struct scene_plan)                                                                             \
	{                                                                                                              \
		.loose = true, __VA_ARGS__                                                                             \
	}
#define CASE(operation_, state_)                                                                                       \
	.noun = "arena", .operation = operation_, .state = state_, .size = SCENE_SIZE, .begin = scene_begin,           \
	.setup = scene_setup, .victim = scene_act, .recover = recover, .check = check

#define CASES(noun, which)                                                                                             \
	{ CASE(noun " create", "new name"), PLAN(.size = which, .act = create) },                                      \
		{ CASE(noun " create", "half made by a dead one"),                                                     \
		  PLAN(.size = which, .extra = half_made, .act = create) },                                            \
		{ CASE(noun " create", "half destroyed by a dead one"),                                                \
		  PLAN(.size = which, .extra = half_destroyed, .act = create) },                                       \
		{ CASE(noun " create", "name taken"),                                                                  \
		  PLAN(.size = which, .extra = there, .act = create, .expects = -EEXIST) },                            \
		{ CASE(noun " destroy", "there"), PLAN(.size = which, .extra = there, .act = destroy) },               \
		{ CASE(noun " destroy", "half made by a dead one"),                                                    \
		  PLAN(.size = which, .extra = half_made, .act = destroy) },                                           \
	{                                                                                                              \
		CASE(noun " destroy", "half destroyed by a dead one"),                                                 \
			PLAN(.size = which, .extra = half_destroyed, .act = destroy)                                   \
	}

static const struct kill_case cases[] = { CASES("dict", 0), CASES("list", 1) };

const struct kill_table kill_arena_made_table = KILL_TABLE(cases);
