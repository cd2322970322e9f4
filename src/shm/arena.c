/* SPDX-License-Identifier: MIT */
/*
 * arena - making, finding and naming
 *
 * An arena is a file in the domain's directory that begins without a name
 * (O_TMPFILE), is filled, and then is given its name: so it is born whole, and a
 * maker that is killed leaves nothing. An anonymous arena is one that never gets
 * a name; its memory counts against the same file system, which refuses what it
 * has no room for, where a memfd would call for the out-of-memory killer.
 */
#include "shm/arena.h"

#include "base/life.h"
#include "base/sys.h"
#include "shm/alloc.h"
#include "sync/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SUFFIX ".arena"
#define ARENA_PAGE UINT64_C(4096)

_Static_assert(sizeof(struct prk_block) == 32 && sizeof(struct prk_claim) == 16 &&
		       sizeof(struct prk_root) == 72,
	       "shared layout");
_Static_assert((PRK_ARENA_FIRST + sizeof(struct prk_block)) % PRK_GRANULE == 0,
	       "payloads are aligned");
_Static_assert(PRK_ARENA_MIN % ARENA_PAGE == 0 && PRK_ARENA_FIRST < PRK_ARENA_MIN / 2,
	       "there is room");

/* Two builds that disagree about the layout disagree about this. */
static uint32_t arena_signature(void)
{
	static const uint32_t layout[] = {
		sizeof(struct prk_arena_shm),
		sizeof(struct prk_block),
		sizeof(struct prk_claim),
		sizeof(struct prk_root),
		sizeof(struct prk_undo),
		sizeof(struct prusik_lock),
		offsetof(struct prk_arena_shm, lock),
		offsetof(struct prk_arena_shm, naming),
		offsetof(struct prk_arena_shm, broken),
		offsetof(struct prk_arena_shm, undo),
		offsetof(struct prk_arena_shm, fresh),
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

/* ---- the lock ---- */

static bool arena_roll_back(struct prusik_arena *arena)
{
	struct prk_arena_shm *shm = arena->shm;

	return prk_undo_rollback(&shm->undo, &shm->used, (char *)shm + arena->end);
}

/* After a death: put things right, or say for ever that it cannot be done. */
static int arena_recover(struct prusik_arena *arena)
{
	if (!arena_roll_back(arena))
		prk_store32_rlx(&arena->shm->broken, 1);
	return PRUSIK_RECOVERED;
}

/* The lock is held. A log that is not empty, though nobody died, is no log. */
static int arena_ready(struct prusik_arena *arena)
{
	struct prk_arena_shm *shm = arena->shm;

	if (prk_load32_rlx(&shm->broken) || prk_load32_rlx(&shm->undo.count) != 0)
		return -EPROTO;
	return prk_load64_rlx(&shm->claims) ? prk_arena_reclaim(arena) : 0;
}

int prk_arena_lock(struct prusik_arena *arena)
{
	int r = prk_lock_take(&arena->shm->lock);

	if (r == PRUSIK_RECOVERED)
		r = arena_recover(arena);
	if (r < 0)
		return r;
	int state = arena_ready(arena);
	if (state == 0)
		return r;
	arena_roll_back(arena);
	prk_lock_release(&arena->shm->lock);
	return state;
}

int prk_arena_unlock(struct prusik_arena *arena, int result)
{
	if (result < 0)
		arena_roll_back(arena);
	else
		prk_undo_commit(&arena->shm->undo);
	prk_lock_release(&arena->shm->lock);
	return result;
}

int prk_arena_name_lock(struct prusik_arena *arena)
{
	return prk_lock_take(&arena->shm->naming);
}

void prk_arena_name_unlock(struct prusik_arena *arena)
{
	prk_lock_release(&arena->shm->naming);
}

/* ---- making and opening ---- */

int prk_arena_name(const char *name)
{
	if (!name || !*name || *name == '.' || strchr(name, '/'))
		return -EINVAL;
	return strlen(name) > PRUSIK_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int arena_file_name(const char *name, char file[PRUSIK_NAME_MAX + sizeof SUFFIX])
{
	int r = prk_arena_name(name);

	if (r == 0) {
		size_t length = strlen(name);
		memcpy(file, name, length);
		memcpy(file + length, SUFFIX, sizeof SUFFIX);
	}
	return r;
}

static uint64_t arena_rounded(uint64_t size)
{
	return size < PRK_ARENA_MIN ? PRK_ARENA_MIN : (size + ARENA_PAGE - 1) & ~(ARENA_PAGE - 1);
}

static void set_segment(struct prusik_arena *arena, void *shm, uint64_t size)
{
	arena->shm = shm;
	arena->size = size;
	arena->end = PRK_ARENA_FIRST + (size - PRK_ARENA_FIRST) / PRK_GRANULE * PRK_GRANULE;
	arena->zero_locked = PRK_ARENA_ZERO_LOCKED;
}

static int map_segment(int fd, uint64_t size, struct prusik_arena *arena)
{
	void *shm;
	int r = prk_sys_mmap(&shm, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (r == 0)
		set_segment(arena, shm, size);
	return r;
}

static void write_header(struct prusik_arena *arena)
{
	struct prk_arena_shm *shm = arena->shm;

	shm->magic = PRK_ARENA_MAGIC;
	shm->version = PRK_ARENA_VERSION;
	shm->signature = arena_signature();
	shm->domain = prk_domain();
	shm->size = arena->size;
	prk_arena_fill(arena);
}

/* A nameless file of that size, all of it set aside. Its descriptor, or -errno. */
static int make_segment(int dir, uint64_t size)
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

static int create_in(int dir, const char *file, uint64_t size, struct prusik_arena *arena)
{
	int fd = make_segment(dir, size);

	if (fd < 0)
		return fd;
	int r = map_segment(fd, size, arena);
	if (r == 0) {
		write_header(arena);
		if (file)
			r = prk_sys_link_fd(fd, dir, file);
		if (r < 0)
			prk_sys_munmap(arena->shm, size);
	}
	prk_sys_close(fd);
	return r;
}

static bool header_is_ours(const struct prk_arena_shm *head, uint64_t size)
{
	return head->magic == PRK_ARENA_MAGIC && head->version == PRK_ARENA_VERSION &&
	       head->signature == arena_signature() && head->domain == prk_domain() &&
	       head->size == size;
}

/* A file that was copied can have holes, which would fail on use when memory is short. */
static int fill_holes(int fd, const struct stat *st)
{
	if ((uint64_t)st->st_blocks * 512 >= (uint64_t)st->st_size)
		return 0;
	return prk_sys_fallocate(fd, 0, st->st_size);
}

static int check_segment(int fd, uint64_t *ret_size)
{
	struct prk_arena_shm head;
	struct stat st;
	int r = prk_sys_fstat(fd, &st);

	if (r < 0)
		return r;
	uint64_t size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || size < PRK_ARENA_MIN || size > PRK_ARENA_MAX ||
	    size % ARENA_PAGE)
		return -EPROTO;
	if (st.st_uid != geteuid())
		return -EPERM;
	ssize_t n = prk_sys_pread(fd, &head, sizeof head, 0);
	if (n < 0)
		return (int)n;
	if (n != sizeof head || !header_is_ours(&head, size))
		return -EPROTO;
	*ret_size = size;
	return fill_holes(fd, &st);
}

static int open_in(int dir, const char *file, struct prusik_arena *arena)
{
	uint64_t size;
	int fd = prk_sys_openat(dir, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);

	if (fd == -ELOOP || fd == -EISDIR || fd == -ENXIO)
		return -EPROTO; /* a link, a directory, a socket: something, but no arena */
	if (fd < 0)
		return fd;
	int r = check_segment(fd, &size);
	if (r == 0)
		r = map_segment(fd, size, arena);
	prk_sys_close(fd);
	return r;
}

/* size 0: open; else create. The name has been checked. */
static int attach_to(const char *file, uint64_t size, struct prusik_arena *arena)
{
	int r = prk_life_open();

	if (r < 0)
		return r;
	int dir = prk_domain_directory();
	if (dir < 0)
		return dir;
	r = size ? create_in(dir, file, size, arena) : open_in(dir, file, arena);
	prk_sys_close(dir);
	return r;
}

static int attach_new(const char *file, uint64_t size, struct prusik_arena **ret_arena)
{
	struct prusik_arena *arena = prk_sys_calloc(sizeof *arena);

	if (!arena)
		return -ENOMEM;
	int r = attach_to(file, size, arena);
	if (r < 0)
		prk_sys_free(arena);
	else
		*ret_arena = arena;
	return r;
}

/* ---- the public calls ---- */

int prusik_arena_create(const char *name, uint64_t size, struct prusik_arena **ret_arena)
{
	char file[PRUSIK_NAME_MAX + sizeof SUFFIX];
	int r = name ? arena_file_name(name, file) : 0;

	if (r < 0 || !ret_arena)
		return r < 0 ? r : -EINVAL;
	if (size > PRK_ARENA_MAX)
		return -ENOSPC;
	return attach_new(name ? file : NULL, arena_rounded(size), ret_arena);
}

int prusik_arena_open(const char *name, struct prusik_arena **ret_arena)
{
	char file[PRUSIK_NAME_MAX + sizeof SUFFIX];
	int r = arena_file_name(name, file);

	if (r < 0 || !ret_arena)
		return r < 0 ? r : -EINVAL;
	return attach_new(file, 0, ret_arena);
}

/* Private address space that is filled as it is used. *size is halved until there is so much. */
static int map_private(uint64_t *size, struct prusik_arena *arena)
{
	void *shm;
	int r;

	do
		r = prk_sys_mmap(&shm, *size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	while (r == -ENOMEM && (*size = arena_rounded(*size / 2)) > PRK_ARENA_MIN);
	if (r == 0)
		set_segment(arena, shm, *size);
	return r;
}

int prk_arena_private(uint64_t size, struct prusik_arena **ret_arena)
{
	uint64_t rounded = arena_rounded(size < PRK_ARENA_MAX ? size : PRK_ARENA_MAX);
	int r = prk_life_open();

	if (r < 0)
		return r;
	struct prusik_arena *arena = prk_sys_calloc(sizeof *arena);
	if (!arena)
		return -ENOMEM;
	r = map_private(&rounded, arena);
	if (r < 0) {
		prk_sys_free(arena);
		return r;
	}
	write_header(arena);
	*ret_arena = arena;
	return 0;
}

void prusik_arena_close(struct prusik_arena *arena)
{
	if (!arena)
		return;
	prk_sys_munmap(arena->shm, arena->size);
	prk_sys_free(arena);
}

int prusik_arena_unlink(const char *name)
{
	char file[PRUSIK_NAME_MAX + sizeof SUFFIX];
	int r = arena_file_name(name, file);

	if (r < 0)
		return r;
	int dir = prk_domain_directory();
	if (dir < 0)
		return dir;
	r = prk_sys_unlinkat(dir, file);
	prk_sys_close(dir);
	return r;
}

void *prusik_arena_pointer(const struct prusik_arena *arena, uint64_t offset)
{
	if (!arena || offset == 0 || offset >= arena->size)
		return NULL;
	return (char *)arena->shm + offset;
}

uint64_t prusik_arena_offset(const struct prusik_arena *arena, const void *pointer)
{
	if (!arena || !pointer)
		return 0;
	/* As numbers: wraps to something large for what lies before the arena. */
	uint64_t offset = (uintptr_t)pointer - (uintptr_t)arena->shm;
	return offset < arena->size ? offset : 0;
}

/* A root's link, or 8 aligned bytes among the blocks. */
bool prk_arena_is_link(const struct prusik_arena *arena, const uint64_t *link)
{
	uint64_t offset = prusik_arena_offset(arena, link);
	uint64_t in_roots = offset - offsetof(struct prk_arena_shm, root);

	if (offset % sizeof *link)
		return false;
	if (offset >= PRK_ARENA_FIRST + sizeof(struct prk_block))
		return offset < arena->end;
	return in_roots < sizeof arena->shm->root &&
	       in_roots % sizeof(struct prk_root) == offsetof(struct prk_root, link);
}

/* ---- roots ---- */

static struct prk_root *root_find(struct prk_arena_shm *shm, uint64_t count,
				  const struct prk_root *wanted)
{
	for (uint64_t i = 0; i < count; i++)
		if (memcmp(shm->root[i].name, wanted->name, sizeof wanted->name) == 0)
			return &shm->root[i];
	return NULL;
}

int prk_arena_root_locked(struct prusik_arena *arena, const char *name, bool create,
			  uint64_t **ret_link)
{
	struct prk_arena_shm *shm = arena->shm;
	uint64_t count = prk_load64_rlx(&shm->roots);
	struct prk_root wanted = { .link = 0 };
	int r = prk_arena_name(name);

	if (r < 0 || count > PRK_ROOTS_MAX)
		return r < 0 ? r : -EPROTO;
	memcpy(wanted.name, name, strlen(name));
	struct prk_root *root = root_find(shm, count, &wanted);
	if (!root) {
		if (!create || count == PRK_ROOTS_MAX)
			return create ? -ENOSPC : -ENOENT;
		root = &shm->root[count];
		*root = wanted; /* R1 */
		prk_undo_set64(&shm->undo, &shm->roots, count + 1); /* R2 */
	}
	*ret_link = &root->link;
	return 0;
}

static int root_get(struct prusik_arena *arena, const char *name, bool create, uint64_t **ret_link)
{
	if (!arena || !ret_link)
		return -EINVAL;
	int r = prk_arena_name(name);
	if (r < 0)
		return r;
	int locked = prk_arena_lock(arena);
	if (locked < 0)
		return locked;
	r = prk_arena_unlock(arena, prk_arena_root_locked(arena, name, create, ret_link));
	return r < 0 ? r : locked;
}

int prk_arena_find_root(struct prusik_arena *arena, const char *name, uint64_t **ret_link)
{
	return root_get(arena, name, false, ret_link);
}

int prusik_arena_root(struct prusik_arena *arena, const char *name, uint64_t **ret_link)
{
	return root_get(arena, name, true, ret_link);
}

/* ---- figures ---- */

static int stats_locked(struct prusik_arena *arena, struct prusik_arena_stats *stats)
{
	uint64_t used = prk_load64_rlx(&arena->shm->used), longest, room;

	room = arena->size - prk_arena_overhead(arena);
	int r = prk_arena_longest(arena, &longest);
	if (r < 0 || used > room)
		return -EPROTO;
	stats->size = arena->size;
	stats->used = used;
	stats->free = room - used;
	stats->largest = longest ? longest - sizeof(struct prk_block) : 0;
	stats->blocks = prk_load64_rlx(&arena->shm->blocks);
	return 0;
}

int prusik_arena_stats(struct prusik_arena *arena, struct prusik_arena_stats *ret_stats)
{
	struct prusik_arena_stats stats;

	if (!arena || !ret_stats)
		return -EINVAL;
	int r = prk_arena_lock(arena);
	if (r < 0)
		return r;
	r = prk_arena_unlock(arena, stats_locked(arena, &stats));
	if (r == 0)
		*ret_stats = stats;
	return r;
}
