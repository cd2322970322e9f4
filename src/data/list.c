/* SPDX-License-Identifier: MIT */
/* list: writing, with the lock held and an odd version, in steps of the undo log */
#include "data/list_step.h"
#include "sync/lock.h"

#include <errno.h>
#include <string.h>

#define ITEM_MAX ((UINT64_C(1) << 40) - 1)

#define SWEEPS 2
#define SWEEPS_AT_ONCE 64

/* ---- the lock ---- */

int prk_list_sweep(struct prusik_list *l, uint32_t half)
{
	struct prk_list_half *h = &l->body->halves[half];
	int r = prk_heap_drop_page(&l->view, &h->shelf);

	if (r != 0)
		return r;
	for (uint32_t i = 0; i < PRK_HEAP_CLASSES; i++)
		h->shelf.grown[i] = 0;
	prk_store64_rel(&h->root, 0); /* rel [list.half] */
	prk_store64_rel(&h->items, 0);
	return 0;
}

/* Up to count pages. Whether there may be more. */
static bool sweep(struct prusik_list *l, int count)
{
	int r = 1;

	while (r > 0 && count-- > 0)
		r = prk_list_sweep(l, !(l->body->half & 1));
	if (r <= 0)
		prk_store32_rlx(&l->body->litter, 0);
	return r > 0;
}

/* What a dead one has left undone. */
static int clean_up(struct prusik_list *l)
{
	int r = prk_load32_rlx(&l->body->arranging) ? prk_list_arrange(l) : 0;

	if (r < 0)
		return r;
	uint64_t version = prk_load64_rlx(&l->body->version);
	if (version % 2)
		prk_store64_rel(&l->body->version, version + 1); /* L-E, rel [list.version] */
	if (prk_load64_rlx(&l->body->dropped))
		prk_list_give_dropped(l);
	if (prk_load32_rlx(&l->body->litter))
		sweep(l, SWEEPS);
	return prk_list_free_sequence(l);
}

int prk_list_lock(struct prusik_list *l)
{
	int r = prk_heap_lock(&l->view);

	if (r < 0)
		return r;
	r = clean_up(l);
	return r < 0 ? prk_list_unlock(l, r) : 0;
}

int prk_list_unlock(struct prusik_list *l, int result)
{
	prk_heap_unlock(&l->view);
	return result;
}

/* Take the lock to change something. acqrel: what is stored from here on is seen after this. */
static int begin(struct prusik_list *l)
{
	int r = l ? prk_list_lock(l) : -EINVAL;

	if (r == 0)
		prk_add64_acqrel(&l->body->version, 1); /* L-O, acqrel [list.version] */
	return r;
}

static int end(struct prusik_list *l, int result)
{
	prk_add64_acqrel(&l->body->version, 1); /* L-E, acqrel [list.version] */
	return prk_list_unlock(l, result);
}

/* ---- nodes ---- */

static uint64_t node_bytes(uint32_t level)
{
	return level ? PRK_NODE_BYTES : PRK_LEAF_BYTES;
}

/* Take a node, within a step that reserve has preceded. */
static struct prk_list_node *take_node(struct prusik_list *l, uint32_t level)
{
	uint64_t offset, distance;

	if (prk_heap_take(&l->view, &prk_list_half(l)->shelf, node_bytes(level), &offset, &distance) < 0)
		return NULL;
	struct prk_list_node *node = prk_heap_at(&l->view, offset, node_bytes(level));
	if (node) {
		prk_store64_rel(&node->word, (uint64_t)level << 16 | distance); /* rel [object] */
		prk_store64_rel(&node->order, 0);
	}
	return node;
}

static void insert_child(struct prusik_list *l, struct prk_list_node *node, uint32_t position, uint64_t what,
			 uint64_t count)
{
	uint64_t order = prk_load64_rlx(&node->order);
	uint32_t place = prk_list_fill_place(node, order, what, count);

	prk_list_set_word(l, &node->order, prk_order_insert(order, position, place));
}

/* ---- growing ---- */

/* A node above the root, or the first leaf. */
static int grow(struct prusik_list *l, struct prk_list_half *half)
{
	struct prk_list_node *root = half->root ? prk_list_node(l, half->root) : NULL;
	uint32_t level = root ? prk_list_level(root) + 1 : 0;

	if ((half->root && !root) || level >= PRK_LIST_LEVELS)
		return -EPROTO;
	int r = prk_heap_reserve(&l->view, &half->shelf, node_bytes(level));
	if (r < 0)
		return r;
	prk_heap_begin(&l->view);
	struct prk_list_node *node = take_node(l, level);
	if (!node)
		return prk_list_close_step(l, -EPROTO);
	if (root)
		insert_child(l, node, 0, half->root, half->items);
	prk_list_set_word(l, &half->root, prk_heap_offset(&l->view, node));
	return prk_list_close_step(l, 0);
}

/* Copy what comes from position on to an empty node. */
static void copy_upper(struct prk_list_node *to, const struct prk_list_node *from, uint32_t position)
{
	uint64_t order = prk_load64_rlx(&from->order), made = 0;

	for (uint32_t i = position; i < prk_order_count(order); i++) {
		uint32_t place = prk_order_place(order, i) % PRK_LIST_PLACES;
		uint64_t count = prk_list_level(from) ? prk_load64_rlx(&from->count[place]) : 0;
		uint32_t new = prk_list_fill_place(to, made, prk_load64_rlx(&from->place[place]), count);
		made = prk_order_insert(made, i - position, new);
	}
	prk_store64_rel(&to->order, made); /* rel [list.version] */
}

/* The order of those below position. */
static uint64_t lower(uint64_t order, uint32_t position)
{
	return (order & (((UINT64_C(16) << 4 * position) - 1) & ~UINT64_C(15))) | position;
}

/* The child at a position of a node that has room is full: keep so many in it, the rest goes to a new one. */
static int split(struct prusik_list *l, struct prk_list_node *node, uint32_t position, uint32_t keep)
{
	struct prk_list_node *child = prk_list_child_at(l, node, position);
	uint32_t level = child ? prk_list_level(child) : 0;
	int r = child ? prk_heap_reserve(&l->view, &prk_list_half(l)->shelf, node_bytes(level)) : -EPROTO;

	if (r < 0)
		return r;
	prk_heap_begin(&l->view);
	struct prk_list_node *right = take_node(l, level);
	if (!right)
		return prk_list_close_step(l, -EPROTO);
	copy_upper(right, child, keep);
	uint64_t moved = prk_list_items_below(right);
	prk_list_add_to(l, prk_list_count_at(node, position), -moved);
	prk_list_set_word(l, &child->order, lower(prk_load64_rlx(&child->order), keep));
	insert_child(l, node, position + 1, prk_heap_offset(&l->view, right), moved);
	return prk_list_close_step(l, 0);
}

static bool is_full(const struct prk_list_node *node)
{
	return prk_order_count(prk_load64_rlx(&node->order)) == PRK_LIST_PLACES;
}

/*
 * The way to where an item goes, with room in each node. Nodes at the very end are left
 * full, since what is appended comes in order.
 */
static int make_way(struct prusik_list *l, struct prk_list_half *half, uint64_t number, struct prk_list_path *path)
{
	uint32_t keep = number == half->items ? PRK_LIST_PLACES - 1 : number == 0 ? 1 : PRK_LIST_PLACES / 2;
	int r = half->root ? 0 : grow(l, half);

	for (;;) {
		if (r == 0)
			r = prk_list_find(l, half, number, path);
		if (r < 0 || path->levels == 0)
			return r < 0 ? r : -EPROTO;
		uint32_t level = path->levels;
		while (level > 0 && !is_full(path->node[level - 1]))
			level--;
		if (level == 0)
			return 0;
		if (level == path->levels)
			r = grow(l, half);
		else
			r = split(l, path->node[level], path->position[level], keep);
	}
}

/* ---- items ---- */

static int reserve_item(struct prusik_list *l, uint64_t length)
{
	return prk_heap_reserve(&l->view, &prk_list_half(l)->shelf, sizeof(struct prk_list_item) + length);
}

/* Take and fill an item, within a step. */
static int make_item(struct prusik_list *l, const void *data, uint64_t length, uint64_t *ret_offset)
{
	uint64_t bytes = sizeof(struct prk_list_item) + length, distance;
	int r = prk_heap_take(&l->view, &prk_list_half(l)->shelf, bytes, ret_offset, &distance);
	struct prk_list_item *item = r < 0 ? NULL : prk_heap_at(&l->view, *ret_offset, bytes);

	if (!item)
		return r < 0 ? r : -EPROTO;
	prk_store64_rel(&item->word, distance); /* rel [object] */
	prk_store64_rel(&item->length, length);
	prk_heap_fill(item->data, data, length);
	return 0;
}

static int insert_locked(struct prusik_list *l, uint64_t number, const void *data, uint64_t length)
{
	struct prk_list_half *half = prk_list_half(l);
	struct prk_list_path path;
	uint64_t offset;
	int r = make_way(l, half, number, &path);

	if (r == 0)
		r = reserve_item(l, length);
	if (r < 0)
		return r;
	prk_heap_begin(&l->view);
	r = make_item(l, data, length, &offset);
	if (r == 0) {
		insert_child(l, path.node[0], path.position[0], offset, 0);
		prk_list_count_along(l, half, &path, 1, 1);
	}
	return prk_list_close_step(l, r);
}

static int replace_locked(struct prusik_list *l, const struct prk_list_path *path, const void *data, uint64_t length)
{
	uint64_t *place = prk_list_place_at(path), offset;
	int r = place ? reserve_item(l, length) : -EPROTO;

	if (r < 0)
		return r;
	prk_heap_begin(&l->view);
	uint64_t old = prk_load64_rlx(place);
	r = make_item(l, data, length, &offset);
	if (r == 0) {
		prk_list_set_word(l, place, offset);
		r = prk_list_give_item(l, old);
	}
	return prk_list_close_step(l, r);
}

/* ---- the public calls ---- */

static int check_item(const void *data, uint64_t length)
{
	if (length > ITEM_MAX)
		return -EMSGSIZE;
	return data || !length ? 0 : -EINVAL;
}

/* The way to an item that is there; -ENOENT. */
static int find_item(struct prusik_list *l, int64_t position, struct prk_list_path *path)
{
	const struct prk_list_half *half = prk_list_half(l);
	uint64_t number = prk_list_number(position, half->items);

	if (number >= half->items)
		return -ENOENT;
	int r = prk_list_find(l, half, number, path);
	return r == 0 && path->levels == 0 ? -EPROTO : r;
}

int prusik_list_insert(struct prusik_list *list, int64_t position, const void *data, uint64_t length)
{
	int r = check_item(data, length);

	if (r == 0)
		r = begin(list);
	if (r < 0)
		return r;
	uint64_t number = prk_list_cut(position, prk_list_half(list)->items);
	return end(list, insert_locked(list, number, data, length));
}

int prusik_list_append(struct prusik_list *list, const void *data, uint64_t length)
{
	return prusik_list_insert(list, INT64_MAX, data, length);
}

int64_t prusik_list_extend(struct prusik_list *list, const struct iovec *items, uint64_t count)
{
	int r = (items || !count) && count <= INT64_MAX ? 0 : -EINVAL;
	uint64_t done = 0;

	for (uint64_t i = 0; i < count && r == 0; i++)
		r = check_item(items[i].iov_base, items[i].iov_len);
	if (r == 0)
		r = begin(list);
	if (r < 0)
		return r;
	for (; done < count && r == 0; done += r == 0)
		r = insert_locked(list, prk_list_half(list)->items, items[done].iov_base, items[done].iov_len);
	end(list, 0);
	return done > 0 || r == 0 ? (int64_t)done : r;
}

int prusik_list_set(struct prusik_list *list, int64_t position, const void *data, uint64_t length)
{
	struct prk_list_path path;
	int r = check_item(data, length);

	if (r == 0)
		r = begin(list);
	if (r < 0)
		return r;
	r = find_item(list, position, &path);
	return end(list, r == 0 ? replace_locked(list, &path, data, length) : r);
}

static int64_t copy_item(const struct prusik_list *l, const struct prk_list_path *path, void *buffer, uint64_t capacity)
{
	const uint64_t *place = prk_list_place_at(path);
	uint64_t length;
	const struct prk_list_item *item = place ? prk_list_item(l, prk_load64_rlx(place), &length) : NULL;

	if (!item)
		return -EPROTO;
	if (buffer && length > capacity)
		return -EMSGSIZE;
	if (buffer)
		memcpy(buffer, item->data, length);
	return (int64_t)length;
}

int64_t prusik_list_pop(struct prusik_list *list, int64_t position, void *buffer, uint64_t capacity)
{
	struct prk_list_path path;
	int64_t length = 0;
	int r = begin(list);

	if (r < 0)
		return r;
	r = find_item(list, position, &path);
	if (r == 0)
		length = copy_item(list, &path, buffer, capacity);
	if (r == 0 && length >= 0)
		r = prk_list_take_out(list, prk_list_half(list), &path);
	end(list, 0);
	return r < 0 ? r : length;
}

int64_t prusik_list_remove(struct prusik_list *list, const void *data, uint64_t length)
{
	struct prk_list_path path;
	int r = data || !length ? begin(list) : -EINVAL;

	if (r < 0)
		return r;
	int64_t position = prk_list_search(list, prk_list_half(list), data, length, 0);
	r = position < 0 ? (int)position : find_item(list, position, &path);
	if (r == 0)
		r = prk_list_take_out(list, prk_list_half(list), &path);
	end(list, 0);
	return r < 0 ? r : position;
}

int prusik_list_clear(struct prusik_list *list)
{
	int r = list ? prk_list_lock(list) : -EINVAL;

	if (r < 0)
		return r;
	while (prk_load32_rlx(&list->body->litter) && sweep(list, SWEEPS_AT_ONCE))
		;
	prk_store32_rlx(&list->body->litter, 1);
	prk_barrier();
	prk_add64_acqrel(&list->body->version, 1); /* L-O, acqrel [list.version] */
	prk_store32_rel(&list->body->half, !(list->body->half & 1)); /* L-C, rel [list.half] */
	prk_add64_acqrel(&list->body->version, 1); /* L-E, acqrel [list.version] */
	prk_list_unlock(list, 0);
	for (bool more = true; more && prk_list_lock(list) == 0;) {
		more = prk_load32_rlx(&list->body->litter) && sweep(list, SWEEPS_AT_ONCE);
		prk_list_unlock(list, 0);
	}
	return 0;
}
