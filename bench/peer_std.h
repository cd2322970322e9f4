/* SPDX-License-Identifier: MIT */
/* peer_std - a loop over the C++ library's semaphore, made where it is known */
#ifndef BENCH_PEER_STD_H
#define BENCH_PEER_STD_H

#include "bench.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Acquire and release so often. */
typedef int semaphore_pairs(void *semaphore, uint64_t count);

/* peer_std.cc: std::counting_semaphore, in 64 bytes. */
int semaphore_std_init(void *semaphore, unsigned int value, int shared);
int semaphore_std_pairs(void *semaphore, uint64_t count);

#ifdef __cplusplus
}
#endif
#endif
