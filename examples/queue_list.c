/* SPDX-License-Identifier: MIT */
/*
 * 28: A child puts a list on a queue, the parent gets it.
 *
 * An item is bytes: a list of values of one type is put as it lies in memory. When
 * put has returned the item is in the queue, whatever then becomes of the child.
 */
#include <prusik.h>
#include <stdio.h>

static int child(void *queue)
{
	const double list[] = { 42, 2.5, -1 };

	return prusik_queue_put(queue, list, sizeof list, PRUSIK_FOREVER) < 0;
}

int main(void)
{
	struct prusik_queue_options options = { .capacity = 4, .item_max = 1024 };
	struct prusik_process *process;
	struct prusik_arena *arena;
	struct prusik_queue *queue;
	double list[128];

	if (prusik_arena_create(NULL, prusik_queue_size(&options) + 65536, &arena) < 0 ||
	    prusik_queue_create(arena, "lists", &options, &queue) < 0 ||
	    prusik_process_start(child, queue, NULL, &process) < 0)
		return 1;
	int64_t length = prusik_queue_get(queue, list, sizeof list, PRUSIK_FOREVER);
	for (int64_t i = 0; i < length / (int64_t)sizeof list[0]; i++)
		printf("%g\n", list[i]);
	prusik_process_join(process, PRUSIK_FOREVER, NULL);
	prusik_process_free(process);
	prusik_queue_free(queue);
	prusik_arena_close(arena);
	return length < 0;
}
