/* SPDX-License-Identifier: MIT */
/*
 * Waking a consumer: from the call that puts an item to the moment when the
 * consumer, a process asleep on the other processor, has it.
 *
 * The producer lets the consumer lie for a while before each put, without
 * sleeping itself: its own processor stays awake. How often the consumer
 * gave its processor up tells whether it really slept.
 */
#include "wake.h"
#include "team.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define LINE 64
#define PAUSE_NS 200000
#define SAMPLES_MAX 4096

struct wake_item {
	int64_t put_at;
	uint64_t number;
	uint64_t last; /* 1: no more will come */
	char rest[WAKE_ITEM - 24];
};

struct wake_board {
	struct team_gate gate;
	_Alignas(LINE) _Atomic uint64_t served; /* items that the consumer has had */
	_Alignas(LINE) uint64_t slept; /* how often it gave its processor up */
	uint64_t wrong;
	int64_t samples[SAMPLES_MAX];
};

struct wake_job {
	const struct queue_peer *peer;
	void *line;
	uint64_t count; /* of items at most; fewer when the time is over */
	int64_t limit_ns; /* the others may keep the machine busy */
	struct wake_board *board;
};

static const struct queue_shape shape = {
	.size = WAKE_ITEM,
	.producers = 1,
	.consumers = 1,
	.batch = 1,
	.capacity = 64,
};

/* Until the consumer has had them all, and a while longer. */
static void wait_until_asleep(struct wake_board *board, uint64_t served)
{
	int64_t until;

	while (atomic_load(&board->served) < served)
		sched_yield();
	until = team_now() + PAUSE_NS;
	while (team_now() < until)
		continue;
}

static int wake_producer(const struct wake_job *job, struct queue_end *end)
{
	int64_t limit = job->board->gate.opened_at + job->limit_ns;
	struct wake_item item = { .number = 0 };
	int result = 0;

	for (; !item.last && result == 0; item.number++) {
		wait_until_asleep(job->board, item.number);
		end->items[0] = (struct iovec){ &item, sizeof(item) };
		item.put_at = team_now();
		item.last = item.number + 1 == job->count || item.put_at > limit;
		result = job->peer->put(end, 1);
	}
	return result;
}

/* One item, out of its queue. 0 or -errno. */
static int receive(const struct wake_job *job, struct queue_end *end, struct wake_item *item)
{
	int result;

	end->items[0] = (struct iovec){ item, sizeof(*item) };
	do
		result = job->peer->get(end, 1);
	while (result == 0);
	if (result < 0)
		return result;
	if (end->items[0].iov_base != item)
		memcpy(item, end->items[0].iov_base, sizeof(*item));
	return 0;
}

static uint64_t times_slept(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_nvcsw;
}

static int wake_consumer(const struct wake_job *job, struct queue_end *end)
{
	struct wake_board *board = job->board;
	uint64_t slept_before = times_slept();
	struct wake_item item = { .last = 0 };

	for (uint64_t number = 0; !item.last; number++) {
		int result = receive(job, end, &item);

		if (result < 0)
			return result;
		board->samples[number] = team_now() - item.put_at;
		board->wrong += item.number != number;
		if (job->peer->done && job->peer->done(end, 1) < 0)
			return -ESTALE;
		atomic_store(&board->served, number + 1);
	}
	board->slept = times_slept() - slept_before;
	return 0;
}

static int be_member(void *arg, uint32_t member)
{
	const struct wake_job *job = arg;
	struct queue_end end = { .shape = &shape, .line = job->line, .puts = member == 0 };
	int result = job->peer->join ? job->peer->join(&end) : 0;

	if (result < 0)
		return result;
	team_pin(member);
	team_meet(&job->board->gate, 2);
	result = (end.puts ? wake_producer : wake_consumer)(job, &end);
	if (job->peer->leave)
		job->peer->leave(&end);
	return result;
}

static int compare_samples(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int judge(const struct wake_job *job, struct bench_piece *piece)
{
	struct wake_board *board = job->board;
	uint64_t count = board->served;

	if (board->wrong || count == 0 || count > job->count)
		return BENCH_WRONG;
	if (board->slept < count * 9 / 10)
		bench_note(piece, "the consumer slept %llu times for %llu items", (unsigned long long)board->slept,
			   (unsigned long long)count);
	qsort(board->samples, count, sizeof(board->samples[0]), compare_samples);
	piece->value = (double)board->samples[count / 2] / 1000;
	return 0;
}

int wake_run(struct bench_piece *piece)
{
	uint64_t count = (uint64_t)(piece->wanted_ns / PAUSE_NS);
	struct wake_job job = {
		.peer = piece->subject->peer,
		.line = piece->state,
		.count = count < SAMPLES_MAX ? count : SAMPLES_MAX,
		.limit_ns = 4 * piece->wanted_ns,
		.board = team_memory(sizeof(*job.board)),
	};
	int result;

	if (!job.board)
		return -ENOMEM;
	result = team_run(2, be_member, NULL, &job);
	if (result == 0)
		result = judge(&job, piece);
	team_memory_free(job.board, sizeof(*job.board));
	return result;
}

int wake_setup(struct bench_piece *piece)
{
	const struct queue_peer *peer = piece->subject->peer;

	return peer->open(&shape, &piece->state);
}

void wake_teardown(struct bench_piece *piece)
{
	const struct queue_peer *peer = piece->subject->peer;

	peer->close(piece->state);
}

static const struct bench_subject subjects[] = {
	WAKE_SUBJECT("prusik", 1, &queue_prusik_get),
	WAKE_SUBJECT("prusik-take", 1, &queue_prusik_take),
	WAKE_SUBJECT("futex", 0, &wake_futex),
	WAKE_SUBJECT("pipe", 0, &queue_pipe),
	WAKE_SUBJECT("seqpacket", 0, &queue_seqpacket),
	WAKE_SUBJECT("posix-mq", 0, &queue_mq),
	{ .name = NULL },
};

const struct bench_workload bench_wake[] = {
	{ .name = "wake-64B", .unit = "us", .subjects = subjects },
	{ .name = NULL },
};
