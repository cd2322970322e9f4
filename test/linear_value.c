/* SPDX-License-Identifier: MIT */
/* Histories of several on one value, or array, are linearizable (linear.h). */
#include "linear.h"
#include "party.h"

#include "data/value.h"

#include <prusik/array.h>
#include <prusik/value.h>

#define PARTIES 4
#define EACH 6
#define ROUNDS 200

struct share {
	struct prusik_value *number, *record;
	struct prusik_array *array;
	uint32_t seed;
	uint32_t what; /* of the three */
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

/* ---- the model: bytes from 0 on, of which a value has one ---- */

enum { GET, SET, ADD, CAS, MODIFY, SECTION, ALL, FILL, CALLS };

#define ITEMS 3

static int64_t all_of(const unsigned char s[LINEAR_STATE])
{
	return s[0] + 256 * (s[1] + 256 * s[2]);
}

static bool step(unsigned char s[LINEAR_STATE], const struct linear_call *c)
{
	unsigned char *v = &s[c->argument], old = *v, to = (unsigned char)c->other;

	switch (c->what) {
	case GET:
		return c->result == old;
	case SET:
		*v = to;
		return c->result == 0;
	case ADD:
		*v = old + to;
		return c->result == *v;
	case CAS: /* from to to to + 1 */
		*v = old == to ? to + 1 : old;
		return c->result == (old == to ? 0 : -ESTALE);
	case MODIFY: /* tells what it was */
		*v = old + 1;
		return c->result == old;
	case SECTION: /* get, and set one more */
		*v = old + 1;
		return c->result == old;
	case ALL:
		return c->result == all_of(s);
	default: /* FILL: all items but the first, of an array only */
		s[1] = s[2] = to;
		return c->result == ITEMS - 1;
	}
}

/* ---- one word, or a record of 5 that are all the same ---- */

static int one_more(void *context, void *data, uint64_t size)
{
	uint64_t *words = data;

	(void)context;
	int old = (int)words[0];
	for (uint64_t i = 0; i < size / 8; i++)
		words[i]++;
	return old;
}

static int64_t number_section(struct prusik_value *v)
{
	int64_t n;

	if (prusik_value_lock(v, PRUSIK_FOREVER) != 0 || prusik_value_get(v, &n) != 0 ||
	    prusik_value_set(v, n + 1) != 0 || prusik_value_unlock(v) != 0)
		return -1;
	return n;
}

/* What there is of the verbs for a number. */
static int64_t number_call(struct prusik_value *v, struct linear_call *c)
{
	int64_t n;
	int r;

	c->argument = 0;
	switch (c->what) {
	case GET:
	case ALL:
		c->what = GET;
		r = prusik_value_get(v, &n);
		return r < 0 ? r : n;
	case SET:
	case FILL:
		c->what = SET;
		return prusik_value_set(v, c->other);
	case ADD:
		r = prusik_value_add(v, c->other, &n);
		return r < 0 ? r : n;
	case CAS:
		return prusik_value_cas(v, c->other, c->other + 1);
	case MODIFY:
		return prusik_value_modify(v, one_more, NULL);
	default:
		return number_section(v);
	}
}

#define RECORD_WORDS 5

static int64_t record_section(struct prusik_value *v)
{
	uint64_t words[RECORD_WORDS];

	if (prusik_value_lock(v, PRUSIK_FOREVER) != 0 || prusik_value_get_bytes(v, words, sizeof words) < 0)
		return -1;
	int64_t old = (int64_t)words[0];
	one_more(NULL, words, sizeof words);
	if (prusik_value_set_bytes(v, words, sizeof words) != 0 || prusik_value_unlock(v) != 0)
		return -1;
	return old;
}

static int64_t record_call(struct prusik_value *v, struct linear_call *c)
{
	uint64_t words[RECORD_WORDS], next[RECORD_WORDS];

	c->argument = 0;
	for (int i = 0; i < RECORD_WORDS; i++) {
		words[i] = c->other;
		next[i] = c->other + 1;
	}
	switch (c->what) {
	case SET:
	case FILL:
		c->what = SET;
		return prusik_value_set_bytes(v, words, sizeof words);
	case CAS:
		return prusik_value_cas_bytes(v, words, next, sizeof words);
	case MODIFY:
	case ADD:
		c->what = MODIFY;
		return prusik_value_modify(v, one_more, NULL);
	case SECTION:
		return record_section(v);
	default:
		c->what = GET;
		if (prusik_value_get_bytes(v, words, sizeof words) < 0 || words[0] != words[RECORD_WORDS - 1])
			return -1;
		return (int64_t)words[0];
	}
}

/* ---- an array of three numbers, each a word of its own ---- */

static int one_more_item(void *context, void *items, uint64_t count)
{
	int64_t *n = items;

	(void)context;
	(void)count;
	return (int)(*n)++;
}

static int64_t array_section(struct prusik_array *a, uint32_t at)
{
	int64_t *items, old;

	if (prusik_array_begin(a, PRUSIK_FOREVER, (void **)&items) != 0)
		return -1;
	old = items[at]++;
	return prusik_array_end(a) == 0 ? old : -1;
}

static int64_t array_call(struct prusik_array *a, struct linear_call *c)
{
	int64_t n[ITEMS] = { c->other, c->other + 1 };
	int r;

	switch (c->what) {
	case GET:
		r = prusik_array_get(a, c->argument, n);
		return r < 0 ? r : n[0];
	case SET:
		return prusik_array_set(a, c->argument, n);
	case ADD:
		r = prusik_array_add(a, c->argument, c->other, n);
		return r < 0 ? r : n[0];
	case CAS:
		return prusik_array_cas(a, c->argument, &n[0], &n[1]);
	case MODIFY:
		return prusik_array_modify(a, c->argument, one_more_item, NULL);
	case SECTION:
		return array_section(a, c->argument);
	case FILL:
		return prusik_array_fill(a, 1, INT64_MAX, n);
	default:
		if (prusik_array_slice(a, 0, ITEMS, n, ITEMS) != ITEMS)
			return -1;
		return n[0] + 256 * (n[1] + 256 * n[2]);
	}
}

/* ---- histories ---- */

static int use(void *shared, int index)
{
	struct share *s = shared;
	uint32_t random = s->seed * 31 + (uint32_t)index * 77;

	meet(&s->go[s->seed % ROUNDS]);
	for (int i = 0; i < EACH; i++) {
		struct linear_call *c = &s->call[index * EACH + i];
		uint32_t what = next_random(&random) % CALLS;
		*c = (struct linear_call){ .what = what,
					   .argument = next_random(&random) % ITEMS,
					   .other = 1 + next_random(&random) % 3 };
		c->began = prusik_now();
		c->result = s->what == 0 ? number_call(s->number, c) :
			    s->what == 1 ? record_call(s->record, c) :
					   array_call(s->array, c);
		c->ended = prusik_now();
	}
	return 0;
}

static struct share *new_share(enum party_kind kind)
{
	const struct prusik_value_options record = { .kind = PRUSIK_VALUE_BYTES, .size = RECORD_WORDS * 8 };
	const struct prusik_array_options items = { .kind = PRUSIK_ARRAY_INT64, .length = ITEMS };
	struct share *s = party_memory(kind, sizeof *s);
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, 1 << 16, &arena), 0);
	ck_assert_int_eq(prusik_value_create(arena, arena ? "n" : NULL, NULL, &s->number), 0);
	ck_assert_int_eq(prusik_value_create(arena, arena ? "r" : NULL, &record, &s->record), 0);
	ck_assert_int_eq(prusik_array_create(arena, arena ? "a" : NULL, &items, &s->array), 0);
	party_keep(arena);
	party_keep(s->number);
	party_keep(s->record);
	party_keep(s->array);
	return s;
}

static void histories(enum party_kind kind, uint32_t what)
{
	const int64_t zeros[RECORD_WORDS] = { 0 };
	struct share *s = new_share(kind);

	s->what = what;
	for (s->seed = 1; s->seed < ROUNDS; s->seed++) {
		ck_assert_int_eq(prusik_value_set(s->number, 0), 0);
		ck_assert_int_eq(prusik_value_set_bytes(s->record, zeros, sizeof zeros), 0);
		ck_assert_int_eq(prusik_array_set_slice(s->array, 0, zeros, ITEMS), 0);
		party_run(kind, PARTIES, use, s);
		ck_assert_msg(linearizable(s->call, PARTIES * EACH, step), "history %u", s->seed);
	}
}

#define HISTORIES(name, what)                                                                                          \
	TEST_WITHIN(name##_threads, 120)                                                                               \
	{                                                                                                              \
		histories(THREADS, what);                                                                              \
	}                                                                                                              \
	TEST_WITHIN(name##_processes, 120)                                                                             \
	{                                                                                                              \
		histories(PROCESSES, what);                                                                            \
	}

HISTORIES(number_histories, 0)
HISTORIES(record_histories, 1)
HISTORIES(array_histories, 2)
