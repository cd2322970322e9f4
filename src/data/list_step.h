/* SPDX-License-Identifier: MIT */
/* list_step - what growing, changing and shrinking a list are made of; the lock is held, the version odd */
#ifndef PRK_DATA_LIST_STEP_H
#define PRK_DATA_LIST_STEP_H

#include "data/list.h"

#include <errno.h>

static inline void prk_list_set_word(struct prusik_list *l, uint64_t *word, uint64_t value)
{
	prk_heap_set_rel(&l->view, word, value); /* rel [list.version]: seen after it became odd */
}

static inline void prk_list_add_to(struct prusik_list *l, uint64_t *word, uint64_t more)
{
	prk_list_set_word(l, word, prk_load64_rlx(word) + more);
}

/* The change has come to r: keep it, or not. */
static inline int prk_list_close_step(struct prusik_list *l, int r)
{
	if (r < 0)
		return prk_heap_undo(&l->view, r);
	prk_heap_commit(&l->view);
	return 0;
}

static inline int prk_list_give_node(struct prusik_list *l, const struct prk_list_node *node)
{
	return prk_heap_give(&l->view, &prk_list_half(l)->shelf, prk_heap_offset(&l->view, node),
			     prk_load64_rlx(&node->word));
}

/* Below a node. */
static inline uint64_t prk_list_items_below(const struct prk_list_node *node)
{
	uint64_t order = prk_load64_rlx(&node->order), n = 0;

	if (prk_list_level(node) == 0)
		return prk_order_count(order);
	for (uint32_t i = 0; i < prk_order_count(order); i++)
		n += prk_load64_rlx(&node->count[prk_order_place(order, i) % PRK_LIST_PLACES]);
	return n;
}

/* Put something into a place that is not in use; the order does not know yet. */
static inline uint32_t prk_list_fill_place(struct prk_list_node *node, uint64_t order, uint64_t what, uint64_t count)
{
	uint32_t place = prk_order_free(order) % PRK_LIST_PLACES;

	prk_store64_rel(&node->place[place], what); /* rel [list.version] */
	if (prk_list_level(node))
		prk_store64_rel(&node->count[place], count);
	return place;
}

static inline uint64_t *prk_list_count_at(struct prk_list_node *node, uint32_t position)
{
	return &node->count[prk_order_place(prk_load64_rlx(&node->order), position) % PRK_LIST_PLACES];
}

static inline struct prk_list_node *prk_list_child_at(struct prusik_list *l, struct prk_list_node *node,
						      uint32_t position)
{
	uint64_t order = prk_load64_rlx(&node->order);
	uint32_t place = prk_order_place(order, position);

	if (position >= prk_order_count(order) || place >= PRK_LIST_PLACES)
		return NULL;
	struct prk_list_node *child = prk_list_node(l, prk_load64_rlx(&node->place[place]));
	return child && prk_list_level(child) + 1 == prk_list_level(node) ? child : NULL;
}

static inline int prk_list_give_item(struct prusik_list *l, uint64_t offset)
{
	uint64_t length;
	const struct prk_list_item *item = prk_list_item(l, offset, &length);

	if (!item)
		return -EPROTO;
	return prk_heap_give(&l->view, &prk_list_half(l)->shelf, offset, prk_load64_rlx(&item->word));
}

/* The place of the leaf that the path leads to; NULL: there is none. */
static inline uint64_t *prk_list_place_at(const struct prk_list_path *path)
{
	struct prk_list_node *leaf = path->node[0];
	uint64_t order = prk_load64_rlx(&leaf->order);
	uint32_t place = prk_order_place(order, path->position[0]);

	if (path->position[0] >= prk_order_count(order) || place >= PRK_LIST_PLACES)
		return NULL;
	return &leaf->place[place];
}

/* More, or fewer, lie below the path's nodes from that level up. */
static inline void prk_list_count_along(struct prusik_list *l, struct prk_list_half *half,
					const struct prk_list_path *path, uint32_t level, uint64_t more)
{
	for (; level < path->levels; level++)
		prk_list_add_to(l, prk_list_count_at(path->node[level], path->position[level]), more);
	prk_list_add_to(l, &half->items, more);
}

/* ---- list_shrink.c ---- */

/* Take out the item that the path leads to. 0, -EPROTO. */
int prk_list_take_out(struct prusik_list *l, struct prk_list_half *half, const struct prk_list_path *path);
/* Give back what was cut off, perhaps by one who has died. */
void prk_list_give_dropped(struct prusik_list *l);

#endif
