/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "data/dict.h"

#include <prusik/dict.h>

#define ARENA_BYTES (UINT64_C(8) << 20)

/* A dict that the parties of that kind share: in private memory, or in an arena. */
static struct prusik_dict *new_dict(enum party_kind kind, uint64_t bytes)
{
	struct prusik_dict_options options = { .room = bytes };
	struct prusik_dict *dict = NULL;
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, bytes, &arena), 0);
	ck_assert_int_eq(prusik_dict_create(arena, arena ? "pairs" : NULL, &options, &dict), 0);
	party_keep(arena);
	return party_keep(dict);
}

static int set(struct prusik_dict *dict, const char *key, const char *value)
{
	return prusik_dict_set(dict, key, strlen(key), value, strlen(value));
}

static void must_be(struct prusik_dict *dict, const char *key, const char *expected)
{
	char text[200] = "";
	int64_t r = prusik_dict_get(dict, key, strlen(key), text, sizeof text - 1);

	ck_assert_int_eq(r, expected ? (int64_t)strlen(expected) : -ENOENT);
	ck_assert_str_eq(text, expected ? expected : "");
	ck_assert_int_eq(prusik_dict_contains(dict, key, strlen(key)), expected != NULL);
}

static void must_be_valid(struct prusik_dict *dict)
{
	struct prk_dict_tally tally;

	ck_assert(prk_dict_valid(dict, &tally));
	ck_assert_int_eq(prusik_dict_length(dict), (int64_t)tally.keys);
}

static void verbs(enum party_kind kind)
{
	struct prusik_dict *d = new_dict(kind, ARENA_BYTES);
	char text[16] = "";

	must_be(d, "a", NULL);
	ck_assert_int_eq(set(d, "a", "one"), 1);
	ck_assert_int_eq(set(d, "a", "another"), 0);
	ck_assert_int_eq(set(d, "", ""), 1);
	must_be(d, "a", "another");
	must_be(d, "", "");
	ck_assert_int_eq(prusik_dict_length(d), 2);
	ck_assert_int_eq(prusik_dict_get(d, "a", 1, text, 6), -EMSGSIZE);
	ck_assert_int_eq(prusik_dict_get(d, "a", 1, NULL, 0), 7);

	ck_assert_int_eq(prusik_dict_insert(d, "a", 1, "no", 2), -EEXIST);
	ck_assert_int_eq(prusik_dict_insert(d, "b", 1, "two", 3), 0);
	ck_assert_int_eq(prusik_dict_setdefault(d, "b", 1, "x", 1, text, 16), 3);
	ck_assert_int_eq(memcmp(text, "two", 3), 0);
	ck_assert_int_eq(prusik_dict_setdefault(d, "c", 1, "three", 5, text, 4), -EMSGSIZE);
	must_be(d, "c", NULL);
	ck_assert_int_eq(prusik_dict_setdefault(d, "c", 1, "three", 5, text, 16), 5);
	ck_assert_int_eq(memcmp(text, "three", 5), 0);

	ck_assert_int_eq(prusik_dict_pop(d, "c", 1, text, 4), -EMSGSIZE);
	must_be(d, "c", "three");
	ck_assert_int_eq(prusik_dict_pop(d, "c", 1, text, 16), 5);
	ck_assert_int_eq(prusik_dict_pop(d, "c", 1, text, 16), -ENOENT);
	ck_assert_int_eq(prusik_dict_delete(d, "b", 1), 0);
	ck_assert_int_eq(prusik_dict_delete(d, "b", 1), -ENOENT);
	must_be_valid(d);
	ck_assert_int_eq(prusik_dict_clear(d), 0);
	ck_assert_int_eq(prusik_dict_length(d), 0);
	must_be(d, "a", NULL);
	ck_assert_int_eq(set(d, "a", "again"), 1);
	must_be(d, "a", "again");
	must_be_valid(d);
}
BOTH(verbs)

TEST(misuse)
{
	struct prusik_dict *d = NULL;
	struct prusik_dict_cursor cursor = { 0 };
	struct prusik_dict_item item = { NULL, 1, "a", 1 };

	ck_assert_int_eq(prusik_dict_create(NULL, "name", NULL, &d), -EINVAL);
	ck_assert_int_eq(prusik_dict_create(NULL, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_dict_open(NULL, "a", &d), -EINVAL);
	ck_assert_ptr_null(d);
	ck_assert_int_eq(prusik_dict_create(NULL, NULL, NULL, &d), 0);
	ck_assert_int_eq(prusik_dict_set(NULL, "a", 1, "a", 1), -EINVAL);
	ck_assert_int_eq(prusik_dict_set(d, NULL, 1, "a", 1), -EINVAL);
	ck_assert_int_eq(prusik_dict_set(d, "a", 1, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_dict_set(d, "a", UINT64_MAX, "a", 1), -EMSGSIZE);
	ck_assert_int_eq(prusik_dict_set(d, "a", 1, "a", UINT64_MAX), -EMSGSIZE);
	ck_assert_int_eq(prusik_dict_get(NULL, "a", 1, NULL, 0), -EINVAL);
	ck_assert_int_eq(prusik_dict_get(d, "a", UINT64_MAX, NULL, 0), -ENOENT);
	ck_assert_int_eq(prusik_dict_delete(d, "a", UINT64_MAX), -ENOENT);
	ck_assert_int_eq(prusik_dict_next(d, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_dict_next(d, &cursor, NULL, NULL), 0);
	ck_assert_int_eq(prusik_dict_update(d, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_dict_update(d, &item, 1), -EINVAL);
	ck_assert_int_eq(prusik_dict_update(d, NULL, 0), 0);
	ck_assert_int_eq(prusik_dict_modify(d, "a", 1, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_dict_wait(NULL, "a", 1, 0, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_dict_clear(NULL), -EINVAL);
	ck_assert_int_eq(prusik_dict_length(NULL), -EINVAL);
	ck_assert_int_eq(prusik_dict_length(d), 0);
	ck_assert_uint_eq(prusik_dict_reference(NULL), 0);
	prusik_dict_free(d);
	prusik_dict_free(NULL);
}

/* Keys and values of all kinds of lengths, each different. */
static uint64_t length_of(uint32_t i)
{
	return i < 80 ? i : i < 100 ? (uint64_t)(i - 79) * 999 : (uint64_t)(i - 99) * 100001;
}

TEST(any_length)
{
	struct prusik_dict *d = new_dict(PROCESSES, UINT64_C(64) << 20);
	const uint64_t most = 1 << 20;
	char *bytes = party_keep(malloc(most)), *out = party_keep(malloc(most));

	for (uint64_t i = 0; i < most; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 108; i++) {
			uint64_t length = length_of((i + round * 31) % 108);
			ck_assert_int_eq(prusik_dict_set(d, bytes + 1, length_of(i), bytes + i, length), round == 0);
		}
		for (uint32_t i = 0; i < 108; i++) {
			uint64_t length = length_of((i + round * 31) % 108);
			memset(out, 0, most);
			ck_assert_int_eq(prusik_dict_get(d, bytes + 1, length_of(i), out, most), (int64_t)length);
			ck_assert_int_eq(memcmp(out, bytes + i, length), 0);
			ck_assert_int_eq(out[length], 0);
		}
		must_be_valid(d);
	}
	for (uint32_t i = 0; i < 108; i++)
		ck_assert_int_eq(prusik_dict_pop(d, bytes + 1, length_of(i), out, most),
				 (int64_t)length_of((i + 62) % 108));
	must_be_valid(d);
	ck_assert_int_eq(prusik_dict_length(d), 0);
}

static void grows_and_shrinks(enum party_kind kind)
{
	struct prusik_dict *d = new_dict(kind, UINT64_C(64) << 20);
	struct prusik_dict_stats stats;
	enum { KEYS = 60000 };

	for (uint32_t i = 0; i < KEYS; i++) {
		ck_assert_int_eq(prusik_dict_set(d, &i, sizeof i, &i, i % 40 < 4 ? i % 40 : 4), 1);
		if (i % 9973 == 0)
			must_be_valid(d);
	}
	ck_assert_int_eq(prusik_dict_stats(d, &stats), 0);
	ck_assert_uint_eq(stats.keys, KEYS);
	ck_assert_uint_ge(stats.buckets, KEYS / 4);
	for (uint32_t i = 0; i < KEYS; i++) {
		uint32_t out = 0;
		ck_assert_int_eq(prusik_dict_get(d, &i, sizeof i, &out, sizeof out), i % 40 < 4 ? i % 40 : 4);
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		ck_assert_int_eq(prusik_dict_delete(d, &i, sizeof i), 0);
		if (i % 9973 == 0)
			must_be_valid(d);
	}
	ck_assert_int_eq(prusik_dict_stats(d, &stats), 0);
	ck_assert_uint_eq(stats.keys, 0);
	ck_assert_uint_eq(stats.buckets, PRK_DICT_BUCKETS_MIN);
	must_be_valid(d);
}
BOTH(grows_and_shrinks)

/* ---- iterating ---- */

TEST(each_key_once)
{
	struct prusik_dict *d = new_dict(THREADS, ARENA_BYTES);
	struct prusik_dict_cursor cursor = { 0 };
	static char seen[3000];
	uint32_t k, v;
	struct iovec key = { &k, sizeof k }, value = { &v, sizeof v };

	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t twice = 2 * i;
		prusik_dict_set(d, &i, sizeof i, &twice, sizeof twice);
	}
	while (prusik_dict_next(d, &cursor, &key, &value) == 1) {
		ck_assert(key.iov_len == sizeof k && value.iov_len == sizeof v && k < 3000 && v == 2 * k);
		ck_assert_int_eq(seen[k]++, 0);
	}
	for (int i = 0; i < 3000; i++)
		ck_assert_int_eq(seen[i], 1);
	ck_assert_int_eq(prusik_dict_next(d, &cursor, &key, &value), 0);
}

/* Keys below 1000 stay; others come and go meanwhile, so the dict grows and shrinks under the iteration. */
static void disturb(struct prusik_dict *d, uint32_t *next, uint32_t step)
{
	bool grow = step / 400 % 2 == 0;

	for (int i = 0; i < 20; i++) {
		uint32_t key = grow ? (*next)++ : --*next;
		if (grow)
			prusik_dict_set(d, &key, sizeof key, "more", 4);
		else
			prusik_dict_delete(d, &key, sizeof key);
	}
	uint32_t stays = step * 7 % 1000;
	prusik_dict_set(d, &stays, sizeof stays, "as well", 7);
}

TEST(each_key_once_while_others_change)
{
	struct prusik_dict *d = new_dict(THREADS, UINT64_C(32) << 20);
	uint32_t k, next = 1000, step = 0;
	struct iovec key = { &k, sizeof k };

	for (uint32_t i = 0; i < 1000; i++)
		prusik_dict_set(d, &i, sizeof i, "stays", 5);
	for (int round = 0; round < 20; round++) {
		struct prusik_dict_cursor cursor = { 0 };
		char seen[1000] = "";
		while (prusik_dict_next(d, &cursor, &key, NULL) == 1) {
			if (k < 1000)
				ck_assert_int_eq(seen[k]++, 0);
			disturb(d, &next, step++);
		}
		for (int i = 0; i < 1000; i++)
			ck_assert_int_eq(seen[i], 1);
	}
	must_be_valid(d);
}

TEST(no_room_for_the_next_one)
{
	struct prusik_dict *d = new_dict(THREADS, ARENA_BYTES);
	struct prusik_dict_cursor cursor = { 0 };
	char k[8], v[8];
	struct iovec key = { k, 2 }, value = { v, 8 };

	set(d, "key", "value");
	ck_assert_int_eq(prusik_dict_next(d, &cursor, &key, &value), -EMSGSIZE);
	ck_assert_uint_eq(key.iov_len, 3);
	ck_assert_uint_eq(value.iov_len, 5);
	ck_assert_int_eq(prusik_dict_next(d, &cursor, &key, &value), 1);
	ck_assert_int_eq(memcmp(k, "key", 3), 0);
	ck_assert_int_eq(memcmp(v, "value", 5), 0);
	ck_assert_int_eq(prusik_dict_next(d, &cursor, &key, &value), 0);
}

/* ---- changing ---- */

TEST(numbers)
{
	struct prusik_dict *d = new_dict(THREADS, ARENA_BYTES);
	int64_t n = 77;

	ck_assert_int_eq(prusik_dict_add(d, "n", 1, 5, &n), 1);
	ck_assert_int_eq(n, 5);
	ck_assert_int_eq(prusik_dict_add(d, "n", 1, -7, &n), 0);
	ck_assert_int_eq(n, -2);
	n = INT64_MAX;
	ck_assert_int_eq(prusik_dict_set(d, "n", 1, &n, sizeof n), 0);
	ck_assert_int_eq(prusik_dict_add(d, "n", 1, 1, &n), -EOVERFLOW);
	ck_assert_int_eq(prusik_dict_add(d, "n", 1, -1, NULL), 0);
	ck_assert_int_eq(prusik_dict_get(d, "n", 1, &n, sizeof n), 8);
	ck_assert_int_eq(n, INT64_MAX - 1);
	set(d, "text", "12");
	ck_assert_int_eq(prusik_dict_add(d, "text", 4, 1, NULL), -EINVAL);
	must_be(d, "text", "12");
}

TEST(compare_and_set)
{
	struct prusik_dict *d = new_dict(THREADS, ARENA_BYTES);

	ck_assert_int_eq(prusik_dict_cas(d, "k", 1, "a", 1, "b", 1), -ESTALE);
	ck_assert_int_eq(prusik_dict_cas(d, "k", 1, NULL, 0, "a", 1), 0);
	ck_assert_int_eq(prusik_dict_cas(d, "k", 1, NULL, 0, "b", 1), -ESTALE);
	ck_assert_int_eq(prusik_dict_cas(d, "k", 1, "x", 1, "b", 1), -ESTALE);
	ck_assert_int_eq(prusik_dict_cas(d, "k", 1, "a", 1, "longer", 6), 0);
	must_be(d, "k", "longer");
	ck_assert_int_eq(prusik_dict_cas(d, "k", 1, "longer", 6, NULL, 0), 0);
	must_be(d, "k", NULL);
}

struct wish {
	struct prusik_dict *dict;
	int what;
	const char *value;
	char old[64];
	int inner;
};

static int wishing(void *context, const void *old, uint64_t old_length, struct iovec *ret_value)
{
	struct wish *w = context;

	snprintf(w->old, sizeof w->old, "%.*s", (int)old_length, old ? (const char *)old : "nothing");
	if (!old)
		strcpy(w->old, "nothing");
	w->inner = prusik_dict_set(w->dict, "inner", 5, "x", 1);
	ret_value->iov_base = (void *)(uintptr_t)w->value;
	ret_value->iov_len = w->value ? strlen(w->value) : 0;
	return w->what;
}

TEST(modify)
{
	struct prusik_dict *d = new_dict(THREADS, ARENA_BYTES);
	struct wish w = { .dict = d, .what = PRUSIK_DICT_SET, .value = "first" };

	ck_assert_int_eq(prusik_dict_modify(d, "k", 1, wishing, &w), PRUSIK_DICT_SET);
	ck_assert_str_eq(w.old, "nothing");
	ck_assert_int_eq(w.inner, -EDEADLK);
	w.value = "second value";
	ck_assert_int_eq(prusik_dict_modify(d, "k", 1, wishing, &w), PRUSIK_DICT_SET);
	ck_assert_str_eq(w.old, "first");
	w.what = -EAGAIN;
	ck_assert_int_eq(prusik_dict_modify(d, "k", 1, wishing, &w), -EAGAIN);
	w.what = PRUSIK_DICT_KEEP;
	ck_assert_int_eq(prusik_dict_modify(d, "k", 1, wishing, &w), PRUSIK_DICT_KEEP);
	w.what = 77;
	ck_assert_int_eq(prusik_dict_modify(d, "k", 1, wishing, &w), -EINVAL);
	must_be(d, "k", "second value");
	w.what = PRUSIK_DICT_DELETE;
	ck_assert_int_eq(prusik_dict_modify(d, "k", 1, wishing, &w), PRUSIK_DICT_DELETE);
	must_be(d, "k", NULL);
	must_be_valid(d);
}

TEST(update_sets_many)
{
	struct prusik_dict *d = new_dict(THREADS, ARENA_BYTES);
	struct prusik_dict_item items[] = { { "a", 1, "1", 1 }, { "b", 1, "2", 1 }, { "a", 1, "3", 1 } };

	ck_assert_int_eq(prusik_dict_update(d, items, 3), 3);
	must_be(d, "a", "3");
	must_be(d, "b", "2");
	items[2].length = UINT64_MAX;
	items[0].value = "9";
	ck_assert_int_eq(prusik_dict_update(d, items, 3), -EMSGSIZE);
	must_be(d, "a", "3");
}

/* ---- memory ---- */

static struct prusik_arena_stats arena_stats(struct prusik_arena *arena)
{
	struct prusik_arena_stats s;

	ck_assert_int_eq(prusik_arena_stats(arena, &s), 0);
	return s;
}

TEST(full)
{
	struct prusik_dict *d = new_dict(PROCESSES, 256 << 10);
	struct prusik_arena *arena = d->view.arena;
	char value[100];
	uint32_t n = 0;
	int r;

	memset(value, 'v', sizeof value);
	while ((r = prusik_dict_set(d, &n, sizeof n, value, sizeof value)) == 1)
		n++;
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_uint_gt(n, 1000);
	must_be_valid(d);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(prusik_dict_contains(d, &i, sizeof i), 1);
	ck_assert_int_eq(prusik_dict_contains(d, &n, sizeof n), 0);
	/* What is deleted makes room again, but for some between other things. */
	uint32_t back = 0;
	for (uint32_t i = 0; i < n; i += 2)
		ck_assert_int_eq(prusik_dict_delete(d, &i, sizeof i), 0);
	for (uint32_t i = 0; i < n; i += 2)
		back += prusik_dict_set(d, &i, sizeof i, value, sizeof value) == 1;
	ck_assert_uint_gt(back, n / 2 * 8 / 10);
	must_be_valid(d);
	ck_assert_int_eq(prusik_dict_clear(d), 0);
	ck_assert_uint_lt(arena_stats(arena).used, 16 << 10);
	must_be_valid(d);
}

TEST(destroy_gives_all_back)
{
	struct prusik_arena *arena;
	struct prusik_dict *d, *other;
	uint64_t *link;

	ck_assert_int_eq(prusik_arena_create(NULL, ARENA_BYTES, &arena), 0);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(prusik_dict_create(arena, "it", NULL, &d), 0);
		ck_assert_int_eq(prusik_dict_create(arena, "it", NULL, &other), -EEXIST);
		for (uint32_t i = 0; i < 20000; i++)
			ck_assert_int_eq(prusik_dict_set(d, &i, sizeof i, &i, i % 5), 1);
		if (round == 1)
			prusik_dict_clear(d);
		ck_assert_int_eq(prusik_arena_root(arena, "it", &link), 0);
		ck_assert_int_eq(prusik_dict_destroy(arena, link), 0);
		ck_assert_uint_eq(*link, 0);
		ck_assert_uint_eq(arena_stats(arena).blocks, 0);
		ck_assert_int_eq(prusik_dict_open(arena, "it", &other), -ENOENT);
		prusik_dict_free(d);
	}
	ck_assert_int_eq(prusik_dict_destroy(arena, link), 0);
	ck_assert_int_eq(prusik_arena_alloc(arena, 5000, link), 0);
	*(uint64_t *)prusik_arena_pointer(arena, *link) = 1;
	ck_assert_int_eq(prusik_dict_destroy(arena, link), -EPROTO);
	ck_assert_int_eq(prusik_dict_open(arena, "it", &other), -EPROTO);
	ck_assert_int_eq(prusik_dict_create(arena, "it", NULL, &other), -EEXIST);
	prusik_arena_close(arena);
}

/* Every block of the arena is the dict's: none is lost. */
TEST(nothing_leaks)
{
	struct prusik_dict *d = new_dict(PROCESSES, UINT64_C(32) << 20);
	static char value[20000];
	struct prk_dict_tally tally;

	srand(1);
	for (uint32_t step = 0; step < 60000; step++) {
		uint32_t key = (uint32_t)rand() % 900, length = (uint32_t)rand() % 100;
		if (rand() % 20 == 0)
			length *= 200;
		if (rand() % 3)
			ck_assert_int_ge(prusik_dict_set(d, &key, sizeof key, value, length), 0);
		else
			prusik_dict_delete(d, &key, sizeof key);
		if (step % 20001 == 20000)
			prusik_dict_clear(d);
		if (step % 5000 == 0)
			must_be_valid(d);
	}
	ck_assert(prk_dict_valid(d, &tally));
	ck_assert_uint_eq(tally.blocks, arena_stats(d->view.arena).blocks);
}

/* ---- objects in objects ---- */

TEST(a_dict_in_a_dict)
{
	struct prusik_arena *arena;
	struct prusik_dict *outer, *inner, *found;
	uint64_t *link, reference;

	ck_assert_int_eq(prusik_arena_create(NULL, ARENA_BYTES, &arena), 0);
	ck_assert_int_eq(prusik_arena_root(arena, "owner", &link), 0);
	ck_assert_int_eq(prusik_arena_alloc(arena, 64, link), 0);
	link = prusik_arena_pointer(arena, *link);
	ck_assert_int_eq(prusik_dict_create(arena, "outer", NULL, &outer), 0);
	ck_assert_int_eq(prusik_dict_create_at(arena, link, NULL, &inner), 0);
	set(inner, "deep", "down");
	reference = prusik_dict_reference(inner);
	ck_assert_int_eq(prusik_dict_set(outer, "inner", 5, &reference, sizeof reference), 1);

	reference = 0;
	ck_assert_int_eq(prusik_dict_get(outer, "inner", 5, &reference, sizeof reference), 8);
	ck_assert_int_eq(prusik_dict_at(arena, reference, &found), 0);
	must_be(found, "deep", "down");
	prusik_dict_free(found);
	prusik_dict_free(inner);
	ck_assert_int_eq(prusik_dict_destroy(arena, link), 0);
	ck_assert_int_lt(prusik_dict_at(arena, reference, &found), 0);
	ck_assert_int_eq(prusik_dict_create_at(arena, link, NULL, &inner), 0);
	ck_assert_int_eq(prusik_dict_at(arena, reference, &found), -ENOENT); /* another, at the same place */
	ck_assert_int_eq(prusik_dict_at(arena, prusik_dict_reference(inner), &found), 0);
	prusik_dict_free(found);
	prusik_dict_free(inner);
	ck_assert_int_eq(prusik_dict_at(arena, 0, &found), -ENOENT);
	ck_assert_int_eq(prusik_dict_at(arena, 12345, &found), -EPROTO);
	must_be_valid(outer);
	prusik_dict_free(outer);
	prusik_arena_close(arena);
}

/* ---- names in the domain ---- */

static int put_by_name(void *unused)
{
	struct prusik_dict_options existing = { .flags = PRUSIK_EXISTING };
	struct prusik_dict *d;

	(void)unused;
	ck_assert_int_eq(prusik_dict_open_named("prices", &existing, &d), 0);
	return set(d, "bread", "3") == 1 ? 0 : 1;
}

TEST(by_name)
{
	struct prusik_dict_options existing = { .flags = PRUSIK_EXISTING };
	struct prusik_dict *d, *other;
	struct prusik_named *lock;

	ck_assert_int_eq(prusik_dict_open_named("prices", &existing, &d), -ENOENT);
	ck_assert_int_eq(prusik_dict_open_named("prices", NULL, &d), 0);
	ck_assert_int_eq(test_join(test_fork(put_by_name, NULL)), 0);
	must_be(d, "bread", "3");
	ck_assert_int_eq(prusik_dict_open_named("prices", NULL, &other), 0);
	must_be(other, "bread", "3");
	prusik_dict_free(other);
	ck_assert_int_eq(prusik_named_open("lock", PRUSIK_KIND_LOCK, NULL, &lock), 0);
	ck_assert_int_eq(prusik_dict_open_named("lock", NULL, &other), -EPROTOTYPE);
	prusik_named_close(lock);
	prusik_dict_free(d);
	ck_assert_int_eq(prusik_dict_open_named("prices", &existing, &d), -ENOENT);
}

/* ---- watching ---- */

TEST(watching)
{
	struct prusik_dict *d = new_dict(THREADS, ARENA_BYTES);
	int64_t key = prusik_dict_seen(d, "k", 1), all = prusik_dict_seen(d, NULL, 0);

	ck_assert_int_ge(key, 0);
	ck_assert_int_eq(prusik_dict_wait(d, "k", 1, key, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_dict_wait(d, "k", 1, key, prusik_in_ms(20)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_dict_wait(d, NULL, 0, all, prusik_in_ms(1)), -ETIMEDOUT);
	set(d, "k", "new");
	ck_assert_int_eq(prusik_dict_wait(d, "k", 1, key, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_dict_wait(d, NULL, 0, all, PRUSIK_FOREVER), 0);
	key = prusik_dict_seen(d, "k", 1);
	all = prusik_dict_seen(d, NULL, 0);
	prusik_dict_clear(d);
	ck_assert_int_eq(prusik_dict_wait(d, "k", 1, key, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_dict_wait(d, NULL, 0, all, PRUSIK_NOW), 0);
}

struct watched {
	struct prusik_dict *dict;
	int started;
};

static int follow(void *shared, int index)
{
	struct watched *w = shared;
	int64_t value = 0;

	PARTY_CHECK(index >= 0);
	while (value < 200) {
		int64_t seen = prusik_dict_seen(w->dict, "n", 1), now = value;
		PARTY_CHECK(seen >= 0);
		if (prusik_dict_get(w->dict, "n", 1, &now, sizeof now) > 0 && now != value) {
			PARTY_CHECK(now > value);
			value = now;
			continue;
		}
		PARTY_CHECK(prusik_dict_wait(w->dict, "n", 1, seen, PRUSIK_FOREVER) == 0);
	}
	return 0;
}

static void watchers_see_the_last_change(enum party_kind kind)
{
	struct watched *w = party_memory(kind, sizeof *w);
	struct party *p[3];

	party_quiet();
	w->dict = new_dict(kind, ARENA_BYTES);
	for (int i = 0; i < 3; i++)
		p[i] = party_start(kind, follow, w, i);
	for (int i = 0; i < 200; i++) {
		ck_assert_int_ge(prusik_dict_add(w->dict, "n", 1, 1, NULL), 0);
		if (i % 50 == 0)
			pause_ms(5);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(party_join(p[i]), 0);
}
BOTH(watchers_see_the_last_change)
