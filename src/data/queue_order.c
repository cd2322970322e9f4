/* SPDX-License-Identifier: MIT */
/*
 * queue: what is parked, and the two heaps that tell who is next
 *
 * Truth is the state of each node in the parked part of the ring; it changes together
 * with the ring, through the undo log. The index over it has room for one entry per
 * node: the ordered ones' heap grows from its front, the delayed ones' from its back.
 * While the two are being brought in line index_stale is set: if that is found set
 * by who recovers the lock, the heaps are made anew from the states.
 *
 * The heaps are those of Williams (1964): entry i is not after entries 2i+1 and 2i+2.
 */
#include "base/life.h"
#include "data/queue.h"

#include <prusik/common.h>

/* ---- heaps ---- */

/* A heap within the index: entry i is at first[i * step]. */
struct heap {
	struct prk_queue_entry *first;
	int64_t step;
	uint32_t *count;
	uint32_t last; /* entry that there is room for, whatever the count says */
};

static struct heap ordered(const struct prusik_queue *q)
{
	return (struct heap){ q->index, 1, &q->body->ordered, q->mask };
}

static struct heap delayed(const struct prusik_queue *q)
{
	return (struct heap){ q->index + q->mask, -1, &q->body->delayed, q->mask };
}

static struct prk_queue_entry *entry(const struct heap *heap, uint32_t i)
{
	return heap->first + i * heap->step;
}

static bool before(const struct prk_queue_entry *a, const struct prk_queue_entry *b)
{
	return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void exchange(const struct heap *heap, uint32_t i, uint32_t j)
{
	struct prk_queue_entry was = *entry(heap, i);

	*entry(heap, i) = *entry(heap, j);
	*entry(heap, j) = was;
}

static void sift_up(const struct heap *heap, uint32_t i)
{
	for (; i > 0 && before(entry(heap, i), entry(heap, (i - 1) / 2)); i = (i - 1) / 2)
		exchange(heap, i, (i - 1) / 2);
}

static void sift_down(const struct heap *heap, uint32_t i, uint32_t count)
{
	for (uint32_t child = 2 * i + 1; child < count; i = child, child = 2 * i + 1) {
		if (child + 1 < count && before(entry(heap, child + 1), entry(heap, child)))
			child++;
		if (!before(entry(heap, child), entry(heap, i)))
			return;
		exchange(heap, i, child);
	}
}

/* The count is raised at once: who looks at it without the lock must not miss an item. */
static void push(const struct heap *heap, struct prk_queue_entry new)
{
	uint32_t n = *heap->count;

	if (n > heap->last)
		return; /* corrupt memory */
	*entry(heap, n) = new;
	prk_store32_rel(heap->count, n + 1); /* rel [queue.ordered]: before the ring gives the item up */
	sift_up(heap, n);
}

static void pop(const struct heap *heap)
{
	uint32_t n = *heap->count - 1;

	if (n > heap->last)
		return; /* corrupt memory */
	*entry(heap, 0) = *entry(heap, n);
	sift_down(heap, 0, n);
	prk_store32_rel(heap->count, n); /* rel [queue.ordered] */
}

/* ---- entries ---- */

/* Lower is earlier: by kind, then in the order of putting. */
static struct prk_queue_entry ordered_entry(const struct prusik_queue *q, uint32_t number)
{
	const struct prk_node *node = prk_queue_node(q, number);
	uint64_t n = node->number;

	if (q->kind == PRUSIK_QUEUE_LIFO)
		return (struct prk_queue_entry){ ~n, 0, number };
	if (q->kind == PRUSIK_QUEUE_PRIORITY) {
		uint64_t rank = (uint32_t)node->priority ^ UINT32_C(0x80000000);
		return (struct prk_queue_entry){ rank << 32 | n >> 32, (uint32_t)n, number };
	}
	return (struct prk_queue_entry){ n, 0, number };
}

static struct prk_queue_entry delayed_entry(const struct prusik_queue *q, uint32_t number)
{
	const struct prk_node *node = prk_queue_node(q, number);

	return (struct prk_queue_entry){ (uint64_t)node->due, (uint32_t)node->number, number };
}

static void enter(const struct prusik_queue *q, uint32_t state, uint32_t number)
{
	struct heap heap = state == PRK_NODE_ORDERED ? ordered(q) : delayed(q);

	if (state == PRK_NODE_ORDERED)
		push(&heap, ordered_entry(q, number));
	else if (state == PRK_NODE_DELAYED)
		push(&heap, delayed_entry(q, number));
}

/* ---- the index and the truth ---- */

static void begin(struct prusik_queue *q)
{
	prk_store32_rlx(&q->body->index_stale, 1);
	prk_barrier();
}

static void end(struct prusik_queue *q)
{
	prk_barrier();
	prk_store32_rlx(&q->body->index_stale, 0);
	prk_barrier();
}

/* As many as can be, whatever the bytes say. */
static uint32_t parked(const struct prusik_queue *q)
{
	return q->body->parked <= q->mask ? q->body->parked : q->mask + 1;
}

/* Collect first, set the counts when all are in their heaps. */
static void make_index(struct prusik_queue *q)
{
	uint32_t count[2] = { 0, 0 }, gets = prk_queue_cursors(q->body->cursors).gets, dead = 0;
	struct heap o = ordered(q), d = delayed(q);

	o.count = &count[0];
	d.count = &count[1];
	for (uint32_t i = parked(q); i > 0; i--) {
		uint32_t number = prk_queue_node_at(q, gets - i);
		uint32_t state = prk_queue_node(q, number)->state;
		dead += state == PRK_NODE_DEAD;
		if (state == PRK_NODE_ORDERED)
			push(&o, ordered_entry(q, number));
		else if (state == PRK_NODE_DELAYED)
			push(&d, delayed_entry(q, number));
	}
	q->body->dead = dead;
	prk_store32_rel(&q->body->delayed, count[1]);
	prk_store32_rel(&q->body->ordered, count[0]); /* rel [queue.ordered] */
}

void prk_queue_mend_index(struct prusik_queue *q)
{
	if (!q->body->index_stale)
		return;
	make_index(q);
	end(q);
}

/* Corrupt bytes: an entry that is not what it should be. Then the states are asked again. */
static bool sound(const struct prusik_queue *q)
{
	const struct prk_queue_body *b = q->body;

	return b->ordered <= q->mask + 1 && b->delayed <= q->mask + 1 - b->ordered &&
	       b->ordered + b->delayed <= b->parked && b->parked <= q->mask + 1;
}

static void keep_sound(struct prusik_queue *q)
{
	if (sound(q))
		return;
	begin(q);
	make_index(q);
	end(q);
}

static uint32_t top(const struct prusik_queue *q, const struct heap *heap)
{
	return entry(heap, 0)->node & q->mask;
}

/* ---- parking ---- */

/* The first ready item is parked. True: it is the next delayed one. */
static bool park_first(struct prusik_queue *q, uint32_t state)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);
	uint32_t number = prk_queue_node_at(q, c.gets);
	struct prk_node *node = prk_queue_node(q, number);

	node->position = c.gets++;
	begin(q);
	enter(q, state, number);
	prk_undo_set32(&b->undo, &node->state, state);
	prk_undo_set32(&b->undo, &b->parked, b->parked + 1);
	prk_undo_note(&b->undo, &b->cursors, b->cursors, 0);
	prk_store64_rel(&b->cursors, prk_queue_cursors_word(c)); /* rel [queue.cursors]: after ordered */
	prk_undo_commit(&b->undo);
	end(q);
	struct heap d = delayed(q);
	return state == PRK_NODE_DELAYED && top(q, &d) == number;
}

/* The next delayed item has become due. */
static void make_due(struct prusik_queue *q)
{
	struct heap d = delayed(q);
	uint32_t number = top(q, &d);

	begin(q);
	prk_queue_node(q, number)->state = PRK_NODE_ORDERED;
	enter(q, PRK_NODE_ORDERED, number);
	pop(&d);
	end(q);
}

/*
 * Everything ready into the heap, or, where the order is that of putting, only as
 * long as it is delayed.
 */
static bool sort_in_ready(struct prusik_queue *q, int64_t now)
{
	bool news = false;

	while (prk_queue_ready(q) > 0 && q->body->parked <= q->mask) {
		uint32_t gets = prk_queue_cursors(q->body->cursors).gets;
		bool late = prk_queue_node(q, prk_queue_node_at(q, gets))->due > now;
		if (!late && q->kind == PRUSIK_QUEUE_FIFO)
			break;
		news |= park_first(q, late ? PRK_NODE_DELAYED : PRK_NODE_ORDERED);
	}
	return news;
}

bool prk_queue_sort_in(struct prusik_queue *q, int64_t now)
{
	struct heap d = delayed(q);

	keep_sound(q);
	bool news = sort_in_ready(q, now);
	while (q->body->delayed > 0 && (int64_t)entry(&d, 0)->key <= now)
		make_due(q);
	return news;
}

int64_t prk_queue_first(struct prusik_queue *q)
{
	struct heap o = ordered(q);

	if (q->body->ordered > 0)
		return top(q, &o);
	if (q->kind != PRUSIK_QUEUE_FIFO || prk_queue_ready(q) == 0)
		return -1;
	return prk_queue_node_at(q, prk_queue_cursors(q->body->cursors).gets);
}

/* Where a parked node's cell is. */
static uint32_t find_parked(const struct prusik_queue *q, uint32_t number)
{
	uint32_t gets = prk_queue_cursors(q->body->cursors).gets, n = parked(q);
	uint32_t hint = prk_queue_node(q, number)->position;

	if (gets - 1 - hint < n && prk_queue_node_at(q, hint) == number)
		return hint;
	while (n > 1 && prk_queue_node_at(q, gets - n) != number)
		n--;
	return gets - n;
}

/* Written on the node before it counts as lent. */
static void sign(struct prk_node *node)
{
	struct prk_self *self = prk_self();

	self->held++; /* first: a thread that ends here must not end silently */
	node->owner = self->id;
	node->turn++;
}

void prk_queue_lend_parked(struct prusik_queue *q, uint32_t position)
{
	struct prk_queue_body *b = q->body;
	struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, position));

	sign(node);
	if (node->state == PRK_NODE_DEAD)
		prk_undo_set32(&b->undo, &b->dead, b->dead - 1);
	prk_undo_set64(&b->undo, (uint64_t *)&node->due, 0);
	prk_undo_set32(&b->undo, &node->state, PRK_NODE_LEASED);
	prk_queue_swap(q, position, prk_queue_leased_end(q));
	prk_undo_set32(&b->undo, &b->parked, b->parked - 1);
	prk_undo_commit(&b->undo);
}

static void lend_ordered(struct prusik_queue *q, int64_t until)
{
	struct heap o = ordered(q);
	uint32_t number = top(q, &o);

	begin(q);
	prk_queue_lend_parked(q, find_parked(q, number));
	prk_queue_node(q, number)->due = until; /* killed before: its taker is dead, which ends it too */
	pop(&o);
	end(q);
}

/* Only in a queue of the order of putting: the first ready one, over what is parked. */
static void lend_ready(struct prusik_queue *q, int64_t until)
{
	struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);
	struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, c.gets));

	sign(node);
	node->state = PRK_NODE_LEASED;
	prk_undo_set64(&b->undo, (uint64_t *)&node->due, (uint64_t)until);
	prk_queue_swap(q, c.gets, prk_queue_leased_end(q));
	node->position = prk_queue_leased_end(q);
	c.gets++;
	prk_undo_set64(&b->undo, &b->cursors, prk_queue_cursors_word(c));
	prk_undo_commit(&b->undo); /* Q-T */
}

void prk_queue_lend_first(struct prusik_queue *q, int64_t until)
{
	if (q->body->ordered > 0)
		lend_ordered(q, until);
	else
		lend_ready(q, until);
}

void prk_queue_park_last(struct prusik_queue *q, uint32_t state, uint32_t failures, int64_t due)
{
	struct prk_queue_body *b = q->body;
	uint32_t position = prk_queue_leased_end(q) - 1, number = prk_queue_node_at(q, position);
	struct prk_node *node = prk_queue_node(q, number);

	node->position = position;
	begin(q);
	prk_undo_set64(&b->undo, (uint64_t *)&node->due, (uint64_t)due);
	enter(q, state, number);
	prk_undo_set32(&b->undo, &node->state, state);
	prk_undo_set32(&b->undo, &node->failures, failures);
	if (state == PRK_NODE_DEAD) {
		b->dead++; /* not in the log: as index_stale is set, who recovers get_lock counts them anew */
		prk_undo_set64(&b->undo, &b->buried, b->buried + 1);
	}
	prk_undo_set32(&b->undo, &b->parked, b->parked + 1);
	prk_undo_commit(&b->undo);
	end(q);
}

void prk_queue_revive(struct prusik_queue *q, uint32_t position)
{
	struct prk_queue_body *b = q->body;
	uint32_t number = prk_queue_node_at(q, position);
	struct prk_node *node = prk_queue_node(q, number);

	begin(q);
	prk_undo_set64(&b->undo, (uint64_t *)&node->due, 0);
	enter(q, PRK_NODE_ORDERED, number);
	prk_undo_set32(&b->undo, &node->state, PRK_NODE_ORDERED);
	prk_undo_set32(&b->undo, &node->failures, 0);
	b->dead--; /* as in park_last */
	prk_undo_commit(&b->undo);
	end(q);
}

/* ---- time ---- */

int64_t prk_queue_look_again(const struct prusik_queue *q)
{
	struct heap d = delayed(q);
	int64_t limit = q->body->limit ? q->body->limit : PRUSIK_FOREVER;

	if (q->body->delayed == 0)
		return limit;
	int64_t due = (int64_t)entry(&d, 0)->key;
	return due < limit ? due : limit;
}

bool prk_queue_note_limit(struct prusik_queue *q, int64_t limit)
{
	int64_t *first = &q->body->limit;

	if (limit == PRUSIK_FOREVER || (*first && *first <= limit))
		return false;
	*first = limit;
	return true;
}

/* ---- checking ---- */

static bool heap_valid(const struct prusik_queue *q, const struct heap *heap, uint32_t state, char *seen)
{
	for (uint32_t i = 0; i < *heap->count; i++) {
		uint32_t number = entry(heap, i)->node;
		if (number > q->mask || prk_queue_node(q, number)->state != state || seen[number]++)
			return false;
		if (i > 0 && before(entry(heap, i), entry(heap, (i - 1) / 2)))
			return false;
	}
	return true;
}

bool prk_queue_index_valid(const struct prusik_queue *q, char *seen)
{
	uint32_t gets = prk_queue_cursors(q->body->cursors).gets, count[PRK_NODE_DEAD + 1] = { 0 };
	struct heap o = ordered(q), d = delayed(q);

	if (q->body->index_stale || !sound(q))
		return false;
	for (uint32_t i = q->body->parked; i > 0; i--) {
		uint32_t state = prk_queue_node(q, prk_queue_node_at(q, gets - i))->state;
		count[state <= PRK_NODE_DEAD ? state : 0]++;
	}
	return count[PRK_NODE_ORDERED] == *o.count && count[PRK_NODE_DELAYED] == *d.count &&
	       count[PRK_NODE_DEAD] == q->body->dead && *o.count + *d.count + q->body->dead == q->body->parked &&
	       heap_valid(q, &o, PRK_NODE_ORDERED, seen) && heap_valid(q, &d, PRK_NODE_DELAYED, seen);
}
