/* SPDX-License-Identifier: MIT */
/*
 * timer - a thread that sleeps until its deadline, then calls the function
 *
 * One thread for each: a function that takes long, or ends its thread, delays no other
 * timer, and there is no thread common to all that a fork could lose. While it
 * sleeps it is a daemon.
 *
 * struct prusik_timer - private memory
 *
 * WORD     word: enum timer_state
 * WRITES   by CAS from WAITING: the thread to RUNS, whoever cancels to CANCELED
 * KILLED   all that could see it are killed too
 */
#include "base/sys.h"
#include "base/wait.h"
#include "task/thread.h"

#include <errno.h>

enum timer_state {
	TIMER_WAITING,
	TIMER_RUNS,
	TIMER_CANCELED,
};

struct prusik_timer {
	uint32_t word;
	uint32_t refs; /* the handle's, the thread's */
	int64_t deadline;
	void (*function)(void *);
	void *argument;
	struct prusik_thread *thread; /* the handle's */
};

static void drop(struct prusik_timer *timer)
{
	if (prk_add32_acqrel(&timer->refs, (uint32_t)-1) == 1) /* acqrel [timer.refs] */
		prk_sys_free(timer);
}

static bool leave_waiting(struct prusik_timer *timer, enum timer_state state)
{
	uint32_t waiting = TIMER_WAITING;

	return prk_cas32_acqrel(&timer->word, &waiting, state); /* acqrel [timer.word] */
}

static int be_timer(void *argument)
{
	struct prusik_timer *timer = argument;
	void (*function)(void *) = timer->function;
	void *its_argument = timer->argument;
	int r = 0;

	while (prk_load32_acq(&timer->word) == TIMER_WAITING && r != -ETIMEDOUT)
		r = prk_wait_private(&timer->word, TIMER_WAITING, timer->deadline);
	bool runs = prk_threads_stay() && leave_waiting(timer, TIMER_RUNS);
	drop(timer); /* the function may end the thread */
	if (runs)
		function(its_argument);
	return 0;
}

int prusik_timer_start(int64_t deadline, void (*function)(void *), void *argument, struct prusik_timer **ret_timer)
{
	static const struct prusik_thread_options options = { .name = "Timer", .daemon = 1 };

	if (!function)
		return -EINVAL;
	struct prusik_timer *timer = prk_sys_calloc(sizeof *timer);
	if (!timer)
		return -ENOMEM;
	timer->refs = 2;
	timer->deadline = deadline;
	timer->function = function;
	timer->argument = argument;
	int r = prusik_thread_start(be_timer, timer, &options, &timer->thread);
	if (r < 0)
		prk_sys_free(timer);
	else if (ret_timer)
		*ret_timer = timer;
	else
		prusik_timer_free(timer);
	return r;
}

int prusik_timer_cancel(struct prusik_timer *timer)
{
	if (!timer)
		return -EINVAL;
	if (!leave_waiting(timer, TIMER_CANCELED))
		return -EALREADY;
	prk_wake(&timer->word, 1);
	return 0;
}

int prusik_timer_join(struct prusik_timer *timer, int64_t deadline)
{
	return timer ? prusik_thread_join(timer->thread, deadline, NULL) : -EINVAL;
}

void prusik_timer_free(struct prusik_timer *timer)
{
	if (!timer)
		return;
	prusik_thread_free(timer->thread);
	drop(timer);
}
