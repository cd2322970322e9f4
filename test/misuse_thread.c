/* SPDX-License-Identifier: MIT */
/*
 * The lists of misuse.c go on: what prusik/thread.h calls an error. A refused call has made
 * no thread, and changed none.
 */
#include "test.h"

#include "base/atomic.h"

#include <prusik/event.h>
#include <prusik/thread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* All that can be asked about a thread, and how many there are. */
struct facts {
	char name[64];
	int64_t ident, count;
	int native, daemon, alive;
};

static struct facts facts_of(const struct prusik_thread *thread)
{
	struct facts f;

	memset(&f, 0, sizeof f);
	ck_assert_int_eq(prusik_thread_name(thread, f.name, sizeof f.name), 0);
	f.ident = prusik_thread_ident(thread);
	f.native = prusik_thread_native_id(thread);
	f.daemon = prusik_thread_is_daemon(thread);
	f.alive = prusik_thread_is_alive(thread);
	f.count = prusik_thread_active_count();
	return f;
}

static void refused(struct prusik_thread *thread, const struct facts *before, int64_t result, int64_t error,
		    const char *call)
{
	struct facts after = facts_of(thread);

	ck_assert_msg(result == error, "%s: %lld instead of %lld", call, (long long)result, (long long)error);
	ck_assert_msg(memcmp(before, &after, sizeof after) == 0, "%s: something has changed", call);
}

/* thread: the one that must be as before. */
#define REFUSED(error, call)                                                                                           \
	do {                                                                                                           \
		struct facts before_ = facts_of(thread);                                                               \
		int64_t result_ = (call);                                                                              \
		refused(thread, &before_, result_, error, #call);                                                      \
	} while (0)

static struct prusik_event over;

static int wait_for_the_end(void *result)
{
	return prusik_event_wait(&over, PRUSIK_FOREVER) ? -1 : (int)(intptr_t)result;
}

static struct prusik_thread *start(uint32_t daemon)
{
	const struct prusik_thread_options options = { .name = "worker", .daemon = daemon };
	struct prusik_thread *thread = NULL;

	ck_assert_int_eq(prusik_thread_start(wait_for_the_end, (void *)5, &options, &thread), 0);
	return thread;
}

static void finish(struct prusik_thread *thread)
{
	int result = 0;

	ck_assert_int_eq(prusik_event_set(&over), 0);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_FOREVER, &result), 0);
	ck_assert_int_eq(result, 5);
	prusik_thread_free(thread);
}

static int never(void *arg)
{
	(void)arg;
	_exit(99);
}

static int never_own(struct prusik_thread_own *own)
{
	return never(own);
}

TEST(threads_that_cannot_be)
{
	const struct prusik_thread_options
		small = { .stack_size = 16383 },
		negative = { .stack_size = (uint64_t)-1 },
		named = { .name = "a name of 64 bytes, the last of them is the one that is too much....." };
	struct prusik_thread_own own = { .run = never_own }, empty = { .run = NULL };
	struct prusik_thread *thread = start(0), *none = NULL;

	ck_assert_uint_ge(strlen(named.name), 64);
	REFUSED(-EINVAL, prusik_thread_start(NULL, NULL, NULL, &none));
	REFUSED(-EINVAL, prusik_thread_start(never, NULL, &small, &none));
	REFUSED(-ENAMETOOLONG, prusik_thread_start(never, NULL, &named, &none));
	REFUSED(-EINVAL, prusik_thread_start_own(NULL, NULL, &none));
	REFUSED(-EINVAL, prusik_thread_start_own(&empty, NULL, &none));
	REFUSED(-EINVAL, prusik_thread_start_own(&own, &small, &none));
	REFUSED(-ENAMETOOLONG, prusik_thread_start_own(&own, &named, &none));
	struct facts before = facts_of(thread);
	int r = prusik_thread_start(never, NULL, &negative, &none);
	refused(thread, &before, r == -EINVAL || r == -ENOMEM || r == -EAGAIN, 1, "a negative stack size");
	ck_assert_ptr_null(none);
	finish(thread);
}

TEST(no_thread)
{
	struct prusik_thread *thread = start(0), *none[1] = { NULL };
	char buffer[8] = "kept";
	int result = 7;

	REFUSED(-EINVAL, prusik_thread_join(NULL, PRUSIK_FOREVER, &result));
	REFUSED(-EINVAL, prusik_thread_is_alive(NULL));
	REFUSED(-EINVAL, prusik_thread_name(NULL, buffer, sizeof buffer));
	REFUSED(-EINVAL, prusik_thread_set_name(NULL, "x"));
	REFUSED(-EINVAL, prusik_thread_ident(NULL));
	REFUSED(-EINVAL, prusik_thread_native_id(NULL));
	REFUSED(-EINVAL, prusik_thread_is_daemon(NULL));
	REFUSED(-EINVAL, prusik_thread_enumerate(NULL, 1));
	REFUSED(0, (prusik_thread_free(NULL), 0));
	REFUSED(prusik_thread_active_count(), prusik_thread_enumerate(none, 0));
	ck_assert_int_eq(result, 7);
	ck_assert_str_eq(buffer, "kept");
	ck_assert_ptr_null(none[0]);
	finish(thread);
}

TEST(names_that_cannot_be)
{
	struct prusik_thread *thread = start(0);
	char buffer[64], long_name[65];

	memset(long_name, 'x', 64);
	long_name[64] = 0;
	REFUSED(-EINVAL, prusik_thread_name(thread, NULL, 8));
	REFUSED(-EINVAL, prusik_thread_name(thread, buffer, 0));
	REFUSED(-EINVAL, prusik_thread_set_name(thread, NULL));
	REFUSED(-EINVAL, prusik_thread_set_name(thread, ""));
	REFUSED(-ENAMETOOLONG, prusik_thread_set_name(thread, long_name));
	long_name[63] = 0;
	ck_assert_int_eq(prusik_thread_set_name(thread, long_name), 0);
	ck_assert_int_eq(prusik_thread_name(thread, buffer, sizeof buffer), 0);
	ck_assert_str_eq(buffer, long_name);
	finish(thread);
}

/* A daemon is one from its start to its end, or is none: nothing that can be called later changes that. */
TEST(daemon_or_not)
{
	for (uint32_t daemon = 0; daemon < 2; daemon++) {
		struct prusik_thread_options options = { .name = "worker", .daemon = daemon };
		struct prusik_thread *thread = NULL;
		ck_assert_int_eq(prusik_event_clear(&over), 0);
		ck_assert_int_eq(prusik_thread_start(wait_for_the_end, (void *)5, &options, &thread), 0);
		options.daemon = !daemon; /* too late: it was copied */
		ck_assert_int_eq(prusik_thread_set_name(thread, "still the same"), 0);
		ck_assert_int_eq(prusik_thread_is_daemon(thread), (int)daemon);
		ck_assert_int_eq(prusik_thread_is_alive(thread), 1);
		finish(thread);
	}
}

static int join_myself(void *joined)
{
	struct prusik_thread *thread = prusik_thread_current();
	int result = 7;

	REFUSED(-EDEADLK, prusik_thread_join(thread, PRUSIK_FOREVER, &result));
	REFUSED(-EDEADLK, prusik_thread_join(thread, PRUSIK_NOW, &result));
	ck_assert_int_eq(result, 7);
	prk_store32_rel(joined, 1);
	prusik_thread_free(thread);
	return 5;
}

TEST(join_of_itself)
{
	struct prusik_thread *thread = NULL;
	uint32_t joined = 0;

	ck_assert_int_eq(prusik_thread_start(join_myself, &joined, NULL, &thread), 0);
	finish(thread);
	ck_assert_uint_eq(prk_load32_acq(&joined), 1);
	ck_assert_int_eq(join_myself(&joined), 5); /* main, too */
}

/* Unlike a pthread: a join more is no error, and gets the same. */
TEST(joined_again)
{
	struct prusik_thread *thread = start(1);
	int result = 0;

	ck_assert_int_eq(prusik_event_set(&over), 0);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_FOREVER, NULL), 0);
	for (int i = 0; i < 3; i++) {
		REFUSED(0, prusik_thread_join(thread, PRUSIK_NOW, &result));
		ck_assert_int_eq(result, 5);
	}
	finish(thread);
}

TEST(join_with_deadlines_that_have_passed)
{
	const int64_t past[] = { PRUSIK_NOW, 1, -1, -INT64_C(1000000000), INT64_MIN };
	struct prusik_thread *thread = start(0);
	int result = 7;

	for (size_t i = 0; i < sizeof past / sizeof past[0]; i++)
		REFUSED(-ETIMEDOUT, prusik_thread_join(thread, past[i], &result));
	ck_assert_int_eq(result, 7);
	finish(thread);
}

static int be_the_child(void *parents)
{
	struct prusik_thread *thread = prusik_thread_current();

	REFUSED(-ESRCH, prusik_thread_join(parents, PRUSIK_FOREVER, NULL));
	REFUSED(0, prusik_thread_is_alive(parents));
	prusik_thread_free(parents);
	prusik_thread_free(thread);
	return 0;
}

TEST(join_of_a_thread_of_the_parent)
{
	struct prusik_thread *thread = start(0);

	prusik_thread_native_id(thread); /* it runs */
	struct facts before = facts_of(thread);
	refused(thread, &before, test_join(test_fork(be_the_child, thread)), 0, "fork");
	finish(thread);
}

/* ---- values of a thread's own, timers ---- */

TEST(local_values)
{
	struct prusik_thread *thread = prusik_thread_main();
	struct prusik_local local = { 0 };

	REFUSED(-EINVAL, prusik_local_set(NULL, &local));
	REFUSED(1, prusik_local_get(NULL) == NULL);
	ck_assert_uint_eq(local.state, 0);
	ck_assert_int_eq(prusik_local_set(&local, &local), 0);
	ck_assert_ptr_eq(prusik_local_get(&local), &local);
	prusik_thread_free(thread);
}

static void count_up(void *count)
{
	prk_add32_acqrel(count, 1);
}

TEST(timers)
{
	struct prusik_thread *thread = prusik_thread_main();
	struct prusik_timer *timer = NULL;
	uint32_t count = 0;

	REFUSED(-EINVAL, prusik_timer_start(PRUSIK_NOW, NULL, NULL, &timer));
	ck_assert_ptr_null(timer);
	REFUSED(-EINVAL, prusik_timer_cancel(NULL));
	REFUSED(-EINVAL, prusik_timer_join(NULL, PRUSIK_FOREVER));
	REFUSED(0, (prusik_timer_free(NULL), 0));
	ck_assert_int_eq(prusik_timer_start(-1, count_up, &count, &timer), 0); /* a deadline that has passed */
	ck_assert_int_eq(prusik_timer_join(timer, PRUSIK_FOREVER), 0);
	for (int i = 0; i < 2; i++)
		REFUSED(-EALREADY, prusik_timer_cancel(timer));
	prusik_timer_free(timer);
	ck_assert_uint_eq(prk_load32_acq(&count), 1);
	ck_assert_int_eq(prusik_timer_start(PRUSIK_FOREVER, count_up, &count, &timer), 0);
	ck_assert_int_eq(prusik_timer_join(timer, -1), -ETIMEDOUT);
	ck_assert_int_eq(prusik_timer_cancel(timer), 0);
	ck_assert_int_eq(prusik_timer_cancel(timer), -EALREADY);
	ck_assert_int_eq(prusik_timer_join(timer, PRUSIK_FOREVER), 0);
	ck_assert_uint_eq(prk_load32_acq(&count), 1);
	prusik_timer_free(timer);
	prusik_thread_free(thread);
}

static struct prusik_timer *running;
static uint32_t started;
static int joined_within;

static void join_from_within(void *unused)
{
	(void)unused;
	while (!prk_load32_acq(&started))
		usleep(100);
	joined_within = prusik_timer_join(running, PRUSIK_FOREVER);
}

TEST(timer_joined_by_its_own_function)
{
	ck_assert_int_eq(prusik_timer_start(PRUSIK_NOW, join_from_within, NULL, &running), 0);
	prk_store32_rel(&started, 1);
	ck_assert_int_eq(prusik_timer_join(running, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(joined_within, -EDEADLK);
	prusik_timer_free(running);
}
