/* SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "wish.h"

#include <prusik/event.h>
#include <stdio.h>
#include <string.h>

static int wait_for(const char *name, struct prusik_event *event, const struct cmd_wish *wish)
{
	int r = prusik_event_wait(event, wish->deadline);

	return r < 0 ? cmd_wish_refused(wish, name, r) : CMD_OK;
}

static int is_set(struct prusik_event *event, const struct cmd_wish *wish, int json)
{
	int set = prusik_event_is_set(event) > 0;

	if (json)
		puts(set ? "true" : "false");
	return set ? CMD_OK : (int)(wish->no_code ? wish->no_code : CMD_NO);
}

static int act(const char *verb, const char *name, struct prusik_event *event, const struct cmd_wish *wish, int json)
{
	if (strcmp(verb, "wait") == 0)
		return wait_for(name, event, wish);
	if (strcmp(verb, "is-set") == 0)
		return is_set(event, wish, json);
	int r = strcmp(verb, "set") == 0 ? prusik_event_set(event) : prusik_event_clear(event);
	return r < 0 ? cmd_object(name, r) : CMD_OK;
}

static int known(const char *verb)
{
	static const char *const verbs[] = { "set", "clear", "wait", "is-set" };

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verb, verbs[i]) == 0)
			return 1;
	return 0;
}

static const struct cmd_option options[] = {
	CMD_WAIT_OPTIONS,
	{ 'j', "json", NULL },
	{ 0, NULL, NULL },
};

int prusik_cmd_event(int argc, char **argv)
{
	struct prusik_named_options o = { .flags = PRUSIK_PERSISTENT };
	struct prusik_named *handle;
	struct cmd_line line;
	struct cmd_wish wish;
	int c, json = 0;

	(void)argc;
	cmd_line_begin(&line, argv);
	cmd_wish_begin(&wish);
	while ((c = cmd_line_next(&line, options)) > 0)
		if (c == 'j')
			json = 1;
		else if (cmd_wish_option(&wish, &line, c) < 0)
			return CMD_USAGE;
	if (c < 0)
		return CMD_USAGE;
	if (line.words != 2 || line.command)
		return cmd_usage(&line, "needs set, clear, wait or is-set, and one NAME");
	if (!known(line.word[0]))
		return cmd_usage(&line, "no verb '%s': set, clear, wait, is-set", line.word[0]);
	if (strcmp(line.word[0], "is-set") == 0)
		o.flags = PRUSIK_EXISTING;
	int r = cmd_open(line.word[1], PRUSIK_KIND_EVENT, &o, &handle);
	return r ? r : act(line.word[0], line.word[1], prusik_named_object(handle), &wish, json);
}
