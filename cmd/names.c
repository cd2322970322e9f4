/* SPDX-License-Identifier: MIT */
#include "names.h"

#include "cmd.h"
#include "line.h"

#include <errno.h>
#include <fnmatch.h>
#include <prusik/lock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *cmd_domain(void)
{
	static char standard[64];
	const char *given = getenv("PRUSIK_DIR");

	snprintf(standard, sizeof standard, "/dev/shm/prusik-%u", (unsigned int)geteuid());
	return given && *given ? given : standard;
}

static const char *why_not(int result)
{
	if (result == -EPERM)
		return "not a directory of yours with mode 0700";
	return result == -ENOENT ? "cannot be made where there is no directory" : prusik_strerror(result);
}

int cmd_domain_refused(void)
{
	struct prusik_lock lock = { 0 };
	int r = prusik_lock_acquire(&lock, PRUSIK_NOW);

	if (r < 0)
		cmd_say(": the domain %s: %s", cmd_domain(), why_not(r));
	else
		prusik_lock_release(&lock);
	return r < 0 ? r : 0;
}

static int add(const struct prusik_named_info *info, void *context)
{
	struct cmd_names *names = context;

	if (names->glob && fnmatch(names->glob, info->name, 0) != 0)
		return 0;
	if (names->count == names->room) {
		size_t room = names->room * 2 + 16;
		void *more = realloc(names->info, room * sizeof *names->info);
		if (!more)
			return -ENOMEM;
		names->info = more;
		names->room = room;
	}
	names->info[names->count++] = *info;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct prusik_named_info *one = a, *other = b;

	return strcmp(one->name, other->name);
}

int cmd_names_read(struct cmd_names *names)
{
	int r = prusik_named_each(add, names);

	if (r < 0) {
		free(names->info);
		return cmd_object("the domain", r);
	}
	if (names->count)
		qsort(names->info, names->count, sizeof *names->info, by_name);
	return 0;
}

int cmd_names_dead(const struct prusik_named_info *info)
{
	return info->problem == 0 && !info->persistent && info->attached == 0;
}
