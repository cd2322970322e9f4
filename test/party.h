/* SPDX-License-Identifier: MIT */
/*
 * party - the same test body on private memory with threads, and on shared memory
 * with processes
 *
 *	static void body(enum party_kind kind) {
 *		struct box *box = party_memory(kind, sizeof *box);       // zeroed
 *		struct party *p = party_start(kind, function, box, 0);
 *		...
 *		ck_assert_int_eq(party_join(p), 0);
 *	}
 *	BOTH(body)                 // defines the cases body_threads and body_processes
 *
 * A party's function returns 0 when all was well. It must not use ck_assert in a
 * process: PARTY_CHECK makes it return the line number instead.
 */
#ifndef TEST_PARTY_H
#define TEST_PARTY_H

#include "test.h"

#include "base/life.h"

#include <prusik/common.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum party_kind { THREADS, PROCESSES };

typedef int party_fn(void *shared, int index);

struct party {
	enum party_kind kind;
	party_fn *function;
	void *shared;
	int index;
	pthread_t thread;
	pid_t pid;
};

#define BOTH(body)                                                                                                     \
	TEST(body##_threads)                                                                                           \
	{                                                                                                              \
		body(THREADS);                                                                                         \
	}                                                                                                              \
	TEST(body##_processes)                                                                                         \
	{                                                                                                              \
		body(PROCESSES);                                                                                       \
	}

/* In a party's function: give up, returning the line (1..255), when it is not so. */
#define PARTY_CHECK(condition)                                                                                         \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			return __LINE__ % 255 + 1;                                                                     \
		}                                                                                                      \
	} while (0)

/* What a case makes lives until the case ends: keep it within the leak checker's sight. */
static inline void *party_keep(void *memory)
{
	static void *kept[1024];
	static int count;

	ck_assert_int_lt(count, 1024);
	return kept[count++] = memory;
}

static inline void *party_memory(enum party_kind kind, size_t size)
{
	void *memory;

	if (kind == THREADS) {
		memory = aligned_alloc(64, (size + 63) / 64 * 64);
		ck_assert_ptr_nonnull(memory);
		return party_keep(memset(memory, 0, size));
	}
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

static void *party_thread(void *arg)
{
	struct party *p = arg;

	return (void *)(intptr_t)p->function(p->shared, p->index);
}

static inline struct party *party_start(enum party_kind kind, party_fn *function, void *shared, int index)
{
	struct party *p = calloc(1, sizeof *p);

	ck_assert_ptr_nonnull(p);
	*p = (struct party){ .kind = kind, .function = function, .shared = shared, .index = index };
	if (kind == THREADS) {
		ck_assert_int_eq(pthread_create(&p->thread, NULL, party_thread, p), 0);
		return p;
	}
	p->pid = fork();
	ck_assert_int_ge(p->pid, 0);
	if (p->pid == 0) {
		int r = function(shared, index);
		prk_leave(); /* as exit() does; _exit counts as a death */
		_exit(r);
	}
	return p;
}

/* What its function returned; -N when signal N killed it. */
static inline int party_join(struct party *p)
{
	void *result = NULL;
	int status = 0, r;

	if (p->kind == THREADS) {
		ck_assert_int_eq(pthread_join(p->thread, &result), 0);
		r = (int)(intptr_t)result;
	} else {
		ck_assert_int_eq(waitpid(p->pid, &status, 0), p->pid);
		r = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	}
	free(p);
	return r;
}

/* Run count of them at once; all must return 0. */
static inline void party_run(enum party_kind kind, int count, party_fn *function, void *shared)
{
	struct party *all[64];

	ck_assert_int_le(count, 64);
	for (int i = 0; i < count; i++)
		all[i] = party_start(kind, function, shared, i);
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
}

static inline void pause_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/*
 * Bury those who ended in earlier cases, so that nobody is woken on their account
 * in this one.
 */
static inline void party_quiet(void)
{
	ck_assert_int_eq(prk_joined(), 0);
	prk_sweep();
}

/* A word that parties wait on by looking: for the tests' own order of events. */
static inline int party_word(const int *word)
{
	return (int)prk_load32_acq((const uint32_t *)word);
}

static inline void party_say(int *word, int value)
{
	prk_store32_rel((uint32_t *)word, (uint32_t)value);
}

static inline void party_await(const int *word, int at_least)
{
	while (party_word(word) < at_least)
		pause_ms(1);
}

#endif
