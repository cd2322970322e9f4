/* SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "line.h"
#include "names.h"

#include <prusik/common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *life_of(const struct prusik_named_info *info)
{
	if (info->problem)
		return "unusable";
	if (info->persistent)
		return "persistent";
	return cmd_names_dead(info) ? "dead" : "attached";
}

static void made_at(const struct prusik_named_info *info, char *text, size_t room)
{
	time_t made = (time_t)info->made;
	struct tm tm;

	if (info->made == 0 || !localtime_r(&made, &tm) || strftime(text, room, "%Y-%m-%dT%H:%M:%S%z", &tm) == 0)
		snprintf(text, room, "-");
}

static void print_long(const struct prusik_named_info *info)
{
	char made[64];

	made_at(info, made, sizeof made);
	printf("%-10s %8lld %12llu %-10s %s %s", info->kind[0] ? info->kind : "?", (long long)info->attached,
	       (unsigned long long)info->size, life_of(info), made, info->name);
	printf(info->problem ? " (%s)\n" : "\n", prusik_strerror(info->problem));
}

static void print_json(const struct prusik_named_info *info)
{
	char made[64];

	made_at(info, made, sizeof made);
	printf("{\"name\":");
	cmd_json(info->name);
	printf(",\"kind\":");
	cmd_json(info->kind);
	printf(",\"life\":\"%s\",\"attached\":%lld,\"size\":%llu,\"made\":\"%s\"}\n", life_of(info),
	       (long long)info->attached, (unsigned long long)info->size, made);
}

static const struct cmd_option options[] = {
	{ 'l', "long", NULL },
	{ 'j', "json", NULL },
	{ 't', "type", "kind" },
	{ 0, NULL, NULL },
};

int prusik_cmd_ls(int argc, char **argv)
{
	struct cmd_names names = { 0 };
	const char *type = NULL;
	struct cmd_line line;
	int c, how = 0;

	(void)argc;
	cmd_line_begin(&line, argv);
	while ((c = cmd_line_next(&line, options)) > 0) {
		if (c == 't')
			type = line.value;
		else
			how = c;
	}
	if (c < 0)
		return CMD_USAGE;
	if (line.words > 1 || line.command)
		return cmd_usage(&line, "needs one GLOB at most");
	names.glob = line.words ? line.word[0] : NULL;
	int r = cmd_names_read(&names);
	for (size_t i = 0; i < names.count && r == 0; i++) {
		if (type && strcmp(type, names.info[i].kind) != 0)
			continue;
		if (how == 'j')
			print_json(&names.info[i]);
		else if (how == 'l')
			print_long(&names.info[i]);
		else
			printf("%s\n", names.info[i].name);
	}
	if (r == 0)
		free(names.info);
	return r;
}
