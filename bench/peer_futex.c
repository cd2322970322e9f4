/* SPDX-License-Identifier: MIT */
/* The least that can wake another process: a shared word and the futex calls. */
#include "team.h"
#include "wake.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct slot {
	_Atomic uint32_t full;
	_Alignas(64) char item[WAKE_ITEM];
};

static int open_slot(const struct queue_shape *shape, void **ret_line)
{
	(void)shape;
	*ret_line = team_memory(sizeof(struct slot));
	return *ret_line ? 0 : -ENOMEM;
}

static void close_slot(void *line)
{
	team_memory_free(line, sizeof(struct slot));
}

/* The workload puts into an empty slot only. */
static int put_slot(struct queue_end *end, uint32_t n)
{
	struct slot *slot = end->line;

	(void)n;
	memcpy(slot->item, end->items[0].iov_base, WAKE_ITEM);
	atomic_store(&slot->full, 1);
	return syscall(SYS_futex, &slot->full, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

static int get_slot(struct queue_end *end, uint32_t n)
{
	struct slot *slot = end->line;

	(void)n;
	while (!atomic_load(&slot->full))
		syscall(SYS_futex, &slot->full, FUTEX_WAIT, 0, NULL, NULL, 0);
	memcpy(end->items[0].iov_base, slot->item, WAKE_ITEM);
	atomic_store(&slot->full, 0);
	return 1;
}

const struct queue_peer wake_futex = {
	.open = open_slot,
	.close = close_slot,
	.put = put_slot,
	.get = get_slot,
};
