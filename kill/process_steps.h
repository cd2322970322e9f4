/* SPDX-License-Identifier: MIT */
#ifndef KILL_PROCESS_STEPS_H
#define KILL_PROCESS_STEPS_H

/* Until nobody is left of those that the caller is to wait for; not 0: somebody does not end. */
int reap_all(void);
/* Those who do not end by themselves. */
void kill_everybody(void);
int sleep_for_ever(void *unused);

/* How often something was wrong, at so many points of each way (INT_MAX: all, where that is quick enough). */
int process_steps(int points, int *ret_count);

#endif
