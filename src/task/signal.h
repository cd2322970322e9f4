/* SPDX-License-Identifier: MIT */
/*
 * signal: from the handler to the function
 *
 * handler (any thread, any moment)  --arrive-->  list  --take-->  function
 *
 * All of it is private memory of one process, whose threads end orderly or all at once.
 * What needs thought is not death, but that a handler may come between any two
 * instructions, in the thread that holds the lock too, and fork. So handlers take no lock
 * and allocate by mmap only (signal_queue.c); whatever else there is, is under the one
 * lock, and no function is called with it held.
 *
 * fork: signals are blocked across it (in the thread that forks), so that none finds the
 * child half made. The child forgets what had arrived, the timers and who held the lock,
 * and starts a thread to call functions if its parent had one (signal_dispatch.c).
 */
#ifndef PRK_TASK_SIGNAL_H
#define PRK_TASK_SIGNAL_H

#include "base/atomic.h"
#include "base/wait.h"

#include <limits.h>
#include <prusik/signal.h>
#include <signal.h>

/*
 * A bell: a count of what has happened, for those who wait for more of it to happen.
 *
 * WORD     bits 31..1 the count; bit 0: somebody may be asleep on it
 * WRITES   anyone, handlers too, by CAS
 * ALWAYS   somebody sleeps on it => bit 0 is set
 */
#define PRK_BELL_SLEEPERS UINT32_C(1)
#define PRK_BELL_ONE UINT32_C(2)

static inline void prk_bell_ring(uint32_t *bell)
{
	uint32_t seen = prk_load32_rlx(bell);

	/* rel [bell]: pairs with the look before the wait */
	while (!prk_cas32_acqrel(bell, &seen, (seen + PRK_BELL_ONE) & ~PRK_BELL_SLEEPERS))
		;
	if (seen & PRK_BELL_SLEEPERS)
		prk_wake(bell, INT_MAX);
}

/* acq [bell] */
static inline uint32_t prk_bell_look(const uint32_t *bell)
{
	return prk_load32_acq(bell);
}

/* Until it has rung since it was looked at; as prk_wait_private. */
static inline int prk_bell_wait(uint32_t *bell, uint32_t seen, int64_t deadline)
{
	uint32_t with = seen | PRK_BELL_SLEEPERS;

	if (seen != with && !prk_cas32_acqrel(bell, &seen, with))
		return 0;
	return prk_wait_private(bell, with, deadline);
}

/* ---- signal_queue.c ---- */

/* Rings when there is something to do for those who call functions. */
extern uint32_t prk_signal_bell;

/* Put it into the list. In a handler. */
void prk_signal_arrive(const struct prusik_signal_info *info);

/* Where all that has arrived waits: which half, for prusik_signal_drain. Under the lock. */
struct prk_signal_taken {
	struct prusik_signal_info info;
	uint32_t half;
};
/* The oldest one. False: there is none. Under the lock. */
bool prk_signal_take_locked(struct prk_signal_taken *ret_taken);
/* Move what has arrived to where it counts for its half. Under the lock. */
void prk_signal_collect_locked(void);

/* How many of each half are not handled yet; which half the next to come are. Under the lock. */
extern uint32_t prk_signal_open[2], prk_signal_half;

/* In a forked child. */
void prk_signal_queue_forget(void);

/* ---- signal.c ---- */

/* What counts of a siginfo. Async-signal-safe. */
void prk_signal_read(const siginfo_t *info, struct prusik_signal_info *ret_info);

/* The function that is set for a signal. */
struct prk_signal_action {
	prusik_signal_function function; /* NULL: to be ignored */
	void *context;
};
/* False: none is set; the signal ought not to have arrived. Under the lock. */
bool prk_signal_action_locked(int signal, struct prk_signal_action *ret_action);

/* ---- signal_dispatch.c ---- */

void prk_signal_lock(void);
void prk_signal_unlock(void);

/* See to it that somebody calls functions. 0, -EAGAIN, -ENOMEM. Under the lock. */
int prk_signal_start_locked(void);

/* Raised in a forked child. */
extern uint32_t prk_signal_generation;

/* The calling thread's mask has changed by prusik_signal_block or unblock. */
void prk_signal_mask_changed(uint64_t mask);

/* ---- signal_send.c ---- */

/* Is there such a signal, and is it not one of libc's own? 0 may be sent too: it is a look. */
bool prk_signal_sendable(int signal);

/* ---- signal_timer.c ---- */

struct prk_signal_due {
	struct prusik_signal_timer *timer;
	void (*function)(void *context, uint64_t times);
	void *context;
	uint64_t times;
	uint32_t half;
};
/* One that is due. False: none is; *ret_next is when. Under the lock. */
bool prk_signal_due_locked(struct prk_signal_due *ret_due, int64_t *ret_next);
/* Its function has returned. Under the lock. */
void prk_signal_due_done_locked(struct prusik_signal_timer *timer);

/* In a forked child. */
void prk_signal_timers_forget(void);

#endif
