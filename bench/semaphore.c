/* SPDX-License-Identifier: MIT */
/*
 * Semaphores: a pair of acquire and release with nobody else there, pairs per second
 * with another one who wants the only permit as well, and round trips between two
 * who wait for each other.
 *
 * Each kind has loops of its own, made from one inlined body, as in lock.c.
 */
#include "peer_std.h"
#include "team.h"

#include <errno.h>
#include <prusik/semaphore.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#define LINE 64
#define PLACES 4 /* of the permits that know their holder */

union any_semaphore {
	struct prusik_semaphore prusik;
	struct {
		struct prusik_permits permits;
		uint32_t holders[PLACES];
	};
	sem_t posix;
	char other[LINE];
};

struct semaphore_board {
	struct team_gate gate;
	_Alignas(LINE) union any_semaphore one;
	_Alignas(LINE) union any_semaphore two;
	int64_t ns;
};

struct semaphore_job {
	const struct semaphore_kind *kind;
	struct semaphore_board *board;
	uint64_t count;
	int threads;
};

struct semaphore_kind {
	int shared;
	int (*init)(void *semaphore, unsigned int value, int shared);
	semaphore_pairs *pairs;
	int (*acquire)(void *semaphore);
	int (*release)(void *semaphore);
};

/* ---- the kinds ---- */

static int init_prusik(void *semaphore, unsigned int value, int shared)
{
	(void)shared;
	return prusik_semaphore_init(semaphore, value, 0);
}

static inline int acquire_prusik(void *semaphore)
{
	return prusik_semaphore_acquire(semaphore, PRUSIK_FOREVER);
}

static inline int release_prusik(void *semaphore)
{
	return prusik_semaphore_release(semaphore, 1);
}

static int init_permits(void *semaphore, unsigned int value, int shared)
{
	(void)shared;
	return prusik_permits_init(semaphore, value ? value : 1);
}

static inline int acquire_permits(void *semaphore)
{
	return prusik_permits_acquire(semaphore, PRUSIK_FOREVER);
}

static inline int release_permits(void *semaphore)
{
	return prusik_permits_release(semaphore);
}

static int init_posix(void *semaphore, unsigned int value, int shared)
{
	return sem_init(semaphore, shared, value);
}

static inline int acquire_posix(void *semaphore)
{
	return sem_wait(semaphore);
}

static inline int release_posix(void *semaphore)
{
	return sem_post(semaphore);
}

#define PAIRS(noun)                                                                                                    \
	static int pairs_##noun(void *semaphore, uint64_t count)                                                       \
	{                                                                                                              \
		int bad = 0;                                                                                           \
                                                                                                                       \
		for (uint64_t i = 0; i < count; i++) {                                                                 \
			bad |= acquire_##noun(semaphore);                                                              \
			bad |= release_##noun(semaphore);                                                              \
		}                                                                                                      \
		return bad;                                                                                            \
	}

PAIRS(prusik)
PAIRS(permits)
PAIRS(posix)

/* ---- uncontended ---- */

static void *sleep_until_cancelled(void *nothing)
{
	while (pause() < 0)
		;
	return nothing;
}

static int be_alone(void *arg, uint32_t member)
{
	const struct semaphore_job *job = arg;
	union any_semaphore *one = &job->board->one;
	pthread_t idler; /* libc is not to think that there is one thread only */

	if (pthread_create(&idler, NULL, sleep_until_cancelled, NULL) != 0)
		return -EAGAIN;
	team_pin(member);
	int bad = job->kind->init(one, 1, job->kind->shared) | job->kind->pairs(one, 1);
	int64_t start = team_now();
	bad |= job->kind->pairs(one, job->count);
	job->board->ns = team_now() - start;
	return bad;
}

static int run_alone(struct bench_piece *piece)
{
	struct semaphore_job job = {
		.kind = piece->subject->peer,
		.board = piece->state,
		.count = piece->count,
	};
	int result = team_run(1, be_alone, NULL, &job);

	piece->ns = job.board->ns;
	piece->value = (double)piece->ns / (double)piece->count;
	return result;
}

/* ---- two of them ---- */

static int contend(const struct semaphore_job *job, uint32_t member)
{
	(void)member;
	return job->kind->pairs(&job->board->one, job->count);
}

static int go_to_and_fro(const struct semaphore_job *job, uint32_t member)
{
	union any_semaphore *mine = member ? &job->board->two : &job->board->one;
	union any_semaphore *theirs = member ? &job->board->one : &job->board->two;
	int bad = 0;

	for (uint64_t i = 0; i < job->count; i++) {
		if (member)
			bad |= job->kind->acquire(mine) | job->kind->release(theirs);
		else
			bad |= job->kind->release(theirs) | job->kind->acquire(mine);
	}
	return bad;
}

struct semaphore_shape {
	uint32_t members;
	int threads; /* of one process */
	int (*work)(const struct semaphore_job *job, uint32_t member);
	unsigned int value;
};

struct semaphore_member {
	const struct semaphore_job *job;
	const struct semaphore_shape *shape;
	uint32_t index;
	pthread_t thread;
	int result;
};

static int be_one(const struct semaphore_job *job, const struct semaphore_shape *shape, uint32_t index)
{
	team_pin(index);
	team_meet(&job->board->gate, shape->members);
	int result = shape->work(job, index);
	job->board->ns = team_now() - job->board->gate.opened_at; /* the last one's stays */
	return result;
}

static void *be_thread(void *arg)
{
	struct semaphore_member *m = arg;

	m->result = be_one(m->job, m->shape, m->index);
	return NULL;
}

struct semaphore_errand {
	struct semaphore_job job;
	const struct semaphore_shape *shape;
};

static int be_process(void *arg, uint32_t index)
{
	const struct semaphore_errand *errand = arg;

	return be_one(&errand->job, errand->shape, index);
}

static int be_host(void *arg, uint32_t alone)
{
	const struct semaphore_errand *errand = arg;
	struct semaphore_member members[TEAM_MAX];
	int bad = 0;

	(void)alone;
	for (uint32_t i = 0; i < errand->shape->members; i++) {
		members[i] = (struct semaphore_member){ .job = &errand->job, .shape = errand->shape, .index = i };
		if (pthread_create(&members[i].thread, NULL, be_thread, &members[i]) != 0)
			return -EAGAIN;
	}
	for (uint32_t i = 0; i < errand->shape->members; i++) {
		pthread_join(members[i].thread, NULL);
		bad |= members[i].result;
	}
	return bad;
}

static int run_together(struct bench_piece *piece)
{
	const struct semaphore_shape *shape = piece->workload->shape;
	struct semaphore_errand errand = {
		.job = { .kind = piece->subject->peer, .board = piece->state, .count = piece->count },
		.shape = shape,
	};
	struct semaphore_board *board = piece->state;

	board->gate = (struct team_gate){ 0 };
	int bad = errand.job.kind->init(&board->one, shape->value, !shape->threads) |
		  errand.job.kind->init(&board->two, 0, !shape->threads);
	int result = shape->threads ? team_run(1, be_host, NULL, &errand) :
				      team_run(shape->members, be_process, NULL, &errand);

	piece->ns = board->ns;
	piece->value = (double)piece->ns / (double)piece->count;
	return bad ? BENCH_WRONG : result;
}

static int setup(struct bench_piece *piece)
{
	piece->state = team_memory(sizeof(struct semaphore_board));
	return piece->state ? 0 : -ENOMEM;
}

static void teardown(struct bench_piece *piece)
{
	team_memory_free(piece->state, sizeof(struct semaphore_board));
}

/* ---- the tables ---- */

#define KIND(is_shared, noun)                                                                                          \
	&(const struct semaphore_kind)                                                                                 \
	{                                                                                                              \
		is_shared, init_##noun, pairs_##noun, acquire_##noun, release_##noun                                   \
	}
#define KIND_STD                                                                                                       \
	&(const struct semaphore_kind)                                                                                 \
	{                                                                                                              \
		0, semaphore_std_init, semaphore_std_pairs, semaphore_std_acquire, semaphore_std_release               \
	}
#define SUBJECT(shown, is_ours, how, kind)                                                                             \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = how, .teardown = teardown, .peer = kind         \
	}

static const struct bench_subject alone[] = {
	SUBJECT("prusik", 1, run_alone, KIND(0, prusik)),
	SUBJECT("prusik-permits", 1, run_alone, KIND(0, permits)),
	SUBJECT("sem", 0, run_alone, KIND(0, posix)),
	SUBJECT("sem-shared", 0, run_alone, KIND(1, posix)),
#ifdef BENCH_STD
	SUBJECT("std", 0, run_alone, KIND_STD),
#endif
	{ .name = NULL },
};

#ifdef BENCH_STD
#define STD SUBJECT("std", 0, run_together, KIND_STD),
#else
#define STD
#endif

#define TOGETHER(...)                                                                                                  \
	{                                                                                                              \
		SUBJECT("prusik", 1, run_together, KIND(0, prusik)),                                                   \
			__VA_ARGS__ SUBJECT("sem", 0, run_together, KIND(0, posix)), { .name = NULL },                 \
	}

static const struct bench_subject processes[] =
	TOGETHER(SUBJECT("prusik-permits", 1, run_together, KIND(0, permits)), );
static const struct bench_subject threads[] =
	TOGETHER(SUBJECT("prusik-permits", 1, run_together, KIND(0, permits)), STD);
static const struct bench_subject trips_of_processes[] = TOGETHER();
static const struct bench_subject trips_of_threads[] = TOGETHER(STD);

#define SHAPE(how_many, are_threads, does, begins)                                                                     \
	.unit = "ns/pair", .counted = 1, .shape = &(const struct semaphore_shape)                                      \
	{                                                                                                              \
		how_many, are_threads, does, begins                                                                    \
	}
#define TRIP(are_threads)                                                                                              \
	.unit = "ns/trip", .counted = 1, .shape = &(const struct semaphore_shape)                                      \
	{                                                                                                              \
		2, are_threads, go_to_and_fro, 0                                                                       \
	}

const struct bench_workload bench_semaphore[] = {
	{ .name = "semaphore-uncontended", .unit = "ns/pair", .counted = 1, .subjects = alone },
	{ .name = "semaphore-2processes", SHAPE(2, 0, contend, 1), .subjects = processes },
	{ .name = "semaphore-2threads", SHAPE(2, 1, contend, 1), .subjects = threads },
	{ .name = "semaphore-8threads", SHAPE(8, 1, contend, 1), .subjects = threads },
	{ .name = "semaphore-trip-2processes", TRIP(0), .subjects = trips_of_processes },
	{ .name = "semaphore-trip-2threads", TRIP(1), .subjects = trips_of_threads },
	{ .name = NULL },
};
