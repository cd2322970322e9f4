/* SPDX-License-Identifier: MIT */
/*
 * queue - what a peer provides to take part in the queue workloads
 *
 * queue.c makes the items, reads them, keeps the accounts and the time; a peer
 * only moves items. An item is size bytes; producers and consumers are processes.
 */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUEUE_BATCH_MAX 16

struct queue_shape {
	uint32_t size; /* of an item, in bytes */
	uint32_t producers;
	uint32_t consumers;
	uint32_t batch; /* items a caller has, or wants, at a time */
	uint32_t capacity; /* items the queue should hold */
	uint32_t threads; /* 1: the ends are threads of one process */
};

/* One process's end of the queue. */
struct queue_end {
	const struct queue_shape *shape;
	void *line; /* what open made */
	void *own; /* join may keep something here */
	uint32_t index; /* of this producer, or of this consumer */
	int puts; /* 1: a producer */
	/*
	 * The items at hand. Before put and get, items[i] is size bytes of the
	 * process's own memory, one item after the other; get may point it elsewhere.
	 */
	struct iovec items[QUEUE_BATCH_MAX];
	int64_t idle_since; /* set by a get that returns 0: when it first found nothing */
};

/*
 * open, join, put: 0 or -errno. get: how many came, at least 1 and at most n, or
 * -errno. NULL functions have nothing to do.
 */
struct queue_peer {
	/* Why it cannot do this shape; NULL when it can. May be NULL. */
	const char *(*unfit)(const struct queue_shape *shape);
	/* Make the queue, in the parent of all. */
	int (*open)(const struct queue_shape *shape, void **ret_line);
	void (*close)(void *line);
	/* In each child, before the common start and after its work. */
	int (*join)(struct queue_end *end);
	void (*leave)(struct queue_end *end);
	/* Append items[0..n). */
	int (*put)(struct queue_end *end, uint32_t n);
	/* Receive up to n items. */
	int (*get)(struct queue_end *end, uint32_t n);
	/* The n items of the last get have been read. */
	int (*done)(struct queue_end *end, uint32_t n);
	/*
	 * 1: consumers cannot be promised equal shares. Their get returns 0 when
	 * nothing came for a while, and stops being called when everything has arrived.
	 */
	int uneven;
};

/* peer_*.c; those weak are NULL when the library they need was not there. */
extern const struct queue_peer queue_prusik_get;
extern const struct queue_peer queue_prusik_take;
extern const struct queue_peer queue_pipe;
extern const struct queue_peer queue_seqpacket;
extern const struct queue_peer queue_mq;
extern const struct queue_peer queue_boost __attribute__((weak));
extern const struct queue_peer queue_zeromq __attribute__((weak));

/* Between threads, items of 8 bytes. */
extern const struct queue_peer queue_prusik_private_get;
extern const struct queue_peer queue_prusik_private_take;
extern const struct queue_peer queue_prusik_pointers;
extern const struct queue_peer queue_conditions;
extern const struct queue_peer queue_glib __attribute__((weak));
extern const struct queue_peer queue_tbb __attribute__((weak));
extern const struct queue_peer queue_moodycamel __attribute__((weak));

/* Processes that reserve and commit, take and finish in place. */
extern const struct queue_peer queue_prusik_in_place;

/*
 * peer_python.c: moves count items through multiprocessing.Queue. 0 with *ret_ns,
 * BENCH_LEFT_OUT's and BENCH_WRONG's values (bench.h), or -errno.
 */
int queue_python(const struct queue_shape *shape, uint64_t count, int64_t *ret_ns);

/* peer_go.c: the same through a channel, between goroutines. NULL where there was no go. */
int queue_go(const struct queue_shape *shape, uint64_t count, int64_t *ret_ns) __attribute__((weak));

#ifdef __cplusplus
}
#endif
#endif
