/* SPDX-License-Identifier: MIT */
#ifndef PRK_BASE_PROCESS_H
#define PRK_BASE_PROCESS_H

#include "base/atomic.h"

/* Part of a mapping. */
struct prk_range {
	uint64_t begin, end;
};
#define PRK_SHARED_MAX 64u

/*
 * struct prk_process - what a process knows of itself; zeros again in a forked child
 *
 * spin guards free_selves, and additions to shared; as zero means free, a child of a
 * threaded process cannot inherit it held.
 */
struct prk_process {
	uint32_t spin;
	uint32_t sentinel; /* enum prk_sentinel_state */
	uint32_t sentinel_id; /* 0 while none watches */
	uint64_t pid_namespace; /* 0: not asked yet */
	struct prk_self *free_selves;
	uint32_t shared_count;
	struct prk_range shared[PRK_SHARED_MAX]; /* mappings known to be shared (ghost.c) */
};

/* NULL until somebody of this process has joined. */
extern struct prk_process *prk_process;

/* acq [prk_process]: pairs with the CAS in process_open */
static inline struct prk_process *prk_process_here(void)
{
	return prk_load_ptr_acq((void *const *)&prk_process);
}

/* A lock of this process's own, held for moments; free in a forked child. */
void prk_process_lock(void);
void prk_process_unlock(void);

/* Make the notes, if there are none. */
int prk_process_open(void);

/* Zeroed pages that are zeros again in a forked child. */
int prk_wiped_pages(void **ret_pages, uint32_t bytes);

#endif
