/* SPDX-License-Identifier: MIT */
/*
 * The workers take jobs from one queue and put what they found into another. Both
 * lie in an anonymous arena.
 *
 * A worker takes a job on lease, counts, puts the result, and only then says that
 * the job is done. Killed before the result is put, it leaves the job to another
 * worker; killed after, before it is done, the job is counted twice. So a result
 * may come twice but never not at all, and the one who collects keeps a bit for
 * each job to take the first and ignore the rest: each counts exactly once.
 *
 * The parent feeds and collects in one loop and never waits on a full queue: it
 * puts what there is room for, then waits for results (there are some to come, the
 * queue being full), or until the next worker is to be killed.
 */
#include "demo_pool.h"
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A piece of a file that is counted at a time: small, so that it is done between two kills. */
#define PIECE ((uint64_t)256 << 10)
#define BATCH 32u
#define CAPACITY 1024
/* How often to look for room when jobs are left to feed, and for workers that ended by themselves. */
#define LOOK_MS 10

/* ---- what is due by the clock ---- */

static void show_progress(struct pool *pool)
{
	const struct demo_report *report = pool->report;
	double pass = (double)pool->counted_count / (double)pool->job_count;
	double kills = (double)report->killed / DEMO_KILLS;
	double done = report->passes ? kills : kills < pass ? kills : pass;
	char text[96];

	if (!progress_due(&pool->progress))
		return;
	if (pool->options->passes)
		done = ((double)report->passes + pass) / pool->options->passes;
	else if (!pool->options->kill_every)
		done = pass;
	snprintf(text, sizeof text, "pass %llu, %llu workers killed", (unsigned long long)report->passes + 1,
		 (unsigned long long)report->killed);
	progress_draw(&pool->progress, done, text);
}

static int tend(struct pool *pool)
{
	int64_t now = prusik_now();
	int r = CMD_OK;

	if (now >= pool->next_kill) {
		r = demo_workers_kill_one(pool);
		pool->next_kill = prusik_in_ms(pool->options->kill_every);
	}
	if (r == CMD_OK && now >= pool->next_look) {
		r = demo_workers_replace(pool);
		pool->next_look = prusik_in_ms(LOOK_MS);
	}
	show_progress(pool);
	return r;
}

/* ---- feeding ---- */

static uint64_t pieces(const struct demo_file *file)
{
	return file->size ? (file->size - 1) / PIECE + 1 : 1;
}

static uint64_t count_jobs(const struct demo_files *files)
{
	uint64_t n = 0;

	for (size_t i = 0; i < files->count; i++)
		n += pieces(&files->file[i]);
	return n;
}

/* The job at hand gets its length; what it returns is the one after it. */
static struct job cut(const struct pool *pool, struct job *job)
{
	uint64_t left = pool->files->file[job->file].size - job->offset;
	struct job after = *job;

	job->length = (uint32_t)(left < PIECE ? left : PIECE);
	after.number++;
	after.offset += job->length;
	if (left <= PIECE) {
		after.offset = 0;
		after.file++;
	}
	return after;
}

/* Put as many jobs as there is room for. 0 or -errno. */
static int feed(struct pool *pool)
{
	struct job job[BATCH], after[BATCH];
	struct iovec item[BATCH];
	int64_t put = BATCH;

	while (put == BATCH && pool->next.number < pool->job_count) {
		struct job next = pool->next;
		uint32_t n = 0;
		for (; n < BATCH && next.number < pool->job_count; n++) {
			job[n] = next;
			next = after[n] = cut(pool, &job[n]);
			item[n] = (struct iovec){ &job[n], sizeof job[n] };
		}
		put = prusik_queue_put_many(pool->jobs, item, n, PRUSIK_NOW);
		if (put > 0)
			pool->next = after[put - 1];
	}
	return put < 0 && put != -ETIMEDOUT ? (int)put : 0;
}

/* ---- collecting ---- */

static int check_result(struct pool *pool, const struct result *result, int64_t length)
{
	const struct job *job = &result->job;

	if (length != sizeof *result || job->number >= pool->job_count || job->file >= pool->files->count) {
		demo_complain("a result is not what a worker puts");
		return CMD_OBJECT;
	}
	if (result->trouble == 0)
		return CMD_OK;
	progress_clear(&pool->progress);
	demo_file_trouble(pool->files, job->file, result->trouble);
	return CMD_OBJECT;
}

/* Count the first result of each job of this pass. */
static void count_result(struct pool *pool, const struct result *result)
{
	uint8_t *byte = &pool->counted[result->job.number / 8];
	uint8_t bit = (uint8_t)(1u << result->job.number % 8);
	struct demo_count *found = &pool->files->file[result->job.file].found;

	if (result->job.pass != pool->pass || (*byte & bit)) {
		pool->report->doubles++;
		return;
	}
	*byte |= bit;
	pool->counted_count++;
	found->lines += result->count.lines;
	found->words += result->count.words;
	found->bytes += result->count.bytes;
}

static int64_t next_event(const struct pool *pool)
{
	return pool->next_kill < pool->next_look ? pool->next_kill : pool->next_look;
}

static int collect(struct pool *pool)
{
	struct result result[BATCH];
	struct iovec item[BATCH];
	int r = CMD_OK;

	for (uint32_t i = 0; i < BATCH; i++)
		item[i] = (struct iovec){ &result[i], sizeof result[i] };
	int64_t n = prusik_queue_get_many(pool->results, item, BATCH, next_event(pool));
	if (n < 0 && n != -ETIMEDOUT) {
		demo_complain("cannot collect results: %s", prusik_strerror((int)n));
		return CMD_OBJECT;
	}
	for (int64_t i = 0; r == CMD_OK && i < n; i++) {
		r = check_result(pool, &result[i], (int64_t)item[i].iov_len);
		if (r == CMD_OK)
			count_result(pool, &result[i]);
	}
	return r;
}

/* ---- passes ---- */

static int same_count(const struct demo_count *a, const struct demo_count *b)
{
	return a->lines == b->lines && a->words == b->words && a->bytes == b->bytes;
}

static int compare(struct pool *pool)
{
	const struct demo_files *files = pool->files;

	for (size_t i = 0; i < files->count; i++)
		if (!same_count(&files->file[i].expected, &files->file[i].found)) {
			pool->report->differs = demo_path(files, i);
			return CMD_NO;
		}
	return CMD_OK;
}

static void begin_pass(struct pool *pool)
{
	pool->pass++;
	pool->next = (struct job){ .pass = pool->pass };
	pool->counted_count = 0;
	memset(pool->counted, 0, (size_t)(pool->job_count / 8 + 1));
	for (size_t i = 0; i < pool->files->count; i++)
		pool->files->file[i].found = (struct demo_count){ 0 };
}

static int run_pass(struct pool *pool)
{
	int r = CMD_OK;

	begin_pass(pool);
	while (r == CMD_OK && pool->counted_count < pool->job_count) {
		int fed = feed(pool);
		if (fed < 0) {
			demo_complain("cannot feed the workers: %s", prusik_strerror(fed));
			return CMD_OBJECT;
		}
		r = collect(pool);
		if (r == CMD_OK)
			r = tend(pool);
	}
	if (r == CMD_OK) {
		pool->report->passes++;
		r = compare(pool);
	}
	return r;
}

static int is_enough(const struct pool *pool)
{
	const struct demo_report *report = pool->report;

	if (report->passes == 0)
		return 0;
	if (pool->options->passes)
		return report->passes >= pool->options->passes;
	return pool->job_count == 0 || pool->options->kill_every == 0 || report->killed >= DEMO_KILLS;
}

static int run_passes(struct pool *pool)
{
	int64_t begin = prusik_now();
	int r = CMD_OK;

	pool->next_look = prusik_in_ms(LOOK_MS);
	pool->next_kill = PRUSIK_FOREVER;
	if (pool->options->kill_every)
		pool->next_kill = prusik_in_ms(pool->options->kill_every);
	while (r == CMD_OK && !is_enough(pool))
		r = run_pass(pool);
	pool->report->seconds = (double)(prusik_now() - begin) / 1e9;
	progress_clear(&pool->progress);
	return r;
}

/* ---- beginning and end ---- */

/* A descriptor for each worker, and some to work with, as far as the system lets us. */
static void raise_file_limit(unsigned int workers)
{
	struct rlimit limit;
	rlim_t wanted = workers + 64;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int make_queues(struct pool *pool)
{
	struct prusik_queue_options jobs = { .capacity = CAPACITY, .item_max = sizeof(struct job) };
	struct prusik_queue_options results = { .capacity = CAPACITY, .item_max = sizeof(struct result) };
	uint64_t size = prusik_queue_size(&jobs) + prusik_queue_size(&results) + 65536;
	int r = prusik_arena_create(NULL, size, &pool->arena);

	if (r >= 0)
		r = prusik_queue_create(pool->arena, "jobs", &jobs, &pool->jobs);
	if (r >= 0)
		r = prusik_queue_create(pool->arena, "results", &results, &pool->results);
	return r < 0 ? r : 0;
}

static void complain_of_queues(int r)
{
	const char *given = getenv("PRUSIK_DIR");
	char standard[64];

	snprintf(standard, sizeof standard, "/dev/shm/prusik-%u", (unsigned int)geteuid());
	demo_complain("cannot make the queues (domain %s): %s", demo_shown(given && *given ? given : standard),
		      prusik_strerror(r));
}

static int set_up(struct pool *pool)
{
	unsigned int workers = pool->options->workers;

	raise_file_limit(workers);
	pool->worker = calloc(workers, sizeof(struct prusik_process *));
	pool->sentinel = calloc(workers, sizeof *pool->sentinel);
	pool->job_count = count_jobs(pool->files);
	pool->counted = calloc((size_t)(pool->job_count / 8 + 1), 1);
	pool->random = (uint64_t)prusik_now() | 1;
	int r = pool->worker && pool->sentinel && pool->counted ? make_queues(pool) : -ENOMEM;
	if (r == 0)
		return CMD_OK;
	complain_of_queues(r);
	return CMD_OBJECT;
}

static void tear_down(struct pool *pool)
{
	prusik_queue_free(pool->results);
	prusik_queue_free(pool->jobs);
	prusik_arena_close(pool->arena);
	free(pool->counted);
	free(pool->sentinel);
	free(pool->worker);
}

int demo_pool_run(const struct demo_options *options, struct demo_files *files, struct demo_report *ret_report)
{
	struct pool pool = { .options = options, .files = files, .report = ret_report };
	struct prusik_queue_stats stats;
	int r = set_up(&pool);

	if (r == CMD_OK) {
		r = demo_workers_start(&pool);
		if (r == CMD_OK)
			r = run_passes(&pool);
		demo_workers_end(&pool);
		if (prusik_queue_stats(pool.jobs, &stats) >= 0)
			ret_report->again = stats.returned;
	}
	tear_down(&pool);
	return r;
}
