/* SPDX-License-Identifier: MIT */
#include "base/sys.h"

#include "base/atomic.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

/* Which calls are to fail; all 0 outside tests. */
static uint32_t fault_armed;
static uint32_t fault_countdown[PRK_SYS_COUNT];
static uint32_t fault_error[PRK_SYS_COUNT];

void prk_sys_fail(enum prk_sys call, uint32_t nth, int error)
{
	prk_store32_rlx(&fault_error[call], (uint32_t)error);
	prk_store32_rlx(&fault_countdown[call], nth);
	prk_store32_rlx(&fault_armed, 1);
}

static int fault_due(enum prk_sys call)
{
	uint32_t left = prk_load32_rlx(&fault_countdown[call]);

	while (left > 0)
		if (prk_cas32_rlx(&fault_countdown[call], &left, left - 1))
			return left == 1 ? -(int)prk_load32_rlx(&fault_error[call]) : 0;
	return 0;
}

int prk_sys_gate(enum prk_sys call)
{
	if (__builtin_expect(prk_load32_rlx(&fault_armed) == 0, 1))
		return 0;
	int error = fault_due(call);
	return error ? error : fault_due(PRK_SYS_ANY);
}

static int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

int prk_sys_open(const char *path, int flags, mode_t mode)
{
	return prk_sys_openat(AT_FDCWD, path, flags, mode);
}

int prk_sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	int fault = prk_sys_gate(PRK_SYS_OPEN);
	return fault ? fault : result(openat(dir, path, flags | O_CLOEXEC, mode));
}

int prk_sys_close(int fd)
{
	return result(close(fd));
}

int prk_sys_mmap(void **ret_address, size_t length, int prot, int flags, int fd, off_t offset)
{
	int fault = prk_sys_gate(PRK_SYS_MMAP);
	if (fault)
		return fault;
	void *address = mmap(NULL, length, prot, flags, fd, offset);
	if (address == MAP_FAILED)
		return -errno;
	*ret_address = address;
	return 0;
}

int prk_sys_munmap(void *address, size_t length)
{
	return result(munmap(address, length));
}

int prk_sys_mmap_at(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	int fault = prk_sys_gate(PRK_SYS_MMAP);
	return fault ? fault :
		       result(mmap(address, length, prot, flags | MAP_FIXED, fd, offset) == MAP_FAILED ? -1 : 0);
}

int prk_sys_madvise(void *address, size_t length, int advice)
{
	int fault = prk_sys_gate(PRK_SYS_MADVISE);
	return fault ? fault : result(madvise(address, length, advice));
}

int prk_sys_fallocate(int fd, off_t offset, off_t length)
{
	int fault = prk_sys_gate(PRK_SYS_FALLOCATE);
	if (fault)
		return fault;
	int r;
	do
		r = result(fallocate(fd, 0, offset, length));
	while (r == -EINTR);
	return r;
}

int prk_sys_ftruncate(int fd, off_t length)
{
	int fault = prk_sys_gate(PRK_SYS_FTRUNCATE);
	return fault ? fault : result(ftruncate(fd, length));
}

int prk_sys_fstat(int fd, struct stat *ret_stat)
{
	int fault = prk_sys_gate(PRK_SYS_FSTAT);
	return fault ? fault : result(fstat(fd, ret_stat));
}

int prk_sys_fstatat(int dir, const char *path, struct stat *ret_stat)
{
	int fault = prk_sys_gate(PRK_SYS_FSTAT);
	return fault ? fault : result(fstatat(dir, path, ret_stat, AT_SYMLINK_NOFOLLOW));
}

int prk_sys_flock(int fd, int operation)
{
	int r = prk_sys_gate(PRK_SYS_FLOCK);

	if (r)
		return r;
	do
		r = result(flock(fd, operation));
	while (r == -EINTR);
	return r;
}

int prk_sys_mkdir(const char *path, mode_t mode)
{
	int fault = prk_sys_gate(PRK_SYS_MKDIR);
	return fault ? fault : result(mkdir(path, mode));
}

int prk_sys_link_fd(int fd, int dir, const char *path)
{
	int fault = prk_sys_gate(PRK_SYS_LINK);
	if (fault)
		return fault;
	char self[32];
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	return result(linkat(AT_FDCWD, self, dir, path, AT_SYMLINK_FOLLOW));
}

int prk_sys_unlinkat(int dir, const char *path)
{
	int fault = prk_sys_gate(PRK_SYS_UNLINK);
	return fault ? fault : result(unlinkat(dir, path, 0));
}

int prk_sys_memfd(const char *name)
{
	int fault = prk_sys_gate(PRK_SYS_MEMFD);
	return fault ? fault : result(memfd_create(name, MFD_CLOEXEC));
}

ssize_t prk_sys_pread(int fd, void *buffer, size_t length, off_t offset)
{
	int fault = prk_sys_gate(PRK_SYS_PREAD);
	if (fault)
		return fault;
	ssize_t n = pread(fd, buffer, length, offset);
	return n < 0 ? -errno : n;
}

int prk_sys_tgkill(pid_t pid, pid_t tid, int signal)
{
	return result(syscall(SYS_tgkill, pid, tid, signal));
}

pid_t prk_sys_gettid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* libc keeps the number, and shows it in the thread's clock: its complement, over three other bits. */
pid_t prk_sys_tid_of_new_thread(void)
{
	clockid_t clock;

	if (pthread_getcpuclockid(pthread_self(), &clock) != 0)
		return prk_sys_gettid();
	return (pid_t) ~(clock >> 3);
}

struct robust_list_head *prk_sys_robust_head(void)
{
	struct robust_list_head *head = NULL;
	size_t length;

	if (syscall(SYS_get_robust_list, 0, &head, &length) < 0)
		return NULL;
	return head;
}

int prk_sys_set_robust_head(struct robust_list_head *head)
{
	return result(syscall(SYS_set_robust_list, head, sizeof *head));
}

int prk_sys_futex_wake(uint32_t *word, int count)
{
	return result(syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0));
}

int prk_sys_futex_wake_op(uint32_t *word, int count, int operation, uint32_t argument)
{
	/* Wakes on the second word too, if a comparison holds: none (count 0) here. */
	uint32_t encoded = (uint32_t)operation << 28 | (argument & 0xfff) << 12;

	return result(syscall(SYS_futex, word, FUTEX_WAKE_OP, count, (void *)0, word, encoded));
}

int prk_sys_futex_wait(uint32_t *word, uint32_t value, int64_t deadline)
{
	struct timespec ts, *until = prk_timespec(deadline, &ts);

	/* WAIT_BITSET takes the deadline as an absolute time; WAIT would not. */
	return result(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, until, NULL, FUTEX_BITSET_MATCH_ANY));
}

int prk_sys_futex_waitv(const struct prk_futex *words, unsigned int count, int64_t deadline)
{
	/* The kernel's struct futex_waitv; the headers of Debian 12 have it, older ones do not. */
	struct {
		uint64_t value, word;
		uint32_t flags, reserved;
	} v[PRK_WAITV_MAX];
	struct timespec ts, *until = prk_timespec(deadline, &ts);
	int fault = prk_sys_gate(PRK_SYS_FUTEX_WAITV);

	if (fault)
		return fault;
	for (unsigned int i = 0; i < count; i++) {
		v[i].value = words[i].value;
		v[i].word = (uintptr_t)words[i].word;
		v[i].flags = 2; /* 32 bits, shared */
		v[i].reserved = 0;
	}
	return result(syscall(SYS_futex_waitv, v, count, 0, until, CLOCK_MONOTONIC));
}

pid_t prk_sys_fork(void)
{
	int fault = prk_sys_gate(PRK_SYS_FORK);
	return fault ? fault : result(fork());
}

int prk_sys_pidfd_open(pid_t pid)
{
	int fault = prk_sys_gate(PRK_SYS_PIDFD_OPEN);
	return fault ? fault : result(syscall(SYS_pidfd_open, pid, 0));
}

int prk_sys_pidfd_signal(int pidfd, int signal)
{
	return result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

int prk_sys_waitid(idtype_t type, id_t id, siginfo_t *ret_info, int options)
{
	int r = prk_sys_gate(PRK_SYS_WAITID);
	if (r)
		return r;
	do {
		ret_info->si_pid = 0;
		r = result(waitid(type, id, ret_info, options));
	} while (r == -EINTR);
	return r;
}

/* ppoll wants the time that is left, not the time when it is over. */
static int poll_once(struct pollfd *poll_fd, int64_t deadline)
{
	struct timespec ts, *left = NULL;

	if (deadline != PRUSIK_FOREVER) {
		int64_t ahead = deadline <= PRUSIK_NOW ? 0 : deadline - prusik_now();
		left = prk_timespec(ahead, &ts);
	}
	return result(ppoll(poll_fd, 1, left, NULL));
}

int prk_sys_poll_readable(int fd, int64_t deadline)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int r = prk_sys_gate(PRK_SYS_POLL);
	if (r)
		return r;
	do
		r = poll_once(&poll_fd, deadline);
	while (r == -EINTR);
	if (r < 0)
		return r;
	if (r == 0)
		return -ETIMEDOUT;
	return poll_fd.revents & POLLNVAL ? -EBADF : 0;
}

int prk_sys_set_name(const char *name)
{
	return result(prctl(PR_SET_NAME, name, 0, 0, 0));
}

int prk_sys_set_parent_death_signal(int signal)
{
	return result(prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0));
}

#define HELPER_STACK ((size_t)256 << 10)

int prk_sys_helper_thread(void *(*function)(void *), void *argument, const char *name)
{
	int r = prk_sys_gate(PRK_SYS_THREAD);
	if (r)
		return r;
	pthread_attr_t attr;
	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	pthread_attr_setstacksize(&attr, HELPER_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

	/* Signals are the program's business: none may land on the helper. */
	sigset_t all, before;
	pthread_t thread;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attr, function, argument);
	if (r == 0)
		pthread_setname_np(thread, name);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

/*
 * libc says EAGAIN for a lack of memory too. What the system said before is in
 * errno.
 */
static int create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*function)(void *), void *argument)
{
	int before = errno;

	errno = 0;
	int r = pthread_create(ret_thread, attr, function, argument);
	if (r == EAGAIN && errno == ENOMEM)
		r = ENOMEM;
	errno = before;
	return -r;
}

int prk_sys_thread(pthread_t *ret_thread, size_t stack_size, void *(*function)(void *), void *argument)
{
	pthread_attr_t attr;
	int r = prk_sys_gate(PRK_SYS_THREAD);

	if (r)
		return r;
	if (stack_size == 0)
		return create(ret_thread, NULL, function, argument);
	if (stack_size > PTRDIFF_MAX)
		return -ENOMEM;
	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	r = -pthread_attr_setstacksize(&attr, stack_size);
	if (r == 0)
		r = create(ret_thread, &attr, function, argument);
	pthread_attr_destroy(&attr);
	return r;
}

int prk_sys_set_name_of(pid_t tid, const char *name)
{
	char path[48];
	snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
	int fd = prk_sys_open(path, O_WRONLY, 0);
	if (fd < 0)
		return fd;
	int r = result(write(fd, name, strnlen(name, 15)));
	prk_sys_close(fd);
	return r < 0 ? r : 0;
}

void prk_sys_yield(void)
{
	sched_yield();
}

int prk_sys_zeroed(void **ret_memory, size_t size)
{
	return prk_sys_mmap(ret_memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);
}

void prk_sys_zeroed_free(void *memory, size_t size)
{
	prk_sys_munmap(memory, size);
}

int prk_sys_random(void *buffer, size_t length)
{
	ssize_t n;
	int fault = prk_sys_gate(PRK_SYS_RANDOM);

	if (fault)
		return fault;
	do
		n = getrandom(buffer, length, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -EIO;
}

/* Zeros of this size are made faster by us: libc's calloc leaves out the thread's cache of freed memory. */
#define SMALL ((size_t)1024)

void *prk_sys_calloc(size_t size)
{
	if (prk_sys_gate(PRK_SYS_MALLOC))
		return NULL;
	if (size > SMALL)
		return calloc(1, size);
	void *memory = malloc(size);
	prk_barrier(); /* else the compiler makes a calloc of the two */
	return memory ? memset(memory, 0, size) : NULL;
}

void prk_sys_free(void *memory)
{
	free(memory);
}
