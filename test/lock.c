/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "base/wait.h"

#include <errno.h>
#include <prusik/cancel.h>
#include <prusik/lock.h>

#define PROMISED UINT32_C(0x40000000)

struct box {
	struct prusik_lock lock, other;
	struct prusik_cancel stop;
	long count;
	long most;
	int end;
	long pair[2];
	int step, result;
};

static int64_t soon(void)
{
	return prusik_in_ms(30);
}

TEST(zeroed_is_free)
{
	struct prusik_lock lock = { 0 };

	ck_assert_int_eq(prusik_lock_locked(&lock), 0);
	ck_assert_int_eq(prusik_lock_acquire(&lock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_lock_locked(&lock), 1);
	ck_assert_int_eq(prusik_lock_release(&lock), 0);
	ck_assert_int_eq(prusik_lock_locked(&lock), 0);
	ck_assert_uint_eq(lock.word, 0);
}

TEST(misuse)
{
	struct prusik_lock lock = { 0 };
	struct prusik_lock *askew = (struct prusik_lock *)(void *)((char *)&lock + 1);

	ck_assert_int_eq(prusik_lock_acquire(NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_lock_acquire(askew, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_lock_release(NULL), -EINVAL);
	ck_assert_int_eq(prusik_lock_locked(NULL), -EINVAL);
	ck_assert_int_eq(prusik_lock_owner(NULL, NULL), -EINVAL);
	ck_assert_int_eq(prusik_lock_release(&lock), -EPERM);
	ck_assert_uint_eq(lock.word, 0);
	ck_assert_int_eq(prusik_lock_acquire(&lock, PRUSIK_FOREVER), 0);
	uint32_t word = lock.word;
	ck_assert_int_eq(prusik_lock_acquire(&lock, PRUSIK_NOW), -EDEADLK);
	ck_assert_int_eq(prusik_lock_acquire(&lock, PRUSIK_FOREVER), -EDEADLK);
	ck_assert_uint_eq(lock.word, word);
	ck_assert_int_eq(prusik_lock_release(&lock), 0);
	ck_assert_int_eq(prusik_lock_release(&lock), -EPERM);
}

/* A word that nobody ever wrote: taken over as from the dead, not waited for. */
TEST(hostile_word)
{
	struct prusik_lock lock = { .word = 0x3fffffff };

	ck_assert_int_eq(prusik_lock_locked(&lock), 0);
	ck_assert_int_eq(prusik_lock_release(&lock), -EPERM);
	ck_assert_int_eq(prusik_lock_acquire(&lock, PRUSIK_NOW), PRUSIK_RECOVERED);
	ck_assert_int_eq(prusik_lock_release(&lock), 0);
}

static int adder(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 20000; i++) {
		PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
		box->count++;
		PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	}
	return 0;
}

static void excludes(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 8, adder, box);
	ck_assert_int_eq(box->count, 8 * 20000);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
}
BOTH(excludes)

static int try_and_time_out(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_NOW) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_lock_acquire(&box->lock, soon()) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, INT64_MIN) == -ETIMEDOUT);
	return 0;
}

static void deadlines(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	party_run(kind, 3, try_and_time_out, box);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_NOW), 0);
}
BOTH(deadlines)

static int wait_for_it(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	party_say(&box->step, 1);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	box->result = 7;
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	return 0;
}

static void hands_over(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	struct party *p = party_start(kind, wait_for_it, box, 0);
	party_await(&box->step, 1);
	pause_ms(20);
	ck_assert_int_eq(box->result, 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(box->result, 7);
}
BOTH(hands_over)

static int release_others(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_locked(&box->lock) == 1);
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	return 0;
}

static void anyone_may_release(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	party_run(kind, 1, release_others, box);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), -EPERM);
}
BOTH(anyone_may_release)

static int owner_is(void *shared, int index)
{
	struct box *box = shared;
	struct prusik_owner owner;

	PARTY_CHECK(prusik_lock_owner(&box->lock, &owner) == 1);
	PARTY_CHECK(owner.pid == index);
	PARTY_CHECK(owner.tid == index); /* the first thread holds it */
	return 0;
}

static void names_its_owner(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_lock_owner(&box->lock, NULL), 0);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	struct party *p = party_start(kind, owner_is, box, (int)getpid());
	ck_assert_int_eq(party_join(p), 0);
}
BOTH(names_its_owner)

static int end_holding(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) >= 0);
	if (index)
		PARTY_CHECK(prusik_lock_acquire(&box->other, PRUSIK_FOREVER) >= 0);
	box->pair[0]++;
	return 0;
}

/* A thread that returns, or a process that ends, holding it: the next one is told, once. */
static void recovers(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 1, end_holding, box);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), -EPERM);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_NOW), PRUSIK_RECOVERED);
	ck_assert_int_eq(box->pair[0], 1);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
}
BOTH(recovers)

static int wait_recovered(void *shared, int index)
{
	struct box *box = shared;

	party_say(&box->step, index + 1);
	PARTY_CHECK(prusik_lock_acquire(index ? &box->other : &box->lock, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	return 0;
}

static int hold_two_until_killed(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(end_holding(box, 1) == 0);
	party_say(&box->result, 1);
	(void)index;
	for (;;)
		pause_ms(1000);
}

TEST(kill_wakes_the_waiters_of_both_locks)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *holder = party_start(PROCESSES, hold_two_until_killed, box, 0);

	party_await(&box->result, 1);
	struct party *first = party_start(PROCESSES, wait_recovered, box, 0);
	party_await(&box->step, 1);
	struct party *second = party_start(PROCESSES, wait_recovered, box, 1);
	party_await(&box->step, 2);
	pause_ms(20);
	ck_assert_int_eq(kill(holder->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(holder), -SIGKILL);
	ck_assert_int_eq(party_join(first), 0);
	ck_assert_int_eq(party_join(second), 0);
}

/* fork copies a held lock's owner into the child, who is somebody else. */
TEST(forked_child_is_nobody_yet)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	party_run(PROCESSES, 1, try_and_time_out, box);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	party_run(PROCESSES, 1, end_holding, box);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_NOW), PRUSIK_RECOVERED);
}

static volatile sig_atomic_t signals_seen;

static void on_signal(int signal)
{
	(void)signal;
	signals_seen++;
}

static int waiter_under_signals(void *shared, int index)
{
	struct box *box = shared;
	struct sigaction action = { .sa_handler = on_signal };

	(void)index;
	sigaction(SIGUSR1, &action, NULL);
	party_say(&box->step, 1);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(signals_seen > 0);
	return 0;
}

TEST(signals_do_not_end_the_wait)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	struct party *p = party_start(PROCESSES, waiter_under_signals, box, 0);
	party_await(&box->step, 1);
	for (int i = 0; i < 20; i++) {
		pause_ms(2);
		ck_assert_int_eq(kill(p->pid, SIGUSR1), 0);
	}
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(party_join(p), 0);
}

/* ---- fairness ---- */

static uint32_t word_of(const struct box *box)
{
	return prk_load32_acq(&box->lock.word);
}

/*
 * The caller holds the lock, and others sleep for it: wake one of them, as if the lock
 * had been freed and taken again meanwhile, until one is promised the lock.
 */
static void pass_over(struct box *box)
{
	for (int i = 0; i < 1000 && !(word_of(box) & PROMISED); i++) {
		prk_wake(&box->lock.word, 1);
		pause_ms(2);
	}
}

static int wait_with(struct box *box, int64_t deadline, int expected)
{
	party_say(&box->step, 1);
	int r = prusik_lock_acquire(&box->lock, deadline);
	PARTY_CHECK(r == expected);
	if (r >= 0)
		party_say(&box->result, 7);
	return r >= 0 ? prusik_lock_release(&box->lock) : 0;
}

static int wait_forever(void *shared, int index)
{
	return wait_with(shared, PRUSIK_FOREVER, index);
}

static int wait_until(void *shared, int index)
{
	return wait_with(shared, prusik_in_ms(index), -ETIMEDOUT);
}

static int wait_heeding(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	prusik_cancel_use(&box->stop);
	return wait_with(box, PRUSIK_FOREVER, -ECANCELED);
}

static struct party *start_waiter(enum party_kind kind, struct box *box, party_fn *function, int index)
{
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	struct party *p = party_start(kind, function, box, index);
	party_await(&box->step, 1);
	pause_ms(20);
	return p;
}

/* Who has waited, and was passed over, gets it; who comes now does not. */
static void promised_to_one_who_was_passed_over(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *p = start_waiter(kind, box, wait_forever, 0);

	pass_over(box);
	ck_assert_uint_ne(word_of(box) & PROMISED, 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	int r = prusik_lock_acquire(&box->lock, PRUSIK_NOW);
	ck_assert(r == -ETIMEDOUT || party_word(&box->result) == 7);
	if (r < 0)
		ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(party_word(&box->result), 7);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_uint_eq(box->lock.next, 0);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_NOW), 0);
}
BOTH(promised_to_one_who_was_passed_over)

static void promised_to_one_who_gives_up(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *p = start_waiter(kind, box, wait_until, 500);

	pass_over(box);
	ck_assert_uint_ne(word_of(box) & PROMISED, 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_uint_eq(word_of(box) & PROMISED, 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	p = start_waiter(kind, box, wait_heeding, 0);
	pass_over(box);
	ck_assert_uint_ne(word_of(box) & PROMISED, 0);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	ck_assert_int_eq(party_join(p), 0);
	ck_assert_uint_eq(box->lock.next, 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_NOW), 0);
}
BOTH(promised_to_one_who_gives_up)

/* The promise is void: for one who only tries, and for one who sleeps behind it. */
TEST(promised_to_one_who_is_killed)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *dead = start_waiter(PROCESSES, box, wait_forever, 0);

	pass_over(box);
	ck_assert_uint_ne(word_of(box) & PROMISED, 0);
	party_say(&box->step, 0);
	struct party *other = party_start(PROCESSES, wait_forever, box, 0);
	party_await(&box->step, 1);
	pause_ms(20);
	ck_assert_int_eq(kill(dead->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(dead), -SIGKILL);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(party_join(other), 0);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
	ck_assert_int_eq(prusik_lock_locked(&box->lock), 0);
}

/* As if the one it is promised to had been killed between the call and his CAS. */
TEST(free_and_promised_to_the_dead)
{
	struct prusik_lock lock = { .word = PROMISED | UINT32_C(0x80000000), .next = 0x3fffffff };

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(prusik_lock_locked(&lock), 0);
		ck_assert_int_eq(prusik_lock_release(&lock), -EPERM);
		ck_assert_int_eq(prusik_lock_acquire(&lock, i ? PRUSIK_NOW : PRUSIK_FOREVER), 0);
		ck_assert_int_eq(prusik_lock_acquire(&lock, PRUSIK_NOW), -EDEADLK);
		ck_assert_int_eq(prusik_lock_release(&lock), 0);
	}
	ck_assert_uint_eq(lock.word, 0);
}

static int hold_promised_and_die(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
	party_say(&box->end, 1);
	pass_over(box);
	PARTY_CHECK(word_of(box) & PROMISED);
	kill(getpid(), SIGKILL);
	return 0;
}

TEST(holder_killed_who_has_promised)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *holder = party_start(PROCESSES, hold_promised_and_die, box, 0);

	party_await(&box->end, 1);
	struct party *waiter = party_start(PROCESSES, wait_forever, box, PRUSIK_RECOVERED);
	ck_assert_int_eq(party_join(holder), -SIGKILL);
	ck_assert_int_eq(party_join(waiter), 0);
}

static int hog(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	while (!party_word(&box->end)) {
		PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
		prk_store64_rlx((uint64_t *)&box->count, (uint64_t)box->count + 1);
		for (int i = 0; i < 100; i++)
			prk_pause();
		PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	}
	return 0;
}

static int be_polite(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 100; i++) {
		long before = (long)prk_load64_rlx((const uint64_t *)&box->count);
		PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == 0);
		if (box->count - before > box->most)
			box->most = box->count - before;
		PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	}
	party_say(&box->end, 1);
	return 0;
}

/* Two that take it again at once do not keep a third one out. */
static void hogs(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[3];

	for (int i = 0; i < 3; i++)
		all[i] = party_start(kind, i < 2 ? hog : be_polite, box, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_lt(box->most, 20000);
}
BOTH(hogs)
