/* SPDX-License-Identifier: MIT */
/*
 * named.h - for nouns that lie in an arena of their own under a name
 *
 * The segment's kind is the noun; the root PRK_NAMED_ROOT links the object.
 */
#ifndef PRK_SHM_NAMED_H
#define PRK_SHM_NAMED_H

#include "shm/arena.h"

#include <prusik/named.h>

#define PRK_NAMED_ROOT "object"

/*
 * Join the object of that name, or make it. kind: the noun, at most PRK_KIND_MAX
 * bytes. flags: PRUSIK_EXISTING, NEW, PERSISTENT. size: of the arena, at least.
 * limit: how far it may grow; 0: as far as there is address space, up to
 * PRK_ARENA_LIMIT; not above size: not at all, which saves a descriptor.
 * make() runs on a fresh arena that nobody else sees: below 0 nothing is made, and
 * that is returned. It may run and its arena be discarded, when another was faster.
 *
 * 0 with *ret_arena set, to be closed by prusik_arena_close; else as prusik_named_open,
 * or what make returned.
 */
int prk_named_open_within(const char *name, const char *kind, uint32_t flags, uint64_t size, uint64_t limit,
			  int (*make)(struct prusik_arena *arena, void *context), void *context,
			  struct prusik_arena **ret_arena);

/* The same with limit 0. */
int prk_named_open(const char *name, const char *kind, uint32_t flags, uint64_t size,
		   int (*make)(struct prusik_arena *arena, void *context), void *context,
		   struct prusik_arena **ret_arena);

/* For make(): size zeroed bytes, linked by the root. 0, or as of prusik_arena_alloc. */
int prk_named_make(struct prusik_arena *arena, uint64_t size, void **ret_object);

/* What the root links: 0 and at least size bytes; or -EPROTO. */
int prk_named_find(struct prusik_arena *arena, uint64_t size, void **ret_object);

#endif
