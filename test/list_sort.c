/* SPDX-License-Identifier: MIT */
/* Sorting and reversing lists: what comes out, who may do what meanwhile, and who dies. */
#include "list_kit.h"

#include "base/sys.h"

#include <endian.h>
#include <limits.h>

/* ---- what comes out ---- */

static void by_bytes(enum party_kind kind)
{
	struct prusik_list *l = new_list(kind, ARENA_BYTES);

	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0);
	ck_assert_int_eq(prusik_list_reverse(l), 0);
	must_be(l, "");
	append(l, "one");
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0);
	ck_assert_int_eq(prusik_list_reverse(l), 0);
	must_be(l, "one");
	append(l, "\xff");
	append(l, "on");
	append(l, "one longer than a word");
	append(l, "one longer than a wore");
	append(l, "one longer than a w");
	append(l, "Z");
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0);
	must_be(l, "Z on one one longer than a w one longer than a word one longer than a wore \xff");
	ck_assert_int_eq(prusik_list_reverse(l), 0);
	must_be(l, "\xff one longer than a wore one longer than a word one longer than a w one on Z");
	ck_assert_int_eq(prusik_list_pop(l, 0, NULL, 0), 1);
	ck_assert_int_eq(prusik_list_insert(l, 2, "between", 7), 0);
	must_be(l, "one longer than a wore one longer than a word between one longer than a w one on Z");
	ck_assert_int_eq(prusik_list_clear(l), 0);
	must_own_all(l);
}
BOTH(by_bytes)

/* Zeros at the end count, though they look like the padding. */
TEST(zeros)
{
	static const char *const zeros = "\0\0\0\0\0\0\0\0\0\0\0";
	static const int lengths[] = { 9, 0, 8, 1, 11, 7, 10, 2 }, sorted[] = { 0, 1, 2, 7, 8, 9, 10, 11 };
	struct prusik_list *l = new_list(THREADS, ARENA_BYTES);

	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(prusik_list_append(l, zeros, (uint64_t)lengths[i]), 0);
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(prusik_list_get(l, i, NULL, 0), sorted[i]);
}

struct numbered {
	uint32_t key, number;
};

static int by_key(void *context, const void *a, uint64_t a_length, const void *b, uint64_t b_length)
{
	const struct numbered *x = a, *y = b;

	++*(uint64_t *)context;
	return a_length != sizeof *x || b_length != sizeof *y ? 0 : (x->key > y->key) - (x->key < y->key);
}

static void must_be_stable(struct prusik_list *l, uint32_t n)
{
	struct numbered before = { 0, 0 }, now;

	ck_assert_int_eq(prusik_list_length(l), n);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_int_eq(prusik_list_get(l, i, &now, sizeof now), sizeof now);
		ck_assert(i == 0 || before.key < now.key || (before.key == now.key && before.number < now.number));
		before = now;
	}
	must_own_all(l);
}

TEST(what_is_equal_stays_as_it_comes)
{
	struct prusik_list *l = new_list(PROCESSES, ARENA_BYTES);

	for (uint32_t n = 2; n < 3000; n = n < 40 ? n + 1 : n * 3 / 2) {
		uint64_t compared = 0;
		ck_assert_int_eq(prusik_list_clear(l), 0);
		for (uint32_t i = 0; i < n; i++) {
			struct numbered item = { (uint32_t)rand() % (n / 4 + 1), i };
			ck_assert_int_eq(prusik_list_append(l, &item, sizeof item), 0);
		}
		ck_assert_int_eq(prusik_list_sort(l, by_key, &compared), 0);
		must_be_stable(l, n);
		ck_assert_uint_le(compared, (uint64_t)n * (5 + 32 - (uint32_t)__builtin_clz(n)));
		compared = 0;
		ck_assert_int_eq(prusik_list_sort(l, by_key, &compared), 0);
		ck_assert_uint_eq(compared, n - 1);
	}
}

/* Items of any length, whose bytes are few different ones: what comes out is in order, and what went in. */
TEST(any_lengths)
{
	struct prusik_list *l = new_list(PROCESSES, ARENA_BYTES);
	unsigned char before[32], now[32];
	uint64_t in = 0, out = 0;
	int64_t length = 0;

	for (int i = 0; i < 2000; i++) {
		uint64_t n = (uint64_t)rand() % sizeof now;
		for (uint64_t k = 0; k < n; k++)
			in += (uint64_t)(now[k] = "\0\1\377"[rand() % 3]) * (k + 1);
		ck_assert_int_eq(prusik_list_append(l, now, n), 0);
	}
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0);
	ck_assert_int_eq(prusik_list_length(l), 2000);
	for (int i = 0; i < 2000; i++) {
		int64_t n = prusik_list_get(l, i, now, sizeof now);
		ck_assert_int_ge(n, 0);
		int order = memcmp(before, now, (size_t)(n < length ? n : length));
		ck_assert(order < 0 || (order == 0 && length <= n));
		for (int64_t k = 0; k < n; k++)
			out += (uint64_t)now[k] * (uint64_t)(k + 1);
		memcpy(before, now, sizeof now);
		length = n;
	}
	ck_assert_uint_eq(in, out);
	must_own_all(l);
}

#define MANY 100000u

static void must_count(struct prusik_list *l, uint32_t first, uint32_t step)
{
	static uint32_t number[MANY];
	static struct iovec v[MANY];

	for (uint32_t i = 0; i < MANY; i++)
		v[i] = (struct iovec){ &number[i], sizeof number[i] };
	ck_assert_int_eq(prusik_list_slice(l, 0, INT64_MAX, v, MANY), MANY);
	for (uint32_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(be32toh(number[i]), first + i * step);
}

static void many(enum party_kind kind)
{
	struct prusik_list *l = new_list(kind, UINT64_C(32) << 20);

	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t number = htobe32((uint32_t)((uint64_t)i * 7919 % MANY));
		ck_assert_int_eq(prusik_list_append(l, &number, sizeof number), 0);
	}
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0);
	must_count(l, 0, 1);
	ck_assert_int_eq(prusik_list_reverse(l), 0);
	must_count(l, MANY - 1, UINT32_MAX);
	must_own_all(l);
}
BOTH(many)

/* ---- functions ---- */

struct caller {
	struct prusik_list *list, *other;
	int calls;
	bool ok;
};

/* The list is as it was; what writes, or takes the lock, is refused; another list is open. */
static int calls_back(void *context, const void *a, uint64_t a_length, const void *b, uint64_t b_length)
{
	struct caller *c = context;
	struct iovec v = { NULL, 0 };
	char text[8];

	c->calls++;
	c->ok = c->ok && prusik_list_append(c->list, "x", 1) == -EDEADLK &&
		prusik_list_sort(c->list, NULL, NULL) == -EDEADLK && prusik_list_reverse(c->list) == -EDEADLK &&
		prusik_list_clear(c->list) == -EDEADLK && prusik_list_slice(c->list, 0, 1, &v, 1) == -EDEADLK &&
		prusik_list_get(c->list, 0, text, sizeof text) == 1 && text[0] == 'c' &&
		prusik_list_length(c->list) == 4 && prusik_list_index(c->list, "a", 1, 0) == 1 &&
		prusik_list_append(c->other, a, a_length) == 0 && (uintptr_t)a % 8 == 0 && (uintptr_t)b % 8 == 0;
	return a_length == 1 && b_length == 1 ? *(const char *)a - *(const char *)b : 0;
}

static void function_calls_back(enum party_kind kind)
{
	struct caller c = { .list = new_list(kind, ARENA_BYTES), .ok = true };

	c.other = new_list(THREADS, ARENA_BYTES);
	append(c.list, "c");
	append(c.list, "a");
	append(c.list, "d");
	append(c.list, "b");
	ck_assert_int_eq(prusik_list_sort(c.list, calls_back, &c), 0);
	ck_assert(c.ok);
	ck_assert_int_eq(prusik_list_length(c.other), c.calls);
	must_be(c.list, "a b c d");
	must_own_all(c.list);
}
BOTH(function_calls_back)

static int at_random(void *context, const void *a, uint64_t a_length, const void *b, uint64_t b_length)
{
	(void)a;
	(void)a_length;
	(void)b;
	(void)b_length;
	return context ? *(int *)context : rand() % 3 - 1;
}

TEST(function_contradicts_itself)
{
	struct prusik_list *l = new_list(PROCESSES, ARENA_BYTES);
	int always[] = { 1, -1, INT_MIN };
	bool seen[500] = { false };
	uint32_t item;

	for (item = 0; item < 500; item++)
		ck_assert_int_eq(prusik_list_append(l, &item, sizeof item), 0);
	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(prusik_list_sort(l, at_random, i < 3 ? &always[i] : NULL), 0);
	must_own_all(l);
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(prusik_list_get(l, i, &item, sizeof item), sizeof item);
		ck_assert(item < 500 && !seen[item]);
		seen[item] = true;
	}
}

/* ---- no memory ---- */

TEST(no_room)
{
	struct prusik_list *l = new_list(PROCESSES, 128 << 10);
	uint32_t item[12] = { 0 }, n = 0;

	for (; prusik_list_append(l, item, sizeof item) == 0; n++)
		item[0] = htobe32(n + 1);
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0); /* as they are */
	ck_assert_int_eq(prusik_list_reverse(l), -ENOSPC);
	uint64_t called = 0;
	ck_assert_int_eq(prusik_list_set(l, 0, "zz", 2), 0);
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), -ENOSPC);
	ck_assert_int_eq(prusik_list_sort(l, by_key, &called), 0); /* equal, all of them */
	ck_assert_int_eq(prusik_list_length(l), n);
	ck_assert_int_eq(prusik_list_get(l, 0, item, sizeof item), 2);
	for (int64_t i = 1; i < n; i++) {
		ck_assert_int_eq(prusik_list_get(l, i, item, sizeof item), sizeof item);
		ck_assert_uint_eq(be32toh(item[0]), i);
	}
	must_own_all(l);
	while (prusik_list_length(l) > n / 2)
		ck_assert_int_ge(prusik_list_pop(l, -1, NULL, 0), 0);
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0);
	ck_assert_int_eq(prusik_list_index(l, "zz", 2, 0), prusik_list_length(l) - 1);
	must_own_all(l);
}

TEST(no_private_memory)
{
	struct prusik_list *l = new_list(THREADS, ARENA_BYTES);

	append(l, "b");
	append(l, "a");
	prk_sys_fail(PRK_SYS_MALLOC, 1, ENOMEM);
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), -ENOMEM);
	must_be(l, "b a");
	ck_assert_int_eq(prusik_list_sort(l, NULL, NULL), 0);
	must_be(l, "a b");
	must_own_all(l);
}

/* ---- many at once ---- */

#define NUMBERS 100u

static struct prusik_list *count_up(enum party_kind kind)
{
	struct prusik_list *l = new_list(kind, ARENA_BYTES);

	for (uint32_t i = 0; i < NUMBERS; i++) {
		uint32_t number = htobe32(i);
		ck_assert_int_eq(prusik_list_append(l, &number, sizeof number), 0);
	}
	return l;
}

/* The numbers rise or fall. */
static bool is_one_order(struct prusik_list *l)
{
	uint32_t number[NUMBERS];
	struct iovec v[NUMBERS];

	for (uint32_t i = 0; i < NUMBERS; i++)
		v[i] = (struct iovec){ &number[i], sizeof number[i] };
	if (prusik_list_slice(l, 0, INT64_MAX, v, NUMBERS) != NUMBERS)
		return false;
	bool falls = be32toh(number[0]) != 0;
	for (uint32_t i = 0; i < NUMBERS; i++)
		if (be32toh(number[i]) != (falls ? NUMBERS - 1 - i : i))
			return false;
	return true;
}

static int falling(void *context, const void *a, uint64_t a_length, const void *b, uint64_t b_length)
{
	(void)context;
	return a_length == b_length ? memcmp(b, a, a_length) : 0;
}

static void turn(struct prusik_list *l, int i)
{
	if (i % 3 == 0)
		prusik_list_sort(l, i % 2 ? falling : NULL, NULL);
	else
		prusik_list_reverse(l);
}

/* Two turn it round, two look, without the lock and with it. */
static int turn_or_look(void *shared, int index)
{
	struct share *s = shared;

	for (uint32_t i = 0; i < 1500; i++) {
		uint32_t at = i % NUMBERS, number = htobe32(at), other = 0;
		if (index < 2) {
			turn(s->list, (int)i + index);
			continue;
		}
		PARTY_CHECK(prusik_list_get(s->list, at, &other, sizeof other) == sizeof other);
		PARTY_CHECK(be32toh(other) == at || be32toh(other) == NUMBERS - 1 - at);
		int64_t position = prusik_list_index(s->list, &number, sizeof number, 0);
		PARTY_CHECK(position == at || position == NUMBERS - 1 - at);
		PARTY_CHECK(prusik_list_count(s->list, &number, sizeof number) == 1);
		PARTY_CHECK(i % 16 || is_one_order(s->list));
	}
	return 0;
}

static void nobody_sees_a_mix(enum party_kind kind)
{
	struct share *s = party_memory(kind, sizeof *s);

	s->list = count_up(kind);
	party_run(kind, 4, turn_or_look, s);
	ck_assert(is_one_order(s->list));
	must_own_all(s->list);
}

TEST_WITHIN(nobody_sees_a_mix_threads, 120)
{
	nobody_sees_a_mix(THREADS);
}

TEST_WITHIN(nobody_sees_a_mix_processes, 120)
{
	nobody_sees_a_mix(PROCESSES);
}

/* ---- deaths ---- */

static int turn_for_ever(void *shared)
{
	struct share *s = shared;

	for (int i = getpid() % 7; prusik_list_length(s->list) >= 0; i++)
		turn(s->list, i);
	return 1;
}

TEST_WITHIN(those_who_turn_it_are_killed, 120)
{
	struct share *s = test_shared(sizeof *s);

	s->list = count_up(PROCESSES);
	for (int round = 0; round < 100; round++) {
		pid_t one = test_fork(turn_for_ever, s), other = test_fork(turn_for_ever, s);
		pause_ms(round % 5);
		test_kill(one);
		ck_assert(is_one_order(s->list));
		test_kill(other);
		ck_assert(is_one_order(s->list));
		must_own_all(s->list);
	}
}

static int dies(void *context, const void *a, uint64_t a_length, const void *b, uint64_t b_length)
{
	if (--*(int *)context == 0)
		raise(SIGKILL);
	return falling(NULL, a, a_length, b, b_length);
}

static int sort_and_die(void *shared)
{
	struct share *s = shared;

	return prusik_list_sort(s->list, dies, &s->done);
}

TEST(function_dies)
{
	struct share *s = test_shared(sizeof *s);
	uint32_t number;

	s->list = count_up(PROCESSES);
	for (int calls = 1; calls < 200; calls += 30) {
		s->done = calls;
		ck_assert_int_eq(test_join(test_fork(sort_and_die, s)), -SIGKILL);
		ck_assert_int_eq(prusik_list_get(s->list, 0, &number, sizeof number), sizeof number);
		ck_assert_uint_eq(number, 0);
		ck_assert(is_one_order(s->list));
		must_own_all(s->list);
	}
	ck_assert_int_eq(prusik_list_sort(s->list, falling, NULL), 0);
	ck_assert(is_one_order(s->list));
}

/* Destroyed while somebody's order is decided and not made. */
TEST(destroyed_half_done)
{
	struct prusik_list *l = count_up(PROCESSES);
	struct prusik_arena *arena = l->view.arena;
	struct prusik_arena_stats stats;
	uint64_t *link;

	ck_assert_int_eq(prusik_arena_alloc(arena, NUMBERS * 8, &l->body->sequence), 0);
	l->body->arranging = 1;
	ck_assert_int_eq(prusik_arena_root(arena, "items", &link), 0);
	ck_assert_int_eq(prusik_list_destroy(arena, link), 0);
	ck_assert_int_eq(prusik_arena_stats(arena, &stats), 0);
	ck_assert_uint_eq(stats.blocks, 0);
}

/* An order that there is not is no order: nobody gets at the list, until it is destroyed. */
TEST(corrupt_order)
{
	for (uint64_t offset = 0; offset < ARENA_BYTES + 100000; offset = offset * 2 + 8) {
		struct prusik_list *l = count_up(PROCESSES);
		char bytes[4];
		l->body->arranging = 1;
		l->body->sequence = offset;
		int r = append(l, "x");
		ck_assert(r == -EPROTO || r == 0);
		ck_assert(offset >= PRK_ARENA_FIRST || r == -EPROTO);
		int64_t n = prusik_list_get(l, 3, bytes, sizeof bytes);
		ck_assert(n == 4 || n == -EPROTO || n == -EMSGSIZE);
	}
}
