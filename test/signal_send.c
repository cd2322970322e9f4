/* SPDX-License-Identifier: MIT */
#include "signal_kit.h"

#include "base/sys.h"

#include <prusik/cancel.h>
#include <prusik/process.h>
#include <prusik/thread.h>
#include <sys/resource.h>
#include <sys/time.h>

#define MS INT64_C(1000000)

/* The first one it is told of. */
struct kept {
	uint32_t count;
	struct prusik_signal_info info;
};

static void keep(const struct prusik_signal_info *info, void *context)
{
	struct kept *kept = context;

	if (kept->count == 0)
		kept->info = *info;
	prk_add32_acqrel(&kept->count, 1);
}

/* ---- sending ---- */

TEST(bad_targets)
{
	int bad[] = { 0, -1, -22, INT32_MIN };

	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(prusik_signal_kill(bad[i], 0), -EINVAL);
		ck_assert_int_eq(prusik_signal_kill_group(bad[i], 0), -EINVAL);
		ck_assert_int_eq(prusik_signal_queue(bad[i], 0, 0), -EINVAL);
	}
	ck_assert_int_eq(prusik_signal_kill(getpid(), 65), -EINVAL);
	ck_assert_int_eq(prusik_signal_kill(getpid(), -1), -EINVAL);
	ck_assert_int_eq(prusik_signal_kill(getpid(), 32), -EINVAL);
	ck_assert_int_eq(prusik_signal_raise(33), -EINVAL);
	ck_assert_int_eq(prusik_signal_queue(getpid(), 65, 0), -EINVAL);
	ck_assert_int_eq(prusik_signal_kill(INT32_MAX, SIGTERM), -ESRCH);
	ck_assert_int_eq(prusik_signal_kill_group(INT32_MAX, SIGTERM), -ESRCH);
	ck_assert_int_eq(prusik_signal_kill_group(1, SIGTERM), -ESRCH);
	ck_assert_int_eq(prusik_signal_kill(getpid(), 0), 0);
	ck_assert_int_eq(prusik_signal_raise(0), 0);
	ck_assert_int_eq(prusik_signal_kill_thread(NULL, 0), -EINVAL);
}

static int sleep_long(void *unused)
{
	(void)unused;
	setpgid(0, 0);
	pause_ms(15000);
	return 0;
}

static int sleep_in_group(void *group)
{
	setpgid(0, *(int *)group);
	pause_ms(15000);
	return 0;
}

TEST(to_processes_and_groups)
{
	pid_t one = test_fork(sleep_long, NULL);

	setpgid(one, one);
	pid_t two = test_fork(sleep_in_group, &one), other = test_fork(sleep_long, NULL);
	setpgid(two, one);
	ck_assert_int_eq(prusik_signal_kill_group(one, SIGUSR2), 0);
	ck_assert_int_eq(test_join(one), -SIGUSR2);
	ck_assert_int_eq(test_join(two), -SIGUSR2);
	ck_assert_int_eq(prusik_signal_kill(other, 0), 0);
	ck_assert_int_eq(prusik_signal_kill(other, SIGKILL), 0);
	ck_assert_int_eq(test_join(other), -SIGKILL);
	ck_assert_int_eq(prusik_signal_kill(other, 0), -ESRCH);
}

static int await_go(void *go)
{
	while (!prk_load32_acq(go))
		pause_ms(1);
	return 0;
}

TEST(to_a_thread)
{
	struct kept kept = { .count = 0 };
	const struct prusik_signal_info *info = &kept.info;
	struct prusik_thread *thread, *self = prusik_thread_current();
	uint32_t go = 0;

	ck_assert_int_eq(prusik_signal_on(SIGUSR1, keep, &kept), 0);
	ck_assert_int_eq(prusik_thread_start(await_go, &go, NULL, &thread), 0);
	ck_assert_int_eq(prusik_signal_kill_thread(thread, 99), -EINVAL);
	ck_assert_int_eq(prusik_signal_kill_thread(thread, 0), 0);
	ck_assert_int_eq(prusik_signal_kill_thread(thread, SIGUSR1), 0);
	await(&kept.count, 1);
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
	ck_assert_int_eq(info->thread, prusik_thread_native_id(thread));
	ck_assert_int_eq(info->code, SI_TKILL);
	ck_assert_int_eq(info->pid, getpid());
	prk_store32_rel(&go, 1);
	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(15), NULL), 0);
	ck_assert_int_eq(prusik_signal_kill_thread(thread, SIGUSR1), -ESRCH);
	ck_assert_int_eq(prusik_signal_kill_thread(self, 0), 0);
	prusik_thread_free(thread);
	prusik_thread_free(self);
}

static int fill_queue(void *unused)
{
	struct rlimit few = { 3, 3 };
	int r = 0, sent = 0;

	(void)unused;
	PARTY_CHECK(prusik_signal_block(PRUSIK_SIGNAL_BIT(SIGRTMIN), NULL) == 0);
	PARTY_CHECK(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
	while (sent < 10 && (r = prusik_signal_queue(getpid(), SIGRTMIN, 1)) == 0)
		sent++;
	PARTY_CHECK(r == -EAGAIN && sent <= 3);
	return 0;
}

TEST(too_many_pending)
{
	ck_assert_int_eq(test_join(test_fork(fill_queue, NULL)), 0);
}

/* ---- blocking and waiting ---- */

TEST(block_and_unblock)
{
	uint64_t usr1 = PRUSIK_SIGNAL_BIT(SIGUSR1), rt = PRUSIK_SIGNAL_BIT(SIGRTMAX), before = 77;
	uint32_t count = 0;

	ck_assert_uint_eq(prusik_signal_mask(), 0);
	ck_assert_int_eq(prusik_signal_on(SIGUSR1, count_up, &count), 0);
	ck_assert_int_eq(prusik_signal_block(usr1, &before), 0);
	ck_assert_uint_eq(before, 0);
	ck_assert_int_eq(prusik_signal_block(rt, &before), 0);
	ck_assert_uint_eq(before, usr1);
	ck_assert_uint_eq(prusik_signal_mask(), usr1 | rt);
	ck_assert_uint_eq(prusik_signal_pending(), 0);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	ck_assert_uint_eq(prusik_signal_pending(), usr1);
	pause_ms(20);
	ck_assert_uint_eq(prk_load32_acq(&count), 0);
	ck_assert_int_eq(prusik_signal_unblock(usr1, &before), 0);
	ck_assert_uint_eq(before, usr1 | rt);
	await(&count, 1);
	ck_assert_int_eq(prusik_signal_block(~UINT64_C(0), NULL), 0);
	uint64_t never = PRUSIK_SIGNAL_BIT(SIGKILL) | PRUSIK_SIGNAL_BIT(SIGSTOP);
	ck_assert_uint_eq(prusik_signal_mask(), prusik_signal_list() & ~never);
	ck_assert_int_eq(prusik_signal_unblock(~UINT64_C(0), NULL), 0);
	ck_assert_uint_eq(prusik_signal_mask(), 0);
}

TEST(wait_takes_signals)
{
	uint64_t set = PRUSIK_SIGNAL_BIT(SIGUSR1) | PRUSIK_SIGNAL_BIT(SIGRTMIN + 2);
	struct prusik_signal_info info = { .signal = 0 };

	ck_assert_int_eq(prusik_signal_wait(set, PRUSIK_NOW, &info), -EINVAL); /* not blocked */
	ck_assert_int_eq(prusik_signal_block(set, NULL), 0);
	ck_assert_int_eq(prusik_signal_wait(0, PRUSIK_NOW, &info), -EINVAL);
	ck_assert_int_eq(prusik_signal_wait(set | PRUSIK_SIGNAL_BIT(SIGKILL), PRUSIK_NOW, &info), -EINVAL);
	ck_assert_int_eq(prusik_signal_wait(set | PRUSIK_SIGNAL_BIT(32), PRUSIK_NOW, &info), -EINVAL);
	ck_assert_int_eq(prusik_signal_wait(set | PRUSIK_SIGNAL_BIT(SIGUSR2), PRUSIK_NOW, &info), -EINVAL);
	ck_assert_int_eq(prusik_signal_wait(set, PRUSIK_NOW, &info), -ETIMEDOUT);
	ck_assert_int_eq(prusik_signal_wait(set, -5, &info), -ETIMEDOUT);
	int64_t before = prusik_now();
	ck_assert_int_eq(prusik_signal_wait(set, prusik_in_ms(30), &info), -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - before, 30 * MS);
	ck_assert_int_eq(info.signal, 0);
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(prusik_signal_queue(getpid(), SIGRTMIN + 2, i << 32 | 7), 0);
	for (uint64_t i = 0; i < 100; i++) {
		ck_assert_int_eq(prusik_signal_wait(set, PRUSIK_FOREVER, &info), SIGRTMIN + 2);
		ck_assert_uint_eq(info.value, i << 32 | 7);
		ck_assert_int_eq(info.pid, getpid());
		ck_assert_int_eq(info.code, SI_QUEUE);
	}
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	ck_assert_int_eq(prusik_signal_wait(set, PRUSIK_FOREVER, NULL), SIGUSR1);
}

struct waiter {
	struct prusik_cancel stop;
	uint32_t ready;
	int result;
	int64_t ended;
};

static int wait_canceled(void *argument)
{
	struct waiter *waiter = argument;

	prusik_cancel_use(&waiter->stop);
	prk_store32_rel(&waiter->ready, 1);
	waiter->result = prusik_signal_wait(PRUSIK_SIGNAL_BIT(SIGUSR1), PRUSIK_FOREVER, NULL);
	waiter->ended = prusik_now();
	return 0;
}

TEST(wait_heeds_a_token)
{
	struct waiter waiter = { .ready = 0 };
	struct prusik_thread *thread;
	uint64_t set = PRUSIK_SIGNAL_BIT(SIGUSR1);

	ck_assert_int_eq(prusik_signal_block(set, NULL), 0);
	ck_assert_int_eq(prusik_thread_start(wait_canceled, &waiter, NULL, &thread), 0);
	await(&waiter.ready, 1);
	pause_ms(30);
	ck_assert_int_eq(prusik_cancel_set(&waiter.stop), 0);
	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(15), NULL), 0);
	ck_assert_int_eq(waiter.result, -ECANCELED);
	prusik_thread_free(thread);
	prusik_cancel_use(&waiter.stop);
	ck_assert_int_eq(prusik_signal_wait(set, PRUSIK_FOREVER, NULL), -ECANCELED);
	ck_assert_int_eq(prusik_signal_wait(set, PRUSIK_NOW, NULL), -ETIMEDOUT);
	ck_assert_int_eq(prusik_signal_raise(SIGUSR1), 0);
	ck_assert_int_eq(prusik_signal_wait(set, PRUSIK_FOREVER, NULL), SIGUSR1); /* need not wait */
	ck_assert_int_eq(prusik_cancel_clear(&waiter.stop), 0);
	ck_assert_int_eq(prusik_signal_wait(set, prusik_in_ms(30), NULL), -ETIMEDOUT);
	ck_assert_int_eq(prusik_signal_dispatch(prusik_in_ms(10)), -ETIMEDOUT);
	ck_assert_int_eq(prusik_cancel_set(&waiter.stop), 0);
	ck_assert_int_eq(prusik_signal_dispatch(PRUSIK_FOREVER), -ECANCELED);
	ck_assert_int_eq(prusik_signal_pause(PRUSIK_FOREVER), -ECANCELED);
	ck_assert_int_eq(prusik_signal_hand_back(), 0);
	ck_assert_int_eq(prusik_signal_pause(PRUSIK_FOREVER), -ECANCELED);
	prusik_cancel_use(NULL);
}

static void set_word(const struct prusik_signal_info *info, void *context)
{
	prk_store32_rel(context, (uint32_t)info->signal);
}

TEST(pause_ends_with_a_signal)
{
	uint32_t word = 0;

	ck_assert_int_eq(prusik_signal_on(SIGALRM, set_word, &word), 0);
	ck_assert_int_eq(prusik_signal_pause(PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_signal_pause(prusik_in_ms(10)), -ETIMEDOUT);
	for (int i = 0; i < 20; i++) {
		word = 0;
		/* Its function has returned before pause does; a long way off, to begin waiting in time. */
		ck_assert_int_eq(prusik_signal_alarm(50 * MS), 0);
		ck_assert_int_eq(prusik_signal_pause(prusik_in_s(15)), SIGALRM);
		ck_assert_uint_eq(prk_load32_acq(&word), SIGALRM);
		if (i == 10)
			ck_assert_int_eq(prusik_signal_dispatch(PRUSIK_NOW), -ETIMEDOUT);
	}
}

/* ---- the alarm ---- */

TEST(alarm_replaces_and_tells_the_rest)
{
	uint32_t count = 0;

	ck_assert_int_eq(prusik_signal_on(SIGALRM, count_up, &count), 0);
	ck_assert_int_eq(prusik_signal_alarm(-1), -EINVAL);
	ck_assert_int_eq(prusik_signal_alarm(INT64_MIN), -EINVAL);
	ck_assert_int_eq(prusik_signal_alarm(0), 0);
	ck_assert_int_eq(prusik_signal_alarm(100 * PRUSIK_SECOND), 0);
	pause_ms(20);
	int64_t left = prusik_signal_alarm(50 * PRUSIK_SECOND);
	ck_assert_int_le(left, 100 * PRUSIK_SECOND - 19 * MS);
	ck_assert_int_ge(left, 80 * PRUSIK_SECOND);
	left = prusik_signal_alarm(0);
	ck_assert_int_le(left, 50 * PRUSIK_SECOND);
	ck_assert_int_ge(left, 30 * PRUSIK_SECOND);
	ck_assert_int_eq(prusik_signal_alarm(0), 0);
	ck_assert_int_eq(prusik_signal_alarm(PRUSIK_FOREVER), 0);
	left = prusik_signal_alarm(1); /* not 0, which would mean never */
	ck_assert_int_ge(left, 1000000 * PRUSIK_SECOND);
	await(&count, 1);
	ck_assert_int_eq(prusik_signal_alarm(999999999), 0); /* carries into the second */
	left = prusik_signal_alarm(3 * MS);
	ck_assert_int_le(left, PRUSIK_SECOND);
	await(&count, 2);
	ck_assert_int_eq(alarm(0), 0);
	ck_assert_int_eq(prusik_signal_alarm(30 * PRUSIK_SECOND), 0);
	ck_assert_int_ge(alarm(0), 1); /* the same one */
}

/* ---- names ---- */

TEST(names_both_ways)
{
	int count = 0;

	for (int signal = -1; signal <= 70; signal++) {
		const char *name = prusik_signal_name(signal);
		if (!name)
			continue;
		count++;
		ck_assert_int_eq(strncmp(name, "SIG", 3), 0);
		ck_assert_int_eq(prusik_signal_number(name), signal);
		ck_assert_int_eq(prusik_signal_number(name + 3), signal);
		ck_assert(prusik_signal_list() & PRUSIK_SIGNAL_BIT(signal));
	}
	ck_assert_int_eq(count, 62);
	ck_assert_int_eq(__builtin_popcountll(prusik_signal_list()), 62);
	ck_assert_str_eq(prusik_signal_name(SIGTERM), "SIGTERM");
	ck_assert_str_eq(prusik_signal_name(SIGRTMIN), "SIGRTMIN");
	ck_assert_str_eq(prusik_signal_name(SIGRTMIN + 15), "SIGRTMIN+15");
	ck_assert_str_eq(prusik_signal_name(SIGRTMAX - 14), "SIGRTMAX-14");
	ck_assert_str_eq(prusik_signal_name(SIGRTMAX), "SIGRTMAX");
	ck_assert_ptr_null(prusik_signal_name(0));
	ck_assert_ptr_null(prusik_signal_name(32));
	ck_assert_ptr_null(prusik_signal_name(INT32_MIN));
}

TEST(numbers_of_all_kinds_of_names)
{
	const struct {
		const char *name;
		int signal;
	} known[] = {
		{ "term", SIGTERM },
		{ "sigTerm", SIGTERM },
		{ "15", 15 },
		{ "015", 15 },
		{ "IOT", SIGABRT },
		{ "CLD", SIGCHLD },
		{ "poll", SIGIO },
		{ "SIGPOLL", SIGIO },
		{ "rtmin+3", SIGRTMIN + 3 },
		{ "SIGRTMIN+30", SIGRTMAX },
		{ "RTMAX-30", SIGRTMIN },
		{ "SIGRTMAX-1", SIGRTMAX - 1 },
		{ "RTMIN+0", SIGRTMIN },
		{ "64", 64 },
	};
	static const char *const unknown[] = {
		"",	   "SIG",     "SIGSIGTERM", "TERMINATE", "TER",
		"0",	   "-1",      "32",	    "33",	 "65",
		"15x",	   "x15",     "1 ",	    " 1",	 "99999999999999999999",
		"RTMIN+",  "RTMIN-1", "RTMAX+1",    "RTMIN+31",	 "RTMAX-31",
		"RTMIN+x", "RTMIN3",  "RTMIN++3",   "RTMIN+-3",	 "\xff\xff",
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		ck_assert_int_eq(prusik_signal_number(known[i].name), known[i].signal);
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
		ck_assert_msg(prusik_signal_number(unknown[i]) == -EINVAL, "%s", unknown[i]);
	ck_assert_int_eq(prusik_signal_number(NULL), -EINVAL);
}

/* ---- SIGCHLD ---- */

static int return_it(void *code)
{
	return *(int *)code;
}

static void join_some(void)
{
	for (int i = 0; i < 10; i++) {
		struct prusik_process *child;
		int code = 1000;
		ck_assert_int_eq(prusik_process_start(return_it, &i, NULL, &child), 0);
		if (i % 2)
			pause_ms(10); /* it has ended by now, perhaps */
		ck_assert_int_eq(prusik_process_join(child, prusik_in_s(15), &code), 0);
		ck_assert_int_eq(code, i);
		prusik_process_free(child);
	}
}

TEST(ignoring_sigchld_keeps_exit_codes)
{
	ck_assert_int_eq(prusik_signal_ignore(SIGCHLD), 0);
	ck_assert_int_eq(prusik_signal_get(SIGCHLD, NULL, NULL), PRUSIK_SIGNAL_IGNORED);
	join_some();
	ck_assert_int_eq(prusik_signal_default(SIGCHLD), 0);
	ck_assert_int_eq(prusik_signal_get(SIGCHLD, NULL, NULL), PRUSIK_SIGNAL_DEFAULT);
	join_some();
}

TEST(a_function_for_sigchld)
{
	struct kept kept = { .count = 0 };
	const struct prusik_signal_info *info = &kept.info;
	struct prusik_process *child;
	int code = 7;

	ck_assert_int_eq(prusik_signal_on(SIGCHLD, keep, &kept), 0);
	ck_assert_int_eq(prusik_process_start(return_it, &code, NULL, &child), 0);
	ck_assert_int_eq(prusik_process_join(child, prusik_in_s(15), &code), 0);
	ck_assert_int_eq(code, 7);
	await(&kept.count, 1);
	ck_assert_int_eq(prusik_signal_drain(prusik_in_s(15)), 0);
	ck_assert_int_eq(info->signal, SIGCHLD);
	ck_assert_int_eq(info->code, CLD_EXITED);
	ck_assert_int_eq(info->pid, prusik_process_pid(child));
	ck_assert_uint_eq(info->value, 7);
	join_some();
	prusik_process_free(child);
}
