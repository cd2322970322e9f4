/* SPDX-License-Identifier: MIT */
/*
 * Queues between processes.
 *
 * Every word of an item that a producer writes, one per 64 bytes, goes into its
 * sum, and every word that a consumer reads into its own. At the end the sums and
 * the counts must be equal. The words of no two items are alike, so a lost, torn or
 * doubled item shows.
 */
#include "bench.h"
#include "queue.h"
#include "team.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64

/* What one process did. A cache line of its own: others look at count. */
struct queue_account {
	_Alignas(LINE) _Atomic uint64_t count;
	uint64_t sum;
	int64_t ended_at;
};

/* The memory that all of a piece's processes share. */
struct queue_board {
	struct team_gate ready; /* the consumers have joined: producers may */
	struct team_gate gate; /* the start */
	struct team_gate over; /* everything has arrived: they may leave */
	struct queue_account accounts[TEAM_MAX]; /* the producers', then the consumers' */
};

struct queue_job {
	const struct queue_peer *peer;
	const struct queue_shape *shape;
	void *line;
	uint64_t count;
	struct queue_board *board;
};

/* ---- items ---- */

/* A word that no other item has. Odd multipliers: one-to-one, and every bit changes. */
static uint64_t first_word(uint32_t producer, uint64_t number)
{
	return ((uint64_t)producer << 56 | number) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t write_item(void *item, uint64_t size, uint64_t word)
{
	uint64_t sum = 0;

	for (uint64_t at = 0; at < size; at += LINE) {
		memcpy((char *)item + at, &word, sizeof(word));
		sum += word;
		word += UINT64_C(0xbf58476d1ce4e5b9);
	}
	return sum;
}

static uint64_t read_item(const struct iovec *item)
{
	uint64_t sum = 0, word;

	for (uint64_t at = 0; at < item->iov_len; at += LINE) {
		memcpy(&word, (const char *)item->iov_base + at, sizeof(word));
		sum += word;
	}
	return sum;
}

/* ---- the two roles ---- */

static uint32_t smaller(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

static void point_at_own_memory(struct queue_end *end, char *memory)
{
	for (uint32_t i = 0; i < end->shape->batch; i++)
		end->items[i] = (struct iovec){ memory + (size_t)i * end->shape->size, end->shape->size };
}

static int produce(const struct queue_job *job, struct queue_end *end, char *memory, struct queue_account *account)
{
	uint64_t share = job->count / job->shape->producers;
	uint64_t sum = 0;
	int result = 0;

	point_at_own_memory(end, memory);
	for (uint64_t put = 0; put < share && result == 0;) {
		uint32_t n = smaller(share - put, job->shape->batch);

		for (uint32_t i = 0; i < n; i++)
			sum += write_item(end->items[i].iov_base, job->shape->size, first_word(end->index, put + i));
		result = job->peer->put(end, n);
		put += n;
	}
	account->sum = sum;
	atomic_store(&account->count, share);
	account->ended_at = team_now();
	return result;
}

static uint64_t all_received(const struct queue_job *job)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < job->shape->consumers; i++)
		sum += atomic_load(&job->board->accounts[job->shape->producers + i].count);
	return sum;
}

/* One get and the reading. What get returned. */
static int consume_some(const struct queue_job *job, struct queue_end *end, char *memory, uint32_t n, uint64_t *sum)
{
	int got, result = 0;

	point_at_own_memory(end, memory);
	got = job->peer->get(end, n);
	for (int i = 0; i < got; i++) {
		if (end->items[i].iov_len != job->shape->size)
			return -EBADMSG;
		*sum += read_item(&end->items[i]);
	}
	if (got > 0 && job->peer->done)
		result = job->peer->done(end, (uint32_t)got);
	return result < 0 ? result : got;
}

static int consume(const struct queue_job *job, struct queue_end *end, char *memory, struct queue_account *account)
{
	uint64_t share = job->peer->uneven ? job->count : job->count / job->shape->consumers;
	uint64_t received = 0;

	while (received < share) {
		int got = consume_some(job, end, memory, smaller(share - received, job->shape->batch), &account->sum);

		if (got < 0)
			return got;
		received += (uint64_t)got;
		atomic_store_explicit(&account->count, received, memory_order_relaxed);
		if (got == 0 && all_received(job) == job->count) {
			account->ended_at = end->idle_since;
			return 0;
		}
	}
	account->ended_at = team_now();
	return 0;
}

/* ---- a piece ---- */

/*
 * Producers and consumers are spread over the processors so that with two of them
 * a producer and its consumer are not on the same one. Pinned last: threads
 * that the peer started in join stay free to move.
 */
static int play_role(const struct queue_job *job, struct queue_end *end, uint32_t member, char *memory)
{
	uint32_t size = job->shape->producers + job->shape->consumers;
	int result;

	team_pin(end->puts ? end->index : end->index + 1);
	team_meet(&job->board->gate, size);
	result = (end->puts ? produce : consume)(job, end, memory, &job->board->accounts[member]);
	if (result == 0)
		team_part(&job->board->over, size);
	if (job->peer->leave)
		job->peer->leave(end);
	return result;
}

static int join_in_turn(const struct queue_job *job, struct queue_end *end)
{
	uint32_t size = job->shape->producers + job->shape->consumers;
	int result = 0;

	if (end->puts)
		team_meet(&job->board->ready, size);
	if (job->peer->join)
		result = job->peer->join(end);
	if (!end->puts && result == 0)
		team_meet(&job->board->ready, size);
	return result;
}

static int be_member(void *arg, uint32_t member)
{
	const struct queue_job *job = arg;
	int puts = member < job->shape->producers;
	struct queue_end end = {
		.shape = job->shape,
		.line = job->line,
		.puts = puts,
		.index = puts ? member : member - job->shape->producers,
	};
	size_t room = (size_t)job->shape->size * job->shape->batch;
	char *memory = aligned_alloc(LINE, room);
	int result;

	if (!memory)
		return -ENOMEM;
	memset(memory, 1, room);
	result = join_in_turn(job, &end);
	if (result == 0)
		result = play_role(job, &end, member, memory);
	free(memory);
	return result;
}

struct crew_member {
	const struct queue_job *job;
	uint32_t member;
	int result;
};

static void *be_thread(void *arg)
{
	struct crew_member *self = arg;

	self->result = be_member((void *)(uintptr_t)self->job, self->member);
	return NULL;
}

/* The only process of a piece whose ends are threads. */
static int be_crew(void *arg, uint32_t unused)
{
	const struct queue_job *job = arg;
	uint32_t size = job->shape->producers + job->shape->consumers;
	struct crew_member crew[TEAM_MAX];
	pthread_t threads[TEAM_MAX];
	int result = 0;

	(void)unused;
	for (uint32_t i = 0; i < size; i++) {
		crew[i] = (struct crew_member){ .job = job, .member = i };
		if (pthread_create(&threads[i], NULL, be_thread, &crew[i]) != 0)
			return -EAGAIN; /* ends the process, and those who wait at the gate with it */
	}
	for (uint32_t i = 0; i < size; i++) {
		pthread_join(threads[i], NULL);
		result = result ? result : crew[i].result;
	}
	return result;
}

/* 0 when what was put is what was got. */
static int audit(const struct queue_job *job, int64_t *ret_ns)
{
	const struct queue_account *account = job->board->accounts;
	uint64_t put = 0, got = 0, sum = 0;
	int64_t end = 0;

	for (uint32_t i = 0; i < job->shape->producers; i++, account++) {
		put += account->count;
		sum += account->sum;
	}
	for (uint32_t i = 0; i < job->shape->consumers; i++, account++) {
		got += account->count;
		sum -= account->sum;
		end = account->ended_at > end ? account->ended_at : end;
	}
	*ret_ns = end - job->board->gate.opened_at;
	return put == job->count && got == job->count && sum == 0 ? 0 : BENCH_WRONG;
}

/* Every producer and every consumer gets an equal share, in whole batches. */
static uint64_t whole_shares(const struct queue_shape *shape, uint64_t count)
{
	uint64_t unit = (uint64_t)shape->producers * shape->consumers * shape->batch;

	return (count + unit - 1) / unit * unit;
}

static void tell(struct bench_piece *piece, uint64_t count, int64_t ns)
{
	const struct queue_shape *shape = piece->workload->shape;

	piece->ns = ns;
	if (piece->workload->higher_is_better) /* MB/s: bytes in a microsecond */
		piece->value = (double)count * shape->size * 1000 / (double)ns;
	else
		piece->value = (double)ns / (double)count;
}

static int run(struct bench_piece *piece)
{
	const struct queue_shape *shape = piece->workload->shape;
	struct queue_job job = {
		.peer = piece->subject->peer,
		.shape = shape,
		.line = piece->state,
		.count = whole_shares(shape, piece->count),
		.board = team_memory(sizeof(*job.board)),
	};
	int64_t ns = 0;
	int result;

	if (!job.board)
		return -ENOMEM;
	if (shape->threads)
		result = team_run(1, be_crew, NULL, &job);
	else
		result = team_run(shape->producers + shape->consumers, be_member, NULL, &job);
	if (result == 0)
		result = audit(&job, &ns);
	if (result == 0)
		tell(piece, job.count, ns);
	team_memory_free(job.board, sizeof(*job.board));
	return result;
}

static int setup(struct bench_piece *piece)
{
	const struct queue_peer *peer = piece->subject->peer;
	const char *why = NULL;

	if (!peer)
		why = "its library was not there when the bench was built";
	else if (peer->unfit)
		why = peer->unfit(piece->workload->shape);
	if (why) {
		bench_note(piece, "left out: %s", why);
		return BENCH_LEFT_OUT;
	}
	return peer->open(piece->workload->shape, &piece->state);
}

static void teardown(struct bench_piece *piece)
{
	const struct queue_peer *peer = piece->subject->peer;

	peer->close(piece->state);
}

/* ---- programs of other languages do it all by themselves ---- */

typedef int outside_queue(const struct queue_shape *shape, uint64_t count, int64_t *ret_ns);

static int run_outside(struct bench_piece *piece, outside_queue *run_queue)
{
	const struct queue_shape *shape = piece->workload->shape;
	uint64_t count = whole_shares(shape, piece->count);
	int64_t ns = 0;
	int result = run_queue ? run_queue(shape, count, &ns) : BENCH_LEFT_OUT;

	if (result == 0)
		tell(piece, count, ns);
	return result;
}

static int setup_nothing(struct bench_piece *piece)
{
	(void)piece;
	return 0;
}

static void teardown_nothing(struct bench_piece *piece)
{
	(void)piece;
}

static int run_python(struct bench_piece *piece)
{
	int result = run_outside(piece, queue_python);

	if (result == BENCH_LEFT_OUT)
		bench_note(piece, "left out: no python3 with multiprocessing");
	return result;
}

static int run_go(struct bench_piece *piece)
{
	int result = run_outside(piece, queue_go);

	if (result == BENCH_LEFT_OUT)
		bench_note(piece, "left out: go was not there when the bench was built");
	return result;
}

/* ---- the tables ---- */

#define SUBJECT(shown, is_ours, its_peer)                                                                              \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown, .peer = its_peer     \
	}
#define OUTSIDE(shown, its_run)                                                                                        \
	{                                                                                                              \
		.name = shown, .setup = setup_nothing, .run = its_run, .teardown = teardown_nothing                    \
	}
#define COMPILED_PEERS                                                                                                 \
	SUBJECT("prusik", 1, &queue_prusik_get), SUBJECT("prusik-take", 1, &queue_prusik_take),                        \
		SUBJECT("pipe", 0, &queue_pipe), SUBJECT("seqpacket", 0, &queue_seqpacket),                            \
		SUBJECT("posix-mq", 0, &queue_mq), SUBJECT("boost", 0, &queue_boost),                                  \
		SUBJECT("zeromq", 0, &queue_zeromq)

static const struct bench_subject subjects[] = { COMPILED_PEERS, { .name = NULL } };

static const struct bench_subject subjects_and_python[] = {
	COMPILED_PEERS,
	OUTSIDE("python", run_python),
	{ .name = NULL },
};

static const struct bench_subject thread_subjects[] = {
	SUBJECT("prusik", 1, &queue_prusik_private_get),
	SUBJECT("prusik-take", 1, &queue_prusik_private_take),
	SUBJECT("prusik-pointers", 1, &queue_prusik_pointers),
	SUBJECT("conditions", 0, &queue_conditions),
	SUBJECT("glib", 0, &queue_glib),
	SUBJECT("tbb", 0, &queue_tbb),
	SUBJECT("moodycamel", 0, &queue_moodycamel),
	OUTSIDE("go", run_go),
	{ .name = NULL },
};

static const struct bench_subject in_place_subjects[] = {
	SUBJECT("prusik-in-place", 1, &queue_prusik_in_place),
	SUBJECT("boost", 0, &queue_boost),
	{ .name = NULL },
};

#define SHAPE(bytes, ends, n, room)                                                                                    \
	&(const struct queue_shape)                                                                                    \
	{                                                                                                              \
		.size = bytes, .producers = ends, .consumers = ends, .batch = n, .capacity = room                      \
	}
#define SMALL(shown, who, bytes, ends, n)                                                                              \
	{                                                                                                              \
		.name = shown, .unit = "ns/item", .counted = 1, .subjects = who, .shape = SHAPE(bytes, ends, n, 1024)  \
	}
#define LARGE(shown, ends, n)                                                                                          \
	{                                                                                                              \
		.name = shown, .unit = "MB/s", .higher_is_better = 1, .counted = 1, .subjects = subjects,              \
		.shape = SHAPE(65536, ends, n, 64)                                                                     \
	}

#define IN_PLACE(shown, ends)                                                                                          \
	{                                                                                                              \
		.name = shown, .unit = "MB/s", .higher_is_better = 1, .counted = 1, .subjects = in_place_subjects,     \
		.shape = SHAPE(65536, ends, 1, 64)                                                                     \
	}
#define THREADS(shown, ends, n)                                                                                        \
	{                                                                                                              \
		.name = shown, .unit = "ns/item", .counted = 1, .subjects = thread_subjects,                           \
		.shape = &(const struct queue_shape)                                                                   \
		{                                                                                                      \
			.size = 8, .producers = ends, .consumers = ends, .batch = n, .capacity = 1024, .threads = 1    \
		}                                                                                                      \
	}

const struct bench_workload bench_queue[] = {
	SMALL("queue-64B-1p1c", subjects_and_python, 64, 1, 1),
	SMALL("queue-64B-1p1c-batch16", subjects, 64, 1, 16),
	SMALL("queue-64B-2p2c", subjects_and_python, 64, 2, 1),
	SMALL("queue-64B-2p2c-batch16", subjects, 64, 2, 16),
	SMALL("queue-1KiB-1p1c", subjects, 1024, 1, 1),
	SMALL("queue-1KiB-1p1c-batch16", subjects, 1024, 1, 16),
	SMALL("queue-1KiB-2p2c", subjects, 1024, 2, 1),
	SMALL("queue-1KiB-2p2c-batch16", subjects, 1024, 2, 16),
	LARGE("queue-64KiB-1p1c", 1, 1),
	LARGE("queue-64KiB-1p1c-batch16", 1, 16),
	LARGE("queue-64KiB-2p2c", 2, 1),
	LARGE("queue-64KiB-2p2c-batch16", 2, 16),
	IN_PLACE("queue-64KiB-1p1c-in-place", 1),
	IN_PLACE("queue-64KiB-2p2c-in-place", 2),
	THREADS("queue-threads-8B-1p1c", 1, 1),
	THREADS("queue-threads-8B-1p1c-batch16", 1, 16),
	THREADS("queue-threads-8B-2p2c", 2, 1),
	THREADS("queue-threads-8B-2p2c-batch16", 2, 16),
	THREADS("queue-threads-8B-4p4c", 4, 1),
	THREADS("queue-threads-8B-4p4c-batch16", 4, 16),
	{ .name = NULL },
};
