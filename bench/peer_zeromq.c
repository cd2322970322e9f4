/* SPDX-License-Identifier: MIT */
/*
 * ZeroMQ's PUSH and PULL over ipc in the queue workloads. It has no batches that a
 * caller could ask for; it makes its own.
 *
 * Every consumer listens at an address of its own and every producer connects to
 * all of them: PUSH deals its items out, but not evenly when one is full.
 */
#include "queue.h"
#include "team.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#define IDLE_MS 2

/* The parent's number makes the addresses this run's own. */
struct line {
	int run;
};

/* A process's context and socket. */
struct link {
	void *context;
	void *socket;
};

static int open_zeromq(const struct queue_shape *shape, void **ret_line)
{
	static int runs;
	struct line *line = malloc(sizeof(*line));

	(void)shape;
	if (!line)
		return -ENOMEM;
	line->run = runs++;
	*ret_line = line;
	return 0;
}

/* An abstract Unix address: no file is left behind. Members are the parent's children. */
static void address(const struct queue_end *end, uint32_t consumer, char *text, size_t size)
{
	const struct line *line = end->line;

	snprintf(text, size, "ipc://@prusik-bench-%d-%d-%u", (int)getppid(), line->run, consumer);
}

static int set_option(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int connect_to_all(const struct queue_end *end, void *socket)
{
	zmq_pollitem_t item = { .socket = socket, .events = ZMQ_POLLOUT };
	char text[64];

	set_option(socket, ZMQ_IMMEDIATE, 1);
	set_option(socket, ZMQ_RECONNECT_IVL, 1);
	for (uint32_t i = 0; i < end->shape->consumers; i++) {
		address(end, i, text, sizeof(text));
		if (zmq_connect(socket, text) < 0)
			return -errno;
	}
	return zmq_poll(&item, 1, 5000) == 1 ? 0 : -ETIMEDOUT;
}

static int bind_own(const struct queue_end *end, void *socket)
{
	char text[64];

	address(end, end->index, text, sizeof(text));
	return zmq_bind(socket, text) < 0 ? -errno : 0;
}

static void leave_zeromq(struct queue_end *end)
{
	struct link *link = end->own;

	zmq_close(link->socket);
	zmq_ctx_term(link->context);
	free(link);
}

/* The capacity lies in two halves, the sender's and the receiver's. */
static int join_zeromq(struct queue_end *end)
{
	struct link *link = malloc(sizeof(*link));
	int half = (int)end->shape->capacity / 2;
	int result;

	if (!link)
		return -ENOMEM;
	link->context = zmq_ctx_new();
	link->socket = zmq_socket(link->context, end->puts ? ZMQ_PUSH : ZMQ_PULL);
	end->own = link;
	set_option(link->socket, ZMQ_SNDHWM, half);
	set_option(link->socket, ZMQ_RCVHWM, half);
	result = (end->puts ? connect_to_all : bind_own)(end, link->socket);
	if (result < 0)
		leave_zeromq(end);
	return result;
}

static int put_zeromq(struct queue_end *end, uint32_t n)
{
	const struct link *link = end->own;

	for (uint32_t i = 0; i < n; i++)
		if (zmq_send(link->socket, end->items[i].iov_base, end->items[i].iov_len, 0) < 0)
			return -errno;
	return 0;
}

static int receive(struct queue_end *end, int flags)
{
	const struct link *link = end->own;
	int length = zmq_recv(link->socket, end->items[0].iov_base, end->items[0].iov_len, flags);

	if (length < 0)
		return -errno;
	end->items[0].iov_len = (size_t)length;
	return 1;
}

static int get_zeromq(struct queue_end *end, uint32_t n)
{
	const struct link *link = end->own;
	zmq_pollitem_t item = { .socket = link->socket, .events = ZMQ_POLLIN };
	int got = receive(end, ZMQ_DONTWAIT);

	(void)n;
	if (got != -EAGAIN)
		return got;
	if (end->idle_since == 0)
		end->idle_since = team_now();
	if (zmq_poll(&item, 1, IDLE_MS) == 0)
		return 0;
	end->idle_since = 0;
	return receive(end, 0);
}

const struct queue_peer queue_zeromq = {
	.open = open_zeromq,
	.close = free,
	.join = join_zeromq,
	.leave = leave_zeromq,
	.put = put_zeromq,
	.get = get_zeromq,
	.uneven = 1,
};
