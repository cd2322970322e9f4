/* SPDX-License-Identifier: MIT */
/* forms: what is done with a victim at each instruction (kill.h lists the forms) */
#ifndef KILL_FORMS_H
#define KILL_FORMS_H

#include "kill.h"

#include <signal.h>

struct kill_tally {
	uint64_t points, hung, broken;
};

struct kill_options {
	uint32_t stride; /* where a point costs a process: so far apart; 1 = all of them */
	int64_t limit; /* in ns, or 0: such a form ends early, and gets sparser farther in */
	bool stop; /* at the first failure */
	bool quiet; /* count the failures, all of them, and say nothing */
};

bool kill_form_fits(const struct kill_case *c, enum kill_form form);
const char *kill_form_name(enum kill_form form);

/* Run the case, which is kill_now_case, in that form. */
void kill_form_run(enum kill_form form, const struct kill_options *options, struct kill_tally *ret_tally);

/* main.c: end after the point at hand. */
extern volatile sig_atomic_t kill_interrupted;

/* main.c: a fresh domain, not yet made, for the processes forked from now on; and back. */
void kill_domain_fresh(void);
void kill_domain_back(void);

#endif
