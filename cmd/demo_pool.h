/* SPDX-License-Identifier: MIT */
/* demo_pool - what the one who feeds and collects shares with the workers */
#ifndef CMD_DEMO_POOL_H
#define CMD_DEMO_POOL_H

#include "demo.h"
#include "progress.h"

#include <poll.h>
#include <prusik/arena.h>
#include <prusik/process.h>
#include <prusik/queue.h>

struct job {
	uint64_t number; /* within the pass */
	uint64_t offset;
	uint32_t length;
	uint32_t pass;
	uint64_t file;
};

struct result {
	struct job job;
	int32_t trouble; /* as of demo_count_piece */
	uint32_t attempt;
	struct demo_count count;
};

/* Forked with all it holds: the table of files is every worker's, the queues are shared. */
struct pool {
	const struct demo_options *options;
	struct demo_files *files;
	struct demo_report *report;
	struct prusik_arena *arena;
	struct prusik_queue *jobs, *results;
	struct prusik_process **worker; /* options->workers of them; NULL: not running */
	struct pollfd *sentinel;
	uint64_t job_count; /* in one pass */
	uint8_t *counted; /* a bit for each job: its result is in */
	uint64_t counted_count;
	struct job next; /* to be fed */
	uint32_t pass;
	uint64_t random;
	int64_t next_kill, next_look;
	struct progress progress;
};

/* Start all workers. An exit code, after a complaint. */
int demo_workers_start(struct pool *pool);

/* SIGKILL one and start another in its place. An exit code, after a complaint. */
int demo_workers_kill_one(struct pool *pool);

/*
 * Start another in the place of each that was killed by somebody else. An exit
 * code, after a complaint when one ended by itself.
 */
int demo_workers_replace(struct pool *pool);

/* Close the queues and wait until all have left. */
void demo_workers_end(struct pool *pool);

#endif
