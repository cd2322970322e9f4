/* SPDX-License-Identifier: MIT */
/* made: containers come to be, are found, and go (made.h) */
#include "data/made.h"

#include "base/life.h"
#include "data/heap.h"
#include "shm/named.h"

#include <errno.h>

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

int prk_made_create_named(const struct prk_sort *sort, struct prusik_arena *arena, const char *name,
			  uint64_t bytes, const void *options, void **ret_body)
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

/* ---- with a name in the domain ---- */

struct making {
	const struct prk_sort *sort;
	uint64_t bytes;
	const void *options;
};

static int make_first(struct prusik_arena *arena, void *context)
{
	const struct making *m = context;
	void *body;

	return prk_made_create_named(m->sort, arena, PRK_NAMED_ROOT, m->bytes, m->options, &body);
}

int prk_made_join(const struct prk_sort *sort, const char *name, const char *kind, uint32_t flags,
		  uint64_t arena_bytes, uint64_t bytes, const void *options, struct prusik_arena **ret_arena,
		  void **ret_body, uint64_t *ret_bytes)
{
	struct making m = { sort, bytes, options };
	struct prusik_arena *arena;
	int r = prk_joined();

	if (r == 0)
		r = prk_named_open_within(name, kind, flags, arena_bytes, sort->fixed, make_first, &m, &arena);
	if (r < 0)
		return r;
	r = prk_made_open(sort, arena, PRK_NAMED_ROOT, ret_body, ret_bytes);
	if (r < 0)
		prusik_arena_close(arena);
	else
		*ret_arena = arena;
	return r == -ENOENT ? -EPROTO : r;
}
