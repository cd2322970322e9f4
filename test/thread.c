/* SPDX-License-Identifier: MIT */
#include "thread_kit.h"

#include "base/life.h"

#include <prusik/cancel.h>
#include <prusik/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#define MANY 16

/* ---- results ---- */

TEST(results_are_delivered)
{
	int results[] = { 0, 1, -1, 255, 256, INT32_MAX, INT32_MIN };

	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		ck_assert_int_eq(finish(start(return_it, &results[i])), results[i]);
}

static int exit_when_equal(const void *a, const void *b)
{
	if (*(const int *)a == *(const int *)b)
		prusik_thread_exit(77);
	return *(const int *)a - *(const int *)b;
}

static int exit_inside(void *unused)
{
	int numbers[] = { 3, 1, 2, 1 };

	(void)unused;
	qsort(numbers, 4, sizeof numbers[0], exit_when_equal);
	return 1;
}

TEST(exit_from_anywhere)
{
	ck_assert_int_eq(finish(start(exit_inside, NULL)), 77);
}

static int pthread_exit_inside(void *unused)
{
	(void)unused;
	pthread_exit(NULL);
}

static int cancel_itself(void *unused)
{
	(void)unused;
	pthread_cancel(pthread_self());
	pthread_testcancel();
	return 1;
}

TEST(other_ends_count_as_ends)
{
	ck_assert_int_eq(finish(start(pthread_exit_inside, NULL)), -ECANCELED);
	ck_assert_int_eq(finish(start(cancel_itself, NULL)), -ECANCELED);
}

struct player {
	struct prusik_thread_own thread;
	int song;
};

static int play(struct prusik_thread_own *own)
{
	return ((struct player *)own)->song;
}

TEST(a_struct_of_ones_own)
{
	struct player player = { { play }, 12 };
	struct prusik_thread *thread;

	ck_assert_int_eq(prusik_thread_start_own(&player.thread, NULL, &thread), 0);
	ck_assert_int_eq(finish(thread), 12);
}

/* ---- misuse ---- */

TEST(misuse)
{
	struct prusik_thread_own own = { NULL };
	struct prusik_thread *thread = NULL;
	char buffer[8];

	ck_assert_int_eq(prusik_thread_start(NULL, NULL, NULL, &thread), -EINVAL);
	ck_assert_int_eq(prusik_thread_start_own(NULL, NULL, &thread), -EINVAL);
	ck_assert_int_eq(prusik_thread_start_own(&own, NULL, &thread), -EINVAL);
	ck_assert_ptr_null(thread);
	ck_assert_int_eq(prusik_thread_join(NULL, PRUSIK_NOW, NULL), -EINVAL);
	ck_assert_int_eq(prusik_thread_is_alive(NULL), -EINVAL);
	ck_assert_int_eq(prusik_thread_name(NULL, buffer, sizeof buffer), -EINVAL);
	ck_assert_int_eq(prusik_thread_set_name(NULL, "x"), -EINVAL);
	ck_assert_int_eq(prusik_thread_ident(NULL), -EINVAL);
	ck_assert_int_eq(prusik_thread_native_id(NULL), -EINVAL);
	ck_assert_int_eq(prusik_thread_is_daemon(NULL), -EINVAL);
	ck_assert_int_eq(prusik_thread_enumerate(NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_local_set(NULL, buffer), -EINVAL);
	ck_assert_ptr_null(prusik_local_get(NULL));
	ck_assert_int_eq(prusik_timer_start(PRUSIK_NOW, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_timer_cancel(NULL), -EINVAL);
	ck_assert_int_eq(prusik_timer_join(NULL, PRUSIK_NOW), -EINVAL);
	prusik_timer_free(NULL);
	prusik_thread_free(NULL);
	thread = prusik_thread_current();
	ck_assert_int_eq(prusik_thread_name(thread, NULL, 8), -EINVAL);
	ck_assert_int_eq(prusik_thread_name(thread, buffer, 0), -EINVAL);
	ck_assert_int_eq(prusik_thread_set_name(thread, NULL), -EINVAL);
	ck_assert_int_eq(prusik_thread_set_name(thread, ""), -EINVAL);
	prusik_thread_free(thread);
}

static int join_itself(void *unused)
{
	struct prusik_thread *me = prusik_thread_current();
	int r = prusik_thread_join(me, PRUSIK_FOREVER, NULL);

	(void)unused;
	prusik_thread_free(me);
	return r;
}

TEST(join_of_itself)
{
	ck_assert_int_eq(finish(start(join_itself, NULL)), -EDEADLK);
	ck_assert_int_eq(join_itself(NULL), -EDEADLK);
}

/* ---- joining ---- */

TEST(join_keeps_its_deadline)
{
	uint32_t go = 0;
	int result = 1000;
	struct prusik_thread *thread = start(wait_for_word, &go);

	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_NOW, &result), -ETIMEDOUT);
	int64_t before = prusik_now();
	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_ms(50), &result), -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - before, 50 * 1000000);
	ck_assert_int_lt(prusik_now() - before, 10000 * 1000000LL);
	ck_assert_int_eq(prusik_thread_join(thread, -5, NULL), -ETIMEDOUT);
	ck_assert_int_eq(prusik_thread_is_alive(thread), 1);
	ck_assert_int_eq(result, 1000);
	say(&go);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_FOREVER, NULL), 0);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_NOW, &result), 0); /* again, later */
	ck_assert_int_eq(result, 5);
	prusik_thread_free(thread);
}

struct joiner {
	struct prusik_thread *thread;
	int index, result;
};

/* Every way to wait is there: for ever, with a deadline, with a token. */
static int join_it(void *argument)
{
	struct joiner *joiner = argument;
	struct prusik_cancel never = { 0 };
	int64_t deadline = joiner->index % 3 == 0 ? PRUSIK_FOREVER : prusik_in_s(15);

	if (joiner->index % 3 == 2)
		prusik_cancel_use(&never);
	int r = prusik_thread_join(joiner->thread, deadline, &joiner->result);
	prusik_cancel_use(NULL);
	return r;
}

TEST(many_join_one)
{
	for (int round = 0; round < 60; round++) {
		struct joiner joiners[MANY];
		struct prusik_thread *threads[MANY];
		uint32_t go = round % 2 == 0;
		struct prusik_thread *one = start(wait_for_word, &go);
		for (int i = 0; i < MANY; i++) {
			joiners[i] = (struct joiner){ one, i, 0 };
			threads[i] = start(join_it, &joiners[i]);
		}
		say(&go);
		for (int i = 0; i < MANY; i++) {
			ck_assert_int_eq(finish(threads[i]), 0);
			ck_assert_int_eq(joiners[i].result, 5);
		}
		prusik_thread_free(one);
	}
	await_count(1);
}

static int join_with_token(void *argument)
{
	struct joiner *joiner = argument;
	static struct prusik_cancel stop;

	if (joiner->index == 0) { /* the one who cancels */
		usleep(20000);
		return prusik_cancel_set(&stop);
	}
	prusik_cancel_use(&stop);
	int r = prusik_thread_join(joiner->thread, PRUSIK_FOREVER, NULL);
	prusik_cancel_use(NULL);
	return r;
}

TEST(join_heeds_the_token)
{
	uint32_t go = 0;
	struct prusik_thread *one = start(wait_for_word, &go);
	struct joiner first = { one, 0, 0 }, second = { one, 1, 0 };
	struct prusik_thread *canceler = start(join_with_token, &first);

	ck_assert_int_eq(finish(start(join_with_token, &second)), -ECANCELED);
	ck_assert_int_eq(finish(canceler), 0);
	say(&go);
	/* What need not wait goes on. */
	ck_assert_int_eq(prusik_thread_join(one, PRUSIK_FOREVER, NULL), 0);
	ck_assert_int_eq(finish(start(join_with_token, &second)), 0);
	prusik_thread_free(one);
}

static void no_operation(int number)
{
	(void)number;
}

TEST(join_is_not_ended_by_a_signal)
{
	struct sigaction action = { .sa_handler = no_operation };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	uint32_t go = 0;
	struct prusik_thread *thread = start(wait_for_word, &go);

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	int64_t before = prusik_now();
	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_ms(20), NULL), -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - before, 20 * 1000000);
	say(&go);
	ck_assert_int_eq(finish(thread), 5);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
}

TEST(join_needs_no_domain)
{
	int code = 3;

	setenv("PRUSIK_DIR", "/nonexistent/domain", 1);
	ck_assert_int_eq(finish(start(return_it, &code)), 3);
	ck_assert_uint_eq(prk_self()->id, 0);
}

/* ---- limits ---- */

static int count_up(void *count)
{
	prk_add32_rlx(count, 1);
	return 0;
}

TEST(a_thousand_threads_at_once)
{
	static struct prusik_thread *threads[1000];
	struct prusik_thread_options options = { .stack_size = 64 << 10 };
	uint32_t go = 0;

	for (int i = 0; i < 1000; i++)
		threads[i] = start_with(wait_for_word, &go, &options);
	ck_assert_int_eq(prusik_thread_active_count(), 1001);
	for (int i = 1; i < 1000; i++)
		ck_assert_int_gt(prusik_thread_ident(threads[i]), prusik_thread_ident(threads[i - 1]));
	say(&go);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(finish(threads[i]), 5);
	ck_assert_int_eq(prusik_thread_active_count(), 1);
}

TEST(nobody_need_join)
{
	uint32_t count = 0;

	for (int i = 0; i < 2000; i++) {
		struct prusik_thread *thread = NULL;
		ck_assert_int_eq(prusik_thread_start(count_up, &count, NULL, i % 2 ? &thread : NULL), 0);
		prusik_thread_free(thread);
	}
	await_count(1);
	ck_assert_uint_eq(prk_load32_acq(&count), 2000);
}

TEST(stack_sizes)
{
	int code = 1;
	struct prusik_thread *thread = NULL;
	struct prusik_thread_options options = { .stack_size = 16383 };

	ck_assert_int_eq(prusik_thread_start(return_it, &code, &options, &thread), -EINVAL);
	options.stack_size = UINT64_C(1) << 52;
	ck_assert_int_eq(prusik_thread_start(return_it, &code, &options, &thread), -ENOMEM);
	options.stack_size = UINT64_MAX;
	ck_assert_int_eq(prusik_thread_start(return_it, &code, &options, &thread), -ENOMEM);
	ck_assert_ptr_null(thread);
	ck_assert_int_eq(prusik_thread_active_count(), 1);
	options.stack_size = 256 << 10;
	ck_assert_int_eq(finish(start_with(return_it, &code, &options)), 1);
}

static int own_stack_size(void *unused)
{
	pthread_attr_t attr;
	size_t size = 0;

	(void)unused;
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &size);
	pthread_attr_destroy(&attr);
	return (int)(size >> 10);
}

TEST(the_stack_is_as_large_as_wanted)
{
	struct prusik_thread_options options = { .stack_size = 3 << 20 };

	ck_assert_int_ge(finish(start_with(own_stack_size, NULL, &options)), 3000);
}

/* The super-user has no RLIMIT_NPROC: be somebody else. */
static int start_beyond_the_limit(void *unused)
{
	uint32_t go = 0;
	struct prusik_thread *threads[64];
	int n = 0, r = 0;

	(void)unused;
	if (geteuid() == 0 && setuid(54321) < 0)
		return 100;
	setrlimit(RLIMIT_NPROC, &(struct rlimit){ 8, 8 });
	while (n < 64 && (r = prusik_thread_start(wait_for_word, &go, NULL, &threads[n])) == 0)
		n++;
	if (r != -EAGAIN || prusik_thread_active_count() != n + 1)
		return 1;
	say(&go);
	while (n > 0)
		if (prusik_thread_join(threads[--n], PRUSIK_FOREVER, NULL) < 0)
			return 2;
	if (prusik_thread_active_count() != 1)
		return 3;
	return 0;
}

TEST(too_many_threads)
{
	int code = test_join(test_fork(start_beyond_the_limit, NULL));

	ck_assert_int_eq(code == 100 ? 0 : code, 0);
}

/* There is no way for a start that fails to have started something, or to hang. */
TEST(a_start_that_fails_starts_nothing)
{
	uint32_t count = 0, nth = 1;
	struct prusik_thread *thread = NULL;

	for (;; nth++) {
		prk_sys_fail(PRK_SYS_ANY, nth, ENOMEM);
		int r = prusik_thread_start(count_up, &count, NULL, &thread);
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		if (r == 0)
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_uint_eq(prk_load32_acq(&count), 0);
		ck_assert_ptr_null(thread);
		ck_assert_int_eq(prusik_thread_active_count(), 1);
	}
	ck_assert_uint_ge(nth, 3); /* memory, thread */
	ck_assert_int_eq(finish(thread), 0);
	ck_assert_uint_eq(prk_load32_acq(&count), 1);
}

TEST(no_memory_to_know_oneself)
{
	for (uint32_t nth = 1; nth < 4; nth++) {
		prk_sys_fail(PRK_SYS_ANY, nth, ENOMEM);
		struct prusik_thread *me = prusik_thread_current();
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		prusik_thread_free(me); /* NULL, or it needed less */
	}
	ck_assert_int_eq(prusik_thread_active_count(), 1);
}

/* ---- tokens ---- */

struct canceled {
	struct prusik_cancel stop;
	struct prusik_thread *thread;
	uint32_t ready;
	int forever;
};

static int join_until_canceled(void *argument)
{
	struct canceled *canceled = argument;

	prusik_cancel_use(&canceled->stop);
	prk_store32_rel(&canceled->ready, 1);
	return prusik_thread_join(canceled->thread, canceled->forever ? PRUSIK_FOREVER : prusik_in_s(15), NULL);
}

/* Who was asleep when the token was set ends his wait, though it is cleared at once. */
TEST(a_token_that_is_set_and_cleared_ends_joins)
{
	uint32_t go = 0;

	for (int i = 0; i < 10; i++) {
		struct canceled canceled = { .thread = start(wait_for_word, &go), .forever = i % 2 };
		struct prusik_thread *joiner = start(join_until_canceled, &canceled);
		while (!prk_load32_acq(&canceled.ready))
			usleep(100);
		usleep(30000); /* asleep by now, or so; else the token is set still when it looks */
		ck_assert_int_eq(prusik_cancel_set(&canceled.stop), 0);
		if (prk_load32_acq(&canceled.stop.word) & 2)
			ck_assert_int_eq(prusik_cancel_clear(&canceled.stop), 0);
		ck_assert_int_eq(finish(joiner), -ECANCELED);
		say(&go);
		ck_assert_int_eq(finish(canceled.thread), 5);
		go = 0;
	}
}
