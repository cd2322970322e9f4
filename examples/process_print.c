/* SPDX-License-Identifier: MIT */
/*
 * 6, 7, 31: processes that print under one lock, which lies in memory they share. Without it the lines
 * would be mixed. The lock is taken and given back and taken again: once each time.
 *
 *	process_print [PROCESSES [LINES]]     (default 10 3)
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct printer {
	struct prusik_lock *lock;
	int number, lines;
};

static int print(void *argument)
{
	const struct printer *printer = argument;

	if (prusik_lock_acquire(printer->lock, PRUSIK_FOREVER) < 0)
		return 1;
	for (int i = 0; i < printer->lines; i++) {
		usleep((useconds_t)(rand_r(&(unsigned int){ (unsigned int)(printer->number + i) }) % 3000));
		printf("process %d, line %d\n", printer->number, i);
		fflush(stdout);
	}
	return prusik_lock_release(printer->lock) < 0;
}

static struct prusik_lock *shared_lock(struct prusik_arena **ret_arena)
{
	uint64_t *link;

	if (prusik_arena_create(NULL, 0, ret_arena) < 0 || prusik_arena_root(*ret_arena, "lock", &link) < 0 ||
	    prusik_arena_alloc(*ret_arena, sizeof(struct prusik_lock), link) < 0)
		return NULL;
	return prusik_arena_pointer(*ret_arena, *link);
}

/* A lock that is held is not to be had; who has given it back may take it again. */
static int take_it_twice(struct prusik_lock *lock)
{
	if (prusik_lock_acquire(lock, PRUSIK_FOREVER) < 0)
		return -1;
	printf("held: %s\n", prusik_strerror(prusik_lock_acquire(lock, PRUSIK_NOW)));
	if (prusik_lock_release(lock) < 0 || prusik_lock_acquire(lock, PRUSIK_FOREVER) < 0)
		return -1;
	printf("taken again\n");
	return prusik_lock_release(lock);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 10, lines = argc > 2 ? atoi(argv[2]) : 3;
	struct prusik_arena *arena;
	struct prusik_lock *lock = shared_lock(&arena);

	if (!lock || take_it_twice(lock) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		struct printer printer = { lock, i, lines };
		struct prusik_process *process;
		if (prusik_process_start(print, &printer, NULL, &process) < 0)
			return 1;
		prusik_process_free(process); /* the program's end waits for it all the same */
	}
	return 0;
}
