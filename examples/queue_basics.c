/* SPDX-License-Identifier: MIT */
/*
 * 9: A queue with room for three: put and get, in all the ways they can wait.
 *
 * The deadline says how long: PRUSIK_FOREVER blocks, PRUSIK_NOW does not, and
 * prusik_in_ms waits for a while. There is no second flag that could contradict it.
 */
#include <errno.h>
#include <prusik.h>
#include <stdio.h>
#include <string.h>

static void put(struct prusik_queue *queue, const char *item, int64_t deadline)
{
	int r = prusik_queue_put(queue, item, strlen(item) + 1, deadline);

	printf("put %s: %s\n", item, r == -ETIMEDOUT ? "full" : prusik_strerror(r));
}

static void get(struct prusik_queue *queue, int64_t deadline)
{
	char item[16];
	int64_t r = prusik_queue_get(queue, item, sizeof item, deadline);

	printf("get: %s\n", r > 0 ? item : r == -ETIMEDOUT ? "empty" : prusik_strerror((int)r));
}

int main(void)
{
	struct prusik_queue_options options = { .capacity = 3, .item_max = 16 };
	struct prusik_queue *queue;

	if (prusik_queue_create(NULL, NULL, &options, &queue) < 0)
		return 1;
	put(queue, "one", PRUSIK_FOREVER);
	put(queue, "two", PRUSIK_FOREVER);
	put(queue, "three", PRUSIK_FOREVER);
	put(queue, "four", PRUSIK_NOW); /* PRUSIK_FOREVER would wait until somebody gets */
	put(queue, "four", prusik_in_ms(10));
	get(queue, PRUSIK_FOREVER);
	get(queue, PRUSIK_FOREVER);
	get(queue, PRUSIK_FOREVER);
	get(queue, PRUSIK_NOW);
	get(queue, prusik_in_ms(10));
	prusik_queue_free(queue);
	return 0;
}
