/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/cancel.h>
#include <prusik/rlock.h>

struct box {
	struct prusik_rlock rlock;
	struct prusik_cancel stop;
	long count;
	int step, result;
};

static int hold(struct box *box, int times)
{
	for (int i = 0; i < times; i++)
		PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) >= 0);
	return 0;
}

TEST(zeroed_is_free)
{
	struct prusik_rlock rlock = { 0 };

	ck_assert_int_eq(prusik_rlock_locked(&rlock), 0);
	ck_assert_int_eq(prusik_rlock_depth(&rlock), 0);
	ck_assert_int_eq(prusik_rlock_owner(&rlock, NULL), 0);
	ck_assert_int_eq(prusik_rlock_acquire(&rlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_rlock_locked(&rlock), 1);
	ck_assert_int_eq(prusik_rlock_depth(&rlock), 1);
	ck_assert_int_eq(prusik_rlock_release(&rlock), 0);
	ck_assert_uint_eq(rlock.lock.word, 0);
}

TEST(taken_again_and_given_back_as_often)
{
	struct prusik_rlock rlock = { 0 };

	for (int round = 0; round < 3; round++) {
		for (int i = 1; i <= 5; i++) {
			ck_assert_int_eq(prusik_rlock_acquire(&rlock, i % 2 ? PRUSIK_NOW : PRUSIK_FOREVER), 0);
			ck_assert_int_eq(prusik_rlock_depth(&rlock), i);
		}
		for (int i = 4; i >= 0; i--) {
			ck_assert_int_eq(prusik_rlock_locked(&rlock), 1);
			ck_assert_int_eq(prusik_rlock_release(&rlock), 0);
			ck_assert_int_eq(prusik_rlock_depth(&rlock), i);
		}
		ck_assert_int_eq(prusik_rlock_locked(&rlock), 0);
	}
}

TEST(misuse)
{
	struct prusik_rlock rlock = { 0 };
	struct prusik_rlock *askew = (struct prusik_rlock *)(void *)((char *)&rlock + 2);

	ck_assert_int_eq(prusik_rlock_acquire(NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_rlock_acquire(askew, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_rlock_release(NULL), -EINVAL);
	ck_assert_int_eq(prusik_rlock_release(askew), -EINVAL);
	ck_assert_int_eq(prusik_rlock_locked(NULL), -EINVAL);
	ck_assert_int_eq(prusik_rlock_depth(NULL), -EINVAL);
	ck_assert_int_eq(prusik_rlock_owner(NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_rlock_release(&rlock), -EPERM);
	ck_assert_int_eq(prusik_rlock_acquire(&rlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_rlock_release(&rlock), 0);
	ck_assert_int_eq(prusik_rlock_release(&rlock), -EPERM);
	ck_assert_uint_eq(rlock.lock.word, 0);
}

TEST(too_often)
{
	struct prusik_rlock rlock = { 0 };

	ck_assert_int_eq(prusik_rlock_acquire(&rlock, PRUSIK_NOW), 0);
	rlock.depth = UINT32_MAX;
	ck_assert_int_eq(prusik_rlock_acquire(&rlock, PRUSIK_NOW), -EOVERFLOW);
	ck_assert_int_eq(prusik_rlock_depth(&rlock), UINT32_MAX);
	ck_assert_int_eq(prusik_rlock_release(&rlock), 0);
	ck_assert_int_eq(prusik_rlock_acquire(&rlock, PRUSIK_NOW), 0);
}

static int not_mine(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rlock_locked(&box->rlock) == 1);
	PARTY_CHECK(prusik_rlock_depth(&box->rlock) == 0);
	PARTY_CHECK(prusik_rlock_release(&box->rlock) == -EPERM);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	PARTY_CHECK(prusik_rlock_release(&box->rlock) == -EPERM);
	return 0;
}

static void belongs_to_its_holder(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(hold(box, 2), 0);
	party_run(kind, 3, not_mine, box);
	ck_assert_int_eq(prusik_rlock_depth(&box->rlock), 2);
	ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
	party_run(kind, 1, not_mine, box);
	ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
	ck_assert_int_eq(prusik_rlock_locked(&box->rlock), 0);
}
BOTH(belongs_to_its_holder)

static int adder(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < 5000; i++) {
		int times = 1 + (i + index) % 3;
		PARTY_CHECK(hold(box, times) == 0);
		box->count++;
		while (times-- > 0)
			PARTY_CHECK(prusik_rlock_release(&box->rlock) == 0);
	}
	return 0;
}

static void excludes(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 6, adder, box);
	ck_assert_int_eq(box->count, 6 * 5000);
	ck_assert_uint_eq(box->rlock.lock.word, 0);
}
BOTH(excludes)

static int wait_for_it(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	party_say(&box->step, 1);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(prusik_rlock_depth(&box->rlock) == 1);
	party_say(&box->result, 7);
	PARTY_CHECK(prusik_rlock_release(&box->rlock) == 0);
	return 0;
}

/* Only the last release lets the next one in. */
static void hands_over(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(hold(box, 3), 0);
	struct party *p = party_start(kind, wait_for_it, box, 0);
	party_await(&box->step, 1);
	for (int i = 0; i < 3; i++) {
		pause_ms(10);
		ck_assert_int_eq(party_word(&box->result), 0);
		ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
	}
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(box->result, 7);
}
BOTH(hands_over)

static int owner_is(void *shared, int index)
{
	struct box *box = shared;
	struct prusik_owner owner;

	PARTY_CHECK(prusik_rlock_owner(&box->rlock, &owner) == 1);
	PARTY_CHECK(owner.pid == index && owner.tid == index);
	return 0;
}

static void names_its_owner(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(hold(box, 2), 0);
	ck_assert_int_eq(party_join(party_start(kind, owner_is, box, (int)getpid())), 0);
}
BOTH(names_its_owner)

static int end_holding(void *shared, int index)
{
	return hold(shared, index);
}

/* However often the dead one had it: the next one has it once, and is told once. */
static void recovers(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	for (int times = 1; times <= 4; times++) {
		ck_assert_int_eq(party_join(party_start(kind, end_holding, box, times)), 0);
		ck_assert_int_eq(prusik_rlock_locked(&box->rlock), 0);
		ck_assert_int_eq(prusik_rlock_release(&box->rlock), -EPERM);
		ck_assert_int_eq(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW), PRUSIK_RECOVERED);
		ck_assert_int_eq(prusik_rlock_depth(&box->rlock), 1);
		ck_assert_int_eq(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
		ck_assert_int_eq(prusik_rlock_release(&box->rlock), 0);
		ck_assert_int_eq(prusik_rlock_locked(&box->rlock), 0);
	}
	ck_assert_int_eq(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW), 0);
}
BOTH(recovers)

static int hold_until_killed(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(hold(box, index) == 0);
	party_say(&box->step, 1);
	for (;;)
		pause_ms(1000);
}

static int wait_recovered(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	party_say(&box->step, 2);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	PARTY_CHECK(prusik_rlock_depth(&box->rlock) == 1);
	return prusik_rlock_release(&box->rlock);
}

TEST(kill_wakes_the_waiter)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *holder = party_start(PROCESSES, hold_until_killed, box, 5);

	party_await(&box->step, 1);
	struct party *waiter = party_start(PROCESSES, wait_recovered, box, 0);
	party_await(&box->step, 2);
	pause_ms(20);
	ck_assert_int_eq(kill(holder->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(holder), -SIGKILL);
	ck_assert_int_eq(party_join(waiter), 0);
}

static int be_canceled(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	prusik_cancel_use(&box->stop);
	party_say(&box->step, 1);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) == -ECANCELED);
	PARTY_CHECK(prusik_rlock_depth(&box->rlock) == 0);
	return 0;
}

static void cancel(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(hold(box, 2), 0);
	struct party *p = party_start(kind, be_canceled, box, 0);
	party_await(&box->step, 1);
	pause_ms(20);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(prusik_rlock_depth(&box->rlock), 2);
}
BOTH(cancel)

TEST(forked_child_is_nobody_yet)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	ck_assert_int_eq(hold(box, 2), 0);
	party_run(PROCESSES, 1, not_mine, box);
	ck_assert_int_eq(prusik_rlock_depth(&box->rlock), 2);
}
