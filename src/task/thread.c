/* SPDX-License-Identifier: MIT */
/*
 * thread - pthreads, with a word that says how far each has come
 *
 * A joiner who may wait for ever calls pthread_join, as anybody would; only one
 * thread may do that. The others, and those who have a deadline or heed a token, sleep
 * on the word. There the thread says that it has ended, as the last of its
 * destructors; if nobody is in pthread_join then, one of those woken calls it, for a
 * moment. Only after that is it GONE, and do joins return: the thread's stack and its
 * place among the system's threads are free. A thread whose last handle is dropped
 * detaches itself in the end.
 *
 * Nothing that the new thread has to do before its function can fail, and starting does
 * not wait for any of it. So there is no way for a start to hang.
 */
#include "task/thread.h"

#include "base/sys.h"
#include "base/tsan.h"
#include "base/wait.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_MIN 16384u
/* How often to look whether a new thread has told its number. */
#define NATIVE_SLICE INT64_C(1000000)
/* Of destructors, at the end of a thread. */
#define LAST_ROUND ((uint32_t)PTHREAD_DESTRUCTOR_ITERATIONS - PRK_SANITIZER_ROUNDS)

static pthread_key_t end_key;
static int end_key_error;

/* ---- references ---- */

void prk_thread_drop(struct prusik_thread *thread)
{
	/* acqrel [thread.refs]: whoever frees it does so after all others' last use */
	if (prk_add32_acqrel(&thread->refs, (uint32_t)-1) == 1)
		prk_sys_free(thread);
}

static pthread_t pthread_of(const struct prusik_thread *thread)
{
	return (pthread_t)prk_load64_rlx(&thread->pthread);
}

/* Nobody will join it: its end is its own affair. */
static void detach(struct prusik_thread *thread)
{
	uint32_t seen = prk_load32_acq(&thread->word), wanted; /* acq [thread.word] */

	do {
		if ((seen & PRK_THREAD_STATE) == PRK_THREAD_GONE || (seen & PRK_THREAD_JOINER))
			return;
		wanted = seen | PRK_THREAD_DETACHED;
		if ((seen & PRK_THREAD_STATE) == PRK_THREAD_ENDED)
			wanted = PRK_THREAD_GONE;
	} while (!prk_cas32_acqrel(&thread->word, &seen, wanted));
	if (wanted == PRK_THREAD_GONE)
		pthread_detach(pthread_of(thread));
}

void prusik_thread_free(struct prusik_thread *thread)
{
	if (!thread)
		return;
	uint32_t refs = prk_load32_rlx(&thread->refs);
	do {
		/* Besides this one there is but the thread's own. */
		if (refs <= 2 && !prk_thread_elsewhere(thread))
			detach(thread);
		/* acqrel [thread.refs] */
	} while (!prk_cas32_acqrel(&thread->refs, &refs, refs - 1));
	if (refs == 1)
		prk_sys_free(thread);
}

/* ---- the end of a thread ---- */

/* What the word says after the end. A joiner wakes those who sleep on it, when it is GONE. */
static uint32_t ended(uint32_t seen)
{
	if (seen & PRK_THREAD_DETACHED)
		return PRK_THREAD_GONE;
	if (seen & PRK_THREAD_JOINER)
		return PRK_THREAD_ENDED | (seen & ~PRK_THREAD_STATE);
	return PRK_THREAD_ENDED;
}

/* What the word was before. */
static uint32_t tell_end(struct prusik_thread *thread)
{
	uint32_t seen = prk_load32_rlx(&thread->word);

	while (!prk_cas32_acqrel(&thread->word, &seen, ended(seen)))
		; /* rel [thread.word] */
	if ((seen & PRK_THREAD_WAITERS) && !(seen & PRK_THREAD_JOINER))
		prk_wake(&thread->word, INT_MAX);
	return seen;
}

void prk_thread_lost(struct prusik_thread *thread)
{
	prk_tsan_acquire(thread); /* at_thread_end */
	tell_end(thread);
	prk_thread_drop(thread); /* H1 */
}

void prk_thread_end(struct prusik_thread *thread)
{
	prk_threads_remove(thread);
	prk_thread_here = NULL;
	prk_thread_over = true;
	uint32_t seen = tell_end(thread);
	if ((seen & PRK_THREAD_DETACHED) && thread->started)
		pthread_detach(pthread_self());
	prk_thread_drop(thread); /* H1 */
}

/* A destructor may give values to others, which are called in another round: be in the last one. */
static void at_thread_end(void *argument)
{
	struct prusik_thread *thread = argument;

	if (++thread->rounds >= LAST_ROUND || prk_thread_end_later(thread) < 0)
		prk_thread_end(thread);
	else
		prk_tsan_release(thread); /* prk_thread_lost, if there is no further round */
}

/* Early, to have one of the keys that need no memory for each thread. */
__attribute__((constructor)) static void make_end_key(void)
{
	end_key_error = -pthread_key_create(&end_key, at_thread_end);
}

int prk_thread_end_later(struct prusik_thread *thread)
{
	return end_key_error ? end_key_error : -pthread_setspecific(end_key, thread);
}

/* ---- starting ---- */

/* Starter and thread both come here: whoever is first makes it known to others. */
static void set_running(struct prusik_thread *thread, pthread_t pthread)
{
	uint32_t seen = prk_load32_rlx(&thread->word), wanted;

	prk_store64_rlx(&thread->pthread, (uint64_t)pthread);
	do {
		if ((seen & PRK_THREAD_STATE) != PRK_THREAD_NEW)
			return;
		wanted = (seen & ~PRK_THREAD_WAITERS) | PRK_THREAD_RUNNING;
	} while (!prk_cas32_rel(&thread->word, &seen, wanted)); /* rel [thread.word] */
	if (seen & PRK_THREAD_WAITERS)
		prk_wake(&thread->word, INT_MAX);
}

static void tell_kernel_name(struct prusik_thread *thread)
{
	prk_threads_lock();
	if (thread->name[0])
		prk_sys_set_name(thread->name);
	prk_threads_unlock();
}

static void run(struct prusik_thread *thread)
{
	thread->result = thread->function(thread->argument);
}

static void end_now(void *thread)
{
	prk_thread_end(thread);
}

/* No memory to be told of its end by a destructor: it ends before them. */
static void run_guarded(struct prusik_thread *thread)
{
	pthread_cleanup_push(end_now, thread);
	run(thread);
	pthread_cleanup_pop(1);
}

static void *begin(void *argument)
{
	struct prusik_thread *thread = argument;

	prk_thread_here = thread;
	prk_store32_rlx(&thread->native, (uint32_t)prk_sys_tid_of_new_thread());
	set_running(thread, pthread_self());
	if (thread->named)
		tell_kernel_name(thread);
	if (prk_thread_end_later(thread) == 0)
		run(thread);
	else
		run_guarded(thread);
	return NULL;
}

static int check(const struct prusik_thread_options *options)
{
	if (options->stack_size && options->stack_size < STACK_MIN)
		return -EINVAL;
	if (options->name && strnlen(options->name, PRK_THREAD_NAME_MAX + 1) > PRK_THREAD_NAME_MAX)
		return -ENAMETOOLONG;
	return prk_threads_open();
}

static struct prusik_thread *new_thread(int (*function)(void *), void *argument,
					const struct prusik_thread_options *options)
{
	struct prusik_thread *thread = prk_sys_calloc(sizeof *thread);

	if (!thread)
		return NULL;
	thread->refs = 2; /* the caller's, and H1 */
	thread->function = function;
	thread->argument = argument;
	thread->started = 1;
	thread->daemon = options->daemon != 0;
	thread->result = -ECANCELED;
	if (options->name) {
		memcpy(thread->name, options->name, strlen(options->name));
		thread->named = thread->name[0] != 0;
	}
	return thread;
}

/* It is not to be after all. prusik_exit may be waiting for it already. */
static void take_back(struct prusik_thread *thread)
{
	prk_threads_remove(thread);
	/* acqrel [thread.word] */
	if (prk_swap32_acqrel(&thread->word, PRK_THREAD_GONE) & PRK_THREAD_WAITERS)
		prk_wake(&thread->word, INT_MAX);
	prk_thread_drop(thread);
	prk_thread_drop(thread);
}

int prusik_thread_start(int (*function)(void *), void *argument, const struct prusik_thread_options *options,
			struct prusik_thread **ret_thread)
{
	static const struct prusik_thread_options defaults;
	pthread_t pthread;

	if (!options)
		options = &defaults;
	int r = function ? check(options) : -EINVAL;
	if (r < 0)
		return r;
	struct prusik_thread *thread = new_thread(function, argument, options);
	if (!thread)
		return -ENOMEM;
	prk_threads_add(thread);
	r = prk_sys_thread(&pthread, options->stack_size, begin, thread);
	if (r < 0) {
		take_back(thread);
		return r;
	}
	set_running(thread, pthread);
	if (ret_thread)
		*ret_thread = thread;
	else
		prusik_thread_free(thread);
	return 0;
}

static int run_own(void *own)
{
	return ((struct prusik_thread_own *)own)->run(own);
}

int prusik_thread_start_own(struct prusik_thread_own *own, const struct prusik_thread_options *options,
			    struct prusik_thread **ret_thread)
{
	if (!own || !own->run)
		return -EINVAL;
	return prusik_thread_start(run_own, own, options, ret_thread);
}

/* ---- joining ---- */

/* The caller has set JOINER. pthread_join would be a point of cancellation. */
static void call_pthread_join(struct prusik_thread *thread)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_join(pthread_of(thread), NULL);
	/* acqrel [thread.word] */
	if (prk_swap32_acqrel(&thread->word, PRK_THREAD_GONE) & PRK_THREAD_WAITERS)
		prk_wake(&thread->word, INT_MAX);
	pthread_setcancelstate(before, NULL);
}

/* May it be waited for in pthread_join, with that deadline? */
static bool joinable(uint32_t seen, int64_t deadline)
{
	uint32_t state = seen & PRK_THREAD_STATE;

	if (state == PRK_THREAD_NEW || (seen & (PRK_THREAD_DETACHED | PRK_THREAD_JOINER)))
		return false;
	return state == PRK_THREAD_ENDED || (deadline == PRUSIK_FOREVER && !prk_cancel_here);
}

static int sleep_on(struct prusik_thread *thread, uint32_t seen, int64_t deadline)
{
	uint32_t with = seen | PRK_THREAD_WAITERS;

	if (deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	if (seen != with && !prk_cas32_acqrel(&thread->word, &seen, with))
		return 0;
	return prk_wait_private(&thread->word, with, deadline);
}

static int wait_until_gone(struct prusik_thread *thread, int64_t deadline)
{
	for (;;) {
		uint32_t seen = prk_load32_acq(&thread->word); /* acq [thread.word] */
		if ((seen & PRK_THREAD_STATE) == PRK_THREAD_GONE)
			return 0;
		if (prk_thread_elsewhere(thread))
			return (seen & PRK_THREAD_STATE) == PRK_THREAD_ENDED ? 0 : -ESRCH;
		if (joinable(seen, deadline)) {
			if (!prk_cas32_acqrel(&thread->word, &seen, seen | PRK_THREAD_JOINER))
				continue;
			call_pthread_join(thread);
			return 0;
		}
		int r = sleep_on(thread, seen, deadline);
		if (r < 0)
			return r;
	}
}

int prusik_thread_join(struct prusik_thread *thread, int64_t deadline, int *ret_result)
{
	if (!thread)
		return -EINVAL;
	if (thread == prk_thread_here)
		return -EDEADLK;
	int r = wait_until_gone(thread, deadline);
	if (r == 0 && ret_result)
		*ret_result = thread->result;
	return r;
}

int prusik_thread_is_alive(const struct prusik_thread *thread)
{
	if (!thread)
		return -EINVAL;
	return prk_thread_state(thread) < PRK_THREAD_ENDED && !prk_thread_elsewhere(thread);
}

/* ---- names and numbers ---- */

int prusik_thread_name(const struct prusik_thread *thread, char *buffer, size_t size)
{
	if (!thread || !buffer || size == 0)
		return -EINVAL;
	prk_threads_lock();
	if (thread->name[0])
		snprintf(buffer, size, "%s", thread->name);
	else
		snprintf(buffer, size, "Thread-%lld", (long long)thread->ident);
	prk_threads_unlock();
	return 0;
}

/* While it is in the list its number is its own. */
static void rename_locked(struct prusik_thread *thread, const char *name, size_t length)
{
	memcpy(thread->name, name, length + 1);
	if (thread == prk_thread_here)
		prk_sys_set_name(name);
	else if (thread->back && !prk_thread_elsewhere(thread))
		prk_sys_set_name_of((pid_t)prk_load32_rlx(&thread->native), name);
}

int prusik_thread_set_name(struct prusik_thread *thread, const char *name)
{
	if (!thread || !name || !name[0])
		return -EINVAL;
	size_t length = strnlen(name, PRK_THREAD_NAME_MAX + 1);
	if (length > PRK_THREAD_NAME_MAX)
		return -ENAMETOOLONG;
	prusik_thread_native_id(thread); /* it has told the kernel its first name by then */
	prk_threads_lock();
	rename_locked(thread, name, length);
	prk_threads_unlock();
	return 0;
}

int64_t prusik_thread_ident(const struct prusik_thread *thread)
{
	return thread ? thread->ident : -EINVAL;
}

int prusik_thread_native_id(const struct prusik_thread *thread)
{
	if (!thread)
		return -EINVAL;
	uint32_t *word = (uint32_t *)(uintptr_t)&thread->native, native;
	while ((native = prk_load32_rlx(word)) == 0) {
		if (prk_thread_elsewhere(thread))
			return -ESRCH;
		prk_sys_futex_wait(word, 0, prusik_in_ns(NATIVE_SLICE));
	}
	return (int)native;
}

int prusik_thread_is_daemon(const struct prusik_thread *thread)
{
	if (!thread)
		return -EINVAL;
	return prk_load32_rlx(&thread->daemon) != 0;
}

void prusik_thread_yield(void)
{
	prk_sys_yield();
}

/* ---- ending ---- */

static void end_thread(int result) __attribute__((noreturn));

static void end_thread(int result)
{
	struct prusik_thread *me = prk_thread_here;

	if (me)
		me->result = result;
	pthread_exit((void *)(intptr_t)result);
}

void prusik_thread_exit(int result)
{
	if (prk_thread_is_main())
		prusik_exit(result);
	end_thread(result);
}

static void wait_for_all(void)
{
	uint32_t *cancel = prk_cancel_here;
	struct prusik_thread *thread;

	prk_cancel_here = NULL;
	while ((thread = prk_threads_next_to_wait_for()) != NULL) {
		prusik_thread_join(thread, PRUSIK_FOREVER, NULL);
		prusik_thread_free(thread);
	}
	prk_cancel_here = cancel;
}

void prusik_exit(int code)
{
	if (prk_threads_open() == 0) {
		if (!prk_threads_claim_exit())
			end_thread(code);
		wait_for_all();
	}
	exit(code);
}
