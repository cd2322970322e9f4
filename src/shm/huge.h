/* SPDX-License-Identifier: MIT */
/*
 * huge - arenas that are large lie in huge pages, where the kernel has some
 *
 * A processor that looks for one of ten million keys misses its cache anyway; with
 * small pages it has to look up first where each page lies, which costs a miss more.
 * So the mapping of an arena that can become large begins where a huge page may, and
 * what it grows by is asked to become huge pages as soon as there is a whole one. All
 * of this is a wish: nothing depends on its being granted, and each process may have
 * the same memory in pages of another size.
 */
#ifndef PRK_SHM_HUGE_H
#define PRK_SHM_HUGE_H

#include "shm/arena.h"

/* The size of a huge page; where it is another one, nothing is gained. */
#define PRK_HUGE_PAGE (UINT64_C(2) << 20)

/* Arenas below that are not worth it. */
#define PRK_HUGE_LEAST (2 * PRK_HUGE_PAGE)

/* Map length bytes of fd; results as of prk_sys_mmap. */
int prk_huge_map(void **ret_shm, uint64_t length, int fd);

/* The arena's bytes from..to have just been set aside in its file. */
void prk_huge_fill(const struct prusik_arena *arena, uint64_t from, uint64_t to);

/* The same for private memory, which is filled as it is used. */
void prk_huge_private(void *shm, uint64_t length);

#endif
