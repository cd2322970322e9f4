/* SPDX-License-Identifier: MIT */
/* list: making, opening, destroying, checking */
#include "base/sys.h"
#include "base/life.h"
#include "data/list.h"

#include <errno.h>

#define ROOM_DEFAULT (UINT64_C(64) << 30)
#define NAMED_ROOM (UINT64_C(64) << 10)

_Static_assert(offsetof(struct prk_list_body, version) == 64, "what readers need has a line of its own");
_Static_assert(PRK_LEAF_BYTES == 136 && PRK_NODE_BYTES == 256 && sizeof(struct prk_list_item) == 16, "shared layout");

static struct prusik_list view_of(struct prusik_arena *arena, struct prk_list_body *body)
{
	return (struct prusik_list){ .view = { &body->heap, arena }, .body = body };
}

static int make_handle(struct prusik_arena *arena, struct prk_list_body *body, bool own_arena,
		       struct prusik_list **ret_list)
{
	struct prusik_list *l = prk_sys_calloc(sizeof *l);

	if (l) {
		*l = view_of(arena, body);
		l->own_arena = own_arena;
		*ret_list = l;
	} else if (own_arena) {
		prusik_arena_close(arena);
	}
	return l ? 0 : -ENOMEM;
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
	r = 0;
	for (uint32_t half = 0; half < 2 && r == 0; half++)
		do
			r = prk_list_sweep(&l, half);
		while (r > 0);
	prk_heap_unlock(&l.view);
	return r;
}

static const struct prk_sort sort = {
	.magic = PRK_LIST_MAGIC,
	.version = PRK_LIST_VERSION,
	.signature = (uint32_t)(sizeof(struct prk_list_body) << 16 ^ sizeof(struct prk_heap) << 4 ^ PRK_HEAP_CLASSES),
	.bytes = sizeof(struct prk_list_body),
	.set_up = set_up,
	.drop = drop,
};

int prusik_list_destroy(struct prusik_arena *arena, uint64_t *link)
{
	return prk_made_destroy(&sort, arena, link);
}

static int make_private(uint64_t room, struct prusik_list **ret_list)
{
	struct prusik_arena *arena;
	void *body;
	int r = prk_joined();

	if (r == 0)
		r = prk_arena_private(room ? room : ROOM_DEFAULT, &arena);
	if (r < 0)
		return r;
	r = prk_made_create_named(&sort, arena, "list", sort.bytes, NULL, &body);
	if (r == 0)
		return make_handle(arena, body, true, ret_list);
	prusik_arena_close(arena);
	return r;
}

int prusik_list_create(struct prusik_arena *arena, const char *name, const struct prusik_list_options *options,
		       struct prusik_list **ret_list)
{
	void *body;

	if (!ret_list || !arena != !name)
		return -EINVAL;
	if (!arena)
		return make_private(options ? options->room : 0, ret_list);
	int r = prk_made_create_named(&sort, arena, name, sort.bytes, NULL, &body);
	return r < 0 ? r : make_handle(arena, body, false, ret_list);
}

int prusik_list_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_list_options *options,
			  struct prusik_list **ret_list)
{
	void *body;

	(void)options;
	if (!ret_list)
		return -EINVAL;
	int r = prk_made_create(&sort, arena, link, sort.bytes, NULL, &body);
	return r < 0 ? r : make_handle(arena, body, false, ret_list);
}

int prusik_list_at(struct prusik_arena *arena, uint64_t reference, struct prusik_list **ret_list)
{
	void *body;
	int r = ret_list ? prk_made_at(&sort, arena, reference, &body, NULL) : -EINVAL;

	return r < 0 ? r : make_handle(arena, body, false, ret_list);
}

int prusik_list_open(struct prusik_arena *arena, const char *name, struct prusik_list **ret_list)
{
	void *body;
	int r = ret_list ? prk_made_open(&sort, arena, name, &body, NULL) : -EINVAL;

	return r < 0 ? r : make_handle(arena, body, false, ret_list);
}

int prusik_list_open_named(const char *name, const struct prusik_list_options *options,
			   struct prusik_list **ret_list)
{
	struct prusik_list_options o = { 0 };
	struct prusik_arena *arena;
	void *body;

	if (options)
		o = *options;
	if (!ret_list)
		return -EINVAL;
	int r = prk_made_join(&sort, name, "list", o.flags, o.room ? o.room : NAMED_ROOM, sort.bytes, NULL, &arena,
			      &body, NULL);
	return r < 0 ? r : make_handle(arena, body, true, ret_list);
}

uint64_t prusik_list_reference(const struct prusik_list *list)
{
	return list ? prk_made_reference(list->view.arena, list->body) : 0;
}

void prusik_list_free(struct prusik_list *list)
{
	if (!list)
		return;
	if (list->own_arena)
		prusik_arena_close(list->view.arena);
	prk_sys_free(list);
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
	       l->body->dropped == 0 && (l->body->litter || others.pages == 0);
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
