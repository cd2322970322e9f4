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
#include "cmd.h"
#include "demo.h"
#include "progress.h"

#include <errno.h>
#include <poll.h>
#include <prusik/arena.h>
#include <prusik/process.h>
#include <prusik/queue.h>
#include <signal.h>
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
/* How long workers may take to leave when the queues are closed. */
#define LEAVE_MS 5000

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

struct pool {
	const struct demo_options *options;
	struct demo_files *files;
	struct demo_report *report;
	struct prusik_arena *arena;
	struct prusik_queue *jobs, *results;
	struct prusik_process **worker; /* options->workers of them; NULL: not running */
	struct pollfd *sentinel;
	uint64_t job_count; /* in one pass */
	uint8_t *counted;   /* a bit for each job: its result is in */
	uint64_t counted_count;
	struct job next; /* to be fed */
	uint32_t pass;
	uint64_t random;
	int64_t next_kill, next_look;
	struct progress progress;
};

/* ---- the worker ---- */

static int put_result(struct pool *pool, const struct prusik_lease *lease)
{
	const struct job *job = lease->data;
	struct result result = { .job = *job, .attempt = lease->attempt };

	result.trouble = demo_count_piece(&pool->files->file[job->file], demo_path(pool->files, job->file),
					  job->offset, job->length, &result.count);
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
	static const struct prusik_process_options options = { .name = "prusik-worker", .dies_with_parent = 1 };
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

static int start_workers(struct pool *pool)
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

static int kill_one(struct pool *pool)
{
	unsigned int i = (unsigned int)(random_number(pool) % pool->options->workers);

	prusik_process_kill(pool->worker[i]);
	return replace(pool, i);
}

static int replace_ended(struct pool *pool)
{
	int r = CMD_OK;

	if (poll(pool->sentinel, pool->options->workers, 0) <= 0)
		return r;
	for (unsigned int i = 0; r == CMD_OK && i < pool->options->workers; i++)
		if (pool->sentinel[i].revents)
			r = replace(pool, i);
	return r;
}

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

/* What is due by the clock. */
static int tend(struct pool *pool)
{
	int64_t now = prusik_now();
	int r = CMD_OK;

	if (now >= pool->next_kill) {
		r = kill_one(pool);
		pool->next_kill = prusik_in_ms(pool->options->kill_every);
	}
	if (r == CMD_OK && now >= pool->next_look) {
		r = replace_ended(pool);
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

/* The workers leave as the queues are closed. One that does not, which is no part of the plan, is killed. */
static void end_workers(struct pool *pool)
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

static void tear_down(struct pool *pool)
{
	prusik_queue_free(pool->results);
	prusik_queue_free(pool->jobs);
	prusik_arena_close(pool->arena);
	free(pool->counted);
	free(pool->sentinel);
	free(pool->worker);
}

int demo_pool_run(const struct demo_options *options, struct demo_files *files,
		  struct demo_report *ret_report)
{
	struct pool pool = { .options = options, .files = files, .report = ret_report };
	struct prusik_queue_stats stats;
	int r = set_up(&pool);

	if (r == CMD_OK) {
		r = start_workers(&pool);
		if (r == CMD_OK)
			r = run_passes(&pool);
		end_workers(&pool);
		if (prusik_queue_stats(pool.jobs, &stats) >= 0)
			ret_report->again = stats.returned;
	}
	tear_down(&pool);
	return r;
}
