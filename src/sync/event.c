/* SPDX-License-Identifier: MIT */
/*
 * event - a flag to wait for
 *
 * struct prusik_event is a flag: base/flag.h has its five headings. A waiter notes
 * the word as he comes, and goes when the flag is set or has been since: so one who
 * was asleep goes also when the flag was cleared before he ran again.
 */
#include <prusik/event.h>

#include "base/flag.h"
#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>

_Static_assert(sizeof(struct prusik_event) == 8, "shared layout");

int prusik_event_set(struct prusik_event *event)
{
	if (prk_misplaced(event))
		return -EINVAL;
	prk_flag_set(&event->word);
	return 0;
}

int prusik_event_clear(struct prusik_event *event)
{
	if (prk_misplaced(event))
		return -EINVAL;
	prk_flag_clear(&event->word);
	return 0;
}

int prusik_event_is_set(const struct prusik_event *event)
{
	if (prk_misplaced(event))
		return -EINVAL;
	return prk_load32_acq(&event->word) & PRK_FLAG_SET; /* acq [flag] */
}

static bool spin(const struct prusik_event *event, uint32_t began)
{
	for (int i = 0; i < PRK_SPINS; i++) {
		if (prk_flag_passed(&event->word, began))
			return true;
		prk_pause();
	}
	return false;
}

static int wait_slow(struct prusik_event *event, uint32_t began, int64_t deadline)
{
	uint32_t value;
	int r = prk_joined();

	if (r < 0 || spin(event, began))
		return r;
	for (;;) {
		uint32_t epoch = prk_epoch();
		if (!prk_flag_announce(&event->word, &value) || prk_flag_passed(&event->word, began))
			return 0;
		r = prk_wait(&event->word, value, epoch, deadline);
		if (r < 0)
			return r;
	}
}

int prusik_event_wait(struct prusik_event *event, int64_t deadline)
{
	if (prk_misplaced(event))
		return -EINVAL;
	uint32_t began = prk_load32_acq(&event->word); /* acq [flag] */
	if (began & PRK_FLAG_SET)
		return 0;
	return deadline == PRUSIK_NOW ? -ETIMEDOUT : wait_slow(event, began, deadline);
}
