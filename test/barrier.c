/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/barrier.h>
#include <prusik/cancel.h>

#define PARTIES 5
#define ROUNDS 300

struct box {
	struct prusik_barrier barrier;
	uint32_t room[128];
	struct prusik_lock lock;
	struct prusik_cancel stop;
	int step, go, actions;
	int seen[64];
	int64_t result[64];
	uint8_t taken[ROUNDS][64];
};

static struct box *new_box(enum party_kind kind, uint32_t parties)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(prusik_barrier_init(&box->barrier, parties), 0);
	party_quiet();
	return box;
}

static void await_waiting(const struct box *box, int64_t n)
{
	while (prusik_barrier_waiting(&box->barrier) != n)
		pause_ms(1);
}

static void join_all(struct party **all, int n)
{
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
}

TEST(sizes)
{
	ck_assert_uint_eq(prusik_barrier_size(0), 0);
	ck_assert_uint_eq(prusik_barrier_size(1), sizeof(struct prusik_barrier) + 4);
	ck_assert_uint_eq(prusik_barrier_size(65536), sizeof(struct prusik_barrier) + 4 * 65536);
	ck_assert_uint_eq(prusik_barrier_size(65537), 0);
	ck_assert_uint_eq(prusik_barrier_size(UINT32_MAX), 0);
}

TEST(misuse)
{
	struct box *box = new_box(THREADS, 2);
	struct prusik_barrier *askew = (struct prusik_barrier *)(void *)((char *)&box->barrier + 1);
	struct prusik_barrier raw = { .parties = 0 };

	ck_assert_int_eq(prusik_barrier_init(NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_barrier_init(askew, 1), -EINVAL);
	ck_assert_int_eq(prusik_barrier_init(&box->barrier, 0), -EINVAL);
	ck_assert_int_eq(prusik_barrier_init(&box->barrier, 65537), -EINVAL);
	ck_assert_int_eq(prusik_barrier_parties(&box->barrier), 2);
	ck_assert_int_eq(prusik_barrier_wait(NULL, NULL, NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_barrier_wait(&raw, NULL, NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_barrier_reset(&raw), -EINVAL);
	ck_assert_int_eq(prusik_barrier_abort(askew), -EINVAL);
	ck_assert_int_eq(prusik_barrier_parties(NULL), -EINVAL);
	ck_assert_int_eq(prusik_barrier_waiting(NULL), -EINVAL);
	ck_assert_int_eq(prusik_barrier_broken(&raw), -EINVAL);
	ck_assert_int_eq(prusik_barrier_waiting(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 0);
}

static int count_action(void *arg)
{
	struct box *box = arg;

	box->actions++;
	return 0;
}

TEST(alone)
{
	struct box *box = new_box(THREADS, 1);

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, count_action, box, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(box->actions, 1);
	ck_assert_int_eq(prusik_barrier_waiting(&box->barrier), 0);
}

/* Nobody is a round ahead, everybody has a number of his own in each. */
static int walk(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < ROUNDS; i++) {
		party_say(&box->seen[index], i + 1);
		int64_t n = prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER);
		PARTY_CHECK(n >= 0 && n < PARTIES);
		box->taken[i][n]++;
		for (int k = 0; k < PARTIES; k++)
			PARTY_CHECK(party_word(&box->seen[k]) >= i + 1 && party_word(&box->seen[k]) <= i + 2);
	}
	return 0;
}

static void in_step(enum party_kind kind)
{
	struct box *box = new_box(kind, PARTIES);

	party_run(kind, PARTIES, walk, box);
	for (int i = 0; i < ROUNDS; i++)
		for (int n = 0; n < PARTIES; n++)
			ck_assert_int_eq(box->taken[i][n], 1);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_waiting(&box->barrier), 0);
}
BOTH(in_step)

static int walk_with_action(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 100; i++) {
		PARTY_CHECK(prusik_barrier_wait(&box->barrier, count_action, box, PRUSIK_FOREVER) >= 0);
		PARTY_CHECK(box->actions == i + 1);
		PARTY_CHECK(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER) >= 0);
	}
	return 0;
}

static void action_runs_once_before_anyone_goes(enum party_kind kind)
{
	struct box *box = new_box(kind, PARTIES);

	party_run(kind, PARTIES, walk_with_action, box);
	ck_assert_int_eq(box->actions, 100);
}
BOTH(action_runs_once_before_anyone_goes)

static int wait_once(void *shared, int index)
{
	struct box *box = shared;

	box->result[index] = prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER);
	return 0;
}

static int start_waiting(enum party_kind kind, struct box *box, struct party **all, int n)
{
	for (int i = 0; i < n; i++)
		all[i] = party_start(kind, wait_once, box, i);
	await_waiting(box, n);
	return n;
}

static void expect_results(const struct box *box, int n, int64_t result)
{
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(box->result[i], result);
}

static int fail_action(void *arg)
{
	((struct box *)arg)->actions++;
	return -EIO;
}

static void failing_action_breaks(enum party_kind kind)
{
	struct box *box = new_box(kind, PARTIES);
	struct party *all[PARTIES];

	start_waiting(kind, box, all, PARTIES - 1);
	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, fail_action, box, PRUSIK_FOREVER), -EIO);
	join_all(all, PARTIES - 1);
	expect_results(box, PARTIES - 1, -EPIPE);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 1);
	ck_assert_int_eq(box->actions, 1);
}
BOTH(failing_action_breaks)

static void abort_breaks(enum party_kind kind)
{
	struct box *box = new_box(kind, PARTIES);
	struct party *all[PARTIES];

	start_waiting(kind, box, all, PARTIES - 1);
	ck_assert_int_eq(prusik_barrier_abort(&box->barrier), 0);
	join_all(all, PARTIES - 1);
	expect_results(box, PARTIES - 1, -EPIPE);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 1);
	ck_assert_int_eq(prusik_barrier_waiting(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(prusik_barrier_abort(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_reset(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 0);
	party_run(kind, PARTIES, walk_with_action, box);
}
BOTH(abort_breaks)

TEST(abort_of_an_empty_one)
{
	struct box *box = new_box(THREADS, 2);

	ck_assert_int_eq(prusik_barrier_abort(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 1);
	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(prusik_barrier_reset(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_reset(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 0);
}

/* Those inside get -EPIPE, those who come later a whole barrier. */
static void reset_sends_away(enum party_kind kind)
{
	struct box *box = new_box(kind, PARTIES);
	struct party *all[PARTIES];

	for (int i = 0; i < 20; i++) {
		start_waiting(kind, box, all, 1 + i % (PARTIES - 1));
		ck_assert_int_eq(prusik_barrier_reset(&box->barrier), 0);
		ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 0);
		ck_assert_int_eq(prusik_barrier_waiting(&box->barrier), 0);
		join_all(all, 1 + i % (PARTIES - 1));
		expect_results(box, 1 + i % (PARTIES - 1), -EPIPE);
	}
	party_run(kind, PARTIES, walk_with_action, box);
}
BOTH(reset_sends_away)

static int time_out(void *shared, int index)
{
	struct box *box = shared;
	int64_t begin = prusik_now();

	(void)index;
	PARTY_CHECK(prusik_barrier_wait(&box->barrier, NULL, NULL, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	return 0;
}

static void time_out_breaks(enum party_kind kind)
{
	struct box *box = new_box(kind, PARTIES);
	struct party *all[PARTIES];

	start_waiting(kind, box, all, 2);
	ck_assert_int_eq(party_join(party_start(kind, time_out, box, 0)), 0);
	join_all(all, 2);
	expect_results(box, 2, -EPIPE);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 1);
	ck_assert_int_eq(prusik_barrier_reset(&box->barrier), 0);
	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 1);
}
BOTH(time_out_breaks)

static int be_canceled(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	prusik_cancel_use(&box->stop);
	PARTY_CHECK(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER) == -ECANCELED);
	return 0;
}

static void cancel_breaks(enum party_kind kind)
{
	struct box *box = new_box(kind, PARTIES);
	struct party *all[PARTIES];

	start_waiting(kind, box, all, 2);
	struct party *canceled = party_start(kind, be_canceled, box, 0);
	await_waiting(box, 3);
	pause_ms(10);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	ck_assert_int_eq(party_join(canceled), 0);
	join_all(all, 2);
	expect_results(box, 2, -EPIPE);
}
BOTH(cancel_breaks)

static int again(void *arg)
{
	struct box *box = arg;

	box->result[0] = prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER);
	return 0;
}

TEST(wait_inside_the_action)
{
	struct box *box = new_box(THREADS, 1);

	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, again, box, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(box->result[0], -EDEADLK);
}

static int abort_inside(void *arg)
{
	return prusik_barrier_abort(&((struct box *)arg)->barrier);
}

static void abort_inside_the_action(enum party_kind kind)
{
	struct box *box = new_box(kind, 3);
	struct party *all[2];

	start_waiting(kind, box, all, 2);
	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, abort_inside, box, PRUSIK_FOREVER), -EPIPE);
	join_all(all, 2);
	expect_results(box, 2, -EPIPE);
}
BOTH(abort_inside_the_action)

static int slow_action(void *arg)
{
	struct box *box = arg;

	party_say(&box->step, 1);
	party_await(&box->go, 1);
	box->actions++;
	return 0;
}

static int wait_slow(void *shared, int index)
{
	struct box *box = shared;

	box->result[index] = prusik_barrier_wait(&box->barrier, slow_action, box, PRUSIK_FOREVER);
	return 0;
}

/* More threads than parties: a third one does not disturb the action of two. */
static void the_surplus_waits_for_the_next_round(enum party_kind kind)
{
	struct box *box = new_box(kind, 2);
	struct party *all[4];

	for (int i = 0; i < 2; i++)
		all[i] = party_start(kind, wait_slow, box, i);
	party_await(&box->step, 1);
	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, prusik_in_ms(20)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 0);
	for (int i = 2; i < 4; i++)
		all[i] = party_start(kind, wait_slow, box, i);
	pause_ms(20);
	ck_assert_int_eq(prusik_barrier_waiting(&box->barrier), 2);
	party_say(&box->go, 1);
	join_all(all, 4);
	for (int i = 0; i < 4; i += 2)
		ck_assert_int_eq(box->result[i] + box->result[i + 1], 1);
	ck_assert_int_eq(box->actions, 2);
}
BOTH(the_surplus_waits_for_the_next_round)

static int many(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 20; i++)
		PARTY_CHECK(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER) >= 0);
	return 0;
}

static int enough(void *arg)
{
	return ++((struct box *)arg)->actions < 60 ? 0 : -EIO;
}

static int until_broken(void *shared, int index)
{
	struct box *box = shared;
	int64_t r;

	(void)index;
	do
		r = prusik_barrier_wait(&box->barrier, enough, box, PRUSIK_FOREVER);
	while (r >= 0);
	PARTY_CHECK(r == -EPIPE || r == -EIO);
	return 0;
}

/* 60 in rounds of 20, as they come. */
static void many_more_than_parties(enum party_kind kind)
{
	struct box *box = new_box(kind, 20);

	party_run(kind, 60, until_broken, box);
	ck_assert_int_eq(prusik_barrier_waiting(&box->barrier), 0);
	ck_assert_int_eq(box->actions, 60);
}
BOTH(many_more_than_parties)

static void many_parties(enum party_kind kind)
{
	struct box *box = new_box(kind, 60);

	party_run(kind, 60, many, box);
}
BOTH(many_parties)

/* One of those who wait is killed: all others know at once, late comers too. */
TEST(kill_of_a_waiting_party)
{
	struct box *box = new_box(PROCESSES, PARTIES);
	struct party *all[PARTIES];

	start_waiting(PROCESSES, box, all, PARTIES - 1);
	pause_ms(10);
	ck_assert_int_eq(kill(all[1]->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(all[1]), -SIGKILL);
	for (int i = 0; i < PARTIES - 1; i++) {
		if (i == 1)
			continue;
		ck_assert_int_eq(party_join(all[i]), 0);
		ck_assert_int_eq(box->result[i], -EPIPE);
	}
	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(prusik_barrier_reset(&box->barrier), 0);
	party_run(PROCESSES, PARTIES, walk_with_action, box);
}

/* The only one who waits is killed, then the last one comes: it must not count the dead. */
TEST(the_dead_has_not_arrived)
{
	for (int i = 0; i < 10; i++) {
		struct box *box = new_box(PROCESSES, 2);
		struct party *all[1];

		start_waiting(PROCESSES, box, all, 1);
		kill(all[0]->pid, SIGKILL);
		ck_assert_int_eq(party_join(all[0]), -SIGKILL);
		ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER), -EPIPE);
	}
}

static int die(void *arg)
{
	(void)arg;
	kill(getpid(), SIGKILL);
	return 0;
}

static int wait_and_die_last(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	return (int)prusik_barrier_wait(&box->barrier, die, box, PRUSIK_FOREVER);
}

TEST(kill_inside_the_action)
{
	struct box *box = new_box(PROCESSES, PARTIES);
	struct party *all[PARTIES];

	start_waiting(PROCESSES, box, all, PARTIES - 1);
	ck_assert_int_eq(party_join(party_start(PROCESSES, wait_and_die_last, box, 0)), -SIGKILL);
	join_all(all, PARTIES - 1);
	expect_results(box, PARTIES - 1, -EPIPE);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 1);
}

static int end_thread(void *arg)
{
	(void)arg;
	pthread_exit(NULL);
}

static int end_inside_the_action(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	return (int)prusik_barrier_wait(&box->barrier, end_thread, box, PRUSIK_FOREVER);
}

TEST(thread_that_ends_inside_the_action)
{
	struct box *box = new_box(THREADS, PARTIES);
	struct party *all[PARTIES];

	start_waiting(THREADS, box, all, PARTIES - 1);
	ck_assert_int_eq(party_join(party_start(THREADS, end_inside_the_action, box, 0)), 0);
	join_all(all, PARTIES - 1);
	expect_results(box, PARTIES - 1, -EPIPE);
}

static int die_holding_the_lock(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(prusik_lock_acquire(&box->barrier.lock, PRUSIK_FOREVER) == 0);
	(void)index;
	return die(NULL);
}

/* As one killed while it arrives, or while it ends the round. */
TEST(kill_of_a_party_that_arrives)
{
	struct box *box = new_box(PROCESSES, PARTIES);
	struct party *all[PARTIES];

	ck_assert_int_eq(party_join(party_start(PROCESSES, die_holding_the_lock, box, 0)), -SIGKILL);
	ck_assert_int_eq(prusik_barrier_broken(&box->barrier), 0); /* nobody waited */
	start_waiting(PROCESSES, box, all, 2);
	ck_assert_int_eq(party_join(party_start(PROCESSES, die_holding_the_lock, box, 0)), -SIGKILL);
	join_all(all, 2);
	expect_results(box, 2, -EPIPE);
}

/* A full round stays full for one who looks late, whatever came after it. */
TEST(late_to_look)
{
	struct box *box = new_box(THREADS, 1);
	uint32_t round = box->barrier.word;

	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_NOW), 0);
	for (int i = 0; i < 40; i++) {
		ck_assert_uint_eq(box->barrier.full >> (round >> 1) % 32 & 1, 1);
		if (i < 31)
			ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_NOW), 0);
	}
	ck_assert_uint_eq(box->barrier.word, round + 2 * 32);
}

/* The rounds are told apart by 15 bits in arrivals, by 31 in word. */
TEST(as_many_rounds_as_can_be_told_apart)
{
	struct box *box = new_box(THREADS, 1);

	ck_assert_int_eq(prusik_barrier_wait(&box->barrier, count_action, box, PRUSIK_NOW), 0);
	for (int i = 1; i < 2 << 15; i++)
		ck_assert_int_eq(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_NOW), 0);
	box->barrier.word = UINT32_MAX - 9;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(prusik_barrier_wait(&box->barrier, count_action, box, PRUSIK_NOW), 0);
	ck_assert_uint_eq(box->barrier.word, 10);
	ck_assert_int_eq(box->actions, 11);
}
