/* SPDX-License-Identifier: MIT */
/*
 * chaos - many processes at work on the same objects, killed at random, all the time
 *
 * Producers number items and put them into two queues. Workers take them out: of
 * the first queue only on lease, so that each must be worked on at least once; of
 * the second mostly by get, so that each leaves it at most once. Partners move a
 * counter up and down under a lock, with conditions. The parent kills children and
 * replaces them, and keeps the books (chaos_book.c).
 *
 * The queues are of the kind that was asked for. Items of a lane have one priority, so that
 * among those of one producer the order is that of putting, but in a LIFO.
 *
 * No time-out of the library is in force. But a kill, and any other traffic, also
 * wakes those whom a lost wake-up left asleep. So the parent stops killing again
 * and again and demands that every single thread moves on; stops the producers
 * and demands that the queues run empty, leases of the dead included; stops the
 * workers and demands that a queue runs full; and lets single items through then.
 * A newcomer looks around, too, and rings. So now and then one is killed, while all
 * others have come to wait for what it holds, and is not replaced before they go on.
 */
#ifndef KILL_CHAOS_H
#define KILL_CHAOS_H

#include "base/atomic.h"

#include <prusik/condition.h>
#include <prusik/lock.h>
#include <prusik/queue.h>
#include <stdbool.h>
#include <sys/types.h>

#define CHAOS_CHILDREN_MAX 32
#define CHAOS_BODIES 2 /* of each child: one may be dying while the other is born */
#define CHAOS_BODIES_MAX (CHAOS_CHILDREN_MAX * CHAOS_BODIES)
#define CHAOS_THREADS 2 /* per child */
#define CHAOS_QUEUES 2
#define CHAOS_LANES_MAX (CHAOS_BODIES_MAX * CHAOS_THREADS * CHAOS_QUEUES)
#define CHAOS_MARKS (1u << 20) /* per lane; items older than half of that are off the books */
#define CHAOS_BATCH 16u
#define CHAOS_ITEM_MAX 200u
#define CHAOS_COUNTER_MAX 3u
#define CHAOS_LIMIT INT64_C(5000000000) /* standing still for so long is a hang, in ns */

enum chaos_queue { CHAOS_LEASED, CHAOS_MIXED };

enum chaos_role { CHAOS_WORKER, CHAOS_PRODUCER, CHAOS_PARTNER, CHAOS_ROLES };

enum chaos_phase {
	CHAOS_FLOW,
	CHAOS_NO_PUTS, /* producers pause, but for one item per permit */
	CHAOS_NO_TAKES, /* workers pause, but for one item per permit */
	CHAOS_END, /* producers leave, workers go on until the queues are closed and empty */
};

enum chaos_place {
	CHAOS_STARTING,
	CHAOS_PAUSING,
	CHAOS_NUMBERING,
	CHAOS_PUTTING,
	CHAOS_TAKING,
	CHAOS_GETTING,
	CHAOS_WORKING,
	CHAOS_HOLDING,
	CHAOS_FINISHING,
	CHAOS_LOCKING,
	CHAOS_WAITING,
	CHAOS_PLACES,
};

/* One thread of a child. Its own, but for the parent once the child is dead. */
struct chaos_seat {
	uint64_t steps;
	uint64_t moved; /* items put or done */
	uint32_t place;
	uint32_t tid; /* 0: nobody sits here */
	uint32_t getting; /* so many items may be gone if it dies now */
	uint32_t redelivered; /* takes of items whose lease had been lost */
	uint64_t reserved[4];
};

/* What an item went through; in chaos_book.c alone. */
struct chaos_mark {
	uint32_t word;
};

/*
 * The items of one producing thread (and of those that replace it) for one queue.
 * next: numbers below it may have been put. old: numbers below it are off the
 * books. first: the highest number that was handed out for the first time, + 1.
 */
struct chaos_lane {
	uint64_t next;
	uint64_t old;
	uint64_t first;
	uint64_t reserved[5];
};

/*
 * A lease that a thread has taken, for who gets the item after him. name is 0 while
 * the rest changes.
 */
#define CHAOS_LEASE_WORDS (sizeof(struct prusik_lease) / sizeof(uint64_t))
struct chaos_ledger {
	uint64_t name; /* the item's, + 1 */
	uint64_t lease[CHAOS_LEASE_WORDS];
};

/* What the shared lock protects. */
struct chaos_account {
	struct prusik_lock lock;
	struct prusik_condition more, less;
	int64_t a, b; /* a + b == 0 */
	uint32_t inside; /* who is, 0 = nobody */
	uint32_t count; /* 0 .. CHAOS_COUNTER_MAX */
	uint64_t recovered;
};

struct chaos_shared {
	uint32_t phase;
	uint32_t permits;
	uint32_t calm; /* nobody starts or ends a thread, or sits on leases */
	uint32_t failed;
	uint32_t holder; /* this child, + 1, keeps what it takes next: leases, or the lock */
	uint64_t inversions; /* items of the second queue out of order: returned ones */
	uint64_t refused; /* lost leases that could not be done any more */
	struct chaos_account account;
	struct chaos_ledger ledger[CHAOS_BODIES_MAX][CHAOS_THREADS];
	_Alignas(64) struct chaos_seat seat[CHAOS_BODIES_MAX][CHAOS_THREADS];
	_Alignas(64) struct chaos_lane lane[CHAOS_LANES_MAX];
	struct chaos_mark mark[CHAOS_LANES_MAX][CHAOS_MARKS];
};

struct chaos_totals {
	uint64_t items; /* that surely were put */
	uint64_t entered; /* that were seen in the first queue */
	uint64_t returns; /* leases of the first queue lost, as the items tell */
	uint64_t twice; /* worked on more than once */
	uint64_t gone; /* of the second queue, with a killed taker */
	uint64_t may_be_gone;
	uint64_t lost;
};

struct chaos_options {
	uint64_t kills, items, seconds, seed;
	uint32_t workers, producers, partners, capacity;
	uint32_t kind; /* enum prusik_queue_kind */
};

struct chaos_sums {
	uint64_t kills, multiple, everybody, silent, demands;
	uint64_t moved_by_dead, redelivered;
	int64_t standstill;
};

extern struct chaos_options chaos_options;
extern struct chaos_sums chaos_sums;
extern struct chaos_shared *chaos;
extern struct prusik_queue *chaos_queue[CHAOS_QUEUES];
extern struct chaos_totals chaos_totals;
extern uint32_t chaos_lanes;

/* The calling thread's seat, in a child. */
extern __thread struct chaos_seat *chaos_seat;

/* xorshift64*: one stream per thread. */
extern __thread uint64_t chaos_random_state;
uint32_t chaos_random(uint32_t below);

/* Say so, and stop everything. Does not return in a child. */
void chaos_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CHAOS_CHECK(condition, ...)                                                                                    \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			chaos_fail(__VA_ARGS__);                                                                       \
	} while (0)

/* ---- the books (chaos_book.c) ---- */

/* Number count items of a lane; waits until there are marks for them. The first one's number. */
uint64_t chaos_number(uint32_t lane, uint32_t count);
/* Write an item of a random length; returns the length. */
uint32_t chaos_write(void *item, uint32_t lane, uint64_t number);
/* The priority of a lane's items. Others than 0 cannot be put in batches. */
uint32_t chaos_priority(uint32_t lane);
/* A blank: shorter than a number. */
uint32_t chaos_write_blank(void *item);
/* The put of count items from first on was told to have put only so many. */
void chaos_put(uint32_t lane, uint64_t first, uint32_t count, uint32_t put);

/* What is known before a take, for the order of items. */
struct chaos_view {
	uint64_t first[CHAOS_LANES_MAX];
};
void chaos_look(struct chaos_view *view);
#define CHAOS_BLANK UINT64_MAX
/* An item was handed out on lease; by get. taken returns its name, or CHAOS_BLANK. */
uint64_t chaos_taken(const struct chaos_view *view, enum chaos_queue queue, const struct prusik_lease *lease);
void chaos_got(const struct chaos_view *view, const void *item, uint64_t length);
/* Keep that lease of that item in mind; then, an attempt later, see that its loser could not be done with it. */
void chaos_remember(struct chaos_ledger *ledger, uint64_t name, const struct prusik_lease *lease);
void chaos_try_lost(uint64_t name, const struct prusik_lease *lease);
/* The item of that name is about to be reported as done; has been. */
void chaos_finish(uint64_t name);
void chaos_done(uint64_t name);

/* In the parent: take old items off the books; all: everything. */
void chaos_balance(bool all);

/* ---- the children (chaos_child.c) ---- */

/* Be that child, in that body; never returns. */
void chaos_child(uint32_t child, uint32_t body, enum chaos_role role, uint64_t seed) __attribute__((noreturn));

/* ---- the parent (chaos_course.c) ---- */

/* Start the children, kill and replace them as the options say, and let the rest come to an end. */
void chaos_run(void);
/* Be done by the next episode's end. */
void chaos_stop(int signal);
/* For give_up: nobody is to remain. */
void chaos_kill_all(void);
/* Say who stands where, end all children, and exit. */
void chaos_give_up(void) __attribute__((noreturn));

/* The child's living body i, or 0: bodies are numbered child by child. */
pid_t chaos_body(uint32_t i);

/* ---- what stands still (chaos_dump.c) ---- */

void chaos_dump(bool with_children);

#endif
