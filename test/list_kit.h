/* SPDX-License-Identifier: MIT */
/* list_kit - what tests of lists begin with */
#ifndef TEST_LIST_KIT_H
#define TEST_LIST_KIT_H

#include "party.h"

#include "data/list.h"

#include <prusik/list.h>

#define ARENA_BYTES (UINT64_C(8) << 20)

static inline struct prusik_list *new_list(enum party_kind kind, uint64_t bytes)
{
	struct prusik_list_options options = { .room = bytes };
	struct prusik_list *list = NULL;
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, bytes, &arena), 0);
	ck_assert_int_eq(prusik_list_create(arena, arena ? "items" : NULL, &options, &list), 0);
	party_keep(arena);
	return party_keep(list);
}

static inline void must_be_valid(struct prusik_list *list)
{
	struct prk_list_tally tally;

	ck_assert(prk_list_valid(list, &tally));
	ck_assert_int_eq(prusik_list_length(list), (int64_t)tally.items);
}

static inline int append(struct prusik_list *list, const char *text)
{
	return prusik_list_append(list, text, strlen(text));
}

/* All items, with a blank between them. */
static inline void must_be(struct prusik_list *list, const char *expected)
{
	char text[400] = "", item[40];

	for (int64_t i = 0; i < prusik_list_length(list); i++) {
		int64_t n = prusik_list_get(list, i, item, sizeof item);
		ck_assert_int_ge(n, 0);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s", i ? " " : "", (int)n, item);
	}
	ck_assert_str_eq(text, expected);
	must_be_valid(list);
}

struct share {
	struct prusik_list *list;
	int done;
};

/* Every block of its arena is the list's, and it is whole. */
static inline void must_own_all(struct prusik_list *list)
{
	struct prusik_arena_stats stats;
	struct prk_list_tally tally;

	ck_assert(prk_list_valid(list, &tally));
	ck_assert_int_eq(prusik_arena_stats(list->view.arena, &stats), 0);
	ck_assert_uint_eq(stats.blocks, tally.blocks);
}

#endif
