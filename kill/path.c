/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

/* What lies farther in is stepped all the way. */
#define PATH_MAX_STEPS 32768

static struct place {
	uint64_t address;
	bool first; /* the path has not passed here before */
	bool sleeps;
} path[PATH_MAX_STEPS];

static uint32_t known;

void kill_path_forget(void)
{
	known = 0;
}

static bool passed_before(uint64_t address)
{
	for (uint32_t i = 0; i < known; i++)
		if (path[i].address == address)
			return true;
	return false;
}

void kill_path_note(uint32_t steps, uint64_t address)
{
	if (steps < known && path[steps].address != address)
		known = steps;
	if (steps != known || steps == PATH_MAX_STEPS)
		return;
	path[steps] = (struct place){ .address = address, .first = !passed_before(address) };
	known++;
}

void kill_path_sleeps(uint32_t steps)
{
	if (steps < known)
		path[steps].sleeps = true;
}

uint32_t kill_path_leap(uint32_t now, uint32_t end, uint64_t *ret_address)
{
	uint32_t found = 0;

	for (uint32_t i = now; i < known && i <= end; i++) {
		if (i > now && path[i].first)
			found = i;
		if (path[i].sleeps)
			break;
	}
	*ret_address = path[found].address;
	return found;
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
