/* SPDX-License-Identifier: MIT */
/*
 * queue: those that were given up
 *
 * The dead are parked nodes in no order; who wants them in the order of putting
 * looks for the one with the lowest number. There should be few.
 */
#include "base/life.h"
#include "data/queue.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Under get_lock: where the dead item with the lowest number from this one on is; false: there is none. */
static bool find_dead(const struct prusik_queue *q, uint64_t from, uint32_t *ret_position)
{
	uint32_t gets = prk_queue_cursors(q->body->cursors).gets, parked = q->body->parked;
	uint64_t best = UINT64_MAX;

	if (q->body->dead == 0 || parked > q->mask + 1)
		return false;
	for (uint32_t p = gets - parked; p != gets; p++) {
		const struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, p));
		if (node->state != PRK_NODE_DEAD || node->number < from || node->number >= best)
			continue;
		best = node->number;
		*ret_position = p;
	}
	return best != UINT64_MAX;
}

static int64_t copy_out(const struct prusik_queue *q, const struct prk_node *node, void *buffer, uint64_t capacity)
{
	if (node->length > capacity || node->length > q->item_max)
		return -EMSGSIZE;
	if (node->length)
		memcpy(buffer, node + 1, node->length);
	return node->length;
}

int64_t prusik_queue_dead_peek(struct prusik_queue *queue, uint64_t *number, void *buffer, uint64_t capacity,
			       uint32_t *ret_attempts)
{
	uint32_t position;

	if (!queue || !number || (!buffer && capacity))
		return -EINVAL;
	int64_t r = prk_queue_lock_gets(queue);
	if (r < 0)
		return r;
	r = -ETIMEDOUT;
	if (find_dead(queue, *number, &position)) {
		const struct prk_node *node = prk_queue_node(queue, prk_queue_node_at(queue, position));
		r = copy_out(queue, node, buffer, capacity);
		if (r >= 0 && ret_attempts)
			*ret_attempts = node->failures;
		if (r >= 0)
			*number = node->number + 1;
	}
	prk_queue_unlock_gets(queue);
	return r;
}

/* It is lent to us and done at once: killed between, its lease returns, and it dies again or not. */
static void take_away(struct prusik_queue *q, uint32_t position)
{
	prk_queue_lend_parked(q, position);
	prk_queue_release_cell(q, prk_queue_leased_end(q) - 1);
	prk_self()->held--;
	prk_queue_gone(q, 1);
}

int64_t prusik_queue_dead_get(struct prusik_queue *queue, void *buffer, uint64_t capacity)
{
	uint32_t position;

	if (!queue || (!buffer && capacity))
		return -EINVAL;
	int64_t r = prk_queue_lock_gets(queue);
	if (r < 0)
		return r;
	r = -ETIMEDOUT;
	if (find_dead(queue, 0, &position)) {
		r = copy_out(queue, prk_queue_node(queue, prk_queue_node_at(queue, position)), buffer, capacity);
		if (r >= 0)
			take_away(queue, position);
	}
	prk_queue_unlock_gets(queue);
	return r;
}

int64_t prusik_queue_dead_requeue(struct prusik_queue *queue, uint64_t count)
{
	uint32_t position;
	int64_t done = 0;

	if (!queue)
		return -EINVAL;
	int r = prk_queue_lock_gets(queue);
	if (r < 0)
		return r;
	prk_queue_sort_in(queue, 0); /* so that the index can be trusted */
	while ((uint64_t)done < count && find_dead(queue, 0, &position)) {
		prk_queue_revive(queue, position);
		done++;
	}
	prk_queue_unlock_gets(queue);
	if (done > 0)
		prk_queue_wake_takers(queue, INT_MAX);
	return done;
}
