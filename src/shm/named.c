/* SPDX-License-Identifier: MIT */
/* named - the primitives of fixed size, each in an arena of its own */
#include "shm/named.h"

#include "base/sys.h"

#include <errno.h>
#include <prusik/barrier.h>
#include <prusik/event.h>
#include <prusik/once.h>
#include <prusik/rlock.h>
#include <prusik/rwlock.h>
#include <prusik/semaphore.h>

struct prusik_named {
	struct prusik_arena *arena;
	void *object;
	void *extra;
	uint64_t extra_bytes;
};

#define EXTRA_ROOT "extra"

/* Of the arena, beside the object. */
#define ROOM (PRK_ARENA_FIRST + 256)

static const struct prusik_named_options none;

/* ---- what there is of each kind: its bytes, and how one is made of zeros ---- */

static uint64_t permits_bytes(uint32_t value)
{
	return prusik_permits_size(value);
}

static uint64_t barrier_bytes(uint32_t value)
{
	return prusik_barrier_size(value);
}

static int make_semaphore(void *object, const struct prusik_named_options *o)
{
	return prusik_semaphore_init(object, o->value, o->limit);
}

static int make_permits(void *object, const struct prusik_named_options *o)
{
	return prusik_permits_init(object, o->value);
}

static int make_event(void *object, const struct prusik_named_options *o)
{
	return o->value ? prusik_event_set(object) : 0;
}

static int make_barrier(void *object, const struct prusik_named_options *o)
{
	return prusik_barrier_init(object, o->value);
}

static uint32_t permits_of(const void *object)
{
	return prk_load32_rlx(&((const struct prusik_permits *)object)->count);
}

static uint32_t parties_of(const void *object)
{
	return prk_load32_rlx(&((const struct prusik_barrier *)object)->parties);
}

static const struct kind {
	const char *noun;
	uint64_t size; /* of the fixed part */
	int (*make)(void *object, const struct prusik_named_options *options);
	uint64_t (*bytes)(uint32_t value); /* of all of it, where that depends on value */
	uint32_t (*value)(const void *object); /* with which it was made */
} kinds[] = {
	[PRUSIK_KIND_LOCK] = { "lock", sizeof(struct prusik_lock), NULL, NULL, NULL },
	[PRUSIK_KIND_RLOCK] = { "rlock", sizeof(struct prusik_rlock), NULL, NULL, NULL },
	[PRUSIK_KIND_RWLOCK] = { "rwlock", sizeof(struct prusik_rwlock), NULL, NULL, NULL },
	[PRUSIK_KIND_SEMAPHORE] = { "semaphore", sizeof(struct prusik_semaphore), make_semaphore, NULL, NULL },
	[PRUSIK_KIND_PERMITS] = { "permits", sizeof(struct prusik_permits), make_permits, permits_bytes, permits_of },
	[PRUSIK_KIND_EVENT] = { "event", sizeof(struct prusik_event), make_event, NULL, NULL },
	[PRUSIK_KIND_BARRIER] = { "barrier", sizeof(struct prusik_barrier), make_barrier, barrier_bytes, parties_of },
	[PRUSIK_KIND_ONCE] = { "once", sizeof(struct prusik_once), NULL, NULL, NULL },
	[PRUSIK_KIND_CONDITION] = { "condition", sizeof(struct prusik_named_condition), NULL, NULL, NULL },
};

#define KINDS (sizeof kinds / sizeof kinds[0])

/* ---- making and joining ---- */

/* What make_object is told. */
struct wish {
	const struct kind *kind;
	struct prusik_named_options options;
	uint64_t bytes;
};

static int make_extra(struct prusik_arena *arena, uint32_t bytes)
{
	uint64_t *link;
	int r = prusik_arena_root(arena, EXTRA_ROOT, &link);

	return r < 0 ? r : prusik_arena_alloc(arena, bytes, link);
}

static int make_object(struct prusik_arena *arena, void *context)
{
	const struct wish *wish = context;
	void *object;
	int r = prk_named_make(arena, wish->bytes, &object);

	if (r == 0 && wish->kind->make)
		r = wish->kind->make(object, &wish->options);
	return r == 0 && wish->options.extra ? make_extra(arena, wish->options.extra) : r;
}

static int settle(enum prusik_kind kind, const struct prusik_named_options *options, struct wish *wish)
{
	if ((unsigned int)kind >= KINDS)
		return -EINVAL;
	*wish = (struct wish){ .kind = &kinds[kind], .options = options ? *options : none };
	wish->bytes = wish->kind->size;
	if (!wish->kind->bytes)
		return 0;
	if (wish->options.value == 0)
		wish->options.value = 1;
	wish->bytes = wish->kind->bytes(wish->options.value);
	return wish->bytes ? 0 : -EINVAL;
}

/* The object, after a look whether the block is as long as it says. */
static int find_object(const struct kind *kind, struct prusik_named *handle)
{
	int r = prk_named_find(handle->arena, kind->size, &handle->object);

	if (r < 0 || !kind->bytes)
		return r;
	uint64_t bytes = kind->bytes(kind->value(handle->object));
	return bytes ? prk_named_find(handle->arena, bytes, &handle->object) : -EPROTO;
}

static int find_extra(struct prusik_named *handle)
{
	uint64_t *link;
	int r = prk_arena_find_root(handle->arena, EXTRA_ROOT, &link);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	uint64_t offset = prk_load64_rlx(link);
	handle->extra_bytes = prk_arena_bytes_from(handle->arena, offset);
	if (handle->extra_bytes == 0)
		return -EPROTO;
	handle->extra = prusik_arena_pointer(handle->arena, offset);
	return 0;
}

static int open_object(const char *name, struct wish *wish, struct prusik_named *handle)
{
	int r = prk_named_open_within(name, wish->kind->noun, wish->options.flags,
				      ROOM + wish->bytes + wish->options.extra, 1, make_object, wish, &handle->arena);

	if (r < 0)
		return r;
	r = find_object(wish->kind, handle);
	if (r >= 0)
		r = find_extra(handle);
	if (r < 0)
		prusik_arena_close(handle->arena);
	return r;
}

int prusik_named_open(const char *name, enum prusik_kind kind, const struct prusik_named_options *options,
		      struct prusik_named **ret_handle)
{
	struct wish wish;
	int r = ret_handle ? settle(kind, options, &wish) : -EINVAL;

	if (r < 0)
		return r;
	struct prusik_named *handle = prk_sys_calloc(sizeof *handle);
	if (!handle)
		return -ENOMEM;
	r = open_object(name, &wish, handle);
	if (r < 0)
		prk_sys_free(handle);
	else
		*ret_handle = handle;
	return r;
}

void *prusik_named_object(const struct prusik_named *handle)
{
	return handle ? handle->object : NULL;
}

void *prusik_named_extra(const struct prusik_named *handle, uint64_t *ret_bytes)
{
	if (ret_bytes)
		*ret_bytes = handle ? handle->extra_bytes : 0;
	return handle ? handle->extra : NULL;
}

void prusik_named_close(struct prusik_named *handle)
{
	if (!handle)
		return;
	prusik_arena_close(handle->arena);
	prk_sys_free(handle);
}
