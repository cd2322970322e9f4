/* SPDX-License-Identifier: MIT */
/* Thread-local values and their destructors. */
#include "thread_kit.h"

#include <limits.h>
#include <pthread.h>

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
