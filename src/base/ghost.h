/* SPDX-License-Identifier: MIT */
#ifndef PRK_BASE_GHOST_H
#define PRK_BASE_GHOST_H

#include <stdbool.h>
#include <stdint.h>

/*
 * prk_ghost - is the living owner that word names only the copy of one
 *
 * True when owner is a thread of another process and word lies in memory that is
 * private to this one: then the word was copied by fork while the owner held it. He
 * will never release this copy, and nobody else can: treat him as dead.
 *
 * For slow paths, after prk_dead(owner) said no; the caller takes part. The first
 * look at each mapping reads /proc/self/maps; where that cannot be done, false.
 */
bool prk_ghost(const void *word, uint32_t owner);

/*
 * prk_gone - is the one that word names dead, or a ghost: will he never act on it again
 *
 * For slow paths. A caller that does not take part cannot tell ghosts.
 */
bool prk_gone(const void *word, uint32_t id);

#endif
