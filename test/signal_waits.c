/* SPDX-License-Identifier: MIT */
/* No wait of the library ends with a signal; a function for a signal may cancel any of them. */
#include "signal_kit.h"

#include <prusik.h>
#include <sys/time.h>

/* ---- waits under signals ---- */

struct box {
	struct prusik_lock lock, other;
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
	struct prusik_ptrqueue *no_pointers, *pointers;
	struct prusik_dict *dict;
	struct prusik_value *value;
	struct prusik_array *array;
	struct prusik_process *process, *program;
	struct prusik_thread *thread;
	struct prusik_timer *timer;
	int occupation; /* how it ended */
};

static int nothing(void *arg, int recovered)
{
	(void)arg;
	(void)recovered;
	return 0;
}

static int wait_lock(struct box *box, int64_t deadline)
{
	return prusik_lock_acquire(&box->lock, deadline);
}

static int wait_rlock(struct box *box, int64_t deadline)
{
	return prusik_rlock_acquire(&box->rlock, deadline);
}

static int wait_read(struct box *box, int64_t deadline)
{
	return prusik_rwlock_read(&box->rwlock, deadline);
}

static int wait_write(struct box *box, int64_t deadline)
{
	return prusik_rwlock_write(&box->rwlock, deadline);
}

static int wait_condition(struct box *box, int64_t deadline)
{
	int r = prusik_lock_acquire(&box->other, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	r = prusik_condition_wait(&box->condition, &box->other, deadline);
	prusik_lock_release(&box->other);
	return r;
}

static int wait_condition_rlock(struct box *box, int64_t deadline)
{
	int r = prusik_rlock_acquire(&box->other_rlock, PRUSIK_FOREVER);

	if (r < 0)
		return r;
	r = prusik_condition_wait_rlock(&box->other_condition, &box->other_rlock, deadline);
	prusik_rlock_release(&box->other_rlock);
	return r;
}

static int wait_barrier(struct box *box, int64_t deadline)
{
	int r = prusik_barrier_init(&box->barrier, 2);

	return r < 0 ? r : (int)prusik_barrier_wait(&box->barrier, NULL, NULL, deadline);
}

static int wait_event(struct box *box, int64_t deadline)
{
	return prusik_event_wait(&box->event, deadline);
}

static int wait_semaphore(struct box *box, int64_t deadline)
{
	return prusik_semaphore_acquire(&box->semaphore, deadline);
}

static int wait_permits(struct box *box, int64_t deadline)
{
	return prusik_permits_acquire(&box->permits, deadline);
}

static int wait_once(struct box *box, int64_t deadline)
{
	return prusik_once(&box->once, nothing, NULL, deadline);
}

static int wait_get(struct box *box, int64_t deadline)
{
	char item[16];

	return (int)prusik_queue_get(box->empty, item, sizeof item, deadline);
}

static int wait_put(struct box *box, int64_t deadline)
{
	return prusik_queue_put(box->full, "x", 1, deadline);
}

static int wait_get_many(struct box *box, int64_t deadline)
{
	char item[16];
	struct iovec items[] = { { item, sizeof item } };

	return (int)prusik_queue_get_many(box->empty, items, 1, deadline);
}

static int wait_peek(struct box *box, int64_t deadline)
{
	char item[16];

	return (int)prusik_queue_peek(box->empty, item, sizeof item, deadline);
}

static int wait_take(struct box *box, int64_t deadline)
{
	struct prusik_lease lease;

	return prusik_queue_take(box->empty, &lease, deadline);
}

static int wait_take_many(struct box *box, int64_t deadline)
{
	struct prusik_lease leases[2];

	return (int)prusik_queue_take_many(box->empty, leases, 2, deadline);
}

static int wait_put_with(struct box *box, int64_t deadline)
{
	return prusik_queue_put_with(box->full, "x", 1, NULL, deadline);
}

static int wait_put_many(struct box *box, int64_t deadline)
{
	char item = 'x';
	const struct iovec items[] = { { &item, 1 }, { &item, 1 } };

	return (int)prusik_queue_put_many(box->full, items, 2, deadline);
}

static int wait_reserve(struct box *box, int64_t deadline)
{
	struct prusik_reservation reservation;

	return prusik_queue_reserve(box->full, 1, &reservation, deadline);
}

static int wait_queue_join(struct box *box, int64_t deadline)
{
	return prusik_queue_join(box->full, deadline);
}

static int wait_pointer_put(struct box *box, int64_t deadline)
{
	return prusik_ptrqueue_put(box->pointers, box, deadline);
}

static int wait_pointer_put_many(struct box *box, int64_t deadline)
{
	void *const boxes[] = { box, box };

	return (int)prusik_ptrqueue_put_many(box->pointers, boxes, 2, deadline);
}

static int wait_pointer_get(struct box *box, int64_t deadline)
{
	void *pointer;

	return prusik_ptrqueue_get(box->no_pointers, &pointer, deadline);
}

static int wait_pointer_get_many(struct box *box, int64_t deadline)
{
	void *pointers[2];

	return (int)prusik_ptrqueue_get_many(box->no_pointers, pointers, 2, deadline);
}

static int wait_dict(struct box *box, int64_t deadline)
{
	return prusik_dict_wait(box->dict, "key", 3, prusik_dict_seen(box->dict, "key", 3), deadline);
}

static int wait_value(struct box *box, int64_t deadline)
{
	const int64_t zero = 0;

	return prusik_value_wait(box->value, &zero, deadline);
}

static int wait_value_lock(struct box *box, int64_t deadline)
{
	return prusik_value_lock(box->value, deadline);
}

static int wait_array(struct box *box, int64_t deadline)
{
	return prusik_array_begin(box->array, deadline, NULL);
}

static int wait_communicate(struct box *box, int64_t deadline)
{
	return prusik_process_communicate(box->program, NULL, 0, deadline, NULL, NULL);
}

static int wait_process(struct box *box, int64_t deadline)
{
	return prusik_process_join(box->process, deadline, NULL);
}

static int wait_thread(struct box *box, int64_t deadline)
{
	return prusik_thread_join(box->thread, deadline, NULL);
}

static int wait_timer(struct box *box, int64_t deadline)
{
	return prusik_timer_join(box->timer, deadline);
}

static int wait_pause(struct box *box, int64_t deadline)
{
	(void)box;
	return prusik_signal_pause(deadline);
}

static int wait_drain(struct box *box, int64_t deadline)
{
	(void)box;
	return prusik_signal_drain(deadline);
}

static int wait_dispatch(struct box *box, int64_t deadline)
{
	(void)box;
	return prusik_signal_dispatch(deadline);
}

static int wait_signal(struct box *box, int64_t deadline)
{
	(void)box;
	return prusik_signal_wait(PRUSIK_SIGNAL_BIT(SIGRTMAX), deadline, NULL);
}

/* What would be waited for is the function that cancels; or nobody but the waiter could call it. */
#define NOT_CANCELED 1
static const struct {
	const char *name;
	int (*wait)(struct box *box, int64_t deadline);
	int is;
} waits[] = {
	{ "lock", wait_lock, 0 },
	{ "rlock", wait_rlock, 0 },
	{ "read", wait_read, 0 },
	{ "write", wait_write, 0 },
	{ "condition", wait_condition, 0 },
	{ "condition, rlock", wait_condition_rlock, 0 },
	{ "barrier", wait_barrier, 0 },
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
	{ "pointer put", wait_pointer_put, 0 },
	{ "pointer put many", wait_pointer_put_many, 0 },
	{ "pointer get", wait_pointer_get, 0 },
	{ "pointer get many", wait_pointer_get_many, 0 },
	{ "dict", wait_dict, 0 },
	{ "value", wait_value, 0 },
	{ "value's lock", wait_value_lock, 0 },
	{ "array", wait_array, 0 },
	{ "process", wait_process, 0 },
	{ "communicate", wait_communicate, 0 },
	{ "thread", wait_thread, 0 },
	{ "timer", wait_timer, 0 },
	{ "wait", wait_signal, 0 },
	{ "pause", wait_pause, NOT_CANCELED },
	{ "drain", wait_drain, NOT_CANCELED },
	{ "dispatch", wait_dispatch, NOT_CANCELED },
};
#define WAITS (sizeof waits / sizeof waits[0])

static int hold_all(void *argument)
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

static int sleep_long(void *unused)
{
	(void)unused;
	pause_ms(60000);
	return 0;
}

static void never(void *unused)
{
	(void)unused;
}

static struct prusik_queue *new_queue(void)
{
	const struct prusik_queue_options options = { .capacity = 2, .item_max = 16 };
	struct prusik_queue *queue;

	ck_assert_int_eq(prusik_queue_create(NULL, NULL, &options, &queue), 0);
	return party_keep(queue);
}

static void make_data(struct box *box)
{
	const struct prusik_array_options options = { .kind = PRUSIK_ARRAY_INT64, .length = 4 };

	box->empty = new_queue();
	box->full = new_queue();
	while (prusik_queue_put(box->full, "x", 1, PRUSIK_NOW) == 0)
		;
	ck_assert_int_eq(prusik_ptrqueue_create(2, &box->no_pointers), 0);
	ck_assert_int_eq(prusik_ptrqueue_create(2, &box->pointers), 0);
	while (prusik_ptrqueue_put(box->pointers, box, PRUSIK_NOW) == 0)
		;
	ck_assert_int_eq(prusik_dict_create(NULL, NULL, NULL, &box->dict), 0);
	ck_assert_int_eq(prusik_value_create(NULL, NULL, NULL, &box->value), 0);
	ck_assert_int_eq(prusik_array_create(NULL, NULL, &options, &box->array), 0);
}

static void make_processes(struct box *box)
{
	static const char *const argv[] = { "sleep", "60", NULL };
	const struct prusik_process_options options = { .daemon = 1 };
	const struct prusik_run_options run_options = { .daemon = 1, .out.kind = PRUSIK_STREAM_PIPE };

	ck_assert_int_eq(prusik_process_start(sleep_long, NULL, &options, &box->process), 0);
	ck_assert_int_eq(prusik_process_run(argv, &run_options, &box->program), 0);
}

/* Whatever it has is held by a thread that blocks all signals: whoever comes must wait. */
static struct box *box_to_wait_in(void)
{
	struct box *box = party_memory(THREADS, sizeof *box);
	uint64_t mask;

	party_quiet();
	make_data(box);
	make_processes(box);
	ck_assert_int_eq(prusik_permits_init(&box->permits, 1), 0);
	ck_assert_int_eq(prusik_signal_block(~UINT64_C(0), &mask), 0);
	ck_assert_int_eq(prusik_thread_start(hold_all, box, NULL, &box->thread), 0);
	ck_assert_int_eq(prusik_timer_start(PRUSIK_FOREVER, never, NULL, &box->timer), 0);
	ck_assert_int_eq(prusik_signal_unblock(~mask & ~PRUSIK_SIGNAL_BIT(SIGRTMAX), NULL), 0);
	ck_assert_int_eq(prusik_event_wait(&box->holds, prusik_in_s(15)), 0);
	return box;
}

static void end_process(struct prusik_process *process)
{
	ck_assert_int_eq(prusik_process_kill(process), 0);
	ck_assert_int_eq(prusik_process_join(process, prusik_in_s(15), NULL), 0);
	prusik_process_free(process);
}

static void leave(struct box *box)
{
	int result = -1;

	prusik_cancel_use(NULL);
	ck_assert_int_eq(prusik_event_set(&box->over), 0);
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
	prusik_dict_free(box->dict);
	prusik_value_free(box->value);
	prusik_array_free(box->array);
}

static uint32_t interruptions;

static void interrupt(int signal)
{
	(void)signal;
	prk_add32_rlx(&interruptions, 1);
}

static void storm(int64_t us)
{
	struct itimerval timer = { .it_interval = { 0, us }, .it_value = { 0, us } };

	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void keep_their_deadlines(struct box *box, struct prusik_cancel *token)
{
	prusik_cancel_use(token);
	for (size_t i = 0; i < WAITS; i++) {
		uint32_t before = prk_load32_rlx(&interruptions);
		int64_t deadline = prusik_in_ms(30);
		int r = waits[i].wait(box, deadline);
		ck_assert_msg(r == -ETIMEDOUT, "%s: %d", waits[i].name, r);
		ck_assert_msg(prusik_now() >= deadline, "%s", waits[i].name);
		ck_assert_msg(prk_load32_rlx(&interruptions) > before || !SIGNALS_ARE_REAL, "%s",
			      waits[i].name);
	}
	prusik_cancel_use(NULL);
}

/* As long as it is at it there is something to drain. */
static void take_long(const struct prusik_signal_info *info, void *argument)
{
	struct box *box = argument;

	(void)info;
	prusik_event_set(&box->at_it);
	box->occupation = prusik_event_wait(&box->over, prusik_in_s(60));
}

static void occupy_the_librarys_thread(struct box *box)
{
	ck_assert_int_eq(prusik_signal_on(SIGUSR2, take_long, box), 0);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR2), 0);
	ck_assert_int_eq(prusik_event_wait(&box->at_it, prusik_in_s(15)), 0);
}

/* A handler without SA_RESTART, every 0.3 ms. */
TEST_WITHIN(no_wait_ends_with_a_signal, 60)
{
	const struct sigaction action = { .sa_handler = interrupt };
	struct prusik_cancel token = { 0 };
	struct box *box = box_to_wait_in();

	sigaction(SIGALRM, &action, NULL);
	occupy_the_librarys_thread(box);
	storm(300);
	keep_their_deadlines(box, NULL);
	keep_their_deadlines(box, &token);
	storm(0);
	leave(box);
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
	ck_assert_int_eq(box->occupation, 0);
}

/* ---- a function cancels ---- */

static struct prusik_cancel stop;

static void cancel(const struct prusik_signal_info *info, void *context)
{
	(void)info;
	prusik_cancel_set(context);
}

TEST(a_function_may_cancel_any_wait)
{
	struct box *box = box_to_wait_in();

	if (!SIGNALS_ARE_REAL)
		return;
	ck_assert_int_eq(prusik_signal_on(SIGALRM, cancel, &stop), 0);
	for (size_t i = 0; i < WAITS; i++) {
		if (waits[i].is & NOT_CANCELED)
			continue;
		prusik_cancel_use(&stop);
		ck_assert_int_eq(prusik_signal_alarm(10000000), 0);
		int r = waits[i].wait(box, prusik_in_s(15));
		ck_assert_msg(r == -ECANCELED, "%s: %d", waits[i].name, r);
		ck_assert_int_eq(prusik_cancel_clear(&stop), 0);
	}
	leave(box);
}
