/* SPDX-License-Identifier: MIT */
/*
 * Ten processes take one each from a stock of ten by an add, which is one step by itself;
 * and as many as they can from another, by a function that only takes what is there. No
 * lock of their own in either.
 */
#include <errno.h>
#include <prusik.h>
#include <stdio.h>

#define BUYERS 10

static struct prusik_value *left, *sold;

static int take_one(void *unused, void *data, uint64_t size)
{
	int64_t *n = data;

	(void)unused, (void)size;
	if (*n == 0)
		return -ENODATA; /* nothing changes */
	--*n;
	return 0;
}

static int buy(void *unused)
{
	(void)unused;
	if (prusik_value_add(left, -1, NULL) < 0)
		return 1;
	/* Each would take a thousand, and so many there are in all. */
	for (int i = 0; i < 1000; i++)
		if (prusik_value_modify(sold, take_one, NULL) < 0)
			break;
	return 0;
}

int main(void)
{
	const int64_t ten = 10, thousand = 1000;
	const struct prusik_value_options few = { .initial = &ten }, many = { .initial = &thousand };
	struct prusik_process *buyer[BUYERS];
	struct prusik_arena *arena;
	int64_t n, m;

	if (prusik_arena_create(NULL, 1 << 16, &arena) < 0 || prusik_value_create(arena, "left", &few, &left) < 0 ||
	    prusik_value_create(arena, "sold", &many, &sold) < 0)
		return 1;
	for (int i = 0; i < BUYERS; i++)
		if (prusik_process_start(buy, NULL, NULL, &buyer[i]) < 0)
			return 1;
	for (int i = 0; i < BUYERS; i++) {
		prusik_process_join(buyer[i], PRUSIK_FOREVER, NULL);
		prusik_process_free(buyer[i]);
	}
	if (prusik_value_get(left, &n) < 0 || prusik_value_get(sold, &m) < 0)
		return 1;
	printf("%lld left, and %lld\n", (long long)n, (long long)m);
	prusik_value_free(sold);
	prusik_value_free(left);
	prusik_arena_close(arena);
	return 0;
}
