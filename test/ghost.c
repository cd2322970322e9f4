/* SPDX-License-Identifier: MIT */
/*
 * What fork copies of private memory names threads of the parent: in the child they are as
 * good as dead. In the parent nothing has changed.
 */
#include "test.h"

#include "base/life.h"
#include "base/wait.h"
#include "party.h"

#include <prusik/barrier.h>
#include <prusik/lock.h>
#include <prusik/once.h>
#include <prusik/rlock.h>
#include <prusik/rwlock.h>
#include <prusik/semaphore.h>

/* In a child: give up, returning the line. */
#define CHECK PARTY_CHECK

static struct {
	struct prusik_lock lock;
	struct prusik_rlock rlock;
	struct prusik_rwlock read, written;
	struct prusik_once once;
	struct {
		struct prusik_permits permits;
		uint32_t room[2];
	} permits;
	struct {
		struct prusik_barrier barrier;
		uint32_t room[3];
	} waiting, acting;
	int holds, go;
} parent;

static struct party *thread(party_fn *function)
{
	return party_start(THREADS, function, NULL, 0);
}

static void end(struct party *party)
{
	party_say(&parent.go, 1);
	ck_assert_int_eq(party_join(party), 0);
}

static void ask_child(int (*function)(void *))
{
	ck_assert_int_eq(prk_joined(), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(test_join(test_fork(function, NULL)), 0);
}

static void wait_until_held(void)
{
	party_await(&parent.holds, 1);
}

static void hold(void)
{
	party_say(&parent.holds, 1);
	party_await(&parent.go, 1);
}

/* ---- lock ---- */

static int hold_lock(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_lock_acquire(&parent.lock, PRUSIK_FOREVER) == 0);
	hold();
	CHECK(prusik_lock_release(&parent.lock) == 0);
	return 0;
}

static int wait_for_lock(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_lock_acquire(&parent.lock, PRUSIK_FOREVER) == 0);
	CHECK(prusik_lock_release(&parent.lock) == 0);
	return 0;
}

/* The lock, held, and promised to a waiter who has been passed over. */
static void promise(void)
{
	while (prk_load32_rlx(&parent.lock.next) == 0) {
		pause_ms(3);
		prk_wake(&parent.lock.word, 1);
	}
	while (!(prk_load32_rlx(&parent.lock.word) & UINT32_C(0x40000000)))
		pause_ms(1);
}

static int use_promised_lock(void *unused)
{
	(void)unused;
	CHECK(prk_joined() == 0);
	CHECK(prusik_lock_locked(&parent.lock) == 0);
	CHECK(prusik_lock_acquire(&parent.lock, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	CHECK(prusik_lock_release(&parent.lock) == 0);
	for (int i = 0; i < 3; i++) {
		CHECK(prusik_lock_acquire(&parent.lock, i ? PRUSIK_NOW : PRUSIK_FOREVER) == 0);
		CHECK(prusik_lock_release(&parent.lock) == 0);
	}
	return 0;
}

TEST(a_lock_promised_to_another_thread)
{
	struct party *holder = thread(hold_lock);

	wait_until_held();
	struct party *waiter = thread(wait_for_lock);
	promise();
	ask_child(use_promised_lock);
	ck_assert_int_eq(prusik_lock_acquire(&parent.lock, PRUSIK_NOW), -ETIMEDOUT);
	end(holder);
	ck_assert_int_eq(party_join(waiter), 0);
}

/* ---- rlock ---- */

static int hold_rlock(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_rlock_acquire(&parent.rlock, PRUSIK_FOREVER) == 0);
	CHECK(prusik_rlock_acquire(&parent.rlock, PRUSIK_FOREVER) == 0);
	hold();
	CHECK(prusik_rlock_release(&parent.rlock) == 0);
	CHECK(prusik_rlock_release(&parent.rlock) == 0);
	return 0;
}

static int use_rlock(void *unused)
{
	(void)unused;
	CHECK(prusik_rlock_acquire(&parent.rlock, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	CHECK(prusik_rlock_depth(&parent.rlock) == 1);
	CHECK(prusik_rlock_release(&parent.rlock) == 0);
	CHECK(prusik_rlock_release(&parent.rlock) == -EPERM);
	return 0;
}

TEST(an_rlock_held_by_another_thread)
{
	struct party *holder = thread(hold_rlock);

	wait_until_held();
	ask_child(use_rlock);
	ck_assert_int_eq(prusik_rlock_acquire(&parent.rlock, PRUSIK_NOW), -ETIMEDOUT);
	end(holder);
}

/* ---- rwlock ---- */

static int hold_rwlocks(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_rwlock_read(&parent.read, PRUSIK_FOREVER) == 0);
	CHECK(prusik_rwlock_write(&parent.written, PRUSIK_FOREVER) == 0);
	hold();
	CHECK(prusik_rwlock_release(&parent.read) == 0);
	CHECK(prusik_rwlock_release(&parent.written) == 0);
	return 0;
}

static int use_rwlocks(void *unused)
{
	(void)unused;
	CHECK(prk_joined() == 0);
	CHECK(prusik_rwlock_readers(&parent.read) == 0);
	CHECK(prusik_rwlock_written(&parent.written) == 0);
	CHECK(prusik_rwlock_write(&parent.read, PRUSIK_FOREVER) == 0);
	CHECK(prusik_rwlock_release(&parent.read) == 0);
	CHECK(prusik_rwlock_read(&parent.written, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	CHECK(prusik_rwlock_release(&parent.written) == 0);
	CHECK(prusik_rwlock_write(&parent.written, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	CHECK(prusik_rwlock_release(&parent.written) == 0);
	CHECK(prusik_rwlock_read(&parent.written, PRUSIK_NOW) == 0);
	CHECK(prusik_rwlock_release(&parent.written) == 0);
	return 0;
}

TEST(rwlocks_that_another_thread_reads_and_writes)
{
	struct party *holder = thread(hold_rwlocks);

	wait_until_held();
	ask_child(use_rwlocks);
	ck_assert_int_eq(prusik_rwlock_write(&parent.read, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_rwlock_read(&parent.written, PRUSIK_NOW), -ETIMEDOUT);
	end(holder);
}

/* The writer waits for a reader, another reader for the writer. */
static int read_until_go(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_rwlock_read(&parent.read, PRUSIK_FOREVER) == 0);
	hold();
	CHECK(prusik_rwlock_release(&parent.read) == 0);
	return 0;
}

static int write_once(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_rwlock_write(&parent.read, PRUSIK_FOREVER) == 0);
	CHECK(prusik_rwlock_release(&parent.read) == 0);
	return 0;
}

static int read_once(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_rwlock_read(&parent.read, PRUSIK_FOREVER) == 0);
	CHECK(prusik_rwlock_release(&parent.read) == 0);
	return 0;
}

static int read_and_write(void *unused)
{
	(void)unused;
	CHECK(prusik_rwlock_read(&parent.read, PRUSIK_FOREVER) == 0);
	CHECK(prusik_rwlock_release(&parent.read) == 0);
	CHECK(prusik_rwlock_write(&parent.read, PRUSIK_FOREVER) == 0);
	CHECK(prusik_rwlock_release(&parent.read) == 0);
	return 0;
}

TEST(an_rwlock_that_other_threads_wait_for)
{
	struct party *reader = thread(read_until_go);

	wait_until_held();
	struct party *writer = thread(write_once);
	while (prk_load32_rlx(&parent.read.writer.word) == 0)
		pause_ms(1);
	struct party *second = thread(read_once);
	while (prk_load32_rlx(&parent.read.waiting) == 0)
		pause_ms(1);
	ask_child(read_and_write);
	end(reader);
	ck_assert_int_eq(party_join(writer), 0);
	ck_assert_int_eq(party_join(second), 0);
}

/* ---- once ---- */

static int do_it(void *arg, int recovered)
{
	if (arg)
		hold();
	return recovered == !arg ? 0 : -EIO;
}

static int be_doing_it(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_once(&parent.once, do_it, &parent, PRUSIK_FOREVER) == 0);
	return 0;
}

static int do_it_again(void *unused)
{
	(void)unused;
	CHECK(prusik_once(&parent.once, do_it, NULL, PRUSIK_FOREVER) == 0);
	CHECK(prusik_once_done(&parent.once) == 1);
	return 0;
}

TEST(what_another_thread_does_once)
{
	struct party *runner = thread(be_doing_it);

	wait_until_held();
	ask_child(do_it_again);
	ck_assert_int_eq(prusik_once_done(&parent.once), 0);
	end(runner);
	ck_assert_int_eq(prusik_once_done(&parent.once), 1);
}

/* ---- permits ---- */

static int hold_permits(void *unused, int index)
{
	(void)unused, (void)index;
	for (int i = 0; i < 2; i++)
		CHECK(prusik_permits_acquire(&parent.permits.permits, PRUSIK_FOREVER) == 0);
	hold();
	for (int i = 0; i < 2; i++)
		CHECK(prusik_permits_release(&parent.permits.permits) == 0);
	return 0;
}

static int use_permits(void *unused)
{
	(void)unused;
	CHECK(prk_joined() == 0);
	CHECK(prusik_permits_value(&parent.permits.permits) == 2);
	CHECK(prusik_permits_acquire(&parent.permits.permits, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	CHECK(prusik_permits_acquire(&parent.permits.permits, PRUSIK_NOW) == PRUSIK_RECOVERED);
	CHECK(prusik_permits_acquire(&parent.permits.permits, PRUSIK_NOW) == -ETIMEDOUT);
	CHECK(prusik_permits_release(&parent.permits.permits) == 0);
	CHECK(prusik_permits_release(&parent.permits.permits) == 0);
	CHECK(prusik_permits_release(&parent.permits.permits) == -EPERM);
	return 0;
}

TEST(permits_that_another_thread_holds)
{
	ck_assert_int_eq(prusik_permits_init(&parent.permits.permits, 2), 0);
	struct party *holder = thread(hold_permits);

	wait_until_held();
	ask_child(use_permits);
	ck_assert_int_eq(prusik_permits_value(&parent.permits.permits), 0);
	end(holder);
}

/* ---- barrier ---- */

static int act(void *unused)
{
	(void)unused;
	hold();
	return 0;
}

static int arrive(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_barrier_wait(&parent.waiting.barrier, NULL, NULL, PRUSIK_FOREVER) >= 0);
	return 0;
}

static int arrive_and_act(void *unused, int index)
{
	(void)unused, (void)index;
	CHECK(prusik_barrier_wait(&parent.acting.barrier, act, NULL, PRUSIK_FOREVER) >= 0);
	return 0;
}

static int come_to(struct prusik_barrier *barrier)
{
	CHECK(prusik_barrier_wait(barrier, NULL, NULL, PRUSIK_FOREVER) == -EPIPE);
	CHECK(prusik_barrier_broken(barrier) == 1);
	CHECK(prusik_barrier_reset(barrier) == 0);
	CHECK(prusik_barrier_wait(barrier, NULL, NULL, prusik_in_ms(1)) == -ETIMEDOUT);
	return 0;
}

static int come_to_both(void *unused)
{
	(void)unused;
	int r = come_to(&parent.waiting.barrier);

	return r ? r : come_to(&parent.acting.barrier);
}

static int wait_for_round(const struct prusik_barrier *barrier, int64_t count)
{
	while (prusik_barrier_waiting(barrier) < count)
		pause_ms(1);
	return 0;
}

TEST(barriers_where_other_threads_wait_or_act)
{
	struct party *all[5];

	ck_assert_int_eq(prusik_barrier_init(&parent.waiting.barrier, 3), 0);
	ck_assert_int_eq(prusik_barrier_init(&parent.acting.barrier, 3), 0);
	for (int i = 0; i < 5; i++)
		all[i] = thread(i < 2 ? arrive : arrive_and_act);
	wait_until_held();
	wait_for_round(&parent.waiting.barrier, 2);
	ask_child(come_to_both);
	party_say(&parent.go, 1);
	ck_assert_int_ge(prusik_barrier_wait(&parent.waiting.barrier, NULL, NULL, PRUSIK_FOREVER), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
}
