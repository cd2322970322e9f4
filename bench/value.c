/* SPDX-License-Identifier: MIT */
/* One shared number: read, set, and raised; and one item of a shared array. */
#include "value.h"

#include "visits.h"

#include <errno.h>
#include <prusik/array.h>
#include <prusik/value.h>
#include <pthread.h>

/* Those of the piece at hand; the members are forked with them. */
static struct {
	struct prusik_arena *arena;
	struct prusik_value *value;
	struct prusik_array *array;
} ours;

/* A number and its lock, as one would do it by hand. */
struct theirs {
	pthread_mutex_t mutex;
	volatile int64_t number;
	_Alignas(64) _Atomic int64_t bare;
};

static int init_prusik(void *object, uint32_t members)
{
	const struct prusik_array_options options = { .kind = PRUSIK_ARRAY_INT64, .length = 16 };
	int r = prusik_arena_create(NULL, 1 << 16, &ours.arena);

	(void)object, (void)members;
	if (r == 0)
		r = prusik_value_create(ours.arena, "value", NULL, &ours.value);
	return r < 0 ? r : prusik_array_create(ours.arena, "array", &options, &ours.array);
}

static void teardown_prusik(struct bench_piece *piece)
{
	prusik_value_free(ours.value);
	prusik_array_free(ours.array);
	prusik_arena_close(ours.arena);
	visits_teardown(piece);
}

static int init_mutex(void *object, uint32_t members)
{
	struct theirs *t = object;
	pthread_mutexattr_t attributes;

	(void)members;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	return -pthread_mutex_init(&t->mutex, &attributes);
}

static int init_robust(void *object, uint32_t members)
{
	struct theirs *t = object;
	pthread_mutexattr_t attributes;

	(void)members;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	return -pthread_mutex_init(&t->mutex, &attributes);
}

static int init_bare(void *object, uint32_t members)
{
	(void)object, (void)members;
	return 0;
}

#define OURS ((void)spot, &ours)
#define THEIRS ((struct theirs *)(void *)spot->object)

VISIT_LOOP(prusik_add, { bad |= prusik_value_add(OURS->value, 1, NULL); })

/* Alone: and it must add up. */
VISIT_LOOP(prusik_add_alone, {
	int64_t sum;
	bad |= prusik_value_add(OURS->value, 1, &sum);
	spot->counter = (uint64_t)sum;
	v->raised++;
})

VISIT_LOOP(prusik_get, {
	int64_t number;
	bad |= prusik_value_get(OURS->value, &number) || number != 0;
})

VISIT_LOOP(prusik_set, { bad |= prusik_value_set(OURS->value, i); })

VISIT_LOOP(prusik_add_item, { bad |= prusik_array_add(OURS->array, i, 1, NULL); })

VISIT_LOOP(prusik_get_item, {
	int64_t number;
	bad |= prusik_array_get(OURS->array, i, &number) || number != 0;
})

VISIT_LOOP(bare_add, { atomic_fetch_add(&THEIRS->bare, 1); })

VISIT_LOOP(bare_add_alone, {
	spot->counter = (uint64_t)atomic_fetch_add(&THEIRS->bare, 1) + 1;
	v->raised++;
})

VISIT_LOOP(bare_get, { bad |= atomic_load(&THEIRS->bare) != 0; })

VISIT_LOOP(bare_set, { atomic_exchange(&THEIRS->bare, i); })

VISIT_LOOP(mutex_add, {
	bad |= pthread_mutex_lock(&THEIRS->mutex);
	THEIRS->number = THEIRS->number + 1;
	bad |= pthread_mutex_unlock(&THEIRS->mutex);
})

VISIT_LOOP(mutex_get, {
	bad |= pthread_mutex_lock(&THEIRS->mutex);
	bad |= THEIRS->number != 0;
	bad |= pthread_mutex_unlock(&THEIRS->mutex);
})

VISIT_LOOP(mutex_set, {
	bad |= pthread_mutex_lock(&THEIRS->mutex);
	THEIRS->number = i;
	bad |= pthread_mutex_unlock(&THEIRS->mutex);
})

/* ---- multiprocessing.Value ---- */

static int setup_python(struct bench_piece *piece)
{
	(void)piece;
	return 0;
}

static int run_python(struct bench_piece *piece)
{
	const struct visit_shape *shape = piece->workload->shape;
	const enum value_operation *operation = piece->subject->peer;
	int result = value_python(*operation, shape->members, piece->count, &piece->ns);

	if (result == 0)
		piece->value = (double)piece->ns / (double)piece->count;
	else if (result == BENCH_LEFT_OUT)
		bench_note(piece, "left out: no python3 with multiprocessing");
	return result;
}

static void teardown_python(struct bench_piece *piece)
{
	(void)piece;
}

/* ---- the tables ---- */

#define PRUSIK(loop_function)                                                                                          \
	{                                                                                                              \
		.name = "prusik", .ours = 1, .setup = visits_setup, .run = visits_run, .teardown = teardown_prusik,    \
		.peer = &(const struct visit_kind)                                                                     \
		{                                                                                                      \
			.init = init_prusik, .loop = loop_function                                                     \
		}                                                                                                      \
	}
#define PYTHON(operation)                                                                                              \
	{                                                                                                              \
		.name = "python", .setup = setup_python, .run = run_python, .teardown = teardown_python,               \
		.peer = &(const enum value_operation)                                                                  \
		{                                                                                                      \
			operation                                                                                      \
		}                                                                                                      \
	}
#define SUBJECTS(array, our_loop, bare_loop, mutex_loop, operation)                                                    \
	static const struct bench_subject array[] = {                                                                  \
		PRUSIK(our_loop),                                                                                      \
		VISIT_SUBJECT("atomic", 0, init_bare, bare_loop),                                                      \
		VISIT_SUBJECT("pthread", 0, init_mutex, mutex_loop),                                                   \
		VISIT_SUBJECT("pthread-robust", 0, init_robust, mutex_loop),                                           \
		PYTHON(operation),                                                                                     \
		{ .name = NULL },                                                                                      \
	}

SUBJECTS(get, prusik_get, bare_get, mutex_get, VALUE_GET);
SUBJECTS(set, prusik_set, bare_set, mutex_set, VALUE_SET);
SUBJECTS(add_alone, prusik_add_alone, bare_add_alone, mutex_add, VALUE_ADD);
SUBJECTS(add, prusik_add, bare_add, mutex_add, VALUE_ADD);
SUBJECTS(get_item, prusik_get_item, bare_get, mutex_get, VALUE_GET_ITEM);
SUBJECTS(add_item, prusik_add_item, bare_add, mutex_add, VALUE_ADD_ITEM);

#define OF(n) .unit = "ns/op", .counted = 1, VISIT_SHAPE(n, 0)

const struct bench_workload bench_value[] = {
	{ .name = "value-get", OF(1), .subjects = get },
	{ .name = "value-set", OF(1), .subjects = set },
	{ .name = "value-add", OF(1), .subjects = add_alone },
	{ .name = "value-add-2processes", OF(2), .subjects = add },
	{ .name = "array-get", OF(1), .subjects = get_item },
	{ .name = "array-add", OF(1), .subjects = add_item },
	{ .name = "array-add-2processes", OF(2), .subjects = add_item },
	{ .name = NULL },
};
