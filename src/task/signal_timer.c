/* SPDX-License-Identifier: MIT */
/*
 * signal: timers, whose functions are called by whoever calls those of signals
 *
 * A heap of those that wait, the next one first. One that is being called is not in it.
 *
 * struct prusik_signal_timer - private memory, under the lock but for refs
 *
 * WORD     place: where it is in the heap, from 1; 0: not in it. refs: the handle's, and
 *          that of the heap or of who calls it.
 * ALWAYS   T1 place != 0 => heap[place] is it
 * KILLED   all that could see it are killed too. fork: the child has none; handles of
 *          the parent's are of another generation.
 */
#include "task/signal.h"

#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct prusik_signal_timer {
	uint32_t refs;
	uint32_t place;
	uint32_t generation;
	uint32_t canceled;
	int64_t deadline;
	int64_t period;
	void (*function)(void *context, uint64_t times);
	void *context;
};

static struct prusik_signal_timer **heap; /* from 1 */
static uint32_t count, all, room; /* in the heap; with those being called */

/* ---- the heap ---- */

static void place_at(struct prusik_signal_timer *timer, uint32_t place)
{
	heap[place] = timer;
	timer->place = place;
}

static void rise(struct prusik_signal_timer *timer, uint32_t place)
{
	while (place > 1 && heap[place / 2]->deadline > timer->deadline) {
		place_at(heap[place / 2], place);
		place /= 2;
	}
	place_at(timer, place);
}

static void sink(struct prusik_signal_timer *timer, uint32_t place)
{
	for (;;) {
		uint32_t child = 2 * place;
		if (child < count && heap[child + 1]->deadline < heap[child]->deadline)
			child++;
		if (child > count || heap[child]->deadline >= timer->deadline)
			break;
		place_at(heap[child], place);
		place = child;
	}
	place_at(timer, place);
}

static void take_out(struct prusik_signal_timer *timer)
{
	uint32_t place = timer->place;
	struct prusik_signal_timer *moved = heap[count--];

	timer->place = 0;
	if (moved == timer)
		return;
	rise(moved, place);
	sink(moved, moved->place);
}

/* Room for one more. Those that are being called have their places kept. */
static int make_room(void)
{
	if (all + 1 < room)
		return 0;
	uint32_t new_room = room ? room * 2 : 16;
	struct prusik_signal_timer **before = heap;
	struct prusik_signal_timer **larger = prk_sys_calloc(new_room * sizeof(struct prusik_signal_timer *));
	if (!larger)
		return -ENOMEM;
	if (before)
		memcpy(larger, before, (count + 1) * sizeof(struct prusik_signal_timer *));
	heap = larger;
	prk_barrier(); /* a child forked here has a heap, and less room than it has */
	room = new_room;
	prk_sys_free(before);
	return 0;
}

/* ---- starting ---- */

static void drop(struct prusik_signal_timer *timer)
{
	if (prk_add32_acqrel(&timer->refs, (uint32_t)-1) == 1) /* acqrel [signal_timer.refs] */
		prk_sys_free(timer);
}

static int start_locked(struct prusik_signal_timer *timer)
{
	int r = make_room();

	if (r == 0)
		r = prk_signal_start_locked();
	if (r < 0)
		return r;
	timer->generation = prk_signal_generation;
	all++;
	rise(timer, ++count);
	return 0;
}

int prusik_signal_timer_start(int64_t deadline, int64_t period, void (*function)(void *context, uint64_t times),
			      void *context, struct prusik_signal_timer **ret_timer)
{
	if (!function || period < 0)
		return -EINVAL;
	struct prusik_signal_timer *timer = prk_sys_calloc(sizeof *timer);
	if (!timer)
		return -ENOMEM;
	int64_t now = prusik_now();
	timer->refs = 2;
	timer->deadline = deadline < now ? now : deadline;
	timer->period = period;
	timer->function = function;
	timer->context = context;
	prk_signal_lock();
	int r = start_locked(timer);
	prk_signal_unlock();
	if (r < 0) {
		prk_sys_free(timer);
		return r;
	}
	prk_bell_ring(&prk_signal_bell);
	if (ret_timer)
		*ret_timer = timer;
	else
		drop(timer);
	return 0;
}

/* ---- being called ---- */

/* How often it is due by now; its deadline is the next one after that. */
static uint64_t pass(struct prusik_signal_timer *timer, int64_t now)
{
	uint64_t more = timer->period ? (uint64_t)((now - timer->deadline) / timer->period) : 0;
	int64_t last = timer->deadline + (int64_t)more * timer->period;

	timer->deadline = timer->period > PRUSIK_FOREVER - last ? PRUSIK_FOREVER : last + timer->period;
	return more + 1;
}

bool prk_signal_due_locked(struct prk_signal_due *ret_due, int64_t *ret_next)
{
	if (count == 0)
		return false;
	struct prusik_signal_timer *timer = heap[1];
	int64_t now = prusik_now();
	*ret_next = timer->deadline;
	if (timer->deadline > now)
		return false;
	take_out(timer);
	*ret_due = (struct prk_signal_due){
		.timer = timer,
		.function = timer->function,
		.context = timer->context,
		.times = pass(timer, now),
		.half = prk_signal_half,
	};
	prk_signal_open[prk_signal_half]++;
	return true;
}

/* No more of it. The reference is the heap's. */
static void end_locked(struct prusik_signal_timer *timer)
{
	all--;
	drop(timer);
}

void prk_signal_due_done_locked(struct prusik_signal_timer *timer)
{
	if (timer->period && !timer->canceled)
		rise(timer, ++count);
	else
		end_locked(timer);
}

/* ---- the end ---- */

static int cancel_locked(struct prusik_signal_timer *timer)
{
	bool is_called = !timer->place;

	if (timer->generation != prk_signal_generation || timer->canceled || (is_called && !timer->period))
		return -EALREADY;
	timer->canceled = 1;
	if (!is_called) {
		take_out(timer);
		end_locked(timer);
	}
	return 0;
}

int prusik_signal_timer_cancel(struct prusik_signal_timer *timer)
{
	if (!timer)
		return -EINVAL;
	prk_signal_lock();
	int r = cancel_locked(timer);
	prk_signal_unlock();
	return r;
}

void prusik_signal_timer_free(struct prusik_signal_timer *timer)
{
	if (!timer)
		return;
	/* In a child nobody else refers to it. */
	if (timer->generation != prk_signal_generation)
		prk_sys_free(timer);
	else
		drop(timer);
}

/* Those that nobody has a handle of are lost: what other threads did with them is not known. */
void prk_signal_timers_forget(void)
{
	count = all = 0;
}
