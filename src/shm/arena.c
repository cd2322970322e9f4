/* SPDX-License-Identifier: MIT */
/* arena - the public calls, the lock, roots, figures; its file is segment.c's */
#include "shm/arena.h"

#include "shm/alloc.h"
#include "shm/segment.h"
#include "sync/lock.h"

#include <errno.h>
#include <string.h>

#define KIND "arena"

/* ---- the lock ---- */

int prk_arena_measure(struct prusik_arena *arena)
{
	uint64_t size = prk_load64_rlx(&arena->shm->size);

	if (size == arena->size)
		return 0;
	if (size < PRK_ARENA_LEAST || size % PRK_ARENA_PAGE || !prk_arena_within(arena, 0, size))
		return -EPROTO;
	arena->size = size;
	arena->end = prk_arena_end(size);
	return 0;
}

static bool arena_roll_back(struct prusik_arena *arena)
{
	struct prk_arena_shm *shm = arena->shm;
	uint64_t known = prk_arena_learn(arena);

	return prk_undo_rollback(&shm->undo, &shm->size, (char *)shm + known) && prk_arena_measure(arena) == 0;
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

	if (!prk_undo_sound(&shm->undo))
		prk_undo_damage(&shm->undo); /* nor is it to be obeyed */
	if (prk_load32_rlx(&shm->broken) || !prk_undo_sound(&shm->undo))
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
	int state = prk_arena_measure(arena);
	if (state == 0)
		state = arena_ready(arena);
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

int prk_arena_name(const char *name)
{
	if (!name || !*name || *name == '.' || strchr(name, '/'))
		return -EINVAL;
	return strlen(name) > PRUSIK_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* ---- the public calls ---- */

static const struct prusik_arena_options no_options;

static int create(const char *name, const struct prk_segment_plan *plan, struct prusik_arena **ret_arena)
{
	char file[PRK_SEGMENT_NAME];
	int r = name ? prk_segment_file(name, file) : 0;

	if (r < 0 || !ret_arena)
		return r < 0 ? r : -EINVAL;
	return prk_segment_create(name ? file : NULL, plan, ret_arena);
}

static uint64_t at_least(uint64_t size, uint64_t least)
{
	return size < least ? least : size;
}

int prusik_arena_create(const char *name, uint64_t size, struct prusik_arena **ret_arena)
{
	const struct prk_segment_plan plan = {
		.kind = KIND,
		.size = at_least(size, PRK_ARENA_MIN),
		.flags = PRK_ARENA_PERSISTENT,
	};

	return create(name, &plan, ret_arena);
}

int prusik_arena_create_with(const char *name, const struct prusik_arena_options *options,
			     struct prusik_arena **ret_arena)
{
	const struct prusik_arena_options *o = options ? options : &no_options;
	const struct prk_segment_plan plan = {
		.kind = KIND,
		.size = at_least(o->size, PRK_ARENA_MIN),
		.limit = o->limit ? at_least(o->limit, o->size) : PRK_ARENA_LIMIT,
		.modest = o->limit == 0,
		.flags = o->flags & PRUSIK_PERSISTENT ? PRK_ARENA_PERSISTENT : 0,
	};

	return o->flags & ~PRUSIK_PERSISTENT ? -EINVAL : create(name, &plan, ret_arena);
}

int prusik_arena_open(const char *name, struct prusik_arena **ret_arena)
{
	char file[PRK_SEGMENT_NAME];
	int r = prk_segment_file(name, file);

	if (r < 0 || !ret_arena)
		return r < 0 ? r : -EINVAL;
	return prk_segment_open(file, KIND, ret_arena);
}

void prusik_arena_close(struct prusik_arena *arena)
{
	prk_segment_close(arena);
}

int prusik_arena_unlink(const char *name)
{
	char file[PRK_SEGMENT_NAME];
	int r = prk_segment_file(name, file);

	return r < 0 ? r : prk_segment_unlink(file, false);
}

void *prusik_arena_pointer(const struct prusik_arena *arena, uint64_t offset)
{
	if (!arena || offset == 0 || !prk_arena_within(arena, offset, 1))
		return NULL;
	return (char *)arena->shm + offset;
}

uint64_t prusik_arena_offset(const struct prusik_arena *arena, const void *pointer)
{
	if (!arena || !pointer)
		return 0;
	/* As numbers: wraps to something large for what lies before the arena. */
	uint64_t offset = (uintptr_t)pointer - (uintptr_t)arena->shm;
	return prk_arena_within(arena, offset, 1) ? offset : 0;
}

/* A root's link, or 8 aligned bytes among the blocks. */
bool prk_arena_is_link(const struct prusik_arena *arena, const uint64_t *link)
{
	uint64_t offset = prusik_arena_offset(arena, link);
	uint64_t in_roots = offset - offsetof(struct prk_arena_shm, root);

	if (offset % sizeof *link)
		return false;
	if (offset >= PRK_ARENA_FIRST + sizeof(struct prk_block))
		return prk_arena_within(arena, offset, sizeof *link);
	return in_roots < sizeof arena->shm->root &&
	       in_roots % sizeof(struct prk_root) == offsetof(struct prk_root, link);
}

/* ---- roots ---- */

static struct prk_root *root_find(struct prk_arena_shm *shm, uint64_t count, const struct prk_root *wanted)
{
	for (uint64_t i = 0; i < count; i++)
		if (memcmp(shm->root[i].name, wanted->name, sizeof wanted->name) == 0)
			return &shm->root[i];
	return NULL;
}

int prk_arena_root_locked(struct prusik_arena *arena, const char *name, bool create, uint64_t **ret_link)
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
	stats->limit = arena->limit;
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
