/* SPDX-License-Identifier: MIT */
/*
 * kill: arena - named ones: absent or whole, and nothing else is left in the directory
 *
 * Each point has a directory of its own.
 */
#include "arena_scene.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME "it"
#define FILE_NAME "it.arena"

/* What case.data points to. */
struct name_plan {
	int (*act)(void);
	int expects;
	bool before, after; /* is there an arena of that name */
};

static const struct name_plan *plan(void)
{
	return kill_now_case->data;
}

/* ---- operations ---- */

static int create(void)
{
	struct prusik_arena *arena;

	return prusik_arena_create(NAME, SCENE_SIZE, &arena);
}

static int create_nameless(void)
{
	struct prusik_arena *arena;

	return prusik_arena_create(NULL, SCENE_SIZE, &arena);
}

static int open_it(void)
{
	struct prusik_arena *arena;

	return prusik_arena_open(NAME, &arena);
}

static int unlink_it(void)
{
	return prusik_arena_unlink(NAME);
}

static void act(void *unused)
{
	(void)unused;
	kill_run->note[SCENE_RESULT] = (uint32_t)plan()->act();
}

/* ---- what happens around the victim ---- */

/* An arena with something in it. */
static bool make(void *unused)
{
	struct prusik_arena *arena;
	uint64_t *mark;

	(void)unused;
	return prk_joined() == 0 && prusik_arena_create(NAME, SCENE_SIZE, &arena) == 0 &&
	       prusik_arena_root(arena, "mark", &mark) == 0 && prusik_arena_alloc(arena, 8, mark) == 0;
}

static void setup(void *unused)
{
	(void)unused;
	if (plan()->before)
		kill_settle(kill_start(make, KILL_FINISHES));
}

/* It can be used: by its handle, whatever its name is now. */
static bool serves(struct prusik_arena *arena)
{
	struct prusik_arena_stats s;
	uint64_t *link;

	return kill_claim(prk_arena_valid(arena), "the arena is valid") &&
	       kill_claim(prusik_arena_stats(arena, &s) == 0 && s.size == SCENE_SIZE, "and whole") &&
	       kill_claim(prusik_arena_root(arena, "link", &link) == 0, "it has roots") &&
	       kill_claim(prusik_arena_alloc(arena, s.largest, link) == 0, "and memory") &&
	       kill_claim(prusik_arena_free(arena, link) == 0, "which can be freed");
}

static bool user(void *unused)
{
	struct prusik_arena *arena;

	(void)unused;
	if (prk_joined() < 0 || prusik_arena_open(NAME, &arena) != 0)
		return false;
	kill_await_go(1);
	return serves(arena);
}

static void setup_with_user(void *unused)
{
	setup(unused);
	kill_asleep(user, KILL_FINISHES);
}

static void user_goes_on(void *unused)
{
	(void)unused;
	kill_go();
}

static bool also_creates(void *unused)
{
	(void)unused;
	int r = create();
	kill_run->note[SCENE_OTHER] = r == 0;
	return kill_claim(r == 0 || r == -EEXIST, "somebody beside creates it, or it is there");
}

static void beside(void *unused)
{
	(void)unused;
	kill_settle(kill_start(also_creates, KILL_FINISHES));
}

/* There is nothing to clean up. Whoever comes next wants the same. */
static void recover(void *unused)
{
	(void)unused;
	(void)plan()->act();
}

/* ---- what is promised ---- */

static bool as_promised(bool is_there)
{
	const struct name_plan *p = plan();
	bool other = kill_run->note[SCENE_OTHER];
	int r = (int)kill_run->note[SCENE_RESULT];

	if (!kill_run->finished)
		return kill_claim(is_there == p->before || is_there == p->after || other,
				  "it is there, or not, as before or as after");
	return kill_claim(r == (other ? -EEXIST : p->expects), "the operation returns what it should") &&
	       kill_claim(is_there == p->after, "and has done it");
}

static bool marked(struct prusik_arena *arena)
{
	uint64_t *mark;
	int r = prk_arena_find_root(arena, "mark", &mark);

	return kill_claim(plan()->before ? r == 0 && *mark != 0 : r == -ENOENT, "there is in it what was put into it");
}

static bool opens(bool is_there)
{
	struct prusik_arena *arena;
	int r = prusik_arena_open(NAME, &arena);

	if (!is_there)
		return kill_claim(r == -ENOENT, "it is absent for everybody");
	bool ok = kill_claim(r == 0, "it can be opened") && marked(arena) && serves(arena);
	if (r == 0)
		prusik_arena_close(arena);
	return ok;
}

/* A newcomer does it all over. */
static bool can_be_made_anew(bool is_there)
{
	return kill_claim(unlink_it() == (is_there ? 0 : -ENOENT), "it can be unlinked") &&
	       kill_claim(create() == 0, "made anew") && kill_claim(open_it() == 0, "opened") &&
	       kill_claim(create() == -EEXIST, "made once only") &&
	       kill_claim(unlink_it() == 0, "and unlinked again") &&
	       kill_claim(kill_in_directory(FILE_NAME) == 0, "and nothing is left");
}

static bool check(void *unused)
{
	(void)unused;
	if (prk_joined() < 0)
		return false;
	int found = kill_in_directory(FILE_NAME);
	return kill_claim(found >= 0, "nothing else is in the directory") && as_promised(found) && opens(found) &&
	       can_be_made_anew(found);
}

#define PLAN(...)                                                                                                      \
	.data = &(const struct name_plan)                                                                              \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#define CASE(operation_, state_, unjoined_)                                                                            \
	.noun = "arena", .operation = operation_, .state = state_, .victim = act, .recover = recover, .check = check,  \
	.is = KILL_OWN_DOMAIN | (unjoined_)

static const struct kill_case cases[] = {
	{ CASE("create", "new name", 0), PLAN(.act = create, .after = true), .beside = beside },
	{ CASE("create", "name taken", 0), .setup = setup,
	  PLAN(.act = create, .before = true, .after = true, .expects = -EEXIST) },
	{ CASE("create", "nameless", 0), PLAN(.act = create_nameless) },
	{ CASE("create", "no domain yet", KILL_UNJOINED), PLAN(.act = create, .after = true) },
	{ CASE("open", "there", 0), .setup = setup, PLAN(.act = open_it, .before = true, .after = true) },
	{ CASE("open", "absent", 0), PLAN(.act = open_it, .expects = -ENOENT) },
	{ CASE("open", "no domain yet", KILL_UNJOINED), PLAN(.act = open_it, .expects = -ENOENT) },
	{ CASE("unlink", "there", 0), .setup = setup, PLAN(.act = unlink_it, .before = true) },
	{ CASE("unlink", "absent", 0), PLAN(.act = unlink_it, .expects = -ENOENT) },
	{ CASE("unlink", "there and in use", 0), .setup = setup_with_user, .killed = user_goes_on,
	  PLAN(.act = unlink_it, .before = true) },
};

const struct kill_table kill_arena_name_table = KILL_TABLE(cases);
