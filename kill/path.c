/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static bool passed_before(const struct kill_path *path, uint64_t address)
{
	for (uint32_t i = 0; i < path->known; i++)
		if (path->place[i].address == address)
			return true;
	return false;
}

void kill_path_note(struct kill_path *path, uint32_t steps, uint64_t address)
{
	if (steps < path->known && path->place[steps].address != address)
		path->known = steps;
	if (steps != path->known || steps == KILL_PATH_MAX)
		return;
	path->place[steps] = (struct kill_place){ address, !passed_before(path, address) };
	path->known++;
}

uint32_t kill_path_leap(const struct kill_path *path, uint32_t now, uint32_t end)
{
	uint32_t i = end < path->known ? end : path->known - 1;

	if (path->known == 0)
		return 0;
	while (i > now && !path->place[i].first)
		i--;
	return i > now ? i : 0;
}

#ifdef __x86_64__

#define DR_CONTROL 7
#define DR_ENABLE_FIRST 1ul /* its kind and length are 0: an instruction */
#define DR_ENABLE_SECOND 4ul

static bool set_debug_register(pid_t tid, unsigned int number, unsigned long value)
{
	size_t at = offsetof(struct user, u_debugreg) + number * sizeof value;

	return ptrace(PTRACE_POKEUSER, tid, (void *)at, (void *)value) == 0;
}

uint64_t kill_path_address(pid_t tid)
{
	errno = 0;
	long r = ptrace(PTRACE_PEEKUSER, tid, (void *)offsetof(struct user, regs.rip), NULL);
	return errno ? 0 : (uint64_t)r;
}

bool kill_path_break(pid_t tid, uint64_t first, uint64_t second)
{
	return set_debug_register(tid, 0, first) && set_debug_register(tid, 1, second) &&
	       set_debug_register(tid, DR_CONTROL, DR_ENABLE_FIRST | DR_ENABLE_SECOND);
}

void kill_path_unbreak(pid_t tid)
{
	set_debug_register(tid, DR_CONTROL, 0);
}

#else

uint64_t kill_path_address(pid_t tid)
{
	(void)tid;
	return 0;
}

bool kill_path_break(pid_t tid, uint64_t first, uint64_t second)
{
	(void)tid;
	(void)first;
	(void)second;
	return false;
}

void kill_path_unbreak(pid_t tid)
{
	(void)tid;
}

#endif
