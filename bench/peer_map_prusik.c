/* SPDX-License-Identifier: MIT */
#include "map.h"

#include <errno.h>
#include <prusik/dict.h>
#include <stdlib.h>

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

const struct map_peer map_prusik = {
	.open = open_map, .close = close_map, .fill = fill, .get = get, .set = set, .add = add,
};
