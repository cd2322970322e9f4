/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/atomic.h"
#include "base/life.h"
#include "base/sys.h"

#include <limits.h>
#include <prusik/cancel.h>
#include <prusik/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#define MANY 16

static int return_it(void *code)
{
	return *(int *)code;
}

/* Until *word is not 0. */
static int wait_for_word(void *word)
{
	while (prk_load32_acq(word) == 0)
		prk_sys_futex_wait(word, 0, PRUSIK_FOREVER);
	return 5;
}

static void say(uint32_t *word)
{
	prk_store32_rel(word, 1);
	prk_sys_futex_wake(word, INT32_MAX);
}

static struct prusik_thread *start_with(int (*function)(void *), void *argument,
					const struct prusik_thread_options *options)
{
	struct prusik_thread *thread = NULL;

	ck_assert_int_eq(prusik_thread_start(function, argument, options, &thread), 0);
	ck_assert_ptr_nonnull(thread);
	return thread;
}

static struct prusik_thread *start(int (*function)(void *), void *argument)
{
	return start_with(function, argument, NULL);
}

static int finish(struct prusik_thread *thread)
{
	int result = -1000;

	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(15), &result), 0);
	ck_assert_int_eq(prusik_thread_is_alive(thread), 0);
	prusik_thread_free(thread);
	return result;
}

static void await_count(int64_t expected)
{
	int64_t deadline = prusik_in_s(10);

	while (prusik_thread_active_count() != expected) {
		ck_assert_int_lt(prusik_now(), deadline);
		usleep(200);
	}
}

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

/* ---- names and numbers ---- */

static const char *name_of(const struct prusik_thread *thread)
{
	static char name[64];

	ck_assert_int_eq(prusik_thread_name(thread, name, sizeof name), 0);
	return name;
}

static int tell_kernel_name(void *name)
{
	return prctl(PR_GET_NAME, name, 0, 0, 0);
}

TEST(names)
{
	char kernel[16] = "", expected[32], cut[4];
	uint32_t go = 1;
	struct prusik_thread *thread = start_with(tell_kernel_name, kernel,
						  &(struct prusik_thread_options){ .name = "a name of more than 15" });

	ck_assert_str_eq(name_of(thread), "a name of more than 15");
	ck_assert_int_eq(prusik_thread_name(thread, cut, sizeof cut), 0);
	ck_assert_str_eq(cut, "a n");
	ck_assert_int_eq(finish(thread), 0);
	ck_assert_str_eq(kernel, "a name of more ");
	thread = start(wait_for_word, &go);
	snprintf(expected, sizeof expected, "Thread-%d", (int)prusik_thread_ident(thread));
	ck_assert_str_eq(name_of(thread), expected);
	finish(thread);
}

TEST(too_long_a_name)
{
	char name[65] = "";
	int code = 0;
	struct prusik_thread_options options = { .name = name };
	struct prusik_thread *thread = NULL;

	memset(name, 'n', 64);
	ck_assert_int_eq(prusik_thread_start(return_it, &code, &options, &thread), -ENAMETOOLONG);
	ck_assert_ptr_null(thread);
	name[63] = 0;
	thread = start_with(return_it, &code, &options);
	ck_assert_str_eq(name_of(thread), name);
	name[63] = 'n';
	ck_assert_int_eq(prusik_thread_set_name(thread, name), -ENAMETOOLONG);
	finish(thread);
}

static void assert_kernel_name(int native, const char *expected)
{
	char path[64], name[32] = "";

	snprintf(path, sizeof path, "/proc/self/task/%d/comm", native);
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(name, sizeof name, file));
	fclose(file);
	name[strcspn(name, "\n")] = 0;
	ck_assert_str_eq(name, expected);
}

TEST(set_name)
{
	uint32_t go = 0;
	struct prusik_thread *thread = start(wait_for_word, &go), *me = prusik_thread_current();

	ck_assert_int_eq(prusik_thread_set_name(thread, "renamed-while-it-runs"), 0);
	ck_assert_str_eq(name_of(thread), "renamed-while-it-runs");
	assert_kernel_name(prusik_thread_native_id(thread), "renamed-while-i");
	say(&go);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_FOREVER, NULL), 0);
	ck_assert_int_eq(prusik_thread_set_name(thread, "late"), 0);
	ck_assert_str_eq(name_of(thread), "late");
	prusik_thread_free(thread);
	ck_assert_str_eq(name_of(me), "MainThread");
	ck_assert_int_eq(prusik_thread_set_name(me, "first"), 0);
	assert_kernel_name(getpid(), "first");
	prusik_thread_free(me);
}

static int gettid_of_self(void *unused)
{
	(void)unused;
	return prk_sys_gettid();
}

TEST(native_ids)
{
	struct prusik_thread *thread = start(gettid_of_self, NULL), *me = prusik_thread_current();
	int native = prusik_thread_native_id(thread);

	ck_assert_int_gt(native, 0);
	ck_assert_int_eq(finish(thread), native);
	ck_assert_int_eq(prusik_thread_native_id(me), getpid());
	prusik_thread_free(me);
}

/* ---- current, main, enumerate ---- */

static int is_current(void *ret_thread)
{
	struct prusik_thread *me = prusik_thread_current(), *again = prusik_thread_current();
	int same = me == again && prusik_thread_is_alive(me) == 1;

	*(struct prusik_thread **)ret_thread = me;
	prusik_thread_free(again);
	prusik_thread_free(me);
	return same;
}

TEST(current)
{
	struct prusik_thread *seen = NULL, *thread = start(is_current, &seen);

	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_FOREVER, NULL), 0);
	ck_assert_ptr_eq(seen, thread);
	ck_assert_int_eq(finish(thread), 1);
	struct prusik_thread *me = prusik_thread_current(), *first = prusik_thread_main();
	ck_assert_ptr_eq(me, first);
	ck_assert_int_eq(prusik_thread_join(first, PRUSIK_NOW, NULL), -EDEADLK);
	prusik_thread_free(me);
	prusik_thread_free(first);
}

static void *be_foreign(void *ret_thread)
{
	*(struct prusik_thread **)ret_thread = prusik_thread_current();
	usleep(20000);
	return NULL;
}

TEST(foreign_threads_are_known_when_they_ask)
{
	struct prusik_thread *thread = NULL;
	pthread_t pthread;
	int result = 1;

	ck_assert_int_eq(pthread_create(&pthread, NULL, be_foreign, &thread), 0);
	await_count(2);
	pthread_join(pthread, NULL);
	ck_assert_int_eq(prusik_thread_active_count(), 1);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_FOREVER, &result), 0);
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(prusik_thread_is_alive(thread), 0);
	prusik_thread_free(thread);
}

static void *be_joined(void *ret_thread)
{
	struct prusik_thread *me = prusik_thread_current();

	prk_store_ptr_rel(ret_thread, me);
	usleep(30000);
	return NULL;
}

TEST(foreign_threads_can_be_joined)
{
	void *thread = NULL;
	pthread_t pthread;

	ck_assert_int_eq(pthread_create(&pthread, NULL, be_joined, &thread), 0);
	while (!prk_load_ptr_acq(&thread))
		usleep(100);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_NOW, NULL), -ETIMEDOUT);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_FOREVER, NULL), 0);
	prusik_thread_free(thread);
	pthread_join(pthread, NULL);
}

static int find_main(void *expected)
{
	struct prusik_thread *first = prusik_thread_main();
	int r = first && prusik_thread_native_id(first) == getpid() && prusik_thread_is_alive(first) == 1 &&
		prusik_thread_join(first, PRUSIK_NOW, NULL) == -ETIMEDOUT;

	*(struct prusik_thread **)expected = first;
	return r;
}

TEST(main_is_known_before_it_asks)
{
	struct prusik_thread *first = NULL;

	ck_assert_int_eq(finish(start(find_main, &first)), 1);
	struct prusik_thread *me = prusik_thread_current();
	ck_assert_ptr_eq(me, first);
	prusik_thread_free(me);
	prusik_thread_free(first);
}

TEST(enumerate)
{
	struct prusik_thread *all[4], *thread, *me = prusik_thread_current();
	uint32_t go = 0;

	ck_assert_int_eq(prusik_thread_enumerate(all, 4), 1);
	ck_assert_ptr_eq(all[0], me);
	prusik_thread_free(all[0]);
	thread = start(wait_for_word, &go);
	ck_assert_int_eq(prusik_thread_enumerate(all, 1), 2); /* more than there is room for */
	prusik_thread_free(all[0]);
	ck_assert_int_eq(prusik_thread_enumerate(all, 4), 2);
	ck_assert((all[0] == me && all[1] == thread) || (all[1] == me && all[0] == thread));
	prusik_thread_free(all[0]);
	prusik_thread_free(all[1]);
	say(&go);
	finish(thread);
	ck_assert_int_eq(prusik_thread_active_count(), 1);
	prusik_thread_free(me);
}

static int start_and_drop(void *stop)
{
	uint32_t go = 1;

	while (!prk_load32_acq(stop))
		finish(start(wait_for_word, &go));
	return 0;
}

/* Handles got from the list join as well as those of the starter. */
static int join_all_others(void *stop)
{
	struct prusik_thread *all[32];

	while (!prk_load32_acq(stop)) {
		int64_t n = prusik_thread_enumerate(all, 32);
		for (int64_t i = 0; i < n && i < 32; i++) {
			int r = prusik_thread_join(all[i], prusik_in_us(100), NULL);
			if (r != 0 && r != -ETIMEDOUT && r != -EDEADLK)
				return 1;
			prusik_thread_free(all[i]);
		}
	}
	return 0;
}

TEST(the_list_under_load)
{
	struct prusik_thread *threads[6];
	uint32_t stop = 0;

	for (int i = 0; i < 6; i++)
		threads[i] = start(i < 3 ? start_and_drop : join_all_others, &stop);
	usleep(500000);
	say(&stop);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(finish(threads[i]), 0);
	await_count(1);
}

/* ---- locals ---- */

static uint32_t destroyed;

static void destroy(void *value)
{
	prk_add32_rlx(&destroyed, (uint32_t)(uintptr_t)value);
}

static struct prusik_local local = { .destructor = destroy }, plain;

static int use_locals(void *number)
{
	if (prusik_local_get(&local) || prusik_local_get(&plain))
		return 1;
	if (prusik_local_set(&local, number) < 0 || prusik_local_set(&plain, &number) < 0)
		return 2;
	usleep(1000);
	if (prusik_local_get(&local) != number || prusik_local_get(&plain) != &number)
		return 3;
	if ((uintptr_t)number == 100)
		prusik_thread_exit(0);
	if ((uintptr_t)number == 1000)
		prusik_local_set(&local, NULL); /* is not destroyed */
	return 0;
}

TEST(locals_are_each_threads_own)
{
	uintptr_t numbers[] = { 1, 10, 100, 1000, 10000 };
	struct prusik_thread *threads[5];

	ck_assert_ptr_null(prusik_local_get(&local));
	for (int i = 0; i < 5; i++)
		threads[i] = start(use_locals, (void *)numbers[i]);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(finish(threads[i]), 0);
	ck_assert_uint_eq(prk_load32_acq(&destroyed), 10111); /* by the time of the joins */
	ck_assert_ptr_null(prusik_local_get(&local));
}

static void destroy_again(void *value);
static struct prusik_local again = { .destructor = destroy_again };
static uint32_t rounds;

static void destroy_again(void *value)
{
	usleep(20000);
	if (prk_add32_rlx(&rounds, 1) == 0)
		prusik_local_set(&again, value);
}

static int set_again(void *value)
{
	return prusik_local_set(&again, value);
}

TEST(join_waits_for_destructors)
{
	struct prusik_thread *thread = start(set_again, &rounds);

	while (prk_load32_acq(&rounds) == 0)
		usleep(100);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_NOW, NULL), -ETIMEDOUT);
	ck_assert_int_eq(finish(thread), 0);
	ck_assert_uint_eq(prk_load32_acq(&rounds), 2);
}

/* It asks who it is in each round, or in the last one alone. */
static void ask_in_destructor(void *value);
static struct prusik_local asker = { .destructor = ask_in_destructor };
static __thread int asked;

static void ask_in_destructor(void *first_round)
{
	asked++;
	if (asked >= (int)(intptr_t)first_round) {
		struct prusik_thread *me = prusik_thread_current();
		ck_assert_ptr_nonnull(me);
		ck_assert_int_eq(prusik_thread_native_id(me), prk_sys_gettid());
		prusik_thread_free(me);
	}
	if (asked < PTHREAD_DESTRUCTOR_ITERATIONS - TEST_THREAD_SANITIZER)
		prusik_local_set(&asker, first_round);
}

static int ask_at_the_end(void *first_round)
{
	return prusik_local_set(&asker, first_round);
}

static void *ask_at_the_end_too(void *first_round)
{
	prusik_local_set(&asker, first_round);
	return NULL;
}

/* pthread_join returns a moment before the kernel has forgotten the thread. */
static void await_alone(void)
{
	for (int looks = 0; looks < 5000 && prusik_thread_active_count() != 1; looks++)
		usleep(1000);
	ck_assert_int_eq(prusik_thread_active_count(), 1);
}

TEST(destructors_may_ask_who_they_are)
{
	/* ThreadSanitizer knows nothing of the thread any more in the last round. */
	intptr_t last = PTHREAD_DESTRUCTOR_ITERATIONS - TEST_THREAD_SANITIZER;

	for (intptr_t round = 1; round <= last; round++) {
		pthread_t foreign;
		ck_assert_int_eq(finish(start(ask_at_the_end, (void *)round)), 0);
		ck_assert_int_eq(prusik_thread_active_count(), 1);
		ck_assert_int_eq(pthread_create(&foreign, NULL, ask_at_the_end_too, (void *)round), 0);
		pthread_join(foreign, NULL);
		await_alone();
	}
}

TEST(there_are_some_hundred_locals)
{
	static struct prusik_local many[2000];
	int n = 0, r = 0;

	ck_assert_int_eq(prusik_local_set(&many[0], NULL), 0); /* needs no key */
	ck_assert_uint_eq(many[0].state, 0);
	while (n < 2000 && (r = prusik_local_set(&many[n], &many[n])) == 0)
		n++;
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_int_ge(n, 500);
	for (int i = 0; i < n; i++)
		ck_assert_ptr_eq(prusik_local_get(&many[i]), &many[i]);
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
