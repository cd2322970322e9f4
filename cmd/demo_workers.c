/* SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "demo_pool.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* How long workers may take to leave when the queues are closed. */
#define LEAVE_MS 5000

/* ---- the worker ---- */

static int put_result(struct pool *pool, const struct prusik_lease *lease)
{
	const struct job *job = lease->data;
	struct result result = { .job = *job, .attempt = lease->attempt };

	result.trouble = demo_count_piece(&pool->files->file[job->file], demo_path(pool->files, job->file), job->offset,
					  job->length, &result.count);
	return prusik_queue_put(pool->results, &result, sizeof result, PRUSIK_FOREVER);
}

/* A worker's exit code: 0, or the errno for which it had to give up. */
static int be_worker(void *argument)
{
	struct pool *pool = argument;
	struct prusik_lease lease;
	int r;

	while ((r = prusik_queue_take(pool->jobs, &lease, PRUSIK_FOREVER)) >= 0) {
		r = put_result(pool, &lease);
		if (r >= 0)
			r = prusik_queue_done(pool->jobs, &lease);
		if (r < 0)
			break;
	}
	return r == -EPIPE ? 0 : -r;
}

/* ---- starting, killing and burying workers ---- */

static int start_worker(struct pool *pool, unsigned int i)
{
	static const struct prusik_process_options options = { .name = "prusik-worker", .daemon = 1 };
	int r = prusik_process_start(be_worker, pool, &options, &pool->worker[i]);

	if (r == 0) {
		pool->sentinel[i].fd = prusik_process_sentinel(pool->worker[i]);
		pool->sentinel[i].events = POLLIN;
		return CMD_OK;
	}
	progress_clear(&pool->progress);
	demo_complain("cannot start worker %u of %u: %s", i + 1, pool->options->workers, prusik_strerror(r));
	return CMD_OBJECT;
}

int demo_workers_start(struct pool *pool)
{
	int r = CMD_OK;

	for (unsigned int i = 0; r == CMD_OK && i < pool->options->workers; i++)
		r = start_worker(pool, i);
	return r;
}

/* Join one that has ended, or is about to. Its code; -SIGKILL also where that is unknown. */
static int bury(struct pool *pool, unsigned int i)
{
	int code = -SIGKILL;

	prusik_process_join(pool->worker[i], PRUSIK_FOREVER, &code);
	prusik_process_free(pool->worker[i]);
	pool->worker[i] = NULL;
	pool->sentinel[i].fd = -1;
	return code;
}

/* Somebody may kill workers with his own hands: that is what this is about. */
static int is_killed(int code)
{
	return code == -SIGKILL || code == -SIGTERM || code == -SIGINT || code == -SIGHUP || code == -SIGQUIT;
}

static int replace(struct pool *pool, unsigned int i)
{
	int code = bury(pool, i);

	if (is_killed(code)) {
		pool->report->killed++;
		return start_worker(pool, i);
	}
	progress_clear(&pool->progress);
	if (code < 0)
		demo_complain("a worker was ended by signal %d: %s", -code, strsignal(-code));
	else
		demo_complain("a worker gave up: %s", prusik_strerror(-code));
	return CMD_OBJECT;
}

/* xorshift64: which worker is killed next matters little. */
static uint64_t random_number(struct pool *pool)
{
	pool->random ^= pool->random << 13;
	pool->random ^= pool->random >> 7;
	pool->random ^= pool->random << 17;
	return pool->random;
}

int demo_workers_kill_one(struct pool *pool)
{
	unsigned int i = (unsigned int)(random_number(pool) % pool->options->workers);

	prusik_process_kill(pool->worker[i]);
	return replace(pool, i);
}

int demo_workers_replace(struct pool *pool)
{
	int r = CMD_OK;

	if (poll(pool->sentinel, pool->options->workers, 0) <= 0)
		return r;
	for (unsigned int i = 0; r == CMD_OK && i < pool->options->workers; i++)
		if (pool->sentinel[i].revents)
			r = replace(pool, i);
	return r;
}

/* The workers leave as the queues are closed. One that does not, which is no part of the plan, is killed. */
void demo_workers_end(struct pool *pool)
{
	int64_t deadline = prusik_in_ms(LEAVE_MS);

	prusik_queue_close(pool->jobs, PRUSIK_QUEUE_DISCARD);
	prusik_queue_close(pool->results, PRUSIK_QUEUE_DISCARD);
	for (unsigned int i = 0; i < pool->options->workers; i++) {
		if (!pool->worker[i])
			continue;
		if (prusik_process_join(pool->worker[i], deadline, NULL) == -ETIMEDOUT)
			prusik_process_kill(pool->worker[i]);
		bury(pool, i);
	}
}
