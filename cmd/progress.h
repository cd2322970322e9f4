/* SPDX-License-Identifier: MIT */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdint.h>

/*
 * A bar on stderr where that is a terminal, and nothing where it is not. Redrawn
 * ten times a second at most, however often it is called. All zero: not drawn yet.
 */
struct progress {
	int64_t next; /* not to be drawn before */
	int drawn;
};

/* Is it time to draw? So that the text need not be made in vain. */
int progress_due(struct progress *progress);

/* done: 0 to 1. */
void progress_draw(struct progress *progress, double done, const char *text);

/* Wipe the bar, so that other lines may follow. */
void progress_clear(struct progress *progress);

#endif
