/* SPDX-License-Identifier: MIT */
/*
 * A pipeline: one thread makes parcels, three stamp them, one adds them up. Pointers go from
 * hand to hand, and whoever has one owns what it points at: nothing is copied, nothing locked.
 *
 * Closing a queue is how each stage tells the next that no more will come.
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>

#define PARCELS 1000
#define STAMPERS 3

struct parcel {
	int number, stamps;
};

static struct prusik_ptrqueue *made, *stamped;

static int make(void *unused)
{
	int r = 0;

	(void)unused;
	for (int i = 1; i <= PARCELS && r == 0; i++) {
		struct parcel *parcel = calloc(1, sizeof *parcel);
		if (!parcel)
			return 1;
		parcel->number = i;
		r = prusik_ptrqueue_put(made, parcel, PRUSIK_FOREVER);
	}
	return prusik_ptrqueue_close(made, PRUSIK_QUEUE_DRAIN) < 0 || r < 0;
}

static int stamp(void *unused)
{
	void *parcel;

	(void)unused;
	while (prusik_ptrqueue_get(made, &parcel, PRUSIK_FOREVER) == 0) {
		((struct parcel *)parcel)->stamps++;
		if (prusik_ptrqueue_put(stamped, parcel, PRUSIK_FOREVER) < 0)
			return 1;
	}
	return 0; /* closed, and nothing is left */
}

static int add_up(void *unused)
{
	int64_t n, count = 0, sum = 0;
	void *parcels[16];

	(void)unused;
	while ((n = prusik_ptrqueue_get_many(stamped, parcels, 16, PRUSIK_FOREVER)) > 0) {
		for (int64_t i = 0; i < n; i++) {
			struct parcel *parcel = parcels[i];
			count += parcel->stamps;
			sum += parcel->number;
			free(parcel);
		}
	}
	printf("%lld parcels, sum of their numbers: %lld\n", (long long)count, (long long)sum);
	return 0;
}

/* Start so many of them. */
static int run(int (*function)(void *), int count, struct prusik_thread **threads)
{
	int r = 0;

	for (int i = 0; i < count && r == 0; i++)
		r = prusik_thread_start(function, NULL, NULL, &threads[i]);
	return r;
}

/* Not 0 when one could not be joined, or did not return 0. */
static int end(struct prusik_thread **threads, int count)
{
	int result, failed = 0;

	for (int i = 0; i < count; i++) {
		failed |= prusik_thread_join(threads[i], PRUSIK_FOREVER, &result) < 0 || result != 0;
		prusik_thread_free(threads[i]);
	}
	return failed;
}

int main(void)
{
	struct prusik_thread *threads[STAMPERS + 2];
	int failed;

	if (prusik_ptrqueue_create(64, &made) < 0 || prusik_ptrqueue_create(64, &stamped) < 0 ||
	    run(make, 1, threads) < 0 || run(stamp, STAMPERS, threads + 1) < 0 ||
	    run(add_up, 1, threads + 1 + STAMPERS) < 0)
		return 1;
	failed = end(threads, 1 + STAMPERS);
	failed |= prusik_ptrqueue_close(stamped, PRUSIK_QUEUE_DRAIN) < 0;
	failed |= end(threads + 1 + STAMPERS, 1);
	prusik_ptrqueue_free(made);
	prusik_ptrqueue_free(stamped);
	return failed;
}
