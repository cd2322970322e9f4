/* SPDX-License-Identifier: MIT */
#include "signal_kit.h"

#include "base/sys.h"

#include <prusik/thread.h>

#define MS INT64_C(1000000)

static struct prusik_signal_timer *start(int64_t deadline, int64_t period, void (*function)(void *, uint64_t),
					 void *context)
{
	struct prusik_signal_timer *timer = NULL;

	ck_assert_int_eq(prusik_signal_timer_start(deadline, period, function, context, &timer), 0);
	ck_assert_ptr_nonnull(timer);
	return timer;
}

static void drain(void)
{
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
}

static void count_call(void *context, uint64_t times)
{
	(void)times;
	prk_add32_acqrel(context, 1);
}

TEST(misuse)
{
	ck_assert_int_eq(prusik_signal_timer_start(PRUSIK_NOW, 0, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_signal_timer_start(PRUSIK_NOW, -1, count_call, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_signal_timer_cancel(NULL), -EINVAL);
	prusik_signal_timer_free(NULL);
}

TEST(once)
{
	uint32_t count = 0;
	int64_t before = prusik_now();
	struct prusik_signal_timer *timer = start(prusik_in_ms(30), 0, count_call, &count);

	await(&count, 1);
	ck_assert_int_ge(prusik_now() - before, 30 * MS);
	drain();
	ck_assert_int_eq(prusik_signal_timer_cancel(timer), -EALREADY);
	pause_ms(20);
	ck_assert_uint_eq(count, 1);
	prusik_signal_timer_free(timer);
}

TEST(past_deadlines_are_now)
{
	int64_t deadlines[] = { PRUSIK_NOW, -1, INT64_MIN, 1 };
	uint32_t count = 0;

	for (uint32_t i = 0; i < 4; i++) {
		ck_assert_int_eq(prusik_signal_timer_start(deadlines[i], 0, count_call, &count, NULL), 0);
		await(&count, i + 1);
	}
}

struct beat {
	uint32_t calls;
	uint64_t times;
	int64_t last;
	int nap;
};

static void beat(void *context, uint64_t times)
{
	struct beat *b = context;

	b->times += times;
	b->last = prusik_now();
	pause_ms(b->nap);
	prk_add32_acqrel(&b->calls, 1);
}

/* As many times as periods have passed, called for or not. */
static void keeps_its_beat(int nap)
{
	struct beat b = { .nap = nap };
	int64_t first = prusik_in_ms(5);
	struct prusik_signal_timer *timer = start(first, 5 * MS, beat, &b);

	await(&b.calls, 10);
	ck_assert_int_eq(prusik_signal_timer_cancel(timer), 0);
	ck_assert_int_eq(prusik_signal_timer_cancel(timer), -EALREADY);
	drain();
	uint32_t calls = prk_load32_acq(&b.calls);
	ck_assert_uint_ge(b.times, calls);
	ck_assert_uint_le(b.times, (uint64_t)((b.last - first) / (5 * MS) + 1));
	if (nap > 10)
		ck_assert_uint_gt(b.times, calls);
	pause_ms(20);
	ck_assert_uint_eq(prk_load32_acq(&b.calls), calls);
	prusik_signal_timer_free(timer);
}

TEST(periods)
{
	keeps_its_beat(0);
	keeps_its_beat(17);
}

TEST(periods_beyond_all_time)
{
	uint32_t count = 0;
	struct prusik_signal_timer *timer = start(PRUSIK_NOW, PRUSIK_FOREVER, count_call, &count);

	await(&count, 1);
	drain();
	ck_assert_int_eq(prusik_signal_timer_cancel(timer), 0);
	prusik_signal_timer_free(timer);
	timer = start(PRUSIK_FOREVER, 1, count_call, &count);
	pause_ms(5);
	ck_assert_int_eq(prusik_signal_timer_cancel(timer), 0);
	prusik_signal_timer_free(timer);
	timer = start(PRUSIK_NOW, 1, count_call, &count); /* each nanosecond: all the time */
	await(&count, 100);
	ck_assert_int_eq(prusik_signal_timer_cancel(timer), 0);
	prusik_signal_timer_free(timer);
	drain(); /* a call may be under way */
}

struct order {
	int64_t deadline;
	uint32_t *turn;
	uint32_t turned;
};

static void take_turn(void *context, uint64_t times)
{
	struct order *order = context;

	(void)times;
	order->turned = prk_add32_acqrel(order->turn, 1) + 1;
}

#define MANY 500

TEST(many_in_order)
{
	static struct order all[MANY];
	struct prusik_signal_timer *timers[MANY];
	int64_t base = prusik_in_ms(1500); /* all have been started by then */
	uint32_t turn = 0, seed = 1, canceled = 0;

	for (int i = 0; i < MANY; i++) {
		seed = seed * 1103515245 + 12345;
		all[i].deadline = base + seed % 100 * MS;
		all[i].turn = &turn;
		timers[i] = start(all[i].deadline, 0, take_turn, &all[i]);
	}
	for (int i = 0; i < MANY; i += 3)
		canceled += prusik_signal_timer_cancel(timers[i]) == 0;
	await(&turn, MANY - canceled);
	drain();
	for (int i = 0; i < MANY; i++) {
		prusik_signal_timer_free(timers[i]);
		for (int k = 0; k < MANY; k++)
			if (all[i].turned && all[k].turned && all[i].deadline < all[k].deadline)
				ck_assert_uint_lt(all[i].turned, all[k].turned);
	}
	ck_assert_uint_eq(turn, MANY - canceled);
}

struct self {
	uint32_t ready, calls;
	struct prusik_signal_timer *timer;
	int canceled;
};

static void cancel_itself(void *context, uint64_t times)
{
	struct self *self = context;

	(void)times;
	await(&self->ready, 1);
	self->canceled = prusik_signal_timer_cancel(self->timer);
	prusik_signal_timer_free(self->timer);
	prk_add32_acqrel(&self->calls, 1);
}

TEST(canceled_by_its_own_function)
{
	struct self self = { .calls = 0 };

	self.timer = start(prusik_in_ms(20), 1 * MS, cancel_itself, &self);
	prk_store32_rel(&self.ready, 1);
	await(&self.calls, 1);
	ck_assert_int_eq(self.canceled, 0);
	pause_ms(10);
	ck_assert_uint_eq(prk_load32_acq(&self.calls), 1);
}

static void count_signal(const struct prusik_signal_info *info, void *context)
{
	(void)info;
	prk_add32_acqrel(context, 1);
}

static void raise_again(const struct prusik_signal_info *info, void *context)
{
	prk_add32_acqrel(context, 1);
	prusik_signal_kill(info->pid, info->signal);
}

/* Neither signals without end keep timers from being called, nor the other way round. */
TEST(nobody_starves)
{
	uint32_t timers = 0, signals = 0, others = 0;
	struct prusik_signal_timer *timer = start(PRUSIK_NOW, 1, count_call, &timers);

	ck_assert_int_eq(prusik_signal_on(SIGUSR1, raise_again, &signals), 0);
	ck_assert_int_eq(prusik_signal_on(SIGUSR2, count_signal, &others), 0);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	for (uint32_t i = 1; i <= 20; i++) {
		ck_assert_int_eq(prusik_signal_raise(SIGUSR2), 0);
		await(&others, i);
		await(&timers, i);
		await(&signals, i);
	}
	ck_assert_int_eq(prusik_signal_ignore(SIGUSR1), 0);
	ck_assert_int_eq(prusik_signal_timer_cancel(timer), 0);
	prusik_signal_timer_free(timer);
	drain();
}

TEST(called_where_the_program_dispatches)
{
	uint32_t count = 0;
	int64_t before = prusik_now();

	ck_assert_int_eq(prusik_signal_dispatch(PRUSIK_NOW), -ETIMEDOUT);
	struct prusik_signal_timer *timer = start(prusik_in_ms(20), 10 * MS, count_call, &count);
	for (uint32_t i = 1; i < 5; i++) {
		ck_assert_int_eq(prusik_signal_dispatch(prusik_in_s(15)), 1);
		ck_assert_int_ge(prusik_now() - before, (10 + 10 * i) * MS);
		ck_assert_uint_eq(count, i);
	}
	ck_assert_int_eq(prusik_signal_timer_cancel(timer), 0);
	ck_assert_int_eq(prusik_signal_dispatch(prusik_in_ms(20)), -ETIMEDOUT);
	prusik_signal_timer_free(timer);
}

TEST(cancel_races)
{
	for (int i = 0; i < 300; i++) {
		uint32_t count = 0;
		struct prusik_signal_timer *timer = start(prusik_in_us(i % 100), 0, count_call, &count);
		pause_ms(0);
		int r = prusik_signal_timer_cancel(timer);
		ck_assert(r == 0 || r == -EALREADY);
		prusik_signal_timer_free(timer);
		drain();
		ck_assert_uint_eq(prk_load32_acq(&count), r == 0 ? 0 : 1);
	}
}

struct child {
	struct prusik_signal_timer *timer;
	uint32_t *count;
};

static int without_timers(void *argument)
{
	struct child *child = argument;
	uint32_t before = prk_load32_acq(child->count);
	static uint32_t own;

	pause_ms(30);
	PARTY_CHECK(prk_load32_acq(child->count) == before);
	PARTY_CHECK(prusik_signal_timer_cancel(child->timer) == -EALREADY);
	prusik_signal_timer_free(child->timer);
	PARTY_CHECK(prusik_signal_timer_start(PRUSIK_NOW, 0, count_call, &own, NULL) == 0);
	for (int64_t deadline = prusik_in_s(10); prk_load32_acq(&own) == 0 && prusik_now() < deadline;)
		pause_ms(1);
	PARTY_CHECK(prk_load32_acq(&own) == 1);
	return 0;
}

TEST(children_have_none)
{
	uint32_t count = 0;
	struct child child = { start(PRUSIK_NOW, 1 * MS, count_call, &count), &count };

	/* AddressSanitizer's own locks are not made for forks among busy threads. */
	for (int i = 0; i < (TEST_ADDRESS_SANITIZER ? 0 : 5); i++)
		ck_assert_int_eq(test_join(test_fork(without_timers, &child)), 0);
	await(&count, 10);
	ck_assert_int_eq(prusik_signal_timer_cancel(child.timer), 0);
	prusik_signal_timer_free(child.timer);
	drain();
}

TEST(a_start_that_fails_starts_nothing)
{
	struct prusik_signal_timer *timer = NULL;
	uint32_t count = 0, nth = 1;
	int r;

	do {
		prk_sys_fail(PRK_SYS_ANY, nth++, ENOMEM);
		r = prusik_signal_timer_start(PRUSIK_NOW, 0, count_call, &count, &timer);
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		if (r < 0) {
			ck_assert_ptr_null(timer);
			ck_assert_uint_eq(prk_load32_acq(&count), 0);
		}
	} while (r < 0);
	ck_assert_uint_ge(nth, 4);
	await(&count, 1);
	prusik_signal_timer_free(timer);
	drain();
}
