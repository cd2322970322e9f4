/* SPDX-License-Identifier: MIT */
/*
 * What the headers say of signals: no wait of the library ends with one; what may be
 * called in an asynchronous handler can be; a function for a signal may cancel any wait.
 */
#include "signal_kit.h"

#include "base/sys.h"

#include <prusik.h>
#include <sys/time.h>

/* ---- waits under signals ---- */

struct box {
	struct prusik_lock lock, other;
	struct prusik_rlock rlock;
	struct prusik_rwlock rwlock;
	struct prusik_condition condition;
	struct prusik_event event, holds, over;
	struct prusik_semaphore semaphore;
	struct prusik_permits permits;
	uint32_t holders[1];
	struct prusik_once once;
	struct prusik_barrier barrier;
	uint32_t parties[8];
	struct prusik_queue *empty, *full;
	struct prusik_process *process;
	struct prusik_thread *thread;
	struct prusik_timer *timer;
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

static const struct {
	const char *name;
	int (*wait)(struct box *box, int64_t deadline);
	int heeds_no_token;
} waits[] = {
	{ "lock", wait_lock, 0 },
	{ "rlock", wait_rlock, 0 },
	{ "read", wait_read, 0 },
	{ "write", wait_write, 0 },
	{ "condition", wait_condition, 0 },
	{ "barrier", wait_barrier, 0 },
	{ "event", wait_event, 0 },
	{ "semaphore", wait_semaphore, 0 },
	{ "permits", wait_permits, 0 },
	{ "once", wait_once, 0 },
	{ "get", wait_get, 0 },
	{ "put", wait_put, 0 },
	{ "process", wait_process, 1 },
	{ "thread", wait_thread, 0 },
	{ "timer", wait_timer, 0 },
	{ "wait", wait_signal, 0 },
	{ "dispatch", wait_dispatch, 0 },
};
#define WAITS (sizeof waits / sizeof waits[0])

static int hold_all(void *argument)
{
	struct box *box = argument;

	if (prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) < 0 ||
	    prusik_rlock_acquire(&box->rlock, PRUSIK_FOREVER) < 0 ||
	    prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) < 0 ||
	    prusik_permits_acquire(&box->permits, PRUSIK_FOREVER) < 0)
		return 1;
	box->once.word = prk_self()->id;
	prusik_event_set(&box->holds);
	if (prusik_event_wait(&box->over, PRUSIK_FOREVER) < 0)
		return 2;
	box->once.word = 0;
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

/* Whatever it has is held by a thread that blocks all signals: whoever comes must wait. */
static struct box *box_to_wait_in(void)
{
	struct box *box = party_memory(THREADS, sizeof *box);
	uint64_t mask;

	party_quiet();
	box->empty = new_queue();
	box->full = new_queue();
	while (prusik_queue_put(box->full, "x", 1, PRUSIK_NOW) == 0)
		;
	ck_assert_int_eq(prusik_permits_init(&box->permits, 1), 0);
	ck_assert_int_eq(
		prusik_process_start(sleep_long, NULL,
				     &(struct prusik_process_options){ .daemon = 1 },
				     &box->process),
		0);
	ck_assert_int_eq(prusik_signal_block(~UINT64_C(0), &mask), 0);
	ck_assert_int_eq(prusik_thread_start(hold_all, box, NULL, &box->thread), 0);
	ck_assert_int_eq(prusik_timer_start(PRUSIK_FOREVER, never, NULL, &box->timer), 0);
	ck_assert_int_eq(prusik_signal_unblock(~mask & ~PRUSIK_SIGNAL_BIT(SIGRTMAX), NULL), 0);
	ck_assert_int_eq(prusik_event_wait(&box->holds, prusik_in_s(15)), 0);
	return box;
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
	ck_assert_int_eq(prusik_process_kill(box->process), 0);
	ck_assert_int_eq(prusik_process_join(box->process, prusik_in_s(15), NULL), 0);
	prusik_process_free(box->process);
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

static void keep_their_deadlines(struct prusik_cancel *token)
{
	struct box *box = box_to_wait_in();

	prusik_cancel_use(token);
	storm(300);
	for (size_t i = 0; i < WAITS; i++) {
		uint32_t before = prk_load32_rlx(&interruptions);
		int64_t deadline = prusik_in_ms(30);
		int r = waits[i].wait(box, deadline);
		ck_assert_msg(r == -ETIMEDOUT, "%s: %d", waits[i].name, r);
		ck_assert_msg(prusik_now() >= deadline, "%s", waits[i].name);
		ck_assert_msg(prk_load32_rlx(&interruptions) > before || !SIGNALS_ARE_REAL, "%s",
			      waits[i].name);
	}
	storm(0);
	leave(box);
}

/* A handler without SA_RESTART, every 0.3 ms. */
TEST(no_wait_ends_with_a_signal)
{
	const struct sigaction action = { .sa_handler = interrupt };
	struct prusik_cancel token = { 0 };

	sigaction(SIGALRM, &action, NULL);
	keep_their_deadlines(NULL);
	keep_their_deadlines(&token);
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
	for (size_t i = 0; i < WAITS - 1; i++) { /* not dispatch, which would have to call it */
		if (waits[i].heeds_no_token)
			continue;
		prusik_cancel_use(&stop);
		ck_assert_int_eq(prusik_signal_alarm(10000000), 0);
		int r = waits[i].wait(box, prusik_in_s(15));
		ck_assert_msg(r == -ECANCELED, "%s: %d", waits[i].name, r);
		ck_assert_int_eq(prusik_cancel_clear(&stop), 0);
	}
	leave(box);
}

/* ---- in asynchronous handlers ---- */

static struct {
	struct prusik_event event;
	struct prusik_semaphore semaphore;
	struct prusik_cancel cancel;
	uint32_t released, wrong, finished;
} * shared;

static void do_all_that_is_safe(int signal)
{
	static struct prusik_once once;
	int wrong = 0;

	(void)signal;
	wrong |= prusik_event_set(&shared->event) != 0;
	wrong |= prusik_semaphore_release(&shared->semaphore, 1) != 0;
	prk_add32_acqrel(&shared->released, 1);
	wrong |= prusik_event_is_set(&shared->event) < 0;
	wrong |= prusik_semaphore_value(&shared->semaphore) < 0;
	wrong |= prusik_cancel_set(&shared->cancel) != 0 ||
		 prusik_cancel_clear(&shared->cancel) != 0;
	wrong |= prusik_cancel_is_set(&shared->cancel) < 0;
	wrong |= prusik_once_done(&once) != 0;
	wrong |= prusik_in_s(60) <= prusik_now();
	wrong |= prusik_signal_number(prusik_signal_name(SIGTERM)) != SIGTERM;
	wrong |= prusik_signal_kill(getpid(), 0) != 0;
	if (wrong)
		prk_add32_acqrel(&shared->wrong, 1);
}

#define SOME 3000
#define WAITERS 4

static int acquire_some(void *unused, int index)
{
	(void)unused;
	for (int i = 0; i < SOME; i++) {
		PARTY_CHECK(prusik_semaphore_acquire(&shared->semaphore, prusik_in_s(15)) == 0);
		if (index % 2 == 0)
			PARTY_CHECK(prusik_event_wait(&shared->event, prusik_in_s(15)) == 0);
		if (i % 8 == 0)
			PARTY_CHECK(prusik_event_clear(&shared->event) == 0);
	}
	prk_add32_acqrel(&shared->finished, 1);
	return 0;
}

static void disturb(enum party_kind kind, struct party **waiters, int turn)
{
	pid_t whom = kind == PROCESSES && turn % 2 ? waiters[turn / 2 % WAITERS]->pid : getpid();

	ck_assert_int_eq(kill(whom, SIGUSR1), 0);
	ck_assert_int_eq(prusik_event_set(&shared->event), 0);
	if (turn % 4)
		return;
	ck_assert_int_eq(prusik_semaphore_release(&shared->semaphore, 1), 0);
	prk_add32_acqrel(&shared->released, 1);
}

/* The handler interrupts those very calls, in those who wait and in one who makes them all the time. */
static void safe_in_handlers(enum party_kind kind)
{
	const struct sigaction action = { .sa_handler = do_all_that_is_safe,
					  .sa_flags = SA_RESTART };
	struct party *waiters[WAITERS];

	party_quiet();
	shared = test_shared(sizeof *shared);
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < WAITERS; i++)
		waiters[i] = party_start(kind, acquire_some, NULL, i);
	for (int turn = 0; prk_load32_acq(&shared->finished) < WAITERS; turn++)
		disturb(kind, waiters, turn);
	for (int i = 0; i < WAITERS; i++)
		ck_assert_int_eq(party_join(waiters[i]), 0);
	ck_assert_uint_eq(prk_load32_acq(&shared->wrong), 0);
	ck_assert_int_eq(prusik_semaphore_value(&shared->semaphore),
			 (int64_t)shared->released - WAITERS * SOME);
}
BOTH(safe_in_handlers)
