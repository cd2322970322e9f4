/* SPDX-License-Identifier: MIT */
/*
 * 49, 50: private memory is each process's own. The child sets count to 0; the parent's is 100 still,
 * whether it sleeps meanwhile or joins the child. Joining is surer, and takes no longer than need be.
 *
 *	process_memory [SECONDS]     to sleep (default 0.2)
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int count = 100;

static int set_to_0(void *unused)
{
	(void)unused;
	count = 0;
	printf("child: %d\n", count);
	return 0;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0.2;
	struct prusik_process *first, *second;

	if (prusik_process_start(set_to_0, NULL, NULL, &first) < 0)
		return 1;
	usleep((useconds_t)(seconds * 1e6));
	prusik_process_join(first, PRUSIK_FOREVER, NULL);
	printf("parent, having slept: %d\n", count);
	if (prusik_process_start(set_to_0, NULL, NULL, &second) < 0)
		return 1;
	prusik_process_join(second, PRUSIK_FOREVER, NULL);
	printf("parent, having joined: %d\n", count);
	prusik_process_free(first);
	prusik_process_free(second);
	return 0;
}
