/* SPDX-License-Identifier: MIT */
/* noise - how much of the machine's work was not the bench's */
#ifndef BENCH_NOISE_H
#define BENCH_NOISE_H

/* Begin to watch. */
void noise_start(void);

/* Since noise_start, what others used of all the processors' time, 0 to 1; below 0 when it cannot be told. */
double noise_share(void);

#endif
