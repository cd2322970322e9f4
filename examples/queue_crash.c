/* SPDX-License-Identifier: MIT */
/*
 * Eight workers take jobs from a queue; some die with a job in their hands. Every
 * job is done: the dead one's jobs are handed to another, who sees that it is the
 * second attempt.
 */
#include <prusik.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define JOBS 50
#define WORKERS 8

static struct prusik_queue *jobs;

static int worker(void *unused)
{
	struct prusik_lease job;

	(void)unused;
	while (prusik_queue_take(jobs, &job, PRUSIK_FOREVER) >= 0) {
		int number = *(int *)job.data;
		if (number % 10 == 7 && job.attempt == 1)
			kill(getpid(), SIGKILL);
		printf("job %d, attempt %u\n", number, job.attempt);
		fflush(stdout);
		prusik_queue_done(jobs, &job);
	}
	return 0; /* -EPIPE: closed, and everything is done */
}

int main(void)
{
	struct prusik_process *crew[WORKERS];
	struct prusik_arena *arena;
	int killed = 0;

	if (prusik_arena_create(NULL, 1 << 20, &arena) < 0 || prusik_queue_create(arena, "jobs", NULL, &jobs) < 0)
		return 1;
	for (int i = 0; i < WORKERS; i++)
		if (prusik_process_start(worker, NULL, NULL, &crew[i]) < 0)
			return 1;
	for (int i = 0; i < JOBS; i++)
		if (prusik_queue_put(jobs, &i, sizeof i, PRUSIK_FOREVER) < 0)
			return 1;
	prusik_queue_close(jobs, PRUSIK_QUEUE_DRAIN);
	for (int i = 0; i < WORKERS; i++) {
		int code;
		if (prusik_process_join(crew[i], PRUSIK_FOREVER, &code) == 0)
			killed += code == -SIGKILL;
		prusik_process_free(crew[i]);
	}
	printf("%d workers died, %lld jobs left\n", killed, (long long)prusik_queue_length(jobs));
	prusik_queue_free(jobs);
	prusik_arena_close(arena);
	return 0;
}
