/* SPDX-License-Identifier: MIT */
#ifndef CMD_NAMES_H
#define CMD_NAMES_H

#include <prusik/named.h>
#include <stddef.h>

/* Names of the domain, sorted. */
struct cmd_names {
	struct prusik_named_info *info;
	size_t count, room;
	const char *glob; /* those that match; NULL: all */
};

/* The domain's directory. */
const char *cmd_domain(void);

/* Can it not be joined? 0: it can; else what that gave, and said so. */
int cmd_domain_refused(void);

/* 0, or CMD_OBJECT, and said why. To be freed: names->info. */
int cmd_names_read(struct cmd_names *names);

/* Proved by nobody being attached; gc would remove it. */
int cmd_names_dead(const struct prusik_named_info *info);

#endif
