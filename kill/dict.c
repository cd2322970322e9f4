/* SPDX-License-Identifier: MIT */
/* kill: dict */
#include "dict_scene.h"

#include <errno.h>
#include <string.h>

/* ---- what there is at the start, besides keys ---- */

/* Somebody has cleared it, and died before he threw anything away. */
static bool cleared(struct prusik_dict *d)
{
	uint64_t shape = d->body->shape;

	d->body->litter = 1;
	d->body->shape = prk_shape_next(shape, !prk_shape_half(shape), PRK_DICT_BUCKETS_MIN);
	return true;
}

static bool watched(struct prusik_dict *d)
{
	return prusik_dict_seen(d, NULL, 0) >= 0;
}

/* One number. */
static bool a_number(struct prusik_dict *d)
{
	return prusik_dict_add(d, "n", 1, 5, NULL) == 1 && prusik_dict_delete(d, "n", 1) == 0 && dict_set(d, 7, 8) >= 0;
}

/* ---- operations ---- */

static int64_t set(struct prusik_dict *d, const struct dict_plan *plan)
{
	return dict_set(d, plan->key, plan->length);
}

static int64_t insert(struct prusik_dict *d, const struct dict_plan *plan)
{
	return prusik_dict_insert(d, &plan->key, sizeof plan->key, dict_value(plan->key, plan->length), plan->length);
}

static int64_t setdefault(struct prusik_dict *d, const struct dict_plan *plan)
{
	return prusik_dict_setdefault(d, &plan->key, sizeof plan->key, dict_value(plan->key, plan->length),
				      plan->length, NULL, 0);
}

static int64_t delete (struct prusik_dict *d, const struct dict_plan *plan)
{
	return prusik_dict_delete(d, &plan->key, sizeof plan->key);
}

static int64_t delete_crowd(struct prusik_dict *d, const struct dict_plan *plan)
{
	const uint32_t key = dict_crowd_key(plan->key);

	return prusik_dict_delete(d, &key, sizeof key);
}

static int64_t set_crowd(struct prusik_dict *d, const struct dict_plan *plan)
{
	return dict_set(d, dict_crowd_key(plan->key), plan->length);
}

static int64_t pop(struct prusik_dict *d, const struct dict_plan *plan)
{
	char value[100];

	return prusik_dict_pop(d, &plan->key, sizeof plan->key, value, sizeof value);
}

static int64_t add(struct prusik_dict *d, const struct dict_plan *plan)
{
	return prusik_dict_add(d, &plan->key, sizeof plan->key, 3, NULL);
}

static int64_t cas(struct prusik_dict *d, const struct dict_plan *plan)
{
	return prusik_dict_cas(d, &plan->key, sizeof plan->key, dict_value(plan->key, 20), 20, "other", 5);
}

static int append_one(void *context, const void *old, uint64_t old_length, struct iovec *ret_value)
{
	char *value = context;

	if (!old)
		return PRUSIK_DICT_KEEP;
	memcpy(value, old, old_length);
	value[old_length] = '1';
	*ret_value = (struct iovec){ value, old_length + 1 };
	return PRUSIK_DICT_SET;
}

static int64_t modify(struct prusik_dict *d, const struct dict_plan *plan)
{
	char value[100];

	return prusik_dict_modify(d, &plan->key, sizeof plan->key, append_one, value);
}

static int64_t update(struct prusik_dict *d, const struct dict_plan *plan)
{
	static const uint32_t keys[3] = { DICT_NEW, DICT_NEW + 1, DICT_NEW + 2 };
	struct prusik_dict_item items[3];

	(void)plan;
	for (int i = 0; i < 3; i++)
		items[i] = (struct prusik_dict_item){ &keys[i], sizeof keys[i], "a value of 16 by", 16 };
	return prusik_dict_update(d, items, 3);
}

static int64_t clear(struct prusik_dict *d, const struct dict_plan *plan)
{
	(void)plan;
	return prusik_dict_clear(d);
}

static int64_t iterate(struct prusik_dict *d, const struct dict_plan *plan)
{
	struct prusik_dict_cursor cursor = { 0 };
	uint32_t key;
	struct iovec k = { &key, sizeof key };
	int64_t n = 0;

	(void)plan;
	while (prusik_dict_next(d, &cursor, &k, NULL) == 1)
		n++;
	return n;
}

static int64_t get(struct prusik_dict *d, const struct dict_plan *plan)
{
	char value[100];

	return prusik_dict_get(d, &plan->key, sizeof plan->key, value, sizeof value);
}

static int64_t length(struct prusik_dict *d, const struct dict_plan *plan)
{
	(void)plan;
	return prusik_dict_length(d);
}

static int64_t watch(struct prusik_dict *d, const struct dict_plan *plan)
{
	int64_t seen = prusik_dict_seen(d, &plan->key, sizeof plan->key);

	return seen < 0 ? seen : prusik_dict_wait(d, &plan->key, sizeof plan->key, seen, PRUSIK_NOW);
}

/* ---- one who watches ---- */

static bool wait_for_key(void *object)
{
	struct prusik_dict *d = container_at(object);
	const uint32_t key = dict_plan()->key;
	int64_t old = prusik_dict_get(d, &key, sizeof key, NULL, 0);

	if (prk_joined() < 0)
		return false;
	kill_hello();
	for (;;) {
		int64_t seen = prusik_dict_seen(d, &key, sizeof key);
		if (prusik_dict_get(d, &key, sizeof key, NULL, 0) != old)
			return true;
		int r = prusik_dict_wait(d, &key, sizeof key, seen, PRUSIK_FOREVER);
		if (!kill_claim(seen >= 0 && r == 0, "waiting works"))
			return false;
	}
}

static void with_a_watcher(void *object)
{
	container_setup(object);
	kill_asleep(wait_for_key, KILL_FINISHES);
}

static bool set_it(void *object)
{
	kill_hello();
	return dict_set(container_at(object), dict_plan()->key, dict_plan()->length) >= 0;
}

/* Whatever became of the victim's change, the key has changed then. */
static void set_by_another(void *object)
{
	(void)object;
	kill_asleep(set_it, KILL_FINISHES);
}

static bool changed(void *object)
{
	struct prusik_dict *d = container_at(object);
	struct prk_dict_tally tally;
	const uint32_t key = dict_plan()->key;

	return kill_claim(prusik_dict_get(d, &key, sizeof key, NULL, 0) == (int64_t)dict_plan()->length,
			  "the key has its new value") &&
	       kill_claim(prk_dict_valid(d, &tally), "the dict is valid");
}

/* ---- the cases ---- */

#define PLAN(...)                                                                                                      \
	.data = &(const struct dict_plan)                                                                              \
	{                                                                                                              \
		.container.sort = &dict_sort, __VA_ARGS__                                                              \
	}
#define CASE(operation_, state_, ...)                                                                                  \
	.noun = "dict", .operation = operation_, .state = state_, .size = CONTAINER_BYTES, PLAN(__VA_ARGS__),          \
	.begin = container_begin, .setup = container_setup, .victim = container_victim, .recover = container_recover,  \
	.check = dict_check
#define BESIDE .beside = dict_beside
#define A_NEW .key = DICT_NEW, .length = 20

static const struct kill_case dict_cases[] = {
	{ CASE("set", "empty", .act = set, A_NEW, .container.expects = 1), BESIDE },
	{ CASE("set", "one", .keys = 1, .act = set, A_NEW, .container.expects = 1) },
	{ CASE("set", "many", .keys = 20, .act = set, A_NEW, .container.expects = 1), BESIDE },
	{ CASE("set", "a page becomes full", .keys = 7, .act = set, A_NEW, .container.expects = 1) },
	{ CASE("set", "a value of its own page", .keys = 2, .act = set, .key = DICT_NEW, .length = 5000,
	       .container.expects = 1),
	  BESIDE },
	{ CASE("set", "a bucket is split", .keys = 24, .act = set, A_NEW, .container.expects = 1), BESIDE },
	{ CASE("set", "another bucket is split", .keys = 33, .act = set, A_NEW, .container.expects = 1) },
	{ CASE("set", "a long bucket is split", .keys = 8, .crowd = 16, .act = set, A_NEW, .container.expects = 1),
	  BESIDE },
	{ CASE("set", "a bucket becomes longer", .crowd = 6, .act = set_crowd, .key = 6, .length = 20,
	       .container.expects = 1),
	  BESIDE },
	{ CASE("set", "watched", .keys = 3, .extra = watched, .act = set, A_NEW, .container.expects = 1) },
	{ CASE("set", "after a clear half done", .keys = 20, .extra = cleared, .act = set, A_NEW,
	       .container.expects = 1) },
	{ CASE("replace", "one", .keys = 1, .act = set, .key = 0, .length = 24), BESIDE },
	{ CASE("replace", "many, the same length", .keys = 20, .act = set, .key = 3, .length = 20) },
	{ CASE("replace", "many, in the middle of a resize", .keys = 30, .act = set, .key = 3, .length = 40), BESIDE },
	{ CASE("replace", "in place", .keys = 3, .value = 8, .extra = a_number, .act = add, .key = 7), BESIDE },
	{ CASE("replace", "long by short", .value = 5000, .keys = 2, .act = set, .key = 1, .length = 30), BESIDE },
	{ CASE("replace", "long by long", .value = 5000, .keys = 2, .act = set, .key = 1, .length = 5500) },
	{ CASE("insert", "many", .keys = 20, .act = insert, A_NEW), BESIDE },
	{ CASE("insert", "there already", .keys = 20, .act = insert, .key = 3, .container.expects = -EEXIST) },
	{ CASE("setdefault", "one", .keys = 1, .act = setdefault, A_NEW, .container.expects = 20) },
	{ CASE("setdefault", "there already", .keys = 2, .act = setdefault, .key = 1, .length = 40,
	       .container.expects = 20) },
	{ CASE("delete", "empty", .act = delete, .container.expects = -ENOENT) },
	{ CASE("delete", "one", .keys = 1, .act = delete), BESIDE },
	{ CASE("delete", "many, the last of its page", .keys = 9, .act = delete, .key = 8) },
	{ CASE("delete", "in the middle of a resize", .keys = 30, .act = delete, .key = 5), BESIDE },
	{ CASE("delete", "a value of its own page", .value = 5000, .keys = 2, .act = delete, .key = 1) },
	{ CASE("delete", "a bucket is merged", .keys = 30, .deleted = 20, .act = delete, .key = 25), BESIDE },
	{ CASE("delete", "a long bucket is merged", .keys = 30, .crowd = 8, .deleted = 29, .act = delete, .key = 29) },
	{ CASE("delete", "a bucket becomes shorter", .crowd = 7, .act = delete_crowd, .key = 2), BESIDE },
	{ CASE("delete", "a gap is closed", .crowd = 9, .act = delete_crowd, .key = 2), BESIDE },
	{ CASE("pop", "one", .keys = 1, .act = pop, .container.expects = 20) },
	{ CASE("pop", "many", .keys = 20, .act = pop, .key = 4, .container.expects = 20) },
	{ CASE("add", "empty", .act = add, .key = DICT_NEW, .container.expects = 1), BESIDE },
	{ CASE("add", "many", .keys = 20, .value = 8, .act = add, .key = 4), BESIDE },
	{ CASE("cas", "many", .keys = 20, .act = cas, .key = 4), BESIDE },
	{ CASE("cas", "different", .keys = 20, .value = 21, .act = cas, .key = 4, .container.expects = -ESTALE) },
	{ CASE("modify", "one", .keys = 1, .act = modify, .container.expects = PRUSIK_DICT_SET), BESIDE },
	{ CASE("modify", "many", .keys = 20, .act = modify, .key = 4, .container.expects = PRUSIK_DICT_SET) },
	{ CASE("update", "three", .keys = 5, .act = update, .container.expects = 3, .prefix = true) },
	{ CASE("update", "three, a bucket is split", .keys = 23, .act = update, .container.expects = 3,
	       .prefix = true) },
	{ CASE("clear", "empty", .act = clear), BESIDE },
	{ CASE("clear", "one", .keys = 1, .act = clear) },
	{ CASE("clear", "many", .keys = 30, .crowd = 8, .act = clear), BESIDE },
	{ CASE("clear", "after a clear half done", .keys = 20, .extra = cleared, .act = clear) },
	{ CASE("next", "many", .keys = 20, .act = iterate, .container.expects = 20) },
	{ CASE("get", "many", .keys = 20, .act = get, .key = 4, .container.expects = 20) },
	{ CASE("length", "many", .keys = 20, .act = length, .container.expects = 20) },
	{ CASE("wait", "in vain", .keys = 3, .act = watch, .key = 1, .container.expects = -ETIMEDOUT) },
	{ .noun = "dict",
	  .operation = "set",
	  .state = "somebody watches",
	  .size = CONTAINER_BYTES,
	  .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL,
	  PLAN(.keys = 3, .extra = watched, .act = set, .key = 1, .length = 30),
	  .begin = container_begin,
	  .setup = with_a_watcher,
	  .victim = container_victim,
	  .killed = set_by_another,
	  .check = changed },
};

const struct kill_table kill_dict_table = KILL_TABLE(dict_cases);
