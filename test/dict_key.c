/* SPDX-License-Identifier: MIT */
/*
 * The key that a dict hashes with is random and its own: so nobody who has seen one dict, or has
 * made it, can tell where another has its keys.
 */
#include "test.h"

#include "data/dict.h"

#include <prusik/dict.h>
#include <sys/uio.h>

#define ARENA_BYTES (UINT64_C(8) << 20)
#define DICTS 16
#define KEYS 64

struct hash_key {
	uint64_t key0, key1;
};

static struct hash_key hash_key_of(const struct prusik_dict *dict)
{
	return (struct hash_key){ dict->body->key0, dict->body->key1 };
}

/* Neither half, nor one the other's. */
static void must_differ(const struct hash_key *a, const struct hash_key *b)
{
	ck_assert_uint_ne(a->key0, b->key0);
	ck_assert_uint_ne(a->key1, b->key1);
	ck_assert_uint_ne(a->key0, b->key1);
	ck_assert_uint_ne(a->key1, b->key0);
}

static void all_must_differ(const struct hash_key *keys, int n)
{
	for (int i = 0; i < n; i++) {
		ck_assert_uint_ne(keys[i].key0, 0);
		ck_assert_uint_ne(keys[i].key1, 0);
		ck_assert_uint_ne(keys[i].key0, keys[i].key1);
		for (int k = 0; k < i; k++)
			must_differ(&keys[i], &keys[k]);
	}
}

static struct prusik_dict *new_private(void)
{
	struct prusik_dict_options options = { .room = ARENA_BYTES };
	struct prusik_dict *dict;

	ck_assert_int_eq(prusik_dict_create(NULL, NULL, &options, &dict), 0);
	return dict;
}

TEST(each_in_private_memory_has_its_own)
{
	struct hash_key keys[DICTS];

	for (int i = 0; i < DICTS; i++) {
		struct prusik_dict *dict = new_private();
		keys[i] = hash_key_of(dict);
		prusik_dict_free(dict); /* the next one comes where this one was */
	}
	all_must_differ(keys, DICTS);
}

TEST(each_at_one_place_has_its_own)
{
	struct hash_key keys[DICTS];
	struct prusik_arena *arena;
	uint64_t *link;

	ck_assert_int_eq(prusik_arena_create(NULL, ARENA_BYTES, &arena), 0);
	ck_assert_int_eq(prusik_arena_root(arena, "here", &link), 0);
	for (int i = 0; i < DICTS; i++) {
		struct prusik_dict *dict;
		ck_assert_int_eq(prusik_dict_create_at(arena, link, NULL, &dict), 0);
		keys[i] = hash_key_of(dict);
		prusik_dict_free(dict);
		ck_assert_int_eq(prusik_dict_destroy(arena, link), 0);
	}
	all_must_differ(keys, DICTS);
	prusik_arena_close(arena);
}

TEST(each_of_one_name_has_its_own)
{
	struct hash_key keys[2];

	for (int i = 0; i < 2; i++) {
		struct prusik_dict *dict;
		ck_assert_int_eq(prusik_dict_open_named("it", NULL, &dict), 0);
		keys[i] = hash_key_of(dict);
		prusik_dict_free(dict); /* dead, so the next one is made */
	}
	all_must_differ(keys, 2);
}

TEST(all_who_open_it_have_the_same)
{
	struct prusik_dict *dict, *other;

	ck_assert_int_eq(prusik_dict_open_named("it", NULL, &dict), 0);
	ck_assert_int_eq(prusik_dict_open_named("it", NULL, &other), 0);
	ck_assert_uint_eq(other->key0, dict->key0);
	ck_assert_uint_eq(other->key1, dict->key1);
	ck_assert_uint_eq(dict->key0, dict->body->key0);
	ck_assert_uint_eq(dict->key1, dict->body->key1);
	prusik_dict_free(other);
	prusik_dict_free(dict);
}

/* ---- in a forked child ---- */

static int make_one(void *argument)
{
	struct prusik_dict *dict = new_private();

	*(struct hash_key *)argument = hash_key_of(dict);
	prusik_dict_free(dict);
	return 0;
}

TEST(children_do_not_repeat_their_parents)
{
	struct hash_key *keys = test_shared(4 * sizeof *keys);

	make_one(&keys[0]);
	pid_t first = test_fork(make_one, &keys[1]);
	pid_t second = test_fork(make_one, &keys[2]); /* from the same state */
	make_one(&keys[3]);
	ck_assert_int_eq(test_join(first), 0);
	ck_assert_int_eq(test_join(second), 0);
	all_must_differ(keys, 4);
}

/* ---- what can be seen of it ---- */

static void fill(struct prusik_dict *dict)
{
	for (uint64_t i = 0; i < KEYS; i++)
		ck_assert_int_eq(prusik_dict_set(dict, &i, sizeof i, "", 0), 1);
}

static void read_order(struct prusik_dict *dict, uint64_t order[KEYS])
{
	struct prusik_dict_cursor cursor = { 0 };

	for (int i = 0; i < KEYS; i++) {
		struct iovec key = { &order[i], sizeof order[i] };
		ck_assert_int_eq(prusik_dict_next(dict, &cursor, &key, NULL), 1);
	}
	ck_assert_int_eq(prusik_dict_next(dict, &cursor, NULL, NULL), 0);
}

/* Places at which both have the same key. Of two random orders: one, more or less. */
static int agreement(const uint64_t a[KEYS], const uint64_t b[KEYS])
{
	int n = 0;

	for (int i = 0; i < KEYS; i++)
		n += a[i] == b[i];
	return n;
}

TEST(the_order_in_one_does_not_tell_that_in_another)
{
	struct prusik_dict *dict = new_private(), *other = new_private();
	uint64_t order[KEYS], again[KEYS], others[KEYS];

	fill(dict);
	fill(other);
	read_order(dict, order);
	read_order(dict, again);
	read_order(other, others);
	ck_assert_int_eq(agreement(order, again), KEYS);
	ck_assert_int_lt(agreement(order, others), KEYS / 2); /* by chance once in 10^35 */
	prusik_dict_free(dict);
	prusik_dict_free(other);
}
