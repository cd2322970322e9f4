/* SPDX-License-Identifier: MIT */
#include "base/wait.h"

#include "base/life.h"
#include "base/sentinel.h"
#include "base/sys.h"

#include <errno.h>
#include <prusik/common.h>

/*
 * Where the kernel has no futex_waitv (before 5.16, valgrind, gVisor), or no
 * sentinel can be started, a sleeper looks after deaths by itself this often.
 */
#define SLICE INT64_C(10000000)

static uint32_t no_waitv;

static int wait_in_slices(uint32_t *word, uint32_t value, int64_t deadline)
{
	int64_t slice = prusik_in_ns(SLICE);
	int r = prk_sys_futex_wait(word, value, deadline < slice ? deadline : slice);

	prk_sweep();
	return r == -ETIMEDOUT && prusik_now() >= deadline ? -ETIMEDOUT : 0;
}

int prk_wait(uint32_t *word, uint32_t value, uint32_t epoch, int64_t deadline)
{
	struct prk_futex words[2] = { { word, value }, { &prk_life->epoch, epoch } };

	if (prk_load32_rlx(&no_waitv) || !prk_sentinel_start())
		return wait_in_slices(word, value, deadline);
	int r = prk_sys_futex_waitv(words, 2, deadline);
	if (r == -ETIMEDOUT)
		return r;
	if (r == -ENOSYS || r == -EPERM)
		prk_store32_rlx(&no_waitv, 1);
	else if (r >= 0 || r == -EAGAIN || r == -EINTR)
		return 0;
	return wait_in_slices(word, value, deadline);
}

int prk_wake(uint32_t *word, int count)
{
	return prk_sys_futex_wake(word, count);
}
