/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/atomic.h"
#include "base/sys.h"

#include <prusik/thread.h>
#include <unistd.h>

static void count_up(void *count)
{
	prk_add32_acqrel(count, 1);
}

static struct prusik_timer *start(int64_t deadline, void (*function)(void *), void *argument)
{
	struct prusik_timer *timer = NULL;

	ck_assert_int_eq(prusik_timer_start(deadline, function, argument, &timer), 0);
	ck_assert_ptr_nonnull(timer);
	return timer;
}

static void await_alone(void)
{
	int64_t deadline = prusik_in_s(10);

	while (prusik_thread_active_count() != 1) {
		ck_assert_int_lt(prusik_now(), deadline);
		usleep(200);
	}
}

TEST(runs_once_when_its_time_comes)
{
	uint32_t count = 0;
	int64_t before = prusik_now();
	struct prusik_timer *timer = start(prusik_in_ms(500), count_up, &count);

	ck_assert_int_eq(prusik_timer_join(timer, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_uint_eq(prk_load32_acq(&count), 0);
	ck_assert_int_eq(prusik_timer_join(timer, prusik_in_s(10)), 0);
	ck_assert_int_ge(prusik_now() - before, 500 * 1000000);
	ck_assert_uint_eq(prk_load32_acq(&count), 1);
	ck_assert_int_eq(prusik_timer_cancel(timer), -EALREADY);
	ck_assert_int_eq(prusik_timer_join(timer, PRUSIK_FOREVER), 0);
	prusik_timer_free(timer);
}

TEST(past_deadlines_are_now)
{
	int64_t deadlines[] = { PRUSIK_NOW, -1, INT64_MIN, 1 };
	uint32_t count = 0;

	for (uint32_t i = 0; i < 4; i++) {
		struct prusik_timer *timer = start(deadlines[i], count_up, &count);
		ck_assert_int_eq(prusik_timer_join(timer, prusik_in_s(10)), 0);
		ck_assert_uint_eq(prk_load32_acq(&count), i + 1);
		prusik_timer_free(timer);
	}
}

TEST(cancel)
{
	uint32_t count = 0;
	struct prusik_timer *timer = start(PRUSIK_FOREVER, count_up, &count);

	ck_assert_int_eq(prusik_timer_cancel(timer), 0);
	ck_assert_int_eq(prusik_timer_join(timer, prusik_in_s(10)), 0);
	ck_assert_int_eq(prusik_timer_cancel(timer), -EALREADY);
	ck_assert_uint_eq(prk_load32_acq(&count), 0);
	prusik_timer_free(timer);
	await_alone();
}

TEST(free_does_not_cancel)
{
	uint32_t count = 0;

	prusik_timer_free(start(prusik_in_ms(20), count_up, &count));
	ck_assert_int_eq(prusik_timer_start(prusik_in_ms(20), count_up, &count, NULL), 0);
	await_alone();
	ck_assert_uint_eq(prk_load32_acq(&count), 2);
}

struct race {
	struct prusik_timer *timer;
	uint32_t count;
	uint32_t canceled;
};

static int try_cancel(void *argument)
{
	struct race *race = argument;
	int r = prusik_timer_cancel(race->timer);

	if (r == 0)
		prk_add32_acqrel(&race->canceled, 1);
	return r == 0 || r == -EALREADY ? prusik_timer_join(race->timer, prusik_in_s(10)) : 1;
}

/* Of the function and the cancels exactly one has its way. */
TEST(cancel_races)
{
	for (int i = 0; i < 300; i++) {
		struct race race = { .count = 0 };
		struct prusik_thread *threads[2];
		race.timer = start(prusik_in_us(i % 100 * 3), count_up, &race.count);
		for (int k = 0; k < 2; k++)
			ck_assert_int_eq(prusik_thread_start(try_cancel, &race, NULL, &threads[k]), 0);
		for (int k = 0; k < 2; k++) {
			int result = 1;
			ck_assert_int_eq(prusik_thread_join(threads[k], PRUSIK_FOREVER, &result), 0);
			ck_assert_int_eq(result, 0);
			prusik_thread_free(threads[k]);
		}
		ck_assert_uint_eq(race.count + race.canceled, 1);
		prusik_timer_free(race.timer);
	}
}

static void end_thread(void *count)
{
	prk_add32_acqrel(count, 1);
	prusik_thread_exit(1);
}

TEST(the_function_may_end_its_thread)
{
	uint32_t count = 0;
	struct prusik_timer *timer = start(PRUSIK_NOW, end_thread, &count);

	ck_assert_int_eq(prusik_timer_join(timer, prusik_in_s(10)), 0);
	ck_assert_uint_eq(prk_load32_acq(&count), 1);
	prusik_timer_free(timer);
}

struct self {
	uint32_t ready;
	struct prusik_timer *timer;
	int joined, canceled;
};

static void join_itself(void *argument)
{
	struct self *self = argument;

	while (!prk_load32_acq(&self->ready))
		usleep(100);
	self->joined = prusik_timer_join(self->timer, PRUSIK_FOREVER);
	self->canceled = prusik_timer_cancel(self->timer);
}

TEST(join_within_its_own_function)
{
	struct self self = { .ready = 0 };

	self.timer = start(PRUSIK_NOW, join_itself, &self);
	prk_store32_rel(&self.ready, 1);
	ck_assert_int_eq(prusik_timer_join(self.timer, prusik_in_s(10)), 0);
	ck_assert_int_eq(self.joined, -EDEADLK);
	ck_assert_int_eq(self.canceled, -EALREADY);
	prusik_timer_free(self.timer);
}

TEST(many_at_once)
{
	struct prusik_timer *timers[100];
	uint32_t count = 0;

	for (int i = 0; i < 100; i++)
		timers[i] = start(prusik_in_ms(i % 10), count_up, &count);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(prusik_timer_join(timers[i], prusik_in_s(15)), 0);
		prusik_timer_free(timers[i]);
	}
	ck_assert_uint_eq(prk_load32_acq(&count), 100);
}

TEST(a_start_that_fails_starts_nothing)
{
	struct prusik_timer *timer = NULL;
	uint32_t count = 0, nth = 1;
	int r;

	do {
		prk_sys_fail(PRK_SYS_ANY, nth++, ENOMEM);
		r = prusik_timer_start(PRUSIK_NOW, count_up, &count, &timer);
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		if (r < 0) {
			ck_assert_ptr_null(timer);
			ck_assert_uint_eq(prk_load32_acq(&count), 0);
		}
	} while (r < 0);
	ck_assert_uint_ge(nth, 4);
	ck_assert_int_eq(prusik_timer_join(timer, prusik_in_s(10)), 0);
	prusik_timer_free(timer);
}
