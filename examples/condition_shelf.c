/* SPDX-License-Identifier: MIT */
/*
 * 40, 42: Producers and consumers at a shelf with five places. Each waits for what it needs
 * by wait_for, which looks again after each wake-up: with an if instead of that two
 * consumers could take one product. (while (!there_is_one(shelf)) wait(...); is the
 * same by hand: condition_box.c.) The end is a state of the shelf as well. Nobody dies
 * holding the lock here; if one did, wait_for would say so, with a result that is not 0.
 */
#include "options.h"

#include <prusik.h>

#define PLACES 5
#define PRODUCERS 2
#define CONSUMERS 2
#define EACH 20

struct shelf {
	struct prusik_lock lock; /* protects the rest */
	struct prusik_condition filled, emptied;
	int products[PLACES], first, count;
	int producers; /* at work */
	long sum; /* of all products that were taken */
};

static struct shelf shelf = { .producers = PRODUCERS };
static long nap;

static int has_room(void *unused)
{
	(void)unused;
	return shelf.count < PLACES;
}

static int has_product_or_end(void *unused)
{
	(void)unused;
	return shelf.count > 0 || shelf.producers == 0;
}

static int put(int product)
{
	int r = prusik_lock_acquire(&shelf.lock, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	r = prusik_condition_wait_for(&shelf.emptied, &shelf.lock, has_room, NULL, PRUSIK_FOREVER);
	if (r == 0) {
		shelf.products[(shelf.first + shelf.count++) % PLACES] = product;
		printf("producer: %d\n", product);
		prusik_condition_notify(&shelf.filled, &shelf.lock, 1);
	}
	prusik_lock_release(&shelf.lock);
	return r;
}

static int take_locked(void)
{
	int product = shelf.products[shelf.first];

	shelf.first = (shelf.first + 1) % PLACES;
	shelf.count--;
	shelf.sum += product;
	prusik_condition_notify(&shelf.emptied, &shelf.lock, 1);
	return product;
}

/* A product; 0: there will be no more. */
static int take(void)
{
	int product = 0, r = prusik_lock_acquire(&shelf.lock, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	r = prusik_condition_wait_for(&shelf.filled, &shelf.lock, has_product_or_end, NULL, PRUSIK_FOREVER);
	if (r == 0 && shelf.count > 0) {
		product = take_locked();
		printf("consumer: %d\n", product);
	}
	prusik_lock_release(&shelf.lock);
	return r < 0 ? r : product;
}

static int produce(void *number)
{
	int base = *(const int *)number * EACH, r = 0;

	for (int i = 1; i <= EACH && r == 0; i++) {
		r = put(base + i);
		sleep_ms(nap);
	}
	int locked = prusik_lock_acquire(&shelf.lock, PRUSIK_FOREVER);
	if (locked < 0)
		return locked;
	if (--shelf.producers == 0)
		prusik_condition_notify_all(&shelf.filled, &shelf.lock);
	prusik_lock_release(&shelf.lock);
	return r;
}

static int consume(void *unused)
{
	int product;

	(void)unused;
	while ((product = take()) > 0)
		sleep_ms(nap);
	return product;
}

int main(int argc, char **argv)
{
	struct prusik_thread *threads[PRODUCERS + CONSUMERS];
	int numbers[PRODUCERS + CONSUMERS], failed = 0, result;

	nap = milliseconds(argc, argv, 1);
	for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
		numbers[i] = i;
		if (prusik_thread_start(i < PRODUCERS ? produce : consume, &numbers[i], NULL, &threads[i]) < 0)
			return 1;
	}
	for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
		failed += prusik_thread_join(threads[i], PRUSIK_FOREVER, &result) < 0 || result < 0;
		prusik_thread_free(threads[i]);
	}
	printf("left on the shelf: %d; sum of what was taken: %ld\n", shelf.count, shelf.sum);
	return failed;
}
