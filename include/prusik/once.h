/* SPDX-License-Identifier: MIT */
/*
 * once - let the first one who comes do it, and the others wait until it is done
 *
 *	static int make_table(void *arg, int recovered) { ... return 0; }
 *
 *	r = prusik_once(&shared->made, make_table, shared, PRUSIK_FOREVER);
 *
 * All zero: not done yet. Private or shared memory.
 *
 * kill -9: when the one who does it dies half-way, one of those who wait does it
 * again, and is told.
 *
 * Async-signal-safe: prusik_once_done. The others: not.
 */
#ifndef PRUSIK_ONCE_H
#define PRUSIK_ONCE_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * 8 bytes, private. For debuggers, word is: bit 31 somebody may be asleep on it,
 * bit 30 done, bits 29..0 the id of who does it, 0 = nobody.
 */
struct prusik_once {
	uint32_t word;
	uint32_t reserved;
};

/*
 * prusik_once - run function(arg), unless that has been done
 *
 * recovered (1, else 0) tells function that another one died doing it. If function
 * returns less than 0 it counts as not done, and that is this caller's result; the
 * next one, perhaps one who waits, runs it. A thread that ends in function has died
 * doing it. deadline is for waiting, function takes the time that it takes.
 *
 * Returns 0: it is done, by this call or before; -ETIMEDOUT, -ECANCELED: somebody
 * else is still at it; -EDEADLK: called from within function; -EINVAL: NULL, or
 * misaligned (4 bytes); or the domain could not be joined.
 * Killed inside: the next one runs function, or it is done.
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_once(struct prusik_once *once, int (*function)(void *arg, int recovered), void *arg,
		int64_t deadline) PRUSIK_MUST_USE;

/* 1 when it is done, else 0; -EINVAL. Async-signal-safe. */
int prusik_once_done(const struct prusik_once *once);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
