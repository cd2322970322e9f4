/* SPDX-License-Identifier: MIT */
/*
 * process: the guard, which ends a program's daemons when the program has ended
 *
 * (The kernel's PR_SET_PDEATHSIG kills one child, when the *thread* that forked it ends. It
 * knows nothing of that child's own children, and nothing any more after some execs.)
 *
 * It is a copy of the program without anything of it: no descriptors, as little memory as can be, no
 * signals, a session of its own. The program does not see it among its children. Over a socket it is
 * given the pidfd of each daemon, before that runs; it sleeps until the program's own pidfd tells that it
 * has ended, takes what is still in the socket, and kills all with their descendants.
 *
 * Killed itself: whoever starts the next daemon starts a new guard, and enlists all daemons
 * again that live.
 */
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Its descriptors: these, then the daemons' from PIDFDS on without a gap. */
enum { SOCKET, PROGRAM, PIDFDS };
#define DAEMONS_MAX (UINT32_C(1) << 20)
/* What is dropped of the program's memory: parts at least this long. */
#define DROPPED_MIN (UINT64_C(1) << 20)

/* ---- leaving the program behind ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* A line of /proc/self/maps: private, writable, of no file, long, and not what this code stands on. */
static void drop_mapping(const char *line)
{
	unsigned long begin, end, inode, here = (unsigned long)&begin;
	unsigned long own = (unsigned long)&prk_guard_enlist, thread = (unsigned long)pthread_self();
	char mode[5];

	if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &begin, &end, mode, &inode) != 4)
		return;
	if (strcmp(mode, "rw-p") != 0 || inode != 0 || end - begin < DROPPED_MIN)
		return;
	if ((begin <= here && here < end) || (begin <= own && own < end) || (begin <= thread && thread < end))
		return;
	prk_sys_madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* It would be the program's as long as either of them does not write to it. */
static void drop_memory(void)
{
	char text[4096];
	size_t have = 0;
	ssize_t n;
	int fd = SANITIZED ? -1 : prk_sys_open("/proc/self/maps", O_RDONLY, 0);

	if (fd < 0)
		return;
	while ((n = prk_sys_read(fd, text + have, sizeof text - 1 - have)) > 0) {
		have += (size_t)n;
		text[have] = 0;
		char *line = text, *end;
		while ((end = strchr(line, '\n')) != NULL) {
			*end = 0;
			drop_mapping(line);
			line = end + 1;
		}
		have = strlen(line);
		memmove(text, line, have);
		if (have == sizeof text - 1)
			have = 0;
	}
	prk_sys_close(fd);
}

/*
 * To 0 and 1, with no other descriptor in between but where they have changed places: the program may
 * have used up all that it may have.
 */
static int place(int socket, int program)
{
	if (program == SOCKET && socket == PROGRAM) {
		prk_sys_close(PIDFDS);
		socket = prk_sys_dup(socket, PIDFDS);
	}
	if (program == SOCKET)
		program = prk_sys_dup_to(program, PROGRAM) < 0 ? -1 : PROGRAM;
	if (socket < 0 || program < 0 || prk_sys_dup_to(socket, SOCKET) < 0)
		return -EBADF;
	return prk_sys_dup_to(program, PROGRAM);
}

static void raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* A guard that cannot be one ends, and whoever enlists a daemon hears of it. */
static void leave_program(const int ends[2])
{
	raise_limit();
	if (place(ends[0], ends[1]) < 0)
		_exit(1);
	prk_sys_close_from(PIDFDS);
	setsid();
	prk_sys_set_name("prusik-guard");
	if (chdir("/") < 0)
		prk_sys_yield(); /* then it keeps a file system busy, which is no reason to fail */
	drop_memory();
}

/* ---- standing guard ---- */

struct watch {
	struct pollfd *fds; /* fds[i].fd is i, or -1: closed, and so skipped */
	uint32_t count;
};

static bool take_one(struct watch *watch, int flags)
{
	char byte;
	int fd = -1;
	unsigned int count = 1;
	ssize_t n = prk_sys_receive(SOCKET, &byte, 1, &fd, &count, flags);

	if (n == 0 && watch->fds[SOCKET].fd >= 0)
		watch->fds[SOCKET].fd = -1; /* the program has become another one, or wants no guard any more */
	if (n <= 0 || count == 0 || fd < 0 || (uint32_t)fd >= DAEMONS_MAX)
		return n == -EMFILE;
	while (watch->count < (uint32_t)fd)
		watch->fds[watch->count++].fd = -1;
	watch->fds[fd] = (struct pollfd){ .fd = fd, .events = POLLIN };
	if ((uint32_t)fd >= watch->count)
		watch->count = (uint32_t)fd + 1;
	return true;
}

/* Daemons that have ended. How many are left. */
static uint32_t forget_ended(struct watch *watch)
{
	uint32_t left = 0, last = PIDFDS;

	for (uint32_t i = PIDFDS; i < watch->count; i++) {
		if (watch->fds[i].fd >= 0 && (watch->fds[i].revents & POLLIN)) {
			prk_sys_close((int)i);
			watch->fds[i].fd = -1;
		}
		if (watch->fds[i].fd >= 0) {
			left++;
			last = i + 1;
		}
	}
	watch->count = last;
	return left;
}

static void end_daemons(struct watch *watch)
{
	uint32_t n = 0;
	int *pidfds = (int *)(void *)watch->fds; /* shorter than what it takes the place of */

	while (take_one(watch, MSG_DONTWAIT))
		;
	for (uint32_t i = PIDFDS; i < watch->count; i++)
		if (watch->fds[i].fd >= 0)
			pidfds[n++] = (int)i;
	int done = n > 0 ? prk_trees_kill(pidfds, n) : 0;
	for (uint32_t i = 0; done < 0 && i < n; i++) /* no memory: themselves at least */
		prk_sys_pidfd_signal(pidfds[i], SIGKILL);
}

static int be_guard(void *argument)
{
	struct watch watch = { .count = PIDFDS };
	void *memory;

	for (int call = 0; call < PRK_SYS_COUNT; call++)
		prk_sys_fail((enum prk_sys)call, 0, 0); /* those faults are the program's */
	leave_program(argument);
	if (prk_sys_zeroed(&memory, DAEMONS_MAX * sizeof *watch.fds) < 0)
		_exit(1);
	watch.fds = memory;
	for (uint32_t i = 0; i < PIDFDS; i++)
		watch.fds[i] = (struct pollfd){ .fd = (int)i, .events = POLLIN };
	for (;;) {
		if (prk_sys_poll(watch.fds, watch.count, PRUSIK_FOREVER) < 0)
			continue;
		if (watch.fds[PROGRAM].revents)
			break;
		uint32_t left = forget_ended(&watch);
		if (watch.fds[SOCKET].fd >= 0 && watch.fds[SOCKET].revents)
			take_one(&watch, 0);
		else if (watch.fds[SOCKET].fd < 0 && left == 0)
			break;
	}
	end_daemons(&watch);
	_exit(0);
}

/* ---- the program ---- */

static int start_guard_locked(struct prk_family *family)
{
	int ends[2];
	int r = prk_sys_socketpair(ends);

	if (r < 0)
		return r;
	int theirs[2] = { ends[1], family->self };
	r = prk_sys_clone_hidden(be_guard, theirs, &family->guard.pidfd);
	prk_sys_close(ends[1]);
	if (r < 0) {
		prk_sys_close(ends[0]);
		return r;
	}
	family->guard.socket = ends[0];
	family->guard.open = 1;
	return 0;
}

static int renew_guard_locked(struct prk_family *family)
{
	prk_helper_end(&family->guard);
	int r = start_guard_locked(family);

	for (struct prusik_process *process = family->first; r == 0 && process; process = process->next)
		if (process->daemon)
			r = prk_sys_send(family->guard.socket, "", 1, &process->pidfd, 1);
	return r;
}

int prk_guard_ensure(struct prk_family *family)
{
	prk_futex_lock(&family->lock);
	int r = prk_helper_lives(&family->guard) ? 0 : renew_guard_locked(family);
	prk_futex_unlock(&family->lock);
	return r;
}

int prk_guard_enlist(struct prk_family *family, int pidfd)
{
	int r = prk_sys_send(family->guard.socket, "", 1, &pidfd, 1);

	if (r != -EPIPE && r != -ECONNRESET)
		return r;
	r = prk_guard_ensure(family); /* it was killed just now */
	return r < 0 ? r : prk_sys_send(family->guard.socket, "", 1, &pidfd, 1);
}
