/* SPDX-License-Identifier: MIT */
/*
 * 16, 17: Who am I, and who else is there? The calling thread, the main one, how many are
 * alive, and all of them by name. The child waits until main has counted it, so the
 * answer is not a matter of luck.
 */
#include <prusik.h>
#include <stdio.h>

static struct prusik_event counted;

static void introduce(const char *as)
{
	struct prusik_thread *me = prusik_thread_current();
	char name[64] = "?";

	if (prusik_thread_name(me, name, sizeof name) < 0)
		printf("%s: out of memory\n", as);
	else
		printf("%s: %s, alive %d, ident %lld, the kernel calls it %d\n", as, name, prusik_thread_is_alive(me),
		       (long long)prusik_thread_ident(me), prusik_thread_native_id(me));
	prusik_thread_free(me);
}

static int child(void *unused)
{
	(void)unused;
	introduce("child");
	return prusik_event_wait(&counted, PRUSIK_FOREVER);
}

static void list_all(void)
{
	struct prusik_thread *all[8];
	int64_t there = prusik_thread_enumerate(all, 8);
	char name[64];

	for (int64_t i = 0; i < there && i < 8; i++) {
		if (prusik_thread_name(all[i], name, sizeof name) == 0)
			printf("alive: %s\n", name);
		prusik_thread_free(all[i]);
	}
}

int main(void)
{
	struct prusik_thread *thread;
	int result;

	introduce("main");
	if (prusik_thread_start(child, NULL, &(struct prusik_thread_options){ .name = "worker" }, &thread) < 0)
		return 1;
	printf("threads: %lld\n", (long long)prusik_thread_active_count());
	list_all();
	prusik_event_set(&counted);
	int r = prusik_thread_join(thread, PRUSIK_FOREVER, &result);
	printf("threads after join: %lld, the child is alive: %d\n", (long long)prusik_thread_active_count(),
	       prusik_thread_is_alive(thread));
	prusik_thread_free(thread);
	return r < 0 || result < 0;
}
