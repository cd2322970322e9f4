/* SPDX-License-Identifier: MIT */
/*
 * visits - members that go in and out of one object, over and over
 *
 * What rlock.c, rwlock.c and barrier.c have in common. A kind of object has a loop of
 * its own, made by VISIT_LOOP from the body of one visit, so that its calls are direct.
 * Counted workloads (one member alone; barriers) do piece->count visits each and are
 * measured in ns per visit; the others go on until they are stopped, in visits per second.
 */
#ifndef BENCH_VISITS_H
#define BENCH_VISITS_H

#include "bench.h"
#include "team.h"

#include <stdatomic.h>
#include <stdint.h>

#define VISIT_OBJECT 512

/* One object, and what it protects, each on cache lines of their own. */
struct visit_spot {
	_Alignas(64) char object[VISIT_OBJECT];
	_Alignas(64) volatile uint64_t counter; /* raised, not atomically, by who is alone inside */
};

/* What one member is to do, and did. */
struct visits {
	_Alignas(64) uint64_t count; /* so many, */
	_Atomic uint32_t *stop; /* or until this is set */
	uint64_t done;
	uint64_t raised; /* the counter, so often */
	int64_t began_at, ended_at;
};

struct visit_shape {
	uint32_t members;
	int threads; /* 1: of one process */
};

struct visit_kind {
	int (*init)(void *object, uint32_t members);
	int (*loop)(struct visit_spot *spot, struct visits *v);
};

/* In a body: spot, v, i (0 to 15, over and over), and bad, to be made not 0 when it fails. */
#define VISIT_LOOP(name, body)                                                                                         \
	static int name(struct visit_spot *spot, struct visits *v)                                                     \
	{                                                                                                              \
		int bad = 0;                                                                                           \
		while (!bad && v->done < v->count && !atomic_load_explicit(v->stop, memory_order_relaxed)) {           \
			for (int i = 0; i < 16; i++) {                                                                 \
				body                                                                                   \
			}                                                                                              \
			v->done += 16;                                                                                 \
		}                                                                                                      \
		return bad;                                                                                            \
	}

#define VISIT_RAISE() (spot->counter = spot->counter + 1, v->raised++)

int visits_setup(struct bench_piece *piece);
int visits_run(struct bench_piece *piece);
void visits_teardown(struct bench_piece *piece);

#define VISIT_SUBJECT(shown, is_ours, init_function, loop_function)                                                    \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = visits_setup, .run = visits_run, .teardown = visits_teardown, \
		.peer = &(const struct visit_kind)                                                                     \
		{                                                                                                      \
			.init = init_function, .loop = loop_function                                                   \
		}                                                                                                      \
	}

#define VISIT_SHAPE(how_many, are_threads)                                                                             \
	.shape = &(const struct visit_shape)                                                                           \
	{                                                                                                              \
		.members = how_many, .threads = are_threads                                                            \
	}

#endif
