/* SPDX-License-Identifier: MIT */
/*
 * Starts that fail, by all methods and of programs: an error in the parent, and nothing is half started
 * (no child, no zombie, no descriptor, no slot of the life table), nor lost: the next start succeeds.
 */
#include "process_kit.h"

#include "base/life.h"
#include "base/sys.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define CODE 9
#define RUN 3u /* a method more: prusik_process_run */
#define NOBODY 65534

static const struct way {
	const char *name;
	uint32_t method, daemon;
} ways[] = {
	{ "fork", PRUSIK_PROCESS_FORK, 0 },
	{ "fork, daemon", PRUSIK_PROCESS_FORK, 1 },
	{ "forkserver", PRUSIK_PROCESS_FORKSERVER, 0 },
	{ "forkserver, daemon", PRUSIK_PROCESS_FORKSERVER, 1 },
	{ "spawn", PRUSIK_PROCESS_SPAWN, 0 },
	{ "spawn, daemon", PRUSIK_PROCESS_SPAWN, 1 },
	{ "run", RUN, 0 },
	{ "run, daemon", RUN, 1 },
};

#define FOR_EACH_WAY(w) for (const struct way *w = ways; w < ways + sizeof ways / sizeof ways[0]; w++)

static int return_code(void *unused)
{
	(void)unused;
	return CODE;
}

void test_begin(void)
{
	prusik_process_register("return_code", return_code);
	prusik_process_main();
}

static int start_by(const struct way *way, const int *descriptors, uint32_t count, struct prusik_process **ret)
{
	static const char *const argv[] = { "/bin/sh", "-c", "exit 9", NULL };
	const struct prusik_process_options options = {
		.method = way->method, .daemon = way->daemon, .descriptors = descriptors, .descriptor_count = count
	};
	const struct prusik_run_options run = { .daemon = way->daemon,
						.in = { .kind = PRUSIK_STREAM_MEMORY, .data = "x", .length = 1 },
						.out.kind = PRUSIK_STREAM_PIPE,
						.descriptors = descriptors,
						.descriptor_count = count };

	return way->method == RUN ? prusik_process_run(argv, &run, ret) :
				    prusik_process_start(return_code, NULL, &options, ret);
}

/* ---- what there is ---- */

struct count {
	int files, slots;
};

static struct count count(void)
{
	struct count now = { .files = open_files() };

	for (uint32_t i = 1; prk_life && i < prk_life->top; i++)
		now.slots += prk_life->slot[i].tag & PRK_TAG_LIVE;
	return now;
}

/* But for the helpers, which stay for the next start. */
static int has_children(void)
{
	prusik_process_forkserver_stop();
	return waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD || prusik_process_active_children(NULL, 0) != 0;
}

/* ---- one start that fails ---- */

/* A child of the test's, which everything that has to do with a start is new to. */
struct trial {
	const struct way *way;
	int warm; /* a start has succeeded before */
	uint32_t nth;
	void (*hinder)(uint32_t nth); /* 0: no more */
	int expected[2];
};

#define TRIAL_CHECK(condition)                                                                                         \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			return __LINE__ % 200 + 50;                                                                    \
	} while (0)
#define STARTED 0
#define REFUSED 1

static int start_and_join(const struct way *way)
{
	struct prusik_process *process;
	int code = 0;

	TRIAL_CHECK(start_by(way, NULL, 0, &process) == 0);
	TRIAL_CHECK(prusik_process_join(process, prusik_in_s(30), &code) == 0 && code == CODE);
	prusik_process_free(process);
	return 0;
}

static int hindered_start(const struct trial *trial)
{
	struct prusik_process *process = NULL;
	int code = 0;

	trial->hinder(trial->nth);
	int r = start_by(trial->way, NULL, 0, &process);
	trial->hinder(0);
	TRIAL_CHECK(r == 0 || r == trial->expected[0] || r == trial->expected[1]);
	TRIAL_CHECK((r == 0) == (process != NULL));
	if (r < 0)
		return REFUSED;
	TRIAL_CHECK(prusik_process_join(process, prusik_in_s(30), &code) == 0);
	/* Where there are too few descriptors it may be the child who finds too few. */
	TRIAL_CHECK(code == CODE || (code == 127 && trial->expected[0] == -EMFILE));
	prusik_process_free(process);
	return STARTED;
}

/* What it keeps is what one that succeeds keeps: its own pidfd, and a guard. */
static int try(void *argument)
{
	const struct trial *trial = argument;
	const struct count before = count();

	if (trial->warm)
		TRIAL_CHECK(start_and_join(trial->way) == 0);
	int r = hindered_start(trial);
	if (r != STARTED && r != REFUSED)
		return r;
	TRIAL_CHECK(!has_children());
	TRIAL_CHECK(start_and_join(trial->way) == 0);
	TRIAL_CHECK(!has_children());
	const struct count after = count();
	TRIAL_CHECK(after.files == before.files + 1 + (trial->way->daemon ? 2 : 0));
	TRIAL_CHECK(after.slots == before.slots);
	return r;
}

static int try_joined(void *trial)
{
	TRIAL_CHECK(prk_joined() == 0);
	return try(trial);
}

/* Its guard, if it had one, has ended with it, and not stayed behind. */
static void assert_nobody_left(void)
{
	int64_t deadline = prusik_in_s(30);

	while (waitpid(-1, NULL, WNOHANG | __WALL) >= 0) {
		ck_assert_int_lt(prusik_now(), deadline);
		usleep(200);
	}
}

static int run_trial(struct trial *trial)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	int r = test_join(test_fork(try_joined, trial));
	assert_nobody_left();

	ck_assert_msg(r == STARTED || r == REFUSED, "%s, %s, %u: %d", trial->way->name, trial->warm ? "warm" : "cold",
		      trial->nth, r);
	return r;
}

/* From the first on, until three in a row do not matter any more. */
static void try_each(struct trial trial, uint32_t refusals_min)
{
	FOR_EACH_WAY(way)
	for (trial.warm = 0; trial.warm < 2; trial.warm++) {
		uint32_t refusals = 0, successes = 0;
		trial.way = way;
		for (trial.nth = 1; successes < 3; trial.nth++) {
			int refused = run_trial(&trial) == REFUSED;
			refusals += (uint32_t)refused;
			successes = refused ? 0 : successes + 1;
		}
		ck_assert_msg(refusals >= refusals_min, "%s: %u", way->name, refusals);
	}
}

/* ---- causes ---- */

static void fail_a_call(uint32_t nth)
{
	prk_sys_fail(PRK_SYS_ANY, nth, ENOMEM);
}

TEST_WITHIN(out_of_memory, 150)
{
	try_each((struct trial){ .hinder = fail_a_call, .expected = { -ENOMEM, -EAGAIN } }, 2);
}

static void set_soft_limit(__rlimit_resource_t resource, rlim_t to)
{
	struct rlimit limit;

	getrlimit(resource, &limit);
	limit.rlim_cur = to < limit.rlim_max ? to : limit.rlim_max;
	setrlimit(resource, &limit);
}

/* So many descriptors less one are to be had. */
static void limit_files(uint32_t nth)
{
	int lowest = dup(0);

	close(lowest);
	set_soft_limit(RLIMIT_NOFILE, nth ? (rlim_t)lowest + nth - 1 : 1000);
}

TEST_WITHIN(out_of_descriptors, 150)
{
	try_each((struct trial){ .hinder = limit_files, .expected = { -EMFILE, -EAGAIN } }, 1);
}

static void limit_processes(uint32_t nth)
{
	set_soft_limit(RLIMIT_NPROC, nth ? 0 : RLIM_INFINITY);
}

/* Root is not limited. */
static int try_as_nobody(void *trial)
{
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 77;
	return try(trial);
}

TEST_WITHIN(too_many_processes, 60)
{
	struct trial trial = { .nth = 1, .hinder = limit_processes, .expected = { -EAGAIN, -EAGAIN } };

	FOR_EACH_WAY(way)
	for (trial.warm = 0; trial.warm < 2; trial.warm++) {
		trial.way = way;
		int r = test_join(test_fork(try_as_nobody, &trial));
		if (r == 77)
			return;
		/* There may be a copy of the forkserver that was made before. */
		int had_spare = trial.warm && way->method == PRUSIK_PROCESS_FORKSERVER;
		ck_assert_msg(r == REFUSED || (r == STARTED && had_spare), "%s, %d: %d", way->name, trial.warm, r);
	}
}

TEST(bad_descriptors)
{
	const int closed = 987, negative = -1;
	struct prusik_process *process = NULL;
	int many[201];

	for (int i = 0; i < 201; i++)
		many[i] = 0;
	struct count before = count();
	FOR_EACH_WAY(way)
	{
		ck_assert_int_eq(start_by(way, &closed, 1, &process), -EBADF);
		ck_assert_int_eq(start_by(way, &negative, 1, &process), -EBADF);
		ck_assert_int_eq(start_by(way, NULL, 1, &process), -EINVAL);
		if (way->method != RUN)
			ck_assert_int_eq(start_by(way, many, 201, &process), -EINVAL);
		ck_assert_ptr_null(process);
		ck_assert(!has_children());
	}
	struct count after = count();
	ck_assert_int_le(after.files, before.files + 3); /* as above */
}

/* ---- by fork, from the first call on ---- */

static int mark(void *marks)
{
	++*(int *)marks;
	return 0;
}

static int try_start(enum prk_sys call, uint32_t nth, int *marks)
{
	struct prusik_process *process = NULL;

	prk_sys_fail(call, nth, EMFILE);
	int r = prusik_process_start(mark, marks, NULL, &process);
	prk_sys_fail(call, 0, 0);
	if (r == 0) {
		while (prusik_process_is_alive(process) != 0)
			;
		prusik_process_free(process);
	} else {
		ck_assert(r == -EMFILE || r == -ENOMEM);
		ck_assert_ptr_null(process);
		assert_childless();
	}
	return r;
}

TEST(a_start_that_fails_starts_nothing)
{
	int *marks = test_shared(sizeof *marks);
	uint32_t nth = 1;

	finish(start_with(return_code, NULL, NULL)); /* keeps descriptors of its own from then on */
	int before = open_files();

	while (try_start(PRK_SYS_ANY, nth, marks) < 0) {
		ck_assert_int_eq(*marks, 0);
		ck_assert_int_eq(open_files(), before);
		nth++;
	}
	ck_assert_uint_ge(nth, 3); /* fork, child's pidfd */
	ck_assert_int_eq(*marks, 1);
	ck_assert_int_eq(open_files(), before);
	ck_assert_int_eq(try_start(PRK_SYS_PIDFD_OPEN, 1, marks), -EMFILE);
	ck_assert_int_eq(*marks, 1);
}

static int first_start(void *argument)
{
	uint32_t *arguments = argument;

	return try_start(PRK_SYS_ANY, arguments[0], (int *)&arguments[1]) < 0 ? 1 : 0;
}

/* The same in a process that has started nothing yet. */
TEST(a_first_start_that_fails_starts_nothing)
{
	uint32_t *arguments = test_shared(2 * sizeof *arguments);

	for (arguments[0] = 1; test_join(test_fork(first_start, arguments)) == 1; arguments[0]++)
		ck_assert_uint_eq(arguments[1], 0);
	ck_assert_uint_ge(arguments[0], 7); /* page, its advice, own pidfd, key, memory, gate, fork, pidfd */
	ck_assert_uint_eq(arguments[1], 1);
}

TEST(many_children_and_few_descriptors)
{
	finish(start_with(return_code, NULL, NULL));
	struct rlimit limit;
	struct prusik_process *held[64];
	int n = 0, r = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)open_files() + 10;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (n < 64 && (r = prusik_process_start(return_code, NULL, NULL, &held[n])) == 0)
		n++;
	ck_assert_int_eq(r, -EMFILE);
	ck_assert_int_ge(n, 5);
	while (n > 0)
		ck_assert_int_eq(finish(held[--n]), CODE);
	assert_childless();
}
