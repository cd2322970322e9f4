/* SPDX-License-Identifier: MIT */
/*
 * 10: A cook makes ten dishes, a guest eats ten: two processes and a queue between them.
 *
 * The queue decouples their unequal speeds, and does all the locking. The guest need
 * not know that there are ten: the cook says that no more will come.
 */
#include <errno.h>
#include <prusik.h>
#include <stdio.h>

static int cook(void *queue)
{
	for (int dish = 1; dish <= 10; dish++) {
		if (prusik_queue_put(queue, &dish, sizeof dish, PRUSIK_FOREVER) < 0)
			return 1;
	}
	return prusik_queue_close(queue, PRUSIK_QUEUE_DRAIN) < 0;
}

static int guest(void *queue)
{
	int64_t r;
	int dish;

	while ((r = prusik_queue_get(queue, &dish, sizeof dish, PRUSIK_FOREVER)) > 0)
		printf("ate dish %d\n", dish);
	return r != -EPIPE;
}

int main(void)
{
	struct prusik_queue_options options = { .capacity = 3, .item_max = sizeof(int) };
	struct prusik_process *processes[2];
	struct prusik_arena *arena;
	struct prusik_queue *queue;
	int code, failed = 0;

	if (prusik_arena_create(NULL, prusik_queue_size(&options) + 65536, &arena) < 0 ||
	    prusik_queue_create(arena, "dishes", &options, &queue) < 0 ||
	    prusik_process_start(cook, queue, NULL, &processes[0]) < 0 ||
	    prusik_process_start(guest, queue, NULL, &processes[1]) < 0)
		return 1;
	for (int i = 0; i < 2; i++) {
		failed |= prusik_process_join(processes[i], PRUSIK_FOREVER, &code) < 0 || code != 0;
		prusik_process_free(processes[i]);
	}
	prusik_queue_free(queue);
	prusik_arena_close(arena);
	return failed;
}
