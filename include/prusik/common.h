/* SPDX-License-Identifier: MIT */
/*
 * common - results, deadlines, version: what every prusik header shares
 *
 * Results. A call that can fail returns int (int64_t for lengths):
 *
 *   < 0   -errno: it did not happen, nothing has changed
 *   = 0   done
 *   > 0   done, plus information: a count, a length, or PRUSIK_RECOVERED
 *
 * so r < 0 always means "you do not have it". The same causes everywhere:
 *
 *   -EINVAL      bad argument           -ETIMEDOUT  deadline passed
 *   -EPERM       not yours              -EDEADLK    you hold it already
 *   -EPIPE       closed                 -EMSGSIZE   item too long
 *   -ENOSPC      arena or table full    -EPROTO     not ours, or another layout
 *   -ESTALE      lease lost             -EEXIST / -ENOENT  name taken / unknown
 *   -ECANCELED   given up on request    -EOVERFLOW  more than can be counted
 *   -EPROTOTYPE  an object of another kind has that name
 *
 * errno is neither read nor set. The library never prints, never exits, and
 * installs no signal handler unless told to (prusik/signal.h). No call returns -EINTR.
 *
 * Participants. A thread that uses a prusik object is a participant. It joins
 * its user's domain (a directory: $PRUSIK_DIR, else /dev/shm/prusik-UID) at its
 * first use, by itself, and leaves it when it ends in any way. Joining can fail,
 * so every call that acquires something may also return
 *
 *   -EPERM     the domain is not a directory of this user with mode 0700
 *   -EPROTO    the domain was made by an incompatible build of prusik
 *   -ENOSPC    no room on the domain's file system, or 16,384 participants
 *   -EMFILE, -ENFILE, -ENOMEM, -EACCES, -ENOENT   from opening the domain
 *
 * Async-signal-safe: all functions of this header.
 */
#ifndef PRUSIK_COMMON_H
#define PRUSIK_COMMON_H

#include <stddef.h>
#include <stdint.h>

#define PRUSIK_VERSION "0.1.0"

#define PRUSIK_MUST_USE __attribute__((warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* You hold it, and its previous holder died holding it. Told once. */
#define PRUSIK_RECOVERED 1

/*
 * Deadlines: absolute CLOCK_MONOTONIC nanoseconds, the last argument of every
 * call that can block. PRUSIK_NOW tries and does not wait (-ETIMEDOUT when it
 * would have to); PRUSIK_FOREVER waits without limit. One that has passed, as all below
 * 0 have, is no error: what need not be waited for is done.
 */
#define PRUSIK_NOW ((int64_t)0)
#define PRUSIK_FOREVER INT64_MAX

/* The monotonic clock now, in nanoseconds. Async-signal-safe. */
int64_t prusik_now(void);

/*
 * The deadline that lies this far ahead; an amount below 0 counts as 0, one too
 * large to express gives PRUSIK_FOREVER. Async-signal-safe.
 */
int64_t prusik_in_ns(int64_t nanoseconds);
int64_t prusik_in_us(int64_t microseconds);
int64_t prusik_in_ms(int64_t milliseconds);
int64_t prusik_in_s(int64_t seconds);

/* A result in words; for PRUSIK_RECOVERED and 0 too. Never NULL, never freed. */
const char *prusik_strerror(int result);

/* The version of the library that is running; PRUSIK_VERSION is that of the header. */
const char *prusik_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
