/* SPDX-License-Identifier: MIT */
/*
 * sem - run a command while at most so many others do; and plain semaphores
 *
 * With a command the object is a struct prusik_permits, whose extra bytes are struct
 * places: one place for each permit. Who wants permits holds entry until he has them
 * all, and meanwhile looks at every place: what dead ones have left running is ended
 * before he goes on.
 */
#include "cmd.h"
#include "holder.h"
#include "wish.h"

#include <errno.h>
#include <prusik/semaphore.h>
#include <stdio.h>
#include <string.h>

#define PERMITS_MAX 1024u

/* token: of the last holding; rises under entry. */
struct places {
	struct prusik_lock entry;
	uint64_t token;
	uint64_t reserved[6];
	struct cmd_holder place[];
};

struct sem {
	const char *name;
	struct prusik_permits *permits;
	struct places *places;
	uint32_t count; /* permits that there are */
};

static uint32_t bytes_for(uint32_t count)
{
	return (uint32_t)(sizeof(struct places) + count * sizeof(struct cmd_holder));
}

static int open_permits(struct sem *sem, uint32_t max)
{
	const struct prusik_named_options o = {
		.flags = PRUSIK_PERSISTENT,
		.value = max ? max : 1,
		.extra = bytes_for(max ? max : 1),
	};
	struct prusik_named *handle;
	uint64_t bytes;
	int r = cmd_open(sem->name, PRUSIK_KIND_PERMITS, &o, &handle);

	if (r)
		return r;
	sem->permits = prusik_named_object(handle);
	sem->places = prusik_named_extra(handle, &bytes);
	sem->count = sem->permits->count;
	if (max && sem->count != max)
		cmd_say(": %s: has %u permits, not %u", sem->name, sem->count, max);
	else if (sem->count > PERMITS_MAX || bytes < bytes_for(sem->count))
		cmd_say(": %s: was made by a program, and has no room for what a shell needs", sem->name);
	else
		return 0;
	return CMD_OBJECT;
}

/* ---- taking ---- */

static void give_permits(struct sem *sem, uint32_t count)
{
	while (count-- > 0)
		prusik_permits_release(sem->permits);
}

static int take_permits(struct sem *sem, uint32_t count, int64_t deadline)
{
	for (uint32_t i = 0; i < count; i++) {
		int r = prusik_permits_acquire(sem->permits, deadline);
		if (r < 0) {
			give_permits(sem, i);
			return r;
		}
	}
	return 0;
}

/* The first free place; those of the dead are cleared. Who has a permit finds one. */
static struct cmd_holder *take_place(struct sem *sem)
{
	struct cmd_holder *mine = NULL;

	for (uint32_t i = 0; i < sem->count; i++) {
		struct cmd_holder *place = &sem->places->place[i];
		if (cmd_holder_take(place, PRUSIK_NOW) < 0)
			continue;
		if (mine)
			cmd_holder_give(place);
		else
			mine = place;
	}
	return mine;
}

static int take(struct sem *sem, uint32_t count, int64_t deadline, struct cmd_holder **ret_place)
{
	int r = prusik_lock_acquire(&sem->places->entry, deadline);

	if (r < 0)
		return r;
	r = take_permits(sem, count, deadline);
	if (r == 0) {
		*ret_place = take_place(sem);
		sem->places->token++;
	}
	prusik_lock_release(&sem->places->entry);
	return r;
}

static int run(struct sem *sem, uint32_t max, uint32_t count, const struct cmd_wish *wish, char **command)
{
	struct cmd_holder *place = NULL;
	int r = open_permits(sem, max);

	if (r)
		return r;
	if (count > sem->count) {
		cmd_say(": %s: has %u permits, %u can never be had", sem->name, sem->count, count);
		return CMD_OBJECT;
	}
	r = take(sem, count, wish->deadline, &place);
	if (r < 0)
		return cmd_wish_refused(wish, sem->name, r);
	if (!place)
		return cmd_object(sem->name, -EPROTO);
	int code = cmd_holder_run(place, sem->places->token, command);
	cmd_holder_give(place);
	give_permits(sem, count);
	return code;
}

/* ---- plain semaphores ---- */

static int semaphore(const char *name, uint32_t flags, uint32_t value, uint32_t limit,
		     struct prusik_semaphore **ret_semaphore)
{
	const struct prusik_named_options o = { .flags = flags, .value = value, .limit = limit };
	struct prusik_named *handle;
	int r = cmd_open(name, PRUSIK_KIND_SEMAPHORE, &o, &handle);

	*ret_semaphore = r ? NULL : prusik_named_object(handle);
	return r;
}

static int verb_new(struct cmd_line *line, uint32_t max)
{
	struct prusik_semaphore *s;
	uint32_t value;

	if (line->words != 3 || !cmd_number(line->word[2], 0, INT32_MAX, &value))
		return cmd_usage(line, "new needs a NAME and a number of permits");
	return semaphore(line->word[1], PRUSIK_NEW | PRUSIK_PERSISTENT, value, max, &s);
}

static int verb_post(struct cmd_line *line, uint32_t count)
{
	struct prusik_semaphore *s;
	int r = semaphore(line->word[1], PRUSIK_EXISTING, 0, 0, &s);

	if (r)
		return r;
	r = prusik_semaphore_release(s, count);
	if (r == -EOVERFLOW)
		cmd_say(": %s: that would be more than its limit", line->word[1]);
	return r == -EOVERFLOW ? CMD_NO : r < 0 ? cmd_object(line->word[1], r) : CMD_OK;
}

static int verb_wait(struct cmd_line *line, const struct cmd_wish *wish)
{
	struct prusik_semaphore *s;
	int r = semaphore(line->word[1], PRUSIK_EXISTING, 0, 0, &s);

	if (r)
		return r;
	r = prusik_semaphore_acquire(s, wish->deadline);
	return r < 0 ? cmd_wish_refused(wish, line->word[1], r) : CMD_OK;
}

static int verb_value(struct cmd_line *line)
{
	const struct prusik_named_options o = { .flags = PRUSIK_EXISTING };
	const char *name = line->word[1];
	struct prusik_named *handle;
	int r = prusik_named_open(name, PRUSIK_KIND_SEMAPHORE, &o, &handle);
	int64_t value;

	if (r == 0) {
		value = prusik_semaphore_value(prusik_named_object(handle));
	} else {
		r = cmd_open(name, PRUSIK_KIND_PERMITS, &o, &handle);
		if (r)
			return r;
		value = prusik_permits_value(prusik_named_object(handle));
	}
	if (value < 0)
		return cmd_object(name, (int)value);
	printf("%lld\n", (long long)value);
	return CMD_OK;
}

static int verb(struct cmd_line *line, const struct cmd_wish *wish, uint32_t count, uint32_t max)
{
	const char *what = line->word[0];

	if (strcmp(what, "new") == 0)
		return verb_new(line, max);
	if (line->words != 2)
		return cmd_usage(line, "%s needs one NAME", what);
	if (strcmp(what, "post") == 0)
		return verb_post(line, count);
	if (strcmp(what, "wait") == 0)
		return verb_wait(line, wish);
	if (strcmp(what, "value") == 0)
		return verb_value(line);
	return cmd_usage(line, "no verb '%s': new, post, wait, value; or a COMMAND after --", what);
}

static const struct cmd_option options[] = {
	CMD_WAIT_OPTIONS,      { 'c', "count", "number" }, { 'm', "max", "number" },
	{ 'j', "json", NULL }, { 0, NULL, NULL },
};

int prusik_cmd_sem(int argc, char **argv)
{
	uint32_t count = 1, max = 0;
	struct cmd_line line;
	struct cmd_wish wish;
	int c, r;

	(void)argc;
	cmd_line_begin(&line, argv);
	cmd_wish_begin(&wish);
	while ((c = cmd_line_next(&line, options)) > 0) {
		if (c == 'c')
			r = cmd_line_number(&line, 1, PERMITS_MAX, &count);
		else if (c == 'm')
			r = cmd_line_number(&line, 1, PERMITS_MAX, &max);
		else if (c == 'j') /* value: a number is one in JSON too */
			r = 0;
		else
			r = cmd_wish_option(&wish, &line, c);
		if (r < 0)
			return CMD_USAGE;
	}
	if (c < 0)
		return CMD_USAGE;
	if (!line.command && line.words > 0)
		return verb(&line, &wish, count, max);
	if (line.words != 1 || !line.command || !line.command[0])
		return cmd_usage(&line, "needs one NAME, and a COMMAND after --; or: new, post, wait, value");
	struct sem sem = { .name = line.word[0] };
	return run(&sem, max, count, &wish, line.command);
}
