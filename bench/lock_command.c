/* SPDX-License-Identifier: MIT */
/*
 * A command under a lock, as a shell or cron runs it: from the start of the tool to its end. The
 * command is /bin/true, and "floor" is that alone.
 */
#include "bench.h"
#include "team.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define WORDS 6

static const char *const under_prusik[WORDS] = { BENCH_TOOL, "lock", "bench-lock-command", "--", "/bin/true", NULL };
static const char *const under_sem[WORDS] = { BENCH_TOOL, "sem", "bench-sem-command", "--", "/bin/true", NULL };
static const char *const under_flock[WORDS] = { "flock", "/dev/shm/prusik-bench-flock", "/bin/true", NULL };
static const char *const alone[WORDS] = { "/bin/true", NULL };

/* How it ended: 0; or 127 where there is no such tool. */
static int run_once(const char *const *words)
{
	pid_t pid;
	int status, error = posix_spawnp(&pid, words[0], NULL, NULL, (char *const *)(uintptr_t)words, environ);

	if (error)
		return error == ENOENT ? 127 : -error;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int setup(struct bench_piece *piece)
{
	int r = run_once(piece->subject->peer);

	if (r == 127)
		bench_note(piece, "left out: it is not there");
	return r == 127 ? BENCH_LEFT_OUT : r > 0 ? BENCH_WRONG : r;
}

static int run(struct bench_piece *piece)
{
	int64_t start = team_now();
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < piece->count; i++)
		r = run_once(piece->subject->peer);
	piece->ns = team_now() - start;
	piece->value = (double)piece->ns / (double)piece->count / 1e6;
	return r > 0 ? BENCH_WRONG : r;
}

static void teardown(struct bench_piece *piece)
{
	const char *const remove[WORDS] = { BENCH_TOOL, "rm", under_prusik[2], NULL };
	const char *const remove_sem[WORDS] = { BENCH_TOOL, "rm", under_sem[2], NULL };

	if (piece->subject->peer == under_prusik)
		run_once(remove);
	if (piece->subject->peer == under_sem)
		run_once(remove_sem);
	if (piece->subject->peer == under_flock)
		unlink(under_flock[1]);
}

#define SUBJECT(shown, is_ours, words)                                                                                 \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown, .peer = words        \
	}

static const struct bench_subject commands[] = {
	SUBJECT("prusik", 1, under_prusik),
	SUBJECT("prusik-sem", 1, under_sem),
	SUBJECT("flock", 0, under_flock),
	SUBJECT("floor", BENCH_FLOOR, alone),
	{ .name = NULL },
};

const struct bench_workload bench_lock_command[] = {
	{ .name = "lock-command", .unit = "ms", .counted = 1, .subjects = commands },
	{ .name = NULL },
};
