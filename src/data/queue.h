/* SPDX-License-Identifier: MIT */
/*
 * queue - a ring whose cells are always a permutation of the nodes
 *
 * An item lies in a node; which node is where in line stands in a ring of cells.
 * Three cursors, which count up without end, divide the ring:
 *
 *	      frees           gets            puts            frees + size
 *	        |    leased    |     ready     |      free      |
 *	        |    (lent)    | (in order)    |   (any order)  |
 *
 *   put    fills the node in the cell at puts, then puts + 1
 *   take   writes its name on the node in the cell at gets, then gets + 1
 *   done   swaps its cell with the one at frees, then frees + 1
 *   get    take and done in one (a single step of gets and frees, when nothing is leased)
 *   return swaps its cell with the one at gets - 1, then gets - 1
 *
 * So most operations are one store, before which nothing has happened and after
 * which all has; those that swap two cells use the undo log. No node is ever
 * outside the ring, so none can leak.
 *
 * Putters and takers have a lock each, on cache lines of their own, and meet only
 * in the cursors. The kinds of side data are:
 *
 * struct prk_queue_body - the shared part; private or shared memory, at any address
 *
 * WORD     cursors: gets in the high, frees in the low 32 bits. puts counts on in 64
 *          bits, its low 32 are comparable with gets. cell: node number XOR cell
 *          number, so that zeroed memory is a ring in order. filled, emptied: futex
 *          words, counted up to wake those who wait for items, or for room.
 * WRITES   puts, frees_seen, getters, filled: the holder of put_lock.
 *          cursors, cells, puts_seen, epoch_seen, putters, emptied, undo, node
 *          headers of ready and leased items: the holder of get_lock.
 *          A free node's header and payload: the holder of put_lock. A leased
 *          node's payload: its taker. closed: the holder of put_lock; only upwards.
 *          The first line: fixed once magic is set.
 * ALWAYS   Q1 the cells name each node once
 *          Q2 frees <= gets <= puts <= frees + capacity (modulo 2^32)
 *          Q3 a getter sleeps on filled => getters is set, or he has been woken, or
 *          somebody in the domain has died since he looked; emptied likewise
 *          Q4 ready items are in the order of their numbers, returned ones first
 * MAY LIE  frees_seen, puts_seen: too low, never too high. position in a node: a
 *          hint, checked against the cell. owner of a node that is not leased.
 *          getters, putters: set with no sleeper costs one wake.
 * KILLED   put before Q-P (puts): the item never was; after: it is in. Sleepers not
 *          yet woken are woken by the epoch. take before Q-T (cursors): not taken;
 *          after: leased to a dead id, so the next taker who finds nothing ready,
 *          or a raised epoch, returns it. done before Q-D (cursors): still leased,
 *          a half swap is rolled back by the next holder of get_lock; after: free.
 *          get with leases about is a take and a done. A return: rolled back or
 *          done, item by item. close after Q-C (closed): all who wait are woken by
 *          the epoch and see it.
 */
#ifndef PRK_DATA_QUEUE_H
#define PRK_DATA_QUEUE_H

#include "base/atomic.h"
#include "shm/undo.h"

#include <prusik/lock.h>
#include <prusik/queue.h>

#define PRK_QUEUE_MAGIC UINT64_C(0x657565756b737270) /* "prskueue" */
#define PRK_QUEUE_VERSION 1u

struct prk_queue_body {
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
	uint64_t item_max;
	uint32_t capacity;
	uint32_t size; /* of the ring: capacity rounded up to a power of two */
	uint32_t closed; /* 0, or 1 + enum prusik_queue_close */
	uint32_t fixed_reserved[7];

	/* 64: the putters' line */
	struct prusik_lock put_lock;
	uint64_t puts;
	uint32_t frees_seen;
	uint32_t getters;
	uint32_t filled;
	uint32_t put_recovered;
	uint64_t put_reserved[4];

	/* 128: the takers' line */
	struct prusik_lock get_lock;
	uint64_t cursors;
	uint32_t puts_seen;
	uint32_t epoch_seen;
	uint32_t putters;
	uint32_t emptied;
	uint64_t returned;
	uint32_t get_recovered;
	uint32_t get_reserved[5];

	/* 192 */
	struct prk_undo undo;
	uint64_t undo_reserved[7];

	/* then size cells, then, from the next line on, size nodes */
};

/* A node: this, then the payload. */
struct prk_node {
	uint64_t number; /* of the item: how many were put before it */
	uint32_t length;
	uint32_t owner; /* id of the taker */
	uint32_t failures; /* how often a taker of it ended before done */
	uint32_t position; /* where its cell was last */
	uint64_t reserved;
};

/* This process's view. What is copied here was checked when it was opened. */
struct prusik_queue {
	struct prk_queue_body *body;
	uint32_t *cells;
	char *nodes;
	uint64_t stride;
	uint64_t item_max;
	uint32_t capacity;
	uint32_t mask;
	uint32_t private_memory;
};

struct prk_cursors {
	uint32_t gets, frees;
};

static inline struct prk_cursors prk_queue_cursors(uint64_t word)
{
	return (struct prk_cursors){ (uint32_t)(word >> 32), (uint32_t)word };
}

static inline uint64_t prk_queue_cursors_word(struct prk_cursors c)
{
	return (uint64_t)c.gets << 32 | c.frees;
}

static inline uint32_t *prk_queue_cell(const struct prusik_queue *q, uint32_t position)
{
	return &q->cells[position & q->mask];
}

/* The number of the node in that cell: in range, whatever the cell says. */
static inline uint32_t prk_queue_node_at(const struct prusik_queue *q, uint32_t position)
{
	return (*prk_queue_cell(q, position) ^ position) & q->mask;
}

/* What a cell holds when that node is in it. */
static inline uint32_t prk_queue_cell_value(const struct prusik_queue *q, uint32_t position, uint32_t node)
{
	return (node ^ position) & q->mask;
}

static inline struct prk_node *prk_queue_node(const struct prusik_queue *q, uint32_t node)
{
	return (struct prk_node *)(void *)(q->nodes + node * q->stride);
}

/* Take a side's lock, cleaning up after a dead holder. 0, or why it cannot be had. */
int prk_queue_lock_puts(struct prusik_queue *q);
int prk_queue_lock_gets(struct prusik_queue *q);

/* Under get_lock: swap two cells of the leased part, within the running change. */
void prk_queue_swap(struct prusik_queue *q, uint32_t a, uint32_t b);

/*
 * Under get_lock: put the leases of the dead back to the front of the line; how
 * many. others: set when a lease that is not the caller's remains.
 */
uint32_t prk_queue_return_dead(struct prusik_queue *q, bool *ret_others);

/* Under get_lock: is the first lease a dead one's? That may be so before the epoch tells. */
bool prk_queue_oldest_died(const struct prusik_queue *q);

/* Are Q1, Q2, and the lengths so? Under no lock, with nobody inside. Any bytes do. */
bool prk_queue_valid(const struct prusik_queue *q);

#endif
