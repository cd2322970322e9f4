/* SPDX-License-Identifier: MIT */
#ifndef KILL_PROCESS_CALLS_H
#define KILL_PROCESS_CALLS_H

/* What the children do; to be registered, since new images run it too. */
int calls_work(void *unused);

/* How often something was wrong, at so many points of each way (INT_MAX: all of them). */
int process_calls(int points, int *ret_count);

#endif
