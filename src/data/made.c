/* SPDX-License-Identifier: MIT */
/* made: containers come to be, are found, and go (made.h) */
#include "data/made.h"

#include "base/life.h"
#include "base/sys.h"
#include "data/heap.h"
#include "shm/named.h"

#include <errno.h>
#include <string.h>

/* The body of a block; NULL: too short to be one. */
static struct prk_made *body_at(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t offset,
				uint64_t *ret_bytes)
{
	uint64_t bytes = offset ? prk_arena_bytes_from(arena, offset) : 0;

	if (bytes < sort->bytes)
		return NULL;
	if (ret_bytes)
		*ret_bytes = bytes;
	return prusik_arena_pointer(arena, offset);
}

/* The naming lock is held. Killed inside: link's body says that it is no container. */
static int destroy_locked(const struct prk_sort *sort, struct prusik_arena *arena, struct prk_made *body,
			  uint64_t *link)
{
	int r = sort->drop(arena, body);

	return r < 0 ? -EPROTO : prusik_arena_free(arena, link);
}

/*
 * With the arena's naming lock held nobody alive is making or destroying one, so what
 * link names without being a container was left by a dead one.
 */
static int clear_link(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link)
{
	uint64_t offset = prk_load64_rlx(link);

	if (offset == 0)
		return 0;
	struct prk_made *left = body_at(sort, arena, offset, NULL);
	uint64_t magic = left ? prk_load64_acq(&left->magic) : sort->magic; /* acq [made.magic] */
	if (magic != 0 && magic != PRK_MADE_DYING)
		return -EEXIST;
	return destroy_locked(sort, arena, left, link);
}

static int make_locked(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link, uint64_t bytes,
		       const void *options, void **ret_body)
{
	int r = clear_link(sort, arena, link);

	if (r == 0)
		r = prusik_arena_alloc(arena, bytes, link);
	if (r < 0)
		return r;
	struct prk_made *body = prusik_arena_pointer(arena, prk_load64_rlx(link));
	r = sort->set_up(arena, body, options);
	if (r < 0) {
		destroy_locked(sort, arena, body, link);
		return r;
	}
	body->version = sort->version;
	body->signature = sort->signature;
	body->serial = ++arena->shm->serial;
	prk_store64_rel(&body->magic, sort->magic); /* M-S, rel [made.magic]: it is whole */
	*ret_body = body;
	return 0;
}

int prk_made_create(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link, uint64_t bytes,
		    const void *options, void **ret_body)
{
	int r = arena && link && prk_arena_is_link(arena, link) ? prk_joined() : -EINVAL;

	if (r == 0)
		r = prk_heap_name_lock(arena);
	if (r < 0)
		return r;
	r = make_locked(sort, arena, link, bytes, options, ret_body);
	prk_arena_name_unlock(arena);
	return r;
}

int prk_made_create_named(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, uint64_t bytes,
			  const void *options, void **ret_body)
{
	uint64_t *link;
	int r = prusik_arena_root(arena, name, &link);

	return r < 0 ? r : prk_made_create(sort, arena, link, bytes, options, ret_body);
}

static int find(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t offset, void **ret_body,
		uint64_t *ret_bytes)
{
	if (offset == 0)
		return -ENOENT;
	struct prk_made *body = body_at(sort, arena, offset, ret_bytes);
	uint64_t magic = body ? prk_load64_acq(&body->magic) : 1; /* acq [made.magic] */
	if (magic == 0 || magic == PRK_MADE_DYING)
		return -ENOENT; /* not made yet, or destroyed, or its maker died */
	if (magic != sort->magic || body->version != sort->version || body->signature != sort->signature)
		return -EPROTO;
	*ret_body = body;
	return 0;
}

uint64_t prk_made_reference(const struct prusik_arena *arena, const void *body)
{
	uint64_t offset = prusik_arena_offset(arena, body);

	return offset ? prk_reference(offset, ((const struct prk_made *)body)->serial) : 0;
}

int prk_made_at(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t reference, void **ret_body,
		uint64_t *ret_bytes)
{
	uint64_t offset = prk_reference_offset(reference);
	int r = arena ? find(sort, arena, offset, ret_body, ret_bytes) : -EINVAL;

	if (r == 0 && prk_reference(offset, ((const struct prk_made *)*ret_body)->serial) != reference)
		return -ENOENT; /* it lies where the one meant was */
	return r;
}

int prk_made_open(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, void **ret_body,
		  uint64_t *ret_bytes)
{
	uint64_t *link;
	int r = prk_arena_find_root(arena, name, &link);

	if (r < 0)
		return r;
	return find(sort, arena, prk_load64_acq(link), ret_body, ret_bytes); /* acq [arena.link] */
}

int prk_made_destroy(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link)
{
	void *body;

	if (!arena || !link || !prk_arena_is_link(arena, link))
		return -EINVAL;
	int r = prk_heap_name_lock(arena);
	if (r < 0)
		return r;
	r = clear_link(sort, arena, link);
	if (r == -EEXIST) {
		r = find(sort, arena, prk_load64_rlx(link), &body, NULL);
		if (r == 0) {
			/* M-D, rel [made.magic] */
			prk_store64_rel(&((struct prk_made *)body)->magic, PRK_MADE_DYING);
			r = destroy_locked(sort, arena, body, link);
		}
	}
	prk_arena_name_unlock(arena);
	return r;
}

/* ---- handles ---- */

#define LINE 64u

static void leave(const struct prk_home *home)
{
	if (home->own_arena)
		prusik_arena_close(home->arena);
	prk_sys_free(home->memory);
}

void prk_handle_free(void *handle, const struct prk_home *home)
{
	leave(home);
	prk_sys_free(handle);
}

/* r: what the making or finding of body came to. Where there is no handle in the end, home is left. */
static int handle(int r, const struct prk_sort *sort, const struct prk_home *home, void *body, uint64_t bytes,
		  const void *wish, void *ret_handle)
{
	void *made = r == 0 ? prk_sys_calloc(sort->handle_bytes) : NULL;

	if (r == 0)
		r = made ? sort->look(home, body, bytes, wish, made) : -ENOMEM;
	if (r == 0) {
		memcpy(ret_handle, &made, sizeof made);
		return 0;
	}
	leave(home);
	prk_sys_free(made);
	return r;
}

static int create_in_memory(const struct prk_sort *sort, uint64_t bytes, const void *wish, void *ret_handle)
{
	struct prk_home home = { .memory = prk_sys_calloc(bytes + LINE) };

	if (!home.memory)
		return -ENOMEM;
	void *body = (void *)(((uintptr_t)home.memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
	int r = sort->set_up(NULL, body, wish);
	return handle(r, sort, &home, body, bytes, wish, ret_handle);
}

static int create_private(const struct prk_sort *sort, uint64_t room, uint64_t bytes, const void *wish,
			  void *ret_handle)
{
	struct prk_home home = { .own_arena = 1 };
	void *body = NULL;
	int r = prk_joined();

	if (r == 0 && sort->fixed)
		return create_in_memory(sort, bytes, wish, ret_handle);
	if (r == 0)
		r = prk_arena_private(room ? room : PRK_ROOM_PRIVATE, &home.arena);
	if (r < 0)
		return r;
	r = prk_made_create_named(sort, home.arena, sort->noun, bytes, wish, &body);
	return handle(r, sort, &home, body, bytes, wish, ret_handle);
}

int prk_handle_create(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, uint64_t room,
		      uint64_t bytes, const void *wish, void *ret_handle)
{
	const struct prk_home home = { .arena = arena };
	void *body = NULL;

	if (!ret_handle || !arena != !name)
		return -EINVAL;
	if (!arena)
		return create_private(sort, room, bytes, wish, ret_handle);
	int r = prk_made_create_named(sort, arena, name, bytes, wish, &body);
	return handle(r, sort, &home, body, bytes, wish, ret_handle);
}

int prk_handle_create_at(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link, uint64_t bytes,
			 const void *wish, void *ret_handle)
{
	const struct prk_home home = { .arena = arena };
	void *body = NULL;
	int r = ret_handle ? prk_made_create(sort, arena, link, bytes, wish, &body) : -EINVAL;

	return handle(r, sort, &home, body, bytes, wish, ret_handle);
}

int prk_handle_open(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, const void *wish,
		    void *ret_handle)
{
	const struct prk_home home = { .arena = arena };
	uint64_t bytes = 0;
	void *body = NULL;
	int r = ret_handle && arena ? prk_made_open(sort, arena, name, &body, &bytes) : -EINVAL;

	return handle(r, sort, &home, body, bytes, wish, ret_handle);
}

int prk_handle_at(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t reference, const void *wish,
		  void *ret_handle)
{
	const struct prk_home home = { .arena = arena };
	uint64_t bytes = 0;
	void *body = NULL;
	int r = ret_handle ? prk_made_at(sort, arena, reference, &body, &bytes) : -EINVAL;

	return handle(r, sort, &home, body, bytes, wish, ret_handle);
}

/* ---- with a name in the domain ---- */

struct making {
	const struct prk_sort *sort;
	uint64_t bytes;
	const void *wish;
};

static int make_first(struct prusik_arena *arena, void *context)
{
	const struct making *m = context;
	void *body;

	return prk_made_create_named(m->sort, arena, PRK_NAMED_ROOT, m->bytes, m->wish, &body);
}

int prk_handle_open_named(const struct prk_sort *sort, const char *name, uint32_t flags, uint64_t room, uint64_t bytes,
			  const void *wish, void *ret_handle)
{
	uint64_t size = sort->fixed ? PRK_ARENA_FIRST + bytes + 4 * LINE : room ? room : PRK_ROOM_NAMED;
	struct making making = { sort, bytes, wish };
	struct prk_home home = { .own_arena = 1 };
	void *body = NULL;
	int r = ret_handle ? prk_joined() : -EINVAL;

	if (r == 0)
		r = prk_named_open_within(name, sort->noun, flags, size, sort->fixed, make_first, &making, &home.arena);
	if (r < 0)
		return r;
	r = prk_made_open(sort, home.arena, PRK_NAMED_ROOT, &body, &bytes);
	return handle(r == -ENOENT ? -EPROTO : r, sort, &home, body, bytes, wish, ret_handle);
}
