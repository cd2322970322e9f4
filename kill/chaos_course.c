/* SPDX-License-Identifier: MIT */
/* chaos_course - the course of things: the parent kills, replaces, and watches */
#include "chaos.h"

#include "data/queue.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;
static uint32_t children, bodies; /* body b is one of child b / CHAOS_BODIES */
static pid_t pids[CHAOS_BODIES_MAX]; /* 0: nobody */
static uint32_t current[CHAOS_CHILDREN_MAX]; /* the child's body; another one with a pid is dying */

struct chaos_sums chaos_sums;

static void nap(uint32_t microseconds)
{
	struct timespec ts = { 0, microseconds * 1000L };

	nanosleep(&ts, NULL);
	if (prk_load32_acq(&chaos->failed))
		chaos_give_up();
	chaos_balance(false);
}

/* ---- children ---- */

static enum chaos_role role_of(uint32_t body)
{
	uint32_t child = body / CHAOS_BODIES;

	if (child < chaos_options.producers)
		return CHAOS_PRODUCER;
	return child < chaos_options.producers + chaos_options.partners ? CHAOS_PARTNER : CHAOS_WORKER;
}

/* What a dead body did is counted up; its seats are free. */
static void clear_away(uint32_t body)
{
	for (uint32_t t = 0; t < CHAOS_THREADS; t++) {
		const struct chaos_seat *seat = &chaos->seat[body][t];
		chaos_totals.may_be_gone += seat->getting;
		chaos_sums.moved_by_dead += seat->moved;
		chaos_sums.redelivered += seat->redelivered;
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
	CHAOS_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "child %u ended by itself, status %x",
		    body / CHAOS_BODIES, status);
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
	chaos_sums.kills += count;
	chaos_sums.multiple += count > 1;
	chaos_sums.everybody += count == children;
}

/* ---- watching ---- */

static uint64_t moved(void)
{
	uint64_t sum = chaos_sums.moved_by_dead;

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
	if (now - since > chaos_sums.standstill)
		chaos_sums.standstill = now - since;
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

	return (uint32_t)prk_load64_acq(&b->puts) - prk_queue_cursors(prk_load64_acq(&b->cursors)).frees;
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
	return fill_level(CHAOS_LEASED) == chaos_options.capacity || fill_level(CHAOS_MIXED) == chaos_options.capacity;
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

	return !prk_load32_rlx(&seat->tid) || prk_load64_rlx(&seat->steps) != steps_before[body][thread];
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
	chaos_sums.demands++;
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

static uint32_t some_worker(void)
{
	return children - 1 - chaos_random(chaos_options.workers);
}

/* Is there another worker that waits for the same queue without limit? */
static bool to_spare(uint32_t worker)
{
	return worker + CHAOS_QUEUES < children || role_of((worker - CHAOS_QUEUES) * CHAOS_BODIES) == CHAOS_WORKER;
}

static void replace(uint32_t child)
{
	kill(pids[current[child]], SIGKILL);
	start(child);
	chaos_sums.kills++;
}

/* Kill it, and have nobody take its place. */
static void kill_silently(uint32_t child)
{
	uint32_t body = current[child];

	current[child] = child * CHAOS_BODIES + (body + 1) % CHAOS_BODIES;
	kill(pids[body], SIGKILL);
	reap_dying(0);
	chaos_sums.kills++;
	chaos_sums.silent++;
}

/* Wait a little for the holder to hold something. */
static bool holds(uint32_t child)
{
	for (int patience = 200; patience > 0; patience--) {
		for (uint32_t t = 0; t < CHAOS_THREADS; t++)
			if (prk_load32_rlx(&chaos->seat[current[child]][t].place) == CHAOS_HOLDING)
				return true;
		nap(50);
	}
	return false;
}

static void kill_a_holder(uint32_t child)
{
	bool dry = chaos_random(2);

	if (!to_spare(child))
		return;
	if (chaos_random(2))
		replace(child); /* one that has not waited yet, perhaps */
	reap_dying(0); /* not later: that may take seconds, in which items on lease grow old */
	prk_store32_rel(&chaos->holder, child + 1);
	if (holds(child)) {
		if (dry)
			set_phase(CHAOS_NO_PUTS);
		nap(500 + chaos_random(4000));
		note_steps();
		kill_silently(child);
		demand(dry ? all_empty : all_stepped, "those who waited for a dead one do not go on");
		set_phase(CHAOS_FLOW);
		start(child);
	}
	prk_store32_rel(&chaos->holder, 0);
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
	for (uint32_t n = dice == 2 ? 1 + chaos_random(8) : 0; n > 0; n--)
		kill_a_holder(some_worker());
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

void chaos_kill_all(void)
{
	for (uint32_t i = 0; i < bodies; i++) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
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
	chaos_kill_all();
	chaos_balance(true);
}

/* Interrupted: come to the end, and say what was found so far. */
void chaos_stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static uint64_t items_put(void)
{
	return prk_load64_acq(&chaos_queue[CHAOS_LEASED]->body->puts) +
	       prk_load64_acq(&chaos_queue[CHAOS_MIXED]->body->puts);
}

void chaos_run(void)
{
	int64_t until = chaos_options.seconds ? prusik_in_s((int64_t)chaos_options.seconds) : PRUSIK_FOREVER;

	children = chaos_options.workers + chaos_options.producers + chaos_options.partners;
	bodies = children * CHAOS_BODIES;
	for (uint32_t i = 0; i < children; i++)
		start(i);
	while (!stopped && prusik_now() < until &&
	       (chaos_sums.kills < chaos_options.kills || items_put() < chaos_options.items))
		episode();
	end();
}

pid_t chaos_body(uint32_t i)
{
	return i < bodies ? pids[i] : 0;
}
