/* SPDX-License-Identifier: MIT */
/*
 * A question and its answer, each through a queue of its own: two processes on
 * two processors.
 *
 * In queue-round-trip they go to and fro as fast as they can: each waits for the other
 * a few microseconds at a time. In queue-round-trip-asleep each, awake itself, lets the
 * other lie for a while first, so that both ways begin with waking one who sleeps; that
 * while is not counted.
 */
#include "team.h"
#include "wake.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64
#define PAUSE_NS 100000
#define SAMPLES_MAX 20000

struct note {
	int64_t sent_at;
	int64_t there; /* in an answer: how long the question took */
	uint64_t number;
	uint64_t last; /* 1: no more will come */
	char rest[WAKE_ITEM - 32];
};

struct trip_board {
	struct team_gate gate;
	_Alignas(LINE) uint64_t count, wrong;
	int64_t elapsed;
	int64_t samples[SAMPLES_MAX]; /* of both ways */
};

struct trip_job {
	const struct queue_peer *peer;
	void *line[2]; /* questions, answers */
	int asleep;
	int64_t wanted_ns;
	struct trip_board *board;
};

static const struct queue_shape shape = {
	.size = WAKE_ITEM,
	.producers = 1,
	.consumers = 1,
	.batch = 1,
	.capacity = 64,
};

/* How a workload wants it; its bench_workload.shape. */
static const int awake = 0, asleep = 1;

static int send_note(const struct trip_job *job, struct queue_end *end, struct note *note)
{
	int64_t until = job->asleep ? team_now() + PAUSE_NS : 0;

	while (team_now() < until)
		continue;
	end->items[0] = (struct iovec){ note, sizeof *note };
	note->sent_at = team_now();
	return job->peer->put(end, 1);
}

/* How long it took to come, or -errno. */
static int64_t receive_note(const struct trip_job *job, struct queue_end *end, struct note *note)
{
	int r;

	end->items[0] = (struct iovec){ note, sizeof *note };
	do
		r = job->peer->get(end, 1);
	while (r == 0);
	if (r < 0)
		return r;
	int64_t now = team_now();
	if (end->items[0].iov_base != note)
		memcpy(note, end->items[0].iov_base, sizeof *note);
	if (job->peer->done && job->peer->done(end, 1) < 0)
		return -ESTALE;
	return now - note->sent_at;
}

static int answer(const struct trip_job *job, struct queue_end *questions, struct queue_end *answers)
{
	struct note note = { .last = 0 };

	while (!note.last) {
		note.there = receive_note(job, questions, &note);
		int r = note.there < 0 ? (int)note.there : send_note(job, answers, &note);
		if (r < 0)
			return r;
	}
	return 0;
}

static int ask(const struct trip_job *job, struct queue_end *questions, struct queue_end *answers)
{
	struct trip_board *board = job->board;
	int64_t began = team_now();
	struct note note = { .last = 0 };

	for (uint64_t number = 0; !note.last; number++) {
		note = (struct note){ .number = number,
				      .last = number + 1 == SAMPLES_MAX || team_now() - began > job->wanted_ns };
		int r = send_note(job, questions, &note);
		int64_t back = r < 0 ? r : receive_note(job, answers, &note);
		if (back < 0)
			return (int)back;
		board->wrong += note.number != number;
		board->samples[number] = note.there + back;
		board->count = number + 1;
	}
	board->elapsed = team_now() - began;
	return 0;
}

static int be_member(void *arg, uint32_t member)
{
	const struct trip_job *job = arg;
	struct queue_end end[2] = {
		{ .shape = &shape, .line = job->line[0], .puts = member == 0 },
		{ .shape = &shape, .line = job->line[1], .puts = member == 1 },
	};
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++)
		r = job->peer->join ? job->peer->join(&end[i]) : 0;
	if (r < 0)
		return r;
	team_pin(member);
	team_meet(&job->board->gate, 2);
	r = (member == 0 ? ask : answer)(job, &end[0], &end[1]);
	for (int i = 0; i < 2; i++)
		if (job->peer->leave)
			job->peer->leave(&end[i]);
	return r;
}

static int compare_samples(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int judge(struct trip_board *board, int slept, struct bench_piece *piece)
{
	if (board->wrong || board->count == 0)
		return BENCH_WRONG;
	qsort(board->samples, board->count, sizeof board->samples[0], compare_samples);
	piece->value = slept ? (double)board->samples[board->count / 2] / 1000 :
			       (double)board->elapsed / (double)board->count / 1000;
	return 0;
}

static int run(struct bench_piece *piece)
{
	void **line = piece->state;
	struct trip_job job = {
		.peer = piece->subject->peer,
		.line = { line[0], line[1] },
		.asleep = *(const int *)piece->workload->shape,
		.wanted_ns = piece->wanted_ns,
		.board = team_memory(sizeof(*job.board)),
	};
	int r;

	if (!job.board)
		return -ENOMEM;
	r = team_run(2, be_member, NULL, &job);
	if (r == 0)
		r = judge(job.board, job.asleep, piece);
	team_memory_free(job.board, sizeof(*job.board));
	return r;
}

static void teardown(struct bench_piece *piece)
{
	const struct queue_peer *peer = piece->subject->peer;
	void **line = piece->state;

	for (int i = 0; i < 2; i++)
		if (line[i])
			peer->close(line[i]);
	free(line);
}

static int setup(struct bench_piece *piece)
{
	const struct queue_peer *peer = piece->subject->peer;
	void **line = calloc(2, sizeof *line);
	int r = line ? 0 : -ENOMEM;

	piece->state = line;
	for (int i = 0; i < 2 && r == 0; i++)
		r = peer->open(&shape, &line[i]);
	if (r < 0 && line)
		teardown(piece);
	return r;
}

#define SUBJECT(shown, is_ours, its_peer)                                                                              \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown, .peer = its_peer     \
	}

static const struct bench_subject subjects[] = {
	SUBJECT("prusik", 1, &queue_prusik_get),
	SUBJECT("prusik-take", 1, &queue_prusik_take),
	SUBJECT("pipe", 0, &queue_pipe),
	SUBJECT("seqpacket", 0, &queue_seqpacket),
	SUBJECT("posix-mq", 0, &queue_mq),
	SUBJECT("futex", 0, &wake_futex),
	{ .name = NULL },
};

const struct bench_workload bench_queue_trip[] = {
	{ .name = "queue-round-trip", .unit = "us", .subjects = subjects, .shape = &awake },
	{ .name = "queue-round-trip-asleep", .unit = "us", .subjects = subjects, .shape = &asleep },
	{ .name = NULL },
};
