/* SPDX-License-Identifier: MIT */
/* kill: joining, leaving, standing guard */
#include "kill.h"

#include "base/sentinel.h"
#include "sync/lock.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- victims ---- */

static void join(void *object)
{
	(void)object;
	if (prk_join() < 0)
		abort();
}

static void leave(void *object)
{
	(void)object;
	prk_leave();
}

static void sweep(void *object)
{
	(void)object;
	prk_sweep();
}

static void bury(void *object)
{
	struct prk_slot *slot = prk_slot_of(kill_run->note[1]);

	(void)object;
	prk_bury(slot, slot->tag);
}

static void start_sentinel(void *object)
{
	(void)object;
	if (!prk_sentinel_start())
		abort();
}

static void open_table(void *object)
{
	(void)object;
	if (prk_life_open() < 0)
		abort();
}

static void grow(void *object)
{
	(void)object;
	if (prk_life_grow(prk_life->top) < 0)
		abort();
}

static void acquire(void *object)
{
	if (prusik_lock_acquire(object, PRUSIK_FOREVER) < 0)
		abort();
}

/* ---- beside ---- */

static bool owner(void *object)
{
	acquire(object);
	kill_run->note[1] = prk_self()->id;
	kill_await_go(UINT32_MAX);
	return true;
}

static bool waiter(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return prusik_lock_acquire(object, PRUSIK_FOREVER) >= 0 && prusik_lock_release(object) == 0;
}

/* Its sentinel stands guard before the victim comes. */
static bool late_waiter(void *object)
{
	if (prk_joined() < 0 || !prk_sentinel_start())
		return false;
	kill_await_go(1);
	return waiter(object);
}

static void an_owner(void *object)
{
	(void)object;
	kill_run->note[0] = (uint32_t)kill_asleep(owner, KILL_STAYS);
}

static void a_dead_owner(void *object)
{
	an_owner(object);
	kill_now((int)kill_run->note[0]);
}

static void an_owner_and_a_waiter(void *object)
{
	an_owner(object);
	kill_asleep(waiter, KILL_FINISHES);
}

static void an_owner_and_two_waiters(void *object)
{
	an_owner_and_a_waiter(object);
	kill_asleep(waiter, KILL_FINISHES);
}

static void owner_dies(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_now((int)kill_run->note[0]);
}

static void owner_dies_now(void *object)
{
	owner_dies(object, 0);
}

static void a_waiter(void *object)
{
	(void)object;
	kill_asleep(waiter, KILL_FINISHES);
}

static void a_late_waiter(void *object)
{
	(void)object;
	kill_run->note[0] = (uint32_t)kill_asleep(late_waiter, KILL_FINISHES);
}

static void late_waiter_waits(void *object)
{
	(void)object;
	kill_go();
	kill_settle((int)kill_run->note[0]);
}

static void late_waiter_waits_at_last(void *object, int times)
{
	(void)times;
	if (kill_run->go == 0)
		late_waiter_waits(object);
}

/* ---- checks ---- */

static uint32_t occupied(void)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < prk_life->top; i++)
		if (prk_load32_acq(&prk_life->slot[i].tag) & PRK_TAG_LIVE)
			n++;
	return n;
}

/* A newcomer can join, use a lock, and leave. */
static bool usable(void *object)
{
	struct prusik_lock *lock = object;

	return kill_claim(prk_joined() == 0, "a newcomer joins") &&
	       kill_claim(!prk_dead(prk_self()->id), "and is alive") &&
	       kill_claim(prusik_lock_acquire(lock, PRUSIK_FOREVER) >= 0, "a lock is had") &&
	       kill_claim(prusik_lock_release(lock) == 0, "and given back");
}

/* Nothing but the life table lies in the domain. */
static bool nothing_else_left(void)
{
	DIR *dir = opendir(getenv("PRUSIK_DIR"));
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n == 3; /* with . and .. */
}

static bool domain_usable(void *object)
{
	if (!usable(object))
		return false;
	prk_sweep();
	prk_sweep();
	/* Every slot that the file is said to have can be touched. */
	uint32_t last = prk_load32_acq(&prk_life->slot[prk_life->top - 1].life);
	return kill_claim(occupied() == 1, "nobody else takes part") &&
	       kill_claim(last == 0, "the table is as long as it says") &&
	       kill_claim(nothing_else_left(), "the directory holds the table alone");
}

static bool table_grows(void *object)
{
	if (!domain_usable(object))
		return false;
	uint32_t top = prk_life->top;
	return kill_claim(prk_life_grow(top) == 0 && prk_life->top == 2 * top, "the table grows") &&
	       kill_claim(prk_load32_acq(&prk_life->slot[2 * top - 1].life) == 0, "with free slots");
}

#define CASE(operation_, state_)                                                                                       \
	.noun = "life", .operation = operation_, .state = state_, .size = sizeof(struct prusik_lock), .check = usable

#define NEW_DOMAIN .is = KILL_NO_SNAPSHOT | KILL_OWN_DOMAIN | KILL_UNJOINED

static const struct kill_case life_cases[] = {
	{ CASE("join", "others about"), .is = KILL_NO_SNAPSHOT | KILL_UNJOINED, .setup = an_owner_and_a_waiter,
	  .victim = join, .unblock = owner_dies },
	{ CASE("join", "a dead one not buried yet"), .is = KILL_NO_SNAPSHOT | KILL_UNJOINED, .setup = a_dead_owner,
	  .victim = join },
	{ CASE("join", "and acquire, the waiter's sentinel is older"), .is = KILL_NO_SNAPSHOT | KILL_UNJOINED,
	  .setup = a_late_waiter, .victim = acquire, .beside = late_waiter_waits,
	  .unblock = late_waiter_waits_at_last },
	{ .noun = "life",
	  .operation = "open",
	  .state = "new domain",
	  NEW_DOMAIN,
	  .victim = open_table,
	  .check = domain_usable },
	{ .noun = "life",
	  .operation = "grow",
	  .state = "new domain",
	  .is = KILL_NO_SNAPSHOT | KILL_OWN_DOMAIN,
	  .victim = grow,
	  .check = table_grows },
	{ CASE("leave", "holding nothing"), .is = KILL_NO_SNAPSHOT, .victim = leave },
	{ CASE("leave", "holding a lock, one waits"), .is = KILL_NO_SNAPSHOT, .prepare = acquire, .ready = a_waiter,
	  .victim = leave },
	{ CASE("leave", "guarded, holding a lock, one waits"), .is = KILL_NO_SNAPSHOT | KILL_WARM, .prepare = acquire,
	  .ready = a_waiter, .victim = leave },
	{ CASE("sweep", "a dead one not buried yet"), .is = KILL_NO_SNAPSHOT, .setup = a_dead_owner, .victim = sweep },
	{ CASE("bury", "an owner, one waits"), .is = KILL_NO_SNAPSHOT | KILL_FREEZE | KILL_NO_RESUME,
	  .setup = an_owner_and_a_waiter, .ready = owner_dies_now, .victim = bury },
	{ CASE("bury", "an owner, two wait"), .is = KILL_NO_SNAPSHOT | KILL_FREEZE | KILL_NO_RESUME,
	  .setup = an_owner_and_two_waiters, .ready = owner_dies_now, .victim = bury },
	{ CASE("start sentinel", "others wait"), .is = KILL_NO_SNAPSHOT, .setup = an_owner_and_a_waiter,
	  .victim = start_sentinel, .unblock = owner_dies },
	{ CASE("sentinel", "buries an owner, one waits"), .is = KILL_NO_SNAPSHOT | KILL_SENTINEL,
	  .setup = an_owner_and_a_waiter, .unblock = owner_dies },
	{ CASE("sentinel", "buries an owner, two wait"), .is = KILL_NO_SNAPSHOT | KILL_SENTINEL,
	  .setup = an_owner_and_two_waiters, .unblock = owner_dies },
};

const struct kill_table kill_life_table = KILL_TABLE(life_cases);
