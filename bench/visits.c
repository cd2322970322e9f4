/* SPDX-License-Identifier: MIT */
#include "visits.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)

/* The memory that a piece's members share. */
struct visit_board {
	struct team_gate gate;
	struct team_gate leaving;
	_Alignas(64) _Atomic uint32_t stop;
	struct visit_spot spot;
	struct visits visits[TEAM_MAX];
};

struct visit_job {
	const struct visit_kind *kind;
	const struct visit_shape *shape;
	struct visit_board *board;
	int64_t wanted_ns;
};

struct visit_member {
	const struct visit_job *job;
	uint32_t index;
	pthread_t thread;
	int result;
};

/*
 * The first visits are before the start: a participant's first use of anything costs
 * more than the next. They are as many for each, as a barrier wants it.
 */
static int visit(const struct visit_job *job, uint32_t member)
{
	struct visit_board *board = job->board;
	struct visits *v = &board->visits[member];
	_Atomic uint32_t never = 0;
	struct visits first = { .count = 1, .stop = &never };
	int bad = job->kind->loop(&board->spot, &first);

	v->raised = first.raised;
	v->stop = &board->stop;
	team_pin(member);
	team_meet(&board->gate, job->shape->members);
	v->began_at = team_now();
	bad |= job->kind->loop(&board->spot, v);
	v->ended_at = team_now();
	team_part(&board->leaving, job->shape->members);
	return bad;
}

static void *sleep_until_exit(void *nothing)
{
	pause();
	return nothing;
}

/* Never alone in the process: libc would leave out atomic operations. */
static int be_process(void *arg, uint32_t member)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleep_until_exit, NULL) != 0)
		return -EAGAIN;
	return visit(arg, member);
}

static void *be_thread(void *arg)
{
	struct visit_member *member = arg;

	member->result = visit(member->job, member->index);
	return NULL;
}

/* One process whose threads are the members: hung threads can be killed with it. */
static int be_host(void *arg, uint32_t alone)
{
	const struct visit_job *job = arg;
	struct visit_member members[TEAM_MAX];
	int bad = 0;

	(void)alone;
	for (uint32_t i = 0; i < job->shape->members; i++) {
		members[i] = (struct visit_member){ .job = job, .index = i };
		if (pthread_create(&members[i].thread, NULL, be_thread, &members[i]) != 0)
			return -EAGAIN;
	}
	for (uint32_t i = 0; i < job->shape->members; i++) {
		pthread_join(members[i].thread, NULL);
		bad |= members[i].result;
	}
	return bad;
}

static void sleep_ns(int64_t ns)
{
	const struct timespec time = { .tv_sec = ns / (1000 * MS), .tv_nsec = ns % (1000 * MS) };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/* The parent tells the members when the piece is over. */
static void stop_in_time(void *arg)
{
	const struct visit_job *job = arg;

	for (int waited_ms = 0; !atomic_load(&job->board->gate.open) && waited_ms < 2000; waited_ms++)
		sleep_ns(MS);
	sleep_ns(job->wanted_ns);
	atomic_store(&job->board->stop, 1);
}

static int add_up(const struct visit_job *job, struct bench_piece *piece)
{
	const struct visit_board *board = job->board;
	uint64_t done = 0, raised = 0;
	int64_t begin = INT64_MAX, end = 0;

	for (uint32_t i = 0; i < job->shape->members; i++) {
		const struct visits *v = &board->visits[i];
		done += v->done;
		raised += v->raised;
		begin = v->began_at < begin ? v->began_at : begin;
		end = v->ended_at > end ? v->ended_at : end;
	}
	piece->ns = end - begin;
	if (piece->workload->counted)
		piece->value = (double)piece->ns * job->shape->members / (double)done;
	else
		piece->value = (double)done * 1e9 / (double)piece->ns;
	return raised == board->spot.counter ? 0 : BENCH_WRONG;
}

int visits_run(struct bench_piece *piece)
{
	const struct visit_shape *shape = piece->workload->shape;
	struct visit_job job = {
		.kind = piece->subject->peer,
		.shape = shape,
		.board = piece->state,
		.wanted_ns = piece->wanted_ns,
	};
	void (*parent)(void *) = piece->workload->counted ? NULL : stop_in_time;
	int result;

	for (uint32_t i = 0; i < shape->members; i++)
		job.board->visits[i].count = piece->workload->counted ? piece->count : UINT64_MAX;
	if (shape->threads)
		result = team_run(1, be_host, parent, &job);
	else
		result = team_run(shape->members, be_process, parent, &job);
	return result < 0 ? result : add_up(&job, piece);
}

int visits_setup(struct bench_piece *piece)
{
	const struct visit_kind *kind = piece->subject->peer;
	const struct visit_shape *shape = piece->workload->shape;
	struct visit_board *board = team_memory(sizeof(*board));

	if (!board)
		return -ENOMEM;
	piece->state = board;
	return kind->init(board->spot.object, shape->members);
}

void visits_teardown(struct bench_piece *piece)
{
	team_memory_free(piece->state, sizeof(struct visit_board));
}
