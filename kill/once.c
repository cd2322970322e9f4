/* SPDX-License-Identifier: MIT */
/* kill: once */
#include "kill.h"

#include <prusik/once.h>

/* Made in two steps: half and whole are equal when it is done. */
struct box {
	struct prusik_once once;
	uint32_t half, whole;
	uint32_t told; /* the last to begin was told that another one had died */
};

enum { RUNNER };

static int make(void *object, int recovered)
{
	struct box *box = object;

	prk_store32_rlx(&box->told, (uint32_t)recovered);
	if (!recovered && !kill_claim(box->half == box->whole, "who died half-way is told of"))
		return -1;
	prk_store32_rlx(&box->half, 7);
	prk_store32_rlx(&box->whole, 7);
	return 0;
}

static int refuse(void *object, int recovered)
{
	struct box *box = object;

	(void)recovered;
	prk_store32_rlx(&box->half, 7);
	prk_store32_rlx(&box->half, box->whole);
	return -1;
}

/* Begin, and end when told to. */
static int make_slowly(void *object, int recovered)
{
	struct box *box = object;

	prk_store32_rlx(&box->half, 7);
	kill_await_go(1);
	return make(object, recovered | 1);
}

static bool done(struct box *box)
{
	return kill_claim(prusik_once(&box->once, make, box, PRUSIK_FOREVER) == 0, "it is done") &&
	       kill_claim(box->half == 7 && box->whole == 7, "all of it") &&
	       kill_claim(prusik_once_done(&box->once) == 1, "and says so");
}

static bool waiter(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return done(object);
}

static bool runner(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	return prusik_once(&box->once, make_slowly, box, PRUSIK_FOREVER) == 0;
}

static bool check(void *object)
{
	struct box *box = object;

	return done(box) && kill_claim(prusik_once(&box->once, refuse, box, PRUSIK_NOW) == 0, "once");
}

static void recover(void *object)
{
	struct box *box = object;

	(void)!prusik_once(&box->once, make, box, PRUSIK_FOREVER);
}

/* ---- victims ---- */

static void run(void *object)
{
	struct box *box = object;

	(void)!prusik_once(&box->once, make, box, PRUSIK_FOREVER);
}

static void fail(void *object)
{
	struct box *box = object;

	(void)!prusik_once(&box->once, refuse, box, PRUSIK_FOREVER);
}

static void give_up(void *object)
{
	struct box *box = object;

	(void)!prusik_once(&box->once, make, box, prusik_in_us(100));
}

/* ---- what happens around the victim ---- */

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

static void a_runner(void *object)
{
	(void)object;
	kill_run->note[RUNNER] = (uint32_t)kill_asleep(runner, KILL_FINISHES);
}

static void a_staying_runner(void *object)
{
	(void)object;
	kill_run->note[RUNNER] = (uint32_t)kill_asleep(runner, KILL_STAYS);
}

static void a_dead_runner(void *object)
{
	a_staying_runner(object);
	kill_now((int)kill_run->note[RUNNER]);
}

/* Not by the engine itself, which must not join. */
static void it_is_done(void *object)
{
	(void)object;
	kill_settle(kill_start(check, KILL_STAYS));
}

static void runner_ends(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_go();
}

static void runner_ends_with_one_behind(void *object, int times)
{
	if (times == 0)
		a_waiter(object);
	runner_ends(object, times);
}

static void runner_dies(void *object, int times)
{
	if (times == 0)
		a_waiter(object);
	if (times == 0)
		kill_now((int)kill_run->note[RUNNER]);
}

static void runner_dies_beside(void *object)
{
	(void)object;
	kill_now((int)kill_run->note[RUNNER]);
}

static void nothing(void *object, int times)
{
	(void)object;
	(void)times;
}

#define CASE(operation_, state_)                                                                                       \
	.noun = "once", .operation = operation_, .state = state_, .size = sizeof(struct box), .recover = recover,      \
	.check = check

static const struct kill_case once_cases[] = {
	{ CASE("run", "not done"), .victim = run, .beside = two_waiters },
	{ CASE("run", "the last one died"), .setup = a_dead_runner, .victim = run, .beside = a_waiter },
	{ CASE("run", "done"), .setup = it_is_done, .victim = run },
	{ CASE("fail", "not done"), .victim = fail, .beside = two_waiters },
	{ CASE("wait", "another one does it"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = a_runner, .victim = run,
	  .unblock = runner_ends },
	{ CASE("wait", "another one does it, one waits behind"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = a_runner,
	  .victim = run, .unblock = runner_ends_with_one_behind },
	{ CASE("wait", "another one dies of it, one waits behind"), .is = KILL_WARM | KILL_NO_SNAPSHOT,
	  .setup = a_staying_runner, .victim = run, .unblock = runner_dies, .beside = runner_dies_beside },
	{ CASE("wait until", "beyond the deadline"), .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL,
	  .setup = a_staying_runner, .victim = give_up, .unblock = nothing, .killed = runner_dies_beside },
};

const struct kill_table kill_once_table = KILL_TABLE(once_cases);
