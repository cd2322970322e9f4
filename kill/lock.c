/* SPDX-License-Identifier: MIT */
/* kill: lock */
#include "kill.h"

#include "base/sentinel.h"
#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* What two locks protect: nobody but the holder is inside. */
struct box {
	struct prusik_lock a, b;
	uint32_t inside_a, inside_b;
};

/* What others sleep for, in kill_run->note. */
enum { OWNER, OWNER_ID, NOTES };

/* ---- going in and out ---- */

static bool went_in(int r, uint32_t *inside)
{
	bool ok = kill_claim(r >= 0, "acquire succeeds") &&
		  kill_claim(r == PRUSIK_RECOVERED || prk_load32_rlx(inside) == 0,
			     "nobody else is inside, or died there and we were told");

	prk_store32_rlx(inside, 1);
	return ok;
}

static bool pass_through(struct prusik_lock *lock, uint32_t *inside)
{
	bool ok = went_in(prusik_lock_acquire(lock, PRUSIK_FOREVER), inside);

	prk_store32_rlx(inside, 0);
	return ok && kill_claim(prusik_lock_release(lock) == 0, "release succeeds");
}

static bool waiter_a(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	return pass_through(&box->a, &box->inside_a);
}

static bool waiter_b(void *object)
{
	struct box *box = object;

	if (prk_joined() < 0)
		return false;
	kill_hello();
	return pass_through(&box->b, &box->inside_b);
}

/* Hold a until told to go on. */
static bool owner_a(void *object)
{
	struct box *box = object;
	bool ok = went_in(prusik_lock_acquire(&box->a, PRUSIK_FOREVER), &box->inside_a);

	kill_await_go(1);
	prk_store32_rlx(&box->inside_a, 0);
	return prusik_lock_release(&box->a) == 0 && ok;
}

static bool owner_ab(void *object)
{
	struct box *box = object;

	if (prusik_lock_acquire(&box->a, PRUSIK_FOREVER) != 0 || prusik_lock_acquire(&box->b, PRUSIK_FOREVER) != 0)
		return false;
	box->inside_a = box->inside_b = 1;
	kill_await_go(UINT32_MAX);
	return true;
}

/* ---- checks ---- */

/* What a lone newcomer finds: told of a dead holder once, then a lock like any other. */
static bool usable(struct prusik_lock *lock, uint32_t *inside)
{
	bool held = (prk_load32_rlx(&lock->word) & PRK_ID_MASK) != 0;
	int r = prusik_lock_acquire(lock, PRUSIK_FOREVER);

	return kill_claim(r == (held ? PRUSIK_RECOVERED : 0), "a dead holder is told of, and only then") &&
	       went_in(r, inside) && kill_claim(prusik_lock_acquire(lock, PRUSIK_FOREVER) == -EDEADLK, "it is ours") &&
	       kill_claim(prusik_lock_release(lock) == 0, "we give it back") &&
	       kill_claim(prusik_lock_acquire(lock, PRUSIK_NOW) == 0, "it was given back") &&
	       kill_claim(prusik_lock_release(lock) == 0, "and again") &&
	       kill_claim(prusik_lock_release(lock) == -EPERM, "it is free");
}

static bool both_usable(void *object)
{
	struct box *box = object;

	return usable(&box->a, &box->inside_a) && usable(&box->b, &box->inside_b);
}

static void recover(void *object)
{
	struct box *box = object;
	int r = prusik_lock_acquire(&box->a, PRUSIK_NOW);

	if (r < 0)
		return;
	box->inside_a = 0;
	prusik_lock_release(&box->a);
}

/* ---- victims ---- */

static void acquire(void *object)
{
	struct box *box = object;

	went_in(prusik_lock_acquire(&box->a, PRUSIK_FOREVER), &box->inside_a);
}

/* The whole visit: what a woken waiter owes those behind it is paid at the release. */
static void visit(void *object)
{
	struct box *box = object;

	pass_through(&box->a, &box->inside_a);
}

static void try(void *object)
{
	struct box *box = object;
	int r = prusik_lock_acquire(&box->a, PRUSIK_NOW);

	if (r >= 0)
		went_in(r, &box->inside_a);
}

static void give_up(void *object)
{
	struct box *box = object;
	int r = prusik_lock_acquire(&box->a, prusik_in_us(100));

	if (r >= 0)
		went_in(r, &box->inside_a);
}

/* Time enough to be passed over before. */
static void give_up_later(void *object)
{
	struct box *box = object;
	int r = prusik_lock_acquire(&box->a, prusik_in_ms(15));

	if (r >= 0)
		went_in(r, &box->inside_a);
}

static void hold(void *object)
{
	struct box *box = object;

	went_in(prusik_lock_acquire(&box->a, PRUSIK_FOREVER), &box->inside_a);
}

static void release(void *object)
{
	struct box *box = object;

	box->inside_a = 0;
	prusik_lock_release(&box->a);
}

/* ---- what happens around the victim ---- */

static void an_owner(void *object)
{
	(void)object;
	kill_run->note[OWNER] = (uint32_t)kill_asleep(owner_a, KILL_FINISHES);
}

static void a_staying_owner(void *object)
{
	(void)object;
	kill_run->note[OWNER] = (uint32_t)kill_asleep(owner_a, KILL_STAYS);
}

static void an_owner_of_two(void *object)
{
	(void)object;
	kill_run->note[OWNER] = (uint32_t)kill_asleep(owner_ab, KILL_STAYS);
}

static void an_owner_and_a_waiter(void *object)
{
	an_owner(object);
	kill_asleep(waiter_a, KILL_FINISHES);
}

static void a_dead_owner(void *object)
{
	a_staying_owner(object);
	kill_now((int)kill_run->note[OWNER]);
}

static void owner_lets_go(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_go();
}

static void owner_lets_go_with_one_behind(void *object, int times)
{
	if (times == 0)
		kill_asleep(waiter_a, KILL_FINISHES);
	owner_lets_go(object, times);
}

static void owner_is_killed(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_now((int)kill_run->note[OWNER]);
}

static void owner_is_killed_with_one_behind(void *object, int times)
{
	if (times == 0)
		kill_asleep(waiter_a, KILL_FINISHES);
	owner_is_killed(object, times);
}

static void owner_of_two_is_killed(void *object, int times)
{
	if (times == 0)
		kill_asleep(waiter_b, KILL_FINISHES);
	owner_is_killed(object, times);
}

static void owner_leaves_beside(void *object)
{
	(void)object;
	kill_go();
	kill_settle((int)kill_run->note[OWNER]);
}

static void owner_dies_beside(void *object)
{
	(void)object;
	kill_and_bury((int)kill_run->note[OWNER]);
}

static void a_waiter(void *object)
{
	(void)object;
	kill_asleep(waiter_a, KILL_FINISHES);
}

/* As if the lock had been freed and taken again by another, more than 1 ms after they came. */
static void pass_over(struct box *box, int sleepers)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	prk_wake(&box->a.word, sleepers);
}

/* The first time it is passed over, so it is promised the lock; then it is freed. */
static void it_is_passed_over_first(void *object, int times)
{
	if (times == 0)
		pass_over(object, 1);
	if (times == 1)
		kill_asleep(waiter_a, KILL_FINISHES);
	if (times > 0)
		kill_go();
}

static void it_is_passed_over_first_the_owner_dies(void *object, int times)
{
	if (times == 0)
		pass_over(object, 1);
	if (times == 1)
		owner_is_killed_with_one_behind(object, 0);
}

/* Should it not have come so far as to sleep twice. */
static void owner_lets_go_now(void *object)
{
	(void)object;
	kill_go();
}

static void it_is_passed_over(void *object, int times)
{
	if (times == 0)
		pass_over(object, 1);
}

/* One of two sleepers is promised the lock. */
static void a_waiter_passed_over(void *object)
{
	int first = kill_asleep(waiter_a, KILL_FINISHES);

	a_waiter(object);
	pass_over(object, 1);
	kill_settle(first);
}

static void a_dead_one_passed_over(void *object)
{
	int dead = kill_asleep(waiter_a, KILL_STAYS);

	pass_over(object, 1);
	kill_settle(dead);
	kill_now(dead);
	a_waiter(object);
}

/* The lock is free, and promised to a dead one. */
static void a_dead_promise(void *object)
{
	struct box *box = object;

	box->a.word = UINT32_C(0xc0000000);
	box->a.next = PRK_ID_MASK;
}

/*
 * Whoever buries the dead owner has raised the epoch, and rests before he clears LIVE (B4);
 * beside the victim he goes on, and a newcomer takes the slot. One who looks at the
 * owner meanwhile must not take the old tag and the new life together for a living one:
 * he would sleep, and no death is to come.
 */
static void a_dead_owner_half_buried(void *object)
{
	struct box *box = object;

	a_dead_owner(object);
	kill_run->note[OWNER_ID] = box->a.word & PRK_ID_MASK;
	prk_raise_epoch();
}

static bool guest(void *unused)
{
	(void)unused;
	if (prk_joined() < 0)
		return false;
	kill_await_go(UINT32_MAX);
	return true;
}

static void his_slot_is_taken(void *object)
{
	uint32_t id = kill_run->note[OWNER_ID];
	struct prk_slot *slot = prk_slot_of(id);

	(void)object;
	prk_store32_rel(&slot->tag, (slot->tag & ~PRK_TAG_LIVE) + 2);
	prk_store32_rlx(&prk_life->cursor, (id & PRK_SLOT_MASK) - 1);
	kill_asleep(guest, KILL_STAYS);
}

static void two_waiters(void *object)
{
	a_waiter(object);
	a_waiter(object);
}

/* Its sentinel stands guard long before it waits; the victim is newer. */
static bool late_waiter(void *object)
{
	if (prk_joined() < 0 || !prk_sentinel_start())
		return false;
	kill_await_go(1);
	return waiter_a(object);
}

static void a_late_waiter(void *object)
{
	(void)object;
	kill_run->note[OWNER] = (uint32_t)kill_asleep(late_waiter, KILL_FINISHES);
}

static void late_waiter_waits(void *object)
{
	(void)object;
	kill_go();
	kill_settle((int)kill_run->note[OWNER]);
}

static void nothing(void *object, int times)
{
	(void)object;
	(void)times;
}

#define CASE(operation_, state_)                                                                                       \
	.noun = "lock", .operation = operation_, .state = state_, .size = sizeof(struct box), .recover = recover,      \
	.check = both_usable

static const struct kill_case lock_cases[] = {
	{ CASE("acquire", "free"), .victim = acquire, .beside = a_waiter },
	{ CASE("acquire", "held by a dead one"), .setup = a_dead_owner, .victim = acquire, .beside = a_waiter },
	{ CASE("acquire", "held by a dead one, half buried"), .is = KILL_NO_SNAPSHOT | KILL_NO_ALL,
	  .setup = a_dead_owner_half_buried, .victim = acquire, .beside = his_slot_is_taken },
	{ CASE("acquire", "held"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = an_owner, .victim = acquire,
	  .unblock = owner_lets_go, .beside = owner_leaves_beside },
	{ CASE("acquire", "held, no sentinel yet"), .is = KILL_NO_SNAPSHOT, .setup = an_owner, .victim = acquire,
	  .unblock = owner_lets_go },
	{ CASE("acquire", "held, its owner dies"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = a_staying_owner,
	  .victim = acquire, .unblock = owner_is_killed, .beside = owner_dies_beside },
	{ CASE("visit", "free"), .victim = visit, .beside = a_waiter },
	{ CASE("visit", "one waits before it"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = an_owner_and_a_waiter,
	  .victim = visit, .unblock = owner_lets_go, .beside = owner_leaves_beside },
	{ CASE("visit", "one waits behind it"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = an_owner, .victim = visit,
	  .unblock = owner_lets_go_with_one_behind, .beside = owner_leaves_beside },
	{ CASE("visit", "one waits behind it, the owner dies"), .is = KILL_WARM | KILL_NO_SNAPSHOT,
	  .setup = a_staying_owner, .victim = visit, .unblock = owner_is_killed_with_one_behind,
	  .beside = owner_dies_beside },
	{ CASE("visit", "owner of two dies, one waits for b"), .is = KILL_WARM | KILL_NO_SNAPSHOT,
	  .setup = an_owner_of_two, .victim = visit, .unblock = owner_of_two_is_killed },
	{ CASE("try", "free"), .victim = try, .beside = a_waiter },
	{ CASE("try", "held by a dead one"), .setup = a_dead_owner, .victim = try, .beside = a_waiter },
	{ CASE("try", "held"), .is = KILL_NO_SNAPSHOT, .setup = an_owner, .victim = try, .unblock = owner_lets_go,
	  .beside = owner_leaves_beside },
	{ CASE("acquire until", "held beyond the deadline"), .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL,
	  .setup = a_staying_owner, .victim = give_up, .unblock = nothing, .killed = owner_dies_beside },
	{ CASE("visit", "held, it is passed over, one behind"), .is = KILL_WARM | KILL_NO_SNAPSHOT, .setup = an_owner,
	  .victim = visit, .unblock = it_is_passed_over_first, .killed = owner_lets_go_now },
	{ CASE("visit", "held, it is passed over, the owner dies"), .is = KILL_WARM | KILL_NO_SNAPSHOT,
	  .setup = a_staying_owner, .victim = visit, .unblock = it_is_passed_over_first_the_owner_dies,
	  .killed = owner_dies_beside },
	{ CASE("acquire until", "held beyond the deadline, it is passed over"),
	  .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL, .setup = an_owner, .victim = give_up_later,
	  .unblock = it_is_passed_over, .killed = owner_lets_go_now },
	{ CASE("visit", "promised to a dead one"), .setup = a_dead_promise, .victim = visit, .beside = a_waiter },
	{ CASE("try", "promised to a dead one"), .setup = a_dead_promise, .victim = try },
	{ CASE("release", "one of two was passed over"), .is = KILL_NO_SNAPSHOT, .prepare = hold,
	  .ready = a_waiter_passed_over, .victim = release },
	/* No copies: on a busy machine the one who waits is promised the lock by then, not the copy. */
	{ CASE("release", "one was passed over and died, one waits"), .is = KILL_NO_SNAPSHOT, .prepare = hold,
	  .ready = a_dead_one_passed_over, .victim = release },
	{ CASE("release", "nobody waits"), .prepare = hold, .victim = release, .beside = a_waiter },
	{ CASE("release", "one waits"), .prepare = hold, .ready = a_waiter, .victim = release },
	{ CASE("release", "two wait"), .prepare = hold, .ready = two_waiters, .victim = release },
	{ CASE("release", "one waits whose sentinel is older"), .setup = a_late_waiter, .prepare = hold,
	  .ready = late_waiter_waits, .victim = release },
	{ CASE("release", "of another's"), .is = KILL_NO_SNAPSHOT, .setup = a_staying_owner, .victim = release,
	  .beside = a_waiter, .killed = owner_dies_beside },
};

const struct kill_table kill_lock_table = KILL_TABLE(lock_cases);
