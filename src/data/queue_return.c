/* SPDX-License-Identifier: MIT */
/*
 * queue: how the leases of the dead return to the front of the line
 *
 * All under get_lock, in steps of which each leaves a whole queue behind: first
 * the dead's leases are brought together at the end of the leased part, then put
 * in the order of their numbers, then the cursor goes back over them one by one.
 * Killed anywhere in between, the next one begins again with what is left.
 */
#include "base/ghost.h"
#include "base/life.h"
#include "data/queue.h"

static struct prk_node *node_at(const struct prusik_queue *q, uint32_t position)
{
	return prk_queue_node(q, prk_queue_node_at(q, position));
}

static void swap_cells(struct prusik_queue *q, uint32_t a, uint32_t b)
{
	prk_queue_swap(q, a, b);
	prk_undo_commit(&q->body->undo);
}

/* Bring the dead's leases to the end of [begin, end); where they begin then. */
static uint32_t gather(struct prusik_queue *q, uint32_t begin, uint32_t end, bool *ret_others)
{
	uint32_t me = prk_self()->id, p = begin;

	*ret_others = false;
	while (p != end) {
		uint32_t owner = node_at(q, p)->owner;
		if (prk_dead(owner) || prk_ghost(q->body, owner)) {
			swap_cells(q, p, --end);
		} else {
			*ret_others |= owner != me;
			p++;
		}
	}
	return p;
}

/* Shell sort (Shell 1959, gaps of Ciura 2001) of count cells by item number: swaps are all it needs. */
static void sort(struct prusik_queue *q, uint32_t begin, uint32_t count)
{
	static const uint32_t gaps[] = { 1636411, 363647, 80811, 17958, 3991, 887, 701, 301, 132, 57, 23, 10, 4, 1 };

	for (unsigned int g = 0; g < sizeof gaps / sizeof gaps[0]; g++)
		for (uint32_t i = gaps[g]; i < count; i++)
			for (uint32_t j = i; j >= gaps[g]; j -= gaps[g]) {
				uint32_t a = begin + j - gaps[g], b = begin + j;
				if (node_at(q, a)->number <= node_at(q, b)->number)
					break;
				swap_cells(q, a, b);
			}
}

/* The last leased item is the first ready one again. */
static void step_back(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);
	struct prk_node *node = node_at(q, c.gets - 1);

	prk_undo_set32(&b->undo, &node->failures, node->failures + 1);
	prk_undo_set64(&b->undo, &b->returned, b->returned + 1);
	c.gets--;
	prk_undo_set64(&b->undo, &b->cursors, prk_queue_cursors_word(c));
	prk_undo_commit(&b->undo);
}

bool prk_queue_oldest_died(const struct prusik_queue *q)
{
	struct prk_cursors c = prk_queue_cursors(q->body->cursors);

	return c.gets != c.frees && prk_dead(node_at(q, c.frees)->owner);
}

uint32_t prk_queue_return_dead(struct prusik_queue *q, bool *ret_others)
{
	struct prk_cursors c = prk_queue_cursors(q->body->cursors);
	uint32_t leased = c.gets - c.frees;

	*ret_others = false;
	if (leased == 0 || leased > q->mask + 1)
		return 0;
	uint32_t first = gather(q, c.frees, c.gets, ret_others), count = c.gets - first;
	sort(q, first, count);
	for (uint32_t i = 0; i < count; i++)
		step_back(q);
	return count;
}
