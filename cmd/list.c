/* SPDX-License-Identifier: MIT */
/* prusik list - a shared list from the shell */
#include "bytes.h"
#include "cmd.h"
#include "line.h"

#include <errno.h>
#include <prusik/list.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct list_call {
	struct bytes_options options;
	struct prusik_list *list;
	const char *name;
	int64_t position;
	int argc; /* what follows the name, and the position */
	char **argv;
};

static void help(void)
{
	printf("usage: prusik list [OPTION...] VERB NAME [WORD...]\n\n"
	       "  append NAME [ITEM...]     without ITEM: each line of stdin\n"
	       "  insert NAME POSITION ITEM\n"
	       "  set NAME POSITION ITEM\n"
	       "  get NAME POSITION         print the item; -1 is the last one\n"
	       "  pop NAME [POSITION]       print the last item, or that one, and take it out\n"
	       "  index NAME ITEM           print the position of the first one\n"
	       "  count NAME ITEM           print how many there are\n"
	       "  remove NAME ITEM          take the first one out\n"
	       "  slice NAME [BEGIN [END]]  print the items from BEGIN up to, not including, END\n"
	       "  sort [-r] NAME            by their bytes; -r: the last one first\n"
	       "  reverse NAME\n"
	       "  len NAME\n"
	       "  clear NAME\n\n"
	       "  -s, --size BYTES   set aside for a new list, which grows; k, M, G\n"
	       "  -r, --reverse      sort the other way round\n"
	       "  -0, --null         lines end with NUL      -j, --json  a JSON value per line\n"
	       "  -E, --no-code N    exit code for \"no\" (1)   -q, --quiet  no complaints\n\n"
	       "Words after -- are never options. A list is made by append and insert, and stays until\n"
	       "its name is removed. Exit code: 0 yes, 1 no such position or item, 2 usage, 3 no such\n"
	       "list, or it could not be used.\n");
}

static int done(struct list_call *c, int64_t r)
{
	return r < 0 ? bytes_code(&c->options, c->name, r) : CMD_OK;
}

/* Each line, or each NUL-terminated piece, of stdin. */
static int64_t append_stdin(struct list_call *c)
{
	struct bytes in = { 0 };
	int64_t r = bytes_read(&in, STDIN_FILENO);
	size_t at = 0;

	while (r >= 0 && at < in.length) {
		const char *end = memchr(in.data + at, c->options.nul ? 0 : '\n', in.length - at);
		size_t length = end ? (size_t)(end - in.data) - at : in.length - at;
		r = prusik_list_append(c->list, in.data + at, length);
		at += length + 1;
	}
	bytes_free(&in);
	return r;
}

static int append(struct list_call *c)
{
	struct iovec items[2 * CMD_WORDS_MAX];

	if (c->argc == 0)
		return done(c, append_stdin(c));
	for (int i = 0; i < c->argc; i++)
		items[i] = (struct iovec){ c->argv[i], strlen(c->argv[i]) };
	int64_t r = prusik_list_extend(c->list, items, (uint64_t)c->argc);
	return done(c, r >= 0 && r < c->argc ? -ENOSPC : r);
}

static int insert(struct list_call *c)
{
	return done(c, prusik_list_insert(c->list, c->position, c->argv[0], strlen(c->argv[0])));
}

static int set(struct list_call *c)
{
	return done(c, prusik_list_set(c->list, c->position, c->argv[0], strlen(c->argv[0])));
}

typedef int64_t read_fn(struct prusik_list *list, int64_t position, void *buffer, uint64_t capacity);

/* Print what read gives, which is tried with more room as long as that is wanting. */
static int64_t show(struct list_call *c, int64_t position, read_fn *read_item)
{
	struct bytes item = { 0 };
	int64_t n = -EMSGSIZE;

	for (size_t room = 4096; n == -EMSGSIZE && room; room *= 4)
		n = bytes_reserve(&item, room) < 0 ? -ENOMEM : read_item(c->list, position, item.data, item.room);
	if (n >= 0)
		bytes_line(&c->options, item.data, (size_t)n);
	bytes_free(&item);
	return n;
}

static int get(struct list_call *c)
{
	return done(c, show(c, c->position, prusik_list_get));
}

static int pop(struct list_call *c)
{
	return done(c, show(c, c->position, prusik_list_pop));
}

static int find(struct list_call *c)
{
	int64_t r = prusik_list_index(c->list, c->argv[0], strlen(c->argv[0]), 0);

	if (r >= 0)
		printf("%lld\n", (long long)r);
	return done(c, r);
}

static int count(struct list_call *c)
{
	int64_t n = prusik_list_count(c->list, c->argv[0], strlen(c->argv[0]));

	if (n >= 0)
		printf("%lld\n", (long long)n);
	return done(c, n);
}

static int remove_item(struct list_call *c)
{
	return done(c, prusik_list_remove(c->list, c->argv[0], strlen(c->argv[0])));
}

static int length(struct list_call *c)
{
	int64_t n = prusik_list_length(c->list);

	if (n >= 0)
		printf("%lld\n", (long long)n);
	return done(c, n);
}

/* A position counted from the beginning, as Python cuts it. */
static int64_t cut(int64_t position, int64_t items)
{
	if (position < 0)
		position += items;
	return position < 0 ? 0 : position > items ? items : position;
}

static int slice(struct list_call *c)
{
	int64_t items = prusik_list_length(c->list), begin = 0, end = INT64_MAX, r = items;

	if ((c->argc > 0 && !bytes_number(c->argv[0], &begin)) || (c->argc > 1 && !bytes_number(c->argv[1], &end)))
		return cmd_usage(&c->options.line, "slice: no position");
	for (int64_t i = cut(begin, items), last = cut(end, items); r >= 0 && i < last; i++)
		r = show(c, i, prusik_list_get);
	return done(c, r == -ENOENT ? 0 : r); /* some were taken out meanwhile */
}

/* The other way round of what a list does by itself. */
static int falling(void *context, const void *a, uint64_t a_length, const void *b, uint64_t b_length)
{
	int r = memcmp(b, a, a_length < b_length ? a_length : b_length);

	(void)context;
	return r ? r : (b_length > a_length) - (b_length < a_length);
}

static int sort(struct list_call *c)
{
	return done(c, prusik_list_sort(c->list, c->options.reverse ? falling : NULL, NULL));
}

static int reverse(struct list_call *c)
{
	return done(c, prusik_list_reverse(c->list));
}

static int clear(struct list_call *c)
{
	return done(c, prusik_list_clear(c->list));
}

struct list_verb {
	struct bytes_verb verb;
	int (*run)(struct list_call *c);
	int position; /* the first word is one */
};

static const struct list_verb verbs[] = {
	{ { "append", 0, 99, 1 }, append, 0 },	{ { "insert", 2, 2, 1 }, insert, 1 },
	{ { "set", 2, 2, 0 }, set, 1 },		{ { "get", 1, 1, 0 }, get, 1 },
	{ { "pop", 0, 1, 0 }, pop, 1 },		{ { "index", 1, 1, 0 }, find, 0 },
	{ { "count", 1, 1, 0 }, count, 0 },	{ { "remove", 1, 1, 0 }, remove_item, 0 },
	{ { "slice", 0, 2, 0 }, slice, 0 },	{ { "sort", 0, 0, 0 }, sort, 0 },
	{ { "reverse", 0, 0, 0 }, reverse, 0 }, { { "len", 0, 0, 0 }, length, 0 },
	{ { "clear", 0, 0, 0 }, clear, 0 },	{ { NULL, 0, 0, 0 }, NULL, 0 },
};

int prusik_cmd_list(int argc, char **argv)
{
	struct list_call c = { .position = -1 };
	int code = bytes_options(argv, &c.options, help);

	(void)argc;
	if (code >= 0)
		return code;
	const struct list_verb *verb = bytes_verb(&c.options, verbs, sizeof verbs[0]);
	if (!verb)
		return CMD_USAGE;
	struct prusik_list_options o = {
		.room = c.options.size,
		.flags = verb->verb.makes ? PRUSIK_PERSISTENT : PRUSIK_EXISTING,
	};
	int skip = 2 + (verb->position && c.options.argc > 2);
	if (skip == 3 && !bytes_number(c.options.argv[2], &c.position))
		return cmd_usage(&c.options.line, "no position: %s", c.options.argv[2]);
	c.name = c.options.argv[1];
	c.argc = c.options.argc - skip;
	c.argv = c.options.argv + skip;
	int r = prusik_list_open_named(c.name, &o, &c.list);
	if (r < 0)
		return cmd_object(c.name, r);
	code = verb->run(&c);
	prusik_list_free(c.list);
	return code;
}
