/* SPDX-License-Identifier: MIT */
/*
 * container - dicts and lists for cases: how they begin, and what they are compared with
 *
 * The object is an arena with one container in it. It is made once for a case, and its
 * bytes are copied at each point. Besides the start there are what it holds (before),
 * and what it holds when the operation has been done (after). After a kill the container
 * must hold one of the two; be valid; and own every block of the arena.
 */
#ifndef KILL_CONTAINER_H
#define KILL_CONTAINER_H

#include "kill.h"
#include "shm/arena.h"

#define CONTAINER_BYTES ((size_t)PRK_ARENA_MIN)
#define CONTAINER_CONTENTS 4096u
#define CONTAINER_HANDLE 256u

/* A handle lies in CONTAINER_HANDLE bytes, what a container holds in CONTAINER_CONTENTS. */
struct container_sort {
	bool (*create)(struct prusik_arena *arena, uint64_t *ret_body);
	void (*look)(struct prusik_arena *arena, void *body, void *ret_handle);
	bool (*fill)(void *handle); /* make the start of it */
	int64_t (*act)(void *handle);
	bool (*read)(void *handle, void *ret_contents);
	bool (*same)(const void *contents, const void *other);
	bool (*between)(const void *contents); /* allowed, though neither before nor after; or NULL */
	bool (*valid)(void *handle, uint64_t *ret_blocks);
	int (*lock)(void *handle);
	void (*unlock)(void *handle);
	int (*destroy)(struct prusik_arena *arena, uint64_t *link);
};

/* What case.data of such a case begins with. */
struct container_plan {
	const struct container_sort *sort;
	int64_t expects; /* of act */
};

/* The handle of the container whose arena's bytes lie there. Overwritten by the next call but three. */
void *container_at(void *object);
const void *container_before(void);
const void *container_after(void);

/* What kill_case wants. */
void container_begin(void *image);
void container_setup(void *object);
void container_victim(void *object);
void container_recover(void *object);

/* For check: complain, and be false, unless it is so. */
bool container_made(void);
bool container_as_promised(const void *contents);
bool container_owns_all(void *object);
bool container_gives_all_back(void *object);

#endif
