/* SPDX-License-Identifier: MIT */
/* outside - programs of other languages that do a whole piece of work by themselves */
#ifndef BENCH_OUTSIDE_H
#define BENCH_OUTSIDE_H

#include <stdint.h>

#define OUTSIDE_NUMBERS_MAX 5

/*
 * Run that program, found in $PATH, with the script (NULL: none) and so many numbers as its
 * arguments. It prints one line: "ok NANOSECONDS", or "wrong", or "missing".
 * 0 with *ret_ns, BENCH_LEFT_OUT's and BENCH_WRONG's values (bench.h), or -errno.
 */
int outside_run(const char *program, const char *script, const uint64_t *numbers, int count, int64_t *ret_ns);

#endif
