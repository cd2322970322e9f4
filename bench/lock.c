/* SPDX-License-Identifier: MIT */
/*
 * Locks: a pair of acquire and release with nobody else there, and sections per
 * second with others who want the lock as well.
 *
 * Each kind of lock has loops of its own, made from one inlined body, so that the
 * calls in them are direct ones and everything around them is the same.
 */
#include "bench.h"
#include "team.h"

#include <errno.h>
#include <prusik/lock.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef BENCH_NSYNC
#include <nsync.h>
#endif

#define LINE 64
#define MS INT64_C(1000000)

union any_lock {
	struct prusik_lock prusik;
	pthread_mutex_t mutex;
	sem_t semaphore;
#ifdef BENCH_NSYNC
	nsync_mu nsync;
#endif
};

/* A lock and what it protects, each in a cache line of its own. */
struct spot {
	_Alignas(LINE) union any_lock lock;
	_Alignas(LINE) volatile uint64_t counter;
};

/* What one member did. */
struct lock_account {
	_Alignas(LINE) uint64_t sections;
	int64_t ended_at;
};

/* The memory that a piece's processes share. */
struct lock_board {
	struct team_gate gate;
	_Alignas(LINE) _Atomic uint32_t stop;
	_Alignas(LINE) struct spot shared;
	struct lock_account accounts[TEAM_MAX];
	uint64_t counted; /* the counter in the end */
	int64_t pairs_ns;
};

struct lock_shape {
	uint32_t members;
	int threads; /* 1: the members are threads of one process */
	uint32_t inside; /* nanoseconds of work that hold the lock */
	uint32_t outside; /* and that do not */
};

struct lock_job;

struct lock_kind {
	int shared; /* 1: the lock lies in shared memory */
	int (*init)(union any_lock *lock);
	int (*pairs)(union any_lock *lock, uint64_t count, int64_t *ret_ns);
	int (*sections)(const struct lock_job *job, struct spot *spot, struct lock_account *account);
};

struct lock_job {
	const struct lock_kind *kind;
	const struct lock_shape *shape;
	struct lock_board *board;
	uint64_t count;
	int64_t wanted_ns;
	uint32_t inside, outside; /* turns of work */
};

/* ---- work ---- */

static inline void work(uint32_t turns)
{
	for (uint64_t value = 1; turns > 0; turns--) {
		value *= UINT64_C(0x9e3779b97f4a7c15);
		__asm__ volatile("" : "+r"(value));
	}
}

/* How many turns of work take so long on this machine, found out once. */
static uint32_t turns_in(uint32_t ns)
{
	static double turn_ns;

	for (int i = 0; turn_ns == 0 || i < 5; i++) {
		const uint32_t turns = 100000;
		int64_t start = team_now();
		double each;

		work(turns);
		each = (double)(team_now() - start) / turns;
		if (turn_ns == 0 || each < turn_ns)
			turn_ns = each;
	}
	return (uint32_t)(ns / turn_ns + 0.5);
}

/* ---- the loops ---- */

typedef int lock_call(union any_lock *lock);

static inline __attribute__((always_inline)) int pairs(union any_lock *lock, uint64_t count, int64_t *ret_ns,
						       lock_call *acquire, lock_call *release)
{
	int bad = acquire(lock) | release(lock);
	int64_t start = team_now();

	for (uint64_t i = 0; i < count; i++) {
		bad |= acquire(lock);
		bad |= release(lock);
	}
	*ret_ns = team_now() - start;
	return bad;
}

static inline __attribute__((always_inline)) int sections(const struct lock_job *job, struct spot *spot,
							  struct lock_account *account, lock_call *acquire,
							  lock_call *release)
{
	_Atomic uint32_t *stop = &job->board->stop;
	uint32_t inside = job->inside, outside = job->outside;
	uint64_t done = 0;
	int bad = 0;

	while (!bad && !atomic_load_explicit(stop, memory_order_relaxed)) {
		bad |= acquire(&spot->lock);
		spot->counter = spot->counter + 1;
		work(inside);
		bad |= release(&spot->lock);
		work(outside);
		done++;
	}
	account->ended_at = team_now();
	account->sections = done;
	return bad;
}

/* ---- prusik ---- */

static int init_prusik(union any_lock *lock)
{
	lock->prusik = (struct prusik_lock){ 0 };
	return 0;
}

static inline int acquire_prusik(union any_lock *lock)
{
	return prusik_lock_acquire(&lock->prusik, PRUSIK_FOREVER);
}

static inline int release_prusik(union any_lock *lock)
{
	return prusik_lock_release(&lock->prusik);
}

static int pairs_prusik(union any_lock *lock, uint64_t count, int64_t *ret_ns)
{
	return pairs(lock, count, ret_ns, acquire_prusik, release_prusik);
}

static int sections_prusik(const struct lock_job *job, struct spot *spot, struct lock_account *account)
{
	return sections(job, spot, account, acquire_prusik, release_prusik);
}

/* ---- pthread_mutex_t ---- */

static int init_mutex(union any_lock *lock, int shared, int robust)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, shared);
	pthread_mutexattr_setrobust(&attributes, robust);
	return -pthread_mutex_init(&lock->mutex, &attributes);
}

static int init_mutex_private(union any_lock *lock)
{
	return init_mutex(lock, PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_STALLED);
}

static int init_mutex_shared(union any_lock *lock)
{
	return init_mutex(lock, PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_STALLED);
}

static int init_mutex_robust(union any_lock *lock)
{
	return init_mutex(lock, PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST);
}

static inline int acquire_mutex(union any_lock *lock)
{
	return pthread_mutex_lock(&lock->mutex);
}

static inline int release_mutex(union any_lock *lock)
{
	return pthread_mutex_unlock(&lock->mutex);
}

static int pairs_mutex(union any_lock *lock, uint64_t count, int64_t *ret_ns)
{
	return pairs(lock, count, ret_ns, acquire_mutex, release_mutex);
}

static int sections_mutex(const struct lock_job *job, struct spot *spot, struct lock_account *account)
{
	return sections(job, spot, account, acquire_mutex, release_mutex);
}

/* ---- sem_t ---- */

static int init_semaphore_private(union any_lock *lock)
{
	return sem_init(&lock->semaphore, 0, 1);
}

static int init_semaphore_shared(union any_lock *lock)
{
	return sem_init(&lock->semaphore, 1, 1);
}

static inline int acquire_semaphore(union any_lock *lock)
{
	return sem_wait(&lock->semaphore);
}

static inline int release_semaphore(union any_lock *lock)
{
	return sem_post(&lock->semaphore);
}

static int pairs_semaphore(union any_lock *lock, uint64_t count, int64_t *ret_ns)
{
	return pairs(lock, count, ret_ns, acquire_semaphore, release_semaphore);
}

static int sections_semaphore(const struct lock_job *job, struct spot *spot, struct lock_account *account)
{
	return sections(job, spot, account, acquire_semaphore, release_semaphore);
}

/* ---- nsync_mu, for threads ---- */

#ifdef BENCH_NSYNC
static int init_nsync(union any_lock *lock)
{
	nsync_mu_init(&lock->nsync);
	return 0;
}

static inline int acquire_nsync(union any_lock *lock)
{
	nsync_mu_lock(&lock->nsync);
	return 0;
}

static inline int release_nsync(union any_lock *lock)
{
	nsync_mu_unlock(&lock->nsync);
	return 0;
}

static int pairs_nsync(union any_lock *lock, uint64_t count, int64_t *ret_ns)
{
	return pairs(lock, count, ret_ns, acquire_nsync, release_nsync);
}

static int sections_nsync(const struct lock_job *job, struct spot *spot, struct lock_account *account)
{
	return sections(job, spot, account, acquire_nsync, release_nsync);
}
#endif

/* ---- uncontended ---- */

static void *sleep_until_exit(void *nothing)
{
	pause();
	return nothing;
}

/*
 * A second thread, asleep: libc leaves out the atomic operations of some locks while
 * there is only one, which is not what a lock is for.
 */
static int start_idler(void)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, sleep_until_exit, NULL);
}

/* Where the lock lies: shared, or in this process's own memory. */
static struct spot *new_spot(const struct lock_job *job)
{
	struct spot *spot = job->kind->shared ? &job->board->shared : aligned_alloc(LINE, sizeof(*spot));

	if (!spot)
		return NULL;
	spot->counter = 0;
	return job->kind->init(&spot->lock) == 0 ? spot : NULL;
}

static int be_alone(void *arg, uint32_t member)
{
	const struct lock_job *job = arg;
	struct spot *spot = new_spot(job);

	if (!spot || start_idler() < 0)
		return -ENOMEM;
	team_pin(member);
	return job->kind->pairs(&spot->lock, job->count, &job->board->pairs_ns);
}

static int run_pairs(struct bench_piece *piece)
{
	struct lock_job job = {
		.kind = piece->subject->peer,
		.board = piece->state,
		.count = piece->count,
	};
	int result = team_run(1, be_alone, NULL, &job);

	piece->ns = job.board->pairs_ns;
	piece->value = (double)piece->ns / (double)piece->count;
	return result;
}

/* ---- contended ---- */

/* The first pair, before the start: a participant's first use of anything costs more than the next. */
static int want_the_lock(const struct lock_job *job, struct spot *spot, uint32_t member)
{
	int64_t ns;
	int bad = job->kind->pairs(&spot->lock, 1, &ns);

	team_pin(member);
	team_meet(&job->board->gate, job->shape->members);
	return bad | job->kind->sections(job, spot, &job->board->accounts[member]);
}

/* The lock was made by setup. */
static int be_process(void *arg, uint32_t member)
{
	const struct lock_job *job = arg;

	return want_the_lock(job, &job->board->shared, member);
}

struct thread_member {
	const struct lock_job *job;
	struct spot *spot;
	uint32_t index;
	pthread_t thread;
	int result;
};

static void *be_thread(void *arg)
{
	struct thread_member *member = arg;

	member->result = want_the_lock(member->job, member->spot, member->index);
	return NULL;
}

/* One process whose threads are the members: hung threads can be killed with it. */
static int be_host(void *arg, uint32_t alone)
{
	const struct lock_job *job = arg;
	struct thread_member members[TEAM_MAX];
	struct spot *spot = new_spot(job);
	int bad = 0;

	(void)alone;
	if (!spot)
		return -ENOMEM;
	for (uint32_t i = 0; i < job->shape->members; i++) {
		members[i] = (struct thread_member){ .job = job, .spot = spot, .index = i };
		if (pthread_create(&members[i].thread, NULL, be_thread, &members[i]) != 0)
			return -EAGAIN;
	}
	for (uint32_t i = 0; i < job->shape->members; i++) {
		pthread_join(members[i].thread, NULL);
		bad |= members[i].result;
	}
	job->board->shared.counter = spot->counter;
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
	const struct lock_job *job = arg;

	for (int waited_ms = 0; !atomic_load(&job->board->gate.open) && waited_ms < 2000; waited_ms++)
		sleep_ns(MS);
	sleep_ns(job->wanted_ns);
	atomic_store(&job->board->stop, 1);
}

/* The protected counter, raised without an atomic operation, must have every section in it. */
static int add_up(const struct lock_job *job, struct bench_piece *piece)
{
	const struct lock_board *board = job->board;
	uint64_t sum = 0;
	int64_t end = 0;

	for (uint32_t i = 0; i < job->shape->members; i++) {
		sum += board->accounts[i].sections;
		end = board->accounts[i].ended_at > end ? board->accounts[i].ended_at : end;
	}
	piece->ns = end - board->gate.opened_at;
	piece->value = (double)sum * 1e9 / (double)piece->ns;
	return sum == board->shared.counter ? 0 : BENCH_WRONG;
}

static int run_sections(struct bench_piece *piece)
{
	const struct lock_shape *shape = piece->workload->shape;
	struct lock_job job = {
		.kind = piece->subject->peer,
		.shape = shape,
		.board = piece->state,
		.wanted_ns = piece->wanted_ns,
		.inside = turns_in(shape->inside),
		.outside = turns_in(shape->outside),
	};
	int result;

	if (shape->threads)
		result = team_run(1, be_host, stop_in_time, &job);
	else
		result = team_run(shape->members, be_process, stop_in_time, &job);
	return result < 0 ? result : add_up(&job, piece);
}

static int setup(struct bench_piece *piece)
{
	const struct lock_kind *kind = piece->subject->peer;
	struct lock_board *board = team_memory(sizeof(*board));

	if (!board)
		return -ENOMEM;
	piece->state = board;
	return kind->init(&board->shared.lock);
}

static void teardown(struct bench_piece *piece)
{
	team_memory_free(piece->state, sizeof(struct lock_board));
}

/* ---- the tables ---- */

#define KIND(is_shared, init_function, noun)                                                                           \
	&(const struct lock_kind)                                                                                      \
	{                                                                                                              \
		.shared = is_shared, .init = init_function, .pairs = pairs_##noun, .sections = sections_##noun         \
	}
#define SUBJECT(shown, is_ours, how, kind)                                                                             \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = how, .teardown = teardown, .peer = kind         \
	}

static const struct bench_subject alone[] = {
	SUBJECT("prusik-private", 1, run_pairs, KIND(0, init_prusik, prusik)),
	SUBJECT("prusik-shared", 1, run_pairs, KIND(1, init_prusik, prusik)),
	SUBJECT("pthread", 0, run_pairs, KIND(0, init_mutex_private, mutex)),
	SUBJECT("pthread-shared", 0, run_pairs, KIND(1, init_mutex_shared, mutex)),
	SUBJECT("pthread-robust", 0, run_pairs, KIND(1, init_mutex_robust, mutex)),
	SUBJECT("sem-shared", 0, run_pairs, KIND(1, init_semaphore_shared, semaphore)),
#ifdef BENCH_NSYNC
	SUBJECT("nsync", 0, run_pairs, KIND(0, init_nsync, nsync)),
#endif
	{ .name = NULL },
};

static const struct bench_subject processes[] = {
	SUBJECT("prusik", 1, run_sections, KIND(1, init_prusik, prusik)),
	SUBJECT("pthread-shared", 0, run_sections, KIND(1, init_mutex_shared, mutex)),
	SUBJECT("pthread-robust", 0, run_sections, KIND(1, init_mutex_robust, mutex)),
	SUBJECT("sem-shared", 0, run_sections, KIND(1, init_semaphore_shared, semaphore)),
	{ .name = NULL },
};

static const struct bench_subject threads[] = {
	SUBJECT("prusik", 1, run_sections, KIND(0, init_prusik, prusik)),
	SUBJECT("pthread", 0, run_sections, KIND(0, init_mutex_private, mutex)),
	SUBJECT("sem", 0, run_sections, KIND(0, init_semaphore_private, semaphore)),
#ifdef BENCH_NSYNC
	SUBJECT("nsync", 0, run_sections, KIND(0, init_nsync, nsync)),
#endif
	{ .name = NULL },
};

#define CONTENDED(shown, who, how_many, are_threads, in, out)                                                          \
	{                                                                                                              \
		.name = shown, .unit = "sections/s", .higher_is_better = 1, .subjects = who,                           \
		.shape = &(const struct lock_shape)                                                                    \
		{                                                                                                      \
			how_many, are_threads, in, out                                                                 \
		}                                                                                                      \
	}

const struct bench_workload bench_lock[] = {
	{ .name = "lock-uncontended", .unit = "ns/pair", .counted = 1, .subjects = alone },
	CONTENDED("lock-2processes", processes, 2, 0, 0, 0),
	CONTENDED("lock-2processes-work", processes, 2, 0, 100, 200),
	CONTENDED("lock-2threads", threads, 2, 1, 0, 0),
	CONTENDED("lock-2threads-work", threads, 2, 1, 100, 200),
	CONTENDED("lock-8threads", threads, 8, 1, 0, 0),
	CONTENDED("lock-8threads-work", threads, 8, 1, 100, 200),
	{ .name = NULL },
};
