/* SPDX-License-Identifier: MIT */
/* signal: sending, blocking, waiting, the alarm: the kernel's own, with errors and deadlines as here. */
#include "task/signal.h"

#include "base/flag.h"
#include "base/sys.h"
#include "base/sys_signal.h"
#include "base/wait_fd.h"
#include "task/thread.h"

#include <errno.h>
#include <unistd.h>

/* How often one who heeds a token looks at it, when he has no descriptor to sleep on. */
#define SLICE INT64_C(10000000)

#define UNBLOCKABLE (PRUSIK_SIGNAL_BIT(SIGKILL) | PRUSIK_SIGNAL_BIT(SIGSTOP))

bool prk_signal_sendable(int signal)
{
	return signal == 0 ||
	       (signal > 0 && signal <= PRUSIK_SIGNAL_MAX && (prk_sys_signals() & PRUSIK_SIGNAL_BIT(signal)));
}

/* ---- sending ---- */

int prusik_signal_raise(int signal)
{
	return prk_signal_sendable(signal) ? prk_sys_signal(getpid(), signal) : -EINVAL;
}

int prusik_signal_kill(int pid, int signal)
{
	return prk_signal_sendable(signal) && pid > 0 ? prk_sys_signal(pid, signal) : -EINVAL;
}

/* kill(-1) would mean everybody, so the group 1 cannot be named. */
int prusik_signal_kill_group(int group, int signal)
{
	if (!prk_signal_sendable(signal) || group < 1)
		return -EINVAL;
	return group == 1 ? -ESRCH : prk_sys_signal(-group, signal);
}

int prusik_signal_queue(int pid, int signal, uint64_t value)
{
	return prk_signal_sendable(signal) && pid > 0 ? prk_sys_signal_queue(pid, signal, value) : -EINVAL;
}

/* While it is in the list its number is its own. */
static int kill_thread_locked(const struct prusik_thread *thread, int native, int signal)
{
	if (!thread->back || prk_thread_elsewhere(thread))
		return -ESRCH;
	return prk_sys_tgkill(getpid(), native, signal);
}

int prusik_signal_kill_thread(struct prusik_thread *thread, int signal)
{
	if (!thread || !prk_signal_sendable(signal))
		return -EINVAL;
	int native = prusik_thread_native_id(thread);
	if (native < 0)
		return native;
	prk_threads_lock();
	int r = kill_thread_locked(thread, native, signal);
	prk_threads_unlock();
	return r;
}

/* ---- blocking ---- */

static int change_mask(int how, uint64_t set, uint64_t *ret_before)
{
	uint64_t before = prk_sys_signal_mask(how, set);

	prk_signal_mask_changed(how == SIG_BLOCK ? before | (set & prk_sys_signals()) : before & ~set);
	if (ret_before)
		*ret_before = before;
	return 0;
}

int prusik_signal_block(uint64_t set, uint64_t *ret_before)
{
	return change_mask(SIG_BLOCK, set, ret_before);
}

int prusik_signal_unblock(uint64_t set, uint64_t *ret_before)
{
	return change_mask(SIG_UNBLOCK, set, ret_before);
}

uint64_t prusik_signal_mask(void)
{
	return prk_sys_signal_mask(SIG_BLOCK, 0);
}

uint64_t prusik_signal_pending(void)
{
	return prk_sys_signals_pending();
}

/* ---- waiting ---- */

/* Until one of set may be there: a hint, since another thread may take it. */
static int wait_by_descriptor(int fd, uint64_t set, int64_t deadline, siginfo_t *ret_info)
{
	int r;

	do
		r = prk_sys_signal_wait(set, ret_info, PRUSIK_NOW);
	while (r == -ETIMEDOUT && (r = prk_wait_readable(fd, deadline)) == 0);
	return r;
}

/* Without a descriptor the token is looked at from time to time. */
static int wait_in_slices(uint32_t *token, uint64_t set, int64_t deadline, siginfo_t *ret_info)
{
	for (;;) {
		uint32_t began = prk_load32_acq(token); /* acq [flag] */
		int64_t slice = prusik_in_ns(SLICE);
		int r = prk_sys_signal_wait(set, ret_info, PRUSIK_NOW);
		if (r != -ETIMEDOUT || deadline == PRUSIK_NOW)
			return r;
		if (began & PRK_FLAG_SET)
			return -ECANCELED;
		r = prk_sys_signal_wait(set, ret_info, deadline < slice ? deadline : slice);
		if (r != -ETIMEDOUT)
			return r;
		if (prk_flag_passed(token, began))
			return -ECANCELED;
		if (prusik_now() >= deadline)
			return -ETIMEDOUT;
	}
}

static int wait_heeding(uint64_t set, int64_t deadline, siginfo_t *ret_info)
{
	int fd = deadline == PRUSIK_NOW ? -EMFILE : prk_sys_signal_descriptor(set);

	if (fd < 0)
		return wait_in_slices(prk_cancel_here, set, deadline, ret_info);
	int r = wait_by_descriptor(fd, set, deadline, ret_info);
	prk_sys_close(fd);
	return r;
}

int prusik_signal_wait(uint64_t set, int64_t deadline, struct prusik_signal_info *ret_info)
{
	siginfo_t info;

	if (set == 0 || (set & (UNBLOCKABLE | ~prk_sys_signals())) || (set & ~prusik_signal_mask()))
		return -EINVAL;
	int r = prk_cancel_here ? wait_heeding(set, deadline, &info) : prk_sys_signal_wait(set, &info, deadline);
	if (r > 0 && ret_info)
		prk_signal_read(&info, ret_info);
	return r;
}

int64_t prusik_signal_alarm(int64_t nanoseconds)
{
	return nanoseconds < 0 ? -EINVAL : prk_sys_alarm(nanoseconds);
}
