/* SPDX-License-Identifier: MIT */
/* kill: barrier, with three parties */
#include "kill.h"

#include <errno.h>
#include <prusik/barrier.h>

#define PARTIES 3
#define COUNT_MASK UINT32_C(0x1ffff)

struct box {
	struct prusik_barrier barrier;
	uint32_t room[PARTIES];
	uint32_t acted;
};

enum { OTHER, NOTES };

/* ---- parties ---- */

static int act(void *arg)
{
	struct box *box = arg;

	prk_store32_rlx(&box->acted, 1);
	return 0;
}

/* For all of them alike: the round was full, or it was broken. */
static bool good(int64_t r)
{
	return kill_claim((r >= 0 && r < PARTIES) || r == -EPIPE, "the round was full, or broken");
}

static bool party(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	return good(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER));
}

static bool resetter(void *object)
{
	return prusik_barrier_reset(&((struct box *)object)->barrier) == 0;
}

static void init(void *object)
{
	prusik_barrier_init(&((struct box *)object)->barrier, PARTIES);
}

/* ---- check and recovery ---- */

static bool usable(void *object)
{
	struct prusik_barrier *barrier = &((struct box *)object)->barrier;

	return kill_claim(prusik_barrier_reset(barrier) == 0, "reset succeeds") &&
	       kill_claim(prusik_barrier_broken(barrier) == 0, "it is whole") &&
	       kill_claim(prusik_barrier_waiting(barrier) == 0, "and empty") &&
	       kill_claim(prusik_barrier_wait(barrier, NULL, NULL, PRUSIK_NOW) == -ETIMEDOUT, "a newcomer is alone") &&
	       kill_claim(prusik_barrier_broken(barrier) == 1, "and breaks it") &&
	       kill_claim(prusik_barrier_wait(barrier, NULL, NULL, PRUSIK_NOW) == -EPIPE, "for himself too");
}

static void recover(void *object)
{
	prusik_barrier_reset(&((struct box *)object)->barrier);
}

/* ---- victims ---- */

static void arrive(void *object)
{
	struct box *box = object;

	good(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER));
}

static void arrive_and_act(void *object)
{
	struct box *box = object;

	good(prusik_barrier_wait(&box->barrier, act, box, PRUSIK_FOREVER));
}

static void arrive_until(void *object)
{
	struct box *box = object;
	int64_t r = prusik_barrier_wait(&box->barrier, NULL, NULL, prusik_in_us(100));

	kill_claim(r == -ETIMEDOUT || r == -EPIPE, "it times out");
}

static void reset(void *object)
{
	prusik_barrier_reset(&((struct box *)object)->barrier);
}

static void abort_it(void *object)
{
	prusik_barrier_abort(&((struct box *)object)->barrier);
}

/* ---- what happens around the victim ---- */

static void start(int parties)
{
	while (parties-- > 0)
		kill_run->note[OTHER] = (uint32_t)kill_asleep(party, KILL_FINISHES);
}

static void one_waits(void *object)
{
	init(object);
	start(1);
}

static void two_wait(void *object)
{
	init(object);
	start(2);
}

static void one_waits_and_one_is_dead(void *object)
{
	one_waits(object);
	kill_now(kill_asleep(party, KILL_STAYS));
}

static void two_come(void *object, int times)
{
	(void)object;
	if (times == 0)
		start(2);
}

static void one_comes(void *object, int times)
{
	(void)object;
	if (times == 0)
		start(1);
}

/* As if there had been a death since it looked, that has not made it look again yet. */
static void one_stays_waiting(void *object)
{
	uint32_t *looked = &((struct box *)object)->barrier.looked;

	init(object);
	kill_run->note[OTHER] = (uint32_t)kill_asleep(party, KILL_STAYS);
	prk_store32_rlx(looked, prk_load32_rlx(looked) - 1);
}

static void it_dies_beside(void *object)
{
	(void)object;
	kill_and_bury((int)kill_run->note[OTHER]);
}

static void nothing(void *object, int times)
{
	(void)object;
	(void)times;
}

/*
 * The victim is gone. If there is no trace of it, neither its id nor a lock it held, it
 * was never there, and those who wait wait rightly: send them away. Else they must come
 * to their end by themselves.
 */
static void send_away(void *object)
{
	const struct prusik_barrier *barrier = &((struct box *)object)->barrier;
	const uint32_t *ids = (const uint32_t *)(const void *)(barrier + 1);
	uint32_t arrivals = prk_load32_acq(&barrier->arrivals);

	if (prk_load32_acq(&barrier->lock.word) == kill_run->victim_id)
		return;
	for (uint32_t i = 0; i < (arrivals & COUNT_MASK) && i < PARTIES; i++)
		if (prk_load32_acq(&ids[i]) == kill_run->victim_id)
			return;
	kill_start(resetter, KILL_FINISHES);
}

#define CASE(operation_, state_)                                                                                       \
	.noun = "barrier", .operation = operation_, .state = state_, .size = sizeof(struct box), .recover = recover,   \
	.check = usable, .killed = send_away, .is = KILL_WARM | KILL_NO_SNAPSHOT

static const struct kill_case cases[] = {
	{ CASE("wait", "last of three"), .setup = two_wait, .victim = arrive },
	{ CASE("wait", "last of three, an action"), .setup = two_wait, .victim = arrive_and_act },
	{ CASE("wait", "second of three"), .setup = one_waits, .victim = arrive, .unblock = one_comes },
	{ CASE("wait", "second of three, the first dies beside") | KILL_ENOUGH, .setup = one_stays_waiting,
	  .victim = arrive, .unblock = one_comes, .beside = it_dies_beside },
	{ CASE("wait", "first of three"), .setup = init, .victim = arrive, .unblock = two_come },
	{ CASE("wait", "one waits, one died waiting"), .setup = one_waits_and_one_is_dead, .victim = arrive },
	{ CASE("wait until", "one waits"), .setup = one_waits, .victim = arrive_until, .unblock = nothing },
	{ CASE("reset", "two wait"), .setup = two_wait, .victim = reset },
	{ CASE("abort", "two wait"), .setup = two_wait, .victim = abort_it },
};

const struct kill_table kill_barrier_table = KILL_TABLE(cases);
