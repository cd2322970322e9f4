/* SPDX-License-Identifier: MIT */
/*
 * 22: One function takes a lock and calls two others that take the same lock: with an
 * rlock its holder may. With a plain lock that would be a deadlock; prusik_lock says so
 * (-EDEADLK) instead of waiting for ever, and main shows it.
 */
#include <prusik.h>
#include <stdio.h>

#define THREADS 10

static struct prusik_rlock lock;
static int first, second; /* protected by lock */

static int raise(int *what)
{
	int r = prusik_rlock_acquire(&lock, PRUSIK_FOREVER), now;

	if (r < 0)
		return r;
	now = ++*what;
	prusik_rlock_release(&lock);
	return now;
}

/* Both numbers are raised, and nobody sees one without the other. */
static int raise_both(void *unused)
{
	int r = prusik_rlock_acquire(&lock, PRUSIK_FOREVER);

	(void)unused;
	if (r < 0)
		return r;
	int a = raise(&first);
	int held = (int)prusik_rlock_depth(&lock);
	int b = raise(&second);
	prusik_rlock_release(&lock);
	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	printf("%d %d, held %d time between the two\n", a, b, held);
	return 0;
}

static int run_all(void)
{
	struct prusik_thread *threads[THREADS];
	int started = 0, failed = 0, result;

	for (; started < THREADS; started++)
		if (prusik_thread_start(raise_both, NULL, NULL, &threads[started]) < 0)
			break;
	for (int i = 0; i < started; i++) {
		failed += prusik_thread_join(threads[i], PRUSIK_FOREVER, &result) < 0 || result < 0;
		prusik_thread_free(threads[i]);
	}
	return failed || started < THREADS;
}

int main(void)
{
	struct prusik_lock plain = { 0 };
	int failed = run_all();

	printf("in the end: %d %d\n", first, second);
	if (prusik_lock_acquire(&plain, PRUSIK_FOREVER) < 0)
		return 1;
	int r = prusik_lock_acquire(&plain, PRUSIK_FOREVER);
	printf("a plain lock, taken twice: %s\n", prusik_strerror(r));
	prusik_lock_release(&plain);
	return failed;
}
