/* SPDX-License-Identifier: MIT */
/*
 * thread: all living threads, and what becomes of them in a forked child
 *
 * A process and each forked child of it is a generation. Its number, and the lock,
 * lie in memory that is all zeros in a forked child: so the lock is free there, and
 * the first who looks finds no number, and begins a new generation, in which the
 * list holds no one but the thread that forked. As a rule that is the first to
 * look, by pthread_atfork.
 *
 * Another thread may have been at the list when the process forked, so the child
 * walks it forwards only, which is right between any two steps of adding and removing.
 */
#include "task/thread.h"

#include "base/process.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u

/* Zeros in a forked child. */
struct threads {
	uint32_t lock; /* 0 free, 1 held, 2 held and somebody may be asleep on it */
	uint32_t generation;
	uint32_t exiting; /* somebody is in prusik_exit */
	uint32_t over; /* and waits for nobody any more */
};

static struct threads *threads;

/* Under the lock. main_thread: a reference. */
static uint32_t generations;
static int64_t idents;
static struct prusik_thread *list, *main_thread;

__thread struct prusik_thread *prk_thread_here __attribute__((tls_model("initial-exec")));
__thread bool prk_thread_over __attribute__((tls_model("initial-exec")));
static __thread uint32_t exits_in; /* the generation in which the thread is in prusik_exit */

/* ---- the list ---- */

static struct threads *here(void)
{
	return prk_load_ptr_acq((void *const *)&threads); /* acq [threads] */
}

static void link_first(struct prusik_thread *thread)
{
	thread->next = list;
	thread->back = &list;
	prk_barrier();
	if (list)
		list->back = &thread->next;
	list = thread;
	prk_barrier();
}

static void unlink_it(struct prusik_thread *thread)
{
	if (thread->next)
		thread->next->back = thread->back;
	*thread->back = thread->next;
	prk_barrier();
	thread->back = NULL;
}

bool prk_thread_is_main(void)
{
	return prk_sys_gettid() == getpid();
}

/* The thread that forked is the child's first. */
static void survive(struct prusik_thread *me)
{
	link_first(me);
	me->started = 0;
	prk_store32_rlx(&me->native, (uint32_t)getpid());
	prk_store32_rlx(&me->word, PRK_THREAD_RUNNING | PRK_THREAD_DETACHED);
	prk_store32_rlx(&me->generation, generations);
	prk_add32_rlx(&me->refs, 1);
	main_thread = me;
}

/* The others' own references (H1) are given up in their place. */
static void forget(struct prusik_thread *lost)
{
	struct prusik_thread *next;

	for (; lost; lost = next) {
		next = lost->next;
		if (lost != prk_thread_here)
			prk_thread_drop(lost);
	}
}

static void begin_generation_locked(void)
{
	struct prusik_thread *lost = list, *lost_main = main_thread;

	generations++;
	list = main_thread = NULL;
	if (prk_thread_is_main()) { /* else, after a bare clone, who knows whose handles those are */
		forget(lost);
		if (prk_thread_here)
			survive(prk_thread_here);
		if (lost_main)
			prk_thread_drop(lost_main);
	}
	prk_store32_rel(&here()->generation, generations); /* rel [threads.generation] */
}

void prk_threads_lock(void)
{
	uint32_t free = 0, *lock = &here()->lock;

	/* acq [threads.lock]: the mutex of Drepper, "Futexes are tricky" */
	if (!prk_cas32_acq(lock, &free, 1))
		while (prk_swap32_acqrel(lock, 2) != 0)
			prk_sys_futex_wait(lock, 2, PRUSIK_FOREVER);
	if (prk_load32_rlx(&here()->generation) == 0)
		begin_generation_locked();
}

void prk_threads_unlock(void)
{
	/* rel [threads.lock] */
	if (prk_swap32_acqrel(&here()->lock, 0) == 2)
		prk_sys_futex_wake(&here()->lock, 1);
}

static void look(void)
{
	prk_threads_lock();
	prk_threads_unlock();
}

static void forked(void)
{
	if (here())
		look();
}

__attribute__((constructor)) static void look_after_fork(void)
{
	pthread_atfork(NULL, NULL, forked);
}

bool prk_threads_known(void)
{
	return here() != NULL;
}

int prk_threads_open(void)
{
	void *page, *none = NULL;

	if (here())
		return 0;
	int r = prk_wiped_pages(&page, PAGE);
	if (r < 0)
		return r;
	/* rel [threads]: the page is zeroed */
	if (!prk_cas_ptr_acqrel((void **)&threads, &none, page))
		prk_sys_munmap(page, PAGE);
	return 0;
}

bool prk_thread_elsewhere(const struct prusik_thread *thread)
{
	uint32_t now = prk_load32_acq(&here()->generation); /* acq [threads.generation] */

	if (now == 0) {
		look();
		now = prk_load32_acq(&here()->generation);
	}
	return prk_load32_rlx(&thread->generation) != now;
}

static void add_locked(struct prusik_thread *thread)
{
	thread->ident = ++idents;
	prk_store32_rlx(&thread->generation, generations);
	link_first(thread);
}

void prk_threads_add(struct prusik_thread *thread)
{
	prk_threads_lock();
	add_locked(thread);
	prk_threads_unlock();
}

void prk_threads_remove(struct prusik_thread *thread)
{
	prk_threads_lock();
	unlink_it(thread);
	prk_threads_unlock();
}

/* ---- threads that were not started by us ---- */

static struct prusik_thread *new_stranger(void)
{
	struct prusik_thread *thread = prk_sys_calloc(sizeof *thread);

	if (thread) {
		thread->word = PRK_THREAD_RUNNING | PRK_THREAD_DETACHED;
		thread->refs = 1;
	}
	return thread;
}

static struct prusik_thread *reference(struct prusik_thread *thread)
{
	if (thread)
		prk_add32_rlx(&thread->refs, 1);
	return thread;
}

/* A reference; NULL: there is none yet. */
static struct prusik_thread *known_main(void)
{
	prk_threads_lock();
	struct prusik_thread *thread = reference(main_thread);
	prk_threads_unlock();
	return thread;
}

static struct prusik_thread *add_main_locked(struct prusik_thread *thread)
{
	if (main_thread) { /* somebody was faster */
		prk_sys_free(thread);
		return reference(main_thread);
	}
	thread->native = (uint32_t)getpid();
	memcpy(thread->name, "MainThread", sizeof "MainThread");
	add_locked(thread);
	main_thread = reference(thread);
	return reference(thread);
}

struct prusik_thread *prusik_thread_main(void)
{
	if (prk_threads_open() < 0)
		return NULL;
	struct prusik_thread *thread = known_main();
	if (thread)
		return thread;
	thread = new_stranger();
	if (!thread)
		return NULL;
	prk_threads_lock();
	thread = add_main_locked(thread);
	prk_threads_unlock();
	return thread;
}

/* The calling thread, which we have not seen before: a reference, or NULL. */
static struct prusik_thread *meet(void)
{
	bool is_main = prk_thread_is_main();
	struct prusik_thread *thread = is_main ? prusik_thread_main() : new_stranger();

	if (!thread)
		return NULL;
	if (prk_thread_end_later(thread) < 0) {
		prk_thread_drop(thread);
		return NULL;
	}
	if (!is_main) {
		thread->native = (uint32_t)prk_sys_gettid();
		prk_threads_add(reference(thread));
	}
	return thread;
}

/* For a destructor that asks after the end: in no list, since nobody would take it out again. */
static struct prusik_thread *new_ended(void)
{
	struct prusik_thread *thread = new_stranger();

	if (!thread)
		return NULL;
	thread->word = PRK_THREAD_GONE | PRK_THREAD_DETACHED;
	thread->native = (uint32_t)prk_sys_gettid();
	prk_threads_lock();
	thread->ident = ++idents;
	thread->generation = generations;
	prk_threads_unlock();
	return thread;
}

struct prusik_thread *prusik_thread_current(void)
{
	if (prk_threads_open() < 0)
		return NULL;
	if (prk_thread_here && !prk_thread_elsewhere(prk_thread_here))
		return reference(prk_thread_here);
	if (prk_thread_over)
		return new_ended();
	struct prusik_thread *thread = meet();
	if (thread)
		prk_thread_here = thread;
	return thread;
}

/* ---- all of them ---- */

static bool visible(const struct prusik_thread *thread)
{
	return (prk_load32_rlx(&thread->word) & PRK_THREAD_STATE) != PRK_THREAD_NEW;
}

/* One that is in the list, and has ended. */
static struct prusik_thread *take_lost_locked(void)
{
	struct prusik_thread *thread = list;

	while (thread && (thread->started || thread == main_thread ||
			  prk_sys_tgkill(getpid(), (pid_t)thread->native, 0) != -ESRCH))
		thread = thread->next;
	if (thread)
		unlink_it(thread);
	return thread;
}

/* Who asked for himself only in the last round of his destructors was not told of his end. */
static void bury_lost(void)
{
	struct prusik_thread *thread;

	do {
		prk_threads_lock();
		thread = take_lost_locked();
		prk_threads_unlock();
		if (thread)
			prk_thread_lost(thread);
	} while (thread);
}

int64_t prusik_thread_enumerate(struct prusik_thread **ret_threads, uint32_t count)
{
	uint32_t n = 0;

	if (!ret_threads && count)
		return -EINVAL;
	prusik_thread_free(prusik_thread_main()); /* to have it in the list */
	if (prk_threads_open() < 0)
		return -ENOMEM;
	bury_lost();
	prk_threads_lock();
	for (struct prusik_thread *thread = list; thread; thread = thread->next) {
		if (!visible(thread))
			continue;
		if (n < count)
			ret_threads[n] = reference(thread);
		n++;
	}
	prk_threads_unlock();
	return n;
}

int64_t prusik_thread_active_count(void)
{
	return prusik_thread_enumerate(NULL, 0);
}

/* ---- the end of the program ---- */

bool prk_threads_claim_exit(void)
{
	prk_threads_lock();
	bool mine = exits_in == generations || !here()->exiting;
	here()->exiting = 1;
	if (mine)
		exits_in = generations;
	prk_threads_unlock();
	return mine;
}

struct prusik_thread *prk_threads_next_to_wait_for(void)
{
	prk_threads_lock();
	struct prusik_thread *thread = list;
	while (thread && (!thread->started || thread->daemon || thread == prk_thread_here))
		thread = thread->next;
	reference(thread);
	here()->over = !thread;
	prk_threads_unlock();
	return thread;
}

bool prk_threads_stay(void)
{
	prk_threads_lock();
	bool in_time = !here()->over;
	prk_store32_rlx(&prk_thread_here->daemon, 0);
	prk_threads_unlock();
	return in_time;
}
