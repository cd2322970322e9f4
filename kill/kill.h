/* SPDX-License-Identifier: MIT */
/*
 * kill - the kill matrix: every operation, from every state, killed at every instruction
 *
 * A case is one operation in one start state. Its victim is a process that the
 * engine single-steps through the operation; what happens to the victim at
 * instruction N, and to those beside it, is the form:
 *
 *   kill       SIGKILL at N; then the others go on, and a newcomer checks
 *   snapshot   one pass: at each N a copy of the object is checked, the victim
 *              counting as dead for the checker
 *   beside     the victim pauses at N while another acts (case.beside), then SIGKILL
 *   resume     the same, but the victim then goes on to its end and leaves
 *   double     one pass: for each image of the object that the victim leaves behind,
 *              the one who recovers is stepped too, and each image of his is checked
 *   twice      SIGKILL at N, then whoever recovers is SIGKILLed as well
 *   bystander  SIGKILL at N together with an uninvolved process that has a sentinel
 *   all        SIGKILL at N together with everybody else
 *
 * A point is "hung" when somebody who must go on has not within KILL_LIMIT, and
 * "broken" when a check fails, somebody crashes, or a slot of the life table is
 * lost. No part of the library uses a time-out here: the belt is off.
 *
 * Rules for those who take part, so that only the death under test wakes anybody:
 * whoever ends, ends by leaving silently (the engine sees to that), and between
 * two points all the dead are buried.
 */
#ifndef KILL_KILL_H
#define KILL_KILL_H

#include "base/atomic.h"
#include "base/life.h"

#include <prusik/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KILL_LIMIT INT64_C(10000000000)
#define KILL_OBJECT_MAX ((size_t)128 << 10)
#define KILL_IMAGE_MAX ((size_t)320 << 10)
#define KILL_OTHERS_MAX 16

enum kill_form {
	KILL_KILL,
	KILL_SNAPSHOT,
	KILL_BESIDE,
	KILL_RESUME,
	KILL_DOUBLE,
	KILL_TWICE,
	KILL_BYSTANDER,
	KILL_ALL,
	KILL_FORMS,
};

/* Properties of a case. */
#define KILL_WARM 1u /* the victim has a sentinel before it begins, as if it had waited before */
#define KILL_UNJOINED 2u /* the victim has not joined before it begins */
#define KILL_SENTINEL 4u /* not the victim's first thread is stepped, but its sentinel */
#define KILL_OWN_DOMAIN 8u /* each point has a domain of its own, not yet made */
#define KILL_NO_SNAPSHOT 16u /* what the operation changes does not lie in the object */
#define KILL_NO_ALL 32u /* everybody dead at once is not a state that check can judge */
#define KILL_FREEZE 128u /* warm, and its sentinel is held still: it alone can bury */
#define KILL_ENOUGH 512u /* resume: what beside did is all that the victim waits for; no unblock comes after it */
#define KILL_LONG 256u /* its like is among the others: --quick leaves it out, unless asked for by name */
#define KILL_NO_RESUME 64u /* a victim that lives on may leave the others waiting, rightly */

typedef void kill_fn(void *object);
typedef bool kill_check_fn(void *object);

struct kill_case {
	const char *noun, *operation, *state;
	unsigned int is;
	size_t size; /* of the object; it begins as zeros */
	const void *data; /* for the case's own functions: kill_now_case->data */

	/* In the engine's process. */
	kill_fn *begin; /* once: start those who stay for the whole case */
	kill_fn *setup; /* each point: make the start state, others included */
	kill_fn *ready; /* the victim is about to begin */
	void (*unblock)(void *object, int times); /* the victim sleeps, or is dead and has not slept */
	kill_fn *beside; /* the victim is paused */
	kill_fn *killed; /* the victim has ended, and unblock has been called */
	kill_fn *end;

	/* In the victim. */
	kill_fn *prepare; /* not stepped */
	kill_fn *victim;

	/* In a newcomer. */
	kill_fn *recover; /* the least that cleans up after the dead */
	kill_check_fn *check; /* all is as promised */
};

enum kill_phase { KILL_PREPARES, KILL_RUNS, KILL_ENDED };

/* Shared by all processes of a case. */
struct kill_run {
	uint32_t phase; /* the victim's */
	uint32_t victim_id;
	uint32_t finished; /* the victim's operation had returned when it was killed */
	uint32_t everybody_died;
	uint32_t go;
	uint32_t hello[KILL_OTHERS_MAX];
	uint32_t asked, answered, answer;
	uint32_t subject; /* which object the probe looks at */
	uint32_t second_phase, second_id; /* of the recoverer that is stepped */
	uint32_t note[16]; /* for cases; zeroed at each point */
	struct prusik_lease lease[16]; /* the same */
	struct prusik_lease kept[16]; /* leases of those who stay for the whole case */
	_Alignas(64) char image[KILL_IMAGE_MAX]; /* kept for the whole case */
	_Alignas(64) char object[3][KILL_OBJECT_MAX]; /* the object, its copy, a copy of the copy */
};

extern struct kill_run *kill_run;
extern const struct kill_case *kill_now_case;

/* ---- processes beside the victim (others.c) ---- */

enum kill_stay {
	KILL_FINISHES, /* it must come to its end by itself, returning true */
	KILL_STAYS, /* it never ends; killed at the end of the point, or of the case */
};

int kill_start(kill_check_fn *function, enum kill_stay stay);
/* The same, and not returning before it sleeps after kill_hello, or has ended. */
int kill_asleep(kill_check_fn *function, enum kill_stay stay);
void kill_settle(int other);
bool kill_lives(int other);
/* SIGKILL, and wait until it is gone. */
void kill_now(int other);
/* The same, and wait a while until somebody has buried it, if anybody stands guard. */
void kill_and_bury(int other);
/* In it: from here on I may sleep for good. */
void kill_hello(void);
/* In it: sleep until kill_go has been called so often. */
void kill_await_go(uint32_t times);
void kill_go(void);

/* Is a file of that name in the domain? 1: yes; 0: no; -1: so is something else besides the life table. */
int kill_in_directory(const char *file);

/* In the check: complain, and be false, unless ok. */
bool kill_claim(bool ok, const char *what);

/* ---- the tables of cases ---- */

struct kill_table {
	const struct kill_case *cases;
	size_t count;
};

extern const struct kill_table kill_lock_table;
extern const struct kill_table kill_condition_table;
extern const struct kill_table kill_event_table;
extern const struct kill_table kill_once_table;
extern const struct kill_table kill_semaphore_table;
extern const struct kill_table kill_life_table;
extern const struct kill_table kill_queue_table;
extern const struct kill_table kill_queue_kinds_table;
extern const struct kill_table kill_arena_table;
extern const struct kill_table kill_rlock_table;
extern const struct kill_table kill_rwlock_table;
extern const struct kill_table kill_barrier_table;
extern const struct kill_table kill_arena_made_table;
extern const struct kill_table kill_arena_queue_table;
extern const struct kill_table kill_arena_name_table;
extern const struct kill_table kill_dict_table;
extern const struct kill_table kill_list_table;
extern const struct kill_table kill_named_table;
extern const struct kill_table kill_value_table;
extern const struct kill_table kill_array_table;

#define KILL_TABLE(array)                                                                                              \
	{                                                                                                              \
		(array), sizeof(array) / sizeof(array)[0]                                                              \
	}

#endif
