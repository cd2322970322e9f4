/* SPDX-License-Identifier: MIT */
/*
 * wait_fd - the one place where a participant sleeps on descriptors
 */
#ifndef PRK_BASE_WAIT_FD_H
#define PRK_BASE_WAIT_FD_H

#include <poll.h>
#include <stdint.h>

/*
 * Until one of them is ready: how many are, as poll tells. -ETIMEDOUT: the deadline has
 * passed; -ECANCELED: the token that this thread heeds is set, or was meanwhile. Neither while one is
 * ready. Not ended by a signal.
 */
int prk_wait_fds(struct pollfd *fds, unsigned int count, int64_t deadline);

/* The same for reading from one: 0, or -errno. */
int prk_wait_readable(int fd, int64_t deadline);

#endif
