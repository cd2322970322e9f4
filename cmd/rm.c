/* SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "line.h"
#include "names.h"

#include <errno.h>
#include <prusik/common.h>
#include <stdio.h>
#include <stdlib.h>

struct wish {
	int force; /* also what is in use; and what is not there is no fault */
	int json;
};

static void tell(const char *name, int removed)
{
	printf("{\"name\":");
	cmd_json(name);
	printf(",\"removed\":%s}\n", removed ? "true" : "false");
}

static int remove_one(const char *name, const struct wish *wish)
{
	int r = prusik_named_remove(name, wish->force ? 0 : PRUSIK_UNUSED);

	if (wish->json)
		tell(name, r == 0);
	if (r == 0 || r == -ENOENT)
		return CMD_OK; /* somebody was faster */
	cmd_say(" rm: %s: %s%s", name, prusik_strerror(r), r == -EBUSY ? "; -f removes it anyhow" : "");
	return r == -EBUSY ? CMD_NO : CMD_OBJECT;
}

static int remove_all(const char *glob, const struct wish *wish)
{
	struct cmd_names names = { .glob = glob };
	int code = cmd_names_read(&names);

	if (code)
		return code;
	if (names.count == 0 && !wish->force) {
		cmd_say(" rm: %s: no such name", glob);
		code = CMD_OBJECT;
	}
	for (size_t i = 0; i < names.count; i++) {
		int r = remove_one(names.info[i].name, wish);
		code = r > code ? r : code;
	}
	free(names.info);
	return code;
}

static const struct cmd_option options[] = {
	{ 'f', "force", NULL },
	{ 'j', "json", NULL },
	{ 0, NULL, NULL },
};

int prusik_cmd_rm(int argc, char **argv)
{
	struct cmd_line line;
	struct wish wish = { 0 };
	int c, code = CMD_OK;

	(void)argc;
	cmd_line_begin(&line, argv);
	while ((c = cmd_line_next(&line, options)) > 0)
		*(c == 'f' ? &wish.force : &wish.json) = 1;
	if (c < 0)
		return CMD_USAGE;
	if (line.words == 0 || line.command)
		return cmd_usage(&line, "needs names, or patterns of names");
	for (int i = 0; i < line.words; i++) {
		int r = remove_all(line.word[i], &wish);
		code = r > code ? r : code;
	}
	return code;
}
