/* SPDX-License-Identifier: MIT */
/*
 * list - items in order, that many processes read and change at once
 *
 *	struct prusik_list *log;
 *	if (prusik_list_create(arena, "log", NULL, &log) < 0) ...
 *	prusik_list_append(log, "first", 5);
 *	prusik_list_insert(log, 0, "before it", 9);
 *	int64_t n = prusik_list_get(log, -1, buffer, sizeof buffer);     // the last one
 *
 * Items are bytes of any length, 0 included, up to what the arena has room for.
 * Positions count from 0, or, below 0, from the end: -1 is the last one. Every
 * operation takes time that grows with the logarithm of the length, but for those
 * that look for a value, and those that move all.
 *
 * A list lies in an arena, where processes share it, or in private memory, where
 * threads do. Each call happens at one moment between its beginning and its end, a
 * slice too. Writers take turns. Readers take no lock, but for slices, and when writers
 * leave them no gap to look in.
 *
 * kill -9: a writer leaves the list as it was, or changed, never a mix, and no memory
 * is lost. Who comes next cleans up.
 *
 * Context of every call: threads; not signal handlers. None is ended by a signal.
 * Every call may also return -EINVAL for NULL where none may be, -EPROTO when the
 * bytes in the arena are corrupt, or a cause for which the domain could not be
 * joined (common.h). -ENOSPC: the arena has no room; nothing has changed.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_LIST_H
#define PRUSIK_LIST_H

#include <prusik/named.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle: this process's view. May be used by all its threads, and by children. */
struct prusik_list;

/* Zero means default; as of prusik_dict_options. */
struct prusik_list_options {
	uint64_t room;
	uint32_t flags;
};

/*
 * Making, opening, destroying: as the functions of prusik/dict.h of the same names;
 * references, too.
 */
int prusik_list_create(struct prusik_arena *arena, const char *name, const struct prusik_list_options *options,
		       struct prusik_list **ret_list) PRUSIK_MUST_USE;
int prusik_list_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_list_options *options,
			  struct prusik_list **ret_list) PRUSIK_MUST_USE;
int prusik_list_open(struct prusik_arena *arena, const char *name, struct prusik_list **ret_list) PRUSIK_MUST_USE;
int prusik_list_open_named(const char *name, const struct prusik_list_options *options,
			   struct prusik_list **ret_list) PRUSIK_MUST_USE;
int prusik_list_at(struct prusik_arena *arena, uint64_t reference, struct prusik_list **ret_list) PRUSIK_MUST_USE;
uint64_t prusik_list_reference(const struct prusik_list *list);
void prusik_list_free(struct prusik_list *list);
int prusik_list_destroy(struct prusik_arena *arena, uint64_t *link);

/* ---- reading ---- */

/* How many items there are. */
int64_t prusik_list_length(struct prusik_list *list);

/*
 * prusik_list_get - copy the item at a position to buffer, which has room for capacity bytes
 *
 * With buffer NULL nothing is copied. Returns the item's length, or
 *   -ENOENT    there is no such position
 *   -EMSGSIZE  the item is longer than capacity
 */
int64_t prusik_list_get(struct prusik_list *list, int64_t position, void *buffer, uint64_t capacity);

/*
 * prusik_list_slice - copy the items from position begin up to, not including, end
 *
 * As in Python, positions that there are not are left out; end INT64_MAX: all that
 * follow. Item i goes to items[i].iov_base, which has room for items[i].iov_len bytes,
 * and iov_len becomes its length; with iov_base NULL only that. At most count items.
 *
 * Returns how many, all as of one moment; or -EMSGSIZE: the item after those whose
 * iov_len is set is longer than its room.
 */
int64_t prusik_list_slice(struct prusik_list *list, int64_t begin, int64_t end, struct iovec *items, uint64_t count);

/* prusik_list_index - the first position, from begin on, of an item that equals these bytes; or -ENOENT */
int64_t prusik_list_index(struct prusik_list *list, const void *data, uint64_t length, int64_t begin);

/* prusik_list_count - how many items equal these bytes, at one moment */
int64_t prusik_list_count(struct prusik_list *list, const void *data, uint64_t length);

/* ---- writing ---- */

/* prusik_list_append - put an item behind the last one. 0; -ENOSPC, -EMSGSIZE (2^40 - 1 bytes at most). */
int prusik_list_append(struct prusik_list *list, const void *data, uint64_t length);

/*
 * prusik_list_extend - append count items, in order
 *
 * Nobody sees some of them without the rest, unless there was no room for all, or the
 * caller was killed: then the first ones are in the list, each whole. Returns how many
 * were appended, at least 1; or, with none, a cause.
 */
int64_t prusik_list_extend(struct prusik_list *list, const struct iovec *items, uint64_t count);

/*
 * prusik_list_insert - put an item before the one at that position
 *
 * As in Python, a position beyond the end means the end, one before the beginning the
 * beginning. 0, -ENOSPC, -EMSGSIZE.
 */
int prusik_list_insert(struct prusik_list *list, int64_t position, const void *data, uint64_t length);

/* prusik_list_set - put another item in the place of the one at that position. 0, -ENOENT, -ENOSPC, -EMSGSIZE. */
int prusik_list_set(struct prusik_list *list, int64_t position, const void *data, uint64_t length);

/* prusik_list_pop - take the item at a position out, copying it as prusik_list_get does; -EMSGSIZE: it stays */
int64_t prusik_list_pop(struct prusik_list *list, int64_t position, void *buffer, uint64_t capacity);

/* prusik_list_remove - take out the first item that equals these bytes. Its position, or -ENOENT. */
int64_t prusik_list_remove(struct prusik_list *list, const void *data, uint64_t length);

/*
 * Which of two items comes first: below 0 is a, above 0 is b, 0 is neither. They lie in
 * the list, aligned to 8 bytes, and are not to be changed.
 */
typedef int (*prusik_list_compare_fn)(void *context, const void *a, uint64_t a_length, const void *b,
				      uint64_t b_length);

/*
 * prusik_list_sort - put the items in order, at once; what is equal stays as it comes
 *
 * compare NULL: by their bytes, as memcmp does, and what another begins with comes
 * before it. The function runs with the list's lock held: those who write wait, and
 * slices do; those who read see the old order until all has been compared. Calls that
 * write to the list, and slices, are refused to it (-EDEADLK), the others are not. It may
 * contradict itself: then the items come in some order, each once.
 *
 * Takes time as n log n, and, unless the items are in order, 8 bytes of the arena an item
 * until it has returned. 0; -ENOSPC, -ENOMEM: nothing has changed.
 * Killed inside, the function too: the old order, or the new one.
 */
int prusik_list_sort(struct prusik_list *list, prusik_list_compare_fn compare, void *context);

/*
 * prusik_list_reverse - put the items in the opposite order, at once
 *
 * 0; -ENOSPC: wants 8 bytes of the arena an item until it has returned. Killed inside: the
 * old order, or the opposite one.
 */
int prusik_list_reverse(struct prusik_list *list);

/* prusik_list_clear - take all items out, at once. Needs no memory. Killed inside: all are there, or none is. */
int prusik_list_clear(struct prusik_list *list);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
