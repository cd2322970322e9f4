/* SPDX-License-Identifier: MIT */
/*
 * 12, 37: The other way to make a thread: a struct of your own, whose first member names the
 * function that runs it. All that the thread knows stands beside it, results too.
 * Two clocks print the time, each in its own rhythm.
 */
#include "options.h"

#include <prusik.h>

#define TICKS 5

struct clock {
	struct prusik_thread_own own; /* first: run gets a pointer to it */
	const char *name;
	long delay;
	int ticks; /* its result; read it after join */
};

static int run_clock(struct prusik_thread_own *own)
{
	struct clock *clock = (struct clock *)own;
	char text[16];
	struct tm parts;

	printf("starting %s\n", clock->name);
	for (; clock->ticks < TICKS; clock->ticks++) {
		sleep_ms(clock->delay);
		time_t now = time(NULL);
		strftime(text, sizeof text, "%H:%M:%S", localtime_r(&now, &parts));
		printf("%s: %s\n", clock->name, text);
	}
	printf("leaving %s\n", clock->name);
	return 0;
}

int main(int argc, char **argv)
{
	long ms = milliseconds(argc, argv, 10);
	struct clock fast = { .own = { run_clock }, .name = "clock-1", .delay = ms };
	struct clock slow = { .own = { run_clock }, .name = "clock-2", .delay = 2 * ms };
	struct prusik_thread *one, *two;

	if (prusik_thread_start_own(&fast.own, &(struct prusik_thread_options){ .name = fast.name }, &one) < 0)
		return 1;
	int r = prusik_thread_start_own(&slow.own, &(struct prusik_thread_options){ .name = slow.name }, &two);
	if (r == 0) {
		r = prusik_thread_join(two, PRUSIK_FOREVER, NULL);
		prusik_thread_free(two);
	}
	/* Whatever became of the second one: the first uses what lies on our stack. */
	prusik_thread_join(one, PRUSIK_FOREVER, NULL);
	prusik_thread_free(one);
	printf("%d and %d ticks\n", fast.ticks, slow.ticks);
	return r < 0;
}
