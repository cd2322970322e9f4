/* SPDX-License-Identifier: MIT */
/* list: reading, without the lock: look, then look whether the version is still the same even number */
#include "data/list.h"
#include "sync/lock.h"

#include <errno.h>
#include <string.h>

#define TRIES 100

struct prk_list_node *prk_list_node(const struct prusik_list *l, uint64_t offset)
{
	struct prk_list_node *node = prk_heap_at(&l->view, offset, PRK_LEAF_BYTES);

	if (!node || offset % PRK_HEAP_GRANULE || prk_order_count(prk_peek64(&node->order)) > PRK_LIST_PLACES)
		return NULL;
	uint64_t bytes = prk_list_level(node) ? PRK_NODE_BYTES : PRK_LEAF_BYTES;
	return prk_heap_at(&l->view, offset, bytes);
}

struct prk_list_item *prk_list_item(const struct prusik_list *l, uint64_t offset, uint64_t *ret_length)
{
	struct prk_list_item *item = prk_heap_at(&l->view, offset, sizeof *item);

	if (!item || offset % PRK_HEAP_GRANULE)
		return NULL;
	*ret_length = prk_peek64(&item->length);
	if (*ret_length > PRK_ARENA_MAX || !prk_arena_within(l->view.arena, offset, sizeof *item + *ret_length))
		return NULL;
	return item;
}

/* Which place of the node has that number below it; *number is counted from that place on. */
static int step_down(const struct prk_list_node *node, uint64_t *number, uint32_t *ret_position)
{
	uint64_t order = prk_peek64(&node->order);
	uint32_t n = prk_order_count(order), i = 0;

	if (n == 0)
		return -EPROTO;
	for (; i < n - 1; i++) {
		uint32_t place = prk_order_place(order, i);
		uint64_t below = place < PRK_LIST_PLACES ? prk_peek64(&node->count[place]) : 0;
		if (*number < below)
			break;
		*number -= below;
	}
	*ret_position = i;
	return prk_order_place(order, i) < PRK_LIST_PLACES ? 0 : -EPROTO;
}

int prk_list_find(const struct prusik_list *l, const struct prk_list_half *half, uint64_t number,
		  struct prk_list_path *ret_path)
{
	uint64_t offset = prk_peek64(&half->root);
	struct prk_list_node *node;

	ret_path->levels = 0;
	if (offset == 0)
		return 0;
	node = prk_list_node(l, offset);
	uint32_t level = node ? prk_list_level(node) : PRK_LIST_LEVELS;
	if (level >= PRK_LIST_LEVELS)
		return -EPROTO;
	ret_path->levels = level + 1;
	for (; level > 0; level--) {
		ret_path->node[level] = node;
		if (step_down(node, &number, &ret_path->position[level]) < 0)
			return -EPROTO;
		uint32_t place = prk_order_place(prk_peek64(&node->order), ret_path->position[level]);
		node = place < PRK_LIST_PLACES ? prk_list_node(l, prk_peek64(&node->place[place])) : NULL;
		if (!node || prk_list_level(node) != level - 1)
			return -EPROTO;
	}
	ret_path->node[0] = node;
	if (number > prk_order_count(prk_peek64(&node->order)))
		return -EPROTO;
	ret_path->position[0] = (uint32_t)number;
	return 0;
}

int prk_list_step(const struct prusik_list *l, const struct prk_list_half *half, uint64_t number,
		  struct prk_list_path *path)
{
	uint32_t used = path->levels ? prk_order_count(prk_peek64(&path->node[0]->order)) : 0;

	if (++path->position[0] < used)
		return 0;
	int r = prk_list_find(l, half, number, path);
	return r == 0 && path->levels == 0 ? -EPROTO : r;
}

/* ---- looking until it is sure ---- */

typedef int64_t look_fn(const struct prusik_list *l, const struct prk_list_half *half, void *context);

static int64_t look_locked(struct prusik_list *l, look_fn *look, void *context)
{
	int r = prk_list_lock(l);

	if (r < 0)
		return r;
	int64_t result = look(l, prk_list_half(l), context);
	prk_list_unlock(l, 0);
	return result;
}

static int64_t look_until_sure(struct prusik_list *l, look_fn *look, void *context)
{
	for (int tries = 0; tries < TRIES; tries++) {
		uint64_t version = prk_load64_acq(&l->body->version); /* acq [list.version] */
		if (version % 2 == 0) {
			int64_t r = look(l, prk_list_half(l), context);
			/* acq in what was looked at: this is no older */
			if (prk_load64_acq(&l->body->version) == version)
				return r;
		}
		prk_pause_for(tries);
	}
	return look_locked(l, look, context);
}

static int64_t look_for_length(const struct prusik_list *l, const struct prk_list_half *half, void *unused)
{
	(void)l;
	(void)unused;
	int64_t items = (int64_t)prk_peek64(&half->items);
	return items < 0 ? -EPROTO : items;
}

int64_t prusik_list_length(struct prusik_list *list)
{
	return list ? look_until_sure(list, look_for_length, NULL) : -EINVAL;
}

/* ---- items ---- */

struct prk_list_item *prk_list_item_on(const struct prusik_list *l, const struct prk_list_path *path,
				       uint64_t *ret_length)
{
	const struct prk_list_node *leaf = path->node[0];
	uint64_t order = prk_peek64(&leaf->order);
	uint32_t place = prk_order_place(order, path->position[0]);

	if (path->position[0] >= prk_order_count(order) || place >= PRK_LIST_PLACES)
		return NULL;
	return prk_list_item(l, prk_peek64(&leaf->place[place]), ret_length);
}

/* Copy items first to first + n: how many, all of them; -EMSGSIZE; -EPROTO. */
static int64_t copy_items(const struct prusik_list *l, const struct prk_list_half *half, uint64_t first, uint64_t n,
			  struct iovec *to, uint64_t *lengths_of)
{
	struct prk_list_path path = { .levels = 0 };
	uint64_t length;

	for (uint64_t i = 0; i < n; i++) {
		int r = prk_list_step(l, half, first + i, &path);
		const struct prk_list_item *item = r == 0 ? prk_list_item_on(l, &path, &length) : NULL;
		if (!item)
			return -EPROTO;
		*lengths_of = i + 1;
		if (to[i].iov_base && length > to[i].iov_len) {
			*lengths_of = i;
			return -EMSGSIZE;
		}
		if (to[i].iov_base)
			prk_peek(to[i].iov_base, item->data, length);
	}
	return (int64_t)n;
}

struct slice {
	int64_t begin, end;
	struct iovec *items;
	uint64_t count;
	uint64_t first, n, fit; /* what was found: so many from first on, of which so many fit */
};

static int64_t look_for_slice(const struct prusik_list *l, const struct prk_list_half *half, void *context)
{
	struct slice *s = context;
	uint64_t items = prk_peek64(&half->items), end = prk_list_cut(s->end, items);

	s->first = prk_list_cut(s->begin, items);
	s->n = end > s->first ? end - s->first : 0;
	if (s->n > s->count)
		s->n = s->count;
	s->fit = 0;
	return copy_items(l, half, s->first, s->n, s->items, &s->fit);
}

/* The lengths, once all is copied: until then iov_len is the room. */
static int64_t look_for_lengths(const struct prusik_list *l, const struct prk_list_half *half, void *context)
{
	struct slice *s = context;
	int64_t r = look_for_slice(l, half, s);
	struct prk_list_path path = { .levels = 0 };

	for (uint64_t i = 0; i < s->fit && r != -EPROTO; i++) {
		if (prk_list_find(l, half, s->first + i, &path) < 0 || path.levels == 0 ||
		    !prk_list_item_on(l, &path, &s->items[i].iov_len))
			return -EPROTO;
	}
	return r;
}

int64_t prusik_list_slice(struct prusik_list *list, int64_t begin, int64_t end, struct iovec *items, uint64_t count)
{
	struct slice s = { .begin = begin, .end = end, .items = items, .count = count };

	if (!list || (!items && count))
		return -EINVAL;
	/* iov_len is room and result, so a second look would not know the room: one look, with the lock. */
	return look_locked(list, look_for_lengths, &s);
}

struct wanted {
	int64_t position;
	void *buffer;
	uint64_t capacity;
};

static int64_t look_for_item(const struct prusik_list *l, const struct prk_list_half *half, void *context)
{
	const struct wanted *w = context;
	uint64_t items = prk_peek64(&half->items), length;
	uint64_t number = prk_list_number(w->position, items);
	struct prk_list_path path;

	if (number >= items)
		return -ENOENT;
	if (prk_list_find(l, half, number, &path) < 0 || path.levels == 0)
		return -EPROTO;
	const struct prk_list_item *item = prk_list_item_on(l, &path, &length);
	if (!item)
		return -EPROTO;
	if (w->buffer && length > w->capacity)
		return -EMSGSIZE;
	if (w->buffer)
		prk_peek(w->buffer, item->data, length);
	return (int64_t)length;
}

int64_t prusik_list_get(struct prusik_list *list, int64_t position, void *buffer, uint64_t capacity)
{
	struct wanted w = { position, buffer, capacity };

	return list ? look_until_sure(list, look_for_item, &w) : -EINVAL;
}

/* ---- searching ---- */

int64_t prk_list_search(const struct prusik_list *l, const struct prk_list_half *half, const void *data,
			uint64_t length, uint64_t begin)
{
	uint64_t items = prk_peek64(&half->items), other;
	struct prk_list_path path = { .levels = 0 };

	for (uint64_t i = begin; i < items; i++) {
		int r = prk_list_step(l, half, i, &path);
		const struct prk_list_item *item = r == 0 ? prk_list_item_on(l, &path, &other) : NULL;
		if (!item)
			return -EPROTO;
		if (other == length && prk_peek_equal(item->data, data, length))
			return (int64_t)i;
	}
	return -ENOENT;
}

struct search {
	const void *data;
	uint64_t length;
	int64_t begin;
};

static int64_t look_for_value(const struct prusik_list *l, const struct prk_list_half *half, void *context)
{
	const struct search *s = context;

	return prk_list_search(l, half, s->data, s->length, prk_list_cut(s->begin, prk_peek64(&half->items)));
}

int64_t prusik_list_index(struct prusik_list *list, const void *data, uint64_t length, int64_t begin)
{
	struct search s = { data, length, begin };

	if (!list || (!data && length))
		return -EINVAL;
	return look_until_sure(list, look_for_value, &s);
}

static int64_t count_value(const struct prusik_list *l, const struct prk_list_half *half, void *context)
{
	const struct search *s = context;
	int64_t n = 0, at = -1;

	while ((at = prk_list_search(l, half, s->data, s->length, (uint64_t)at + 1)) >= 0)
		n++;
	return at == -ENOENT ? n : at;
}

int64_t prusik_list_count(struct prusik_list *list, const void *data, uint64_t length)
{
	struct search s = { data, length, 0 };

	if (!list || (!data && length))
		return -EINVAL;
	return look_until_sure(list, count_value, &s);
}
