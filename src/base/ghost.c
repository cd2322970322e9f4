/* SPDX-License-Identifier: MIT */
/*
 * ghost - locks that a fork has copied while another thread held them
 *
 * Shared mappings, once found, are remembered: who waits for a lock of another
 * living process comes here each time. Private ones are not, since after the first look
 * the word is its finder's. What is remembered may be out of date, a shared mapping
 * may have made way for a private one: that does no harm, for only a fork puts a
 * ghost into memory, and a forked child remembers nothing (struct prk_process).
 */
#include "base/ghost.h"

#include "base/life.h"
#include "base/process.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdlib.h>

static bool another_process(uint32_t owner)
{
	const struct prk_slot *his = prk_slot_of(owner), *mine = prk_self()->slot;

	return prk_load32_rlx(&his->pid) != prk_load32_rlx(&mine->pid) ||
	       prk_load64_rlx(&his->pid_namespace) != prk_load64_rlx(&mine->pid_namespace);
}

/* ---- what is remembered ---- */

static bool inside(const struct prk_range *range, uintptr_t address)
{
	return address >= range->begin && address < range->end;
}

static bool known_as_shared(uintptr_t address)
{
	const struct prk_process *process = prk_process_here();
	uint32_t n = prk_load32_acq(&process->shared_count); /* acq [process.shared_count] */

	while (n-- > 0)
		if (inside(&process->shared[n], address))
			return true;
	return false;
}

/* When there is no more room, those who come later are looked up each time. */
static void remember(const struct prk_range *range)
{
	struct prk_process *process = prk_process_here();

	if (known_as_shared(range->begin))
		return;
	prk_process_lock();
	uint32_t n = process->shared_count;
	if (n < PRK_SHARED_MAX) {
		process->shared[n] = *range;
		/* rel [process.shared_count]: the range is whole, and never changed */
		prk_store32_rel(&process->shared_count, n + 1);
	}
	prk_process_unlock();
}

/* ---- /proc/self/maps ---- */

/* As much of a line as matters: BEGIN-END rwxs, or rwxp */
struct line {
	char text[63];
	char end;
	uint32_t length;
};

static bool parse(const struct line *line, struct prk_range *ret_range, bool *ret_shared)
{
	char *at;

	ret_range->begin = strtoull(line->text, &at, 16);
	if (*at != '-')
		return false;
	ret_range->end = strtoull(at + 1, &at, 16);
	if (at + 4 >= &line->end || *at != ' ')
		return false;
	*ret_shared = at[4] == 's';
	return at[4] == 's' || at[4] == 'p';
}

/* Does the piece end the line? What is too long to matter is left out. */
static bool add(struct line *line, char c)
{
	if (c == '\n')
		return true;
	if (line->length < sizeof line->text)
		line->text[line->length++] = c;
	return false;
}

static bool find_in(int fd, uintptr_t address, struct prk_range *ret_range, bool *ret_shared)
{
	struct line line = { .length = 0 };
	char piece[512];
	off_t offset = 0;
	ssize_t n;

	while ((n = prk_sys_pread(fd, piece, sizeof piece, offset)) > 0) {
		offset += n;
		for (ssize_t i = 0; i < n; i++) {
			if (!add(&line, piece[i]))
				continue;
			if (parse(&line, ret_range, ret_shared) && inside(ret_range, address))
				return true;
			line = (struct line){ .length = 0 };
		}
	}
	return false;
}

/* False also when it cannot be told. */
static bool is_private(uintptr_t address)
{
	struct prk_range range;
	bool shared = true;
	int fd = prk_sys_open("/proc/self/maps", O_RDONLY, 0);

	if (fd < 0)
		return false;
	bool found = find_in(fd, address, &range, &shared);
	prk_sys_close(fd);
	if (found && shared)
		remember(&range);
	return found && !shared;
}

bool prk_ghost(const void *word, uint32_t owner)
{
	uintptr_t address = (uintptr_t)word;

	return another_process(owner) && !known_as_shared(address) && is_private(address);
}

bool prk_gone(const void *word, uint32_t id)
{
	return prk_dead(id) || (prk_self()->id != 0 && prk_ghost(word, id));
}
