/* SPDX-License-Identifier: MIT */
#include "dict_scene.h"

#include "data/made.h"
#include "others.h"
#include "shm/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In kill_run->note. */
enum { RESULT, BLOCKED };

#define LONGEST 6000u

struct pair {
	uint32_t key;
	uint32_t length;
	uint64_t fold; /* of the value's bytes */
};

/* What a dict holds. */
struct contents {
	struct pair pair[DICT_KEYS_MAX];
	uint32_t count;
};

struct scene {
	_Alignas(64) char start[DICT_BYTES];
	_Alignas(64) char tried[DICT_BYTES];
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

const struct dict_plan *dict_plan(void)
{
	return kill_now_case->data;
}

struct prusik_dict *dict_at(void *object)
{
	static struct prusik_dict view[4];
	static struct prusik_arena arena[4];
	static uint32_t turn;
	struct prk_dict_body *body = (struct prk_dict_body *)(void *)((char *)object + scene()->body);

	turn = (turn + 1) % 4;
	arena[turn] = scene()->handle;
	arena[turn].shm = object;
	view[turn] = (struct prusik_dict){
		.view = { &body->heap, &arena[turn] }, .body = body, .key0 = 1, .key1 = 2,
	};
	return &view[turn];
}

const void *dict_value(uint32_t key, uint64_t length)
{
	static unsigned char bytes[LONGEST];

	for (uint64_t i = 0; i < length && i < LONGEST; i++)
		bytes[i] = (unsigned char)(key * 31 + length + i);
	return bytes;
}

int dict_set(struct prusik_dict *d, uint32_t key, uint64_t length)
{
	return prusik_dict_set(d, &key, sizeof key, dict_value(key, length), length);
}

uint32_t dict_crowd_key(uint32_t i)
{
	struct prusik_dict d = { .key0 = 1, .key1 = 2 };

	for (uint32_t number = 1000;; number++) {
		struct prk_key key;
		prk_dict_key(&d, &number, sizeof number, &key);
		if (prk_bucket_of(key.hash, PRK_DICT_BUCKETS_MIN) == 0 && i-- == 0)
			return number;
	}
}

/* ---- contents ---- */

static uint64_t fold(const unsigned char *bytes, uint64_t length)
{
	uint64_t f = 1;

	for (uint64_t i = 0; i < length; i++)
		f = f * 31 + bytes[i];
	return f;
}

/* Those keys apart that others set. False: nonsense. */
static bool read_all(struct prusik_dict *d, struct contents *c)
{
	static unsigned char bytes[LONGEST];
	struct prusik_dict_cursor cursor = { 0 };
	uint32_t key;
	struct iovec k = { &key, sizeof key }, v = { bytes, sizeof bytes };
	int r;

	c->count = 0;
	while ((r = prusik_dict_next(d, &cursor, &k, &v)) == 1) {
		if (k.iov_len != sizeof key || c->count == DICT_KEYS_MAX)
			return false;
		struct pair pair = { key, (uint32_t)v.iov_len, fold(bytes, v.iov_len) };
		if (key != DICT_BESIDE)
			c->pair[c->count++] = pair;
		v.iov_len = sizeof bytes;
	}
	return r == 0;
}

static const struct pair *pair_of(const struct contents *c, uint32_t key)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->pair[i].key == key)
			return &c->pair[i];
	return NULL;
}

static bool same_pair(const struct pair *a, const struct pair *b)
{
	if (!a || !b)
		return a == b;
	return a->length == b->length && a->fold == b->fold;
}

static bool same(const struct contents *a, const struct contents *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (!same_pair(&a->pair[i], pair_of(b, a->pair[i].key)))
			return false;
	return a->count == b->count;
}

/* ---- making ---- */

static bool set_keys(struct prusik_dict *d, const struct dict_plan *plan)
{
	uint64_t length = plan->value ? plan->value : 20;
	uint32_t key;

	for (key = 0; key < plan->keys; key++)
		if (dict_set(d, key, length) != 1)
			return false;
	for (uint32_t i = 0; i < plan->crowd; i++)
		if (dict_set(d, dict_crowd_key(i), length) != 1)
			return false;
	for (key = 0; key < plan->deleted; key++)
		if (prusik_dict_delete(d, &key, sizeof key) != 0)
			return false;
	return !plan->extra || plan->extra(d);
}

static bool make_pictures(const struct dict_plan *plan)
{
	struct scene *s = scene();

	if (!set_keys(dict_at(s->start), plan))
		return false;
	memcpy(s->tried, s->start, DICT_BYTES);
	bool ok = read_all(dict_at(s->tried), &s->before);
	int64_t r = plan->act(dict_at(s->tried), plan);
	if (r != plan->expects)
		printf("        the operation returns %d, not %d\n", (int)r, (int)plan->expects);
	return ok && r == plan->expects && read_all(dict_at(s->tried), &s->after);
}

static bool make_scene(void *unused)
{
	struct scene *s = scene();
	struct prusik_arena *arena;
	struct prusik_dict *dict;

	(void)unused;
	if (prk_joined() < 0 || prusik_arena_create(NULL, DICT_BYTES, &arena) != 0 ||
	    prusik_dict_create(arena, "it", NULL, &dict) != 0)
		return false;
	dict->body->key0 = 1;
	dict->body->key1 = 2;
	s->handle = *arena;
	s->body = prk_reference_offset(prusik_dict_reference(dict));
	memcpy(s->start, arena->shm, DICT_BYTES);
	prusik_dict_free(dict);
	prusik_arena_close(arena);
	s->made = make_pictures(dict_plan());
	return kill_claim(s->made, "the scene can be made");
}

void dict_begin(void *image)
{
	memset(image, 0, sizeof(struct scene));
	kill_settle(kill_start(make_scene, KILL_FINISHES));
}

void dict_setup(void *object)
{
	memcpy(object, scene()->start, DICT_BYTES);
}

/* ---- acting ---- */

void dict_victim(void *object)
{
	kill_run->note[RESULT] = (uint32_t)dict_plan()->act(dict_at(object), dict_plan());
}

void dict_recover(void *object)
{
	struct prusik_dict *d = dict_at(object);

	if (prk_dict_lock(d) == 0)
		prk_dict_unlock(d, 0);
}

/* A reader sees one of the two, for each key, and waits for nobody. */
static bool read_beside(void *object)
{
	struct scene *s = scene();
	struct contents c;

	kill_hello();
	if (!kill_claim(read_all(dict_at(object), &c), "somebody beside can read"))
		return false;
	for (uint32_t i = 0; i < c.count; i++) {
		const struct pair *p = &c.pair[i];
		if (!kill_claim(same_pair(p, pair_of(&s->before, p->key)) ||
					same_pair(p, pair_of(&s->after, p->key)),
				"what he reads is a value before or after"))
			return false;
	}
	for (uint32_t i = 0; i < s->before.count; i++) {
		const struct pair *p = &s->before.pair[i];
		if (!kill_claim(!same_pair(p, pair_of(&s->after, p->key)) || pair_of(&c, p->key),
				"he finds every key that stays"))
			return false;
	}
	return true;
}

static bool write_beside(void *object)
{
	struct prusik_dict *d = dict_at(object);
	const uint32_t key = DICT_BESIDE;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	int r = dict_set(d, key, 30);
	return kill_claim(r == 0 || r == 1, "somebody beside can set") &&
	       kill_claim(prusik_dict_delete(d, &key, sizeof key) >= -ENOENT, "and delete");
}

void dict_beside(void *object)
{
	(void)object;
	if (kill_lives(kill_asleep(read_beside, KILL_FINISHES)))
		kill_run->note[BLOCKED] = 1;
	kill_asleep(write_beside, KILL_FINISHES);
}

/* ---- checking ---- */

static bool owns_all(struct prusik_dict *d)
{
	struct prusik_arena_stats stats;
	struct prk_dict_tally tally;

	return kill_claim(prk_dict_valid(d, &tally), "the dict is valid") &&
	       kill_claim(prk_arena_valid(d->view.arena), "the arena is valid") &&
	       kill_claim(prusik_arena_stats(d->view.arena, &stats) == 0, "it can be counted") &&
	       kill_claim(stats.blocks == tally.blocks, "every block is the dict's");
}

/* Of the keys that are set one by one, the first ones are, and nothing else has changed. */
static bool is_prefix(const struct contents *c)
{
	const struct scene *s = scene();
	bool more = true;

	for (uint32_t i = 0; i < s->after.count; i++) {
		const struct pair *p = &s->after.pair[i];
		if (p->key < DICT_NEW && !same_pair(p, pair_of(c, p->key)))
			return false;
	}
	for (uint32_t key = DICT_NEW; key < DICT_NEW + 8; key++) {
		const struct pair *p = pair_of(c, key);
		if ((p && !more) || (p && !same_pair(p, pair_of(&s->after, key))))
			return false;
		more = p != NULL;
	}
	return true;
}

static bool as_promised(const struct contents *c)
{
	const struct dict_plan *plan = dict_plan();
	const struct scene *s = scene();

	if (!kill_run->finished)
		return kill_claim(same(c, &s->before) || same(c, &s->after) || (plan->prefix && is_prefix(c)),
				  "the dict is as before, or as after");
	return kill_claim((int32_t)kill_run->note[RESULT] == (int32_t)plan->expects,
			  "the operation returns what it should") &&
	       kill_claim(same(c, &s->after), "the dict is as after");
}

/* A newcomer can use it as ever, and throw it away. */
static bool serves(struct prusik_dict *d)
{
	uint64_t *link = &d->view.arena->shm->root[0].link;
	struct prusik_arena_stats stats;
	bool ok = true;

	for (uint32_t key = 0; key < 30; key++)
		ok = ok && dict_set(d, key, 24) >= 0;
	ok = kill_claim(ok, "a newcomer can set") && owns_all(d);
	for (uint32_t key = 0; key < 30; key++)
		ok = ok && kill_claim(prusik_dict_delete(d, &key, sizeof key) == 0, "and delete");
	return ok && owns_all(d) && kill_claim(prusik_dict_clear(d) == 0, "and clear") && owns_all(d) &&
	       kill_claim(prusik_dict_destroy(d->view.arena, link) == 0, "and destroy") &&
	       prusik_arena_stats(d->view.arena, &stats) == 0 &&
	       kill_claim(stats.blocks == 0, "and then all is given back");
}

bool dict_check(void *object)
{
	struct prusik_dict *d = dict_at(object);
	const uint32_t key = DICT_BESIDE;
	struct contents c;

	/* Before anybody has cleaned up: readers need nobody for that. */
	if (!kill_claim(scene()->made, "there is a scene") ||
	    !kill_claim(kill_run->note[BLOCKED] == 0, "a reader waits for nobody") ||
	    !kill_claim(read_all(d, &c), "it can be read") || !as_promised(&c))
		return false;
	prusik_dict_delete(d, &key, sizeof key);
	struct contents again;
	return owns_all(d) && kill_claim(read_all(d, &again) && same(&c, &again), "what was read is not taken back") &&
	       serves(d);
}
