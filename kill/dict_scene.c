/* SPDX-License-Identifier: MIT */
#include "dict_scene.h"

#include "data/made.h"
#include "others.h"

#include <errno.h>

/* In kill_run->note. */
enum { BLOCKED };

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

_Static_assert(sizeof(struct contents) <= CONTAINER_CONTENTS && sizeof(struct prusik_dict) <= CONTAINER_HANDLE,
	       "they fit");

const struct dict_plan *dict_plan(void)
{
	return kill_now_case->data;
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
static bool read_all(void *d, void *ret_contents)
{
	static unsigned char bytes[LONGEST];
	struct contents *c = ret_contents;
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

static bool same(const void *contents, const void *other)
{
	const struct contents *a = contents, *b = other;

	for (uint32_t i = 0; i < a->count; i++)
		if (!same_pair(&a->pair[i], pair_of(b, a->pair[i].key)))
			return false;
	return a->count == b->count;
}

/* ---- making ---- */

static bool fill(void *handle)
{
	const struct dict_plan *plan = dict_plan();
	struct prusik_dict *d = handle;
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

static bool create(struct prusik_arena *arena, uint64_t *ret_body)
{
	struct prusik_dict *dict;

	if (prusik_dict_create(arena, "it", NULL, &dict) != 0)
		return false;
	dict->body->key0 = 1;
	dict->body->key1 = 2;
	*ret_body = prk_reference_offset(prusik_dict_reference(dict));
	prusik_dict_free(dict);
	return true;
}

static void look(struct prusik_arena *arena, void *made, void *ret_handle)
{
	struct prk_dict_body *body = made;

	*(struct prusik_dict *)ret_handle = (struct prusik_dict){
		.view = { &body->heap, arena },
		.body = body,
		.key0 = 1,
		.key1 = 2,
	};
}

/* ---- acting ---- */

static int64_t act(void *handle)
{
	return dict_plan()->act(handle, dict_plan());
}

/* A reader sees one of the two, for each key, and waits for nobody. */
static bool read_beside(void *object)
{
	const struct contents *before = container_before(), *after = container_after();
	struct contents c;

	kill_hello();
	if (!kill_claim(read_all(container_at(object), &c), "somebody beside can read"))
		return false;
	for (uint32_t i = 0; i < c.count; i++) {
		const struct pair *p = &c.pair[i];
		if (!kill_claim(same_pair(p, pair_of(before, p->key)) || same_pair(p, pair_of(after, p->key)),
				"what he reads is a value before or after"))
			return false;
	}
	for (uint32_t i = 0; i < before->count; i++) {
		const struct pair *p = &before->pair[i];
		if (!kill_claim(!same_pair(p, pair_of(after, p->key)) || pair_of(&c, p->key),
				"he finds every key that stays"))
			return false;
	}
	return true;
}

static bool write_beside(void *object)
{
	struct prusik_dict *d = container_at(object);
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

/* Of the keys that are set one by one, the first ones are, and nothing else has changed. */
static bool is_prefix(const void *contents)
{
	const struct contents *c = contents, *after = container_after();
	bool more = true;

	if (!dict_plan()->prefix)
		return false;
	for (uint32_t i = 0; i < after->count; i++) {
		const struct pair *p = &after->pair[i];
		if (p->key < DICT_NEW && !same_pair(p, pair_of(c, p->key)))
			return false;
	}
	for (uint32_t key = DICT_NEW; key < DICT_NEW + 8; key++) {
		const struct pair *p = pair_of(c, key);
		if ((p && !more) || (p && !same_pair(p, pair_of(after, key))))
			return false;
		more = p != NULL;
	}
	return true;
}

static bool valid(void *handle, uint64_t *ret_blocks)
{
	struct prk_dict_tally tally;
	bool is_valid = prk_dict_valid(handle, &tally);

	*ret_blocks = tally.blocks;
	return is_valid;
}

static int lock(void *handle)
{
	return prk_dict_lock(handle);
}

static void unlock(void *handle)
{
	prk_dict_unlock(handle, 0);
}

const struct container_sort dict_sort = {
	create, look, fill, act, read_all, same, is_prefix, valid, lock, unlock, prusik_dict_destroy,
};

/* A newcomer can use it as ever, and throw it away. */
static bool serves(void *object)
{
	struct prusik_dict *d = container_at(object);
	bool ok = true;

	for (uint32_t key = 0; key < 30; key++)
		ok = ok && dict_set(d, key, 24) >= 0;
	ok = kill_claim(ok, "a newcomer can set") && container_owns_all(object);
	for (uint32_t key = 0; key < 30; key++)
		ok = ok && kill_claim(prusik_dict_delete(d, &key, sizeof key) == 0, "and delete");
	return ok && container_owns_all(object) && kill_claim(prusik_dict_clear(d) == 0, "and clear") &&
	       container_owns_all(object) && container_gives_all_back(object);
}

bool dict_check(void *object)
{
	struct prusik_dict *d = container_at(object);
	const uint32_t key = DICT_BESIDE;
	struct contents c;

	/* Before anybody has cleaned up: readers need nobody for that. */
	if (!container_made() || !kill_claim(kill_run->note[BLOCKED] == 0, "a reader waits for nobody") ||
	    !kill_claim(read_all(d, &c), "it can be read") || !container_as_promised(&c))
		return false;
	prusik_dict_delete(d, &key, sizeof key);
	struct contents again;
	return container_owns_all(object) &&
	       kill_claim(read_all(container_at(object), &again) && same(&c, &again),
			  "what was read is not taken back") &&
	       serves(object);
}
