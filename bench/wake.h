/* SPDX-License-Identifier: MIT */
/* wake - how long until a sleeping consumer has the item; peers are those of queue.h */
#ifndef BENCH_WAKE_H
#define BENCH_WAKE_H

#include "bench.h"
#include "queue.h"

/* For the subjects of workloads that wake; peer is a struct queue_peer, of whom put and get move one item. */
int wake_setup(struct bench_piece *piece);
int wake_run(struct bench_piece *piece);
void wake_teardown(struct bench_piece *piece);

#define WAKE_SUBJECT(shown, is_ours, its_peer)                                                                         \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = wake_setup, .run = wake_run, .teardown = wake_teardown,       \
		.peer = its_peer                                                                                       \
	}

/* Bytes of the item. */
#define WAKE_ITEM 64

/* peer_futex.c: one word and room for one item. */
extern const struct queue_peer wake_futex;

#endif
