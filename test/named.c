/* SPDX-License-Identifier: MIT */
/* Objects with names: joining and making, kinds, lifetime, races, deaths. */
#include "party.h"

#include "base/sys.h"
#include "shm/named.h"
#include "shm/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <prusik.h>
#include <sys/stat.h>

static const char *in_domain(const char *file)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", getenv("PRUSIK_DIR"), file);
	return path;
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int open_as(const char *name, enum prusik_kind kind, uint32_t flags, struct prusik_named **ret_handle)
{
	const struct prusik_named_options o = { .flags = flags, .value = 3 };

	return prusik_named_open(name, kind, &o, ret_handle);
}

static struct prusik_named *opened(const char *name, enum prusik_kind kind, uint32_t flags)
{
	struct prusik_named *handle = NULL;

	ck_assert_int_eq(open_as(name, kind, flags, &handle), 0);
	ck_assert_ptr_nonnull(prusik_named_object(handle));
	return handle;
}

static bool exists(const char *name)
{
	struct prusik_named *handle;

	if (open_as(name, PRUSIK_KIND_EVENT, PRUSIK_EXISTING, &handle) < 0)
		return false;
	prusik_named_close(handle);
	return true;
}

TEST(two_handles_one_object)
{
	struct prusik_named *a = opened("e", PRUSIK_KIND_LOCK, 0), *b = opened("e", PRUSIK_KIND_LOCK, 0);

	ck_assert_ptr_ne(prusik_named_object(a), prusik_named_object(b));
	ck_assert_int_eq(prusik_lock_acquire(prusik_named_object(a), PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_lock_locked(prusik_named_object(b)), 1);
	ck_assert_int_eq(prusik_lock_release(prusik_named_object(b)), 0);
	prusik_named_close(a);
	ck_assert_int_eq(prusik_lock_locked(prusik_named_object(b)), 0);
	prusik_named_close(b);
	prusik_named_close(NULL);
	ck_assert_ptr_null(prusik_named_object(NULL));
}

TEST(every_kind)
{
	char name[16];

	for (int kind = PRUSIK_KIND_LOCK; kind <= PRUSIK_KIND_CONDITION; kind++) {
		snprintf(name, sizeof name, "kind%d", kind);
		struct prusik_named *a = opened(name, (enum prusik_kind)kind, PRUSIK_NEW), *other;
		prusik_named_close(opened(name, (enum prusik_kind)kind, PRUSIK_EXISTING));
		for (int k = PRUSIK_KIND_LOCK; k <= PRUSIK_KIND_CONDITION; k++)
			if (k != kind)
				ck_assert_int_eq(open_as(name, (enum prusik_kind)k, 0, &other), -EPROTOTYPE);
		prusik_named_close(a);
	}
}

TEST(values)
{
	const struct prusik_named_options o = { .value = 3, .limit = 4 }, five = { .value = 5 };
	struct prusik_named *a, *b;

	ck_assert_int_eq(prusik_named_open("s", PRUSIK_KIND_SEMAPHORE, &o, &a), 0);
	ck_assert_int_eq(prusik_semaphore_value(prusik_named_object(a)), 3);
	ck_assert_int_eq(prusik_semaphore_release(prusik_named_object(a), 2), -EOVERFLOW);
	ck_assert_int_eq(prusik_named_open("s", PRUSIK_KIND_SEMAPHORE, &five, &b), 0);
	ck_assert_int_eq(prusik_semaphore_value(prusik_named_object(b)), 3);
	prusik_named_close(a);
	prusik_named_close(b);
	ck_assert_int_eq(prusik_named_open("p", PRUSIK_KIND_PERMITS, &five, &a), 0);
	ck_assert_int_eq(prusik_permits_value(prusik_named_object(a)), 5);
	prusik_named_close(a);
	ck_assert_int_eq(prusik_named_open("p1", PRUSIK_KIND_PERMITS, NULL, &a), 0);
	ck_assert_int_eq(prusik_permits_value(prusik_named_object(a)), 1);
	prusik_named_close(a);
	ck_assert_int_eq(prusik_named_open("b", PRUSIK_KIND_BARRIER, &five, &a), 0);
	ck_assert_int_eq(prusik_barrier_parties(prusik_named_object(a)), 5);
	prusik_named_close(a);
	ck_assert_int_eq(prusik_named_open("e", PRUSIK_KIND_EVENT, &five, &a), 0);
	ck_assert_int_eq(prusik_event_is_set(prusik_named_object(a)), 1);
	prusik_named_close(a);
	ck_assert_int_eq(prusik_named_open("e", PRUSIK_KIND_EVENT, NULL, &a), 0);
	ck_assert_int_eq(prusik_event_is_set(prusik_named_object(a)), 0);
	prusik_named_close(a);
}

TEST(extra)
{
	const struct prusik_named_options o = { .extra = 10000 };
	struct prusik_named *a, *b;
	uint64_t bytes = 7;

	ck_assert_int_eq(prusik_named_open("x", PRUSIK_KIND_EVENT, &o, &a), 0);
	char *own = prusik_named_extra(a, &bytes);
	ck_assert_uint_ge(bytes, 10000);
	ck_assert(own[0] == 0 && own[bytes - 1] == 0);
	memset(own, 'x', bytes);
	ck_assert_int_eq(prusik_named_open("x", PRUSIK_KIND_EVENT, NULL, &b), 0);
	ck_assert_int_eq(((char *)prusik_named_extra(b, NULL))[9999], 'x');
	ck_assert_int_eq(prusik_event_is_set(prusik_named_object(b)), 0);
	prusik_named_close(a);
	prusik_named_close(b);
	ck_assert_int_eq(prusik_named_open("y", PRUSIK_KIND_EVENT, NULL, &a), 0);
	ck_assert_ptr_null(prusik_named_extra(a, &bytes));
	ck_assert_uint_eq(bytes, 0);
	ck_assert_ptr_null(prusik_named_extra(NULL, &bytes));
	prusik_named_close(a);
}

TEST(misuse)
{
	const struct prusik_named_options bad = { .value = 5, .limit = 4 }, many = { .value = UINT32_MAX };
	struct prusik_named *h = NULL;

	ck_assert_int_eq(prusik_named_open("x", PRUSIK_KIND_LOCK, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_named_open(NULL, PRUSIK_KIND_LOCK, NULL, &h), -EINVAL);
	ck_assert_int_eq(prusik_named_open("a/b", PRUSIK_KIND_LOCK, NULL, &h), -EINVAL);
	ck_assert_int_eq(prusik_named_open("x", (enum prusik_kind)99, NULL, &h), -EINVAL);
	ck_assert_int_eq(open_as("x", PRUSIK_KIND_LOCK, PRUSIK_NEW | PRUSIK_EXISTING, &h), -EINVAL);
	ck_assert_int_eq(open_as("x", PRUSIK_KIND_LOCK, 64, &h), -EINVAL);
	ck_assert_int_eq(prusik_named_open("x", PRUSIK_KIND_SEMAPHORE, &bad, &h), -EINVAL);
	ck_assert_int_eq(prusik_named_open("x", PRUSIK_KIND_PERMITS, &many, &h), -EINVAL);
	ck_assert_int_eq(prusik_named_open("x", PRUSIK_KIND_BARRIER, &many, &h), -EINVAL);
	ck_assert_int_eq(open_as("x", PRUSIK_KIND_LOCK, PRUSIK_EXISTING, &h), -ENOENT);
	ck_assert_ptr_null(h);
}

TEST(an_arena_is_no_lock_and_the_other_way_round)
{
	struct prusik_arena *arena;
	struct prusik_named *h;

	ck_assert_int_eq(prusik_arena_create("a", 1, &arena), 0);
	ck_assert_int_eq(open_as("a", PRUSIK_KIND_LOCK, 0, &h), -EPROTOTYPE);
	prusik_arena_close(arena);
	h = opened("l", PRUSIK_KIND_LOCK, 0);
	ck_assert_int_eq(prusik_arena_open("l", &arena), -EPROTOTYPE);
	ck_assert_int_eq(prusik_arena_create("l", 1, &arena), -EEXIST);
	prusik_named_close(h);
}

/* ---- lifetime ---- */

TEST(it_ends_with_its_last_attacher)
{
	struct prusik_named *a = opened("e", PRUSIK_KIND_EVENT, 0), *b = opened("e", PRUSIK_KIND_EVENT, 0);

	ck_assert_int_eq(prusik_event_clear(prusik_named_object(a)), 0);
	prusik_named_close(a);
	ck_assert(exists("e"));
	ck_assert_int_eq(open_as("e", PRUSIK_KIND_EVENT, PRUSIK_NEW, &a), -EEXIST);
	prusik_named_close(b);
	ck_assert(!exists("e"));
	a = opened("e", PRUSIK_KIND_EVENT, PRUSIK_NEW);
	ck_assert_int_eq(prusik_event_is_set(prusik_named_object(a)), 1);
	prusik_named_close(a);
	prusik_named_close(opened("e", PRUSIK_KIND_EVENT, PRUSIK_NEW));
	prusik_named_close(opened("e", PRUSIK_KIND_LOCK, 0)); /* the dead one's kind does not matter */
}

TEST(persistent_stays)
{
	struct prusik_named *a = opened("e", PRUSIK_KIND_EVENT, PRUSIK_PERSISTENT);

	ck_assert_int_eq(prusik_event_clear(prusik_named_object(a)), 0);
	prusik_named_close(a);
	a = opened("e", PRUSIK_KIND_EVENT, PRUSIK_EXISTING);
	ck_assert_int_eq(prusik_event_is_set(prusik_named_object(a)), 0);
	prusik_named_close(a);
	ck_assert_int_eq(open_as("e", PRUSIK_KIND_EVENT, PRUSIK_NEW, &a), -EEXIST);
	ck_assert_int_eq(prusik_arena_unlink("e"), 0);
	ck_assert(!exists("e"));
}

static int opens_and_dies(void *unused)
{
	struct prusik_named *h;

	(void)unused;
	if (open_as("e", PRUSIK_KIND_EVENT, 0, &h) < 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

TEST(killed_attachers)
{
	ck_assert_int_eq(test_join(test_fork(opens_and_dies, NULL)), -SIGKILL);
	ck_assert(!exists("e"));
	struct prusik_named *h = opened("e", PRUSIK_KIND_EVENT, 0);
	ck_assert_int_eq(test_join(test_fork(opens_and_dies, NULL)), -SIGKILL);
	ck_assert(exists("e"));
	prusik_named_close(h);
}

static int waits(void *word)
{
	party_await(word, 1);
	return 0;
}

/* A child has what its parent had open, though the parent closes it. */
TEST(forked_children_are_attached)
{
	int *word = test_shared(sizeof *word);
	struct prusik_named *h = opened("e", PRUSIK_KIND_EVENT, 0);
	pid_t child = test_fork(waits, word);

	prusik_named_close(h);
	ck_assert(exists("e"));
	party_say(word, 1);
	ck_assert_int_eq(test_join(child), 0);
	ck_assert(!exists("e"));
}

static int closes_all_files(void *word)
{
	struct prusik_named *h;

	if (open_as("e", PRUSIK_KIND_EVENT, 0, &h) < 0)
		return 1;
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	party_say(word, 1);
	party_await(word, 2);
	return 0;
}

TEST(who_closes_all_descriptors_stays_attached)
{
	int *word = test_shared(sizeof *word);
	pid_t child = test_fork(closes_all_files, word);

	party_await(word, 1);
	ck_assert(exists("e"));
	party_say(word, 2);
	ck_assert_int_eq(test_join(child), 0);
	ck_assert(!exists("e"));
}

/* ---- races ---- */

struct race {
	int round;
	uint32_t arrived, left, inside;
};

/* All open the name at once, at each round; whoever has it open has the same object. */
static int race(void *memory, int index)
{
	struct race *r = memory;
	struct prusik_named *h;

	(void)index;
	for (int round = 1; round <= 200; round++) {
		party_await(&r->round, round);
		PARTY_CHECK(open_as("e", PRUSIK_KIND_SEMAPHORE, 0, &h) == 0);
		PARTY_CHECK(prusik_semaphore_release(prusik_named_object(h), 1) == 0);
		prk_add32_acqrel(&r->arrived, 1);
		while (prk_load32_acq(&r->arrived) < 4u * (uint32_t)round)
			pause_ms(0);
		PARTY_CHECK(prusik_semaphore_value(prusik_named_object(h)) == 3 + 4);
		prk_add32_acqrel(&r->left, 1);
		while (prk_load32_acq(&r->left) < 4u * (uint32_t)round)
			pause_ms(0);
		prusik_named_close(h);
		if (prk_add32_acqrel(&r->inside, 1) == 4u * (uint32_t)round - 1)
			party_say(&r->round, round + 1);
	}
	return 0;
}

TEST_WITHIN(all_open_at_once, 60)
{
	struct race *r = test_shared(sizeof *r);

	r->round = 1;
	party_run(PROCESSES, 4, race, r);
	ck_assert(!exists("e"));
}

/* Opened and closed as fast as can be: what is open is never a dead one. */
static int comes_and_goes(void *unused, int index)
{
	struct prusik_named *h;
	struct stat st;

	(void)unused;
	(void)index;
	for (int i = 0; i < 2000; i++) {
		PARTY_CHECK(open_as("e", PRUSIK_KIND_LOCK, 0, &h) == 0);
		PARTY_CHECK(stat(in_domain("e.arena"), &st) == 0);
		PARTY_CHECK(prusik_lock_acquire(prusik_named_object(h), PRUSIK_FOREVER) == 0);
		PARTY_CHECK(prusik_lock_release(prusik_named_object(h)) == 0);
		prusik_named_close(h);
	}
	return 0;
}

TEST_WITHIN(coming_and_going, 60)
{
	int files, *unused = test_shared(sizeof *unused);

	ck_assert_int_eq(prk_life_open(), 0);
	files = entries(getenv("PRUSIK_DIR"));
	party_run(PROCESSES, 4, comes_and_goes, unused);
	ck_assert(!exists("e"));
	ck_assert_int_eq(entries(getenv("PRUSIK_DIR")), files);
}

/* ---- listing, removing, collecting ---- */

struct found {
	struct prusik_named_info info[16];
	int count;
};

static int find(const struct prusik_named_info *info, void *context)
{
	struct found *found = context;

	ck_assert_int_lt(found->count, 16);
	found->info[found->count++] = *info;
	return 0;
}

static struct found all(void)
{
	struct found found = { .count = 0 };

	ck_assert_int_eq(prusik_named_each(find, &found), 0);
	return found;
}

static const struct prusik_named_info nothing = { .problem = 1 };

/* nothing: it is not there. */
static const struct prusik_named_info *in(const struct found *found, const char *name)
{
	for (int i = 0; i < found->count; i++)
		if (strcmp(found->info[i].name, name) == 0)
			return &found->info[i];
	return &nothing;
}

static int stop(const struct prusik_named_info *info, void *context)
{
	(void)info;
	++*(int *)context;
	return 7;
}

TEST(each)
{
	struct prusik_named *l = opened("l", PRUSIK_KIND_LOCK, 0), *l2 = opened("l", PRUSIK_KIND_LOCK, 0);
	int visits = 0, fd = open(in_domain("odd.arena"), O_CREAT | O_WRONLY, 0600);

	close(fd);
	prusik_named_close(opened("e", PRUSIK_KIND_EVENT, PRUSIK_PERSISTENT));
	struct found found = all();
	ck_assert_int_eq(found.count, 3);
	ck_assert_str_eq(in(&found, "l")->kind, "lock");
	ck_assert_int_eq(in(&found, "l")->attached, 2);
	ck_assert_uint_eq(in(&found, "l")->persistent, 0);
	ck_assert_int_eq(in(&found, "l")->problem, 0);
	ck_assert_uint_ge(in(&found, "l")->size, PRK_ARENA_LEAST);
	ck_assert_int_le(in(&found, "l")->made, time(NULL));
	ck_assert_int_ge(in(&found, "l")->made, time(NULL) - 60);
	ck_assert_str_eq(in(&found, "e")->kind, "event");
	ck_assert_int_eq(in(&found, "e")->attached, 0);
	ck_assert_uint_eq(in(&found, "e")->persistent, 1);
	ck_assert_int_eq(in(&found, "odd")->problem, -EPROTO);
	ck_assert_str_eq(in(&found, "odd")->kind, "");
	ck_assert_int_eq(prusik_named_each(stop, &visits), 7);
	ck_assert_int_eq(visits, 1);
	ck_assert_int_eq(prusik_named_each(NULL, NULL), -EINVAL);
	prusik_named_close(l);
	prusik_named_close(l2);
}

TEST(remove_a_name)
{
	struct prusik_named *l = opened("l", PRUSIK_KIND_LOCK, PRUSIK_PERSISTENT);

	ck_assert_int_eq(prusik_named_remove("l", PRUSIK_UNUSED), -EBUSY);
	prusik_named_close(l);
	ck_assert_int_eq(prusik_named_remove("l", PRUSIK_UNUSED), 0);
	ck_assert_int_eq(prusik_named_remove("l", PRUSIK_UNUSED), -ENOENT);
	ck_assert_int_eq(prusik_named_remove("l", 0), -ENOENT);
	ck_assert_int_eq(prusik_named_remove("", 0), -EINVAL);
	ck_assert_int_eq(prusik_named_remove("l", 8), -EINVAL);
	l = opened("l", PRUSIK_KIND_LOCK, 0);
	ck_assert_int_eq(prusik_lock_acquire(prusik_named_object(l), PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_named_remove("l", 0), 0);
	struct prusik_named *other = opened("l", PRUSIK_KIND_LOCK, 0);
	ck_assert_int_eq(prusik_lock_locked(prusik_named_object(other)), 0);
	ck_assert_int_eq(prusik_lock_release(prusik_named_object(l)), 0);
	prusik_named_close(l);
	ck_assert_int_eq(prusik_named_gc(), 0); /* the other one lives */
	prusik_named_close(other);
	ck_assert_int_eq(prusik_named_gc(), 1);
}

TEST(gc)
{
	struct prusik_named *h = opened("lives", PRUSIK_KIND_LOCK, 0);
	struct prusik_arena *arena;

	ck_assert_int_eq(prusik_arena_create("arena", 1, &arena), 0);
	prusik_arena_close(arena);
	prusik_named_close(opened("stays", PRUSIK_KIND_LOCK, PRUSIK_PERSISTENT));
	prusik_named_close(opened("dead", PRUSIK_KIND_LOCK, 0));
	ck_assert_int_eq(test_join(test_fork(opens_and_dies, NULL)), -SIGKILL);
	close(open(in_domain("odd.arena"), O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(prusik_named_gc(), 2);
	ck_assert_int_eq(prusik_named_gc(), 0);
	struct found found = all();
	ck_assert_int_eq(found.count, 4);
	ck_assert_str_eq(in(&found, "lives")->kind, "lock");
	ck_assert_str_eq(in(&found, "stays")->kind, "lock");
	ck_assert_str_eq(in(&found, "arena")->kind, "arena");
	ck_assert_int_eq(in(&found, "odd")->problem, -EPROTO);
	prusik_named_close(h);
	ck_assert_int_eq(prusik_named_gc(), 1);
}

/* A file of a domain that is gone is of no use to anybody, unless somebody still has it. */
TEST(gc_of_another_domain)
{
	struct prusik_named *h = opened("l", PRUSIK_KIND_LOCK, PRUSIK_PERSISTENT), *other;
	uint64_t strange = prk_domain() + 1;
	int fd = open(in_domain("l.arena"), O_RDWR);

	ck_assert_int_eq(pwrite(fd, &strange, sizeof strange, offsetof(struct prk_arena_shm, domain)), 8);
	close(fd);
	ck_assert_int_eq(prusik_named_gc(), 0);
	ck_assert_int_eq(open_as("l", PRUSIK_KIND_LOCK, 0, &other), -EPROTO);
	prusik_named_close(h);
	struct found found = all();
	ck_assert_int_eq(in(&found, "l")->problem, -EPROTO);
	ck_assert_int_eq(prusik_named_gc(), 1);
}

/* ---- a domain that the machine's last run has left ---- */

static int holds_and_goes(void *unused)
{
	struct prusik_named *h;

	(void)unused;
	PARTY_CHECK(open_as("l", PRUSIK_KIND_LOCK, PRUSIK_PERSISTENT, &h) == 0);
	return prusik_lock_acquire(prusik_named_object(h), PRUSIK_NOW);
}

static int begins_anew(void *before)
{
	struct prusik_named *h;

	PARTY_CHECK(prk_life_open() == 0 && prk_domain() != *(uint64_t *)before);
	PARTY_CHECK(open_as("l", PRUSIK_KIND_LOCK, 0, &h) == -EPROTO);
	PARTY_CHECK(prusik_named_gc() == 1);
	PARTY_CHECK(open_as("l", PRUSIK_KIND_LOCK, 0, &h) == 0);
	PARTY_CHECK(prusik_lock_acquire(prusik_named_object(h), PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_lock_release(prusik_named_object(h)) == 0);
	return 0;
}

static int joins(void *before)
{
	PARTY_CHECK(prk_life_open() == 0 && prk_domain() == *(uint64_t *)before);
	return 0;
}

TEST(life_table_of_another_run_of_the_machine)
{
	uint64_t *domain = test_shared(sizeof *domain), boot[2], other;
	int fd;

	ck_assert_int_eq(test_join(test_fork(holds_and_goes, NULL)), 0);
	fd = open(in_domain("life"), O_RDWR);
	ck_assert_int_eq(pread(fd, domain, 8, offsetof(struct prk_life, domain)), 8);
	ck_assert_int_eq(test_join(test_fork(joins, domain)), 0);
	ck_assert_int_eq(pread(fd, boot, 16, offsetof(struct prk_life, boot)), 16);
	if (boot[0] == 0 && boot[1] == 0)
		return; /* this kernel does not tell */
	other = boot[1] ^ 1;
	ck_assert_int_eq(pwrite(fd, &other, 8, offsetof(struct prk_life, boot) + 8), 8);
	close(fd);
	ck_assert_int_eq(test_join(test_fork(begins_anew, domain)), 0);
}

/* In turns of opening and killing, with three who collect all the time. */
static int collects(void *word, int index)
{
	(void)index;
	while (party_word(word) == 0)
		PARTY_CHECK(prusik_named_gc() >= 0);
	return 0;
}

static int uses_or_dies(void *unused)
{
	struct prusik_named *h, *again;

	(void)unused;
	for (int i = 0; i < 5; i++) {
		PARTY_CHECK(open_as("e", PRUSIK_KIND_SEMAPHORE, 0, &h) == 0);
		PARTY_CHECK(open_as("e", PRUSIK_KIND_SEMAPHORE, 0, &again) == 0);
		PARTY_CHECK(prusik_semaphore_release(prusik_named_object(h), 1) == 0);
		PARTY_CHECK(prusik_semaphore_acquire(prusik_named_object(again), PRUSIK_NOW) == 0);
		prusik_named_close(h);
		prusik_named_close(again);
	}
	PARTY_CHECK(open_as("e", PRUSIK_KIND_SEMAPHORE, 0, &h) == 0);
	raise(SIGKILL);
	return 1;
}

TEST_WITHIN(collecting_all_the_time, 60)
{
	int *word = test_shared(sizeof *word);
	struct party *collector[3];

	ck_assert_int_eq(prk_life_open(), 0);
	int files = entries(getenv("PRUSIK_DIR"));
	for (int i = 0; i < 3; i++)
		collector[i] = party_start(PROCESSES, collects, word, i);
	for (int i = 0; i < 200; i++) {
		pid_t a = test_fork(uses_or_dies, NULL), b = test_fork(uses_or_dies, NULL);
		ck_assert_int_eq(test_join(a), -SIGKILL);
		ck_assert_int_eq(test_join(b), -SIGKILL);
	}
	party_say(word, 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(party_join(collector[i]), 0);
	ck_assert_int_ge(prusik_named_gc(), 0);
	ck_assert_int_eq(entries(getenv("PRUSIK_DIR")), files);
}

/* ---- larger nouns ---- */

static int make_box(struct prusik_arena *arena, void *context)
{
	void *box;
	int r = prk_named_make(arena, 5000, &box);

	if (r == 0)
		strcpy(box, context);
	return r;
}

static int refuse(struct prusik_arena *arena, void *context)
{
	(void)arena;
	(void)context;
	return -EILSEQ;
}

TEST(made_whole_or_not_at_all)
{
	struct prusik_arena *arena, *other;
	void *box;
	int open_files;

	ck_assert_int_eq(prk_life_open(), 0);
	open_files = entries("/proc/self/fd");
	ck_assert_int_eq(prk_named_open("box", "box", 0, 1, refuse, NULL, &arena), -EILSEQ);
	ck_assert_int_eq(prk_named_open("box", "box", PRUSIK_EXISTING, 1, NULL, NULL, &arena), -ENOENT);
	ck_assert_int_eq(prk_named_open("box", "box", 0, 1 << 20, make_box, (void *)(uintptr_t) "one", &arena), 0);
	ck_assert_int_eq(prk_named_open("box", "box", 0, 1 << 20, make_box, (void *)(uintptr_t) "two", &other), 0);
	ck_assert_int_eq(prk_named_find(other, 5000, &box), 0);
	ck_assert_str_eq(box, "one");
	ck_assert_int_eq(prk_named_find(other, 6000, &box), -EPROTO);
	ck_assert(prk_arena_valid(other));
	prusik_arena_close(other);
	prusik_arena_close(arena);
	ck_assert_int_eq(entries("/proc/self/fd"), open_files);
	ck_assert(!exists("box"));
}

TEST(opened_with_faults)
{
	struct prusik_named *h = NULL;
	int open_files;

	ck_assert_int_eq(prk_joined(), 0);
	open_files = entries("/proc/self/fd");
	for (int kept = 0; kept < 2; kept++) {
		h = NULL;
		for (uint32_t n = 1; !h; n++) {
			ck_assert_uint_lt(n, 100);
			prk_sys_fail(PRK_SYS_ANY, n, EMFILE);
			int r = open_as("e", PRUSIK_KIND_EVENT, 0, &h);
			prk_sys_fail(PRK_SYS_ANY, 0, 0);
			ck_assert(r == (h ? 0 : -EMFILE) || r == -ENOMEM);
			ck_assert_int_eq(entries("/proc/self/fd"), open_files);
		}
		prusik_named_close(h); /* the second time round there is a dead one in the way */
	}
}
