/* SPDX-License-Identifier: MIT */
#include "rwlock_kit.h"

#define MANY 63

TEST(zeroed_is_free)
{
	struct prusik_rwlock rwlock = { .inside = 0 };

	ck_assert_int_eq(prusik_rwlock_readers(&rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_written(&rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_read(&rwlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_rwlock_readers(&rwlock), 1);
	ck_assert_int_eq(prusik_rwlock_written(&rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_release(&rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_write(&rwlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_rwlock_readers(&rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_written(&rwlock), 1);
	ck_assert_int_eq(prusik_rwlock_release(&rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_written(&rwlock), 0);
	ck_assert_uint_eq(prk_self()->held, 0);
}

TEST(misuse)
{
	struct prusik_rwlock rwlock = { .inside = 0 };
	struct prusik_rwlock *askew = (struct prusik_rwlock *)(void *)((char *)&rwlock + 1);

	ck_assert_int_eq(prusik_rwlock_read(NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_rwlock_write(NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_rwlock_read(askew, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_rwlock_release(NULL), -EINVAL);
	ck_assert_int_eq(prusik_rwlock_readers(NULL), -EINVAL);
	ck_assert_int_eq(prusik_rwlock_written(askew), -EINVAL);
	ck_assert_int_eq(prusik_rwlock_release(&rwlock), -EPERM);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(prusik_rwlock_read(&rwlock, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_rwlock_read(&rwlock, PRUSIK_FOREVER), -EDEADLK);
		ck_assert_int_eq(prusik_rwlock_write(&rwlock, PRUSIK_FOREVER), -EDEADLK);
		ck_assert_int_eq(prusik_rwlock_readers(&rwlock), 1);
		ck_assert_int_eq(prusik_rwlock_release(&rwlock), 0);
		ck_assert_int_eq(prusik_rwlock_release(&rwlock), -EPERM);
		ck_assert_int_eq(prusik_rwlock_write(&rwlock, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_rwlock_read(&rwlock, PRUSIK_FOREVER), -EDEADLK);
		ck_assert_int_eq(prusik_rwlock_write(&rwlock, PRUSIK_FOREVER), -EDEADLK);
		ck_assert_int_eq(prusik_rwlock_written(&rwlock), 1);
		ck_assert_int_eq(prusik_rwlock_readers(&rwlock), 0);
		ck_assert_int_eq(prusik_rwlock_release(&rwlock), 0);
		ck_assert_int_eq(prusik_rwlock_release(&rwlock), -EPERM);
	}
	ck_assert_uint_eq(prk_self()->held, 0);
}

/* Entries that nobody ever wrote are dead readers: they keep nobody out, and take no place. */
TEST(hostile_table)
{
	struct prusik_rwlock rwlock = { .inside = 0 };

	memset(rwlock.reader, 0x55, sizeof rwlock.reader);
	ck_assert_int_eq(prusik_rwlock_readers(&rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_release(&rwlock), -EPERM);
	ck_assert_int_eq(prusik_rwlock_read(&rwlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_rwlock_release(&rwlock), 0);
	memset(rwlock.reader, 0x15, sizeof rwlock.reader);
	ck_assert_int_eq(prusik_rwlock_write(&rwlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_rwlock_release(&rwlock), 0);
}

static int read_and_write(void *shared, int index)
{
	struct box *box = shared;

	for (int i = 0; i < 4000; i++) {
		if ((i + index) % 4 == 0) {
			PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) == 0);
			box->a++;
			box->b--;
			box->writes++;
		} else {
			PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == 0);
			PARTY_CHECK(box->a + box->b == 0);
		}
		PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	}
	PARTY_CHECK(prk_self()->held == 0 && prk_self()->strays == 0);
	return 0;
}

static void excludes(enum party_kind kind)
{
	struct box *box = new_box(kind);

	party_run(kind, 8, read_and_write, box);
	ck_assert_int_eq(box->a, 8 * 1000);
	ck_assert_int_eq(box->writes, 8 * 1000);
	ck_assert_int_eq(prusik_rwlock_readers(&box->rwlock), 0);
	ck_assert_uint_eq(box->rwlock.writer.word, 0);
}
BOTH(excludes)

static int read_together(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == 0);
	add(&box->inside, 1);
	party_await(&box->inside, index); /* all of them */
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW) == -EDEADLK);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) == -EDEADLK);
	party_await(&box->go, 1);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == -EPERM);
	PARTY_CHECK(prk_self()->held == 0 && prk_self()->strays == 0);
	return 0;
}

/* All places taken, each by whoever came: nobody is mistaken for another. */
static void readers_are_together(enum party_kind kind)
{
	struct box *box = new_box(kind);
	struct party *all[PRUSIK_RWLOCK_READERS];

	for (int i = 0; i < PRUSIK_RWLOCK_READERS; i++)
		all[i] = party_start(kind, read_together, box, PRUSIK_RWLOCK_READERS);
	party_await(&box->inside, PRUSIK_RWLOCK_READERS);
	ck_assert_int_eq(prusik_rwlock_readers(&box->rwlock), PRUSIK_RWLOCK_READERS);
	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, prusik_in_ms(20)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, prusik_in_ms(20)), -ETIMEDOUT);
	party_say(&box->go, 1);
	for (int i = 0; i < PRUSIK_RWLOCK_READERS; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), 0);
}
BOTH(readers_are_together)

static int read_awhile(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 5; i++) {
		PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == 0);
		pause_ms(2);
		PARTY_CHECK(box->a + box->b == 0);
		PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	}
	return 0;
}

static int write_often(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	while (!party_word(&box->end)) {
		PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) == 0);
		box->a++;
		box->b--;
		box->writes++;
		PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	}
	return 0;
}

/* More readers than places: the rest waits, and a writer comes in between. */
static void more_readers_than_places(enum party_kind kind)
{
	struct box *box = new_box(kind);
	struct party *writer = party_start(kind, write_often, box, 0);

	party_run(kind, MANY, read_awhile, box);
	party_say(&box->end, 1);
	ck_assert_int_eq(party_join(writer), 0);
	ck_assert_int_gt(box->writes, 0);
	ck_assert_int_eq(prusik_rwlock_readers(&box->rwlock), 0);
}
BOTH(more_readers_than_places)

static void deadlines(enum party_kind kind)
{
	struct box *box = new_box(kind);

	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER), 0);
	party_run(kind, 3, find_it_written, box);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER), 0);
	party_run(kind, 1, find_it_read, box);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), 0);
}
BOTH(deadlines)

static int note_reader(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == 0);
	box->order[add(&box->ordered, 1) - 1] = 'r';
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	return 0;
}

static int note_writer(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) == 0);
	box->order[add(&box->ordered, 1) - 1] = 'w';
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	return 0;
}

/* A reader is inside, a writer has waited for long, then readers come: they go after it. */
static void waiting_writer_is_preferred(enum party_kind kind)
{
	struct box *box = new_box(kind);
	struct party *all[4];

	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER), 0);
	all[0] = party_start(kind, note_writer, box, 0);
	await_waiting_writer(box);
	for (int i = 1; i < 4; i++)
		all[i] = party_start(kind, note_reader, box, 0);
	await_waiting_reader(box, 3);
	ck_assert_int_eq(party_word(&box->ordered), 0);
	ck_assert_int_eq(prusik_rwlock_readers(&box->rwlock), 1);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->order[0], 'w');
}
BOTH(waiting_writer_is_preferred)

/* A writer is inside, another waits, readers wait: these go before the other one. */
static void waiting_readers_go_before_the_next_writer(enum party_kind kind)
{
	struct box *box = new_box(kind);
	struct party *all[4];

	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER), 0);
	all[0] = party_start(kind, note_writer, box, 0);
	pause_ms(20);
	for (int i = 1; i < 4; i++)
		all[i] = party_start(kind, note_reader, box, 0);
	await_overdue_reader(box, 3);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->order[3], 'w');
}
BOTH(waiting_readers_go_before_the_next_writer)

static int find_it_closed(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, prusik_in_ms(index)) == -ETIMEDOUT);
	return 0;
}

/* Writers do not look at the readers any more when there were none for long: that comes to an end. */
static void reader_after_many_writers(enum party_kind kind)
{
	struct box *box = new_box(kind);

	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW), 0);
		party_run(kind, 1, find_it_closed, box);
		ck_assert_uint_ne(box->rwlock.taken, 0);
		ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
		for (int i = 0; i < 100; i++) {
			ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), 0);
			ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
		}
		ck_assert_uint_eq(box->rwlock.taken, 0);
	}
}
BOTH(reader_after_many_writers)

static int read_on_and_on(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	while (!party_word(&box->end)) {
		PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == 0);
		add(&box->inside, 1);
		/* Never leave it without a reader, if the others let us: 2 of 3 are inside. */
		for (int i = 0; i < 1000 && party_word(&box->inside) < 2; i++)
			prk_pause();
		add(&box->inside, -1);
		PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	}
	return 0;
}

static int write_fifty(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 50; i++) {
		PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) == 0);
		box->writes++;
		PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	}
	party_say(&box->end, 1);
	return 0;
}

/* It ends at all. */
static void readers_do_not_keep_a_writer_out(enum party_kind kind)
{
	struct box *box = new_box(kind);
	struct party *all[4];

	for (int i = 0; i < 4; i++)
		all[i] = party_start(kind, i < 3 ? read_on_and_on : write_fifty, box, i);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(box->writes, 50);
}
BOTH(readers_do_not_keep_a_writer_out)

static int read_fifty(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	for (int i = 0; i < 50; i++) {
		PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == 0);
		PARTY_CHECK(box->a + box->b == 0);
		PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	}
	party_say(&box->end, 1);
	return 0;
}

static void writers_do_not_keep_a_reader_out(enum party_kind kind)
{
	struct box *box = new_box(kind);
	struct party *all[4];

	for (int i = 0; i < 4; i++)
		all[i] = party_start(kind, i < 3 ? write_often : read_fifty, box, i);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
}
BOTH(writers_do_not_keep_a_reader_out)

static int write_until_deadline(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, prusik_in_ms(1500)) == -ETIMEDOUT);
	return 0;
}

/* A reader that waits behind a writer that gives up is let in. */
static void writer_that_gives_up(enum party_kind kind)
{
	struct box *box = new_box(kind);

	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER), 0);
	struct party *writer = party_start(kind, write_until_deadline, box, 0);
	await_waiting_writer(box);
	party_run(kind, 2, note_reader, box);
	ck_assert_int_eq(party_join(writer), 0);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
}
BOTH(writer_that_gives_up)

static int be_canceled(void *shared, int index)
{
	struct box *box = shared;

	prusik_cancel_use(&box->stop);
	add(&box->started, 1);
	if (index)
		PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == -ECANCELED);
	else
		PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) == -ECANCELED);
	PARTY_CHECK(prk_self()->held == 0);
	return 0;
}

/* A writer canceled behind a writer, a reader behind a writer, a writer behind a reader. */
static void cancel(enum party_kind kind)
{
	struct box *box = new_box(kind);
	struct party *all[2];

	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER), 0);
	for (int i = 0; i < 2; i++)
		all[i] = party_start(kind, be_canceled, box, i);
	await_waiting_reader(box, 1);
	party_await(&box->started, 2);
	pause_ms(10);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(prusik_cancel_clear(&box->stop), 0);
	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER), 0);
	all[0] = party_start(kind, be_canceled, box, 0);
	await_waiting_writer(box);
	ck_assert_int_eq(prusik_cancel_set(&box->stop), 0);
	ck_assert_int_eq(party_join(all[0]), 0);
	ck_assert_uint_eq(box->rwlock.writer.word, 0);
}
BOTH(cancel)

static int end_reading(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) >= 0);
	party_say(&box->go, 1);
	return 0;
}

static int end_writing(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) >= 0);
	box->a++;
	return 0;
}

/* A thread that returns, a process that ends, while it reads: as if it had left. */
static void reader_that_ends_inside(enum party_kind kind)
{
	struct box *box = new_box(kind);

	party_run(kind, 5, end_reading, box);
	ck_assert_int_eq(prusik_rwlock_readers(&box->rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
}
BOTH(reader_that_ends_inside)

/* Readers are told, all of them; a writer too, and then nobody any more. */
static void writer_that_ends_inside(enum party_kind kind)
{
	struct box *box = new_box(kind);

	ck_assert_int_eq(party_join(party_start(kind, end_writing, box, 0)), 0);
	ck_assert_int_eq(prusik_rwlock_written(&box->rwlock), 0);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), -EPERM);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(party_join(party_start(kind, read_told, box, PRUSIK_RECOVERED)), 0);
	ck_assert_int_eq(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW), PRUSIK_RECOVERED);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), -EDEADLK);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(party_join(party_start(kind, end_writing, box, 0)), 0);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), PRUSIK_RECOVERED);
	ck_assert_int_eq(prusik_rwlock_written(&box->rwlock), 1);
	ck_assert_int_eq(prusik_rwlock_release(&box->rwlock), 0);
	ck_assert_int_eq(party_join(party_start(kind, read_told, box, 0)), 0);
	ck_assert_int_eq(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW), 0);
}
BOTH(writer_that_ends_inside)
