/* SPDX-License-Identifier: MIT */
/* kill: condition */
#include "kill.h"

#include <errno.h>
#include <prusik/condition.h>
#include <stdlib.h>

/* The usual box: waiters want an item, and take one. */
struct box {
	struct prusik_lock lock;
	struct prusik_condition filled;
	uint32_t items;
	uint32_t taken;
};

static bool acquire(struct box *box)
{
	return prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) >= 0;
}

static bool take_item(struct box *box)
{
	while (box->items == 0)
		if (prusik_condition_wait(&box->filled, &box->lock, PRUSIK_FOREVER) < 0)
			return false;
	box->items--;
	box->taken++;
	return true;
}

/* ---- beside ---- */

static bool waiter(void *object)
{
	struct box *box = object;

	if (!acquire(box))
		return false;
	kill_hello();
	return take_item(box) && prusik_lock_release(&box->lock) == 0;
}

static bool notifier(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	if (!acquire(box))
		return false;
	box->items++;
	return prusik_condition_notify(&box->filled, &box->lock, 1) == 0 && prusik_lock_release(&box->lock) == 0;
}

/* Dies with the lock held, the predicate changed, and nobody notified. */
static bool dying_notifier(void *object)
{
	struct box *box = object;

	kill_hello();
	if (!acquire(box))
		return false;
	box->items++;
	kill_await_go(UINT32_MAX);
	return true;
}

/* ---- victims ---- */

static void hold(void *object)
{
	if (!acquire(object))
		abort();
}

static void hold_and_fill(void *object)
{
	struct box *box = object;

	hold(box);
	box->items = box->items + 1;
}

static void hold_and_fill_two(void *object)
{
	struct box *box = object;

	hold(box);
	box->items = box->items + 2;
}

/* The wait, and what a waiter does with it. */
static void wait_and_take(void *object)
{
	struct box *box = object;

	if (!take_item(box))
		abort();
	prusik_lock_release(&box->lock);
}

static void wait_a_while(void *object)
{
	struct box *box = object;

	if (prusik_condition_wait(&box->filled, &box->lock, prusik_in_us(100)) < -ETIMEDOUT)
		abort();
	prusik_lock_release(&box->lock);
}

static void notify(void *object)
{
	struct box *box = object;

	if (prusik_condition_notify(&box->filled, &box->lock, 1) != 0)
		abort();
	prusik_lock_release(&box->lock);
}

static void notify_all(void *object)
{
	struct box *box = object;

	if (prusik_condition_notify_all(&box->filled, &box->lock) != 0)
		abort();
	prusik_lock_release(&box->lock);
}

/* The change of the predicate is stepped too: whether it was made is part of the state. */
static void fill_and_notify(void *object)
{
	struct box *box = object;

	box->items++;
	notify(object);
}

/* ---- around them ---- */

static void a_waiter(void *object)
{
	(void)object;
	kill_run->note[0] = (uint32_t)kill_asleep(waiter, KILL_FINISHES);
}

static void two_waiters(void *object)
{
	a_waiter(object);
	a_waiter(object);
}

static void a_notifier(void *object)
{
	(void)object;
	kill_asleep(notifier, KILL_FINISHES);
}

static void a_notifier_dies(void *object)
{
	(void)object;
	kill_and_bury(kill_asleep(dying_notifier, KILL_STAYS));
}

static void a_notifier_if_empty(void *object, int times)
{
	struct box *box = object;

	if (times == 0 && prk_load32_rlx(&box->items) == 0)
		a_notifier(object);
}

static void two_notifiers(void *object)
{
	a_notifier(object);
	a_notifier(object);
}

static void one_behind_and_a_notifier(void *object, int times)
{
	if (times > 0)
		return;
	a_waiter(object);
	a_notifier(object);
}

/* One notify for the victim, one for the waiter behind it. */
static void one_behind_and_two_notifiers(void *object, int times)
{
	if (times > 0)
		return;
	a_waiter(object);
	two_notifiers(object);
}

static void a_notifier_at_last(void *object, int times)
{
	if (times == 0)
		a_notifier(object);
}

static void nothing(void *object, int times)
{
	(void)object;
	(void)times;
}

/* A dead victim may have taken an item with it. The waiter behind it gets another one then. */
static void another_if_taken(void *object)
{
	struct box *box = object;

	kill_settle((int)kill_run->note[0]);
	if (prk_load32_rlx(&box->taken) == 1 && prk_load32_rlx(&box->items) == 0)
		a_notifier(object);
}

/* The victim may have died before the change. */
static void another_if_empty(void *object)
{
	struct box *box = object;

	kill_settle((int)kill_run->note[0]);
	if (prk_load32_rlx(&box->taken) == 0 && prk_load32_rlx(&box->items) == 0)
		a_notifier(object);
}

static void recover(void *object)
{
	struct box *box = object;

	if (prusik_lock_acquire(&box->lock, PRUSIK_NOW) < 0)
		return;
	(void)!prusik_condition_notify_all(&box->filled, &box->lock);
	prusik_lock_release(&box->lock);
}

/* Free or the dead's lock, and a notify and a wait that work. */
static bool check(void *object)
{
	struct box *box = object;
	uint32_t items;

	if (!kill_claim(acquire(box), "the lock can be had"))
		return false;
	items = box->items;
	/* A death that is found now may end the wait. */
	int r = prusik_condition_wait(&box->filled, &box->lock, prusik_in_us(1));
	bool ok = kill_claim(r == 0 || r == -ETIMEDOUT, "a wait comes to its end") &&
		  kill_claim(prusik_condition_notify_all(&box->filled, &box->lock) == 0, "notify works") &&
		  kill_claim(items <= 2, "items are counted");
	return kill_claim(prusik_lock_release(&box->lock) == 0, "the lock is ours") && ok;
}

#define CASE(operation_, state_)                                                                                       \
	.noun = "condition", .operation = operation_, .state = state_, .size = sizeof(struct box), .recover = recover, \
	.check = check

static const struct kill_case condition_cases[] = {
	{ CASE("wait", "a notify"), .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_ENOUGH, .prepare = hold,
	  .victim = wait_and_take, .unblock = a_notifier_at_last, .beside = a_notifier },
	{ CASE("wait", "one waits behind it, one notify"), .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_RESUME,
	  .prepare = hold, .victim = wait_and_take, .unblock = one_behind_and_a_notifier, .killed = another_if_taken },
	{ CASE("wait", "one waits behind it, two notifies"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .prepare = hold,
	  .victim = wait_and_take, .unblock = one_behind_and_two_notifiers },
	{ CASE("wait", "a notifier dies beside"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .prepare = hold,
	  .victim = wait_and_take, .unblock = a_notifier_if_empty, .beside = a_notifier_dies },
	{ CASE("wait until", "nobody notifies"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .prepare = hold,
	  .victim = wait_a_while, .unblock = nothing },
	{ CASE("notify", "nobody waits"), .prepare = hold_and_fill, .victim = notify },
	/*
	 * No copies where somebody is notified: he goes on to wait for the lock itself, and on a
	 * busy machine is promised it, not the copy. The real kills stay: kill, resume, twice,
	 * bystander, all.
	 */
	{ CASE("notify", "one waits"), .is = KILL_NO_SNAPSHOT, .setup = a_waiter, .prepare = hold_and_fill,
	  .victim = notify },
	{ CASE("notify", "one waits, the change included"), .is = KILL_NO_SNAPSHOT, .setup = a_waiter, .prepare = hold,
	  .victim = fill_and_notify, .killed = another_if_empty },
	{ CASE("notify", "two wait"), .is = KILL_NO_SNAPSHOT, .setup = two_waiters, .prepare = hold_and_fill,
	  .victim = notify, .killed = a_notifier },
	{ CASE("notify_all", "two wait"), .is = KILL_NO_SNAPSHOT, .setup = two_waiters, .prepare = hold_and_fill_two,
	  .victim = notify_all },
};

const struct kill_table kill_condition_table = KILL_TABLE(condition_cases);
