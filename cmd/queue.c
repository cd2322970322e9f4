/* SPDX-License-Identifier: MIT */
/* prusik queue: the command line, and the verbs that are one call each */
#include "line.h"
#include "names.h"
#include "queue.h"

#include <errno.h>
#include <getopt.h>
#include <prusik/common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: prusik queue VERB NAME [OPTION...] [ARGUMENT...]\n"
	"\n"
	"  new       make it: --kind fifo|lifo|prio, --max N items, --item-max BYTES,\n"
	"            --tries N before an item is dead, --ttl S until a lease ends\n"
	"  put       ITEM..., else the lines of stdin: -p PRIORITY, --delay S\n"
	"  get       take out and print: -N COUNT, --loop until it is closed; --lease S: as take\n"
	"  get ... -- CMD [{}]  run CMD with the item as $PRUSIK_ITEM and for {}; done when\n"
	"            it exits 0, else handed out again: --retry-delay S, --loop\n"
	"  take      print ID<TAB>ITEM, lent for --lease S seconds (60)\n"
	"  done      ID...: it has been dealt with\n"
	"  fail      ID...: hand it out again: --retry-delay S, or --dead\n"
	"  peek      print the next item\n"
	"  len       how many are ready, leased, delayed, dead: --json\n"
	"  join      wait until all is done\n"
	"  dead      print the dead items\n"
	"  requeue   make the dead items again: -N COUNT\n"
	"  drain     take out and print all that is there, or --dead: the dead\n"
	"  close     no more puts; --discard: what is in it is thrown away\n"
	"  rm        remove the name\n"
	"\n"
	"-w S: wait that long (put, get, take, peek, join); -n: do not wait; -E N: exit with N\n"
	"for no; -0: items end with a NUL byte, not a newline; -q: no messages.\n"
	"\n"
	"Exit code: 0 yes, 1 no (empty, full, closed), 2 usage, 3 the queue could not be used,\n"
	"4 the lease is lost, 124 the time is over; of CMD: its own, 125 to 127, or 128 + signal.\n";

int queue_trouble(const struct queue_call *call, int64_t result)
{
	if (result == -ETIMEDOUT)
		return call->waits ? CMD_TIMED_OUT : call->no_code;
	if (result == -EPIPE)
		return call->no_code;
	if (!call->quiet && !cmd_domain_refused())
		cmd_say(": queue '%s': %s", call->name,
			result == -ENOENT ? "there is none; make it with: prusik queue new" :
					    prusik_strerror((int)result));
	return result == -ESTALE ? CMD_LEASE_LOST : CMD_OBJECT;
}

static int answer(const struct queue_call *call, int64_t result)
{
	return result < 0 ? queue_trouble(call, result) : CMD_OK;
}

/* ---- the verbs that are one call ---- */

static int make(struct queue_call *call)
{
	int r = prusik_queue_open_named(call->name, &call->options, PRUSIK_NEW | PRUSIK_PERSISTENT, &call->queue);

	if (r < 0)
		return queue_trouble(call, r);
	prusik_queue_free(call->queue);
	return CMD_OK;
}

static int rm(struct queue_call *call)
{
	return answer(call, prusik_arena_unlink(call->name));
}

/* Memory for one item of that queue; NULL, having said so. */
static char *item_memory(const struct queue_call *call, uint64_t *ret_size)
{
	struct prusik_queue_stats stats;
	int r = prusik_queue_stats(call->queue, &stats);

	if (r < 0) {
		queue_trouble(call, r);
		return NULL;
	}
	*ret_size = stats.item_max;
	char *memory = malloc(stats.item_max);
	if (!memory)
		queue_trouble(call, -ENOMEM);
	return memory;
}

static void print(const struct queue_call *call, const char *item, int64_t length)
{
	fwrite(item, 1, (size_t)length, stdout);
	putchar(call->end);
}

static int peek(struct queue_call *call)
{
	uint64_t size;
	char *item = item_memory(call, &size);

	if (!item)
		return CMD_OBJECT;
	int64_t r = prusik_queue_peek(call->queue, item, size, call->deadline);
	if (r >= 0)
		print(call, item, r);
	free(item);
	return answer(call, r);
}

static int len(struct queue_call *call)
{
	struct prusik_queue_stats s;
	int r = prusik_queue_stats(call->queue, &s);

	if (r < 0)
		return queue_trouble(call, r);
	printf(call->json ? "{\"ready\":%llu,\"leased\":%llu,\"delayed\":%llu,\"dead\":%llu,\"put\":%llu,"
			    "\"done\":%llu,\"returned\":%llu,\"retried\":%llu,\"closed\":%s}\n" :
			    "ready %llu leased %llu delayed %llu dead %llu\n",
	       (unsigned long long)s.ready, (unsigned long long)s.leased, (unsigned long long)s.delayed,
	       (unsigned long long)s.dead, (unsigned long long)s.put, (unsigned long long)s.done,
	       (unsigned long long)s.returned, (unsigned long long)s.retried, s.closed ? "true" : "false");
	return CMD_OK;
}

static int join(struct queue_call *call)
{
	return answer(call, prusik_queue_join(call->queue, call->deadline));
}

static int dead(struct queue_call *call)
{
	uint64_t size, number = 0;
	char *item = item_memory(call, &size);
	int64_t r;

	if (!item)
		return CMD_OBJECT;
	while ((r = prusik_queue_dead_peek(call->queue, &number, item, size, NULL)) >= 0)
		print(call, item, r);
	free(item);
	return r == -ETIMEDOUT ? CMD_OK : queue_trouble(call, r);
}

static int requeue(struct queue_call *call)
{
	return answer(call, prusik_queue_dead_requeue(call->queue, call->count ? call->count : UINT64_MAX));
}

/* Printed, then taken out. Where somebody else has taken that one out meanwhile, and we the next: printed too. */
static int64_t drain_dead_one(struct queue_call *call, char *seen, char *taken, uint64_t size)
{
	uint64_t number = 0;
	int64_t r = prusik_queue_dead_peek(call->queue, &number, seen, size, NULL), n;

	if (r < 0)
		return r;
	print(call, seen, r);
	if (fflush(stdout) != 0)
		return -EIO;
	n = prusik_queue_dead_get(call->queue, taken, size);
	if (n >= 0 && (n != r || memcmp(seen, taken, (size_t)n) != 0))
		print(call, taken, n);
	return n;
}

static int drain_dead(struct queue_call *call)
{
	uint64_t size;
	char *seen = item_memory(call, &size), *taken = seen ? item_memory(call, &size) : NULL;
	int64_t r = -ENOMEM;

	while (taken && (r = drain_dead_one(call, seen, taken, size)) >= 0)
		;
	free(seen);
	free(taken);
	return !taken ? CMD_OBJECT : r == -ETIMEDOUT ? CMD_OK : queue_trouble(call, r);
}

static int drain(struct queue_call *call)
{
	return call->dead ? drain_dead(call) : queue_drain(call);
}

static int close_it(struct queue_call *call)
{
	return answer(call, prusik_queue_close(call->queue, call->discard ? PRUSIK_QUEUE_DISCARD : PRUSIK_QUEUE_DRAIN));
}

static const struct verb {
	const char *name;
	int (*run)(struct queue_call *call);
	bool opens; /* the queue must be there */
	bool arguments; /* something may follow the name */
	const char *options; /* its own, besides those that all have */
} verbs[] = {
	{ "new", make, false, false, "KMITL" },	   { "put", queue_put, true, true, "pD" },
	{ "get", queue_get, true, false, "NoRl" }, { "take", queue_get, true, false, "Nol" },
	{ "done", queue_finish, true, true, "" },  { "fail", queue_finish, true, true, "Rd" },
	{ "peek", peek, true, false, "" },	   { "len", len, true, false, "j" },
	{ "join", join, true, false, "" },	   { "dead", dead, true, false, "" },
	{ "requeue", requeue, true, false, "N" },  { "drain", drain, true, false, "d" },
	{ "close", close_it, true, false, "x" },   { "rm", rm, false, false, "" },
};

/* ---- the command line ---- */

/* Options without a letter have one here, for the table above. */
enum {
	KIND = 'K',
	MAX = 'M',
	ITEM_MAX = 'I',
	TRIES = 'T',
	TTL = 'L',
	DELAY = 'D',
	RETRY_DELAY = 'R',
	LEASE = 'l',
	LOOP = 'o',
	DEAD = 'd',
	DISCARD = 'x',
	JSON = 'j',
	HELP = 'h',
};
#define COMMON_OPTIONS "wnE0qh"

static const struct option options[] = {
	{ "kind", required_argument, NULL, KIND },
	{ "max", required_argument, NULL, MAX },
	{ "item-max", required_argument, NULL, ITEM_MAX },
	{ "tries", required_argument, NULL, TRIES },
	{ "ttl", required_argument, NULL, TTL },
	{ "delay", required_argument, NULL, DELAY },
	{ "retry-delay", required_argument, NULL, RETRY_DELAY },
	{ "lease", required_argument, NULL, LEASE },
	{ "loop", no_argument, NULL, LOOP },
	{ "dead", no_argument, NULL, DEAD },
	{ "discard", no_argument, NULL, DISCARD },
	{ "json", no_argument, NULL, JSON },
	{ "wait", required_argument, NULL, 'w' },
	{ "nowait", no_argument, NULL, 'n' },
	{ "no-code", required_argument, NULL, 'E' },
	{ "priority", required_argument, NULL, 'p' },
	{ "null", no_argument, NULL, '0' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

static bool read_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return *text && *end == '\0' && errno == 0 && *ret >= least && *ret <= most;
}

static bool read_seconds(const char *text, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return *text && *end == '\0' && *ret >= 0 && *ret <= 1e9;
}

static bool read_kind(const char *text, uint32_t *ret)
{
	static const char *const kinds[] = { "fifo", "lifo", "prio" };

	for (uint32_t i = 0; i < 3; i++)
		if (strcmp(text, kinds[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool read_option(struct queue_call *call, int option, const char *text)
{
	double seconds = 0;
	int64_t n = 0;
	bool ok = true;

	switch (option) {
	case KIND:
		return read_kind(text, &call->options.kind);
	case MAX:
		ok = read_number(text, 1, INT64_MAX, &n);
		call->options.capacity = (uint64_t)n;
		break;
	case ITEM_MAX:
		ok = read_number(text, 1, INT64_MAX, &n);
		call->options.item_max = (uint64_t)n;
		break;
	case TRIES:
		ok = read_number(text, 0, INT32_MAX, &n);
		call->options.attempts_max = (uint32_t)n;
		break;
	case TTL:
		ok = read_seconds(text, &seconds);
		call->options.lease_ms = (uint64_t)(seconds * 1e3);
		break;
	case DELAY:
	case RETRY_DELAY:
		return read_seconds(text, &call->delay);
	case LEASE:
		call->give_lease = true;
		return read_seconds(text, &call->lease);
	case LOOP:
		call->loop = true;
		break;
	case DEAD:
		call->dead = true;
		break;
	case DISCARD:
		call->discard = true;
		break;
	case JSON:
		call->json = true;
		break;
	case 'N':
		ok = read_number(text, 1, INT64_MAX, &n);
		call->count = (uint64_t)n;
		break;
	case 'p':
		ok = read_number(text, INT32_MIN, INT32_MAX, &n);
		call->put.priority = (int32_t)n;
		break;
	case 'E':
		ok = read_number(text, 0, 255, &n);
		call->no_code = (int)n;
		break;
	case 'w':
		ok = read_seconds(text, &seconds);
		call->waits = true;
		call->deadline = prusik_in_ns((int64_t)(seconds * 1e9));
		break;
	case 'n':
		call->deadline = PRUSIK_NOW;
		break;
	case '0':
		call->end = '\0';
		break;
	case 'q':
		call->quiet = true;
		break;
	case HELP:
		call->help = true;
		break;
	default:
		return false;
	}
	return ok;
}

static bool may_have(const struct verb *verb, int option)
{
	return option != '?' && (strchr(COMMON_OPTIONS, option) || strchr(verb->options, option));
}

/* Options may stand before and after the name and the items; what follows -- is a command. */
static bool read_call(struct queue_call *call, const struct verb *verb, int argc, char **argv)
{
	int option, own = argc;

	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			own = i;
			call->command = argv[i + 1] ? &argv[i + 1] : NULL;
			break;
		}
	optind = 0;
	opterr = 0;
	while ((option = getopt_long(own, argv, "w:nE:p:N:0q", options, NULL)) != -1)
		if (!may_have(verb, option) || !read_option(call, option, optarg))
			return false;
	if (call->help)
		return true;
	if (own - optind < 1 || (own - optind > 1 && !verb->arguments))
		return false;
	call->name = argv[optind];
	call->argc = own - optind - 1;
	call->argv = argv + optind + 1;
	call->give_lease |= strcmp(verb->name, "take") == 0;
	return own == argc || (verb->run == queue_get && call->command && !call->give_lease);
}

static int run_verb(const struct verb *verb, struct queue_call *call)
{
	if (verb->opens) {
		int r = prusik_queue_open_named(call->name, NULL, PRUSIK_EXISTING, &call->queue);
		if (r < 0)
			return queue_trouble(call, r);
	}
	int code = verb->run(call);
	if (verb->opens)
		prusik_queue_free(call->queue);
	return code;
}

int prusik_cmd_queue(int argc, char **argv)
{
	struct queue_call call = { .deadline = PRUSIK_FOREVER, .no_code = CMD_NO, .end = '\n', .lease = 60 };
	const struct verb *verb = NULL;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return CMD_OK;
	}
	for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			verb = &verbs[i];
	if (!verb || !read_call(&call, verb, argc - 1, argv + 1)) {
		fputs(usage, stderr);
		return CMD_USAGE;
	}
	if (call.help) {
		fputs(usage, stdout);
		return CMD_OK;
	}
	call.verb = verb->name;
	return run_verb(verb, &call);
}
