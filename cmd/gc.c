/* SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "line.h"

#include <prusik/named.h>
#include <stdio.h>

static const struct cmd_option options[] = {
	{ 'q', "quiet", NULL },
	{ 'j', "json", NULL },
	{ 0, NULL, NULL },
};

int prusik_cmd_gc(int argc, char **argv)
{
	struct cmd_line line;
	int c, quiet = 0, json = 0;

	(void)argc;
	cmd_line_begin(&line, argv);
	while ((c = cmd_line_next(&line, options)) > 0)
		*(c == 'q' ? &quiet : &json) = 1;
	if (c < 0)
		return CMD_USAGE;
	if (line.words || line.command)
		return cmd_usage(&line, "needs no words");
	int64_t n = prusik_named_gc();
	if (n < 0)
		return cmd_object("the domain", (int)n);
	if (!quiet)
		printf(json ? "{\"removed\":%lld}\n" : "%lld\n", (long long)n);
	return CMD_OK;
}
