/* SPDX-License-Identifier: MIT */
#include "base/sys_process.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/tsan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The child's, while it is not yet another program; execvpe builds paths and argument lists on it. */
#define EXEC_STACK ((size_t)128 << 10)
#define HIDDEN_STACK 65536

/* What code between clone and exec must not have: it would be counted as the caller's. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNSANITIZED __attribute__((no_sanitize("thread")))
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNSANITIZED __attribute__((no_sanitize("thread")))
#endif
#ifndef UNSANITIZED
#define UNSANITIZED
#endif

/*
 * ThreadSanitizer takes every clone for a fork, and in the child ignores what the thread
 * does from then on; with shared memory that would be the caller. libc's other name for
 * it goes past that.
 */
#ifdef PRK_TSAN
int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);
#define clone_sharing_memory __clone
#else
#define clone_sharing_memory clone
#endif

static int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

/* ---- exec ---- */

struct exec_call {
	struct prk_exec *exec;
	sigset_t mask;
};

/* A handler of the caller's would run in his memory. */
UNSANITIZED static void forget_handlers(void)
{
	struct sigaction action;

	for (int signal = 1; signal < NSIG; signal++) {
		if (sigaction(signal, NULL, &action) < 0 || action.sa_handler == SIG_DFL ||
		    action.sa_handler == SIG_IGN)
			continue;
		action = (struct sigaction){ .sa_handler = SIG_DFL };
		sigaction(signal, &action, NULL);
	}
}

/* First out of each other's way, then to their places. */
UNSANITIZED static int place_streams(struct prk_exec *exec)
{
	int moved[3], r = 0;

	for (int i = 0; i < 3; i++) {
		moved[i] = exec->streams[i];
		if (moved[i] >= 0 && moved[i] < 3 && moved[i] != i)
			moved[i] = prk_sys_dup(moved[i], 3);
		if (exec->streams[i] >= 0 && moved[i] < 0)
			return moved[i];
	}
	for (int i = 0; r >= 0 && i < 3; i++)
		if (moved[i] >= 0)
			r = prk_sys_dup_to(moved[i], i);
	return r < 0 ? r : 0;
}

UNSANITIZED static int place_descriptors(struct prk_exec *exec)
{
	int r = place_streams(exec);

	if (r == 0)
		r = result(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC));
	for (unsigned int i = 0; r == 0 && i < exec->keep_count; i++)
		r = prk_sys_set_cloexec(exec->keep[i], 0);
	return r;
}

UNSANITIZED static int place_group(struct prk_exec *exec)
{
	if (exec->session)
		return setsid() < 0 ? -errno : 0;
	return exec->group < 0 ? 0 : result(setpgid(0, exec->group));
}

/* Should the caller end before the guard has the pidfd, it never runs; if after, the guard sees to it. */
UNSANITIZED static int enlist(struct prk_exec *exec)
{
	int pidfd = prk_sys_pidfd_open(getpid());

	if (pidfd < 0)
		return pidfd;
	int r = prk_sys_send(exec->guard, "", 1, &pidfd, 1);
	if (r >= 0 && prk_sys_poll_readable(exec->parent, PRUSIK_NOW) == 0)
		r = -ESRCH;
	prk_sys_close(pidfd);
	return r < 0 ? r : 0;
}

UNSANITIZED static int prepare(struct prk_exec *exec)
{
	int r = place_group(exec);

	prk_sys_adopt_orphans();
	if (r == 0 && exec->guard >= 0)
		r = enlist(exec);
	if (r == 0 && exec->directory)
		r = result(chdir(exec->directory));
	return r == 0 ? place_descriptors(exec) : r;
}

UNSANITIZED static int be_program(void *argument)
{
	struct exec_call *call = argument;
	struct prk_exec *exec = call->exec;

	forget_handlers();
	exec->error = prepare(exec);
	if (exec->error == 0)
		exec->error = prk_sys_gate(PRK_SYS_EXEC);
	if (exec->error == 0) {
		sigprocmask(SIG_SETMASK, &call->mask, NULL);
		execvpe(exec->file, exec->argv, exec->environment);
		exec->error = -errno;
	}
	_exit(127);
}

static size_t stack_for(char *const *argv)
{
	size_t count = 0;

	while (argv[count])
		count++;
	return EXEC_STACK + (count * sizeof *argv + 4095) / 4096 * 4096;
}

static pid_t clone_program(struct exec_call *call, int *ret_pidfd)
{
	size_t size = stack_for(call->exec->argv);
	void *stack;
	int r = prk_sys_mmap(&stack, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	if (r == 0)
		r = prk_sys_gate(PRK_SYS_FORK);
	else
		return r;
	if (r == 0)
		r = result(clone_sharing_memory(be_program, (char *)stack + size,
						CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, call, ret_pidfd));
	prk_sys_munmap(stack, size);
	return r;
}

pid_t prk_sys_exec(struct prk_exec *exec, int *ret_pidfd)
{
	struct exec_call call = { .exec = exec };
	siginfo_t info;
	int state;

	exec->error = 0;
	/* No handler in the child, and the calling thread must come back to free its stack. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	prk_sys_block_signals(&call.mask);
	pid_t pid = clone_program(&call, ret_pidfd);
	prk_sys_set_signals(&call.mask);
	pthread_setcancelstate(state, NULL);
	if (pid < 0 || exec->error == 0)
		return pid;
	while (waitid(P_PIDFD, (id_t)*ret_pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	prk_sys_close(*ret_pidfd);
	return exec->error;
}

/* ---- clones ---- */

pid_t prk_sys_clone_hidden(int (*function)(void *), void *argument, int *ret_pidfd)
{
	_Alignas(64) char stack[HIDDEN_STACK]; /* the child's is a copy of it */
	sigset_t before;
	int r = prk_sys_gate(PRK_SYS_FORK);

	if (r)
		return r;
	prk_sys_block_signals(&before);
	r = result(clone(function, stack + sizeof stack, CLONE_PIDFD, argument, ret_pidfd));
	prk_sys_set_signals(&before);
	return r;
}

/*
 * What libc's fork would do besides, of what matters to a single thread: its number in
 * libc's notes, and its robust list, which the kernel forgets.
 */
pid_t prk_sys_clone_sibling(int *ret_pidfd, pid_t *note)
{
	int pidfd = -1, *tid = NULL;
	struct robust_list_head *robust = prk_sys_robust_head();
	struct clone_args args = {
		.flags = CLONE_PARENT | CLONE_PIDFD | CLONE_PARENT_SETTID,
		.pidfd = (uintptr_t)&pidfd,
		.parent_tid = (uintptr_t)note,
	};
	int r = prk_sys_gate(PRK_SYS_FORK);

	if (r)
		return r;
	if (prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0) == 0 && tid) {
		args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
		args.child_tid = (uintptr_t)tid;
	}
	r = result(syscall(SYS_clone3, &args, sizeof args));
	if (r == 0 && robust)
		prk_sys_set_robust_head(robust);
	else if (r > 0)
		*ret_pidfd = pidfd;
	return r;
}

/* ---- asking and ending ---- */

/* The kernel's struct pidfd_info and its request (since 6.13; exit codes since 6.15). */
struct pidfd_info_request {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid, numbers[8];
	int32_t exit_code;
};
#define PIDFD_INFO_EXIT_CODE 8u

int prk_sys_pidfd_status(int pidfd)
{
	struct pidfd_info_request info = { .mask = PIDFD_INFO_EXIT_CODE };
	int fault = prk_sys_gate(PRK_SYS_PIDFD_INFO);

	if (fault)
		return fault;
	if (ioctl(pidfd, _IOWR(0xff, 11, struct pidfd_info_request), &info) < 0)
		return -errno;
	return info.mask & PIDFD_INFO_EXIT_CODE ? info.exit_code : -ENOSYS;
}

pid_t prk_sys_pidfd_pid(int pidfd)
{
	char text[512], path[48];
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
	int fd = prk_sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	ssize_t n = read(fd, text, sizeof text - 1);
	prk_sys_close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = 0;
	const char *line = strstr(text, "\nPid:");
	int pid = line ? atoi(line + 5) : 0;
	return pid > 0 ? pid : -ESRCH;
}

int prk_sys_kill(pid_t pid, int signal)
{
	return result(kill(pid, signal));
}

int prk_sys_adopt_orphans(void)
{
	return result(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

int prk_sys_adopts_orphans(void)
{
	int on = 0;

	return prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0) == 0 && on;
}

void prk_sys_block_signals(sigset_t *ret_before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

void prk_sys_set_signals(const sigset_t *set)
{
	pthread_sigmask(SIG_SETMASK, set, NULL);
}

/* ---- descriptors ---- */

int prk_sys_pipe(int ret_ends[2])
{
	int fault = prk_sys_gate(PRK_SYS_PIPE);
	return fault ? fault : result(pipe2(ret_ends, O_CLOEXEC));
}

int prk_sys_socketpair(int ret_ends[2])
{
	int fault = prk_sys_gate(PRK_SYS_SOCKET);
	return fault ? fault : result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends));
}

int prk_sys_shutdown(int socket)
{
	return result(shutdown(socket, SHUT_WR));
}

int prk_sys_close_from(int first)
{
	return result(syscall(SYS_close_range, first, ~0u, 0));
}

int prk_sys_dup(int fd, int at_least)
{
	int fault = prk_sys_gate(PRK_SYS_DUP);
	return fault ? fault : result(fcntl(fd, F_DUPFD_CLOEXEC, at_least));
}

int prk_sys_dup_to(int fd, int target)
{
	int fault = prk_sys_gate(PRK_SYS_DUP);
	if (fault)
		return fault;
	return fd == target ? prk_sys_set_cloexec(fd, 0) : result(dup2(fd, target));
}

int prk_sys_set_cloexec(int fd, int on)
{
	return result(fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

int prk_sys_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -errno : result(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

int prk_sys_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

ssize_t prk_sys_read(int fd, void *buffer, size_t length)
{
	ssize_t n;
	int fault = prk_sys_gate(PRK_SYS_READ);

	if (fault)
		return fault;
	do
		n = read(fd, buffer, length);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Was there one before, it stays: then only this write's is not to be told apart, and need not. */
static void swallow(int signal)
{
	static const struct timespec now;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
		;
}

ssize_t prk_sys_write(int fd, const void *buffer, size_t length)
{
	int fault = prk_sys_gate(PRK_SYS_WRITE);
	sigset_t pipe_signal, before, pending;
	ssize_t n;

	if (fault)
		return fault;
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	do
		n = result((long)write(fd, buffer, length));
	while (n == -EINTR);
	if (n == -EPIPE && !sigismember(&pending, SIGPIPE))
		swallow(SIGPIPE);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

int prk_sys_write_all(int fd, const void *buffer, size_t length)
{
	const char *from = buffer;

	while (length > 0) {
		ssize_t n = prk_sys_write(fd, from, length < INT32_MAX ? length : INT32_MAX);
		if (n < 0)
			return (int)n;
		from += n;
		length -= (size_t)n;
	}
	return 0;
}

ssize_t prk_sys_getdents(int fd, void *buffer, size_t length)
{
	return result(syscall(SYS_getdents64, fd, buffer, length));
}

int prk_sys_event(void)
{
	int fault = prk_sys_gate(PRK_SYS_PIPE);
	return fault ? fault : result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void prk_sys_event_raise(int event)
{
	eventfd_write(event, 1);
}

union fds_message {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int) * PRK_SYS_FDS_MAX)];
};

UNSANITIZED int prk_sys_send(int socket, const void *data, size_t length, const int *fds, unsigned int count)
{
	union fds_message control;
	struct iovec vector = { .iov_base = (void *)(uintptr_t)data, .iov_len = length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	int r = prk_sys_gate(PRK_SYS_SEND);

	if (r)
		return r;
	if (count > 0) {
		memset(&control.header, 0, sizeof control.header);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
	}
	do
		r = result((long)sendmsg(socket, &message, MSG_NOSIGNAL));
	while (r == -EINTR);
	return r < 0 ? r : 0;
}

/* How many descriptors came; they are closed when they are not wanted, or not all came. */
static int take_fds(struct msghdr *message, int *ret_fds, unsigned int *count)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	unsigned int n = 0, room = *count;
	int fd;

	if (header && header->cmsg_type == SCM_RIGHTS)
		n = (unsigned int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	int bad = n > room || (message->msg_flags & MSG_CTRUNC);
	for (unsigned int i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
		if (bad)
			prk_sys_close(fd);
		else
			ret_fds[i] = fd;
	}
	*count = bad ? 0 : n;
	return bad ? -EMFILE : 0;
}

ssize_t prk_sys_receive(int socket, void *buffer, size_t length, int *ret_fds, unsigned int *count, int flags)
{
	union fds_message control;
	struct iovec vector = { .iov_base = buffer, .iov_len = length };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	int n, r = prk_sys_gate(PRK_SYS_RECEIVE);

	if (r)
		return r;
	do
		n = result((long)recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC));
	while (n == -EINTR);
	if (n < 0)
		return n;
	r = take_fds(&message, ret_fds, count);
	return r < 0 ? r : n;
}

int prk_sys_poll(struct pollfd *fds, unsigned int count, int64_t deadline)
{
	struct timespec ts, *left = NULL;
	int fault = prk_sys_gate(PRK_SYS_POLL);

	if (fault)
		return fault;
	if (deadline != PRUSIK_FOREVER) {
		int64_t ahead = deadline <= PRUSIK_NOW ? 0 : deadline - prusik_now();
		left = prk_timespec(ahead, &ts);
	}
	return result(ppoll(fds, count, left, NULL));
}
