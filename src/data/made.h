/* SPDX-License-Identifier: MIT */
/*
 * made - how containers come to be in an arena, are found there, and go
 *
 * struct prk_made - the beginning of every container's body
 *
 * WORD     magic: the sort of container; 0 = it is being made; PRK_MADE_DYING = it is
 *          being destroyed. version, signature: of its layout.
 * WRITES   the holder of the arena's naming lock
 * ALWAYS   M1 magic is that of a sort => the container is whole
 * MAY LIE  nothing
 * KILLED   before magic is set (M-S), or after it was unset (M-D): whoever makes or
 *          destroys one through the same link next finds no living maker, since he has
 *          the naming lock, and destroys what there is
 */
#ifndef PRK_DATA_MADE_H
#define PRK_DATA_MADE_H

#include "shm/arena.h"

#define PRK_MADE_DYING UINT64_C(0x676e696b73757270)

struct prk_made {
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
};

/* A sort of container. */
struct prk_sort {
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
	uint64_t bytes; /* of the body, at least */
	/* Make a zeroed body, of that many bytes, a container but for its prk_made. What it has got by then, drop gives back. */
	int (*set_up)(struct prusik_arena *arena, void *body, const void *options);
	/* Give back to the arena what the body owns, made or half made. 0, -EPROTO. */
	int (*drop)(struct prusik_arena *arena, void *body);
};

/* Make one that link owns. options: for set_up. 0, -EEXIST, -EINVAL, or as of prusik_arena_alloc. */
int prk_made_create(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link, uint64_t bytes,
		    const void *options, void **ret_body);
/* The same, of the root of that name. */
int prk_made_create_named(const struct prk_sort *sort, struct prusik_arena *arena, const char *name,
			  uint64_t bytes, const void *options, void **ret_body);

/* The body at that offset: 0, -ENOENT, -EPROTO. *ret_bytes, unless NULL: how long it may be. */
int prk_made_at(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t offset, void **ret_body,
		uint64_t *ret_bytes);
int prk_made_open(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, void **ret_body,
		  uint64_t *ret_bytes);

int prk_made_destroy(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link);

/* One in an arena of its own, with a name in the domain (shm/named.h). */
int prk_made_join(const struct prk_sort *sort, const char *name, const char *kind, uint32_t flags,
		  uint64_t arena_bytes, uint64_t bytes, const void *options, struct prusik_arena **ret_arena,
		  void **ret_body, uint64_t *ret_bytes);

#endif
