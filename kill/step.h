/* SPDX-License-Identifier: MIT */
/* step: a process that is led through an operation one instruction at a time */
#ifndef KILL_STEP_H
#define KILL_STEP_H

#include "kill.h"
#include "path.h"

enum kill_step {
	KILL_STEPPED, /* one more instruction is done; it is stopped */
	KILL_SLEEPS, /* the step is in a system call that sleeps; go on with kill_step_on */
	KILL_RETURNED, /* the operation has returned; it is stopped */
	KILL_GONE, /* it is dead, which it should not be */
	KILL_STUCK, /* a step has not ended within KILL_LIMIT */
};

struct kill_victim {
	pid_t pid, tid;
	pid_t frozen; /* its sentinel, held still; 0 = none */
	uint32_t steps; /* of the operation that are done */
	int slept;
	bool helped; /* beside has done what it waits for */
	bool returned;
	bool stopped; /* else a step is under way */
	struct kill_path *path; /* by which its like have come; NULL: it is stepped all the way */
	bool strayed; /* a leap has missed its place, so that nobody knows how many steps are done */
	uint32_t leap; /* the steps that are done when the leap under way ends; 0 = none is */
	uint64_t leap_address;
	uint32_t leap_times; /* the leap ends there when it comes by for this time */
	uint64_t naps; /* of its thread when it was last found asleep in a leap */
	uint32_t *phase;
};

/* Start the case's victim, stopped just before its operation. False: it did not come that far. */
bool kill_victim_start(struct kill_victim *v);

/* The same for one that cleans up with function(object): kill_run->second_id. */
bool kill_recoverer_start(struct kill_victim *v, kill_fn *function, void *object);

enum kill_step kill_step(struct kill_victim *v);
/* A step on the way to so many, or several at one go (path.h). */
enum kill_step kill_step_towards(struct kill_victim *v, uint32_t n);
/* All the way to the operation's end. */
enum kill_step kill_run_on(struct kill_victim *v);
/* After KILL_SLEEPS: wait for the end of that step. KILL_SLEEPS: in a leap it sleeps anew. */
enum kill_step kill_step_on(struct kill_victim *v);

/* A new case: no path is known. */
void kill_paths_forget(void);

/* SIGKILL where it stands, and wait until it is gone. */
void kill_victim_kill(struct kill_victim *v);
/* Let it run by itself from here, leave, and exit. False: it has not within KILL_LIMIT. */
bool kill_victim_release(struct kill_victim *v);

#endif
