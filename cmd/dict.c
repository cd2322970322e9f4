/* SPDX-License-Identifier: MIT */
/* prusik dict - a shared dict from the shell */
#include "bytes.h"
#include "cmd.h"
#include "line.h"

#include <errno.h>
#include <prusik/dict.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct dict_call {
	struct bytes_options options;
	struct prusik_dict *dict;
	const char *name, *key;
	size_t key_length;
	int argc; /* what follows the key */
	char **argv;
};

static void help(void)
{
	printf("usage: prusik dict [OPTION...] VERB NAME [KEY [VALUE]]\n\n"
	       "  get NAME KEY            print the value\n"
	       "  set NAME KEY [VALUE]    from stdin without VALUE\n"
	       "  del NAME KEY\n"
	       "  keys NAME, items NAME   a line each: KEY, or KEY<TAB>VALUE\n"
	       "  len NAME\n"
	       "  cas NAME KEY OLD NEW    set it to NEW if it is OLD\n"
	       "  incr NAME KEY [N]       add N (1) to the number in KEY, print the sum\n"
	       "  update NAME KEY -- COMMAND...   value to stdin, new value from stdout\n"
	       "  watch NAME [KEY]        wait for a change; of KEY: print its new value\n"
	       "  clear NAME\n\n"
	       "  -d, --default VALUE   get: print this if there is no such key\n"
	       "  -x, --new             set: only if there is no such key\n"
	       "  -w, --wait SECONDS    watch: at most so long; -n, --nowait: not at all\n"
	       "  -s, --size BYTES      set aside for a new dict, which grows; k, M, G\n"
	       "  -0, --null            lines end with NUL      -j, --json  a JSON value per line\n"
	       "  -E, --no-code N       exit code for \"no\" (1)   -q, --quiet  no complaints\n\n"
	       "Words after -- are never options. A number is kept as text. A dict is made by set, cas, incr and "
	       "update, and stays until\n"
	       "its name is removed. Exit code: 0 yes, 1 no such key, 2 usage, 3 no such dict, or it\n"
	       "could not be used, 124 timed out.\n");
}

/* The value of the key: its length, and it is in *value; or below 0. */
static int64_t fetch(struct dict_call *c, struct bytes *value)
{
	int64_t n;

	do {
		n = prusik_dict_get(c->dict, c->key, c->key_length, NULL, 0);
		if (n >= 0 && bytes_reserve(value, (size_t)n + 1) < 0)
			return -ENOMEM;
		if (n >= 0)
			n = prusik_dict_get(c->dict, c->key, c->key_length, value->data, value->room);
	} while (n == -EMSGSIZE);
	value->length = n < 0 ? 0 : (size_t)n;
	return n;
}

static int done(struct dict_call *c, int64_t r)
{
	return r < 0 ? bytes_code(&c->options, c->name, r) : CMD_OK;
}

static int get(struct dict_call *c)
{
	struct bytes value = { 0 };
	int64_t n = fetch(c, &value);

	if (n >= 0)
		bytes_line(&c->options, value.data, value.length);
	else if (n == -ENOENT && c->options.fallback) {
		bytes_line(&c->options, c->options.fallback, strlen(c->options.fallback));
		n = 0;
	}
	bytes_free(&value);
	return done(c, n);
}

static int set(struct dict_call *c)
{
	struct bytes value = { 0 };
	int r = c->argc ? 0 : bytes_read(&value, STDIN_FILENO);
	const char *data = c->argc ? c->argv[0] : value.data;
	size_t length = c->argc ? strlen(data) : value.length;

	if (r == 0 && c->options.only_new)
		r = prusik_dict_insert(c->dict, c->key, c->key_length, data, length);
	else if (r == 0)
		r = prusik_dict_set(c->dict, c->key, c->key_length, data, length);
	bytes_free(&value);
	return done(c, r);
}

static int del(struct dict_call *c)
{
	return done(c, prusik_dict_delete(c->dict, c->key, c->key_length));
}

static int length(struct dict_call *c)
{
	int64_t n = prusik_dict_length(c->dict);

	if (n >= 0)
		printf("%lld\n", (long long)n);
	return done(c, n);
}

static void show_item(const struct dict_call *c, const struct iovec *key, const struct iovec *value)
{
	if (c->options.json) {
		printf("{\"key\":");
		bytes_put_json(key->iov_base, key->iov_len);
		if (value) {
			printf(",\"value\":");
			bytes_put_json(value->iov_base, value->iov_len);
		}
		putchar('}');
	} else {
		bytes_put(key->iov_base, key->iov_len);
		if (value) {
			putchar('\t');
			bytes_put(value->iov_base, value->iov_len);
		}
	}
	putchar(c->options.nul ? 0 : '\n');
}

static int walk(struct dict_call *c, int with_values)
{
	struct prusik_dict_cursor cursor = { 0 };
	struct bytes k = { 0 }, v = { 0 };
	struct iovec key, value;
	int r = 1;

	while (r > 0) {
		if (bytes_reserve(&k, 64) < 0 || bytes_reserve(&v, 64) < 0)
			return done(c, -ENOMEM);
		key = (struct iovec){ k.data, k.room };
		value = (struct iovec){ v.data, v.room };
		r = prusik_dict_next(c->dict, &cursor, &key, with_values ? &value : NULL);
		if (r == 1)
			show_item(c, &key, with_values ? &value : NULL);
		if (r == -EMSGSIZE)
			r = bytes_reserve(&k, key.iov_len) < 0 || bytes_reserve(&v, value.iov_len) < 0 ? -ENOMEM : 1;
	}
	bytes_free(&k);
	bytes_free(&v);
	return done(c, r);
}

static int keys(struct dict_call *c)
{
	return walk(c, 0);
}

static int items(struct dict_call *c)
{
	return walk(c, 1);
}

static int cas(struct dict_call *c)
{
	const char *old = c->argv[0], *new = c->argv[1];

	return done(c, prusik_dict_cas(c->dict, c->key, c->key_length, old, strlen(old), new, strlen(new)));
}

/* The number as text, so that get shows it; the sum of what it was and context's. */
struct sum {
	int64_t delta, result;
	char text[32];
};

static int add_up(void *context, const void *old, uint64_t old_length, struct iovec *ret_value)
{
	struct sum *s = context;
	char text[32] = "0";
	int64_t n;

	if (old && old_length >= sizeof text)
		return -EINVAL;
	if (old)
		memcpy(text, old, old_length);
	text[old ? old_length : 1] = 0;
	if (!bytes_number(text, &n))
		return -EINVAL;
	if (__builtin_add_overflow(n, s->delta, &s->result))
		return -EOVERFLOW;
	*ret_value = (struct iovec){ s->text, (size_t)snprintf(s->text, sizeof s->text, "%lld", (long long)s->result) };
	return PRUSIK_DICT_SET;
}

static int incr(struct dict_call *c)
{
	struct sum s = { .delta = 1 };

	if (c->argc && !bytes_number(c->argv[0], &s.delta))
		return cmd_usage(&c->options.line, "incr: not a number: %s", c->argv[0]);
	int r = prusik_dict_modify(c->dict, c->key, c->key_length, add_up, &s);
	if (r >= 0)
		printf("%s\n", s.text);
	return done(c, r);
}

/* Run the command with that stdin and stdout. Its exit code as the shell has it. */
static int run(const struct dict_call *c, int in, int out)
{
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	int r = posix_spawnp(&pid, c->argv[0], &actions, NULL, c->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0) {
		cmd_say(" dict: %s: %s", c->argv[0], strerror(r));
		return r == ENOENT ? 127 : 126;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int put_in_file(int fd, const struct bytes *value)
{
	size_t at = 0;

	while (at < value->length) {
		ssize_t n = write(fd, value->data + at, value->length - at);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* What the command makes of old: an exit code, and it is in *new. */
static int transform(struct dict_call *c, const struct bytes *old, struct bytes *new)
{
	int in = memfd_create("value", MFD_CLOEXEC), out = memfd_create("value", MFD_CLOEXEC), code = 125;

	if (in >= 0 && out >= 0 && put_in_file(in, old) == 0)
		code = run(c, in, out);
	if (code == 0 && (lseek(out, 0, SEEK_SET) < 0 || bytes_read(new, out) < 0))
		code = 125;
	close(in);
	close(out);
	return code;
}

static int update(struct dict_call *c)
{
	struct bytes old = { 0 }, new = { 0 };
	int64_t r = -ESTALE;
	int code = 0;

	while (r == -ESTALE && code == 0) {
		int64_t n = fetch(c, &old);
		new.length = 0;
		r = n == -ENOENT ? 0 : n;
		if (r < 0)
			break;
		code = transform(c, &old, &new);
		if (code == 0)
			r = prusik_dict_cas(c->dict, c->key, c->key_length, n < 0 ? NULL : old.data, old.length,
					    new.data, new.length);
	}
	bytes_free(&old);
	bytes_free(&new);
	return code ? code : done(c, r);
}

static int same_value(int64_t a, const struct bytes *x, int64_t b, const struct bytes *y)
{
	return a < 0 || b < 0 ? a == b : x->length == y->length && memcmp(x->data, y->data, x->length) == 0;
}

static int watch_key(struct dict_call *c)
{
	struct bytes first = { 0 }, now = { 0 };
	int64_t old = fetch(c, &first), n = old, seen;
	int r = old < 0 && old != -ENOENT ? (int)old : 0;

	while (r == 0) {
		seen = prusik_dict_seen(c->dict, c->key, c->key_length);
		n = fetch(c, &now);
		if (seen < 0 || !same_value(old, &first, n, &now))
			break;
		r = prusik_dict_wait(c->dict, c->key, c->key_length, seen, c->options.deadline);
	}
	if (r == 0 && n >= 0)
		bytes_line(&c->options, now.data, now.length);
	bytes_free(&first);
	bytes_free(&now);
	return done(c, r < 0 ? r : n);
}

static int watch(struct dict_call *c)
{
	int64_t seen;

	if (c->key)
		return watch_key(c);
	seen = prusik_dict_seen(c->dict, NULL, 0);
	return done(c, seen < 0 ? seen : prusik_dict_wait(c->dict, NULL, 0, seen, c->options.deadline));
}

static int clear(struct dict_call *c)
{
	return done(c, prusik_dict_clear(c->dict));
}

struct dict_verb {
	struct bytes_verb verb;
	int (*run)(struct dict_call *c);
};

static const struct dict_verb verbs[] = {
	{ { "get", 1, 1, 0 }, get },	 { { "set", 1, 2, 1 }, set },	  { { "del", 1, 1, 0 }, del },
	{ { "keys", 0, 0, 0 }, keys },	 { { "items", 0, 0, 0 }, items }, { { "len", 0, 0, 0 }, length },
	{ { "cas", 3, 3, 1 }, cas },	 { { "incr", 1, 2, 1 }, incr },	  { { "update", 2, 99, 1 }, update },
	{ { "watch", 0, 1, 0 }, watch }, { { "clear", 0, 0, 0 }, clear }, { { NULL, 0, 0, 0 }, NULL },
};

int prusik_cmd_dict(int argc, char **argv)
{
	struct dict_call c = { 0 };
	int code = bytes_options(argv, &c.options, help);

	(void)argc;
	if (code >= 0)
		return code;
	const struct dict_verb *verb = bytes_verb(&c.options, verbs, sizeof verbs[0]);
	if (!verb)
		return CMD_USAGE;
	struct prusik_dict_options o = {
		.room = c.options.size,
		.flags = verb->verb.makes ? PRUSIK_PERSISTENT : PRUSIK_EXISTING,
	};
	c.name = c.options.argv[1];
	c.key = c.options.argc > 2 ? c.options.argv[2] : NULL;
	c.key_length = c.key ? strlen(c.key) : 0;
	c.argc = c.options.argc > 3 ? c.options.argc - 3 : 0;
	c.argv = c.options.argv + 3;
	int r = prusik_dict_open_named(c.name, &o, &c.dict);
	if (r < 0)
		return cmd_object(c.name, r);
	code = verb->run(&c);
	prusik_dict_free(c.dict);
	return code;
}
