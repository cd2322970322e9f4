/* SPDX-License-Identifier: MIT */
/*
 * array - so many numbers, or records, of one size, that many processes change
 *
 *	const struct prusik_array_options options = { .kind = PRUSIK_ARRAY_DOUBLE, .length = 8 };
 *	struct prusik_array *sums;
 *	if (prusik_array_create(arena, "sums", &options, &sums) < 0) ...
 *
 *	double part = sum_of_my_share();
 *	prusik_array_set(sums, mine, &part);
 *	prusik_array_add_double(sums, 0, part, NULL);
 *
 * An item is a number of 8 to 64 bits, a float, a double, or a record of item_size bytes;
 * calls take and give it as C has it: a pointer to an int16_t for PRUSIK_ARRAY_INT16.
 * Positions count from 0, or, below 0, from the end. The array lies in an arena, where
 * processes share it, or in private memory, where threads do; its length is fixed. It
 * takes its items' memory twice, for a change is written down before it is made.
 *
 * Each call happens at one moment between its beginning and its end: who reads a slice
 * while another writes one sees all of the change or nothing. Reading takes no lock, as
 * long as writers leave gaps to look in; writers take turns.
 *
 * Several steps, and pointers to the items themselves:
 *
 *	double *d;
 *	int r = prusik_array_begin(sums, PRUSIK_FOREVER, (void **)&d);
 *	if (r < 0)
 *		return r;                            // PRUSIK_RECOVERED: somebody died in here, mend what he left
 *	d[0] = d[1] + d[2];
 *	prusik_array_end(sums);
 *
 * From begin to end the array is the caller's alone: the calls of all others wait, those
 * that read too. Those waits have no deadline, but heed a token (-ECANCELED,
 * prusik/cancel.h). What is written through the pointer is protected by nothing else: who
 * dies there leaves it as it is. With the pointer outside of begin and end one may read
 * and write at his own risk: an aligned number is whole, and that is all.
 *
 * kill -9: a call has happened as a whole, or not at all, a slice or a fill of any length
 * too; nobody who has seen the new items sees the old ones again.
 *
 * References are as of prusik/dict.h.
 *
 * Context of every call: threads; not signal handlers. None is ended by a signal. Every
 * call may also return -EINVAL for NULL where none may be, -ENOENT: there is no such
 * position, or a cause for which the domain could not be joined (common.h).
 *
 * Async-signal-safe: prusik_array_length, _kind, _item_size.
 */
#ifndef PRUSIK_ARRAY_H
#define PRUSIK_ARRAY_H

#include <prusik/named.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle: this process's view. May be used by all its threads, and by children. */
struct prusik_array;

enum prusik_array_kind {
	PRUSIK_ARRAY_INT8 = 1,
	PRUSIK_ARRAY_INT16,
	PRUSIK_ARRAY_INT32,
	PRUSIK_ARRAY_INT64,
	PRUSIK_ARRAY_UINT8,
	PRUSIK_ARRAY_UINT16,
	PRUSIK_ARRAY_UINT32,
	PRUSIK_ARRAY_UINT64,
	PRUSIK_ARRAY_FLOAT,
	PRUSIK_ARRAY_DOUBLE,
	PRUSIK_ARRAY_BYTES, /* records of item_size bytes, one right behind the other */
};

/* Longest record. */
#define PRUSIK_ARRAY_ITEM_MAX (UINT32_C(1) << 20)

/*
 * To make one, kind and length must be said. To open one they are what is expected of
 * it: 0 is any, and initial and flags do not count.
 */
struct prusik_array_options {
	uint32_t kind;
	uint32_t item_size; /* of PRUSIK_ARRAY_BYTES, which it is needed for; else that of the number, or 0 */
	uint64_t length; /* how many items */
	uint32_t flags; /* of prusik_array_open_named: PRUSIK_EXISTING, PRUSIK_NEW, PRUSIK_PERSISTENT (named.h) */
	uint32_t reserved; /* 0 */
	const void *initial; /* length items; NULL: zeros */
};

/*
 * prusik_array_create - make an array
 *
 * With an arena, the array lies in it and name says under which root (see
 * prusik_arena_root) others find it. With arena NULL it lies in private memory,
 * name must be NULL, and freeing the handle frees the array.
 *
 * Returns 0 with *ret_array set, or
 *   -EINVAL  no such kind, an item_size that it cannot have, length 0
 *   -EEXIST  the name is taken in this arena
 *   -ENOSPC, -ENAMETOOLONG, -ENOMEM, or the domain could not be joined
 * Killed inside: no array, or a whole one; nothing leaks.
 */
int prusik_array_create(struct prusik_arena *arena, const char *name, const struct prusik_array_options *options,
			struct prusik_array **ret_array) PRUSIK_MUST_USE;

/* prusik_array_create_at - the same, owned by link, which lies in the arena and holds 0 (see prusik_arena_alloc) */
int prusik_array_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_array_options *options,
			   struct prusik_array **ret_array) PRUSIK_MUST_USE;

/*
 * prusik_array_open - attach to the array of that name
 *
 * options: what is expected; NULL: anything. Returns 0 with *ret_array set, or
 *   -ENOENT      no such array
 *   -EPROTO      something else goes by that name, or its bytes are corrupt
 *   -EPROTOTYPE  it is of another kind
 *   -EMSGSIZE    it has another length or item size
 *   -EINVAL, -ENOMEM
 */
int prusik_array_open(struct prusik_arena *arena, const char *name, const struct prusik_array_options *options,
		      struct prusik_array **ret_array) PRUSIK_MUST_USE;

/*
 * prusik_array_open_named - join the array of that name in the domain, or make it
 *
 * It has an arena of its own, which lives as prusik/named.h says. Returns 0, or a cause
 * as of prusik_array_create, prusik_array_open or prusik_named_open.
 */
int prusik_array_open_named(const char *name, const struct prusik_array_options *options,
			    struct prusik_array **ret_array) PRUSIK_MUST_USE;

/* prusik_array_at - attach to the array that a reference names; as prusik_array_open */
int prusik_array_at(struct prusik_arena *arena, uint64_t reference, const struct prusik_array_options *options,
		    struct prusik_array **ret_array) PRUSIK_MUST_USE;

/* The reference of an array, for objects of the same arena; 0 for NULL and for one in private memory. */
uint64_t prusik_array_reference(const struct prusik_array *array);

/* prusik_array_free - drop the handle. Accepts NULL. Not between begin and end. */
void prusik_array_free(struct prusik_array *array);

/*
 * prusik_array_destroy - give the memory of the array that link owns back, and set it to 0
 *
 * As prusik_dict_destroy: nobody may use it any more. 0, -EINVAL, -EPROTO.
 */
int prusik_array_destroy(struct prusik_arena *arena, uint64_t *link);

/* How many items; enum prusik_array_kind; the bytes of an item. Below 0: NULL. */
int64_t prusik_array_length(const struct prusik_array *array);
int prusik_array_kind(const struct prusik_array *array);
int64_t prusik_array_item_size(const struct prusik_array *array);

/* ---- one item ---- */

/* Copy an item to where ret_item points. 0. */
int prusik_array_get(struct prusik_array *array, int64_t position, void *ret_item);

/* It becomes what item points to. 0. */
int prusik_array_set(struct prusik_array *array, int64_t position, const void *item);

/* The same if it is what expected points to, byte by byte. 0, or -ESTALE: it is not. */
int prusik_array_cas(struct prusik_array *array, int64_t position, const void *expected, const void *item);

/*
 * prusik_array_add - add to a whole number, as one step
 *
 * *ret_sum, unless NULL, is the sum; of PRUSIK_ARRAY_UINT64 its 64 bits. Returns 0, or
 *   -EOVERFLOW   the sum does not fit the item
 *   -EPROTOTYPE  the items are no whole numbers
 */
int prusik_array_add(struct prusik_array *array, int64_t position, int64_t delta, int64_t *ret_sum);

/* The same for floats and doubles, which never overflow. -EPROTOTYPE: they are neither. */
int prusik_array_add_double(struct prusik_array *array, int64_t position, double delta, double *ret_sum);

/* ---- many ---- */

/*
 * prusik_array_slice - copy the items from position begin up to, not including, end
 *
 * As in Python, positions that there are not are left out; end INT64_MAX: all that
 * follow. items has room for count of them, and gets no more. Returns how many, all as
 * of one moment.
 */
int64_t prusik_array_slice(struct prusik_array *array, int64_t begin, int64_t end, void *items, uint64_t count);

/* The count items from position on become these, at once. 0; -ENOENT: it has not so many. */
int prusik_array_set_slice(struct prusik_array *array, int64_t position, const void *items, uint64_t count);

/* Each item of a slice becomes this one, at once. Returns how many. */
int64_t prusik_array_fill(struct prusik_array *array, int64_t begin, int64_t end, const void *item);

/* ---- several steps ---- */

/*
 * Changes count items, in place in a copy (aligned as the array is: to 64 bytes, and each
 * number to its size). A result below 0 changes nothing.
 */
typedef int (*prusik_array_modify_fn)(void *context, void *items, uint64_t count);

/*
 * prusik_array_modify - change an item by a function of what it is, as one step
 *
 * The function runs once, with the array's lock held: those who write wait, those who
 * read see the old item until it has returned. Calls that write to the array, or begin,
 * are refused to it (-EDEADLK). Returns what the function did.
 * Killed inside, the function too: the old item, or the new one.
 */
int prusik_array_modify(struct prusik_array *array, int64_t position, prusik_array_modify_fn function, void *context);

/* The same for all items at once. */
int prusik_array_modify_all(struct prusik_array *array, prusik_array_modify_fn function, void *context);

/*
 * prusik_array_begin - have the array for oneself, waiting until deadline
 *
 * *ret_items, unless NULL, is where its items lie; they stay there. Returns 0;
 * PRUSIK_RECOVERED: it is yours, and the last one to begin died before his end; or
 *   -ETIMEDOUT  somebody else has it    -EDEADLK  you have it
 *   -ECANCELED  (prusik/cancel.h)
 */
int prusik_array_begin(struct prusik_array *array, int64_t deadline, void **ret_items) PRUSIK_MUST_USE;

/* Give it back. 0; -EPERM: you do not have it; -EDEADLK: from the function of modify. */
int prusik_array_end(struct prusik_array *array);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
