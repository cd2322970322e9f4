/* SPDX-License-Identifier: MIT */
/* Barriers: a round of so many parties, from one to the next. */
#include "peer_std.h"
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

#ifdef BENCH_STD
#define STD VISIT_SUBJECT("std", 0, barrier_std_init, std_rounds),

/* It counts its rounds by itself. */
static int std_rounds(struct visit_spot *spot, struct visits *v)
{
	return barrier_std_rounds(spot->object, v->count, &v->done);
}
#else
#define STD
#endif

#define SUBJECTS(...)                                                                                                  \
	{                                                                                                              \
		VISIT_SUBJECT("prusik", 1, init_prusik, prusik_rounds),                                                \
			VISIT_SUBJECT("pthread", 0, init_pthread, pthread_rounds), __VA_ARGS__{ .name = NULL },        \
	}

static const struct bench_subject processes[] = SUBJECTS();
static const struct bench_subject threads[] = SUBJECTS(STD);

#define ROUNDS .unit = "ns/round", .counted = 1

const struct bench_workload bench_barrier[] = {
	{ .name = "barrier-alone", ROUNDS, VISIT_SHAPE(1, 0), .subjects = threads },
	{ .name = "barrier-2processes", ROUNDS, VISIT_SHAPE(2, 0), .subjects = processes },
	{ .name = "barrier-2threads", ROUNDS, VISIT_SHAPE(2, 1), .subjects = threads },
	{ .name = "barrier-8threads", ROUNDS, VISIT_SHAPE(8, 1), .subjects = threads },
	{ .name = NULL },
};
