/* SPDX-License-Identifier: MIT */
#ifndef PRK_BASE_PROCESS_H
#define PRK_BASE_PROCESS_H

#include <stdint.h>

/*
 * struct prk_process - what a process knows of itself; zeros again in a forked child
 *
 * spin guards free_selves; as zero means free, a child of a threaded process
 * cannot inherit it held.
 */
struct prk_process {
	uint32_t spin;
	uint32_t sentinel; /* enum prk_sentinel_state */
	uint32_t sentinel_id; /* 0 while none watches */
	struct prk_self *free_selves;
};

extern struct prk_process *prk_process;

/* Zeroed pages that are zeros again in a forked child. */
int prk_wiped_pages(void **ret_pages, uint32_t bytes);

#endif
