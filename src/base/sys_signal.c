/* SPDX-License-Identifier: MIT */
#include "base/sys_signal.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define SET_BYTES 8
#define FIRST_INTERNAL 32

_Static_assert(_NSIG == 65, "a set is 64 bits");

static int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

/* ---- sets ---- */

static uint64_t bits_below(int signal)
{
	return (UINT64_C(1) << (signal - 1)) - 1;
}

uint64_t prk_sys_signals(void)
{
	return ~(bits_below(SIGRTMIN) & ~bits_below(FIRST_INTERNAL));
}

uint64_t prk_sys_signal_mask(int how, uint64_t set)
{
	uint64_t before = 0;

	set &= prk_sys_signals();
	syscall(SYS_rt_sigprocmask, how, &set, &before, SET_BYTES);
	return before;
}

uint64_t prk_sys_signals_pending(void)
{
	uint64_t set = 0;

	syscall(SYS_rt_sigpending, &set, SET_BYTES);
	return set;
}

/* ---- handlers ---- */

static void (*catcher)(const siginfo_t *info);
static uint32_t catching_pid;

/* As exec would have done it, for this child alone; the signal comes again when the handler is left. */
static void be_default(int signal, siginfo_t *info)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(signal, &action, NULL);
	syscall(SYS_rt_tgsigqueueinfo, getpid(), prk_sys_gettid(), signal, info);
}

static void handle(int signal, siginfo_t *info, void *unused)
{
	int before = errno;

	(void)unused;
	if (prk_load32_rlx(&catching_pid) == (uint32_t)getpid())
		catcher(info);
	else
		be_default(signal, info);
	errno = before;
}

void prk_sys_catch_here(void)
{
	prk_store32_rlx(&catching_pid, (uint32_t)getpid());
}

int prk_sys_catch(int signal, void (*caught)(const siginfo_t *info))
{
	struct sigaction action = { .sa_sigaction = handle };

	if (catcher != caught)
		catcher = caught;
	action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
	sigfillset(&action.sa_mask);
	return result(sigaction(signal, &action, NULL));
}

int prk_sys_uncatch(int signal, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	return result(sigaction(signal, &action, NULL));
}

int prk_sys_disposition(int signal)
{
	struct sigaction action;

	if (sigaction(signal, NULL, &action) < 0)
		return -errno;
	if ((action.sa_flags & SA_SIGINFO) && action.sa_sigaction == handle)
		return PRK_DISPOSED_CAUGHT;
	if (action.sa_handler == SIG_DFL)
		return PRK_DISPOSED_DEFAULT;
	return action.sa_handler == SIG_IGN ? PRK_DISPOSED_IGNORED : PRK_DISPOSED_FOREIGN;
}

/* ---- sending, waiting ---- */

int prk_sys_signal(pid_t pid, int signal)
{
	return result(kill(pid, signal));
}

int prk_sys_signal_queue(pid_t pid, int signal, uint64_t value)
{
	return result(sigqueue(pid, signal, (union sigval){ .sival_ptr = (void *)(uintptr_t)value }));
}

/* The kernel wants the time that is left. */
static int wait_once(uint64_t set, siginfo_t *ret_info, int64_t deadline)
{
	struct timespec ts, *left = NULL;

	if (deadline != PRUSIK_FOREVER)
		left = prk_timespec(deadline <= PRUSIK_NOW ? 0 : deadline - prusik_now(), &ts);
	return result(syscall(SYS_rt_sigtimedwait, &set, ret_info, left, SET_BYTES));
}

int prk_sys_signal_descriptor(uint64_t set)
{
	int fault = prk_sys_gate(PRK_SYS_OPEN);

	return fault ? fault : result(syscall(SYS_signalfd4, -1, &set, SET_BYTES, O_CLOEXEC | O_NONBLOCK));
}

int prk_sys_signal_wait(uint64_t set, siginfo_t *ret_info, int64_t deadline)
{
	int r;

	do
		r = wait_once(set, ret_info, deadline);
	while (r == -EINTR);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

int64_t prk_sys_alarm(int64_t nanoseconds)
{
	struct itimerval new = { .it_value = { 0, 0 } }, left = { .it_value = { 0, 0 } };

	new.it_value.tv_sec = nanoseconds / NS_PER_S;
	new.it_value.tv_usec = (nanoseconds % NS_PER_S + 999) / 1000;
	if (new.it_value.tv_usec == 1000000) {
		new.it_value.tv_sec++;
		new.it_value.tv_usec = 0;
	}
	if (setitimer(ITIMER_REAL, &new, &left) < 0)
		return -errno;
	if (left.it_value.tv_sec > PRUSIK_FOREVER / NS_PER_S - 1)
		return PRUSIK_FOREVER;
	return left.it_value.tv_sec * NS_PER_S + left.it_value.tv_usec * 1000;
}
