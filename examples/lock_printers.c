/* SPDX-License-Identifier: MIT */
/*
 * 41: Two threads print three lines each under one lock, so that the lines of one stand
 * together. The lock locks code, not the terminal: it works because both take it. Each
 * acquire has its release, and both threads are kept, to be joined.
 */
#include "options.h"

#include <prusik.h>

#define PRINTERS 2
#define LINES 3

struct printer {
	struct prusik_thread_own own; /* first: run gets a pointer to it */
	struct prusik_lock *lock;
	char name[16];
	long ms;
};

static void print_lines(const struct printer *printer)
{
	for (int i = LINES; i > 0; i--) {
		sleep_ms(printer->ms);
		printf("%s: %d\n", printer->name, i);
	}
}

static int run(struct prusik_thread_own *own)
{
	const struct printer *printer = (const struct printer *)own;
	int r = prusik_lock_acquire(printer->lock, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	print_lines(printer);
	return prusik_lock_release(printer->lock);
}

int main(int argc, char **argv)
{
	long ms = milliseconds(argc, argv, 10);
	struct prusik_thread *threads[PRINTERS];
	struct printer printers[PRINTERS];
	struct prusik_lock lock = { 0 };
	int started = 0, failed = 0, result;

	for (; started < PRINTERS; started++) {
		struct printer *printer = &printers[started];
		*printer = (struct printer){ .own = { run }, .lock = &lock, .ms = ms * (started + 1) };
		snprintf(printer->name, sizeof printer->name, "printer-%d", started + 1);
		if (prusik_thread_start_own(&printer->own, NULL, &threads[started]) < 0)
			break;
	}
	for (int i = 0; i < started; i++) {
		failed += prusik_thread_join(threads[i], PRUSIK_FOREVER, &result) < 0 || result < 0;
		prusik_thread_free(threads[i]);
	}
	printf("both have ended, the lock is %s\n", prusik_lock_locked(&lock) ? "held" : "free");
	return failed || started < PRINTERS;
}
