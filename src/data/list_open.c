/* SPDX-License-Identifier: MIT */
/* list: making, opening, destroying, checking */
#include "base/sys.h"
#include "base/life.h"
#include "data/list.h"

#include <errno.h>

_Static_assert(offsetof(struct prk_list_body, version) == 64, "what readers need has a line of its own");
_Static_assert(PRK_LEAF_BYTES == 136 && PRK_NODE_BYTES == 256 && sizeof(struct prk_list_item) == 16, "shared layout");

static struct prusik_list view_of(struct prusik_arena *arena, struct prk_list_body *body)
{
	return (struct prusik_list){ .view = { &body->heap, arena }, .body = body };
}

static int look(const struct prk_home *home, void *body, uint64_t bytes, const void *wish, void *handle)
{
	struct prusik_list *l = handle;

	(void)bytes;
	(void)wish;
	*l = view_of(home->arena, body);
	l->home = *home;
	return 0;
}

/* All zero is an empty list. */
static int set_up(struct prusik_arena *arena, void *body, const void *unused)
{
	(void)arena;
	(void)body;
	(void)unused;
	return 0;
}

static int drop(struct prusik_arena *arena, void *body)
{
	struct prusik_list l = view_of(arena, body);
	int r = prk_heap_lock(&l.view);

	if (r < 0)
		return r;
	prk_store32_rlx(&l.body->arranging, 0);
	prk_barrier();
	r = prk_list_free_sequence(&l);
	for (uint32_t half = 0; half < 2 && r == 0; half++)
		do
			r = prk_list_sweep(&l, half);
		while (r > 0);
	prk_heap_unlock(&l.view);
	return r;
}

static const struct prk_sort sort = {
	.noun = "list",
	.magic = PRK_LIST_MAGIC,
	.version = PRK_LIST_VERSION,
	.signature = (uint32_t)(sizeof(struct prk_list_body) << 16 ^ sizeof(struct prk_heap) << 4 ^ PRK_HEAP_CLASSES),
	.bytes = sizeof(struct prk_list_body),
	.set_up = set_up,
	.drop = drop,
	.handle_bytes = sizeof(struct prusik_list),
	.look = look,
};

int prusik_list_destroy(struct prusik_arena *arena, uint64_t *link)
{
	return prk_made_destroy(&sort, arena, link);
}

int prusik_list_create(struct prusik_arena *arena, const char *name, const struct prusik_list_options *options,
		       struct prusik_list **ret_list)
{
	uint64_t room = options ? options->room : 0;

	return prk_handle_create(&sort, arena, name, room, sort.bytes, NULL, ret_list);
}

int prusik_list_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_list_options *options,
			  struct prusik_list **ret_list)
{
	(void)options;
	return prk_handle_create_at(&sort, arena, link, sort.bytes, NULL, ret_list);
}

/* ---- opening ---- */

int prusik_list_at(struct prusik_arena *arena, uint64_t reference, struct prusik_list **ret_list)
{
	return prk_handle_at(&sort, arena, reference, NULL, ret_list);
}

int prusik_list_open(struct prusik_arena *arena, const char *name, struct prusik_list **ret_list)
{
	return prk_handle_open(&sort, arena, name, NULL, ret_list);
}

int prusik_list_open_named(const char *name, const struct prusik_list_options *options, struct prusik_list **ret_list)
{
	struct prusik_list_options o = { 0 };

	if (options)
		o = *options;
	return prk_handle_open_named(&sort, name, o.flags, o.room, sort.bytes, NULL, ret_list);
}

uint64_t prusik_list_reference(const struct prusik_list *list)
{
	return list ? prk_made_reference(list->view.arena, list->body) : 0;
}

void prusik_list_free(struct prusik_list *list)
{
	if (list)
		prk_handle_free(list, &list->home);
}

/* ---- checking ---- */

struct count {
	uint64_t items, objects;
};

static bool leaf_valid(const struct prusik_list *l, const struct prk_list_node *leaf, struct count *c)
{
	uint64_t length;

	for (uint32_t i = 0; i < prk_order_count(leaf->order); i++) {
		uint32_t place = prk_order_place(leaf->order, i);
		if (place >= PRK_LIST_PLACES || !prk_list_item(l, leaf->place[place], &length))
			return false;
		c->items++;
		c->objects++;
	}
	return true;
}

static bool node_valid(const struct prusik_list *l, uint64_t offset, uint32_t level, struct count *c)
{
	const struct prk_list_node *node = prk_list_node(l, offset);
	uint32_t used = 0;

	if (!node || prk_list_level(node) != level)
		return false;
	c->objects++;
	for (uint32_t i = 0; i < prk_order_count(node->order); i++) {
		uint32_t place = prk_order_place(node->order, i);
		if (used & 1u << place) /* N1 */
			return false;
		used |= 1u << place;
	}
	if (level == 0)
		return leaf_valid(l, node, c);
	for (uint32_t i = 0; i < prk_order_count(node->order); i++) {
		uint32_t place = prk_order_place(node->order, i);
		uint64_t before = c->items;
		if (place >= PRK_LIST_PLACES || !node_valid(l, node->place[place], level - 1, c) ||
		    c->items - before != node->count[place] || c->items == before) /* N2 */
			return false;
	}
	return prk_order_count(node->order) > 0;
}

static bool valid_locked(struct prusik_list *l, struct prk_list_tally *tally)
{
	const struct prk_list_half *half = prk_list_half(l);
	const struct prk_list_half *other = &l->body->halves[half == &l->body->halves[0]];
	const struct prk_list_node *root = half->root ? prk_list_node(l, half->root) : NULL;
	struct prk_heap_tally mine, others;
	struct count c = { 0 };

	if (half->root && (!root || !node_valid(l, half->root, prk_list_level(root), &c)))
		return false;
	if (!prk_heap_count(&l->view, &half->shelf, &mine) || !prk_heap_count(&l->view, &other->shelf, &others))
		return false;
	tally->blocks = 1 + mine.pages + others.pages;
	tally->items = c.items;
	return mine.objects == c.objects && c.items == half->items && l->body->version % 2 == 0 &&
	       l->body->dropped == 0 && l->body->sequence == 0 && l->body->arranging == 0 &&
	       (l->body->litter || others.pages == 0);
}

bool prk_list_valid(struct prusik_list *l, struct prk_list_tally *ret_tally)
{
	*ret_tally = (struct prk_list_tally){ 0 };
	if (prk_list_lock(l) < 0)
		return false;
	bool valid = valid_locked(l, ret_tally);
	prk_list_unlock(l, 0);
	return valid;
}
