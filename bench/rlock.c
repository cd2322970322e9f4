/* SPDX-License-Identifier: MIT */
/* Recursive locks: taken once, and taken three times over. */
#include "visits.h"

#include <prusik/rlock.h>
#include <pthread.h>

static int init_prusik(void *object, uint32_t members)
{
	(void)object, (void)members; /* fresh memory is a free one */
	return 0;
}

static int init_pthread(void *object, uint32_t members)
{
	pthread_mutexattr_t attributes;

	(void)members;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	return -pthread_mutex_init(object, &attributes);
}

static int init_robust(void *object, uint32_t members)
{
	pthread_mutexattr_t attributes;

	(void)members;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	return -pthread_mutex_init(object, &attributes);
}

#define OURS ((struct prusik_rlock *)(void *)spot->object)
#define THEIRS ((pthread_mutex_t *)(void *)spot->object)

VISIT_LOOP(prusik_once, {
	bad |= prusik_rlock_acquire(OURS, PRUSIK_FOREVER);
	VISIT_RAISE();
	bad |= prusik_rlock_release(OURS);
})

VISIT_LOOP(pthread_once_in, {
	bad |= pthread_mutex_lock(THEIRS);
	VISIT_RAISE();
	bad |= pthread_mutex_unlock(THEIRS);
})

VISIT_LOOP(prusik_thrice, {
	for (int k = 0; k < 3; k++)
		bad |= prusik_rlock_acquire(OURS, PRUSIK_FOREVER);
	VISIT_RAISE();
	for (int k = 0; k < 3; k++)
		bad |= prusik_rlock_release(OURS);
})

VISIT_LOOP(pthread_thrice, {
	for (int k = 0; k < 3; k++)
		bad |= pthread_mutex_lock(THEIRS);
	VISIT_RAISE();
	for (int k = 0; k < 3; k++)
		bad |= pthread_mutex_unlock(THEIRS);
})

static const struct bench_subject once[] = {
	VISIT_SUBJECT("prusik", 1, init_prusik, prusik_once),
	VISIT_SUBJECT("pthread-recursive", 0, init_pthread, pthread_once_in),
	VISIT_SUBJECT("pthread-robust", 0, init_robust, pthread_once_in),
	{ .name = NULL },
};

static const struct bench_subject thrice[] = {
	VISIT_SUBJECT("prusik", 1, init_prusik, prusik_thrice),
	VISIT_SUBJECT("pthread-recursive", 0, init_pthread, pthread_thrice),
	VISIT_SUBJECT("pthread-robust", 0, init_robust, pthread_thrice),
	{ .name = NULL },
};

#define ALONE .unit = "ns/visit", .counted = 1, VISIT_SHAPE(1, 0)
#define TOGETHER .unit = "visits/s", .higher_is_better = 1

const struct bench_workload bench_rlock[] = {
	{ .name = "rlock-uncontended", ALONE, .subjects = once },
	{ .name = "rlock-uncontended-3deep", ALONE, .subjects = thrice },
	{ .name = "rlock-2processes", TOGETHER, VISIT_SHAPE(2, 0), .subjects = once },
	{ .name = "rlock-2threads", TOGETHER, VISIT_SHAPE(2, 1), .subjects = once },
	{ .name = "rlock-8threads", TOGETHER, VISIT_SHAPE(8, 1), .subjects = once },
	{ .name = NULL },
};
