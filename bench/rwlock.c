/* SPDX-License-Identifier: MIT */
/*
 * Readers and writers: reading alone, writing alone, all reading together, and one
 * visit of 16 writing. std::shared_mutex is a pthread_rwlock_t in libstdc++. It and nsync_mu
 * are for threads.
 */
#include "peer_std.h"
#include "visits.h"

#include <prusik/rwlock.h>
#include <pthread.h>
#ifdef BENCH_NSYNC
#include <nsync.h>
#endif

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

#ifdef BENCH_NSYNC
#define NSYNC(what) VISIT_SUBJECT("nsync", 0, init_prusik, nsync_##what),
#define NSYNC_MU ((nsync_mu *)(void *)spot->object)

VISIT_LOOP(nsync_read, {
	nsync_mu_rlock(NSYNC_MU);
	nsync_mu_runlock(NSYNC_MU);
})

VISIT_LOOP(nsync_write, {
	nsync_mu_lock(NSYNC_MU);
	VISIT_RAISE();
	nsync_mu_unlock(NSYNC_MU);
})

VISIT_LOOP(nsync_mixed, {
	if (i == 0) {
		nsync_mu_lock(NSYNC_MU);
		VISIT_RAISE();
		nsync_mu_unlock(NSYNC_MU);
	} else {
		nsync_mu_rlock(NSYNC_MU);
		nsync_mu_runlock(NSYNC_MU);
	}
})
#else
#define NSYNC(what)
#endif

#ifdef BENCH_STD
#define STD(what) VISIT_SUBJECT("std", 0, init_std, std_##what),

static int init_std(void *object, uint32_t members)
{
	(void)members;
	return rwlock_std_init(object);
}

static int std_read(struct visit_spot *spot, struct visits *v)
{
	return rwlock_std_read(spot->object, v->count, (uint32_t *)v->stop, &v->done);
}

static int std_write(struct visit_spot *spot, struct visits *v)
{
	int bad = rwlock_std_write(spot->object, v->count, (uint32_t *)v->stop, &v->done, &spot->counter);

	v->raised += v->done;
	return bad;
}

static int std_mixed(struct visit_spot *spot, struct visits *v)
{
	int bad = rwlock_std_mixed(spot->object, v->count, (uint32_t *)v->stop, &v->done, &spot->counter);

	v->raised += v->done / 16;
	return bad;
}
#else
#define STD(what)
#endif

#define SUBJECTS(what, more)                                                                                           \
	{                                                                                                              \
		VISIT_SUBJECT("prusik", 1, init_prusik, prusik_##what),                                                \
			VISIT_SUBJECT("pthread", 0, init_readers_first, pthread_##what),                               \
			VISIT_SUBJECT("pthread-writer", 0, init_writers_first, pthread_##what), more{ .name = NULL },  \
	}

static const struct bench_subject reading[] = SUBJECTS(read, NSYNC(read) STD(read));
static const struct bench_subject writing[] = SUBJECTS(write, NSYNC(write) STD(write));
static const struct bench_subject mixed[] = SUBJECTS(mixed, NSYNC(mixed) STD(mixed));
static const struct bench_subject reading_processes[] = SUBJECTS(read, );
static const struct bench_subject mixed_processes[] = SUBJECTS(mixed, );

#define ALONE .unit = "ns/visit", .counted = 1, VISIT_SHAPE(1, 0)
#define TOGETHER .unit = "visits/s", .higher_is_better = 1

const struct bench_workload bench_rwlock[] = {
	{ .name = "rwlock-read-uncontended", ALONE, .subjects = reading },
	{ .name = "rwlock-write-uncontended", ALONE, .subjects = writing },
	{ .name = "rwlock-read-2processes", TOGETHER, VISIT_SHAPE(2, 0), .subjects = reading_processes },
	{ .name = "rwlock-read-2threads", TOGETHER, VISIT_SHAPE(2, 1), .subjects = reading },
	{ .name = "rwlock-read-8threads", TOGETHER, VISIT_SHAPE(8, 1), .subjects = reading },
	{ .name = "rwlock-mixed-2processes", TOGETHER, VISIT_SHAPE(2, 0), .subjects = mixed_processes },
	{ .name = "rwlock-mixed-2threads", TOGETHER, VISIT_SHAPE(2, 1), .subjects = mixed },
	{ .name = "rwlock-mixed-8threads", TOGETHER, VISIT_SHAPE(8, 1), .subjects = mixed },
	{ .name = NULL },
};
