/* SPDX-License-Identifier: MIT */
/* options - how long an example's sleeps take: its first argument, in milliseconds */
#ifndef EXAMPLE_OPTIONS_H
#define EXAMPLE_OPTIONS_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The first argument, or how long by default; ends the program when it is no number of ms. */
static inline long milliseconds(int argc, char **argv, long by_default)
{
	char *end = NULL;
	long ms = argc > 1 ? strtol(argv[1], &end, 10) : by_default;

	if (argc <= 2 && ms >= 0 && ms <= 3600000 && (argc < 2 || (end != argv[1] && *end == 0)))
		return ms;
	fprintf(stderr, "usage: %s [MILLISECONDS]\n", argv[0]);
	exit(2);
}

static inline void sleep_ms(long ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) < 0)
		; /* a signal: go on sleeping */
}

#endif
