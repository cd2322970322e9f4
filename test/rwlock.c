/* SPDX-License-Identifier: MIT */
#include "party.h"

#include <errno.h>
#include <prusik/cancel.h>
#include <prusik/rwlock.h>

#define MANY 63

struct box {
	_Alignas(64) struct prusik_rwlock rwlock;
	struct prusik_cancel stop;
	int64_t a, b; /* a + b == 0 outside writers */
	int started, inside, go, entered, end;
	int order[8], ordered;
	long reads, writes;
};

static struct box *new_box(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_quiet();
	return box;
}

static int add(int *word, int n)
{
	return (int)prk_add32_acqrel((uint32_t *)word, (uint32_t)n) + n;
}

static void await_waiting_reader(const struct box *box, int n)
{
	for (int found = -1; found != n;) {
		pause_ms(1);
		found = 0;
		for (int i = 0; i < PRUSIK_RWLOCK_READERS; i++)
			found += prk_load32_rlx(&box->rwlock.reader[i]) >> 31;
	}
	pause_ms(10);
}

/* A writer keeps the place, though it is not inside: not only for a look, as in its first millisecond. */
static void await_waiting_writer(const struct box *box)
{
	for (int looks = 0; looks < 50; looks++) {
		if (prk_load32_rlx(&box->rwlock.writer.word) == 0)
			looks = 0;
		pause_ms(1);
	}
}

/* So many readers wait, and one of them has for a millisecond. */
static void await_overdue_reader(const struct box *box, int n)
{
	while (prk_load32_rlx(&box->rwlock.waiting) != 2)
		pause_ms(1);
	await_waiting_reader(box, n);
}

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

static int find_it_written(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_written(&box->rwlock) == 1);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 60000000);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == -EPERM);
	PARTY_CHECK(prk_self()->held == 0);
	return 0;
}

static int find_it_read(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_readers(&box->rwlock) == 1);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	PARTY_CHECK(prusik_rwlock_written(&box->rwlock) == 0);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW) == 0); /* it has given up */
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	PARTY_CHECK(prk_self()->held == 0);
	return 0;
}

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

static int read_told(void *shared, int index)
{
	struct box *box = shared;

	add(&box->started, 1);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == index);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
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
