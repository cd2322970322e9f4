/* SPDX-License-Identifier: MIT */
/*
 * Lists that processes share, of items of 64 bytes: the item at a random position, and an
 * item put behind the last one and the first one taken out. The loops are dict.c's.
 */
#include "bench.h"
#include "map.h"

#include <errno.h>
#include <prusik/list.h>
#include <stdlib.h>
#include <string.h>

/* ---- prusik ---- */

struct shared {
	struct prusik_arena *arena;
	struct prusik_list *list;
};

static int open_list(const struct map_shape *shape, void **ret_map)
{
	struct shared *shared = calloc(1, sizeof *shared);

	if (!shared)
		return -ENOMEM;
	int r = prusik_arena_create(NULL, (shape->keys * 250) + (1 << 20), &shared->arena);
	if (r == 0)
		r = prusik_list_create(shared->arena, "bench", NULL, &shared->list);
	*ret_map = shared;
	return r;
}

static void close_list(void *arg)
{
	struct shared *shared = arg;

	prusik_list_free(shared->list);
	prusik_arena_close(shared->arena);
	free(shared);
}

static struct prusik_list *list_of(const struct map_end *end)
{
	return ((struct shared *)end->map)->list;
}

static int append(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	(void)key;
	return prusik_list_append(list_of(end), value, MAP_VALUE);
}

static int get(struct map_end *end, uint64_t number)
{
	char value[MAP_VALUE];
	uint64_t word;
	int64_t r = prusik_list_get(list_of(end), (int64_t)number, value, sizeof value);

	if (r != MAP_VALUE)
		return r < 0 ? (int)r : -EBADMSG;
	memcpy(&word, value, sizeof word);
	return word == number ? 0 : -EBADMSG;
}

static int append_and_pop(struct map_end *end, uint64_t number)
{
	char value[MAP_VALUE];

	memset(value, 'v', sizeof value);
	memcpy(value, &number, sizeof number);
	int r = prusik_list_append(list_of(end), value, sizeof value);
	if (r < 0)
		return r;
	int64_t n = prusik_list_pop(list_of(end), 0, value, sizeof value);
	return n == MAP_VALUE ? 0 : n < 0 ? (int)n : -EBADMSG;
}

static int once(struct map_end *end, uint64_t number)
{
	return end->shape->operation == MAP_GET ? get(end, number) : append_and_pop(end, number);
}

const struct map_peer list_prusik = {
	.open = open_list,
	.close = close_list,
	.fill = append,
	.once = once,
};

/* ---- Manager().list ---- */

static int setup_python(struct bench_piece *piece)
{
	(void)piece;
	return 0;
}

static int run_python(struct bench_piece *piece)
{
	const struct map_shape *shape = piece->workload->shape;
	uint64_t count = (piece->count / shape->processes + 1) * shape->processes;
	int result = list_python(shape, count, &piece->ns);

	piece->value = (double)piece->ns / (double)count;
	if (result == BENCH_LEFT_OUT)
		bench_note(piece, "left out: no python3 with multiprocessing");
	return result;
}

static void teardown_python(struct bench_piece *piece)
{
	(void)piece;
}

/* ---- the tables ---- */

#define SUBJECT(shown, is_ours, its_peer)                                                                              \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = map_setup, .run = map_run, .teardown = map_teardown,          \
		.peer = its_peer                                                                                       \
	}

static const struct bench_subject subjects[] = {
	SUBJECT("prusik", 1, &list_prusik),
	SUBJECT("gqueue", 0, &list_gqueue),
	SUBJECT("gptrarray", 0, &list_gptrarray),
	SUBJECT("redis", 0, &list_redis),
	{ .name = "python", .setup = setup_python, .run = run_python, .teardown = teardown_python },
	{ .name = NULL },
};

#define LIST(shown, what, users)                                                                                       \
	{                                                                                                              \
		.name = shown, .unit = "ns/op", .counted = 1, .subjects = subjects, .shape = &(const struct map_shape) \
		{                                                                                                      \
			.operation = what, .processes = users, .keys = 10000                                           \
		}                                                                                                      \
	}

const struct bench_workload bench_list[] = {
	LIST("list-get-1p", MAP_GET, 1),
	LIST("list-get-2p", MAP_GET, 2),
	LIST("list-append-pop-1p", MAP_SET, 1),
	LIST("list-append-pop-2p", MAP_SET, 2),
	{ .name = NULL },
};
