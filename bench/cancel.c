/* SPDX-License-Identifier: MIT */
/*
 * What it costs a wait that it can be ended from elsewhere: a wait for a condition, in
 * vain, whose deadline has passed, so that it goes to sleep and gets up at once. With a
 * token and without; nsync's counterpart is a note, and a pthread wait can be ended by
 * pthread_cancel only.
 */
#include "visits.h"

#include <errno.h>
#include <prusik/cancel.h>
#include <prusik/condition.h>
#include <pthread.h>
#include <time.h>
#ifdef BENCH_NSYNC
#include <nsync.h>
#endif

/* A deadline that has passed, and is not PRUSIK_NOW. */
#define PAST 1

struct ours {
	struct prusik_lock lock;
	struct prusik_condition condition;
	struct prusik_cancel token;
};

struct theirs {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
};

_Static_assert(sizeof(struct ours) <= VISIT_OBJECT && sizeof(struct theirs) <= VISIT_OBJECT, "they fit");

static int init_nothing(void *object, uint32_t members)
{
	(void)object, (void)members;
	return 0;
}

static int init_pthread(void *object, uint32_t members)
{
	struct theirs *theirs = object;

	(void)members;
	pthread_mutex_init(&theirs->mutex, NULL);
	return -pthread_cond_init(&theirs->condition, NULL);
}

/* In vain, as it should be; 0: somebody has died, of another piece. */
static int wait_prusik(struct ours *ours)
{
	int r = prusik_lock_acquire(&ours->lock, PRUSIK_FOREVER);

	if (r == 0) {
		r = prusik_condition_wait(&ours->condition, &ours->lock, PAST);
		prusik_lock_release(&ours->lock);
	}
	return r != -ETIMEDOUT && r != 0;
}

static int wait_pthread(struct theirs *theirs)
{
	const struct timespec past = { .tv_nsec = PAST };

	pthread_mutex_lock(&theirs->mutex);
	int r = pthread_cond_clockwait(&theirs->condition, &theirs->mutex, CLOCK_MONOTONIC, &past);
	pthread_mutex_unlock(&theirs->mutex);
	return r != ETIMEDOUT;
}

#define OURS ((struct ours *)(void *)spot->object)

VISIT_LOOP(prusik_without, { bad |= wait_prusik(OURS); })

VISIT_LOOP(prusik_with, {
	prusik_cancel_use(&OURS->token);
	bad |= wait_prusik(OURS);
})

VISIT_LOOP(pthread_waits, { bad |= wait_pthread((struct theirs *)(void *)spot->object); })

#ifdef BENCH_NSYNC
struct nsyncs {
	nsync_mu mu;
	nsync_cv cv;
	nsync_note note;
};

static int init_nsync(void *object, uint32_t members)
{
	struct nsyncs *nsyncs = object;

	(void)members;
	nsyncs->note = nsync_note_new(NULL, nsync_time_no_deadline);
	return nsyncs->note ? 0 : -ENOMEM;
}

static int wait_nsync(struct nsyncs *nsyncs, nsync_note note)
{
	nsync_mu_lock(&nsyncs->mu);
	int r = nsync_cv_wait_with_deadline(&nsyncs->cv, &nsyncs->mu, nsync_time_s_ns(0, PAST), note);
	nsync_mu_unlock(&nsyncs->mu);
	return r != ETIMEDOUT;
}

#define NSYNC ((struct nsyncs *)(void *)spot->object)

VISIT_LOOP(nsync_without, { bad |= wait_nsync(NSYNC, NULL); })
VISIT_LOOP(nsync_with, { bad |= wait_nsync(NSYNC, NSYNC->note); })
#endif

static const struct bench_subject without[] = {
	VISIT_SUBJECT("prusik", 1, init_nothing, prusik_without),
	VISIT_SUBJECT("pthread", 0, init_pthread, pthread_waits),
#ifdef BENCH_NSYNC
	VISIT_SUBJECT("nsync", 0, init_nothing, nsync_without),
#endif
	{ .name = NULL },
};

static const struct bench_subject with[] = {
	VISIT_SUBJECT("prusik", 1, init_nothing, prusik_with),
	VISIT_SUBJECT("pthread", 0, init_pthread, pthread_waits),
#ifdef BENCH_NSYNC
	VISIT_SUBJECT("nsync", 0, init_nsync, nsync_with),
#endif
	{ .name = NULL },
};

#define WAITS .unit = "ns/wait", .counted = 1, VISIT_SHAPE(1, 0)

const struct bench_workload bench_cancel[] = {
	{ .name = "cancel-wait-without", WAITS, .subjects = without },
	{ .name = "cancel-wait-with-token", WAITS, .subjects = with },
	{ .name = NULL },
};
