/* SPDX-License-Identifier: MIT */
/*
 * sys_process - the system calls that make processes, feed them, and end them
 *
 * As in sys.h: -errno, and each that can fail can be made to (prk_sys_fail).
 */
#ifndef PRK_BASE_SYS_PROCESS_H
#define PRK_BASE_SYS_PROCESS_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- making processes ---- */

/*
 * What a new program is to find. The child shares the caller's memory until it is that
 * program, and the caller stands still meanwhile: so pointers mean what they say, and
 * the child writes its error right here.
 */
struct prk_exec {
	const char *file; /* looked for in PATH when it has no '/' */
	char *const *argv;
	char *const *environment;
	const char *directory; /* NULL: the caller's */
	int streams[3]; /* descriptors to become 0, 1, 2; -1: the caller's own */
	const int *keep; /* others that stay open, under their numbers */
	unsigned int keep_count;
	int group; /* < 0: the caller's process group; 0: one of its own; else that one */
	int session; /* not 0: a session of its own */
	int guard; /* a socket that the child sends its own pidfd to; -1: none */
	int parent; /* pidfd of the caller: with guard, nothing is run when it has ended */
	int error; /* the child's: -errno */
};

/* The new program's number, its pidfd in *ret_pidfd; or -errno, and nothing is left of it. */
pid_t prk_sys_exec(struct prk_exec *exec, int *ret_pidfd);

/*
 * A copy of the calling process, with this thread alone, that runs function. Its end
 * raises no signal, and plain waits do not see it; it must use system calls only.
 */
pid_t prk_sys_clone_hidden(int (*function)(void *), void *argument, int *ret_pidfd);

/*
 * fork, for a process with one thread; the child's parent is the caller's own parent. Its number
 * is in *note before it runs, whatever becomes of the caller.
 */
pid_t prk_sys_clone_sibling(int *ret_pidfd, pid_t *note);

/* ---- asking and ending ---- */

/* The status (as of waitpid) of one that has ended and was reaped; -errno: unknown. */
int prk_sys_pidfd_status(int pidfd);
/* Its number in the caller's PID namespace; -ESRCH: it has ended and was reaped. */
pid_t prk_sys_pidfd_pid(int pidfd);
int prk_sys_kill(pid_t pid, int signal);
/* From now on the orphans among the caller's descendants become its children. */
int prk_sys_adopt_orphans(void);
int prk_sys_adopts_orphans(void);
/* Block all signals; *ret_before may be NULL. */
void prk_sys_block_signals(sigset_t *ret_before);
void prk_sys_set_signals(const sigset_t *set);

/* ---- descriptors ---- */

/* All with close-on-exec. */
int prk_sys_pipe(int ret_ends[2]);
int prk_sys_socketpair(int ret_ends[2]); /* SOCK_SEQPACKET */
int prk_sys_shutdown(int socket); /* the other end has read all that comes */
int prk_sys_close_from(int first);
int prk_sys_dup(int fd, int at_least);
/* Also takes close-on-exec off target; fine when the two are the same. */
int prk_sys_dup_to(int fd, int target);
int prk_sys_set_cloexec(int fd, int on);
int prk_sys_set_nonblocking(int fd);
int prk_sys_is_open(int fd);

ssize_t prk_sys_read(int fd, void *buffer, size_t length);
/* No signal when nobody reads: -EPIPE. */
ssize_t prk_sys_write(int fd, const void *buffer, size_t length);
int prk_sys_write_all(int fd, const void *buffer, size_t length);
ssize_t prk_sys_getdents(int fd, void *buffer, size_t length);

/* A descriptor that polls readable once it was raised. */
int prk_sys_event(void);
void prk_sys_event_raise(int event);

#define PRK_SYS_FDS_MAX 253
/* A message with descriptors. */
int prk_sys_send(int socket, const void *data, size_t length, const int *fds, unsigned int count);
/*
 * One with up to *count of them, which are open and close-on-exec then. Its length; 0: the other
 * end is closed. -EMFILE: no room for the descriptors, and none was taken.
 */
ssize_t prk_sys_receive(int socket, void *buffer, size_t length, int *ret_fds, unsigned int *count, int flags);

/* The number of those ready; 0 when the deadline has passed; -EINTR. */
int prk_sys_poll(struct pollfd *fds, unsigned int count, int64_t deadline);

#endif
