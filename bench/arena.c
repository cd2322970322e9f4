/* SPDX-License-Identifier: MIT */
/*
 * Blocks: free one, allocate one, among many that live; with malloc, which shares nothing and
 * survives nothing, for comparison.
 */
#include "bench.h"

#include <prusik.h>
#include <stdlib.h>
#include <string.h>

/* What a workload is about. */
struct shape {
	uint64_t live, size;
};

struct heap {
	const struct shape *shape;
	struct prusik_arena *arena;
	uint64_t *links;
	void **blocks;
	uint64_t random;
};

static uint64_t next_random(struct heap *heap)
{
	heap->random ^= heap->random << 13;
	heap->random ^= heap->random >> 7;
	heap->random ^= heap->random << 17;
	return heap->random % heap->shape->live;
}

static struct heap *heap_new(struct bench_piece *piece)
{
	struct heap *heap = calloc(1, sizeof *heap);

	if (heap) {
		heap->shape = piece->workload->shape;
		heap->random = UINT64_C(88172645463325252);
		piece->state = heap;
	}
	return heap;
}

/* ---- prusik ---- */

static void prusik_teardown(struct bench_piece *piece)
{
	struct heap *heap = piece->state;

	prusik_arena_close(heap->arena);
	free(heap);
}

static int prusik_fill(struct heap *heap)
{
	uint64_t *root;
	int r = prusik_arena_create_with(NULL, NULL, &heap->arena);

	if (r >= 0)
		r = prusik_arena_root(heap->arena, "links", &root);
	if (r >= 0)
		r = prusik_arena_alloc(heap->arena, heap->shape->live * sizeof *heap->links, root);
	if (r < 0)
		return r;
	heap->links = prusik_arena_pointer(heap->arena, *root);
	for (uint64_t i = 0; r >= 0 && i < heap->shape->live; i++)
		r = prusik_arena_alloc(heap->arena, heap->shape->size, &heap->links[i]);
	return r;
}

static int prusik_setup(struct bench_piece *piece)
{
	struct heap *heap = heap_new(piece);
	int r = heap ? prusik_fill(heap) : -1;

	if (r < 0 && heap)
		prusik_teardown(piece);
	return r < 0 ? r : 0;
}

static int prusik_run(struct bench_piece *piece)
{
	struct heap *heap = piece->state;
	int64_t begin = prusik_now();

	for (uint64_t n = 0; n < piece->count; n++) {
		uint64_t *link = &heap->links[next_random(heap)];
		if (prusik_arena_free(heap->arena, link) < 0 ||
		    prusik_arena_alloc(heap->arena, heap->shape->size, link) < 0)
			return BENCH_WRONG;
	}
	piece->ns = prusik_now() - begin;
	piece->value = (double)piece->ns / (double)piece->count;
	return 0;
}

/* ---- malloc ---- */

static void malloc_teardown(struct bench_piece *piece)
{
	struct heap *heap = piece->state;

	for (uint64_t i = 0; heap->blocks && i < heap->shape->live; i++)
		free(heap->blocks[i]);
	free(heap->blocks);
	free(heap);
}

static int malloc_setup(struct bench_piece *piece)
{
	struct heap *heap = heap_new(piece);

	if (!heap)
		return -1;
	heap->blocks = calloc(heap->shape->live, sizeof *heap->blocks);
	for (uint64_t i = 0; heap->blocks && i < heap->shape->live; i++)
		heap->blocks[i] = calloc(1, heap->shape->size);
	return 0;
}

static int malloc_run(struct bench_piece *piece)
{
	struct heap *heap = piece->state;
	int64_t begin = prusik_now();

	for (uint64_t n = 0; n < piece->count; n++) {
		void **block = &heap->blocks[next_random(heap)];
		free(*block);
		*block = calloc(1, heap->shape->size);
		if (!*block)
			return BENCH_WRONG;
	}
	piece->ns = prusik_now() - begin;
	piece->value = (double)piece->ns / (double)piece->count;
	return 0;
}

static const struct bench_subject subjects[] = {
	{ .name = "prusik", .ours = 1, .setup = prusik_setup, .run = prusik_run, .teardown = prusik_teardown },
	{ .name = "calloc", .setup = malloc_setup, .run = malloc_run, .teardown = malloc_teardown },
	{ .name = NULL },
};

static const struct shape thousand = { 1000, 96 }, million = { 1000000, 96 }, pages = { 1000, 4000 };

#define BLOCKS .unit = "ns/pair", .counted = 1, .subjects = subjects

const struct bench_workload bench_arena[] = {
	{ .name = "arena-96B-1000live", BLOCKS, .shape = &thousand },
	{ .name = "arena-96B-1000000live", BLOCKS, .shape = &million },
	{ .name = "arena-4000B-1000live", BLOCKS, .shape = &pages },
	{ .name = NULL },
};
