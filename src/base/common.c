/* SPDX-License-Identifier: MIT */
#include <prusik/common.h>

#include "base/clock.h"

#include <errno.h>

#define NS_PER_S INT64_C(1000000000)

int64_t prusik_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t prusik_in_ns(int64_t nanoseconds)
{
	int64_t now = prusik_now();

	if (nanoseconds < 0)
		nanoseconds = 0;
	return nanoseconds > PRUSIK_FOREVER - now ? PRUSIK_FOREVER : now + nanoseconds;
}

static int64_t in_units(int64_t count, int64_t unit)
{
	return count > PRUSIK_FOREVER / unit ? PRUSIK_FOREVER : prusik_in_ns(count * unit);
}

int64_t prusik_in_us(int64_t microseconds)
{
	return microseconds < 0 ? prusik_in_ns(0) : in_units(microseconds, 1000);
}

int64_t prusik_in_ms(int64_t milliseconds)
{
	return milliseconds < 0 ? prusik_in_ns(0) : in_units(milliseconds, 1000000);
}

int64_t prusik_in_s(int64_t seconds)
{
	return seconds < 0 ? prusik_in_ns(0) : in_units(seconds, NS_PER_S);
}

struct timespec *prk_timespec(int64_t deadline, struct timespec *ts)
{
	if (deadline == PRUSIK_FOREVER)
		return NULL;
	if (deadline < 0)
		deadline = 0;
	ts->tv_sec = deadline / NS_PER_S;
	ts->tv_nsec = deadline % NS_PER_S;
	return ts;
}

const char *prusik_version(void)
{
	return PRUSIK_VERSION;
}

const char *prusik_strerror(int result)
{
	static const struct {
		int cause;
		const char *words;
	} table[] = {
		{ 0, "done" },
		{ PRUSIK_RECOVERED, "recovered: its previous holder died holding it" },
		{ -EINVAL, "bad argument" },
		{ -EPERM, "not yours" },
		{ -EPIPE, "closed" },
		{ -ETIMEDOUT, "deadline passed" },
		{ -ECANCELED, "canceled" },
		{ -EDEADLK, "held already by the caller" },
		{ -EMSGSIZE, "item too long" },
		{ -ENOSPC, "no space left" },
		{ -EPROTO, "not a prusik object, or of another version or layout" },
		{ -EPROTOTYPE, "an object of another kind has that name" },
		{ -EBUSY, "in use" },
		{ -EBADF, "the program has closed a descriptor that is not its own" },
		{ -ESTALE, "lease lost" },
		{ -EEXIST, "name is taken" },
		{ -ENOENT, "no such name" },
		{ -ENAMETOOLONG, "name too long" },
		{ -EAGAIN, "too many processes or threads" },
		{ -ENOMEM, "out of memory" },
		{ -EMFILE, "too many open files in this process" },
		{ -ENFILE, "too many open files in the system" },
		{ -EACCES, "permission denied" },
		{ -ECHILD, "reaped by somebody else" },
		{ -ESRCH, "no such process or thread" },
		{ -EALREADY, "too late" },
		{ -ENOTDIR, "not a directory" },
		{ -ENOSYS, "not supported by this kernel" },
		{ -EROFS, "read-only file system" },
	};

	for (unsigned int i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].cause == result)
			return table[i].words;
	return result > 0 ? "done" : "unknown error";
}
