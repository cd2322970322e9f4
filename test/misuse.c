/* SPDX-License-Identifier: MIT */
/*
 * Everything that the headers of locks and their like call an error, as lists: in a state,
 * REFUSED(what it says, call) - it says so, and not a byte has changed, of this object or
 * of the others. At the end of each list all of them work as before. In both forms,
 * private memory with threads and shared memory with processes. (misuse_waits.c: while
 * others wait, and with deadlines that have passed; misuse_thread.c: threads and timers.)
 */
#include "misuse_kit.h"

/* ---- no object, or not where one can be ---- */

static int misplaced_locks(struct box *box, void *o)
{
	REFUSED(-EINVAL, prusik_lock_acquire(o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_lock_release(o));
	REFUSED(-EINVAL, prusik_lock_locked(o));
	REFUSED(-EINVAL, prusik_lock_owner(o, NULL));
	REFUSED(-EINVAL, prusik_rlock_acquire(o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_rlock_release(o));
	REFUSED(-EINVAL, prusik_rlock_locked(o));
	REFUSED(-EINVAL, prusik_rlock_depth(o));
	REFUSED(-EINVAL, prusik_rlock_owner(o, NULL));
	REFUSED(-EINVAL, prusik_rwlock_read(o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_rwlock_write(o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_rwlock_release(o));
	REFUSED(-EINVAL, prusik_rwlock_readers(o));
	REFUSED(-EINVAL, prusik_rwlock_written(o));
	return 0;
}

/* The condition, or the lock that goes with it. */
static int misplaced_conditions(struct box *box, void *o)
{
	struct prusik_condition *condition = &box->condition;
	struct prusik_lock *lock = &box->lock;
	struct prusik_rlock *rlock = &box->rlock;

	REFUSED(-EINVAL, prusik_condition_wait(o, lock, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait(condition, o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait_for(o, lock, yes, NULL, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait_for(condition, o, yes, NULL, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait_rlock(o, rlock, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait_rlock(condition, o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait_for_rlock(o, rlock, yes, NULL, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait_for_rlock(condition, o, yes, NULL, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_notify(o, lock, 1));
	REFUSED(-EINVAL, prusik_condition_notify(condition, o, 1));
	REFUSED(-EINVAL, prusik_condition_notify_all(o, lock));
	REFUSED(-EINVAL, prusik_condition_notify_all(condition, o));
	return 0;
}

static int misplaced_counts(struct box *box, void *o)
{
	REFUSED(-EINVAL, prusik_semaphore_init(o, 1, 1));
	REFUSED(-EINVAL, prusik_semaphore_acquire(o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_semaphore_release(o, 1));
	REFUSED(-EINVAL, prusik_semaphore_value(o));
	REFUSED(-EINVAL, prusik_permits_init(o, 1));
	REFUSED(-EINVAL, prusik_permits_acquire(o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_permits_release(o));
	REFUSED(-EINVAL, prusik_permits_value(o));
	REFUSED(-EINVAL, prusik_barrier_init(o, 1));
	REFUSED(-EINVAL, prusik_barrier_wait(o, NULL, NULL, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_barrier_reset(o));
	REFUSED(-EINVAL, prusik_barrier_abort(o));
	REFUSED(-EINVAL, prusik_barrier_parties(o));
	REFUSED(-EINVAL, prusik_barrier_waiting(o));
	REFUSED(-EINVAL, prusik_barrier_broken(o));
	return 0;
}

static int misplaced_flags(struct box *box, void *o)
{
	REFUSED(-EINVAL, prusik_event_set(o));
	REFUSED(-EINVAL, prusik_event_clear(o));
	REFUSED(-EINVAL, prusik_event_is_set(o));
	REFUSED(-EINVAL, prusik_event_wait(o, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_once(o, make_nothing, NULL, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_once_done(o));
	REFUSED(-EINVAL, prusik_cancel_set(o));
	REFUSED(-EINVAL, prusik_cancel_clear(o));
	REFUSED(-EINVAL, prusik_cancel_is_set(o));
	/* Not an error that could be told: the thread heeds none. */
	PARTY_CHECK(prusik_cancel_use(&box->cancel) == NULL);
	REFUSED(0, prusik_cancel_use(o) != &box->cancel);
	REFUSED(0, prusik_cancel_use(NULL) != NULL);
	return 0;
}

static int make_misplaced_calls(void *shared, int index)
{
	struct box *box = shared;
	int r = 0;

	(void)index;
	for (int askew = 0; r == 0 && askew < 4; askew++) {
		void *o = askew ? (char *)shared + askew : NULL;
		r = misplaced_locks(box, o);
		if (r == 0)
			r = misplaced_conditions(box, o);
		if (r == 0)
			r = misplaced_counts(box, o);
		if (r == 0)
			r = misplaced_flags(box, o);
	}
	return r;
}

static void misplaced(enum party_kind kind)
{
	in_a_party(kind, make_misplaced_calls);
}
BOTH(misplaced)

/* ---- what nobody holds ---- */

static int use_free_ones(void *shared, int index)
{
	struct box *box = shared;
	struct prusik_condition *condition = &box->condition;

	(void)index;
	for (int joined = 0; joined < 2; joined++) {
		REFUSED(-EPERM, prusik_lock_release(&box->lock));
		REFUSED(-EPERM, prusik_rlock_release(&box->rlock));
		REFUSED(-EPERM, prusik_rwlock_release(&box->rwlock));
		REFUSED(-EPERM, prusik_permits_release(&box->permits));
		REFUSED(-EPERM, prusik_condition_wait(condition, &box->lock, PRUSIK_FOREVER));
		REFUSED(-EPERM, prusik_condition_wait_for(condition, &box->lock, yes, NULL, PRUSIK_FOREVER));
		REFUSED(-EPERM, prusik_condition_wait_rlock(condition, &box->rlock, PRUSIK_FOREVER));
		REFUSED(-EPERM, prusik_condition_wait_for_rlock(condition, &box->rlock, yes, NULL, PRUSIK_FOREVER));
		REFUSED(-EPERM, prusik_condition_notify(condition, &box->lock, 1));
		REFUSED(-EPERM, prusik_condition_notify(condition, &box->rlock.lock, 0));
		REFUSED(-EPERM, prusik_condition_notify_all(condition, &box->lock));
		PARTY_CHECK(all_work(box) == 0); /* from now on it takes part */
	}
	return 0;
}

static void free_ones(enum party_kind kind)
{
	in_a_party(kind, use_free_ones);
}
BOTH(free_ones)

/* ---- what the caller holds ---- */

static int use_my_own(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(take_all(box, prusik_rwlock_write) == 0);
	REFUSED(-EDEADLK, prusik_lock_acquire(&box->lock, PRUSIK_FOREVER));
	REFUSED(-EDEADLK, prusik_lock_acquire(&box->lock, PRUSIK_NOW));
	REFUSED(-EDEADLK, prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER));
	REFUSED(-EDEADLK, prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait_for(&box->condition, &box->lock, NULL, NULL, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_condition_wait_for_rlock(&box->condition, &box->rlock, NULL, NULL, PRUSIK_FOREVER));
	PARTY_CHECK(give_all_back(box) == 0);
	PARTY_CHECK(take_all(box, prusik_rwlock_read) == 0);
	REFUSED(-EDEADLK, prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER));
	REFUSED(-EDEADLK, prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER));
	REFUSED(-EDEADLK, prusik_rwlock_write(&box->rwlock, PRUSIK_NOW));
	return give_all_back(box);
}

static void my_own(enum party_kind kind)
{
	in_a_party(kind, use_my_own);
}
BOTH(my_own)

/* ---- what another holds, living or dead ---- */

/* index: 0 writes, 1 reads; 2: it ends holding all. */
static int hold_all(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(take_all(box, index == 1 ? prusik_rwlock_read : prusik_rwlock_write) == 0);
	if (index == 2)
		return 0;
	party_say(&box->step, 1);
	party_await(&box->go, 1);
	return give_all_back(box);
}

static int use_anothers(void *shared, int index)
{
	struct box *box = shared;
	struct prusik_condition *condition = &box->condition;

	(void)index;
	PARTY_CHECK(prk_joined() == 0);
	REFUSED(-EPERM, prusik_rlock_release(&box->rlock));
	REFUSED(0, prusik_rlock_depth(&box->rlock));
	REFUSED(-EPERM, prusik_rwlock_release(&box->rwlock));
	REFUSED(-EPERM, prusik_permits_release(&box->permits));
	REFUSED(-EPERM, prusik_condition_wait(condition, &box->lock, PRUSIK_FOREVER));
	REFUSED(-EPERM, prusik_condition_wait_for(condition, &box->lock, yes, NULL, PRUSIK_FOREVER));
	REFUSED(-EPERM, prusik_condition_wait_rlock(condition, &box->rlock, PRUSIK_FOREVER));
	REFUSED(-EPERM, prusik_condition_wait_for_rlock(condition, &box->rlock, yes, NULL, PRUSIK_FOREVER));
	REFUSED(-EPERM, prusik_condition_notify(condition, &box->lock, 1));
	REFUSED(-EPERM, prusik_condition_notify_all(condition, &box->rlock.lock));
	return 0;
}

static void anothers(enum party_kind kind)
{
	for (int reads = 0; reads < 2; reads++) {
		struct box *box = party_memory(kind, sizeof *box);
		ck_assert_int_eq(make(box), 0);
		struct party *holder = party_start(kind, hold_all, box, reads);
		party_await(&box->step, 1);
		ck_assert_int_eq(party_join(party_start(kind, use_anothers, box, 0)), 0);
		party_say(&box->go, 1);
		ck_assert_int_eq(party_join(holder), 0);
		ck_assert_int_eq(all_work(box), 0);
	}
}
BOTH(anothers)

/* The next one is told all the same. */
static int use_the_deads(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(use_anothers(box, 0) == 0);
	REFUSED(-EPERM, prusik_lock_release(&box->lock));
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_NOW) == PRUSIK_RECOVERED);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW) == PRUSIK_RECOVERED);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) == PRUSIK_RECOVERED);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_NOW) == PRUSIK_RECOVERED);
	return give_all_back(box);
}

static void the_deads(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(make(box), 0);
	ck_assert_int_eq(party_join(party_start(kind, hold_all, box, 2)), 0);
	ck_assert_int_eq(party_join(party_start(kind, use_the_deads, box, 0)), 0);
	ck_assert_int_eq(all_work(box), 0);
}
BOTH(the_deads)

/* ---- counts that cannot be ---- */

static int count_wrongly(void *shared, int index)
{
	struct box *box = shared;
	uint32_t negative = (uint32_t)-1;

	(void)index;
	REFUSED(-EINVAL, prusik_semaphore_init(&box->semaphore, 2, 1));
	REFUSED(-EINVAL, prusik_semaphore_init(&box->semaphore, negative, 0));
	REFUSED(-EINVAL, prusik_semaphore_init(&box->semaphore, 0, negative));
	REFUSED(-EINVAL, prusik_semaphore_init(&box->semaphore, PRUSIK_SEMAPHORE_MAX + 1, 0));
	REFUSED(-EINVAL, prusik_semaphore_init(&box->semaphore, 0, PRUSIK_SEMAPHORE_MAX + 1));
	REFUSED(-EINVAL, prusik_semaphore_release(&box->semaphore, 0));
	REFUSED(-EOVERFLOW, prusik_semaphore_release(&box->semaphore, 2));
	REFUSED(-EOVERFLOW, prusik_semaphore_release(&box->semaphore, negative));
	REFUSED(0, (int64_t)prusik_permits_size(0));
	REFUSED(0, (int64_t)prusik_permits_size(PRUSIK_PERMITS_MAX + 1));
	REFUSED(-EINVAL, prusik_permits_init(&box->permits, 0));
	REFUSED(-EINVAL, prusik_permits_init(&box->permits, PRUSIK_PERMITS_MAX + 1));
	REFUSED(-EINVAL, prusik_permits_init(&box->permits, negative));
	REFUSED(0, (int64_t)prusik_barrier_size(0));
	REFUSED(0, (int64_t)prusik_barrier_size(PRUSIK_BARRIER_PARTIES_MAX + 1));
	REFUSED(-EINVAL, prusik_barrier_init(&box->barrier, 0));
	REFUSED(-EINVAL, prusik_barrier_init(&box->barrier, PRUSIK_BARRIER_PARTIES_MAX + 1));
	REFUSED(-EINVAL, prusik_barrier_init(&box->barrier, negative));
	return 0;
}

static void wrong_counts(enum party_kind kind)
{
	in_a_party(kind, count_wrongly);
}
BOTH(wrong_counts)

static int count_too_far(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_semaphore_init(&box->semaphore, PRUSIK_SEMAPHORE_MAX, 0) == 0);
	REFUSED(-EOVERFLOW, prusik_semaphore_release(&box->semaphore, 1));
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_semaphore_release(&box->semaphore, 1) == 0);
	PARTY_CHECK(prusik_semaphore_init(&box->semaphore, 2, 3) == 0);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW) == 0);
	box->rlock.depth = UINT32_MAX;
	REFUSED(-EOVERFLOW, prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER));
	PARTY_CHECK(prusik_rlock_release(&box->rlock) == 0);
	PARTY_CHECK(prusik_rlock_depth(&box->rlock) == UINT32_MAX - 1);
	box->rlock.depth = 1;
	return prusik_rlock_release(&box->rlock);
}

static void overflows(enum party_kind kind)
{
	in_a_party(kind, count_too_far);
}
BOTH(overflows)

/* ---- what nobody has made ---- */

static int use_zeros(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	memset(&box->permits, 0, sizeof box->permits);
	memset(&box->barrier, 0, sizeof box->barrier);
	REFUSED(-EINVAL, prusik_permits_acquire(&box->permits, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_permits_release(&box->permits));
	REFUSED(-EINVAL, prusik_permits_value(&box->permits));
	REFUSED(-EINVAL, prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER));
	REFUSED(-EINVAL, prusik_barrier_reset(&box->barrier));
	REFUSED(-EINVAL, prusik_barrier_abort(&box->barrier));
	REFUSED(-EINVAL, prusik_barrier_parties(&box->barrier));
	REFUSED(-EINVAL, prusik_barrier_waiting(&box->barrier));
	REFUSED(-EINVAL, prusik_barrier_broken(&box->barrier));
	REFUSED(-EINVAL, prusik_once(&box->once, NULL, NULL, PRUSIK_FOREVER));
	return make(box);
}

static void not_initialised(enum party_kind kind)
{
	in_a_party(kind, use_zeros);
}
BOTH(not_initialised)

/* ---- from within itself ---- */

static int act(void *arg)
{
	struct box *box = arg;

	REFUSED(-EDEADLK, prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_FOREVER));
	REFUSED(-EDEADLK, prusik_barrier_wait(&box->barrier, act, box, PRUSIK_NOW));
	party_say(&box->step, 1);
	return 0;
}

static int make_itself(void *arg, int recovered)
{
	struct box *box = arg;

	PARTY_CHECK(!recovered);
	REFUSED(-EDEADLK, prusik_once(&box->once, make_itself, box, PRUSIK_FOREVER));
	REFUSED(-EDEADLK, prusik_once(&box->once, make_nothing, box, PRUSIK_NOW));
	REFUSED(0, prusik_once_done(&box->once));
	party_say(&box->step, 2);
	return 0;
}

static int call_from_within(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_barrier_wait(&box->barrier, act, box, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(box->step == 1);
	PARTY_CHECK(prusik_once(&box->once, make_itself, box, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(box->step == 2 && prusik_once_done(&box->once) == 1);
	box->once.word = 0;
	return 0;
}

static void within_itself(enum party_kind kind)
{
	in_a_party(kind, call_from_within);
}
BOTH(within_itself)
