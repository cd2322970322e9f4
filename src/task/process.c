/* SPDX-License-Identifier: MIT */
/*
 * process - a pidfd, and one answer for all who ask
 */
#include "task/process.h"

#include "base/sys.h"
#include "base/sys_process.h"
#include "base/wait.h"
#include "base/wait_fd.h"
#include "task/signal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* How often to ask again for a child that has ended but whose code is held back (by a tracer). */
#define HELD_BACK_SLICE INT64_C(1000000)

/* ---- handles ---- */

struct prusik_process *prk_process_new(const char *name, enum prk_process_kind kind)
{
	struct prusik_process *process = prk_family_spare();

	if (!process)
		process = prk_sys_calloc(sizeof *process);
	if (!process)
		return NULL;
	memcpy(process->name, name, strnlen(name, PRUSIK_PROCESS_NAME_MAX));
	process->kind = kind;
	process->refs = 1;
	process->pidfd = -1;
	process->parent = getpid();
	for (int i = 0; i < 3; i++)
		process->stream[i] = -1;
	pthread_mutex_init(&process->lock, NULL);
	return process;
}

static void destroy(struct prusik_process *process)
{
	for (int i = 0; i < 3; i++)
		if (process->stream[i] >= 0)
			prk_sys_close(process->stream[i]);
	for (int i = 0; i < 2; i++)
		prk_sys_free(process->capture[i].data);
	if (process->pidfd >= 0)
		prk_sys_close(process->pidfd);
	if (!prk_family_keep_spare(process))
		prk_sys_free(process);
}

void prk_process_drop(struct prusik_process *process)
{
	/* acqrel [process.refs]: whoever frees it does so after all others' last use */
	if (prk_add32_acqrel(&process->refs, (uint32_t)-1) == 1)
		destroy(process);
}

static bool ours(const struct prusik_process *process)
{
	return process->kind == PRK_PROCESS_CHILD && process->parent == getpid();
}

/* A handle that was copied by fork: the list's reference was not. */
static void drop_copy(struct prusik_process *process)
{
	if (process->refs <= 1 + process->listed)
		destroy(process);
	else
		process->refs--;
}

void prusik_process_free(struct prusik_process *process)
{
	if (!process)
		return;
	if (process->kind == PRK_PROCESS_CHILD && !ours(process)) {
		drop_copy(process);
		return;
	}
	int r = ours(process) ? prk_process_read_code(process, NULL) : -EAGAIN;
	if (r == 0 || r == -ECHILD)
		prk_family_remove(process); /* leaves no zombie if it has ended */
	prk_process_drop(process);
}

/* ---- joining ---- */

/* Does the kernel throw away the codes of children? Then it was nobody else who took it. */
static bool codes_are_dropped(void)
{
	struct sigaction action;

	return sigaction(SIGCHLD, NULL, &action) == 0 &&
	       (action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT));
}

static int code_of_status(int status)
{
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int code_of_lost(const struct prusik_process *process)
{
	int status = codes_are_dropped() ? prk_sys_pidfd_status(process->pidfd) : -ECHILD;

	return status < 0 ? PRK_PROCESS_LOST : code_of_status(status);
}

/* Ask the kernel, once. -EAGAIN: it runs, or it has ended but a tracer still holds the code back. */
static int read_code_locked(struct prusik_process *process)
{
	siginfo_t info;
	int r = prk_sys_waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);

	if (r == 0 && info.si_pid == 0)
		return -EAGAIN;
	if (r < 0 && r != -ECHILD)
		return r;
	if (r == -ECHILD && prk_sys_poll_readable(process->pidfd, PRUSIK_NOW) == -ETIMEDOUT)
		return -EAGAIN; /* a thread of it still runs, or it is somebody else's */
	if (r == -ECHILD)
		process->result = code_of_lost(process);
	else
		process->result = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	process->state = PRK_PROCESS_ENDED;
	return 0;
}

int prk_process_read_code(struct prusik_process *process, int *ret_code)
{
	int r = 0;

	pthread_mutex_lock(&process->lock);
	if (process->state == PRK_PROCESS_RUNNING)
		r = read_code_locked(process);
	if (r == 0 && process->result == PRK_PROCESS_LOST)
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
	return prk_wait_private(&never_woken, 0, deadline < slice ? deadline : slice) == -ECANCELED ? -ECANCELED : 0;
}

static int join_child(struct prusik_process *process, int64_t deadline, int *ret_code)
{
	int r = prk_wait_readable(process->pidfd, deadline);

	if (r < 0)
		return r;
	while ((r = prk_process_read_code(process, ret_code)) == -EAGAIN) {
		r = pause_until(deadline);
		if (r < 0)
			return r;
	}
	if (r == 0 || r == -ECHILD)
		prk_family_remove(process);
	return r;
}

int prusik_process_join(struct prusik_process *process, int64_t deadline, int *ret_code)
{
	if (!process)
		return -EINVAL;
	if (process->kind == PRK_PROCESS_SELF && process->pid == getpid())
		return -EDEADLK;
	if (ours(process))
		return join_child(process, deadline, ret_code);
	if (process->kind != PRK_PROCESS_PARENT)
		return -EPERM;
	int r = prk_wait_readable(process->pidfd, deadline);
	return r < 0 ? r : -ECHILD;
}

int prusik_process_exitcode(struct prusik_process *process, int *ret_code)
{
	return prusik_process_join(process, PRUSIK_NOW, ret_code);
}

void prk_process_bury(struct prusik_process *process)
{
	uint32_t *token = prk_cancel_here;

	prk_cancel_here = NULL;
	join_child(process, PRUSIK_FOREVER, NULL);
	prk_cancel_here = token;
}

int prusik_process_is_alive(struct prusik_process *process)
{
	int r = process ? prk_sys_poll_readable(process->pidfd, PRUSIK_NOW) : -EINVAL;

	return r == -ETIMEDOUT ? 1 : r;
}

/* ---- signals, questions ---- */

int prusik_process_signal(struct prusik_process *process, int signal)
{
	if (!process || !prk_signal_sendable(signal))
		return -EINVAL;
	return prk_sys_pidfd_signal(process->pidfd, signal);
}

int prusik_process_terminate(struct prusik_process *process)
{
	return prusik_process_signal(process, SIGTERM);
}

int prusik_process_kill(struct prusik_process *process)
{
	return prusik_process_signal(process, SIGKILL);
}

int prusik_process_kill_tree(struct prusik_process *process)
{
	if (!process || process->kind != PRK_PROCESS_CHILD)
		return -EINVAL;
	return prk_trees_kill(&process->pidfd, 1);
}

int prusik_process_pid(const struct prusik_process *process)
{
	return process ? process->pid : -EINVAL;
}

int prusik_process_ppid(const struct prusik_process *process)
{
	return process ? process->parent : -EINVAL;
}

const char *prusik_process_name(const struct prusik_process *process)
{
	return process ? process->name : NULL;
}

int prusik_process_is_daemon(const struct prusik_process *process)
{
	return process ? process->daemon != 0 : -EINVAL;
}

int prusik_process_sentinel(const struct prusik_process *process)
{
	return process ? process->pidfd : -EINVAL;
}
