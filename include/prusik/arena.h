/* SPDX-License-Identifier: MIT */
/*
 * arena - a piece of shared memory with an allocator in it
 *
 *	struct prusik_arena *arena;
 *	uint64_t *root;
 *	if (prusik_arena_create(NULL, 1 << 20, &arena) < 0) ...      // anonymous: children inherit it
 *	if (prusik_arena_root(arena, "counters", &root) < 0) ...
 *	if (*root == 0 && prusik_arena_alloc(arena, 64, root) < 0) ...
 *	uint64_t *counters = prusik_arena_pointer(arena, *root);
 *
 * Memory in an arena is named by its offset, for it lies at another address in
 * every process. 0 is no offset. The arena's memory begins as zeros, and so does
 * every block, which makes it a valid place for prusik's primitives.
 *
 * kill -9: a block belongs to a link, an offset variable that lies in the arena
 * itself. Allocating and linking are one step, and so are unlinking and freeing:
 * whoever is killed, at whatever instruction, leaks nothing and frees nothing twice.
 *
 * A named arena is a file in the domain's directory. It appears whole or not at
 * all, and stays until prusik_arena_unlink, unless it is made to live by its attachers. An anonymous one lives as long as a
 * process has it; its memory is of the same file system.
 *
 * Each call that takes an arena may also return -EPROTO: its bytes are corrupt, and
 * nothing was changed; or a cause for which the domain could not be joined (common.h).
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_ARENA_H
#define PRUSIK_ARENA_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle: this process's view. May be used by all its threads. */
struct prusik_arena;

/* Longest name of an arena or of a root, in bytes without the final NUL. */
#define PRUSIK_NAME_MAX 63

/* For the flags of options, here and of every object that has a name (prusik/named.h). */
#define PRUSIK_EXISTING 1u /* join only: -ENOENT where there is none */
#define PRUSIK_NEW 2u /* make only: -EEXIST where there is one alive */
#define PRUSIK_PERSISTENT 4u /* when it is made: it lives without attachers */

/* Zero means default. */
struct prusik_arena_options {
	uint64_t size; /* to begin with; raised to 64 KiB */
	uint64_t limit; /* how far it may grow; default 64 GiB, or what address space there is */
	uint32_t flags; /* PRUSIK_PERSISTENT, or 0 */
};

/* What prusik_arena_stats tells, in bytes. size = header + used + free. */
struct prusik_arena_stats {
	uint64_t size; /* of the whole segment, now */
	uint64_t limit; /* what size can become */
	uint64_t used; /* in blocks that are linked or about to be, their headers included */
	uint64_t free; /* could still be allocated, in blocks of some size */
	uint64_t largest; /* the longest block that could be allocated now */
	uint64_t blocks; /* that used counts */
};

/*
 * prusik_arena_create - make an arena of at least size bytes
 *
 * name NULL makes it anonymous. The memory is set aside here, so that using it
 * later cannot fail. Needs 64 KiB at least; smaller sizes are raised to that.
 *
 * Returns 0 with *ret_arena set, or
 *   -EINVAL        no ret_arena, or a name that is empty, has a '/' or begins with '.'
 *   -ENAMETOOLONG  name longer than PRUSIK_NAME_MAX
 *   -EEXIST        the name is taken
 *   -ENOSPC        the memory (or the domain's file system) is full
 *   -EMFILE, -ENFILE, -ENOMEM, or the domain could not be joined (common.h)
 * Killed inside: no arena, or a whole one.
 */
int prusik_arena_create(const char *name, uint64_t size, struct prusik_arena **ret_arena) PRUSIK_MUST_USE;

/*
 * prusik_arena_create_with - make an arena that grows
 *
 * An allocation that finds no room makes the arena longer, for all who are attached, at
 * whatever moment; nothing in it moves, and all pointers stay valid. Each of them has
 * address space for limit bytes mapped, which costs no memory, but counts for
 * RLIMIT_AS. -ENOSPC from an allocation means: limit reached, or memory out.
 * A named arena without PRUSIK_PERSISTENT lives as long as somebody is attached
 * (prusik/named.h). options NULL means all defaults.
 *
 * While it can grow the handle has a descriptor; in a program that closes it behind
 * our back, allocations that find no room return -EBADF.
 *
 * Returns as prusik_arena_create; -ENOMEM: no address space for limit, here or, later,
 * in who opens it; -EINVAL: also for an unknown flag.
 */
int prusik_arena_create_with(const char *name, const struct prusik_arena_options *options,
			     struct prusik_arena **ret_arena) PRUSIK_MUST_USE;

/*
 * prusik_arena_open - attach to a named arena
 *
 * Returns 0 with *ret_arena set, or
 *   -ENOENT  no such name
 *   -EPROTO  not an arena, truncated, of another domain, or of another layout or
 *            version than this library's
 *   -EPROTOTYPE  an object of another kind has the name
 *   -EPERM   the file belongs to another user
 *   -EINVAL, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -EACCES
 */
int prusik_arena_open(const char *name, struct prusik_arena **ret_arena) PRUSIK_MUST_USE;

/*
 * prusik_arena_close - detach; the handle and all pointers into it end here
 *
 * Accepts NULL. No thread of the process may be inside the arena, or hold or
 * wait for anything that lies in it.
 */
void prusik_arena_close(struct prusik_arena *arena);

/* Remove the name; those attached go on. Returns 0, -ENOENT, -EINVAL, -ENAMETOOLONG, -EACCES. */
int prusik_arena_unlink(const char *name);

/*
 * prusik_arena_root - the link that goes by this name
 *
 * Makes it (holding 0) when there is none. *ret_link stays valid as long as the
 * handle. Roots are never removed; there may be 64. Names as of prusik_arena_create.
 * Returns 0, PRUSIK_RECOVERED (the same; a holder of the arena's lock had died),
 * -EINVAL, -ENAMETOOLONG, or -ENOSPC when all 64 are taken.
 */
int prusik_arena_root(struct prusik_arena *arena, const char *name, uint64_t **ret_link) PRUSIK_MUST_USE;

/*
 * prusik_arena_alloc - allocate size zeroed bytes, aligned to 64, and link them
 *
 * The offset is stored in *link, which lies in the arena and holds 0. The caller
 * keeps others away from *link meanwhile.
 *
 * Returns 0, or
 *   -ENOSPC  no room left, and it cannot grow
 *   -EINVAL  size 0, link not in the arena or misaligned (8 bytes)
 *   -EEXIST  *link is not 0
 *   -EBADF   it would have to grow, and the program has closed the descriptor for that
 *   or another cause for which a file cannot be made longer (-ENOMEM, -EIO, -EDQUOT)
 * A block takes 32 bytes more than its size, rounded up to a multiple of 64.
 * Killed inside: *link is 0 and nothing is used, or *link is the block.
 * Context: threads; not signal handlers.
 */
int prusik_arena_alloc(struct prusik_arena *arena, uint64_t size, uint64_t *link) PRUSIK_MUST_USE;

/*
 * prusik_arena_free - set *link to 0 and free what it linked
 *
 * Returns 0 (also when *link is 0 already), or -EINVAL: link is not in the arena,
 * or *link is not the offset of a block in use.
 * Killed inside: still linked, or unlinked and free.
 */
int prusik_arena_free(struct prusik_arena *arena, uint64_t *link);

/*
 * Offset to pointer and back. Both give 0 / NULL for what lies outside the arena,
 * and for 0 / NULL. Never block.
 */
void *prusik_arena_pointer(const struct prusik_arena *arena, uint64_t offset);
uint64_t prusik_arena_offset(const struct prusik_arena *arena, const void *pointer);

/* Size, use and free space. Returns 0, or -EINVAL. */
int prusik_arena_stats(struct prusik_arena *arena, struct prusik_arena_stats *ret_stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
