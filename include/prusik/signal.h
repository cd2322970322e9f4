/* SPDX-License-Identifier: MIT */
/*
 * signal - functions for signals, called in ordinary context; sending and waiting
 *
 *	static void stop(const struct prusik_signal_info *info, void *server) {
 *		printf("signal %d from process %d\n", info->signal, info->pid);    // printf is fine
 *		prusik_cancel_set(&((struct server *)server)->stop);
 *	}
 *
 *	r = prusik_signal_on(SIGTERM, stop, &server);          // from any thread
 *
 * A function set with prusik_signal_on is never called inside an asynchronous handler,
 * but by a thread between two things it does: it may allocate, print, take locks. Which
 * thread: the library's own, which is started by the first prusik_signal_on; or, once
 * the program has called prusik_signal_dispatch, the threads that do so, while they are
 * in it, and nobody else until prusik_signal_hand_back. The library's own thread calls
 * one function after the other, in the order in which their signals arrived.
 *
 * How. The library installs a handler (SA_RESTART) that puts the signal into a list and
 * goes; it runs in whichever thread the kernel chooses. The signal masks of the program's
 * threads are not touched: so there is nothing that threads already running would lack,
 * and nothing that could leak into programs started by whatever means. What
 * follows from that:
 *
 *   - Each signal that the kernel delivers leads to one call. The kernel merges what is
 *     sent of one number while one is pending, but not realtime signals (SIGRTMIN to
 *     SIGRTMAX): of these none is lost. Those of one number are called for in the order
 *     in which they were sent, as long as one thread alone has that number unblocked
 *     (several could overtake each other on the way to the list).
 *   - What has arrived and is not handled takes 40 bytes each. Beyond 65,536 of them the
 *     handler pauses for a millisecond each time, so that the kernel's own queue fills
 *     and who sends too fast is told -EAGAIN.
 *   - A signal that all threads of the program block waits until one unblocks it. The
 *     library's thread blocks all, except while it is in a function: that runs with the
 *     mask of the thread that called prusik_signal_on first (as it has since changed it
 *     with prusik_signal_block), and with realtime signals blocked; what the function
 *     starts inherits that.
 *   - System calls of the program that a handler interrupts are restarted, but for those
 *     that never are (poll, nanosleep, ...: signal(7)). Of this library, none returns -EINTR.
 *   - SIGSEGV, SIGBUS, SIGFPE and SIGILL, when they report a fault, cannot be handled in
 *     ordinary context: the faulty instruction would come first. They are refused, as
 *     SIGKILL and SIGSTOP are. abort() does not wait for a function for SIGABRT.
 *
 * fork: the child has the functions, and a thread of its own to call them (unless the
 * program has called prusik_signal_dispatch: then it is the child that must). What had
 * arrived for the parent is not handled in it, and timers are not there. A function, or
 * timer, that forks in the library's thread must not return in the child; it
 * would end as by exit(0). A child made by vfork, _Fork or clone has the default actions.
 *
 * exec: the new program has the default action where a function was set, and the signal
 * mask of the thread that called exec. What was ignored stays ignored there, as ever.
 *
 * kill -9: all of it is the process's own; nothing is left of it.
 *
 * Async-signal-safe: prusik_signal_raise, prusik_signal_kill, prusik_signal_kill_group,
 * prusik_signal_queue, prusik_signal_alarm, prusik_signal_block, prusik_signal_unblock,
 * prusik_signal_mask, prusik_signal_pending, prusik_signal_list, prusik_signal_name,
 * prusik_signal_number. The others: not.
 */
#ifndef PRUSIK_SIGNAL_H
#define PRUSIK_SIGNAL_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define PRUSIK_SIGNAL_MAX 64

/* Sets of signals are uint64_t: PRUSIK_SIGNAL_BIT(SIGINT) | PRUSIK_SIGNAL_BIT(SIGTERM). */
#define PRUSIK_SIGNAL_BIT(signal) (UINT64_C(1) << ((signal)-1))

struct prusik_signal_info {
	int32_t signal;
	int32_t code; /* si_code: SI_USER (kill), SI_QUEUE, SI_KERNEL, CLD_EXITED, ... */
	int32_t pid; /* who sent it; SIGCHLD: the child; 0 when the kernel did */
	uint32_t uid; /* its user */
	uint64_t value; /* SI_QUEUE, SI_TIMER, SI_MESGQ: the value (an int: its low 32 bits); SIGCHLD: the status */
	int32_t thread; /* the kernel's number of the thread that it was delivered to */
	uint32_t reserved;
};

typedef void (*prusik_signal_function)(const struct prusik_signal_info *info, void *context);

/*
 * prusik_signal_on - let function(info, context) be called for each of these signals
 *
 * Replaces what was set before; which of several threads that set one at once comes
 * last is chance, but function and context belong together. A signal that has arrived
 * already is for the function that is set when its turn comes. The one before may still
 * be running when this returns: prusik_signal_drain waits for it.
 *
 * Returns 0, or
 *   -EINVAL  no such signal, SIGKILL, SIGSTOP, one of glibc's own (32, 33), one that
 *            reports faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL); no function
 *   -ENOMEM
 *   -EAGAIN  too many threads: there can be none to call functions
 */
int prusik_signal_on(int signal, prusik_signal_function function, void *context) PRUSIK_MUST_USE;

/*
 * Let the signal have its default effect, or none. 0, -EINVAL (as above, but those that report
 * faults are allowed). Of those that have arrived and not been handled, default makes up
 * for the effect when their turn comes; ignore drops them.
 *
 * SIGCHLD is ignored by default; to ignore it changes nothing else: children keep their
 * exit code for whoever joins them, and are not reaped by the kernel. (With SIG_IGN, by
 * sigaction, they are, and the code may be lost.)
 */
int prusik_signal_default(int signal);
int prusik_signal_ignore(int signal);

enum {
	PRUSIK_SIGNAL_DEFAULT,
	PRUSIK_SIGNAL_IGNORED,
	PRUSIK_SIGNAL_ON,
	PRUSIK_SIGNAL_FOREIGN, /* a handler that others have installed */
};
/* What is set: one of these, and for ON the function and its context (may be NULL). -EINVAL. */
int prusik_signal_get(int signal, prusik_signal_function *ret_function, void **ret_context);

/*
 * prusik_signal_dispatch - handle signals, and timers, in the calling thread
 *
 * Waits until there is something to handle, calls the functions of what is there (1,024 at
 * most), and returns how many it has called. From the first call on the library's thread calls
 * none any more (but one that runs at that moment comes to its end). Several threads
 * may do this; then functions may run at the same time.
 *
 * Returns the count (> 0), -ETIMEDOUT, -ECANCELED, or -EDEADLK: from within a function.
 */
int prusik_signal_dispatch(int64_t deadline);

/* Let the library's thread call the functions again. 0, -EAGAIN, -ENOMEM. */
int prusik_signal_hand_back(void);

/*
 * prusik_signal_pause - wait until a signal has been handled
 *
 * That is: until a function, called after this call began, has returned. Where the
 * program dispatches itself, this does. What happened just before does not count: to
 * miss nothing, let the function set an event, and wait for that.
 * Returns the signal (> 0), -ETIMEDOUT, -ECANCELED, -EDEADLK (from within a function).
 */
int prusik_signal_pause(int64_t deadline);

/*
 * prusik_signal_drain - wait until all that has arrived is handled
 *
 * When it returns 0, every function has returned that was called, or was to be called, for
 * a signal that had arrived when it began; and every timer's that was being called then.
 * So after default or ignore and this, or a timer's cancel and this, the context may go.
 * Returns 0, -ETIMEDOUT, -ECANCELED, -EDEADLK (from within a function).
 */
int prusik_signal_drain(int64_t deadline);

/*
 * prusik_signal_wait - take one of set from the kernel, without any function
 *
 * They must be blocked, in all threads, since before they can come: else they are
 * delivered instead. *ret_info may be NULL. Returns the signal (> 0), or
 *   -ETIMEDOUT   none came
 *   -ECANCELED   the caller's token is set
 *   -EINVAL      set is empty; SIGKILL, SIGSTOP, 32 or 33 is in it; the caller does not block all of it
 */
int prusik_signal_wait(uint64_t set, int64_t deadline, struct prusik_signal_info *ret_info);

/*
 * The calling thread blocks, or no longer blocks, the signals of set too; those that
 * cannot be blocked are left out. *ret_before (may be NULL) is what it blocked before.
 * New threads and children inherit what is blocked, and so do new programs. 0.
 */
int prusik_signal_block(uint64_t set, uint64_t *ret_before);
int prusik_signal_unblock(uint64_t set, uint64_t *ret_before);

/* What the calling thread blocks; what is pending for it or the process. */
uint64_t prusik_signal_mask(void);
uint64_t prusik_signal_pending(void);

/*
 * Send a signal: to the own process; to another; to a process group; to a process, with a
 * value; to a thread of this process. signal 0 looks only whether it could be sent.
 *
 * Return 0, or
 *   -EINVAL  no such signal; pid or group below 1 (so never to everybody by mistake), NULL
 *   -ESRCH   no such process, group or thread, or the thread has ended
 *   -EPERM   it is another user's
 *   -EAGAIN  queue: too many are pending for that user (RLIMIT_SIGPENDING)
 */
int prusik_signal_raise(int signal);
int prusik_signal_kill(int pid, int signal);
int prusik_signal_kill_group(int group, int signal);
int prusik_signal_queue(int pid, int signal, uint64_t value);
struct prusik_thread;
int prusik_signal_kill_thread(struct prusik_thread *thread, int signal);

#define PRUSIK_SECOND INT64_C(1000000000)

/*
 * prusik_signal_alarm - let SIGALRM be sent to this process in so many nanoseconds
 *
 * One at most is pending (that of alarm(2) and setitimer(2) is the same one): a new one
 * replaces it, 0 takes it back. Rounded up to microseconds. Not inherited by fork.
 * Returns what was left of the one before, in nanoseconds, 0 when there was
 * none; -EINVAL below 0.
 */
int64_t prusik_signal_alarm(int64_t nanoseconds);

/*
 * prusik_signal_timer - call function(context, times) at deadline, and every period ns after
 *
 * By the same threads that call functions for signals. times is 1, or more when periods have
 * passed without a call: they are not made up for, and the beat is kept. period 0: once.
 *
 * start returns 0, -EINVAL (no function; period below 0), -ENOMEM, -EAGAIN (no thread).
 * cancel: 0: it will not be called again (a call may be under way: prusik_signal_drain);
 * -EALREADY: it was to be called once, and has been or is being called, or it was
 * canceled, or lives in the process that this one was forked from; -EINVAL. free drops the
 * handle, does not cancel, and accepts NULL.
 */
struct prusik_signal_timer;
int prusik_signal_timer_start(int64_t deadline, int64_t period, void (*function)(void *context, uint64_t times),
			      void *context, struct prusik_signal_timer **ret_timer) PRUSIK_MUST_USE;
int prusik_signal_timer_cancel(struct prusik_signal_timer *timer);
void prusik_signal_timer_free(struct prusik_signal_timer *timer);

/*
 * "SIGTERM", "SIGRTMIN+3", "SIGRTMAX-1" for a number; NULL: there is no such signal.
 * The number of "SIGTERM", "term", "RTMIN+3", "15"; -EINVAL: there is no such signal.
 * The set of all there are.
 */
const char *prusik_signal_name(int signal);
int prusik_signal_number(const char *name);
uint64_t prusik_signal_list(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
