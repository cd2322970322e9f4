/* SPDX-License-Identifier: MIT */
/*
 * queue - a ring whose cells are always a permutation of the nodes
 *
 * An item lies in a node; which node is where in line stands in a ring of cells.
 * Cursors, which count up without end, and the number `parked` divide the ring:
 *
 *	      frees        gets - parked        gets            puts            frees + size
 *	        |    leased     |     parked      |     ready     |      free      |
 *	        |    (lent)     |   (any order)   |  (as put)     |   (any order)  |
 *
 *   put      fills the node in the cell at puts, then puts + 1
 *   take     writes its name on the node in the cell at gets, then gets + 1
 *   done     swaps its cell with the one at frees, then frees + 1
 *   get      take and done in one (a single step of gets and frees, when nothing is leased)
 *   return   swaps its cell with the last leased one, then gets - 1: it is ready again
 *   reserve  frees - 1: the last free node is lent to a putter, empty
 *   commit   swaps it with the node at puts, and that with the one at frees; puts + 1, frees + 1
 *
 * So most operations are one store, before which nothing has happened and after
 * which all has; those that move cells use the undo log. No node is ever
 * outside the ring, so none can leak.
 *
 * That is all that a plain queue needs: first in, first out, with nothing delayed or
 * dead. What must wait its turn in another order than that of putting is parked:
 * still in the ring, with the node's `state` telling why.
 *
 *   ORDERED  in its place by kind; takers move what is ready there before they look
 *   DELAYED  not to be handed out before `due`
 *   DEAD     given up after too many attempts, or on request
 *
 * Two heaps (queue_order.c) tell who is next among the ordered, and among the
 * delayed. They are an index, which can be made anew from the states at any time.
 *
 * Putters and takers have a lock each, on cache lines of their own, and meet only
 * in the cursors. Who needs both takes put_lock first.
 *
 * struct prk_queue_body - the shared part; private or shared memory, at any address
 *
 * WORD     cursors: gets in the high, frees in the low 32 bits. puts counts on in 64
 *          bits, its low 32 are comparable with gets. cell: node number XOR cell
 *          number, so that zeroed memory is a ring in order. filled, emptied, idle:
 *          futex words, counted up to wake those who wait for items, for room, or for
 *          the end of all work. producer: ids of those who have attached, 0 = free.
 * WRITES   puts, frees_seen, getters, filled, producer, tickets, take_waits: the holder of
 *          put_lock. cursors, cells, parked, heaps and their counts, puts_seen, epoch_seen,
 *          putters, emptied, joiners, idle, limit, undo, all figures, node headers of ready, parked and leased
 *          items: the holder of get_lock. Reserve and commit hold both.
 *          A free node's header and payload: the holder of put_lock. A leased or
 *          reserved node's payload: who has it. closed, attached, delays: the holder of
 *          put_lock; only upwards. The rest of the first line: fixed once magic is set.
 * ALWAYS   Q1 the cells name each node once
 *          Q2 frees <= gets - parked <= gets <= puts <= frees + capacity (modulo 2^32)
 *          Q3 a getter sleeps on filled => getters is set, or he has been woken, or
 *          somebody in the domain has died since he looked; emptied and putters, idle
 *          and joiners likewise
 *          Q4 ready items are in the order of their numbers, returned ones first
 *          Q5 index_stale is 0 => the heaps hold the ordered and the delayed nodes once,
 *          and dead is how many parked nodes are
 *          Q6 no lease ends, and no delay, before those asleep on filled look
 * MAY LIE  frees_seen, puts_seen: too low, never too high. position in a node: a
 *          hint, checked against the cell. owner of a node that is not leased.
 *          getters, putters, joiners: set with no sleeper costs one wake. ordered: too
 *          high, while index_stale. Figures: by one for each death. limit: too early costs a look. delays, attached:
 *          set, and nothing is delayed or attached any more.
 * KILLED   put before Q-P (puts): the item never was; after: it is in. Sleepers not
 *          yet woken are woken by the epoch. take before Q-T (cursors): not taken;
 *          after: leased to a dead id, so the next taker who finds nothing ready,
 *          or a raised epoch, returns it. done before Q-D (cursors): still leased,
 *          a half swap is rolled back by the next holder of get_lock; after: free.
 *          get with leases about is a take and a done. A return, a parking, a loan of
 *          what is parked: rolled back or done, item by item; index_stale was set
 *          before, so the next holder of get_lock makes the heaps anew. reserve, commit:
 *          rolled back or done; puts is in the log of get_lock there, so who recovers
 *          put_lock lets get_lock be recovered before he looks at puts. A reservation
 *          of a dead one is freed where dead leases are returned, and by who finds no room. close after Q-C
 *          (closed): all who wait are woken by the epoch and see it.
 */
#ifndef PRK_DATA_QUEUE_H
#define PRK_DATA_QUEUE_H

#include "base/atomic.h"
#include "base/life.h"
#include "shm/undo.h"
#include "sync/lock.h"

#include <prusik/lock.h>
#include <prusik/queue.h>

#define PRK_QUEUE_MAGIC UINT64_C(0x657565756b737270) /* "prskueue" */
#define PRK_QUEUE_VERSION 3u
#define PRK_QUEUE_PRODUCERS 64u

struct prk_queue_body {
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
	uint64_t item_max;
	uint32_t capacity;
	uint32_t size; /* of the ring: capacity rounded up to a power of two */
	uint32_t closed; /* 0, or 1 + enum prusik_queue_close */
	uint32_t kind;
	uint32_t attempts_max; /* 0: no limit */
	uint32_t ends; /* when the last producer has gone */
	int64_t lease; /* of how long, in ns; 0: no limit */
	uint32_t delays; /* 1: something was put with a delay */
	uint32_t attached; /* 1: a producer was attached */

	/* 64: the putters' line */
	struct prusik_lock put_lock;
	uint64_t puts;
	uint32_t frees_seen;
	uint32_t getters;
	uint32_t filled;
	uint32_t put_recovered;
	uint64_t tickets; /* reservations made */
	uint64_t take_waits;
	uint64_t put_reserved[2];

	/* 128: the takers' line */
	struct prusik_lock get_lock;
	uint64_t cursors;
	uint32_t puts_seen;
	uint32_t epoch_seen;
	uint32_t putters;
	uint32_t emptied;
	uint32_t parked;
	uint32_t index_stale;
	int64_t limit; /* when the first lease ends by time; 0: none does */
	uint32_t joiners;
	uint32_t idle;
	struct prk_undo undo; /* its first 8 bytes, which each taker looks at, end that line */

	/* 704 */
	uint32_t ordered; /* entries of the heap at the front of the index */
	uint32_t delayed; /* entries of the one at its back */
	uint32_t dead; /* parked nodes that are */
	uint32_t get_recovered;
	uint64_t returned;
	uint64_t retried;
	uint64_t buried;
	uint64_t put_waits;
	uint64_t order_spare[2];

	/* 768 */
	uint32_t producer[PRK_QUEUE_PRODUCERS];

	/* 1024: then size cells, size index entries and size nodes, each beginning on a line */
};

enum prk_node_state { /* of a leased or parked node */
		      PRK_NODE_LEASED = 1,
		      PRK_NODE_RESERVED,
		      PRK_NODE_ORDERED,
		      PRK_NODE_DELAYED,
		      PRK_NODE_DEAD,
};

/* A node: this, then the payload. */
struct prk_node {
	uint64_t number; /* of the item: how many were put before it */
	int64_t due; /* not to be handed out before; of a lease: when it ends; 0: no limit */
	uint32_t length;
	uint32_t owner; /* id of the taker */
	uint32_t failures; /* how many attempts at it have failed */
	uint32_t position; /* where its cell was last */
	uint32_t turn; /* how often the node was lent */
	uint32_t state; /* enum prk_node_state */
	int32_t priority;
	uint32_t reserved;
};

/* The owner of a lease that ends by time alone. */
#define PRK_QUEUE_NOBODY PRK_ID_MASK

/* An entry of the index: the smallest (key, tie) is next. */
struct prk_queue_entry {
	uint64_t key;
	uint32_t tie;
	uint32_t node;
};

/* This process's view. What is copied here was checked when it was opened. */
struct prusik_queue {
	struct prk_queue_body *body;
	uint32_t *cells;
	struct prk_queue_entry *index;
	char *nodes;
	uint64_t stride;
	uint64_t item_max;
	uint32_t capacity;
	uint32_t mask;
	uint32_t kind;
	uint32_t plain; /* first in, first out, and leases without a limit */
	uint32_t private_memory;
	struct prusik_arena *own_arena; /* closed with the handle */
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

/* Under get_lock: where the leased part ends, and the parked one begins. */
static inline uint32_t prk_queue_leased_end(const struct prusik_queue *q)
{
	return prk_queue_cursors(q->body->cursors).gets - q->body->parked;
}

static inline uint32_t prk_queue_closed(const struct prusik_queue *q)
{
	return prk_load32_acq(&q->body->closed); /* acq [queue.closed]: Q-C */
}

static inline bool prk_queue_discarded(const struct prusik_queue *q)
{
	return prk_queue_closed(q) == 1 + PRUSIK_QUEUE_DISCARD;
}

/*
 * Take a side's lock, cleaning up after a dead holder. 0, or why it cannot be had;
 * -EPROTO: the undo log holds nonsense.
 */
int prk_queue_lock_puts_slow(struct prusik_queue *q);
int prk_queue_lock_gets_slow(struct prusik_queue *q);
int prk_queue_refuse_gets(struct prusik_queue *q);

static inline int prk_queue_lock_puts(struct prusik_queue *q)
{
	return prk_lock_try(&q->body->put_lock) ? 0 : prk_queue_lock_puts_slow(q);
}

static inline int prk_queue_lock_gets(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;

	if (__builtin_expect(!prk_lock_try(&b->get_lock), 0))
		return prk_queue_lock_gets_slow(q);
	return __builtin_expect(prk_undo_sound(&b->undo), 1) ? 0 : prk_queue_refuse_gets(q);
}

static inline void prk_queue_unlock_puts(struct prusik_queue *q)
{
	prk_lock_release(&q->body->put_lock);
}

static inline void prk_queue_unlock_gets(struct prusik_queue *q)
{
	prk_lock_release(&q->body->get_lock);
}

/* Both; for what moves nodes between putters and takers. */
int prk_queue_lock_both(struct prusik_queue *q);
void prk_queue_unlock_both(struct prusik_queue *q);

/* Wake up to count of those asleep on word; under the flag's lock. */
void prk_queue_wake(uint32_t *flag, uint32_t *word, uint32_t count);
static inline void prk_queue_wake_if(uint32_t *flag, uint32_t *word, uint32_t count)
{
	if (*flag)
		prk_queue_wake(flag, word, count);
}

/* Up to count takers look again; also those who have looked and are about to sleep. Under no lock. */
int prk_queue_wake_takers(struct prusik_queue *q, uint32_t count);

/* Under put_lock: for how many items there is room. */
uint32_t prk_queue_room(struct prusik_queue *q);

/* Wait until there may be room; seen and epoch are from before the look that found none. */
int prk_queue_wait_for_room(struct prusik_queue *q, uint32_t seen, uint32_t epoch, int64_t deadline);

/* Under no lock: where reservations were ever made, free those of the dead. True: there is room. */
bool prk_queue_reclaim(struct prusik_queue *q);

/* Under get_lock: how many items are ready. */
static inline uint32_t prk_queue_ready(struct prusik_queue *q)
{
	struct prk_queue_body *b = q->body;
	uint32_t gets = prk_queue_cursors(b->cursors).gets;

	if (b->puts_seen == gets)
		/* acq [queue.puts]: the items are whole */
		b->puts_seen = (uint32_t)prk_load64_acq(&b->puts);
	return b->puts_seen - gets;
}

/* Under get_lock: swap two cells; within the running change, or as one of its own. */
void prk_queue_swap(struct prusik_queue *q, uint32_t a, uint32_t b);
void prk_queue_swap_now(struct prusik_queue *q, uint32_t a, uint32_t b);

/*
 * Under get_lock: the leased node at position becomes free. The swap is a change of
 * its own, which only reorders the leases; a putter may use the node from Q-D on, so
 * that must not be undone.
 */
static inline void prk_queue_release_cell(struct prusik_queue *q, uint32_t position)
{
	struct prk_cursors c = prk_queue_cursors(q->body->cursors);

	if (position != c.frees)
		prk_queue_swap_now(q, position, c.frees);
	c.frees++;
	prk_store64_rel(&q->body->cursors, prk_queue_cursors_word(c)); /* Q-D, rel [queue.cursors] */
}

/* Under get_lock: so many nodes became free. Wake putters, and joiners if all is finished. */
void prk_queue_gone_slow(struct prusik_queue *q, uint32_t count);
static inline void prk_queue_gone(struct prusik_queue *q, uint32_t count)
{
	if (q->body->putters | q->body->joiners)
		prk_queue_gone_slow(q, count);
}

/* Under get_lock: everything put is done, or dead, or discarded. */
bool prk_queue_finished(struct prusik_queue *q);

/* ---- queue_order.c: what is parked; all under get_lock ---- */

/* Move what is ready, and what has become due, to where it belongs. True: somebody must look again sooner. */
bool prk_queue_sort_in(struct prusik_queue *q, int64_t now);
/* The node of the next item, -1: none. After sort_in. */
int64_t prk_queue_first(struct prusik_queue *q);
/* Lend that item to the calling thread, until then; 0: without a limit. */
void prk_queue_lend_first(struct prusik_queue *q, int64_t until);
/* The last leased node is parked in that state; its number of failures, and when it is due. */
void prk_queue_park_last(struct prusik_queue *q, uint32_t state, uint32_t failures, int64_t due);
/* The dead node at that parked position is an item again. */
void prk_queue_revive(struct prusik_queue *q, uint32_t position);
/* The parked node at that position is the calling thread's, as if taken. Not for those in a heap. */
void prk_queue_lend_parked(struct prusik_queue *q, uint32_t position);
/* Make the heaps anew, if their maker has died. */
void prk_queue_mend_index(struct prusik_queue *q);
/* When takers must look again though nothing happens; PRUSIK_FOREVER: not. */
int64_t prk_queue_look_again(const struct prusik_queue *q);
/* A lease ends then: remember it. True: those asleep do not know. */
bool prk_queue_note_limit(struct prusik_queue *q, int64_t limit);
/* Are Q5 and the order of the heaps so? seen: size zeroed bytes. */
bool prk_queue_index_valid(const struct prusik_queue *q, char *seen);

/* ---- queue_lease.c ---- */

/* Under get_lock: where the node of that lease is, or -ESTALE. */
int64_t prk_queue_find_lease(const struct prusik_queue *q, const struct prusik_lease *lease);
/* Where the cell of a leased node is; false: it is not leased. */
bool prk_queue_find_leased(const struct prusik_queue *q, uint32_t number, uint32_t *ret_position);
/* The last leased node becomes an item again, or dies of too many failures. */
void prk_queue_give_back_last(struct prusik_queue *q, uint32_t failures);
/* The same, but it does not die. */
void prk_queue_put_back_last(struct prusik_queue *q, uint32_t failures);

/* ---- queue_return.c ---- */

/*
 * Under get_lock: put the leases of the dead, and those whose time is over, back to
 * the front of the line; how many. others: set when a lease that is not the caller's remains.
 */
uint32_t prk_queue_return_dead(struct prusik_queue *q, bool *ret_others);

/* Under get_lock: is the first lease a dead one's? That may be so before the epoch tells. */
static inline bool prk_queue_oldest_died(const struct prusik_queue *q)
{
	uint32_t frees = prk_queue_cursors(q->body->cursors).frees;

	if (prk_queue_leased_end(q) == frees)
		return false;
	uint32_t owner = prk_queue_node(q, prk_queue_node_at(q, frees))->owner;
	return owner != PRK_QUEUE_NOBODY && prk_dead(owner);
}

/* ---- queue_end.c ---- */

/* Under no lock: close it, if its producers have gone and it ends with them. 1: so it was; 0: not; or why it could not be. */
int prk_queue_end_with_producers(struct prusik_queue *q);

/* Are Q1, Q2, Q5, and the lengths so? Under no lock, with nobody inside. Any bytes do. */
bool prk_queue_valid(const struct prusik_queue *q);

#endif
