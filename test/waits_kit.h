/* SPDX-License-Identifier: MIT */
/*
 * waits_kit - every wait that the library has, and a box in which each of them has to wait
 *
 *	struct box *box = box_to_wait_in(kind);
 *	for (int i = 0; i < WAITS; i++)
 *		r = waits[i].wait(box, deadline);
 *	box_leave(box);
 *
 * A new call that blocks gets a row here, and is seen by the tests of signals and of cancel.
 */
#ifndef TEST_WAITS_KIT_H
#define TEST_WAITS_KIT_H

#include "party.h"

#include <prusik.h>

struct box {
	struct prusik_cancel stop, other;
	struct prusik_lock lock, other_lock;
	struct prusik_rlock rlock, other_rlock;
	struct prusik_rwlock rwlock;
	struct prusik_condition condition, other_condition;
	struct prusik_event event, holds, over, at_it;
	struct prusik_semaphore semaphore;
	struct prusik_permits permits;
	uint32_t holders[1];
	struct prusik_once once;
	struct prusik_barrier barrier;
	uint32_t parties[8];
	struct prusik_queue *empty, *full;
	struct prusik_dict *dict;
	struct prusik_value *value;
	struct prusik_array *array;
	enum party_kind kind;
	struct party *holder; /* of PROCESSES; of THREADS it is thread */
	int waiting, gone;

	/* for THREADS only */
	struct prusik_ptrqueue *no_pointers, *pointers;
	struct prusik_process *process, *program;
	struct prusik_thread *thread;
	struct prusik_timer *timer;
	int occupation; /* how it ended */
};

static inline int do_nothing(void *arg, int recovered)
{
	(void)arg;
	(void)recovered;
	return 0;
}

static inline int wait_lock(struct box *box, int64_t deadline)
{
	return prusik_lock_acquire(&box->lock, deadline);
}

static inline int wait_rlock(struct box *box, int64_t deadline)
{
	return prusik_rlock_acquire(&box->rlock, deadline);
}

static inline int wait_read(struct box *box, int64_t deadline)
{
	return prusik_rwlock_read(&box->rwlock, deadline);
}

static inline int wait_write(struct box *box, int64_t deadline)
{
	return prusik_rwlock_write(&box->rwlock, deadline);
}

static inline int is_never(void *unused)
{
	(void)unused;
	return 0;
}

/* The lock is not what is waited for: it is taken whatever the token says. */
static inline int wait_with_lock(struct box *box, int (*predicate)(void *), int64_t deadline)
{
	struct prusik_cancel *token = prusik_cancel_use(NULL);
	int r = prusik_lock_acquire(&box->other_lock, PRUSIK_FOREVER);

	prusik_cancel_use(token);
	if (r < 0)
		return r;
	r = predicate ? prusik_condition_wait_for(&box->condition, &box->other_lock, predicate, box, deadline) :
			prusik_condition_wait(&box->condition, &box->other_lock, deadline);
	prusik_lock_release(&box->other_lock);
	return r;
}

static inline int wait_condition(struct box *box, int64_t deadline)
{
	return wait_with_lock(box, NULL, deadline);
}

static inline int wait_condition_for(struct box *box, int64_t deadline)
{
	return wait_with_lock(box, is_never, deadline);
}

static inline int wait_with_rlock(struct box *box, int (*predicate)(void *), int64_t deadline)
{
	struct prusik_condition *condition = &box->other_condition;
	struct prusik_rlock *rlock = &box->other_rlock;
	struct prusik_cancel *token = prusik_cancel_use(NULL);
	int r = prusik_rlock_acquire(rlock, PRUSIK_FOREVER);

	prusik_cancel_use(token);
	if (r < 0)
		return r;
	r = predicate ? prusik_condition_wait_for_rlock(condition, rlock, predicate, box, deadline) :
			prusik_condition_wait_rlock(condition, rlock, deadline);
	prusik_rlock_release(rlock);
	return r;
}

static inline int wait_condition_rlock(struct box *box, int64_t deadline)
{
	return wait_with_rlock(box, NULL, deadline);
}

static inline int wait_condition_for_rlock(struct box *box, int64_t deadline)
{
	return wait_with_rlock(box, is_never, deadline);
}

static inline int wait_barrier(struct box *box, int64_t deadline)
{
	int r = prusik_barrier_init(&box->barrier, 2);

	return r < 0 ? r : (int)prusik_barrier_wait(&box->barrier, NULL, NULL, deadline);
}

static inline int wait_event(struct box *box, int64_t deadline)
{
	return prusik_event_wait(&box->event, deadline);
}

static inline int wait_semaphore(struct box *box, int64_t deadline)
{
	return prusik_semaphore_acquire(&box->semaphore, deadline);
}

static inline int wait_permits(struct box *box, int64_t deadline)
{
	return prusik_permits_acquire(&box->permits, deadline);
}

static inline int wait_once(struct box *box, int64_t deadline)
{
	return prusik_once(&box->once, do_nothing, NULL, deadline);
}

static inline int wait_get(struct box *box, int64_t deadline)
{
	char item[16];

	return (int)prusik_queue_get(box->empty, item, sizeof item, deadline);
}

static inline int wait_put(struct box *box, int64_t deadline)
{
	return prusik_queue_put(box->full, "x", 1, deadline);
}

static inline int wait_get_many(struct box *box, int64_t deadline)
{
	char item[16];
	struct iovec items[] = { { item, sizeof item } };

	return (int)prusik_queue_get_many(box->empty, items, 1, deadline);
}

static inline int wait_peek(struct box *box, int64_t deadline)
{
	char item[16];

	return (int)prusik_queue_peek(box->empty, item, sizeof item, deadline);
}

static inline int wait_take(struct box *box, int64_t deadline)
{
	struct prusik_lease lease;

	return prusik_queue_take(box->empty, &lease, deadline);
}

static inline int wait_take_many(struct box *box, int64_t deadline)
{
	struct prusik_lease leases[2];

	return (int)prusik_queue_take_many(box->empty, leases, 2, deadline);
}

static inline int wait_put_with(struct box *box, int64_t deadline)
{
	return prusik_queue_put_with(box->full, "x", 1, NULL, deadline);
}

static inline int wait_put_many(struct box *box, int64_t deadline)
{
	char item = 'x';
	const struct iovec items[] = { { &item, 1 }, { &item, 1 } };

	return (int)prusik_queue_put_many(box->full, items, 2, deadline);
}

static inline int wait_reserve(struct box *box, int64_t deadline)
{
	struct prusik_reservation reservation;

	return prusik_queue_reserve(box->full, 1, &reservation, deadline);
}

static inline int wait_queue_join(struct box *box, int64_t deadline)
{
	return prusik_queue_join(box->full, deadline);
}

static inline int wait_pointer_put(struct box *box, int64_t deadline)
{
	return prusik_ptrqueue_put(box->pointers, box, deadline);
}

static inline int wait_pointer_put_many(struct box *box, int64_t deadline)
{
	void *const boxes[] = { box, box };

	return (int)prusik_ptrqueue_put_many(box->pointers, boxes, 2, deadline);
}

static inline int wait_pointer_get(struct box *box, int64_t deadline)
{
	void *pointer;

	return prusik_ptrqueue_get(box->no_pointers, &pointer, deadline);
}

static inline int wait_pointer_get_many(struct box *box, int64_t deadline)
{
	void *pointers[2];

	return (int)prusik_ptrqueue_get_many(box->no_pointers, pointers, 2, deadline);
}

static inline int wait_dict(struct box *box, int64_t deadline)
{
	return prusik_dict_wait(box->dict, "key", 3, prusik_dict_seen(box->dict, "key", 3), deadline);
}

static inline int wait_value(struct box *box, int64_t deadline)
{
	const int64_t zero = 0;

	return prusik_value_wait(box->value, &zero, deadline);
}

static inline int wait_value_lock(struct box *box, int64_t deadline)
{
	return prusik_value_lock(box->value, deadline);
}

static inline int wait_array(struct box *box, int64_t deadline)
{
	return prusik_array_begin(box->array, deadline, NULL);
}

static inline int wait_communicate(struct box *box, int64_t deadline)
{
	return prusik_process_communicate(box->program, NULL, 0, deadline, NULL, NULL);
}

static inline int wait_process(struct box *box, int64_t deadline)
{
	return prusik_process_join(box->process, deadline, NULL);
}

static inline int wait_thread(struct box *box, int64_t deadline)
{
	return prusik_thread_join(box->thread, deadline, NULL);
}

static inline int wait_timer(struct box *box, int64_t deadline)
{
	return prusik_timer_join(box->timer, deadline);
}

static inline int wait_pause(struct box *box, int64_t deadline)
{
	(void)box;
	return prusik_signal_pause(deadline);
}

static inline int wait_drain(struct box *box, int64_t deadline)
{
	(void)box;
	return prusik_signal_drain(deadline);
}

static inline int wait_dispatch(struct box *box, int64_t deadline)
{
	(void)box;
	return prusik_signal_dispatch(deadline);
}

static inline int wait_signal(struct box *box, int64_t deadline)
{
	(void)box;
	return prusik_signal_wait(PRUSIK_SIGNAL_BIT(SIGRTMAX), deadline, NULL);
}

/* wait.is */
#define WAIT_PRIVATE 1 /* in a box for THREADS only */
#define WAIT_ALONE 2 /* by one at a time */
#define WAIT_ALWAYS 4 /* with PRUSIK_NOW too: there is nothing that it could find done */
#define WAIT_NOT_CANCELED 8 /* by a function for a signal: it is what would be waited for, or could not be called */
struct wait {
	const char *name;
	int (*wait)(struct box *box, int64_t deadline);
	int is;
};

static const struct wait waits[] = {
	{ "lock", wait_lock, 0 },
	{ "rlock", wait_rlock, 0 },
	{ "read", wait_read, 0 },
	{ "write", wait_write, 0 },
	{ "condition", wait_condition, WAIT_ALWAYS },
	{ "condition, for", wait_condition_for, WAIT_ALWAYS },
	{ "condition, rlock", wait_condition_rlock, WAIT_ALWAYS },
	{ "condition, rlock, for", wait_condition_for_rlock, WAIT_ALWAYS },
	{ "barrier", wait_barrier, WAIT_ALONE | WAIT_ALWAYS },
	{ "event", wait_event, 0 },
	{ "semaphore", wait_semaphore, 0 },
	{ "permits", wait_permits, 0 },
	{ "once", wait_once, 0 },
	{ "get", wait_get, 0 },
	{ "get many", wait_get_many, 0 },
	{ "peek", wait_peek, 0 },
	{ "take", wait_take, 0 },
	{ "take many", wait_take_many, 0 },
	{ "put", wait_put, 0 },
	{ "put with", wait_put_with, 0 },
	{ "put many", wait_put_many, 0 },
	{ "reserve", wait_reserve, 0 },
	{ "queue's join", wait_queue_join, 0 },
	{ "pointer put", wait_pointer_put, WAIT_PRIVATE },
	{ "pointer put many", wait_pointer_put_many, WAIT_PRIVATE },
	{ "pointer get", wait_pointer_get, WAIT_PRIVATE },
	{ "pointer get many", wait_pointer_get_many, WAIT_PRIVATE },
	{ "dict", wait_dict, 0 },
	{ "value", wait_value, 0 },
	{ "value's lock", wait_value_lock, 0 },
	{ "array", wait_array, 0 },
	{ "process", wait_process, WAIT_PRIVATE },
	{ "communicate", wait_communicate, WAIT_PRIVATE | WAIT_ALONE },
	{ "thread", wait_thread, WAIT_PRIVATE },
	{ "timer", wait_timer, WAIT_PRIVATE },
	{ "wait", wait_signal, WAIT_PRIVATE },
	{ "pause", wait_pause, WAIT_PRIVATE | WAIT_NOT_CANCELED },
	{ "drain", wait_drain, WAIT_PRIVATE | WAIT_NOT_CANCELED },
	{ "dispatch", wait_dispatch, WAIT_PRIVATE | WAIT_NOT_CANCELED },
};
#define WAITS ((int)(sizeof waits / sizeof waits[0]))

/* Those among them that can be waited for in a box of that kind, and are not so; how many. */
static inline int choose_waits(enum party_kind kind, int not_so, const struct wait *ret_chosen[WAITS])
{
	int n = 0;

	if (kind == PROCESSES)
		not_so |= WAIT_PRIVATE;
	for (int i = 0; i < WAITS; i++)
		if (!(waits[i].is & not_so))
			ret_chosen[n++] = &waits[i];
	return n;
}

/* ---- the box ---- */

/* Whatever it has is held by this one. */
static inline int hold_all(void *argument)
{
	struct box *box = argument;

	if (prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) < 0 ||
	    prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) < 0 ||
	    prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) < 0 ||
	    prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) < 0 ||
	    prusik_value_lock(box->value, PRUSIK_FOREVER) < 0 ||
	    prusik_array_begin(box->array, PRUSIK_FOREVER, NULL) < 0)
		return 1;
	box->once.word = prk_self()->id;
	prusik_event_set(&box->holds);
	if (prusik_event_wait(&box->over, PRUSIK_FOREVER) < 0)
		return 2;
	box->once.word = 0;
	prusik_array_end(box->array);
	prusik_value_unlock(box->value);
	prusik_permits_release(&box->permits);
	prusik_rwlock_release(&box->rwlock);
	prusik_rlock_release(&box->rlock);
	return prusik_lock_release(&box->lock);
}

static inline int hold_all_as_party(void *box, int index)
{
	(void)index;
	return hold_all(box);
}

static inline int sleep_long(void *unused)
{
	(void)unused;
	pause_ms(60000);
	return 0;
}

static inline void never(void *unused)
{
	(void)unused;
}

static inline struct prusik_queue *new_queue(struct prusik_arena *arena, const char *name)
{
	const struct prusik_queue_options options = { .capacity = 2, .item_max = 16 };
	struct prusik_queue *queue;

	ck_assert_int_eq(prusik_queue_create(arena, arena ? name : NULL, &options, &queue), 0);
	return party_keep(queue);
}

static inline void make_data(struct box *box)
{
	const struct prusik_array_options options = { .kind = PRUSIK_ARRAY_INT64, .length = 4 };
	struct prusik_arena *arena = NULL;

	if (box->kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, UINT64_C(8) << 20, &arena), 0);
	party_keep(arena);
	box->empty = new_queue(arena, "empty");
	box->full = new_queue(arena, "full");
	while (prusik_queue_put(box->full, "x", 1, PRUSIK_NOW) == 0)
		;
	ck_assert_int_eq(prusik_dict_create(arena, arena ? "dict" : NULL, NULL, &box->dict), 0);
	ck_assert_int_eq(prusik_value_create(arena, arena ? "value" : NULL, NULL, &box->value), 0);
	ck_assert_int_eq(prusik_array_create(arena, arena ? "array" : NULL, &options, &box->array), 0);
	ck_assert_int_eq(prusik_permits_init(&box->permits, 1), 0);
}

static inline void make_processes(struct box *box)
{
	static const char *const argv[] = { "sleep", "60", NULL };
	const struct prusik_process_options options = { .daemon = 1 };
	const struct prusik_run_options run_options = { .daemon = 1, .out.kind = PRUSIK_STREAM_PIPE };

	ck_assert_int_eq(prusik_process_start(sleep_long, NULL, &options, &box->process), 0);
	ck_assert_int_eq(prusik_process_run(argv, &run_options, &box->program), 0);
}

/* The threads beside the waiting ones block all signals, and the waiting ones SIGRTMAX. */
static inline void make_private(struct box *box)
{
	uint64_t mask;

	make_processes(box);
	ck_assert_int_eq(prusik_ptrqueue_create(2, &box->no_pointers), 0);
	ck_assert_int_eq(prusik_ptrqueue_create(2, &box->pointers), 0);
	while (prusik_ptrqueue_put(box->pointers, box, PRUSIK_NOW) == 0)
		;
	ck_assert_int_eq(prusik_signal_block(~UINT64_C(0), &mask), 0);
	ck_assert_int_eq(prusik_thread_start(hold_all, box, NULL, &box->thread), 0);
	ck_assert_int_eq(prusik_timer_start(PRUSIK_FOREVER, never, NULL, &box->timer), 0);
	ck_assert_int_eq(prusik_signal_unblock(~mask & ~PRUSIK_SIGNAL_BIT(SIGRTMAX), NULL), 0);
}

/* All in it is held, empty or full: whoever comes must wait. */
static inline struct box *box_to_wait_in(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_quiet();
	box->kind = kind;
	make_data(box);
	if (kind == THREADS)
		make_private(box);
	else
		box->holder = party_start(PROCESSES, hold_all_as_party, box, 0);
	ck_assert_int_eq(prusik_event_wait(&box->holds, prusik_in_s(15)), 0);
	return box;
}

static inline void end_process(struct prusik_process *process)
{
	ck_assert_int_eq(prusik_process_kill(process), 0);
	ck_assert_int_eq(prusik_process_join(process, prusik_in_s(15), NULL), 0);
	prusik_process_free(process);
}

static inline void leave_private(struct box *box)
{
	int result = -1;

	ck_assert_int_eq(prusik_thread_join(box->thread, prusik_in_s(15), &result), 0);
	ck_assert_int_eq(result, 0);
	prusik_thread_free(box->thread);
	ck_assert_int_eq(prusik_timer_cancel(box->timer), 0);
	ck_assert_int_eq(prusik_timer_join(box->timer, prusik_in_s(15)), 0);
	prusik_timer_free(box->timer);
	end_process(box->process);
	end_process(box->program);
	prusik_ptrqueue_free(box->no_pointers);
	prusik_ptrqueue_free(box->pointers);
}

/* All that was held is given back: nobody has got it meanwhile. */
static inline void box_leave(struct box *box)
{
	prusik_cancel_use(NULL);
	ck_assert_int_eq(prusik_event_set(&box->over), 0);
	if (box->kind == THREADS)
		leave_private(box);
	else
		ck_assert_int_eq(party_join(box->holder), 0);
	ck_assert_int_eq(prusik_semaphore_value(&box->semaphore), 0);
	ck_assert_int_eq(prusik_permits_value(&box->permits), 1);
	prusik_dict_free(box->dict);
	prusik_value_free(box->value);
	prusik_array_free(box->array);
}

#endif
