/* SPDX-License-Identifier: MIT */
/*
 * 39: Producer and consumer twice: by asking whether the queue is empty, and by waiting.
 *
 * The first form is often seen: look, and sleep a little when there is nothing. It looks
 * dozens of times for nothing, is late by half a nap for each item, and with a second
 * consumer its "not empty" would no longer be true when it gets. And it has to be told
 * how many items there will be. The second form waits in get, which wakes it when there is
 * an item, and learns from get that no more will come.
 */
#include <prusik.h>
#include <stdio.h>
#include <unistd.h>

#define ITEMS 5

static int produce(void *argument)
{
	struct prusik_queue *queue = argument;

	for (int i = 1; i <= ITEMS; i++) {
		usleep(20000); /* it takes a while to make one */
		if (prusik_queue_put(queue, &i, sizeof i, PRUSIK_FOREVER) < 0)
			return 1;
	}
	return prusik_queue_close(queue, PRUSIK_QUEUE_DRAIN) < 0;
}

static int consume_by_polling(struct prusik_queue *queue, int *ret_looks)
{
	int sum = 0, got = 0, item;

	for (*ret_looks = 0; got < ITEMS; ++*ret_looks) {
		if (prusik_queue_is_empty(queue)) {
			usleep(1000);
			continue;
		}
		if (prusik_queue_get(queue, &item, sizeof item, PRUSIK_NOW) > 0) {
			sum += item;
			got++;
		}
	}
	return sum;
}

static int consume_by_waiting(struct prusik_queue *queue, int *ret_looks)
{
	int sum = 0, item;

	for (*ret_looks = 1; prusik_queue_get(queue, &item, sizeof item, PRUSIK_FOREVER) > 0; ++*ret_looks)
		sum += item;
	return sum;
}

static int run(const char *how, int (*consume)(struct prusik_queue *, int *))
{
	struct prusik_queue_options options = { .capacity = 2, .item_max = sizeof(int) };
	struct prusik_thread *producer;
	struct prusik_queue *queue;
	int looks, code = 1;

	if (prusik_queue_create(NULL, NULL, &options, &queue) < 0 ||
	    prusik_thread_start(produce, queue, NULL, &producer) < 0)
		return 1;
	int sum = consume(queue, &looks);
	prusik_thread_join(producer, PRUSIK_FOREVER, &code);
	printf("%s: sum %d, %s looks than items\n", how, sum, looks > 2 * ITEMS ? "far more" : "hardly more");
	prusik_thread_free(producer);
	prusik_queue_free(queue);
	return code;
}

int main(void)
{
	return run("polling", consume_by_polling) | run("waiting", consume_by_waiting);
}
