/* SPDX-License-Identifier: MIT */
/*
 * 8: Ten processes take one each from a stock of ten, with no lock of their own: the
 * decrement is one step, so none is taken twice and none is left.
 */
#include <prusik.h>
#include <stdio.h>

#define BUYERS 10

static struct prusik_dict *shop;

static int buy(void *unused)
{
	int64_t left;

	(void)unused;
	return prusik_dict_add(shop, "num", 3, -1, &left) < 0;
}

int main(void)
{
	struct prusik_process *buyer[BUYERS];
	struct prusik_arena *arena;
	int64_t num = 10;
	int code, failed = 0;

	if (prusik_arena_create(NULL, 1 << 20, &arena) < 0 || prusik_dict_create(arena, "shop", NULL, &shop) < 0 ||
	    prusik_dict_set(shop, "num", 3, &num, sizeof num) < 0)
		return 1;
	for (int i = 0; i < BUYERS; i++)
		if (prusik_process_start(buy, NULL, NULL, &buyer[i]) < 0)
			return 1;
	for (int i = 0; i < BUYERS; i++) {
		if (prusik_process_join(buyer[i], PRUSIK_FOREVER, &code) < 0 || code != 0)
			failed++;
		prusik_process_free(buyer[i]);
	}
	if (prusik_dict_get(shop, "num", 3, &num, sizeof num) != sizeof num)
		return 1;
	printf("%d failed, %lld left\n", failed, (long long)num);
	prusik_dict_free(shop);
	prusik_arena_close(arena);
	return 0;
}
