/* SPDX-License-Identifier: MIT */
/*
 * Each system call in turn fails, in what makes and opens objects, in what grows them,
 * and in the first use of each kind, which joins the domain: an error comes or it works,
 * nothing is left, and the next time it works. Other files do the same for arenas, named
 * objects, threads, timers, processes and signals.
 */
#include "test.h"

#include "base/life.h"
#include "base/sys.h"
#include "shm/arena.h"

#include <dirent.h>
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a failed call must leave as it was. */
struct left {
	int descriptors, threads, files, mappings;
};

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* Shared ones: the allocator has private ones of its own. */
static int shared_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], flags[8] = "";
	int n = 0;

	while (maps && fgets(line, sizeof line, maps))
		n += sscanf(line, "%*s %4s", flags) == 1 && flags[3] == 's';
	if (maps)
		fclose(maps);
	return n;
}

static struct left look(void)
{
	return (struct left){ entries("/proc/self/fd"), entries("/proc/self/task"), entries(getenv("PRUSIK_DIR")),
			      shared_mappings() };
}

static void check_left(const char *name, uint32_t nth, struct left before)
{
	struct left now = look();

	ck_assert_msg(now.descriptors == before.descriptors, "%s, %u: descriptors", name, nth);
	ck_assert_msg(now.threads == before.threads, "%s, %u: threads", name, nth);
	ck_assert_msg(now.files == before.files, "%s, %u: files", name, nth);
	ck_assert_msg(now.mappings == before.mappings, "%s, %u: mappings", name, nth);
}

/* ---- making, opening, growing ---- */

/* No more faults: what follows is not what is tried. */
static void over(void)
{
	prk_sys_fail(PRK_SYS_ANY, 0, 0);
}

/* The file of a named object stays when all have dropped it; it goes here, or was never there. */
static int others_have_it; /* then it stays, and is opened, not made */

static void clear(const char *name)
{
	int r = name && !others_have_it ? prusik_named_remove(name, 0) : 0;

	ck_assert(r >= 0 || r == -ENOENT);
}

static int queue(const char *name)
{
	const struct prusik_queue_options options = { .capacity = 8, .item_max = 8 };
	struct prusik_queue *queue = NULL;
	int r = name ? prusik_queue_open_named(name, &options, 0, &queue) :
		       prusik_queue_create(NULL, NULL, &options, &queue);

	over();
	ck_assert(r < 0 ? !queue : !!queue);
	prusik_queue_free(queue);
	return r;
}

static int dict(const char *name)
{
	struct prusik_dict *dict = NULL;
	int r = name ? prusik_dict_open_named(name, NULL, &dict) : prusik_dict_create(NULL, NULL, NULL, &dict);

	over();
	ck_assert(r < 0 ? !dict : !!dict);
	prusik_dict_free(dict);
	return r;
}

static int list(const char *name)
{
	struct prusik_list *list = NULL;
	int r = name ? prusik_list_open_named(name, NULL, &list) : prusik_list_create(NULL, NULL, NULL, &list);

	over();
	ck_assert(r < 0 ? !list : !!list);
	prusik_list_free(list);
	return r;
}

/* The arena has to grow for it. */
static int grow(struct prusik_arena *arena)
{
	uint64_t *link = NULL;
	int r = prusik_arena_root(arena, "block", &link);

	if (r >= 0)
		r = prusik_arena_alloc(arena, 1 << 20, link);
	ck_assert(prk_arena_valid(arena));
	return r;
}

static int arena(const char *name)
{
	const struct prusik_arena_options options = { .size = 1 << 16 };
	struct prusik_arena *arena = NULL;
	int r = prusik_arena_create_with(name, &options, &arena);

	ck_assert(r < 0 ? !arena : !!arena);
	if (r == 0)
		r = grow(arena);
	over();
	prusik_arena_close(arena);
	return r;
}

#define MOST 60

static void sweep(const char *what, int (*function)(const char *), const char *name)
{
	int failures = 0;

	ck_assert_int_eq(prk_joined(), 0);
	ck_assert_int_eq(function(name), 0); /* what is made once for all */
	clear(name);
	struct left before = look();
	for (uint32_t nth = 1; nth <= MOST; nth++) {
		prk_sys_fail(PRK_SYS_ANY, nth, ENOMEM);
		int r = function(name);
		/* -EBADF: how far an arena's file reaches could not be told */
		ck_assert_msg(r == 0 || r == -ENOMEM || r == -EBADF, "%s, %u: %d", what, nth, r);
		failures += r < 0;
		if (r == 0)
			clear(name);
		else /* one that was made, and nobody has: goes with the dead */
			ck_assert_int_ge(prusik_named_gc(), 0);
		check_left(what, nth, before);
		ck_assert_msg(function(name) == 0, "%s, %u: again", what, nth);
		clear(name);
		check_left(what, nth, before);
	}
	ck_assert_msg(failures > 0 && failures < MOST, "%s: %d failures", what, failures);
}

TEST(private_queue)
{
	sweep("queue", queue, NULL);
}

TEST(named_queue)
{
	sweep("queue", queue, "q");
}

TEST(private_dict)
{
	sweep("dict", dict, NULL);
}

TEST(named_dict)
{
	sweep("dict", dict, "d");
}

TEST(private_list)
{
	sweep("list", list, NULL);
}

TEST(named_list)
{
	sweep("list", list, "l");
}

TEST(opened_while_others_have_it)
{
	struct prusik_queue *queue_handle;
	struct prusik_dict *dict_handle;
	struct prusik_list *list_handle;
	const struct prusik_queue_options options = { .capacity = 8, .item_max = 8 };

	others_have_it = 1;
	ck_assert_int_eq(prusik_queue_open_named("q", &options, 0, &queue_handle), 0);
	ck_assert_int_eq(prusik_dict_open_named("d", NULL, &dict_handle), 0);
	ck_assert_int_eq(prusik_list_open_named("l", NULL, &list_handle), 0);
	sweep("queue", queue, "q");
	sweep("dict", dict, "d");
	sweep("list", list, "l");
	prusik_queue_free(queue_handle);
	prusik_dict_free(dict_handle);
	prusik_list_free(list_handle);
}

TEST(growing_arena)
{
	sweep("arena", arena, NULL);
}

/* ---- the first use of an object joins the domain ---- */

static int first_lock(void)
{
	static struct prusik_lock lock;
	int r = prusik_lock_acquire(&lock, PRUSIK_FOREVER);

	return r == 0 ? prusik_lock_release(&lock) : r;
}

static int first_rlock(void)
{
	static struct prusik_rlock rlock;
	int r = prusik_rlock_acquire(&rlock, PRUSIK_FOREVER);

	return r == 0 ? prusik_rlock_release(&rlock) : r;
}

static int first_read(void)
{
	static struct prusik_rwlock rwlock;
	int r = prusik_rwlock_read(&rwlock, PRUSIK_FOREVER);

	return r == 0 ? prusik_rwlock_release(&rwlock) : r;
}

static int first_write(void)
{
	static struct prusik_rwlock rwlock;
	int r = prusik_rwlock_write(&rwlock, PRUSIK_FOREVER);

	return r == 0 ? prusik_rwlock_release(&rwlock) : r;
}

/* These join in order to wait. */
static int waited(int r)
{
	return r == -ETIMEDOUT ? 0 : r;
}

static int first_event(void)
{
	static struct prusik_event event;

	return waited(prusik_event_wait(&event, prusik_in_ms(2)));
}

static int first_semaphore(void)
{
	static struct prusik_semaphore semaphore;

	return waited(prusik_semaphore_acquire(&semaphore, prusik_in_ms(2)));
}

static int first_permit(void)
{
	static struct {
		struct prusik_permits permits;
		uint32_t holder[1];
	} p = { .permits.count = 1 };
	int r = prusik_permits_acquire(&p.permits, PRUSIK_FOREVER);

	return r == 0 ? prusik_permits_release(&p.permits) : r;
}

static int nothing(void *unused, int recovered)
{
	(void)unused;
	return -recovered;
}

static int first_once(void)
{
	static struct prusik_once once;

	return prusik_once(&once, nothing, NULL, PRUSIK_FOREVER);
}

static int first_barrier(void)
{
	static struct {
		struct prusik_barrier barrier;
		uint32_t party[1];
	} b;
	int r = prusik_barrier_init(&b.barrier, 1);

	return r == 0 ? (int)prusik_barrier_wait(&b.barrier, NULL, NULL, PRUSIK_FOREVER) : r;
}

static uint32_t failing;

/* Exit code 0: it worked, 1: a failure, as it should be. */
static int use_first(void *function)
{
	int (*use)(void) = *(int (**)(void))function;
	int descriptors = entries("/proc/self/fd");

	prk_sys_fail(PRK_SYS_ANY, failing, ENOMEM);
	int r = use();
	prk_sys_fail(PRK_SYS_ANY, 0, 0);
	if (r != 0 && r != -ENOMEM && r != -ENOENT) /* of the domain, when it could not be made */
		return 100;
	if (entries("/proc/self/fd") != descriptors + (prk_life != NULL)) /* the table stays open */
		return 101;
	return use() != 0 ? 102 : r < 0;
}

TEST(first_use)
{
	static int (*const uses[])(void) = { first_lock,      first_rlock,  first_read, first_write,  first_event,
					     first_semaphore, first_permit, first_once, first_barrier };

	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
		int failures = 0;
		for (failing = 1; failing <= 25; failing++) {
			int (*use)(void) = uses[i];
			int code = test_join(test_fork(use_first, &use));
			ck_assert_msg(code == 0 || code == 1, "use %zu, call %u: %d", i, failing, code);
			failures += code;
		}
		ck_assert_msg(failures > 0, "use %zu", i);
	}
}
