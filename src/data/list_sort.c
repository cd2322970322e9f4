/* SPDX-License-Identifier: MIT */
/*
 * list: sorting and reversing. What comes where is written down, then decided, then made so.
 *
 * Until it is decided readers see the old order; while the leaves are written the version is
 * odd, and they wait.
 */
#include "base/sys.h"
#include "data/list_step.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- making it so ---- */

/* The block of n offsets; NULL: it cannot be there. */
static uint64_t *sequence_of(const struct prusik_list *l, uint64_t n)
{
	uint64_t offset = prk_load64_rlx(&l->body->sequence);

	return n <= PRK_ARENA_MAX / sizeof(uint64_t) ? prk_heap_at(&l->view, offset, n * sizeof(uint64_t)) : NULL;
}

/* Have the leaves name the items in that order. Any number of times. */
static int follow(struct prusik_list *l, const struct prk_list_half *half)
{
	uint64_t n = prk_load64_rlx(&half->items);
	const uint64_t *sequence = sequence_of(l, n);
	struct prk_list_path path = { .levels = 0 };

	for (uint64_t i = 0; i < n && sequence; i++) {
		int r = prk_list_step(l, half, i, &path);
		uint64_t *place = r == 0 ? prk_list_place_at(&path) : NULL;
		if (!place)
			return -EPROTO;
		prk_store64_rel(place, prk_load64_rlx(&sequence[i])); /* rel [list.version] */
	}
	return sequence ? 0 : -EPROTO;
}

int prk_list_arrange(struct prusik_list *l)
{
	struct prk_list_body *body = l->body;

	if (prk_load64_rlx(&body->version) % 2 == 0)
		prk_add64_acqrel(&body->version, 1); /* L-O, acqrel [list.version] */
	int r = follow(l, prk_list_half(l));
	if (r < 0)
		return r;
	prk_barrier();
	prk_store32_rlx(&body->arranging, 0); /* L-D */
	prk_barrier();
	prk_add64_acqrel(&body->version, 1); /* L-E, acqrel [list.version] */
	return 0;
}

int prk_list_free_sequence(struct prusik_list *l)
{
	if (prk_load64_rlx(&l->body->sequence) == 0)
		return 0;
	return prusik_arena_free(l->view.arena, &l->body->sequence) < 0 ? -EPROTO : 0;
}

/* ---- writing it down ---- */

static int new_sequence(struct prusik_list *l, uint64_t n, uint64_t **ret_sequence)
{
	int r = prusik_arena_alloc(l->view.arena, n * sizeof(uint64_t), &l->body->sequence);

	if (r < 0)
		return r;
	*ret_sequence = sequence_of(l, n);
	return *ret_sequence ? 0 : -EPROTO;
}

/* The sequence has been written, or r is why not. */
static int decide(struct prusik_list *l, int r)
{
	if (r == 0) {
		prk_barrier();
		prk_store32_rlx(&l->body->arranging, 1); /* L-A */
		prk_barrier();
		r = prk_list_arrange(l);
	}
	if (!prk_load32_rlx(&l->body->arranging))
		prk_list_free_sequence(l);
	return r;
}

/* An item has 2 granules at least, so there are not more. */
static bool can_be(const struct prusik_list *l, uint64_t n)
{
	return n <= prk_arena_learn(l->view.arena) / (2 * (uint64_t)PRK_HEAP_GRANULE);
}

/* ---- reversing ---- */

static int write_reversed(struct prusik_list *l, const struct prk_list_half *half, uint64_t n)
{
	struct prk_list_path path = { .levels = 0 };
	uint64_t *sequence;
	int r = new_sequence(l, n, &sequence);

	for (uint64_t i = 0; i < n && r == 0; i++) {
		r = prk_list_step(l, half, i, &path);
		const uint64_t *place = r == 0 ? prk_list_place_at(&path) : NULL;
		if (!place)
			return -EPROTO;
		prk_store64_rlx(&sequence[n - 1 - i], prk_load64_rlx(place));
	}
	return r;
}

int prusik_list_reverse(struct prusik_list *list)
{
	int r = list ? prk_list_lock(list) : -EINVAL;

	if (r < 0)
		return r;
	const struct prk_list_half *half = prk_list_half(list);
	uint64_t n = prk_load64_rlx(&half->items);
	if (!can_be(list, n))
		r = -EPROTO;
	else if (n > 1)
		r = decide(list, write_reversed(list, half, n));
	return prk_list_unlock(list, r);
}

/* ---- sorting, in private memory ---- */

/* Sorted by insertion before anything is merged. */
#define RUN 8u

struct member {
	uint64_t key; /* its first bytes, the first one highest, zeros behind */
	const struct prk_list_item *item;
	uint64_t length;
};

struct sorting {
	prusik_list_compare_fn compare;
	void *context;
};

/* Where keys differ they are as the bytes are: a zero behind what has ended is not above anything. */
static int by_bytes(const struct member *a, const struct member *b)
{
	uint64_t both = a->length < b->length ? a->length : b->length;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	int r = memcmp(a->item->data, b->item->data, both);
	return r ? r : (a->length > b->length) - (a->length < b->length);
}

/* Must it? */
static bool comes_before(const struct sorting *s, const struct member *a, const struct member *b)
{
	if (!s->compare)
		return by_bytes(a, b) < 0;
	return s->compare(s->context, a->item->data, a->length, b->item->data, b->length) < 0;
}

static bool is_sorted(const struct sorting *s, const struct member *m, uint64_t n)
{
	for (uint64_t i = 1; i < n; i++)
		if (comes_before(s, &m[i], &m[i - 1]))
			return false;
	return true;
}

static void insert_each(const struct sorting *s, struct member *m, uint64_t n)
{
	for (uint64_t i = 1; i < n; i++) {
		struct member moved = m[i];
		uint64_t at = i;
		for (; at > 0 && comes_before(s, &moved, &m[at - 1]); at--)
			m[at] = m[at - 1];
		m[at] = moved;
	}
}

/* The first so many, and the rest, are sorted each. */
static void merge(const struct sorting *s, const struct member *from, uint64_t first, uint64_t n, struct member *to)
{
	uint64_t a = 0, b = first;

	if (first == n || !comes_before(s, &from[first], &from[first - 1])) {
		memcpy(to, from, n * sizeof *to);
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		bool left = b == n || (a < first && !comes_before(s, &from[b], &from[a]));
		to[i] = left ? from[a++] : from[b++];
	}
}

static uint64_t at_most(uint64_t n, uint64_t most)
{
	return n < most ? n : most;
}

/* Of 2n places the first n are in use. Returns where the sorted ones are. */
static struct member *sort_members(const struct sorting *s, struct member *m, uint64_t n)
{
	struct member *from = m, *to = m + n;

	for (uint64_t i = 0; i < n; i += RUN)
		insert_each(s, m + i, at_most(n - i, RUN));
	for (uint64_t width = RUN; width < n; width *= 2) {
		for (uint64_t i = 0; i < n; i += 2 * width) {
			uint64_t both = at_most(n - i, 2 * width);
			merge(s, from + i, at_most(width, both), both, to + i);
		}
		struct member *merged = to;
		to = from;
		from = merged;
	}
	return from;
}

/* ---- sorting a list ---- */

static int gather(const struct prusik_list *l, const struct prk_list_half *half, struct member *m, uint64_t n)
{
	struct prk_list_path path = { .levels = 0 };
	uint64_t length;

	for (uint64_t i = 0; i < n; i++) {
		int r = prk_list_step(l, half, i, &path);
		const struct prk_list_item *item = r == 0 ? prk_list_item_on(l, &path, &length) : NULL;
		if (!item)
			return -EPROTO;
		m[i] = (struct member){ length ? be64toh(prk_peek64(item->data)) : 0, item, length };
	}
	return 0;
}

static int write_sorted(struct prusik_list *l, const struct member *m, uint64_t n)
{
	uint64_t *sequence;
	int r = new_sequence(l, n, &sequence);

	for (uint64_t i = 0; i < n && r == 0; i++)
		prk_store64_rlx(&sequence[i], prk_heap_offset(&l->view, m[i].item));
	return r;
}

static int sort_locked(struct prusik_list *l, const struct sorting *s, uint64_t n)
{
	struct member *members = can_be(l, n) ? prk_sys_calloc(2 * n * sizeof *members) : NULL;

	if (!members)
		return can_be(l, n) ? -ENOMEM : -EPROTO;
	int r = gather(l, prk_list_half(l), members, n);
	if (r == 0 && !is_sorted(s, members, n))
		r = decide(l, write_sorted(l, sort_members(s, members, n), n));
	free(members);
	return r;
}

int prusik_list_sort(struct prusik_list *list, prusik_list_compare_fn compare, void *context)
{
	const struct sorting s = { compare, context };
	int r = list ? prk_list_lock(list) : -EINVAL;

	if (r < 0)
		return r;
	uint64_t n = prk_load64_rlx(&prk_list_half(list)->items);
	return prk_list_unlock(list, n > 1 ? sort_locked(list, &s, n) : 0);
}
