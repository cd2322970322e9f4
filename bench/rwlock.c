/* SPDX-License-Identifier: MIT */
/*
 * Readers and writers: reading alone, writing alone, all reading together, and one
 * visit of 16 writing. std::shared_mutex is a pthread_rwlock_t where we come from.
 */
#include "visits.h"

#include <prusik/rwlock.h>
#include <pthread.h>

static int init_prusik(void *object, uint32_t members)
{
	(void)object, (void)members; /* fresh memory is a free one */
	return 0;
}

static int init_rwlock(void *object, int kind)
{
	pthread_rwlockattr_t attributes;

	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_rwlockattr_setkind_np(&attributes, kind);
	return -pthread_rwlock_init(object, &attributes);
}

static int init_readers_first(void *object, uint32_t members)
{
	(void)members;
	return init_rwlock(object, PTHREAD_RWLOCK_PREFER_READER_NP);
}

static int init_writers_first(void *object, uint32_t members)
{
	(void)members;
	return init_rwlock(object, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
}

#define OURS ((struct prusik_rwlock *)(void *)spot->object)
#define THEIRS ((pthread_rwlock_t *)(void *)spot->object)

VISIT_LOOP(prusik_read, {
	bad |= prusik_rwlock_read(OURS, PRUSIK_FOREVER);
	bad |= prusik_rwlock_release(OURS);
})

VISIT_LOOP(pthread_read, {
	bad |= pthread_rwlock_rdlock(THEIRS);
	bad |= pthread_rwlock_unlock(THEIRS);
})

VISIT_LOOP(prusik_write, {
	bad |= prusik_rwlock_write(OURS, PRUSIK_FOREVER);
	VISIT_RAISE();
	bad |= prusik_rwlock_release(OURS);
})

VISIT_LOOP(pthread_write, {
	bad |= pthread_rwlock_wrlock(THEIRS);
	VISIT_RAISE();
	bad |= pthread_rwlock_unlock(THEIRS);
})

VISIT_LOOP(prusik_mixed, {
	if (i == 0) {
		bad |= prusik_rwlock_write(OURS, PRUSIK_FOREVER);
		VISIT_RAISE();
	} else {
		bad |= prusik_rwlock_read(OURS, PRUSIK_FOREVER);
	}
	bad |= prusik_rwlock_release(OURS);
})

VISIT_LOOP(pthread_mixed, {
	if (i == 0) {
		bad |= pthread_rwlock_wrlock(THEIRS);
		VISIT_RAISE();
	} else {
		bad |= pthread_rwlock_rdlock(THEIRS);
	}
	bad |= pthread_rwlock_unlock(THEIRS);
})

#define SUBJECTS(table, what)                                                                     \
	static const struct bench_subject table[] = {                                             \
		VISIT_SUBJECT("prusik", 1, init_prusik, prusik_##what),                           \
		VISIT_SUBJECT("pthread", 0, init_readers_first, pthread_##what),                  \
		VISIT_SUBJECT("pthread-writer", 0, init_writers_first, pthread_##what),           \
		{ .name = NULL },                                                                 \
	}

SUBJECTS(reading, read);
SUBJECTS(writing, write);
SUBJECTS(mixed, mixed);

#define ALONE .unit = "ns/visit", .counted = 1, VISIT_SHAPE(1, 0)
#define TOGETHER .unit = "visits/s", .higher_is_better = 1

const struct bench_workload bench_rwlock[] = {
	{ .name = "rwlock-read-uncontended", ALONE, .subjects = reading },
	{ .name = "rwlock-write-uncontended", ALONE, .subjects = writing },
	{ .name = "rwlock-read-2processes", TOGETHER, VISIT_SHAPE(2, 0), .subjects = reading },
	{ .name = "rwlock-read-2threads", TOGETHER, VISIT_SHAPE(2, 1), .subjects = reading },
	{ .name = "rwlock-read-8threads", TOGETHER, VISIT_SHAPE(8, 1), .subjects = reading },
	{ .name = "rwlock-mixed-2processes", TOGETHER, VISIT_SHAPE(2, 0), .subjects = mixed },
	{ .name = "rwlock-mixed-2threads", TOGETHER, VISIT_SHAPE(2, 1), .subjects = mixed },
	{ .name = "rwlock-mixed-8threads", TOGETHER, VISIT_SHAPE(8, 1), .subjects = mixed },
	{ .name = NULL },
};
