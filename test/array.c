/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "data/array.h"

#include <prusik/array.h>

#define PARTIES 4
#define ROUNDS 4000

struct share {
	struct prusik_array *array;
	int step[4];
};

static struct prusik_array *new_array(enum party_kind kind, uint32_t of, uint32_t item_size, uint64_t length,
				      const void *initial)
{
	const struct prusik_array_options options = { of, item_size, length, 0, 0, initial };
	struct prusik_array *array = NULL;
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, 1 << 20, &arena), 0);
	ck_assert_int_eq(prusik_array_create(arena, arena ? "it" : NULL, &options, &array), 0);
	party_keep(arena);
	return party_keep(array);
}

static struct share *new_share(enum party_kind kind, uint32_t of, uint32_t item_size, uint64_t length)
{
	struct share *s = party_memory(kind, sizeof *s);

	s->array = new_array(kind, of, item_size, length, NULL);
	return s;
}

/* ---- each kind ---- */

/* A number of the kind with this value in it, if it fits. */
#define KIND(name, of, type)                                                                                           \
	TEST(items_of_##name)                                                                                          \
	{                                                                                                              \
		struct prusik_array *a = new_array(THREADS, of, 0, 11, NULL);                                          \
		type n = 0;                                                                                            \
                                                                                                                       \
		ck_assert_int_eq(prusik_array_item_size(a), sizeof n);                                                 \
		for (int i = 0; i < 11; i++) {                                                                         \
			n = (type)(100 + i);                                                                           \
			ck_assert_int_eq(prusik_array_set(a, i, &n), 0);                                               \
		}                                                                                                      \
		for (int i = 0; i < 11; i++) {                                                                         \
			ck_assert_int_eq(prusik_array_get(a, i - 11, &n), 0);                                          \
			ck_assert(n == (type)(100 + i));                                                               \
		}                                                                                                      \
		ck_assert_int_eq(prusik_array_get(a, 11, &n), -ENOENT);                                                \
		ck_assert_int_eq(prusik_array_set(a, -12, &n), -ENOENT);                                               \
		type from = 100, to = 7;                                                                               \
		ck_assert_int_eq(prusik_array_cas(a, 0, &from, &to), 0);                                               \
		ck_assert_int_eq(prusik_array_cas(a, 0, &from, &to), -ESTALE);                                         \
		ck_assert_int_eq(prusik_array_get(a, 0, &n), 0);                                                       \
		ck_assert(n == to);                                                                                    \
	}

KIND(int8, PRUSIK_ARRAY_INT8, int8_t)
KIND(int16, PRUSIK_ARRAY_INT16, int16_t)
KIND(int32, PRUSIK_ARRAY_INT32, int32_t)
KIND(int64, PRUSIK_ARRAY_INT64, int64_t)
KIND(uint8, PRUSIK_ARRAY_UINT8, uint8_t)
KIND(uint16, PRUSIK_ARRAY_UINT16, uint16_t)
KIND(uint32, PRUSIK_ARRAY_UINT32, uint32_t)
KIND(uint64, PRUSIK_ARRAY_UINT64, uint64_t)
KIND(float, PRUSIK_ARRAY_FLOAT, float)
KIND(double, PRUSIK_ARRAY_DOUBLE, double)

TEST(sums_that_do_not_fit)
{
	static const struct {
		uint32_t kind;
		int64_t least, most;
	} limits[] = {
		{ PRUSIK_ARRAY_INT8, INT8_MIN, INT8_MAX },    { PRUSIK_ARRAY_INT16, INT16_MIN, INT16_MAX },
		{ PRUSIK_ARRAY_INT32, INT32_MIN, INT32_MAX }, { PRUSIK_ARRAY_INT64, INT64_MIN, INT64_MAX },
		{ PRUSIK_ARRAY_UINT8, 0, UINT8_MAX },	      { PRUSIK_ARRAY_UINT16, 0, UINT16_MAX },
		{ PRUSIK_ARRAY_UINT32, 0, UINT32_MAX },
	};
	int64_t sum;

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		struct prusik_array *a = new_array(THREADS, limits[i].kind, 0, 3, NULL);
		ck_assert_int_eq(prusik_array_add(a, 1, limits[i].most, &sum), 0);
		ck_assert_int_eq(sum, limits[i].most);
		ck_assert_int_eq(prusik_array_add(a, 1, 1, &sum), -EOVERFLOW);
		ck_assert_int_eq(prusik_array_add(a, 1, -limits[i].most, &sum), 0);
		ck_assert_int_eq(prusik_array_add(a, 1, limits[i].least, &sum), 0);
		ck_assert_int_eq(prusik_array_add(a, 1, -1, &sum), -EOVERFLOW);
		ck_assert_int_eq(sum, limits[i].least);
		ck_assert_int_eq(prusik_array_add(a, 0, 0, &sum), 0); /* its neighbours have not changed */
		ck_assert_int_eq(sum, 0);
		ck_assert_int_eq(prusik_array_add(a, 2, 0, &sum), 0);
		ck_assert_int_eq(sum, 0);
	}
	struct prusik_array *u = new_array(THREADS, PRUSIK_ARRAY_UINT64, 0, 1, NULL);
	ck_assert_int_eq(prusik_array_add(u, 0, -1, NULL), -EOVERFLOW);
	ck_assert_int_eq(prusik_array_add(u, 0, INT64_MAX, NULL), 0);
	ck_assert_int_eq(prusik_array_add(u, 0, INT64_MAX, &sum), 0);
	ck_assert_uint_eq((uint64_t)sum, UINT64_MAX - 1);
	ck_assert_int_eq(prusik_array_add(u, 0, 2, NULL), -EOVERFLOW);
}

TEST(sums_of_floats)
{
	struct prusik_array *f = new_array(THREADS, PRUSIK_ARRAY_FLOAT, 0, 2, NULL);
	struct prusik_array *d = new_array(THREADS, PRUSIK_ARRAY_DOUBLE, 0, 2, NULL);
	double sum;

	ck_assert_int_eq(prusik_array_add_double(f, 1, 0.1, &sum), 0);
	ck_assert_double_eq(sum, (double)0.1F);
	ck_assert_int_eq(prusik_array_add_double(d, -1, 0.1, &sum), 0);
	ck_assert_int_eq(prusik_array_add_double(d, -1, 0.2, &sum), 0);
	ck_assert_double_eq(sum, 0.1 + 0.2);
	ck_assert_int_eq(prusik_array_add(d, 0, 1, NULL), -EPROTOTYPE);
	ck_assert_int_eq(prusik_array_add_double(new_array(THREADS, PRUSIK_ARRAY_INT8, 0, 1, NULL), 0, 1, NULL),
			 -EPROTOTYPE);
}

/* ---- slices, beside a plain array that is changed in the same way ---- */

static void slices_of(uint32_t item_size)
{
	enum { LENGTH = 37 };
	struct prusik_array *a = new_array(THREADS, PRUSIK_ARRAY_BYTES, item_size, LENGTH, NULL);
	static unsigned char model[LENGTH * 40], from[LENGTH * 40], got[LENGTH * 40];

	memset(model, 0, sizeof model);
	for (int round = 0; round < 2000; round++) {
		int64_t at = rand() % LENGTH, n = rand() % (LENGTH + 1 - at);
		for (size_t i = 0; i < sizeof from; i++)
			from[i] = (unsigned char)rand();
		if (round % 3) {
			ck_assert_int_eq(prusik_array_set_slice(a, at, from, (uint64_t)n), 0);
			memcpy(model + (size_t)at * item_size, from, (size_t)n * item_size);
		} else {
			ck_assert_int_eq(prusik_array_fill(a, at - LENGTH, at + n, from), n);
			for (int64_t i = at; i < at + n; i++)
				memcpy(model + (size_t)i * item_size, from, item_size);
		}
		at = rand() % LENGTH;
		ck_assert_int_eq(prusik_array_slice(a, at, INT64_MAX, got, LENGTH), LENGTH - at);
		ck_assert_int_eq(memcmp(got, model + (size_t)at * item_size, (size_t)(LENGTH - at) * item_size), 0);
	}
}

TEST(slices)
{
	for (uint32_t size = 1; size <= 40; size += size < 10 ? 1 : 7)
		slices_of(size);
}

TEST(slices_are_cut)
{
	const int16_t some[] = { 10, 20, 30, 40, 50 };
	struct prusik_array *a = new_array(THREADS, PRUSIK_ARRAY_INT16, 0, 5, some);
	int16_t got[9] = { 0 };

	ck_assert_int_eq(prusik_array_slice(a, 1, 3, got, 9), 2);
	ck_assert_int_eq(got[0] + got[1], 50);
	ck_assert_int_eq(prusik_array_slice(a, -2, INT64_MAX, got, 9), 2);
	ck_assert_int_eq(got[1], 50);
	ck_assert_int_eq(prusik_array_slice(a, -99, -4, got, 9), 1);
	ck_assert_int_eq(prusik_array_slice(a, 0, 5, got, 3), 3);
	ck_assert_int_eq(prusik_array_slice(a, 3, 1, got, 9), 0);
	ck_assert_int_eq(prusik_array_slice(a, 99, INT64_MAX, got, 9), 0);
	ck_assert_int_eq(prusik_array_slice(a, INT64_MIN, INT64_MIN, got, 9), 0);
	ck_assert_int_eq(prusik_array_set_slice(a, 3, some, 3), -ENOENT);
	ck_assert_int_eq(prusik_array_set_slice(a, 5, some, 0), 0);
	ck_assert_int_eq(prusik_array_set_slice(a, -1, some, 2), -ENOENT);
	ck_assert_int_eq(prusik_array_set_slice(a, 0, some, UINT64_MAX), -ENOENT);
	ck_assert_int_eq(prusik_array_fill(a, 4, 4, some), 0);
	ck_assert_int_eq(prusik_array_get(a, 4, got), 0);
	ck_assert_int_eq(got[0], 50);
}

TEST(misuse)
{
	const struct prusik_array_options bad[] = {
		{ .length = 1 },
		{ .kind = 12, .length = 1 },
		{ .kind = PRUSIK_ARRAY_INT8, .item_size = 2, .length = 1 },
		{ .kind = PRUSIK_ARRAY_BYTES, .length = 1 },
		{ .kind = PRUSIK_ARRAY_INT8, .length = 1, .reserved = 1 },
		{ .kind = PRUSIK_ARRAY_BYTES, .item_size = PRUSIK_ARRAY_ITEM_MAX + 1, .length = 1 },
	};
	struct prusik_array *a = NULL;
	int64_t n = 0;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_int_eq(prusik_array_create(NULL, NULL, &bad[i], &a), -EINVAL);
	a = new_array(THREADS, PRUSIK_ARRAY_INT64, 8, 2, NULL);
	ck_assert_int_eq(prusik_array_get(NULL, 0, &n), -EINVAL);
	ck_assert_int_eq(prusik_array_get(a, 0, NULL), -EINVAL);
	ck_assert_int_eq(prusik_array_set(a, 0, NULL), -EINVAL);
	ck_assert_int_eq(prusik_array_cas(a, 0, NULL, &n), -EINVAL);
	ck_assert_int_eq(prusik_array_add(NULL, 0, 1, NULL), -EINVAL);
	ck_assert_int_eq(prusik_array_slice(a, 0, 1, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_array_set_slice(a, 0, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_array_fill(a, 0, 1, NULL), -EINVAL);
	ck_assert_int_eq(prusik_array_modify(a, 0, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_array_end(a), -EPERM);
	ck_assert_int_eq(prusik_array_length(NULL), -EINVAL);
	ck_assert_int_eq(prusik_array_begin(a, PRUSIK_NOW, NULL), 0);
	ck_assert_int_eq(prusik_array_begin(a, PRUSIK_NOW, NULL), -EDEADLK);
	ck_assert_int_eq(prusik_array_end(a), 0);
	ck_assert_int_eq(prusik_array_end(a), -EPERM);
	prusik_array_free(NULL);
}

/* ---- many at once ---- */

#define LENGTH 12

static int bump_all(void *context, void *items, uint64_t count)
{
	int32_t *n = items;

	(void)context;
	for (uint64_t i = 0; i < count; i++)
		n[i]++;
	return (int)count;
}

/* Whoever looks sees LENGTH equal numbers, whatever the others do to all of them. */
static int keep_equal(void *shared, int index)
{
	struct share *s = shared;
	int32_t n[LENGTH], *items;

	for (int i = 0; i < ROUNDS; i++) {
		PARTY_CHECK(prusik_array_slice(s->array, 0, LENGTH, n, LENGTH) == LENGTH);
		for (int k = 1; k < LENGTH; k++)
			PARTY_CHECK(n[k] == n[0]);
		if (index == 0)
			continue;
		if (index == 1) {
			PARTY_CHECK(prusik_array_modify_all(s->array, bump_all, NULL) == LENGTH);
			continue;
		}
		PARTY_CHECK(prusik_array_begin(s->array, PRUSIK_FOREVER, (void **)&items) == 0);
		bump_all(NULL, items, LENGTH);
		PARTY_CHECK(prusik_array_slice(s->array, 0, LENGTH, n, LENGTH) == LENGTH);
		n[0]--;
		PARTY_CHECK(prusik_array_set(s->array, 0, n) == 0);
		PARTY_CHECK(prusik_array_fill(s->array, 0, LENGTH, &n[1]) == LENGTH);
		PARTY_CHECK(prusik_array_end(s->array) == 0);
	}
	return 0;
}

static void changes_are_whole(enum party_kind kind)
{
	struct share *s = new_share(kind, PRUSIK_ARRAY_INT32, 0, LENGTH);
	int32_t n;

	party_run(kind, PARTIES, keep_equal, s);
	ck_assert_int_eq(prusik_array_get(s->array, 5, &n), 0);
	ck_assert_int_eq(n, (PARTIES - 1) * ROUNDS);
}
BOTH(changes_are_whole)

static int count_in_turn(void *shared, int index)
{
	struct share *s = shared;

	for (int i = 0; i < ROUNDS; i++) {
		PARTY_CHECK(prusik_array_add(s->array, (i + index) % LENGTH, 1, NULL) == 0);
		PARTY_CHECK(prusik_array_modify(s->array, i % LENGTH, bump_all, NULL) == 1);
	}
	return 0;
}

static void sums_are_right(enum party_kind kind)
{
	struct share *s = new_share(kind, PRUSIK_ARRAY_INT32, 0, LENGTH);
	int32_t n[LENGTH], sum = 0;

	party_run(kind, PARTIES, count_in_turn, s);
	ck_assert_int_eq(prusik_array_slice(s->array, 0, LENGTH, n, LENGTH), LENGTH);
	for (int i = 0; i < LENGTH; i++)
		sum += n[i];
	ck_assert_int_eq(sum, 2 * PARTIES * ROUNDS);
}
BOTH(sums_are_right)

/* One sets two items one after the other: nobody sees the second without the first. */
static int in_order(void *shared, int index)
{
	struct share *s = shared;

	for (int32_t i = 1; i < ROUNDS; i++) {
		int32_t n[2];
		if (index == 0) {
			PARTY_CHECK(prusik_array_set(s->array, 0, &i) == 0);
			PARTY_CHECK(prusik_array_set(s->array, LENGTH - 1, &i) == 0);
			continue;
		}
		int32_t all[LENGTH];
		PARTY_CHECK(prusik_array_slice(s->array, 0, LENGTH, all, LENGTH) == LENGTH);
		PARTY_CHECK(all[0] == all[LENGTH - 1] || all[0] == all[LENGTH - 1] + 1);
		PARTY_CHECK(prusik_array_get(s->array, LENGTH - 1, &n[1]) == 0);
		PARTY_CHECK(prusik_array_get(s->array, 0, &n[0]) == 0);
		PARTY_CHECK(n[0] >= n[1]);
	}
	return 0;
}

static void items_are_seen_in_order(enum party_kind kind)
{
	party_run(kind, PARTIES, in_order, new_share(kind, PRUSIK_ARRAY_INT32, 0, LENGTH));
}
BOTH(items_are_seen_in_order)

/* ---- deaths ---- */

static int die_between(void *argument)
{
	struct share *s = argument;
	int32_t *items, seven = 7;

	ck_assert_int_eq(prusik_array_begin(s->array, PRUSIK_FOREVER, (void **)&items), 0);
	items[3] = 3;
	ck_assert_int_eq(prusik_array_fill(s->array, 0, 2, &seven), 2);
	raise(SIGKILL);
	return 0;
}

TEST(death_between_begin_and_end_is_told_once)
{
	struct share *s = new_share(PROCESSES, PRUSIK_ARRAY_INT32, 0, LENGTH);
	int32_t n[LENGTH], five = 5;

	ck_assert_int_eq(test_join(test_fork(die_between, s)), -SIGKILL);
	ck_assert_int_eq(prusik_array_get(s->array, 3, n), 0);
	ck_assert_int_eq(n[0], 3);
	ck_assert_int_eq(prusik_array_fill(s->array, 4, 9, &five), 5);
	uint64_t version = s->array->body->version;
	ck_assert_int_eq(prusik_array_set(s->array, 9, &five), 0);
	ck_assert_uint_gt(s->array->body->version, version); /* who began and died holds nobody's version */
	ck_assert_int_eq(prusik_array_begin(s->array, PRUSIK_FOREVER, NULL), PRUSIK_RECOVERED);
	ck_assert_int_eq(prusik_array_slice(s->array, 0, LENGTH, n, LENGTH), LENGTH);
	ck_assert_int_eq(n[0] + n[1] + n[2] + n[3] + n[8] + n[9] + n[10], 7 + 7 + 3 + 5 + 5);
	ck_assert_int_eq(prusik_array_end(s->array), 0);
	ck_assert_int_eq(prusik_array_begin(s->array, PRUSIK_FOREVER, NULL), 0);
	ck_assert_int_eq(prusik_array_end(s->array), 0);
}

static int kill_myself(void *context, void *items, uint64_t count)
{
	(void)context;
	memset(items, 0xff, count * sizeof(int32_t));
	raise(SIGKILL);
	return 0;
}

static int die_in_a_function(void *argument)
{
	struct share *s = argument;

	return prusik_array_modify_all(s->array, kill_myself, NULL);
}

static int refused(void *context, void *items, uint64_t count)
{
	struct prusik_array *a = context;
	int32_t n = 4;

	*(int32_t *)items = 9;
	ck_assert_uint_ge(count, 1);
	ck_assert_int_eq(prusik_array_set(a, 0, &n), -EDEADLK);
	ck_assert_int_eq(prusik_array_begin(a, PRUSIK_NOW, NULL), -EDEADLK);
	ck_assert_int_lt(prusik_array_end(a), 0);
	ck_assert_int_eq(prusik_array_get(a, 0, &n), 0);
	ck_assert_int_eq(n, 0);
	return -EAGAIN;
}

TEST(functions)
{
	struct share *s = new_share(PROCESSES, PRUSIK_ARRAY_INT32, 0, LENGTH);
	int32_t n = 1;

	ck_assert_int_eq(test_join(test_fork(die_in_a_function, s)), -SIGKILL);
	ck_assert_int_eq(prusik_array_get(s->array, 0, &n), 0);
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(prusik_array_modify_all(s->array, refused, s->array), -EAGAIN);
	ck_assert_int_eq(prusik_array_modify(s->array, 1, refused, s->array), -EAGAIN);
	ck_assert_int_eq(prusik_array_begin(s->array, PRUSIK_NOW, NULL), 0);
	ck_assert_int_eq(prusik_array_modify(s->array, -1, refused, s->array), -EAGAIN);
	ck_assert_int_eq(prusik_array_modify(s->array, LENGTH, refused, s->array), -ENOENT);
	ck_assert_int_eq(prusik_array_modify(s->array, -1, bump_all, NULL), 1);
	ck_assert_int_eq(prusik_array_end(s->array), 0);
	ck_assert_int_eq(prusik_array_get(s->array, -1, &n), 0);
	ck_assert_int_eq(n, 1);
}
