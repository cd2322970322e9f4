/* SPDX-License-Identifier: MIT */
/* list: taking out, with the lock held and an odd version; nodes that have few are merged */
#include "data/list_step.h"

#include <errno.h>

/* A node with as many or fewer is merged with a neighbour, if one node has room for both. */
#define FEW 4u
#define MERGED 12u

/* The children at position and the one after it become one, if there is room. */
static int merge(struct prusik_list *l, struct prk_list_node *node, uint32_t position)
{
	struct prk_list_node *left = prk_list_child_at(l, node, position),
			     *right = prk_list_child_at(l, node, position + 1);

	if (!left || !right)
		return 0;
	uint64_t order = prk_load64_rlx(&left->order), from = prk_load64_rlx(&right->order);
	uint32_t n = prk_order_count(from), had = prk_order_count(order);
	if (had + n > MERGED)
		return 0;
	uint64_t moved = prk_list_items_below(right);
	prk_heap_begin(&l->view);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t place = prk_order_place(from, i) % PRK_LIST_PLACES;
		uint64_t count = prk_list_level(right) ? prk_load64_rlx(&right->count[place]) : 0;
		uint32_t new = prk_list_fill_place(left, order, prk_load64_rlx(&right->place[place]), count);
		order = prk_order_insert(order, had + i, new);
	}
	prk_list_set_word(l, &left->order, order);
	prk_list_add_to(l, prk_list_count_at(node, position), moved);
	prk_list_set_word(l, &node->order, prk_order_remove(prk_load64_rlx(&node->order), position + 1));
	return prk_list_close_step(l, prk_list_give_node(l, right));
}

/* The root has one child only. */
static int drop_root(struct prusik_list *l, struct prk_list_half *half, struct prk_list_node *root)
{
	uint32_t place = prk_order_place(prk_load64_rlx(&root->order), 0) % PRK_LIST_PLACES;

	prk_heap_begin(&l->view);
	prk_list_set_word(l, &half->root, prk_load64_rlx(&root->place[place]));
	return prk_list_close_step(l, prk_list_give_node(l, root));
}

/* From that level up something has become fewer: nodes that have few are merged. What cannot be done is left. */
static void tighten(struct prusik_list *l, struct prk_list_half *half, const struct prk_list_path *path, uint32_t level)
{
	int r = 0;

	for (; level + 1 < path->levels && r == 0; level++) {
		struct prk_list_node *node = path->node[level], *above = path->node[level + 1];
		uint32_t at = path->position[level + 1];
		if (prk_order_count(prk_load64_rlx(&node->order)) > FEW)
			break;
		r = merge(l, above, at > 0 ? at - 1 : at);
	}
	for (level = path->levels; level > 0 && r == 0; level--) {
		struct prk_list_node *root = prk_list_node(l, half->root);
		if (!root || prk_list_level(root) == 0 || prk_order_count(prk_load64_rlx(&root->order)) != 1)
			return;
		r = drop_root(l, half, root);
	}
}

/* One step of giving back what was cut off: its first node goes, or the item in it. */
static int give_dropped(struct prusik_list *l)
{
	uint64_t *dropped = &l->body->dropped;
	struct prk_list_node *node = prk_list_node(l, prk_load64_rlx(dropped));

	if (!node)
		return -EPROTO;
	uint64_t order = prk_load64_rlx(&node->order);
	uint64_t below = prk_load64_rlx(&node->place[prk_order_place(order, 0) % PRK_LIST_PLACES]);
	prk_heap_begin(&l->view);
	if (prk_list_level(node) == 0 && prk_order_count(order)) {
		prk_list_set_word(l, &node->order, 0);
		return prk_list_close_step(l, prk_list_give_item(l, below));
	}
	prk_list_set_word(l, dropped, prk_list_level(node) ? below : 0);
	return prk_list_close_step(l, prk_list_give_node(l, node));
}

void prk_list_give_dropped(struct prusik_list *l)
{
	for (uint32_t steps = 0; steps <= PRK_LIST_LEVELS && prk_load64_rlx(&l->body->dropped); steps++)
		if (give_dropped(l) < 0)
			return;
}

/* The last item of a leaf goes with the leaf, and with each node above that has nothing else. */
static int cut_off(struct prusik_list *l, struct prk_list_half *half, const struct prk_list_path *path)
{
	uint32_t top = 0;

	while (top + 1 < path->levels && prk_order_count(prk_load64_rlx(&path->node[top + 1]->order)) == 1)
		top++;
	prk_heap_begin(&l->view);
	prk_list_set_word(l, &l->body->dropped, prk_heap_offset(&l->view, path->node[top]));
	if (top + 1 == path->levels) {
		prk_list_set_word(l, &half->root, 0);
	} else {
		struct prk_list_node *above = path->node[top + 1];
		uint64_t order = prk_load64_rlx(&above->order);
		prk_list_set_word(l, &above->order, prk_order_remove(order, path->position[top + 1]));
	}
	prk_list_count_along(l, half, path, top + 2, UINT64_MAX);
	prk_list_close_step(l, 0);
	prk_list_give_dropped(l);
	if (half->root)
		tighten(l, half, path, top + 1);
	return 0;
}

int prk_list_take_out(struct prusik_list *l, struct prk_list_half *half, const struct prk_list_path *path)
{
	struct prk_list_node *leaf = path->node[0];
	const uint64_t *place = prk_list_place_at(path);

	if (!place)
		return -EPROTO;
	if (prk_order_count(prk_load64_rlx(&leaf->order)) == 1)
		return cut_off(l, half, path);
	prk_heap_begin(&l->view);
	uint64_t offset = prk_load64_rlx(place);
	prk_list_set_word(l, &leaf->order, prk_order_remove(prk_load64_rlx(&leaf->order), path->position[0]));
	prk_list_count_along(l, half, path, 1, UINT64_MAX);
	int r = prk_list_close_step(l, prk_list_give_item(l, offset));
	if (r == 0)
		tighten(l, half, path, 0);
	return r;
}
