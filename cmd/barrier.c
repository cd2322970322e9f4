/* SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "wish.h"

#include <errno.h>
#include <prusik/barrier.h>
#include <stdio.h>

/* It lives as long as somebody waits at it: a broken one is gone with those it was broken for. */
static int wait_at(const char *name, uint32_t parties, const struct cmd_wish *wish, int json)
{
	const struct prusik_named_options o = { .value = parties };
	struct prusik_named *handle;
	int r = cmd_open(name, PRUSIK_KIND_BARRIER, &o, &handle);

	if (r)
		return r;
	struct prusik_barrier *barrier = prusik_named_object(handle);
	int64_t there = prusik_barrier_parties(barrier);
	if (there != (int64_t)parties) {
		cmd_say(": %s: is for %lld parties, not %u", name, (long long)there, parties);
		return CMD_OBJECT;
	}
	int64_t turn = prusik_barrier_wait(barrier, NULL, NULL, wish->deadline);
	if (json && turn >= 0)
		printf("{\"turn\":%lld,\"parties\":%u}\n", (long long)turn, parties);
	if (turn == -EPIPE)
		return (int)(wish->no_code ? wish->no_code : CMD_NO);
	return turn < 0 ? cmd_wish_refused(wish, name, (int)turn) : CMD_OK;
}

static const struct cmd_option options[] = {
	CMD_WAIT_OPTIONS,
	{ 'c', "count", "number" },
	{ 'j', "json", NULL },
	{ 0, NULL, NULL },
};

int prusik_cmd_barrier(int argc, char **argv)
{
	struct cmd_line line;
	struct cmd_wish wish;
	uint32_t parties = 0;
	int c, r, json = 0;

	(void)argc;
	cmd_line_begin(&line, argv);
	cmd_wish_begin(&wish);
	while ((c = cmd_line_next(&line, options)) > 0) {
		if (c == 'c')
			r = cmd_line_number(&line, 1, PRUSIK_BARRIER_PARTIES_MAX, &parties);
		else
			r = c == 'j' ? (json = 1) : cmd_wish_option(&wish, &line, c);
		if (r < 0)
			return CMD_USAGE;
	}
	if (c < 0)
		return CMD_USAGE;
	if (line.words != 1 || line.command || parties == 0)
		return cmd_usage(&line, "needs one NAME and -c, the number of parties");
	return wait_at(line.word[0], parties, &wish, json);
}
