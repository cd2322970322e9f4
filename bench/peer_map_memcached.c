/* SPDX-License-Identifier: MIT */
/*
 * memcached, started for the occasion on a Unix socket in a directory of its own; ended
 * by its number. Its text protocol, one request at a time.
 */
#include "map.h"
#include "team.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST 256
#define FILL_BATCH 256
#define SERVER "/usr/bin/memcached"

struct memcached_map {
	char directory[64], socket[80];
	pid_t server;
};

struct memcached_end {
	int fd;
	uint64_t filled;
	size_t have;
	char bytes[1024];
};

static const char *unfit(const struct map_shape *shape)
{
	(void)shape;
	return access(SERVER, X_OK) == 0 ? NULL : "no memcached";
}

static void become_server(const struct memcached_map *map)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	execl(SERVER, "memcached", "-s", map->socket, "-m", "4096", "-u", "root", "-t", "2", (char *)NULL);
	_exit(127);
}

static int dial(const struct memcached_map *map)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", map->socket);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void close_map(void *arg)
{
	struct memcached_map *map = arg;

	kill(map->server, SIGKILL);
	waitpid(map->server, NULL, 0);
	unlink(map->socket);
	rmdir(map->directory);
	free(map);
}

static int open_map(const struct map_shape *shape, void **ret_map)
{
	struct memcached_map *map = calloc(1, sizeof *map);
	int fd = -1;

	(void)shape;
	if (!map)
		return -ENOMEM;
	strcpy(map->directory, "/tmp/prusik-bench-memcached-XXXXXX");
	if (!mkdtemp(map->directory))
		return -errno;
	snprintf(map->socket, sizeof map->socket, "%s/socket", map->directory);
	map->server = fork();
	if (map->server == 0)
		become_server(map);
	for (int i = 0; i < 1000 && fd < 0; i++) {
		usleep(5000);
		fd = dial(map);
	}
	if (fd < 0) {
		close_map(map);
		return -ECONNREFUSED;
	}
	close(fd);
	*ret_map = map;
	return 0;
}

static int join(struct map_end *end)
{
	struct memcached_end *own = calloc(1, sizeof *own);

	if (!own)
		return -ENOMEM;
	own->fd = dial(end->map);
	end->own = own;
	return own->fd < 0 ? -ECONNREFUSED : 0;
}

static void leave(struct map_end *end)
{
	struct memcached_end *own = end->own;

	close(own->fd);
	free(own);
}

/* Send a request; the reply is there when it ends like this. */
static int ask(struct memcached_end *own, const char *request, size_t length, const char *tail)
{
	size_t n = strlen(tail);

	own->have = 0;
	if (send(own->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
		return -EPIPE;
	do {
		ssize_t r = recv(own->fd, own->bytes + own->have, sizeof own->bytes - own->have, 0);
		if (r <= 0)
			return -EPIPE;
		own->have += (size_t)r;
	} while (own->have < n || memcmp(own->bytes + own->have - n, tail, n) != 0);
	return 0;
}

static size_t write_set(char request[REQUEST], const char *key, const char *value, size_t length, const char *reply)
{
	int n = snprintf(request, REQUEST, "set %.*s 0 0 %zu%s\r\n", MAP_KEY, key, length, reply);

	memcpy(request + n, value, length);
	memcpy(request + n + length, "\r\n", 2);
	return (size_t)n + length + 2;
}

static int store(struct map_end *end, const char *key, const char *value, size_t length)
{
	struct memcached_end *own = end->own;
	char request[REQUEST];
	int r = ask(own, request, write_set(request, key, value, length, ""), "\r\n");

	return r == 0 && memcmp(own->bytes, "STORED", 6) != 0 ? -EPROTO : r;
}

static int set(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	return store(end, key, value, MAP_VALUE);
}

/* Only the last one of some is waited for, and of all: a round trip for each would take longer than the piece. */
static int fill(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	struct memcached_end *own = end->own;
	char request[REQUEST];
	const char *first = end->shape->operation == MAP_ADD ? "1000" : value;
	size_t length = end->shape->operation == MAP_ADD ? 4 : MAP_VALUE;

	if (++own->filled % FILL_BATCH == 0 || own->filled == end->shape->keys)
		return store(end, key, first, length);
	length = write_set(request, key, first, length, " noreply");
	return send(own->fd, request, length, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -EPIPE;
}

static int get(struct map_end *end, const char key[MAP_KEY], char value[MAP_VALUE])
{
	struct memcached_end *own = end->own;
	char request[64];
	int n = snprintf(request, sizeof request, "get %.*s\r\n", MAP_KEY, key);
	int r = ask(own, request, (size_t)n, "END\r\n");
	const char *line = r == 0 ? memchr(own->bytes, '\n', own->have) : NULL;

	if (r < 0 || !line || (size_t)(own->bytes + own->have - line) < MAP_VALUE)
		return r < 0 ? r : -ENOENT;
	memcpy(value, line + 1, MAP_VALUE);
	return 0;
}

static int add(struct map_end *end, const char key[MAP_KEY])
{
	struct memcached_end *own = end->own;
	char request[64];
	int n = snprintf(request, sizeof request, "incr %.*s 1\r\n", MAP_KEY, key);
	int r = ask(own, request, (size_t)n, "\r\n");

	return r == 0 && (own->bytes[0] < '0' || own->bytes[0] > '9') ? -EPROTO : r;
}

const struct map_peer map_memcached = {
	.unfit = unfit,
	.open = open_map,
	.close = close_map,
	.join = join,
	.leave = leave,
	.fill = fill,
	.get = get,
	.set = set,
	.add = add,
};
