/* SPDX-License-Identifier: MIT */
/*
 * dict - keys and values that many processes read and write at once
 *
 *	struct prusik_dict *stock;
 *	if (prusik_dict_create(arena, "stock", NULL, &stock) < 0) ...
 *	prusik_dict_set(stock, "bolts", 5, "plenty", 6);
 *	int64_t n = prusik_dict_get(stock, "bolts", 5, buffer, sizeof buffer);
 *
 *	int64_t left;
 *	prusik_dict_add(stock, "nuts", 4, -1, &left);     // right every time, without a lock of yours
 *
 * Keys and values are bytes of any length, 0 included: keys up to 16 MiB, values up
 * to what the arena has room for. A dict lies in an arena, where processes share
 * it, or in private memory, where threads do; each has a random key of its own for
 * hashing, so nobody can choose keys that collide. It grows and shrinks step by step.
 *
 * Reading takes no lock and waits for nobody: a reader who is killed, or stopped,
 * holds up nobody, and a reader sees either all of a change or nothing. Writers
 * take turns. Each call happens at one moment between its beginning and its end.
 *
 * kill -9: a writer leaves its key as it was, or changed, never a mix, and no memory
 * is lost. Who writes next cleans up. What somebody may have seen is never taken back.
 *
 * Objects in objects: prusik_dict_reference tells where in its arena a dict lies, as
 * 8 bytes that may be kept as a value in other objects of the same arena, and
 * prusik_dict_at makes a handle of them. A reference does not own: the object belongs
 * to the link, or the name, that it was created with, and is freed by
 * prusik_dict_destroy through that, once nobody uses it any more; deleting the key that
 * has a reference for its value deletes nothing else. A reference to what has been
 * destroyed is refused, also when another object lies there by now (unless 2^24 more
 * were made in the arena meanwhile). Who puts an object into a dict creates it first,
 * at its link, and then sets the reference: killed in between, the link still owns it.
 *
 * A namespace is a dict whose keys are names.
 *
 * Context of every call: threads; not signal handlers. None is ended by a signal.
 * Every call may also return -EINVAL for NULL where none may be, -EPROTO when the
 * bytes in the arena are corrupt, or, those that write or wait, a cause for which
 * the domain could not be joined (common.h). -ENOSPC: the arena has no room; nothing
 * has changed.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_DICT_H
#define PRUSIK_DICT_H

#include <prusik/named.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle: this process's view. May be used by all its threads, and by children. */
struct prusik_dict;

/* Longest key in bytes. */
#define PRUSIK_DICT_KEY_MAX ((UINT64_C(1) << 24) - 1)

/* Zero means default. */
struct prusik_dict_options {
	uint64_t
		room; /* in private memory: address space set aside, default 64 GiB; with a name in the domain: bytes set aside at first, default 64 KiB; it grows */
	uint32_t flags; /* of prusik_dict_open_named: PRUSIK_EXISTING, PRUSIK_NEW, PRUSIK_PERSISTENT (named.h) */
};

/* What prusik_dict_stats tells, at one moment. */
struct prusik_dict_stats {
	uint64_t keys;
	uint64_t buckets; /* of the hash table; 2 to 3 keys lie in one, once there are many */
	uint64_t bytes; /* of the arena that the dict uses, freed keys' memory that it keeps included */
	uint64_t recovered; /* times that somebody died inside the dict and was cleaned up after */
};

/*
 * prusik_dict_create - make a dict
 *
 * With an arena, the dict lies in it and name says under which root (see
 * prusik_arena_root) others find it. With arena NULL it lies in private memory,
 * name must be NULL, and freeing the handle frees the dict. options NULL means
 * all defaults.
 *
 * Returns 0 with *ret_dict set, or
 *   -EEXIST  the name is taken in this arena
 *   -ENOSPC, -EINVAL, -ENAMETOOLONG, -ENOMEM, or the domain could not be joined
 * Killed inside: no dict, or a whole one; nothing leaks.
 */
int prusik_dict_create(struct prusik_arena *arena, const char *name, const struct prusik_dict_options *options,
		       struct prusik_dict **ret_dict) PRUSIK_MUST_USE;

/* prusik_dict_create_at - the same, owned by link, which lies in the arena and holds 0 (see prusik_arena_alloc) */
int prusik_dict_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_dict_options *options,
			  struct prusik_dict **ret_dict) PRUSIK_MUST_USE;

/*
 * prusik_dict_open - attach to the dict of that name
 *
 * Returns 0 with *ret_dict set; -ENOENT: no such dict; -EPROTO: something else goes
 * by that name, or its bytes are not those of a dict; -EINVAL, -ENOMEM.
 */
int prusik_dict_open(struct prusik_arena *arena, const char *name, struct prusik_dict **ret_dict) PRUSIK_MUST_USE;

/*
 * prusik_dict_open_named - join the dict of that name in the domain, or make it
 *
 * It has an arena of its own, which lives as prusik/named.h says: without
 * PRUSIK_PERSISTENT as long as somebody is attached. Returns 0 with *ret_dict set,
 * or a cause as of prusik_named_open.
 */
int prusik_dict_open_named(const char *name, const struct prusik_dict_options *options,
			   struct prusik_dict **ret_dict) PRUSIK_MUST_USE;

/* prusik_dict_at - attach to the dict that a reference names; as prusik_dict_open */
int prusik_dict_at(struct prusik_arena *arena, uint64_t reference, struct prusik_dict **ret_dict) PRUSIK_MUST_USE;

/* The reference of a dict, for objects of the same arena; 0 for NULL. */
uint64_t prusik_dict_reference(const struct prusik_dict *dict);

/* prusik_dict_free - drop the handle. Accepts NULL. */
void prusik_dict_free(struct prusik_dict *dict);

/*
 * prusik_dict_destroy - give all memory of the dict that link owns back, and set it to 0
 *
 * Nobody may use the dict any more. Of one with a name, link is what prusik_arena_root
 * gives. Returns 0 (also when *link is 0), -EINVAL, -EPROTO: no dict there.
 * Killed inside: the dict, or none; or one that cannot be opened any more, which
 * destroying or creating it anew finishes off.
 */
int prusik_dict_destroy(struct prusik_arena *arena, uint64_t *link);

/* ---- reading ---- */

/*
 * prusik_dict_get - copy the value of a key to buffer, which has room for capacity bytes
 *
 * With buffer NULL nothing is copied. Returns the value's length, or
 *   -ENOENT    no such key
 *   -EMSGSIZE  the value is longer than capacity
 */
int64_t prusik_dict_get(struct prusik_dict *dict, const void *key, uint64_t key_length, void *buffer,
			uint64_t capacity);

/* A key that is looked for, where its value goes, and what became of it. */
struct prusik_dict_wanted {
	const void *key;
	uint64_t key_length;
	void *buffer;
	uint64_t capacity;
	int64_t result; /* as prusik_dict_get returns it */
};

/*
 * prusik_dict_get_many - prusik_dict_get for count keys
 *
 * In a dict that is larger than the processor's caches this takes a fraction of the
 * time of one by one: the memory of several keys is on its way at once. Each value is
 * of some moment during the call, not all of one.
 *
 * Returns how many have result >= 0; -EINVAL.
 */
int64_t prusik_dict_get_many(struct prusik_dict *dict, struct prusik_dict_wanted *wanted, uint64_t count);

/* Is the key there? 1 or 0. */
int prusik_dict_contains(struct prusik_dict *dict, const void *key, uint64_t key_length);

/* How many keys there are. Takes the dict's lock, unlike the other readers. */
int64_t prusik_dict_length(struct prusik_dict *dict);

/* Where an iteration stands; all zero: at its beginning. Private fields. */
struct prusik_dict_cursor {
	uint64_t position;
	uint32_t equal;
	uint32_t ended;
};

/*
 * prusik_dict_next - the next key of an iteration, and its value
 *
 * Each key that is there all the time comes exactly once, whatever happens to others
 * meanwhile and however the dict grows or shrinks; one that is set or deleted
 * meanwhile comes once or not at all. The order means nothing.
 *
 * key and value say where to copy to: iov_base has room for iov_len bytes, and
 * iov_len becomes the length. Either may be NULL; so may iov_base: only the length.
 *
 * Returns 1: here is one; 0: there are no more; or
 *   -EMSGSIZE  one of them has no room: both iov_len are what is needed, and the
 *              cursor stays where it was
 */
int prusik_dict_next(struct prusik_dict *dict, struct prusik_dict_cursor *cursor, struct iovec *key,
		     struct iovec *value);

/* ---- writing ---- */

/*
 * prusik_dict_set - give a key a value
 *
 * Returns 1: the key is new; 0: it had a value before; or
 *   -ENOSPC    no room
 *   -EMSGSIZE  the key is longer than PRUSIK_DICT_KEY_MAX, or the value than 2^40 - 1
 * Killed inside: the old value, or the new one.
 */
int prusik_dict_set(struct prusik_dict *dict, const void *key, uint64_t key_length, const void *value, uint64_t length);

/* prusik_dict_insert - the same, only if the key is new: 0, or -EEXIST */
int prusik_dict_insert(struct prusik_dict *dict, const void *key, uint64_t key_length, const void *value,
		       uint64_t length);

/*
 * prusik_dict_setdefault - the value of a key, which becomes this one if it has none
 *
 * Copies the value that the key has then, as prusik_dict_get does. Returns its length,
 * -EMSGSIZE when that is longer than capacity (a new one is not set then), -ENOSPC.
 */
int64_t prusik_dict_setdefault(struct prusik_dict *dict, const void *key, uint64_t key_length, const void *value,
			       uint64_t length, void *buffer, uint64_t capacity);

/* prusik_dict_delete - remove a key. 0, or -ENOENT. */
int prusik_dict_delete(struct prusik_dict *dict, const void *key, uint64_t key_length);

/* prusik_dict_pop - remove a key and copy its value, as prusik_dict_get does; -EMSGSIZE: not removed */
int64_t prusik_dict_pop(struct prusik_dict *dict, const void *key, uint64_t key_length, void *buffer,
			uint64_t capacity);

/* A key and its value. */
struct prusik_dict_item {
	const void *key;
	uint64_t key_length;
	const void *value;
	uint64_t length;
};

/*
 * prusik_dict_update - set count keys, in order
 *
 * No other writer comes between them; readers may see the first ones before the last.
 * Returns how many were set: count, or fewer (at least 1) when there was no room for
 * more; or, with nothing set, a cause as of prusik_dict_set. All lengths are checked
 * before the first is set. Killed inside: the first ones are set, each whole.
 */
int64_t prusik_dict_update(struct prusik_dict *dict, const struct prusik_dict_item *items, uint64_t count);

/*
 * prusik_dict_clear - remove all keys, at once
 *
 * Needs no memory. Returns 0. Killed inside: all keys are there, or none is.
 */
int prusik_dict_clear(struct prusik_dict *dict);

/* What a prusik_dict_modify_fn wants done. */
enum {
	PRUSIK_DICT_KEEP, /* nothing */
	PRUSIK_DICT_SET, /* *ret_value becomes the key's value */
	PRUSIK_DICT_DELETE, /* the key is removed, if it is there */
};

/*
 * Given the value of a key (old NULL: it has none; aligned to 8 bytes), says what is to
 * become of it. ret_value->iov_base must stay valid until prusik_dict_modify returns. A
 * result below 0 changes nothing, and is what prusik_dict_modify returns.
 */
typedef int (*prusik_dict_modify_fn)(void *context, const void *old, uint64_t old_length, struct iovec *ret_value);

/*
 * prusik_dict_modify - change a key's value by a function of what it is, as one step
 *
 * The function runs once, with the dict's lock held: it keeps other writers waiting,
 * not readers, and calls that write to the dict are refused to it (-EDEADLK).
 * Returns what the function did, or a cause as of prusik_dict_set.
 * Killed inside, the function too: the old value, or the new one.
 */
int prusik_dict_modify(struct prusik_dict *dict, const void *key, uint64_t key_length, prusik_dict_modify_fn function,
		       void *context);

/*
 * prusik_dict_add - add to a number, as one step
 *
 * The value is an int64_t in its 8 bytes; a key without a value counts as 0. *ret_value,
 * unless NULL, is the sum. Returns 1: the key is new; 0; or
 *   -EINVAL     the value has not 8 bytes
 *   -EOVERFLOW  the sum does not fit
 *   -ENOSPC
 */
int prusik_dict_add(struct prusik_dict *dict, const void *key, uint64_t key_length, int64_t delta, int64_t *ret_value);

/*
 * prusik_dict_cas - change a key's value if it is what is expected
 *
 * expected NULL: the key must not be there; value NULL: it is removed.
 * Returns 0, or -ESTALE: it is not what was expected; -ENOSPC, -EMSGSIZE.
 */
int prusik_dict_cas(struct prusik_dict *dict, const void *key, uint64_t key_length, const void *expected,
		    uint64_t expected_length, const void *value, uint64_t length);

/* ---- watching ---- */

/*
 * prusik_dict_seen - a number that changes whenever the key does
 *
 * key NULL: whenever anything in the dict does. The order is: take the number, look at
 * the key, then wait.
 *
 * Returns the number, or a cause for which the domain could not be joined.
 */
int64_t prusik_dict_seen(struct prusik_dict *dict, const void *key, uint64_t key_length);

/*
 * prusik_dict_wait - until the key has changed since seen was taken
 *
 * Returns 0: it may have (another key, too, can be the cause: look, and wait again),
 *   -ETIMEDOUT  it has not, until deadline
 *   -ECANCELED  (prusik/cancel.h), -EINVAL, or the domain could not be joined
 */
int prusik_dict_wait(struct prusik_dict *dict, const void *key, uint64_t key_length, int64_t seen, int64_t deadline);

/* All the figures of one moment. Returns 0. */
int prusik_dict_stats(struct prusik_dict *dict, struct prusik_dict_stats *ret_stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
