/* SPDX-License-Identifier: MIT */
/* rwlocks whose readers and writers are killed. */
#include "rwlock_kit.h"

static int hold_until_killed(void *shared, int index)
{
	struct box *box = shared;

	if (index)
		PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) >= 0);
	else
		PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) >= 0);
	party_say(&box->entered, 1);
	for (;;)
		pause_ms(1000);
}

static void kill_it(struct party *p)
{
	ck_assert_int_eq(kill(p->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(p), -SIGKILL);
}

static int write_told(void *shared, int index)
{
	struct box *box = shared;

	add(&box->started, 1);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) == index);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	return 0;
}

TEST(kill_of_a_reader_lets_the_writer_in)
{
	struct box *box = new_box(PROCESSES);
	struct party *reader = party_start(PROCESSES, hold_until_killed, box, 0);

	party_await(&box->entered, 1);
	struct party *writer = party_start(PROCESSES, write_told, box, 0);
	await_waiting_writer(box);
	kill_it(reader);
	ck_assert_int_eq(party_join(writer), 0);
}

TEST(kill_of_the_writer_lets_the_readers_in)
{
	struct box *box = new_box(PROCESSES);
	struct party *writer = party_start(PROCESSES, hold_until_killed, box, 1);
	struct party *all[3];

	party_await(&box->entered, 1);
	for (int i = 0; i < 3; i++)
		all[i] = party_start(PROCESSES, read_told, box, PRUSIK_RECOVERED);
	await_waiting_reader(box, 3);
	kill_it(writer);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), PRUSIK_RECOVERED);
}

TEST(kill_of_the_writer_lets_the_next_one_in)
{
	struct box *box = new_box(PROCESSES);
	struct party *writer = party_start(PROCESSES, hold_until_killed, box, 1);

	party_await(&box->entered, 1);
	struct party *next = party_start(PROCESSES, write_told, box, PRUSIK_RECOVERED);
	party_await(&box->started, 1);
	pause_ms(20);
	kill_it(writer);
	ck_assert_int_eq(party_join(next), 0);
	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW), 0);
}

/* A writer that was never inside has hurt nothing; the readers behind it go in. */
TEST(kill_of_a_waiting_writer)
{
	struct box *box = new_box(PROCESSES);

	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER), 0);
	struct party *writer = party_start(PROCESSES, write_told, box, 0);
	await_waiting_writer(box);
	struct party *reader = party_start(PROCESSES, read_told, box, 0);
	await_waiting_reader(box, 1);
	kill_it(writer);
	ck_assert_int_eq(party_join(reader), 0);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), 0);
}

TEST(kill_of_a_waiting_reader)
{
	struct box *box = new_box(PROCESSES);

	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER), 0);
	struct party *dead = party_start(PROCESSES, read_told, box, 0);
	struct party *reader = party_start(PROCESSES, read_told, box, 0);
	await_waiting_reader(box, 2);
	kill_it(dead);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(party_join(reader), 0);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), 0);
}

/* The writer dies while a reader it waited for is inside, and another writer waits. */
TEST(kill_of_a_waiting_writer_before_another)
{
	struct box *box = new_box(PROCESSES);

	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER), 0);
	struct party *first = party_start(PROCESSES, write_told, box, 0);
	await_waiting_writer(box);
	struct party *second = party_start(PROCESSES, write_told, box, 0);
	party_await(&box->started, 2);
	pause_ms(20);
	kill_it(first);
	pause_ms(10);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(party_join(second), 0);
}

/* Readers and writers are killed in the midst of it all; who is left goes on, and sees whole data. */
static int mend_and_go_on(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; !party_word(&box->end); i++) {
		int r;
		if ((i + index) % 4 == 0) {
			r = prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER);
			PARTY_CHECK(r == PRUSIK_RECOVERED || (r == 0 && box->a + box->b == 0));
			box->b = -box->a;
			box->a++;
			box->b--;
		} else {
			r = prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER);
			PARTY_CHECK(r == PRUSIK_RECOVERED || (r == 0 && box->a + box->b == 0));
		}
		PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	}
	return 0;
}

TEST(kills_at_random)
{
	struct box *box = new_box(PROCESSES);
	struct party *all[6];

	for (int i = 0; i < 6; i++)
		all[i] = party_start(PROCESSES, mend_and_go_on, box, i);
	for (int i = 0; i < 100; i++) {
		pause_ms(3);
		kill_it(all[i % 6]);
		all[i % 6] = party_start(PROCESSES, mend_and_go_on, box, i);
	}
	party_say(&box->end, 1);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	int r = prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER);
	ck_assert_int_ge(r, 0);
	ck_assert(r == PRUSIK_RECOVERED || box->a + box->b == 0);
}

TEST(forked_child_is_nobody_yet)
{
	struct box *box = new_box(PROCESSES);

	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER), 0);
	party_run(PROCESSES, 1, find_it_written, box);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER), 0);
	party_run(PROCESSES, 1, find_it_read, box);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
}
