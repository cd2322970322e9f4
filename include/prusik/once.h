/* SPDX-License-Identifier: MIT */
/*
 * once - let the first one who comes do it, and the others wait until it is done
 *
 * All zero: not done yet. Private or shared memory.
 *
 * kill -9: when the one who does it dies half-way, one of those who wait does it
 * again, and is told.
 */
#ifndef PRUSIK_ONCE_H
#define PRUSIK_ONCE_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* 8 bytes, private: bits 29..0 who does it, bit 30 done, bit 31 somebody may be asleep. */
struct prusik_once {
	uint32_t word;
	uint32_t reserved;
};

/*
 * prusik_once - run function(arg), unless that has been done
 *
 * recovered tells function that another one died doing it. If function returns less
 * than 0 it counts as not done, and that is this caller's result; the next one runs it.
 *
 * Returns 0: it is done, by this call or before; -ETIMEDOUT, -ECANCELED: somebody
 * else is still at it; -EDEADLK: called from within function; -EINVAL, or the domain
 * could not be joined.
 */
int prusik_once(struct prusik_once *once, int (*function)(void *arg, int recovered), void *arg,
		int64_t deadline) PRUSIK_MUST_USE;

/* 1 when it is done, else 0; -EINVAL. */
int prusik_once_done(const struct prusik_once *once);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
