/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include "base/sys.h"

#include <sys/mman.h>

#define WIPED_PAGE 4096u

struct prk_process *prk_process;

_Static_assert(sizeof(struct prk_process) <= WIPED_PAGE, "one page");

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

int prk_process_open(void)
{
	if (prk_process_here())
		return 0;
	void *page, *none = NULL;
	int r = prk_wiped_pages(&page, WIPED_PAGE);
	if (r < 0)
		return r;
	/* rel [prk_process]: the page is zeroed */
	if (!prk_cas_ptr_acqrel((void **)&prk_process, &none, page))
		prk_sys_munmap(page, WIPED_PAGE);
	return 0;
}

void prk_process_lock(void)
{
	uint32_t free = 0;

	/* acq [process.spin]: pairs with the unlock */
	while (!prk_cas32_acq(&prk_process_here()->spin, &free, 1)) {
		free = 0;
		prk_pause();
	}
}

void prk_process_unlock(void)
{
	prk_store32_rel(&prk_process_here()->spin, 0); /* rel [process.spin] */
}
