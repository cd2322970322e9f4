/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/semaphore.h>

#define WAITERS UINT32_C(0x80000000)
#define MAX PRUSIK_SEMAPHORE_MAX

struct box {
	struct prusik_semaphore semaphore, back;
	int waiting, gone, inside, most, stop, taken;
	int turns[8];
	int said[2][2]; /* written before a release, read after an acquire, without further ado */
};

static int one_more(int *word)
{
	return (int)prk_add32_acqrel((uint32_t *)word, 1) + 1;
}

static void one_less(int *word)
{
	prk_add32_acqrel((uint32_t *)word, UINT32_MAX);
}

static void await_sleeper(const struct prusik_semaphore *semaphore)
{
	while (!(prk_load32_acq(&semaphore->word) & WAITERS))
		pause_ms(1);
}

TEST(zeroed_has_none_and_no_limit)
{
	struct prusik_semaphore s = { 0 };

	ck_assert_int_eq(prusik_semaphore_value(&s), 0);
	ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_semaphore_release(&s, 1), 0);
	ck_assert_int_eq(prusik_semaphore_release(&s, MAX - 1), 0);
	ck_assert_int_eq(prusik_semaphore_value(&s), MAX);
	ck_assert_int_eq(prusik_semaphore_release(&s, 1), -EOVERFLOW);
	ck_assert_int_eq(prusik_semaphore_value(&s), MAX);
	ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_semaphore_value(&s), MAX - 1);
}

TEST(init)
{
	struct prusik_semaphore s = { 7, 7 };

	ck_assert_int_eq(prusik_semaphore_init(&s, 0, 0), 0);
	ck_assert_int_eq(prusik_semaphore_value(&s), 0);
	ck_assert_int_eq(prusik_semaphore_init(&s, MAX, 0), 0);
	ck_assert_int_eq(prusik_semaphore_value(&s), MAX);
	ck_assert_int_eq(prusik_semaphore_init(&s, 5, 5), 0);
	ck_assert_int_eq(prusik_semaphore_value(&s), 5);
	ck_assert_int_eq(prusik_semaphore_init(&s, 6, 5), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_init(&s, MAX + 1, 0), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_init(&s, (uint32_t)-1, 0), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_init(&s, 1, MAX + 1), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_init(NULL, 1, 1), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_value(&s), 5); /* unchanged */
}

TEST(misuse)
{
	struct prusik_semaphore s = { 3, 4 };
	struct prusik_semaphore *askew = (struct prusik_semaphore *)(void *)((char *)&s + 2);

	ck_assert_int_eq(prusik_semaphore_init(askew, 1, 1), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_acquire(NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_acquire(askew, PRUSIK_FOREVER), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_release(NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_release(askew, 1), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_release(&s, 0), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_value(NULL), -EINVAL);
	ck_assert_int_eq(prusik_semaphore_value(askew), -EINVAL);
	ck_assert_uint_eq(s.word, 3);
	ck_assert_uint_eq(s.limit, 4);
}

/* CPython: BoundedSemaphore's test_release_unacquired, test_multirelease. */
TEST(limit)
{
	struct prusik_semaphore s;

	ck_assert_int_eq(prusik_semaphore_init(&s, 3, 3), 0);
	ck_assert_int_eq(prusik_semaphore_release(&s, 1), -EOVERFLOW);
	ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_semaphore_release(&s, 2), -EOVERFLOW);
	ck_assert_int_eq(prusik_semaphore_value(&s), 2); /* not even one of the two */
	ck_assert_int_eq(prusik_semaphore_release(&s, UINT32_MAX), -EOVERFLOW);
	ck_assert_int_eq(prusik_semaphore_release(&s, (uint32_t)-2), -EOVERFLOW);
	ck_assert_int_eq(prusik_semaphore_release(&s, 1), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_semaphore_release(&s, 4), -EOVERFLOW);
	ck_assert_int_eq(prusik_semaphore_release(&s, 3), 0);
	ck_assert_int_eq(prusik_semaphore_value(&s), 3);
}

/* More than the limit in the word, as racing releasers leave it, or corrupt memory. */
TEST(surplus_is_void)
{
	struct prusik_semaphore s = { .word = WAITERS | 9, .limit = 2 };

	ck_assert_int_eq(prusik_semaphore_value(&s), 2);
	ck_assert_int_eq(prusik_semaphore_release(&s, 1), -EOVERFLOW);
	ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_semaphore_value(&s), 0);
	s = (struct prusik_semaphore){ .word = UINT32_MAX, .limit = UINT32_MAX };
	ck_assert_int_eq(prusik_semaphore_value(&s), MAX);
	ck_assert_int_eq(prusik_semaphore_acquire(&s, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_semaphore_value(&s), MAX - 1);
}

static int time_out(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, INT64_MIN) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	return 0;
}

static void deadlines(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 4, time_out, box);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 0);
	ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 2), 0);
	ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, INT64_MIN), 0);
	ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER), 0);
	party_run(kind, 2, time_out, box);
}
BOTH(deadlines)

static int acquire_once(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	one_more(&box->waiting);
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER) == 0);
	one_more(&box->gone);
	return 0;
}

/* CPython: test_acquire_contended, test_multirelease. So many go as were released. */
static void lets_as_many_go(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	static const struct {
		uint32_t count;
		int sum;
	} steps[] = { { 1, 1 }, { 1, 2 }, { 3, 5 }, { 5, 10 } };
	struct party *all[10];

	for (int i = 0; i < 10; i++)
		all[i] = party_start(kind, acquire_once, box, i);
	party_await(&box->waiting, 10);
	for (int s = 0; s < 4; s++) {
		pause_ms(20);
		ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, steps[s].count), 0);
		party_await(&box->gone, steps[s].sum);
		pause_ms(20);
		ck_assert_int_eq(party_word(&box->gone), steps[s].sum);
	}
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 0);
}
BOTH(lets_as_many_go)

/* More permits at once than one system call can add. */
static void releases_thousands_with_sleepers(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[4];

	for (int i = 0; i < 4; i++)
		all[i] = party_start(kind, acquire_once, box, i);
	party_await(&box->waiting, 4);
	await_sleeper(&box->semaphore);
	pause_ms(20);
	ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 1000000), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 1000000 - 4);
}
BOTH(releases_thousands_with_sleepers)

/* The flag for sleepers goes away when a release finds none. */
TEST(stale_waiters_flag_is_cleared)
{
	struct prusik_semaphore s = { 0 };

	ck_assert_int_eq(prusik_semaphore_acquire(&s, prusik_in_ms(5)), -ETIMEDOUT);
	ck_assert_uint_eq(s.word, WAITERS);
	ck_assert_int_eq(prusik_semaphore_release(&s, 5000), 0);
	ck_assert_uint_eq(s.word, 5000);
}

static int enter(struct box *box)
{
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER) == 0);
	int inside = one_more(&box->inside);
	PARTY_CHECK(inside <= 3);
	if (inside > party_word(&box->most))
		party_say(&box->most, inside);
	return 0;
}

static int go_in_and_out(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < 5000; i++) {
		int r = enter(box);
		if (r != 0)
			return r;
		if ((i + index) % 1000 == 0)
			pause_ms(1);
		one_less(&box->inside);
		PARTY_CHECK(prusik_semaphore_release(&box->semaphore, 1) == 0);
	}
	return 0;
}

/* CPython: test_acquire, test_constructor and the like: never more than there are. */
static void never_more_than_there_are(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_semaphore_init(&box->semaphore, 3, 3), 0);
	party_run(kind, 8, go_in_and_out, box);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 3);
	ck_assert_int_ge(box->most, 2);
}
BOTH(never_more_than_there_are)

#define GIVEN 20000

static int give(void *shared, int index)
{
	struct box *box = shared;

	for (int left = GIVEN; left > 0;) {
		int n = 1 + (left + index) % 3;
		n = n < left ? n : left;
		PARTY_CHECK(prusik_semaphore_release(&box->semaphore, (uint32_t)n) == 0);
		left -= n;
		if (left % 256 == 0)
			pause_ms(1);
	}
	return 0;
}

static int take(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < GIVEN; i++)
		PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, prusik_in_s(60)) == 0);
	return 0;
}

/* Four give what four others take, in other portions: nothing is lost, nobody left asleep. */
static void exact_counts(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[8];

	for (int i = 0; i < 8; i++)
		all[i] = party_start(kind, i % 2 ? give : take, box, i);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 0);
}
TEST_WITHIN(exact_counts_threads, 60)
{
	exact_counts(THREADS);
}
TEST_WITHIN(exact_counts_processes, 60)
{
	exact_counts(PROCESSES);
}

static int ping_pong(void *shared, int index)
{
	struct box *box = shared;
	struct prusik_semaphore *mine = index ? &box->semaphore : &box->back;
	struct prusik_semaphore *theirs = index ? &box->back : &box->semaphore;

	for (int i = 0; i < 3000; i++) {
		box->said[index][i % 2] = i;
		PARTY_CHECK(prusik_semaphore_release(theirs, 1) == 0);
		PARTY_CHECK(prusik_semaphore_acquire(mine, prusik_in_s(15)) == 0);
		PARTY_CHECK(box->said[!index][i % 2] == i);
		if (i % 100 == 0)
			pause_ms(1); /* so that the other one surely sleeps */
	}
	return 0;
}

static void there_and_back(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_run(kind, 2, ping_pong, box);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 0);
	ck_assert_int_eq(prusik_semaphore_value(&box->back), 0);
}
BOTH(there_and_back)

static int take_turns(void *shared, int index)
{
	struct box *box = shared;

	while (!party_word(&box->stop)) {
		PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER) == 0);
		one_more(&box->turns[index]);
		PARTY_CHECK(prusik_semaphore_release(&box->semaphore, 1) == 0);
	}
	return 0;
}

/* Under steady contention everybody has his turn again and again. */
static void nobody_is_passed_over(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[6];
	int before[6];

	ck_assert_int_eq(prusik_semaphore_init(&box->semaphore, 1, 1), 0);
	for (int i = 0; i < 6; i++)
		all[i] = party_start(kind, take_turns, box, i);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 6; i++)
			before[i] = party_word(&box->turns[i]);
		for (int i = 0; i < 6; i++)
			party_await(&box->turns[i], before[i] + 1);
	}
	party_say(&box->stop, 1);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
}
BOTH(nobody_is_passed_over)

static int over_release(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	while (!party_word(&box->stop)) {
		int r = prusik_semaphore_release(&box->semaphore, 1);
		PARTY_CHECK(r == 0 || r == -EOVERFLOW);
		int64_t value = prusik_semaphore_value(&box->semaphore);
		PARTY_CHECK(value >= 0 && value <= 2);
	}
	return 0;
}

static int sip(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 5000; i++)
		PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, prusik_in_s(60)) == 0);
	party_say(&box->stop, 1);
	return 0;
}

/* Many release too much at once: the limit holds. */
static void limit_holds_under_a_race(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *all[4];

	ck_assert_int_eq(prusik_semaphore_init(&box->semaphore, 0, 2), 0);
	for (int i = 0; i < 4; i++)
		all[i] = party_start(kind, i ? over_release : sip, box, i);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_le(prusik_semaphore_value(&box->semaphore), 2);
}
BOTH(limit_holds_under_a_race)

static int release_as_a_stranger(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_semaphore_release(&box->semaphore, 1) == 0);
	PARTY_CHECK(prk_self()->id == 0);
	return 0;
}

static void released_by_one_who_takes_no_part(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);
	struct party *waiter = party_start(kind, acquire_once, box, 0);

	await_sleeper(&box->semaphore);
	party_run(kind, 1, release_as_a_stranger, box);
	ck_assert_int_eq(party_join(waiter), 0);
}
BOTH(released_by_one_who_takes_no_part)

static struct prusik_semaphore *from_handler;
static volatile sig_atomic_t signals_seen;

static void release_on_signal(int signal)
{
	(void)signal;
	signals_seen++;
	prusik_semaphore_release(from_handler, 1);
}

static int released_under_own_wait(void *shared, int index)
{
	struct box *box = shared;
	struct sigaction action = { .sa_handler = release_on_signal };

	(void)index;
	from_handler = &box->semaphore;
	sigaction(SIGALRM, &action, NULL);
	for (int i = 0; i < 50; i++) {
		ualarm((unsigned int)(200 + 137 * i), 0);
		PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, prusik_in_s(15)) == 0);
	}
	PARTY_CHECK(signals_seen == 50);
	return 0;
}

TEST(released_by_a_handler_during_the_wait)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	party_run(PROCESSES, 1, released_under_own_wait, box);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 0);
}

static void count_signal(int signal)
{
	(void)signal;
	signals_seen++;
}

static int waiter_under_signals(void *shared, int index)
{
	struct sigaction action = { .sa_handler = count_signal };

	sigaction(SIGUSR1, &action, NULL);
	PARTY_CHECK(acquire_once(shared, index) == 0);
	PARTY_CHECK(signals_seen > 0);
	return 0;
}

TEST(signals_do_not_end_the_wait)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *p = party_start(PROCESSES, waiter_under_signals, box, 0);

	party_await(&box->waiting, 1);
	for (int i = 0; i < 20; i++) {
		pause_ms(2);
		ck_assert_int_eq(kill(p->pid, SIGUSR1), 0);
	}
	ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 1), 0);
	ck_assert_int_eq(party_join(p), 0);
}

/* The one who is woken is killed at some moment about then: the next one gets it. */
TEST(killed_waiter_takes_no_wake_with_it)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	for (int round = 1; round <= 40; round++) {
		struct party *victim = party_start(PROCESSES, acquire_once, box, 0);
		party_await(&box->waiting, 2 * round - 1);
		pause_ms(2);
		struct party *next = party_start(PROCESSES, acquire_once, box, 1);
		party_await(&box->waiting, 2 * round);
		pause_ms(2);
		int before = party_word(&box->gone);
		if (round % 2) {
			kill(victim->pid, SIGKILL);
			prusik_semaphore_release(&box->semaphore, 1);
		} else {
			prusik_semaphore_release(&box->semaphore, 1);
			kill(victim->pid, SIGKILL);
		}
		int victims_end = party_join(victim);
		if (victims_end == 0 || party_word(&box->gone) > before || prusik_semaphore_value(&box->semaphore) == 0)
			prusik_semaphore_release(&box->semaphore, 1); /* it went with the victim */
		ck_assert_int_eq(party_join(next), 0);
		while (prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW) == 0)
			;
	}
}

TEST(forked_child_waits_as_itself)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	ck_assert_int_eq(prusik_semaphore_acquire(&box->semaphore, prusik_in_ms(5)), -ETIMEDOUT);
	struct party *p = party_start(PROCESSES, acquire_once, box, 0);
	party_await(&box->waiting, 1);
	pause_ms(20);
	ck_assert_int_eq(prusik_semaphore_release(&box->semaphore, 1), 0);
	ck_assert_int_eq(party_join(p), 0);
}
