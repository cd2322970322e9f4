/* SPDX-License-Identifier: MIT */
/* peer_std - loops over what the C++ library has, made where it is known */
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
int semaphore_std_acquire(void *semaphore);
int semaphore_std_release(void *semaphore);

/*
 * std::barrier: so many rounds, a multiple of 16, of all its parties; 0, or 1 when the
 * rounds that it ended are not as many. How many, in *ret_done.
 */
int barrier_std_init(void *barrier, uint32_t parties);
int barrier_std_rounds(void *barrier, uint64_t count, uint64_t *ret_done);

/*
 * std::shared_mutex, in 64 bytes. Read, or write, until so many times or until *stop is
 * not 0; a writer raises *counter. How often, in *ret_done, a multiple of 16.
 */
int rwlock_std_init(void *mutex);
int rwlock_std_read(void *mutex, uint64_t count, uint32_t *stop, uint64_t *ret_done);
int rwlock_std_write(void *mutex, uint64_t count, uint32_t *stop, uint64_t *ret_done, volatile uint64_t *counter);
/* The same, one of 16 visits writing. */
int rwlock_std_mixed(void *mutex, uint64_t count, uint32_t *stop, uint64_t *ret_done, volatile uint64_t *counter);

/*
 * std::call_once, in 64 bytes: so many calls, a multiple of 16, of what only the first
 * one does. 0, or 1 when it was not done once; how many, in *ret_done.
 */
int once_std_init(void *once);
int once_std_calls(void *once, uint64_t count, uint64_t *ret_done);

#ifdef __cplusplus
}
#endif
#endif
