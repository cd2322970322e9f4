/* SPDX-License-Identifier: MIT */
/*
 * made - how containers come to be in an arena, are found there, and go
 *
 * struct prk_made - the beginning of every container's body
 *
 * WORD     magic: the sort of container; 0 = it is being made; PRK_MADE_DYING = it is
 *          being destroyed. version, signature: of its layout. own: of the sort, fixed
 *          once it is made. serial: which of the arena's containers, in the order of making.
 * WRITES   the holder of the arena's naming lock
 * ALWAYS   M1 magic is that of a sort => the container is whole
 *          M2 no two have the same serial
 * MAY LIE  nothing
 * KILLED   before magic is set (M-S), or after it was unset (M-D): whoever makes or
 *          destroys one through the same link next finds no living maker, since he has
 *          the naming lock, and destroys what there is
 */
#ifndef PRK_DATA_MADE_H
#define PRK_DATA_MADE_H

#include "shm/arena.h"

#define PRK_MADE_DYING UINT64_C(0x676e696b73757270)
#define PRK_MADE_OWN 5u

struct prk_made {
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
	uint64_t own[PRK_MADE_OWN];
	uint64_t serial;
};

/*
 * A reference names a container for good: its offset, whose low 6 and high 18 bits are
 * free for 24 bits of the serial. So what comes to lie at the same place later is
 * another one, until 2^24 have been made meanwhile.
 */
#define PRK_REFERENCE_LOW UINT64_C(63)
#define PRK_REFERENCE_HIGH 46u

static inline uint64_t prk_reference(uint64_t offset, uint64_t serial)
{
	return offset | (serial & PRK_REFERENCE_LOW) | serial >> 6 << PRK_REFERENCE_HIGH;
}

static inline uint64_t prk_reference_offset(uint64_t reference)
{
	return reference & ((UINT64_C(1) << PRK_REFERENCE_HIGH) - 1) & ~PRK_REFERENCE_LOW;
}

/* Where a container lies, as its handle knows. */
struct prk_home {
	struct prusik_arena *arena; /* NULL: in private memory, */
	void *memory; /* which is this */
	uint32_t own_arena; /* it is closed with the handle */
};

/* A sort of container. */
struct prk_sort {
	const char *noun;
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
	uint64_t bytes; /* of the body, at least */
	bool fixed; /* of one piece: an arena of its own never grows; private memory needs none */
	/* Make a zeroed body, of that many bytes, a container but for its prk_made. What it has got by then, drop gives back. */
	int (*set_up)(struct prusik_arena *arena, void *body, const void *options);
	/* Give back to the arena what the body owns, made or half made. 0, -EPROTO. */
	int (*drop)(struct prusik_arena *arena, void *body);
	uint64_t handle_bytes;
	/*
	 * Fill a zeroed handle for a body of so many bytes at that home. wish: what it is to
	 * be. 0, -EPROTO, or what else the sort says when it is not that.
	 */
	int (*look)(const struct prk_home *home, void *body, uint64_t bytes, const void *wish, void *handle);
};

/* Make one that link owns. options: for set_up. 0, -EEXIST, -EINVAL, or as of prusik_arena_alloc. */
int prk_made_create(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link, uint64_t bytes,
		    const void *options, void **ret_body);
/* The same, of the root of that name. */
int prk_made_create_named(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, uint64_t bytes,
			  const void *options, void **ret_body);

/* The reference of a body; 0 for NULL. */
uint64_t prk_made_reference(const struct prusik_arena *arena, const void *body);
/* The body that a reference names: 0, -ENOENT, -EPROTO. *ret_bytes, unless NULL: how long it may be. */
int prk_made_at(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t reference, void **ret_body,
		uint64_t *ret_bytes);
int prk_made_open(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, void **ret_body,
		  uint64_t *ret_bytes);

int prk_made_destroy(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link);

/* ---- handles ---- */

/* In the place of a room of 0: address space in private memory; bytes of an arena of its own, at first. */
#define PRK_ROOM_PRIVATE (UINT64_C(64) << 30)
#define PRK_ROOM_NAMED (UINT64_C(64) << 10)

/*
 * What prusik_NOUN_create and so on do once they know what is wished for. bytes: of the
 * body that is made. ret_handle: a pointer to the sort's pointer. -EINVAL where it is
 * NULL; else as of the calls above, and of look.
 */
int prk_handle_create(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, uint64_t room,
		      uint64_t bytes, const void *wish, void *ret_handle);
int prk_handle_create_at(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t *link, uint64_t bytes,
			 const void *wish, void *ret_handle);
int prk_handle_open(const struct prk_sort *sort, struct prusik_arena *arena, const char *name, const void *wish,
		    void *ret_handle);
int prk_handle_at(const struct prk_sort *sort, struct prusik_arena *arena, uint64_t reference, const void *wish,
		  void *ret_handle);
/* With a name in the domain (shm/named.h). */
int prk_handle_open_named(const struct prk_sort *sort, const char *name, uint32_t flags, uint64_t room, uint64_t bytes,
			  const void *wish, void *ret_handle);
void prk_handle_free(void *handle, const struct prk_home *home);

#endif
