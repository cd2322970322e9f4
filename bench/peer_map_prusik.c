/* SPDX-License-Identifier: MIT */
#include "map.h"

#include <errno.h>
#include <prusik/dict.h>
#include <stdlib.h>
#include <string.h>

struct prusik_map {
	struct prusik_arena *arena;
	struct prusik_dict *dict;
};

static int open_map(const struct map_shape *shape, void **ret_map)
{
	struct prusik_map *map = calloc(1, sizeof *map);

	if (!map)
		return -ENOMEM;
	int r = prusik_arena_create(NULL, (shape->keys * 250) + (1 << 20), &map->arena);
	if (r == 0)
		r = prusik_dict_create(map->arena, "bench", NULL, &map->dict);
	*ret_map = map;
	return r;
}

static void close_map(void *arg)
{
	struct prusik_map *map = arg;

	prusik_dict_free(map->dict);
	prusik_arena_close(map->arena);
	free(map);
}

static struct prusik_dict *dict_of(const struct map_end *end)
{
	return ((struct prusik_map *)end->map)->dict;
}

static int set(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	int r = prusik_dict_set(dict_of(end), key, MAP_KEY, value, MAP_VALUE);

	return r < 0 ? r : 0;
}

static int fill(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	if (end->shape->operation != MAP_ADD)
		return set(end, key, value);
	int r = prusik_dict_add(dict_of(end), key, MAP_KEY, 1, NULL);
	return r < 0 ? r : 0;
}

static int get(struct map_end *end, const char key[MAP_KEY], char value[MAP_VALUE])
{
	int64_t r = prusik_dict_get(dict_of(end), key, MAP_KEY, value, MAP_VALUE);

	return r < 0 ? (int)r : 0;
}

static int add(struct map_end *end, const char key[MAP_KEY])
{
	int r = prusik_dict_add(dict_of(end), key, MAP_KEY, 1, NULL);

	return r < 0 ? r : 0;
}

/* ---- a batch at a time ---- */

struct batch {
	struct prusik_dict_wanted wanted[MAP_BATCH];
	char keys[MAP_BATCH][MAP_KEY], values[MAP_BATCH][MAP_VALUE];
};

static const char *only_get(const struct map_shape *shape)
{
	return shape->operation == MAP_GET ? NULL : "it is for getting";
}

static int join_batch(struct map_end *end)
{
	end->own = calloc(1, sizeof(struct batch));
	return end->own ? 0 : -ENOMEM;
}

static void leave_batch(struct map_end *end)
{
	free(end->own);
}

static int flush(struct map_end *end)
{
	struct batch *b = end->own;
	uint32_t n = end->waiting;
	uint64_t word;

	end->waiting = 0;
	if (prusik_dict_get_many(dict_of(end), b->wanted, n) != n)
		return -ENOENT;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(&word, b->values[i], sizeof word);
		if (word != end->asked[i])
			return -EBADMSG;
	}
	return 0;
}

static int get_later(struct map_end *end, const char key[MAP_KEY], char value[MAP_VALUE])
{
	struct batch *b = end->own;
	uint32_t i = end->waiting++;

	(void)value;
	memcpy(b->keys[i], key, MAP_KEY);
	b->wanted[i] = (struct prusik_dict_wanted){ b->keys[i], MAP_KEY, b->values[i], MAP_VALUE, 0 };
	return end->waiting == MAP_BATCH ? flush(end) : 0;
}

const struct map_peer map_prusik_many = {
	.unfit = only_get,
	.open = open_map,
	.close = close_map,
	.join = join_batch,
	.leave = leave_batch,
	.fill = fill,
	.get = get_later,
	.set = set,
	.add = add,
	.flush = flush,
};

const struct map_peer map_prusik = {
	.open = open_map,
	.close = close_map,
	.fill = fill,
	.get = get,
	.set = set,
	.add = add,
};
