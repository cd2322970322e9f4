/* SPDX-License-Identifier: MIT */
/*
 * Redis, started for the occasion on a Unix socket in a directory of its own, without
 * persistence; ended by its number. One request at a time, or 16 in a pipeline.
 */
#include "map.h"
#include "team.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_map {
	char directory[64], socket[80];
	pid_t server;
};

static const char *unfit(const struct map_shape *shape)
{
	(void)shape;
	return access("/usr/bin/redis-server", X_OK) == 0 ? NULL : "no redis-server";
}

static void become_server(const struct redis_map *map)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	execl("/usr/bin/redis-server", "redis-server", "--port", "0", "--unixsocket", map->socket, "--save", "",
	      "--appendonly", "no", "--dir", map->directory, (char *)NULL);
	_exit(127);
}

static redisContext *dial(const struct redis_map *map)
{
	redisContext *c = redisConnectUnix(map->socket);

	if (c && c->err) {
		redisFree(c);
		c = NULL;
	}
	return c;
}

static void close_map(void *arg)
{
	struct redis_map *map = arg;

	kill(map->server, SIGKILL);
	waitpid(map->server, NULL, 0);
	unlink(map->socket);
	rmdir(map->directory);
	free(map);
}

static int open_map(const struct map_shape *shape, void **ret_map)
{
	struct redis_map *map = calloc(1, sizeof *map);
	redisContext *c = NULL;

	(void)shape;
	if (!map)
		return -ENOMEM;
	strcpy(map->directory, "/tmp/prusik-bench-redis-XXXXXX");
	if (!mkdtemp(map->directory))
		return -errno;
	snprintf(map->socket, sizeof map->socket, "%s/socket", map->directory);
	map->server = fork();
	if (map->server == 0)
		become_server(map);
	for (int i = 0; i < 1000 && !c; i++) {
		usleep(5000);
		c = dial(map);
	}
	if (!c) {
		close_map(map);
		return -ECONNREFUSED;
	}
	redisFree(c);
	*ret_map = map;
	return 0;
}

static int join(struct map_end *end)
{
	end->own = dial(end->map);
	return end->own ? 0 : -ECONNREFUSED;
}

/* The reply of a get says which key it is of. */
static int check(const struct map_end *end, const redisReply *reply, uint32_t i)
{
	uint64_t word;

	if (!reply || reply->type == REDIS_REPLY_ERROR)
		return -EPROTO;
	if (end->shape->operation != MAP_GET || reply->type != REDIS_REPLY_STRING)
		return 0;
	if (reply->len != MAP_VALUE)
		return -EBADMSG;
	memcpy(&word, reply->str, sizeof word);
	return word == end->asked[i] ? 0 : -EBADMSG;
}

static int flush(struct map_end *end)
{
	int result = 0;

	for (uint32_t i = 0; i < end->waiting && result == 0; i++) {
		redisReply *reply = NULL;
		if (redisGetReply(end->own, (void **)&reply) != REDIS_OK)
			result = -EPROTO;
		else
			result = check(end, reply, i);
		freeReplyObject(reply);
	}
	end->waiting = 0;
	return result;
}

static int flush_one(struct map_end *end)
{
	end->waiting = 1;
	return flush(end);
}

static int later(struct map_end *end)
{
	return ++end->waiting == MAP_BATCH ? flush(end) : 0;
}

static int get(struct map_end *end, const char key[MAP_KEY], char value[MAP_VALUE])
{
	(void)value;
	redisAppendCommand(end->own, "GET %b", key, (size_t)MAP_KEY);
	return later(end);
}

static int set(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	redisAppendCommand(end->own, "SET %b %b", key, (size_t)MAP_KEY, value, (size_t)MAP_VALUE);
	return later(end);
}

static int add(struct map_end *end, const char key[MAP_KEY])
{
	redisAppendCommand(end->own, "INCRBY %b 1", key, (size_t)MAP_KEY);
	return later(end);
}

static int fill(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	return end->shape->operation == MAP_ADD ? add(end, key) : set(end, key, value);
}

static int get_now(struct map_end *end, const char key[MAP_KEY], char value[MAP_VALUE])
{
	int r = get(end, key, value);

	return r == 0 ? flush(end) : r;
}

static int set_now(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	int r = set(end, key, value);

	return r == 0 ? flush(end) : r;
}

static int add_now(struct map_end *end, const char key[MAP_KEY])
{
	int r = add(end, key);

	return r == 0 ? flush(end) : r;
}

/* ---- lists ---- */

static int push(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	(void)key;
	redisAppendCommand(end->own, "RPUSH list %b", value, (size_t)MAP_VALUE);
	return flush_one(end);
}

/* In one round trip: the peer at its best. */
static int once(struct map_end *end, uint64_t number)
{
	char value[MAP_VALUE];

	if (end->shape->operation == MAP_GET) {
		end->asked[0] = number;
		redisAppendCommand(end->own, "LINDEX list %llu", (unsigned long long)number);
		return flush_one(end);
	}
	memset(value, 'v', sizeof value);
	redisAppendCommand(end->own, "RPUSH list %b", value, sizeof value);
	redisAppendCommand(end->own, "LPOP list");
	end->waiting = 2;
	return flush(end);
}

const struct map_peer list_redis = {
	.unfit = unfit,
	.open = open_map,
	.close = close_map,
	.join = join,
	.fill = push,
	.once = once,
};

const struct map_peer map_redis = {
	.unfit = unfit,
	.open = open_map,
	.close = close_map,
	.join = join,
	.fill = fill,
	.get = get_now,
	.set = set_now,
	.add = add_now,
	.flush = flush,
};

const struct map_peer map_redis_pipelined = {
	.unfit = unfit,
	.open = open_map,
	.close = close_map,
	.join = join,
	.fill = fill,
	.get = get,
	.set = set,
	.add = add,
	.flush = flush,
};
