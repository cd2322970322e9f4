/* SPDX-License-Identifier: MIT */
/* What the headers say may be called in an asynchronous handler can be. */
#include "signal_kit.h"

#include "base/sys.h"

#include <prusik.h>

static struct {
	struct prusik_event event;
	struct prusik_semaphore semaphore;
	struct prusik_cancel cancel;
	uint32_t released, wrong, finished;
} * shared;

static void do_all_that_is_safe(int signal)
{
	static struct prusik_once once;
	int wrong = 0;

	(void)signal;
	wrong |= prusik_event_set(&shared->event) != 0;
	wrong |= prusik_semaphore_release(&shared->semaphore, 1) != 0;
	prk_add32_acqrel(&shared->released, 1);
	wrong |= prusik_event_is_set(&shared->event) < 0;
	wrong |= prusik_semaphore_value(&shared->semaphore) < 0;
	wrong |= prusik_cancel_set(&shared->cancel) != 0 || prusik_cancel_clear(&shared->cancel) != 0;
	wrong |= prusik_cancel_is_set(&shared->cancel) < 0;
	wrong |= prusik_once_done(&once) != 0;
	wrong |= prusik_in_s(60) <= prusik_now();
	wrong |= prusik_signal_number(prusik_signal_name(SIGTERM)) != SIGTERM;
	wrong |= prusik_signal_kill(getpid(), 0) != 0 || prusik_signal_raise(0) != 0;
	wrong |= prusik_signal_kill_group(getpgrp(), 0) != 0 || prusik_signal_queue(getpid(), 0, 0) != 0;
	wrong |= prusik_signal_block(PRUSIK_SIGNAL_BIT(SIGUSR2), NULL) != 0;
	wrong |= !(prusik_signal_mask() & PRUSIK_SIGNAL_BIT(SIGUSR2));
	wrong |= prusik_signal_unblock(PRUSIK_SIGNAL_BIT(SIGUSR2), NULL) != 0;
	wrong |= prusik_signal_pending() & PRUSIK_SIGNAL_BIT(SIGUSR2) || prusik_signal_list() == 0;
	wrong |= prusik_signal_alarm(0) != 0;
	if (wrong)
		prk_add32_acqrel(&shared->wrong, 1);
}

#define SOME 3000
#define WAITERS 4

static int acquire_some(void *unused, int index)
{
	(void)unused;
	for (int i = 0; i < SOME; i++) {
		PARTY_CHECK(prusik_semaphore_acquire(&shared->semaphore, prusik_in_s(15)) == 0);
		if (index % 2 == 0)
			PARTY_CHECK(prusik_event_wait(&shared->event, prusik_in_s(15)) == 0);
		if (i % 8 == 0)
			PARTY_CHECK(prusik_event_clear(&shared->event) == 0);
	}
	prk_add32_acqrel(&shared->finished, 1);
	return 0;
}

static void disturb(enum party_kind kind, struct party **waiters, int turn)
{
	pid_t whom = kind == PROCESSES && turn % 2 ? waiters[turn / 2 % WAITERS]->pid : getpid();

	ck_assert_int_eq(kill(whom, SIGUSR1), 0);
	ck_assert_int_eq(prusik_event_set(&shared->event), 0);
	if (turn % 4)
		return;
	ck_assert_int_eq(prusik_semaphore_release(&shared->semaphore, 1), 0);
	prk_add32_acqrel(&shared->released, 1);
}

/* The handler interrupts those very calls, in those who wait and in one who makes them all the time. */
static void safe_in_handlers(enum party_kind kind)
{
	const struct sigaction action = { .sa_handler = do_all_that_is_safe, .sa_flags = SA_RESTART };
	struct party *waiters[WAITERS];

	party_quiet();
	shared = test_shared(sizeof *shared);
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < WAITERS; i++)
		waiters[i] = party_start(kind, acquire_some, NULL, i);
	for (int turn = 0; prk_load32_acq(&shared->finished) < WAITERS; turn++)
		disturb(kind, waiters, turn);
	for (int i = 0; i < WAITERS; i++)
		ck_assert_int_eq(party_join(waiters[i]), 0);
	ck_assert_uint_eq(prk_load32_acq(&shared->wrong), 0);
	ck_assert_int_eq(prusik_semaphore_value(&shared->semaphore), (int64_t)shared->released - WAITERS * SOME);
}
BOTH(safe_in_handlers)
