/* SPDX-License-Identifier: MIT */
/* kill: event, and cancel, which is one that every wait heeds */
#include "kill.h"

#include "base/flag.h"

#include <errno.h>
#include <prusik/cancel.h>
#include <prusik/event.h>

struct box {
	struct prusik_event event;
	struct prusik_cancel stop;
	uint32_t message; /* stored before the set */
};

/* ---- those beside the victim ---- */

static bool waiter(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	return kill_claim(prusik_event_wait(&box->event, PRUSIK_FOREVER) == 0, "the wait ends") &&
	       kill_claim(prk_load32_rlx(&box->message) == 42, "what was stored before is seen");
}

static bool heeder(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	prusik_cancel_use(&box->stop);
	kill_hello();
	return kill_claim(prusik_event_wait(&box->event, PRUSIK_FOREVER) == -ECANCELED, "the wait is ended");
}

static void a_waiter(void *object)
{
	(void)object;
	kill_asleep(waiter, KILL_FINISHES);
}

static void two_waiters(void *object)
{
	a_waiter(object);
	a_waiter(object);
}

static void two_heeders(void *object)
{
	(void)object;
	kill_asleep(heeder, KILL_FINISHES);
	kill_asleep(heeder, KILL_FINISHES);
}

/* ---- checks ---- */

/* Whatever state it is in, it is an event. */
static bool event_usable(void *object)
{
	struct box *box = object;
	struct prusik_event *e = &box->event;

	return kill_claim(prusik_event_wait(e, PRUSIK_NOW) == (prusik_event_is_set(e) ? 0 : -ETIMEDOUT),
			  "set or not") &&
	       kill_claim(prusik_event_set(e) == 0 && prusik_event_is_set(e) == 1, "it can be set") &&
	       kill_claim(prusik_event_wait(e, PRUSIK_FOREVER) == 0, "and waited for") &&
	       kill_claim(prusik_event_clear(e) == 0 && prusik_event_is_set(e) == 0, "and cleared") &&
	       kill_claim(prusik_event_wait(e, prusik_in_us(10)) == -ETIMEDOUT, "and waited for in vain");
}

static bool token_usable(void *object)
{
	struct box *box = object;

	prusik_cancel_use(&box->stop);
	prusik_event_clear(&box->event);
	bool ok = kill_claim(prusik_cancel_set(&box->stop) == 0, "it can be set") &&
		  kill_claim(prusik_event_wait(&box->event, PRUSIK_FOREVER) == -ECANCELED, "heeded") &&
		  kill_claim(prusik_cancel_clear(&box->stop) == 0, "and cleared") &&
		  kill_claim(prusik_event_wait(&box->event, prusik_in_us(10)) == -ETIMEDOUT, "and not heeded");
	prusik_cancel_use(NULL);
	return ok;
}

/* ---- victims ---- */

static void set(void *object)
{
	struct box *box = object;

	prk_store32_rlx(&box->message, 42);
	prusik_event_set(&box->event);
}

static void clear(void *object)
{
	prusik_event_clear(&((struct box *)object)->event);
}

static void wait_for_it(void *object)
{
	waiter(object);
}

static void give_up(void *object)
{
	struct box *box = object;

	(void)!prusik_event_wait(&box->event, prusik_in_us(100));
}

static void cancel(void *object)
{
	prusik_cancel_set(&((struct box *)object)->stop);
}

static void wait_until_canceled(void *object)
{
	heeder(object);
	prusik_cancel_use(NULL);
}

/* ---- what happens around the victim ---- */

/*
 * If the victim has not set it, somebody else does. If it has, this wakes nobody: who
 * sleeps still, sleeps for good.
 */
static void somebody_sets(void *object)
{
	set(object);
}

static void somebody_cancels(void *object)
{
	cancel(object);
}

static void set_before(void *object)
{
	set(object);
}

static void is_set_now(void *object, int times)
{
	if (times == 0)
		set(object);
}

static void is_set_with_one_behind(void *object, int times)
{
	if (times == 0)
		a_waiter(object);
	is_set_now(object, times);
}

static void is_set_and_cleared(void *object, int times)
{
	if (times == 0)
		a_waiter(object);
	is_set_now(object, times);
	clear(object);
}

static void is_canceled_now(void *object, int times)
{
	if (times == 0)
		cancel(object);
}

static void nothing(void *object, int times)
{
	(void)object;
	(void)times;
}

#define EVENT(operation_, state_)                                                                                      \
	.noun = "event", .operation = operation_, .state = state_, .size = sizeof(struct box), .check = event_usable
#define CANCEL(operation_, state_)                                                                                     \
	.noun = "cancel", .operation = operation_, .state = state_, .size = sizeof(struct box), .check = token_usable

static const struct kill_case event_cases[] = {
	{ EVENT("set", "nobody waits"), .victim = set, .beside = a_waiter, .killed = somebody_sets },
	{ EVENT("set", "one waits"), .victim = set, .ready = a_waiter, .killed = somebody_sets },
	{ EVENT("set", "two wait, the setter takes no part"), .is = KILL_UNJOINED | KILL_NO_SNAPSHOT, .victim = set,
	  .ready = two_waiters, .beside = set_before, .killed = somebody_sets },
	{ EVENT("set", "set"), .setup = set_before, .victim = set, .beside = clear },
	{ EVENT("clear", "set"), .setup = set_before, .victim = clear, .beside = clear },
	{ EVENT("clear", "not set"), .victim = clear, .beside = set_before },
	{ EVENT("wait", "set"), .setup = set_before, .victim = wait_for_it },
	{ EVENT("wait", "not set"), .is = KILL_WARM | KILL_ENOUGH, .victim = wait_for_it, .unblock = is_set_now,
	  .beside = set_before },
	{ EVENT("wait", "one waits behind it"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .victim = wait_for_it,
	  .unblock = is_set_with_one_behind, .beside = set_before },
	{ EVENT("wait", "set and cleared at once"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .victim = wait_for_it,
	  .unblock = is_set_and_cleared },
	{ EVENT("wait until", "not set until the deadline"), .is = KILL_WARM, .victim = give_up, .unblock = nothing },
	{ CANCEL("set", "two wait"), .victim = cancel, .ready = two_heeders, .killed = somebody_cancels },
	{ CANCEL("set", "two wait, the setter takes no part"), .is = KILL_UNJOINED | KILL_NO_SNAPSHOT, .victim = cancel,
	  .ready = two_heeders, .beside = cancel, .killed = somebody_cancels },
	{ CANCEL("wait", "canceled"), .is = KILL_WARM | KILL_ENOUGH, .victim = wait_until_canceled,
	  .unblock = is_canceled_now, .beside = cancel },
};

const struct kill_table kill_event_table = KILL_TABLE(event_cases);
