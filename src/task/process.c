/* SPDX-License-Identifier: MIT */
/*
 * process - fork, a pidfd, and one answer for all who ask
 *
 * Starting. The child must not run a single line of the caller's before its pidfd
 * is there, else a start that fails (-EMFILE) has had effects. So it waits at a
 * gate, a word in a page that the two share, until the parent says GO or AWAY. A
 * parent that is killed meanwhile says nothing, which the child sees. (A pipe would
 * do, if no other thread of the parent could fork at that moment and keep its
 * writing end open.)
 *
 * Dying with the parent. The kernel's PR_SET_PDEATHSIG is sent when the *thread*
 * that forked ends. A program's first thread ends with the program, as a rule, so
 * for its children that is right. A child of another thread has a small thread of
 * its own instead, which sleeps until the parent has ended and then kills the
 * child. Either way the parent's life is read from a pidfd that it opened of itself
 * before the fork: that never means another process, needs no common PID namespace
 * (as getppid would), and is looked at once more after the watch is set, so that
 * no death is missed in between.
 */
#include <prusik/process.h>

#include "base/life.h"
#include "base/sys.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* How often a child at the gate looks whether it still has its parent. */
#define GATE_SLICE INT64_C(10000000)
/* How often to ask again for a child that has ended but whose code is held back (by a tracer). */
#define HELD_BACK_SLICE INT64_C(1000000)
/* Page size: what a gate takes. */
#define GATE_BYTES 4096

enum gate_word {
	GATE_CLOSED,
	GATE_GO,
	GATE_AWAY,
};

enum process_state {
	PROCESS_RUNNING,
	PROCESS_ENDED,
};

/*
 * struct prusik_process - a handle, in the parent's private memory
 *
 * lock guards state and result, and is held while the kernel is asked for the
 * child's code, which it tells only once. All else is fixed after the start.
 */
struct prusik_process {
	pthread_mutex_t lock;
	enum process_state state;
	int result; /* once it has ended: its code, or LOST */
	int pidfd;
	pid_t pid;
	pid_t parent;
	char name[];
};

/* Outside of -64..255. */
#define LOST 256

/* What the child needs to know of its start. */
struct start {
	int (*function)(void *);
	void *argument;
	const struct prusik_process_options *options;
	uint32_t *gate;
	int parent_pidfd;
	int by_first_thread;
};

/* ---- stdio ---- */

/*
 * fflush(NULL) waits for each stream's lock, and a thread that waits for a line on
 * stdin holds that one for as long as it waits.
 */
static void flush_stdio(void)
{
	if (ftrylockfile(stdin) == 0) {
		fflush(NULL);
		funlockfile(stdin);
	} else {
		fflush(stdout);
		fflush(stderr);
	}
}

/* ---- the child ---- */

/* kill(getpid()), but right in every PID namespace. */
static void die(void)
{
	prk_sys_tgkill(getpid(), prk_sys_gettid(), SIGKILL);
}

static int has_ended(int pidfd)
{
	return prk_sys_poll_readable(pidfd, PRUSIK_NOW) == 0;
}

static void *watch_parent(void *argument)
{
	int pidfd = (int)(intptr_t)argument;

	while (prk_sys_poll_readable(pidfd, PRUSIK_FOREVER) < 0)
		;
	die();
	return NULL;
}

/* Better killed with the thread that forked it than not at all. */
static void die_with_parent(const struct start *start)
{
	void *pidfd = (void *)(intptr_t)start->parent_pidfd;

	if (start->by_first_thread ||
	    prk_sys_helper_thread(watch_parent, pidfd, "prusik-parent") < 0) {
		prk_sys_set_parent_death_signal(SIGKILL);
		if (has_ended(start->parent_pidfd))
			die();
		prk_sys_close(start->parent_pidfd);
	}
}

static void pass_gate(const struct start *start)
{
	uint32_t word;

	/* acq [process.gate] */
	while ((word = prk_load32_acq(start->gate)) == GATE_CLOSED) {
		prk_sys_futex_wait(start->gate, GATE_CLOSED, prusik_in_ns(GATE_SLICE));
		if (has_ended(start->parent_pidfd))
			break;
	}
	if (word != GATE_GO)
		_exit(0);
	prk_sys_munmap(start->gate, GATE_BYTES);
}

__attribute__((noreturn)) static void be_child(const struct start *start)
{
	pass_gate(start);
	if (start->options->name)
		prk_sys_set_name(start->options->name);
	if (start->options->dies_with_parent)
		die_with_parent(start);
	else
		prk_sys_close(start->parent_pidfd);
	int code = start->function(start->argument);
	flush_stdio();
	prk_leave();
	_exit(code & 0xff);
}

/* ---- starting ---- */

static void open_gate(uint32_t *gate, enum gate_word word)
{
	prk_store32_rel(gate, word); /* rel [process.gate] */
	prk_sys_futex_wake(gate, 1);
}

/* The child waits at the gate and for nothing else, so this does not last. */
static void send_away(pid_t pid, uint32_t *gate)
{
	siginfo_t info;
	int r;

	open_gate(gate, GATE_AWAY);
	do
		r = prk_sys_waitid(P_PID, (id_t)pid, &info, WEXITED);
	while (r < 0 && r != -ECHILD);
}

/* Fork. The parent's own pidfd makes room for the child's. */
static pid_t fork_child(struct start *start)
{
	start->parent_pidfd = prk_sys_pidfd_open(getpid());
	if (start->parent_pidfd < 0)
		return start->parent_pidfd;
	flush_stdio();
	pid_t pid = prk_sys_fork();
	if (pid == 0)
		be_child(start);
	prk_sys_close(start->parent_pidfd);
	return pid;
}

static int start_child(struct prusik_process *process, struct start *start)
{
	pid_t pid = fork_child(start);
	if (pid < 0)
		return pid;
	int pidfd = prk_sys_pidfd_open(pid);
	if (pidfd < 0) {
		send_away(pid, start->gate);
		return pidfd;
	}
	process->pid = pid;
	process->pidfd = pidfd;
	open_gate(start->gate, GATE_GO);
	return 0;
}

static int new_gate(uint32_t **ret_gate)
{
	void *page;
	int r = prk_sys_mmap(&page, GATE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);

	if (r == 0)
		*ret_gate = page;
	return r;
}

static struct prusik_process *new_process(const char *name)
{
	size_t length = name ? strlen(name) : 0;
	struct prusik_process *process = prk_sys_calloc(sizeof *process + length + 1);

	if (!process)
		return NULL;
	if (length)
		memcpy(process->name, name, length);
	process->parent = getpid();
	pthread_mutex_init(&process->lock, NULL);
	return process;
}

int prusik_process_start(int (*function)(void *), void *argument,
			 const struct prusik_process_options *options,
			 struct prusik_process **ret_process)
{
	static const struct prusik_process_options defaults;
	struct start start = {
		.function = function,
		.argument = argument,
		.options = options ? options : &defaults,
		.by_first_thread = prk_sys_gettid() == getpid(),
	};

	if (!function || !ret_process)
		return -EINVAL;
	int r = new_gate(&start.gate);
	if (r < 0)
		return r;
	struct prusik_process *process = new_process(start.options->name);
	r = process ? start_child(process, &start) : -ENOMEM;
	prk_sys_munmap(start.gate, GATE_BYTES);
	if (r == 0)
		*ret_process = process;
	else
		prk_sys_free(process);
	return r;
}

/* ---- joining ---- */

/* Ask the kernel, once. -EAGAIN: it has ended, but a tracer still holds the code back. */
static int read_code_locked(struct prusik_process *process)
{
	siginfo_t info;
	int r = prk_sys_waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);

	if (r == 0 && info.si_pid == 0)
		return -EAGAIN;
	if (r < 0 && r != -ECHILD)
		return r;
	if (r == -ECHILD)
		process->result = LOST;
	else
		process->result = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	process->state = PROCESS_ENDED;
	return 0;
}

static int read_code(struct prusik_process *process, int *ret_code)
{
	int r = 0;

	pthread_mutex_lock(&process->lock);
	if (process->state == PROCESS_RUNNING)
		r = read_code_locked(process);
	if (r == 0 && process->result == LOST)
		r = -ECHILD;
	else if (r == 0 && ret_code)
		*ret_code = process->result;
	pthread_mutex_unlock(&process->lock);
	return r;
}

/* Sleep a little, but not beyond deadline. -ETIMEDOUT: it is reached. */
static int pause_until(int64_t deadline)
{
	uint32_t never_woken = 0;
	int64_t slice = prusik_in_ns(HELD_BACK_SLICE);

	if (deadline == PRUSIK_NOW || prusik_now() >= deadline)
		return -ETIMEDOUT;
	prk_sys_futex_wait(&never_woken, 0, deadline < slice ? deadline : slice);
	return 0;
}

int prusik_process_join(struct prusik_process *process, int64_t deadline, int *ret_code)
{
	if (!process)
		return -EINVAL;
	if (process->parent != getpid())
		return -EPERM;
	int r = prk_sys_poll_readable(process->pidfd, deadline);
	if (r < 0)
		return r;
	while ((r = read_code(process, ret_code)) == -EAGAIN) {
		r = pause_until(deadline);
		if (r < 0)
			return r;
	}
	return r;
}

int prusik_process_is_alive(struct prusik_process *process)
{
	int r = process ? prk_sys_poll_readable(process->pidfd, PRUSIK_NOW) : -EINVAL;

	return r == -ETIMEDOUT ? 1 : r;
}

/* ---- signals, questions, the end ---- */

int prusik_process_signal(struct prusik_process *process, int signal)
{
	return process ? prk_sys_pidfd_signal(process->pidfd, signal) : -EINVAL;
}

int prusik_process_terminate(struct prusik_process *process)
{
	return prusik_process_signal(process, SIGTERM);
}

int prusik_process_kill(struct prusik_process *process)
{
	return prusik_process_signal(process, SIGKILL);
}

int prusik_process_pid(const struct prusik_process *process)
{
	return process ? process->pid : -EINVAL;
}

const char *prusik_process_name(const struct prusik_process *process)
{
	return process ? process->name : NULL;
}

int prusik_process_sentinel(const struct prusik_process *process)
{
	return process ? process->pidfd : -EINVAL;
}

void prusik_process_free(struct prusik_process *process)
{
	if (!process)
		return;
	if (process->parent == getpid()) {
		read_code(process, NULL); /* leaves no zombie if it has ended */
		pthread_mutex_destroy(&process->lock);
	}
	prk_sys_close(process->pidfd);
	prk_sys_free(process);
}
