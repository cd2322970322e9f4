/* SPDX-License-Identifier: MIT */
/*
 * How the cost of an operation grows with the number of keys, in one process. Filling
 * ten million takes longer than asking for some of them, so a map stays for all rounds,
 * and for the workloads of the same size that follow.
 *
 * Beside them what the machine has to say about it: a load from a random line of as much
 * memory as the keys take, which has to be waited for before the next one is known.
 */
#include "bench.h"
#include "map.h"
#include "team.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a key of 16 bytes and its value of 64 take in the end. */
#define KEY_BYTES 120
#define LINE 64

/* ---- maps that stay ---- */

static struct kept {
	const struct map_peer *peer;
	struct map_shape shape; /* that it was filled for */
	struct map_end end;
	void *map;
} kept[BENCH_SUBJECTS_MAX];

static void drop(struct kept *k)
{
	if (k->peer && k->peer->leave)
		k->peer->leave(&k->end);
	if (k->peer && k->peer->close)
		k->peer->close(k->map);
	*k = (struct kept){ .peer = NULL };
}

static void drop_all(void)
{
	for (int i = 0; i < BENCH_SUBJECTS_MAX; i++)
		drop(&kept[i]);
}

static int fits(const struct kept *k, const struct map_shape *shape)
{
	return k->shape.keys == shape->keys && (k->shape.operation == MAP_ADD) == (shape->operation == MAP_ADD);
}

static int fill(struct kept *k, const struct map_peer *peer, const struct map_shape *shape)
{
	*k = (struct kept){ .peer = peer, .shape = *shape };
	k->end.shape = &k->shape;
	int r = peer->open ? peer->open(shape, &k->map) : 0;
	k->end.map = k->map;
	if (r == 0 && peer->join)
		r = peer->join(&k->end);
	return r == 0 ? map_fill(peer, &k->end) : r;
}

/* The peer's map of that size, filled. Those of another size go. */
static int have(const struct map_peer *peer, const struct map_shape *shape, struct kept **ret_kept)
{
	static int registered;
	int i = 0;

	if (!registered)
		registered = atexit(drop_all) == 0;
	if (kept[0].peer && !fits(&kept[0], shape))
		drop_all();
	while (kept[i].peer && kept[i].peer != peer)
		i++;
	*ret_kept = &kept[i];
	return kept[i].peer ? 0 : fill(&kept[i], peer, shape);
}

static int setup(struct bench_piece *piece)
{
	const struct map_peer *peer = piece->subject->peer;
	const struct map_shape *shape = piece->workload->shape;
	struct kept *k;

	if (!peer || (peer->unfit && peer->unfit(shape))) {
		bench_note(piece, "left out: %s", peer ? peer->unfit(shape) : "its library was not there");
		return BENCH_LEFT_OUT;
	}
	int r = have(peer, shape, &k);
	k->shape.operation = shape->operation;
	piece->state = k;
	return r;
}

static int run(struct bench_piece *piece)
{
	struct kept *k = piece->state;
	cpu_set_t before;

	sched_getaffinity(0, sizeof before, &before);
	team_pin(0);
	int64_t began = team_now();
	int r = map_work(k->peer, &k->end, 0, piece->count);
	piece->ns = team_now() - began;
	piece->value = (double)piece->ns / (double)piece->count;
	sched_setaffinity(0, sizeof before, &before);
	return r;
}

static void teardown(struct bench_piece *piece)
{
	(void)piece;
}

/* ---- what the machine has to say ---- */

static struct {
	uint64_t bytes;
	char *memory;
	uint64_t at;
} lines;

/* Each line holds where the next one is, and the way leads through all of them. */
static void lay_path(char *memory, uint64_t n)
{
	uint64_t random = 88172645463325252;

	for (uint64_t i = 0; i < n; i++)
		memcpy(memory + i * LINE, &i, sizeof i);
	for (uint64_t i = n - 1; i > 0; i--) { /* Sattolo's shuffle */
		uint64_t a, b;
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		memcpy(&a, memory + i * LINE, sizeof a);
		memcpy(&b, memory + random % i * LINE, sizeof b);
		memcpy(memory + i * LINE, &b, sizeof b);
		memcpy(memory + random % i * LINE, &a, sizeof a);
	}
}

static int setup_lines(struct bench_piece *piece)
{
	const struct map_shape *shape = piece->workload->shape;
	uint64_t bytes = shape->keys * KEY_BYTES / LINE * LINE;

	if (lines.bytes == bytes)
		return 0;
	if (lines.bytes)
		munmap(lines.memory, lines.bytes);
	lines.bytes = 0;
	int fd = open("/dev/shm", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	void *memory = posix_fallocate(fd, 0, (off_t)bytes) == 0 ?
			       mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) :
			       MAP_FAILED;
	close(fd);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	lay_path(memory, bytes / LINE);
	lines.memory = memory;
	lines.bytes = bytes;
	lines.at = 0;
	return 0;
}

static int run_lines(struct bench_piece *piece)
{
	int64_t began = team_now();
	uint64_t at = lines.at;

	for (uint64_t i = 0; i < piece->count; i++)
		at = *(volatile uint64_t *)(void *)(lines.memory + at * LINE);
	piece->ns = team_now() - began;
	piece->value = (double)piece->ns / (double)piece->count;
	lines.at = at;
	return at < lines.bytes / LINE ? 0 : BENCH_WRONG;
}

/* ---- the tables ---- */

#define SUBJECT(shown, is_ours, its_peer)                                                                              \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown, .peer = its_peer     \
	}

static const struct bench_subject subjects[] = {
	SUBJECT("prusik", 1, &map_prusik),
	SUBJECT("prusik-many", 1, &map_prusik_many),
	SUBJECT("lmdb", 0, &map_lmdb),
	SUBJECT("glib", 0, &map_glib),
	{ .name = NULL },
};

static const struct bench_subject load[] = {
	{ .name = "load", .setup = setup_lines, .run = run_lines, .teardown = teardown },
	{ .name = NULL },
};

#define MAP(shown, who, what, n)                                                                                       \
	{                                                                                                              \
		.name = shown, .unit = "ns/op", .counted = 1, .subjects = who, .shape = &(const struct map_shape)      \
		{                                                                                                      \
			.operation = what, .processes = 1, .keys = n                                                   \
		}                                                                                                      \
	}

#define SIZE(shown, n)                                                                                                 \
	MAP("dict-load-" shown "-keys", load, MAP_GET, n), MAP("dict-get-" shown "-keys", subjects, MAP_GET, n),       \
		MAP("dict-set-" shown "-keys", subjects, MAP_SET, n),                                                  \
		MAP("dict-add-" shown "-keys", subjects, MAP_ADD, n)

const struct bench_workload bench_dict_scale[] = {
	SIZE("1k", 1000), SIZE("100k", 100000), SIZE("1M", 1000000), SIZE("10M", 10000000), { .name = NULL },
};
