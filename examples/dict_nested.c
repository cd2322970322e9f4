/* SPDX-License-Identifier: MIT */
/*
 * A namespace: names for objects of three kinds, which a child finds by them. The dict has
 * references; the objects belong to the links in a block of their own, and go with those.
 */
#include <prusik.h>
#include <stdio.h>
#include <string.h>

static struct prusik_arena *arena;
static struct prusik_dict *names;

static int say(const char *name, uint64_t reference)
{
	return prusik_dict_set(names, name, strlen(name), &reference, sizeof reference);
}

static uint64_t find(const char *name)
{
	uint64_t reference = 0;

	prusik_dict_get(names, name, strlen(name), &reference, sizeof reference);
	return reference;
}

static int child(void *unused)
{
	struct prusik_value *visits;
	struct prusik_list *log;

	(void)unused;
	if (prusik_value_at(arena, find("visits"), NULL, &visits) < 0 || prusik_list_at(arena, find("log"), &log) < 0)
		return 1;
	int r = prusik_value_add(visits, 1, NULL) < 0 || prusik_list_append(log, "here", 4) < 0;
	prusik_list_free(log);
	prusik_value_free(visits);
	return r;
}

int main(void)
{
	struct prusik_process *process;
	struct prusik_value *visits, *gone;
	struct prusik_list *log;
	uint64_t *link;
	int64_t n;

	if (prusik_arena_create(NULL, 1 << 20, &arena) < 0 || prusik_dict_create(arena, "names", NULL, &names) < 0 ||
	    prusik_arena_root(arena, "owned", &link) < 0 || prusik_arena_alloc(arena, 2 * sizeof *link, link) < 0)
		return 1;
	link = prusik_arena_pointer(arena, *link);
	if (prusik_value_create_at(arena, &link[0], NULL, &visits) < 0 ||
	    prusik_list_create_at(arena, &link[1], NULL, &log) < 0 ||
	    say("visits", prusik_value_reference(visits)) < 0 || say("log", prusik_list_reference(log)) < 0)
		return 1;
	if (prusik_process_start(child, NULL, NULL, &process) < 0)
		return 1;
	prusik_process_join(process, PRUSIK_FOREVER, NULL);
	prusik_process_free(process);
	if (prusik_value_get(visits, &n) < 0)
		return 1;
	printf("%lld visit, %lld line\n", (long long)n, (long long)prusik_list_length(log));
	prusik_list_free(log);
	prusik_value_free(visits);
	if (prusik_value_destroy(arena, &link[0]) < 0)
		return 1;
	printf("destroyed: %s\n", prusik_value_at(arena, find("visits"), NULL, &gone) < 0 ? "refused" : "found");
	prusik_dict_free(names);
	prusik_arena_close(arena);
	return 0;
}
