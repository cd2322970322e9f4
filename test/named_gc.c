/* SPDX-License-Identifier: MIT */
/* gc: what it takes and what it leaves, of every noun that has a name; many at once, beside those who live. */
#include "party.h"

#include <prusik.h>
#include <stdlib.h>

/* ---- all nouns alike ---- */

static int open_dict(const char *name, uint32_t flags, void **ret_handle)
{
	const struct prusik_dict_options o = { .flags = flags };
	struct prusik_dict *d;
	int r = prusik_dict_open_named(name, &o, &d);

	*ret_handle = d;
	return r;
}

/* Raise what it holds by one; the new number, or -errno. Two may do so at once. */
static int64_t use_dict(void *handle)
{
	int64_t sum = 0;
	int r = prusik_dict_add(handle, "n", 1, 1, &sum);

	return r < 0 ? r : sum;
}

static void free_dict(void *handle)
{
	prusik_dict_free(handle);
}

static int open_list(const char *name, uint32_t flags, void **ret_handle)
{
	const struct prusik_list_options o = { .flags = flags };
	struct prusik_list *l;
	int r = prusik_list_open_named(name, &o, &l);

	*ret_handle = l;
	return r;
}

static int64_t use_list(void *handle)
{
	int r = prusik_list_append(handle, "item", 4);

	return r < 0 ? r : prusik_list_length(handle);
}

static void free_list(void *handle)
{
	prusik_list_free(handle);
}

static int open_value(const char *name, uint32_t flags, void **ret_handle)
{
	const struct prusik_value_options o = { .flags = flags };
	struct prusik_value *v;
	int r = prusik_value_open_named(name, &o, &v);

	*ret_handle = v;
	return r;
}

static int64_t use_value(void *handle)
{
	int64_t sum = 0;
	int r = prusik_value_add(handle, 1, &sum);

	return r < 0 ? r : sum;
}

static void free_value(void *handle)
{
	prusik_value_free(handle);
}

static int open_array(const char *name, uint32_t flags, void **ret_handle)
{
	const struct prusik_array_options o = { .kind = PRUSIK_ARRAY_INT64, .length = 500, .flags = flags };
	struct prusik_array *a;
	int r = prusik_array_open_named(name, &o, &a);

	*ret_handle = a;
	return r;
}

static int64_t use_array(void *handle)
{
	int64_t sum = 0;
	int r = prusik_array_add(handle, -1, 1, &sum);

	return r < 0 ? r : sum;
}

static void free_array(void *handle)
{
	prusik_array_free(handle);
}

static int open_queue(const char *name, uint32_t flags, void **ret_handle)
{
	struct prusik_queue *q;
	int r = prusik_queue_open_named(name, NULL, flags, &q);

	*ret_handle = q;
	return r;
}

static int64_t use_queue(void *handle)
{
	int r = prusik_queue_put(handle, "item", 4, PRUSIK_NOW);

	return r < 0 ? r : prusik_queue_length(handle);
}

static void free_queue(void *handle)
{
	prusik_queue_free(handle);
}

static const struct noun {
	const char *name;
	int (*open)(const char *name, uint32_t flags, void **ret_handle);
	int64_t (*use)(void *handle);
	void (*free)(void *handle);
} nouns[] = {
	{ "dict", open_dict, use_dict, free_dict },	{ "list", open_list, use_list, free_list },
	{ "value", open_value, use_value, free_value }, { "array", open_array, use_array, free_array },
	{ "queue", open_queue, use_queue, free_queue },
};

#define NOUNS ((int)(sizeof nouns / sizeof nouns[0]))

static const char *called(const struct noun *noun, const char *what)
{
	static char name[4][64];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(name[turn], sizeof name[0], "%s-%s", what, noun->name);
	return name[turn];
}

struct found {
	int count;
	int of_noun[NOUNS];
};

static int note(const struct prusik_named_info *info, void *context)
{
	struct found *found = context;

	found->count++;
	for (int i = 0; i < NOUNS; i++)
		found->of_noun[i] += strcmp(info->kind, nouns[i].name) == 0 && info->problem == 0;
	return 0;
}

static struct found all(void)
{
	struct found found = { 0 };

	ck_assert_int_eq(prusik_named_each(note, &found), 0);
	return found;
}

/* ---- one at a time ---- */

static int opens_and_dies(void *noun)
{
	const struct noun *n = noun;
	void *handle;

	if (n->open(called(n, "killed"), 0, &handle) != 0 || n->use(handle) != 1)
		return 1;
	raise(SIGKILL);
	return 1;
}

static void takes_the_dead_only(const struct noun *noun)
{
	void *lives, *h;

	ck_assert_int_eq(noun->open(called(noun, "lives"), 0, &lives), 0);
	ck_assert_int_eq(noun->use(lives), 1);
	ck_assert_int_eq(noun->open(called(noun, "stays"), PRUSIK_PERSISTENT, &h), 0);
	ck_assert_int_eq(noun->use(h), 1);
	noun->free(h);
	ck_assert_int_eq(noun->open(called(noun, "closed"), 0, &h), 0);
	noun->free(h);
	ck_assert_int_eq(test_join(test_fork(opens_and_dies, (void *)(uintptr_t)noun)), -SIGKILL);
	ck_assert_int_eq(all().count, 4);
	ck_assert_int_eq(prusik_named_gc(), 2);
	ck_assert_int_eq(prusik_named_gc(), 0);
	ck_assert_int_eq(all().of_noun[noun - nouns], 2);
	ck_assert_int_eq(noun->use(lives), 2);
	ck_assert_int_eq(noun->open(called(noun, "stays"), PRUSIK_EXISTING, &h), 0);
	ck_assert_int_eq(noun->use(h), 2);
	ck_assert_int_eq(prusik_named_remove(called(noun, "stays"), 0), 0);
	ck_assert_int_eq(noun->use(h), 3); /* who has it goes on without a name */
	noun->free(h);
	noun->free(lives);
	ck_assert_int_eq(prusik_named_gc(), 1);
	ck_assert_int_eq(all().count, 0);
}

TEST(the_dead_of_every_noun)
{
	for (int i = 0; i < NOUNS; i++)
		takes_the_dead_only(&nouns[i]);
}

/* ---- many at once ---- */

#define COLLECTORS 3
#define USERS 2
#define TURNS 200
#define DYING 60

static int collects(void *over, int index)
{
	(void)index;
	while (party_word(over) == 0)
		PARTY_CHECK(prusik_named_gc() >= 0);
	return 0;
}

static int collects_until_killed(void *over)
{
	return collects(over, 0);
}

/* Has all of them open meanwhile, and opens each once more in every turn. */
static int lives_on(void *over, int index)
{
	void *handle[NOUNS], *again;

	(void)index;
	for (int i = 0; i < NOUNS; i++)
		PARTY_CHECK(nouns[i].open(called(&nouns[i], "used"), 0, &handle[i]) == 0);
	for (int turn = 0; turn < TURNS; turn++)
		for (int i = 0; i < NOUNS; i++) {
			PARTY_CHECK(nouns[i].use(handle[i]) > turn);
			PARTY_CHECK(nouns[i].open(called(&nouns[i], "used"), PRUSIK_EXISTING, &again) == 0);
			nouns[i].free(again);
		}
	while (party_word(over) == 0)
		sched_yield();
	for (int i = 0; i < NOUNS; i++)
		nouns[i].free(handle[i]);
	return 0;
}

/* Of the same names as others': made, joined, or found dead and made anew. */
static int comes_and_dies(void *unused)
{
	void *handle;

	(void)unused;
	for (int i = 0; i < NOUNS; i++) {
		PARTY_CHECK(nouns[i].open(called(&nouns[i], "passing"), 0, &handle) == 0);
		PARTY_CHECK(nouns[i].use(handle) > 0);
		if (i % 2)
			nouns[i].free(handle);
	}
	raise(SIGKILL);
	return 1;
}

TEST_WITHIN(collectors_beside_the_living, 120)
{
	int *over = test_shared(sizeof *over);
	struct party *collector[COLLECTORS], *user[USERS];
	void *handle[NOUNS];

	for (int i = 0; i < NOUNS; i++)
		ck_assert_int_eq(nouns[i].open(called(&nouns[i], "used"), 0, &handle[i]), 0);
	for (int i = 0; i < COLLECTORS; i++)
		collector[i] = party_start(PROCESSES, collects, over, i);
	for (int i = 0; i < USERS; i++)
		user[i] = party_start(PROCESSES, lives_on, over, i);
	for (int i = 0; i < DYING; i++) {
		pid_t a = test_fork(comes_and_dies, NULL), b = test_fork(comes_and_dies, NULL);
		pid_t c = test_fork(collects_until_killed, over);
		pause_ms(i % 4);
		ck_assert_int_eq(kill(c, SIGKILL), 0);
		ck_assert_int_eq(test_join(c), -SIGKILL);
		ck_assert_int_eq(test_join(a), -SIGKILL);
		ck_assert_int_eq(test_join(b), -SIGKILL);
	}
	party_say(over, 1);
	for (int i = 0; i < COLLECTORS; i++)
		ck_assert_int_eq(party_join(collector[i]), 0);
	for (int i = 0; i < USERS; i++)
		ck_assert_int_eq(party_join(user[i]), 0);
	ck_assert_int_ge(prusik_named_gc(), 0);
	ck_assert_int_eq(all().count, NOUNS); /* ours */
	for (int i = 0; i < NOUNS; i++) {
		ck_assert_int_eq(nouns[i].use(handle[i]), USERS * TURNS + 1); /* nobody's was lost */
		nouns[i].free(handle[i]);
	}
	ck_assert_int_eq(prusik_named_gc(), NOUNS);
	ck_assert_int_eq(all().count, 0);
}
