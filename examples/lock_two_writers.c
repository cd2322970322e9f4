/* SPDX-License-Identifier: MIT */
/*
 * 3: Two writers, five lines each, to one stdout: whoever has the lock writes all of his.
 * One acquires and releases it; the other's release is done for him at the end of the
 * block, however he leaves it.
 *
 *	lock_two_writers [BETWEEN-LINES-MS]
 */
#include <errno.h>
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>

static struct prusik_lock out; /* protects stdout */
static int64_t between_ms = 5;

static int write_line(const char *who, int number)
{
	struct prusik_event never = { 0 };

	printf("%s %d\n", who, number);
	fflush(stdout);
	return prusik_event_wait(&never, prusik_in_ms(between_ms)) == -ETIMEDOUT;
}

static int acquire_and_release(void *who)
{
	int good = prusik_lock_acquire(&out, PRUSIK_FOREVER) >= 0;

	if (!good)
		return 1;
	for (int i = 1; i <= 5 && good; i++)
		good = write_line(who, i);
	return prusik_lock_release(&out) < 0 || !good;
}

static void release(struct prusik_lock **held)
{
	if (*held)
		prusik_lock_release(*held);
}

/* "with": the rest of the block has the lock, if held is not NULL. */
#define WITH_LOCK(held, lock)                                                                                          \
	__attribute__((cleanup(release))) struct prusik_lock *held =                                                   \
		prusik_lock_acquire(lock, PRUSIK_FOREVER) < 0 ? NULL : (lock)

static int with_lock(void *who)
{
	WITH_LOCK(held, &out);

	for (int i = 1; held && i <= 5; i++)
		if (!write_line(who, i))
			return 1;
	return !held;
}

int main(int argc, char **argv)
{
	static char first_name[] = "acquire and release", second_name[] = "with lock";
	struct prusik_thread *one, *two;
	int first = 1, second = 1;

	if (argc > 1)
		between_ms = atoi(argv[1]);
	if (prusik_thread_start(acquire_and_release, first_name, NULL, &one) < 0)
		return 1;
	if (prusik_thread_start(with_lock, second_name, NULL, &two) == 0) {
		prusik_thread_join(two, PRUSIK_FOREVER, &second);
		prusik_thread_free(two);
	}
	prusik_thread_join(one, PRUSIK_FOREVER, &first);
	prusik_thread_free(one);
	return first || second;
}
