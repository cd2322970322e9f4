/* SPDX-License-Identifier: MIT */
/*
 * value - one number, or one small record, that many processes change
 *
 *	struct prusik_value *left;
 *	const int64_t ten = 10;
 *	const struct prusik_value_options options = { .initial = &ten };
 *	if (prusik_value_create(arena, "left", &options, &left) < 0) ...
 *
 *	int64_t now;
 *	prusik_value_add(left, -1, &now);            // right every time, without a lock of yours
 *
 * A value is a signed or an unsigned number of 64 bits, a double, or a record of up to
 * PRUSIK_VALUE_BYTES_MAX bytes. It lies in an arena, where processes share it, or in
 * private memory, where threads do.
 *
 * Each call happens at one moment between its beginning and its end. Reading waits for
 * nobody, whatever the writers do. Writing a number is one atomic operation, without a
 * lock, as long as nobody has the value's lock.
 *
 * The lock is for what takes several steps:
 *
 *	int r = prusik_value_lock(left, PRUSIK_FOREVER);
 *	if (r < 0)
 *		return r;
 *	prusik_value_get(left, &now);                // r == PRUSIK_RECOVERED: somebody died in here
 *	prusik_value_set(left, now / 2);
 *	prusik_value_unlock(left);
 *
 * While somebody has it the calls of all others that write wait (those that read do
 * not, and see what he has written so far), so an add never comes between his get and
 * his set. Those waits have no deadline, but heed a token (-ECANCELED, prusik/cancel.h);
 * who wants a deadline takes the lock with one. The lock is not recursive, and only its
 * holder gives it back. prusik_value_modify does the same for a function.
 *
 * kill -9: the value is what it was, or what it was to become, never a mix; an add has
 * happened once, or not at all. Who dies with the lock leaves what he has written so
 * far; the next to take it is told PRUSIK_RECOVERED.
 *
 * References are as of prusik/dict.h: a number that may be kept in other objects of the
 * same arena, and that is refused once its value is destroyed.
 *
 * Context: threads; but prusik_value_get and its like are async-signal-safe. None is
 * ended by a signal. Every call may also return -EINVAL for NULL where none may be, and
 * those that write or wait a cause for which the domain could not be joined (common.h).
 * -EPROTOTYPE: the value is of another kind than the call is for.
 *
 * Async-signal-safe: prusik_value_get, _get_unsigned, _get_double, _kind, _size.
 */
#ifndef PRUSIK_VALUE_H
#define PRUSIK_VALUE_H

#include <prusik/named.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle: this process's view. May be used by all its threads, and by children. */
struct prusik_value;

enum prusik_value_kind {
	PRUSIK_VALUE_INT = 1, /* int64_t */
	PRUSIK_VALUE_UNSIGNED, /* uint64_t */
	PRUSIK_VALUE_DOUBLE,
	PRUSIK_VALUE_BYTES, /* size bytes */
};

/* Longest record. */
#define PRUSIK_VALUE_BYTES_MAX 4096u

/*
 * Zero means default. To open one they are what is expected of it: kind 0 is any, and
 * initial and flags do not count.
 */
struct prusik_value_options {
	uint32_t kind; /* default PRUSIK_VALUE_INT */
	uint32_t size; /* of PRUSIK_VALUE_BYTES, which it is needed for; else 8, or 0 */
	uint32_t flags; /* of prusik_value_open_named: PRUSIK_EXISTING, PRUSIK_NEW, PRUSIK_PERSISTENT (named.h) */
	uint32_t reserved; /* 0 */
	const void *initial; /* what a new one is: 8 bytes, or size; NULL: zeros */
};

/*
 * prusik_value_create - make a value
 *
 * With an arena, the value lies in it and name says under which root (see
 * prusik_arena_root) others find it. With arena NULL it lies in private memory,
 * name must be NULL, and freeing the handle frees the value. options NULL means all
 * defaults.
 *
 * Returns 0 with *ret_value set, or
 *   -EINVAL  no such kind, or a size that it cannot have
 *   -EEXIST  the name is taken in this arena
 *   -ENOSPC, -ENAMETOOLONG, -ENOMEM, or the domain could not be joined
 * Killed inside: no value, or a whole one; nothing leaks.
 */
int prusik_value_create(struct prusik_arena *arena, const char *name, const struct prusik_value_options *options,
			struct prusik_value **ret_value) PRUSIK_MUST_USE;

/* prusik_value_create_at - the same, owned by link, which lies in the arena and holds 0 (see prusik_arena_alloc) */
int prusik_value_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_value_options *options,
			   struct prusik_value **ret_value) PRUSIK_MUST_USE;

/*
 * prusik_value_open - attach to the value of that name
 *
 * options: what is expected; NULL: anything. Returns 0 with *ret_value set, or
 *   -ENOENT      no such value
 *   -EPROTO      something else goes by that name, or its bytes are corrupt
 *   -EPROTOTYPE  it is of another kind
 *   -EMSGSIZE    it is a record of another size
 *   -EINVAL, -ENOMEM
 */
int prusik_value_open(struct prusik_arena *arena, const char *name, const struct prusik_value_options *options,
		      struct prusik_value **ret_value) PRUSIK_MUST_USE;

/*
 * prusik_value_open_named - join the value of that name in the domain, or make it
 *
 * It has an arena of its own, which lives as prusik/named.h says. Returns 0, or a cause
 * as of prusik_value_open or prusik_named_open. With PRUSIK_EXISTING kind 0 is any;
 * else it is PRUSIK_VALUE_INT.
 */
int prusik_value_open_named(const char *name, const struct prusik_value_options *options,
			    struct prusik_value **ret_value) PRUSIK_MUST_USE;

/* prusik_value_at - attach to the value that a reference names; as prusik_value_open */
int prusik_value_at(struct prusik_arena *arena, uint64_t reference, const struct prusik_value_options *options,
		    struct prusik_value **ret_value) PRUSIK_MUST_USE;

/* The reference of a value, for objects of the same arena; 0 for NULL and for one in private memory. */
uint64_t prusik_value_reference(const struct prusik_value *value);

/* prusik_value_free - drop the handle. Accepts NULL. The calling thread must not have its lock. */
void prusik_value_free(struct prusik_value *value);

/*
 * prusik_value_destroy - give the memory of the value that link owns back, and set it to 0
 *
 * As prusik_dict_destroy: nobody may use it any more. 0, -EINVAL, -EPROTO.
 */
int prusik_value_destroy(struct prusik_arena *arena, uint64_t *link);

/* enum prusik_value_kind; and how many bytes it has: 8, or those of the record. Below 0: NULL. */
int prusik_value_kind(const struct prusik_value *value);
int64_t prusik_value_size(const struct prusik_value *value);

/* ---- signed numbers ---- */

/* Its number now: 0. */
int prusik_value_get(const struct prusik_value *value, int64_t *ret_number);

/* It becomes this number: 0. */
int prusik_value_set(struct prusik_value *value, int64_t number);

/* It becomes more by delta. 0, and *ret_number, unless NULL, is the sum; -EOVERFLOW: that would not fit. */
int prusik_value_add(struct prusik_value *value, int64_t delta, int64_t *ret_number);

/* It becomes number if it is expected. 0, or -ESTALE: it is another. */
int prusik_value_cas(struct prusik_value *value, int64_t expected, int64_t number);

/* ---- unsigned numbers: the same; delta may be below 0 ---- */

int prusik_value_get_unsigned(const struct prusik_value *value, uint64_t *ret_number);
int prusik_value_set_unsigned(struct prusik_value *value, uint64_t number);
int prusik_value_add_unsigned(struct prusik_value *value, int64_t delta, uint64_t *ret_number);
int prusik_value_cas_unsigned(struct prusik_value *value, uint64_t expected, uint64_t number);

/* ---- doubles: the same; a sum never overflows, and cas compares bits (so -0.0 is not 0.0, and a NaN is itself) ---- */

int prusik_value_get_double(const struct prusik_value *value, double *ret_number);
int prusik_value_set_double(struct prusik_value *value, double number);
int prusik_value_add_double(struct prusik_value *value, double delta, double *ret_number);
int prusik_value_cas_double(struct prusik_value *value, double expected, double number);

/* ---- records ---- */

/*
 * prusik_value_get_bytes - copy all of it to buffer, which has room for capacity bytes
 *
 * Returns how many they are, all of one moment; -EMSGSIZE: more than capacity.
 */
int64_t prusik_value_get_bytes(struct prusik_value *value, void *buffer, uint64_t capacity);

/* It becomes these bytes, as many as it has: 0; -EMSGSIZE: length is another. */
int prusik_value_set_bytes(struct prusik_value *value, const void *bytes, uint64_t length);

/* The same if it is what is expected; both have length bytes. 0, -ESTALE, -EMSGSIZE. */
int prusik_value_cas_bytes(struct prusik_value *value, const void *expected, const void *bytes, uint64_t length);

/* ---- several steps ---- */

/*
 * Changes a number or a record in place: data is an int64_t, a uint64_t, a double or the
 * record (aligned to 8 bytes), size its bytes. A result below 0 changes nothing.
 */
typedef int (*prusik_value_modify_fn)(void *context, void *data, uint64_t size);

/*
 * prusik_value_modify - change it by a function of what it is, as one step
 *
 * The function runs once, with the value's lock held: those who write wait, those who
 * read go on and see the old value until it has returned. Calls that write to the value,
 * or take its lock, are refused to it (-EDEADLK). Returns what the function did.
 * Killed inside, the function too: the old value, or the new one.
 */
int prusik_value_modify(struct prusik_value *value, prusik_value_modify_fn function, void *context);

/*
 * prusik_value_lock - take the value's lock, waiting until deadline
 *
 * Returns 0; PRUSIK_RECOVERED: it is yours, and the last one to take it died before he
 * gave it back; or
 *   -ETIMEDOUT  somebody else has it    -EDEADLK  you have it
 *   -ECANCELED  (prusik/cancel.h)
 */
int prusik_value_lock(struct prusik_value *value, int64_t deadline) PRUSIK_MUST_USE;

/* Give it back. 0; -EPERM: you do not have it; -EDEADLK: from the function of modify. */
int prusik_value_unlock(struct prusik_value *value);

/*
 * prusik_value_wait - until the value is not these bytes
 *
 * seen points to what the caller has got of it: an int64_t, a uint64_t, a double, or a
 * record; compared bit by bit. Returns 0 at a moment when it differs, at once if it
 * does already; a change that is taken back before the waiter runs may be missed.
 *   -ETIMEDOUT, -ECANCELED (prusik/cancel.h)
 */
int prusik_value_wait(struct prusik_value *value, const void *seen, int64_t deadline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
