/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include "base/sys.h"

#include <sys/mman.h>

int prk_wiped_pages(void **ret_pages, uint32_t bytes)
{
	void *pages;
	int r = prk_sys_mmap(&pages, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (r < 0)
		return r;
	r = prk_sys_madvise(pages, bytes, MADV_WIPEONFORK);
	if (r < 0) {
		prk_sys_munmap(pages, bytes);
		return r;
	}
	*ret_pages = pages;
	return 0;
}
