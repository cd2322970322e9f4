/* SPDX-License-Identifier: MIT */
/*
 * LMDB without syncing, on /dev/shm: a transaction for each set and add, and a renewed
 * one for each get, which is what sees what others have just set. MDB_WRITEMAP is the
 * faster way to write, and makes a crash corrupt the file; it gets it all the same.
 */
#include "map.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lmdb_map {
	char directory[64];
	uint64_t room;
};

struct lmdb_end {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *reader, *filler;
};

static int open_map(const struct map_shape *shape, void **ret_map)
{
	struct lmdb_map *map = calloc(1, sizeof *map);

	if (!map)
		return -ENOMEM;
	strcpy(map->directory, "/dev/shm/prusik-bench-lmdb-XXXXXX");
	map->room = (shape->keys * 600) + (UINT64_C(64) << 20);
	if (!mkdtemp(map->directory))
		return -errno;
	*ret_map = map;
	return 0;
}

static void close_map(void *arg)
{
	struct lmdb_map *map = arg;
	char path[80];

	snprintf(path, sizeof path, "%s/data.mdb", map->directory);
	unlink(path);
	snprintf(path, sizeof path, "%s/lock.mdb", map->directory);
	unlink(path);
	rmdir(map->directory);
	free(map);
}

/* LMDB's own numbers are negative, too. */
static int result(int r)
{
	return r > 0 ? -r : r;
}

static int join(struct map_end *end)
{
	const struct lmdb_map *map = end->map;
	struct lmdb_end *own = calloc(1, sizeof *own);
	MDB_txn *txn;
	int r = mdb_env_create(&own->env);

	if (r == 0)
		r = mdb_env_set_mapsize(own->env, map->room);
	if (r == 0)
		r = mdb_env_open(own->env, map->directory, MDB_NOSYNC | MDB_WRITEMAP, 0600);
	if (r == 0)
		r = mdb_txn_begin(own->env, NULL, 0, &txn);
	if (r == 0)
		r = mdb_dbi_open(txn, NULL, 0, &own->dbi);
	if (r == 0)
		r = mdb_txn_commit(txn);
	if (r == 0)
		r = mdb_txn_begin(own->env, NULL, MDB_RDONLY, &own->reader);
	if (r == 0)
		mdb_txn_reset(own->reader);
	end->own = own;
	return result(r);
}

static void leave(struct map_end *end)
{
	struct lmdb_end *own = end->own;

	mdb_txn_abort(own->reader);
	mdb_env_close(own->env);
	free(own);
}

static int put(struct lmdb_end *own, MDB_txn *txn, const char *key, const void *value, size_t length)
{
	MDB_val k = { MAP_KEY, (void *)(uintptr_t)key }, v = { length, (void *)(uintptr_t)value };

	return mdb_put(txn, own->dbi, &k, &v, 0);
}

static int fill(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	struct lmdb_end *own = end->own;
	const int64_t one = 1;
	int adds = end->shape->operation == MAP_ADD, r = 0;

	if (!own->filler)
		r = mdb_txn_begin(own->env, NULL, 0, &own->filler);
	if (r == 0)
		r = put(own, own->filler, key, adds ? (const void *)&one : value, adds ? sizeof one : MAP_VALUE);
	if (r == 0 && ++end->waiting == end->shape->keys)
		r = mdb_txn_commit(own->filler);
	return result(r);
}

static int get(struct map_end *end, const char key[MAP_KEY], char value[MAP_VALUE])
{
	struct lmdb_end *own = end->own;
	MDB_val k = { MAP_KEY, (void *)(uintptr_t)key }, v;
	int r = mdb_txn_renew(own->reader);

	if (r == 0)
		r = mdb_get(own->reader, own->dbi, &k, &v);
	if (r == 0)
		memcpy(value, v.mv_data, MAP_VALUE);
	mdb_txn_reset(own->reader);
	return result(r);
}

static int set(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	struct lmdb_end *own = end->own;
	MDB_txn *txn;
	int r = mdb_txn_begin(own->env, NULL, 0, &txn);

	if (r == 0)
		r = put(own, txn, key, value, MAP_VALUE);
	return result(r == 0 ? mdb_txn_commit(txn) : r);
}

static int add(struct map_end *end, const char key[MAP_KEY])
{
	struct lmdb_end *own = end->own;
	MDB_val k = { MAP_KEY, (void *)(uintptr_t)key }, v;
	MDB_txn *txn;
	int64_t n;
	int r = mdb_txn_begin(own->env, NULL, 0, &txn);

	if (r == 0)
		r = mdb_get(txn, own->dbi, &k, &v);
	if (r != 0)
		return result(r);
	memcpy(&n, v.mv_data, sizeof n);
	n++;
	r = put(own, txn, key, &n, sizeof n);
	return result(r == 0 ? mdb_txn_commit(txn) : r);
}

const struct map_peer map_lmdb = {
	.open = open_map,
	.close = close_map,
	.join = join,
	.leave = leave,
	.fill = fill,
	.get = get,
	.set = set,
	.add = add,
};
