/* SPDX-License-Identifier: MIT */
/*
 * arena.h - what lies in an arena, and the calls made under its lock
 *
 *	| header | block | block | ... | block | 32 bytes |
 *
 * The blocks fill the segment without a gap. A block is 32 bytes of header and a
 * payload that begins on a multiple of 64. Everything is named by its offset from
 * the segment's beginning. No offset or size that was read from the arena is used
 * before it was compared with the bounds in the handle, which is private.
 */
#ifndef PRK_SHM_ARENA_H
#define PRK_SHM_ARENA_H

#include "shm/undo.h"

#include <prusik/arena.h>
#include <prusik/lock.h>

#define PRK_ARENA_MAGIC UINT64_C(0x616e6572616b7270) /* "prkarena" */
#define PRK_ARENA_VERSION 2u

/* The smallest that a user can make, and the smallest that there is: one primitive's. */
#define PRK_ARENA_MIN (UINT64_C(64) << 10)
#define PRK_ARENA_LEAST (UINT64_C(16) << 10)
#define PRK_ARENA_MAX (UINT64_C(1) << 46)

/* How far an arena can grow when nobody says: address space only, in each process. */
#define PRK_ARENA_LIMIT (UINT64_C(64) << 30)

/* Arenas are measured in these, */
#define PRK_ARENA_PAGE UINT64_C(4096)
/* and blocks in these. */
#define PRK_GRANULE 64u

/* Free blocks are kept by size, in 8 steps per power of two; 2^40 granules need fewer classes. */
#define PRK_CLASS_STEPS_LOG2 3u
#define PRK_CLASSES 320u

/* The most that is zeroed under the lock: some microseconds. */
#define PRK_ARENA_ZERO_LOCKED (UINT64_C(64) << 10)

/* In prk_arena_shm.flags. */
#define PRK_ARENA_PERSISTENT 1u

#define PRK_KIND_MAX 15u
#define PRK_ROOTS_MAX 64u
#define PRK_CLAIMS_MAX 16u

/* In prk_block.word, below the size. No two differ in one bit only. */
enum prk_block_state {
	PRK_BLOCK_FREE = 0x15,
	PRK_BLOCK_USED = 0x2a,
	PRK_BLOCK_CLAIMED = 0x33,
};
#define PRK_BLOCK_STATE UINT64_C(0x3f)

/*
 * struct prk_block - the header of a block; its payload follows
 *
 * WORD     word: bits 63..6 the block's size with this header, a multiple of 64 |
 *          5..0 enum prk_block_state; 0 = absorbed by the free block around it.
 *          before: the block that ends where this one begins, 0 = this is the first.
 *          next, prev: neighbours in the free list of its class; 0 = none.
 * WRITES   the holder of the arena's lock, through the undo log. A header that
 *          comes to be by splitting lies in a free block's payload until then, so
 *          its word and before are stored without.
 * ALWAYS   B1 the blocks from the first one on fill the segment
 *          B2 no two neighbours are both free
 *          B3 FREE <=> in the list of its size's class, once
 *          B4 CLAIMED <=> named by one entry of the arena's claims
 * MAY LIE  next and prev of a block that is not free; a word inside a payload
 * KILLED   the undo log puts everything back (undo.h)
 */
struct prk_block {
	uint64_t word;
	uint64_t before;
	uint64_t next;
	uint64_t prev;
};

/*
 * struct prk_claim - a block that somebody zeroes without holding the lock
 *
 * WORD     offset: the block, 0 = no claim. owner: the id of who zeroes it.
 * WRITES   the holder of the arena's lock: owner while offset is 0 (C1), then
 *          offset through the undo log (C2)
 * ALWAYS   C offset != 0 => that block is CLAIMED, and linked by nobody
 * MAY LIE  owner while offset is 0
 * KILLED   with a claim: whoever takes the arena's lock next finds the owner dead
 *          and frees the block, as one transaction
 */
struct prk_claim {
	uint64_t offset;
	uint32_t owner;
	uint32_t reserved;
};

/*
 * struct prk_root - a link with a name
 *
 * WORD     name: padded with zeros. link: an offset, 0 = none; the user's.
 * WRITES   name: the holder of the arena's lock, while the entry is not counted
 *          (R1). link: through the undo log by alloc and free, and by the user.
 * ALWAYS   R the names of the entries counted in arena.roots differ
 * MAY LIE  entries at and beyond arena.roots hold anything but a link
 * KILLED   after R1, before the count goes up (R2): the entry is overwritten by
 *          the next root; its link is still 0
 */
struct prk_root {
	char name[PRUSIK_NAME_MAX + 1];
	uint64_t link;
};

/*
 * struct prk_arena_shm - the header of an arena
 *
 * WORD     limit: size at the most; each attacher has so much address space mapped.
 *          size: of the arena. reach: of its file, all of it set aside. broken: 1 = a dead one's undo log was nonsense.
 *          fresh: from this offset on the segment was never written to, but for
 *          zeros. used, blocks: bytes in, and number of, blocks not FREE.
 *          claims, roots: entries in use. last: the block that ends where the arena does. map: bit c = class c has a free block.
 *          head: the first free block of each class.
 *          naming: held while an object is made and given a name, before lock.
 *          serial: how many containers have been made (data/made.h).
 *          kind: what the file is a home of, "arena" or an object's noun, padded with
 *          zeros. flags: PRK_ARENA_PERSISTENT: lives without attachers (segment.h).
 *          made: when, in seconds since 1970.
 * WRITES   magic to made: fixed before the segment has a name. lock, naming: lock.c.
 *          serial: the holder of naming. The rest: the holder of lock, from size on through the undo log.
 * ALWAYS   A1 header + used + sizes of the free blocks = size
 *          A2 the bit of a class is set <=> its head is not 0
 *          A3 every header ever written ends at or before fresh, and so does the
 *          payload of every block ever handed out
 *          A4 size <= reach <= limit, and the file is at least reach long. It never
 *          gets shorter, so who has seen a reach may touch so much for ever.
 * MAY LIE  fresh may be higher than need be: costs zeroing. It is therefore raised
 *          without the log (F1), before anything is written beyond it; put back
 *          by a rollback it would vouch for bytes that are zero no more. reach may be
 *          higher than size, for the same reason: others may have seen it (F2).
 * KILLED   before the commit: all as before. A payload partly zeroed, or a header
 *          of a split that was not: lies in a free block, means nothing. After
 *          the commit: done. The next holder of lock rolls back (undo.h), then
 *          frees what dead ones had claimed.
 */
struct prk_arena_shm {
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
	uint64_t domain;
	uint64_t limit;
	uint32_t flags;
	uint32_t fixed_reserved;
	char kind[PRK_KIND_MAX + 1];
	int64_t made;
	struct prusik_lock lock;
	struct prusik_lock naming;
	uint32_t broken;
	uint32_t reserved;
	struct prk_undo undo;
	uint64_t fresh;
	uint64_t reach;
	uint64_t size; /* the undo log may name words from here on */
	uint64_t used;
	uint64_t blocks;
	uint64_t claims;
	uint64_t roots;
	uint64_t last;
	uint64_t map[PRK_CLASSES / 64];
	uint64_t head[PRK_CLASSES];
	struct prk_claim claim[PRK_CLAIMS_MAX];
	struct prk_root root[PRK_ROOTS_MAX];
	uint64_t serial;
	uint64_t header_reserved[2];
};

/*
 * The handle. Fixed after opening, but for known, which any thread raises, and size and
 * end, which are those that the arena had when this process last took its lock; who
 * holds that may use them.
 */
struct prusik_arena {
	struct prk_arena_shm *shm;
	uint64_t limit; /* bytes mapped */
	uint64_t known; /* bytes that may be touched */
	uint64_t size;
	uint64_t end; /* where the last block ends */
	uint64_t zero_locked; /* PRK_ARENA_ZERO_LOCKED; the kill matrix makes do with less */
	int fd; /* to let it grow by; -1: not needed */
	uint64_t device, inode; /* of fd: the program may have closed it, and opened others */
};

/* Where the first block begins. */
#define PRK_ARENA_FIRST ((uint64_t)sizeof(struct prk_arena_shm))

/* Where the last block of an arena of that size ends. */
static inline uint64_t prk_arena_end(uint64_t size)
{
	return PRK_ARENA_FIRST + (size - PRK_ARENA_FIRST) / PRK_GRANULE * PRK_GRANULE;
}

/*
 * A change to the arena, as one step:
 *
 *	int r = prk_arena_lock(arena);
 *	if (r < 0)
 *		return r;
 *	r = prk_arena_root_locked(arena, "jobs", &link);
 *	if (r >= 0)
 *		r = prk_arena_alloc_locked(arena, size, link);
 *	if (r >= 0)
 *		...                               // fill it; nobody can see it yet
 *	return prk_arena_unlock(arena, r);        // r < 0: nothing of it has happened
 *
 * One such step may free one block, or allocate one and make one root, and
 * change PRK_ARENA_SPARE words of its own by prk_undo_set64(&arena->shm->undo, ...).
 */
#define PRK_ARENA_SPARE 7u

/* 0, PRUSIK_RECOVERED, -EPROTO (corrupt), or the domain could not be joined. */
int prk_arena_lock(struct prusik_arena *arena) PRUSIK_MUST_USE;
/* Commits when result >= 0, else undoes; returns result. */
int prk_arena_unlock(struct prusik_arena *arena, int result);

/* prusik_arena_root; -ENOENT where there is none and create is false. */
int prk_arena_root_locked(struct prusik_arena *arena, const char *name, bool create, uint64_t **ret_link);

/*
 * For objects too large to be made in one step: of those who hold this lock only
 * one makes an object at a time, so one found half made was left by a dead maker.
 * Taken before prk_arena_lock. Results as of prk_arena_lock.
 */
int prk_arena_name_lock(struct prusik_arena *arena) PRUSIK_MUST_USE;
void prk_arena_name_unlock(struct prusik_arena *arena);

/* prusik_arena_root without making one: -ENOENT. */
int prk_arena_find_root(struct prusik_arena *arena, const char *name, uint64_t **ret_link);

/*
 * An arena in private memory, for threads: up to size bytes, fewer where the process may
 * not have so many. It costs address space only. 0, -ENOMEM, or the domain could not be joined.
 */
int prk_arena_private(uint64_t size, struct prusik_arena **ret_arena) PRUSIK_MUST_USE;

/* The length of the block in use whose payload begins at offset; 0: there is none. No lock. */
uint64_t prk_arena_bytes_from(const struct prusik_arena *arena, uint64_t offset);

/* 0, -EINVAL, or -ENAMETOOLONG: is it a name for an arena or a root? */
int prk_arena_name(const char *name);

/* May an offset be stored there? */
bool prk_arena_is_link(const struct prusik_arena *arena, const uint64_t *link);

/* Bytes that prusik_arena_stats counts neither as used nor as free. */
static inline uint64_t prk_arena_overhead(const struct prusik_arena *arena)
{
	return PRK_ARENA_FIRST + (arena->size - arena->end);
}

/* Look whether the file has grown: how much may be touched. */
uint64_t prk_arena_learn(const struct prusik_arena *arena);

/* May that many bytes from offset on be touched? */
static inline bool prk_arena_within(const struct prusik_arena *arena, uint64_t offset, uint64_t bytes)
{
	uint64_t known = prk_load64_rlx(&arena->known);

	if (__builtin_expect(offset >= known || bytes > known - offset, 0)) {
		known = prk_arena_learn(arena);
		return offset < known && bytes <= known - offset;
	}
	return true;
}

/* Take size and end from the segment: 0, or -EPROTO. The lock is held. */
int prk_arena_measure(struct prusik_arena *arena);

/*
 * Let the arena grow so that a block of need bytes can be had. Through the undo log.
 * 0; -ENOSPC: at its limit, or no memory; -EBADF: the program has closed fd; -EPROTO.
 */
int prk_arena_grow(struct prusik_arena *arena, uint64_t need);

/* Is every ALWAYS above so? Takes the lock. Any bytes will do: it neither crashes nor loops. */
bool prk_arena_valid(struct prusik_arena *arena);

#endif
