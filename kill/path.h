/* SPDX-License-Identifier: MIT */
/*
 * path: the instructions by which a victim has come
 *
 * To single-step each victim of a case through all that its predecessors were stepped
 * through costs the square of an operation's length, and a debug exception is dear. So
 * the first one to come by leaves its path here, and the next is led at one go, by a
 * hardware breakpoint, to an instruction not far before its point that the path has not
 * passed often; only from there on it is stepped.
 */
#ifndef KILL_PATH_H
#define KILL_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What lies farther in is stepped all the way. */
#define KILL_PATH_MAX 32768

struct kill_place {
	uint64_t address;
	uint32_t passed; /* so often before */
};

struct kill_path {
	uint32_t known;
	struct kill_place place[KILL_PATH_MAX]; /* by steps done */
};

/* After so many steps the next instruction is this one. Another than last time: the rest is forgotten. */
void kill_path_note(struct kill_path *path, uint32_t steps, uint64_t address);

/*
 * To which place after now, and not after end, should one leap, and how often will it be
 * passed on the way, that place included? Steps, or 0: it is best to step.
 */
uint32_t kill_path_leap(const struct kill_path *path, uint32_t now, uint32_t end, uint32_t *ret_times);

/* Of a stopped thread: where it stands; 0 = not to be had here. */
uint64_t kill_path_address(pid_t tid);
/* Have it stop before either of two instructions. False: not to be had here. */
bool kill_path_break(pid_t tid, uint64_t first, uint64_t second);
void kill_path_unbreak(pid_t tid);

#endif
