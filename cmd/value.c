/* SPDX-License-Identifier: MIT */
/* prusik value - a shared number, or record, from the shell */
#include "cmd.h"
#include "number.h"

#include <errno.h>
#include <prusik/value.h>
#include <stdio.h>
#include <string.h>

struct value_call {
	struct number_options options;
	struct prusik_value *value;
	const char *name;
	int argc; /* what follows the name */
	char **argv;
};

/* What a value is, as text says it. */
union datum {
	int64_t i;
	uint64_t u;
	double d;
	char bytes[PRUSIK_VALUE_BYTES_MAX + 1]; /* text, padded with zeros */
};

static void help(void)
{
	printf("usage: prusik value [OPTION...] VERB NAME [WORD...]\n\n"
	       "  new NAME [VALUE]      make it, if there is none\n"
	       "  get NAME              print it\n"
	       "  set NAME VALUE\n"
	       "  add NAME [N]          add N (1), print the sum\n"
	       "  cas NAME OLD NEW      set it to NEW if it is OLD\n"
	       "  wait NAME [VALUE]     until it is another than VALUE, or than it is; print it\n\n"
	       "  -t, --type TYPE    of a new one: int (default), unsigned, double, bytes\n"
	       "  -s, --size BYTES   of a new one of type bytes: that many, at most %u\n"
	       "  -w, --wait SECONDS wait: at most so long; -n, --nowait: not at all\n"
	       "  -j, --json         print JSON             -q, --quiet  no complaints\n"
	       "  -E, --no-code N    exit code for \"no\" (1)\n\n"
	       "Words after -- are never options. A value is made by new, set and add, and stays until its\n"
	       "name is removed. Exit code: 0 yes, 1 no: cas found another, wait -n the same; 2 usage, 3 no\n"
	       "such value, or it could not be used, 124 timed out.\n",
	       PRUSIK_VALUE_BYTES_MAX);
}

static int done(const struct value_call *c, int64_t r)
{
	return r < 0 ? number_code(&c->options, c->name, r) : CMD_OK;
}

static int bad(const struct value_call *c, const char *text)
{
	return cmd_usage(&c->options.line, "%s: not a value of its type: %s", c->name, text);
}

/* Text as a value of its kind; false: it is none. */
static int parse(const struct prusik_value *value, const char *text, union datum *ret_datum)
{
	size_t length = strlen(text);

	switch (prusik_value_kind(value)) {
	case PRUSIK_VALUE_INT:
		return number_int(text, &ret_datum->i);
	case PRUSIK_VALUE_UNSIGNED:
		return number_unsigned(text, &ret_datum->u);
	case PRUSIK_VALUE_DOUBLE:
		return number_double(text, &ret_datum->d);
	default:
		memset(ret_datum->bytes, 0, sizeof ret_datum->bytes);
		if ((int64_t)length > prusik_value_size(value))
			return 0;
		memcpy(ret_datum->bytes, text, length);
		return 1;
	}
}

static int load(struct prusik_value *value, union datum *ret_datum)
{
	int64_t n;

	switch (prusik_value_kind(value)) {
	case PRUSIK_VALUE_INT:
		return prusik_value_get(value, &ret_datum->i);
	case PRUSIK_VALUE_UNSIGNED:
		return prusik_value_get_unsigned(value, &ret_datum->u);
	case PRUSIK_VALUE_DOUBLE:
		return prusik_value_get_double(value, &ret_datum->d);
	default:
		n = prusik_value_get_bytes(value, ret_datum->bytes, PRUSIK_VALUE_BYTES_MAX);
		if (n >= 0)
			ret_datum->bytes[n] = 0;
		return n < 0 ? (int)n : 0;
	}
}

static int store(struct prusik_value *value, const union datum *datum)
{
	switch (prusik_value_kind(value)) {
	case PRUSIK_VALUE_INT:
		return prusik_value_set(value, datum->i);
	case PRUSIK_VALUE_UNSIGNED:
		return prusik_value_set_unsigned(value, datum->u);
	case PRUSIK_VALUE_DOUBLE:
		return prusik_value_set_double(value, datum->d);
	default:
		return prusik_value_set_bytes(value, datum->bytes, (uint64_t)prusik_value_size(value));
	}
}

static void show(const struct value_call *c, const union datum *datum)
{
	int kind = prusik_value_kind(c->value);

	if (kind == PRUSIK_VALUE_INT)
		printf("%lld\n", (long long)datum->i);
	else if (kind == PRUSIK_VALUE_UNSIGNED)
		printf("%llu\n", (unsigned long long)datum->u);
	else if (kind == PRUSIK_VALUE_DOUBLE)
		number_show_double(datum->d, c->options.json);
	else
		number_show_text(datum->bytes, strlen(datum->bytes), c->options.json);
}

/* ---- verbs ---- */

static int new (struct value_call *c)
{
	(void)c;
	return CMD_OK; /* opening has made it */
}

static int get(struct value_call *c)
{
	union datum datum;
	int r = load(c->value, &datum);

	if (r >= 0)
		show(c, &datum);
	return done(c, r);
}

static int set(struct value_call *c)
{
	union datum datum;

	return parse(c->value, c->argv[0], &datum) ? done(c, store(c->value, &datum)) : bad(c, c->argv[0]);
}

static int add(struct value_call *c)
{
	const char *text = c->argc ? c->argv[0] : "1";
	int kind = prusik_value_kind(c->value), r;
	union datum sum;
	int64_t delta;
	double real;

	if (kind == PRUSIK_VALUE_DOUBLE ? !number_double(text, &real) : !number_int(text, &delta))
		return bad(c, text);
	if (kind == PRUSIK_VALUE_DOUBLE)
		r = prusik_value_add_double(c->value, real, &sum.d);
	else if (kind == PRUSIK_VALUE_UNSIGNED)
		r = prusik_value_add_unsigned(c->value, delta, &sum.u);
	else
		r = prusik_value_add(c->value, delta, &sum.i);
	if (r >= 0)
		show(c, &sum);
	return done(c, r);
}

static int cas(struct value_call *c)
{
	union datum old, new;

	if (!parse(c->value, c->argv[0], &old))
		return bad(c, c->argv[0]);
	if (!parse(c->value, c->argv[1], &new))
		return bad(c, c->argv[1]);
	switch (prusik_value_kind(c->value)) {
	case PRUSIK_VALUE_INT:
		return done(c, prusik_value_cas(c->value, old.i, new.i));
	case PRUSIK_VALUE_UNSIGNED:
		return done(c, prusik_value_cas_unsigned(c->value, old.u, new.u));
	case PRUSIK_VALUE_DOUBLE:
		return done(c, prusik_value_cas_double(c->value, old.d, new.d));
	default:
		return done(c, prusik_value_cas_bytes(c->value, old.bytes, new.bytes,
						      (uint64_t)prusik_value_size(c->value)));
	}
}

static int wait_for(struct value_call *c)
{
	union datum seen;
	int r = c->argc ? 0 : load(c->value, &seen);

	if (c->argc && !parse(c->value, c->argv[0], &seen))
		return bad(c, c->argv[0]);
	if (r == 0)
		r = prusik_value_wait(c->value, &seen, c->options.deadline);
	return r < 0 ? done(c, r) : get(c);
}

static const struct number_verb verbs[] = {
	{ "new", 0, 1, 1 }, { "get", 0, 0, 0 },	 { "set", 1, 1, 1 }, { "add", 0, 1, 1 },
	{ "cas", 2, 2, 0 }, { "wait", 0, 1, 0 }, { NULL, 0, 0, 0 },
};

static int (*const run[])(struct value_call *c) = { new, get, set, add, cas, wait_for };

static const struct number_type types[] = {
	{ "int", PRUSIK_VALUE_INT },
	{ "unsigned", PRUSIK_VALUE_UNSIGNED },
	{ "double", PRUSIK_VALUE_DOUBLE },
	{ "bytes", PRUSIK_VALUE_BYTES },
	{ NULL, 0 },
};

/* Join it, or make it. What is said of the type must be so. */
static int join(struct value_call *c, int makes)
{
	struct prusik_value_options o = {
		.kind = c->options.kind,
		.size = c->options.size,
		.flags = PRUSIK_EXISTING,
	};
	union datum initial;
	int r = prusik_value_open_named(c->name, &o, &c->value);

	if (r != -ENOENT || !makes)
		return r;
	if (makes == 2) { /* new NAME VALUE */
		struct prusik_value *pattern;
		o.flags = 0;
		r = prusik_value_create(NULL, NULL, &o, &pattern);
		if (r < 0)
			return r;
		r = parse(pattern, c->argv[0], &initial) ? 0 : -EDOM;
		prusik_value_free(pattern);
		o.initial = &initial;
		if (r < 0)
			return r;
	}
	o.flags = PRUSIK_PERSISTENT;
	return prusik_value_open_named(c->name, &o, &c->value);
}

int prusik_cmd_value(int argc, char **argv)
{
	struct value_call c = { 0 };
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
	int makes = verbs[verb].makes ? (run[verb] == new &&c.argc ? 2 : 1) : 0;
	int r = join(&c, makes);
	if (r == -EDOM)
		return bad(&c, c.argv[0]);
	if (r < 0)
		return cmd_object(c.name, r);
	code = run[verb](&c);
	prusik_value_free(c.value);
	return code;
}
