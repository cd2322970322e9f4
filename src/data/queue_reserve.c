/* SPDX-License-Identifier: MIT */
/*
 * queue: items that are written where they will lie
 *
 * A reservation is a free node in the leased part of the ring, lent to a putter: it
 * takes room and has an owner, so it comes back when he dies, and other putters do
 * not see it. Reserving takes the free node before the first leased one, so it is one
 * store, frees - 1; committing moves three cells. Both hold both locks.
 */
#include "base/life.h"
#include "data/queue.h"

#include <errno.h>
#include <prusik/common.h>

/* In a reservation's number, where items have theirs. */
#define RESERVED_NUMBER UINT64_C(0x8000000000000000)

/* Under both locks, there is room: lend the last free node to the caller. */
static struct prk_node *lend_free(struct prusik_queue *q, uint64_t length, uint32_t *ret_number)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);
	struct prk_self *self = prk_self();
	uint32_t position = --c.frees, number = prk_queue_node_at(q, position);
	struct prk_node *node = prk_queue_node(q, number);

	self->held++;
	node->number = RESERVED_NUMBER | ++b->tickets;
	node->due = 0;
	node->length = (uint32_t)length;
	node->owner = self->id;
	node->position = position;
	node->state = PRK_NODE_RESERVED;
	b->frees_seen = c.frees; /* before frees: too low does no harm, too high would */
	prk_store64_rel(&b->cursors, prk_queue_cursors_word(c)); /* Q-R, rel [queue.cursors] */
	*ret_number = number;
	return node;
}

bool prk_queue_reclaim(struct prusik_queue *q)
{
	bool others;

	if (prk_load64_rlx(&q->body->tickets) == 0 || prk_queue_lock_gets(q) < 0)
		return false;
	prk_queue_return_dead(q, &others);
	prk_queue_unlock_gets(q);
	return prusik_queue_is_full(q) == 0;
}

/* 0, -EAGAIN: full, -EPIPE: closed. */
static int try_reserve(struct prusik_queue *q, uint64_t length, struct prusik_reservation *ret)
{
	int r = prk_queue_lock_both(q);

	if (r < 0)
		return r;
	if (prk_queue_closed(q)) {
		r = -EPIPE;
	} else if (prk_queue_room(q) == 0) {
		r = -EAGAIN;
	} else {
		struct prk_node *node = lend_free(q, length, &ret->node);
		ret->data = node + 1;
		ret->length = length;
		ret->ticket = node->number;
	}
	prk_queue_unlock_both(q);
	return r;
}

/* The same; what the dead have reserved is room. */
static int reserve_once(struct prusik_queue *q, uint64_t length, struct prusik_reservation *ret)
{
	int r = try_reserve(q, length, ret);

	return r == -EAGAIN && prk_queue_reclaim(q) ? try_reserve(q, length, ret) : r;
}

int prusik_queue_reserve(struct prusik_queue *queue, uint64_t length, struct prusik_reservation *ret_reservation,
			 int64_t deadline)
{
	if (!queue || !ret_reservation)
		return -EINVAL;
	if (length > queue->item_max)
		return -EMSGSIZE;
	int r = reserve_once(queue, length, ret_reservation);
	while (r == -EAGAIN && deadline != PRUSIK_NOW) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_acq(&queue->body->emptied); /* acq [queue.emptied] */
		r = reserve_once(queue, length, ret_reservation);
		if (r != -EAGAIN)
			break;
		int w = prk_queue_wait_for_room(queue, seen, epoch, deadline);
		if (w < 0)
			return w;
	}
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* Where the node of that reservation is, or why it cannot be used. */
static int64_t find_reserved(const struct prusik_queue *q, const struct prusik_reservation *reservation)
{
	uint32_t number = reservation->node & q->mask, position;
	const struct prk_node *node = prk_queue_node(q, number);

	if (!prk_queue_find_leased(q, number, &position) || node->number != reservation->ticket ||
	    node->state != PRK_NODE_RESERVED)
		return -ESTALE;
	return node->owner == prk_self()->id ? (int64_t)position : -EPERM;
}

/* Under both locks: the node at position goes to the end of the line, the free one there to the free part. */
static void enqueue(struct prusik_queue *q, uint32_t position)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);

	prk_queue_swap(q, position, c.frees);
	prk_queue_swap(q, c.frees, (uint32_t)b->puts);
	c.frees++;
	prk_undo_set64(&b->undo, &b->cursors, prk_queue_cursors_word(c));
	prk_undo_set64(&b->undo, &b->puts, b->puts + 1);
	prk_undo_commit(&b->undo);
}

static void commit(struct prusik_queue *q, uint32_t position, uint64_t length,
		   const struct prusik_queue_put_options *options)
{
	struct prk_queue_body *b = q->body;
	struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, position));

	/* Killed before the change: a dead one's reservation, whatever it says. */
	node->number = b->puts;
	node->length = (uint32_t)length;
	node->failures = 0;
	node->due = options ? options->not_before : 0;
	node->priority = options ? options->priority : 0;
	if (node->due > 0)
		prk_store32_rlx(&b->delays, 1);
	enqueue(q, position);
	prk_self()->held--;
	prk_queue_wake_if(&b->getters, &b->filled, 1);
}

int prusik_queue_commit(struct prusik_queue *queue, const struct prusik_reservation *reservation, uint64_t length,
			const struct prusik_queue_put_options *options)
{
	if (!queue || !reservation)
		return -EINVAL;
	if (length > reservation->length || length > queue->item_max)
		return -EMSGSIZE;
	int r = prk_queue_lock_both(queue);
	if (r < 0)
		return r;
	int64_t position = find_reserved(queue, reservation);
	if (position < 0)
		r = (int)position;
	else if (prk_queue_closed(queue))
		r = -EPIPE;
	else
		commit(queue, (uint32_t)position, length, options);
	prk_queue_unlock_both(queue);
	return r;
}

int prusik_queue_abandon(struct prusik_queue *queue, const struct prusik_reservation *reservation)
{
	if (!queue || !reservation)
		return -EINVAL;
	int r = prk_queue_lock_gets(queue);
	if (r < 0)
		return r;
	int64_t position = find_reserved(queue, reservation);
	if (position >= 0) {
		prk_queue_release_cell(queue, (uint32_t)position);
		prk_self()->held--;
		prk_queue_gone(queue, 1);
	}
	prk_queue_unlock_gets(queue);
	return position < 0 ? (int)position : 0;
}
