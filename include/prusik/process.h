/* SPDX-License-Identifier: MIT */
/*
 * process - children that run a function of this program, or another program
 *
 *	struct prusik_process *worker;
 *	if (prusik_process_start(run, &job, NULL, &worker) < 0) ...
 *	...
 *	int code;
 *	prusik_process_join(worker, PRUSIK_FOREVER, &code);   // -9: killed by SIGKILL
 *	prusik_process_free(worker);
 *
 *	const char *const argv[] = { "sort", "-n", NULL };
 *	const struct prusik_run_options options = { .in.kind = PRUSIK_STREAM_PIPE,
 *	                                            .out.kind = PRUSIK_STREAM_PIPE };
 *	r = prusik_process_run(argv, &options, &sort);
 *	r = prusik_process_communicate(sort, text, length, prusik_in_s(10), &out, NULL);
 *
 * A child is known by a descriptor of its own (a pidfd): no other child is touched, no
 * SIGCHLD handler is needed, and its number cannot be mistaken for a newer process's.
 *
 * The end of a program: exit (and prusik_exit, and the end of main or of a child's function)
 * first kills the daemons among the children that are still there, with all their
 * descendants, and then joins the others. _exit, a signal and kill -9 do neither; but
 * daemons end then too.
 *
 * Orphans. A child becomes the parent of what its descendants leave behind
 * (PR_SET_CHILD_SUBREAPER), so that nobody gets away from prusik_process_kill_tree. One that
 * runs for long, and whose children leave many behind, should wait for them.
 *
 * Async-signal-safe: none.
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

/* Longest name of a process or a registered function, in bytes without the final NUL. */
#define PRUSIK_PROCESS_NAME_MAX 63

/*
 * How a child comes to be:
 *
 * FORK        a copy of this program, at the point where it is, with the calling thread alone.
 *             Everything is there; so are locks in private memory that other threads held.
 * FORKSERVER  a copy of this program at its beginning: a helper process, started once, is
 *             this program's image stopped in prusik_process_main, and has one thread. Needs
 *             little time however large this program is.
 * SPAWN       this program, started anew, as far as prusik_process_main.
 *
 * What the child finds, beside the argument and shared objects opened by name:
 *
 *                     FORK    FORKSERVER              SPAWN
 * private memory      copied  that of a new image     that of a new image
 * stdin/out/err       ours    ours                    ours
 * other descriptors   all     options.descriptors, under their numbers
 * environment, cwd    ours    those the helper found  ours
 * anonymous arenas    yes     no (use a named one, or a descriptor)
 */
enum prusik_process_method {
	PRUSIK_PROCESS_FORK,
	PRUSIK_PROCESS_FORKSERVER,
	PRUSIK_PROCESS_SPAWN,
};

/* Zero means default. */
struct prusik_process_options {
	const char *name; /* the first 15 bytes go to the kernel too; default "Process-N", for us only */
	uint32_t daemon; /* not 0: ends when the program that started it ends, in whatever way */
	uint32_t method; /* enum prusik_process_method */
	uint64_t argument_length; /* bytes at argument; the child gets a copy. 0 with FORK: as is */
	const int *descriptors; /* that the child is to have too */
	uint32_t descriptor_count; /* at most 200 */
	uint32_t reserved;
};

/* For structs of your own, whose first member it is: its run is called with it. */
struct prusik_process_own {
	int (*run)(struct prusik_process_own *own);
};

/*
 * prusik_process_start - start a child that runs function(argument) and exits with what it returns
 *
 * The child leaves as by exit: what it has given to atexit is run (what the parent has given is
 * not), stdio is flushed, its threads that are no daemons and its own children are waited for. Of the
 * result the low 8 bits count. What the parent's stdio has buffered is written first, so
 * that it appears once; only what another thread writes at this very moment may appear twice.
 * (While another thread waits for input on stdin, stdout and stderr alone are written; one that
 * waits for input on another stream holds the start up.) It has the signal mask of the thread
 * that started it. What the
 * parent's threads held in private memory is held by nobody in a forked child, who finds
 * it as if they had died (PRUSIK_RECOVERED; a barrier is broken).
 *
 * With FORKSERVER and SPAWN function must be one that was registered, and what argument points to
 * is argument_length bytes, of which the child gets a copy, aligned to 64; NULL when that is 0.
 * A child whose image does not come as far as prusik_process_main, or registers no function
 * of that name, exits with 127.
 *
 * A daemon is killed when the program that started it ends, kill -9 included, from its first line
 * on; and with it all its descendants, those that left its session or were orphaned too. A
 * small process ("prusik-guard") sees to that, one for each program that starts daemons; it
 * does not appear among the program's children. Who kills that one too has got around it
 * until the next start of a daemon.
 *
 * Returns 0 with *ret_process set, or
 *   -EINVAL        no function or no ret_process; an unknown method; an argument without length
 *   -ENAMETOOLONG  name above PRUSIK_PROCESS_NAME_MAX
 *   -ENOENT        FORKSERVER, SPAWN: function is not registered
 *   -EOPNOTSUPP    FORKSERVER, SPAWN: this program has not called prusik_process_main
 *   -EBADF         one of descriptors is not open
 *   -EAGAIN        too many processes (RLIMIT_NPROC, pids cgroup)
 *   -ENOMEM, -EMFILE, -ENFILE, and causes of execve for SPAWN
 * On an error there is no child, and function was not called.
 * Killed inside: the child runs, or nothing of it does.
 * Context: threads; not signal handlers.
 */
int prusik_process_start(int (*function)(void *), void *argument, const struct prusik_process_options *options,
			 struct prusik_process **ret_process) PRUSIK_MUST_USE;

/* The same for a struct of your own. With argument_length (its size) it is copied like any argument. */
int prusik_process_start_own(struct prusik_process_own *own, const struct prusik_process_options *options,
			     struct prusik_process **ret_process) PRUSIK_MUST_USE;

/*
 * prusik_process_register - give function a name, by which other images of this program find it
 *
 * Before prusik_process_main. Returns 0, also when it is registered under this name already;
 * -EEXIST: the name means another function; -EINVAL: NULL or ""; -ENAMETOOLONG, -ENOMEM.
 */
int prusik_process_register(const char *name, int (*function)(void *));
int prusik_process_register_own(const char *name, int (*run)(struct prusik_process_own *own));

/*
 * prusik_process_main - where FORKSERVER and SPAWN children leave main
 *
 * To be called at the beginning of main, after functions were registered. In the program itself
 * it returns; in a child started by these methods it does not: that is all of main it runs.
 * argc is 1 there.
 */
void prusik_process_main(void);

/*
 * prusik_process_forkserver - start the helper process now
 *
 * Else the first start by FORKSERVER does it. It keeps one copy of itself ready, the spare, which
 * becomes the next child. Both are children of this program, which waitpid(-1) sees; they end
 * with the program, or by prusik_process_forkserver_stop. One that is killed is replaced. Returns 0,
 * also when it runs already; else as prusik_process_start.
 */
int prusik_process_forkserver(void);
void prusik_process_forkserver_stop(void);

/* ---- other programs ---- */

enum prusik_stream_kind {
	PRUSIK_STREAM_INHERIT, /* the caller's own */
	PRUSIK_STREAM_NULL, /* /dev/null */
	PRUSIK_STREAM_PIPE, /* a pipe; our end: prusik_process_stream */
	PRUSIK_STREAM_FILE, /* path; an output file is made, or emptied, first */
	PRUSIK_STREAM_APPEND, /* path; output goes to its end */
	PRUSIK_STREAM_DESCRIPTOR, /* descriptor */
	PRUSIK_STREAM_MEMORY, /* input: data, length. Output: memory, as long as it takes */
	PRUSIK_STREAM_OUT, /* err only: goes where out goes */
};

struct prusik_stream {
	uint32_t kind; /* enum prusik_stream_kind */
	int descriptor;
	const char *path;
	const void *data;
	uint64_t length;
};

/* Zero means default. */
struct prusik_run_options {
	const char *name; /* of the handle; default argv[0] */
	uint32_t daemon; /* as of prusik_process_options */
	uint32_t new_session; /* not 0: setsid */
	uint32_t group; /* 1: a process group of its own; above: that group; 0: ours */
	uint32_t descriptor_count;
	const int *descriptors; /* that stay open, under their numbers; no others do */
	const char *const *environment; /* "NAME=value"..., NULL; default ours */
	const char *directory; /* to begin in; default ours */
	struct prusik_stream in, out, err;
};

/*
 * prusik_process_run - start another program
 *
 * argv[0] is looked for in our PATH unless it has a '/'. The program begins with the calling thread's
 * signal mask and without our handlers; what we ignore it ignores.
 *
 * Returns 0 with *ret_process set: the program runs. Or, with nothing left of it,
 *   -EINVAL  no argv, no argv[0], no ret_process, a stream that makes no sense
 *   -EBADF   a descriptor that is not open
 *   -ENOENT  no such program, directory, interpreter or file of a stream
 *   -EACCES, -ENOEXEC, -E2BIG, -ENOTDIR, and other causes of execve, chdir, open, setpgid
 *   -EAGAIN, -ENOMEM, -EMFILE, -ENFILE
 * Killed inside: the program runs, or it never does. Context: threads; not signal handlers.
 */
int prusik_process_run(const char *const *argv, const struct prusik_run_options *options,
		       struct prusik_process **ret_process) PRUSIK_MUST_USE;

/*
 * Our end of stream 0, 1 or 2: of a pipe, or a file of memory (reads from its beginning with pread).
 * Owned by the handle. -ENOENT: it is neither, or was closed; -EINVAL.
 */
int prusik_process_stream(const struct prusik_process *process, int which);

/* Close our end: the program sees the end of its input. 0, -ENOENT, -EINVAL. */
int prusik_process_close_stream(struct prusik_process *process, int which);

/* What a program wrote. data is followed by a NUL, and never NULL. */
struct prusik_output {
	char *data;
	uint64_t length;
};

/*
 * prusik_process_communicate - write its input, read its output, join it
 *
 * All at once, so that neither side waits for the other, however much it is. input goes to its pipe,
 * which is closed then. *ret_out and *ret_err (may be NULL: dropped) get what came from those of its
 * streams that are pipes or memory; give them to prusik_output_free. A program that does not
 * read its input to the end does no harm. For one thread at a time.
 *
 * A deadline, and a token that is set, end it also while the program writes on and on. Once the program
 * has ended, what it wrote is read all the same, PRUSIK_NOW or a token that is set or not; but
 * not for ever what its own children go on writing into its streams.
 *
 * Returns 0, and join tells the code; or, and it may be called again with the same input to go on:
 *   -ETIMEDOUT, -ECANCELED  it still runs, or somebody else has its streams open
 *   -ENOMEM, -EINVAL, or what reading and writing gave
 *   -EPERM   called by another process than the one that started it
 */
int prusik_process_communicate(struct prusik_process *process, const void *input, uint64_t length, int64_t deadline,
			       struct prusik_output *ret_out, struct prusik_output *ret_err);
void prusik_output_free(struct prusik_output *output);

/* ---- the end of a child ---- */

/*
 * prusik_process_join - wait until the child has ended, or until deadline
 *
 * Several threads may join one child, at once or again later: all get the same
 * answer. *ret_code (may be NULL) becomes 0..255 as returned or exited with, or
 * -N when signal N killed it. Where SIGCHLD is ignored the code is known from kernel 6.15 on.
 *
 * Returns 0, or
 *   -ETIMEDOUT  it still runs
 *   -ECANCELED  the caller's token is set
 *   -ECHILD     it ended, but its code is unknown: somebody else reaped it, or the
 *               kernel did, because SIGCHLD is ignored; or it is the parent
 *   -EPERM      called by another process than the one that started the child
 *   -EDEADLK    itself
 *   -EINVAL     NULL
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_process_join(struct prusik_process *process, int64_t deadline, int *ret_code);

/* Its code, without waiting: join with PRUSIK_NOW. */
int prusik_process_exitcode(struct prusik_process *process, int *ret_code);

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

/*
 * prusik_process_kill_tree - SIGKILL the child and all its descendants
 *
 * Those that left its process group or session, and those whose parents are gone, too. The child is
 * stopped first; each of its children that is killed leaves it the grandchildren; when it has
 * none left it is killed itself. What the child left behind when it had ended before is not found;
 * nor, perhaps, what one leaves behind whom SIGKILL does not end within ten seconds (a disk holds him).
 * Needs /proc. Returns 0 when all are dead or dying, -ESRCH when the child has ended, -EINVAL, -EPERM
 * (somebody in the tree belongs to another user), or what reading /proc gave.
 */
int prusik_process_kill_tree(struct prusik_process *process);

/* Its number; that of its parent when it was started. -EINVAL for NULL. */
int prusik_process_pid(const struct prusik_process *process);
int prusik_process_ppid(const struct prusik_process *process);

/* Its name, as long as the handle lives; NULL for NULL. */
const char *prusik_process_name(const struct prusik_process *process);

/* 1 or 0; -EINVAL. */
int prusik_process_is_daemon(const struct prusik_process *process);

/* A descriptor that polls readable once it has ended. Owned by the handle. -EINVAL. */
int prusik_process_sentinel(const struct prusik_process *process);

/*
 * prusik_process_free - drop the handle. Accepts NULL.
 *
 * A child that still runs runs on. When it has ended it is reaped by the next call that starts
 * or frees a process or asks for the active ones; at the latest when this program ends, which
 * waits for it unless it is a daemon.
 */
void prusik_process_free(struct prusik_process *process);

/* ---- who is there ---- */

/*
 * All children that run: up to count handles, each to be freed. Returns how many there are, which may
 * be more than count; -EINVAL; -ENOMEM. Those that have ended are reaped.
 */
int64_t prusik_process_active_children(struct prusik_process **ret_processes, uint32_t count);

/*
 * This process ("MainProcess" when it is not a child of ours); the one that started it, whose end can be
 * waited for: NULL when it is not a child of ours. Give each to prusik_process_free. NULL also: out of
 * memory or descriptors.
 */
struct prusik_process *prusik_process_current(void);
struct prusik_process *prusik_process_parent(void);

/*
 * authkey - 32 bytes that a program and its children of all methods know and nobody else does
 *
 * Random, unless set before. 0; -EINVAL for NULL; what getrandom gave.
 */
#define PRUSIK_AUTHKEY_BYTES 32
int prusik_process_authkey(unsigned char *ret_key);
int prusik_process_set_authkey(const unsigned char *key);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
