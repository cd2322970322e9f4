/* SPDX-License-Identifier: MIT */
/*
 * Maps that processes share: 16-byte keys, chosen at random, and 64-byte values.
 *
 * The first word of a value says which key it is of; whoever reads it looks.
 */
#include "bench.h"
#include "map.h"
#include "team.h"

#include <errno.h>
#include <string.h>

struct map_board {
	struct team_gate filled; /* the first one has filled the map */
	struct team_gate gate;
	int64_t ended_at[TEAM_MAX];
};

struct map_job {
	const struct map_peer *peer;
	const struct map_shape *shape;
	void *map;
	uint64_t count;
	struct map_board *board;
};

static void make_key(char key[MAP_KEY], uint64_t number)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = MAP_KEY - 1; i >= 0; i--, number >>= 4)
		key[i] = digits[number & 15];
}

static void make_value(char value[MAP_VALUE], uint64_t number)
{
	memset(value, 'v', MAP_VALUE);
	memcpy(value, &number, sizeof number);
}

int map_fill(const struct map_peer *peer, struct map_end *end)
{
	char key[MAP_KEY], value[MAP_VALUE];
	int result = 0;

	for (uint64_t i = 0; i < end->shape->keys && result == 0; i++) {
		make_key(key, i);
		make_value(value, i);
		result = peer->fill(end, key, value);
	}
	if (result == 0 && peer->flush)
		result = peer->flush(end);
	return result;
}

static int one_get(const struct map_peer *peer, struct map_end *end, const char *key, uint64_t number)
{
	char value[MAP_VALUE];
	uint64_t word;

	if (peer->flush) {
		end->asked[end->waiting % MAP_BATCH] = number;
		return peer->get(end, key, NULL);
	}
	int result = peer->get(end, key, value);
	memcpy(&word, value, sizeof word);
	return result == 0 && word != number ? -EBADMSG : result;
}

int map_work(const struct map_peer *peer, struct map_end *end, uint32_t member, uint64_t count)
{
	uint64_t random = 88172645463325252 + member;
	char key[MAP_KEY], value[MAP_VALUE];
	int result = 0;

	make_value(value, 0);
	for (uint64_t i = 0; i < count && result == 0; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		uint64_t number = random % end->shape->keys;
		make_key(key, number);
		if (peer->once) {
			result = peer->once(end, number);
		} else if (end->shape->operation == MAP_GET) {
			result = one_get(peer, end, key, number);
		} else if (end->shape->operation == MAP_SET) {
			memcpy(value, &number, sizeof number);
			result = peer->set(end, key, value);
		} else {
			result = peer->add(end, key);
		}
	}
	if (result == 0 && peer->flush)
		result = peer->flush(end);
	return result;
}

static int be_member(void *arg, uint32_t member)
{
	const struct map_job *job = arg;
	struct map_end end = { .shape = job->shape, .map = job->map };
	int result = job->peer->join ? job->peer->join(&end) : 0;

	team_pin(member);
	if (result == 0 && member == 0)
		result = map_fill(job->peer, &end);
	if (result < 0)
		return result;
	team_part(&job->board->filled, job->shape->processes);
	team_meet(&job->board->gate, job->shape->processes);
	result = map_work(job->peer, &end, member, job->count / job->shape->processes);
	job->board->ended_at[member] = team_now();
	if (job->peer->leave)
		job->peer->leave(&end);
	return result;
}

static void tell(struct bench_piece *piece, uint64_t count, int64_t ns)
{
	piece->ns = ns;
	piece->value = (double)ns / (double)count;
}

int map_run(struct bench_piece *piece)
{
	const struct map_shape *shape = piece->workload->shape;
	struct map_job job = {
		.peer = piece->subject->peer,
		.shape = shape,
		.map = piece->state,
		.count = (piece->count / shape->processes + 1) * shape->processes,
		.board = team_memory(sizeof(*job.board)),
	};
	int64_t end = 0;

	if (!job.board)
		return -ENOMEM;
	int result = team_run(shape->processes, be_member, NULL, &job);
	for (uint32_t i = 0; i < shape->processes; i++)
		end = job.board->ended_at[i] > end ? job.board->ended_at[i] : end;
	if (result == 0)
		tell(piece, job.count, end - job.board->gate.opened_at);
	team_memory_free(job.board, sizeof(*job.board));
	return result;
}

int map_setup(struct bench_piece *piece)
{
	const struct map_peer *peer = piece->subject->peer;
	const char *why = NULL;

	if (!peer)
		why = "its library was not there when the bench was built";
	else if (peer->unfit)
		why = peer->unfit(piece->workload->shape);
	if (why) {
		bench_note(piece, "left out: %s", why);
		return BENCH_LEFT_OUT;
	}
	return peer->open ? peer->open(piece->workload->shape, &piece->state) : 0;
}

void map_teardown(struct bench_piece *piece)
{
	const struct map_peer *peer = piece->subject->peer;

	if (peer->close)
		peer->close(piece->state);
}

static int setup_python(struct bench_piece *piece)
{
	(void)piece;
	return 0;
}

static int run_python(struct bench_piece *piece)
{
	const struct map_shape *shape = piece->workload->shape;
	uint64_t count = (piece->count / shape->processes + 1) * shape->processes;
	int64_t ns = 0;
	int result = map_python(shape, count, &ns);

	if (result == 0)
		tell(piece, count, ns);
	else if (result == BENCH_LEFT_OUT)
		bench_note(piece, "left out: no python3 with multiprocessing");
	return result;
}

static void teardown_python(struct bench_piece *piece)
{
	(void)piece;
}

/* ---- the tables ---- */

#define SUBJECT(shown, is_ours, its_peer)                                                                              \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = map_setup, .run = map_run, .teardown = map_teardown,          \
		.peer = its_peer                                                                                       \
	}

static const struct bench_subject subjects[] = {
	SUBJECT("prusik", 1, &map_prusik),
	SUBJECT("prusik-many", 1, &map_prusik_many),
	SUBJECT("lmdb", 0, &map_lmdb),
	SUBJECT("glib", 0, &map_glib),
	SUBJECT("memcached", 0, &map_memcached),
	SUBJECT("redis", 0, &map_redis),
	SUBJECT("redis-pipelined", 0, &map_redis_pipelined),
	{ .name = "python", .setup = setup_python, .run = run_python, .teardown = teardown_python },
	{ .name = NULL },
};

#define MAP(shown, who, what, users, n)                                                                                \
	{                                                                                                              \
		.name = shown, .unit = "ns/op", .counted = 1, .subjects = who, .shape = &(const struct map_shape)      \
		{                                                                                                      \
			.operation = what, .processes = users, .keys = n                                               \
		}                                                                                                      \
	}

const struct bench_workload bench_dict[] = {
	MAP("dict-get-1p", subjects, MAP_GET, 1, 100000),
	MAP("dict-get-2p", subjects, MAP_GET, 2, 100000),
	MAP("dict-set-1p", subjects, MAP_SET, 1, 100000),
	MAP("dict-set-2p", subjects, MAP_SET, 2, 100000),
	MAP("dict-add-1p", subjects, MAP_ADD, 1, 100000),
	MAP("dict-add-2p", subjects, MAP_ADD, 2, 100000),
	{ .name = NULL },
};
