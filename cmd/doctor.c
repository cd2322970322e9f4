/* SPDX-License-Identifier: MIT */
/* doctor - is all there that prusik needs, and what is wrong with what it has */
#include "cmd.h"
#include "line.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <prusik/lock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define MIB (1024.0 * 1024.0)

/* What is not well makes the exit code 1; what is merely slower or scarce does not. */
static int problems, json;

static void tell(const char *state, const char *what, const char *detail)
{
	if (!json) {
		printf("%-8s %s: %s\n", state, what, detail);
		return;
	}
	printf("{\"state\":\"%s\",\"what\":", state);
	cmd_json(what);
	printf(",\"detail\":");
	cmd_json(detail);
	printf("}\n");
}

static void well(const char *what, const char *detail)
{
	tell("ok", what, detail);
}

static void note(const char *what, const char *detail)
{
	tell("note", what, detail);
}

static void ill(const char *what, const char *detail)
{
	tell("problem", what, detail);
	problems++;
}

static int check_domain(void)
{
	struct prusik_lock lock = { 0 };
	int r = prusik_lock_acquire(&lock, PRUSIK_NOW);

	if (r < 0) {
		ill(cmd_domain(), prusik_strerror(r));
		return r;
	}
	prusik_lock_release(&lock);
	well(cmd_domain(), "the domain can be joined");
	return 0;
}

static void check_room(void)
{
	struct statvfs fs;
	char text[128];

	if (statvfs(cmd_domain(), &fs) < 0) {
		ill(cmd_domain(), strerror(errno));
		return;
	}
	double free = (double)fs.f_bavail * (double)fs.f_frsize / MIB,
	       size = (double)fs.f_blocks * (double)fs.f_frsize / MIB;
	snprintf(text, sizeof text, "%.0f MiB of %.0f MiB free for objects", free, size);
	(free < 16 ? ill : well)("room", text);
	int fd = open(cmd_domain(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0)
		ill("nameless files", strerror(errno));
	else
		close(fd);
}

static void check_kernel(void)
{
	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
		note("futex_waitv", "missing (Linux 5.16): deaths are noticed within 10 ms, not at once");
	else
		well("futex_waitv", "there");
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (fd < 0)
		ill("pidfd_open", "missing (Linux 5.3): children cannot be joined");
	else
		close(fd);
}

static void check_limits(void)
{
	struct rlimit limit;
	char text[96];

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 256) {
		snprintf(text, sizeof text, "only %llu", (unsigned long long)limit.rlim_cur);
		note("open files", text);
	}
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
		snprintf(text, sizeof text, "%.0f MiB: arenas cannot grow beyond that", (double)limit.rlim_cur / MIB);
		note("address space", text);
	}
}

static void check_names(void)
{
	struct cmd_names names = { 0 };
	unsigned int dead = 0;
	char text[96];

	if (cmd_names_read(&names)) {
		problems++;
		return;
	}
	for (size_t i = 0; i < names.count; i++) {
		if (names.info[i].problem)
			ill(names.info[i].name, prusik_strerror(names.info[i].problem));
		dead += cmd_names_dead(&names.info[i]) ? 1 : 0;
	}
	snprintf(text, sizeof text, "%zu, %u of them dead", names.count, dead);
	well("names", text);
	if (dead)
		note("names", "prusik gc gives the memory of the dead back");
	free(names.info);
}

int prusik_cmd_doctor(int argc, char **argv)
{
	static const struct cmd_option options[] = { { 'j', "json", NULL }, { 0, NULL, NULL } };
	struct cmd_line line;
	int c;

	(void)argc;
	cmd_line_begin(&line, argv);
	while ((c = cmd_line_next(&line, options)) > 0)
		json = 1;
	if (c < 0)
		return CMD_USAGE;
	if (line.words || line.command)
		return cmd_usage(&line, "needs no words");
	check_kernel();
	check_limits();
	if (check_domain() == 0) {
		check_room();
		check_names();
	}
	return problems ? CMD_NO : CMD_OK;
}
