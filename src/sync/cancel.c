/* SPDX-License-Identifier: MIT */
/*
 * cancel - a flag that every wait of a thread sleeps on beside its own word
 *
 * struct prusik_cancel is a flag: base/flag.h has its five headings. prk_wait heeds it.
 */
#include <prusik/cancel.h>

#include "base/flag.h"
#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>

_Static_assert(sizeof(struct prusik_cancel) == 8, "shared layout");

int prusik_cancel_set(struct prusik_cancel *cancel)
{
	if (prk_misplaced(cancel))
		return -EINVAL;
	prk_flag_set(&cancel->word);
	return 0;
}

int prusik_cancel_clear(struct prusik_cancel *cancel)
{
	if (prk_misplaced(cancel))
		return -EINVAL;
	prk_flag_clear(&cancel->word);
	return 0;
}

int prusik_cancel_is_set(const struct prusik_cancel *cancel)
{
	if (prk_misplaced(cancel))
		return -EINVAL;
	return prk_load32_acq(&cancel->word) & PRK_FLAG_SET; /* acq [flag] */
}

struct prusik_cancel *prusik_cancel_use(struct prusik_cancel *cancel)
{
	struct prusik_cancel *before = (struct prusik_cancel *)(void *)prk_cancel_here;

	prk_cancel_here = prk_misplaced(cancel) ? NULL : &cancel->word;
	return before;
}
