/* SPDX-License-Identifier: MIT */
/* named_find - one name, one arena, one object in it */
#include "shm/named.h"

#include "shm/segment.h"

#include <errno.h>
#include <string.h>

#define FLAGS (PRUSIK_EXISTING | PRUSIK_NEW | PRUSIK_PERSISTENT)

/* A dead one in the way of who wants a new one is removed: -EAGAIN, once more. */
static int make_new(const char *file, uint32_t flags, const struct prk_segment_plan *plan,
		    struct prusik_arena **ret_arena)
{
	int r = prk_segment_create(file, plan, ret_arena);

	if (r != -EEXIST || !(flags & PRUSIK_NEW))
		return r == -EEXIST ? -EAGAIN : r;
	r = prk_segment_bury(file);
	return r > 0 ? -EAGAIN : -EEXIST;
}

static int join_or_make(const char *file, uint32_t flags, const struct prk_segment_plan *plan,
			struct prusik_arena **ret_arena)
{
	int r;

	do {
		r = flags & PRUSIK_NEW ? -ENOENT : prk_segment_open(file, plan->kind, ret_arena);
		if (r == -ENOENT && !(flags & PRUSIK_EXISTING))
			r = make_new(file, flags, plan, ret_arena);
	} while (r == -EAGAIN);
	return r;
}

int prk_named_open_within(const char *name, const char *kind, uint32_t flags, uint64_t size, uint64_t limit,
			  int (*make)(struct prusik_arena *arena, void *context), void *context,
			  struct prusik_arena **ret_arena)
{
	const struct prk_segment_plan plan = {
		.kind = kind,
		.size = size,
		.limit = limit ? limit : PRK_ARENA_LIMIT,
		.modest = limit == 0,
		.flags = flags & PRUSIK_PERSISTENT ? PRK_ARENA_PERSISTENT : 0,
		.make = make,
		.context = context,
	};
	char file[PRK_SEGMENT_NAME];
	int r = prk_segment_file(name, file);

	if (r < 0)
		return r;
	if ((flags & ~FLAGS) || (flags & (PRUSIK_EXISTING | PRUSIK_NEW)) == (PRUSIK_EXISTING | PRUSIK_NEW))
		return -EINVAL;
	return join_or_make(file, flags, &plan, ret_arena);
}

int prk_named_open(const char *name, const char *kind, uint32_t flags, uint64_t size,
		   int (*make)(struct prusik_arena *arena, void *context), void *context,
		   struct prusik_arena **ret_arena)
{
	return prk_named_open_within(name, kind, flags, size, 0, make, context, ret_arena);
}

int prk_named_make(struct prusik_arena *arena, uint64_t size, void **ret_object)
{
	uint64_t *link;
	int r = prusik_arena_root(arena, PRK_NAMED_ROOT, &link);

	if (r >= 0)
		r = prusik_arena_alloc(arena, size, link);
	if (r < 0)
		return r;
	*ret_object = prusik_arena_pointer(arena, *link);
	return 0;
}

int prk_named_find(struct prusik_arena *arena, uint64_t size, void **ret_object)
{
	uint64_t *link;
	int r = prk_arena_find_root(arena, PRK_NAMED_ROOT, &link);

	if (r < 0)
		return r == -ENOENT ? -EPROTO : r;
	uint64_t offset = prk_load64_rlx(link), bytes = prk_arena_bytes_from(arena, offset);
	if (bytes == 0 || bytes < size)
		return -EPROTO;
	*ret_object = prusik_arena_pointer(arena, offset);
	return 0;
}
