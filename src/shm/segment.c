/* SPDX-License-Identifier: MIT */
#include "shm/segment.h"

#include "base/life.h"
#include "base/sys.h"
#include "shm/alloc.h"
#include "shm/huge.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX PRK_SEGMENT_SUFFIX
#define SEGMENT_PAGE PRK_ARENA_PAGE

_Static_assert(sizeof(struct prk_block) == 32 && sizeof(struct prk_claim) == 16 && sizeof(struct prk_root) == 72,
	       "shared layout");
_Static_assert((PRK_ARENA_FIRST + sizeof(struct prk_block)) % PRK_GRANULE == 0, "payloads are aligned");
_Static_assert(PRK_ARENA_LEAST % SEGMENT_PAGE == 0 && PRK_ARENA_FIRST < PRK_ARENA_LEAST - 4096, "there is room");

/* Two builds that disagree about the layout disagree about this. */
static uint32_t segment_signature(void)
{
	static const uint32_t layout[] = {
		sizeof(struct prk_arena_shm),
		sizeof(struct prk_block),
		sizeof(struct prk_claim),
		sizeof(struct prk_root),
		sizeof(struct prk_undo),
		sizeof(struct prusik_lock),
		offsetof(struct prk_arena_shm, kind),
		offsetof(struct prk_arena_shm, lock),
		offsetof(struct prk_arena_shm, naming),
		offsetof(struct prk_arena_shm, broken),
		offsetof(struct prk_arena_shm, undo),
		offsetof(struct prk_arena_shm, fresh),
		offsetof(struct prk_arena_shm, size),
		offsetof(struct prk_arena_shm, last),
		offsetof(struct prk_arena_shm, used),
		offsetof(struct prk_arena_shm, claims),
		offsetof(struct prk_arena_shm, map),
		offsetof(struct prk_arena_shm, head),
		offsetof(struct prk_arena_shm, claim),
		offsetof(struct prk_arena_shm, root),
		offsetof(struct prk_block, before),
		offsetof(struct prk_block, next),
		offsetof(struct prk_claim, owner),
		offsetof(struct prk_root, link),
		offsetof(struct prk_undo, entry),
		PRK_GRANULE,
		PRK_CLASS_STEPS_LOG2,
		PRK_SLOT_BITS,
	};
	uint32_t fold = UINT32_C(2166136261); /* FNV-1a, a word at a time */

	for (unsigned int i = 0; i < sizeof layout / sizeof layout[0]; i++)
		fold = (fold ^ layout[i]) * UINT32_C(16777619);
	return fold;
}

int prk_segment_file(const char *name, char file[PRK_SEGMENT_NAME])
{
	int r = prk_arena_name(name);

	if (r == 0) {
		size_t length = strlen(name);
		memcpy(file, name, length);
		memcpy(file + length, SUFFIX, sizeof SUFFIX);
	}
	return r;
}

/* ---- making ---- */

static uint64_t rounded(uint64_t size)
{
	return size > PRK_ARENA_MAX   ? PRK_ARENA_MAX :
	       size < PRK_ARENA_LEAST ? PRK_ARENA_LEAST :
					(size + SEGMENT_PAGE - 1) & ~(SEGMENT_PAGE - 1);
}

/* size bytes are there, limit bytes of addresses are wanted. */
static int map_segment(int fd, uint64_t size, uint64_t limit, struct prusik_arena *arena)
{
	void *shm;
	int r = prk_huge_map(&shm, limit, fd);

	if (r < 0)
		return r;
	arena->shm = shm;
	arena->limit = limit;
	arena->known = size;
	arena->size = 0; /* not measured yet: size and reach may differ */
	arena->zero_locked = PRK_ARENA_ZERO_LOCKED;
	arena->fd = -1;
	return 0;
}

/* Keep the descriptor, if the arena can grow. */
static int keep(int fd, struct prusik_arena *arena)
{
	struct stat st;

	if (arena->limit == arena->known)
		return 0;
	int r = prk_sys_fstat(fd, &st);
	arena->device = st.st_dev;
	arena->inode = st.st_ino;
	arena->fd = fd;
	return r;
}

static void write_header(struct prusik_arena *arena, uint64_t size, const struct prk_segment_plan *plan)
{
	struct prk_arena_shm *shm = arena->shm;

	shm->magic = PRK_ARENA_MAGIC;
	shm->version = PRK_ARENA_VERSION;
	shm->signature = segment_signature();
	shm->domain = prk_domain();
	shm->limit = arena->limit;
	shm->reach = size;
	shm->size = size;
	arena->size = size;
	arena->end = prk_arena_end(size);
	shm->flags = plan->flags;
	memcpy(shm->kind, plan->kind, strlen(plan->kind));
	shm->made = time(NULL);
	prk_arena_fill(arena);
}

/* A nameless file of that size, all of it set aside. Its descriptor, or -errno. */
static int make_file(int dir, uint64_t size)
{
	int fd = prk_sys_openat(dir, ".", O_RDWR | O_TMPFILE, 0600);

	if (fd < 0)
		return fd;
	int r = prk_sys_fallocate(fd, 0, (off_t)size);
	if (r == 0)
		return fd;
	prk_sys_close(fd);
	return r == -EFBIG ? -ENOSPC : r;
}

/* What lies in it, and at last its name. */
static int fill_segment(int fd, int dir, const char *file, const struct prk_segment_plan *plan,
			struct prusik_arena *arena)
{
	int r = 0;

	write_header(arena, arena->known, plan);
	if (plan->make)
		r = plan->make(arena, plan->context);
	if (r >= 0 && file)
		r = prk_sys_flock(fd, LOCK_SH); /* N1 */
	if (r >= 0 && file)
		r = prk_sys_link_fd(fd, dir, file);
	return r < 0 ? r : 0;
}

/* The limit, or half of it, and so on, as there is address space. */
static int map_new(int fd, uint64_t size, const struct prk_segment_plan *plan, struct prusik_arena *arena)
{
	uint64_t limit = plan->limit > size ? rounded(plan->limit) : size;
	int r = map_segment(fd, size, limit, arena);

	while (r == -ENOMEM && plan->modest && limit > size) {
		limit = limit / 2 > size ? rounded(limit / 2) : size;
		r = map_segment(fd, size, limit, arena);
	}
	return r;
}

static int create_in(int dir, const char *file, const struct prk_segment_plan *plan, struct prusik_arena *arena)
{
	uint64_t size = rounded(plan->size);
	int fd = make_file(dir, size);

	if (fd < 0)
		return fd;
	int r = map_new(fd, size, plan, arena);
	if (r == 0) {
		prk_huge_fill(arena, 0, size);
		r = keep(fd, arena);
		if (r == 0)
			r = fill_segment(fd, dir, file, plan, arena);
		if (r < 0)
			prk_sys_munmap(arena->shm, arena->limit);
	}
	if (r < 0 || arena->fd < 0)
		prk_sys_close(fd);
	return r;
}

/* ---- finding ---- */

static bool header_is_ours(const struct prk_arena_shm *head)
{
	return head->magic == PRK_ARENA_MAGIC && head->version == PRK_ARENA_VERSION &&
	       head->signature == segment_signature() && (head->flags & ~PRK_ARENA_PERSISTENT) == 0 &&
	       head->fixed_reserved == 0 && head->kind[0] != 0 && head->kind[PRK_KIND_MAX] == 0;
}

/* A4, and what else the lengths must be. */
static bool lengths_fit(const struct prk_arena_shm *head, uint64_t file)
{
	return head->size >= PRK_ARENA_LEAST && head->size <= head->reach && head->reach <= file &&
	       file <= head->limit && head->limit <= PRK_ARENA_MAX &&
	       ((head->size | head->reach | head->limit | file) % SEGMENT_PAGE) == 0;
}

static int check_stat(const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || st->st_size < (off_t)PRK_ARENA_LEAST)
		return -EPROTO;
	return st->st_uid == geteuid() ? 0 : -EPERM;
}

/*
 * Is the file a segment of ours? Its header as it is now goes to *ret_head. -ESTALE: it is,
 * but of another domain, whose life table was here before.
 */
static int check_file(int fd, struct prk_arena_shm *ret_head, struct stat *ret_stat)
{
	int r = prk_sys_fstat(fd, ret_stat);

	if (r == 0)
		r = check_stat(ret_stat);
	if (r < 0)
		return r;
	ssize_t n = prk_sys_pread(fd, ret_head, sizeof *ret_head, 0);
	if (n < 0)
		return (int)n;
	/* Once more, after reach was read: it may have grown since, the file first. */
	r = prk_sys_fstat(fd, ret_stat);
	if (r < 0)
		return r;
	if (n != sizeof *ret_head || !header_is_ours(ret_head) || !lengths_fit(ret_head, (uint64_t)ret_stat->st_size))
		return -EPROTO;
	return ret_head->domain == prk_domain() ? 0 : -ESTALE;
}

/* A file that was copied can have holes, which would fail on use when memory is short. */
static int fill_holes(int fd)
{
	struct stat st;
	int r = prk_sys_fstat(fd, &st);

	if (r < 0 || (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size)
		return r;
	return prk_sys_fallocate(fd, 0, st.st_size);
}

/* Its descriptor. */
static int open_file(int dir, const char *file)
{
	int fd = prk_sys_openat(dir, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);

	if (fd == -ELOOP || fd == -EISDIR || fd == -ENXIO)
		return -EPROTO; /* a link, a directory, a socket: something, but no arena */
	return fd;
}

/* ---- dying ---- */

uint64_t prk_segment_bytes(const struct prusik_arena *arena)
{
	struct stat st;

	if (arena->fd < 0 || prk_sys_fstat(arena->fd, &st) < 0 || st.st_dev != arena->device ||
	    st.st_ino != arena->inode)
		return 0;
	return (uint64_t)st.st_size;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Remove the name, if it is that file's (fd -1: whose ever it is). Under the directory's flock: N4. */
static int unlink_locked(int dir, const char *file, int fd)
{
	struct stat named, own;
	int r = fd < 0 ? 0 : prk_sys_fstatat(dir, file, &named);

	if (fd >= 0 && r == 0)
		r = prk_sys_fstat(fd, &own);
	if (r == 0 && fd >= 0 && !same_file(&named, &own))
		r = -ENOENT;
	return r < 0 ? r : prk_sys_unlinkat(dir, file);
}

static int unlink_in(int dir, const char *file, int fd)
{
	int r = prk_sys_flock(dir, LOCK_EX);

	if (r < 0)
		return r;
	r = unlink_locked(dir, file, fd);
	(void)prk_sys_flock(dir, LOCK_UN);
	return r;
}

/*
 * 1: it was dead, and is removed; 0: it lives. The file is a segment. Under the
 * directory's flock, so that nobody is taken for alive who looks as well.
 */
static int bury_locked(int dir, const char *file, int fd, uint32_t flags)
{
	if (flags & PRK_ARENA_PERSISTENT)
		return 0;
	int r = prk_sys_flock(fd, LOCK_EX | LOCK_NB); /* N2 */
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	r = unlink_locked(dir, file, fd);
	(void)prk_sys_flock(fd, LOCK_UN); /* before the directory's: who has seen the name looks again */
	return r < 0 && r != -ENOENT ? r : 1;
}

static int bury_if_dead(int dir, const char *file, int fd, uint32_t flags)
{
	int r = prk_sys_flock(dir, LOCK_EX);

	if (r < 0)
		return r;
	r = bury_locked(dir, file, fd, flags);
	(void)prk_sys_flock(dir, LOCK_UN);
	return r;
}

static int hold_locked(int dir, const char *file, int fd, uint32_t flags)
{
	struct stat st;
	int r = bury_locked(dir, file, fd, flags);

	if (r == 0) /* -EAGAIN: who found it dead is dying with the flock in his hands (N5) */
		r = prk_sys_flock(fd, LOCK_SH | LOCK_NB);
	else if (r > 0)
		r = -EAGAIN;
	if (r == 0)
		r = prk_sys_fstat(fd, &st); /* N3 */
	return r == 0 && st.st_nlink == 0 ? -EAGAIN : r;
}

/* Be attached to it. -EAGAIN: it died, or lost its name, under our hands. */
static int hold(int dir, const char *file, int fd, uint32_t flags)
{
	int r = prk_sys_flock(dir, LOCK_EX);

	if (r < 0)
		return r;
	r = hold_locked(dir, file, fd, flags);
	(void)prk_sys_flock(dir, LOCK_UN);
	if (r == -EAGAIN)
		prk_sys_yield();
	return r;
}

/* kind NULL: any will do. */
static bool is_kind(const struct prk_arena_shm *head, const char *kind)
{
	char wanted[sizeof head->kind] = "";

	if (kind)
		memcpy(wanted, kind, strlen(kind));
	return !kind || memcmp(wanted, head->kind, sizeof wanted) == 0;
}

static int attach_file(int dir, const char *file, int fd, const char *kind, struct prusik_arena *arena)
{
	struct prk_arena_shm head;
	struct stat st;
	int r = check_file(fd, &head, &st);

	if (r == -ESTALE)
		return -EPROTO;
	if (r == 0)
		r = hold(dir, file, fd, head.flags);
	if (r == 0 && !is_kind(&head, kind))
		r = -EPROTOTYPE;
	if (r == 0)
		r = fill_holes(fd);
	if (r == 0)
		r = map_segment(fd, head.reach, head.limit, arena);
	if (r < 0)
		return r;
	r = keep(fd, arena);
	if (r < 0)
		prk_sys_munmap(arena->shm, arena->limit);
	return r;
}

static int open_in(int dir, const char *file, const char *kind, struct prusik_arena *arena)
{
	int r;

	do {
		int fd = open_file(dir, file);
		if (fd < 0)
			return fd;
		r = attach_file(dir, file, fd, kind, arena);
		if (r < 0 || arena->fd < 0)
			prk_sys_close(fd);
	} while (r == -EAGAIN);
	return r;
}

/* ---- the calls ---- */

int prk_segment_directory(void)
{
	int r = prk_life_open();

	return r < 0 ? r : prk_domain_directory();
}

static int attach(int dir, const char *file, const struct prk_segment_plan *plan, const char *kind,
		  struct prusik_arena **ret_arena)
{
	struct prusik_arena *arena = prk_sys_calloc(sizeof *arena);

	if (!arena)
		return -ENOMEM;
	int r = plan ? create_in(dir, file, plan, arena) : open_in(dir, file, kind, arena);
	if (r < 0)
		prk_sys_free(arena);
	else
		*ret_arena = arena;
	return r;
}

int prk_segment_create(const char *file, const struct prk_segment_plan *plan, struct prusik_arena **ret_arena)
{
	if (plan->size > PRK_ARENA_MAX || plan->limit > PRK_ARENA_MAX)
		return -ENOSPC;
	int dir = prk_segment_directory();
	if (dir < 0)
		return dir;
	int r = attach(dir, file, plan, NULL, ret_arena);
	prk_sys_close(dir);
	return r;
}

int prk_segment_open(const char *file, const char *kind, struct prusik_arena **ret_arena)
{
	int dir = prk_segment_directory();

	if (dir < 0)
		return dir;
	int r = attach(dir, file, NULL, kind, ret_arena);
	prk_sys_close(dir);
	return r;
}

static int bury_in(int dir, const char *file)
{
	struct prk_arena_shm head;
	struct stat st;
	int fd = open_file(dir, file);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	int r = check_file(fd, &head, &st);
	if (r == 0)
		r = bury_if_dead(dir, file, fd, head.flags);
	else if (r == -ESTALE) /* nobody can attach to it any more */
		r = bury_if_dead(dir, file, fd, 0);
	prk_sys_close(fd);
	return r;
}

int prk_segment_bury(const char *file)
{
	int dir = prk_segment_directory();

	if (dir < 0)
		return dir;
	int r = bury_in(dir, file);
	prk_sys_close(dir);
	return r;
}

static int unlink_unused(int dir, const char *file)
{
	int fd = open_file(dir, file);

	if (fd < 0)
		return fd;
	int r = bury_if_dead(dir, file, fd, 0);
	prk_sys_close(fd);
	return r > 0 ? 0 : r == 0 ? -EBUSY : r;
}

int prk_segment_unlink(const char *file, bool unused)
{
	int dir = prk_domain_directory();

	if (dir < 0)
		return dir;
	int r = unused ? unlink_unused(dir, file) : unlink_in(dir, file, -1);
	prk_sys_close(dir);
	return r;
}

int prk_segment_look(int dir, const char *file, struct prk_arena_shm *ret_head, struct stat *ret_stat)
{
	*ret_stat = (struct stat){ 0 };
	int fd = open_file(dir, file);
	if (fd < 0)
		return fd;
	int r = check_file(fd, ret_head, ret_stat);
	prk_sys_close(fd);
	return r;
}

void prk_segment_close(struct prusik_arena *arena)
{
	if (!arena)
		return;
	if (arena->fd >= 0 && prk_segment_bytes(arena) > 0)
		prk_sys_close(arena->fd);
	prk_sys_munmap(arena->shm, arena->limit);
	prk_sys_free(arena);
}

/* ---- private memory ---- */

/* Address space that is filled as it is used. *size is halved until there is so much. */
static int map_private(uint64_t *size, void **ret_shm)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	int r = prk_sys_mmap(ret_shm, *size, PROT_READ | PROT_WRITE, flags, -1, 0);

	while (r == -ENOMEM && *size > PRK_ARENA_MIN) {
		*size = rounded(*size / 2);
		r = prk_sys_mmap(ret_shm, *size, PROT_READ | PROT_WRITE, flags, -1, 0);
	}
	return r;
}

int prk_arena_private(uint64_t size, struct prusik_arena **ret_arena)
{
	const struct prk_segment_plan plan = { .kind = "private" };
	int r = prk_life_open();

	if (r < 0)
		return r;
	struct prusik_arena *arena = prk_sys_calloc(sizeof *arena);
	if (!arena)
		return -ENOMEM;
	void *shm;
	uint64_t bytes = rounded(size < PRK_ARENA_MAX ? size : PRK_ARENA_MAX);
	r = map_private(&bytes, &shm);
	if (r < 0) {
		prk_sys_free(arena);
		return r;
	}
	*arena = (struct prusik_arena){
		.shm = shm, .limit = bytes, .known = bytes, .fd = -1, .zero_locked = PRK_ARENA_ZERO_LOCKED
	};
	prk_huge_private(shm, bytes);
	write_header(arena, bytes, &plan);
	*ret_arena = arena;
	return 0;
}
