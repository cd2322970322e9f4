/* SPDX-License-Identifier: MIT */
/* prusik queue: put, get, take, done, fail */
#include "line.h"
#include "queue.h"

#include <errno.h>
#include <inttypes.h>
#include <prusik/common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 256
#define READ_SIZE (64u << 10)

/* ---- put ---- */

/* What has been read and is not yet in the queue. */
struct pump {
	struct queue_call *call;
	char *bytes;
	size_t size, used, begin; /* room; bytes read; of which so many are in the queue */
	struct iovec items[BATCH];
	uint32_t count;
	uint64_t lines;
	bool plain; /* no priority, no delay: whole batches at once */
};

/* One of the items, or more of them, from that one on: how many, or why none. */
static int64_t put_some(struct pump *pump, uint32_t from)
{
	struct queue_call *call = pump->call;
	struct iovec *item = &pump->items[from];

	if (pump->plain)
		return prusik_queue_put_many(call->queue, item, pump->count - from, call->deadline);
	call->put.not_before = call->delay > 0 ? prusik_in_ns((int64_t)(call->delay * 1e9)) : 0;
	int r = prusik_queue_put_with(call->queue, item->iov_base, item->iov_len, &call->put, call->deadline);
	return r < 0 ? r : 1;
}

/* All that has been collected. 0, or why not: then lines tells how many are in the queue. */
static int flush_items(struct pump *pump)
{
	uint32_t done = 0;
	int64_t r = 0;

	while (r >= 0 && done < pump->count) {
		r = put_some(pump, done);
		done += r > 0 ? (uint32_t)r : 0;
	}
	pump->lines += done;
	pump->count = 0;
	return r < 0 ? (int)r : 0;
}

static int add_item(struct pump *pump, char *item, size_t length)
{
	pump->items[pump->count++] = (struct iovec){ item, length };
	return pump->count == BATCH ? flush_items(pump) : 0;
}

/* The whole items among the bytes; the rest moves to the front. */
static int put_whole(struct pump *pump)
{
	char *at = pump->bytes, *end = pump->bytes + pump->used, *stop;
	int r = 0;

	while (r == 0 && (stop = memchr(at, pump->call->end, (size_t)(end - at)))) {
		r = add_item(pump, at, (size_t)(stop - at));
		at = stop + 1;
	}
	if (r == 0)
		r = flush_items(pump);
	pump->used = (size_t)(end - at);
	memmove(pump->bytes, at, pump->used);
	return r;
}

static bool grow(struct pump *pump)
{
	if (pump->size - pump->used >= READ_SIZE)
		return true;
	char *more = realloc(pump->bytes, pump->size * 2 + READ_SIZE);
	if (!more)
		return false;
	pump->bytes = more;
	pump->size = pump->size * 2 + READ_SIZE;
	return true;
}

static int put_stdin(struct pump *pump)
{
	ssize_t n;
	int r = 0;

	while (r == 0) {
		if (!grow(pump))
			return -ENOMEM;
		n = read(STDIN_FILENO, pump->bytes + pump->used, pump->size - pump->used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		pump->used += (size_t)n;
		r = put_whole(pump);
	}
	if (r == 0 && pump->used > 0) { /* a last line without its end */
		r = add_item(pump, pump->bytes, pump->used);
		r = r < 0 ? r : flush_items(pump);
	}
	return r;
}

static int put_arguments(struct pump *pump)
{
	int r = 0;

	for (int i = 0; i < pump->call->argc && r == 0; i++)
		r = add_item(pump, pump->call->argv[i], strlen(pump->call->argv[i]));
	return r < 0 ? r : flush_items(pump);
}

/* What was asked for and is not in the queue must not go unsaid. */
static void tell_how_far(const struct queue_call *call, const struct pump *pump, int result)
{
	if (result < 0 && !call->quiet)
		cmd_say(": queue '%s': %" PRIu64 " items put, not the rest: %s", call->name, pump->lines,
			prusik_strerror(result));
}

int queue_put(struct queue_call *call)
{
	struct pump *pump = calloc(1, sizeof *pump);

	if (!pump)
		return queue_trouble(call, -ENOMEM);
	pump->call = call;
	pump->plain = call->put.priority == 0 && call->delay <= 0;
	int r = call->argc > 0 ? put_arguments(pump) : put_stdin(pump);
	tell_how_far(call, pump, r);
	free(pump->bytes);
	free(pump);
	if (r == 0)
		return CMD_OK;
	call->quiet = true; /* it has been said */
	return queue_trouble(call, r);
}

/* ---- get, take ---- */

void queue_id_print(char id[QUEUE_ID_MAX], const struct prusik_lease *lease)
{
	snprintf(id, QUEUE_ID_MAX, "%" PRIx32 ".%" PRIx32 ".%" PRIx64, lease->node, lease->turn, lease->ticket);
}

bool queue_id_read(const char *id, struct prusik_lease *ret_lease)
{
	int end = 0;

	*ret_lease = (struct prusik_lease){ 0 };
	return sscanf(id, "%" SCNx32 ".%" SCNx32 ".%" SCNx64 "%n", &ret_lease->node, &ret_lease->turn,
		      &ret_lease->ticket, &end) == 3 &&
	       id[end] == '\0';
}

/* Printed first, and done only when it is out: killed between, it is handed out again. */
static int print_items(struct queue_call *call, const struct prusik_lease *leases, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		char id[QUEUE_ID_MAX];
		queue_id_print(id, &leases[i]);
		if (call->give_lease)
			printf("%s\t", id);
		fwrite(leases[i].data, 1, leases[i].length, stdout);
		putchar(call->end);
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}

static int64_t give_lease(const struct queue_call *call, const struct prusik_lease *lease)
{
	return prusik_queue_detach(call->queue, lease, prusik_in_ns((int64_t)(call->lease * 1e9)));
}

/* How many were got, or why none. */
static int64_t get_some(struct queue_call *call, uint32_t most)
{
	struct prusik_lease leases[BATCH];
	int64_t n = prusik_queue_take_many(call->queue, leases, most < BATCH ? most : BATCH, call->deadline);

	if (n < 0)
		return n;
	for (int64_t i = 0; i < n && call->give_lease; i++)
		if (give_lease(call, &leases[i]) < 0)
			return -ESTALE;
	int r = print_items(call, leases, n);
	if (r < 0)
		return r; /* the leases end with us, and the items are there again */
	if (!call->give_lease)
		prusik_queue_done_many(call->queue, leases, (uint32_t)n);
	return n;
}

int queue_get(struct queue_call *call)
{
	uint64_t left = call->loop ? UINT64_MAX : call->count ? call->count : 1;

	if (call->command)
		return queue_get_for_command(call);
	while (left > 0) {
		int64_t n = get_some(call, left < BATCH ? (uint32_t)left : BATCH);
		if (n == -EPIPE && call->loop)
			return CMD_OK; /* closed, and all is done: that is what was waited for */
		if (n < 0)
			return queue_trouble(call, n);
		left -= (uint64_t)n;
	}
	return CMD_OK;
}

/* All that is there now. */
int queue_drain(struct queue_call *call)
{
	int64_t n;

	call->deadline = PRUSIK_NOW;
	do
		n = get_some(call, BATCH);
	while (n >= 0);
	return n == -ETIMEDOUT || n == -EPIPE ? CMD_OK : queue_trouble(call, n);
}

/* ---- done, fail ---- */

static int finish(struct queue_call *call, const struct prusik_lease *lease)
{
	int64_t later = call->delay > 0 ? prusik_in_ns((int64_t)(call->delay * 1e9)) : PRUSIK_NOW;

	if (strcmp(call->verb, "done") == 0)
		return prusik_queue_done(call->queue, lease);
	if (call->dead)
		return prusik_queue_bury(call->queue, lease);
	return prusik_queue_retry(call->queue, lease, later);
}

int queue_finish(struct queue_call *call)
{
	int code = CMD_OK;

	if (call->argc == 0) {
		cmd_say(": queue %s: which? Give the ID that take printed", call->verb);
		return CMD_USAGE;
	}
	for (int i = 0; i < call->argc; i++) {
		struct prusik_lease lease;
		if (!queue_id_read(call->argv[i], &lease)) {
			cmd_say(": '%s' is not an ID that take printed", call->argv[i]);
			return CMD_USAGE;
		}
		int r = finish(call, &lease);
		if (r < 0)
			code = queue_trouble(call, r);
	}
	return code;
}
