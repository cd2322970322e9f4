/* SPDX-License-Identifier: MIT */
/*
 * Threads that do next to nothing: one at a time, from start to the end of join, and
 * eight started, then joined.
 */
#include "bench.h"
#include "team.h"
#include "thread.h"

#include <errno.h>
#include <prusik/thread.h>
#include <pthread.h>
#include <threads.h>

struct thread_board {
	int64_t ns;
	int bad;
};

struct thread_job {
	const struct thread_kind *kind;
	struct thread_board *board;
	uint64_t count;
	uint32_t at_once;
};

/* ---- the kinds ---- */

static int run_prusik(void *counter)
{
	++*(uint64_t *)counter;
	return 0;
}

static int start_prusik(void **ret_thread, uint64_t *counter)
{
	return prusik_thread_start(run_prusik, counter, NULL, (struct prusik_thread **)ret_thread);
}

static int join_prusik(void *thread)
{
	int r = prusik_thread_join(thread, PRUSIK_FOREVER, NULL);

	prusik_thread_free(thread);
	return r;
}

static void *run_pthread(void *counter)
{
	++*(uint64_t *)counter;
	return NULL;
}

static int start_pthread(void **ret_thread, uint64_t *counter)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, run_pthread, counter);

	*ret_thread = (void *)thread;
	return r;
}

static int join_pthread(void *thread)
{
	return pthread_join((pthread_t)thread, NULL);
}

static int start_c11(void **ret_thread, uint64_t *counter)
{
	thrd_t thread;
	int r = thrd_create(&thread, run_prusik, counter);

	*ret_thread = (void *)thread;
	return r == thrd_success ? 0 : -EAGAIN;
}

static int join_c11(void *thread)
{
	return thrd_join((thrd_t)thread, NULL) == thrd_success ? 0 : -EINVAL;
}

/* ---- the loop ---- */

/* Each thread raises a counter of its own: a thread that never ran is found out. */
static int start_and_join(const struct thread_kind *kind, uint64_t times, uint32_t at_once)
{
	uint64_t counters[TEAM_MAX] = { 0 }, sum = 0;
	void *threads[TEAM_MAX];
	int bad = 0;

	for (uint64_t i = 0; i < times; i++) {
		for (uint32_t k = 0; k < at_once; k++)
			if (kind->start(&threads[k], &counters[k]) != 0)
				return -EAGAIN;
		for (uint32_t k = 0; k < at_once; k++)
			bad |= kind->join(threads[k]);
	}
	for (uint32_t k = 0; k < at_once; k++)
		sum += counters[k];
	return bad || sum != times * at_once;
}

static int be_starter(void *arg, uint32_t alone)
{
	const struct thread_job *job = arg;
	uint64_t times = (job->count + job->at_once - 1) / job->at_once;

	(void)alone;
	job->board->bad = start_and_join(job->kind, 4, job->at_once);
	int64_t start = team_now();
	job->board->bad |= start_and_join(job->kind, times, job->at_once);
	job->board->ns = (team_now() - start) * (int64_t)job->count / (int64_t)(times * job->at_once);
	return 0;
}

static int run(struct bench_piece *piece)
{
	const uint32_t *at_once = piece->workload->shape;
	struct thread_job job = {
		.kind = piece->subject->peer,
		.board = piece->state,
		.count = piece->count,
		.at_once = *at_once,
	};
	int result = team_run(1, be_starter, NULL, &job);

	piece->ns = job.board->ns;
	piece->value = (double)piece->ns / (double)piece->count / 1000;
	return result == 0 && job.board->bad ? BENCH_WRONG : result;
}

static int setup(struct bench_piece *piece)
{
	piece->state = team_memory(sizeof(struct thread_board));
	return piece->state ? 0 : -ENOMEM;
}

static void teardown(struct bench_piece *piece)
{
	team_memory_free(piece->state, sizeof(struct thread_board));
}

/* ---- the tables ---- */

#define SUBJECT(shown, is_ours, noun)                                                                                  \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown,                      \
		.peer = &(const struct thread_kind)                                                                    \
		{                                                                                                      \
			start_##noun, join_##noun                                                                      \
		}                                                                                                      \
	}

static const struct bench_subject subjects[] = {
	SUBJECT("prusik", 1, prusik),
	SUBJECT("pthread", 0, pthread),
	SUBJECT("c11", 0, c11),
#ifdef BENCH_STD
	SUBJECT("std", 0, std),
#endif
#ifdef BENCH_GLIB
	SUBJECT("glib", 0, glib),
#endif
	{ .name = NULL },
};

#define AT_ONCE(n)                                                                                                     \
	.unit = "us/thread", .counted = 1, .subjects = subjects, .shape = &(const uint32_t)                            \
	{                                                                                                              \
		n                                                                                                      \
	}

const struct bench_workload bench_thread[] = {
	{ .name = "thread-start-join", AT_ONCE(1) },
	{ .name = "thread-start-join-8", AT_ONCE(8) },
	{ .name = NULL },
};
