/* SPDX-License-Identifier: MIT */
/*
 * 14, 15: Where join stands decides: inside the loop that starts them the threads run one
 * after the other; after the loop they run together, and the whole takes as long as
 * one of them. Join does nothing else: it raises nobody's priority.
 */
#include "options.h"

#include <prusik.h>

#define THREADS 50

static long nap;

static int print_and_sleep(void *arg)
{
	printf("task t-%d\n", *(const int *)arg);
	sleep_ms(nap);
	return 0;
}

static int join(struct prusik_thread *thread)
{
	int r = prusik_thread_join(thread, PRUSIK_FOREVER, NULL);

	prusik_thread_free(thread);
	return r;
}

static int one_after_the_other(int *numbers)
{
	struct prusik_thread *thread;

	for (int i = 0; i < THREADS; i++) {
		int r = prusik_thread_start(print_and_sleep, &numbers[i], NULL, &thread);
		if (r == 0)
			r = join(thread);
		if (r < 0)
			return r;
	}
	return 0;
}

static int together(int *numbers)
{
	struct prusik_thread *threads[THREADS];
	int started = 0, r = 0;

	for (; r == 0 && started < THREADS; started += r == 0)
		r = prusik_thread_start(print_and_sleep, &numbers[started], NULL, &threads[started]);
	while (started > 0) {
		int joined = join(threads[--started]);
		r = r < 0 ? r : joined;
	}
	return r;
}

/* How many milliseconds it takes, or why it did not work. */
static int64_t timed(int (*way)(int *), int *numbers)
{
	int64_t start = prusik_now();
	int r = way(numbers);

	return r < 0 ? r : (prusik_now() - start) / 1000000;
}

int main(int argc, char **argv)
{
	int numbers[THREADS];

	nap = milliseconds(argc, argv, 10);
	for (int i = 0; i < THREADS; i++)
		numbers[i] = i;
	int64_t serial = timed(one_after_the_other, numbers);
	int64_t parallel = timed(together, numbers);
	if (serial < 0 || parallel < 0)
		return 1;
	printf("joined in the loop: %lld ms; after the loop: %lld ms\n", (long long)serial, (long long)parallel);
	printf("one after the other took at least %d naps: %s\n", THREADS, serial >= THREADS * nap ? "yes" : "no");
	return 0;
}
