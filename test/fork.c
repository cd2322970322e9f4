/* SPDX-License-Identifier: MIT */
/* A program with threads forks: the child has one of them, and copies of all they held. */
#include "test.h"

#include "base/atomic.h"
#include "base/ghost.h"
#include "base/life.h"
#include "base/sys.h"

#include <prusik/condition.h>
#include <prusik/lock.h>
#include <prusik/queue.h>
#include <prusik/thread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * What the sanitizers cannot do, in programs of bare pthreads either. ThreadSanitizer:
 * a child's new thread may get the pthread_t that a thread of the parent had, which ends
 * the child. AddressSanitizer: a thread that begins, ends or allocates takes locks,
 * which a fork copies as they are; so let none do that at the moment.
 */
#define CAN_START (!TEST_THREAD_SANITIZER)

/* In a child: give up, returning the line. */
#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			return __LINE__ % 255 + 1;                                                                     \
	} while (0)

static struct prusik_thread *start(int (*function)(void *), void *argument)
{
	struct prusik_thread *thread = NULL;

	ck_assert_int_eq(prusik_thread_start(function, argument, NULL, &thread), 0);
	return thread;
}

static int finish(struct prusik_thread *thread)
{
	int result = -1000;

	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(15), &result), 0);
	prusik_thread_free(thread);
	return result;
}

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

/* ---- who is there ---- */

static struct family {
	struct prusik_thread *running, *ended, *first, *forker;
	struct prusik_timer *timer;
	uint32_t go;
} family;

static int return_6(void *unused)
{
	(void)unused;
	return 6;
}

static int start_one_more(int64_t last)
{
	struct prusik_thread *more;
	int result = 0;

	CHECK(prusik_thread_start(return_6, NULL, NULL, &more) == 0);
	CHECK(prusik_thread_ident(more) > last);
	CHECK(prusik_thread_join(more, PRUSIK_FOREVER, &result) == 0 && result == 6);
	prusik_thread_free(more);
	return 0;
}

static int look_around(void *unused)
{
	struct prusik_thread *all[8];
	int result = 0;

	(void)unused;
	CHECK(prusik_thread_active_count() == 1);
	CHECK(prusik_thread_enumerate(all, 8) == 1);
	struct prusik_thread *me = prusik_thread_current();
	CHECK(all[0] == me && me == family.forker);
	CHECK(prusik_thread_main() == me);
	CHECK(prusik_thread_native_id(me) == getpid());
	CHECK(prusik_thread_is_alive(me) == 1);
	CHECK(prusik_thread_join(me, PRUSIK_FOREVER, NULL) == -EDEADLK);
	CHECK(prusik_thread_is_alive(family.running) == 0);
	CHECK(prusik_thread_join(family.running, PRUSIK_FOREVER, NULL) == -ESRCH);
	CHECK(prusik_thread_join(family.ended, PRUSIK_FOREVER, &result) == 0 && result == 6);
	CHECK(prusik_timer_join(family.timer, PRUSIK_FOREVER) == -ESRCH);
	CHECK(prusik_timer_cancel(family.timer) == 0);
	CHECK(prusik_thread_set_name(family.running, "elsewhere") == 0);
	int64_t last = prusik_thread_ident(family.running);
	prusik_timer_free(family.timer);
	prusik_thread_free(family.running);
	prusik_thread_free(family.ended);
	return CAN_START ? start_one_more(last) : 0;
}

static void never(void *unused)
{
	(void)unused;
	abort();
}

/* All have begun, and the one that has ended is no more. */
static void settle(void)
{
	struct prusik_thread *all[8];
	int64_t n = prusik_thread_enumerate(all, 8);

	for (int64_t i = 0; i < n; i++) {
		prusik_thread_native_id(all[i]);
		prusik_thread_free(all[i]);
	}
	while (prk_sys_tgkill(getpid(), prusik_thread_native_id(family.ended), 0) == 0)
		usleep(100);
}

static void raise_family(void)
{
	family.running = start(wait_for_word, &family.go);
	family.ended = start(return_6, NULL);
	ck_assert_int_eq(prusik_timer_start(PRUSIK_FOREVER, never, NULL, &family.timer), 0);
	family.first = prusik_thread_main();
	settle();
}

static void dissolve_family(void)
{
	ck_assert_int_eq(prusik_thread_active_count(), 3);
	ck_assert_int_eq(prusik_timer_cancel(family.timer), 0);
	ck_assert_int_eq(prusik_timer_join(family.timer, prusik_in_s(10)), 0);
	prusik_timer_free(family.timer);
	say(&family.go);
	ck_assert_int_eq(finish(family.running), 5);
	ck_assert_int_eq(finish(family.ended), 6);
	prusik_thread_free(family.first);
	prusik_thread_free(family.forker);
	ck_assert_int_eq(prusik_thread_active_count(), 1);
}

TEST(a_child_of_main)
{
	raise_family();
	family.forker = prusik_thread_current();
	ck_assert_int_eq(test_join(test_fork(look_around, NULL)), 0);
	dissolve_family();
}

static int fork_one(void *function)
{
	family.forker = prusik_thread_current();
	return test_join(test_fork(*(int (**)(void *))function, NULL));
}

static int look_around_as_main(void *unused)
{
	(void)unused;
	CHECK(look_around(NULL) == 0);
	CHECK(prusik_thread_is_alive(family.first) == 0);
	CHECK(prusik_thread_join(family.first, PRUSIK_FOREVER, NULL) == -ESRCH);
	return 0;
}

TEST(a_child_of_another_thread)
{
	int (*function)(void *) = look_around_as_main;

	raise_family();
	ck_assert_int_eq(finish(start(fork_one, &function)), 0);
	dissolve_family();
}

static int fork_again(void *unused)
{
	int (*function)(void *) = look_around;
	int result = 1;

	(void)unused;
	CHECK(look_around(NULL) == 0);
	raise_family();
	struct prusik_thread *thread = start(fork_one, &function);
	CHECK(prusik_thread_join(thread, PRUSIK_FOREVER, &result) == 0);
	prusik_thread_free(thread);
	return result;
}

TEST(a_grandchild)
{
	if (!CAN_START)
		return;
	raise_family();
	family.forker = prusik_thread_current();
	ck_assert_int_eq(test_join(test_fork(fork_again, NULL)), 0);
	dissolve_family();
}

static int exit_thread(void *unused)
{
	(void)unused;
	struct prusik_thread *more;
	CHECK(prusik_thread_start(return_6, NULL, NULL, &more) == 0);
	prusik_thread_free(more);
	prusik_thread_exit(44); /* the child's first thread: ends it */
}

TEST(thread_exit_in_a_child)
{
	int (*function)(void *) = exit_thread;

	ck_assert_int_eq(finish(start(fork_one, &function)), 44);
	prusik_thread_free(family.forker);
}

/* Threads come and go all the time, and one forks: its child can do the same. */
static int come_and_go(void *stop)
{
	while (!prk_load32_acq(stop)) {
		struct prusik_thread *thread, *all[4];
		CHECK(prusik_thread_start(return_6, NULL, NULL, &thread) == 0);
		int64_t n = prusik_thread_enumerate(all, 4);
		for (int64_t i = 0; i < n && i < 4; i++)
			prusik_thread_free(all[i]);
		CHECK(prusik_thread_join(thread, PRUSIK_FOREVER, NULL) == 0);
		prusik_thread_free(thread);
	}
	return 0;
}

static int use_threads(void *unused)
{
	uint32_t stop = 1;

	(void)unused;
	CHECK(prusik_thread_active_count() == 1);
	CHECK(come_and_go(&stop) == 0);
	stop = 0;
	struct prusik_thread *thread;
	CHECK(prusik_thread_start(come_and_go, &stop, NULL, &thread) == 0);
	usleep(500);
	prk_store32_rel(&stop, 1);
	int result = 1;
	CHECK(prusik_thread_join(thread, prusik_in_s(10), &result) == 0 && result == 0);
	CHECK(prusik_thread_active_count() == 1);
	return 0;
}

TEST(fork_while_threads_come_and_go)
{
	struct prusik_thread *threads[4];
	uint32_t stop = 0;

	for (int i = 0; i < 4; i++)
		threads[i] = start(come_and_go, &stop);
	for (int i = 0; i < (CAN_START && !TEST_ADDRESS_SANITIZER ? 200 : 0); i++)
		ck_assert_int_eq(test_join(test_fork(use_threads, NULL)), 0);
	say(&stop);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(finish(threads[i]), 0);
}

/* ---- ghosts ---- */

static struct prusik_lock private_lock, *shared_lock;
static struct holding {
	uint32_t held, go;
} holding;

static int hold_both(void *unused)
{
	(void)unused;
	CHECK(prusik_lock_acquire(&private_lock, PRUSIK_FOREVER) == 0);
	CHECK(prusik_lock_acquire(shared_lock, PRUSIK_FOREVER) == 0);
	say(&holding.held);
	wait_for_word(&holding.go);
	CHECK(prusik_lock_release(&private_lock) == 0);
	CHECK(prusik_lock_release(shared_lock) == 0);
	return 0;
}

static int take_both(void *unused)
{
	(void)unused;
	CHECK(prusik_lock_acquire(shared_lock, PRUSIK_NOW) == -ETIMEDOUT);
	CHECK(prusik_lock_acquire(&private_lock, PRUSIK_NOW) == PRUSIK_RECOVERED);
	CHECK(prusik_lock_acquire(&private_lock, PRUSIK_NOW) == -EDEADLK);
	CHECK(prusik_lock_release(&private_lock) == 0);
	CHECK(prusik_lock_acquire(&private_lock, PRUSIK_FOREVER) == 0); /* told once */
	CHECK(prusik_lock_release(&private_lock) == 0);
	CHECK(prusik_lock_acquire(shared_lock, prusik_in_ms(5)) == -ETIMEDOUT);
	CHECK(prusik_lock_acquire(shared_lock, prusik_in_ms(5)) == -ETIMEDOUT);
	return 0;
}

TEST(a_private_lock_held_by_another_thread)
{
	shared_lock = test_shared(sizeof *shared_lock);
	struct prusik_thread *holder = start(hold_both, NULL);

	wait_for_word(&holding.held);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(test_join(test_fork(take_both, NULL)), 0);
	ck_assert_int_eq(prusik_lock_acquire(&private_lock, PRUSIK_NOW), -ETIMEDOUT);
	say(&holding.go);
	ck_assert_int_eq(finish(holder), 0);
}

TEST(a_private_lock_that_the_forking_thread_holds)
{
	shared_lock = test_shared(sizeof *shared_lock);
	ck_assert_int_eq(prusik_lock_acquire(&private_lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(prusik_lock_acquire(shared_lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(test_join(test_fork(take_both, NULL)), 0);
}

/* More shared mappings than are remembered, and private memory in between. */
static int know_them_apart(void *argument)
{
	char **pages = argument;
	uint32_t owner = prk_self()->id;

	CHECK(owner == 0);
	owner = *(uint32_t *)(void *)pages[0];
	CHECK(prk_join() == 0);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 200; i++)
			CHECK(prk_ghost(pages[i], owner) == (i % 2 == 1));
	CHECK(!prk_ghost(pages[1], prk_self()->id));
	CHECK(!prk_ghost(NULL, owner)); /* nothing there */
	prk_sys_fail(PRK_SYS_OPEN, 1, ENOENT);
	CHECK(!prk_ghost(pages[1], owner));
	prk_sys_fail(PRK_SYS_PREAD, 1, EIO);
	CHECK(!prk_ghost(pages[1], owner));
	CHECK(prk_ghost(pages[1], owner));
	return 0;
}

TEST(shared_and_private_memory_are_told_apart)
{
	static char *pages[200];

	ck_assert_int_eq(prk_joined(), 0);
	for (int i = 0; i < 200; i++) {
		pages[i] = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | (i % 2 ? MAP_PRIVATE : MAP_SHARED),
				-1, 0);
		ck_assert_ptr_ne(pages[i], MAP_FAILED);
		mprotect(pages[i] + 4096, 4096, PROT_NONE); /* so that neighbours are not one mapping */
	}
	*(uint32_t *)(void *)pages[0] = prk_self()->id;
	ck_assert_int_eq(test_join(test_fork(know_them_apart, pages)), 0);
}

/* ---- everything at once ---- */

#define LOCKS 4

/* Changed under its lock; equal whenever that is not held. */
struct pair {
	struct prusik_lock lock;
	volatile uint32_t a, b;
};

static struct everything {
	struct pair pairs[LOCKS];
	struct prusik_lock box_lock;
	struct prusik_condition box_changed;
	uint32_t box;
	struct prusik_queue *copied, *leased;
	uint32_t stop;
} everything;

/* Whoever is told that the holder is gone mends. */
static int change_pair(struct pair *pair)
{
	int r = prusik_lock_acquire(&pair->lock, PRUSIK_FOREVER);

	CHECK(r >= 0);
	if (r == PRUSIK_RECOVERED)
		pair->b = pair->a;
	CHECK(pair->a == pair->b);
	pair->a++;
	usleep(20); /* to be found in here by many a fork */
	pair->b++;
	return prusik_lock_release(&pair->lock) == 0 ? 0 : __LINE__ % 255;
}

static int change_box(struct everything *all)
{
	CHECK(prusik_lock_acquire(&all->box_lock, PRUSIK_FOREVER) >= 0);
	all->box++;
	CHECK(prusik_condition_notify_all(&all->box_changed, &all->box_lock) == 0);
	int r = prusik_condition_wait(&all->box_changed, &all->box_lock, prusik_in_us(50));
	CHECK(r >= 0 || r == -ETIMEDOUT);
	return prusik_lock_release(&all->box_lock) == 0 ? 0 : __LINE__ % 255;
}

static int put_and_get(struct prusik_queue *queue)
{
	uint64_t number = 5;

	int r = prusik_queue_put(queue, &number, sizeof number, PRUSIK_FOREVER);
	CHECK(r == 0);
	CHECK(prusik_queue_get(queue, &number, sizeof number, PRUSIK_FOREVER) == sizeof number);
	CHECK(number == 5);
	return 0;
}

static int put_and_take(struct prusik_queue *queue, useconds_t nap)
{
	struct prusik_lease lease;
	uint64_t number = 7;

	CHECK(prusik_queue_put(queue, &number, sizeof number, PRUSIK_FOREVER) == 0);
	CHECK(prusik_queue_take(queue, &lease, PRUSIK_FOREVER) == 0);
	usleep(nap);
	CHECK(memcmp(lease.data, &number, sizeof number) == 0);
	CHECK(prusik_queue_done(queue, &lease) == 0);
	return 0;
}

static int use_all(struct everything *all, useconds_t nap)
{
	for (int i = 0; i < LOCKS; i++) {
		int r = change_pair(&all->pairs[i]);
		if (r)
			return r;
	}
	int r = put_and_get(all->copied);
	r = r ? r : put_and_take(all->leased, nap);
	return r ? r : change_box(all);
}

static int be_busy(void *unused)
{
	int r = 0;

	(void)unused;
	while (r == 0 && !prk_load32_rlx(&everything.stop))
		r = use_all(&everything, 100);
	return r;
}

/* Items that the parent's threads had on lease in the copy come back: the queue can be drained. */
static int drain(struct prusik_queue *queue)
{
	struct prusik_lease lease;
	int r;

	CHECK(prusik_queue_close(queue, PRUSIK_QUEUE_DRAIN) == 0);
	while ((r = prusik_queue_take(queue, &lease, PRUSIK_FOREVER)) == 0)
		CHECK(prusik_queue_done(queue, &lease) == 0);
	CHECK(r == -EPIPE);
	return 0;
}

static int use_all_in_child(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2; i++) {
		int r = use_all(&everything, 0);
		if (r)
			return r;
	}
	int r = drain(everything.leased);
	prk_leave();
	return r;
}

static struct prusik_lock promised;

static int take_promised(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) {
		CHECK(prusik_lock_acquire(&promised, prusik_in_s(10)) == 0);
		CHECK(prusik_lock_release(&promised) == 0);
	}
	return 0;
}

/* Free, but for one who waits for the other copy, and never comes for this one. */
TEST(a_copied_promise_binds_nobody)
{
	ck_assert_int_eq(prk_joined(), 0);
	promised.word = UINT32_C(0xc0000000); /* PROMISED, WAITERS */
	promised.next = prk_self()->id;
	ck_assert_int_eq(test_join(test_fork(take_promised, NULL)), 0);
	ck_assert_int_eq(take_promised(NULL), 0); /* here it is his own */
}

/* As many as a busy machine has time for. */
#define FORKS 2000

TEST_WITHIN(fork_among_busy_threads, 120)
{
	struct prusik_thread *threads[8];
	struct prusik_queue_options options = { .capacity = 16, .item_max = 8 };
	int64_t deadline = prusik_in_s(40);

	ck_assert_int_eq(prusik_queue_create(NULL, NULL, &options, &everything.copied), 0);
	ck_assert_int_eq(prusik_queue_create(NULL, NULL, &options, &everything.leased), 0);
	for (int i = 0; i < 8; i++)
		threads[i] = start(be_busy, NULL);
	for (int i = 0; i < FORKS && prusik_now() < deadline; i++) {
		usleep((useconds_t)(i * 37 % 300));
		ck_assert_int_eq(test_join(test_fork(use_all_in_child, NULL)), 0);
	}
	say(&everything.stop);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(finish(threads[i]), 0);
}
