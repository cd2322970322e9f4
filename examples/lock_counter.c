/* SPDX-License-Identifier: MIT */
/*
 * 21: A hundred threads raise one number, each a thousand times, under a lock. Without
 * it this would be a data race, in any language that compiles to loads and stores:
 * two read the same number, both write it back plus one, and one of the two is lost.
 */
#include <prusik.h>
#include <stdio.h>

#define THREADS 100
#define TIMES 1000

static struct prusik_lock lock;
static long number; /* protected by lock */

static int raise_it(void *unused)
{
	(void)unused;
	for (int i = 0; i < TIMES; i++) {
		int r = prusik_lock_acquire(&lock, PRUSIK_FOREVER);
		if (r < 0)
			return r;
		number += 1;
		prusik_lock_release(&lock);
	}
	return 0;
}

int main(void)
{
	struct prusik_thread *threads[THREADS];
	int started = 0, failed = 0, result;

	for (; started < THREADS; started++)
		if (prusik_thread_start(raise_it, NULL, NULL, &threads[started]) < 0)
			break;
	for (int i = 0; i < started; i++) {
		failed += prusik_thread_join(threads[i], PRUSIK_FOREVER, &result) < 0 || result < 0;
		prusik_thread_free(threads[i]);
	}
	/* All have been joined: nobody else looks at number any more. */
	printf("number: %ld\n", number);
	return failed || started < THREADS;
}
