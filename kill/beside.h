/* SPDX-License-Identifier: MIT */
#ifndef KILL_BESIDE_H
#define KILL_BESIDE_H

#include "forms.h"
#include "others.h"

/*
 * Some scenes with prusik and with glibc, those of this noun or all (NULL), and a table of
 * both. Is all well with prusik?
 */
bool kill_beside_glibc(const char *noun, uint32_t stride);

/* Are there scenes of that noun? Else it says so on stderr. */
bool kill_beside_knows(const char *noun);

#endif
