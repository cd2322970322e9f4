/* SPDX-License-Identifier: MIT */
/*
 * list - a tree of counted nodes, whose order is one word each
 *
 * The leaves name the items, the nodes above name nodes and how many items lie below
 * each. A node has 15 places in no order; its order is a word of 16 nibbles: how many
 * are in use, then which come first, second and so on, after Mao, Kohler and Morris,
 * "Cache craftiness" (2012). So putting something into a node, or taking it out, is
 * one store to that word, and what a change has to write down for undoing is bounded
 * by the height.
 *
 * Full nodes are split on the way down to where an item goes, neighbours that fill one
 * together are merged after one is taken out: each a step of its own, which changes
 * no item's position.
 *
 * Sorting and reversing change where every item is, which is more than a log holds. The
 * items stay where they lie, and the nodes too: a block of the arena is filled with the
 * items' offsets as they are to come (sequence), one store decides that it is so, and then
 * the leaves are made so, forward only, by the next holder of the lock if need be. The other
 * way, a second tree in the other half, would want every item copied, since the objects of
 * a half go with its pages: twice the memory, to change nothing but an order.
 */
#ifndef PRK_DATA_LIST_H
#define PRK_DATA_LIST_H

#include "data/heap.h"
#include "data/made.h"

#include <prusik/list.h>

#define PRK_LIST_MAGIC UINT64_C(0x7473696c73757270) /* "pruslist" */
#define PRK_LIST_VERSION 2u

#define PRK_LIST_PLACES 15u
/* 7^14 items at the least. */
#define PRK_LIST_LEVELS 14u

/*
 * struct prk_list_node - 144 bytes, a leaf; with counts, 256 bytes
 *
 * WORD     word: bits 19..16 the level, 0 = a leaf | 15..0 heap.h. order: bits 3..0 how
 *          many places are in use | 7..4 the first one's number, and so on. place:
 *          offset of an item or a node. count: items below the node in that place.
 * WRITES   the holder of the list's lock; order and counts in use through the undo log
 * ALWAYS   N1 the nibbles in use are different, and there is one at least, but in a root that is a leaf
 *          N2 a node in place i has one level less, and count[i] items below it
 * MAY LIE  places not in use hold anything
 * KILLED   the undo log puts everything back (undo.h)
 */
struct prk_list_node {
	uint64_t word;
	uint64_t order;
	uint64_t place[PRK_LIST_PLACES];
	uint64_t count[]; /* PRK_LIST_PLACES of them, not in a leaf */
};

#define PRK_LEAF_BYTES sizeof(struct prk_list_node)
#define PRK_NODE_BYTES (sizeof(struct prk_list_node) + PRK_LIST_PLACES * sizeof(uint64_t))

/*
 * struct prk_list_item - an item; its bytes follow, padded to 8 with zeros
 *
 * WORD     word: bits 15..0 heap.h. length: in bytes.
 * WRITES   who makes it
 * ALWAYS   fixed while a leaf names it
 * MAY LIE  an object that is free holds anything
 * KILLED   before a leaf names it: its object is free
 */
struct prk_list_item {
	uint64_t word;
	uint64_t length;
	uint64_t data[];
};

/*
 * struct prk_list_half - a tree and its memory; the other one of a list is what a clear left
 *
 * WORD     root: a node, 0 = empty. items: how many.
 * WRITES   the holder of the lock, through the undo log
 * ALWAYS   items is what the tree has
 * MAY LIE  in the half that is not the list's anything but the shelf
 * KILLED   the undo log
 */
struct prk_list_half {
	uint64_t root;
	uint64_t items;
	struct prk_shelf shelf;
};

/*
 * struct prk_list_body - the shared part; in an arena, at any address
 *
 * WORD     version: odd = a change is under way. half: which is the list. litter: 1 =
 *          the other one may have memory. dropped: a node cut off, with one node below it
 *          at most, and so on down to a leaf with one item or none; 0 = none. sequence:
 *          a block of items' offsets, 0 = none. arranging: 1 = the leaves are to name
 *          the items in the order of sequence.
 * WRITES   made: made.h. sequence: as a link (arena.h). The rest: the holder of the lock.
 * ALWAYS   L1 version is even => the tree is whole, and its items are those of one moment
 *          L2 arranging is 1 => sequence has each item of the tree once
 * MAY LIE  litter without cause; sequence's bytes while arranging is 0
 * KILLED   with version odd: readers take the lock, whose next holder rolls back
 *          and makes it even (L-E). Nobody has seen anything since it became odd (L-O),
 *          so what is undone nobody knows of. With something dropped: he gives it back.
 *          Clear: one store of half (L-C). Sort and reverse: before arranging is 1 (L-A)
 *          the old order is so, and the next holder frees sequence. From there on the new
 *          one is: he writes it to the leaves again, from the first one on, whatever has
 *          been written; then arranging is 0 (L-D), and version becomes even.
 */
struct prk_list_body {
	struct prk_made made;

	/* 64 */
	uint64_t version;
	uint32_t half;
	uint32_t litter;
	uint64_t dropped;
	uint64_t sequence;
	uint32_t arranging;
	uint32_t reserved;
	struct prk_heap heap;
	struct prk_list_half halves[2];
};

/* This process's view. */
struct prusik_list {
	struct prk_heap_view view;
	struct prk_list_body *body;
	struct prk_home home;
};

static inline struct prk_list_half *prk_list_half(const struct prusik_list *l)
{
	return &l->body->halves[prk_load32_acq(&l->body->half) & 1]; /* acq [list.half] */
}

/* ---- positions; any bytes may be in items ---- */

/* Counted from the beginning; UINT64_MAX: it is before that. */
static inline uint64_t prk_list_number(int64_t position, uint64_t items)
{
	uint64_t back = -(uint64_t)position;

	if (position >= 0)
		return (uint64_t)position;
	return back <= items ? items - back : UINT64_MAX;
}

/* The same, from 0 to items: what is before or behind is cut. */
static inline uint64_t prk_list_cut(int64_t position, uint64_t items)
{
	uint64_t number = prk_list_number(position, items);

	if (number < items)
		return number;
	return position < 0 ? 0 : items;
}

/* ---- orders ---- */

static inline uint32_t prk_order_count(uint64_t order)
{
	return order & 15;
}

/* Which place comes at that position; one that there is not where none can. */
static inline uint32_t prk_order_place(uint64_t order, uint32_t position)
{
	return position < PRK_LIST_PLACES ? order >> (4 + 4 * position) & 15 : PRK_LIST_PLACES;
}

/* The order with that place put in at a position; there are fewer than 15. */
static inline uint64_t prk_order_insert(uint64_t order, uint32_t position, uint64_t place)
{
	uint64_t below = (UINT64_C(16) << 4 * (position & 15)) - 1;

	if (position >= PRK_LIST_PLACES)
		return order; /* only with corrupt bytes */
	return ((order & below) | (order & ~below) << 4 | place << (4 + 4 * position)) + 1;
}

/* The order without the one at that position. */
static inline uint64_t prk_order_remove(uint64_t order, uint32_t position)
{
	uint64_t below = (UINT64_C(16) << 4 * (position & 15)) - 1;

	return ((order & below) | (order >> 4 & ~below)) - 1;
}

/* A place that is not in use. */
static inline uint32_t prk_order_free(uint64_t order)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < prk_order_count(order); i++)
		used |= 1u << prk_order_place(order, i);
	return (uint32_t)__builtin_ctz(~used);
}

/* ---- list_look.c ---- */

/* The way from the root to a leaf. */
struct prk_list_path {
	struct prk_list_node *node[PRK_LIST_LEVELS]; /* by level; [0] is the leaf */
	uint32_t position[PRK_LIST_LEVELS]; /* in it */
	uint32_t levels; /* 0: the list is empty */
};

/* The node at that offset, of that level at most; NULL: none can be. It may be gone. */
struct prk_list_node *prk_list_node(const struct prusik_list *l, uint64_t offset);

static inline uint32_t prk_list_level(const struct prk_list_node *node)
{
	return prk_peek64(&node->word) >> 16 & 15;
}

/* The item at that offset; *ret_length is its length, with which it lies within bounds. NULL: none can be. */
struct prk_list_item *prk_list_item(const struct prusik_list *l, uint64_t offset, uint64_t *ret_length);

/* To the item of that number, which exists, or to behind the last one. 0, -EPROTO. */
int prk_list_find(const struct prusik_list *l, const struct prk_list_half *half, uint64_t number,
		  struct prk_list_path *ret_path);

/* To the item of that number from the one before it, or, with levels 0, from anywhere. 0, -EPROTO. */
int prk_list_step(const struct prusik_list *l, const struct prk_list_half *half, uint64_t number,
		  struct prk_list_path *path);

/* The item that the path leads to; NULL: none can be. */
struct prk_list_item *prk_list_item_on(const struct prusik_list *l, const struct prk_list_path *path,
				       uint64_t *ret_length);

/* The first from begin on that equals these bytes; -ENOENT, -EPROTO. */
int64_t prk_list_search(const struct prusik_list *l, const struct prk_list_half *half, const void *data,
			uint64_t length, uint64_t begin);

/* ---- list.c ---- */

int prk_list_lock(struct prusik_list *l) PRUSIK_MUST_USE;
/* Returns result. */
int prk_list_unlock(struct prusik_list *l, int result);
/* Throw away what a clear has left. 1: there may be more; 0; -EPROTO. */
int prk_list_sweep(struct prusik_list *l, uint32_t half);

/* ---- list_sort.c ---- */

/* arranging is 1: make it so. The lock is held. 0; -EPROTO, and arranging stays. */
int prk_list_arrange(struct prusik_list *l);
/* Give sequence back, if there is one. 0, -EPROTO. */
int prk_list_free_sequence(struct prusik_list *l);

/* ---- list_open.c ---- */

struct prk_list_tally {
	uint64_t blocks, items;
};
/* Is every ALWAYS so? And how many blocks of the arena are the list's. */
bool prk_list_valid(struct prusik_list *l, struct prk_list_tally *ret_tally);

#endif
