/* SPDX-License-Identifier: MIT */
#ifndef CMD_WISH_H
#define CMD_WISH_H

#include "line.h"

#include <prusik/common.h>
#include <prusik/named.h>

/* What the options that all waiting commands share say. */
struct cmd_wish {
	int64_t deadline;
	uint32_t no_code; /* -E; 0: not given */
	int nowait;
};

/* For the tables of options. */
#define CMD_WAIT_OPTIONS                                                                                               \
	{ 'w', "wait", "number of seconds" }, { 'n', "nowait", NULL },                                                 \
	{                                                                                                              \
		'E', "no-code", "number"                                                                               \
	}

void cmd_wish_begin(struct cmd_wish *wish);
/* -w, -n, -E: 0, or -1, and said so. Other letters: 1. */
int cmd_wish_option(struct cmd_wish *wish, struct cmd_line *line, int letter);
/* The exit code for a result below 0 of a call that waits. */
int cmd_wish_refused(const struct cmd_wish *wish, const char *name, int result);

/* Open the object: 0, or CMD_OBJECT, and said why. */
int cmd_open(const char *name, enum prusik_kind kind, const struct prusik_named_options *options,
	     struct prusik_named **ret_handle);

#endif
