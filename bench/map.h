/* SPDX-License-Identifier: MIT */
/*
 * map - what a peer provides to take part in the dict workloads
 *
 * dict.c makes the keys and the values, reads what comes back, and keeps the time; a
 * peer only looks up and stores. Users of the map are processes.
 */
#ifndef BENCH_MAP_H
#define BENCH_MAP_H

#include "bench.h"

#include <stdint.h>

#define MAP_KEY 16
#define MAP_VALUE 64
#define MAP_BATCH 16

enum map_operation { MAP_GET, MAP_SET, MAP_ADD, MAP_SORT };

struct map_shape {
	enum map_operation operation;
	uint32_t processes;
	uint64_t keys;
};

/* One process's end. */
struct map_end {
	const struct map_shape *shape;
	void *map; /* what open made */
	void *own; /* join may keep something here */
	uint32_t waiting; /* for peers that collect a batch */
	uint64_t asked[MAP_BATCH]; /* first words of the values of the keys whose get waits */
};

/* 0 or -errno. */
struct map_peer {
	const char *(*unfit)(const struct map_shape *shape);
	int (*open)(const struct map_shape *shape, void **ret_map);
	void (*close)(void *map);
	int (*join)(struct map_end *end);
	void (*leave)(struct map_end *end);
	/* In one process, which has joined, before the start. Keys that are added to hold a number. */
	int (*fill)(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE]);
	int (*get)(struct map_end *end, const char key[MAP_KEY], char value[MAP_VALUE]);
	int (*set)(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE]);
	int (*add)(struct map_end *end, const char key[MAP_KEY]);
	/* Finish what waits. */
	int (*flush)(struct map_end *end);
	/* Lists (list.c), in the place of get, set and add; number is less than keys. */
	int (*once)(struct map_end *end, uint64_t number);
};

/* The loops, of dict.c. All 0 or -errno; work does count operations. */
int map_fill(const struct map_peer *peer, struct map_end *end);
int map_work(const struct map_peer *peer, struct map_end *end, uint32_t member, uint64_t count);

/* Subjects whose peer is a struct map_peer. */
int map_setup(struct bench_piece *piece);
int map_run(struct bench_piece *piece);
void map_teardown(struct bench_piece *piece);

/* peer_map_*.c; those weak are NULL when the library they need was not there. */
extern const struct map_peer map_prusik;
extern const struct map_peer map_prusik_many;
extern const struct map_peer map_lmdb __attribute__((weak));
extern const struct map_peer map_glib __attribute__((weak));
extern const struct map_peer map_memcached;
extern const struct map_peer map_redis __attribute__((weak));
extern const struct map_peer map_redis_pipelined __attribute__((weak));

extern const struct map_peer list_prusik;
extern const struct map_peer list_gqueue __attribute__((weak));
extern const struct map_peer list_gptrarray __attribute__((weak));
extern const struct map_peer list_redis __attribute__((weak));

/* The same work on Manager().dict, and .list; as queue_python (queue.h). */
int map_python(const struct map_shape *shape, uint64_t count, int64_t *ret_ns);
int list_python(const struct map_shape *shape, uint64_t count, int64_t *ret_ns);

#endif
