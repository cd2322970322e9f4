/* SPDX-License-Identifier: MIT */
/*
 * lock - run a command while nobody else does
 *
 * The object is a struct prusik_lock, which C programs can take too. Its extra bytes
 * are struct places. Whoever comes takes the lock first. Who wants it alone keeps it,
 * in place 0, and waits until all other places are free; who shares it takes one of
 * those and gives the lock back. So all of it is locks, and a dead one's place tells
 * its next owner which command to end.
 */
#include "cmd.h"
#include "holder.h"
#include "wish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLACES 32

/* token: of the last holding; rises under the lock. */
struct places {
	uint64_t token;
	uint64_t reserved[7];
	struct cmd_holder place[PLACES];
};

static int open_lock(const char *name, uint32_t flags, struct prusik_named **ret_handle, struct places **ret_places)
{
	const struct prusik_named_options o = { .flags = flags, .extra = sizeof **ret_places };
	uint64_t bytes;
	int r = cmd_open(name, PRUSIK_KIND_LOCK, &o, ret_handle);

	if (r)
		return r;
	*ret_places = prusik_named_extra(*ret_handle, &bytes);
	if (bytes >= sizeof **ret_places)
		return 0;
	cmd_say(": %s: was made by a program, and has no room for what a shell needs", name);
	return CMD_OBJECT;
}

/* ---- taking; the lock is held ---- */

static int await_places(struct places *places, int64_t deadline)
{
	int r = 0;

	for (int i = 1; r >= 0 && i < PLACES; i++) {
		r = cmd_holder_take(&places->place[i], deadline);
		if (r >= 0)
			cmd_holder_give(&places->place[i]);
	}
	return r;
}

static int take_alone(struct places *places, int64_t deadline, struct cmd_holder **ret_place)
{
	*ret_place = &places->place[0];
	int r = cmd_holder_take(*ret_place, deadline);
	if (r < 0)
		return r;
	r = await_places(places, deadline);
	if (r < 0)
		cmd_holder_give(*ret_place);
	return r;
}

static int take_shared(struct places *places, int64_t deadline, struct cmd_holder **ret_place)
{
	int r = cmd_holder_take(&places->place[0], deadline); /* perhaps a dead one's command runs */

	if (r < 0)
		return r;
	cmd_holder_give(&places->place[0]);
	for (int i = 1; i < PLACES; i++) {
		*ret_place = &places->place[i];
		if (cmd_holder_take(*ret_place, PRUSIK_NOW) >= 0)
			return 0;
	}
	*ret_place = &places->place[1 + getpid() % (PLACES - 1)];
	return cmd_holder_take(*ret_place, deadline);
}

static int take(struct prusik_lock *lock, struct places *places, int shared, int64_t deadline,
		struct cmd_holder **ret_place)
{
	int r = prusik_lock_acquire(lock, deadline);

	if (r < 0)
		return r;
	r = shared ? take_shared(places, deadline, ret_place) : take_alone(places, deadline, ret_place);
	if (r >= 0)
		places->token++;
	if (r < 0 || shared)
		prusik_lock_release(lock);
	return r;
}

static int run(const char *name, const struct cmd_wish *wish, int shared, char **command)
{
	struct prusik_named *handle;
	struct cmd_holder *place;
	struct places *places;
	int r = open_lock(name, PRUSIK_PERSISTENT, &handle, &places);

	if (r)
		return r;
	struct prusik_lock *lock = prusik_named_object(handle);
	r = take(lock, places, shared, wish->deadline, &place);
	if (r < 0)
		return cmd_wish_refused(wish, name, r);
	int code = cmd_holder_run(place, places->token, command);
	cmd_holder_give(place);
	if (!shared)
		prusik_lock_release(lock);
	return code;
}

/* ---- telling ---- */

static int print_place(const struct cmd_holder *place, const char *how, int json)
{
	int held = prusik_lock_locked(&place->lock) > 0;

	if (!cmd_holder_runs(place))
		return 0;
	cmd_holder_print(place, held ? how : "orphaned", json);
	return 1;
}

/* A program's thread, which keeps no record. */
static int print_thread(const struct prusik_lock *lock, int json)
{
	struct prusik_owner owner;

	if (prusik_lock_owner(lock, &owner) <= 0)
		return 0;
	printf(json ? "{\"pid\":%d,\"tid\":%d,\"how\":\"program\"}\n" : "%d\t%d\t-\tprogram\t-\t-\n", (int)owner.pid,
	       (int)owner.tid);
	return 1;
}

static int owner(const char *name, int json)
{
	struct prusik_named *handle;
	struct places *places;
	int r = open_lock(name, PRUSIK_EXISTING, &handle, &places), found = 0;

	if (r)
		return r;
	for (int i = 0; i < PLACES; i++)
		found |= print_place(&places->place[i], i ? "shared" : "alone", json);
	if (!found)
		found = print_thread(prusik_named_object(handle), json);
	return found ? CMD_OK : CMD_NO;
}

static const struct cmd_option options[] = {
	CMD_WAIT_OPTIONS,
	{ 's', "shared", NULL },
	{ 'j', "json", NULL },
	{ 0, NULL, NULL },
};

int prusik_cmd_lock(int argc, char **argv)
{
	int c, shared = 0, json = 0;
	struct cmd_line line;
	struct cmd_wish wish;

	(void)argc;
	cmd_line_begin(&line, argv);
	cmd_wish_begin(&wish);
	while ((c = cmd_line_next(&line, options)) > 0) {
		if (c == 's')
			shared = 1;
		else if (c == 'j')
			json = 1;
		else if (cmd_wish_option(&wish, &line, c) < 0)
			return CMD_USAGE;
	}
	if (c < 0)
		return CMD_USAGE;
	if (line.words == 2 && !line.command && strcmp(line.word[0], "owner") == 0)
		return owner(line.word[1], json);
	if (line.words != 1)
		return cmd_usage(&line, "needs one NAME, and a COMMAND after --; or: owner NAME");
	if (!line.command || !line.command[0])
		return cmd_usage(&line, "needs -- and a COMMAND");
	return run(line.word[0], &wish, shared, line.command);
}
