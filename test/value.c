/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "data/value.h"

#include <math.h>
#include <prusik/cancel.h>
#include <prusik/value.h>

#define PARTIES 4
#define ADDS 20000

/* What all of a case share. */
struct share {
	struct prusik_value *value;
	int step[4];
};

static struct prusik_value *new_value(enum party_kind kind, uint32_t of, uint32_t size, const void *initial)
{
	struct prusik_value_options options = { .kind = of, .size = size, .initial = initial };
	struct prusik_value *value = NULL;
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, 1 << 16, &arena), 0);
	ck_assert_int_eq(prusik_value_create(arena, arena ? "it" : NULL, &options, &value), 0);
	party_keep(arena);
	return party_keep(value);
}

static struct share *new_share(enum party_kind kind, uint32_t of, uint32_t size, const void *initial)
{
	struct share *s = party_memory(kind, sizeof *s);

	s->value = new_value(kind, of, size, initial);
	return s;
}

static void must_be(struct prusik_value *v, int64_t expected)
{
	int64_t n = ~expected;

	ck_assert_int_eq(prusik_value_get(v, &n), 0);
	ck_assert_int_eq(n, expected);
}

/* ---- each kind alone ---- */

static void signed_numbers(enum party_kind kind)
{
	struct prusik_value *v = new_value(kind, 0, 0, NULL);
	int64_t n;

	ck_assert_int_eq(prusik_value_kind(v), PRUSIK_VALUE_INT);
	ck_assert_int_eq(prusik_value_size(v), 8);
	must_be(v, 0);
	ck_assert_int_eq(prusik_value_set(v, -7), 0);
	ck_assert_int_eq(prusik_value_add(v, 10, &n), 0);
	ck_assert_int_eq(n, 3);
	ck_assert_int_eq(prusik_value_add(v, -1, NULL), 0);
	ck_assert_int_eq(prusik_value_cas(v, 3, 99), -ESTALE);
	ck_assert_int_eq(prusik_value_cas(v, 2, INT64_MAX - 1), 0);
	ck_assert_int_eq(prusik_value_add(v, 2, &n), -EOVERFLOW);
	ck_assert_int_eq(prusik_value_add(v, 1, &n), 0);
	must_be(v, INT64_MAX);
	ck_assert_int_eq(prusik_value_set(v, INT64_MIN), 0);
	ck_assert_int_eq(prusik_value_add(v, -1, NULL), -EOVERFLOW);
	must_be(v, INT64_MIN);
}
BOTH(signed_numbers)

TEST(unsigned_numbers)
{
	const uint64_t most = UINT64_MAX;
	struct prusik_value *v = new_value(THREADS, PRUSIK_VALUE_UNSIGNED, 8, &most);
	uint64_t n;

	ck_assert_int_eq(prusik_value_get_unsigned(v, &n), 0);
	ck_assert_uint_eq(n, UINT64_MAX);
	ck_assert_int_eq(prusik_value_add_unsigned(v, 1, &n), -EOVERFLOW);
	ck_assert_int_eq(prusik_value_add_unsigned(v, -1, &n), 0);
	ck_assert_uint_eq(n, UINT64_MAX - 1);
	ck_assert_int_eq(prusik_value_set_unsigned(v, 1), 0);
	ck_assert_int_eq(prusik_value_add_unsigned(v, -2, NULL), -EOVERFLOW);
	ck_assert_int_eq(prusik_value_add_unsigned(v, INT64_MIN, NULL), -EOVERFLOW);
	ck_assert_int_eq(prusik_value_cas_unsigned(v, 0, 5), -ESTALE);
	ck_assert_int_eq(prusik_value_cas_unsigned(v, 1, UINT64_C(1) << 63), 0);
	ck_assert_int_eq(prusik_value_add_unsigned(v, INT64_MIN, &n), 0);
	ck_assert_uint_eq(n, 0);
}

TEST(doubles)
{
	struct prusik_value *v = new_value(THREADS, PRUSIK_VALUE_DOUBLE, 0, NULL);
	double d = 1;

	ck_assert_int_eq(prusik_value_get_double(v, &d), 0);
	ck_assert_double_eq(d, 0);
	ck_assert_int_eq(prusik_value_set_double(v, 1.5), 0);
	ck_assert_int_eq(prusik_value_add_double(v, -0.25, &d), 0);
	ck_assert_double_eq(d, 1.25);
	ck_assert_int_eq(prusik_value_cas_double(v, 1.5, 3), -ESTALE);
	ck_assert_int_eq(prusik_value_cas_double(v, 1.25, 0.0), 0);
	ck_assert_int_eq(prusik_value_cas_double(v, -0.0, 3), -ESTALE);
	ck_assert_int_eq(prusik_value_add_double(v, HUGE_VAL, NULL), 0);
	ck_assert_int_eq(prusik_value_add_double(v, -HUGE_VAL, &d), 0);
	ck_assert_double_nan(d);
	ck_assert_int_eq(prusik_value_cas_double(v, d, 7), 0);
	ck_assert_int_eq(prusik_value_get_double(v, &d), 0);
	ck_assert_double_eq(d, 7);
}

static void records(enum party_kind kind)
{
	struct prusik_value *v = new_value(kind, PRUSIK_VALUE_BYTES, 13, "thirteen byte");
	char text[16] = "";

	ck_assert_int_eq(prusik_value_size(v), 13);
	ck_assert_int_eq(prusik_value_get_bytes(v, text, 12), -EMSGSIZE);
	ck_assert_int_eq(prusik_value_get_bytes(v, text, sizeof text), 13);
	ck_assert_str_eq(text, "thirteen byte");
	ck_assert_int_eq(prusik_value_set_bytes(v, "short", 5), -EMSGSIZE);
	ck_assert_int_eq(prusik_value_set_bytes(v, "anotherrecord", 13), 0);
	ck_assert_int_eq(prusik_value_cas_bytes(v, "thirteen byte", "no, not that!", 13), -ESTALE);
	ck_assert_int_eq(prusik_value_cas_bytes(v, "anotherrecord", "and this one.", 13), 0);
	ck_assert_int_eq(prusik_value_get_bytes(v, text, 13), 13);
	ck_assert_str_eq(text, "and this one.");
	ck_assert_int_eq(prusik_value_set(v, 5), -EPROTOTYPE);
	ck_assert_int_eq(prusik_value_get(v, &(int64_t){ 0 }), -EPROTOTYPE);
}
BOTH(records)

/* The pattern that says that a number is elsewhere is a number like any other. */
TEST(the_pattern_is_a_number)
{
	const int64_t away = (int64_t)PRK_VALUE_AWAY;
	struct prusik_value *v = new_value(THREADS, 0, 0, &away);
	int64_t n;

	must_be(v, away);
	ck_assert_int_eq(prusik_value_add(v, 1, &n), 0);
	ck_assert_int_eq(n, away + 1);
	ck_assert_int_eq(prusik_value_add(v, -1, &n), 0);
	must_be(v, away);
	ck_assert_int_eq(prusik_value_cas(v, away + 1, 0), -ESTALE);
	ck_assert_int_eq(prusik_value_cas(v, away, away), 0);
	ck_assert_int_eq(prusik_value_lock(v, PRUSIK_NOW), 0);
	must_be(v, away);
	ck_assert_int_eq(prusik_value_unlock(v), 0);
	ck_assert_int_eq(prusik_value_set(v, 3), 0);
	ck_assert_int_eq(prusik_value_set(v, away), 0);
	must_be(v, away);
	ck_assert_int_eq(prusik_value_set(v, 4), 0);
	must_be(v, 4);
}

TEST(misuse)
{
	const struct prusik_value_options bad[] = {
		{ .kind = 9 },
		{ .size = 4 },
		{ .kind = PRUSIK_VALUE_INT, .size = 7 },
		{ .kind = PRUSIK_VALUE_BYTES },
		{ .kind = PRUSIK_VALUE_BYTES, .size = PRUSIK_VALUE_BYTES_MAX + 1 },
		{ .reserved = 1 },
	};
	struct prusik_value *v = NULL;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_int_eq(prusik_value_create(NULL, NULL, &bad[i], &v), -EINVAL);
	ck_assert_int_eq(prusik_value_create(NULL, "name", NULL, &v), -EINVAL);
	ck_assert_int_eq(prusik_value_create(NULL, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_value_set(NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_value_wait(NULL, "", 0), -EINVAL);
	ck_assert_int_eq(prusik_value_unlock(NULL), -EINVAL);
	ck_assert_int_eq(prusik_value_kind(NULL), -EINVAL);
	ck_assert_uint_eq(prusik_value_reference(NULL), 0);
	ck_assert_int_eq(prusik_value_create(NULL, NULL, NULL, &v), 0);
	ck_assert_int_eq(prusik_value_get(v, NULL), -EINVAL);
	ck_assert_int_eq(prusik_value_set_bytes(v, "12345678", 8), -EPROTOTYPE);
	ck_assert_int_eq(prusik_value_set_double(v, 1), -EPROTOTYPE);
	ck_assert_int_eq(prusik_value_unlock(v), -EPERM);
	ck_assert_int_eq(prusik_value_modify(v, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_value_lock(v, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_value_lock(v, PRUSIK_NOW), -EDEADLK);
	ck_assert_int_eq(prusik_value_unlock(v), 0);
	ck_assert_int_eq(prusik_value_unlock(v), -EPERM);
	prusik_value_free(v);
	prusik_value_free(NULL);
}

/* ---- many at once ---- */

static int double_up(void *context, void *data, uint64_t size)
{
	int64_t *n = data;

	(void)context;
	if (size != sizeof *n)
		return -EINVAL;
	*n += 2;
	return 5;
}

static int count_up(void *shared, int index)
{
	struct share *s = shared;
	int64_t n;

	for (int i = 0; i < ADDS; i++) {
		PARTY_CHECK(prusik_value_add(s->value, index, NULL) == 0);
		if (i % 4 == 0)
			PARTY_CHECK(prusik_value_modify(s->value, double_up, NULL) == 5);
		if (i % 16 != 0)
			continue;
		PARTY_CHECK(prusik_value_lock(s->value, PRUSIK_FOREVER) == 0);
		PARTY_CHECK(prusik_value_get(s->value, &n) == 0);
		PARTY_CHECK(prusik_value_set(s->value, n + 3) == 0);
		PARTY_CHECK(prusik_value_add(s->value, 1, NULL) == 0);
		PARTY_CHECK(prusik_value_cas(s->value, n + 4, n + 5) == 0);
		PARTY_CHECK(prusik_value_unlock(s->value) == 0);
	}
	return 0;
}

/* What is done with the lock, and what is done without, does not come between each other. */
static void no_change_is_lost(enum party_kind kind)
{
	struct share *s = new_share(kind, 0, 0, NULL);

	party_run(kind, PARTIES, count_up, s);
	must_be(s->value, ADDS * (0 + 1 + 2 + 3) + PARTIES * (ADDS / 4 * 2 + ADDS / 16 * 5));
}
BOTH(no_change_is_lost)

static int add_halves(void *shared, int index)
{
	struct share *s = shared;

	(void)index;
	for (int i = 0; i < ADDS; i++)
		PARTY_CHECK(prusik_value_add_double(s->value, 0.5, NULL) == 0);
	return 0;
}

static void doubles_add_up(enum party_kind kind)
{
	struct share *s = new_share(kind, PRUSIK_VALUE_DOUBLE, 0, NULL);
	double sum;

	party_run(kind, PARTIES, add_halves, s);
	ck_assert_int_eq(prusik_value_get_double(s->value, &sum), 0);
	ck_assert_double_eq(sum, PARTIES * ADDS * 0.5);
}
BOTH(doubles_add_up)

#define WORDS 40

static int bump_words(void *context, void *data, uint64_t size)
{
	uint64_t *words = data;

	(void)context;
	for (uint64_t i = 0; i < size / 8; i++)
		words[i]++;
	return 0;
}

static int use_record(void *shared, int index)
{
	struct share *s = shared;
	uint64_t words[WORDS], new[WORDS], won = 0;

	for (int i = 0; i < ADDS / 4; i++) {
		PARTY_CHECK(prusik_value_get_bytes(s->value, words, sizeof words) == sizeof words);
		for (int k = 1; k < WORDS; k++)
			PARTY_CHECK(words[k] == words[0]);
		if (index == 0)
			continue;
		PARTY_CHECK(prusik_value_modify(s->value, bump_words, NULL) == 0);
		for (int k = 0; k < WORDS; k++)
			new[k] = words[0] + 1;
		int r = prusik_value_cas_bytes(s->value, words, new, sizeof words);
		PARTY_CHECK(r == 0 || r == -ESTALE);
		won += r == 0;
	}
	prk_add32_acqrel((uint32_t *)&s->step[0], (uint32_t)won);
	return 0;
}

static void records_are_whole(enum party_kind kind)
{
	struct share *s = new_share(kind, PRUSIK_VALUE_BYTES, WORDS * 8, NULL);
	uint64_t words[WORDS];

	party_run(kind, PARTIES, use_record, s);
	ck_assert_int_eq(prusik_value_get_bytes(s->value, words, sizeof words), sizeof words);
	ck_assert_uint_eq(words[0], (PARTIES - 1) * (ADDS / 4) + (uint64_t)s->step[0]);
}
BOTH(records_are_whole)

/* ---- the lock ---- */

static int add_one(void *shared, int index)
{
	struct share *s = shared;

	(void)index;
	party_say(&s->step[0], 1);
	PARTY_CHECK(prusik_value_add(s->value, 1, NULL) == 0);
	party_say(&s->step[1], 1);
	return 0;
}

static void writers_wait_for_the_lock(enum party_kind kind)
{
	struct share *s = new_share(kind, 0, 0, NULL);

	ck_assert_int_eq(prusik_value_lock(s->value, PRUSIK_FOREVER), 0);
	struct party *p = party_start(kind, add_one, s, 0);
	party_await(&s->step[0], 1);
	pause_ms(50);
	ck_assert_int_eq(party_word(&s->step[1]), 0);
	ck_assert_int_eq(prusik_value_set(s->value, 10), 0);
	must_be(s->value, 10); /* seen at once */
	ck_assert_int_eq(prusik_value_unlock(s->value), 0);
	ck_assert_int_eq(party_join(p), 0);
	must_be(s->value, 11);
}
BOTH(writers_wait_for_the_lock)

static int heeds_a_token(void *shared, int index)
{
	struct share *s = shared;
	static struct prusik_cancel token;

	(void)index;
	PARTY_CHECK(prusik_cancel_set(&token) == 0);
	prusik_cancel_use(&token);
	PARTY_CHECK(prusik_value_add(s->value, 1, NULL) == -ECANCELED);
	PARTY_CHECK(prusik_value_lock(s->value, PRUSIK_FOREVER) == -ECANCELED);
	prusik_cancel_use(NULL);
	PARTY_CHECK(prusik_value_lock(s->value, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_value_lock(s->value, prusik_in_ms(20)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_value_unlock(s->value) == -EPERM);
	return 0;
}

static void waits_can_be_ended(enum party_kind kind)
{
	struct share *s = new_share(kind, 0, 0, NULL);

	ck_assert_int_eq(prusik_value_lock(s->value, PRUSIK_FOREVER), 0);
	party_run(kind, 1, heeds_a_token, s);
	ck_assert_int_eq(prusik_value_unlock(s->value), 0);
	must_be(s->value, 0);
}
BOTH(waits_can_be_ended)

static int die_in_a_section(void *argument)
{
	struct share *s = argument;

	ck_assert_int_eq(prusik_value_lock(s->value, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_value_set(s->value, 5), 0);
	raise(SIGKILL);
	return 0;
}

TEST(death_in_a_section_is_told_once)
{
	struct share *s = new_share(PROCESSES, 0, 0, NULL);

	ck_assert_int_eq(test_join(test_fork(die_in_a_section, s)), -SIGKILL);
	must_be(s->value, 5);
	ck_assert_int_eq(prusik_value_add(s->value, 1, NULL), 0); /* who needs no section is not told */
	must_be(s->value, 6);
	ck_assert_int_eq(prusik_value_lock(s->value, PRUSIK_FOREVER), PRUSIK_RECOVERED);
	ck_assert_int_eq(prusik_value_unlock(s->value), 0);
	ck_assert_int_eq(prusik_value_lock(s->value, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_value_unlock(s->value), 0);
	ck_assert_int_eq(prusik_value_add(s->value, 1, NULL), 0);
	must_be(s->value, 7);
}

static int kill_myself(void *context, void *data, uint64_t size)
{
	(void)context;
	memset(data, 0xff, size);
	raise(SIGKILL);
	return 0;
}

static int die_in_a_function(void *argument)
{
	struct share *s = argument;

	return prusik_value_modify(s->value, kill_myself, NULL);
}

TEST(death_in_a_function_changes_nothing)
{
	const int64_t nine = 9;
	struct share *s = new_share(PROCESSES, 0, 0, &nine);
	struct share *t = new_share(PROCESSES, PRUSIK_VALUE_BYTES, 8, &nine);
	int64_t n = 0;

	ck_assert_int_eq(test_join(test_fork(die_in_a_function, s)), -SIGKILL);
	must_be(s->value, 9);
	ck_assert_int_eq(prusik_value_lock(s->value, PRUSIK_FOREVER), 0); /* it was no section */
	ck_assert_int_eq(prusik_value_unlock(s->value), 0);
	ck_assert_int_eq(test_join(test_fork(die_in_a_function, t)), -SIGKILL);
	ck_assert_int_eq(prusik_value_get_bytes(t->value, &n, sizeof n), 8);
	ck_assert_int_eq(n, 9);
	ck_assert_int_eq(prusik_value_modify(t->value, bump_words, NULL), 0);
}

static int refused(void *context, void *data, uint64_t size)
{
	struct prusik_value *v = context;

	(void)size;
	*(int64_t *)data = 77;
	ck_assert_int_eq(prusik_value_set(v, 1), -EDEADLK);
	ck_assert_int_eq(prusik_value_add(v, 1, NULL), -EDEADLK);
	ck_assert_int_eq(prusik_value_modify(v, refused, v), -EDEADLK);
	ck_assert_int_eq(prusik_value_lock(v, PRUSIK_NOW), -EDEADLK);
	ck_assert_int_lt(prusik_value_unlock(v), 0);
	must_be(v, 2);
	return -EAGAIN;
}

TEST(the_function_is_refused_the_value)
{
	const int64_t two = 2;
	struct prusik_value *v = new_value(THREADS, 0, 0, &two);

	ck_assert_int_eq(prusik_value_modify(v, refused, v), -EAGAIN);
	must_be(v, 2);
	ck_assert_int_eq(prusik_value_lock(v, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_value_modify(v, refused, v), -EAGAIN);
	ck_assert_int_eq(prusik_value_modify(v, double_up, NULL), 5);
	ck_assert_int_eq(prusik_value_unlock(v), 0);
	must_be(v, 4);
}

/* ---- waiting ---- */

static int ping_pong(void *shared, int index)
{
	struct share *s = shared;

	for (int64_t i = index; i < 400; i += 2) {
		int64_t n;
		PARTY_CHECK(prusik_value_get(s->value, &n) == 0);
		while (n != i) {
			PARTY_CHECK(prusik_value_wait(s->value, &n, PRUSIK_FOREVER) == 0);
			PARTY_CHECK(prusik_value_get(s->value, &n) == 0);
		}
		if (i % 3)
			PARTY_CHECK(prusik_value_add(s->value, 1, NULL) == 0);
		else
			PARTY_CHECK(prusik_value_modify(s->value, bump_words, NULL) == 0);
	}
	return 0;
}

static void changes_wake(enum party_kind kind)
{
	struct share *s = new_share(kind, 0, 0, NULL);

	party_run(kind, 2, ping_pong, s);
	must_be(s->value, 400);
}
BOTH(changes_wake)

static int await_record(void *shared, int index)
{
	struct share *s = shared;

	(void)index;
	party_say(&s->step[0], 1);
	PARTY_CHECK(prusik_value_wait(s->value, "first", prusik_in_s(20)) == 0);
	return 0;
}

static void a_record_wakes(enum party_kind kind)
{
	struct share *s = new_share(kind, PRUSIK_VALUE_BYTES, 5, "first");
	struct party *p = party_start(kind, await_record, s, 0);

	party_await(&s->step[0], 1);
	pause_ms(20);
	ck_assert_int_eq(prusik_value_set_bytes(s->value, "later", 5), 0);
	ck_assert_int_eq(party_join(p), 0);
}
BOTH(a_record_wakes)

TEST(waits_in_vain)
{
	const int64_t three = 3, four = 4;
	struct prusik_value *v = new_value(THREADS, 0, 0, &three);
	struct prusik_cancel token = { 0 };

	ck_assert_int_eq(prusik_value_wait(v, &four, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_value_wait(v, &three, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_value_wait(v, &three, prusik_in_ms(20)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_cancel_set(&token), 0);
	prusik_cancel_use(&token);
	ck_assert_int_eq(prusik_value_wait(v, &three, PRUSIK_FOREVER), -ECANCELED);
	prusik_cancel_use(NULL);
}
