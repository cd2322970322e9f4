/* SPDX-License-Identifier: MIT */
/*
 * thread: the handle, and the list of all living threads
 *
 * All of it is private memory, of a process whose threads end orderly or all at
 * once. What needs thought is not death but fork: in the child there is the thread
 * that forked and no other, whatever the copied memory says.
 *
 * struct prusik_thread
 *
 * WORD     word: bits 1..0 enum prk_thread_state; DETACHED: nobody is to call
 *          pthread_join for it; JOINER: somebody does, which comes to GONE; WAITERS:
 *          somebody may be asleep on the word.
 * WRITES   word: by CAS. NEW to RUNNING: starter or thread, whoever is first. To
 *          ENDED, or GONE if DETACHED: the thread. JOINER, then GONE: the joiner who
 *          calls pthread_join. refs: whoever has one. name, daemon, next, back: under
 *          the list's lock. generation: under it too, in a forked child. result: the
 *          thread, before it has ended. pthread: starter and thread, both before
 *          RUNNING, the same. native: the thread. The rest: the starter, before.
 * ALWAYS   H1 one of refs is the thread's own, from the start until it has ended;
 *          then, and no longer, it is in the list
 *          H2 pthread_join or pthread_detach is called once: never both of JOINER
 *          and DETACHED
 * MAY LIE  in a forked child everything but H1 about threads of another generation:
 *          they are not there
 * KILLED   all that could see it are killed too
 */
#ifndef PRK_TASK_THREAD_H
#define PRK_TASK_THREAD_H

#include "base/atomic.h"

#include <prusik/thread.h>
#include <pthread.h>

#define PRK_THREAD_NAME_MAX 63

enum prk_thread_state {
	PRK_THREAD_NEW,
	PRK_THREAD_RUNNING,
	PRK_THREAD_ENDED,
	PRK_THREAD_GONE,
};
#define PRK_THREAD_STATE UINT32_C(3)
#define PRK_THREAD_DETACHED UINT32_C(4)
#define PRK_THREAD_JOINER UINT32_C(8)
#define PRK_THREAD_WAITERS UINT32_C(0x80000000)

/* First what starter and thread both touch, 64 bytes: they run on two processors. */
struct prusik_thread {
	uint32_t word;
	uint32_t refs;
	uint32_t generation;
	uint32_t native; /* the kernel's number; 0: it has not run yet */
	struct prusik_thread *next, **back; /* back NULL: not in the list */
	int (*function)(void *);
	void *argument;
	uint64_t pthread; /* pthread_t */
	int result;
	uint8_t started; /* by us; 0: main and others */
	uint8_t named; /* at its start */
	uint16_t rounds; /* of destructors that it has seen */
	int64_t ident;
	uint32_t daemon;
	char name[PRK_THREAD_NAME_MAX + 1]; /* "": one made of its ident */
};

static inline uint32_t prk_thread_state(const struct prusik_thread *thread)
{
	return prk_load32_acq(&thread->word) & PRK_THREAD_STATE; /* acq [thread.word] */
}

/* Give up a reference; the thread's own too. */
void prk_thread_drop(struct prusik_thread *thread);

/* Call prk_thread_end at the thread's end. 0, or -errno. */
int prk_thread_end_later(struct prusik_thread *thread);

/* The calling thread, whose this is, has ended, for all that others can tell. */
void prk_thread_end(struct prusik_thread *thread);

/* The same for one that was not started by us and could not say so itself; it is not in the list any more. */
void prk_thread_lost(struct prusik_thread *thread);

/* ---- thread_list.c ---- */

/* The calling thread has ended, for all that others can tell; what still runs are destructors. */
extern __thread bool prk_thread_over __attribute__((tls_model("initial-exec")));

/* The calling thread's, once it has one. */
extern __thread struct prusik_thread *prk_thread_here __attribute__((tls_model("initial-exec")));

/* Make the list, if there is none. Must have returned 0 before any of the following. */
int prk_threads_open(void);
/* Is there one? */
bool prk_threads_known(void);

void prk_threads_lock(void);
void prk_threads_unlock(void);

/* Number it and add it to the list. */
void prk_threads_add(struct prusik_thread *thread);
void prk_threads_remove(struct prusik_thread *thread);

/* Is it a thread of the process that forked this one, and so not here? */
bool prk_thread_elsewhere(const struct prusik_thread *thread);

/* Is the caller the thread that runs main, or that was left of its process by a fork? */
bool prk_thread_is_main(void);

/* May the caller end the program? False: another thread is about to. */
bool prk_threads_claim_exit(void);

/* A reference to a thread that prusik_exit has to wait for; NULL: none, and none from now on. */
struct prusik_thread *prk_threads_next_to_wait_for(void);

/* The calling thread is no daemon from now on. False: too late, the program ends. */
bool prk_threads_stay(void);

#endif
