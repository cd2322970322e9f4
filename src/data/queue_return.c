/* SPDX-License-Identifier: MIT */
/*
 * queue: how the leases of the dead return to the front of the line
 *
 * All under get_lock, in steps of which each leaves a whole queue behind: first
 * the dead's leases are brought together at the end of the leased part, then put
 * in the order of their numbers, then given back one by one, the last one first.
 * Killed anywhere in between, the next one begins again with what is left. Leases
 * whose time is over go the same way; reservations of the dead become free at once.
 */
#include "base/ghost.h"
#include "base/life.h"
#include "data/queue.h"

#include <prusik/common.h>

static struct prk_node *node_at(const struct prusik_queue *q, uint32_t position)
{
	return prk_queue_node(q, prk_queue_node_at(q, position));
}

/* The part of the leased ones that is looked at. */
struct look {
	uint32_t begin, end;
	int64_t now; /* 0: no lease ends by time */
	int64_t limit; /* when the next of those that remain ends by time; 0: none does */
	bool others; /* leases remain that are not the caller's */
};

static bool lost(const struct prusik_queue *q, const struct prk_node *node, int64_t now)
{
	if (now && node->due && node->due <= now && node->state != PRK_NODE_RESERVED)
		return true;
	return node->owner != PRK_QUEUE_NOBODY && (prk_dead(node->owner) || prk_ghost(q->body, node->owner));
}

static void remains(struct look *look, const struct prk_node *node)
{
	if (node->state == PRK_NODE_RESERVED)
		return;
	look->others |= node->owner != prk_self()->id;
	if (node->due && node->due != PRUSIK_FOREVER && (look->limit == 0 || node->due < look->limit))
		look->limit = node->due;
}

/* Bring what is lost to the end of the leased part; where it begins then. */
static uint32_t gather(struct prusik_queue *q, struct look *look)
{
	uint32_t p = look->begin, end = look->end;

	while (p != end) {
		struct prk_node *node = node_at(q, p);
		if (!lost(q, node, look->now)) {
			remains(look, node);
			p++;
		} else if (node->state == PRK_NODE_RESERVED) {
			prk_queue_release_cell(q, p++); /* what comes here instead was looked at before */
			prk_queue_gone(q, 1);
		} else {
			prk_queue_swap_now(q, p, --end);
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
				prk_queue_swap_now(q, a, b);
			}
}

/* The last leased item is the first ready one again. Nothing is parked between. */
static void step_back(struct prusik_queue *q, uint32_t failures)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);
	struct prk_node *node = node_at(q, c.gets - 1);

	prk_undo_set32(&b->undo, &node->failures, failures);
	if (node->due)
		prk_undo_set64(&b->undo, (uint64_t *)&node->due, 0); /* it was the lease's, not the item's */
	c.gets--;
	prk_undo_set64(&b->undo, &b->cursors, prk_queue_cursors_word(c));
	prk_undo_commit(&b->undo);
}

void prk_queue_put_back_last(struct prusik_queue *q, uint32_t failures)
{
	if (q->kind == PRUSIK_QUEUE_FIFO && q->body->parked == 0)
		step_back(q, failures);
	else
		prk_queue_park_last(q, PRK_NODE_ORDERED, failures, 0);
}

void prk_queue_give_back_last(struct prusik_queue *q, uint32_t failures)
{
	uint32_t max = q->body->attempts_max;

	if (max && failures >= max)
		prk_queue_park_last(q, PRK_NODE_DEAD, failures, 0);
	else
		prk_queue_put_back_last(q, failures);
}

/* Counted before: killed between, it is counted once too often, and the item not lost. */
static void give_back_all(struct prusik_queue *q, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t last = prk_queue_leased_end(q) - 1;
		q->body->returned++;
		prk_queue_give_back_last(q, node_at(q, last)->failures + 1);
	}
}

uint32_t prk_queue_return_dead(struct prusik_queue *q, bool *ret_others)
{
	struct prk_queue_body *b = q->body;
	struct look look = { .begin = prk_queue_cursors(b->cursors).frees, .end = prk_queue_leased_end(q) };
	uint32_t leased = look.end - look.begin;

	*ret_others = false;
	if (leased == 0 || leased > q->mask + 1) {
		b->limit = 0;
		return 0;
	}
	look.now = b->limit ? prusik_now() : 0;
	uint32_t first = gather(q, &look), count = prk_queue_leased_end(q) - first;
	sort(q, first, count);
	give_back_all(q, count);
	b->limit = look.limit;
	if (b->dead > 0)
		prk_queue_gone(q, 0); /* perhaps what was given back was the last, and is dead */
	*ret_others = look.others;
	return count;
}
