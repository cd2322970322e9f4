/* SPDX-License-Identifier: MIT */
#include "base/wait_fd.h"

#include "base/flag.h"
#include "base/sys_process.h"
#include "base/wait.h"

#include <errno.h>
#include <prusik/common.h>

/* The kernel cannot sleep on a descriptor and on a word: with a token, for this long at most. */
#define SLICE INT64_C(4000000)

static int poll_once(struct pollfd *fds, unsigned int count, int64_t deadline)
{
	int r = prk_sys_poll(fds, count, deadline);

	return r == -EINTR ? 0 : r;
}

static int64_t slice_end(int64_t deadline)
{
	int64_t slice = prk_cancel_here ? prusik_in_ns(SLICE) : PRUSIK_FOREVER;

	return slice < deadline ? slice : deadline;
}

int prk_wait_fds(struct pollfd *fds, unsigned int count, int64_t deadline)
{
	int r = poll_once(fds, count, PRUSIK_NOW);

	while (r == 0) {
		if (deadline == PRUSIK_NOW)
			return -ETIMEDOUT;
		/* acq [flag]: F-S */
		if (prk_cancel_here && (prk_load32_acq(prk_cancel_here) & PRK_FLAG_SET))
			return -ECANCELED;
		if (deadline != PRUSIK_FOREVER && prusik_now() >= deadline)
			return -ETIMEDOUT;
		r = poll_once(fds, count, slice_end(deadline));
	}
	return r;
}

int prk_wait_readable(int fd, int64_t deadline)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	int r = prk_wait_fds(&one, 1, deadline);

	if (r < 0)
		return r;
	return one.revents & POLLNVAL ? -EBADF : 0;
}
