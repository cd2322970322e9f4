/* SPDX-License-Identifier: MIT */
/*
 * thread - threads with names, results, deadlines, and an orderly end
 *
 *	static int copy(void *path) { ... return 0; }
 *
 *	struct prusik_thread *thread;
 *	int r = prusik_thread_start(copy, path, &(struct prusik_thread_options){ .name = "copier" }, &thread);
 *	...
 *	r = prusik_thread_join(thread, prusik_in_s(5), &result);
 *	prusik_thread_free(thread);
 *
 * or with a struct of your own that embeds what the thread needs:
 *
 *	struct player { struct prusik_thread_own thread; const char *song; };
 *	static int play(struct prusik_thread_own *own) {
 *		struct player *player = (struct player *)own;      // first member
 *		...
 *	}
 *	struct player player = { .thread = { .run = play }, .song = "..." };
 *	prusik_thread_start_own(&player.thread, NULL, &thread);
 *
 * The thread that ran main, and threads made otherwise, are known too:
 * prusik_thread_current works in all of them.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_THREAD_H
#define PRUSIK_THREAD_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The handle of a thread. Counted: each one got must be given to prusik_thread_free once. */
struct prusik_thread;

/* Zero means default. */
struct prusik_thread_options {
	const char *name; /* up to 63 bytes; the first 15 go to the kernel; default "Thread-N" */
	uint64_t stack_size; /* bytes; default the process's; at least 16 KiB */
	uint32_t daemon; /* not 0: prusik_exit does not wait for it */
	uint32_t reserved;
};

/* For structs of your own: its run is called with it. */
struct prusik_thread_own {
	int (*run)(struct prusik_thread_own *own);
};

/*
 * prusik_thread_start - run function(argument) in a new thread
 *
 * When it returns 0 the thread runs, and is_alive until function has returned.
 * *ret_thread may be NULL: nobody will join it.
 *
 * Returns 0, or
 *   -EINVAL        no function; a stack too small
 *   -ENAMETOOLONG  name above 63 bytes
 *   -EAGAIN        too many threads (RLIMIT_NPROC, pids cgroup)
 *   -ENOMEM        no memory for its stack
 * On an error no thread was made; it never waits for luck.
 */
int prusik_thread_start(int (*function)(void *), void *argument, const struct prusik_thread_options *options,
			struct prusik_thread **ret_thread) PRUSIK_MUST_USE;
int prusik_thread_start_own(struct prusik_thread_own *own, const struct prusik_thread_options *options,
			    struct prusik_thread **ret_thread) PRUSIK_MUST_USE;

/*
 * prusik_thread_join - wait until it has ended
 *
 * Any number of threads may join it, at once or later: all get its result in
 * *ret_result (may be NULL): what its function returned, or gave to prusik_thread_exit.
 * Returns 0, also when it has been joined before; -ETIMEDOUT, -ECANCELED, -EDEADLK
 * (itself), -EINVAL; in a forked child -ESRCH: a thread of the parent that had not ended.
 */
int prusik_thread_join(struct prusik_thread *thread, int64_t deadline, int *ret_result);

/* 1 from start until its function has ended, then 0; -EINVAL. */
int prusik_thread_is_alive(const struct prusik_thread *thread);

/* Its name; a copy of at most size bytes with the final NUL. 0, -EINVAL. */
int prusik_thread_name(const struct prusik_thread *thread, char *buffer, size_t size);

/* Give it a name (the kernel gets the first 15 bytes). 0, -ENAMETOOLONG, -EINVAL. */
int prusik_thread_set_name(struct prusik_thread *thread, const char *name);

/*
 * A number no other thread of the process has or had; the kernel's number. -EINVAL; the
 * latter in a forked child also -ESRCH: a thread of the parent that had not told it yet.
 */
int64_t prusik_thread_ident(const struct prusik_thread *thread);
int prusik_thread_native_id(const struct prusik_thread *thread);

/* 1 when it is a daemon, else 0; -EINVAL. That is said at its start and stays so: there is no call to change it. */
int prusik_thread_is_daemon(const struct prusik_thread *thread);

/* Drop the handle. Accepts NULL. The thread runs on. */
void prusik_thread_free(struct prusik_thread *thread);

/* The calling thread; the one that ran main. Give each to prusik_thread_free. NULL: out of memory. */
struct prusik_thread *prusik_thread_current(void);
struct prusik_thread *prusik_thread_main(void);

/*
 * All living threads that prusik knows (started here, or having asked for
 * themselves, main always): up to count handles, each to be freed. Returns how many
 * there are, which may be more than count; -EINVAL.
 */
int64_t prusik_thread_enumerate(struct prusik_thread **ret_threads, uint32_t count);
int64_t prusik_thread_active_count(void);

/* End the calling thread with this result, from anywhere in it. In the main thread: prusik_exit(result). */
void prusik_thread_exit(int result) __attribute__((noreturn));

/*
 * End the program as exit(code) does, after waiting for all threads started here that
 * are no daemons. Called by a thread started here: waits for the others.
 */
void prusik_exit(int code) __attribute__((noreturn));

/* Leave the processor to others once. */
void prusik_thread_yield(void);

/*
 * prusik_local - a value of each thread's own
 *
 * All zero is a valid key with no destructor. The first use of it in the process
 * makes the key; there may be some hundred. set returns 0, -EAGAIN (no more keys),
 * -ENOMEM, -EINVAL. get returns NULL when the thread has set none. destructor is
 * called with the value when a thread that has set one (not NULL) ends.
 */
struct prusik_local {
	void (*destructor)(void *);
	uint64_t state; /* private */
};
int prusik_local_set(struct prusik_local *local, void *value);
void *prusik_local_get(struct prusik_local *local);

/*
 * timer - call function(argument) once in a thread of its own, when the deadline comes
 *
 * cancel: 0: it will not run; -EALREADY: it has run, runs, or was canceled; -EINVAL.
 * start: as prusik_thread_start; join, until it has run or was canceled: as
 * prusik_thread_join (-EDEADLK: in its own function). free: accepts NULL; does not cancel.
 */
struct prusik_timer;
int prusik_timer_start(int64_t deadline, void (*function)(void *), void *argument,
		       struct prusik_timer **ret_timer) PRUSIK_MUST_USE;
int prusik_timer_cancel(struct prusik_timer *timer);
int prusik_timer_join(struct prusik_timer *timer, int64_t deadline);
void prusik_timer_free(struct prusik_timer *timer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
