/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static uint32_t passed(const struct kill_path *path, uint64_t address)
{
	for (uint32_t i = path->known; i-- > 0;)
		if (path->place[i].address == address)
			return path->place[i].passed + 1;
	return 0;
}

void kill_path_note(struct kill_path *path, uint32_t steps, uint64_t address)
{
	if (steps < path->known && path->place[steps].address != address)
		path->known = steps;
	if (steps != path->known || steps == KILL_PATH_MAX)
		return;
	path->place[steps] = (struct kill_place){ address, passed(path, address) };
	path->known++;
}

/* How often the address is passed up to those steps. */
static uint32_t passed_until(const struct kill_path *path, uint32_t steps, uint64_t address)
{
	for (uint32_t i = steps + 1; i-- > 0;)
		if (path->place[i].address == address)
			return path->place[i].passed + 1;
	return 0;
}

uint32_t kill_path_leap(const struct kill_path *path, uint32_t now, uint32_t end, uint32_t *ret_times)
{
	uint32_t best = 0, least = end - now; /* stops */

	if (now + 1 >= path->known)
		return 0;
	uint32_t last = end < path->known ? end : path->known - 1;
	for (uint32_t i = last; i > now && end - i < least; i--) {
		uint64_t address = path->place[i].address;
		uint32_t stops = path->place[i].passed + 1 + end - i;
		/* Where it stands it would stop at once. */
		if (stops < least && address != path->place[now].address) {
			best = i;
			least = stops;
		}
	}
	if (best)
		*ret_times = path->place[best].passed + 1 - passed_until(path, now, path->place[best].address);
	return best;
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
