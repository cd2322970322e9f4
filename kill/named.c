/* SPDX-License-Identifier: MIT */
/*
 * kill: named - objects with names: absent, dead, or alive and whole
 *
 * Each point has a directory of its own. The object is a semaphore; one that a
 * setup has made holds 7 permits, one that an operation makes holds 3, so a dead
 * one that came back to life shows.
 */
#include "kill.h"

#include "shm/named.h"

#include <errno.h>
#include <prusik/named.h>
#include <prusik/semaphore.h>
#include <stdlib.h>
#include <string.h>

#define NAME "it"
#define FILE_NAME "it.arena"
#define OLD 7
#define FRESH 3

/* In kill_run->note. */
enum { RESULT, VALUE, REMOVED };

/* Who has it at the start, besides the victim. */
enum before { ABSENT, DEAD, IN_USE, PERSISTENT };

/* What case.data points to. */
struct plan {
	int (*act)(void);
	int expects;
	enum before before;
	bool removes; /* also what is in use or persistent */
};

static const struct plan *plan(void)
{
	return kill_now_case->data;
}

/* ---- operations ---- */

static int open_it(uint32_t flags, uint32_t value)
{
	const struct prusik_named_options o = { .flags = flags, .value = value };
	struct prusik_named *handle;
	int r = prusik_named_open(NAME, PRUSIK_KIND_SEMAPHORE, &o, &handle);

	if (r == 0)
		kill_run->note[VALUE] = (uint32_t)prusik_semaphore_value(prusik_named_object(handle));
	return r;
}

static int join_or_make(void)
{
	return open_it(0, FRESH);
}

static int join(void)
{
	return open_it(PRUSIK_EXISTING, FRESH);
}

static int make_new(void)
{
	return open_it(PRUSIK_NEW, FRESH);
}

static int make_persistent(void)
{
	return open_it(PRUSIK_PERSISTENT, FRESH);
}

static int remove_it(void)
{
	return prusik_named_remove(NAME, 0);
}

static int remove_unused(void)
{
	return prusik_named_remove(NAME, PRUSIK_UNUSED);
}

static int collect(void)
{
	return (int)prusik_named_gc();
}

static void act(void *unused)
{
	(void)unused;
	kill_run->note[VALUE] = 0;
	kill_run->note[RESULT] = (uint32_t)plan()->act();
}

/* ---- what happens around the victim ---- */

static bool makes_and_ends(void *unused)
{
	(void)unused;
	return prk_joined() == 0 && open_it(plan()->before == PERSISTENT ? PRUSIK_PERSISTENT : 0, OLD) == 0;
}

/* Whatever the victim did: it goes on with what it has. */
static bool uses(void *unused)
{
	const struct prusik_named_options o = { .value = OLD };
	struct prusik_named *handle;

	(void)unused;
	if (prk_joined() < 0 || prusik_named_open(NAME, PRUSIK_KIND_SEMAPHORE, &o, &handle) != 0)
		return false;
	kill_await_go(1);
	struct prusik_semaphore *semaphore = prusik_named_object(handle);
	return kill_claim(prusik_semaphore_value(semaphore) == OLD, "who has it open keeps it") &&
	       kill_claim(prusik_semaphore_release(semaphore, 1) == 0, "and can use it");
}

static void setup(void *unused)
{
	(void)unused;
	if (plan()->before == IN_USE)
		kill_asleep(uses, KILL_FINISHES);
	else if (plan()->before != ABSENT)
		kill_settle(kill_start(makes_and_ends, KILL_FINISHES));
}

static void goes_on(void *unused)
{
	(void)unused;
	kill_go();
}

static bool opens_beside(void *unused)
{
	const struct prusik_named_options o = { .value = FRESH };
	struct prusik_named *handle;

	(void)unused;
	if (prk_joined() < 0)
		return false;
	kill_hello(); /* the victim may have the directory's flock */
	int r = prusik_named_open(NAME, PRUSIK_KIND_SEMAPHORE, &o, &handle);
	if (!kill_claim(r == 0, "somebody beside can open it"))
		return false;
	int64_t value = prusik_semaphore_value(prusik_named_object(handle));
	bool old = plan()->before == IN_USE || plan()->before == PERSISTENT;
	return kill_claim(value == FRESH || (old && value == OLD), "and it is no dead one");
}

static bool collects_beside(void *unused)
{
	(void)unused;
	if (prk_joined() < 0)
		return false;
	kill_hello(); /* the victim may have the directory's flock */
	return kill_claim(prusik_named_gc() >= 0, "somebody beside can collect");
}

static bool removes_beside(void *unused)
{
	(void)unused;
	if (prk_joined() < 0)
		return false;
	kill_hello(); /* the victim may have the directory's flock */
	int r = prusik_named_remove(NAME, PRUSIK_UNUSED);
	return kill_claim(r == 0 || r == -EBUSY, "somebody beside removes it, or it is in use");
}

/* As long as the victim stands still: later it may have come to its end. */
static void remover(void *unused)
{
	(void)unused;
	int number = kill_asleep(removes_beside, KILL_FINISHES);
	kill_run->note[REMOVED] = !kill_lives(number) && kill_in_directory(FILE_NAME) == 0;
}

static void opener(void *unused)
{
	(void)unused;
	kill_settle(kill_start(opens_beside, KILL_FINISHES));
}

static void collector(void *unused)
{
	(void)unused;
	kill_settle(kill_start(collects_beside, KILL_FINISHES));
}

static void recover(void *unused)
{
	(void)unused;
	(void)prusik_named_gc();
}

/* ---- what is promised ---- */

static bool finished_as_promised(void)
{
	const struct plan *p = plan();
	int r = (int)kill_run->note[RESULT], value = (int)kill_run->note[VALUE];
	bool lives = p->before == IN_USE || p->before == PERSISTENT;

	if (!kill_claim(r == p->expects || kill_now_case->beside, "the operation returns what it should"))
		return false;
	return kill_claim(value == 0 || value == FRESH || (lives && value == OLD), "and what it opened was alive") &&
	       kill_claim(value != OLD || !kill_run->note[REMOVED], "and was not removed as unused");
}

/* After a collection there is only what lives. */
static bool nothing_dead_is_left(void)
{
	bool collected = kill_claim(prusik_named_gc() >= 0, "a newcomer collects");
	int found = kill_in_directory(FILE_NAME);
	bool may = plan()->before == PERSISTENT || plan()->act == make_persistent;
	bool must = plan()->before == PERSISTENT && !plan()->removes;

	return collected && kill_claim(found >= 0, "nothing else is in the directory") &&
	       kill_claim(found ? may : !must, "what is dead is gone, what is persistent is there");
}

static bool opens_now(void)
{
	kill_run->note[VALUE] = 0;
	bool ok = kill_claim(join_or_make() == 0, "a newcomer opens it");
	int value = (int)kill_run->note[VALUE];
	return ok && kill_claim(value == FRESH || (value == OLD && plan()->before == PERSISTENT), "and it is whole");
}

static bool check(void *unused)
{
	(void)unused;
	if (prk_joined() < 0)
		return false;
	if (kill_run->finished && !finished_as_promised())
		return false;
	return nothing_dead_is_left() && opens_now() &&
	       kill_claim(prusik_named_remove(NAME, 0) == 0 && kill_in_directory(FILE_NAME) == 0,
			  "it can be removed, and nothing is left");
}

#define PLAN(...)                                                                                                      \
	.data = &(const struct plan)                                                                                   \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#define CASE(operation_, state_)                                                                                       \
	.noun = "named", .operation = operation_, .state = state_, .setup = setup, .victim = act, .killed = goes_on,   \
	.recover = recover, .check = check, .is = KILL_OWN_DOMAIN | KILL_NO_SNAPSHOT

static const struct kill_case cases[] = {
	{ CASE("open", "absent"), PLAN(.act = join_or_make), .beside = opener },
	{ CASE("open", "absent, somebody collects"), PLAN(.act = join_or_make), .beside = collector },
	{ CASE("open", "dead"), PLAN(.act = join_or_make, .before = DEAD), .beside = opener },
	{ CASE("open", "dead, somebody collects"), PLAN(.act = join_or_make, .before = DEAD), .beside = collector },
	{ CASE("open", "in use"), PLAN(.act = join_or_make, .before = IN_USE) },
	{ CASE("open", "persistent"), PLAN(.act = join, .before = PERSISTENT) },
	{ CASE("open", "persistent, somebody removes it unused"),
	  PLAN(.act = join_or_make, .before = PERSISTENT, .removes = true), .beside = remover },
	{ CASE("open", "existing, absent"), PLAN(.act = join, .expects = -ENOENT) },
	{ CASE("open", "existing, dead"), PLAN(.act = join, .before = DEAD, .expects = -ENOENT) },
	{ CASE("open", "new, dead"), PLAN(.act = make_new, .before = DEAD) },
	{ CASE("open", "new, in use"), PLAN(.act = make_new, .before = IN_USE, .expects = -EEXIST) },
	{ CASE("open", "makes a persistent one"), PLAN(.act = make_persistent) },
	{ CASE("remove", "in use"), PLAN(.act = remove_it, .before = IN_USE, .removes = true) },
	{ CASE("remove", "persistent"), PLAN(.act = remove_unused, .before = PERSISTENT, .removes = true) },
	{ CASE("remove", "unused only, in use"), PLAN(.act = remove_unused, .before = IN_USE, .expects = -EBUSY) },
	{ CASE("gc", "dead"), PLAN(.act = collect, .before = DEAD, .expects = 1), .beside = opener },
	{ CASE("gc", "dead, another collects"), PLAN(.act = collect, .before = DEAD, .expects = 1),
	  .beside = collector },
	{ CASE("gc", "in use"), PLAN(.act = collect, .before = IN_USE) },
	{ CASE("gc", "persistent"), PLAN(.act = collect, .before = PERSISTENT) },
};

const struct kill_table kill_named_table = KILL_TABLE(cases);
