/* SPDX-License-Identifier: MIT */
#ifndef PRK_BASE_SENTINEL_H
#define PRK_BASE_SENTINEL_H

#include <stdbool.h>
#include <stdint.h>

enum prk_sentinel_state {
	PRK_SENTINEL_NONE,
	PRK_SENTINEL_STARTED,
	PRK_SENTINEL_FAILED, /* could not join, or the kernel lacks futex_waitv: no other try */
};

/*
 * Start this process's sentinel if it has none. False when it cannot be: then
 * whoever waits must look again by itself, from time to time.
 */
bool prk_sentinel_start(void);

/* How long a sentinel sleeps at most, in ns; tests set PRUSIK_FOREVER to do without. */
extern int64_t prk_sentinel_belt;

#endif
