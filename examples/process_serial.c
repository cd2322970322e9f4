/* SPDX-License-Identifier: MIT */
/*
 * 51: where join stands decides. Three processes that take some time each: joined at once they run one
 * after the other; joined after all were started, at the same time.
 *
 *	process_serial [SECONDS]     each takes (default 0.2)
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT 3

static int work(void *seconds)
{
	usleep((useconds_t)(*(double *)seconds * 1e6));
	return 0;
}

static int join(struct prusik_process *process)
{
	int r = prusik_process_join(process, PRUSIK_FOREVER, NULL);

	prusik_process_free(process);
	return r;
}

/* How long it took, in s; < 0: it did not. */
static double run(double seconds, int join_at_once)
{
	struct prusik_process *processes[COUNT];
	int64_t began = prusik_now();

	for (int i = 0; i < COUNT; i++)
		if (prusik_process_start(work, &seconds, NULL, &processes[i]) < 0 ||
		    (join_at_once && join(processes[i]) < 0))
			return -1;
	for (int i = 0; !join_at_once && i < COUNT; i++)
		if (join(processes[i]) < 0)
			return -1;
	return (double)(prusik_now() - began) / 1e9;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0.2;
	double serial = run(seconds, 1), concurrent = run(seconds, 0);

	if (serial < 0 || concurrent < 0)
		return 1;
	fprintf(stderr, "%.3f s one after the other, %.3f s at the same time\n", serial, concurrent);
	printf("joined at once: %s\n", serial >= COUNT * seconds ? "the sum of all" : "?");
	printf("joined later: %s\n", concurrent < serial ? "less" : "no less");
	return 0;
}
