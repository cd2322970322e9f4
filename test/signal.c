/* SPDX-License-Identifier: MIT */
#include "signal_kit.h"

#include "base/sys.h"

#include <prusik/cancel.h>
#include <prusik/lock.h>
#include <prusik/thread.h>

static struct record *record;

static void begin(void)
{
	record = new_record();
}

/* ---- what a function is told, and where it runs ---- */

TEST(info)
{
	begin();
	on(SIGUSR1, note, record);
	on(SIGRTMIN + 3, note, record);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	await(&record->count, 1);
	ck_assert_int_eq(record->info[0].signal, SIGUSR1);
	ck_assert_int_eq(record->info[0].code, SI_USER);
	ck_assert_int_eq(record->info[0].pid, getpid());
	ck_assert_uint_eq(record->info[0].uid, getuid());
	ck_assert_uint_eq(record->info[0].value, 0);
	ck_assert_int_eq(prusik_signal_queue(getpid(), SIGRTMIN + 3, UINT64_C(0x123456789abcdef)), 0);
	await(&record->count, 2);
	ck_assert_int_eq(record->info[1].signal, SIGRTMIN + 3);
	ck_assert_int_eq(record->info[1].code, SI_QUEUE);
	ck_assert_int_eq(record->info[1].pid, getpid());
	ck_assert_uint_eq(record->info[1].value, UINT64_C(0x123456789abcdef));
}

struct place {
	uint32_t called;
	int thread;
	uint64_t mask;
	struct prusik_lock lock;
	int deadlocks[3];
};

static void look_around(const struct prusik_signal_info *info, void *context)
{
	struct place *place = context;
	char *text = malloc(1000);

	(void)info;
	snprintf(text, 1000, "%d", place->thread);
	free(text);
	if (prusik_lock_acquire(&place->lock, PRUSIK_FOREVER) < 0)
		return;
	place->thread = prk_sys_gettid();
	place->mask = prusik_signal_mask();
	place->deadlocks[0] = prusik_signal_dispatch(PRUSIK_NOW);
	place->deadlocks[1] = prusik_signal_pause(PRUSIK_FOREVER);
	place->deadlocks[2] = prusik_signal_drain(PRUSIK_FOREVER);
	prusik_lock_release(&place->lock);
	prk_add32_acqrel(&place->called, 1);
}

/* A thread holds a lock that the function wants, and is interrupted again and again. */
TEST(runs_in_ordinary_context)
{
	struct place place = { .called = 0 };

	ck_assert_int_eq(prusik_signal_block(PRUSIK_SIGNAL_BIT(SIGWINCH), NULL), 0);
	on(SIGUSR1, look_around, &place);
	for (uint32_t i = 0; i < 200; i++) {
		ck_assert_int_ge(prusik_lock_acquire(&place.lock, PRUSIK_FOREVER), 0);
		char *text = malloc(100);
		ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
		free(text);
		ck_assert_uint_eq(prk_load32_acq(&place.called), i);
		ck_assert_int_eq(prusik_lock_release(&place.lock), 0);
		await(&place.called, i + 1);
	}
	ck_assert_int_ne(place.thread, prk_sys_gettid());
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(place.deadlocks[i], -EDEADLK);
	/* The mask of the thread that called on first, and realtime signals. */
	ck_assert_uint_eq(place.mask, PRUSIK_SIGNAL_BIT(SIGWINCH) | (~UINT64_C(0) << (SIGRTMIN - 1)));
	ck_assert_uint_eq(prusik_signal_mask(), PRUSIK_SIGNAL_BIT(SIGWINCH));
}

TEST(runs_where_the_program_dispatches)
{
	struct place place = { .called = 0 };
	int64_t before = prusik_now();

	on(SIGUSR1, look_around, &place);
	ck_assert_int_eq(prusik_signal_dispatch(PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_signal_dispatch(prusik_in_ms(30)), -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - before, 30 * 1000000);
	for (uint32_t i = 1; i <= 20; i++) {
		ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
		pause_ms(1);
		ck_assert_uint_eq(prk_load32_acq(&place.called), i - 1); /* by nobody else */
		ck_assert_int_eq(prusik_signal_dispatch(PRUSIK_FOREVER), 1);
		ck_assert_uint_eq(place.called, i);
		ck_assert_int_eq(place.thread, prk_sys_gettid());
		ck_assert_int_eq(place.deadlocks[0], -EDEADLK);
	}
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	ck_assert_int_eq(prusik_signal_hand_back(), 0);
	await(&place.called, 21);
	ck_assert_int_ne(place.thread, prk_sys_gettid());
}

/* ---- what is set ---- */

TEST(refused)
{
	static const int bad[] = { 0, -1, 65, 100, INT32_MAX, INT32_MIN, SIGKILL, SIGSTOP, 32, 33 };
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert_int_eq(prusik_signal_on(bad[i], note, NULL), -EINVAL);
		ck_assert_int_eq(prusik_signal_default(bad[i]), -EINVAL);
		ck_assert_int_eq(prusik_signal_ignore(bad[i]), -EINVAL);
	}
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(prusik_signal_on(faults[i], note, NULL), -EINVAL);
		ck_assert_int_eq(prusik_signal_ignore(faults[i]), 0);
		ck_assert_int_eq(prusik_signal_default(faults[i]), 0);
	}
	ck_assert_int_eq(prusik_signal_on(SIGTERM, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_signal_get(0, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_signal_get(32, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_signal_get(SIGKILL, NULL, NULL), PRUSIK_SIGNAL_DEFAULT);
}

TEST(all_that_can_be_are_handled)
{
	uint32_t counts[PRUSIK_SIGNAL_MAX + 1] = { 0 };
	int handled = 0;

	for (int signal = 1; signal <= PRUSIK_SIGNAL_MAX; signal++) {
		if (prusik_signal_on(signal, count_up, &counts[signal]) < 0)
			continue;
		ck_assert_int_eq(prusik_signal_raise(signal), 0);
		await(&counts[signal], 1);
		handled++;
	}
	ck_assert_int_eq(handled, 64 - 2 - 2 - 4);
}

static void foreign(int signal)
{
	(void)signal;
}

TEST(get_tells_what_is_set)
{
	prusik_signal_function function = NULL;
	uint32_t count = 0;
	void *context = NULL;

	signal(SIGUSR1, SIG_DFL);
	ck_assert_int_eq(prusik_signal_get(SIGUSR1, &function, &context), PRUSIK_SIGNAL_DEFAULT);
	ck_assert_int_eq(prusik_signal_ignore(SIGUSR1), 0);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	ck_assert_int_eq(prusik_signal_get(SIGUSR1, &function, &context), PRUSIK_SIGNAL_IGNORED);
	ck_assert_ptr_null(context);
	on(SIGUSR1, count_up, &count);
	ck_assert_int_eq(prusik_signal_get(SIGUSR1, &function, &context), PRUSIK_SIGNAL_ON);
	ck_assert(function == count_up);
	ck_assert_ptr_eq(context, &count);
	ck_assert_int_eq(prusik_signal_get(SIGUSR1, NULL, NULL), PRUSIK_SIGNAL_ON);
	signal(SIGUSR1, foreign);
	ck_assert_int_eq(prusik_signal_get(SIGUSR1, NULL, NULL), PRUSIK_SIGNAL_FOREIGN);
	signal(SIGUSR1, SIG_IGN);
	ck_assert_int_eq(prusik_signal_get(SIGUSR1, NULL, NULL), PRUSIK_SIGNAL_IGNORED);
	ck_assert_int_eq(prusik_signal_default(SIGUSR1), 0);
	ck_assert_int_eq(prusik_signal_get(SIGUSR1, NULL, NULL), PRUSIK_SIGNAL_DEFAULT);
	ck_assert_uint_eq(count, 0);
}

static int default_again(void *unused)
{
	(void)unused;
	if (prusik_signal_on(SIGTERM, note, record) < 0 || prusik_signal_default(SIGTERM) < 0)
		return 1;
	prusik_signal_raise(SIGTERM);
	return 2;
}

static int default_after_arrival(void *unused)
{
	(void)unused;
	if (prusik_signal_dispatch(PRUSIK_NOW) != -ETIMEDOUT || prusik_signal_on(SIGTERM, note, record) < 0)
		return 1;
	prusik_signal_raise(SIGTERM);
	if (prusik_signal_default(SIGTERM) < 0)
		return 2;
	prusik_signal_dispatch(PRUSIK_NOW);
	pause_ms(1000);
	return 3;
}

static int ignore_after_arrival(void *unused)
{
	(void)unused;
	if (prusik_signal_dispatch(PRUSIK_NOW) != -ETIMEDOUT || prusik_signal_on(SIGTERM, note, record) < 0)
		return 1;
	prusik_signal_raise(SIGTERM);
	if (prusik_signal_ignore(SIGTERM) < 0)
		return 2;
	return prusik_signal_dispatch(PRUSIK_NOW) != -ETIMEDOUT;
}

TEST(default_and_ignore_take_effect)
{
	begin();
	ck_assert_int_eq(test_join(test_fork(default_again, NULL)), -SIGTERM);
	ck_assert_int_eq(test_join(test_fork(default_after_arrival, NULL)), -SIGTERM);
	ck_assert_int_eq(test_join(test_fork(ignore_after_arrival, NULL)), 0);
	ck_assert_uint_eq(record->count, 0);
}

struct pair {
	uint32_t mine, wrong;
	prusik_signal_function function;
};

static struct pair pairs[8];
static uint32_t setters_over;

#define PAIR(n)                                                                                                        \
	static void pair_##n(const struct prusik_signal_info *info, void *context)                                     \
	{                                                                                                              \
		struct pair *pair = context;                                                                           \
		(void)info;                                                                                            \
		prk_add32_acqrel(pair == &pairs[n] ? &pair->mine : &pair->wrong, 1);                                   \
	}
PAIR(0)
PAIR(1)
PAIR(2)
PAIR(3)
PAIR(4)
PAIR(5)
PAIR(6)
PAIR(7)

static int set_often(void *argument)
{
	struct pair *pair = argument;

	for (int i = 0; i < 3000; i++)
		if (prusik_signal_on(SIGUSR2, pair->function, pair) < 0)
			return 1;
	prk_add32_acqrel(&setters_over, 1);
	return 0;
}

TEST(set_from_several_threads_at_once)
{
	prusik_signal_function functions[] = { pair_0, pair_1, pair_2, pair_3, pair_4, pair_5, pair_6, pair_7 };
	struct prusik_thread *threads[8];
	uint32_t sum = 0, sent = 0;

	on(SIGUSR2, pair_0, &pairs[0]);
	for (int i = 0; i < 8; i++) {
		pairs[i].function = functions[i];
		ck_assert_int_eq(prusik_thread_start(set_often, &pairs[i], NULL, &threads[i]), 0);
	}
	for (; prk_load32_acq(&setters_over) < 8; sent++)
		ck_assert_int_eq(prusik_signal_raise(SIGUSR2), 0);
	for (int i = 0; i < 8; i++) {
		int result = -1;
		ck_assert_int_eq(prusik_thread_join(threads[i], prusik_in_s(15), &result), 0);
		ck_assert_int_eq(result, 0);
		prusik_thread_free(threads[i]);
	}
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_eq(pairs[i].wrong, 0);
		sum += pairs[i].mine;
	}
	ck_assert_uint_ge(sum, 1);
	ck_assert_uint_le(sum, sent);
}

TEST(a_failed_start_changes_nothing)
{
	uint32_t count = 0, nth = 1;
	int r;

	signal(SIGUSR1, SIG_DFL);
	do {
		prk_sys_fail(PRK_SYS_ANY, nth++, ENOMEM);
		r = prusik_signal_on(SIGUSR1, count_up, &count);
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		if (r < 0)
			ck_assert_int_eq(prusik_signal_get(SIGUSR1, NULL, NULL), PRUSIK_SIGNAL_DEFAULT);
	} while (r < 0);
	ck_assert_uint_ge(nth, 3);
	/* Memory for the list fails for a while, in the handler. */
	prk_sys_fail(PRK_SYS_MMAP, 1, ENOMEM);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	await(&count, 1);
	prk_sys_fail(PRK_SYS_ANY, 0, 0);
}

/* ---- drain, and functions that end badly ---- */

struct slow {
	uint32_t begun, go, done;
};

static void be_slow(const struct prusik_signal_info *info, void *context)
{
	struct slow *slow = context;

	(void)info;
	prk_add32_acqrel(&slow->begun, 1);
	while (!prk_load32_acq(&slow->go))
		pause_ms(1);
	prk_add32_acqrel(&slow->done, 1);
}

TEST(drain_waits_for_what_has_arrived)
{
	struct slow slow = { 0, 0, 0 };

	ck_assert_int_eq(prusik_signal_drain(PRUSIK_NOW), 0);
	on(SIGUSR1, be_slow, &slow);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	await(&slow.begun, 1);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	ck_assert_int_eq(prusik_signal_drain(PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_signal_drain(prusik_in_ms(20)), -ETIMEDOUT);
	ck_assert_uint_eq(prk_load32_acq(&slow.begun), 1); /* one after the other */
	prk_store32_rel(&slow.go, 1);
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
	ck_assert_uint_eq(prk_load32_acq(&slow.done), 2);
	for (uint32_t i = 3; i < 100; i++) {
		ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
		ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
		ck_assert_uint_eq(prk_load32_acq(&slow.done), i);
	}
}

static void end_thread(const struct prusik_signal_info *info, void *context)
{
	(void)info;
	prk_add32_acqrel(context, 1);
	prusik_thread_exit(1);
}

static void use_a_set_token(const struct prusik_signal_info *info, void *context)
{
	static struct prusik_cancel token;

	(void)info;
	prusik_cancel_set(&token);
	/* What the one before has left is gone. */
	if (!prusik_cancel_use(&token))
		prk_add32_acqrel(context, 1);
}

TEST(functions_that_leave_disorder)
{
	uint32_t count = 0;

	on(SIGUSR1, end_thread, &count);
	on(SIGUSR2, use_a_set_token, &count);
	for (uint32_t i = 1; i <= 20; i++) {
		ck_assert_int_eq(prusik_signal_raise(i % 3 ? SIGUSR2 : SIGUSR1), 0);
		ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
		ck_assert_uint_eq(prk_load32_acq(&count), i);
	}
}
