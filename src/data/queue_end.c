/* SPDX-License-Identifier: MIT */
/* queue: closing it, waiting for the end of its work, and producers whose end closes it */
#include "base/ghost.h"
#include "base/life.h"
#include "base/wait.h"
#include "data/queue.h"

#include <errno.h>
#include <limits.h>
#include <prusik/common.h>

/* ---- join ---- */

/* Is anybody working on an item? */
static bool any_leased(const struct prusik_queue *q)
{
	uint32_t p = prk_queue_cursors(q->body->cursors).frees, end = prk_queue_leased_end(q);

	if (end - p > q->mask + 1)
		return false; /* corrupt memory */
	for (; p != end; p++)
		if (prk_queue_node(q, prk_queue_node_at(q, p))->state == PRK_NODE_LEASED)
			return true;
	return false;
}

bool prk_queue_finished(struct prusik_queue *q)
{
	const struct prk_queue_body *b = q->body;
	bool discarded = prk_queue_discarded(q);

	if (!discarded && (prk_queue_ready(q) > 0 || b->ordered > 0 || b->delayed > 0))
		return false;
	return !any_leased(q);
}

void prk_queue_gone_slow(struct prusik_queue *q, uint32_t count)
{
	struct prk_queue_body *b = q->body;

	if (count)
		prk_queue_wake_if(&b->putters, &b->emptied, count);
	if (b->joiners && prk_queue_finished(q))
		prk_queue_wake(&b->joiners, &b->idle, INT_MAX);
}

/* What a joiner who must wait sleeps on, and until when. */
struct rest {
	uint32_t seen;
	int64_t again;
};

/*
 * 1: all is finished; 0: *ret_rest is filled. Leases that have ended in a queue that is
 * discarded are given back here, as no taker may ever come: there they are nobody's work.
 */
static int look_or_register(struct prusik_queue *q, struct rest *ret_rest)
{
	int r = prk_queue_lock_gets(q);
	bool others, discarded = prk_queue_discarded(q);

	if (r < 0)
		return r;
	if (discarded)
		prk_queue_return_dead(q, &others);
	bool finished = prk_queue_finished(q);
	if (!finished)
		q->body->joiners = 1;
	ret_rest->seen = q->body->idle;
	ret_rest->again = discarded && q->body->limit ? q->body->limit : PRUSIK_FOREVER;
	prk_queue_unlock_gets(q);
	return finished;
}

static int rest(struct prusik_queue *q, const struct rest *rest, uint32_t epoch, int64_t deadline)
{
	if (deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	bool sooner = rest->again < deadline;
	int r = prk_wait(&q->body->idle, rest->seen, epoch, sooner ? rest->again : deadline);
	return r == -ETIMEDOUT && sooner ? 0 : r;
}

int prusik_queue_join(struct prusik_queue *queue, int64_t deadline)
{
	if (!queue)
		return -EINVAL;
	int r = prk_joined();
	while (r == 0) {
		struct rest until;
		uint32_t epoch = prk_epoch();
		r = look_or_register(queue, &until);
		if (r == 0)
			r = rest(queue, &until, epoch, deadline);
	}
	return r > 0 ? 0 : r;
}

/* ---- closing ---- */

int prusik_queue_close(struct prusik_queue *queue, enum prusik_queue_close how)
{
	if (!queue || (how != PRUSIK_QUEUE_DRAIN && how != PRUSIK_QUEUE_DISCARD))
		return -EINVAL;
	struct prk_queue_body *b = queue->body;
	int r = prk_queue_lock_puts(queue);
	if (r < 0)
		return r;
	if (b->closed < 1 + (uint32_t)how)
		prk_store32_rel(&b->closed, 1 + (uint32_t)how); /* Q-C, rel [queue.closed] */
	prk_queue_wake(&b->getters, &b->filled, INT_MAX);
	prk_queue_unlock_puts(queue);

	r = prk_queue_lock_gets(queue);
	if (r < 0)
		return r;
	prk_queue_wake(&b->putters, &b->emptied, INT_MAX);
	prk_queue_gone(queue, 0); /* joiners, of what was discarded */
	prk_queue_unlock_gets(queue);
	return 0;
}

/* ---- producers ---- */

/* In a copy that fork made of a private queue the parent's threads are nobody. */
static bool attached(const struct prusik_queue *q, uint32_t id)
{
	return id != 0 && !prk_dead(id) && !(q->private_memory && prk_ghost(q->body, id));
}

/* Have producers been attached, and are all gone? Under put_lock, and then for good: nobody can attach any more. */
static bool producers_gone(const struct prusik_queue *q)
{
	if (prk_load32_acq(&q->body->attached) == 0) /* acq [queue.attached] */
		return false;
	for (uint32_t i = 0; i < PRK_QUEUE_PRODUCERS; i++)
		if (attached(q, prk_load32_acq(&q->body->producer[i]))) /* acq [queue.producer] */
			return false;
	return true;
}

/*
 * Under no lock a look that finds somebody attached is right; one that finds nobody need
 * not be: while it went from entry to entry one may have come where it had been, and
 * another gone from where it was going to.
 */
int prk_queue_end_with_producers(struct prusik_queue *q)
{
	if (!q->body->ends || !producers_gone(q))
		return 0;
	int r = prk_queue_lock_puts(q);
	if (r < 0)
		return r;
	bool gone = producers_gone(q);
	prk_queue_unlock_puts(q);
	if (!gone)
		return 0;
	r = prusik_queue_close(q, PRUSIK_QUEUE_DRAIN);
	return r < 0 ? r : 1;
}

/* Under put_lock: the caller's entry, or a free one where there is none; NULL: all are taken. */
static uint32_t *find_entry(struct prusik_queue *q, uint32_t id)
{
	uint32_t *entry = q->body->producer, *found = NULL;

	for (uint32_t i = 0; i < PRK_QUEUE_PRODUCERS; i++) {
		if (entry[i] == id)
			return &entry[i];
		if (!found && !attached(q, entry[i]))
			found = &entry[i];
	}
	return found;
}

static int attach(struct prusik_queue *q)
{
	struct prk_self *self = prk_self();
	uint32_t *entry = find_entry(q, self->id);

	if (prk_queue_closed(q))
		return -EPIPE;
	if (!entry)
		return -ENOSPC;
	if (*entry == self->id)
		return 0;
	self->held++;
	prk_store32_rel(entry, self->id); /* rel [queue.producer]: before anyone can find all gone */
	prk_store32_rel(&q->body->attached, 1); /* rel [queue.attached] */
	return 0;
}

int prusik_queue_attach_producer(struct prusik_queue *queue)
{
	if (!queue)
		return -EINVAL;
	int r = prk_queue_lock_puts(queue);
	if (r < 0)
		return r;
	if (queue->body->ends && producers_gone(queue))
		r = -EPIPE; /* it has ended, though nobody has looked yet */
	else
		r = attach(queue);
	prk_queue_unlock_puts(queue);
	return r;
}

int prusik_queue_detach_producer(struct prusik_queue *queue)
{
	if (!queue)
		return -EINVAL;
	int r = prk_queue_lock_puts(queue);
	if (r < 0)
		return r;
	uint32_t *entry = find_entry(queue, prk_self()->id);
	if (entry && *entry == prk_self()->id) {
		prk_store32_rel(entry, 0); /* rel [queue.producer] */
		prk_self()->held--;
	} else {
		r = -EPERM;
	}
	bool last = r == 0 && queue->body->ends && producers_gone(queue);
	prk_queue_unlock_puts(queue);
	return last ? prusik_queue_close(queue, PRUSIK_QUEUE_DRAIN) : r;
}
