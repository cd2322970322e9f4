/* SPDX-License-Identifier: MIT */
/*
 * Two balances that must sum to 0, moved under a lock by a process that dies half
 * way. The next one gets the lock at once, is told, and mends the invariant.
 */
#include <prusik.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct account {
	struct prusik_lock lock; /* invariant: a + b == 0 */
	long a, b;
};

static int die_half_way(void *arg)
{
	struct account *account = arg;

	if (prusik_lock_acquire(&account->lock, PRUSIK_FOREVER) < 0)
		return 1;
	account->a += 5;
	kill(getpid(), SIGKILL);
	account->b -= 5;
	return prusik_lock_release(&account->lock);
}

static int take_over(struct account *account)
{
	int r = prusik_lock_acquire(&account->lock, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	printf("found a = %ld, b = %ld: %s\n", account->a, account->b, prusik_strerror(r));
	if (r == PRUSIK_RECOVERED)
		account->b = -account->a;
	printf("left a = %ld, b = %ld\n", account->a, account->b);
	return prusik_lock_release(&account->lock);
}

int main(void)
{
	struct prusik_process *child;
	struct prusik_arena *arena;
	uint64_t *link;
	int code;

	if (prusik_arena_create(NULL, 0, &arena) < 0 || prusik_arena_root(arena, "account", &link) < 0 ||
	    prusik_arena_alloc(arena, sizeof(struct account), link) < 0)
		return 1;
	struct account *account = prusik_arena_pointer(arena, *link);
	if (prusik_process_start(die_half_way, account, NULL, &child) < 0 ||
	    prusik_process_join(child, PRUSIK_FOREVER, &code) < 0)
		return 1;
	printf("the holder ended with %d\n", code);
	int r = take_over(account);
	prusik_process_free(child);
	prusik_arena_close(arena);
	return r < 0;
}
