/* SPDX-License-Identifier: MIT */
/* Values and arrays in arenas and by name: making, opening, refusing, destroying. */
#include "party.h"

#include "data/array.h"
#include "data/value.h"

#include <prusik/array.h>
#include <prusik/dict.h>
#include <prusik/value.h>

#define ARENA_BYTES (UINT64_C(1) << 20)

static struct prusik_arena *new_arena(void)
{
	struct prusik_arena *arena;

	ck_assert_int_eq(prusik_arena_create(NULL, ARENA_BYTES, &arena), 0);
	return arena;
}

static uint64_t blocks(struct prusik_arena *arena)
{
	struct prusik_arena_stats stats;

	ck_assert_int_eq(prusik_arena_stats(arena, &stats), 0);
	return stats.blocks;
}

TEST(a_value_in_an_arena)
{
	const int64_t ten = 10;
	const struct prusik_value_options options = { .initial = &ten }, real = { .kind = PRUSIK_VALUE_DOUBLE };
	struct prusik_arena *arena = new_arena();
	struct prusik_value *v, *w;
	uint64_t *link;
	int64_t n = 0;

	ck_assert_int_eq(prusik_value_open(arena, "n", NULL, &w), -ENOENT);
	ck_assert_int_eq(prusik_value_create(arena, "n", &options, &v), 0);
	ck_assert_int_eq(prusik_value_create(arena, "n", &options, &w), -EEXIST);
	ck_assert_int_eq(prusik_value_open(arena, "n", &real, &w), -EPROTOTYPE);
	ck_assert_int_eq(prusik_value_open(arena, "n", NULL, &w), 0);
	ck_assert_int_eq(prusik_value_get(w, &n), 0);
	ck_assert_int_eq(n, 10);
	prusik_value_free(w);
	ck_assert_int_eq(prusik_value_at(arena, prusik_value_reference(v), &options, &w), 0);
	ck_assert_int_eq(prusik_value_add(w, 1, NULL), 0);
	ck_assert_int_eq(prusik_value_get(v, &n), 0);
	ck_assert_int_eq(n, 11);
	uint64_t reference = prusik_value_reference(v);
	prusik_value_free(w);
	prusik_value_free(v);
	ck_assert_int_eq(prusik_arena_root(arena, "n", &link), 0);
	ck_assert_int_eq(prusik_value_destroy(arena, link), 0);
	ck_assert_int_eq(prusik_value_destroy(arena, link), 0);
	ck_assert_uint_eq(blocks(arena), 0);
	ck_assert_int_lt(prusik_value_at(arena, reference, NULL, &w), 0);
	ck_assert_int_eq(prusik_value_create_at(arena, link, NULL, &w), 0);
	prusik_value_free(w);
	ck_assert_int_eq(prusik_value_at(arena, reference, NULL, &w), -ENOENT);
	prusik_arena_close(arena);
}

TEST(a_record_of_another_size)
{
	const struct prusik_value_options five = { .kind = PRUSIK_VALUE_BYTES, .size = 5, .initial = "12345" };
	const struct prusik_value_options six = { .kind = PRUSIK_VALUE_BYTES, .size = 6 };
	const struct prusik_value_options any = { .kind = PRUSIK_VALUE_BYTES };
	struct prusik_arena *arena = new_arena();
	struct prusik_value *v, *w;
	char text[6] = "";

	ck_assert_int_eq(prusik_value_create(arena, "r", &five, &v), 0);
	ck_assert_int_eq(prusik_value_open(arena, "r", &six, &w), -EMSGSIZE);
	ck_assert_int_eq(prusik_value_open(arena, "r", &any, &w), 0);
	ck_assert_int_eq(prusik_value_get_bytes(w, text, 5), 5);
	ck_assert_str_eq(text, "12345");
	prusik_value_free(w);
	prusik_value_free(v);
	prusik_arena_close(arena);
}

TEST(an_array_in_an_arena)
{
	const int32_t three[] = { 1, -2, 3 };
	const struct prusik_array_options options = { .kind = PRUSIK_ARRAY_INT32, .length = 3, .initial = three };
	const struct prusik_array_options wrong[] = { { .kind = PRUSIK_ARRAY_UINT32 }, { .length = 4 } };
	struct prusik_arena *arena = new_arena();
	struct prusik_array *a, *b;
	struct prusik_value *v;
	uint64_t *link;
	int32_t n = 0;

	ck_assert_int_eq(prusik_array_create(arena, "a", &options, &a), 0);
	ck_assert_int_eq(prusik_array_create(arena, "a", &options, &b), -EEXIST);
	ck_assert_int_eq(prusik_array_open(arena, "a", &wrong[0], &b), -EPROTOTYPE);
	ck_assert_int_eq(prusik_array_open(arena, "a", &wrong[1], &b), -EMSGSIZE);
	ck_assert_int_eq(prusik_value_open(arena, "a", NULL, &v), -EPROTO);
	ck_assert_int_eq(prusik_value_at(arena, prusik_array_reference(a), NULL, &v), -EPROTO);
	ck_assert_int_eq(prusik_array_open(arena, "a", &options, &b), 0);
	ck_assert_int_eq(prusik_array_get(b, -2, &n), 0);
	ck_assert_int_eq(n, -2);
	prusik_array_free(b);
	uint64_t reference = prusik_array_reference(a);
	ck_assert_int_eq(prusik_array_at(arena, reference, NULL, &b), 0);
	prusik_array_free(b);
	prusik_array_free(a);
	ck_assert_int_eq(prusik_arena_root(arena, "a", &link), 0);
	ck_assert_int_eq(prusik_array_destroy(arena, link), 0);
	ck_assert_uint_eq(blocks(arena), 0);
	ck_assert_int_lt(prusik_array_at(arena, reference, NULL, &b), 0);
	prusik_arena_close(arena);
}

/* Three kinds of containers that refer to each other, and one that has come to another's place. */
TEST(nested)
{
	const struct prusik_array_options options = { .kind = PRUSIK_ARRAY_UINT64, .length = 2 };
	struct prusik_arena *arena = new_arena();
	struct prusik_dict *names, *d;
	struct prusik_array *a, *b;
	struct prusik_value *v;
	uint64_t *link, reference, kept;

	ck_assert_int_eq(prusik_arena_root(arena, "owned", &link), 0);
	ck_assert_int_eq(prusik_arena_alloc(arena, 64, link), 0);
	link = prusik_arena_pointer(arena, *link);
	ck_assert_int_eq(prusik_dict_create(arena, "names", NULL, &names), 0);
	ck_assert_int_eq(prusik_array_create_at(arena, &link[0], &options, &a), 0);
	ck_assert_int_eq(prusik_value_create_at(arena, &link[1], NULL, &v), 0);
	reference = prusik_value_reference(v);
	ck_assert_int_eq(prusik_array_set(a, 0, &reference), 0);
	reference = prusik_array_reference(a);
	ck_assert_int_eq(prusik_dict_set(names, "a", 1, &reference, sizeof reference), 1);
	prusik_value_free(v);
	prusik_array_free(a);

	ck_assert_int_eq(prusik_dict_get(names, "a", 1, &reference, sizeof reference), sizeof reference);
	ck_assert_int_eq(prusik_array_at(arena, reference, &options, &b), 0);
	ck_assert_int_eq(prusik_array_get(b, 0, &kept), 0);
	ck_assert_int_eq(prusik_value_at(arena, kept, NULL, &v), 0);
	ck_assert_int_eq(prusik_value_add(v, 1, NULL), 0);
	ck_assert_int_eq(prusik_dict_at(arena, kept, &d), -EPROTO);
	prusik_value_free(v);
	prusik_array_free(b);
	ck_assert_int_eq(prusik_value_destroy(arena, &link[1]), 0);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(prusik_value_create_at(arena, &link[1], NULL, &v), 0);
		prusik_value_free(v);
		ck_assert_int_lt(prusik_value_at(arena, kept, NULL, &v), 0);
		ck_assert_int_eq(prusik_value_destroy(arena, &link[1]), 0);
	}
	ck_assert_int_eq(prusik_array_destroy(arena, &link[0]), 0);
	prusik_dict_free(names);
	prusik_arena_close(arena);
}

/* ---- names in the domain ---- */

static int add_by_name(void *unused)
{
	const struct prusik_value_options existing = { .flags = PRUSIK_EXISTING };
	struct prusik_value *v;

	(void)unused;
	ck_assert_int_eq(prusik_value_open_named("visits", &existing, &v), 0);
	return prusik_value_add(v, 5, NULL) == 0 ? 0 : 1;
}

TEST(a_value_by_name)
{
	const int64_t hundred = 100;
	const struct prusik_value_options options = { .initial = &hundred }, fresh = { .flags = PRUSIK_NEW };
	const struct prusik_value_options real = { .kind = PRUSIK_VALUE_DOUBLE },
					  existing = { .flags = PRUSIK_EXISTING };
	struct prusik_value *v, *w;
	struct prusik_named *named;
	int64_t n;

	ck_assert_int_eq(prusik_value_open_named("visits", &existing, &v), -ENOENT);
	ck_assert_int_eq(prusik_value_open_named("visits", &options, &v), 0);
	ck_assert_int_eq(prusik_value_open_named("visits", &fresh, &w), -EEXIST);
	ck_assert_int_eq(prusik_value_open_named("visits", &real, &w), -EPROTOTYPE);
	ck_assert_int_eq(prusik_named_open("visits", PRUSIK_KIND_LOCK, NULL, &named), -EPROTOTYPE);
	ck_assert_int_eq(prusik_value_open_named("visits", &options, &w), 0); /* its initial does not count */
	ck_assert_int_eq(test_join(test_fork(add_by_name, NULL)), 0);
	ck_assert_int_eq(prusik_value_get(w, &n), 0);
	ck_assert_int_eq(n, 105);
	prusik_value_free(w);
	prusik_value_free(v);
	ck_assert_int_eq(prusik_value_open_named("visits", &existing, &v), -ENOENT); /* nobody had it */
}

TEST(a_record_by_name)
{
	const struct prusik_value_options options = { .kind = PRUSIK_VALUE_BYTES,
						      .size = PRUSIK_VALUE_BYTES_MAX,
						      .flags = PRUSIK_PERSISTENT };
	static char bytes[PRUSIK_VALUE_BYTES_MAX], again[PRUSIK_VALUE_BYTES_MAX];
	struct prusik_value *v;

	memset(bytes, 'x', sizeof bytes);
	ck_assert_int_eq(prusik_value_open_named("record", &options, &v), 0);
	ck_assert_int_eq(prusik_value_set_bytes(v, bytes, sizeof bytes), 0);
	prusik_value_free(v);
	ck_assert_int_eq(prusik_value_open_named("record", &options, &v), 0);
	ck_assert_int_eq(prusik_value_get_bytes(v, again, sizeof again), sizeof again);
	ck_assert_int_eq(memcmp(bytes, again, sizeof bytes), 0);
	prusik_value_free(v);
}

TEST(an_array_by_name)
{
	const struct prusik_array_options options = { .kind = PRUSIK_ARRAY_BYTES, .item_size = 1000, .length = 5000 };
	const struct prusik_array_options longer = { .kind = PRUSIK_ARRAY_BYTES, .item_size = 1000, .length = 5001 };
	const struct prusik_array_options existing = { .flags = PRUSIK_EXISTING };
	struct prusik_array *a, *b;
	static char item[1000];

	ck_assert_int_eq(prusik_array_open_named("rows", &existing, &a), -ENOENT);
	ck_assert_int_eq(prusik_array_open_named("rows", &options, &a), 0);
	ck_assert_int_eq(prusik_array_open_named("rows", &longer, &b), -EMSGSIZE);
	ck_assert_int_eq(prusik_array_open_named("rows", &existing, &b), 0);
	ck_assert_int_eq(prusik_array_length(b), 5000);
	ck_assert_int_eq(prusik_array_item_size(b), 1000);
	ck_assert_int_eq(prusik_array_kind(b), PRUSIK_ARRAY_BYTES);
	memset(item, 'i', sizeof item);
	ck_assert_int_eq(prusik_array_fill(a, 0, INT64_MAX, item), 5000);
	memset(item, 0, sizeof item);
	ck_assert_int_eq(prusik_array_get(b, -1, item), 0);
	ck_assert_int_eq(item[999], 'i');
	prusik_array_free(b);
	prusik_array_free(a);
}

TEST(no_room)
{
	const struct prusik_array_options large = { .kind = PRUSIK_ARRAY_INT64, .length = ARENA_BYTES / 8 };
	const struct prusik_array_options huge = { .kind = PRUSIK_ARRAY_INT64, .length = UINT64_MAX / 4 };
	const struct prusik_array_options none = { .kind = PRUSIK_ARRAY_INT64 };
	struct prusik_arena *arena = new_arena();
	struct prusik_array *a;

	ck_assert_int_eq(prusik_array_create(arena, "a", &large, &a), -ENOSPC);
	ck_assert_int_eq(prusik_array_create(arena, "a", &huge, &a), -ENOSPC);
	ck_assert_int_eq(prusik_array_create(arena, "a", &none, &a), -EINVAL);
	ck_assert_int_eq(prusik_array_create(arena, "a", NULL, &a), -EINVAL);
	ck_assert_uint_eq(blocks(arena), 0);
	prusik_arena_close(arena);
}

/* ---- bytes that are not what they should be ---- */

static void use_value(struct prusik_arena *arena)
{
	struct prusik_value *v;
	static char bytes[PRUSIK_VALUE_BYTES_MAX];
	int64_t n;

	if (prusik_value_open(arena, "v", NULL, &v) < 0)
		return;
	prusik_value_get(v, &n);
	prusik_value_get_bytes(v, bytes, sizeof bytes);
	prusik_value_wait(v, bytes, PRUSIK_NOW);
	if (prusik_value_lock(v, prusik_in_ms(1)) >= 0) {
		prusik_value_set_bytes(v, bytes, (uint64_t)prusik_value_size(v));
		prusik_value_add(v, 1, NULL);
		prusik_value_unlock(v);
	}
	prusik_value_free(v);
}

static void use_array(struct prusik_arena *arena)
{
	struct prusik_array *a;
	static char bytes[4096];

	if (prusik_array_open(arena, "a", NULL, &a) < 0)
		return;
	if (prusik_array_begin(a, prusik_in_ms(1), NULL) >= 0) {
		if (prusik_array_item_size(a) <= (int64_t)sizeof bytes) {
			prusik_array_get(a, 0, bytes);
			prusik_array_get(a, -1, bytes);
			prusik_array_fill(a, 0, 3, bytes);
			prusik_array_set(a, 1, bytes);
		}
		prusik_array_end(a);
	}
	prusik_array_free(a);
}

/* A few bytes of a body at a time; what is left is used. None of it may crash or hang. */
TEST_WITHIN(arbitrary_bytes, 60)
{
	const struct prusik_value_options record = { .kind = PRUSIK_VALUE_BYTES, .size = 100 };
	const struct prusik_array_options items = { .kind = PRUSIK_ARRAY_INT16, .length = 100 };
	struct prusik_arena *arena = new_arena();
	struct prusik_value *v;
	struct prusik_array *a;

	ck_assert_int_eq(prusik_value_create(arena, "v", &record, &v), 0);
	ck_assert_int_eq(prusik_array_create(arena, "a", &items, &a), 0);
	unsigned char *body[2] = { (unsigned char *)v->body, (unsigned char *)a->body };
	unsigned char before[2][sizeof(struct prk_array_body)];
	ck_assert_uint_eq(sizeof(struct prk_array_body), sizeof(struct prk_value_body));
	memcpy(before[0], body[0], sizeof before[0]);
	memcpy(before[1], body[1], sizeof before[1]);
	for (uint32_t i = 0; i < 3000; i++) {
		unsigned char *b = body[i % 2];
		for (int k = rand() % 4; k >= 0; k--)
			b[(unsigned int)rand() % sizeof before[0]] = (unsigned char)(rand() % 3 ? rand() : 0);
		use_value(arena);
		use_array(arena);
		memcpy(b, before[i % 2], sizeof before[0]);
	}
	prusik_value_free(v);
	prusik_array_free(a);
	prusik_arena_close(arena);
}
