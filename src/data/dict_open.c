/* SPDX-License-Identifier: MIT */
/* dict: making, opening, destroying, counting, checking */
#include "base/life.h"
#include "base/sys.h"
#include "data/dict.h"
#include "sync/lock.h"

#include <errno.h>

_Static_assert(offsetof(struct prk_dict_body, serial) == offsetof(struct prk_made, serial), "it begins as all made");
_Static_assert(offsetof(struct prk_dict_body, shape) == 64 && offsetof(struct prk_dict_body, heap) == 128,
	       "what readers need has a line of its own");
_Static_assert(sizeof(struct prk_bucket) == 64 && sizeof(struct prk_entry) == 16, "shared layout");

static uint32_t signature(void)
{
	static const uint64_t layout[] = {
		sizeof(struct prk_dict_body), sizeof(struct prk_dict_half),
		sizeof(struct prk_heap),      sizeof(struct prk_shelf),
		sizeof(struct prk_page),      sizeof(struct prk_bucket),
		sizeof(struct prk_entry),     PRK_HEAP_CLASSES,
		PRK_DICT_SEGMENT_LOG2,
	};
	uint32_t fold = UINT32_C(2166136261); /* FNV-1a, a word at a time */

	for (unsigned int i = 0; i < sizeof layout / sizeof layout[0]; i++)
		fold = (fold ^ (uint32_t)layout[i]) * UINT32_C(16777619);
	return fold;
}

static struct prusik_dict view_of(struct prusik_arena *arena, struct prk_dict_body *body)
{
	return (struct prusik_dict){
		.view = { &body->heap, arena },
		.body = body,
		.key0 = body->key0,
		.key1 = body->key1,
	};
}

static int look(const struct prk_home *home, void *body, uint64_t bytes, const void *wish, void *handle)
{
	struct prusik_dict *d = handle;

	(void)bytes;
	(void)wish;
	*d = view_of(home->arena, body);
	d->home = *home;
	return 0;
}

/* ---- making and destroying ---- */

static int set_up(struct prusik_arena *arena, void *made, const void *unused)
{
	const uint64_t bytes = PRK_DICT_BUCKETS_MIN * sizeof(struct prk_bucket);
	struct prk_dict_body *body = made;
	int r = prk_sys_random(&body->key0, 2 * sizeof body->key0);

	(void)unused;
	for (int i = 0; i < 2 && r == 0; i++)
		r = prusik_arena_alloc(arena, bytes, &body->half[i].segment[0]);
	body->shape = PRK_DICT_BUCKETS_MIN;
	return r;
}

static int drop_half(struct prusik_dict *d, uint32_t half)
{
	uint64_t *first = &d->body->half[half].segment[0];
	int r = prk_load64_rlx(first) != 0;

	if (r == 0)
		return 0;
	while (r > 0)
		r = prk_dict_sweep(d, half);
	return r < 0 ? r : prusik_arena_free(d->view.arena, first);
}

static int drop(struct prusik_arena *arena, void *body)
{
	struct prusik_dict d = view_of(arena, body);
	int r = prk_heap_lock(&d.view);

	if (r < 0)
		return r;
	r = drop_half(&d, 0);
	if (r == 0)
		r = drop_half(&d, 1);
	prk_heap_unlock(&d.view);
	return r;
}

static const struct prk_sort *sort(void)
{
	static struct prk_sort dict = {
		.noun = "dict",
		.magic = PRK_DICT_MAGIC,
		.version = PRK_DICT_VERSION,
		.bytes = sizeof(struct prk_dict_body),
		.set_up = set_up,
		.drop = drop,
		.handle_bytes = sizeof(struct prusik_dict),
		.look = look,
	};

	dict.signature = signature();
	return &dict;
}

int prusik_dict_destroy(struct prusik_arena *arena, uint64_t *link)
{
	return prk_made_destroy(sort(), arena, link);
}

int prusik_dict_create(struct prusik_arena *arena, const char *name, const struct prusik_dict_options *options,
		       struct prusik_dict **ret_dict)
{
	uint64_t room = options ? options->room : 0;

	return prk_handle_create(sort(), arena, name, room, sort()->bytes, NULL, ret_dict);
}

int prusik_dict_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_dict_options *options,
			  struct prusik_dict **ret_dict)
{
	(void)options;
	return prk_handle_create_at(sort(), arena, link, sort()->bytes, NULL, ret_dict);
}

/* ---- opening ---- */

int prusik_dict_at(struct prusik_arena *arena, uint64_t reference, struct prusik_dict **ret_dict)
{
	return prk_handle_at(sort(), arena, reference, NULL, ret_dict);
}

int prusik_dict_open(struct prusik_arena *arena, const char *name, struct prusik_dict **ret_dict)
{
	return prk_handle_open(sort(), arena, name, NULL, ret_dict);
}

int prusik_dict_open_named(const char *name, const struct prusik_dict_options *options, struct prusik_dict **ret_dict)
{
	struct prusik_dict_options o = { 0 };

	if (options)
		o = *options;
	return prk_handle_open_named(sort(), name, o.flags, o.room, sort()->bytes, NULL, ret_dict);
}

uint64_t prusik_dict_reference(const struct prusik_dict *dict)
{
	return dict ? prk_made_reference(dict->view.arena, dict->body) : 0;
}

void prusik_dict_free(struct prusik_dict *dict)
{
	if (dict)
		prk_handle_free(dict, &dict->home);
}

/* ---- counting and checking ---- */

int prusik_dict_stats(struct prusik_dict *dict, struct prusik_dict_stats *ret_stats)
{
	if (!dict || !ret_stats)
		return -EINVAL;
	int r = prk_dict_lock(dict);
	if (r < 0)
		return r;
	const struct prk_dict_body *b = dict->body;
	uint64_t buckets = prk_shape_buckets(prk_load64_rlx(&b->shape));
	*ret_stats = (struct prusik_dict_stats){
		.keys = prk_dict_table(dict)->keys,
		.buckets = buckets,
		.bytes = sizeof *b + (buckets + PRK_DICT_BUCKETS_MIN) * sizeof(struct prk_bucket) +
			 b->half[0].shelf.bytes + b->half[1].shelf.bytes,
		.recovered = prk_load32_rlx(&b->heap.recovered),
	};
	return prk_dict_unlock(dict, 0);
}

/* Links of segments and directories that are there. */
static uint64_t count_segments(const struct prusik_dict *d, const struct prk_dict_half *half)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < PRK_DICT_SEGMENTS; i++)
		n += half->segment[i] != 0;
	for (uint32_t i = 0; i < PRK_DICT_DIRECTORIES; i++) {
		const uint64_t bytes = sizeof(uint64_t) << PRK_DICT_DIRECTORY_LOG2;
		const uint64_t *links = prk_heap_at(&d->view, half->directory[i], bytes);
		for (uint32_t k = 0; links && k < 1u << PRK_DICT_DIRECTORY_LOG2; k++)
			n += links[k] != 0;
		n += links != NULL;
	}
	return n;
}

/* The slot is the one where its key is found, and it is in the bucket where it belongs. */
static bool slot_valid(struct prusik_dict *d, uint64_t shape, uint32_t number, const uint64_t *slot)
{
	uint64_t lengths;
	const struct prk_entry *entry = prk_entry_at(&d->view, *slot, &lengths);
	struct prk_key key;
	struct prk_found f;

	if (!entry || prk_dict_key(d, entry->data, prk_entry_key_length(lengths), &key) < 0)
		return false;
	return prk_slot_word(key.hash, prk_heap_offset(&d->view, entry)) == *slot &&
	       entry->word >> 16 == (key.hash & (UINT64_MAX >> 16)) &&
	       prk_bucket_of(key.hash, prk_shape_buckets(shape)) == number && prk_dict_look(d, shape, &key, &f) == 1 &&
	       f.slot == slot;
}

/* A chain: its keys, and the objects that they and its buckets are. */
static bool chain_valid(struct prusik_dict *d, uint64_t shape, uint32_t number, uint64_t *keys, uint64_t *objects)
{
	struct prk_bucket *b = prk_dict_bucket(d, prk_dict_table(d), number);

	for (uint32_t hops = 0; b; hops++) {
		if (hops == PRK_DICT_CHAIN_MAX)
			return false;
		for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++) {
			if (b->slot[i] == 0)
				continue;
			if (!slot_valid(d, shape, number, &b->slot[i]))
				return false;
			++*keys;
			++*objects;
		}
		if (b->next == 0)
			return true;
		b = prk_heap_at(&d->view, b->next, sizeof *b);
		++*objects;
	}
	return false;
}

static bool valid_locked(struct prusik_dict *d, struct prk_dict_tally *tally)
{
	const struct prk_dict_half *table = prk_dict_table(d), *other = &d->body->half[table == &d->body->half[0]];
	uint64_t shape = d->body->shape, objects = 0, next = d->body->prepared;
	struct prk_heap_tally mine, others;

	for (uint32_t i = 0; i < prk_shape_buckets(shape); i++)
		if (!chain_valid(d, shape, i, &tally->keys, &objects))
			return false;
	for (; next; objects++) {
		const struct prk_bucket *b = prk_heap_at(&d->view, next, sizeof *b);
		if (!b || objects > d->view.arena->known)
			return false;
		next = b->next;
	}
	if (!prk_heap_count(&d->view, &table->shelf, &mine) || !prk_heap_count(&d->view, &other->shelf, &others))
		return false;
	tally->blocks = 1 + mine.pages + others.pages + count_segments(d, table) + count_segments(d, other);
	return mine.objects == objects && tally->keys == table->keys && d->body->sorting == 0 &&
	       (d->body->litter || (others.pages == 0 && other->keys == 0));
}

bool prk_dict_valid(struct prusik_dict *d, struct prk_dict_tally *ret_tally)
{
	*ret_tally = (struct prk_dict_tally){ 0 };
	if (prk_dict_lock(d) < 0)
		return false;
	bool valid = valid_locked(d, ret_tally);
	prk_dict_unlock(d, 0);
	return valid;
}
