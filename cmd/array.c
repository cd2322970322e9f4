/* SPDX-License-Identifier: MIT */
/* prusik array - a shared array of numbers, or records, from the shell */
#include "cmd.h"
#include "number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <prusik/array.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct array_call {
	struct number_options options;
	struct prusik_array *array;
	const char *name;
	int kind;
	size_t item_size;
	char *item; /* room for one, and a NUL behind it; and for another */
	int argc; /* what follows the name */
	char **argv;
};

static void help(void)
{
	printf("usage: prusik array [OPTION...] VERB NAME [WORD...]\n\n"
	       "  new NAME                    make it, if there is none; needs --length\n"
	       "  get NAME POSITION           print the item; -1 is the last one\n"
	       "  set NAME POSITION ITEM...   the items from there on, at once\n"
	       "  add NAME POSITION [N]       add N (1), print the sum\n"
	       "  cas NAME POSITION OLD NEW   set it to NEW if it is OLD\n"
	       "  slice NAME [BEGIN [END]]    print the items from BEGIN up to, not including, END\n"
	       "  fill NAME ITEM [BEGIN [END]]\n"
	       "  len NAME\n\n"
	       "  -t, --type TYPE    of a new one: int8 int16 int32 int64 (default) uint8 uint16 uint32\n"
	       "                     uint64 float double bytes\n"
	       "  -l, --length N     of a new one: so many items\n"
	       "  -s, --size BYTES   of a new one of type bytes: of each item\n"
	       "  -j, --json         a JSON value per line  -q, --quiet  no complaints\n"
	       "  -E, --no-code N    exit code for \"no\" (1)\n\n"
	       "Words after -- are never options. An array stays until its name is removed. Exit code: 0 yes,\n"
	       "1 no such position, or cas found another, 2 usage, 3 no such array, or it could not be used.\n");
}

static int done(const struct array_call *c, int64_t r)
{
	return r < 0 ? number_code(&c->options, c->name, r) : CMD_OK;
}

static int bad(const struct array_call *c, const char *text)
{
	return cmd_usage(&c->options.line, "%s: no item of its type: %s", c->name, text);
}

/* ---- items and text ---- */

static int is_real(const struct array_call *c)
{
	return c->kind == PRUSIK_ARRAY_FLOAT || c->kind == PRUSIK_ARRAY_DOUBLE;
}

static int is_unsigned(const struct array_call *c)
{
	return c->kind >= PRUSIK_ARRAY_UINT8 && c->kind <= PRUSIK_ARRAY_UINT64;
}

/* The low bytes of a number, of the machine's order. */
static void put_low(void *item, size_t size, uint64_t number)
{
	const uint8_t u8 = (uint8_t)number;
	const uint16_t u16 = (uint16_t)number;
	const uint32_t u32 = (uint32_t)number;

	memcpy(item,
	       size == 1 ? (const void *)&u8 :
	       size == 2 ? (const void *)&u16 :
	       size == 4 ? (const void *)&u32 :
			   &number,
	       size);
}

static int put_int(void *item, size_t size, int64_t number)
{
	int64_t most = INT64_MAX >> (64 - 8 * size);

	put_low(item, size, (uint64_t)number);
	return number <= most && number >= -most - 1;
}

static int put_unsigned(void *item, size_t size, uint64_t number)
{
	put_low(item, size, number);
	return number <= UINT64_MAX >> (64 - 8 * size);
}

static int put_real(const struct array_call *c, void *item, double number)
{
	float f = (float)number;

	memcpy(item, c->kind == PRUSIK_ARRAY_FLOAT ? (const void *)&f : &number, c->item_size);
	return c->kind != PRUSIK_ARRAY_FLOAT || !isfinite(number) || fabs(number) <= (double)FLT_MAX;
}

/* Text as an item; false: it is none. */
static int parse(const struct array_call *c, const char *text, void *item)
{
	size_t length = strlen(text);
	uint64_t u;
	int64_t i;
	double d;

	if (c->kind == PRUSIK_ARRAY_BYTES) {
		memset(item, 0, c->item_size);
		memcpy(item, text, length < c->item_size ? length : c->item_size);
		return length <= c->item_size;
	}
	if (is_real(c))
		return number_double(text, &d) && put_real(c, item, d);
	if (is_unsigned(c))
		return number_unsigned(text, &u) && put_unsigned(item, c->item_size, u);
	return number_int(text, &i) && put_int(item, c->item_size, i);
}

static void show_whole(const struct array_call *c, const void *item)
{
	union {
		int8_t i8;
		int16_t i16;
		int32_t i32;
		int64_t i64;
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
	} n;

	memcpy(&n, item, c->item_size);
	if (is_unsigned(c))
		printf("%llu\n", (unsigned long long)(c->item_size == 1 ? n.u8 :
						      c->item_size == 2 ? n.u16 :
						      c->item_size == 4 ? n.u32 :
									  n.u64));
	else
		printf("%lld\n", (long long)(c->item_size == 1 ? n.i8 :
					     c->item_size == 2 ? n.i16 :
					     c->item_size == 4 ? n.i32 :
								 n.i64));
}

static void show(const struct array_call *c, const char *item)
{
	float f;
	double d;

	if (c->kind == PRUSIK_ARRAY_BYTES) {
		number_show_text(item, strnlen(item, c->item_size), c->options.json);
	} else if (c->kind == PRUSIK_ARRAY_FLOAT) {
		memcpy(&f, item, sizeof f);
		printf(c->options.json && !isfinite(f) ? "null\n" : "%.9g\n", (double)f);
	} else if (c->kind == PRUSIK_ARRAY_DOUBLE) {
		memcpy(&d, item, sizeof d);
		number_show_double(d, c->options.json);
	} else {
		show_whole(c, item);
	}
}

/* The word of that number as a position; none of that number: fallback. False: it is none. */
static int position_of(const struct array_call *c, int word, int64_t fallback, int64_t *ret_position)
{
	*ret_position = fallback;
	if (word >= c->argc || number_int(c->argv[word], ret_position))
		return 1;
	cmd_usage(&c->options.line, "no position: %s", c->argv[word]);
	return 0;
}

/* ---- verbs ---- */

static int new (struct array_call *c)
{
	(void)c;
	return CMD_OK; /* opening has made it */
}

static int get(struct array_call *c)
{
	int64_t position;

	if (!position_of(c, 0, 0, &position))
		return CMD_USAGE;
	int r = prusik_array_get(c->array, position, c->item);
	if (r == 0)
		show(c, c->item);
	return done(c, r);
}

static int set(struct array_call *c)
{
	int64_t position, r = 0;
	int count = c->argc - 1;

	if (!position_of(c, 0, 0, &position))
		return CMD_USAGE;
	char *items = calloc((size_t)count, c->item_size);
	if (!items)
		return done(c, -ENOMEM);
	for (int i = 0; i < count; i++)
		if (!parse(c, c->argv[1 + i], items + (size_t)i * c->item_size)) {
			free(items);
			return bad(c, c->argv[1 + i]);
		}
	r = prusik_array_set_slice(c->array, position, items, (uint64_t)count);
	free(items);
	return done(c, r);
}

static int add_real(struct array_call *c, int64_t position, const char *text)
{
	double delta, sum;

	if (!number_double(text, &delta))
		return bad(c, text);
	int r = prusik_array_add_double(c->array, position, delta, &sum);
	if (r == 0)
		number_show_double(sum, c->options.json);
	return done(c, r);
}

static int add(struct array_call *c)
{
	const char *text = c->argc > 1 ? c->argv[1] : "1";
	int64_t position, delta, sum;

	if (!position_of(c, 0, 0, &position))
		return CMD_USAGE;
	if (is_real(c))
		return add_real(c, position, text);
	if (!number_int(text, &delta))
		return bad(c, text);
	int r = prusik_array_add(c->array, position, delta, &sum);
	if (r == 0)
		printf(is_unsigned(c) ? "%llu\n" : "%lld\n", (long long)sum);
	return done(c, r);
}

static int cas(struct array_call *c)
{
	char *other = c->item + c->item_size + 1;
	int64_t position;

	if (!position_of(c, 0, 0, &position))
		return CMD_USAGE;
	if (!parse(c, c->argv[1], c->item))
		return bad(c, c->argv[1]);
	if (!parse(c, c->argv[2], other))
		return bad(c, c->argv[2]);
	return done(c, prusik_array_cas(c->array, position, c->item, other));
}

/* All as of one moment. */
static int slice(struct array_call *c)
{
	uint64_t length = (uint64_t)prusik_array_length(c->array);
	int64_t begin, end;

	if (!position_of(c, 0, 0, &begin) || !position_of(c, 1, INT64_MAX, &end))
		return CMD_USAGE;
	char *items = calloc(length, c->item_size);
	if (!items)
		return done(c, -ENOMEM);
	int64_t n = prusik_array_slice(c->array, begin, end, items, length);
	for (int64_t i = 0; i < n; i++)
		show(c, items + (size_t)i * c->item_size);
	free(items);
	return done(c, n);
}

static int fill(struct array_call *c)
{
	int64_t begin, end;

	if (!position_of(c, 1, 0, &begin) || !position_of(c, 2, INT64_MAX, &end))
		return CMD_USAGE;
	if (!parse(c, c->argv[0], c->item))
		return bad(c, c->argv[0]);
	return done(c, prusik_array_fill(c->array, begin, end, c->item));
}

static int length(struct array_call *c)
{
	printf("%lld\n", (long long)prusik_array_length(c->array));
	return CMD_OK;
}

static const struct number_verb verbs[] = {
	{ "new", 0, 0, 1 },   { "get", 1, 1, 0 },  { "set", 2, 99, 0 }, { "add", 1, 2, 0 }, { "cas", 3, 3, 0 },
	{ "slice", 0, 2, 0 }, { "fill", 1, 3, 0 }, { "len", 0, 0, 0 },	{ NULL, 0, 0, 0 },
};

static int (*const run[])(struct array_call *c) = { new, get, set, add, cas, slice, fill, length };

static const struct number_type types[] = {
	{ "int8", PRUSIK_ARRAY_INT8 },	   { "int16", PRUSIK_ARRAY_INT16 },   { "int32", PRUSIK_ARRAY_INT32 },
	{ "int64", PRUSIK_ARRAY_INT64 },   { "uint8", PRUSIK_ARRAY_UINT8 },   { "uint16", PRUSIK_ARRAY_UINT16 },
	{ "uint32", PRUSIK_ARRAY_UINT32 }, { "uint64", PRUSIK_ARRAY_UINT64 }, { "float", PRUSIK_ARRAY_FLOAT },
	{ "double", PRUSIK_ARRAY_DOUBLE }, { "bytes", PRUSIK_ARRAY_BYTES },   { NULL, 0 },
};

/* Join it, or make it. What is said of type and length must be so. */
static int join(struct array_call *c, int makes)
{
	struct prusik_array_options o = {
		.kind = c->options.kind,
		.item_size = c->options.size,
		.length = c->options.length,
		.flags = PRUSIK_EXISTING,
	};
	int r = prusik_array_open_named(c->name, &o, &c->array);

	if (r != -ENOENT || !makes)
		return r;
	o.kind = o.kind ? o.kind : PRUSIK_ARRAY_INT64;
	o.flags = PRUSIK_PERSISTENT;
	return prusik_array_open_named(c->name, &o, &c->array);
}

int prusik_cmd_array(int argc, char **argv)
{
	struct array_call c = { 0 };
	int code = number_options(argv, types, &c.options, help);

	(void)argc;
	if (code >= 0)
		return code;
	int verb = number_verb(&c.options, verbs);
	if (verb < 0)
		return CMD_USAGE;
	c.name = c.options.argv[1];
	c.argc = c.options.argc - 2;
	c.argv = c.options.argv + 2;
	int r = join(&c, verbs[verb].makes);
	if (r < 0)
		return cmd_object(c.name, r);
	c.kind = prusik_array_kind(c.array);
	c.item_size = (size_t)prusik_array_item_size(c.array);
	c.item = calloc(2, c.item_size + 1);
	code = c.item ? run[verb](&c) : done(&c, -ENOMEM);
	free(c.item);
	prusik_array_free(c.array);
	return code;
}
