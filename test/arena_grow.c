/* SPDX-License-Identifier: MIT */
/* Arenas that become longer while they are in use. */
#include "party.h"

#include "base/sys.h"
#include "shm/alloc.h"
#include "shm/huge.h"

#include <fcntl.h>
#include <prusik/arena.h>
#include <sys/stat.h>

static uint64_t *arena_link(struct prusik_arena *arena, const char *name)
{
	uint64_t *link;

	ck_assert_int_ge(prusik_arena_root(arena, name, &link), 0);
	return link;
}

static const char *in_domain(const char *file)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", getenv("PRUSIK_DIR"), file);
	return path;
}

static void refused_now(const char *name, int cause)
{
	struct prusik_arena *arena;

	ck_assert_int_eq(prusik_arena_open(name, &arena), cause);
}

static struct prusik_arena *growing(const char *name, uint64_t limit)
{
	const struct prusik_arena_options o = { .limit = limit };
	struct prusik_arena *arena;

	ck_assert_int_eq(prusik_arena_create_with(name, &o, &arena), 0);
	return arena;
}

static struct prusik_arena_stats counted(struct prusik_arena *arena)
{
	struct prusik_arena_stats s;

	ck_assert_int_eq(prusik_arena_stats(arena, &s), 0);
	ck_assert_uint_eq(s.size, prk_arena_overhead(arena) + s.used + s.free);
	return s;
}

TEST(grows_up_to_its_limit)
{
	struct prusik_arena *arena = growing(NULL, 1 << 20);
	uint64_t *link = arena_link(arena, "links"), n = 0;

	ck_assert_uint_eq(counted(arena).size, 65536);
	ck_assert_uint_eq(counted(arena).limit, 1 << 20);
	ck_assert_int_eq(prusik_arena_alloc(arena, 8 * 2000, link), 0);
	uint64_t *links = prusik_arena_pointer(arena, *link);
	while (prusik_arena_alloc(arena, 1000, &links[n]) == 0) {
		memset(prusik_arena_pointer(arena, links[n]), 0xaa, 1000);
		n++;
	}
	ck_assert_uint_eq(counted(arena).size, 1 << 20);
	ck_assert_uint_lt(counted(arena).largest, 1000);
	ck_assert_uint_gt(n, 900);
	ck_assert(prk_arena_valid(arena));
	for (uint64_t i = 0; i < n; i++)
		ck_assert_int_eq(prusik_arena_free(arena, &links[i]), 0);
	ck_assert_int_eq(prusik_arena_free(arena, link), 0);
	ck_assert_uint_eq(counted(arena).used, 0);
	ck_assert_uint_eq(counted(arena).largest, counted(arena).free - sizeof(struct prk_block));
	ck_assert_int_eq(prusik_arena_alloc(arena, 1 << 20, link), -ENOSPC);
	prusik_arena_close(arena);
}

TEST(grows_for_one_long_block)
{
	struct prusik_arena *arena = growing(NULL, 0);
	uint64_t *link = arena_link(arena, "link");

	ck_assert_int_eq(prusik_arena_alloc(arena, 30 << 20, link), 0);
	const char *bytes = prusik_arena_pointer(arena, *link);
	ck_assert_int_eq(bytes[0], 0);
	ck_assert_int_eq(memcmp(bytes, bytes + 1, (30 << 20) - 1), 0);
	ck_assert_uint_ge(counted(arena).size, 30 << 20);
	ck_assert_uint_gt(counted(arena).limit, 1 << 30);
	ck_assert_int_eq(prusik_arena_free(arena, link), 0);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

TEST(growing_without_memory)
{
	struct prusik_arena *arena = growing(NULL, 0);
	uint64_t *link = arena_link(arena, "link");
	struct prusik_arena_stats before = counted(arena), after;

	prk_sys_fail(PRK_SYS_FALLOCATE, 1, ENOSPC);
	ck_assert_int_eq(prusik_arena_alloc(arena, 30 << 20, link), -ENOSPC);
	after = counted(arena);
	ck_assert_int_eq(memcmp(&before, &after, sizeof before), 0);
	prk_sys_fail(PRK_SYS_FALLOCATE, 1, ENOSPC);
	ck_assert_int_eq(prusik_arena_alloc(arena, 60000, link), 0); /* the second, smaller wish */
	ck_assert_uint_lt(counted(arena).size, 2 * 65536);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* Huge pages are a wish: with and without them it is the same memory. */
static void grow_large(void)
{
	struct prusik_arena *arena = growing("large", 0), *other;
	uint64_t *link = arena_link(arena, "link");

	ck_assert_uint_eq((uintptr_t)arena->shm % PRK_HUGE_PAGE, 0);
	ck_assert_int_eq(prusik_arena_open("large", &other), 0);
	ck_assert_uint_eq((uintptr_t)other->shm % PRK_HUGE_PAGE, 0);
	ck_assert_int_eq(prusik_arena_alloc(arena, 1 << 20, link), 0);
	memset(prusik_arena_pointer(arena, *link), 'x', 1 << 20);
	ck_assert_int_eq(prusik_arena_alloc(other, 20 << 20, arena_link(other, "second")), 0);
	const char *bytes = prusik_arena_pointer(other, *link);
	ck_assert_int_eq(bytes[0], 'x');
	ck_assert_int_eq(memcmp(bytes, bytes + 1, (1 << 20) - 1), 0);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(other);
	prusik_arena_close(arena);
	ck_assert_int_eq(prusik_arena_unlink("large"), 0);
}

TEST(growing_large)
{
	grow_large();
	prk_sys_fail(PRK_SYS_MADVISE, 2, EINVAL);
	grow_large();
	prk_sys_fail(PRK_SYS_MMAP, 1, ENOMEM); /* no room to begin where a huge page may: anywhere, then */
	struct prusik_arena *arena = growing(NULL, 0);
	prk_sys_fail(PRK_SYS_ANY, 0, 0);
	ck_assert_int_eq(prusik_arena_alloc(arena, 10 << 20, arena_link(arena, "link")), 0);
	prusik_arena_close(arena);
	ck_assert_int_eq(prusik_arena_create(NULL, 9 << 20, &arena), 0);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* The descriptor that it grows by is gone, and its number is somebody else's now. */
TEST(growing_without_descriptor)
{
	struct prusik_arena *arena = growing("x", 0), *other;
	uint64_t *link = arena_link(arena, "link");

	close(arena->fd);
	int fd = arena->fd, theirs = open(in_domain("theirs"), O_CREAT | O_RDWR, 0600);
	struct stat st;
	if (theirs != fd)
		ck_assert_int_eq(dup2(theirs, fd), fd);
	ck_assert_int_eq(prusik_arena_alloc(arena, 1 << 20, link), -EBADF);
	ck_assert_int_eq(prusik_arena_open("x", &other), 0);
	ck_assert_int_eq(prusik_arena_alloc(other, 1 << 20, arena_link(other, "link")), 0);
	((char *)prusik_arena_pointer(other, *link))[1 << 19] = 'x';
	ck_assert_int_eq(((char *)prusik_arena_pointer(arena, *link))[1 << 19], 'x');
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(other);
	prusik_arena_close(arena);
	ck_assert_int_eq(fstat(fd, &st), 0); /* it was not closed for them */
	ck_assert_int_eq(st.st_size, 0);
}

TEST(lengths_that_are_refused)
{
	struct prusik_arena *arena = growing("x", 1 << 20), *other;

	prk_store64_rlx(&arena->shm->reach, 1 << 19);
	refused_now("x", -EPROTO); /* the file is shorter */
	ck_assert_ptr_null(prusik_arena_pointer(arena, 1 << 18));
	prk_store64_rlx(&arena->shm->reach, 4096);
	refused_now("x", -EPROTO);
	prk_store64_rlx(&arena->shm->reach, 65536);
	ck_assert_int_eq(truncate(in_domain("x.arena"), 1 << 19), 0);
	ck_assert_int_eq(prusik_arena_open("x", &other), 0); /* one who grew it was killed */
	ck_assert_int_eq(prusik_arena_alloc(other, 100000, arena_link(other, "link")), 0);
	ck_assert(prk_arena_valid(other));
	prusik_arena_close(other);
	ck_assert_int_eq(truncate(in_domain("x.arena"), 1 << 21), 0);
	refused_now("x", -EPROTO); /* longer than its limit */
	prusik_arena_close(arena);
}

/* Blocks that one process makes, and three others read while the arena grows under them. */
struct feed {
	struct prusik_arena *arena; /* of the first; the others open it */
	uint64_t made;
	int ready;
};
#define FEED 20000u

static int reads(struct feed *f, struct prusik_arena *arena, const uint64_t *links)
{
	for (uint64_t i = 0; i < FEED; i++) {
		while (prk_load64_acq(&f->made) <= i)
			pause_ms(0);
		uint64_t offset = prk_load64_acq(&links[i]);
		const uint64_t *block = prusik_arena_pointer(arena, offset);
		PARTY_CHECK(block && block[0] == i && block[50] == i);
		PARTY_CHECK(prk_arena_bytes_from(arena, offset) >= 600);
	}
	return 0;
}

static int makes(struct feed *f, struct prusik_arena *arena, uint64_t *links)
{
	for (uint64_t i = 0; i < FEED; i++) {
		PARTY_CHECK(prusik_arena_alloc(arena, 600, &links[i]) == 0);
		uint64_t *block = prusik_arena_pointer(arena, links[i]);
		block[0] = block[50] = i;
		prk_store64_rel(&f->made, i + 1);
	}
	return 0;
}

static int feeds(void *memory, int index)
{
	struct prusik_arena *arena;
	struct feed *f = memory;
	uint64_t *link;

	PARTY_CHECK(prusik_arena_open("feed", &arena) == 0);
	PARTY_CHECK(prusik_arena_root(arena, "links", &link) >= 0);
	uint64_t *links = prusik_arena_pointer(arena, *link);
	prk_add32_acqrel((uint32_t *)&f->ready, 1);
	party_await(&f->ready, 4);
	int r = index == 0 ? makes(f, arena, links) : reads(f, arena, links);
	PARTY_CHECK(prk_arena_valid(arena));
	prusik_arena_close(arena);
	return r;
}

TEST_WITHIN(four_attached_while_one_grows, 60)
{
	struct feed *f = test_shared(sizeof *f);
	struct prusik_arena *arena = growing("feed", 0);

	ck_assert_int_eq(prusik_arena_alloc(arena, FEED * 8, arena_link(arena, "links")), 0);
	party_run(PROCESSES, 4, feeds, f);
	ck_assert_uint_ge(counted(arena).size, FEED * 600);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* All four make blocks and free them, in one arena that grows, and some are killed. */
static int grows_and_dies(void *memory, int index)
{
	struct prusik_arena *arena;
	uint64_t *link, *links;

	(void)memory;
	PARTY_CHECK(prusik_arena_open("feed", &arena) == 0);
	PARTY_CHECK(prusik_arena_root(arena, index ? "b" : "a", &link) >= 0);
	PARTY_CHECK(*link != 0 || prusik_arena_alloc(arena, 8000, link) == 0);
	links = prusik_arena_pointer(arena, *link);
	for (uint64_t i = 0;; i++) {
		PARTY_CHECK(prusik_arena_free(arena, &links[i % 1000]) == 0);
		PARTY_CHECK(prusik_arena_alloc(arena, 100 + i % 7000, &links[i % 1000]) == 0);
	}
}

static uint64_t linked_in(struct prusik_arena *arena, const char *root)
{
	const uint64_t *links = prusik_arena_pointer(arena, *arena_link(arena, root));
	uint64_t n = 1;

	for (int i = 0; links && i < 1000; i++)
		n += links[i] != 0;
	return links ? n : 0;
}

TEST_WITHIN(killed_while_it_grows, 60)
{
	struct prusik_arena *arena = growing("feed", 16 << 20);
	struct party *p[2];

	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 2; i++)
			p[i] = party_start(PROCESSES, grows_and_dies, arena, i);
		pause_ms(round % 20);
		for (int i = 0; i < 2; i++) {
			kill(p[i]->pid, SIGKILL);
			ck_assert_int_eq(party_join(p[i]), -SIGKILL);
		}
		struct prusik_arena_stats s = counted(arena);
		ck_assert(prk_arena_valid(arena));
		ck_assert_uint_eq(s.blocks, linked_in(arena, "a") + linked_in(arena, "b"));
	}
	prusik_arena_close(arena);
}
