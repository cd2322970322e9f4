/* SPDX-License-Identifier: MIT */
/* chaos - the parent: options, objects, and the sums */
#include "chaos.h"

#include "base/life.h"
#include "base/sentinel.h"
#include "data/queue.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct chaos_options chaos_options = { .kills = 2000, .workers = 4, .producers = 2, .partners = 2, .capacity = 64 };

struct chaos_shared *chaos;
struct prusik_queue *chaos_queue[CHAOS_QUEUES];

static pid_t parent;
static char domain[64];

/* ---- failing ---- */

static void remove_domain(void)
{
	char life[80];

	snprintf(life, sizeof life, "%s/life", domain);
	unlink(life);
	rmdir(domain);
}

void chaos_give_up(void)
{
	chaos_dump(true);
	chaos_kill_all();
	remove_domain();
	printf("0 passed, 1 failed\n");
	exit(1);
}

void chaos_fail(const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	printf("FAILED, seed %lu, after %lu kills: %s\n", chaos_options.seed, chaos_sums.kills, text);
	fflush(stdout);
	prk_store32_rel(&chaos->failed, 1);
	if (getpid() == parent)
		chaos_give_up();
	for (;;)
		pause();
}

/* ---- the sums ---- */

static bool claim(bool ok, const char *what)
{
	if (!ok)
		printf("FAILED: %s\n", what);
	return ok;
}

static bool check_queue(enum chaos_queue queue, struct prusik_queue_stats *stats)
{
	struct prusik_queue *q = chaos_queue[queue];
	bool ok = claim(prusik_queue_stats(q, stats) == 0, "the queue tells its figures");

	ok &= claim(prk_queue_valid(q), "the queue is whole, no node is missing");
	ok &= claim(stats->ready == 0 && prusik_queue_length(q) == 0, "the queue is empty");
	ok &= claim(stats->leased == 0, "nothing is on lease");
	ok &= claim(stats->done == stats->put && stats->reserved == 0 && q->body->parked == 0, "every node is free");
	if (!ok)
		chaos_dump(false);
	return ok;
}

static bool report(int64_t began)
{
	const struct chaos_totals *t = &chaos_totals;
	struct prusik_queue_stats leased, mixed;
	bool ok = check_queue(CHAOS_LEASED, &leased);
	ok = check_queue(CHAOS_MIXED, &mixed) && ok;

	printf("%.1f s, seed %lu: %lu SIGKILLs, %lu rounds with several, %lu with all, %lu "
	       "unreplaced\n",
	       (double)(prusik_now() - began) / 1e9, chaos_options.seed, chaos_sums.kills, chaos_sums.multiple,
	       chaos_sums.everybody, chaos_sums.silent);
	printf("items put %lu, surely %lu; undo recoveries %lu, locks recovered %lu\n", leased.put + mixed.put,
	       t->items, leased.recovered + mixed.recovered, chaos->account.recovered);
	printf("leases returned %lu, taken again %lu, done twice %lu, gone with a getter %lu (of "
	       "%lu)\n",
	       leased.returned + mixed.returned, chaos_sums.redelivered, t->twice, t->gone, t->may_be_gone);
	printf("lost leases that were refused when done: %lu; returned items overtaken by get: %lu\n", chaos->refused,
	       chaos->inversions);
	printf("demands met %lu, longest standstill %.1f ms, LOST %lu\n", chaos_sums.demands,
	       (double)chaos_sums.standstill / 1e6, t->lost);
	ok &= claim(t->lost == 0, "nothing is lost: each item of the first queue is done");
	ok &= claim(t->gone <= t->may_be_gone, "only a killed taker takes an item with it");
	ok &= claim(t->entered == leased.put, "each item of the first queue was seen");
	ok &= claim(t->returns == leased.returned, "attempts are counted once per lease returned");
	ok &= claim(chaos->refused > 0 || leased.returned < 100, "losers of leases have tried to be done");
	ok &= claim(t->twice <= leased.returned + mixed.returned, "done twice only after a return");
	ok &= claim(chaos->inversions <= mixed.returned, "out of order only after a return");
	return ok;
}

/* ---- the beginning ---- */

static void usage(void)
{
	printf("usage: prusik-chaos [--kills N] [--items N] [--seconds S] [--workers N]\n"
	       "                    [--producers N] [--partners N] [--capacity N] [--seed N]\n"
	       "                    [--kind fifo|lifo|priority]\n"
	       "It ends when so many were killed and so many items put; the default is 2000 and 0.\n");
	exit(2);
}

static uint32_t kind_of(const char *name)
{
	static const char *const kinds[] = { "fifo", "lifo", "priority" };

	for (uint32_t i = 0; i < 3; i++)
		if (strcmp(name, kinds[i]) == 0)
			return i;
	usage();
	return 0;
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "kills", required_argument, NULL, 'k' },     { "items", required_argument, NULL, 'i' },
		{ "seconds", required_argument, NULL, 's' },   { "workers", required_argument, NULL, 'w' },
		{ "producers", required_argument, NULL, 'p' }, { "partners", required_argument, NULL, 'a' },
		{ "capacity", required_argument, NULL, 'c' },  { "seed", required_argument, NULL, 'r' },
		{ "kind", required_argument, NULL, 't' },      { NULL, 0, NULL, 0 },
	};

	chaos_options.seed = (uint64_t)prusik_now();
	for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;
		switch (o) {
		case 'k':
			chaos_options.kills = n;
			break;
		case 'i':
			chaos_options.items = n;
			break;
		case 's':
			chaos_options.seconds = n;
			chaos_options.kills = UINT64_MAX;
			break;
		case 'w':
			chaos_options.workers = (uint32_t)n;
			break;
		case 'p':
			chaos_options.producers = (uint32_t)n;
			break;
		case 'a':
			chaos_options.partners = (uint32_t)n;
			break;
		case 'c':
			chaos_options.capacity = (uint32_t)n;
			break;
		case 'r':
			chaos_options.seed = n;
			break;
		case 't':
			chaos_options.kind = kind_of(optarg);
			break;
		default:
			usage();
		}
	}
	uint32_t children = chaos_options.workers + chaos_options.producers + chaos_options.partners;
	if (chaos_options.workers < 2 || chaos_options.producers < 2 || chaos_options.partners == 1 ||
	    !chaos_options.capacity || children >= CHAOS_CHILDREN_MAX)
		usage();
}

static void open_domain(void)
{
	strcpy(domain, "/dev/shm/prusik-chaos-XXXXXX");
	if (!mkdtemp(domain)) {
		perror(domain);
		exit(1);
	}
	setenv("PRUSIK_DIR", domain, 1);
}

static void make_objects(void)
{
	static const char *const name[CHAOS_QUEUES] = { "leased", "mixed" };
	struct prusik_queue_options o = { .capacity = chaos_options.capacity,
					  .item_max = CHAOS_ITEM_MAX,
					  .kind = chaos_options.kind };
	struct prusik_arena *arena = NULL;

	chaos = mmap(NULL, sizeof *chaos, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (chaos == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	int r = prusik_arena_create(NULL, 2 * prusik_queue_size(&o) + 65536, &arena);
	for (uint32_t i = 0; i < CHAOS_QUEUES && r == 0; i++)
		r = prusik_queue_create(arena, name[i], &o, &chaos_queue[i]);
	CHAOS_CHECK(r == 0, "no queues: %s", prusik_strerror(r));
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	parent = getpid();
	chaos_random_state = chaos_options.seed * 2 + 1;
	printf("seed %lu\n", chaos_options.seed);
	/* Where allowed: the parent goes first, and so kills faster. */
	setpriority(PRIO_PROCESS, 0, -10);
	signal(SIGTERM, chaos_stop);
	signal(SIGINT, chaos_stop);
	open_domain();
	prk_sentinel_belt = PRUSIK_FOREVER;
	make_objects();
	chaos_lanes = chaos_options.producers * CHAOS_BODIES * CHAOS_THREADS * CHAOS_QUEUES;
	fflush(stdout);

	int64_t began = prusik_now();
	chaos_run();
	bool ok = report(began);
	remove_domain();
	printf(ok ? "1 passed, 0 failed\n" : "0 passed, 1 failed\n");
	return !ok;
}
