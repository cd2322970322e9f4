/* SPDX-License-Identifier: MIT */
/*
 * 42: A box for one number between two processes: the reader waits, under the lock,
 * until the box is full, the writer until it is empty. Always in a while loop.
 */
#include <prusik.h>
#include <stdio.h>

struct box {
	struct prusik_lock lock; /* protects the rest */
	struct prusik_condition changed;
	int full, number;
};

static int write_three(void *arg)
{
	struct box *box = arg;

	for (int i = 1; i <= 3; i++) {
		if (prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) < 0)
			return 1;
		while (box->full)
			if (prusik_condition_wait(&box->changed, &box->lock, PRUSIK_FOREVER) < 0)
				return 1;
		box->number = i * i;
		box->full = 1;
		prusik_condition_notify_all(&box->changed, &box->lock);
		prusik_lock_release(&box->lock);
	}
	return 0;
}

static int read_one(struct box *box)
{
	int r = prusik_lock_acquire(&box->lock, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	while (!box->full && r >= 0)
		r = prusik_condition_wait(&box->changed, &box->lock, prusik_in_s(10));
	if (r >= 0)
		printf("got %d\n", box->number);
	box->full = 0;
	prusik_condition_notify_all(&box->changed, &box->lock);
	prusik_lock_release(&box->lock);
	return r;
}

int main(void)
{
	struct prusik_process *writer;
	struct prusik_arena *arena;
	uint64_t *link;

	if (prusik_arena_create(NULL, 0, &arena) < 0 || prusik_arena_root(arena, "box", &link) < 0 ||
	    prusik_arena_alloc(arena, sizeof(struct box), link) < 0)
		return 1;
	struct box *box = prusik_arena_pointer(arena, *link);
	if (prusik_process_start(write_three, box, NULL, &writer) < 0)
		return 1;
	for (int i = 0; i < 3; i++)
		if (read_one(box) < 0)
			return 1;
	int code = 1;
	prusik_process_join(writer, PRUSIK_FOREVER, &code);
	prusik_process_free(writer);
	prusik_arena_close(arena);
	return code;
}
