/* SPDX-License-Identifier: MIT */
#ifndef PRK_BASE_CLOCK_H
#define PRK_BASE_CLOCK_H

#include <prusik/common.h>
#include <time.h>

/* A deadline as the kernel wants it: NULL for PRUSIK_FOREVER, else ts filled in. */
struct timespec *prk_timespec(int64_t deadline, struct timespec *ts);

#endif
