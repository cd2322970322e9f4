/* SPDX-License-Identifier: MIT */
/*
 * 19: Daemons: fifty threads that would sleep for long, and a program that does not wait
 * for them. What is a daemon is said when it starts; afterwards it can be asked, not
 * changed. prusik_exit waits for the one thread that is none.
 */
#include "options.h"

#include <prusik.h>

#define DAEMONS 50

static int sleep_for_long(void *arg)
{
	(void)arg;
	sleep_ms(600000);
	printf("nobody will see this\n");
	return 0;
}

static int sleep_a_little(void *ms)
{
	sleep_ms(*(long *)ms);
	printf("the one that is no daemon has ended\n");
	return 0;
}

int main(int argc, char **argv)
{
	static long ms;
	const struct prusik_thread_options daemon = { .daemon = 1, .stack_size = 65536 };
	struct prusik_thread *thread;
	int daemons = 0;

	ms = milliseconds(argc, argv, 50);
	for (int i = 0; i < DAEMONS; i++) {
		if (prusik_thread_start(sleep_for_long, NULL, &daemon, &thread) < 0)
			return 1;
		daemons += prusik_thread_is_daemon(thread);
		prusik_thread_free(thread);
	}
	if (prusik_thread_start(sleep_a_little, &ms, NULL, NULL) < 0)
		return 1;
	printf("%d daemons, and one that is none\n", daemons);
	prusik_exit(0);
}
