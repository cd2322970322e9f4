/* SPDX-License-Identifier: MIT */
/*
 * How much memory an item of 64 bytes takes in a queue that is full of them: what the
 * process has more of it once they are in, divided by their number; the queue's own
 * head included. Of queues in mappings of their own, shared ones too, the pages; of
 * those on the heap, the bytes that malloc counts. GLib's queue holds pointers, so
 * there the item is a block of the caller's.
 */
#include "bench.h"
#include "queue.h"
#include "team.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEM 64
#define ITEMS 8192

static const struct queue_shape shape = {
	.size = ITEM,
	.producers = 1,
	.consumers = 1,
	.batch = 1,
	.capacity = ITEMS,
};

/* kB in a line of that file that begins so; -1: there is none. */
static int64_t kilobytes(const char *file, const char *begins)
{
	FILE *stream = fopen(file, "re");
	char line[256];
	int64_t found = -1;

	while (stream && fgets(line, sizeof line, stream))
		if (strncmp(line, begins, strlen(begins)) == 0)
			found = strtoll(line + strlen(begins), NULL, 10);
	if (stream)
		fclose(stream);
	return found;
}

struct memory_peer {
	const struct queue_peer *peer;
	int pointers; /* 1: it holds pointers, on the heap */
};

static int64_t bytes_used(const struct memory_peer *subject)
{
	if (subject->pointers)
		return (int64_t)mallinfo2().uordblks;
	return 1024 * (kilobytes("/proc/self/status", "RssAnon:") + kilobytes("/proc/self/status", "RssShmem:"));
}

static int put_one(const struct memory_peer *subject, struct queue_end *end)
{
	char item[ITEM], *own;

	memset(item, 1, sizeof item);
	end->items[0] = (struct iovec){ item, sizeof item };
	if (subject->pointers) {
		own = malloc(ITEM); /* the process ends with it */
		if (!own)
			return -ENOMEM;
		memcpy(own, item, ITEM);
		end->items[0] = (struct iovec){ &own, sizeof own };
	}
	return subject->peer->put(end, 1);
}

/* Open one and put so many into it; how much memory that took goes to *ret_bytes. */
static int fill(const struct memory_peer *subject, int items, int64_t *ret_bytes)
{
	struct queue_end end = { .shape = &shape, .puts = 1 };
	int64_t before = bytes_used(subject);
	int r = subject->peer->open(&shape, &end.line);

	if (r == 0 && subject->peer->join)
		r = subject->peer->join(&end);
	for (int i = 0; i < items && r == 0; i++)
		r = put_one(subject, &end);
	*ret_bytes = bytes_used(subject) - before;
	return r;
}

struct memory_job {
	const struct memory_peer *subject;
	int64_t *bytes; /* shared */
};

/* A fresh process. The first queue is for what is needed once only. */
static int be_member(void *arg, uint32_t member)
{
	const struct memory_job *job = arg;
	int r = fill(job->subject, 1, job->bytes);

	(void)member;
	return r < 0 ? r : fill(job->subject, ITEMS, job->bytes);
}

static int run(struct bench_piece *piece)
{
	struct memory_job job = { .subject = piece->subject->peer, .bytes = team_memory(sizeof(int64_t)) };

	if (!job.bytes)
		return -ENOMEM;
	int r = team_run(1, be_member, NULL, &job);
	piece->value = (double)*job.bytes / ITEMS;
	team_memory_free(job.bytes, sizeof(int64_t));
	return r;
}

static int setup(struct bench_piece *piece)
{
	const struct memory_peer *subject = piece->subject->peer;

	if (subject->peer)
		return 0;
	bench_note(piece, "left out: its library was not there when the bench was built");
	return BENCH_LEFT_OUT;
}

static void teardown(struct bench_piece *piece)
{
	(void)piece;
}

#define SUBJECT(shown, is_ours, its_peer, its_pointers)                                                                \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown,                      \
		.peer = &(const struct memory_peer)                                                                    \
		{                                                                                                      \
			its_peer, its_pointers                                                                         \
		}                                                                                                      \
	}

static const struct bench_subject subjects[] = {
	SUBJECT("prusik", 1, &queue_prusik_get, 0),
	SUBJECT("prusik-private", 1, &queue_prusik_private_get, 0),
	SUBJECT("glib", 0, &queue_glib, 1),
	SUBJECT("boost", 0, &queue_boost, 0),
	{ .name = NULL },
};

const struct bench_workload bench_queue_memory[] = {
	{ .name = "queue-memory-64B", .unit = "bytes/item", .subjects = subjects },
	{ .name = NULL },
};
