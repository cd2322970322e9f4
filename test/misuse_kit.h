/* SPDX-License-Identifier: MIT */
/*
 * misuse_kit - one object of each kind, REFUSED for the calls that are to be refused, and
 * whether all of them still work
 */
#ifndef TEST_MISUSE_KIT_H
#define TEST_MISUSE_KIT_H

#include "party.h"

#include <prusik/barrier.h>
#include <prusik/cancel.h>
#include <prusik/condition.h>
#include <prusik/event.h>
#include <prusik/once.h>
#include <prusik/rlock.h>
#include <prusik/rwlock.h>
#include <prusik/semaphore.h>
#include <prusik/thread.h>

struct box {
	struct prusik_rwlock rwlock;
	struct prusik_lock lock;
	struct prusik_rlock rlock;
	struct prusik_condition condition;
	struct prusik_event event;
	struct prusik_semaphore semaphore; /* 2 of 3 */
	struct prusik_permits permits; /* 1 */
	uint32_t holder[1];
	struct prusik_barrier barrier; /* of 1 */
	uint32_t room[1];
	struct prusik_barrier pair; /* of 2 */
	uint32_t pair_room[2];
	struct prusik_once once;
	struct prusik_cancel cancel;
	int step, go;
};

/* As it was before the call; in the one party that makes it. */
static struct box kept;

/*
 * Others may be waiting at the box meanwhile; what they have stored is done, but not
 * ordered with this look at it.
 */
__attribute__((no_sanitize("thread"))) static inline void look(struct box *to, const struct box *box)
{
	const volatile unsigned char *from = (const volatile void *)box;
	volatile unsigned char *bytes = (volatile void *)to;

	for (size_t i = 0; i < sizeof *box; i++)
		bytes[i] = from[i];
}

static inline bool refused(const struct box *box, int64_t result, int64_t error, const char *call)
{
	static struct box now;

	look(&now, box);
	/* These may lie: whether anybody has read lately. */
	kept.rwlock.taken = now.rwlock.taken;
	kept.rwlock.vain = now.rwlock.vain;
	if (result != error)
		fprintf(stderr, "%s: %lld instead of %lld\n", call, (long long)result, (long long)error);
	else if (memcmp(&kept, &now, sizeof kept) != 0)
		fprintf(stderr, "%s: something has changed\n", call);
	else
		return true;
	return false;
}

#define REFUSED(error, call)                                                                                           \
	do {                                                                                                           \
		look(&kept, box);                                                                                      \
		int64_t result_ = (call);                                                                              \
		PARTY_CHECK(refused(box, result_, error, #call));                                                      \
	} while (0)

/* ---- what they do otherwise ---- */

static inline int yes(void *arg)
{
	(void)arg;
	return 1;
}

static inline int make_nothing(void *arg, int recovered)
{
	(void)arg;
	return recovered;
}

static inline int use_locks(struct box *box)
{
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_lock_locked(&box->lock) == 1 && prusik_lock_owner(&box->lock, NULL) == 1);
	PARTY_CHECK(prusik_condition_wait(&box->condition, &box->lock, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_condition_wait_for(&box->condition, &box->lock, yes, NULL, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_condition_notify(&box->condition, &box->lock, 1) == 0);
	PARTY_CHECK(prusik_condition_notify_all(&box->condition, &box->lock) == 0);
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0 && prusik_lock_locked(&box->lock) == 0);
	for (int depth = 1; depth <= 2; depth++) {
		PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW) == 0);
		PARTY_CHECK(prusik_rlock_depth(&box->rlock) == depth);
	}
	PARTY_CHECK(prusik_condition_wait_rlock(&box->condition, &box->rlock, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_condition_wait_for_rlock(&box->condition, &box->rlock, yes, NULL, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_rlock_release(&box->rlock) == 0 && prusik_rlock_locked(&box->rlock) == 1);
	PARTY_CHECK(prusik_rlock_release(&box->rlock) == 0 && prusik_rlock_locked(&box->rlock) == 0);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_rwlock_readers(&box->rwlock) == 1);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_rwlock_written(&box->rwlock) == 1);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	PARTY_CHECK(prusik_rwlock_written(&box->rwlock) == 0 && prusik_rwlock_readers(&box->rwlock) == 0);
	return 0;
}

static inline int use_counts(struct box *box)
{
	PARTY_CHECK(prusik_semaphore_value(&box->semaphore) == 2);
	PARTY_CHECK(prusik_semaphore_release(&box->semaphore, 1) == 0);
	for (int i = 0; i < 3; i++)
		PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_semaphore_acquire(&box->semaphore, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_semaphore_release(&box->semaphore, 2) == 0);
	PARTY_CHECK(prusik_permits_value(&box->permits) == 1);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_permits_release(&box->permits) == 0);
	PARTY_CHECK(prusik_barrier_wait(&box->barrier, NULL, NULL, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_barrier_parties(&box->pair) == 2 && prusik_barrier_broken(&box->pair) == 0);
	PARTY_CHECK(prusik_barrier_waiting(&box->pair) == 0);
	return 0;
}

static inline int use_flags(struct box *box)
{
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_event_set(&box->event) == 0 && prusik_event_is_set(&box->event) == 1);
	PARTY_CHECK(prusik_event_wait(&box->event, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_event_clear(&box->event) == 0 && prusik_event_is_set(&box->event) == 0);
	PARTY_CHECK(prusik_cancel_is_set(&box->cancel) == 0);
	PARTY_CHECK(prusik_cancel_set(&box->cancel) == 0 && prusik_cancel_is_set(&box->cancel) == 1);
	PARTY_CHECK(prusik_cancel_clear(&box->cancel) == 0);
	PARTY_CHECK(prusik_once_done(&box->once) == 0);
	PARTY_CHECK(prusik_once(&box->once, make_nothing, NULL, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_once_done(&box->once) == 1);
	box->once.word = 0;
	return 0;
}

static inline int all_work(struct box *box)
{
	int r = use_locks(box);

	if (r == 0)
		r = use_counts(box);
	return r ? r : use_flags(box);
}

static inline int make(struct box *box)
{
	PARTY_CHECK(prusik_semaphore_init(&box->semaphore, 2, 3) == 0);
	PARTY_CHECK(prusik_permits_init(&box->permits, 1) == 0);
	PARTY_CHECK(prusik_barrier_init(&box->barrier, 1) == 0);
	PARTY_CHECK(prusik_barrier_init(&box->pair, 2) == 0);
	return 0;
}

static inline int take_all(struct box *box, int (*enter)(struct prusik_rwlock *, int64_t))
{
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_rlock_acquire(&box->rlock, PRUSIK_NOW) == 0);
	PARTY_CHECK(enter(&box->rwlock, PRUSIK_NOW) == 0);
	PARTY_CHECK(prusik_permits_acquire(&box->permits, PRUSIK_NOW) == 0);
	return 0;
}

static inline int give_all_back(struct box *box)
{
	PARTY_CHECK(prusik_lock_release(&box->lock) == 0);
	PARTY_CHECK(prusik_rlock_release(&box->rlock) == 0);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	PARTY_CHECK(prusik_permits_release(&box->permits) == 0);
	return 0;
}

/* A list: one party makes all the calls. */
static inline void in_a_party(enum party_kind kind, party_fn *list)
{
	struct box *box = party_memory(kind, sizeof *box);

	ck_assert_int_eq(make(box), 0);
	ck_assert_int_eq(party_join(party_start(kind, list, box, 0)), 0);
	ck_assert_int_eq(all_work(box), 0);
}

#endif
