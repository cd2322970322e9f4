/* SPDX-License-Identifier: MIT */
/* chaos - the parent: it kills, replaces, watches, and does the sums */
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

static struct {
	uint64_t kills, seconds, seed;
	uint32_t workers, producers, partners, capacity;
} options = { .kills = 2000, .workers = 4, .producers = 2, .partners = 2, .capacity = 64 };

struct chaos_shared *chaos;
struct prusik_queue *chaos_queue[CHAOS_QUEUES];

static pid_t parent;
static volatile sig_atomic_t stopped;
static uint32_t children, bodies;	     /* body b is one of child b / CHAOS_BODIES */
static pid_t pids[CHAOS_BODIES_MAX];	     /* 0: nobody */
static uint32_t current[CHAOS_CHILDREN_MAX]; /* the child's body; another one with a pid is dying */
static char domain[64];

static struct {
	uint64_t kills, multiple, everybody, demands;
	uint64_t moved_by_dead, redelivered;
	int64_t standstill;
} sums;

/* ---- failing ---- */

static void remove_domain(void)
{
	char life[80];

	snprintf(life, sizeof life, "%s/life", domain);
	unlink(life);
	rmdir(domain);
}

static void kill_all(void)
{
	for (uint32_t i = 0; i < bodies; i++) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

static void give_up(void)
{
	chaos_dump(pids, bodies);
	kill_all();
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
	printf("FAILED, seed %lu, after %lu kills: %s\n", options.seed, sums.kills, text);
	fflush(stdout);
	prk_store32_rel(&chaos->failed, 1);
	if (getpid() == parent)
		give_up();
	for (;;)
		pause();
}

static void nap(uint32_t microseconds)
{
	struct timespec ts = { 0, microseconds * 1000L };

	nanosleep(&ts, NULL);
	if (prk_load32_acq(&chaos->failed))
		give_up();
	chaos_balance(false);
}

/* ---- children ---- */

static enum chaos_role role_of(uint32_t body)
{
	uint32_t child = body / CHAOS_BODIES;

	if (child < options.producers)
		return CHAOS_PRODUCER;
	return child < options.producers + options.partners ? CHAOS_PARTNER : CHAOS_WORKER;
}

/* What a dead body did is counted up; its seats are free. */
static void clear_away(uint32_t body)
{
	for (uint32_t t = 0; t < CHAOS_THREADS; t++) {
		const struct chaos_seat *seat = &chaos->seat[body][t];
		chaos_totals.may_be_gone += seat->getting;
		sums.moved_by_dead += seat->moved;
		sums.redelivered += seat->redelivered;
	}
	memset(chaos->seat[body], 0, sizeof chaos->seat[body]);
	pids[body] = 0;
}

/* Reap a body that was killed. False: it is not dead yet (flags WNOHANG). */
static bool reap(uint32_t body, int flags)
{
	int status;
	pid_t pid = waitpid(pids[body], &status, flags);

	if (pid == 0)
		return false;
	CHAOS_CHECK(pid == pids[body], "waitpid");
	CHAOS_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		    "child %u ended by itself, status %x", body / CHAOS_BODIES, status);
	clear_away(body);
	return true;
}

static void reap_dying(int flags)
{
	for (uint32_t i = 0; i < bodies; i++)
		if (pids[i] && i != current[i / CHAOS_BODIES])
			reap(i, flags);
}

/* In another body than the last. */
static void start(uint32_t child)
{
	uint64_t seed = (uint64_t)chaos_random(UINT32_MAX) << 32 | chaos_random(UINT32_MAX);
	uint32_t body = child * CHAOS_BODIES + (current[child] + 1) % CHAOS_BODIES;

	if (pids[body])
		reap(body, 0);
	current[child] = body;
	chaos->seat[body][0].tid = 1;
	pids[body] = fork();
	CHAOS_CHECK(pids[body] >= 0, "fork");
	if (pids[body] == 0)
		chaos_child(child, body, role_of(body), seed);
}

/* Which children a round strikes, as bits: mostly one, sometimes several, now and then all. */
static uint32_t victims(void)
{
	uint32_t dice = chaos_random(100), bits = 0;

	if (dice == 0)
		return (uint32_t)((UINT64_C(1) << children) - 1);
	for (uint32_t n = dice < 10 ? 2 + chaos_random(children - 1) : 1; n > 0; n--)
		bits |= UINT32_C(1) << chaos_random(children);
	return bits;
}

static void kill_round(void)
{
	uint32_t bits = victims(), count = (uint32_t)__builtin_popcount(bits);

	for (uint32_t i = 0; i < children; i++)
		if (bits >> i & 1)
			kill(pids[current[i]], SIGKILL);
	if (chaos_random(2))
		reap_dying(WNOHANG);
	for (uint32_t i = 0; i < children; i++)
		if (bits >> i & 1)
			start(i);
	sums.kills += count;
	sums.multiple += count > 1;
	sums.everybody += count == children;
}

/* ---- watching ---- */

static uint64_t moved(void)
{
	uint64_t sum = sums.moved_by_dead;

	for (uint32_t i = 0; i < bodies; i++)
		for (uint32_t t = 0; t < CHAOS_THREADS; t++)
			sum += prk_load64_rlx(&chaos->seat[i][t].moved);
	return sum;
}

/* How long nothing was put or done, while all may put and take. */
static void watch(bool flowing)
{
	static uint64_t last;
	static int64_t since;
	uint64_t now_moved = moved();
	int64_t now = prusik_now();

	if (now_moved != last || !flowing || since == 0) {
		last = now_moved;
		since = now;
		return;
	}
	if (now - since > sums.standstill)
		sums.standstill = now - since;
	if (now - since > CHAOS_LIMIT)
		chaos_fail("HANG: nothing is put or done");
}

static bool pausing(enum chaos_role role)
{
	for (uint32_t i = 0; i < bodies; i++)
		for (uint32_t t = 0; t < CHAOS_THREADS && role_of(i) == role; t++)
			if (prk_load32_rlx(&chaos->seat[i][t].tid) &&
			    prk_load32_rlx(&chaos->seat[i][t].place) == CHAOS_PAUSING)
				return true;
	return false;
}

static uint32_t fill_level(enum chaos_queue queue)
{
	const struct prk_queue_body *b = chaos_queue[queue]->body;

	return (uint32_t)prk_load64_acq(&b->puts) -
	       prk_queue_cursors(prk_load64_acq(&b->cursors)).frees;
}

/* All that was put is done, and no permit is left. */
static bool all_empty(void)
{
	if (prk_load32_acq(&chaos->permits) > 0)
		return false;
	for (uint32_t i = 0; i < bodies; i++)
		for (uint32_t t = 0; t < CHAOS_THREADS && role_of(i) == CHAOS_PRODUCER; t++)
			if (prk_load32_rlx(&chaos->seat[i][t].tid) &&
			    prk_load32_rlx(&chaos->seat[i][t].place) != CHAOS_PAUSING)
				return false;
	return fill_level(CHAOS_LEASED) == 0 && fill_level(CHAOS_MIXED) == 0;
}

static bool one_full(void)
{
	if (prk_load32_acq(&chaos->permits) > 0 && pausing(CHAOS_WORKER))
		return false;
	return fill_level(CHAOS_LEASED) == options.capacity ||
	       fill_level(CHAOS_MIXED) == options.capacity;
}

static uint32_t laggard; /* who had not moved when last looked at: body * CHAOS_THREADS + thread */
static uint64_t steps_before[CHAOS_BODIES_MAX][CHAOS_THREADS];

static void note_steps(void)
{
	for (uint32_t i = 0; i < bodies; i++)
		for (uint32_t t = 0; t < CHAOS_THREADS; t++)
			steps_before[i][t] = prk_load64_rlx(&chaos->seat[i][t].steps);
}

static bool stepped(uint32_t body, uint32_t thread)
{
	const struct chaos_seat *seat = &chaos->seat[body][thread];

	return !prk_load32_rlx(&seat->tid) ||
	       prk_load64_rlx(&seat->steps) != steps_before[body][thread];
}

/* Each thread has done something since. */
static bool all_stepped(void)
{
	static uint32_t next; /* all from here around have: look at this one first */

	for (uint32_t n = 0; n < bodies * CHAOS_THREADS; n++) {
		uint32_t i = next % bodies, t = next / bodies % CHAOS_THREADS;
		if (!stepped(i, t)) {
			laggard = i * CHAOS_THREADS + t;
			return false;
		}
		next = (next + 1) % (bodies * CHAOS_THREADS);
	}
	return true;
}

static void demand(bool (*condition)(void), const char *what)
{
	int64_t until = prusik_in_ns(CHAOS_LIMIT);

	reap_dying(0);
	while (!condition()) {
		if (prusik_now() > until)
			chaos_fail("HANG: %s (body %u)", what, laggard / CHAOS_THREADS);
		nap(50);
	}
	sums.demands++;
}

/* ---- the course of things ---- */

static void set_phase(enum chaos_phase phase)
{
	prk_store32_rel(&chaos->phase, phase);
}

static void kill_for_a_while(uint32_t rounds)
{
	while (rounds-- > 0) {
		if (!chaos_random(3))
			nap(chaos_random(1000));
		kill_round();
		chaos_balance(false);
		watch(prk_load32_rlx(&chaos->phase) == CHAOS_FLOW);
	}
}

/* Stop one side, kill some, let the others come to rest; then let a few items through. */
static void stop_one_side(enum chaos_phase phase, bool (*at_rest)(void), const char *what)
{
	set_phase(phase);
	kill_for_a_while(chaos_random(8));
	prk_store32_rel(&chaos->calm, 1);
	demand(at_rest, what);
	for (uint32_t i = chaos_random(3); i > 0; i--) {
		prk_store32_rel(&chaos->permits, 1 + chaos_random(4));
		demand(at_rest, what);
	}
	prk_store32_rel(&chaos->permits, 0);
	set_phase(CHAOS_FLOW);
}

static void episode(void)
{
	kill_for_a_while(10 + chaos_random(40));
	prk_store32_rel(&chaos->calm, 1);
	uint32_t dice = chaos_random(4);
	if (dice < 2) {
		prk_store32_rel(&chaos->calm, 0);
		stop_one_side(dice ? CHAOS_NO_PUTS : CHAOS_NO_TAKES, dice ? all_empty : one_full,
			      dice ? "the queues do not run empty" : "the queues do not run full");
	}
	reap_dying(0);
	note_steps();
	demand(all_stepped, "a thread does not move on");
	prk_store32_rel(&chaos->calm, 0);
	watch(false);
}

static bool gone_home(enum chaos_role role)
{
	bool all = true;

	for (uint32_t i = 0; i < bodies; i++) {
		int status;
		if (role_of(i) != role || pids[i] == 0)
			continue;
		if (waitpid(pids[i], &status, WNOHANG) == 0) {
			all = false;
			continue;
		}
		CHAOS_CHECK(status == 0, "child %u ended with status %x", i / CHAOS_BODIES, status);
		clear_away(i);
	}
	return all;
}

static bool producers_gone(void)
{
	return gone_home(CHAOS_PRODUCER);
}

static bool workers_gone(void)
{
	return gone_home(CHAOS_WORKER);
}

/* Nobody is killed any more; the queues are closed, all that is in them is done. */
static void end(void)
{
	bool polite = chaos_random(2);

	prk_store32_rel(&chaos->calm, 1);
	reap_dying(0);
	set_phase(CHAOS_END);
	if (polite)
		demand(producers_gone, "producers do not end");
	for (uint32_t i = 0; i < CHAOS_QUEUES; i++)
		CHAOS_CHECK(prusik_queue_close(chaos_queue[i], PRUSIK_QUEUE_DRAIN) == 0, "close");
	demand(producers_gone, "producers do not end after close");
	demand(workers_gone, "workers do not end");
	kill_all();
	chaos_balance(true);
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
	if (!ok)
		chaos_dump(pids, 0);
	return ok;
}

static bool report(int64_t began)
{
	const struct chaos_totals *t = &chaos_totals;
	struct prusik_queue_stats leased, mixed;
	bool ok = check_queue(CHAOS_LEASED, &leased);
	ok = check_queue(CHAOS_MIXED, &mixed) && ok;

	printf("%.1f s, seed %lu: %lu SIGKILLs, %lu rounds with several, %lu with all\n",
	       (double)(prusik_now() - began) / 1e9, options.seed, sums.kills, sums.multiple,
	       sums.everybody);
	printf("items put %lu, surely %lu; undo recoveries %lu, locks recovered %lu\n",
	       leased.put + mixed.put, t->items, leased.recovered + mixed.recovered,
	       chaos->account.recovered);
	printf("leases returned %lu, taken again %lu, done twice %lu, gone with a getter %lu (of "
	       "%lu)\n",
	       leased.returned + mixed.returned, sums.redelivered, t->twice, t->gone,
	       t->may_be_gone);
	printf("demands met %lu, longest standstill %.1f ms, LOST %lu\n", sums.demands,
	       (double)sums.standstill / 1e6, t->lost);
	ok &= claim(t->lost == 0, "nothing is lost");
	ok &= claim(t->gone <= t->may_be_gone, "only a killed taker takes an item with it");
	ok &= claim(t->entered == leased.put, "each item of the first queue was seen");
	ok &= claim(t->returns == leased.returned, "attempts are counted once per lease returned");
	ok &= claim(t->twice <= leased.returned + mixed.returned, "done twice only after a return");
	ok &= claim(chaos->inversions <= mixed.returned, "out of order only after a return");
	return ok;
}

/* ---- the beginning ---- */

static void usage(void)
{
	printf("usage: prusik-chaos [--kills N] [--seconds S] [--workers N] [--producers N]\n"
	       "                    [--partners N] [--capacity N] [--seed N]\n");
	exit(2);
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "kills", required_argument, NULL, 'k' },
		{ "seconds", required_argument, NULL, 's' },
		{ "workers", required_argument, NULL, 'w' },
		{ "producers", required_argument, NULL, 'p' },
		{ "partners", required_argument, NULL, 'a' },
		{ "capacity", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};

	options.seed = (uint64_t)prusik_now();
	for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;
		switch (o) {
		case 'k':
			options.kills = n;
			break;
		case 's':
			options.seconds = n;
			options.kills = UINT64_MAX;
			break;
		case 'w':
			options.workers = (uint32_t)n;
			break;
		case 'p':
			options.producers = (uint32_t)n;
			break;
		case 'a':
			options.partners = (uint32_t)n;
			break;
		case 'c':
			options.capacity = (uint32_t)n;
			break;
		case 'r':
			options.seed = n;
			break;
		default:
			usage();
		}
	}
	children = options.workers + options.producers + options.partners;
	bodies = children * CHAOS_BODIES;
	if (options.workers < 2 || options.producers < 2 || options.partners == 1 ||
	    !options.capacity || children >= CHAOS_CHILDREN_MAX)
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
	struct prusik_queue_options o = { .capacity = options.capacity,
					  .item_max = CHAOS_ITEM_MAX };
	struct prusik_arena *arena = NULL;

	chaos = mmap(NULL, sizeof *chaos, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (chaos == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	int r = prusik_arena_create(NULL, 2 * prusik_queue_size(&o) + 65536, &arena);
	for (uint32_t i = 0; i < CHAOS_QUEUES && r == 0; i++)
		r = prusik_queue_create(arena, name[i], &o, &chaos_queue[i]);
	CHAOS_CHECK(r == 0, "no queues: %s", prusik_strerror(r));
}

/* Interrupted: come to the end, and say what was found so far. */
static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	parent = getpid();
	chaos_random_state = options.seed * 2 + 1;
	printf("seed %lu\n", options.seed);
	setpriority(PRIO_PROCESS, 0,
		    -10); /* where allowed: the parent goes first, and kills faster */
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	open_domain();
	prk_sentinel_belt = PRUSIK_FOREVER;
	make_objects();
	chaos_lanes = options.producers * CHAOS_BODIES * CHAOS_THREADS * CHAOS_QUEUES;
	fflush(stdout);

	int64_t began = prusik_now();
	for (uint32_t i = 0; i < children; i++)
		start(i);
	while (!stopped && sums.kills < options.kills &&
	       (!options.seconds || prusik_now() - began < (int64_t)options.seconds * 1000000000))
		episode();
	end();
	bool ok = report(began);
	remove_domain();
	printf(ok ? "1 passed, 0 failed\n" : "0 passed, 1 failed\n");
	return !ok;
}
