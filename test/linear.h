/* SPDX-License-Identifier: MIT */
/*
 * linear - are these calls, which overlapped, as if each had happened at one moment
 *
 * A history is a set of calls with the times when each began and ended. It is
 * linearizable if they can be put in an order in which every call gives the result it
 * gave, and none comes before one that had ended when it began. The search is that of
 * Wing and Gong, "Testing and verifying concurrent objects" (1993): try each call
 * that may come next, undo it if that leads nowhere; what is left and the state it is
 * left in are remembered, as Lowe adds, so that no dead end is entered twice.
 */
#ifndef TEST_LINEAR_H
#define TEST_LINEAR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINEAR_CALLS 32 /* at most, in one history */
#define LINEAR_STATE 48 /* bytes of the model */
#define LINEAR_SEEN 65536u

struct linear_call {
	int64_t began, ended;
	uint32_t what, argument, other;
	int64_t result;
};

/* Do the call on the model, and is the result the one it gave? */
typedef bool linear_fn(unsigned char state[LINEAR_STATE], const struct linear_call *call);

struct linear_seen {
	uint64_t left;
	unsigned char state[LINEAR_STATE];
	bool used;
};

struct linear {
	const struct linear_call *call;
	uint32_t count;
	linear_fn *step;
	struct linear_seen *seen;
};

/* Been here before? Remembers it. */
static inline bool linear_been(struct linear *l, uint64_t left, const unsigned char *state)
{
	uint64_t h = left * UINT64_C(0x9e3779b97f4a7c15);

	for (int i = 0; i < LINEAR_STATE; i++)
		h = (h ^ state[i]) * UINT64_C(0x100000001b3);
	for (uint32_t i = 0; i < 64; i++) {
		struct linear_seen *s = &l->seen[(h + i) % LINEAR_SEEN];
		if (!s->used) {
			s->left = left;
			memcpy(s->state, state, LINEAR_STATE);
			s->used = true;
			return false;
		}
		if (s->left == left && memcmp(s->state, state, LINEAR_STATE) == 0)
			return true;
	}
	return false;
}

static inline bool linear_from(struct linear *l, uint64_t left, const unsigned char *state)
{
	int64_t first_end = INT64_MAX;

	if (left == 0)
		return true;
	if (linear_been(l, left, state))
		return false;
	for (uint32_t i = 0; i < l->count; i++)
		if (left >> i & 1 && l->call[i].ended < first_end)
			first_end = l->call[i].ended;
	for (uint32_t i = 0; i < l->count; i++) {
		unsigned char next[LINEAR_STATE];
		if (!(left >> i & 1) || l->call[i].began > first_end)
			continue;
		memcpy(next, state, LINEAR_STATE);
		if (l->step(next, &l->call[i]) && linear_from(l, left & ~(UINT64_C(1) << i), next))
			return true;
	}
	return false;
}

static inline bool linearizable(const struct linear_call *call, uint32_t count, linear_fn *step)
{
	struct linear l = { call, count, step, calloc(LINEAR_SEEN, sizeof(struct linear_seen)) };
	unsigned char state[LINEAR_STATE] = { 0 };
	bool ok = l.seen && linear_from(&l, (UINT64_C(1) << count) - 1, state);

	free(l.seen);
	return ok;
}

#endif
