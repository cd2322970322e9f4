/* SPDX-License-Identifier: MIT */
/* Many signals: none of the realtime ones is lost, and their order is kept. */
#include "signal_kit.h"

#include "base/sys.h"

#include <prusik/lock.h>
#include <prusik/thread.h>
#include <sys/resource.h>

static struct record *record;

static void begin(void)
{
	record = new_record();
}

#define SOME 20000

/* value counts up; the queue of the kernel may be full. */
static int send_some(void *pid)
{
	for (uint64_t i = 0; i < SOME;) {
		int r = prusik_signal_queue(*(int *)pid, SIGRTMIN + 1, i);
		if (r == 0)
			i++;
		else if (r == -EAGAIN)
			pause_ms(1);
		else
			return 1;
	}
	return 0;
}

static void check_order(void)
{
	for (uint32_t i = 0; i < SOME; i++) {
		ck_assert_uint_eq(record->info[i].value, i);
		ck_assert_int_eq(record->info[i].signal, SIGRTMIN + 1);
	}
	ck_assert_uint_eq(record->count, SOME);
}

TEST(realtime_signals_keep_their_order)
{
	int self = getpid();

	if (!SIGNALS_ARE_REAL)
		return;
	begin();
	on(SIGRTMIN + 1, note, record);
	pid_t sender = test_fork(send_some, &self);
	ck_assert_int_eq(test_join(sender), 0);
	await(&record->count, SOME);
	check_order();
}

TEST(realtime_signals_keep_their_order_where_the_program_dispatches)
{
	int self = getpid(), r;

	if (!SIGNALS_ARE_REAL)
		return;
	begin();
	on(SIGRTMIN + 1, note, record);
	pid_t sender = test_fork(send_some, &self);
	while (record->count < SOME) {
		r = prusik_signal_dispatch(prusik_in_s(15));
		ck_assert_int_gt(r, 0);
		ck_assert_int_le(r, 1024);
	}
	check_order();
	ck_assert_int_eq(test_join(sender), 0);
}

/* All that were sent are there, when the program looks late. */
TEST_WITHIN(a_long_list, 60)
{
	uint32_t sent = 66000, seen = 0;
	int r;

	begin();
	ck_assert_int_eq(prusik_signal_dispatch(PRUSIK_NOW), -ETIMEDOUT);
	on(SIGRTMIN, note, record);
	for (uint32_t i = 0; i < sent; i++)
		ck_assert_int_eq(prusik_signal_queue(getpid(), SIGRTMIN, i), 0);
	ck_assert_uint_eq(record->count, 0);
	while ((r = prusik_signal_dispatch(PRUSIK_NOW)) > 0)
		seen += (uint32_t)r;
	ck_assert_uint_eq(seen, sent);
	for (uint32_t i = 0; i < sent; i++)
		ck_assert_uint_eq(record->info[i].value, i);
}

#define STORM 50000 /* each of two senders */

struct storm {
	uint32_t over;
	uint32_t realtime, usual;
	uint32_t wrong;
	unsigned char seen[2][STORM];
	struct prusik_lock lock;
};

static void count_storm(const struct prusik_signal_info *info, void *context)
{
	struct storm *storm = context;

	if (info->signal == SIGUSR1) {
		prk_add32_acqrel(&storm->usual, 1);
		return;
	}
	uint64_t sender = info->value >> 32, turn = info->value & UINT32_MAX;
	if (sender > 1 || turn >= STORM || storm->seen[sender][turn]++)
		storm->wrong++;
	prk_add32_acqrel(&storm->realtime, 1);
}

static int be_busy(void *argument)
{
	struct storm *storm = argument;

	while (!prk_load32_acq(&storm->over)) {
		free(malloc(500));
		if (prusik_lock_acquire(&storm->lock, PRUSIK_FOREVER) < 0 || prusik_lock_release(&storm->lock) < 0)
			return 1;
		usleep(50);
	}
	return 0;
}

/* The other threads block it, so there is one way into the list. */
TEST(realtime_signals_keep_their_order_among_threads)
{
	struct storm *storm = test_shared(sizeof *storm);
	struct prusik_thread *threads[4];
	int self = getpid();

	if (!SIGNALS_ARE_REAL)
		return;
	begin();
	ck_assert_int_eq(prusik_signal_block(PRUSIK_SIGNAL_BIT(SIGRTMIN + 1), NULL), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(prusik_thread_start(be_busy, storm, NULL, &threads[i]), 0);
	on(SIGRTMIN + 1, note, record);
	ck_assert_int_eq(prusik_signal_unblock(PRUSIK_SIGNAL_BIT(SIGRTMIN + 1), NULL), 0);
	ck_assert_int_eq(test_join(test_fork(send_some, &self)), 0);
	await(&record->count, SOME);
	check_order();
	prk_store32_rel(&storm->over, 1);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(prusik_thread_join(threads[i], prusik_in_s(15), NULL), 0);
		prusik_thread_free(threads[i]);
	}
}

static pid_t storm_target;

static int send_storm(void *number)
{
	uint64_t sender = (uint64_t) * (int *)number << 32;
	int r;

	for (uint64_t i = 0; i < STORM;) {
		r = prusik_signal_queue(storm_target, SIGRTMIN, sender | i);
		if (r == -EAGAIN)
			pause_ms(1);
		else if (r < 0)
			return 1;
		else
			i++;
		if (i % 100 == 0 && prusik_signal_kill(storm_target, SIGUSR1) < 0)
			return 2;
	}
	return 0;
}

/*
 * 100,000 realtime signals and 1,000 others, for threads that were there before and others. Not
 * more of the latter, and not more pending at a time: the kernel looks through all that is pending
 * for each that is of another number than the first.
 */
TEST_WITHIN(a_storm, 150)
{
	struct storm *storm = test_shared(sizeof *storm);
	struct prusik_thread *threads[4];
	const struct rlimit some = { 20000, 20000 };
	int numbers[] = { 0, 1 };
	pid_t senders[2];

	if (!SIGNALS_ARE_REAL)
		return;
	storm_target = getpid();
	ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &some), 0);
	for (int i = 0; i < 4; i++) {
		if (i == 2) {
			on(SIGUSR1, count_storm, storm);
			on(SIGRTMIN, count_storm, storm);
		}
		ck_assert_int_eq(prusik_thread_start(be_busy, storm, NULL, &threads[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		senders[i] = test_fork(send_storm, &numbers[i]);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(test_join(senders[i]), 0);
	int64_t deadline = prusik_in_s(100);
	while (prk_load32_acq(&storm->realtime) < 2 * STORM && prusik_now() < deadline)
		pause_ms(1);
	prk_store32_rel(&storm->over, 1);
	for (int i = 0; i < 4; i++) {
		int result = -1;
		ck_assert_int_eq(prusik_thread_join(threads[i], prusik_in_s(15), &result), 0);
		ck_assert_int_eq(result, 0);
		prusik_thread_free(threads[i]);
	}
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
	ck_assert_uint_eq(storm->realtime, 2 * STORM);
	ck_assert_uint_eq(storm->wrong, 0);
	ck_assert_uint_ge(storm->usual, 1);
}

static int dispatch_too(void *argument)
{
	struct storm *storm = argument;

	for (;;) {
		int r = prusik_signal_dispatch(prusik_in_ms(20));
		if (r == -ETIMEDOUT && prk_load32_acq(&storm->over))
			return 0;
		if (r < 0 && r != -ETIMEDOUT)
			return 1;
	}
}

TEST(several_threads_dispatch)
{
	struct storm *storm = test_shared(sizeof *storm);
	struct prusik_thread *threads[3];
	uint32_t count = 0;

	if (!SIGNALS_ARE_REAL)
		return;
	ck_assert_int_eq(prusik_signal_dispatch(PRUSIK_NOW), -ETIMEDOUT);
	on(SIGRTMIN, count_up, &count);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(prusik_thread_start(dispatch_too, storm, NULL, &threads[i]), 0);
	for (uint32_t i = 0; i < 5000; i++)
		ck_assert_int_eq(prusik_signal_queue(getpid(), SIGRTMIN, i), 0);
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
	ck_assert_uint_eq(prk_load32_acq(&count), 5000);
	prk_store32_rel(&storm->over, 1);
	for (int i = 0; i < 3; i++) {
		int result = -1;
		ck_assert_int_eq(prusik_thread_join(threads[i], prusik_in_s(15), &result), 0);
		ck_assert_int_eq(result, 0);
		prusik_thread_free(threads[i]);
	}
}
