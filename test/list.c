/* SPDX-License-Identifier: MIT */
#include "list_kit.h"

static void verbs(enum party_kind kind)
{
	struct prusik_list *l = new_list(kind, ARENA_BYTES);
	struct iovec more[2] = { { (char[]){ 'x' }, 1 }, { (char[]){ 'y' }, 1 } };
	char text[16] = "";

	must_be(l, "");
	ck_assert_int_eq(prusik_list_get(l, 0, text, 16), -ENOENT);
	ck_assert_int_eq(prusik_list_pop(l, -1, text, 16), -ENOENT);
	ck_assert_int_eq(append(l, "b"), 0);
	ck_assert_int_eq(append(l, "d"), 0);
	ck_assert_int_eq(prusik_list_insert(l, 0, "a", 1), 0);
	ck_assert_int_eq(prusik_list_insert(l, -1, "c", 1), 0);
	ck_assert_int_eq(prusik_list_insert(l, 99, "e", 1), 0);
	ck_assert_int_eq(prusik_list_insert(l, -99, "_", 1), 0);
	must_be(l, "_ a b c d e");
	ck_assert_int_eq(prusik_list_get(l, -1, text, 16), 1);
	ck_assert_int_eq(text[0], 'e');
	ck_assert_int_eq(prusik_list_get(l, -7, text, 16), -ENOENT);
	ck_assert_int_eq(prusik_list_set(l, 2, "long one", 8), 0);
	ck_assert_int_eq(prusik_list_set(l, 6, "no", 2), -ENOENT);
	ck_assert_int_eq(prusik_list_get(l, 2, text, 4), -EMSGSIZE);
	ck_assert_int_eq(prusik_list_get(l, 2, NULL, 0), 8);
	ck_assert_int_eq(prusik_list_pop(l, 2, text, 4), -EMSGSIZE);
	must_be(l, "_ a long one c d e");
	ck_assert_int_eq(prusik_list_pop(l, 2, text, 16), 8);
	ck_assert_int_eq(memcmp(text, "long one", 8), 0);
	ck_assert_int_eq(prusik_list_extend(l, more, 2), 2);
	ck_assert_int_eq(prusik_list_extend(l, NULL, 0), 0);
	must_be(l, "_ a c d e x y");
	ck_assert_int_eq(prusik_list_index(l, "d", 1, 0), 3);
	ck_assert_int_eq(prusik_list_index(l, "d", 1, 4), -ENOENT);
	ck_assert_int_eq(prusik_list_count(l, "d", 1), 1);
	ck_assert_int_eq(prusik_list_count(l, "none", 4), 0);
	ck_assert_int_eq(prusik_list_index(l, "d", 1, -4), 3);
	ck_assert_int_eq(prusik_list_remove(l, "d", 1), 3);
	ck_assert_int_eq(prusik_list_remove(l, "d", 1), -ENOENT);
	must_be(l, "_ a c e x y");
	ck_assert_int_eq(prusik_list_clear(l), 0);
	must_be(l, "");
	ck_assert_int_eq(append(l, ""), 0);
	ck_assert_int_eq(prusik_list_get(l, 0, text, 16), 0);
	must_be_valid(l);
}
BOTH(verbs)

TEST(misuse)
{
	struct prusik_list *l = NULL;

	ck_assert_int_eq(prusik_list_create(NULL, "name", NULL, &l), -EINVAL);
	ck_assert_int_eq(prusik_list_create(NULL, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_list_create(NULL, NULL, NULL, &l), 0);
	ck_assert_int_eq(prusik_list_append(NULL, "a", 1), -EINVAL);
	ck_assert_int_eq(prusik_list_append(l, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_list_append(l, "a", UINT64_MAX), -EMSGSIZE);
	ck_assert_int_eq(prusik_list_extend(l, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_list_slice(l, 0, 1, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_list_index(l, NULL, 1, 0), -EINVAL);
	ck_assert_int_eq(prusik_list_count(l, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_list_count(NULL, "d", 1), -EINVAL);
	ck_assert_int_eq(prusik_list_remove(l, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_list_length(NULL), -EINVAL);
	ck_assert_int_eq(prusik_list_get(NULL, 0, NULL, 0), -EINVAL);
	ck_assert_int_eq(prusik_list_clear(NULL), -EINVAL);
	ck_assert_int_eq(prusik_list_sort(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_list_reverse(NULL), -EINVAL);
	ck_assert_int_eq(prusik_list_length(l), 0);
	prusik_list_free(l);
	prusik_list_free(NULL);
}

TEST(slices)
{
	struct prusik_list *l = new_list(THREADS, ARENA_BYTES);
	char text[40][4];
	struct iovec v[40];
	int item;

	for (item = 0; item < 100; item++)
		ck_assert_int_eq(prusik_list_append(l, &item, sizeof item), 0);
	for (int i = 0; i < 40; i++)
		v[i] = (struct iovec){ text[i], 4 };
	ck_assert_int_eq(prusik_list_slice(l, 10, 45, v, 40), 35);
	for (int i = 0; i < 35; i++)
		ck_assert(v[i].iov_len == 4 && *(int *)(void *)text[i] == 10 + i);
	ck_assert_int_eq(prusik_list_slice(l, -3, INT64_MAX, v, 40), 3);
	ck_assert_int_eq(*(int *)(void *)text[2], 99);
	ck_assert_int_eq(prusik_list_slice(l, 0, 100, v, 40), 40);
	ck_assert_int_eq(prusik_list_slice(l, 60, 20, v, 40), 0);
	ck_assert_int_eq(prusik_list_slice(l, 200, 300, v, 40), 0);
	v[1].iov_len = 3;
	ck_assert_int_eq(prusik_list_slice(l, 0, 3, v, 40), -EMSGSIZE);
	ck_assert_uint_eq(v[0].iov_len, 4);
}

/* Beside an array that is changed in the same way. */
struct model {
	uint32_t item[3000];
	uint32_t n;
};

static void reverse_both(struct prusik_list *l, struct model *m)
{
	for (uint32_t i = 0; i < m->n / 2; i++) {
		uint32_t moved = m->item[i];
		m->item[i] = m->item[m->n - 1 - i];
		m->item[m->n - 1 - i] = moved;
	}
	ck_assert_int_eq(prusik_list_reverse(l), 0);
}

static void change_both(struct prusik_list *l, struct model *m, uint32_t salt)
{
	uint32_t at = m->n ? (uint32_t)rand() % m->n : 0, out = 0;
	bool grow = salt / 6000 % 2 == 0;

	if (salt % 1000 == 999) {
		reverse_both(l, m);
		return;
	}

	if (m->n < 3000 && (rand() % 3 || m->n == 0) == grow) {
		memmove(m->item + at + 1, m->item + at, (m->n - at) * sizeof m->item[0]);
		m->item[at] = salt;
		m->n++;
		ck_assert_int_eq(prusik_list_insert(l, at, &salt, sizeof salt), 0);
	} else if (m->n > 0 && rand() % 5) {
		ck_assert_int_eq(prusik_list_pop(l, at, &out, sizeof out), sizeof out);
		ck_assert_uint_eq(out, m->item[at]);
		m->n--;
		memmove(m->item + at, m->item + at + 1, (m->n - at) * sizeof m->item[0]);
	} else if (m->n > 0) {
		m->item[at] = salt;
		ck_assert_int_eq(prusik_list_set(l, at, &salt, sizeof salt), 0);
	}
}

TEST(as_an_array)
{
	struct prusik_list *l = new_list(PROCESSES, ARENA_BYTES);
	struct prusik_arena_stats stats;
	struct prk_list_tally tally;
	static struct model m;
	uint32_t out;

	srand(7);
	for (uint32_t step = 0; step < 40000; step++) {
		change_both(l, &m, step);
		if (step % 4000 != 0)
			continue;
		must_be_valid(l);
		ck_assert_int_eq(prusik_list_length(l), m.n);
		for (uint32_t i = 0; i < m.n; i++) {
			ck_assert_int_eq(prusik_list_get(l, i, &out, sizeof out), sizeof out);
			ck_assert_uint_eq(out, m.item[i]);
		}
	}
	ck_assert(prk_list_valid(l, &tally));
	ck_assert_int_eq(prusik_arena_stats(l->view.arena, &stats), 0);
	ck_assert_uint_eq(stats.blocks, tally.blocks);
	while (prusik_list_pop(l, 0, &out, sizeof out) > 0)
		;
	must_be_valid(l);
}

TEST(long_ones)
{
	struct prusik_list *l = new_list(THREADS, 0);
	static char bytes[100000], out[100000];

	for (uint32_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 13);
	for (int64_t i = 0; i < 100000; i++)
		ck_assert_int_eq(prusik_list_append(l, &i, sizeof i), 0);
	for (int64_t i = 0; i < 100000; i += 777) {
		int64_t number;
		ck_assert_int_eq(prusik_list_get(l, i, &number, sizeof number), sizeof number);
		ck_assert_int_eq(number, i);
	}
	ck_assert_int_eq(prusik_list_set(l, 50, bytes, sizeof bytes), 0);
	ck_assert_int_eq(prusik_list_get(l, 50, out, sizeof out), sizeof out);
	ck_assert_int_eq(memcmp(bytes, out, sizeof out), 0);
	must_be_valid(l);
	ck_assert_int_eq(prusik_list_clear(l), 0);
	must_be_valid(l);
}

TEST(full)
{
	struct prusik_list *l = new_list(PROCESSES, 128 << 10);
	char item[50] = "";
	int64_t n = 0;
	int r;

	while ((r = prusik_list_append(l, item, sizeof item)) == 0)
		n++;
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_gt(n, 500);
	must_be_valid(l);
	ck_assert_int_eq(prusik_list_length(l), n);
	ck_assert_int_eq(prusik_list_pop(l, 3, item, sizeof item), sizeof item);
	ck_assert_int_eq(prusik_list_append(l, item, sizeof item), 0);
	must_be_valid(l);
}

TEST(names_and_references)
{
	struct prusik_arena *arena;
	struct prusik_list *l, *other;
	uint64_t *link;

	ck_assert_int_eq(prusik_arena_create(NULL, ARENA_BYTES, &arena), 0);
	ck_assert_int_eq(prusik_list_create(arena, "it", NULL, &l), 0);
	append(l, "in it");
	ck_assert_int_eq(prusik_list_open(arena, "it", &other), 0);
	must_be(other, "in it");
	prusik_list_free(other);
	ck_assert_int_eq(prusik_list_at(arena, prusik_list_reference(l), &other), 0);
	must_be(other, "in it");
	prusik_list_free(other);
	ck_assert_int_eq(prusik_arena_root(arena, "it", &link), 0);
	ck_assert_int_eq(prusik_list_destroy(arena, link), 0);
	ck_assert_int_eq(prusik_list_open(arena, "it", &other), -ENOENT);
	prusik_list_free(l);
	prusik_arena_close(arena);
	ck_assert_int_eq(prusik_list_open_named("domain wide", NULL, &l), 0);
	append(l, "there");
	ck_assert_int_eq(prusik_list_open_named("domain wide", NULL, &other), 0);
	must_be(other, "there");
	prusik_list_free(other);
	prusik_list_free(l);
}

/* ---- many at once ---- */

#define EACH 3000

/* Producers append numbers of their own, in order; takers pop the first. */
static int produce_or_take(void *shared, int index)
{
	struct share *s = shared;
	uint32_t last[2] = { 0 }, item;

	if (index < 2) {
		for (uint32_t i = 1; i <= EACH; i++) {
			item = (uint32_t)index << 16 | i;
			PARTY_CHECK(prusik_list_append(s->list, &item, sizeof item) == 0);
		}
		return 0;
	}
	while (party_word(&s->done) < 2 * EACH) {
		int64_t r = prusik_list_pop(s->list, 0, &item, sizeof item);
		if (r == -ENOENT)
			continue;
		PARTY_CHECK(r == sizeof item && item >> 16 < 2 && (item & 0xffff) > last[item >> 16]);
		last[item >> 16] = item & 0xffff;
		prk_add32_acqrel((uint32_t *)&s->done, 1);
	}
	return 0;
}

static void each_item_once(enum party_kind kind)
{
	struct share *s = party_memory(kind, sizeof *s);

	s->list = new_list(kind, ARENA_BYTES);
	party_run(kind, 4, produce_or_take, s);
	ck_assert_int_eq(s->done, 2 * EACH);
	must_be_valid(s->list);
}
BOTH(each_item_once)

/* The list holds blocks of numbers in order; some turn it, others look. */
static int turn_or_look(void *shared, int index)
{
	struct share *s = shared;
	uint32_t item, text[100];
	struct iovec v[100];

	for (int i = 0; i < 4000; i++) {
		if (index == 0) {
			PARTY_CHECK(prusik_list_pop(s->list, i % 100, &item, sizeof item) == sizeof item);
			PARTY_CHECK(prusik_list_insert(s->list, i % 100, &item, sizeof item) == 0);
			continue;
		}
		int64_t r = prusik_list_get(s->list, i % 99, &item, sizeof item);
		PARTY_CHECK(r == sizeof item && (item == (uint32_t)i % 99 || item == (uint32_t)i % 99 + 1));
		if (i % 50)
			continue;
		for (int k = 0; k < 100; k++)
			v[k] = (struct iovec){ &text[k], sizeof text[k] };
		r = prusik_list_slice(s->list, 0, INT64_MAX, v, 100);
		PARTY_CHECK(r == 99 || r == 100);
		for (int64_t k = 1; k < r; k++)
			PARTY_CHECK(text[k] == text[k - 1] + 1 || (r == 99 && text[k] == text[k - 1] + 2));
	}
	return 0;
}

static void what_is_read_is_one_moment(enum party_kind kind)
{
	struct share *s = party_memory(kind, sizeof *s);

	s->list = new_list(kind, ARENA_BYTES);
	for (uint32_t i = 0; i < 100; i++)
		ck_assert_int_eq(prusik_list_append(s->list, &i, sizeof i), 0);
	party_run(kind, 3, turn_or_look, s);
	must_be_valid(s->list);
}
BOTH(what_is_read_is_one_moment)

static int change_for_ever(void *shared)
{
	struct share *s = shared;
	uint64_t bytes[90] = { 0 };

	for (uint32_t state = (uint32_t)getpid();;) {
		state = state * 1103515245 + 12345;
		int64_t at = (state >> 8) % 200;
		if (state >> 29 < 4)
			prusik_list_insert(s->list, at, bytes, state % 700);
		else if (state >> 29 == 4)
			prusik_list_set(s->list, at, bytes, state % 700);
		else if (prusik_list_pop(s->list, at, NULL, 0) == -EPROTO)
			return 1;
		if (state >> 20 == 1)
			prusik_list_reverse(s->list);
		if (state >> 22 == 0 || prusik_list_length(s->list) > 300)
			prusik_list_clear(s->list);
	}
}

TEST_WITHIN(writers_are_killed, 60)
{
	struct share *s = test_shared(sizeof *s);
	struct prusik_arena_stats stats;
	struct prk_list_tally tally;

	s->list = new_list(PROCESSES, ARENA_BYTES);
	for (int round = 0; round < 100; round++) {
		pid_t one = test_fork(change_for_ever, s), other = test_fork(change_for_ever, s);
		pause_ms(round % 7);
		test_kill(one);
		ck_assert_int_ge(prusik_list_length(s->list), 0);
		test_kill(other);
		ck_assert(prk_list_valid(s->list, &tally));
		ck_assert_int_eq(prusik_arena_stats(s->list->view.arena, &stats), 0);
		ck_assert_uint_eq(stats.blocks, tally.blocks);
	}
}

/* ---- hostile bytes ---- */

static int survive(void *shared)
{
	struct share *s = shared;
	uint32_t state = (uint32_t)s->done, out[64];
	char *bytes = (char *)s->list->body;
	struct iovec v = { out, sizeof out };

	for (uint32_t n = 1 + state % 50 * (state % 3 == 0 ? 100 : 1); n > 0; n--) {
		state = state * 1103515245 + 12345;
		uint64_t at = 64 + (state >> 4) % (16 << 10);
		state = state * 1103515245 + 12345;
		bytes[at] = (char)(state >> 16);
	}
	s->list->body->heap.lock = (struct prusik_lock){ 0 };
	for (int64_t i = -20; i < 40; i++) {
		prusik_list_get(s->list, i, out, sizeof out);
		prusik_list_slice(s->list, i, i + 1, &v, 1);
		v.iov_len = sizeof out;
		prusik_list_index(s->list, &i, sizeof i, 0);
		prusik_list_insert(s->list, i, &i, sizeof i);
		prusik_list_set(s->list, i, out, 100);
		prusik_list_remove(s->list, &i, sizeof i);
		prusik_list_pop(s->list, i, out, sizeof out);
		if (i % 8 == 0)
			prusik_list_reverse(s->list);
		if (i % 8 == 4)
			prusik_list_sort(s->list, NULL, NULL);
	}
	prusik_list_length(s->list);
	prusik_list_clear(s->list);
	return 0;
}

TEST_WITHIN(arbitrary_bytes, 120)
{
	for (int i = 0; i < 300; i++) {
		struct share *s = test_shared(sizeof *s);
		s->list = new_list(PROCESSES, 1 << 20);
		s->done = i;
		for (uint32_t k = 0; k < 200; k++)
			ck_assert_int_eq(prusik_list_append(s->list, &i, k % 5), 0);
		ck_assert_int_eq(test_join(test_fork(survive, s)), 0);
	}
}

/* ---- a death in an arena that has become longer ---- */

/* Makes the arena longer than its parent knows, and dies with a change to what is new under way. */
static int grow_and_die(void *shared)
{
	struct share *s = shared;
	struct prusik_list *l = s->list;
	struct prk_list_path path;
	char bytes[3000] = "";

	for (int i = 0; i < 400; i++)
		PARTY_CHECK(prusik_list_append(l, bytes, sizeof bytes) == 0);
	PARTY_CHECK(prk_list_lock(l) == 0);
	PARTY_CHECK(prk_list_find(l, prk_list_half(l), 399, &path) == 0 && path.levels > 0);
	prk_heap_begin(&l->view);
	prk_heap_set(&l->view, &path.node[0]->order, 0);
	raise(SIGKILL);
	return 0;
}

TEST(what_died_lay_where_the_arena_is_new)
{
	const struct prusik_list_options options = { .room = 64 << 10 };
	struct share *s = test_shared(sizeof *s);

	ck_assert_int_eq(prusik_list_open_named("grows", &options, &s->list), 0);
	ck_assert_int_eq(append(s->list, "first"), 0);
	ck_assert_int_eq(test_join(test_fork(grow_and_die, s)), -SIGKILL);
	ck_assert_int_eq(append(s->list, "last"), 0);
	ck_assert_int_eq(prusik_list_length(s->list), 402);
	must_be_valid(s->list);
	prusik_list_free(s->list);
}
