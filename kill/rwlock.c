/* SPDX-License-Identifier: MIT */
/* kill: rwlock */
#include "kill.h"

#include "base/wait.h"
#include "sync/rwlock.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

/* a + b == 0 outside writers. */
struct box {
	struct prusik_rwlock rwlock;
	uint32_t a, b;
};

enum { OWNER, INSIDE };

/* ---- going in and out ---- */

static bool whole(const struct box *box)
{
	return prk_load32_rlx(&box->a) + prk_load32_rlx(&box->b) == 0;
}

static bool went_in(const struct box *box, int r)
{
	return kill_claim(r >= 0, "it goes in") &&
	       kill_claim(r == PRUSIK_RECOVERED || whole(box), "no writer is inside, or died there and we were told");
}

static bool go_read(struct box *box)
{
	return went_in(box, prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER)) &&
	       kill_claim(prusik_rwlock_written(&box->rwlock) == 0, "no writer is inside");
}

static bool go_write(struct box *box)
{
	bool ok = went_in(box, prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER)) &&
		  kill_claim(prusik_rwlock_written(&box->rwlock) == 1, "we write");

	prk_store32_rlx(&box->a, box->a + 1);
	prk_barrier();
	return ok;
}

static bool end_write(struct box *box)
{
	prk_store32_rlx(&box->b, 0 - box->a);
	return kill_claim(prusik_rwlock_release(&box->rwlock) == 0, "the writer leaves");
}

static bool end_read(struct box *box)
{
	return kill_claim(prusik_rwlock_release(&box->rwlock) == 0, "the reader leaves");
}

static bool reader(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return go_read(object) && end_read(object);
}

static bool writer(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return go_write(object) && end_write(object);
}

/* As long as it reads, nobody writes. */
static bool reading_owner(void *object)
{
	struct box *box = object;
	bool ok = go_read(box);
	uint32_t a = prk_load32_rlx(&box->a);

	kill_await_go(1);
	return kill_claim(prk_load32_rlx(&box->a) == a, "nobody has written meanwhile") && ok && end_read(box);
}

static bool late_reading_owner(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return reading_owner(object);
}

static bool writing_owner(void *object)
{
	bool ok = go_write(object);

	kill_await_go(1);
	return ok && end_write(object);
}

static void say_left(struct prusik_rwlock *rwlock)
{
	uint32_t left = prk_load32_sc(&rwlock->left);

	while ((left & WANTED) && !prk_cas32_sc(&rwlock->left, &left, (left & ~WANTED) + ONE_LEFT))
		;
	prk_wake(&rwlock->left, INT_MAX);
}

/* All the places are mine; when told so I leave one. */
static bool crowd(void *object)
{
	struct prusik_rwlock *rwlock = &((struct box *)object)->rwlock;

	if (prk_joined() < 0)
		return false;
	for (int i = 0; i < PRUSIK_RWLOCK_READERS; i++)
		prk_store32_sc(&rwlock->reader[i], prk_self()->id);
	kill_await_go(1);
	for (int i = 0; i < PRUSIK_RWLOCK_READERS; i++)
		prk_store32_sc(&rwlock->reader[i], 0);
	say_left(rwlock);
	return true;
}

/*
 * By hand, since it is to wake no earlier than it is told to: a reader who waits for its
 * turn, passes on a dead writer's place, steps in, and reads until it is told to leave.
 */
static bool late_sleeper(void *object)
{
	struct box *box = object;
	struct prusik_rwlock *rwlock = &box->rwlock;
	uint32_t *claim = &rwlock->reader[PRUSIK_RWLOCK_READERS - 1];

	if (prk_joined() < 0)
		return false;
	prk_store32_sc(claim, prk_self()->id | WAITS);
	kill_await_go(1);
	if (!kill_claim(prk_rwlock_take_writer(rwlock, PRUSIK_FOREVER) >= 0, "it passes on the place"))
		return false;
	prk_store32_sc(claim, prk_self()->id);
	prk_rwlock_free_writer(rwlock);
	uint32_t a = prk_load32_rlx(&box->a);
	prk_store32_rel(&kill_run->note[INSIDE], 1);
	kill_await_go(2);
	bool ok = kill_claim(prk_load32_rlx(&box->a) == a, "nobody has written meanwhile");
	prk_store32_sc(claim, 0);
	say_left(rwlock);
	return ok;
}

/* ---- check and recovery ---- */

static bool usable(void *object)
{
	struct box *box = object;
	struct prusik_rwlock *rwlock = &box->rwlock;
	int told = prk_load32_rlx(&rwlock->inside) != 0;

	return kill_claim(told || whole(box), "who died inside as the writer is told of") &&
	       kill_claim(prusik_rwlock_read(rwlock, PRUSIK_FOREVER) == told, "a reader goes in, and is told") &&
	       kill_claim(prusik_rwlock_readers(rwlock) == 1, "it is the only one") &&
	       kill_claim(prusik_rwlock_read(rwlock, PRUSIK_NOW) == -EDEADLK, "it is in") &&
	       kill_claim(prusik_rwlock_release(rwlock) == 0, "it leaves") &&
	       kill_claim(prusik_rwlock_write(rwlock, PRUSIK_FOREVER) == told, "a writer goes in, and is told") &&
	       kill_claim(prusik_rwlock_written(rwlock) == 1, "it is in") &&
	       kill_claim(prusik_rwlock_readers(rwlock) == 0, "alone") &&
	       kill_claim(prusik_rwlock_release(rwlock) == 0, "it leaves") &&
	       kill_claim(prusik_rwlock_read(rwlock, PRUSIK_NOW) == 0, "nobody is told any more") &&
	       kill_claim(prusik_rwlock_release(rwlock) == 0, "nor") &&
	       kill_claim(prusik_rwlock_write(rwlock, PRUSIK_NOW) == 0, "a writer") &&
	       kill_claim(prusik_rwlock_release(rwlock) == 0, "that leaves") &&
	       kill_claim(prusik_rwlock_release(rwlock) == -EPERM, "and is gone") &&
	       kill_claim((prk_load32_rlx(&rwlock->writer.word) & PRK_ID_MASK) == 0, "it is free");
}

static void recover(void *object)
{
	struct box *box = object;

	if (prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) < 0)
		return;
	prk_store32_rlx(&box->b, 0 - box->a);
	prusik_rwlock_release(&box->rwlock);
}

/* ---- victims ---- */

static void read_and_stay(void *object)
{
	go_read(object);
}

static void write_and_stay(void *object)
{
	go_write(object);
}

static void visit_reading(void *object)
{
	reader(object);
}

static void visit_writing(void *object)
{
	writer(object);
}

static void leave_reading(void *object)
{
	end_read(object);
}

static void leave_writing(void *object)
{
	end_write(object);
}

static void read_until(void *object)
{
	struct box *box = object;

	if (prusik_rwlock_read(&box->rwlock, prusik_in_us(100)) >= 0)
		end_read(box);
}

static void write_until(void *object)
{
	struct box *box = object;

	if (prusik_rwlock_write(&box->rwlock, prusik_in_us(100)) >= 0)
		end_write(box);
}

/* ---- what happens around the victim ---- */

static void a_reader(void *object)
{
	(void)object;
	kill_asleep(reader, KILL_FINISHES);
}

static void a_writer(void *object)
{
	(void)object;
	kill_asleep(writer, KILL_FINISHES);
}

static void one_of_each(void *object)
{
	a_writer(object);
	a_reader(object);
	a_reader(object);
}

static void set_owner(kill_check_fn *function, enum kill_stay stay)
{
	kill_run->note[OWNER] = (uint32_t)kill_asleep(function, stay);
}

static void read_by_another(void *object)
{
	(void)object;
	set_owner(reading_owner, KILL_FINISHES);
}

static void read_by_one_who_stays(void *object)
{
	(void)object;
	set_owner(reading_owner, KILL_STAYS);
}

static void written_by_another(void *object)
{
	(void)object;
	set_owner(writing_owner, KILL_FINISHES);
}

static void written_by_one_who_stays(void *object)
{
	(void)object;
	set_owner(writing_owner, KILL_STAYS);
}

/* The next writer clears taken, if nobody reads. */
static void readers_long_ago(void *object)
{
	struct box *box = object;

	prk_store32_rlx(&box->rwlock.taken, 1);
	prk_store32_rlx(&box->rwlock.vain, 63);
}

/* One was there and waits, asleep; whoever clears taken now must set it again. */
static void readers_long_ago_but_one(void *object)
{
	readers_long_ago(object);
	set_owner(late_sleeper, KILL_FINISHES);
}

static void wake_it_and_write(void *object, int times)
{
	if (times != 0)
		return;
	kill_go();
	while (!prk_load32_acq(&kill_run->note[INSIDE]) && kill_lives((int)kill_run->note[OWNER]))
		usleep(50);
	a_writer(object);
	kill_go();
}

static void write_once(void *object)
{
	writer(object);
	readers_long_ago(object); /* again: it has looked */
}

static void one_comes_to_read(void *object)
{
	(void)object;
	set_owner(late_reading_owner, KILL_FINISHES);
}

/* He who came to read is inside by now, or sleeps on turn. Another writer comes. */
static void another_writes(void *object, int times)
{
	if (times != 0)
		return;
	a_writer(object);
	kill_go();
}

static void owner_dies(void *object)
{
	(void)object;
	kill_now((int)kill_run->note[OWNER]);
}

static void a_dead_reader(void *object)
{
	read_by_one_who_stays(object);
	owner_dies(object);
}

static void a_dead_writer(void *object)
{
	written_by_one_who_stays(object);
	owner_dies(object);
}

static void read_and_a_writer_waits(void *object)
{
	read_by_another(object);
	a_writer(object);
}

static void a_crowd(void *object)
{
	(void)object;
	set_owner(crowd, KILL_FINISHES);
}

static void owner_lets_go(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_go();
}

static void owner_lets_go_with_others_behind(void *object, int times)
{
	if (times != 0)
		return;
	a_reader(object);
	a_writer(object);
	kill_go();
}

static void owner_is_killed_with_others_behind(void *object, int times)
{
	if (times != 0)
		return;
	a_reader(object);
	a_writer(object);
	owner_dies(object);
}

static void others_come_behind(void *object, int times)
{
	if (times == 0)
		a_reader(object);
}

static void nothing(void *object, int times)
{
	(void)object;
	(void)times;
}

#define CASE(operation_, state_)                                                                                       \
	.noun = "rwlock", .operation = operation_, .state = state_, .size = sizeof(struct box), .recover = recover,    \
	.check = usable
#define BUSY .is = KILL_WARM | KILL_NO_SNAPSHOT

static const struct kill_case cases[] = {
	{ CASE("read", "free"), .victim = read_and_stay, .beside = a_reader },
	{ CASE("read", "a reader died"), .setup = a_dead_reader, .victim = read_and_stay },
	{ CASE("read", "a writer died"), .setup = a_dead_writer, .victim = read_and_stay },
	{ CASE("read", "written"), BUSY, .setup = written_by_another, .victim = visit_reading,
	  .unblock = owner_lets_go_with_others_behind },
	{ CASE("read", "written, the writer dies"), BUSY, .setup = written_by_one_who_stays, .victim = visit_reading,
	  .unblock = owner_is_killed_with_others_behind },
	{ CASE("read", "read, a writer waits"), BUSY, .setup = read_and_a_writer_waits, .victim = visit_reading,
	  .unblock = owner_lets_go },
	{ CASE("read", "no place"), BUSY, .setup = a_crowd, .victim = visit_reading,
	  .unblock = owner_lets_go_with_others_behind },
	{ CASE("read until", "written beyond the deadline"), .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL,
	  .setup = written_by_one_who_stays, .victim = read_until, .unblock = nothing, .killed = owner_dies },
	{ CASE("write", "free"), .victim = write_and_stay, .beside = a_writer },
	{ CASE("write", "a reader died"), .setup = a_dead_reader, .victim = write_and_stay },
	{ CASE("write", "a writer died"), .setup = a_dead_writer, .victim = write_and_stay },
	{ CASE("write", "nobody has read for long, one comes to"), BUSY, .setup = readers_long_ago,
	  .victim = visit_writing, .beside = one_comes_to_read, .unblock = another_writes },
	{ CASE("write", "nobody has read for long, one sleeps"), .is = KILL_NO_SNAPSHOT | KILL_NO_ALL | KILL_LONG,
	  .setup = readers_long_ago_but_one, .prepare = write_once, .victim = visit_writing,
	  .unblock = wake_it_and_write },
	{ CASE("write", "read"), BUSY, .setup = read_by_another, .victim = visit_writing,
	  .unblock = owner_lets_go_with_others_behind },
	{ CASE("write", "read, the reader dies"), BUSY, .setup = read_by_one_who_stays, .victim = visit_writing,
	  .unblock = owner_is_killed_with_others_behind },
	{ CASE("write", "written"), BUSY, .setup = written_by_another, .victim = visit_writing,
	  .unblock = owner_lets_go_with_others_behind },
	{ CASE("write", "written, the writer dies"), BUSY, .setup = written_by_one_who_stays, .victim = visit_writing,
	  .unblock = owner_is_killed_with_others_behind },
	{ CASE("write until", "read beyond the deadline, a reader behind"),
	  .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL, .setup = read_by_one_who_stays, .victim = write_until,
	  .unblock = others_come_behind, .killed = owner_dies },
	{ CASE("release", "reading, alone"), .prepare = read_and_stay, .victim = leave_reading, .beside = a_writer },
	{ CASE("release", "reading, others wait"), .is = KILL_NO_SNAPSHOT, .prepare = read_and_stay,
	  .ready = one_of_each, .victim = leave_reading },
	{ CASE("release", "writing, alone"), .prepare = write_and_stay, .victim = leave_writing, .beside = a_reader },
	{ CASE("release", "writing, others wait"), .is = KILL_NO_SNAPSHOT, .prepare = write_and_stay,
	  .ready = one_of_each, .victim = leave_writing },
};

const struct kill_table kill_rwlock_table = KILL_TABLE(cases);
