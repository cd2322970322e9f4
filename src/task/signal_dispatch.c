/* SPDX-License-Identifier: MIT */
/*
 * signal: who calls the functions
 *
 * WORD     own: the program dispatches itself. running: the library's thread is there, or
 *          is being started. generation: which fork of the first process this is.
 * WRITES   under the lock; in a forked child, before it has a second thread
 * ALWAYS   D1 functions are set or timers started => running or own, but for moments under
 *          the lock, and where there can be no more threads
 *          D2 the library's thread ends, when own is set, by clearing running under
 *          the lock; so whoever clears own knows whether to start another
 *
 * Everybody who calls functions takes one thing after the other, under the lock, and
 * calls it without. prk_signal_open counts what is taken, or waits to be, in two halves:
 * prusik_signal_drain turns to the other half and waits for the first to be none.
 */
#include "task/signal.h"

#include "base/sys.h"
#include "base/sys_signal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define REALTIME (~UINT64_C(0) << 31)
/* So many functions one prusik_signal_dispatch calls at most. */
#define ENOUGH 1024

uint32_t prk_signal_generation;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t own, running;
static uint64_t function_mask; /* of the thread that called on first */
static uint32_t has_home;
static uint32_t turn_of_timers; /* so that neither keeps the other from its turn */

static uint32_t handled; /* bell: a signal's function has returned */
static uint32_t handled_signal;
static uint32_t drained; /* bell: a half is none */

static __thread uint32_t is_home; /* its mask is function_mask */
static __thread uint32_t in_function;
static __thread uint32_t is_library; /* the library's thread */
static __thread uint64_t mask_before_fork;

void prk_signal_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void prk_signal_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

void prk_signal_mask_changed(uint64_t mask)
{
	if (is_home)
		prk_store64_rlx(&function_mask, mask);
}

/* ---- one thing to do ---- */

struct work {
	enum { WORK_NONE, WORK_DROP, WORK_SIGNAL, WORK_TIMER } kind;
	struct prk_signal_taken signal;
	struct prk_signal_action action;
	struct prk_signal_due due;
	uint32_t generation;
};

/* Default has been set since it arrived. What is still caught has been by others' doing. */
static void make_up_for_default(const struct prusik_signal_info *info)
{
	if (prk_sys_disposition(info->signal) != PRK_DISPOSED_DEFAULT)
		return;
	if (info->code == SI_QUEUE)
		prk_sys_signal_queue(getpid(), info->signal, info->value);
	else
		prk_sys_signal(getpid(), info->signal);
}

static bool take_signal_locked(struct work *work)
{
	int signal;

	if (!prk_signal_take_locked(&work->signal))
		return false;
	signal = work->signal.info.signal;
	work->kind = WORK_DROP;
	if (!prk_signal_action_locked(signal, &work->action))
		make_up_for_default(&work->signal.info);
	else if (work->action.function)
		work->kind = WORK_SIGNAL;
	return true;
}

static bool take_timer_locked(struct work *work, int64_t *ret_next)
{
	if (!prk_signal_due_locked(&work->due, ret_next))
		return false;
	work->kind = WORK_TIMER;
	return true;
}

static void take_locked(struct work *work, int64_t *ret_next)
{
	turn_of_timers = !turn_of_timers;
	if (!turn_of_timers || !take_timer_locked(work, ret_next))
		if (!take_signal_locked(work))
			take_timer_locked(work, ret_next);
}

/* *ret_next: when the next timer is due. */
static void take(struct work *work, int64_t *ret_next)
{
	work->kind = WORK_NONE;
	prk_signal_lock();
	if (!is_library || !own)
		take_locked(work, ret_next);
	work->generation = prk_signal_generation;
	prk_signal_unlock();
}

static void close_half_locked(uint32_t half)
{
	if (--prk_signal_open[half] == 0)
		prk_bell_ring(&drained);
}

/* In a child that the function has forked there is nothing to be put in order. */
static void finish(void *argument)
{
	struct work *work = argument;

	in_function = 0;
	prk_signal_lock();
	if (work->generation == prk_signal_generation) {
		if (work->kind == WORK_TIMER)
			prk_signal_due_done_locked(work->due.timer);
		close_half_locked(work->kind == WORK_TIMER ? work->due.half : work->signal.half);
	}
	prk_signal_unlock();
	if (work->kind != WORK_SIGNAL)
		return;
	prk_store32_rlx(&handled_signal, (uint32_t)work->signal.info.signal);
	prk_bell_ring(&handled);
}

static void call(struct work *work)
{
	in_function = 1;
	if (work->kind == WORK_SIGNAL)
		work->action.function(&work->signal.info, work->action.context);
	else
		work->due.function(work->due.context, work->due.times);
}

/* The function may end the thread. */
static void do_work(struct work *work)
{
	pthread_cleanup_push(finish, work);
	if (work->kind != WORK_DROP)
		call(work);
	pthread_cleanup_pop(1);
}

/* ---- the library's thread ---- */

static void *be_dispatcher(void *unused);

static int start_locked(void)
{
	pthread_t thread;
	uint64_t before = prk_sys_signal_mask(SIG_SETMASK, ~UINT64_C(0));
	int r = prk_sys_thread(&thread, 0, be_dispatcher, NULL);

	prk_sys_signal_mask(SIG_SETMASK, before);
	if (r == 0)
		pthread_detach(thread);
	running = r == 0;
	return r;
}

int prk_signal_start_locked(void)
{
	if (!has_home) {
		has_home = is_home = 1;
		prk_signal_mask_changed(prk_sys_signal_mask(SIG_BLOCK, 0));
	}
	return own || running ? 0 : start_locked();
}

static bool stays(void)
{
	prk_signal_lock();
	bool stay = !own;
	running = stay;
	prk_signal_unlock();
	return stay;
}

/* Its function has ended it: another takes its place. */
static void replace(void *unused)
{
	(void)unused;
	prk_signal_lock();
	running = 0;
	if (!own)
		start_locked();
	prk_signal_unlock();
}

static void open_mask(bool *is_open)
{
	if (!*is_open)
		prk_sys_signal_mask(SIG_SETMASK, prk_load64_rlx(&function_mask) | REALTIME);
	*is_open = true;
}

static void close_mask(bool *is_open)
{
	if (*is_open)
		prk_sys_signal_mask(SIG_SETMASK, ~UINT64_C(0));
	*is_open = false;
}

/* One thing. A function that has forked must not come back in the child. */
static void serve(struct work *work, bool *is_open)
{
	open_mask(is_open);
	do_work(work);
	prk_cancel_here = NULL;
	if (work->generation != prk_signal_generation)
		exit(0);
}

static void dispatch_for_all(void)
{
	struct work work;
	bool is_open = false;

	do {
		uint32_t seen = prk_bell_look(&prk_signal_bell);
		int64_t next = PRUSIK_FOREVER;
		take(&work, &next);
		if (work.kind != WORK_NONE) {
			serve(&work, &is_open);
			continue;
		}
		close_mask(&is_open);
		prk_bell_wait(&prk_signal_bell, seen, next);
	} while (!prk_load32_acq(&own) || stays()); /* acq [signal.own] */
}

static void *be_dispatcher(void *unused)
{
	is_library = 1;
	prk_sys_set_name("prusik-signals");
	pthread_cleanup_push(replace, unused);
	dispatch_for_all();
	pthread_cleanup_pop(0);
	return unused;
}

/* ---- the program's threads ---- */

static void take_over(void)
{
	if (prk_load32_acq(&own)) /* acq [signal.own] */
		return;
	prk_signal_lock();
	prk_store32_rel(&own, 1); /* rel [signal.own] */
	prk_signal_unlock();
	prk_bell_ring(&prk_signal_bell);
}

int prusik_signal_hand_back(void)
{
	prk_signal_lock();
	prk_store32_rel(&own, 0); /* rel [signal.own] */
	int r = prk_signal_start_locked();
	if (r < 0)
		prk_store32_rel(&own, 1);
	prk_signal_unlock();
	prk_bell_ring(&prk_signal_bell);
	return r;
}

/* How many functions were called. */
static int serve_what_is_there(int64_t *ret_next)
{
	struct work work;
	int called = 0;

	for (;;) {
		take(&work, ret_next);
		if (work.kind == WORK_NONE)
			return called;
		do_work(&work);
		called += work.kind != WORK_DROP;
		if (called == ENOUGH)
			return called;
	}
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int prusik_signal_dispatch(int64_t deadline)
{
	if (in_function)
		return -EDEADLK;
	take_over();
	for (;;) {
		uint32_t seen = prk_bell_look(&prk_signal_bell);
		int64_t next = PRUSIK_FOREVER;
		int called = serve_what_is_there(&next);
		if (called)
			return called;
		if (deadline == PRUSIK_NOW)
			return -ETIMEDOUT;
		int r = prk_bell_wait(&prk_signal_bell, seen, sooner(deadline, next));
		if (r < 0 && !(r == -ETIMEDOUT && next <= deadline))
			return r;
	}
}

/* ---- waiting for it ---- */

static int pause_as_dispatcher(int64_t deadline)
{
	uint32_t before = prk_bell_look(&handled);

	for (;;) {
		int r = prusik_signal_dispatch(deadline);
		if (r < 0)
			return r;
		if ((prk_bell_look(&handled) ^ before) >= PRK_BELL_ONE)
			return (int)prk_load32_rlx(&handled_signal);
	}
}

int prusik_signal_pause(int64_t deadline)
{
	if (in_function)
		return -EDEADLK;
	if (prk_load32_acq(&own)) /* acq [signal.own] */
		return pause_as_dispatcher(deadline);
	uint32_t before = prk_bell_look(&handled);
	for (;;) {
		uint32_t seen = prk_bell_look(&handled);
		if ((seen ^ before) >= PRK_BELL_ONE)
			return (int)prk_load32_rlx(&handled_signal);
		if (deadline == PRUSIK_NOW)
			return -ETIMEDOUT;
		int r = prk_bell_wait(&handled, seen, deadline);
		if (r < 0)
			return r;
	}
}

/* How many of this half are open; first the others' must be none, which a drain before this waits for. */
static uint32_t open_of(uint32_t *half)
{
	prk_signal_lock();
	if (*half == 2 && prk_signal_open[!prk_signal_half] == 0) {
		prk_signal_collect_locked();
		*half = prk_signal_half;
		prk_signal_half = !prk_signal_half;
	}
	uint32_t left = *half == 2 ? 1 : prk_signal_open[*half];
	prk_signal_unlock();
	return left;
}

int prusik_signal_drain(int64_t deadline)
{
	uint32_t half = 2; /* not known yet */

	if (in_function)
		return -EDEADLK;
	for (;;) {
		uint32_t seen = prk_bell_look(&drained);
		if (open_of(&half) == 0)
			return 0;
		if (deadline == PRUSIK_NOW)
			return -ETIMEDOUT;
		int r = prk_bell_wait(&drained, seen, deadline);
		if (r < 0)
			return r;
	}
}

/* ---- fork ---- */

static void before_fork(void)
{
	mask_before_fork = prk_sys_signal_mask(SIG_SETMASK, ~UINT64_C(0));
}

static void after_fork(void)
{
	prk_sys_signal_mask(SIG_SETMASK, mask_before_fork);
}

static void in_child(void)
{
	pthread_mutex_init(&mutex, NULL);
	prk_signal_generation++;
	prk_signal_queue_forget();
	prk_signal_timers_forget();
	prk_signal_bell = handled = drained = 0;
	in_function = 0;
	if (is_library) {
		mask_before_fork = function_mask;
		is_library = 0;
	}
	running = 0;
	if (has_home)
		prk_sys_catch_here();
	if (has_home && !own)
		start_locked(); /* when it fails: with the next function that is set */
	after_fork();
}

__attribute__((constructor)) static void look_after_fork(void)
{
	pthread_atfork(before_fork, after_fork, in_child);
}
