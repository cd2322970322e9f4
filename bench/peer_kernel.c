/* SPDX-License-Identifier: MIT */
/* The kernel's own queues in the queue workloads: pipe, Unix sockets, POSIX message queues. */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two descriptors: producers have in, consumers have out. */
struct line {
	int in, out;
};

static int new_line(int in, int out, void **ret_line)
{
	struct line *line = malloc(sizeof(*line));

	if (!line)
		return -ENOMEM;
	*line = (struct line){ .in = in, .out = out };
	*ret_line = line;
	return 0;
}

static void close_line(void *opened)
{
	struct line *line = opened;

	close(line->in);
	if (line->out != line->in)
		close(line->out);
	free(line);
}

static const struct line *line_of(const struct queue_end *end)
{
	return end->line;
}

/* ---- pipe ---- */

/* Writes of several producers stay whole up to PIPE_BUF bytes only. */
static const char *pipe_unfit(const struct queue_shape *shape)
{
	return shape->producers > 1 && shape->size > PIPE_BUF ? "items are longer than PIPE_BUF" : NULL;
}

static int pipe_open(const struct queue_shape *shape, void **ret_line)
{
	int ends[2];

	if (pipe(ends) < 0)
		return -errno;
	/* As much of the capacity as the system allows. */
	for (int room = (int)(shape->capacity * shape->size); room > 65536; room /= 2)
		if (fcntl(ends[1], F_SETPIPE_SZ, room) >= 0)
			break;
	return new_line(ends[1], ends[0], ret_line);
}

static int write_all(int fd, const char *bytes, size_t left)
{
	while (left > 0) {
		ssize_t written = write(fd, bytes, left);

		if (written < 0)
			return -errno;
		bytes += written;
		left -= (size_t)written;
	}
	return 0;
}

/* The items lie one after the other: one write for as many of them as may be. */
static int pipe_put(struct queue_end *end, uint32_t n)
{
	size_t size = end->shape->size;
	size_t all = n * size;
	size_t chunk = end->shape->producers == 1 ? all : PIPE_BUF / size * size;
	const char *bytes = end->items[0].iov_base;
	int result = 0;

	for (size_t at = 0; at < all && result == 0; at += chunk)
		result = write_all(line_of(end)->in, bytes + at, all - at < chunk ? all - at : chunk);
	return result;
}

/* What is there, up to n items. Only a lone consumer can meet a part of an item. */
static int pipe_get(struct queue_end *end, uint32_t n)
{
	size_t size = end->shape->size;
	size_t got = 0;

	do {
		ssize_t more = read(line_of(end)->out, (char *)end->items[0].iov_base + got, n * size - got);

		if (more <= 0)
			return more < 0 ? -errno : -EPIPE;
		got += (size_t)more;
	} while (got % size != 0);
	return (int)(got / size);
}

const struct queue_peer queue_pipe = {
	.unfit = pipe_unfit,
	.open = pipe_open,
	.close = close_line,
	.put = pipe_put,
	.get = pipe_get,
};

/* ---- Unix socket, SOCK_SEQPACKET ---- */

static int seqpacket_open(const struct queue_shape *shape, void **ret_line)
{
	int room = (int)(shape->capacity * shape->size);
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
		return -errno;
	if (setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return new_line(ends[1], ends[0], ret_line);
}

static void point_messages(struct mmsghdr *messages, struct iovec *items, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &items[i], .msg_iovlen = 1 } };
}

static int seqpacket_put_many(struct queue_end *end, uint32_t n)
{
	struct mmsghdr messages[QUEUE_BATCH_MAX];
	uint32_t sent = 0;

	point_messages(messages, end->items, n);
	while (sent < n) {
		int more = sendmmsg(line_of(end)->in, messages + sent, n - sent, 0);

		if (more < 0)
			return -errno;
		sent += (uint32_t)more;
	}
	return 0;
}

static int seqpacket_put(struct queue_end *end, uint32_t n)
{
	if (n > 1)
		return seqpacket_put_many(end, n);
	return send(line_of(end)->in, end->items[0].iov_base, end->items[0].iov_len, 0) < 0 ? -errno : 0;
}

static int seqpacket_get_many(struct queue_end *end, uint32_t n)
{
	struct mmsghdr messages[QUEUE_BATCH_MAX];
	int got;

	point_messages(messages, end->items, n);
	got = recvmmsg(line_of(end)->out, messages, n, MSG_WAITFORONE, NULL);
	for (int i = 0; i < got; i++)
		end->items[i].iov_len = messages[i].msg_len;
	return got < 0 ? -errno : got;
}

static int seqpacket_get(struct queue_end *end, uint32_t n)
{
	struct iovec *item = &end->items[0];
	ssize_t length;

	if (n > 1)
		return seqpacket_get_many(end, n);
	length = recv(line_of(end)->out, item->iov_base, item->iov_len, 0);
	if (length < 0)
		return -errno;
	item->iov_len = (size_t)length;
	return 1;
}

const struct queue_peer queue_seqpacket = {
	.open = seqpacket_open,
	.close = close_line,
	.put = seqpacket_put,
	.get = seqpacket_get,
};

/* ---- POSIX message queue ---- */

static long system_limit(const char *file, long otherwise)
{
	FILE *stream = fopen(file, "re");
	long limit = otherwise;

	if (!stream)
		return otherwise;
	if (fscanf(stream, "%ld", &limit) != 1)
		limit = otherwise;
	fclose(stream);
	return limit;
}

static const char *mq_unfit(const struct queue_shape *shape)
{
	return shape->size > system_limit("/proc/sys/fs/mqueue/msgsize_max", 8192) ?
		       "items are longer than the system's msgsize_max" :
		       NULL;
}

/* As deep as the system allows; its name is gone as soon as it is open. */
static mqd_t mq_open_deep(const struct queue_shape *shape)
{
	struct mq_attr attributes = { .mq_maxmsg = shape->capacity, .mq_msgsize = shape->size };
	char name[32];
	mqd_t queue;

	snprintf(name, sizeof(name), "/prusik-bench-%d", (int)getpid());
	do {
		queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
	} while (queue < 0 && (attributes.mq_maxmsg /= 2) > 0);
	if (queue >= 0)
		mq_unlink(name);
	return queue;
}

static int mq_open_line(const struct queue_shape *shape, void **ret_line)
{
	mqd_t queue = mq_open_deep(shape);

	return queue < 0 ? -errno : new_line(queue, queue, ret_line);
}

static int mq_put(struct queue_end *end, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (mq_send(line_of(end)->in, end->items[i].iov_base, end->items[i].iov_len, 0) < 0)
			return -errno;
	return 0;
}

static int mq_get(struct queue_end *end, uint32_t n)
{
	struct iovec *item = &end->items[0];
	ssize_t length = mq_receive(line_of(end)->out, item->iov_base, item->iov_len, NULL);

	(void)n;
	if (length < 0)
		return -errno;
	item->iov_len = (size_t)length;
	return 1;
}

const struct queue_peer queue_mq = {
	.unfit = mq_unfit,
	.open = mq_open_line,
	.close = close_line,
	.put = mq_put,
	.get = mq_get,
};
