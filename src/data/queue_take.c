/* SPDX-License-Identifier: MIT */
/*
 * queue: get, take, peek
 *
 * A plain queue, of which nothing is parked, has its next items side by side at
 * gets, and a batch of them leaves with one store. In all others each item is chosen,
 * and lent, by itself.
 */
#include "base/life.h"
#include "base/wait.h"
#include "data/queue.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Nothing was put in another order than the one it comes out in, under get_lock. */
static bool plain(const struct prusik_queue *q)
{
	const struct prk_queue_body *b = q->body;

	return q->plain && b->parked == 0 && b->limit == 0 && prk_load32_rlx(&b->delays) == 0;
}

/* ---- waiting for items ---- */

/* Sleep until there may be an item; seen and epoch are from before the look that found none. */
static int wait_for_item(struct prusik_queue *q, uint32_t seen, uint32_t epoch, int64_t deadline)
{
	struct prk_queue_body *b = q->body;

	for (int i = 1; i < PRK_SPINS; i += i) {
		prk_pause_for(i);
		if (prusik_queue_length(q) > 0)
			return 0;
	}
	int r = prk_queue_lock_puts(q);
	if (r < 0)
		return r;
	bool sleep = prusik_queue_length(q) == 0 && b->filled == seen;
	if (sleep) {
		b->getters = 1;
		b->take_waits++;
	}
	prk_queue_unlock_puts(q);
	return sleep ? prk_wait(&b->filled, seen, epoch, deadline) : 0;
}

/* What a look at a queue has told, apart from items. */
struct outlook {
	int64_t now; /* where the queue has to do with time */
	int64_t again; /* look again then, though nothing happens */
	bool news; /* somebody asleep must know of an earlier time than he does */
};

/*
 * What to do with up to count items, under get_lock: how many were dealt with, 0:
 * there is none, or -EMSGSIZE. The first form is for plain queues, where count are ready.
 */
struct taking {
	int64_t (*plain)(struct prusik_queue *q, uint32_t count, void *to);
	int64_t (*chosen)(struct prusik_queue *q, uint32_t count, void *to, struct outlook *outlook);
};

/* Under get_lock: nothing is ready, and nobody will bring anything? */
static bool at_end(struct prusik_queue *q, uint32_t end, bool others)
{
	return end && !others && q->body->delayed == 0;
}

/* Under get_lock: leases of the dead, and those whose time is over. True: there may have been some. */
static bool look_after_leases(struct prusik_queue *q, bool nothing_ready, bool *ret_others)
{
	struct prk_queue_body *b = q->body;
	uint32_t epoch = prk_epoch();

	*ret_others = false;
	if (b->epoch_seen == epoch && !nothing_ready && !prk_queue_oldest_died(q) &&
	    (b->limit == 0 || prusik_now() < b->limit))
		return false;
	prk_queue_return_dead(q, ret_others);
	b->epoch_seen = epoch;
	return true;
}

static bool knows_time(const struct prusik_queue *q)
{
	const struct prk_queue_body *b = q->body;

	return prk_load32_rlx(&b->delays) || b->delayed || b->limit || b->lease;
}

/* In a queue that is not plain: as try_take. */
static int64_t take_chosen(struct prusik_queue *q, uint32_t count, const struct taking *how, void *to, uint32_t end,
			   struct outlook *outlook)
{
	bool others;

	outlook->now = knows_time(q) ? prusik_now() : 0;
	outlook->news |= prk_queue_sort_in(q, outlook->now);
	look_after_leases(q, prk_queue_first(q) < 0, &others);
	if (prk_queue_discarded(q))
		return -EPIPE;
	int64_t r = how->chosen(q, count, to, outlook);
	if (r != 0)
		return r;
	return at_end(q, end, others) ? -EPIPE : -EAGAIN;
}

static int64_t take_plain(struct prusik_queue *q, uint32_t count, const struct taking *how, void *to, uint32_t end)
{
	bool others;

	if (look_after_leases(q, prk_queue_ready(q) == 0, &others) && !plain(q))
		return -EAGAIN; /* some of them were parked */
	if (end == 1 + PRUSIK_QUEUE_DISCARD)
		return -EPIPE; /* the dead's leases with it */
	uint32_t n = prk_queue_ready(q);
	if (n == 0)
		return at_end(q, end, others) ? -EPIPE : -EAGAIN;
	return how->plain(q, n < count ? n : count, to);
}

static int64_t try_take(struct prusik_queue *q, uint32_t count, const struct taking *how, void *to,
			struct outlook *outlook)
{
	int64_t r = prk_queue_lock_gets(q);
	uint32_t end = prk_queue_closed(q);

	if (r < 0)
		return r;
	r = -EAGAIN;
	if (plain(q))
		r = take_plain(q, count, how, to, end);
	/* Perhaps the dead's leases have just made it so. */
	if (r == -EAGAIN && !plain(q))
		r = take_chosen(q, count, how, to, end, outlook);
	if (r == -EAGAIN)
		outlook->again = prk_queue_look_again(q);
	prk_queue_unlock_gets(q);
	return r;
}

/* The same, and tell those who must know. */
static int64_t take_once(struct prusik_queue *q, uint32_t count, const struct taking *how, void *to, int64_t *ret_again)
{
	struct outlook outlook = { .again = PRUSIK_FOREVER };
	int64_t r = try_take(q, count, how, to, &outlook);

	if (outlook.news)
		prk_queue_wake_takers(q, INT_MAX);
	int ended = r == -EAGAIN && !prk_queue_closed(q) ? prk_queue_end_with_producers(q) : 0;
	if (ended < 0)
		return ended;
	if (ended > 0) /* it is closed now: no third time */
		return take_once(q, count, how, to, ret_again);
	*ret_again = outlook.again;
	return r;
}

static int wait_until(struct prusik_queue *q, uint32_t seen, uint32_t epoch, int64_t deadline, int64_t again)
{
	int r = wait_for_item(q, seen, epoch, again < deadline ? again : deadline);

	return r == -ETIMEDOUT && again < deadline ? 0 : r;
}

static int64_t take_some(struct prusik_queue *q, uint32_t count, const struct taking *how, void *to, int64_t deadline)
{
	int64_t again, r = take_once(q, count, how, to, &again);

	while (r == -EAGAIN && deadline != PRUSIK_NOW) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_acq(&q->body->filled); /* acq [queue.filled] */
		r = take_once(q, count, how, to, &again);
		if (r != -EAGAIN)
			break;
		int w = wait_until(q, seen, epoch, deadline, again);
		if (w < 0)
			return w;
	}
	if (r == -EMSGSIZE)
		prk_queue_wake_takers(q, INT_MAX); /* one of us was woken for this item: let another one have it */
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* ---- moving cells ---- */

void prk_queue_swap(struct prusik_queue *q, uint32_t a, uint32_t b)
{
	struct prk_undo *undo = &q->body->undo;
	uint32_t at_a = prk_queue_node_at(q, a), at_b = prk_queue_node_at(q, b);

	if (a == b)
		return;
	prk_undo_set32(undo, prk_queue_cell(q, a), prk_queue_cell_value(q, a, at_b));
	prk_undo_set32(undo, prk_queue_cell(q, b), prk_queue_cell_value(q, b, at_a));
	prk_queue_node(q, at_a)->position = b;
	prk_queue_node(q, at_b)->position = a;
}

void prk_queue_swap_now(struct prusik_queue *q, uint32_t a, uint32_t b)
{
	prk_queue_swap(q, a, b);
	prk_undo_commit(&q->body->undo);
}

/* Under get_lock, in a plain queue: lend the first n ready nodes to the caller. */
static inline void borrow(struct prusik_queue *q, uint32_t n)
{
	struct prk_cursors c = prk_queue_cursors(q->body->cursors);
	struct prk_self *self = prk_self();

	self->held += n; /* before Q-T: a thread that ends here must not end silently */
	for (uint32_t i = 0; i < n; i++) {
		struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, c.gets + i));
		node->owner = self->id;
		node->state = PRK_NODE_LEASED;
		node->due = 0;
		node->turn++;
		node->position = c.gets + i;
	}
	c.gets += n;
	prk_store64_rel(&q->body->cursors, prk_queue_cursors_word(c)); /* Q-T, rel [queue.cursors] */
}

/* The first n ready items leave a plain queue. */
static inline void consume(struct prusik_queue *q, uint32_t n)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);

	if (c.gets == c.frees) { /* nothing is on lease: no cells to swap */
		struct prk_cursors after = { c.gets + n, c.frees + n };
		prk_store64_rel(&b->cursors, prk_queue_cursors_word(after)); /* Q-D, rel [queue.cursors] */
	} else {
		borrow(q, n);
		for (uint32_t i = 0; i < n; i++)
			prk_queue_release_cell(q, c.gets + i);
		prk_self()->held -= n;
	}
	prk_queue_gone(q, n);
}

/* ---- at once ---- */

/*
 * Get the lock where nobody is in the way and there is nothing but ready items in the
 * order of putting: so no lease to be looked after, and no time. True: the lock is held,
 * and the item at gets may be had.
 */
static inline bool lock_straight(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;

	if (!q->plain || !prk_lock_try(&b->get_lock))
		return false;
	struct prk_cursors c = prk_queue_cursors(b->cursors);
	if (c.gets == c.frees && prk_undo_sound(&b->undo) && prk_load32_rlx(&b->delays) == 0 &&
	    prk_queue_closed(q) == 0 && prk_queue_ready(q) > 0)
		return true;
	prk_queue_unlock_gets(q);
	return false;
}

/* ---- get ---- */

static inline bool copy(const struct prusik_queue *q, const struct prk_node *node, struct iovec *item)
{
	if (node->length > item->iov_len || node->length > q->item_max)
		return false;
	if (node->length)
		memcpy(item->iov_base, node + 1, node->length);
	item->iov_len = node->length;
	return true;
}

static inline int64_t get_plain(struct prusik_queue *q, uint32_t n, void *to)
{
	struct iovec *items = to;
	uint32_t gets = prk_queue_cursors(q->body->cursors).gets, i;

	for (i = 0; i < n; i++)
		if (!copy(q, prk_queue_node(q, prk_queue_node_at(q, gets + i)), &items[i]))
			break;
	if (i == 0)
		return -EMSGSIZE;
	consume(q, i);
	return i;
}

static int64_t get_chosen(struct prusik_queue *q, uint32_t n, void *to, struct outlook *outlook)
{
	struct iovec *items = to;
	int64_t first = 0;
	uint32_t i;

	for (i = 0; i < n && (first = prk_queue_first(q)) >= 0; i++) {
		if (!copy(q, prk_queue_node(q, (uint32_t)first), &items[i]))
			break;
		prk_queue_lend_first(q, 0);
		prk_queue_release_cell(q, prk_queue_leased_end(q) - 1);
		prk_self()->held--;
		outlook->news |= prk_queue_sort_in(q, outlook->now);
	}
	if (i > 0)
		prk_queue_gone(q, i);
	return i == 0 && first >= 0 ? -EMSGSIZE : (int64_t)i;
}

static const struct taking get = { get_plain, get_chosen };

/* False: nothing was done. */
static inline bool get_at_once(struct prusik_queue *q, struct iovec *item)
{
	if (!lock_straight(q))
		return false;
	bool fits = get_plain(q, 1, item) == 1;
	prk_queue_unlock_gets(q);
	return fits;
}

int64_t prusik_queue_get(struct prusik_queue *queue, void *buffer, uint64_t capacity, int64_t deadline)
{
	if (!queue || (!buffer && capacity))
		return -EINVAL;
	struct iovec item = { buffer, capacity };
	if (get_at_once(queue, &item))
		return (int64_t)item.iov_len;
	int64_t r = take_some(queue, 1, &get, &item, deadline);
	return r < 0 ? r : (int64_t)item.iov_len;
}

int64_t prusik_queue_get_many(struct prusik_queue *queue, struct iovec *items, uint32_t count, int64_t deadline)
{
	if (!queue || !items || count == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		if (!items[i].iov_base && items[i].iov_len)
			return -EINVAL;
	return take_some(queue, count, &get, items, deadline);
}

/* ---- peek ---- */

static int64_t peek_plain(struct prusik_queue *q, uint32_t n, void *to)
{
	uint32_t gets = prk_queue_cursors(q->body->cursors).gets;

	(void)n;
	return copy(q, prk_queue_node(q, prk_queue_node_at(q, gets)), to) ? 1 : -EMSGSIZE;
}

static int64_t peek_chosen(struct prusik_queue *q, uint32_t n, void *to, struct outlook *outlook)
{
	int64_t first = prk_queue_first(q);

	(void)n;
	(void)outlook;
	if (first < 0)
		return 0;
	return copy(q, prk_queue_node(q, (uint32_t)first), to) ? 1 : -EMSGSIZE;
}

int64_t prusik_queue_peek(struct prusik_queue *queue, void *buffer, uint64_t capacity, int64_t deadline)
{
	static const struct taking peek = { peek_plain, peek_chosen };

	if (!queue || (!buffer && capacity))
		return -EINVAL;
	struct iovec item = { buffer, capacity };
	int64_t r = take_some(queue, 1, &peek, &item, deadline);
	if (r > 0)
		prk_queue_wake_takers(queue, 1); /* if we were woken for it: it is still there */
	return r < 0 ? r : (int64_t)item.iov_len;
}

/* ---- take ---- */

/* The lease of a node as it is handed out the next time. */
static inline struct prusik_lease lease_of(const struct prusik_queue *q, uint32_t number)
{
	struct prk_node *node = prk_queue_node(q, number);

	return (struct prusik_lease){
		.data = node + 1,
		.length = node->length < q->item_max ? node->length : q->item_max,
		.attempt = node->failures + 1,
		.node = number,
		.ticket = node->number,
		.turn = node->turn + 1,
		.priority = node->priority,
	};
}

static inline int64_t take_first_plain(struct prusik_queue *q, uint32_t n, void *to)
{
	uint32_t gets = prk_queue_cursors(q->body->cursors).gets;
	struct prusik_lease *leases = to;

	for (uint32_t i = 0; i < n; i++)
		leases[i] = lease_of(q, prk_queue_node_at(q, gets + i));
	borrow(q, n);
	return n;
}

static int64_t take_first_chosen(struct prusik_queue *q, uint32_t n, void *to, struct outlook *outlook)
{
	int64_t length = q->body->lease, until = length ? outlook->now + length : 0, first;
	struct prusik_lease *leases = to;
	uint32_t i;

	for (i = 0; i < n && (first = prk_queue_first(q)) >= 0; i++) {
		leases[i] = lease_of(q, (uint32_t)first);
		prk_queue_lend_first(q, until);
		outlook->news |= prk_queue_sort_in(q, outlook->now);
	}
	if (until && i > 0)
		outlook->news |= prk_queue_note_limit(q, until);
	return i;
}

static int64_t take_up_to(struct prusik_queue *q, struct prusik_lease *ret_leases, uint32_t count, int64_t deadline)
{
	static const struct taking take = { take_first_plain, take_first_chosen };

	return take_some(q, count, &take, ret_leases, deadline);
}

int prusik_queue_take(struct prusik_queue *queue, struct prusik_lease *ret_lease, int64_t deadline)
{
	if (!queue || !ret_lease)
		return -EINVAL;
	if (lock_straight(queue)) {
		take_first_plain(queue, 1, ret_lease);
		prk_queue_unlock_gets(queue);
		return 0;
	}
	int64_t r = take_up_to(queue, ret_lease, 1, deadline);
	return r < 0 ? (int)r : 0;
}

int64_t prusik_queue_take_many(struct prusik_queue *queue, struct prusik_lease *ret_leases, uint32_t count,
			       int64_t deadline)
{
	if (!queue || !ret_leases || count == 0)
		return -EINVAL;
	return take_up_to(queue, ret_leases, count, deadline);
}
