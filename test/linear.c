/* SPDX-License-Identifier: MIT */
/* Histories of several processes on one dict, or list, are linearizable (linear.h). */
#include "linear.h"
#include "party.h"

#include <prusik/dict.h>
#include <prusik/list.h>

#define PARTIES 4
#define EACH 6
#define ROUNDS 400

struct share {
	struct prusik_dict *dict;
	struct prusik_list *list;
	uint32_t seed;
	uint32_t go[ROUNDS]; /* how many have come */
	struct linear_call call[PARTIES * EACH];
};

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 8;
}

/* All begin at once: whoever is not there yet is waited for, by looking. */
static void meet(uint32_t *word)
{
	prk_add32_acqrel(word, 1);
	while (prk_load32_acq(word) < PARTIES)
		sched_yield();
}

/* ---- the checker itself ---- */

enum { READ, WRITE };

static bool one_word(unsigned char state[LINEAR_STATE], const struct linear_call *c)
{
	if (c->what == WRITE)
		state[0] = (unsigned char)c->argument;
	return c->what == WRITE || c->result == state[0];
}

TEST(the_checker_tells)
{
	const struct linear_call good[] = {
		{ 1, 10, WRITE, 5, 0, 0 },
		{ 2, 3, READ, 0, 0, 0 },
		{ 4, 5, READ, 0, 0, 5 },
		{ 11, 12, READ, 0, 0, 5 },
	};
	const struct linear_call back[] = {
		{ 1, 10, WRITE, 5, 0, 0 },
		{ 2, 3, READ, 0, 0, 5 },
		{ 4, 5, READ, 0, 0, 0 },
	};
	const struct linear_call lost[] = { { 1, 2, WRITE, 5, 0, 0 }, { 3, 4, READ, 0, 0, 0 } };

	ck_assert(linearizable(good, 4, one_word));
	ck_assert(!linearizable(back, 3, one_word));
	ck_assert(!linearizable(lost, 2, one_word));
}

/* ---- dict: keys 0 and 1, a value is a number from 1 to 255, 0 = none ---- */

enum { GET, SET, DELETE, INSERT, CAS, ADD, LENGTH, CLEAR, POP, DICT_CALLS };

static bool dict_step(unsigned char s[LINEAR_STATE], const struct linear_call *c)
{
	unsigned char *v = &s[c->argument], old = *v;
	unsigned char to = (unsigned char)c->other;

	switch (c->what) {
	case GET:
		return c->result == (old ? old : -ENOENT);
	case SET:
		*v = to;
		return c->result == (old == 0);
	case DELETE:
		*v = 0;
		return c->result == (old ? 0 : -ENOENT);
	case INSERT:
		*v = old ? old : to;
		return c->result == (old ? -EEXIST : 0);
	case CAS: /* from to to to + 1 */
		*v = old == to ? to + 1 : old;
		return c->result == (old == to ? 0 : -ESTALE);
	case ADD:
		*v = old + 1;
		return c->result == old + 1;
	case LENGTH:
		return c->result == (s[0] != 0) + (s[1] != 0);
	case POP:
		*v = 0;
		return c->result == (old ? old : -ENOENT);
	default: /* CLEAR */
		s[0] = s[1] = 0;
		return c->result == 0;
	}
}

static int64_t dict_call(struct prusik_dict *d, const struct linear_call *c)
{
	int64_t value[1] = { c->other };
	const int64_t next[1] = { c->other + 1 };
	const uint32_t *key = &c->argument;
	int64_t r;

	switch (c->what) {
	case GET:
		r = prusik_dict_get(d, key, sizeof *key, value, sizeof value);
		return r < 0 ? r : value[0];
	case SET:
		return prusik_dict_set(d, key, sizeof *key, value, sizeof value);
	case DELETE:
		return prusik_dict_delete(d, key, sizeof *key);
	case INSERT:
		return prusik_dict_insert(d, key, sizeof *key, value, sizeof value);
	case CAS:
		return prusik_dict_cas(d, key, sizeof *key, value, sizeof value, next, sizeof next);
	case ADD:
		r = prusik_dict_add(d, key, sizeof *key, 1, value);
		return r < 0 ? r : value[0];
	case LENGTH:
		return prusik_dict_length(d);
	case POP:
		r = prusik_dict_pop(d, key, sizeof *key, value, sizeof value);
		return r < 0 ? r : value[0];
	default:
		return prusik_dict_clear(d);
	}
}

static int use_dict(void *shared, int index)
{
	struct share *s = shared;
	uint32_t random = s->seed + (uint32_t)index * 77;

	meet(&s->go[s->seed % ROUNDS]);
	for (int i = 0; i < EACH; i++) {
		struct linear_call *c = &s->call[index * EACH + i];
		uint32_t what = next_random(&random) % DICT_CALLS;
		*c = (struct linear_call){ .what = what,
					   .argument = next_random(&random) % 2,
					   .other = 1 + next_random(&random) % 4 };
		c->began = prusik_now();
		c->result = dict_call(s->dict, c);
		c->ended = prusik_now();
	}
	return 0;
}

static void shared_dict(struct share *s, enum party_kind kind)
{
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, 1 << 20, &arena), 0);
	ck_assert_int_eq(prusik_dict_create(arena, arena ? "d" : NULL, NULL, &s->dict), 0);
	ck_assert_int_eq(prusik_list_create(arena, arena ? "l" : NULL, NULL, &s->list), 0);
	party_keep(arena);
	party_keep(s->dict);
	party_keep(s->list);
}

static void dict_histories(enum party_kind kind)
{
	struct share *s = party_memory(kind, sizeof *s);

	shared_dict(s, kind);
	for (s->seed = 1; s->seed < ROUNDS; s->seed++) {
		ck_assert_int_eq(prusik_dict_clear(s->dict), 0);
		party_run(kind, PARTIES, use_dict, s);
		ck_assert_msg(linearizable(s->call, PARTIES * EACH, dict_step), "history %u", s->seed);
	}
}

TEST_WITHIN(dict_histories_threads, 120)
{
	dict_histories(THREADS);
}

TEST_WITHIN(dict_histories_processes, 120)
{
	dict_histories(PROCESSES);
}

/* ---- list: state[0] is the length, then the items; at most LINEAR_STATE - 1 ---- */

enum {
	APPEND,
	INSERT_FIRST,
	POP_FIRST,
	POP_LAST,
	GET_AT,
	SET_AT,
	INDEX,
	REMOVE,
	COUNT,
	SORT,
	REVERSE,
	LIST_CLEAR,
	LIST_CALLS
};

static int64_t take_at(unsigned char s[LINEAR_STATE], int at)
{
	int64_t value = s[1 + at];

	memmove(s + 1 + at, s + 2 + at, (size_t)(LINEAR_STATE - 2 - at));
	s[LINEAR_STATE - 1] = 0;
	s[0]--;
	return value;
}

static int64_t index_of(const unsigned char s[LINEAR_STATE], uint32_t value)
{
	for (int i = 0; i < s[0]; i++)
		if (s[1 + i] == value)
			return i;
	return -ENOENT;
}

static int as_bytes(const void *a, const void *b)
{
	return *(const unsigned char *)a - *(const unsigned char *)b;
}

static void turn_round(unsigned char *items, int n)
{
	for (int i = 0; i < n / 2; i++) {
		unsigned char moved = items[i];
		items[i] = items[n - 1 - i];
		items[n - 1 - i] = moved;
	}
}

static bool list_step(unsigned char s[LINEAR_STATE], const struct linear_call *c)
{
	int n = s[0], at = (int)c->argument;
	int64_t index;

	switch (c->what) {
	case APPEND:
		s[1 + n] = (unsigned char)c->other;
		s[0]++;
		return c->result == 0;
	case INSERT_FIRST:
		memmove(s + 2, s + 1, LINEAR_STATE - 2);
		s[1] = (unsigned char)c->other;
		s[0]++;
		return c->result == 0;
	case POP_FIRST:
		return c->result == (n ? take_at(s, 0) : -ENOENT);
	case POP_LAST:
		return c->result == (n ? take_at(s, n - 1) : -ENOENT);
	case GET_AT:
		return c->result == (at < n ? s[1 + at] : -ENOENT);
	case SET_AT:
		if (at < n)
			s[1 + at] = (unsigned char)c->other;
		return c->result == (at < n ? 0 : -ENOENT);
	case INDEX:
		return c->result == index_of(s, c->other);
	case REMOVE:
		index = index_of(s, c->other);
		if (index >= 0)
			take_at(s, (int)index);
		return c->result == index;
	case COUNT:
		return c->result == n;
	case SORT:
		qsort(s + 1, (size_t)n, 1, as_bytes);
		return c->result == 0;
	case REVERSE:
		turn_round(s + 1, n);
		return c->result == 0;
	default: /* LIST_CLEAR */
		memset(s, 0, LINEAR_STATE);
		return c->result == 0;
	}
}

static int64_t list_call(struct prusik_list *l, const struct linear_call *c)
{
	uint32_t value = c->other;
	int64_t r;

	switch (c->what) {
	case APPEND:
		return prusik_list_append(l, &value, sizeof value);
	case INSERT_FIRST:
		return prusik_list_insert(l, 0, &value, sizeof value);
	case POP_FIRST:
		r = prusik_list_pop(l, 0, &value, sizeof value);
		return r < 0 ? r : value;
	case POP_LAST:
		r = prusik_list_pop(l, -1, &value, sizeof value);
		return r < 0 ? r : value;
	case GET_AT:
		r = prusik_list_get(l, c->argument, &value, sizeof value);
		return r < 0 ? r : value;
	case SET_AT:
		return prusik_list_set(l, c->argument, &value, sizeof value);
	case INDEX:
		return prusik_list_index(l, &value, sizeof value, 0);
	case REMOVE:
		return prusik_list_remove(l, &value, sizeof value);
	case COUNT:
		return prusik_list_length(l);
	case SORT:
		return prusik_list_sort(l, NULL, NULL);
	case REVERSE:
		return prusik_list_reverse(l);
	default:
		return prusik_list_clear(l);
	}
}

static int use_list(void *shared, int index)
{
	struct share *s = shared;
	uint32_t random = s->seed + (uint32_t)index * 77;

	meet(&s->go[s->seed % ROUNDS]);
	for (int i = 0; i < EACH; i++) {
		struct linear_call *c = &s->call[index * EACH + i];
		uint32_t what = next_random(&random) % (LIST_CALLS + 6);
		*c = (struct linear_call){ .what = what < LIST_CALLS ? what : what % 2, /* more come than go */
					   .argument = next_random(&random) % 3,
					   .other = 1 + next_random(&random) % 5 };
		c->began = prusik_now();
		c->result = list_call(s->list, c);
		c->ended = prusik_now();
	}
	return 0;
}

static void list_histories(enum party_kind kind)
{
	struct share *s = party_memory(kind, sizeof *s);

	shared_dict(s, kind);
	for (s->seed = 1; s->seed < ROUNDS; s->seed++) {
		ck_assert_int_eq(prusik_list_clear(s->list), 0);
		party_run(kind, PARTIES, use_list, s);
		ck_assert_msg(linearizable(s->call, PARTIES * EACH, list_step), "history %u", s->seed);
	}
}

TEST_WITHIN(list_histories_threads, 120)
{
	list_histories(THREADS);
}

TEST_WITHIN(list_histories_processes, 120)
{
	list_histories(PROCESSES);
}
