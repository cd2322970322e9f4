/* SPDX-License-Identifier: MIT */
/*
 * test - what a test file needs: TEST, Check's assertions, children
 *
 *	#include "test.h"
 *	#include <prusik/lock.h>
 *
 *	TEST(release_of_a_free_lock)
 *	{
 *		struct prusik_lock lock = {0};
 *
 *		ck_assert_int_eq(prusik_lock_release(&lock), -EPERM);
 *	}
 *
 * test/lock.c is the program test-lock; main is in main.c. Cases are collected by
 * themselves. Each runs in a process of its own, in a fresh and empty domain
 * (PRUSIK_DIR), and what it leaves running is killed when it ends. The assertions
 * (ck_assert_int_eq and its family, ck_assert_msg) tell file and line.
 *
 *	test-lock            all cases, TAP on stdout
 *	test-lock NAME...    these cases, in this process: for a debugger
 *	test-lock --list
 */
#ifndef TEST_H
#define TEST_H

#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Which sanitizer this is built with, for what it cannot do. */
#if defined(__SANITIZE_ADDRESS__)
#define TEST_ADDRESS_SANITIZER 1
#elif defined(__SANITIZE_THREAD__)
#define TEST_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ADDRESS_SANITIZER 1
#elif __has_feature(thread_sanitizer)
#define TEST_THREAD_SANITIZER 1
#endif
#endif
#ifndef TEST_ADDRESS_SANITIZER
#define TEST_ADDRESS_SANITIZER 0
#endif
#ifndef TEST_THREAD_SANITIZER
#define TEST_THREAD_SANITIZER 0
#endif

/* Seconds that a case may take; CK_TIMEOUT_MULTIPLIER stretches them (sanitizers). */
#define TEST_SECONDS 20

#define TEST(name) TEST_WITHIN(name, TEST_SECONDS)

#define TEST_WITHIN(name, limit)                                                                                       \
	static void name(void);                                                                                        \
	static struct test_case entry_##name;                                                                          \
	static void case_##name(int i CK_ATTRIBUTE_UNUSED)                                                             \
	{                                                                                                              \
		test_enter(#name);                                                                                     \
		name();                                                                                                \
		test_leave(&entry_##name);                                                                             \
	}                                                                                                              \
	static const TTest check_##name = { #name, case_##name, __FILE__, __LINE__ };                                  \
	__attribute__((constructor)) static void add_##name(void)                                                      \
	{                                                                                                              \
		entry_##name.check = &check_##name;                                                                    \
		entry_##name.seconds = (limit);                                                                        \
		test_add(&entry_##name);                                                                               \
	}                                                                                                              \
	static void name(void)

/* Used by TEST_WITHIN only. */
struct test_case {
	const TTest *check;
	double seconds;
	char *finished; /* shared with the case's process */
	struct test_case *next;
};
void test_add(struct test_case *entry);
void test_enter(const char *name);
void test_leave(const struct test_case *entry);

/* Defined by a test file that has to do something at the beginning of main. */
void test_begin(void) __attribute__((weak));

/*
 * test_fork - a child that runs function(argument) and exits with what it returns
 *
 * A failed assertion in the child ends it with code 1 and is shown. Fails the case
 * when there can be no child.
 */
pid_t test_fork(int (*function)(void *), void *argument);

/*
 * No leak is looked for in the calling process: for one whose first thread ends by
 * pthread_exit, since what Check keeps hangs on the stack that it unwinds.
 */
void test_ignore_leaks(void);

/* Wait for the child: its exit code, or -N when signal N killed it. */
int test_join(pid_t child) __attribute__((warn_unused_result));

/* SIGKILL the child and wait for it. */
void test_kill(pid_t child);

/* length zeroed bytes that children share. Never NULL; goes when the case ends. */
void *test_shared(size_t length);

#endif
