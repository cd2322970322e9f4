/* SPDX-License-Identifier: MIT */
#include "base/wait.h"

#include "base/flag.h"
#include "base/life.h"
#include "base/sentinel.h"
#include "base/sys.h"
#include "base/tsan.h"

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

	if (r == -ETIMEDOUT)
		return prusik_now() >= deadline ? -ETIMEDOUT : 0;
	return r == 0;
}

/* 1: woken; else as prk_wait. */
static int wait_in_slices(uint32_t *word, uint32_t value, int64_t deadline)
{
	int r = wait_a_slice(word, value, deadline);

	prk_sweep();
	return r;
}

/* The word is the last one. 1: woken on it; else as prk_wait. */
static int sleep_on(const struct prk_futex *words, unsigned int n, int64_t deadline)
{
	const struct prk_futex *last = &words[n - 1];

	if (prk_load32_rlx(&no_waitv) || !prk_sentinel_start())
		return wait_in_slices(last->word, last->value, deadline);
	int r = prk_sys_futex_waitv(words, n, deadline);
	if (r >= 0)
		return r == (int)n - 1; /* several were woken: the kernel names the last */
	if (r == -ETIMEDOUT)
		return r;
	if (r == -EAGAIN || r == -EINTR)
		return 0;
	if (r == -ENOSYS || r == -EPERM)
		prk_store32_rlx(&no_waitv, 1);
	return wait_in_slices(last->word, last->value, deadline);
}

/* If the word has changed the caller looks first: perhaps he need not wait. */
static bool canceled(const uint32_t *word, uint32_t value, const uint32_t *token, uint32_t heeded)
{
	return prk_load32_rlx(word) == value && prk_flag_passed(token, heeded);
}

int prk_wait(uint32_t *word, uint32_t value, uint32_t epoch, int64_t deadline)
{
	uint32_t *token = prk_cancel_here, heeded = 0;
	struct prk_futex words[3];
	unsigned int n = 0;

	if (token) {
		if (!prk_flag_announce(token, &heeded))
			return -ECANCELED;
		words[n++] = (struct prk_futex){ token, heeded };
	}
	words[n++] = (struct prk_futex){ &prk_life->epoch, epoch };
	words[n++] = (struct prk_futex){ word, value };
	int r = sleep_on(words, n, deadline);
	if (r == 0 && token && canceled(word, value, token, heeded))
		return -ECANCELED;
	return r > 0 ? 0 : r;
}

int prk_wait_private(uint32_t *word, uint32_t value, int64_t deadline)
{
	uint32_t *token = prk_cancel_here, heeded = 0;
	struct prk_futex words[2];
	int r = -ENOSYS;

	if (!token)
		r = prk_sys_futex_wait(word, value, deadline);
	else if (!prk_flag_announce(token, &heeded))
		return -ECANCELED;
	else if (!prk_load32_rlx(&no_waitv)) {
		words[0] = (struct prk_futex){ token, heeded };
		words[1] = (struct prk_futex){ word, value };
		r = prk_sys_futex_waitv(words, 2, deadline);
	}
	if (r < 0 && r != -EAGAIN && r != -EINTR && r != -ETIMEDOUT)
		r = wait_a_slice(word, value, deadline);
	if (r == -ETIMEDOUT)
		return r;
	/* As in prk_wait; the token may have been cleared again. */
	return token && canceled(word, value, token, heeded) ? -ECANCELED : 0;
}

int prk_wake(uint32_t *word, int count)
{
	return prk_sys_futex_wake(word, count);
}

int prk_change_and_wake(uint32_t *word, enum prk_change change, uint32_t argument, int count)
{
	prk_tsan_release(word);
	return prk_sys_futex_wake_op(word, count, (int)change, argument);
}
