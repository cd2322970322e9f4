/* SPDX-License-Identifier: MIT */
/*
 * queue - put, get, take, done, close
 *
 * queue.h has the structure and the argument why it survives. Here each operation
 * is: lock its side; if there is nothing to do it on, register as a sleeper under
 * the *other* side's lock, where the state is looked at again, and sleep. So a
 * wake-up needs no more than a flag under a lock: the one who brings an item holds
 * put_lock, and the one who wants it set `getters` under put_lock.
 */
#include "data/queue.h"

#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- the two sides ---- */

int prk_queue_lock_puts(struct prusik_queue *q)
{
	int r = prk_lock_take(&q->body->put_lock);

	if (r == PRUSIK_RECOVERED)
		q->body->put_recovered++; /* nothing to mend: Q-P is one store */
	return r < 0 ? r : 0;
}

static void unlock_puts(struct prusik_queue *q)
{
	prk_lock_release(&q->body->put_lock);
}

int prk_queue_lock_gets(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;
	int r = prk_lock_take(&b->get_lock);

	if (r == PRUSIK_RECOVERED) {
		prk_undo_rollback(&b->undo, b, q->nodes + (q->mask + 1) * q->stride);
		b->get_recovered++;
	}
	return r < 0 ? r : 0;
}

static void unlock_gets(struct prusik_queue *q)
{
	prk_lock_release(&q->body->get_lock);
}

static uint32_t closed(const struct prusik_queue *q)
{
	return prk_load32_acq(&q->body->closed); /* acq [queue.closed]: Q-C */
}

static bool discarded(const struct prusik_queue *q)
{
	return closed(q) == 1 + PRUSIK_QUEUE_DISCARD;
}

/* Wake up to count of those asleep on word; the flag is cleared when nobody is left. Under the flag's lock. */
static void wake(uint32_t *flag, uint32_t *word, uint32_t count)
{
	int n = count > INT_MAX ? INT_MAX : (int)count;

	prk_store32_rel(word, *word + 1); /* rel [queue.filled], [queue.emptied] */
	if (prk_wake(word, n) < n)
		*flag = 0;
}

static void wake_if(uint32_t *flag, uint32_t *word, uint32_t count)
{
	if (*flag)
		wake(flag, word, count);
}

/* All takers look again; also one who has looked already and is about to register. */
static int wake_takers(struct prusik_queue *q)
{
	int r = prk_queue_lock_puts(q);

	if (r < 0)
		return r;
	wake(&q->body->getters, &q->body->filled, INT_MAX);
	unlock_puts(q);
	return 0;
}

/* ---- putting ---- */

/* Under put_lock: for how many items there is room. */
static uint32_t room(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;

	if ((uint32_t)b->puts - b->frees_seen >= q->capacity)
		/* acq [queue.cursors]: the freed nodes are ours, and so are their cells */
		b->frees_seen = prk_queue_cursors(prk_load64_acq(&b->cursors)).frees;
	uint32_t used = (uint32_t)b->puts - b->frees_seen;
	return used < q->capacity ? q->capacity - used : 0;
}

static void fill(struct prusik_queue *q, uint64_t number, const struct iovec *item)
{
	struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, (uint32_t)number));

	node->number = number;
	node->length = (uint32_t)item->iov_len;
	node->failures = 0;
	if (item->iov_len)
		memcpy(node + 1, item->iov_base, item->iov_len);
}

/* One locked attempt: how many of the items were put, -EAGAIN: full, -EPIPE: closed. */
static int64_t try_put(struct prusik_queue *q, const struct iovec *items, uint32_t count)
{
	struct prk_queue_body *b = q->body;
	int64_t r = prk_queue_lock_puts(q);

	if (r < 0)
		return r;
	uint32_t n = room(q);
	if (closed(q)) {
		r = -EPIPE;
	} else if (n == 0) {
		r = -EAGAIN;
	} else {
		if (n > count)
			n = count;
		for (uint32_t i = 0; i < n; i++)
			fill(q, b->puts + i, &items[i]);
		prk_store64_rel(&b->puts, b->puts + n); /* Q-P, rel [queue.puts] */
		wake_if(&b->getters, &b->filled, n);
		r = n;
	}
	unlock_puts(q);
	return r;
}

static uint32_t room_now(const struct prusik_queue *q)
{
	uint32_t frees = prk_queue_cursors(prk_load64_acq(&q->body->cursors)).frees;
	uint32_t used = (uint32_t)prk_load64_acq(&q->body->puts) - frees;

	return used < q->capacity ? q->capacity - used : 0;
}

static bool is_full(const struct prusik_queue *q)
{
	return room_now(q) == 0;
}

/*
 * Look whether room appears before going to sleep. Not at every moment, and not
 * content with one free node: each look takes the takers' cache line away from them.
 */
static bool spin_for_room(const struct prusik_queue *q)
{
	uint32_t enough = q->capacity / 8 + 1;

	for (int i = 1; i < PRK_SPINS; i += i) {
		prk_pause_for(i);
		if (room_now(q) >= enough)
			return true;
	}
	return !is_full(q);
}

/* Sleep until there may be room; seen and epoch are from before the look that found none. */
static int wait_for_room(struct prusik_queue *q, uint32_t seen, uint32_t epoch, int64_t deadline)
{
	struct prk_queue_body *b = q->body;

	if (spin_for_room(q))
		return 0;
	int r = prk_queue_lock_gets(q);
	if (r < 0)
		return r;
	bool sleep = is_full(q) && b->emptied == seen;
	if (sleep)
		b->putters = 1;
	unlock_gets(q);
	return sleep ? prk_wait(&b->emptied, seen, epoch, deadline) : 0;
}

static int64_t put_some(struct prusik_queue *q, const struct iovec *items, uint32_t count, int64_t deadline)
{
	int64_t r = try_put(q, items, count);

	while (r == -EAGAIN && deadline != PRUSIK_NOW) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_acq(&q->body->emptied); /* acq [queue.emptied] */
		r = try_put(q, items, count);
		if (r != -EAGAIN)
			break;
		int w = wait_for_room(q, seen, epoch, deadline);
		if (w < 0)
			return w;
	}
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int64_t put_all(struct prusik_queue *q, const struct iovec *items, uint32_t count, int64_t deadline)
{
	uint32_t done = 0;

	while (done < count) {
		int64_t r = put_some(q, items + done, count - done, deadline);
		if (r < 0)
			return done ? done : r;
		done += (uint32_t)r;
	}
	return done;
}

int prusik_queue_put(struct prusik_queue *queue, const void *data, uint64_t length, int64_t deadline)
{
	if (!queue || (!data && length))
		return -EINVAL;
	if (length > queue->item_max)
		return -EMSGSIZE;
	struct iovec item = { (void *)(uintptr_t)data, length };
	int64_t r = put_some(queue, &item, 1, deadline);
	return r < 0 ? (int)r : 0;
}

int64_t prusik_queue_put_many(struct prusik_queue *queue, const struct iovec *items, uint32_t count,
			      int64_t deadline)
{
	if (!queue || !items || count == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (!items[i].iov_base && items[i].iov_len)
			return -EINVAL;
		if (items[i].iov_len > queue->item_max)
			return -EMSGSIZE;
	}
	return put_all(queue, items, count, deadline);
}

/* ---- taking ---- */

/* Under get_lock: how many items are ready. */
static uint32_t ready(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;
	uint32_t gets = prk_queue_cursors(b->cursors).gets;

	if (b->puts_seen == gets)
		/* acq [queue.puts]: the items are whole */
		b->puts_seen = (uint32_t)prk_load64_acq(&b->puts);
	return b->puts_seen - gets;
}

static bool is_empty(const struct prusik_queue *q)
{
	uint32_t gets = prk_queue_cursors(prk_load64_acq(&q->body->cursors)).gets;

	return (uint32_t)prk_load64_acq(&q->body->puts) == gets;
}

/* Sleep until there may be an item; seen and epoch are from before the look that found none. */
static int wait_for_item(struct prusik_queue *q, uint32_t seen, uint32_t epoch, int64_t deadline)
{
	struct prk_queue_body *b = q->body;

	for (int i = 1; i < PRK_SPINS; i += i) {
		prk_pause_for(i);
		if (!is_empty(q))
			return 0;
	}
	int r = prk_queue_lock_puts(q);
	if (r < 0)
		return r;
	bool sleep = is_empty(q) && b->filled == seen;
	if (sleep)
		b->getters = 1;
	unlock_puts(q);
	return sleep ? prk_wait(&b->filled, seen, epoch, deadline) : 0;
}

/* What to do with the n items that are ready, under get_lock: how many were dealt with, or -EMSGSIZE. */
typedef int64_t take_fn(struct prusik_queue *q, uint32_t n, void *to);

/*
 * Under get_lock: items that are ready, the dead's leases among them. 0: none,
 * -EPIPE: and none will come.
 */
static int64_t ready_or_why(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;
	uint32_t end = closed(q), epoch = prk_epoch();
	bool others = false;

	if (b->epoch_seen != epoch || ready(q) == 0 || prk_queue_oldest_died(q)) {
		prk_queue_return_dead(q, &others);
		b->epoch_seen = epoch;
	}
	if (discarded(q))
		return -EPIPE; /* the dead's leases with it */
	uint32_t n = ready(q);
	return n == 0 && end && !others ? -EPIPE : (int64_t)n;
}

static int64_t try_take(struct prusik_queue *q, uint32_t count, take_fn *take, void *to)
{
	int64_t r = prk_queue_lock_gets(q);

	if (r < 0)
		return r;
	r = ready_or_why(q);
	if (r > 0)
		r = take(q, r < (int64_t)count ? (uint32_t)r : count, to);
	else if (r == 0)
		r = -EAGAIN;
	unlock_gets(q);
	return r;
}

static int64_t take_some(struct prusik_queue *q, uint32_t count, take_fn *take, void *to, int64_t deadline)
{
	int64_t r = try_take(q, count, take, to);

	while (r == -EAGAIN && deadline != PRUSIK_NOW) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_acq(&q->body->filled); /* acq [queue.filled] */
		r = try_take(q, count, take, to);
		if (r != -EAGAIN)
			break;
		int w = wait_for_item(q, seen, epoch, deadline);
		if (w < 0)
			return w;
	}
	if (r == -EMSGSIZE)
		wake_takers(q); /* one of us was woken for this item: let another one have it */
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

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

/*
 * Under get_lock: the leased node at position becomes free. The swap is a change of
 * its own, which only reorders the leases; a putter may use the node from Q-D on, so
 * that must not be undone.
 */
static void release_cell(struct prusik_queue *q, uint32_t position)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);

	prk_queue_swap(q, position, c.frees);
	prk_undo_commit(&b->undo);
	c.frees++;
	prk_store64_rel(&b->cursors, prk_queue_cursors_word(c)); /* Q-D, rel [queue.cursors] */
}

/* Under get_lock: lend the first n ready nodes to the caller. */
static void borrow(struct prusik_queue *q, uint32_t n)
{
	struct prk_cursors c = prk_queue_cursors(q->body->cursors);
	struct prk_self *self = prk_self();

	self->held += n; /* before Q-T: a thread that ends here must not end silently */
	for (uint32_t i = 0; i < n; i++) {
		struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, c.gets + i));
		node->owner = self->id;
		node->position = c.gets + i;
	}
	c.gets += n;
	prk_store64_rel(&q->body->cursors, prk_queue_cursors_word(c)); /* Q-T, rel [queue.cursors] */
}

/* The first n ready items leave the queue. */
static void consume(struct prusik_queue *q, uint32_t n)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);

	if (c.gets == c.frees) { /* nothing is on lease: no cells to swap */
		struct prk_cursors after = { c.gets + n, c.frees + n };
		prk_store64_rel(&b->cursors, prk_queue_cursors_word(after)); /* Q-D, rel [queue.cursors] */
	} else {
		borrow(q, n);
		for (uint32_t i = 0; i < n; i++)
			release_cell(q, c.gets + i);
		prk_self()->held -= n;
	}
	wake_if(&b->putters, &b->emptied, n);
}

static int64_t copy_out(struct prusik_queue *q, uint32_t n, void *to)
{
	struct iovec *items = to;
	uint32_t gets = prk_queue_cursors(q->body->cursors).gets, i;

	for (i = 0; i < n; i++) {
		const struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, gets + i));
		if (node->length > items[i].iov_len || node->length > q->item_max)
			break;
		if (node->length)
			memcpy(items[i].iov_base, node + 1, node->length);
		items[i].iov_len = node->length;
	}
	if (i == 0)
		return -EMSGSIZE;
	consume(q, i);
	return i;
}

int64_t prusik_queue_get(struct prusik_queue *queue, void *buffer, uint64_t capacity, int64_t deadline)
{
	if (!queue || (!buffer && capacity))
		return -EINVAL;
	struct iovec item = { buffer, capacity };
	int64_t r = take_some(queue, 1, copy_out, &item, deadline);
	return r < 0 ? r : (int64_t)item.iov_len;
}

int64_t prusik_queue_get_many(struct prusik_queue *queue, struct iovec *items, uint32_t count,
			      int64_t deadline)
{
	if (!queue || !items || count == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		if (!items[i].iov_base && items[i].iov_len)
			return -EINVAL;
	return take_some(queue, count, copy_out, items, deadline);
}

static int64_t lend(struct prusik_queue *q, uint32_t n, void *to)
{
	uint32_t gets = prk_queue_cursors(q->body->cursors).gets;
	struct prusik_lease *leases = to;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = prk_queue_node_at(q, gets + i);
		struct prk_node *node = prk_queue_node(q, number);
		leases[i] = (struct prusik_lease){
			.data = node + 1,
			.length = node->length < q->item_max ? node->length : q->item_max,
			.attempt = node->failures + 1,
			.node = number,
			.ticket = node->number,
		};
	}
	borrow(q, n);
	return n;
}

int prusik_queue_take(struct prusik_queue *queue, struct prusik_lease *ret_lease, int64_t deadline)
{
	if (!queue || !ret_lease)
		return -EINVAL;
	int64_t r = take_some(queue, 1, lend, ret_lease, deadline);
	return r < 0 ? (int)r : 0;
}

int64_t prusik_queue_take_many(struct prusik_queue *queue, struct prusik_lease *ret_leases, uint32_t count,
			       int64_t deadline)
{
	if (!queue || !ret_leases || count == 0)
		return -EINVAL;
	return take_some(queue, count, lend, ret_leases, deadline);
}

/* ---- giving leases back ---- */

static bool in_leased_part(struct prk_cursors c, uint32_t position)
{
	return position - c.frees < c.gets - c.frees;
}

/* Where the cell of a leased node is; false: nowhere, it is not leased. */
static bool find_leased(const struct prusik_queue *q, struct prk_cursors c, uint32_t number,
			uint32_t *ret_position)
{
	uint32_t hint = prk_queue_node(q, number)->position, p = c.frees;
	uint32_t leased = c.gets - c.frees;

	if (in_leased_part(c, hint) && prk_queue_node_at(q, hint) == number) {
		*ret_position = hint;
		return true;
	}
	if (leased > q->mask + 1)
		return false; /* corrupt memory */
	while (p != c.gets && prk_queue_node_at(q, p) != number)
		p++;
	*ret_position = p;
	return p != c.gets;
}

static int finish(struct prusik_queue *q, const struct prusik_lease *lease)
{
	struct prk_cursors c = prk_queue_cursors(q->body->cursors);
	uint32_t number = lease->node & q->mask, position;
	const struct prk_node *node = prk_queue_node(q, number);

	if (!find_leased(q, c, number, &position) || node->number != lease->ticket ||
	    node->failures + 1 != lease->attempt)
		return -ESTALE;
	struct prk_self *self = prk_self();
	bool mine = node->owner == self->id;
	release_cell(q, position);
	if (mine)
		self->held--;
	wake_if(&q->body->putters, &q->body->emptied, 1);
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
	unlock_gets(queue);
	if (closed(queue)) /* takers who wait for its return may be able to stop */
		wake_takers(queue);
	return r;
}

int prusik_queue_done(struct prusik_queue *queue, const struct prusik_lease *lease)
{
	int64_t r = prusik_queue_done_many(queue, lease, 1);

	return r < 0 ? (int)r : r == 0 ? -ESTALE : 0;
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
	wake(&b->getters, &b->filled, INT_MAX);
	unlock_puts(queue);

	r = prk_queue_lock_gets(queue);
	if (r < 0)
		return r;
	wake(&b->putters, &b->emptied, INT_MAX);
	unlock_gets(queue);
	return 0;
}
