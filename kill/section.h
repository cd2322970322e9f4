/* SPDX-License-Identifier: MIT */
/*
 * section - the lock of a value or an array as a user takes it: who has it beside the
 * victim, and what the next one to take it is told
 */
#ifndef KILL_SECTION_H
#define KILL_SECTION_H

#include "kill.h"

struct section_verbs {
	kill_fn *setup; /* the start state, with the lock free */
	int (*open)(void *object, int64_t deadline);
	int (*close)(void *object);
};

/* What case.data of such a case begins with. */
struct section_plan {
	const struct section_verbs *verbs;
	bool orphan; /* somebody has died in a section before the victim acts */
};

/* Start states: somebody has it until section_let_go, until section_owner_dies, or has died with it. */
void section_had(void *object);
void section_kept(void *object);
void section_orphaned(void *object);

/* For case.unblock. */
void section_let_go(void *object, int times);
void section_owner_dies(void *object, int times);

/* A newcomer opens it, twice over: what he is told the first time; below 0: it was wrong, and said. */
int section_told(void *object);

#endif
