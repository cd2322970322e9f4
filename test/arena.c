/* SPDX-License-Identifier: MIT */
/* Arenas as files: names, being born whole, what is refused, corrupt bytes. */
#include "party.h"

#include "base/life.h"
#include "base/sys.h"
#include "shm/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <prusik/arena.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/socket.h>

static struct prusik_arena *arena_new(const char *name, uint64_t size)
{
	struct prusik_arena *arena;

	ck_assert_int_eq(prusik_arena_create(name, size, &arena), 0);
	return arena;
}

static uint64_t *arena_link(struct prusik_arena *arena, const char *name)
{
	uint64_t *link;

	ck_assert_int_ge(prusik_arena_root(arena, name, &link), 0);
	return link;
}

static void alloc_in(struct prusik_arena *arena, const char *name, uint64_t size)
{
	ck_assert_int_eq(prusik_arena_alloc(arena, size, arena_link(arena, name)), 0);
}

static uint64_t *word_at(struct prusik_arena *arena, uint64_t offset)
{
	return (uint64_t *)(void *)((char *)arena->shm + offset);
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

static const char *in_domain(const char *file)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", getenv("PRUSIK_DIR"), file);
	return path;
}

TEST(create_open_close_unlink)
{
	struct prusik_arena *one = arena_new("one", 100000), *again;
	uint64_t *link = arena_link(one, "link"), *same;

	ck_assert_int_eq(prusik_arena_alloc(one, 10, link), 0);
	strcpy(prusik_arena_pointer(one, *link), "hello");
	ck_assert_int_eq(prusik_arena_create("one", 1, &again), -EEXIST);
	ck_assert_int_eq(prusik_arena_open("one", &again), 0);
	same = arena_link(again, "link");
	ck_assert_ptr_ne(link, same);
	ck_assert_str_eq(prusik_arena_pointer(again, *same), "hello");
	prusik_arena_close(one);
	ck_assert_int_eq(prusik_arena_unlink("one"), 0);
	ck_assert_int_eq(prusik_arena_unlink("one"), -ENOENT);
	ck_assert_int_eq(prusik_arena_open("one", &one), -ENOENT);
	ck_assert_int_eq(prusik_arena_free(again, same), 0);
	ck_assert(prk_arena_valid(again));
	prusik_arena_close(again);
	prusik_arena_close(NULL);
}

TEST(sizes)
{
	static const uint64_t asked[] = { 0, 1, 65536, 65537, 1000000 };
	static const uint64_t given[] = { 65536, 65536, 65536, 69632, 1003520 };
	struct prusik_arena_stats stats;
	struct prusik_arena *arena;

	for (unsigned int i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		arena = arena_new(NULL, asked[i]);
		ck_assert_int_eq(prusik_arena_stats(arena, &stats), 0);
		ck_assert_uint_eq(stats.size, given[i]);
		ck_assert_uint_eq(stats.size, prk_arena_overhead(arena) + stats.free);
		ck_assert_uint_eq(stats.used, 0);
		ck_assert_uint_eq(stats.blocks, 0);
		ck_assert_uint_eq(stats.largest, stats.free - sizeof(struct prk_block));
		prusik_arena_close(arena);
	}
	ck_assert_int_eq(prusik_arena_create(NULL, UINT64_MAX, &arena), -ENOSPC);
	ck_assert_int_eq(prusik_arena_create("big", UINT64_C(1) << 45, &arena), -ENOSPC);
	ck_assert_int_eq(prusik_arena_create(NULL, UINT64_C(1) << 45, &arena), -ENOSPC);
	ck_assert_int_eq(prusik_arena_open("big", &arena), -ENOENT);
}

TEST(names)
{
	static const char *const bad[] = { "", ".", "..", ".hidden", "a/b", "/", "a/" };
	char longest[PRUSIK_NAME_MAX + 2];
	struct prusik_arena *arena, *anonymous = arena_new(NULL, 0);
	uint64_t *link;

	for (unsigned int i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert_int_eq(prusik_arena_create(bad[i], 1, &arena), -EINVAL);
		ck_assert_int_eq(prusik_arena_open(bad[i], &arena), -EINVAL);
		ck_assert_int_eq(prusik_arena_unlink(bad[i]), -EINVAL);
		ck_assert_int_eq(prusik_arena_root(anonymous, bad[i], &link), -EINVAL);
	}
	memset(longest, 'n', sizeof longest);
	longest[PRUSIK_NAME_MAX + 1] = 0;
	ck_assert_int_eq(prusik_arena_create(longest, 1, &arena), -ENAMETOOLONG);
	ck_assert_int_eq(prusik_arena_open(longest, &arena), -ENAMETOOLONG);
	ck_assert_int_eq(prusik_arena_unlink(longest), -ENAMETOOLONG);
	ck_assert_int_eq(prusik_arena_root(anonymous, longest, &link), -ENAMETOOLONG);
	longest[PRUSIK_NAME_MAX] = 0;
	prusik_arena_close(arena_new(longest, 1));
	ck_assert_int_eq(prusik_arena_unlink(longest), 0);
	ck_assert_int_eq(prusik_arena_root(anonymous, longest, &link), 0);
	ck_assert_ptr_eq(arena_link(anonymous, longest), link);
	prusik_arena_close(anonymous);
}

TEST(misuse)
{
	struct prusik_arena *arena = arena_new(NULL, 0), *unused = NULL;
	struct prusik_arena_stats stats;
	uint64_t *link = arena_link(arena, "link"), foreign = 0;

	ck_assert_int_eq(prusik_arena_create("x", 1, NULL), -EINVAL);
	ck_assert_int_eq(prusik_arena_open("x", NULL), -EINVAL);
	ck_assert_int_eq(prusik_arena_open(NULL, &unused), -EINVAL);
	ck_assert_int_eq(prusik_arena_unlink(NULL), -EINVAL);
	ck_assert_int_eq(prusik_arena_root(NULL, "x", &link), -EINVAL);
	ck_assert_int_eq(prusik_arena_root(arena, NULL, &link), -EINVAL);
	ck_assert_int_eq(prusik_arena_root(arena, "x", NULL), -EINVAL);
	ck_assert_int_eq(prusik_arena_stats(NULL, &stats), -EINVAL);
	ck_assert_int_eq(prusik_arena_stats(arena, NULL), -EINVAL);
	ck_assert_int_eq(prusik_arena_alloc(NULL, 1, link), -EINVAL);
	ck_assert_int_eq(prusik_arena_alloc(arena, 0, link), -EINVAL);
	ck_assert_int_eq(prusik_arena_alloc(arena, 1, NULL), -EINVAL);
	ck_assert_int_eq(prusik_arena_alloc(arena, 1, &foreign), -EINVAL);
	ck_assert_int_eq(prusik_arena_free(NULL, link), -EINVAL);
	ck_assert_int_eq(prusik_arena_free(arena, NULL), -EINVAL);
	ck_assert_int_eq(prusik_arena_free(arena, &foreign), -EINVAL);
	uint64_t *askew = word_at(arena, prusik_arena_offset(arena, link) + 4);
	ck_assert_int_eq(prusik_arena_alloc(arena, 1, askew), -EINVAL);
	/* Not a link: the arena's own words. */
	for (uint64_t at = 0; at < PRK_ARENA_FIRST + sizeof(struct prk_block); at += 8)
		if ((at - offsetof(struct prk_arena_shm, root)) % sizeof(struct prk_root) != 64)
			ck_assert_int_eq(prusik_arena_free(arena, word_at(arena, at)), -EINVAL);
	ck_assert_ptr_null(unused);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

TEST(pointer_and_offset)
{
	struct prusik_arena *arena = arena_new(NULL, 0);
	uint64_t *link = arena_link(arena, "link"), on_stack;

	ck_assert_int_eq(prusik_arena_alloc(arena, 1, link), 0);
	char *p = prusik_arena_pointer(arena, *link);
	ck_assert_uint_eq(prusik_arena_offset(arena, p), *link);
	ck_assert_uint_eq((uintptr_t)p % 64, 0);
	ck_assert_ptr_null(prusik_arena_pointer(arena, 0));
	ck_assert_ptr_null(prusik_arena_pointer(arena, 65536));
	ck_assert_ptr_null(prusik_arena_pointer(arena, UINT64_MAX));
	ck_assert_ptr_nonnull(prusik_arena_pointer(arena, 65535));
	ck_assert_ptr_null(prusik_arena_pointer(NULL, 8192));
	ck_assert_uint_eq(prusik_arena_offset(arena, NULL), 0);
	ck_assert_uint_eq(prusik_arena_offset(arena, &on_stack), 0);
	ck_assert_uint_eq(prusik_arena_offset(arena, (char *)arena->shm + 65536), 0);
	ck_assert_uint_eq(prusik_arena_offset(NULL, p), 0);
	prusik_arena_close(arena);
}

TEST(sixty_four_roots)
{
	struct prusik_arena *arena = arena_new(NULL, 0);
	uint64_t *link[64], *one_more;
	char name[16];

	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof name, "root%d", i);
		link[i] = arena_link(arena, name);
		*link[i] = (uint64_t)i;
	}
	ck_assert_int_eq(prusik_arena_root(arena, "one more", &one_more), -ENOSPC);
	ck_assert_int_eq(prk_arena_find_root(arena, "one more", &one_more), -ENOENT);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof name, "root%d", i);
		ck_assert_ptr_eq(arena_link(arena, name), link[i]);
		ck_assert_uint_eq(*link[i], i);
	}
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

static int child_allocates(void *memory, int index)
{
	struct prusik_arena *arena = memory;
	uint64_t *link;

	PARTY_CHECK(prusik_arena_root(arena, index ? "b" : "a", &link) >= 0);
	PARTY_CHECK(prusik_arena_alloc(arena, 100, link) == 0);
	strcpy(prusik_arena_pointer(arena, *link), index ? "from b" : "from a");
	return 0;
}

TEST(children_share_it)
{
	struct prusik_arena *arena = arena_new(NULL, 0);

	party_run(PROCESSES, 2, child_allocates, arena);
	ck_assert_str_eq(prusik_arena_pointer(arena, *arena_link(arena, "a")), "from a");
	ck_assert_str_eq(prusik_arena_pointer(arena, *arena_link(arena, "b")), "from b");
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

/* Each system call inside fails in turn, until none is left that could. */
static void create_with_faults(const char *name)
{
	struct prusik_arena *arena = NULL;

	ck_assert_int_eq(prk_life_open(), 0);
	int files = entries(getenv("PRUSIK_DIR")), open_files = entries("/proc/self/fd");
	for (uint32_t n = 1;; n++) {
		ck_assert_uint_lt(n, 100);
		prk_sys_fail(PRK_SYS_ANY, n, ENOMEM);
		int r = prusik_arena_create(name, 1, &arena);
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		if (r == 0)
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_ptr_null(arena);
		ck_assert_int_eq(entries(getenv("PRUSIK_DIR")), files);
		ck_assert_int_eq(entries("/proc/self/fd"), open_files);
	}
	ck_assert_int_eq(entries(getenv("PRUSIK_DIR")), files + (name ? 1 : 0));
	ck_assert_int_eq(entries("/proc/self/fd"), open_files);
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
}

TEST(born_whole)
{
	create_with_faults("whole");
	create_with_faults(NULL);
}

TEST(open_with_faults)
{
	struct prusik_arena *arena = NULL;

	prusik_arena_close(arena_new("x", 1));
	int open_files = entries("/proc/self/fd");
	for (uint32_t n = 1; !arena; n++) {
		ck_assert_uint_lt(n, 100);
		prk_sys_fail(PRK_SYS_ANY, n, EMFILE);
		int r = prusik_arena_open("x", &arena);
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		ck_assert(r == (arena ? 0 : -EMFILE) || r == -ENOMEM);
		ck_assert_int_eq(entries("/proc/self/fd"), open_files);
	}
	ck_assert(prk_arena_valid(arena));
	prusik_arena_close(arena);
	for (int n = 1; n <= 4; n++) {
		prk_sys_fail(PRK_SYS_ANY, (uint32_t)n, EACCES);
		int r = prusik_arena_unlink("x");
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		ck_assert_int_eq(r, -EACCES);
		ck_assert_int_eq(entries("/proc/self/fd"), open_files);
	}
}

TEST(full_file_system)
{
	struct prusik_arena *arena = NULL;

	ck_assert_int_eq(prk_life_open(), 0);
	int files = entries(getenv("PRUSIK_DIR"));
	prk_sys_fail(PRK_SYS_FALLOCATE, 1, ENOSPC);
	ck_assert_int_eq(prusik_arena_create("full", 1, &arena), -ENOSPC);
	ck_assert_int_eq(entries(getenv("PRUSIK_DIR")), files);
}

/* ---- files that are refused ---- */

static void refused(const char *name, int cause)
{
	struct prusik_arena *arena = NULL;
	int open_files = entries("/proc/self/fd");

	ck_assert_int_eq(prusik_arena_open(name, &arena), cause);
	ck_assert_ptr_null(arena);
	ck_assert_int_eq(entries("/proc/self/fd"), open_files);
}

static void change_file(const char *file, uint64_t at, const void *bytes, size_t length)
{
	int fd = open(in_domain(file), O_RDWR);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, length, (off_t)at), (ssize_t)length);
	close(fd);
}

TEST(truncated_is_refused)
{
	static const off_t lengths[] = { 0, 1, 4096, 8191, 65536 + 4096, 61440, 65535, 131072 };

	prusik_arena_close(arena_new("x", 1));
	for (unsigned int i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		ck_assert_int_eq(truncate(in_domain("x.arena"), lengths[i]), 0);
		refused("x", -EPROTO);
	}
	ck_assert_int_eq(truncate(in_domain("x.arena"), 65536), 0);
	refused("x", -EPROTO); /* the header went with the rest */
}

TEST(foreign_is_refused)
{
	char text[65536];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	prusik_arena_close(arena_new("x", 1));
	memset(text, 'x', sizeof text);
	change_file("x.arena", 0, text, sizeof text);
	refused("x", -EPROTO);
	ck_assert_int_eq(mkdir(in_domain("d.arena"), 0700), 0);
	refused("d", -EPROTO);
	ck_assert_int_eq(mkfifo(in_domain("f.arena"), 0600), 0);
	refused("f", -EPROTO);
	ck_assert_int_eq(symlink("x.arena", in_domain("l.arena")), 0);
	refused("l", -EPROTO);
	snprintf(address.sun_path, sizeof address.sun_path, "%.100s", in_domain("s.arena"));
	if (bind(s, (struct sockaddr *)&address, sizeof address) == 0)
		refused("s", -EPROTO);
	close(s);
}

TEST(other_builds_and_domains_are_refused)
{
	static const uint64_t at[] = {
		offsetof(struct prk_arena_shm, magic),	   offsetof(struct prk_arena_shm, version),
		offsetof(struct prk_arena_shm, signature), offsetof(struct prk_arena_shm, domain),
		offsetof(struct prk_arena_shm, size),
	};
	struct prusik_arena *arena = arena_new("x", 1);
	char byte;

	for (unsigned int i = 0; i < sizeof at / sizeof at[0]; i++) {
		char *there = (char *)arena->shm + at[i];
		byte = (char)(*there + 1);
		change_file("x.arena", at[i], &byte, 1);
		refused("x", -EPROTO);
		(*there)--;
		struct prusik_arena *again;
		ck_assert_int_eq(prusik_arena_open("x", &again), 0);
		prusik_arena_close(again);
	}
	prusik_arena_close(arena);
}

TEST(of_another_user_is_refused)
{
	prusik_arena_close(arena_new("x", 1));
	if (chown(in_domain("x.arena"), geteuid() + 1, (gid_t)-1) == 0)
		refused("x", -EPERM);
}

/* A copy with holes gets its memory when it is opened. */
TEST(holes_are_filled)
{
	struct prusik_arena *arena = arena_new("x", 1 << 20);
	uint64_t domain_and_size[2] = { arena->shm->domain, arena->shm->size };
	struct stat st;

	ck_assert_int_ge(domain_and_size[1], 1 << 20);
	int fd = open(in_domain("copy.arena"), O_RDWR | O_CREAT, 0600);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	ck_assert_int_eq(pwrite(fd, arena->shm, 8192, 0), 8192);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_lt(st.st_blocks * 512, 1 << 20);
	prusik_arena_close(arena);
	ck_assert_int_eq(prusik_arena_open("copy", &arena), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, 1 << 20);
	ck_assert(prk_arena_valid(arena));
	close(fd);
	prusik_arena_close(arena);
}

/* ---- corrupt bytes ---- */

/* Anything goes but a crash, a hang, and a pointer that leads out of the arena. */
static void use_it(struct prusik_arena *arena)
{
	struct prusik_arena_stats stats;
	uint64_t *link, *other;

	(void)prk_arena_valid(arena);
	(void)prusik_arena_stats(arena, &stats);
	if (prusik_arena_root(arena, "new", &other) >= 0)
		(void)!prusik_arena_alloc(arena, 700, other);
	if (prusik_arena_root(arena, "kept", &link) >= 0) {
		ck_assert_uint_ne(prusik_arena_offset(arena, link), 0);
		(void)prusik_arena_free(arena, link);
		(void)!prusik_arena_alloc(arena, 20000, link);
		uint64_t bytes = prk_arena_bytes_from(arena, *link);
		if (bytes)
			memset(prusik_arena_pointer(arena, *link), 1, bytes);
		(void)prusik_arena_free(arena, link);
	}
	if (prusik_arena_root(arena, "kept too", &link) >= 0)
		(void)prusik_arena_free(arena, link);
	(void)prk_arena_valid(arena);
}

/* Blocks and holes of several sizes. */
static struct prusik_arena *arena_in_use(const char *name)
{
	static const char *const names[] = { "kept", "a", "kept too", "b", "c", "d" };
	struct prusik_arena *arena = arena_new(name, 1);

	for (unsigned int i = 0; i < 6; i++)
		alloc_in(arena, names[i], 100 + 200 * i);
	ck_assert_int_eq(prusik_arena_free(arena, arena_link(arena, "a")), 0);
	ck_assert_int_eq(prusik_arena_free(arena, arena_link(arena, "c")), 0);
	return arena;
}

static void flip_bytes(struct prusik_arena *arena, const char *whole, uint64_t from, uint64_t to, char with)
{
	const uint64_t kind_at = offsetof(struct prk_arena_shm, kind);
	const uint64_t limit_at = offsetof(struct prk_arena_shm, limit); /* more may be believed */
	struct prusik_arena *opened;

	for (uint64_t at = from; at < to; at++) {
		memcpy(arena->shm, whole, arena->size);
		((char *)arena->shm)[at] ^= with;
		int r = prusik_arena_open("x", &opened);
		if (r < 0) {
			bool kind = at >= kind_at && at < kind_at + sizeof arena->shm->kind;
			bool limit = at >= limit_at && at < limit_at + 8; /* more than there are addresses */
			ck_assert(r == -EPROTO || (r == -EPROTOTYPE && kind) || (r == -ENOMEM && limit));
			continue;
		}
		ck_assert((at >= limit_at && at < limit_at + 8) || at == offsetof(struct prk_arena_shm, flags) ||
			  at >= offsetof(struct prk_arena_shm, made));
		use_it(opened);
		prusik_arena_close(opened);
	}
}

TEST_WITHIN(each_byte_flipped, 60)
{
	static const char flips[] = { 1, 64, (char)0x80, (char)0xff };
	struct prusik_arena *arena = arena_in_use("x");
	char *whole = malloc(arena->size);

	memcpy(whole, arena->shm, arena->size);
	for (unsigned int i = 0; i < sizeof flips; i++) {
		flip_bytes(arena, whole, 0, PRK_ARENA_FIRST, flips[i]);
		flip_bytes(arena, whole, PRK_ARENA_FIRST, PRK_ARENA_FIRST + 4096, flips[i]);
	}
	free(whole);
	prusik_arena_close(arena);
}

/* Words that look right: sizes, offsets, circles. */
TEST_WITHIN(each_word_replaced, 60)
{
	struct prusik_arena *arena = arena_in_use("x");
	uint64_t values[] = {
		0,
		1,
		64,
		PRK_ARENA_FIRST,
		PRK_ARENA_FIRST + 192,
		arena->end - 64,
		arena->end,
		UINT64_MAX,
		UINT64_C(1) << 63,
		65536 | PRK_BLOCK_FREE,
		~UINT64_C(63) | PRK_BLOCK_FREE,
		128 | PRK_BLOCK_USED,
		128 | PRK_BLOCK_CLAIMED,
	};
	uint64_t *whole = malloc(arena->size), lock_at = offsetof(struct prk_arena_shm, lock);

	memcpy(whole, arena->shm, arena->size);
	for (uint64_t at = lock_at / 8 + 2; at < PRK_ARENA_FIRST / 8 + 400; at++)
		for (unsigned int i = 0; i < sizeof values / sizeof values[0]; i++) {
			memcpy(arena->shm, whole, arena->size);
			*word_at(arena, at * 8) = values[i];
			use_it(arena);
		}
	free(whole);
	prusik_arena_close(arena);
}

/* A dead one's log of nonsense is not obeyed, and the arena says so from then on. */
TEST(corrupt_log)
{
	struct prusik_arena *arena = arena_in_use("x");
	struct prusik_arena_stats stats;

	arena->shm->lock.word = 0x3fffffff; /* nobody's id */
	arena->shm->undo.count = 1;
	arena->shm->undo.entry[0].distance = INT64_C(1) << 40;
	ck_assert_int_eq(prusik_arena_stats(arena, &stats), -EPROTO);
	ck_assert_int_eq(prusik_arena_stats(arena, &stats), -EPROTO);
	ck_assert(!prk_arena_valid(arena));
	prusik_arena_close(arena);
}

TEST(log_without_a_death)
{
	struct prusik_arena *arena = arena_in_use("x");
	struct prusik_arena_stats stats;

	arena->shm->undo.count = 1;
	ck_assert_int_eq(prusik_arena_stats(arena, &stats), -EPROTO);
	prusik_arena_close(arena);
}
