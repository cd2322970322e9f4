/* SPDX-License-Identifier: MIT */
#include "test.h"

#include <prusik/thread.h>

static int return_7(void *unused)
{
	(void)unused;
	return 7;
}

TEST(start_and_join)
{
	struct prusik_thread *thread;
	int result = 0;

	ck_assert_int_eq(prusik_thread_start(return_7, NULL, NULL, &thread), 0);
	ck_assert_int_eq(prusik_thread_join(thread, PRUSIK_FOREVER, &result), 0);
	ck_assert_int_eq(result, 7);
	prusik_thread_free(thread);
}
