/* SPDX-License-Identifier: MIT */
/*
 * Signals to the own process: from the call that sends one to the first line of what
 * handles it; and how many realtime signals are sent and handled in a second, none lost.
 * Beside what can be had below it: an asynchronous handler (sigaction), and a thread that
 * reads a signalfd or calls sigwaitinfo. Each piece runs in a process of its own.
 */
#include "bench.h"
#include "team.h"

#include <errno.h>
#include <inttypes.h>
#include <prusik/signal.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT BENCH_SCRIPTS "/peer_signal.py"

enum task { LATENCY, RATE };

struct signal_board {
	uint64_t count;
	enum task task;
	int (*begin)(void);
	_Atomic int64_t entered; /* when; 0: not yet */
	_Atomic uint64_t handled;
	int64_t ns;
};

static struct signal_board *board; /* of the child */
static int number; /* the signal */

/* ---- what handles them ---- */

static void enter(void)
{
	if (board->task == LATENCY)
		atomic_store(&board->entered, team_now());
	atomic_fetch_add_explicit(&board->handled, 1, memory_order_relaxed);
}

static void on_prusik(const struct prusik_signal_info *info, void *context)
{
	(void)info;
	(void)context;
	enter();
}

static int begin_prusik(void)
{
	return prusik_signal_on(number, on_prusik, NULL);
}

static void *dispatch(void *unused)
{
	while (prusik_signal_dispatch(PRUSIK_FOREVER) > 0)
		;
	return unused;
}

static int begin_thread(void *(*function)(void *))
{
	pthread_t thread;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&thread, NULL, function, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static int begin_dispatch(void)
{
	int r = prusik_signal_dispatch(PRUSIK_NOW);

	if (r == -ETIMEDOUT)
		r = prusik_signal_on(number, on_prusik, NULL);
	return r < 0 ? r : begin_thread(dispatch);
}

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	enter();
}

static int begin_sigaction(void)
{
	struct sigaction action = { .sa_sigaction = handler };

	action.sa_flags = SA_SIGINFO | SA_RESTART;
	return sigaction(number, &action, NULL) < 0 ? -errno : 0;
}

static void block(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, number);
	pthread_sigmask(SIG_BLOCK, set, NULL);
}

static void *read_signalfd(void *unused)
{
	struct signalfd_siginfo infos[64];
	sigset_t set;
	ssize_t n;

	block(&set);
	int fd = signalfd(-1, &set, 0);
	while ((n = read(fd, infos, sizeof infos)) > 0)
		for (ssize_t i = 0; i < n / (ssize_t)sizeof infos[0]; i++)
			enter();
	return unused;
}

static int begin_signalfd(void)
{
	sigset_t set;

	block(&set);
	return begin_thread(read_signalfd);
}

static void *wait_info(void *unused)
{
	siginfo_t info;
	sigset_t set;

	block(&set);
	while (sigwaitinfo(&set, &info) > 0)
		enter();
	return unused;
}

static int begin_sigwaitinfo(void)
{
	sigset_t set;

	block(&set);
	return begin_thread(wait_info);
}

/* ---- the two tasks ---- */

static void measure_latency(void)
{
	int64_t sum = 0;

	for (uint64_t i = 0; i < board->count; i++) {
		atomic_store(&board->entered, 0);
		int64_t sent = team_now();
		kill(getpid(), number);
		while (atomic_load(&board->entered) == 0)
			sched_yield();
		sum += atomic_load(&board->entered) - sent;
	}
	board->ns = sum;
}

static int measure_rate(void)
{
	int64_t start = team_now();

	for (uint64_t i = 0; i < board->count;) {
		if (sigqueue(getpid(), number, (union sigval){ .sival_int = 1 }) == 0)
			i++;
		else if (errno == EAGAIN)
			sched_yield();
		else
			return -errno;
	}
	while (atomic_load(&board->handled) < board->count)
		sched_yield();
	board->ns = team_now() - start;
	return 0;
}

static int member(void *arg, uint32_t index)
{
	(void)index;
	board = arg;
	number = board->task == LATENCY ? SIGUSR1 : SIGRTMIN;
	int r = board->begin();
	if (r < 0)
		return -r;
	usleep(1000); /* until the thread is there */
	if (board->task == LATENCY)
		measure_latency();
	else
		r = measure_rate();
	if (r < 0)
		return -r;
	return atomic_load(&board->handled) == board->count ? 0 : EPROTO;
}

/* ---- python: peer_signal.py does all of it, and prints "ok NANOSECONDS" ---- */

static int run_python(struct signal_board *mine)
{
	char command[4400], word[16] = "";
	int fields = 0;

	snprintf(command, sizeof command, "python3 '%s' %s %" PRIu64, SCRIPT,
		 mine->task == LATENCY ? "latency" : "rate", mine->count);
	FILE *stream = popen(command, "r");
	if (!stream)
		return -errno;
	fields = fscanf(stream, "%15s %" SCNd64, word, &mine->ns);
	int status = pclose(stream);
	if (fields == 2)
		return 0;
	return WEXITSTATUS(status) == 127 ? BENCH_LEFT_OUT : BENCH_WRONG;
}

/* ---- subjects ---- */

struct signal_peer {
	int (*begin)(void); /* NULL: python */
};

static int run(struct bench_piece *piece)
{
	const struct signal_peer *peer = piece->subject->peer;
	struct signal_board *mine = piece->state;
	const enum task *task = piece->workload->shape;

	memset(mine, 0, sizeof *mine);
	mine->count = piece->count;
	mine->task = *task;
	mine->begin = peer->begin;
	int r = peer->begin ? team_run(1, member, NULL, mine) : run_python(mine);
	if (r != 0)
		return r;
	piece->ns = mine->ns > 0 ? mine->ns : 1;
	piece->value = *task == LATENCY ? (double)piece->ns / (double)piece->count :
					  (double)piece->count * 1e9 / (double)piece->ns;
	return 0;
}

static int setup(struct bench_piece *piece)
{
	piece->state = team_memory(sizeof(struct signal_board));
	return piece->state ? 0 : -ENOMEM;
}

static void teardown(struct bench_piece *piece)
{
	team_memory_free(piece->state, sizeof(struct signal_board));
}

#define SUBJECT(shown, is_ours, function)                                                                              \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown,                      \
		.peer = &(const struct signal_peer)                                                                    \
		{                                                                                                      \
			function                                                                                       \
		}                                                                                                      \
	}

static const struct bench_subject subjects[] = {
	SUBJECT("prusik", 1, begin_prusik),
	SUBJECT("prusik-dispatch", 1, begin_dispatch),
	SUBJECT("sigaction", 0, begin_sigaction),
	SUBJECT("signalfd", 0, begin_signalfd),
	SUBJECT("sigwaitinfo", 0, begin_sigwaitinfo),
	SUBJECT("python", 0, NULL),
	{ .name = NULL },
};

const struct bench_workload bench_signal[] = {
	{ .name = "signal-latency",
	  .unit = "ns",
	  .counted = 1,
	  .subjects = subjects,
	  .shape = &(const enum task){ LATENCY } },
	{ .name = "signal-rate",
	  .unit = "signals/s",
	  .higher_is_better = 1,
	  .counted = 1,
	  .subjects = subjects,
	  .shape = &(const enum task){ RATE } },
	{ .name = NULL },
};
