/* SPDX-License-Identifier: MIT */
/* process_kit - what the tests of processes share */
#ifndef TEST_PROCESS_KIT_H
#define TEST_PROCESS_KIT_H

#include "test.h"

#include <dirent.h>
#include <prusik/process.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what children do ---- */

static inline int sleep_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return 0;
}

static inline int return_it(void *code)
{
	return *(int *)code;
}

/* ---- what their parents do ---- */

/* The code of a child that is to end by itself. */
static inline int finish(struct prusik_process *process)
{
	int code = 1000;

	ck_assert_int_eq(prusik_process_join(process, prusik_in_s(15), &code), 0);
	prusik_process_free(process);
	return code;
}

static inline struct prusik_process *start_with(int (*function)(void *), void *argument,
						const struct prusik_process_options *options)
{
	struct prusik_process *process = NULL;

	ck_assert_int_eq(prusik_process_start(function, argument, options, &process), 0);
	ck_assert_ptr_nonnull(process);
	return process;
}

static inline struct prusik_process *start(int (*function)(void *), void *argument)
{
	return start_with(function, argument, NULL);
}

static inline int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* No child, not even a zombie. */
static inline void assert_childless(void)
{
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

#endif
