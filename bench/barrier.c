/* SPDX-License-Identifier: MIT */
/* Barriers: a round of so many parties, from one to the next. */
#include "visits.h"

#include <prusik/barrier.h>
#include <pthread.h>

static int init_prusik(void *object, uint32_t members)
{
	return prusik_barrier_init(object, members);
}

static int init_pthread(void *object, uint32_t members)
{
	pthread_barrierattr_t attributes;

	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	return -pthread_barrier_init(object, &attributes, members);
}

#define OURS ((struct prusik_barrier *)(void *)spot->object)
#define THEIRS ((pthread_barrier_t *)(void *)spot->object)

/* One of each round raises the counter; the next one does so after another round. */
VISIT_LOOP(prusik_rounds, {
	int64_t n = prusik_barrier_wait(OURS, NULL, NULL, PRUSIK_FOREVER);
	if (n == 0)
		VISIT_RAISE();
	bad |= n < 0;
})

VISIT_LOOP(pthread_rounds, {
	int n = pthread_barrier_wait(THEIRS);
	if (n == PTHREAD_BARRIER_SERIAL_THREAD)
		VISIT_RAISE();
	else
		bad |= n;
})

static const struct bench_subject subjects[] = {
	VISIT_SUBJECT("prusik", 1, init_prusik, prusik_rounds),
	VISIT_SUBJECT("pthread", 0, init_pthread, pthread_rounds),
	{ .name = NULL },
};

#define ROUNDS .unit = "ns/round", .counted = 1, .subjects = subjects

const struct bench_workload bench_barrier[] = {
	{ .name = "barrier-alone", ROUNDS, VISIT_SHAPE(1, 0) },
	{ .name = "barrier-2processes", ROUNDS, VISIT_SHAPE(2, 0) },
	{ .name = "barrier-2threads", ROUNDS, VISIT_SHAPE(2, 1) },
	{ .name = "barrier-8threads", ROUNDS, VISIT_SHAPE(8, 1) },
	{ .name = NULL },
};
