/* SPDX-License-Identifier: MIT */
/* others: what the engine needs of the processes beside the victim, beyond kill.h */
#ifndef KILL_OTHERS_H
#define KILL_OTHERS_H

#include "kill.h"

enum kill_outcome { KILL_FINE, KILL_HUNG, KILL_BROKEN };

/* Fork a process of the case: dies with the engine, has no belt. 0 in the child. */
pid_t kill_fork(void);

/*
 * The engine stays on one processor, and so do the victims: they take turns there
 * without waiting for a busy machine. All others may be anywhere.
 */
void kill_pin(bool here);

/*
 * So long somebody may take who has to finish. When it is less than KILL_LIMIT, he may
 * take longer as long as anybody is awake.
 */
extern int64_t kill_patience;

/* The worst of the others that have to finish, once they have, or KILL_LIMIT has passed. */
enum kill_outcome kill_await_others(void);

/* Start one, wait for its end. */
enum kill_outcome kill_newcomer(kill_check_fn *function, void *object);

/* Wait a while until all of them sleep or have ended. */
void kill_settle_all(void);

/* How many there are; kill all from the given one on, and forget them. */
int kill_others(void);
void kill_others_from(int first);
/* SIGKILL all of them at once, as far as the kernel lets anybody. */
void kill_others_at_once(void);

/* Do all threads of the process sleep, the given one apart? */
bool kill_sleeps(pid_t pid, pid_t apart);
/* Does this thread? */
bool kill_thread_sleeps(pid_t pid, pid_t tid);
/* How often has it gone to sleep? */
uint64_t kill_thread_naps(pid_t pid, pid_t tid);

/* A moment's rest in a loop that polls; round counts its turns. */
void kill_rest(unsigned int round);

int64_t kill_clock(void);

#endif
