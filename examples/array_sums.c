/* SPDX-License-Identifier: MIT */
/*
 * Four processes add up a quarter each of 1 + 1/4 + 1/9 + ...; each puts its part into its
 * own item, and their parent adds those up. Slowly it comes to pi * pi / 6.
 */
#include <prusik.h>
#include <stdio.h>

#define PARTS 4
#define TERMS 4000000

static struct prusik_array *sums;

static int add_up(void *argument)
{
	int part = *(int *)argument;
	double sum = 0;

	for (int i = TERMS - part; i > 0; i -= PARTS)
		sum += 1.0 / i / i;
	return prusik_array_set(sums, part, &sum);
}

int main(void)
{
	const struct prusik_array_options options = { .kind = PRUSIK_ARRAY_DOUBLE, .length = PARTS };
	struct prusik_process *worker[PARTS];
	struct prusik_arena *arena;
	double part[PARTS], sum = 0;
	int number[PARTS];

	if (prusik_arena_create(NULL, 1 << 16, &arena) < 0 || prusik_array_create(arena, "sums", &options, &sums) < 0)
		return 1;
	for (int i = 0; i < PARTS; i++) {
		number[i] = i;
		if (prusik_process_start(add_up, &number[i], NULL, &worker[i]) < 0)
			return 1;
	}
	for (int i = 0; i < PARTS; i++) {
		prusik_process_join(worker[i], PRUSIK_FOREVER, NULL);
		prusik_process_free(worker[i]);
	}
	if (prusik_array_slice(sums, 0, PARTS, part, PARTS) != PARTS)
		return 1;
	for (int i = 0; i < PARTS; i++)
		sum += part[i];
	printf("%.6f\n", sum);
	prusik_array_free(sums);
	prusik_arena_close(arena);
	return 0;
}
