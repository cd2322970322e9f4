/* SPDX-License-Identifier: MIT */
/*
 * signal: what is set for each, and the handler that all of them have
 *
 * Function and context belong together, in a record that is replaced as one: so a child
 * that forks between any two stores has one or the other.
 */
#include "task/signal.h"

#include "base/sys.h"
#include "base/sys_signal.h"

#include <errno.h>

static struct prk_signal_action ignored;

/* NULL: default. Written under the lock. */
static struct prk_signal_action *actions[PRUSIK_SIGNAL_MAX + 1];

/* ---- which signals ---- */

static bool exists(int signal)
{
	return signal >= 1 && signal <= PRUSIK_SIGNAL_MAX && (prk_sys_signals() & PRUSIK_SIGNAL_BIT(signal));
}

static bool settable(int signal)
{
	return exists(signal) && signal != SIGKILL && signal != SIGSTOP;
}

static bool reports_fault(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL;
}

/* ---- the handler ---- */

static uint64_t value_of(const siginfo_t *info)
{
	if (info->si_signo == SIGCHLD && info->si_code > 0)
		return (uint64_t)info->si_status;
	return (uint64_t)(uintptr_t)info->si_value.sival_ptr;
}

/* Of a union, what counts for this code. */
void prk_signal_read(const siginfo_t *info, struct prusik_signal_info *ret_info)
{
	bool from_kernel = info->si_code > 0 && info->si_signo != SIGCHLD;
	bool has_value = info->si_signo == SIGCHLD ? info->si_code != SI_USER && info->si_code != SI_TKILL :
						     info->si_code < 0 && info->si_code != SI_TKILL;

	*ret_info = (struct prusik_signal_info){
		.signal = info->si_signo,
		.code = info->si_code,
		.thread = prk_sys_gettid(),
	};
	if (!from_kernel && info->si_code != SI_TIMER) {
		ret_info->pid = info->si_pid;
		ret_info->uid = info->si_uid;
	}
	if (has_value)
		ret_info->value = value_of(info);
}

static void arrive(const siginfo_t *info)
{
	struct prusik_signal_info ours;

	prk_signal_read(info, &ours);
	prk_signal_arrive(&ours);
}

/* ---- what is set ---- */

bool prk_signal_action_locked(int signal, struct prk_signal_action *ret_action)
{
	const struct prk_signal_action *action = actions[signal];

	if (action)
		*ret_action = *action;
	return action != NULL;
}

static struct prk_signal_action *replace_locked(int signal, struct prk_signal_action *action)
{
	struct prk_signal_action *before = actions[signal];

	actions[signal] = action;
	return before == &ignored ? NULL : before;
}

static int on_locked(int signal, struct prk_signal_action *action, struct prk_signal_action **ret_before)
{
	int r = prk_signal_start_locked();

	if (r < 0)
		return r;
	prk_sys_catch_here();
	/* Before: a child forked between the two has the default action, or this one. */
	*ret_before = replace_locked(signal, action);
	prk_sys_catch(signal, arrive); /* settable: cannot fail */
	return 0;
}

int prusik_signal_on(int signal, prusik_signal_function function, void *context)
{
	struct prk_signal_action *action, *gone = NULL;

	if (!settable(signal) || reports_fault(signal) || !function)
		return -EINVAL;
	action = prk_sys_calloc(sizeof *action);
	if (!action)
		return -ENOMEM;
	*action = (struct prk_signal_action){ function, context };
	prk_signal_lock();
	int r = on_locked(signal, action, &gone);
	prk_signal_unlock();
	prk_sys_free(r < 0 ? action : gone);
	return r;
}

static int uncatch(int signal, struct prk_signal_action *action, void (*handler)(int))
{
	struct prk_signal_action *gone = NULL;

	if (!settable(signal))
		return -EINVAL;
	prk_signal_lock();
	int r = prk_sys_uncatch(signal, handler);
	if (r == 0)
		gone = replace_locked(signal, action);
	prk_signal_unlock();
	prk_sys_free(gone);
	return r;
}

int prusik_signal_default(int signal)
{
	return uncatch(signal, NULL, SIG_DFL);
}

/* With SIG_IGN for SIGCHLD the kernel would reap children before they are joined. */
int prusik_signal_ignore(int signal)
{
	return uncatch(signal, &ignored, signal == SIGCHLD ? SIG_DFL : SIG_IGN);
}

static int get_locked(int signal, struct prk_signal_action *ret_action)
{
	switch (prk_sys_disposition(signal)) {
	case PRK_DISPOSED_CAUGHT:
		prk_signal_action_locked(signal, ret_action);
		return PRUSIK_SIGNAL_ON;
	case PRK_DISPOSED_DEFAULT:
		return actions[signal] == &ignored ? PRUSIK_SIGNAL_IGNORED : PRUSIK_SIGNAL_DEFAULT;
	case PRK_DISPOSED_IGNORED:
		return PRUSIK_SIGNAL_IGNORED;
	default:
		return PRUSIK_SIGNAL_FOREIGN;
	}
}

int prusik_signal_get(int signal, prusik_signal_function *ret_function, void **ret_context)
{
	struct prk_signal_action action = { NULL, NULL };

	if (!exists(signal))
		return -EINVAL;
	prk_signal_lock();
	int r = get_locked(signal, &action);
	prk_signal_unlock();
	if (r == PRUSIK_SIGNAL_ON && ret_function)
		*ret_function = action.function;
	if (r == PRUSIK_SIGNAL_ON && ret_context)
		*ret_context = action.context;
	return r;
}
