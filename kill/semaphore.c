/* SPDX-License-Identifier: MIT */
/* kill: semaphore and permits */
#include "kill.h"

#include "base/sys.h"
#include "base/wait.h"

#include <errno.h>
#include <prusik/semaphore.h>

#define LIMIT 5000
#define WAITERS UINT32_C(0x80000000)
#define PLACES 2

struct box {
	struct prusik_semaphore semaphore;
	struct prusik_permits permits;
	uint32_t holders[PLACES]; /* where prusik_permits_size(PLACES) reaches */
};

/* In kill_run->note. */
enum {
	OWNER, /* who holds permits */
	VISITOR = OWNER,
	GIVEN, /* permits released, apart from the victim's */
	TAKEN, /* by those who wait */
	TAKERS, /* how many wait; their numbers follow */
	FIRST_TAKER,
};

static void one_more(int note)
{
	prk_add32_acqrel(&kill_run->note[note], 1);
}

static int64_t value(const struct box *box)
{
	return prusik_semaphore_value(&box->semaphore);
}

/* ---- semaphore: those beside the victim ---- */

static bool taker(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	bool ok = kill_claim(prusik_semaphore_acquire(&box->semaphore, PRUSIK_FOREVER) == 0, "acquired");
	one_more(TAKEN);
	return ok;
}

static void give(void *object, uint32_t count)
{
	struct box *box = object;

	prk_add32_acqrel(&kill_run->note[GIVEN], count);
	prusik_semaphore_release(&box->semaphore, count);
}

static void give_one(void *object)
{
	give(object, 1);
}

static void a_taker(void *object)
{
	uint32_t n = kill_run->note[TAKERS]++;

	(void)object;
	kill_run->note[FIRST_TAKER + n] = (uint32_t)kill_asleep(taker, KILL_FINISHES);
}

static void three_takers(void *object)
{
	for (int i = 0; i < 3; i++)
		a_taker(object);
}

/* Do any takers wait still, when all have done what they can? */
static bool some_wait(void)
{
	bool some = false;

	for (uint32_t i = 0; i < kill_run->note[TAKERS]; i++) {
		int number = (int)kill_run->note[FIRST_TAKER + i];
		kill_settle(number);
		some |= kill_lives(number);
	}
	return some;
}

/*
 * Let those who wait go, but only while there is no permit that they could have: who
 * sleeps for good in front of a permit, hangs.
 */
static void give_what_is_missing(void *object)
{
	int64_t end = prusik_in_ns(KILL_LIMIT);

	while (some_wait() && prusik_now() < end)
		if (value(object) == 0)
			give(object, 1);
}

/* ---- semaphore: checks ---- */

static bool counts(void *object)
{
	struct box *box = object;
	struct prusik_semaphore *s = &box->semaphore;
	int64_t n = prusik_semaphore_value(s);
	bool ok = kill_claim(n >= 0 && n <= LIMIT, "not more than the limit");

	for (int64_t i = 0; ok && i < n; i++)
		ok = kill_claim(prusik_semaphore_acquire(s, PRUSIK_NOW) == 0, "each one can be had");
	return ok && kill_claim(prusik_semaphore_acquire(s, PRUSIK_NOW) == -ETIMEDOUT, "and no more") &&
	       kill_claim(prusik_semaphore_release(s, LIMIT + 1) == -EOVERFLOW, "the limit holds") &&
	       kill_claim(prusik_semaphore_release(s, LIMIT) == 0, "it can be filled") &&
	       kill_claim(prusik_semaphore_release(s, 1) == -EOVERFLOW, "to the limit") &&
	       kill_claim(prusik_semaphore_acquire(s, PRUSIK_FOREVER) == 0, "and be used");
}

/* Released: all of the victim's, or, when it had not come to its end, perhaps none (some: see many). */
static bool sum_is_right(const struct box *box, uint32_t victims)
{
	uint32_t all = (uint32_t)value(box) + kill_run->note[TAKEN], given = kill_run->note[GIVEN];

	return kill_claim(all == given + victims || (!kill_run->finished && all == given),
			  "no permit is lost, none is made");
}

static bool one_released(void *object)
{
	bool live = object == (void *)kill_run->object[0] && !kill_run->everybody_died;

	return (!live || sum_is_right(object, 1)) && counts(object);
}

static bool two_released(void *object)
{
	bool live = object == (void *)kill_run->object[0] && !kill_run->everybody_died;

	return (!live || sum_is_right(object, 2)) && counts(object);
}

/* ---- semaphore: victims ---- */

static void limited(void *object)
{
	(void)!prusik_semaphore_init(&((struct box *)object)->semaphore, 0, LIMIT);
}

static void two_there(void *object)
{
	limited(object);
	give(object, 2);
}

static void release_one(void *object)
{
	prusik_semaphore_release(&((struct box *)object)->semaphore, 1);
}

static void release_two(void *object)
{
	prusik_semaphore_release(&((struct box *)object)->semaphore, 2);
}

static void release_many(void *object)
{
	prusik_semaphore_release(&((struct box *)object)->semaphore, LIMIT - 10);
}

static void acquire(void *object)
{
	(void)!prusik_semaphore_acquire(&((struct box *)object)->semaphore, PRUSIK_FOREVER);
}

static void give_up(void *object)
{
	(void)!prusik_semaphore_acquire(&((struct box *)object)->semaphore, prusik_in_us(100));
}

/* ---- semaphore: what happens around the victim ---- */

static void one_is_given(void *object, int times)
{
	if (times == 0)
		give(object, 1);
}

static void one_is_given_with_one_behind(void *object, int times)
{
	if (times == 0)
		a_taker(object);
	one_is_given(object, times);
}

/* As when somebody found nobody asleep but the victim, and two were released then. */
static void two_are_given_with_one_wake(void *object, int times)
{
	struct box *box = object;

	if (times > 0)
		return;
	a_taker(object);
	if (prk_load32_rlx(&box->semaphore.word) == WAITERS) {
		prk_store32_rel(&box->semaphore.word, 2);
		prk_wake(&box->semaphore.word, 1);
	}
}

static void nothing(void *object, int times)
{
	(void)object;
	(void)times;
}

/* ---- permits: those beside the victim ---- */

static bool went_in(int r)
{
	return kill_claim(r == 0 || r == PRUSIK_RECOVERED, "a permit is had");
}

static bool holder(void *object)
{
	struct box *box = object;

	for (int i = 0; i < PLACES; i++)
		if (!went_in(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER)))
			return false;
	kill_await_go(1);
	for (int i = 0; i < PLACES; i++)
		if (prusik_permits_release(&box->permits) != 0)
			return false;
	return true;
}

static bool visitor(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	return went_in(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER)) &&
	       kill_claim(prusik_permits_release(&box->permits) == 0, "and given back");
}

/* Holds one place, and is there until all others are gone. */
static bool lodger(void *object)
{
	struct box *box = object;
	bool ok = went_in(prusik_permits_acquire(&box->permits, PRUSIK_FOREVER));

	kill_await_go(1);
	return ok && kill_claim(prusik_permits_release(&box->permits) == 0, "and given back");
}

/* ---- permits: check ---- */

static bool all_free(void *object)
{
	struct box *box = object;
	struct prusik_permits *p = &box->permits;
	int left = 0, told = 0;

	for (int i = 0; i < PLACES; i++)
		left += box->holders[i] != 0;
	if (!kill_claim(prusik_permits_value(p) == PLACES, "all can be had"))
		return false;
	for (int i = 0; i < PLACES; i++) {
		int r = prusik_permits_acquire(p, PRUSIK_FOREVER);
		if (!went_in(r))
			return false;
		told += r;
	}
	if (!kill_claim(told == left, "the dead one's are told of, and only they") ||
	    !kill_claim(prusik_permits_acquire(p, PRUSIK_NOW) == -ETIMEDOUT, "and no more"))
		return false;
	for (int i = 0; i < PLACES; i++)
		if (!kill_claim(prusik_permits_release(p) == 0, "they can be given back"))
			return false;
	return kill_claim(prusik_permits_release(p) == -EPERM, "once");
}

static void recover(void *object)
{
	struct box *box = object;

	for (int i = 0; i < PLACES; i++)
		if (prusik_permits_acquire(&box->permits, PRUSIK_NOW) < 0)
			return;
	for (int i = 0; i < PLACES; i++)
		prusik_permits_release(&box->permits);
}

/* ---- permits: victims ---- */

static void enter(void *object)
{
	(void)!prusik_permits_acquire(&((struct box *)object)->permits, PRUSIK_FOREVER);
}

static void visit(void *object)
{
	visitor(object);
}

static void leave(void *object)
{
	prusik_permits_release(&((struct box *)object)->permits);
}

static void hold_both(void *object)
{
	enter(object);
	enter(object);
}

static void try_in_vain(void *object)
{
	(void)!prusik_permits_acquire(&((struct box *)object)->permits, prusik_in_us(100));
}

/* ---- permits: what happens around the victim ---- */

static void two_places(void *object)
{
	(void)!prusik_permits_init(&((struct box *)object)->permits, PLACES);
}

static void a_holder(void *object)
{
	two_places(object);
	kill_run->note[OWNER] = (uint32_t)kill_asleep(holder, KILL_FINISHES);
}

static void a_staying_holder(void *object)
{
	two_places(object);
	kill_run->note[OWNER] = (uint32_t)kill_asleep(holder, KILL_STAYS);
}

static void holder_dies_beside(void *object)
{
	(void)object;
	kill_now((int)kill_run->note[OWNER]);
}

static void a_dead_holder(void *object)
{
	a_staying_holder(object);
	holder_dies_beside(object);
}

static void a_visitor(void *object)
{
	(void)object;
	kill_asleep(visitor, KILL_FINISHES);
}

static void two_visitors(void *object)
{
	a_visitor(object);
	a_visitor(object);
}

static void a_lodger(void *object)
{
	two_places(object);
	kill_asleep(lodger, KILL_FINISHES);
}

static void a_counted_visitor(void *object)
{
	(void)object;
	kill_run->note[VISITOR] = (uint32_t)kill_asleep(visitor, KILL_FINISHES);
}

/* What he gives back would wake the visitor, who must have been woken before. */
static void lodger_goes_last(void *object)
{
	int64_t end = prusik_in_ns(KILL_LIMIT);
	int number = (int)kill_run->note[VISITOR];

	(void)object;
	for (unsigned int round = 0; number && kill_lives(number) && prusik_now() < end; round++)
		prk_sys_yield();
	if (!number || !kill_lives(number))
		kill_go();
}

static void holder_lets_go(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_go();
}

static void holder_lets_go_with_two_behind(void *object, int times)
{
	if (times == 0)
		two_visitors(object);
	holder_lets_go(object, times);
}

static void holder_dies_with_two_behind(void *object, int times)
{
	if (times == 0)
		two_visitors(object);
	if (times == 0)
		holder_dies_beside(object);
}

static void holder_leaves_beside(void *object)
{
	(void)object;
	kill_go();
	kill_settle((int)kill_run->note[OWNER]);
}

#define SEMAPHORE(operation_, state_)                                                                                  \
	.noun = "semaphore", .operation = operation_, .state = state_, .size = sizeof(struct box)
#define PERMITS(operation_, state_)                                                                                    \
	.noun = "permits", .operation = operation_, .state = state_, .size = sizeof(struct box), .recover = recover,   \
	.check = all_free

static const struct kill_case semaphore_cases[] = {
	{ SEMAPHORE("release", "nobody waits"), .setup = limited, .victim = release_one, .beside = give_one,
	  .check = one_released },
	{ SEMAPHORE("release", "one waits"), .setup = limited, .victim = release_one, .ready = a_taker,
	  .killed = give_what_is_missing, .check = one_released },
	{ SEMAPHORE("release", "three wait, two are released"), .setup = limited, .victim = release_two,
	  .ready = three_takers, .beside = give_one, .killed = give_what_is_missing, .check = two_released },
	{ SEMAPHORE("release", "one waits, the releaser takes no part"), .is = KILL_UNJOINED | KILL_NO_SNAPSHOT,
	  .setup = limited, .victim = release_one, .ready = a_taker, .beside = give_one, .killed = give_what_is_missing,
	  .check = one_released },
	{ SEMAPHORE("release", "three wait, thousands are released"), .is = KILL_UNJOINED | KILL_NO_SNAPSHOT,
	  .setup = limited, .victim = release_many, .ready = three_takers, .killed = give_what_is_missing,
	  .check = counts },
	{ SEMAPHORE("acquire", "two are there"), .setup = two_there, .victim = acquire, .beside = give_one,
	  .check = counts },
	{ SEMAPHORE("acquire", "none is there"), .is = KILL_WARM, .setup = limited, .victim = acquire,
	  .unblock = one_is_given, .beside = give_one, .check = counts },
	{ SEMAPHORE("acquire", "one waits behind it"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = limited,
	  .victim = acquire, .unblock = one_is_given_with_one_behind, .beside = give_one,
	  .killed = give_what_is_missing, .check = counts },
	{ SEMAPHORE("acquire", "one waits behind it, two for one wake"), .is = KILL_WARM | KILL_NO_SNAPSHOT,
	  .setup = limited, .victim = acquire, .unblock = two_are_given_with_one_wake, .killed = give_what_is_missing,
	  .check = counts },
	{ SEMAPHORE("acquire until", "none is there"), .is = KILL_WARM, .setup = limited, .victim = give_up,
	  .unblock = nothing, .check = counts },

	{ PERMITS("acquire", "free"), .setup = two_places, .victim = enter, .beside = a_visitor },
	{ PERMITS("acquire", "held by a dead one"), .setup = a_dead_holder, .victim = enter, .beside = a_visitor },
	{ PERMITS("acquire", "held"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = a_holder, .victim = enter,
	  .unblock = holder_lets_go, .beside = holder_leaves_beside },
	{ PERMITS("visit", "two wait behind it"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = a_holder,
	  .victim = visit, .unblock = holder_lets_go_with_two_behind, .beside = holder_leaves_beside },
	{ PERMITS("visit", "two wait behind it, the holder dies"), .is = KILL_WARM | KILL_NO_SNAPSHOT,
	  .setup = a_staying_holder, .victim = visit, .unblock = holder_dies_with_two_behind,
	  .beside = holder_dies_beside },
	{ PERMITS("acquire until", "held beyond the deadline"), .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL,
	  .setup = a_staying_holder, .victim = try_in_vain, .unblock = nothing, .killed = holder_dies_beside },
	{ PERMITS("release", "nobody waits"), .setup = two_places, .prepare = hold_both, .victim = leave,
	  .beside = a_visitor },
	{ PERMITS("release", "the other is held, one comes"), .is = KILL_NO_SNAPSHOT | KILL_NO_ALL, .setup = a_lodger,
	  .prepare = enter, .victim = leave, .beside = a_counted_visitor, .killed = lodger_goes_last },
	{ PERMITS("release", "two wait"), .setup = two_places, .prepare = hold_both, .ready = two_visitors,
	  .victim = leave },
};

const struct kill_table kill_semaphore_table = KILL_TABLE(semaphore_cases);
