/* SPDX-License-Identifier: MIT */
/*
 * queue - the two sides, and putting
 *
 * queue.h has the structure and the argument why it survives. Here each operation
 * is: lock its side; if there is nothing to do it on, register as a sleeper under
 * the *other* side's lock, where the state is looked at again, and sleep. So a
 * wake-up needs no more than a flag under a lock: the one who brings an item holds
 * put_lock, and the one who wants it set `getters` under put_lock.
 */
#include "data/queue.h"

#include "base/wait.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- the two sides ---- */

int prk_queue_lock_gets_slow(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;
	int r = prk_lock_take(&b->get_lock);

	if (r == PRUSIK_RECOVERED) {
		prk_undo_rollback(&b->undo, &b->puts, q->nodes + (q->mask + 1) * q->stride);
		prk_queue_mend_index(q);
		b->get_recovered++;
	}
	if (r < 0)
		return r;
	return prk_undo_sound(&b->undo) ? 0 : prk_queue_refuse_gets(q);
}

int prk_queue_refuse_gets(struct prusik_queue *q)
{
	prk_undo_damage(&q->body->undo);
	prk_queue_unlock_gets(q);
	return -EPROTO;
}

/* A commit has puts in the log of get_lock: before anyone looks at puts, that must be recovered. */
static int recover_puts(struct prusik_queue *q)
{
	int r = prk_queue_lock_gets(q);

	if (r < 0) {
		prk_queue_unlock_puts(q);
		return r;
	}
	prk_queue_unlock_gets(q);
	q->body->put_recovered++;
	return 0;
}

int prk_queue_lock_puts_slow(struct prusik_queue *q)
{
	int r = prk_lock_take(&q->body->put_lock);

	return r == PRUSIK_RECOVERED ? recover_puts(q) : r;
}

int prk_queue_lock_both(struct prusik_queue *q)
{
	int r = prk_queue_lock_puts(q);

	if (r < 0)
		return r;
	r = prk_queue_lock_gets(q);
	if (r < 0)
		prk_queue_unlock_puts(q);
	return r;
}

void prk_queue_unlock_both(struct prusik_queue *q)
{
	prk_queue_unlock_gets(q);
	prk_queue_unlock_puts(q);
}

/* The flag is cleared when nobody is left. */
void prk_queue_wake(uint32_t *flag, uint32_t *word, uint32_t count)
{
	int n = count > INT_MAX ? INT_MAX : (int)count;

	prk_store32_rel(word, *word + 1); /* rel [queue.filled], [queue.emptied], [queue.idle] */
	if (prk_wake(word, n) < n)
		*flag = 0;
}

int prk_queue_wake_takers(struct prusik_queue *q, uint32_t count)
{
	int r = prk_queue_lock_puts(q);

	if (r < 0)
		return r;
	prk_queue_wake(&q->body->getters, &q->body->filled, count);
	prk_queue_unlock_puts(q);
	return 0;
}

/* ---- putting ---- */

/* What there is to put. */
struct goods {
	const struct iovec *items;
	uint32_t count;
	const struct prusik_queue_put_options *options; /* may be NULL */
};

static inline uint32_t room(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;

	if ((uint32_t)b->puts - b->frees_seen >= q->capacity)
		/* acq [queue.cursors]: the freed nodes are ours, and so are their cells */
		b->frees_seen = prk_queue_cursors(prk_load64_acq(&b->cursors)).frees;
	uint32_t used = (uint32_t)b->puts - b->frees_seen;
	return used < q->capacity ? q->capacity - used : 0;
}

uint32_t prk_queue_room(struct prusik_queue *q)
{
	return room(q);
}

static inline void fill(struct prusik_queue *q, uint64_t number, const void *data, uint64_t length,
			const struct prusik_queue_put_options *options)
{
	struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, (uint32_t)number));

	node->number = number;
	node->length = (uint32_t)length;
	node->failures = 0;
	node->due = options ? options->not_before : 0;
	node->priority = options ? options->priority : 0;
	if (length)
		memcpy(node + 1, data, length);
}

/* Make n items of what was filled, and tell those who wait for them. */
static inline void publish(struct prusik_queue *q, uint32_t n)
{
	struct prk_queue_body *b = q->body;

	prk_store64_rel(&b->puts, b->puts + n); /* Q-P, rel [queue.puts] */
	prk_queue_wake_if(&b->getters, &b->filled, n);
}

/* One locked attempt: how many of the items were put, -EAGAIN: full, -EPIPE: closed. */
static int64_t try_put(struct prusik_queue *q, const struct goods *goods)
{
	struct prk_queue_body *b = q->body;
	int64_t r = prk_queue_lock_puts(q);

	if (r < 0)
		return r;
	uint32_t n = room(q);
	if (prk_queue_closed(q)) {
		r = -EPIPE;
	} else if (n == 0) {
		r = -EAGAIN;
	} else {
		if (n > goods->count)
			n = goods->count;
		for (uint32_t i = 0; i < n; i++)
			fill(q, b->puts + i, goods->items[i].iov_base, goods->items[i].iov_len, goods->options);
		if (goods->options && goods->options->not_before > 0)
			prk_store32_rlx(&b->delays, 1); /* before Q-P, which publishes it */
		publish(q, n);
		r = n;
	}
	prk_queue_unlock_puts(q);
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
 * (Giving the processor up instead is faster on an idle machine, and ten times slower
 * on a busy one, where strangers get it for a whole time slice.)
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

int prk_queue_wait_for_room(struct prusik_queue *q, uint32_t seen, uint32_t epoch, int64_t deadline)
{
	struct prk_queue_body *b = q->body;

	if (spin_for_room(q))
		return 0;
	int r = prk_queue_lock_gets(q);
	if (r < 0)
		return r;
	bool sleep = is_full(q) && b->emptied == seen && !prk_queue_closed(q);
	if (sleep) {
		b->putters = 1;
		b->put_waits++;
	}
	prk_queue_unlock_gets(q);
	return sleep ? prk_wait(&b->emptied, seen, epoch, deadline) : 0;
}

/* The same; what the dead have reserved is room. */
static int64_t put_once(struct prusik_queue *q, const struct goods *goods)
{
	int64_t r = try_put(q, goods);

	return r == -EAGAIN && prk_queue_reclaim(q) ? try_put(q, goods) : r;
}

static int64_t put_some(struct prusik_queue *q, const struct goods *goods, int64_t deadline)
{
	int64_t r = put_once(q, goods);

	while (r == -EAGAIN && deadline != PRUSIK_NOW) {
		uint32_t epoch = prk_epoch();
		uint32_t seen = prk_load32_acq(&q->body->emptied); /* acq [queue.emptied] */
		r = put_once(q, goods);
		if (r != -EAGAIN)
			break;
		int w = prk_queue_wait_for_room(q, seen, epoch, deadline);
		if (w < 0)
			return w;
	}
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int64_t put_all(struct prusik_queue *q, const struct iovec *items, uint32_t count, int64_t deadline)
{
	uint32_t done = 0;

	while (done < count) {
		struct goods rest = { items + done, count - done, NULL };
		int64_t r = put_some(q, &rest, deadline);
		if (r < 0)
			return done ? done : r;
		done += (uint32_t)r;
	}
	return done;
}

/* One item, where there is room and nobody in the way: the same steps as in try_put. False: nothing was done. */
static inline bool put_at_once(struct prusik_queue *q, const void *data, uint64_t length)
{
	struct prk_queue_body *b = q->body;

	if (!prk_lock_try(&b->put_lock))
		return false;
	bool open = room(q) > 0 && !prk_queue_closed(q);
	if (open) {
		fill(q, b->puts, data, length, NULL);
		publish(q, 1);
	}
	prk_queue_unlock_puts(q);
	return open;
}

int prusik_queue_put(struct prusik_queue *queue, const void *data, uint64_t length, int64_t deadline)
{
	if (queue && data && length <= queue->item_max && put_at_once(queue, data, length))
		return 0;
	return prusik_queue_put_with(queue, data, length, NULL, deadline);
}

int prusik_queue_put_with(struct prusik_queue *queue, const void *data, uint64_t length,
			  const struct prusik_queue_put_options *options, int64_t deadline)
{
	if (!queue || (!data && length))
		return -EINVAL;
	if (length > queue->item_max)
		return -EMSGSIZE;
	struct iovec item = { (void *)(uintptr_t)data, length };
	int64_t r = put_some(queue, &(struct goods){ &item, 1, options }, deadline);
	return r < 0 ? (int)r : 0;
}

int64_t prusik_queue_put_many(struct prusik_queue *queue, const struct iovec *items, uint32_t count, int64_t deadline)
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
