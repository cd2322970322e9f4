/* SPDX-License-Identifier: MIT */
/*
 * 11, 36: A function with an argument runs in a thread. Three do so at once, and one counts
 * down; the numbers they return come out of join. What a thread gets to work with
 * must live until it was joined: here it lies in main.
 */
#include "options.h"

#include <prusik.h>
#include <string.h>

#define TASKS 3

struct task {
	const char *name;
	long ms;
};

static int print_and_sleep(void *arg)
{
	const struct task *task = arg;

	printf("task %s\n", task->name);
	sleep_ms(task->ms);
	return (int)strlen(task->name);
}

static int count_down(void *arg)
{
	const struct task *task = arg;
	int count = 10, steps = 0;

	for (; count > 0; count--, steps++) {
		printf("count = %d\n", count);
		sleep_ms(task->ms);
	}
	return steps;
}

static int join(struct prusik_thread *thread)
{
	int result, r = prusik_thread_join(thread, PRUSIK_FOREVER, &result);

	prusik_thread_free(thread);
	return r < 0 ? r : result;
}

int main(int argc, char **argv)
{
	long ms = milliseconds(argc, argv, 10);
	struct task tasks[TASKS] = { { "t1", ms }, { "t2", ms }, { "t33", ms } }, slow = { "countdown", ms };
	struct prusik_thread *threads[TASKS], *counter;
	int started = 0, sum = 0;

	for (; started < TASKS; started++)
		if (prusik_thread_start(print_and_sleep, &tasks[started], NULL, &threads[started]) < 0)
			break;
	for (int i = 0; i < started; i++)
		sum += join(threads[i]);
	if (started < TASKS || prusik_thread_start(count_down, &slow, NULL, &counter) < 0)
		return 1;
	printf("%d threads returned %d together\n", started, sum);
	printf("counted %d steps\n", join(counter));
	return 0;
}
