/* SPDX-License-Identifier: MIT */
/*
 * user - a user's program over every object that hands plain memory from one thread to
 * another, public headers only; test/user runs it under the tools that look for errors
 *
 *	user-program             prints "handed over"
 *	user-program forget      one thread forgets the lock: a race that must be seen
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define TURNS 200

/* Stops the program: the first thing that is not as it should be. */
#define WANT(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			exit(3);                                                                                       \
		}                                                                                                      \
	} while (0)

/* cell is plain memory: who may touch it is up to the object. */
static struct {
	struct prusik_lock lock;
	struct prusik_rlock rlock;
	struct prusik_rwlock rwlock;
	struct prusik_condition condition;
	struct prusik_event event;
	struct prusik_semaphore semaphore;
	struct prusik_permits permits;
	uint32_t holders[1];
	struct prusik_once once;
	struct prusik_barrier barrier;
	uint32_t parties[THREADS];
	struct prusik_queue *queue;
	struct prusik_local local;
	long cell, sum;
	long slots[THREADS];
	int full;
} all;

static int in_four_threads(int (*function)(void *))
{
	struct prusik_thread *threads[THREADS];
	int numbers[THREADS], result, failed = 0;

	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		WANT(prusik_thread_start(function, &numbers[i], NULL, &threads[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++) {
		WANT(prusik_thread_join(threads[i], i % 2 ? PRUSIK_FOREVER : prusik_in_s(120), &result) == 0);
		failed |= result;
		prusik_thread_free(threads[i]);
	}
	return failed;
}

static int add_with_lock(void *unused)
{
	(void)unused;
	for (int i = 0; i < TURNS; i++) {
		WANT(prusik_lock_acquire(&all.lock, PRUSIK_FOREVER) == 0);
		all.cell++;
		WANT(prusik_lock_release(&all.lock) == 0);
	}
	return 0;
}

/* At the same time: one that ended before another began would have handed over, by that. */
static int add_without(void *number)
{
	WANT(prusik_barrier_wait(&all.barrier, NULL, NULL, PRUSIK_FOREVER) >= 0);
	if (*(int *)number == 0)
		return add_with_lock(NULL);
	for (int i = 0; i < TURNS; i++)
		all.cell++;
	return 0;
}

static int add_with_rlock(void *unused)
{
	(void)unused;
	for (int i = 0; i < TURNS; i++) {
		WANT(prusik_rlock_acquire(&all.rlock, PRUSIK_FOREVER) == 0);
		WANT(prusik_rlock_acquire(&all.rlock, PRUSIK_FOREVER) == 0);
		all.cell++;
		WANT(prusik_rlock_release(&all.rlock) == 0);
		all.cell++;
		WANT(prusik_rlock_release(&all.rlock) == 0);
	}
	return 0;
}

static int read_and_write(void *number)
{
	long last = 0;

	for (int i = 0; i < TURNS; i++) {
		if ((i + *(int *)number) % 4 == 0) {
			WANT(prusik_rwlock_write(&all.rwlock, PRUSIK_FOREVER) == 0);
			all.cell++;
			WANT(prusik_rwlock_release(&all.rwlock) == 0);
			continue;
		}
		WANT(prusik_rwlock_read(&all.rwlock, PRUSIK_FOREVER) == 0);
		WANT(all.cell >= last);
		last = all.cell;
		WANT(prusik_rwlock_release(&all.rwlock) == 0);
	}
	return 0;
}

/* One cell, full or empty. */
static int fill_and_empty(void *number)
{
	int fill = *(int *)number % 2;

	for (int i = 0; i < TURNS; i++) {
		WANT(prusik_lock_acquire(&all.lock, PRUSIK_FOREVER) == 0);
		while (all.full == fill)
			WANT(prusik_condition_wait(&all.condition, &all.lock, PRUSIK_FOREVER) == 0);
		all.full = fill;
		all.cell += fill ? 1 : -1;
		WANT(prusik_condition_notify_all(&all.condition, &all.lock) == 0);
		WANT(prusik_lock_release(&all.lock) == 0);
	}
	return 0;
}

static int one_sets(void *number)
{
	if (*(int *)number == 0) {
		all.cell = 77;
		return prusik_event_set(&all.event);
	}
	WANT(prusik_event_wait(&all.event, PRUSIK_FOREVER) == 0);
	return all.cell != 77;
}

static int add_with_permit(void *unused)
{
	(void)unused;
	for (int i = 0; i < TURNS; i++) {
		WANT(prusik_semaphore_acquire(&all.semaphore, PRUSIK_FOREVER) == 0);
		all.cell++;
		WANT(prusik_semaphore_release(&all.semaphore, 1) == 0);
		WANT(prusik_permits_acquire(&all.permits, PRUSIK_FOREVER) == 0);
		all.sum++;
		WANT(prusik_permits_release(&all.permits) == 0);
	}
	return 0;
}

static int add_in_barrier(void *unused)
{
	(void)unused;
	all.sum = 0;
	for (int i = 0; i < THREADS; i++)
		all.sum += all.slots[i];
	return 0;
}

static int meet(void *number)
{
	for (int i = 0; i < TURNS / 10; i++) {
		all.slots[*(int *)number] = i;
		WANT(prusik_barrier_wait(&all.barrier, add_in_barrier, NULL, PRUSIK_FOREVER) >= 0);
		WANT(all.sum == (long)i * THREADS);
	}
	return 0;
}

static int make(void *unused, int recovered)
{
	(void)unused;
	all.cell++;
	return recovered;
}

static int once(void *unused)
{
	(void)unused;
	WANT(prusik_once(&all.once, make, NULL, PRUSIK_FOREVER) == 0);
	return all.cell != 1;
}

/* A pointer goes through the queue; what it points to is the receiver's. */
static int put_and_get(void *number)
{
	for (int i = 0; i < TURNS; i++) {
		long *item = malloc(sizeof *item);
		WANT(item != NULL);
		*item = i;
		WANT(prusik_queue_put(all.queue, &item, sizeof item, PRUSIK_FOREVER) == 0);
		if (*(int *)number % 2) {
			WANT(prusik_queue_get(all.queue, &item, sizeof item, PRUSIK_FOREVER) == sizeof item);
		} else {
			struct prusik_lease lease;
			WANT(prusik_queue_take(all.queue, &lease, PRUSIK_FOREVER) == 0);
			memcpy(&item, lease.data, sizeof item);
			WANT(prusik_queue_done(all.queue, &lease) == 0);
		}
		*item += 1;
		free(item);
	}
	return 0;
}

static int keep(void *number)
{
	long *mine = malloc(sizeof *mine);

	WANT(mine != NULL);
	*mine = *(int *)number;
	WANT(prusik_local_set(&all.local, mine) == 0);
	return prusik_local_get(&all.local) != mine;
}

static void ring(void *unused)
{
	(void)unused;
	all.cell++;
}

static void use_timer(void)
{
	struct prusik_timer *timer;

	all.cell = 4;
	WANT(prusik_timer_start(prusik_in_ms(1), ring, NULL, &timer) == 0);
	WANT(prusik_timer_join(timer, PRUSIK_FOREVER) == 0);
	prusik_timer_free(timer);
	WANT(all.cell == 5);
}

static void try_one(const char *name, int (*function)(void *), long cell)
{
	all.cell = all.sum = 0;
	WANT(in_four_threads(function) == 0);
	if (all.cell != cell) {
		fprintf(stderr, "%s: %ld, not %ld\n", name, all.cell, cell);
		exit(4);
	}
}

static void set_up(void)
{
	const struct prusik_queue_options options = { .capacity = 8, .item_max = sizeof(long *) };

	WANT(prusik_semaphore_init(&all.semaphore, 1, 1) == 0);
	WANT(prusik_permits_init(&all.permits, 1) == 0);
	WANT(prusik_barrier_init(&all.barrier, THREADS) == 0);
	WANT(prusik_queue_create(NULL, NULL, &options, &all.queue) == 0);
	all.local.destructor = free;
}

int main(int argc, char **argv)
{
	set_up();
	if (argc > 1 && strcmp(argv[1], "forget") == 0)
		return in_four_threads(add_without);
	try_one("lock", add_with_lock, THREADS * TURNS);
	try_one("rlock", add_with_rlock, 2 * THREADS * TURNS);
	try_one("rwlock", read_and_write, THREADS * TURNS / 4);
	try_one("condition", fill_and_empty, 0);
	try_one("event", one_sets, 77);
	try_one("semaphore, permits", add_with_permit, THREADS * TURNS);
	WANT(all.sum == THREADS * TURNS);
	try_one("barrier", meet, 0);
	try_one("once", once, 1);
	try_one("queue", put_and_get, 0);
	try_one("local", keep, 0);
	use_timer();
	prusik_queue_free(all.queue);
	puts("handed over");
	return 0;
}
