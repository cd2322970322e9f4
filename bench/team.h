/* SPDX-License-Identifier: MIT */
/*
 * team - children that start together, under a time limit
 *
 * The members of a team are processes. They meet at a gate, which tells when the
 * last one came: then their work begins. A member that fails, or all of
 * them when one hangs, are killed by their numbers, and the team has failed.
 */
#ifndef BENCH_TEAM_H
#define BENCH_TEAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define TEAM_MAX 8

/* Nobody may be in a team for longer. */
#define TEAM_LIMIT_NS (20 * INT64_C(1000000000))

/* Where the members meet; in memory they share. Zero is a closed gate. */
struct team_gate {
	_Atomic uint32_t arrived;
	_Atomic uint32_t open;
	int64_t opened_at;
};

/* CLOCK_MONOTONIC, in nanoseconds. */
int64_t team_now(void);

/* Zeroed memory that children share; NULL when there is none. */
void *team_memory(size_t size);
void team_memory_free(void *memory, size_t size);

/*
 * Come to the gate and wait until all size members have. Those who wait yield the
 * processor, so that a team larger than the machine arrives too.
 */
void team_meet(struct team_gate *gate, uint32_t size);

/* The same, asleep between looks: others are still at work that is timed. */
void team_part(struct team_gate *gate, uint32_t size);

/* Bind the calling thread to one processor, the index-th of those there are, around again. */
void team_pin(uint32_t index);

/* How many processors the program may use. */
uint32_t team_processors(void);

/*
 * team_run - fork size children that run member(arg, index) and exit with its result
 *
 * parent, unless NULL, is called meanwhile with arg.
 * Returns 0 when all of them returned 0; -ETIMEDOUT when some were killed for
 * taking too long; -ECHILD when one failed, was killed, or died; or -errno.
 */
int team_run(uint32_t size, int (*member)(void *arg, uint32_t index), void (*parent)(void *arg), void *arg);

/*
 * team_wait - wait for children of the caller, as team_run does for its own
 *
 * Those that still run when one has failed, or when limit_ns have passed, are killed.
 */
int team_wait(const int *pids, uint32_t count, int64_t limit_ns);

#endif
