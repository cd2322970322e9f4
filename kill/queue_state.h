/* SPDX-License-Identifier: MIT */
/*
 * queue_state - start states of queues, and what must be left of them
 *
 * A start state is a script, run once per case by real processes:
 *
 *	+3    three items are put (their values count up from 1)
 *	-2    two are taken out with get
 *	~3    three are taken and done in another order, so that cells change places
 *	a2    process a takes two and stays; so do b, c, d
 *	!a    process a is killed: its leases wait to be returned
 *	x1    one is taken and buried
 *	l2    two are put with a delay, found too early by somebody, and then become due
 *
 * Kills come last in a script. What it leaves is kept as an image, and copied to
 * the object at each point.
 *
 * The account afterwards: items are in the queue still (drained by the checker),
 * or taken by somebody beside the victim (noted), or by the victim (got). Each
 * item of the start state must be in exactly one of these, in the order of the
 * line, but for what the victim may have done:
 */
#ifndef KILL_QUEUE_STATE_H
#define KILL_QUEUE_STATE_H

#include "kill.h"

#include "data/queue.h"

#define QUEUE_CAPACITY 6
#define QUEUE_BYTES 2048 /* an upper bound */
#define QUEUE_VICTIM_ADDS 100 /* values that the victim puts: this, and on */
#define QUEUE_BESIDE_ADDS 900
#define QUEUE_MANY 3

struct queue_plan {
	const char *script;
	uint32_t victim_takes; /* before it begins */
	uint32_t lent; /* leases it may have at its death, these apart; of others who die, too */
	uint32_t takes_out; /* items from the front, at most, and exactly if it finishes */
	uint32_t adds; /* items at most; exactly if it finishes */
	uint64_t done[3]; /* values whose leases it gives back, in this order; 0 = none */
	uint32_t closes; /* 0, or 1 + enum prusik_queue_close */
	bool fails; /* it finds nothing to do */
	bool delays; /* what it does makes items wait: their order is not looked at */
	uint32_t kind; /* enum prusik_queue_kind; of priority: odd values come after even ones */
	uint32_t attempts_max;
	bool ends; /* with its producers */
};

/* A handle for the queue in object. Overwritten by the next call but three. */
struct prusik_queue *queue_at(void *object);

/* What kill_case wants. */
void queue_begin(void *image);
void queue_setup(void *object);
void queue_victim_takes(void *object);
bool queue_check(void *object);

/* The lease of that value, held by who stays, or by the victim. */
const struct prusik_lease *queue_lease(uint64_t value);

/* Put that value; take one out, noting it for the account. 0, or as prusik_queue_put and _take. */
int queue_put_value(struct prusik_queue *q, uint64_t value, int64_t deadline);
int queue_take_out(struct prusik_queue *q, int64_t deadline);

/* The victim says that it got this. */
void queue_got(const void *data);

/* ---- what the tables of cases share (queue.c) ---- */

/* Victims: three are put; those of the plan are done, in one call; closed as the plan says. */
void queue_put_many(void *object);
void queue_done_many(void *object);
void queue_close(void *object);

void queue_recover(void *object);
void queue_one_in(void *object);
void queue_one_out(void *object);
void queue_one_out_one_in(void *object);
void queue_one_out_at_last(void *object, int times);

#define QUEUE_CASE(operation_, state_, script_, ...)                                                                   \
	.noun = "queue", .operation = operation_, .state = state_, .size = QUEUE_BYTES,                                \
	.data = &(const struct queue_plan){ .script = script_, __VA_ARGS__ }, .begin = queue_begin,                    \
	.prepare = queue_victim_takes, .check = queue_check

/* Nothing that it does not do itself is about to happen in the queue. */
#define QUEUE_ALONE .setup = queue_setup, .recover = queue_recover, .beside = queue_one_out_one_in

/* It waits, and others with it. */
#define QUEUE_WAITING .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL

/* An item. */
struct queue_item {
	uint64_t value, proof;
};
struct queue_item queue_item(uint64_t value);

#endif
