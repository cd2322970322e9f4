/* SPDX-License-Identifier: MIT */
/* ptrqueue_kit - queues of pointers for tests, and those who wait at them */
#ifndef TEST_PTRQUEUE_KIT_H
#define TEST_PTRQUEUE_KIT_H

#include "party.h"

#include <prusik/cancel.h>
#include <prusik/ptrqueue.h>
#include <sys/mman.h>

/* Pointers to nothing, but different from each other. */
static char place[4096];

static inline struct prusik_ptrqueue *new_queue(uint64_t capacity)
{
	struct prusik_ptrqueue *queue = NULL;

	ck_assert_int_eq(prusik_ptrqueue_create(capacity, &queue), 0);
	return party_keep(queue);
}

static inline void put(struct prusik_ptrqueue *queue, int n)
{
	ck_assert_int_eq(prusik_ptrqueue_put(queue, &place[n], PRUSIK_NOW), 0);
}

static inline void get(struct prusik_ptrqueue *queue, int expected)
{
	void *got = NULL;

	ck_assert_int_eq(prusik_ptrqueue_get(queue, &got, PRUSIK_NOW), 0);
	ck_assert_ptr_eq(got, &place[expected]);
}

static inline void counts(const struct prusik_ptrqueue *queue, int length, int full)
{
	ck_assert_int_eq(prusik_ptrqueue_length(queue), length);
	ck_assert_int_eq(prusik_ptrqueue_is_empty(queue), length == 0);
	ck_assert_int_eq(prusik_ptrqueue_is_full(queue), full);
}

/* ---- with others ---- */

struct box {
	struct prusik_ptrqueue *queue;
	struct prusik_cancel stop;
	int coming, gone, leave;
	int64_t result;
};

static inline struct box *new_box(uint64_t capacity)
{
	struct box *box = party_memory(THREADS, sizeof *box);

	box->queue = new_queue(capacity);
	return box;
}

static inline void one_more(int *word)
{
	prk_add32_acqrel((uint32_t *)word, 1);
}

static inline int get_one(void *shared, int expected)
{
	struct box *box = shared;
	void *got = NULL;

	one_more(&box->coming);
	int r = prusik_ptrqueue_get(box->queue, &got, PRUSIK_FOREVER);
	one_more(&box->gone);
	PARTY_CHECK(expected == -EPIPE ? r == -EPIPE : r == 0 && got != NULL);
	return 0;
}

static inline int put_one(void *shared, int expected)
{
	struct box *box = shared;

	one_more(&box->coming);
	int r = prusik_ptrqueue_put(box->queue, &place[1], PRUSIK_FOREVER);
	one_more(&box->gone);
	PARTY_CHECK(r == expected);
	return 0;
}

/* So many of them, asleep; a moment is enough, most times, and nothing depends on it. */
static inline void start_sleepers(struct party **crew, int count, party_fn *function, struct box *box, int expected)
{
	for (int i = 0; i < count; i++)
		crew[i] = party_start(THREADS, function, box, expected);
	party_await(&box->coming, count);
	pause_ms(20);
}

static inline void end_sleepers(struct party **crew, int count)
{
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(party_join(crew[i]), 0);
}

/* ---- one who is stopped in the middle ---- */

/*
 * A getter that has the getters' lock, and has not got what it is copying yet: the second
 * pointer goes to a page that cannot be written to until it is told to go on.
 */
#define STOP_PAGE 4096

static struct stop {
	struct prusik_ptrqueue *queue;
	char *page;
	int reached, go;
} stop;

static inline void stop_here(int signal, siginfo_t *info, void *unused)
{
	(void)unused;
	if ((char *)info->si_addr < stop.page || (char *)info->si_addr >= stop.page + STOP_PAGE) {
		struct sigaction crash = { .sa_handler = SIG_DFL };
		sigaction(signal, &crash, NULL);
		return; /* to crash, as it should */
	}
	party_say(&stop.reached, 1);
	party_await(&stop.go, 1);
	mprotect(stop.page, STOP_PAGE, PROT_READ | PROT_WRITE);
}

static inline int get_two(void *unused, int index)
{
	void **two = (void **)(void *)stop.page - 1;

	(void)unused;
	(void)index;
	PARTY_CHECK(prusik_ptrqueue_get_many(stop.queue, two, 2, PRUSIK_NOW) == 2);
	PARTY_CHECK(two[0] == &place[0] && two[1] == &place[1]);
	return 0;
}

/* It gets places 0 and 1 of that queue. Returns when it is in the middle of that. */
static inline struct party *start_stopped_getter(struct prusik_ptrqueue *queue)
{
	struct sigaction action = { .sa_sigaction = stop_here, .sa_flags = SA_SIGINFO };

	stop = (struct stop){ .queue = queue };
	stop.page = mmap(NULL, 2 * STOP_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(stop.page, MAP_FAILED);
	stop.page += STOP_PAGE;
	ck_assert_int_eq(mprotect(stop.page, STOP_PAGE, PROT_NONE), 0);
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	struct party *getter = party_start(THREADS, get_two, NULL, 0);
	party_await(&stop.reached, 1);
	return getter;
}

#endif
