/* SPDX-License-Identifier: MIT */
/* Blocks in an arena: accounting, zeros, exhaustion, many at once, claims of the dead. */
#include "party.h"

#include "shm/alloc.h"

#include <errno.h>
#include <prusik/arena.h>
#include <stdio.h>
#include <string.h>

#define OVERHEAD sizeof(struct prk_block)

static struct prusik_arena *arena_new(uint64_t size)
{
	struct prusik_arena *arena;

	ck_assert_int_eq(prusik_arena_create(NULL, size, &arena), 0);
	return arena;
}

static uint64_t *arena_link(struct prusik_arena *arena, const char *name)
{
	uint64_t *link;

	ck_assert_int_ge(prusik_arena_root(arena, name, &link), 0);
	return link;
}

/* A block full of count links. */
static uint64_t *arena_links(struct prusik_arena *arena, uint64_t count)
{
	uint64_t *root = arena_link(arena, "links");

	ck_assert_int_eq(prusik_arena_alloc(arena, count * sizeof *root, root), 0);
	return prusik_arena_pointer(arena, *root);
}

static struct prusik_arena_stats arena_stats(struct prusik_arena *arena)
{
	struct prusik_arena_stats stats;

	ck_assert_int_eq(prusik_arena_stats(arena, &stats), 0);
	ck_assert_uint_eq(stats.size, prk_arena_overhead(arena) + stats.used + stats.free);
	return stats;
}

static void same_stats(struct prusik_arena_stats a, struct prusik_arena_stats b)
{
	ck_assert_uint_eq(a.used, b.used);
	ck_assert_uint_eq(a.free, b.free);
	ck_assert_uint_eq(a.blocks, b.blocks);
	ck_assert_uint_eq(a.largest, b.largest);
}

/* What a block of that size takes. */
static uint64_t gross(uint64_t size)
{
	return (size + OVERHEAD + 63) / 64 * 64;
}

static bool is_all(const unsigned char *bytes, uint64_t size, unsigned char value)
{
	return size == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

/* Small ones mostly, now and then a long one. */
static uint64_t random_size(uint64_t *seed)
{
	return 1 + next_random(seed) % (UINT64_C(1) << (4 + next_random(seed) % 10));
}

/* ---- classes ---- */

TEST(classes_rise_with_the_size)
{
	uint32_t last = 0;

	for (uint64_t size = 64; size < 1 << 20; size += 64) {
		uint32_t class = prk_class_of(size);
		ck_assert_uint_ge(class, last);
		ck_assert_uint_le(class, last + 1);
		last = class;
	}
	ck_assert_uint_lt(prk_class_of(PRK_ARENA_MAX), PRK_CLASSES);
}

/* ---- one thread ---- */

TEST(alloc_and_free)
{
	struct prusik_arena *arena = arena_new(0);
	uint64_t *link = arena_link(arena, "link"), was;
	struct prusik_arena_stats start = arena_stats(arena);

	ck_assert_int_eq(prusik_arena_alloc(arena, 33, link), 0);
	ck_assert_uint_eq(*link % 64, 0);
	ck_assert_uint_eq(arena_stats(arena).used, gross(33));
	ck_assert_uint_eq(arena_stats(arena).blocks, 1);
	ck_assert_uint_ge(prk_arena_bytes_from(arena, *link), 33);
	was = *link;
	ck_assert_int_eq(prusik_arena_alloc(arena, 1, link), -EEXIST);
	ck_assert_uint_eq(*link, was);
	ck_assert_int_eq(prusik_arena_free(arena, link), 0);
	ck_assert_uint_eq(*link, 0);
	ck_assert_uint_eq(prk_arena_bytes_from(arena, was), 0);
	ck_assert_int_eq(prusik_arena_free(arena, link), 0);
	same_stats(arena_stats(arena), start);
	prusik_arena_close(arena);
}

/* An offset that is no block in use: of a freed block, into one, out of the arena. */
TEST(free_of_what_is_no_block)
{
	struct prusik_arena *arena = arena_new(0);
	uint64_t *links = arena_links(arena, 4);

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(prusik_arena_alloc(arena, 1000, &links[i]), 0);
	uint64_t at = links[1];
	uint64_t bad[] = { 1, 63, 64, at + 1, at + 8, at, at + 64, 65536, UINT64_MAX, PRK_ARENA_FIRST };

	ck_assert_int_eq(prusik_arena_free(arena, &links[1]), 0);
	struct prusik_arena_stats before = arena_stats(arena);
	for (unsigned int i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		links[1] = bad[i];
		ck_assert_int_eq(prusik_arena_free(arena, &links[1]), -EINVAL);
		ck_assert_uint_eq(links[1], bad[i]);
	}
	same_stats(arena_stats(arena), before);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* A copied link: the second free is noticed, also when the place was merged or used again. */
TEST(double_free)
{
	struct prusik_arena *arena = arena_new(0);
	uint64_t *links = arena_links(arena, 4), copy;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(prusik_arena_alloc(arena, 100, &links[i]), 0);
	copy = links[3] = links[1];
	ck_assert_int_eq(prusik_arena_free(arena, &links[0]), 0);
	ck_assert_int_eq(prusik_arena_free(arena, &links[1]), 0);
	ck_assert_int_eq(prusik_arena_free(arena, &links[3]), -EINVAL);
	ck_assert_int_eq(prusik_arena_alloc(arena, 250, &links[0]), 0);
	ck_assert_uint_lt(links[0], copy);
	memset(prusik_arena_pointer(arena, links[0]), 0x2a, 250);
	ck_assert_int_eq(prusik_arena_free(arena, &links[3]), -EINVAL);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

TEST(exhaustion)
{
	struct prusik_arena *arena = arena_new(1 << 18);
	struct prusik_arena_stats start = arena_stats(arena), full;
	uint64_t *links = arena_links(arena, 2000), n = 0;

	while (prusik_arena_alloc(arena, 200, &links[n]) == 0)
		n++;
	full = arena_stats(arena);
	ck_assert_uint_lt(full.largest, 200);
	ck_assert_uint_eq(n, (start.free - gross(2000 * 8)) / gross(200));
	ck_assert_uint_eq(links[n], 0);
	ck_assert_int_eq(prusik_arena_alloc(arena, UINT64_MAX, &links[n]), -ENOSPC);
	ck_assert_int_eq(prusik_arena_alloc(arena, UINT64_MAX - 64, &links[n]), -ENOSPC);
	ck_assert_int_eq(prusik_arena_alloc(arena, 1 << 18, &links[n]), -ENOSPC);
	for (uint64_t i = 0; i + 1 < n; i += 2) /* the tail of the arena stays apart */
		ck_assert_int_eq(prusik_arena_free(arena, &links[i]), 0);
	ck_assert_int_eq(prusik_arena_alloc(arena, 300, &links[0]), -ENOSPC);
	for (uint64_t i = 0; i + 1 < n; i += 2)
		ck_assert_int_eq(prusik_arena_alloc(arena, 200, &links[i]), 0);
	same_stats(arena_stats(arena), full);
	for (uint64_t i = 0; i < n; i++)
		ck_assert_int_eq(prusik_arena_free(arena, &links[i]), 0);
	ck_assert_int_eq(prusik_arena_free(arena, arena_link(arena, "links")), 0);
	same_stats(arena_stats(arena), start);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* What stats calls the longest can be had, and nothing longer. */
TEST(largest_is_true)
{
	struct prusik_arena *arena = arena_new(1 << 20);
	uint64_t *links = arena_links(arena, 200), *link = arena_link(arena, "link"), seed = 7;

	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 200; i++) {
			uint64_t k = next_random(&seed) % 200;
			if (links[k])
				ck_assert_int_eq(prusik_arena_free(arena, &links[k]), 0);
			else
				(void)!prusik_arena_alloc(arena, 5 * random_size(&seed), &links[k]);
		}
		uint64_t largest = arena_stats(arena).largest;
		ck_assert_int_eq(prusik_arena_alloc(arena, largest + 1, link), -ENOSPC);
		ck_assert_int_eq(prusik_arena_alloc(arena, largest, link), 0);
		ck_assert_int_eq(prusik_arena_free(arena, link), 0);
	}
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* ---- against a model ---- */

#define SLOTS 400

struct shadow {
	uint64_t size[SLOTS], used, blocks;
};

static void shadow_alloc(struct prusik_arena *arena, uint64_t *links, struct shadow *s, uint64_t k, uint64_t size)
{
	int r = prusik_arena_alloc(arena, size, &links[k]);

	if (r < 0) {
		ck_assert_int_eq(r, -ENOSPC);
		ck_assert_uint_lt(arena_stats(arena).largest, size);
		return;
	}
	unsigned char *bytes = prusik_arena_pointer(arena, links[k]);
	ck_assert(is_all(bytes, prk_arena_bytes_from(arena, links[k]), 0));
	memset(bytes, (int)(k % 255 + 1), prk_arena_bytes_from(arena, links[k]));
	s->size[k] = size;
	s->used += gross(size);
	s->blocks++;
}

static void shadow_free(struct prusik_arena *arena, uint64_t *links, struct shadow *s, uint64_t k)
{
	const unsigned char *bytes = prusik_arena_pointer(arena, links[k]);

	ck_assert_uint_eq(prk_arena_bytes_from(arena, links[k]), gross(s->size[k]) - OVERHEAD);
	ck_assert(is_all(bytes, gross(s->size[k]) - OVERHEAD, (unsigned char)(k % 255 + 1)));
	ck_assert_int_eq(prusik_arena_free(arena, &links[k]), 0);
	s->used -= gross(s->size[k]);
	s->size[k] = 0;
	s->blocks--;
}

TEST_WITHIN(hundred_thousand_random_steps, 60)
{
	static struct shadow s;
	struct prusik_arena *arena = arena_new(1 << 20);
	struct prusik_arena_stats start = arena_stats(arena), now;
	uint64_t *links = arena_links(arena, SLOTS), base = arena_stats(arena).used, seed = 1;

	for (int step = 0; step < 100000; step++) {
		uint64_t k = next_random(&seed) % SLOTS;
		if (s.size[k])
			shadow_free(arena, links, &s, k);
		else
			shadow_alloc(arena, links, &s, k, random_size(&seed));
		now = arena_stats(arena);
		ck_assert_uint_eq(now.used, base + s.used);
		ck_assert_uint_eq(now.blocks, 1 + s.blocks);
		if (step % 1000 == 0)
			ck_assert(prk_arena_valid(arena));
	}
	for (uint64_t k = 0; k < SLOTS; k++)
		if (s.size[k])
			shadow_free(arena, links, &s, k);
	ck_assert_int_eq(prusik_arena_free(arena, arena_link(arena, "links")), 0);
	same_stats(arena_stats(arena), start);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* Long blocks, zeroed without the lock, beside short ones. */
TEST_WITHIN(long_blocks_are_zeroed, 60)
{
	static struct shadow s;
	struct prusik_arena *arena = arena_new(4 << 20);
	uint64_t *links = arena_links(arena, SLOTS), seed = 3;

	for (int step = 0; step < 2000; step++) {
		uint64_t k = next_random(&seed) % 20;
		if (s.size[k])
			shadow_free(arena, links, &s, k);
		else
			shadow_alloc(arena, links, &s, k, 1 + next_random(&seed) % 600000);
	}
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* ---- in one step with others ---- */

TEST(undone_together)
{
	struct prusik_arena *arena = arena_new(0);
	struct prusik_arena_stats start = arena_stats(arena);
	uint64_t *link;

	ck_assert_int_eq(prk_arena_lock(arena), 0);
	ck_assert_int_eq(prk_arena_root_locked(arena, "new", true, &link), 0);
	ck_assert_int_eq(prk_arena_alloc_locked(arena, 5000, link), 0);
	ck_assert_uint_ne(*link, 0);
	ck_assert_int_eq(prk_arena_unlock(arena, -ECANCELED), -ECANCELED);
	ck_assert_uint_eq(*link, 0);
	ck_assert_int_eq(prk_arena_find_root(arena, "new", &link), -ENOENT);
	same_stats(arena_stats(arena), start);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* ---- many at once ---- */

struct crowd {
	struct prusik_arena *arena;
	uint64_t *links; /* 32 for each */
};

/* The size of a block is found in its first word, and all the rest of it says whose it is. */
static int in_the_crowd(void *shared, int index)
{
	struct crowd *crowd = shared;
	uint64_t *links = crowd->links + (ptrdiff_t)index * 32, seed = (uint64_t)index + 1;

	for (int step = 0; step < 20000; step++) {
		uint64_t *link = &links[next_random(&seed) % 32], size = 8 + random_size(&seed) / 4;
		unsigned char *bytes = prusik_arena_pointer(crowd->arena, *link);
		if (step % 500 == 0)
			size += 70000;
		if (*link) {
			memcpy(&size, bytes, sizeof size);
			PARTY_CHECK(is_all(bytes + 8, size - 8, (unsigned char)(index + 1)));
			PARTY_CHECK(prusik_arena_free(crowd->arena, link) == 0);
			continue;
		}
		int r = prusik_arena_alloc(crowd->arena, size, link);
		PARTY_CHECK(r == 0 || r == -ENOSPC);
		if (r < 0)
			continue;
		bytes = prusik_arena_pointer(crowd->arena, *link);
		PARTY_CHECK(is_all(bytes, size, 0));
		memset(bytes, index + 1, size);
		memcpy(bytes, &size, sizeof size);
	}
	for (int i = 0; i < 32; i++)
		PARTY_CHECK(prusik_arena_free(crowd->arena, &links[i]) == 0);
	return 0;
}

static void crowd_of(enum party_kind kind, int count)
{
	struct crowd crowd = { .arena = arena_new(4 << 20) };

	crowd.links = arena_links(crowd.arena, (uint64_t)count * 32);
	struct prusik_arena_stats start = arena_stats(crowd.arena);
	party_run(kind, count, in_the_crowd, &crowd);
	same_stats(arena_stats(crowd.arena), start);
	ck_assert(prk_arena_valid(crowd.arena));
	prusik_arena_close(crowd.arena);
}

TEST_WITHIN(eight_threads, 60)
{
	crowd_of(THREADS, 8);
}

TEST_WITHIN(four_processes, 60)
{
	crowd_of(PROCESSES, 4);
}

/* Both want the same link: one gets it, the other is told, and loses nothing. */
static int for_the_same_link(void *shared, int index)
{
	struct crowd *crowd = shared;

	(void)index;
	for (int step = 0; step < 2000; step++) {
		int r = prusik_arena_alloc(crowd->arena, 300000, crowd->links);
		PARTY_CHECK(r == 0 || r == -EEXIST);
		if (r == 0)
			PARTY_CHECK(prusik_arena_free(crowd->arena, crowd->links) == 0);
	}
	return 0;
}

TEST(one_link_two_threads)
{
	struct crowd crowd = { .arena = arena_new(4 << 20) };

	crowd.links = arena_links(crowd.arena, 1);
	struct prusik_arena_stats start = arena_stats(crowd.arena);
	party_run(THREADS, 2, for_the_same_link, &crowd);
	same_stats(arena_stats(crowd.arena), start);
	ck_assert(prk_arena_valid(crowd.arena));
	prusik_arena_close(crowd.arena);
}

/* ---- the dead ---- */

struct doomed {
	struct prusik_arena *arena;
	uint64_t *links;
	int step;
};

/* Allocates and frees until it is killed, long blocks among them. */
static int allocate_for_ever(void *shared, int index)
{
	struct doomed *doomed = shared;

	(void)index;
	for (uint64_t seed = (uint64_t)doomed->step;;) {
		uint64_t *link = &doomed->links[next_random(&seed) % 16], size = random_size(&seed);
		if (next_random(&seed) % 4 == 0)
			size = 100000;
		if (*link)
			PARTY_CHECK(prusik_arena_free(doomed->arena, link) == 0);
		else
			PARTY_CHECK(prusik_arena_alloc(doomed->arena, size, link) != -EPROTO);
		party_say(&doomed->step, party_word(&doomed->step) + 1);
	}
}

/* Whatever they were at: nothing but what is linked is in use. */
TEST_WITHIN(killed_at_random, 60)
{
	struct doomed *doomed = party_memory(PROCESSES, sizeof *doomed);
	struct prusik_arena *arena = doomed->arena = arena_new(1 << 20);

	doomed->links = arena_links(arena, 16);
	struct prusik_arena_stats start = arena_stats(arena), now;
	for (int round = 0; round < 200; round++) {
		int from = party_word(&doomed->step);
		struct party *p = party_start(PROCESSES, allocate_for_ever, doomed, 0);
		party_await(&doomed->step, from + 1 + round);
		kill(p->pid, SIGKILL);
		ck_assert_int_eq(party_join(p), -SIGKILL);
		ck_assert(prk_arena_valid(arena)); /* and what was half done is undone */
		uint64_t used = 0, blocks = 0;
		for (int i = 0; i < 16; i++)
			if (doomed->links[i]) {
				used += prk_arena_bytes_from(arena, doomed->links[i]) + OVERHEAD;
				blocks++;
			}
		now = arena_stats(arena);
		ck_assert_uint_eq(now.used, start.used + used);
		ck_assert_uint_eq(now.blocks, start.blocks + blocks);
	}
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(prusik_arena_free(arena, &doomed->links[i]), 0);
	same_stats(arena_stats(arena), start);
	prusik_arena_close(arena);
}
