/* SPDX-License-Identifier: MIT */
#include "shm/huge.h"

#include "base/sys.h"

#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static uint64_t round_up(uint64_t n)
{
	return (n + PRK_HUGE_PAGE - 1) / PRK_HUGE_PAGE * PRK_HUGE_PAGE;
}

/* Within room, which is as much longer as one huge page, at the first multiple of it. */
static int map_within(char *room, uint64_t length, int fd, void **ret_shm)
{
	uint64_t before = round_up((uintptr_t)room) - (uintptr_t)room, end = before + length;
	uint64_t after = length + PRK_HUGE_PAGE - end;
	int r = prk_sys_mmap_at(room + before, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (r < 0) {
		prk_sys_munmap(room, length + PRK_HUGE_PAGE);
		return r;
	}
	if (before)
		prk_sys_munmap(room, before);
	if (after)
		prk_sys_munmap(room + end, after);
	*ret_shm = room + before;
	return 0;
}

int prk_huge_map(void **ret_shm, uint64_t length, int fd)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *room;

	if (length < PRK_HUGE_LEAST || prk_sys_mmap(&room, length + PRK_HUGE_PAGE, PROT_NONE, flags, -1, 0) < 0)
		return prk_sys_mmap(ret_shm, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return map_within(room, length, fd, ret_shm);
}

/* Page by page, since the kernel does not look up from this for a signal. */
void prk_huge_fill(const struct prusik_arena *arena, uint64_t from, uint64_t to)
{
	char *shm = (char *)arena->shm;

	if (to < PRK_HUGE_LEAST || (uintptr_t)shm % PRK_HUGE_PAGE)
		return;
	for (uint64_t at = from / PRK_HUGE_PAGE * PRK_HUGE_PAGE; at + PRK_HUGE_PAGE <= to; at += PRK_HUGE_PAGE)
		if (prk_sys_madvise(shm + at, PRK_HUGE_PAGE, MADV_COLLAPSE) < 0)
			return; /* it has none, or no longer */
}

/* The beginning stays in small pages: most private objects never need more. */
void prk_huge_private(void *shm, uint64_t length)
{
	char *from = (char *)shm + PRK_HUGE_LEAST;

	if (length > PRK_HUGE_LEAST)
		(void)prk_sys_madvise(from - (uintptr_t)from % 4096, length - PRK_HUGE_LEAST, MADV_HUGEPAGE);
}
