/* SPDX-License-Identifier: MIT */
/*
 * process - a child that runs a function of this program
 *
 *	struct prusik_process *worker;
 *	if (prusik_process_start(run, &job, NULL, &worker) < 0) ...
 *	...
 *	int code;
 *	prusik_process_join(worker, PRUSIK_FOREVER, &code);   // -9: killed by SIGKILL
 *	prusik_process_free(worker);
 *
 * The child is a fork: it has a copy of the parent's private memory, and shares
 * arenas, queues and whatever else lies in shared memory. Its exit status is read
 * through a descriptor of its own (a pidfd), so no other child is touched and the
 * number cannot be mistaken for a newer process's.
 */
#ifndef PRUSIK_PROCESS_H
#define PRUSIK_PROCESS_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle of a child. May be used by all threads of the parent. */
struct prusik_process;

/* Zero means default. */
struct prusik_process_options {
	const char *name; /* at most 15 bytes go to the kernel too; default: the parent's */
	uint32_t
		dies_with_parent; /* not 0: the child is killed when the program that started it ends */
	uint32_t reserved;
};

/*
 * prusik_process_start - fork a child that runs function(argument) and exits with what it returns
 *
 * What the parent's stdio has buffered is written first, so that it appears once;
 * only what another thread writes at this very moment may appear twice. (While
 * another thread waits for input on stdin, stdout and stderr alone are written; one
 * that waits for input on another stream holds the start up.) The child leaves by
 * _exit after flushing stdio: exit handlers of the parent do not run in it. Of the
 * function's result the low 8 bits count. It has the signal handlers and mask of
 * the thread that started it, and, as after every fork, that thread alone: what the
 * parent's threads held in private memory is held by nobody in the child, who finds it
 * as if they had died (PRUSIK_RECOVERED; a barrier is broken).
 *
 * dies_with_parent holds however the parent ends, kill -9 included, from the
 * child's first line on. Two limits: when the parent's first thread started the
 * child and ends before the program does, the child is killed then; when another
 * thread did, the child is not killed while it is stopped (SIGSTOP), nor after it
 * has called exec.
 *
 * Returns 0 with *ret_process set, or
 *   -EINVAL  no function or no ret_process
 *   -EAGAIN  too many processes (RLIMIT_NPROC, pids cgroup)
 *   -ENOMEM, -EMFILE, -ENFILE
 * On an error there is no child, and function was not called.
 * Killed inside: the child runs, or nothing of it does.
 * Context: threads; not signal handlers.
 */
int prusik_process_start(int (*function)(void *), void *argument,
			 const struct prusik_process_options *options,
			 struct prusik_process **ret_process) PRUSIK_MUST_USE;

/*
 * prusik_process_join - wait until the child has ended, or until deadline
 *
 * Several threads may join one child, at once or again later: all get the same
 * answer. *ret_code (may be NULL) becomes 0..255 as returned or exited with, or
 * -N when signal N killed it.
 *
 * Returns 0, or
 *   -ETIMEDOUT  it still runs
 *   -ECHILD     it ended, but its code is unknown: somebody else reaped it, or the
 *               kernel did, because SIGCHLD is ignored
 *   -EPERM      called by another process than the one that started the child
 *   -EINVAL     NULL
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_process_join(struct prusik_process *process, int64_t deadline, int *ret_code);

/* 1 while it runs, 0 when it has ended; -EINVAL. Never blocks. */
int prusik_process_is_alive(struct prusik_process *process);

/*
 * Send a signal; terminate is SIGTERM, kill is SIGKILL. Returns 0 (also when it
 * ended by itself meanwhile and is not yet joined), -ESRCH when it has ended and
 * was joined or reaped elsewhere, -EINVAL for a bad number or NULL, -EPERM.
 */
int prusik_process_signal(struct prusik_process *process, int signal);
int prusik_process_terminate(struct prusik_process *process);
int prusik_process_kill(struct prusik_process *process);

/* Its number; its name ("" when none was given). -EINVAL / NULL for NULL. */
int prusik_process_pid(const struct prusik_process *process);
const char *prusik_process_name(const struct prusik_process *process);

/* A descriptor that polls readable once the child has ended. Owned by the handle. */
int prusik_process_sentinel(const struct prusik_process *process);

/*
 * prusik_process_free - drop the handle. Accepts NULL.
 *
 * A child that has ended is reaped here, if it was not before. One that still runs
 * runs on, and is reaped by the system when this program ends.
 */
void prusik_process_free(struct prusik_process *process);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
