/* SPDX-License-Identifier: MIT */
/*
 * 23: Twenty threads, five places: a semaphore that begins with 5 and never counts above
 * 5. A permit too many is refused, so a release without an acquire is found where it
 * happens, and not when six are inside.
 */
#include "options.h"

#include <prusik.h>

#define THREADS 20
#define PLACES 5

static struct prusik_semaphore places;
static struct prusik_lock lock;
static int inside, most; /* protected by lock */
static long nap;

static int come(int how_many)
{
	int r = prusik_lock_acquire(&lock, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	inside += how_many;
	most = inside > most ? inside : most;
	return prusik_lock_release(&lock);
}

static int visit(void *number)
{
	int r = prusik_semaphore_acquire(&places, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	r = come(1);
	sleep_ms(nap);
	printf("run the thread: %d\n", *(const int *)number);
	if (r == 0)
		r = come(-1);
	prusik_semaphore_release(&places, 1);
	return r;
}

int main(int argc, char **argv)
{
	struct prusik_thread *threads[THREADS];
	int numbers[THREADS], started = 0, failed = 0, result;

	nap = milliseconds(argc, argv, 20);
	if (prusik_semaphore_init(&places, PLACES, PLACES) < 0)
		return 1;
	for (; started < THREADS; started++) {
		numbers[started] = started;
		if (prusik_thread_start(visit, &numbers[started], NULL, &threads[started]) < 0)
			break;
	}
	for (int i = 0; i < started; i++) {
		failed += prusik_thread_join(threads[i], PRUSIK_FOREVER, &result) < 0 || result < 0;
		prusik_thread_free(threads[i]);
	}
	printf("%d places are free again; never more than %d were taken: %s\n", (int)prusik_semaphore_value(&places),
	       PLACES, most <= PLACES ? "yes" : "no");
	printf("one release too many: %s\n", prusik_strerror(prusik_semaphore_release(&places, 1)));
	return failed || started < THREADS;
}
