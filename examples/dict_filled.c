/* SPDX-License-Identifier: MIT */
/*
 * 30: Ten processes fill one dict and one list, which their parent then reads. No server
 * stands between them.
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILLERS 10

static struct prusik_dict *squares;
static struct prusik_list *numbers;

static int fill(void *argument)
{
	int number = *(int *)argument;
	char key[16], value[16];

	snprintf(key, sizeof key, "%d", number);
	snprintf(value, sizeof value, "%d", number * number);
	return prusik_dict_set(squares, key, strlen(key), value, strlen(value)) < 0 ||
	       prusik_list_append(numbers, &number, sizeof number) < 0;
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void show_dict(void)
{
	struct prusik_dict_cursor cursor = { 0 };
	char k[16], v[16];
	struct iovec key = { k, sizeof k }, value = { v, sizeof v };

	while (prusik_dict_next(squares, &cursor, &key, &value) == 1) {
		printf("%.*s: %.*s\n", (int)key.iov_len, k, (int)value.iov_len, v);
		key.iov_len = value.iov_len = sizeof k;
	}
}

static void show_list(void)
{
	int number[FILLERS], n = 0;

	while (n < FILLERS && prusik_list_get(numbers, n, &number[n], sizeof number[n]) > 0)
		n++;
	qsort(number, (size_t)n, sizeof number[0], by_value);
	for (int i = 0; i < n; i++)
		printf("%d%s", number[i], i + 1 < n ? " " : "\n");
}

int main(void)
{
	struct prusik_process *filler[FILLERS];
	struct prusik_arena *arena;
	int number[FILLERS];

	if (prusik_arena_create(NULL, 1 << 20, &arena) < 0 ||
	    prusik_dict_create(arena, "squares", NULL, &squares) < 0 ||
	    prusik_list_create(arena, "numbers", NULL, &numbers) < 0)
		return 1;
	for (int i = 0; i < FILLERS; i++) {
		number[i] = i;
		if (prusik_process_start(fill, &number[i], NULL, &filler[i]) < 0)
			return 1;
	}
	for (int i = 0; i < FILLERS; i++) {
		prusik_process_join(filler[i], PRUSIK_FOREVER, NULL);
		prusik_process_free(filler[i]);
	}
	show_dict();
	show_list();
	prusik_list_free(numbers);
	prusik_dict_free(squares);
	prusik_arena_close(arena);
	return 0;
}
