/* SPDX-License-Identifier: MIT */
/*
 * 13, 35: Threads that nobody joins: main starts fifty, keeps no handle, and is done before
 * them. prusik_exit ends the program when the last of them has ended, without a
 * loop that spins and without a sleep that is hoped to be long enough. (A plain
 * return from main would cut them short: that is C.) One of them leaves early, from
 * within another function.
 */
#include "options.h"

#include <prusik.h>

#define THREADS 50

struct task {
	int number;
	long ms;
};

static void leave_if_first(const struct task *task)
{
	if (task->number == 0)
		prusik_thread_exit(0);
}

static int print_and_sleep(void *arg)
{
	const struct task *task = arg;

	sleep_ms(task->ms);
	leave_if_first(task);
	printf("task t-%d\n", task->number);
	return 0;
}

int main(int argc, char **argv)
{
	static struct task tasks[THREADS]; /* theirs as long as they run */
	long ms = milliseconds(argc, argv, 50);

	for (int i = 0; i < THREADS; i++) {
		tasks[i] = (struct task){ i, ms };
		int r = prusik_thread_start(print_and_sleep, &tasks[i], NULL, NULL);
		if (r < 0) {
			fprintf(stderr, "unable to start thread %d: %s\n", i, prusik_strerror(r));
			prusik_exit(1);
		}
	}
	printf("main has nothing more to do\n");
	prusik_exit(0);
}
