/* SPDX-License-Identifier: MIT */
/*
 * sys_signal - the system calls that have to do with signals
 *
 * As in sys.h. Sets are the kernel's own: bit signal - 1. What glibc keeps for itself is
 * never blocked.
 */
#ifndef PRK_BASE_SYS_SIGNAL_H
#define PRK_BASE_SYS_SIGNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Signals that a program may use: all but glibc's own. */
uint64_t prk_sys_signals(void);

/* how: SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK. What was blocked before. */
uint64_t prk_sys_signal_mask(int how, uint64_t set);
uint64_t prk_sys_signals_pending(void);

/*
 * Let caught(info) be called, in the thread that the kernel chooses, with all signals
 * blocked, and errno kept. In a child that shares memory with this process it is not
 * called, and the signal has its default effect: see prk_sys_catch_here.
 */
int prk_sys_catch(int signal, void (*caught)(const siginfo_t *info));
/* Signals are caught for the calling process, and not for those it is a copy of. */
void prk_sys_catch_here(void);
/* handler: SIG_DFL or SIG_IGN. */
int prk_sys_uncatch(int signal, void (*handler)(int));

enum prk_disposition {
	PRK_DISPOSED_DEFAULT,
	PRK_DISPOSED_IGNORED,
	PRK_DISPOSED_CAUGHT,
	PRK_DISPOSED_FOREIGN,
};
/* enum prk_disposition, or -EINVAL. */
int prk_sys_disposition(int signal);

/* To a process or group (pid < 0), as kill(2). */
int prk_sys_signal(pid_t pid, int signal);
int prk_sys_signal_queue(pid_t pid, int signal, uint64_t value);

/* One of set, which the caller blocks: its number, -ETIMEDOUT. Not ended by other signals. */
int prk_sys_signal_wait(uint64_t set, siginfo_t *ret_info, int64_t deadline);
/* Polls readable while one of set, which the caller blocks, is there for it. */
int prk_sys_signal_descriptor(uint64_t set);

/* SIGALRM in so many ns (0: never); how many were left of the one before. */
int64_t prk_sys_alarm(int64_t nanoseconds);

#endif
