/* SPDX-License-Identifier: MIT */
/* thread_kit - what tests of threads begin with */
#ifndef TEST_THREAD_KIT_H
#define TEST_THREAD_KIT_H

#include "test.h"

#include "base/atomic.h"
#include "base/sys.h"

#include <prusik/thread.h>
#include <unistd.h>

static inline int return_it(void *code)
{
	return *(int *)code;
}

/* Until *word is not 0. */
static inline int wait_for_word(void *word)
{
	while (prk_load32_acq(word) == 0)
		prk_sys_futex_wait(word, 0, PRUSIK_FOREVER);
	return 5;
}

static inline void say(uint32_t *word)
{
	prk_store32_rel(word, 1);
	prk_sys_futex_wake(word, INT32_MAX);
}

static inline struct prusik_thread *start_with(int (*function)(void *), void *argument,
					       const struct prusik_thread_options *options)
{
	struct prusik_thread *thread = NULL;

	ck_assert_int_eq(prusik_thread_start(function, argument, options, &thread), 0);
	ck_assert_ptr_nonnull(thread);
	return thread;
}

static inline struct prusik_thread *start(int (*function)(void *), void *argument)
{
	return start_with(function, argument, NULL);
}

static inline int finish(struct prusik_thread *thread)
{
	int result = -1000;

	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(15), &result), 0);
	ck_assert_int_eq(prusik_thread_is_alive(thread), 0);
	prusik_thread_free(thread);
	return result;
}

static inline void await_count(int64_t expected)
{
	int64_t deadline = prusik_in_s(10);

	while (prusik_thread_active_count() != expected) {
		ck_assert_int_lt(prusik_now(), deadline);
		usleep(200);
	}
}

#endif
