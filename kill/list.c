/* SPDX-License-Identifier: MIT */
/*
 * kill: list
 *
 * Items are compared one by one (container.h).
 */
#include "container.h"
#include "others.h"

#include "data/list.h"

#include <errno.h>
#include <string.h>

#define ITEMS_MAX 400u

struct plan {
	struct container_plan container;
	uint32_t items; /* numbers from 1 on, appended */
	uint32_t popped; /* then so many are taken out, at position at */
	uint32_t at;
	uint32_t length; /* of what act puts */
	int64_t (*act)(struct prusik_list *l, const struct plan *plan);
	bool cleared; /* somebody has cleared it, and died before he threw anything away */
	bool prefix; /* it appends, one by one */
	bool falling; /* the numbers are put in front, not appended */
};

struct contents {
	uint64_t fold[ITEMS_MAX];
	int64_t count;
};

_Static_assert(sizeof(struct contents) <= CONTAINER_CONTENTS && sizeof(struct prusik_list) <= CONTAINER_HANDLE,
	       "they fit");

static const struct plan *plan(void)
{
	return kill_now_case->data;
}

/* ---- contents ---- */

static bool read_all(void *handle, void *ret_contents)
{
	static unsigned char bytes[6000];
	struct prusik_list *l = handle;
	struct contents *c = ret_contents;

	c->count = prusik_list_length(l);
	if (c->count < 0 || c->count > ITEMS_MAX)
		return false;
	for (int64_t i = 0; i < c->count; i++) {
		int64_t n = prusik_list_get(l, i, bytes, sizeof bytes);
		if (n < 0)
			return false;
		c->fold[i] = (uint64_t)n;
		for (int64_t k = 0; k < n; k++)
			c->fold[i] = c->fold[i] * 31 + bytes[k];
	}
	return true;
}

static bool same(const void *contents, const void *other)
{
	const struct contents *a = contents, *b = other;

	return a->count == b->count && memcmp(a->fold, b->fold, (size_t)a->count * sizeof a->fold[0]) == 0;
}

static bool is_prefix(const void *contents)
{
	const struct contents *c = contents, *before = container_before(), *after = container_after();

	return plan()->prefix && c->count >= before->count && c->count <= after->count &&
	       memcmp(c->fold, after->fold, (size_t)c->count * sizeof c->fold[0]) == 0;
}

/* ---- making ---- */

static bool create(struct prusik_arena *arena, uint64_t *ret_body)
{
	struct prusik_list *list;

	if (prusik_list_create(arena, "it", NULL, &list) != 0)
		return false;
	*ret_body = prk_reference_offset(prusik_list_reference(list));
	prusik_list_free(list);
	return true;
}

static void look(struct prusik_arena *arena, void *made, void *ret_handle)
{
	struct prk_list_body *body = made;

	*(struct prusik_list *)ret_handle = (struct prusik_list){ .view = { &body->heap, arena }, .body = body };
}

static bool fill(void *handle)
{
	const struct plan *p = plan();
	struct prusik_list *l = handle;

	for (uint32_t i = 1; i <= p->items; i++)
		if (prusik_list_insert(l, p->falling ? 0 : INT64_MAX, &i, sizeof i) != 0)
			return false;
	for (uint32_t i = 0; i < p->popped; i++)
		if (prusik_list_pop(l, p->at, NULL, 0) < 0)
			return false;
	if (p->cleared) {
		l->body->litter = 1;
		l->body->half ^= 1;
	}
	return true;
}

static int64_t act(void *handle)
{
	return plan()->act(handle, plan());
}

static bool valid(void *handle, uint64_t *ret_blocks)
{
	struct prk_list_tally tally;
	bool is_valid = prk_list_valid(handle, &tally);

	*ret_blocks = tally.blocks;
	return is_valid;
}

static int lock(void *handle)
{
	return prk_list_lock(handle);
}

static void unlock(void *handle)
{
	prk_list_unlock(handle, 0);
}

static const struct container_sort list = {
	create, look, fill, act, read_all, same, is_prefix, valid, lock, unlock, prusik_list_destroy,
};

/* ---- operations ---- */

static const char text[6000] = "what is put";

static int64_t append(struct prusik_list *l, const struct plan *p)
{
	return prusik_list_append(l, text, p->length);
}

static int64_t insert(struct prusik_list *l, const struct plan *p)
{
	return prusik_list_insert(l, p->at, text, p->length);
}

static int64_t extend(struct prusik_list *l, const struct plan *p)
{
	struct iovec v[3];

	for (int i = 0; i < 3; i++)
		v[i] = (struct iovec){ (void *)(uintptr_t)text, p->length + (uint32_t)i };
	return prusik_list_extend(l, v, 3);
}

static int64_t set(struct prusik_list *l, const struct plan *p)
{
	return prusik_list_set(l, p->at, text, p->length);
}

static int64_t pop(struct prusik_list *l, const struct plan *p)
{
	return prusik_list_pop(l, p->at, NULL, 0);
}

static int64_t remove_one(struct prusik_list *l, const struct plan *p)
{
	const uint32_t value = p->at + 1;

	return prusik_list_remove(l, &value, sizeof value);
}

static int64_t clear(struct prusik_list *l, const struct plan *p)
{
	(void)p;
	return prusik_list_clear(l);
}

static int64_t sort(struct prusik_list *l, const struct plan *p)
{
	(void)p;
	return prusik_list_sort(l, NULL, NULL);
}

/* Even ones first; the context is the list, of which the old order is seen. */
static int by_last_bit(void *context, const void *a, uint64_t a_length, const void *b, uint64_t b_length)
{
	int left = *(const char *)a & 1, right = *(const char *)b & 1;

	(void)a_length;
	(void)b_length;
	return prusik_list_length(context) < 0 ? 0 : left - right;
}

static int64_t sort_by(struct prusik_list *l, const struct plan *p)
{
	(void)p;
	return prusik_list_sort(l, by_last_bit, l);
}

static int64_t reverse(struct prusik_list *l, const struct plan *p)
{
	(void)p;
	return prusik_list_reverse(l);
}

static int64_t get(struct prusik_list *l, const struct plan *p)
{
	return prusik_list_get(l, p->at, NULL, 0);
}

static int64_t find(struct prusik_list *l, const struct plan *p)
{
	const uint32_t value = p->at + 1;

	return prusik_list_index(l, &value, sizeof value, 0);
}

static int64_t count(struct prusik_list *l, const struct plan *p)
{
	const uint32_t value = p->at + 1;

	return prusik_list_count(l, &value, sizeof value);
}

/* ---- beside them ---- */

/* What two looks in a row have found has been there at one moment. */
static bool read_settled(struct prusik_list *l, struct contents *ret_contents)
{
	struct contents again;

	do
		if (!read_all(l, ret_contents) || !read_all(l, &again))
			return false;
	while (!same(ret_contents, &again));
	return true;
}

static bool pass_by(void *object)
{
	struct prusik_list *l = container_at(object);
	struct contents c;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	if (!kill_claim(read_settled(l, &c), "somebody beside can read") ||
	    !kill_claim(same(&c, container_before()) || same(&c, container_after()), "the old list or the new one"))
		return false;
	return kill_claim(prusik_list_append(l, "beside", 6) == 0, "and append") &&
	       kill_claim(prusik_list_remove(l, "beside", 6) >= 0, "and remove");
}

static void passer_by(void *object)
{
	(void)object;
	kill_asleep(pass_by, KILL_FINISHES);
}

/* ---- checking ---- */

static bool serves(void *object)
{
	struct prusik_list *l = container_at(object);
	bool ok = true;

	for (uint32_t i = 0; i < 40; i++)
		ok = ok && prusik_list_insert(l, i, &i, sizeof i) == 0;
	ok = kill_claim(ok, "a newcomer can insert") && container_owns_all(object);
	while (ok && prusik_list_length(l) > 0)
		ok = kill_claim(prusik_list_pop(l, 0, NULL, 0) >= 0, "and take out");
	return ok && container_owns_all(object) && kill_claim(prusik_list_clear(l) == 0, "and clear") &&
	       container_gives_all_back(object);
}

static bool check(void *object)
{
	struct prusik_list *l = container_at(object);
	struct contents c;

	/* Somebody beside may have appended, and died with the rest before he removed it. */
	prusik_list_remove(l, "beside", 6);
	return container_made() && kill_claim(read_all(l, &c), "it can be read") && container_as_promised(&c) &&
	       container_owns_all(object) && serves(object);
}

#define CASE(operation_, state_, ...)                                                                                  \
	.noun = "list", .operation = operation_, .state = state_, .size = CONTAINER_BYTES,                             \
	.data = &(const struct plan){ .container.sort = &list, __VA_ARGS__ }, .begin = container_begin,                \
	.setup = container_setup, .victim = container_victim, .recover = container_recover, .check = check
#define BESIDE .beside = passer_by

static const struct kill_case list_cases[] = {
	{ CASE("append", "empty", .act = append, .length = 4), BESIDE },
	{ CASE("append", "one", .items = 1, .act = append, .length = 40) },
	{ CASE("append", "many", .items = 40, .act = append, .length = 4), BESIDE },
	{ CASE("append", "the root is full", .items = 15, .act = append, .length = 4), BESIDE },
	{ CASE("append", "the nodes above are full", .items = 197, .act = append, .length = 4), BESIDE },
	{ CASE("append", "an item of its own page", .items = 3, .act = append, .length = 5000), BESIDE },
	{ CASE("append", "after a clear half done", .items = 40, .cleared = true, .act = append, .length = 4) },
	{ CASE("extend", "a leaf becomes full", .items = 13, .act = extend, .length = 4, .container.expects = 3,
	       .prefix = true) },
	{ CASE("insert", "at the beginning", .items = 30, .act = insert, .length = 4), BESIDE },
	{ CASE("insert", "in the middle of a full leaf", .items = 60, .act = insert, .at = 20, .length = 4), BESIDE },
	{ CASE("set", "one", .items = 1, .act = set, .length = 30), BESIDE },
	{ CASE("set", "many", .items = 60, .act = set, .at = 20, .length = 5000), BESIDE },
	{ CASE("pop", "empty", .act = pop, .container.expects = -ENOENT) },
	{ CASE("pop", "one", .items = 1, .act = pop, .container.expects = 4), BESIDE },
	{ CASE("pop", "many", .items = 60, .act = pop, .at = 20, .container.expects = 4), BESIDE },
	{ CASE("pop", "the last of its leaf", .items = 15, .popped = 0, .at = 14, .act = pop, .container.expects = 4) },
	{ CASE("pop", "a leaf of one item", .items = 16, .at = 15, .act = pop, .container.expects = 4), BESIDE },
	{ CASE("pop", "nodes of one leaf of one item", .items = 198, .at = 197, .act = pop, .container.expects = 4),
	  BESIDE },
	{ CASE("pop", "leaves are merged", .items = 40, .popped = 9, .at = 15, .act = pop, .container.expects = 4),
	  BESIDE },
	{ CASE("pop", "the tree becomes lower", .items = 20, .popped = 8, .at = 0, .act = pop,
	       .container.expects = 4) },
	{ CASE("remove", "many", .items = 60, .at = 20, .act = remove_one, .container.expects = 20) },
	{ CASE("clear", "empty", .act = clear) },
	{ CASE("clear", "one", .items = 1, .act = clear), BESIDE },
	{ CASE("clear", "many", .items = 60, .act = clear), BESIDE },
	{ CASE("clear", "after a clear half done", .items = 40, .cleared = true, .act = clear) },
	{ CASE("sort", "three", .items = 3, .falling = true, .act = sort), BESIDE },
	{ CASE("sort", "several nodes", .items = 20, .falling = true, .act = sort), BESIDE },
	{ CASE("sort", "by a function", .items = 5, .act = sort_by), BESIDE },
	{ CASE("sort", "in order already", .items = 20, .act = sort), BESIDE },
	{ CASE("reverse", "one", .items = 1, .act = reverse) },
	{ CASE("reverse", "three", .items = 3, .act = reverse), BESIDE },
	{ CASE("reverse", "several nodes", .items = 40, .act = reverse), BESIDE },
	{ CASE("get", "many", .items = 60, .at = 20, .act = get, .container.expects = 4) },
	{ CASE("index", "many", .items = 60, .at = 20, .act = find, .container.expects = 20) },
	{ CASE("count", "many", .items = 60, .at = 20, .act = count, .container.expects = 1) },
};

const struct kill_table kill_list_table = KILL_TABLE(list_cases);
