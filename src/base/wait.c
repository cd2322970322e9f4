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

__thread uint32_t *prk_cancel_here __attribute__((tls_model("initial-exec")));

static int wait_a_slice(uint32_t *word, uint32_t value, int64_t deadline)
{
	int64_t slice = prusik_in_ns(SLICE);
	int r = prk_sys_futex_wait(word, value, deadline < slice ? deadline : slice);

	return r == -ETIMEDOUT && prusik_now() >= deadline ? -ETIMEDOUT : 0;
}

static int wait_in_slices(uint32_t *word, uint32_t value, int64_t deadline)
{
	int r = wait_a_slice(word, value, deadline);

	prk_sweep();
	return r;
}

/* The token's word, announced as slept on; false: it is set. */
static bool heed(uint32_t *token, struct prk_futex *ret_word)
{
	uint32_t seen = prk_load32_acq(token); /* acq [cancel.word] */

	while (!(seen & PRK_CANCEL_SET)) {
		if ((seen & PRK_CANCEL_WAITERS) ||
		    prk_cas32_acqrel(token, &seen, seen | PRK_CANCEL_WAITERS)) {
			*ret_word = (struct prk_futex){ token, PRK_CANCEL_WAITERS };
			return true;
		}
	}
	return false;
}

int prk_wait(uint32_t *word, uint32_t value, uint32_t epoch, int64_t deadline)
{
	struct prk_futex words[3] = { { word, value }, { &prk_life->epoch, epoch } };
	unsigned int n = 2;

	if (prk_cancel_here && !heed(prk_cancel_here, &words[n++]))
		return -ECANCELED;
	if (prk_load32_rlx(&no_waitv) || !prk_sentinel_start())
		return wait_in_slices(word, value, deadline);
	int r = prk_sys_futex_waitv(words, n, deadline);
	if (r == -ETIMEDOUT)
		return r;
	if (r == -ENOSYS || r == -EPERM)
		prk_store32_rlx(&no_waitv, 1);
	else if (r >= 0 || r == -EAGAIN || r == -EINTR)
		return 0;
	return wait_in_slices(word, value, deadline);
}

int prk_wait_private(uint32_t *word, uint32_t value, int64_t deadline)
{
	struct prk_futex words[2] = { { word, value } };
	int r = -ENOSYS;

	if (!prk_cancel_here)
		r = prk_sys_futex_wait(word, value, deadline);
	else if (!heed(prk_cancel_here, &words[1]))
		return -ECANCELED;
	else if (!prk_load32_rlx(&no_waitv))
		r = prk_sys_futex_waitv(words, 2, deadline);
	if (r == -ETIMEDOUT)
		return r;
	return r >= 0 || r == -EAGAIN || r == -EINTR ? 0 : wait_a_slice(word, value, deadline);
}

int prk_wake(uint32_t *word, int count)
{
	return prk_sys_futex_wake(word, count);
}

int prk_change_and_wake(uint32_t *word, enum prk_change change, uint32_t argument, int count)
{
	return prk_sys_futex_wake_op(word, count, (int)change, argument);
}
