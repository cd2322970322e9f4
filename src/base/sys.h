/* SPDX-License-Identifier: MIT */
/*
 * sys - the system calls that the library makes, each returning -errno
 *
 * Above this file nobody reads or sets errno. Each wrapper passes prk_sys_gate
 * first, so that a test can make the Nth call of a kind, or of any, fail
 * (prk_sys_fail). The gate costs one predictable branch.
 */
#ifndef PRK_BASE_SYS_H
#define PRK_BASE_SYS_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

enum prk_sys {
	PRK_SYS_ANY, /* in prk_sys_fail: whichever call comes Nth */
	PRK_SYS_OPEN,
	PRK_SYS_MMAP,
	PRK_SYS_MADVISE,
	PRK_SYS_FALLOCATE,
	PRK_SYS_FTRUNCATE,
	PRK_SYS_FSTAT,
	PRK_SYS_MKDIR,
	PRK_SYS_LINK,
	PRK_SYS_UNLINK,
	PRK_SYS_MEMFD,
	PRK_SYS_PREAD,
	PRK_SYS_FLOCK,
	PRK_SYS_FUTEX_WAITV,
	PRK_SYS_THREAD, /* starting a thread */
	PRK_SYS_FORK,
	PRK_SYS_PIDFD_OPEN,
	PRK_SYS_WAITID,
	PRK_SYS_POLL,
	PRK_SYS_MALLOC,
	PRK_SYS_EXEC,
	PRK_SYS_PIPE,
	PRK_SYS_SOCKET,
	PRK_SYS_DUP,
	PRK_SYS_READ,
	PRK_SYS_WRITE,
	PRK_SYS_SEND,
	PRK_SYS_RECEIVE,
	PRK_SYS_RANDOM,
	PRK_SYS_PIDFD_INFO,
	PRK_SYS_COUNT,
};

/*
 * For tests: let the Nth call of this kind from now on (1 = the next) return
 * -error, once. nth 0 takes that back.
 */
void prk_sys_fail(enum prk_sys call, uint32_t nth, int error);

/* For the wrappers themselves. 0: go on; else what the call is to return. */
int prk_sys_gate(enum prk_sys call);

int prk_sys_open(const char *path, int flags, mode_t mode);
int prk_sys_openat(int dir, const char *path, int flags, mode_t mode);
int prk_sys_close(int fd);
int prk_sys_mmap(void **ret_address, size_t length, int prot, int flags, int fd, off_t offset);
/* The same at an address that is ours already; whatever was there is gone. */
int prk_sys_mmap_at(void *address, size_t length, int prot, int flags, int fd, off_t offset);
int prk_sys_munmap(void *address, size_t length);
int prk_sys_madvise(void *address, size_t length, int advice);
int prk_sys_fallocate(int fd, off_t offset, off_t length);
int prk_sys_ftruncate(int fd, off_t length);
int prk_sys_fstat(int fd, struct stat *ret_stat);
int prk_sys_mkdir(const char *path, mode_t mode);
/* Give the nameless file fd (O_TMPFILE) the name path in dir; -EEXIST if taken. */
int prk_sys_link_fd(int fd, int dir, const char *path);
int prk_sys_unlinkat(int dir, const char *path);
int prk_sys_memfd(const char *name);
/* Not following a link. */
int prk_sys_fstatat(int dir, const char *path, struct stat *ret_stat);
/* Operation as of flock(2); -EAGAIN: LOCK_NB, and somebody has it. Not ended by a signal. */
int prk_sys_flock(int fd, int operation);
ssize_t prk_sys_pread(int fd, void *buffer, size_t length, off_t offset);
int prk_sys_tgkill(pid_t pid, pid_t tid, int signal);
pid_t prk_sys_gettid(void);
/* The same in a thread that pthread_create has just made, without a system call. */
pid_t prk_sys_tid_of_new_thread(void);

/* The head of the calling thread's robust list, or NULL (see life.c). */
struct robust_list_head;
struct robust_list_head *prk_sys_robust_head(void);
int prk_sys_set_robust_head(struct robust_list_head *head);

/* Process-shared futexes. wake returns how many were woken. */
int prk_sys_futex_wake(uint32_t *word, int count);
/* *word = argument (operation 0), += (1) or |= (2), then wake, in one call; argument below 2048. */
int prk_sys_futex_wake_op(uint32_t *word, int count, int operation, uint32_t argument);
/* Until *word != value, woken (0), -EAGAIN (it differed), -EINTR, -ETIMEDOUT. deadline absolute. */
int prk_sys_futex_wait(uint32_t *word, uint32_t value, int64_t deadline);

struct prk_futex {
	uint32_t *word;
	uint32_t value;
};
#define PRK_WAITV_MAX 128
/* The same on several words at once: the index of the last one woken, -ENOSYS where it is missing. */
int prk_sys_futex_waitv(const struct prk_futex *words, unsigned int count, int64_t deadline);

/* fork; 0 in the child. */
pid_t prk_sys_fork(void);
int prk_sys_pidfd_open(pid_t pid);
int prk_sys_pidfd_signal(int pidfd, int signal);
/* Not ended by a signal. With WNOHANG, and none has ended: 0, and si_pid is 0. */
int prk_sys_waitid(idtype_t type, id_t id, siginfo_t *ret_info, int options);
/* Until fd is readable: 0, or -ETIMEDOUT at the absolute deadline. Not ended by a signal. */
int prk_sys_poll_readable(int fd, int64_t deadline);

/* The calling thread's name, cut to 15 bytes. */
int prk_sys_set_name(const char *name);
/* The signal that the calling process gets when the thread that forked it ends. */
int prk_sys_set_parent_death_signal(int signal);

/* A detached thread with all signals blocked and a small stack. */
int prk_sys_helper_thread(void *(*function)(void *), void *argument, const char *name);

/*
 * A joinable thread; stack_size 0: the process's. -EAGAIN: too many threads,
 * -ENOMEM: no memory for its stack, -EINVAL: a stack too small.
 */
int prk_sys_thread(pthread_t *ret_thread, size_t stack_size, void *(*function)(void *), void *argument);
/* The name, cut to 15 bytes, of another thread of this process. */
int prk_sys_set_name_of(pid_t tid, const char *name);
void prk_sys_yield(void);

/* Zeroed private pages, untouched until used. */
int prk_sys_zeroed(void **ret_memory, size_t size);
void prk_sys_zeroed_free(void *memory, size_t size);

/* Up to 256 bytes that nobody can guess. */
int prk_sys_random(void *buffer, size_t length);

/* Zeroed memory, or NULL. */
void *prk_sys_calloc(size_t size);
void prk_sys_free(void *memory);

#endif
