/* SPDX-License-Identifier: MIT */
/*
 * kill: list
 *
 * The object is an arena with one list in it, made once for a case and copied at each
 * point. After a kill the list must hold what it held, or what it holds when the
 * operation has been done, item by item; be valid; and own every block of the arena.
 */
#include "kill.h"
#include "others.h"

#include "data/list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BYTES ((size_t)PRK_ARENA_MIN)
#define ITEMS_MAX 400u

/* In kill_run->note. */
enum { RESULT };

struct plan {
	uint32_t items; /* numbers from 1 on, appended */
	uint32_t popped; /* then so many are taken out, at position at */
	uint32_t at;
	uint32_t length; /* of what act puts */
	int64_t (*act)(struct prusik_list *l, const struct plan *plan);
	int64_t expects;
	bool cleared; /* somebody has cleared it, and died before he threw anything away */
	bool prefix; /* it appends, one by one */
};

struct contents {
	uint64_t fold[ITEMS_MAX];
	int64_t count;
};

struct scene {
	_Alignas(64) char start[BYTES];
	_Alignas(64) char tried[BYTES];
	struct prusik_arena handle;
	struct contents before, after;
	uint64_t body;
	bool made;
};
_Static_assert(sizeof(struct scene) <= KILL_IMAGE_MAX, "a scene fits");

static struct scene *scene(void)
{
	return (struct scene *)(void *)kill_run->image;
}

static const struct plan *plan(void)
{
	return kill_now_case->data;
}

static struct prusik_list *list_at(void *object)
{
	static struct prusik_list view[4];
	static struct prusik_arena arena[4];
	static uint32_t turn;
	struct prk_list_body *body = (struct prk_list_body *)(void *)((char *)object + scene()->body);

	turn = (turn + 1) % 4;
	arena[turn] = scene()->handle;
	arena[turn].shm = object;
	view[turn] = (struct prusik_list){ .view = { &body->heap, &arena[turn] }, .body = body };
	return &view[turn];
}

/* ---- contents ---- */

static bool read_all(struct prusik_list *l, struct contents *c)
{
	static unsigned char bytes[6000];

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

static bool same(const struct contents *a, const struct contents *b)
{
	return a->count == b->count && memcmp(a->fold, b->fold, (size_t)a->count * sizeof a->fold[0]) == 0;
}

static bool is_prefix(const struct contents *c)
{
	const struct scene *s = scene();

	return c->count >= s->before.count && c->count <= s->after.count &&
	       memcmp(c->fold, s->after.fold, (size_t)c->count * sizeof c->fold[0]) == 0;
}

/* ---- making ---- */

static bool make_pictures(const struct plan *p)
{
	struct scene *s = scene();
	struct prusik_list *l = list_at(s->start);

	for (uint32_t i = 1; i <= p->items; i++)
		if (prusik_list_append(l, &i, sizeof i) != 0)
			return false;
	for (uint32_t i = 0; i < p->popped; i++)
		if (prusik_list_pop(l, p->at, NULL, 0) < 0)
			return false;
	if (p->cleared) {
		l->body->litter = 1;
		l->body->half ^= 1;
	}
	memcpy(s->tried, s->start, BYTES);
	bool ok = read_all(list_at(s->tried), &s->before);
	int64_t r = p->act(list_at(s->tried), p);
	if (r != p->expects)
		printf("        the operation returns %d, not %d\n", (int)r, (int)p->expects);
	return ok && r == p->expects && read_all(list_at(s->tried), &s->after);
}

static bool make_scene(void *unused)
{
	struct scene *s = scene();
	struct prusik_arena *arena;
	struct prusik_list *list;

	(void)unused;
	if (prk_joined() < 0 || prusik_arena_create(NULL, BYTES, &arena) != 0 ||
	    prusik_list_create(arena, "it", NULL, &list) != 0)
		return false;
	s->handle = *arena;
	s->body = prk_reference_offset(prusik_list_reference(list));
	memcpy(s->start, arena->shm, BYTES);
	prusik_list_free(list);
	prusik_arena_close(arena);
	s->made = make_pictures(plan());
	return kill_claim(s->made, "the scene can be made");
}

static void begin(void *image)
{
	memset(image, 0, sizeof(struct scene));
	kill_settle(kill_start(make_scene, KILL_FINISHES));
}

static void setup(void *object)
{
	memcpy(object, scene()->start, BYTES);
}

static void victim(void *object)
{
	kill_run->note[RESULT] = (uint32_t)plan()->act(list_at(object), plan());
}

static void recover(void *object)
{
	struct prusik_list *l = list_at(object);

	if (prk_list_lock(l) == 0)
		prk_list_unlock(l, 0);
}

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

static bool pass_by(void *object)
{
	struct prusik_list *l = list_at(object);
	struct contents c;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	if (!kill_claim(read_all(l, &c), "somebody beside can read"))
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

static bool owns_all(struct prusik_list *l)
{
	struct prusik_arena_stats stats;
	struct prk_list_tally tally;

	return kill_claim(prk_list_valid(l, &tally), "the list is valid") &&
	       kill_claim(prk_arena_valid(l->view.arena), "the arena is valid") &&
	       kill_claim(prusik_arena_stats(l->view.arena, &stats) == 0, "it can be counted") &&
	       kill_claim(stats.blocks == tally.blocks, "every block is the list's");
}

static bool as_promised(const struct contents *c)
{
	const struct scene *s = scene();

	if (!kill_run->finished)
		return kill_claim(same(c, &s->before) || same(c, &s->after) || (plan()->prefix && is_prefix(c)),
				  "the list is as before, or as after");
	return kill_claim((int32_t)kill_run->note[RESULT] == (int32_t)plan()->expects,
			  "the operation returns what it should") &&
	       kill_claim(same(c, &s->after), "the list is as after");
}

static bool serves(struct prusik_list *l)
{
	uint64_t *link = &l->view.arena->shm->root[0].link;
	struct prusik_arena_stats stats;
	bool ok = true;

	for (uint32_t i = 0; i < 40; i++)
		ok = ok && prusik_list_insert(l, i, &i, sizeof i) == 0;
	ok = kill_claim(ok, "a newcomer can insert") && owns_all(l);
	while (ok && prusik_list_length(l) > 0)
		ok = kill_claim(prusik_list_pop(l, 0, NULL, 0) >= 0, "and take out");
	return ok && owns_all(l) && kill_claim(prusik_list_clear(l) == 0, "and clear") &&
	       kill_claim(prusik_list_destroy(l->view.arena, link) == 0, "and destroy") &&
	       prusik_arena_stats(l->view.arena, &stats) == 0 &&
	       kill_claim(stats.blocks == 0, "and then all is given back");
}

static bool check(void *object)
{
	struct prusik_list *l = list_at(object);
	struct contents c;

	/* Somebody beside may have appended, and died with the rest before he removed it. */
	prusik_list_remove(l, "beside", 6);
	return kill_claim(scene()->made, "there is a scene") && kill_claim(read_all(l, &c), "it can be read") &&
	       as_promised(&c) && owns_all(l) && serves(l);
}

#define CASE(operation_, state_, ...)                                                              \
	.noun = "list", .operation = operation_, .state = state_, .size = BYTES,                   \
	.data = &(const struct plan){ __VA_ARGS__ }, .begin = begin, .setup = setup,               \
	.victim = victim, .recover = recover, .check = check
#define BESIDE .beside = passer_by

static const struct kill_case list_cases[] = {
	{ CASE("append", "empty", .act = append, .length = 4), BESIDE },
	{ CASE("append", "one", .items = 1, .act = append, .length = 40) },
	{ CASE("append", "many", .items = 40, .act = append, .length = 4), BESIDE },
	{ CASE("append", "the root is full", .items = 15, .act = append, .length = 4), BESIDE },
	{ CASE("append", "the nodes above are full", .items = 197, .act = append, .length = 4), BESIDE },
	{ CASE("append", "an item of its own page", .items = 3, .act = append, .length = 5000), BESIDE },
	{ CASE("append", "after a clear half done", .items = 40, .cleared = true, .act = append, .length = 4) },
	{ CASE("extend", "a leaf becomes full", .items = 13, .act = extend, .length = 4, .expects = 3,
	       .prefix = true) },
	{ CASE("insert", "at the beginning", .items = 30, .act = insert, .length = 4), BESIDE },
	{ CASE("insert", "in the middle of a full leaf", .items = 60, .act = insert, .at = 20, .length = 4),
	  BESIDE },
	{ CASE("set", "one", .items = 1, .act = set, .length = 30), BESIDE },
	{ CASE("set", "many", .items = 60, .act = set, .at = 20, .length = 5000), BESIDE },
	{ CASE("pop", "empty", .act = pop, .expects = -ENOENT) },
	{ CASE("pop", "one", .items = 1, .act = pop, .expects = 4), BESIDE },
	{ CASE("pop", "many", .items = 60, .act = pop, .at = 20, .expects = 4), BESIDE },
	{ CASE("pop", "the last of its leaf", .items = 15, .popped = 0, .at = 14, .act = pop, .expects = 4) },
	{ CASE("pop", "a leaf of one item", .items = 16, .at = 15, .act = pop, .expects = 4), BESIDE },
	{ CASE("pop", "nodes of one leaf of one item", .items = 198, .at = 197, .act = pop, .expects = 4), BESIDE },
	{ CASE("pop", "leaves are merged", .items = 40, .popped = 9, .at = 15, .act = pop, .expects = 4), BESIDE },
	{ CASE("pop", "the tree becomes lower", .items = 20, .popped = 8, .at = 0, .act = pop, .expects = 4) },
	{ CASE("remove", "many", .items = 60, .at = 20, .act = remove_one, .expects = 20) },
	{ CASE("clear", "empty", .act = clear) },
	{ CASE("clear", "one", .items = 1, .act = clear), BESIDE },
	{ CASE("clear", "many", .items = 60, .act = clear), BESIDE },
	{ CASE("clear", "after a clear half done", .items = 40, .cleared = true, .act = clear) },
	{ CASE("get", "many", .items = 60, .at = 20, .act = get, .expects = 4) },
	{ CASE("index", "many", .items = 60, .at = 20, .act = find, .expects = 20) },
	{ CASE("count", "many", .items = 60, .at = 20, .act = count, .expects = 1) },
};

const struct kill_table kill_list_table = KILL_TABLE(list_cases);
