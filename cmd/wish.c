/* SPDX-License-Identifier: MIT */
#include "wish.h"

#include "cmd.h"

#include <errno.h>

void cmd_wish_begin(struct cmd_wish *wish)
{
	*wish = (struct cmd_wish){ .deadline = PRUSIK_FOREVER };
}

int cmd_wish_option(struct cmd_wish *wish, struct cmd_line *line, int letter)
{
	int64_t ns;

	switch (letter) {
	case 'w':
		if (cmd_line_seconds(line, &ns) < 0)
			return -1;
		wish->deadline = ns == INT64_MAX ? PRUSIK_FOREVER : prusik_in_ns(ns);
		return 0;
	case 'n':
		wish->deadline = PRUSIK_NOW;
		wish->nowait = 1;
		return 0;
	case 'E':
		return cmd_line_number(line, 0, 255, &wish->no_code);
	default:
		return 1;
	}
}

int cmd_wish_refused(const struct cmd_wish *wish, const char *name, int result)
{
	if (result != -ETIMEDOUT)
		return cmd_object(name, result);
	if (wish->no_code)
		return (int)wish->no_code;
	return wish->nowait ? CMD_NO : CMD_TIMED_OUT;
}

int cmd_open(const char *name, enum prusik_kind kind, const struct prusik_named_options *options,
	     struct prusik_named **ret_handle)
{
	int r = prusik_named_open(name, kind, options, ret_handle);

	return r < 0 ? cmd_object(name, r) : 0;
}
