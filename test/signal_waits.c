/* SPDX-License-Identifier: MIT */
/* No wait of the library ends with a signal; a function for a signal may cancel any of them. */
#include "signal_kit.h"
#include "waits_kit.h"

#include <sys/time.h>

static uint32_t interruptions;

static void interrupt(int signal)
{
	(void)signal;
	prk_add32_rlx(&interruptions, 1);
}

static void storm(int64_t us)
{
	struct itimerval timer = { .it_interval = { 0, us }, .it_value = { 0, us } };

	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void keep_their_deadlines(struct box *box, struct prusik_cancel *token)
{
	prusik_cancel_use(token);
	for (int i = 0; i < WAITS; i++) {
		uint32_t before = prk_load32_rlx(&interruptions);
		int64_t deadline = prusik_in_ms(30);
		int r = waits[i].wait(box, deadline);
		ck_assert_msg(r == -ETIMEDOUT, "%s: %d", waits[i].name, r);
		ck_assert_msg(prusik_now() >= deadline, "%s", waits[i].name);
		ck_assert_msg(prk_load32_rlx(&interruptions) > before || !SIGNALS_ARE_REAL, "%s", waits[i].name);
	}
	prusik_cancel_use(NULL);
}

/* As long as it is at it there is something to drain. */
static void take_long(const struct prusik_signal_info *info, void *argument)
{
	struct box *box = argument;

	(void)info;
	prusik_event_set(&box->at_it);
	box->occupation = prusik_event_wait(&box->over, prusik_in_s(60));
}

static void occupy_the_librarys_thread(struct box *box)
{
	ck_assert_int_eq(prusik_signal_on(SIGUSR2, take_long, box), 0);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR2), 0);
	ck_assert_int_eq(prusik_event_wait(&box->at_it, prusik_in_s(15)), 0);
}

/* A handler without SA_RESTART, every 0.3 ms. */
TEST_WITHIN(no_wait_ends_with_a_signal, 60)
{
	const struct sigaction action = { .sa_handler = interrupt };
	struct prusik_cancel token = { 0 };
	struct box *box = box_to_wait_in(THREADS);

	sigaction(SIGALRM, &action, NULL);
	occupy_the_librarys_thread(box);
	storm(300);
	keep_their_deadlines(box, NULL);
	keep_their_deadlines(box, &token);
	storm(0);
	box_leave(box);
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
	ck_assert_int_eq(box->occupation, 0);
}

/* ---- a function cancels ---- */

static struct prusik_cancel stop;

static void cancel(const struct prusik_signal_info *info, void *context)
{
	(void)info;
	prusik_cancel_set(context);
}

TEST(a_function_may_cancel_any_wait)
{
	struct box *box = box_to_wait_in(THREADS);

	if (!SIGNALS_ARE_REAL)
		return;
	ck_assert_int_eq(prusik_signal_on(SIGALRM, cancel, &stop), 0);
	for (int i = 0; i < WAITS; i++) {
		if (waits[i].is & WAIT_NOT_CANCELED)
			continue;
		prusik_cancel_use(&stop);
		ck_assert_int_eq(prusik_signal_alarm(10000000), 0);
		int r = waits[i].wait(box, prusik_in_s(15));
		ck_assert_msg(r == -ECANCELED, "%s: %d", waits[i].name, r);
		ck_assert_int_eq(prusik_cancel_clear(&stop), 0);
	}
	box_leave(box);
}
