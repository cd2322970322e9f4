/* SPDX-License-Identifier: MIT */
/*
 * queue: what becomes of leases: done, retry, release, bury, extend, detach
 *
 * Each is one change under get_lock, on a node that is first moved to the end of
 * the leased part where it must leave that for the parked one.
 */
#include "base/life.h"
#include "data/queue.h"

#include <errno.h>
#include <limits.h>
#include <prusik/common.h>

static bool in_leased_part(const struct prusik_queue *q, uint32_t position)
{
	uint32_t frees = prk_queue_cursors(q->body->cursors).frees;

	return position - frees < prk_queue_leased_end(q) - frees;
}

bool prk_queue_find_leased(const struct prusik_queue *q, uint32_t number, uint32_t *ret_position)
{
	uint32_t hint = prk_queue_node(q, number)->position, end = prk_queue_leased_end(q);
	uint32_t p = prk_queue_cursors(q->body->cursors).frees;

	if (end - p > q->mask + 1)
		return false; /* corrupt memory */
	*ret_position = hint;
	if (in_leased_part(q, hint) && prk_queue_node_at(q, hint) == number)
		return true;
	while (p != end && prk_queue_node_at(q, p) != number)
		p++;
	*ret_position = p;
	return p != end;
}

int64_t prk_queue_find_lease(const struct prusik_queue *q, const struct prusik_lease *lease)
{
	uint32_t number = lease->node & q->mask, position;
	const struct prk_node *node = prk_queue_node(q, number);

	if (!prk_queue_find_leased(q, number, &position) || node->number != lease->ticket ||
	    node->turn != lease->turn || node->state != PRK_NODE_LEASED)
		return -ESTALE;
	return position;
}

static bool is_mine(const struct prk_node *node)
{
	return node->owner == prk_self()->id;
}

/* ---- done ---- */

static inline int finish(struct prusik_queue *q, const struct prusik_lease *lease)
{
	int64_t position = prk_queue_find_lease(q, lease);

	if (position < 0)
		return (int)position;
	bool mine = is_mine(prk_queue_node(q, lease->node & q->mask));
	prk_queue_release_cell(q, (uint32_t)position);
	if (mine)
		prk_self()->held--;
	prk_queue_gone(q, 1);
	return 0;
}

int64_t prusik_queue_done_many(struct prusik_queue *queue, const struct prusik_lease *leases, uint32_t count)
{
	if (!queue || !leases || count == 0)
		return -EINVAL;
	int64_t r = prk_queue_lock_gets(queue);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < count; i++)
		if (finish(queue, &leases[i]) == 0)
			r++;
	prk_queue_unlock_gets(queue);
	if (prk_queue_closed(queue)) /* takers who wait for its return may be able to stop */
		prk_queue_wake_takers(queue, INT_MAX);
	return r;
}

int prusik_queue_done(struct prusik_queue *queue, const struct prusik_lease *lease)
{
	if (!queue || !lease)
		return -EINVAL;
	int r = prk_queue_lock_gets(queue);
	if (r < 0)
		return r;
	r = finish(queue, lease);
	prk_queue_unlock_gets(queue);
	if (prk_queue_closed(queue)) /* as above */
		prk_queue_wake_takers(queue, INT_MAX);
	return r;
}

/* ---- giving back ---- */

/* What becomes of a lease that its holder gives up. */
struct fate {
	uint32_t failures; /* added to the item's */
	bool dead;
	int64_t not_before; /* 0: at once */
};

/* The last leased one. 1: it is dead now. */
static int meet_fate(struct prusik_queue *q, struct prk_node *node, const struct fate *fate)
{
	struct prk_queue_body *b = q->body;
	uint32_t failures = node->failures + fate->failures;
	bool spent = b->attempts_max && fate->failures && failures >= b->attempts_max;

	if (fate->failures)
		b->retried++; /* killed before the change: counted once too often */
	if (fate->dead || spent) {
		prk_queue_park_last(q, PRK_NODE_DEAD, failures, 0);
		prk_queue_gone(q, 0);
		return spent;
	}
	if (fate->not_before > prusik_now())
		prk_queue_park_last(q, PRK_NODE_DELAYED, failures, fate->not_before);
	else if (fate->failures)
		prk_queue_give_back_last(q, failures);
	else
		prk_queue_put_back_last(q, failures);
	return 0;
}

static int give_up(struct prusik_queue *q, const struct prusik_lease *lease, const struct fate *fate)
{
	if (!q || !lease)
		return -EINVAL;
	int r = prk_queue_lock_gets(q);
	if (r < 0)
		return r;
	struct prk_node *node = prk_queue_node(q, lease->node & q->mask);
	int64_t position = prk_queue_find_lease(q, lease);
	if (position >= 0) {
		bool mine = is_mine(node);
		prk_queue_swap_now(q, (uint32_t)position, prk_queue_leased_end(q) - 1);
		r = meet_fate(q, node, fate);
		if (mine)
			prk_self()->held--;
	} else {
		r = (int)position;
	}
	prk_queue_unlock_gets(q);
	if (r >= 0) /* it is there again, or will be, or is the last that a closed queue waited for */
		prk_queue_wake_takers(q, INT_MAX);
	return r;
}

int prusik_queue_retry(struct prusik_queue *queue, const struct prusik_lease *lease, int64_t not_before)
{
	return give_up(queue, lease, &(struct fate){ .failures = 1, .not_before = not_before });
}

int prusik_queue_release(struct prusik_queue *queue, const struct prusik_lease *lease)
{
	return give_up(queue, lease, &(struct fate){ .failures = 0 });
}

int prusik_queue_bury(struct prusik_queue *queue, const struct prusik_lease *lease)
{
	int r = give_up(queue, lease, &(struct fate){ .dead = true });

	return r < 0 ? r : 0;
}

/* ---- time ---- */

static int set_limit(struct prusik_queue *q, struct prk_node *node, int64_t until, bool detach, bool *ret_news)
{
	if (!detach && node->due == 0)
		return 0;
	*ret_news = prk_queue_note_limit(q, until); /* before it is so: too early a look does no harm */
	prk_barrier();
	prk_store64_rlx((uint64_t *)&node->due, (uint64_t)until);
	prk_barrier();
	if (detach) {
		bool mine = is_mine(node);
		prk_store32_rlx(&node->owner, PRK_QUEUE_NOBODY); /* killed before: it ends with its taker */
		prk_self()->held -= mine;
	}
	return 0;
}

static int limit_lease(struct prusik_queue *q, const struct prusik_lease *lease, int64_t until, bool detach)
{
	bool news = false;

	if (!q || !lease || until <= 0)
		return -EINVAL;
	int r = prk_queue_lock_gets(q);
	if (r < 0)
		return r;
	int64_t position = prk_queue_find_lease(q, lease);
	if (position < 0)
		r = (int)position;
	else
		r = set_limit(q, prk_queue_node(q, lease->node & q->mask), until, detach, &news);
	prk_queue_unlock_gets(q);
	if (news)
		prk_queue_wake_takers(q, INT_MAX);
	return r;
}

int prusik_queue_extend(struct prusik_queue *queue, const struct prusik_lease *lease, int64_t until)
{
	return limit_lease(queue, lease, until, false);
}

int prusik_queue_detach(struct prusik_queue *queue, const struct prusik_lease *lease, int64_t until)
{
	return limit_lease(queue, lease, until, true);
}
