/* SPDX-License-Identifier: MIT */
/* Threads: their names and numbers, which there are, and who is who. */
#include "thread_kit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

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
