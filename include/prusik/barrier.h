/* SPDX-License-Identifier: MIT */
/*
 * barrier - so many parties wait for one another, again and again
 *
 * kill -9: who has arrived is recorded by name. When one of those who wait dies,
 * the barrier is broken for all at once; the dead is never counted as arrived.
 */
#ifndef PRUSIK_BARRIER_H
#define PRUSIK_BARRIER_H

#include <prusik/lock.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* prusik_barrier_size(parties) bytes, private. Zeroed memory must be initialised first. */
struct prusik_barrier {
	struct prusik_lock lock;
	uint32_t parties;
	uint32_t word;
	uint32_t arrived_count;
	uint32_t reserved[3];
	uint32_t arrived[];
};

/* Bytes for so many parties; 0 for 0 or above 65536. */
size_t prusik_barrier_size(uint32_t parties);

/* Before anyone uses it. 0; -EINVAL: NULL, misaligned, parties 0 or above 65536. */
int prusik_barrier_init(struct prusik_barrier *barrier, uint32_t parties);

/*
 * prusik_barrier_wait - arrive, and wait until all parties have
 *
 * The last one to arrive runs action(arg) (NULL: none) while the others still wait;
 * if it returns less than 0 the barrier is broken, and that is this caller's result.
 *
 * Returns which one this was, 0 (the last to arrive) to parties - 1, each number
 * once; or
 *   -EPIPE      the barrier is, or was meanwhile, broken: a party died, timed out,
 *               was canceled, its action failed, or somebody called abort or reset
 *   -ETIMEDOUT  deadline passed first; the barrier is broken for the others
 *   -ECANCELED  likewise
 *   -EINVAL, or the domain could not be joined
 */
int64_t prusik_barrier_wait(struct prusik_barrier *barrier, int (*action)(void *), void *arg,
			    int64_t deadline) PRUSIK_MUST_USE;

/* Make it whole and empty; who waits gets -EPIPE. 0, -EINVAL. */
int prusik_barrier_reset(struct prusik_barrier *barrier);

/* Break it: who waits, and who comes until a reset, gets -EPIPE. 0, -EINVAL. */
int prusik_barrier_abort(struct prusik_barrier *barrier);

/* Parties; how many wait now; 1 when broken, else 0. -EINVAL. */
int64_t prusik_barrier_parties(const struct prusik_barrier *barrier);
int64_t prusik_barrier_waiting(const struct prusik_barrier *barrier);
int prusik_barrier_broken(const struct prusik_barrier *barrier);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
