/* SPDX-License-Identifier: MIT */
/* What it costs to ask for something that has been done long ago. */
#include "peer_std.h"
#include "visits.h"

#include <prusik/once.h>
#include <pthread.h>

static uint32_t times_made;

static int init_prusik(void *object, uint32_t members)
{
	(void)object, (void)members; /* fresh memory is one that is not done */
	return 0;
}

static int init_pthread(void *object, uint32_t members)
{
	(void)members;
	*(pthread_once_t *)object = (pthread_once_t)PTHREAD_ONCE_INIT;
	return 0;
}

static int make_for_prusik(void *arg, int recovered)
{
	(void)arg;
	times_made++;
	return recovered ? -1 : 0;
}

static void make_for_pthread(void)
{
	times_made++;
}

#define OURS ((struct prusik_once *)(void *)spot->object)
#define THEIRS ((pthread_once_t *)(void *)spot->object)

VISIT_LOOP(prusik_calls, {
	bad |= prusik_once(OURS, make_for_prusik, NULL, PRUSIK_FOREVER);
	bad |= times_made != 1;
})

VISIT_LOOP(pthread_calls, {
	bad |= pthread_once(THEIRS, make_for_pthread);
	bad |= times_made != 1;
})

#ifdef BENCH_STD
static int init_std(void *object, uint32_t members)
{
	(void)members;
	return once_std_init(object);
}

static int std_calls(struct visit_spot *spot, struct visits *v)
{
	return once_std_calls(spot->object, v->count, &v->done);
}
#endif

static const struct bench_subject subjects[] = {
	VISIT_SUBJECT("prusik", 1, init_prusik, prusik_calls),
	VISIT_SUBJECT("pthread", 0, init_pthread, pthread_calls),
#ifdef BENCH_STD
	VISIT_SUBJECT("std", 0, init_std, std_calls),
#endif
	{ .name = NULL },
};

const struct bench_workload bench_once[] = {
	{ .name = "once-done", .unit = "ns/visit", .counted = 1, VISIT_SHAPE(1, 0), .subjects = subjects },
	{ .name = NULL },
};
