/* SPDX-License-Identifier: MIT */
/*
 * Processes: one start and join, until the parent knows the code. By fork, with 10 MB and with 1 GB of memory in
 * use; by forkserver and by spawn; another program. Children do nothing: prusik's run through all that
 * comes at the end of a child; the bare ones call _exit ("fork") or exit ("fork-exit"). "floor" is the
 * least that a fork server can do: it is asked by one byte, forks, and tells the number of a
 * child whom the one who asked waits for.
 */
#include "bench.h"
#include "team.h"

#include <errno.h>
#include <linux/sched.h>
#include <prusik/process.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef BENCH_GIO
#include <gio/gio.h>
#endif

extern char **environ;

#define SCRIPT BENCH_SCRIPTS "/peer_process.py"
#define PROGRAM "/bin/true"

/* How much memory is in use, in bytes. */
struct process_shape {
	size_t memory;
};

static int do_nothing(void *unused)
{
	(void)unused;
	return 0;
}

/* ---- prusik ---- */

static int join(struct prusik_process *process)
{
	int code = 1, r = prusik_process_join(process, PRUSIK_FOREVER, &code);

	prusik_process_free(process);
	return r < 0 ? r : code;
}

static int start_by(uint32_t method)
{
	struct prusik_process_options options = { .method = method };
	struct prusik_process *process;
	int r = prusik_process_start(do_nothing, NULL, &options, &process);

	return r < 0 ? r : join(process);
}

static int prusik_fork(void)
{
	return start_by(PRUSIK_PROCESS_FORK);
}

static int prusik_forkserver(void)
{
	return start_by(PRUSIK_PROCESS_FORKSERVER);
}

static int prusik_spawn(void)
{
	return start_by(PRUSIK_PROCESS_SPAWN);
}

static int prusik_daemon(void)
{
	struct prusik_process_options options = { .daemon = 1 };
	struct prusik_process *process;
	int r = prusik_process_start(do_nothing, NULL, &options, &process);

	return r < 0 ? r : join(process);
}

static int prusik_run(void)
{
	static const char *const argv[] = { PROGRAM, NULL };
	struct prusik_process *process;
	int r = prusik_process_run(argv, NULL, &process);

	return r < 0 ? r : join(process);
}

/* ---- the system's ---- */

static int wait_for(pid_t pid)
{
	int status;

	return pid < 0 || waitpid(pid, &status, 0) < 0 ? -errno : status;
}

static int bare_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return wait_for(pid);
}

static int fork_and_exit(void)
{
	pid_t pid = fork();

	if (pid == 0)
		exit(0);
	return wait_for(pid);
}

/* ---- the least a fork server can do ---- */

static int floor_socket = -1;

/* A copy of this program at its beginning, so it is small. Children are the program's, as prusik's are. */
__attribute__((noreturn)) static void be_floor(int socket)
{
	char byte;

	while (read(socket, &byte, 1) == 1) {
		struct clone_args args = { .flags = CLONE_PARENT };
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
		if (pid == 0)
			_exit(0);
		if (write(socket, &pid, sizeof pid) != sizeof pid)
			break;
	}
	_exit(0);
}

static void begin_floor(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	if (fork() == 0) {
		close(ends[0]);
		be_floor(ends[1]);
	}
	close(ends[1]);
	floor_socket = ends[0];
}

/* Children by forkserver and spawn begin at main as well. */
void bench_process_begin(void)
{
	prusik_process_register("do_nothing", do_nothing);
	prusik_process_main();
	begin_floor();
}

static int ask_floor(void)
{
	pid_t pid = -1;

	if (write(floor_socket, "", 1) != 1 || read(floor_socket, &pid, sizeof pid) != sizeof pid)
		return -errno;
	return wait_for(pid);
}

static char *const program_argv[] = { (char *)(uintptr_t)PROGRAM, NULL };

static int spawned(void)
{
	pid_t pid;
	int error = posix_spawn(&pid, PROGRAM, NULL, NULL, program_argv, environ);

	return error ? -error : wait_for(pid);
}

static int vforked(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execve(PROGRAM, program_argv, environ);
		_exit(127);
	}
	return wait_for(pid);
}

#ifdef BENCH_GIO
static int gsubprocess(void)
{
	GSubprocess *process = g_subprocess_new(G_SUBPROCESS_FLAGS_NONE, NULL, PROGRAM, NULL);

	if (!process)
		return -EIO;
	int good = g_subprocess_wait(process, NULL, NULL) && g_subprocess_get_successful(process);
	g_object_unref(process);
	return !good;
}
#endif

/* ---- pieces ---- */

typedef int process_once(void);

static int run(struct bench_piece *piece)
{
	process_once *const *once = piece->subject->peer;
	int r = 0;
	int64_t start = team_now();

	for (uint64_t i = 0; r == 0 && i < piece->count; i++)
		r = (*once)();
	piece->ns = team_now() - start;
	piece->value = (double)piece->ns / (double)piece->count / 1000;
	return r > 0 ? BENCH_WRONG : r;
}

/* Written to, so that it is there. */
static int setup(struct bench_piece *piece)
{
	const struct process_shape *shape = piece->workload->shape;

	fflush(NULL);
	piece->state = malloc(shape->memory);
	if (!piece->state)
		return -ENOMEM;
	memset(piece->state, 1, shape->memory);
	return 0;
}

static void teardown(struct bench_piece *piece)
{
	free(piece->state);
	prusik_process_forkserver_stop();
}

/* Python does the whole piece, and tells how long it took without its own start. */
static int run_python(struct bench_piece *piece)
{
	char command[512];
	long long ns = 0;

	snprintf(command, sizeof command, "timeout 20 python3 %s %s %llu", SCRIPT, (const char *)piece->subject->peer,
		 (unsigned long long)piece->count);
	FILE *answer = popen(command, "r");
	int fields = answer ? fscanf(answer, "ok %lld", &ns) : 0;
	if (answer)
		pclose(answer);
	if (fields != 1)
		return BENCH_LEFT_OUT;
	piece->ns = ns;
	piece->value = (double)ns / (double)piece->count / 1000;
	return 0;
}

/* ---- tables ---- */

#define SUBJECT(shown, is_ours, once)                                                                                  \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown,                      \
		.peer = &(process_once *const)                                                                         \
		{                                                                                                      \
			once                                                                                           \
		}                                                                                                      \
	}
#define PYTHON(method)                                                                                                 \
	{                                                                                                              \
		.name = "python", .setup = setup, .run = run_python, .teardown = teardown, .peer = method              \
	}

static const struct bench_subject forks[] = {
	SUBJECT("prusik", 1, prusik_fork),
	SUBJECT("fork", 0, bare_fork),
	SUBJECT("fork-exit", 0, fork_and_exit),
	PYTHON("fork"),
	{ .name = NULL },
};

static const struct bench_subject big_forks[] = {
	SUBJECT("prusik", 1, prusik_fork),
	SUBJECT("fork", 0, bare_fork),
	{ .name = NULL },
};

static const struct bench_subject daemons[] = {
	SUBJECT("prusik", 1, prusik_daemon),
	SUBJECT("fork", 0, bare_fork),
	{ .name = NULL },
};

static const struct bench_subject servers[] = {
	SUBJECT("prusik", 1, prusik_forkserver),
	SUBJECT("floor", 0, ask_floor),
	PYTHON("forkserver"),
	{ .name = NULL },
};

static const struct bench_subject spawns[] = {
	SUBJECT("prusik", 1, prusik_spawn),
	PYTHON("spawn"),
	{ .name = NULL },
};

static const struct bench_subject programs[] = {
	SUBJECT("prusik", 1, prusik_run),
	SUBJECT("posix_spawn", 0, spawned),
	SUBJECT("vfork", 0, vforked),
#ifdef BENCH_GIO
	SUBJECT("gsubprocess", 0, gsubprocess),
#endif
	{ .name = NULL },
};

static const struct process_shape small = { (size_t)10 << 20 }, large = { (size_t)1 << 30 };

#define WORKLOAD(shown, of, memory)                                                                                    \
	{                                                                                                              \
		.name = shown, .unit = "us", .counted = 1, .subjects = of, .shape = memory                             \
	}

const struct bench_workload bench_process[] = {
	WORKLOAD("process-fork-10MB", forks, &small),
	WORKLOAD("process-fork-1GB", big_forks, &large),
	WORKLOAD("process-daemon", daemons, &small),
	WORKLOAD("process-forkserver", servers, &small),
	WORKLOAD("process-spawn", spawns, &small),
	WORKLOAD("process-run", programs, &small),
	{ .name = NULL },
};
