/* SPDX-License-Identifier: MIT */
/*
 * dict: buckets become more and fewer, one at a time, with the lock held
 *
 * No key changes by this, so a step that cannot be had for want of memory is left
 * out: the buckets are longer then, and nothing else.
 */
#include "data/dict.h"

#include <errno.h>

/* Keys per bucket, on average: a bucket more above, a bucket less below. */
#define KEYS_MANY 3
#define KEYS_FEW 1

#define SEGMENT_BUCKETS (1u << PRK_DICT_SEGMENT_LOG2)
#define DIRECTORY_LINKS (1u << PRK_DICT_DIRECTORY_LOG2)

static void store_slot(uint64_t *slot, uint64_t word)
{
	prk_store64_rel(slot, word); /* rel [heap] */
}

static void raise_version(struct prk_bucket *bucket)
{
	prk_store64_rel(&bucket->version, prk_load64_rlx(&bucket->version) + 1); /* rel [bucket.version] */
}

/* ---- chains ---- */

/* The next of a chain; NULL: none, or nonsense. hops bounds the walk. */
static struct prk_bucket *following(const struct prusik_dict *d, const struct prk_bucket *b, uint32_t *hops)
{
	uint64_t next = prk_load64_rlx(&b->next);

	if (next == 0 || next % PRK_HEAP_GRANULE || (*hops)++ >= PRK_DICT_CHAIN_MAX)
		return NULL;
	return prk_heap_at(&d->view, next, sizeof *b);
}

/* A bucket to link to, within a change. */
static int take_bucket(struct prusik_dict *d, struct prk_dict_half *half, uint64_t next, uint64_t *ret_offset)
{
	uint64_t distance;
	int r = prk_heap_take(&d->view, &half->shelf, sizeof(struct prk_bucket), ret_offset, &distance);
	struct prk_bucket *b = r < 0 ? NULL : prk_heap_at(&d->view, *ret_offset, sizeof *b);

	if (!b)
		return r < 0 ? r : -EPROTO;
	prk_store64_rel(&b->version, distance); /* rel [object]: this and what follows, see prk_heap_fill */
	for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++)
		prk_store64_rel(&b->slot[i], 0);
	prk_store64_rel(&b->next, next);
	return 0;
}

int prk_dict_extend(struct prusik_dict *d, struct prk_dict_half *half, struct prk_bucket *last, uint64_t **ret_slot)
{
	uint64_t offset;
	int r = prk_heap_reserve(&d->view, &half->shelf, sizeof *last);

	if (r < 0)
		return r;
	prk_heap_begin(&d->view);
	r = take_bucket(d, half, 0, &offset);
	if (r < 0)
		return prk_heap_undo(&d->view, r);
	prk_heap_publish(&d->view, &last->next, offset);
	*ret_slot = &((struct prk_bucket *)prk_heap_at(&d->view, offset, sizeof *last))->slot[0];
	return 0;
}

/* What is to be known of a chain to close its gaps. */
struct gaps {
	struct prk_bucket *last, *before_last; /* of more than one */
	uint64_t *hole; /* the first, in a bucket before last */
	uint64_t *used; /* the last one's last */
};

static struct gaps find_gaps(const struct prusik_dict *d, struct prk_bucket *first)
{
	struct gaps g = { .last = first };
	struct prk_bucket *next;

	for (uint32_t hops = 0; (next = following(d, g.last, &hops)) != NULL;) {
		for (uint32_t i = 0; i < PRK_DICT_SLOTS && !g.hole; i++)
			if (prk_load64_rlx(&g.last->slot[i]) == 0)
				g.hole = &g.last->slot[i];
		g.before_last = g.last;
		g.last = next;
	}
	for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++)
		if (prk_load64_rlx(&g.last->slot[i]))
			g.used = &g.last->slot[i];
	return g;
}

static int drop_last(struct prusik_dict *d, struct prk_dict_half *half, struct prk_bucket *first, const struct gaps *g)
{
	prk_heap_begin(&d->view);
	int r = prk_heap_give(&d->view, &half->shelf, prk_heap_offset(&d->view, g->last),
			      prk_load64_rlx(&g->last->version));
	if (r < 0)
		return prk_heap_undo(&d->view, r);
	prk_heap_publish(&d->view, &g->before_last->next, 0);
	raise_version(first);
	return 0;
}

/* Who has seen the new place empty and then finds the old one empty sees that the version was raised. */
static void move_slot(struct prusik_dict *d, struct prk_bucket *first, const struct gaps *g)
{
	prk_heap_begin(&d->view);
	prk_heap_set_rel(&d->view, g->hole, prk_load64_rlx(g->used));
	raise_version(first);
	prk_heap_set_rel(&d->view, g->used, 0);
	prk_heap_commit(&d->view);
}

void prk_dict_close_gaps(struct prusik_dict *d, struct prk_dict_half *half, struct prk_bucket *first)
{
	int r = 0;

	while (prk_load64_rlx(&first->next) && r == 0) {
		struct gaps g = find_gaps(d, first);
		if (!g.before_last || (g.used && !g.hole))
			return;
		if (g.used)
			move_slot(d, first, &g);
		else
			r = drop_last(d, half, first, &g);
	}
}

/* ---- segments ---- */

/* The link of the segment that a bucket is in; NULL: it is in a directory that is not there. */
static uint64_t *segment_link(struct prusik_dict *d, struct prk_dict_half *half, uint32_t number)
{
	uint32_t segment = number >> PRK_DICT_SEGMENT_LOG2;

	if (segment < 2)
		return &half->segment[prk_log2(number | (PRK_DICT_BUCKETS_MIN - 1)) - 2];
	segment -= 2;
	uint64_t *links = prk_heap_at(&d->view, prk_load64_rlx(&half->directory[segment / DIRECTORY_LINKS]),
				      DIRECTORY_LINKS * sizeof *links);
	return links ? &links[segment % DIRECTORY_LINKS] : NULL;
}

static uint64_t segment_bytes(uint32_t number)
{
	uint32_t log2 = prk_log2(number | (PRK_DICT_BUCKETS_MIN - 1));
	uint32_t buckets = number < PRK_DICT_BUCKETS_MIN ? PRK_DICT_BUCKETS_MIN : UINT32_C(1) << log2;

	return (buckets < SEGMENT_BUCKETS ? buckets : SEGMENT_BUCKETS) * sizeof(struct prk_bucket);
}

static int need_segment(struct prusik_dict *d, struct prk_dict_half *half, uint32_t number)
{
	uint64_t *link = segment_link(d, half, number);

	if (!link) {
		uint32_t segment = (number >> PRK_DICT_SEGMENT_LOG2) - 2;
		int r = prusik_arena_alloc(d->view.arena, DIRECTORY_LINKS * sizeof *link,
					   &half->directory[segment / DIRECTORY_LINKS]);
		if (r < 0)
			return r;
		link = segment_link(d, half, number);
	}
	if (!link || prk_load64_rlx(link))
		return link ? 0 : -EPROTO;
	return prusik_arena_alloc(d->view.arena, segment_bytes(number), link);
}

/* The table has n buckets, fewer than before: a segment that is far beyond goes. */
static void spare_segment(struct prusik_dict *d, struct prk_dict_half *half, uint32_t n)
{
	uint32_t far = n < SEGMENT_BUCKETS ? 2 * n : n + SEGMENT_BUCKETS;
	bool is_begin = n < SEGMENT_BUCKETS ? (n & (n - 1)) == 0 : n % SEGMENT_BUCKETS == 0;
	uint64_t *link = is_begin ? segment_link(d, half, far) : NULL;

	if (link)
		prusik_arena_free(d->view.arena, link);
}

/* ---- split and merge ---- */

/* Bit number `bit` of the hash of the entry that a slot names. */
static bool hash_bit(const struct prusik_dict *d, uint64_t word, uint32_t bit)
{
	uint64_t lengths;

	if (bit >= PRK_SLOT_TAG_FROM)
		return word >> (42 + bit - PRK_SLOT_TAG_FROM) & 1;
	const struct prk_entry *entry = prk_entry_at(&d->view, word, &lengths);
	return entry && prk_load64_rlx(&entry->word) >> (16 + bit) & 1;
}

/* Do something with the slots of a chain that hold what has that bit. How many they are. */
static uint32_t with_bit(struct prusik_dict *d, struct prk_bucket *b, uint32_t bit,
			 void (*function)(uint64_t *slot, void *context), void *context)
{
	uint32_t n = 0;

	for (uint32_t hops = 0; b; b = following(d, b, &hops))
		for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++) {
			uint64_t word = prk_load64_rlx(&b->slot[i]);
			if (word == 0 || !hash_bit(d, word, bit))
				continue;
			if (function)
				function(&b->slot[i], context);
			n++;
		}
	return n;
}

static void clear_slot(uint64_t *slot, void *unused)
{
	(void)unused;
	store_slot(slot, 0); /* G2 */
}

/* Where the next slot goes in a chain that is being made. */
struct maker {
	struct prusik_dict *d;
	struct prk_bucket *bucket;
	uint32_t used;
};

static void copy_slot(uint64_t *slot, void *context)
{
	struct maker *m = context;
	uint32_t hops = 0;

	if (m->used == PRK_DICT_SLOTS) {
		m->bucket = following(m->d, m->bucket, &hops);
		m->used = 0;
	}
	if (m->bucket)
		store_slot(&m->bucket->slot[m->used++], prk_load64_rlx(slot));
}

/* Have so many buckets to link to. */
static int prepare(struct prusik_dict *d, struct prk_dict_half *half, uint32_t wanted)
{
	struct prk_dict_body *body = d->body;
	struct prk_bucket *b = prk_heap_at(&d->view, prk_load64_rlx(&body->prepared), sizeof *b);
	uint32_t hops = 0, have = 0;
	uint64_t offset;

	for (; b; b = following(d, b, &hops))
		have++;
	for (; have < wanted; have++) {
		int r = prk_heap_reserve(&d->view, &half->shelf, sizeof *b);
		if (r < 0)
			return r;
		prk_heap_begin(&d->view);
		r = take_bucket(d, half, prk_load64_rlx(&body->prepared), &offset);
		if (r < 0)
			return prk_heap_undo(&d->view, r);
		prk_heap_set(&d->view, &body->prepared, offset);
		prk_heap_commit(&d->view);
	}
	return 0;
}

/* The bucket is beyond the table; who looks at it with an old shape sees that it is not what it was. */
static void empty_bucket(struct prk_bucket *b, uint64_t next)
{
	raise_version(b);
	for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++)
		store_slot(&b->slot[i], 0);
	store_slot(&b->next, next);
}

static void set_sorting(struct prusik_dict *d, uint64_t bucket)
{
	prk_store64_rlx(&d->body->sorting, bucket);
	prk_barrier();
}

/* The shape becomes that of n buckets, and the change has happened. */
static void publish_shape(struct prusik_dict *d, uint32_t n)
{
	uint64_t shape = prk_load64_rlx(&d->body->shape);

	prk_heap_publish(&d->view, &d->body->shape, prk_shape_next(shape, prk_shape_half(shape), n)); /* G1, G3 */
}

static void split(struct prusik_dict *d, struct prk_dict_half *half, uint32_t n)
{
	uint32_t bit = prk_log2(n), from = n - (UINT32_C(1) << bit);

	if (need_segment(d, half, n) < 0)
		return;
	struct prk_bucket *a = prk_dict_bucket(d, half, from), *b = prk_dict_bucket(d, half, n);
	uint32_t moving = a && b ? with_bit(d, a, bit, NULL, NULL) : UINT32_MAX;
	uint32_t more = moving > PRK_DICT_SLOTS ? (moving - 1) / PRK_DICT_SLOTS : 0;
	if (moving > PRK_DICT_CHAIN_MAX || prepare(d, half, more) < 0)
		return;
	empty_bucket(b, prk_load64_rlx(&d->body->prepared));
	with_bit(d, a, bit, copy_slot, &(struct maker){ d, b, 0 });
	set_sorting(d, (uint64_t)from + 1);
	prk_heap_begin(&d->view);
	prk_heap_set(&d->view, &d->body->prepared, 0);
	publish_shape(d, n + 1);
	with_bit(d, a, bit, clear_slot, NULL);
	prk_barrier();
	set_sorting(d, 0);
	prk_dict_close_gaps(d, half, a);
	prk_dict_close_gaps(d, half, b);
}

static uint32_t count_slots(const struct prk_bucket *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++)
		n += prk_load64_rlx(&b->slot[i]) != 0;
	return n;
}

/* Have wanted empty slots in the chain. The chain's last bucket, or NULL. */
static struct prk_bucket *make_holes(struct prusik_dict *d, struct prk_dict_half *half, struct prk_bucket *b,
				     uint32_t wanted)
{
	uint32_t holes = PRK_DICT_SLOTS - count_slots(b), hops = 0;
	struct prk_bucket *next;
	uint64_t *slot;

	while ((next = following(d, b, &hops)) != NULL) {
		b = next;
		holes += PRK_DICT_SLOTS - count_slots(b);
	}
	if (holes >= wanted)
		return b;
	return prk_dict_extend(d, half, b, &slot) < 0 ? NULL : following(d, b, &hops);
}

static void copy_into_holes(struct prusik_dict *d, struct prk_bucket *to, const struct prk_bucket *from)
{
	uint32_t i = 0;

	for (uint32_t hops = 0; to; to = following(d, to, &hops))
		for (uint32_t k = 0; k < PRK_DICT_SLOTS; k++) {
			while (i < PRK_DICT_SLOTS && prk_load64_rlx(&from->slot[i]) == 0)
				i++;
			if (i == PRK_DICT_SLOTS)
				return;
			if (prk_load64_rlx(&to->slot[k]) == 0)
				store_slot(&to->slot[k], prk_load64_rlx(&from->slot[i++]));
		}
}

static void merge(struct prusik_dict *d, struct prk_dict_half *half, uint32_t n)
{
	uint32_t to = n - (UINT32_C(1) << prk_log2(n));
	struct prk_bucket *a = prk_dict_bucket(d, half, to), *b = prk_dict_bucket(d, half, n), *last;

	if (!a || !b || !(last = make_holes(d, half, a, count_slots(b))))
		return;
	set_sorting(d, (uint64_t)to + 1);
	copy_into_holes(d, a, b);
	prk_heap_begin(&d->view);
	prk_heap_set_rel(&d->view, &last->next, prk_load64_rlx(&b->next));
	publish_shape(d, n);
	set_sorting(d, 0);
	prk_dict_close_gaps(d, half, a);
	spare_segment(d, half, n);
}

void prk_dict_resize(struct prusik_dict *d)
{
	uint32_t n = prk_shape_buckets(prk_load64_rlx(&d->body->shape));
	struct prk_dict_half *half = prk_dict_table(d);
	uint64_t keys = prk_load64_rlx(&half->keys);

	if (keys > (uint64_t)n * KEYS_MANY && n < PRK_DICT_BUCKETS_MAX)
		split(d, half, n);
	else if (keys < (uint64_t)n * KEYS_FEW && n > PRK_DICT_BUCKETS_MIN)
		merge(d, half, n - 1);
}

/* ---- after a death ---- */

static void clear_strays(struct prusik_dict *d, struct prk_bucket *b, uint32_t number, uint32_t n)
{
	uint64_t lengths;

	for (uint32_t hops = 0; b; b = following(d, b, &hops))
		for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++) {
			uint64_t word = prk_load64_rlx(&b->slot[i]);
			const struct prk_entry *entry = prk_entry_at(&d->view, word, &lengths);
			if (entry && prk_bucket_of(prk_load64_rlx(&entry->word) >> 16, n) != number)
				store_slot(&b->slot[i], 0); /* G2 */
		}
}

void prk_dict_sort(struct prusik_dict *d)
{
	uint32_t n = prk_shape_buckets(prk_load64_rlx(&d->body->shape));
	uint64_t sorting = prk_load64_rlx(&d->body->sorting);

	if (sorting == 0)
		return;
	struct prk_bucket *b = sorting <= n ? prk_dict_bucket(d, prk_dict_table(d), (uint32_t)sorting - 1) : NULL;
	if (b) {
		clear_strays(d, b, (uint32_t)sorting - 1, n);
		prk_barrier();
		prk_dict_close_gaps(d, prk_dict_table(d), b);
	}
	set_sorting(d, 0);
}

/* ---- what a clear leaves ---- */

/* Free the last segment that there is. 1, 0: there is none, -EPROTO. */
static int drop_from_directory(struct prusik_dict *d, uint64_t *directory)
{
	uint64_t *links = prk_heap_at(&d->view, prk_load64_rlx(directory), DIRECTORY_LINKS * sizeof *links);
	uint32_t i = DIRECTORY_LINKS;

	if (!links)
		return prk_load64_rlx(directory) ? -EPROTO : 0;
	while (i > 0 && prk_load64_rlx(&links[i - 1]) == 0)
		i--;
	return prusik_arena_free(d->view.arena, i > 0 ? &links[i - 1] : directory) < 0 ? -EPROTO : 1;
}

static int drop_segment(struct prusik_dict *d, struct prk_dict_half *half)
{
	for (uint32_t i = PRK_DICT_DIRECTORIES; i > 0; i--) {
		int r = drop_from_directory(d, &half->directory[i - 1]);
		if (r != 0)
			return r;
	}
	for (uint32_t i = PRK_DICT_SEGMENTS; i > 1; i--)
		if (prk_load64_rlx(&half->segment[i - 1]))
			return prusik_arena_free(d->view.arena, &half->segment[i - 1]) < 0 ? -EPROTO : 1;
	return 0;
}

int prk_dict_sweep(struct prusik_dict *d, uint32_t half)
{
	struct prk_dict_half *h = &d->body->half[half];
	int r = prk_heap_drop_page(&d->view, &h->shelf);

	if (r == 0)
		r = drop_segment(d, h);
	if (r != 0)
		return r;
	for (uint32_t i = 0; i < PRK_DICT_BUCKETS_MIN; i++) {
		struct prk_bucket *b = prk_dict_bucket(d, h, i);
		if (!b)
			return -EPROTO;
		empty_bucket(b, 0);
	}
	for (uint32_t i = 0; i < PRK_HEAP_CLASSES; i++)
		h->shelf.grown[i] = 0;
	prk_store64_rlx(&h->keys, 0);
	return 0;
}
