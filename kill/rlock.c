/* SPDX-License-Identifier: MIT */
/* kill: rlock, and a condition under it */
#include "kill.h"

#include <errno.h>
#include <prusik/condition.h>
#include <prusik/rlock.h>

#define DEEP 3

struct box {
	struct prusik_rlock rlock;
	struct prusik_condition changed;
	uint32_t inside;
	uint32_t filled;
};

enum { OWNER, NOTES };

/* ---- going in and out ---- */

static bool go_in(struct box *box, int times)
{
	bool ok = true;

	for (int i = 1; ok && i <= times; i++) {
		int r = prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER);
		ok = kill_claim(r == 0 || (r == PRUSIK_RECOVERED && i == 1), "acquire succeeds") &&
		     kill_claim(prusik_rlock_depth(&box->rlock) == i, "it is as deep as we took it");
		if (i == 1)
			ok = kill_claim(r == PRUSIK_RECOVERED || prk_load32_rlx(&box->inside) == 0,
					"nobody else is inside, or died there and we were told") &&
			     ok;
		prk_store32_rlx(&box->inside, 1);
	}
	return ok;
}

static bool go_out(struct box *box, int times)
{
	bool ok = true;

	for (int i = times; ok && i > 0; i--) {
		if (i == 1)
			prk_store32_rlx(&box->inside, 0);
		ok = kill_claim(prusik_rlock_release(&box->rlock) == 0, "release succeeds");
	}
	return ok;
}

static bool pass_through(void *object)
{
	return go_in(object, DEEP) && go_out(object, DEEP);
}

static bool waiter(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return pass_through(object);
}

static bool owner(void *object)
{
	bool ok = go_in(object, DEEP);

	kill_await_go(1);
	return ok && go_out(object, DEEP);
}

static bool stayer(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return owner(object);
}

/* Told or not, wait until it is filled. */
static bool wait_filled(struct box *box)
{
	int r;

	while (!box->filled) {
		prk_store32_rlx(&box->inside, 0);
		r = prusik_condition_wait_rlock(&box->changed, &box->rlock, PRUSIK_FOREVER);
		if (!kill_claim(r >= 0, "the wait succeeds") ||
		    !kill_claim(prusik_rlock_depth(&box->rlock) == DEEP, "it is as deep as before the wait"))
			return false;
		prk_store32_rlx(&box->inside, 1);
	}
	return true;
}

static bool consumer(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return go_in(object, DEEP) && wait_filled(object) && go_out(object, DEEP);
}

static bool filler(void *object)
{
	struct box *box = object;

	if (!go_in(box, 1))
		return false;
	box->filled = 1;
	return kill_claim(prusik_condition_notify_all(&box->changed, &box->rlock.lock) == 0, "notify succeeds") &&
	       go_out(box, 1);
}

/* ---- check and recovery ---- */

static bool usable(void *object)
{
	struct box *box = object;
	bool held = (prk_load32_rlx(&box->rlock.lock.word) & PRK_ID_MASK) != 0;
	int r = prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER);

	return kill_claim(r == (held ? PRUSIK_RECOVERED : 0), "a dead holder is told of, and only then") &&
	       kill_claim(prusik_rlock_depth(&box->rlock) == 1, "the newcomer has it once") &&
	       kill_claim(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW) == 0, "and takes it again") &&
	       kill_claim(prusik_rlock_release(&box->rlock) == 0, "and gives it back") &&
	       kill_claim(prusik_rlock_locked(&box->rlock) == 1, "and has it still") &&
	       kill_claim(prusik_rlock_release(&box->rlock) == 0, "and gives it back for good") &&
	       kill_claim(prusik_rlock_release(&box->rlock) == -EPERM, "and has it no more") &&
	       kill_claim(prusik_rlock_locked(&box->rlock) == 0, "it is free");
}

static void recover(void *object)
{
	struct box *box = object;

	if (prusik_rlock_acquire(&box->rlock, PRUSIK_NOW) < 0)
		return;
	box->inside = 0;
	prusik_rlock_release(&box->rlock);
}

/* ---- victims ---- */

static void enter_once(void *object)
{
	go_in(object, 1);
}

static void enter_deep(void *object)
{
	go_in(object, DEEP);
}

static void visit(void *object)
{
	pass_through(object);
}

static void leave_deep(void *object)
{
	go_out(object, DEEP);
}

static void leave_once(void *object)
{
	go_out(object, 1);
}

static void consume(void *object)
{
	wait_filled(object);
	go_out(object, DEEP);
}

/* ---- what happens around the victim ---- */

static void an_owner(void *object)
{
	(void)object;
	kill_run->note[OWNER] = (uint32_t)kill_asleep(owner, KILL_FINISHES);
}

static void a_staying_owner(void *object)
{
	(void)object;
	kill_run->note[OWNER] = (uint32_t)kill_asleep(owner, KILL_STAYS);
}

static void a_dead_owner(void *object)
{
	a_staying_owner(object);
	kill_now((int)kill_run->note[OWNER]);
}

static void a_waiter(void *object)
{
	(void)object;
	kill_asleep(waiter, KILL_FINISHES);
}

/* Nothing that the victim does after its release may touch what is this one's now. */
static void a_stayer(void *object)
{
	(void)object;
	kill_asleep(stayer, KILL_FINISHES);
}

static void stayer_lets_go(void *object)
{
	(void)object;
	kill_go();
}

static void owner_lets_go(void *object, int times)
{
	if (times != 0)
		return;
	a_waiter(object);
	kill_go();
}

static void owner_is_killed(void *object, int times)
{
	if (times != 0)
		return;
	a_waiter(object);
	kill_now((int)kill_run->note[OWNER]);
}

static void a_consumer(void *object)
{
	(void)object;
	kill_asleep(consumer, KILL_FINISHES);
}

static void it_is_filled(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_start(filler, KILL_FINISHES);
}

#define CASE(operation_, state_)                                                                                       \
	.noun = "rlock", .operation = operation_, .state = state_, .size = sizeof(struct box), .recover = recover,     \
	.check = usable

static const struct kill_case cases[] = {
	{ CASE("acquire", "free"), .victim = enter_deep, .beside = a_waiter },
	{ CASE("acquire", "held by a dead one"), .setup = a_dead_owner, .victim = enter_deep, .beside = a_waiter },
	{ CASE("acquire", "held, one behind"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = an_owner,
	  .victim = enter_once, .unblock = owner_lets_go },
	{ CASE("visit", "held, one behind"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = an_owner, .victim = visit,
	  .unblock = owner_lets_go },
	{ CASE("visit", "held, one behind, its owner dies"), .is = KILL_WARM | KILL_NO_SNAPSHOT,
	  .setup = a_staying_owner, .victim = visit, .unblock = owner_is_killed },
	{ CASE("release", "nobody waits"), .prepare = enter_deep, .victim = leave_deep, .beside = a_waiter },
	{ CASE("release", "one waits"), .prepare = enter_deep, .ready = a_waiter, .victim = leave_deep },
	{ CASE("release", "one comes in and stays"), .prepare = enter_once, .victim = leave_once, .beside = a_stayer,
	  .killed = stayer_lets_go },
	{ CASE("condition wait", "one waits as well"), .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL,
	  .setup = a_consumer, .prepare = enter_deep, .victim = consume, .unblock = it_is_filled },
};

const struct kill_table kill_rlock_table = KILL_TABLE(cases);
