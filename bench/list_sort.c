/* SPDX-License-Identifier: MIT */
/*
 * Sorting a list of 10,000 items of 64 random bytes, by a function, in turns by their first
 * 8 bytes and by the next 8: so each time finds them in no order.
 */
#include "bench.h"
#include "map.h"
#include "team.h"

#include <errno.h>
#include <prusik/list.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 10000
#define KEY 8

static unsigned char items[ITEMS][MAP_VALUE];

static void make_items(void)
{
	srand(1);
	for (int i = 0; i < ITEMS; i++)
		for (int k = 0; k < MAP_VALUE; k++)
			items[i][k] = (unsigned char)(rand() >> 8);
}

static int run_sorts(struct bench_piece *piece, int (*sort)(void *list, uint64_t from))
{
	int64_t began = team_now();
	int r = 0;

	for (uint64_t i = 0; i < piece->count && r == 0; i++)
		r = sort(piece->state, i % 2 * KEY);
	piece->ns = team_now() - began;
	piece->value = (double)piece->ns / (double)piece->count / 1000;
	return r;
}

/* By the key of the last sort: is it in order? */
static int check(const struct bench_piece *piece, const unsigned char *left, const unsigned char *right)
{
	uint64_t from = (piece->count - 1) % 2 * KEY;

	return memcmp(left + from, right + from, KEY) <= 0 ? 0 : BENCH_WRONG;
}

/* ---- prusik ---- */

struct shared {
	struct prusik_arena *arena;
	struct prusik_list *list;
};

static void close_list(struct bench_piece *piece)
{
	struct shared *shared = piece->state;

	prusik_list_free(shared->list);
	prusik_arena_close(shared->arena);
	free(shared);
}

static int open_list(struct bench_piece *piece)
{
	struct shared *shared = piece->state = calloc(1, sizeof *shared);
	int r = shared ? prusik_arena_create(NULL, 8 << 20, &shared->arena) : -ENOMEM;

	if (r == 0)
		r = prusik_list_create(shared->arena, "bench", NULL, &shared->list);
	make_items();
	for (int i = 0; i < ITEMS && r == 0; i++)
		r = prusik_list_append(shared->list, items[i], MAP_VALUE);
	if (r < 0 && shared)
		close_list(piece);
	return r;
}

static int by_key(void *context, const void *a, uint64_t a_length, const void *b, uint64_t b_length)
{
	uint64_t from = *(uint64_t *)context;

	(void)a_length;
	(void)b_length;
	return memcmp((const char *)a + from, (const char *)b + from, KEY);
}

static int sort_list(void *list, uint64_t from)
{
	return prusik_list_sort(((struct shared *)list)->list, by_key, &from);
}

static int run_list(struct bench_piece *piece)
{
	struct prusik_list *list = ((struct shared *)piece->state)->list;
	unsigned char item[2][MAP_VALUE];
	int r = run_sorts(piece, sort_list);

	for (int64_t i = 0; i < ITEMS && r == 0; i++) {
		if (prusik_list_get(list, i, item[i % 2], MAP_VALUE) != MAP_VALUE)
			return BENCH_WRONG;
		r = i == 0 ? 0 : check(piece, item[(i + 1) % 2], item[i % 2]);
	}
	return r;
}

/* ---- qsort: an array of pointers under a mutex, in one process ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned char *pointers[ITEMS];

static int set_up_array(struct bench_piece *piece)
{
	(void)piece;
	make_items();
	for (int i = 0; i < ITEMS; i++)
		pointers[i] = items[i];
	return 0;
}

static int by_first(const void *a, const void *b)
{
	return memcmp(*(unsigned char *const *)a, *(unsigned char *const *)b, KEY);
}

static int by_second(const void *a, const void *b)
{
	return memcmp(*(unsigned char *const *)a + KEY, *(unsigned char *const *)b + KEY, KEY);
}

static int sort_array(void *unused, uint64_t from)
{
	(void)unused;
	pthread_mutex_lock(&mutex);
	qsort(pointers, ITEMS, sizeof pointers[0], from ? by_second : by_first);
	pthread_mutex_unlock(&mutex);
	return 0;
}

static int run_array(struct bench_piece *piece)
{
	int r = run_sorts(piece, sort_array);

	for (int i = 1; i < ITEMS && r == 0; i++)
		r = check(piece, pointers[i - 1], pointers[i]);
	return r;
}

static void tear_down_array(struct bench_piece *piece)
{
	(void)piece;
}

/* ---- Manager().list ---- */

static int run_python(struct bench_piece *piece)
{
	const struct map_shape *shape = piece->workload->shape;
	int result = list_python(shape, piece->count, &piece->ns);

	piece->value = (double)piece->ns / (double)piece->count / 1000;
	if (result == BENCH_LEFT_OUT)
		bench_note(piece, "left out: no python3 with multiprocessing");
	return result;
}

static int set_up_python(struct bench_piece *piece)
{
	(void)piece;
	return 0;
}

/* ---- the table ---- */

static const struct bench_subject subjects[] = {
	{ .name = "prusik", .ours = 1, .setup = open_list, .run = run_list, .teardown = close_list },
	{ .name = "qsort", .setup = set_up_array, .run = run_array, .teardown = tear_down_array },
	{ .name = "python", .setup = set_up_python, .run = run_python, .teardown = tear_down_array },
	{ .name = NULL },
};

const struct bench_workload bench_list_sort[] = {
	{ .name = "list-sort",
	  .unit = "us/op",
	  .counted = 1,
	  .subjects = subjects,
	  .shape = &(const struct map_shape){ .operation = MAP_SORT, .processes = 1, .keys = ITEMS } },
	{ .name = NULL },
};
