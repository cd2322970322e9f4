/* SPDX-License-Identifier: MIT */
/*
 * Events: looking at one that is set, and setting one that is set, with nobody else
 * there; beside what cannot be cheaper (a load in a function of another file's) and
 * what people write with pthreads.
 */
#include "bench.h"
#include "team.h"

#include <errno.h>
#include <prusik/event.h>
#include <pthread.h>
#include <stdatomic.h>

struct pthread_event {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	int set;
};

struct event_board {
	_Alignas(64) struct prusik_event prusik;
	_Alignas(64) struct pthread_event pthread;
	_Alignas(64) _Atomic uint32_t flag;
};

typedef int event_loop(struct event_board *board, uint64_t count);

static __attribute__((noinline)) int load_flag(_Atomic uint32_t *flag)
{
	__asm__ volatile(""); /* not to be taken out of the loop */
	return atomic_load_explicit(flag, memory_order_acquire) != 0;
}

static int pthread_event_wait(struct pthread_event *event)
{
	pthread_mutex_lock(&event->mutex);
	while (!event->set)
		pthread_cond_wait(&event->condition, &event->mutex);
	return pthread_mutex_unlock(&event->mutex);
}

static int pthread_event_set(struct pthread_event *event)
{
	pthread_mutex_lock(&event->mutex);
	event->set = 1;
	pthread_cond_broadcast(&event->condition);
	return pthread_mutex_unlock(&event->mutex);
}

#define LOOP(name, call)                                                                                               \
	static int name(struct event_board *board, uint64_t count)                                                     \
	{                                                                                                              \
		int bad = 0;                                                                                           \
                                                                                                                       \
		for (uint64_t i = 0; i < count; i++)                                                                   \
			bad |= (call) != 0;                                                                            \
		return bad;                                                                                            \
	}

LOOP(check_prusik, prusik_event_is_set(&board->prusik) - 1)
LOOP(wait_prusik, prusik_event_wait(&board->prusik, PRUSIK_FOREVER))
LOOP(set_prusik, prusik_event_set(&board->prusik))
LOOP(check_flag, load_flag(&board->flag) - 1)
LOOP(wait_pthread, pthread_event_wait(&board->pthread))
LOOP(set_pthread, pthread_event_set(&board->pthread))

static int run(struct bench_piece *piece)
{
	event_loop *const *loop = piece->subject->peer;

	team_pin(0);
	int64_t start = team_now();
	int bad = (*loop)(piece->state, piece->count);
	piece->ns = team_now() - start;
	piece->value = (double)piece->ns / (double)piece->count;
	return bad ? BENCH_WRONG : 0;
}

static int setup(struct bench_piece *piece)
{
	struct event_board *board = team_memory(sizeof *board);

	if (!board)
		return -ENOMEM;
	pthread_mutex_init(&board->pthread.mutex, NULL);
	pthread_cond_init(&board->pthread.condition, NULL);
	board->pthread.set = 1;
	atomic_store(&board->flag, 1);
	piece->state = board;
	return prusik_event_set(&board->prusik);
}

static void teardown(struct bench_piece *piece)
{
	team_memory_free(piece->state, sizeof(struct event_board));
}

#define SUBJECT(shown, is_ours, loop)                                                                                  \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown,                      \
		.peer = &(event_loop *const)                                                                           \
		{                                                                                                      \
			loop                                                                                           \
		}                                                                                                      \
	}

static const struct bench_subject checks[] = {
	SUBJECT("prusik-is_set", 1, check_prusik),
	SUBJECT("prusik-wait", 1, wait_prusik),
	SUBJECT("load", 0, check_flag),
	SUBJECT("pthread", 0, wait_pthread),
	{ .name = NULL },
};

static const struct bench_subject sets[] = {
	SUBJECT("prusik", 1, set_prusik),
	SUBJECT("pthread", 0, set_pthread),
	{ .name = NULL },
};

const struct bench_workload bench_event[] = {
	{ .name = "event-check", .unit = "ns/check", .counted = 1, .subjects = checks },
	{ .name = "event-set", .unit = "ns/set", .counted = 1, .subjects = sets },
	{ .name = NULL },
};
