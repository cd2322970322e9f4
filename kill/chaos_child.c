/* SPDX-License-Identifier: MIT */
/*
 * chaos_child - what the processes that are going to be killed do meanwhile
 *
 * Each step of a thread is one or a few operations, chosen at random. Most of the
 * waits have no deadline. A child's first thread runs until it is killed, or until
 * the end; a second one may come and go, and may go with leases or the lock in hand.
 */
#include "chaos.h"

#include "base/sentinel.h"
#include "base/sys.h"
#include "base/tsan.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum next { GO_ON, LEAVE, CLOSED };

static uint32_t own_child, own_body;
static enum chaos_role own_role;
__thread struct chaos_seat *chaos_seat;
__thread uint64_t chaos_random_state;

uint32_t chaos_random(uint32_t below)
{
	uint64_t x = chaos_random_state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	chaos_random_state = x;
	return (uint32_t)((x * UINT64_C(0x2545f4914f6cdd1d) >> 32) % below);
}

static bool once_in(uint32_t times)
{
	return chaos_random(times) == 0;
}

static void at(enum chaos_place place)
{
	prk_store32_rlx(&chaos_seat->place, place);
}

static enum chaos_phase phase(void)
{
	return prk_load32_acq(&chaos->phase);
}

/* May a thread do what others would hear of: end, or keep its leases for a while? */
static bool restless(void)
{
	return !prk_load32_acq(&chaos->calm);
}

/* This thread may end at any time, whatever it holds. */
static bool dispensable(void)
{
	return chaos_seat == &chaos->seat[own_body][1] && restless();
}

static int64_t short_deadline(void)
{
	return once_in(2) ? PRUSIK_NOW : prusik_in_us(chaos_random(400));
}

static int64_t some_deadline(void)
{
	return once_in(4) ? short_deadline() : PRUSIK_FOREVER;
}

/*
 * Each child has a queue for which it may wait without limit. Were it to wait for
 * the other one too, all workers could wait for an item in one queue while all
 * producers wait for room in the other, rightly.
 */
static int64_t queue_deadline(enum chaos_queue queue)
{
	return queue == own_child % CHAOS_QUEUES ? some_deadline() : short_deadline();
}

static uint32_t some_count(void)
{
	return once_in(2) ? 1 : 1 + chaos_random(CHAOS_BATCH);
}

static bool permitted(void)
{
	uint32_t left = prk_load32_acq(&chaos->permits);

	while (left > 0)
		if (prk_cas32_acqrel(&chaos->permits, &left, left - 1))
			return true;
	return false;
}

static void pause_a_little(void)
{
	at(CHAOS_PAUSING);
	usleep(200);
}

/* When told so: keep what was taken until further notice, which may be SIGKILL. */
static void hold(void)
{
	while (prk_load32_acq(&chaos->holder) == own_child + 1) {
		at(CHAOS_HOLDING);
		usleep(100);
	}
}

/* ---- the account and its counter ---- */

/* After the lock was taken with that result. */
static void enter(int r)
{
	struct chaos_account *c = &chaos->account;

	if (r == PRUSIK_RECOVERED) {
		c->b = -c->a;
		c->recovered++;
	} else {
		CHAOS_CHECK(r == 0 || r == -ETIMEDOUT, "the lock: %d", r);
		CHAOS_CHECK(c->inside == 0, "%u is in the account too", c->inside);
		CHAOS_CHECK(c->a + c->b == 0, "the account was left unbalanced, and nobody told");
	}
	c->inside = chaos_seat->tid;
}

static void go_out(void)
{
	struct chaos_account *c = &chaos->account;

	CHAOS_CHECK(c->inside == chaos_seat->tid, "%u came into the account", c->inside);
	prk_store32_rlx(&c->inside, 0);
}

static void move_amount(void)
{
	struct chaos_account *c = &chaos->account;
	int64_t amount = chaos_random(1000);

	c->a += amount;
	prk_barrier();
	c->b -= amount;
	prk_barrier();
}

static enum next balance_step(void)
{
	struct chaos_account *c = &chaos->account;
	int64_t deadline = some_deadline();

	at(CHAOS_LOCKING);
	int r = prusik_lock_acquire(&c->lock, deadline);
	if (r == -ETIMEDOUT && deadline != PRUSIK_FOREVER)
		return GO_ON;
	CHAOS_CHECK(r >= 0, "lock_acquire: %d", r);
	enter(r);
	move_amount();
	hold();
	if (dispensable() && once_in(50)) {
		c->a++;
		prk_tsan_release(&c->lock.word); /* another process may take it from the dead */
		return LEAVE;
	}
	go_out();
	r = prusik_lock_release(&c->lock);
	CHAOS_CHECK(r == 0, "lock_release: %d", r);
	return GO_ON;
}

static void notify(struct prusik_condition *condition)
{
	struct prusik_lock *lock = &chaos->account.lock;
	int r = once_in(8) ? prusik_condition_notify_all(condition, lock) : prusik_condition_notify(condition, lock, 1);

	CHAOS_CHECK(r == 0, "condition_notify: %d", r);
}

/* Even partners count up to the limit, odd ones down to 0. */
static enum next count_step(void)
{
	struct chaos_account *c = &chaos->account;
	bool up = own_child % 2 == 0;
	uint32_t limit = up ? CHAOS_COUNTER_MAX : 0;
	int64_t deadline = once_in(4) ? prusik_in_us(chaos_random(400)) : PRUSIK_FOREVER;

	at(CHAOS_LOCKING);
	int r = prusik_lock_acquire(&c->lock, PRUSIK_FOREVER);
	enter(r);
	at(CHAOS_WAITING);
	while (c->count == limit && r != -ETIMEDOUT) {
		go_out();
		r = prusik_condition_wait(up ? &c->less : &c->more, &c->lock, deadline);
		enter(r);
	}
	move_amount();
	if (c->count != limit) {
		prk_store32_rlx(&c->count, up ? c->count + 1 : c->count - 1);
		notify(up ? &c->more : &c->less);
	}
	CHAOS_CHECK(c->count <= CHAOS_COUNTER_MAX, "counter %u", c->count);
	go_out();
	prusik_lock_release(&c->lock);
	return GO_ON;
}

/* ---- producers ---- */

static uint32_t own_lane(enum chaos_queue queue)
{
	uint32_t thread = (uint32_t)(chaos_seat - chaos->seat[own_body]);

	return (own_body * CHAOS_THREADS + thread) * CHAOS_QUEUES + queue;
}

static enum next put_result(int64_t r, int64_t deadline)
{
	if (r == -EPIPE && phase() == CHAOS_END)
		return LEAVE;
	CHAOS_CHECK(r >= 0 || (r == -ETIMEDOUT && deadline != PRUSIK_FOREVER), "put: %ld", r);
	return GO_ON;
}

/* One item: by the short way, or with its priority. */
static int64_t put_one(enum chaos_queue queue, uint32_t lane, const struct iovec *item, int64_t deadline)
{
	struct prusik_queue *q = chaos_queue[queue];
	struct prusik_queue_put_options options = { .priority = (int32_t)chaos_priority(lane) };

	if (options.priority == 0)
		return prusik_queue_put(q, item->iov_base, item->iov_len, deadline);
	return prusik_queue_put_with(q, item->iov_base, item->iov_len, &options, deadline);
}

static enum next put_items(enum chaos_queue queue, uint32_t count, int64_t deadline)
{
	char bytes[CHAOS_BATCH][CHAOS_ITEM_MAX] __attribute__((aligned(8)));
	struct iovec items[CHAOS_BATCH];
	uint32_t lane = own_lane(queue);
	int64_t r;

	at(CHAOS_NUMBERING);
	if (chaos_priority(lane) != 0)
		count = 1;
	uint64_t first = chaos_number(lane, count);

	for (uint32_t i = 0; i < count; i++)
		items[i] = (struct iovec){ bytes[i], chaos_write(bytes[i], lane, first + i) };
	at(CHAOS_PUTTING);
	if (count == 1 && (chaos_priority(lane) != 0 || once_in(2))) {
		r = put_one(queue, lane, items, deadline);
		chaos_put(lane, first, 1, r == 0);
	} else {
		r = prusik_queue_put_many(chaos_queue[queue], items, count, deadline);
		chaos_put(lane, first, count, r > 0 ? (uint32_t)r : 0);
	}
	return put_result(r, deadline);
}

static enum next put_blank(void)
{
	char blank[CHAOS_ITEM_MAX];
	int64_t deadline = queue_deadline(CHAOS_MIXED);

	at(CHAOS_PUTTING);
	return put_result(prusik_queue_put(chaos_queue[CHAOS_MIXED], blank, chaos_write_blank(blank), deadline),
			  deadline);
}

static enum next producer_step(void)
{
	enum chaos_queue queue = once_in(2) ? CHAOS_LEASED : CHAOS_MIXED;

	if (phase() == CHAOS_END)
		return LEAVE;
	if (phase() == CHAOS_NO_PUTS && !permitted()) {
		pause_a_little();
		return GO_ON;
	}
	if (phase() == CHAOS_NO_PUTS)
		return put_items(queue, 1, PRUSIK_FOREVER);
	if (once_in(16))
		return put_blank();
	return put_items(queue, some_count(), queue_deadline(queue));
}

/* ---- workers ---- */

struct hand {
	struct prusik_lease lease[CHAOS_BATCH];
	uint64_t name[CHAOS_BATCH];
	uint32_t count;
};

static void shuffle(struct hand *hand)
{
	for (uint32_t i = hand->count; i > 1; i--) {
		uint32_t j = chaos_random(i);
		struct prusik_lease lease = hand->lease[i - 1];
		uint64_t name = hand->name[i - 1];
		hand->lease[i - 1] = hand->lease[j];
		hand->name[i - 1] = hand->name[j];
		hand->lease[j] = lease;
		hand->name[j] = name;
	}
}

/* All of them, in pieces, in any order. */
static void finish(enum chaos_queue queue, struct hand *hand)
{
	struct prusik_queue *q = chaos_queue[queue];
	uint32_t from = 0, n;

	at(CHAOS_FINISHING);
	if (once_in(2))
		shuffle(hand);
	for (; from < hand->count; from += n) {
		n = 1 + chaos_random(hand->count - from);
		for (uint32_t i = from; i < from + n; i++)
			chaos_finish(hand->name[i]);
		int64_t r = n > 1 ? prusik_queue_done_many(q, &hand->lease[from], n) :
				    prusik_queue_done(q, &hand->lease[from]) + 1;
		CHAOS_CHECK(r == n, "done of %u leases: %ld", n, r);
		for (uint32_t i = from; i < from + n; i++)
			chaos_done(hand->name[i]);
		if (once_in(16)) {
			int again = prusik_queue_done(q, &hand->lease[from]);
			CHAOS_CHECK(again == -ESTALE, "done again: %d", again);
		}
	}
}

/* Were they another's before? Then he can no longer say that they are done. Leave a note for who comes after us. */
static void compare_notes(const struct hand *hand)
{
	uint32_t thread = (uint32_t)(chaos_seat - chaos->seat[own_body]);

	for (uint32_t i = 0; i < hand->count; i++)
		if (hand->lease[i].attempt > 1)
			chaos_try_lost(hand->name[i], &hand->lease[i]);
	chaos_remember(&chaos->ledger[own_body][thread], hand->name[0], hand->lease);
}

/* Whether to go on after that result of a take or get; r > 0 stays. */
static bool took(int64_t r, int64_t deadline)
{
	CHAOS_CHECK(r >= 0 || (r == -ETIMEDOUT && deadline != PRUSIK_FOREVER) || (r == -EPIPE && phase() == CHAOS_END),
		    "take: %ld", r);
	return r >= 0;
}

static enum next lease_step(enum chaos_queue queue, uint32_t count, int64_t deadline)
{
	struct prusik_queue *q = chaos_queue[queue];
	struct chaos_view view;
	struct hand hand;

	chaos_look(&view);
	at(CHAOS_TAKING);
	int64_t r = count == 1 ? prusik_queue_take(q, hand.lease, deadline) :
				 prusik_queue_take_many(q, hand.lease, count, deadline);
	if (!took(r, deadline))
		return r == -EPIPE ? CLOSED : GO_ON;
	hand.count = count == 1 ? 1 : (uint32_t)r;
	at(CHAOS_WORKING);
	for (uint32_t i = 0; i < hand.count; i++)
		hand.name[i] = chaos_taken(&view, queue, &hand.lease[i]);
	if (queue == CHAOS_LEASED)
		compare_notes(&hand);
	hold();
	for (uint32_t naps = 0; restless() && once_in(8) && naps < 3; naps++)
		usleep(chaos_random(500));
	if (dispensable() && once_in(50))
		return LEAVE;
	finish(queue, &hand);
	return GO_ON;
}

static enum next get_step(uint32_t count, int64_t deadline)
{
	struct prusik_queue *q = chaos_queue[CHAOS_MIXED];
	char bytes[CHAOS_BATCH][CHAOS_ITEM_MAX] __attribute__((aligned(8)));
	struct iovec items[CHAOS_BATCH];
	uint64_t room = once_in(16) ? chaos_random(CHAOS_ITEM_MAX) : CHAOS_ITEM_MAX;
	struct chaos_view view;

	for (uint32_t i = 0; i < count; i++)
		items[i] = (struct iovec){ bytes[i], room };
	chaos_look(&view);
	prk_store32_rlx(&chaos_seat->getting, count);
	prk_barrier();
	at(CHAOS_GETTING);
	int64_t r, one = count == 1 && once_in(2);
	if (one)
		r = prusik_queue_get(q, bytes[0], room, deadline);
	else
		r = prusik_queue_get_many(q, items, count, deadline);
	if (!(r == -EMSGSIZE && room < CHAOS_ITEM_MAX) && took(r, deadline)) {
		for (int64_t i = 0; i < (one ? 1 : r); i++)
			chaos_got(&view, bytes[i], one ? (uint64_t)r : items[i].iov_len);
	}
	prk_barrier();
	prk_store32_rlx(&chaos_seat->getting, 0);
	return r == -EPIPE ? CLOSED : GO_ON;
}

static enum next take_step(void)
{
	if (once_in(2))
		return lease_step(CHAOS_LEASED, some_count(), queue_deadline(CHAOS_LEASED));
	if (once_in(4))
		return lease_step(CHAOS_MIXED, some_count(), queue_deadline(CHAOS_MIXED));
	return get_step(some_count(), queue_deadline(CHAOS_MIXED));
}

/* The queues need not be closed at the same moment. */
static enum next last_step(void)
{
	enum next leased = lease_step(CHAOS_LEASED, some_count(), queue_deadline(CHAOS_LEASED));
	enum next mixed = get_step(some_count(), queue_deadline(CHAOS_MIXED));

	return leased == CLOSED && mixed == CLOSED ? LEAVE : GO_ON;
}

static enum next pausing_step(void)
{
	if (!permitted()) {
		pause_a_little();
		return GO_ON;
	}
	lease_step(CHAOS_LEASED, 1, PRUSIK_NOW);
	return get_step(1, PRUSIK_NOW);
}

static enum next worker_step(void)
{
	if (phase() == CHAOS_END)
		return last_step();
	if (once_in(8))
		return balance_step();
	return phase() == CHAOS_NO_TAKES ? pausing_step() : take_step();
}

/* ---- threads ---- */

static void work(struct chaos_seat *seat, uint64_t seed, void (*between)(void))
{
	static enum next (*const step[CHAOS_ROLES])(void) = {
		[CHAOS_WORKER] = worker_step,
		[CHAOS_PRODUCER] = producer_step,
		[CHAOS_PARTNER] = count_step,
	};

	chaos_seat = seat;
	chaos_random_state = seed | 1;
	seat->tid = (uint32_t)prk_sys_gettid();
	while (step[own_role]() != LEAVE) {
		prk_store64_rlx(&seat->steps, seat->steps + 1);
		between();
		if (dispensable() && once_in(500))
			break;
	}
	prk_store32_rel(&seat->tid, 0);
}

static void nothing(void)
{
}

static void *second_thread(void *seed)
{
	work(&chaos->seat[own_body][1], (uintptr_t)seed, nothing);
	return NULL;
}

/* Now and then, when there is none, start the second thread. */
static void start_second(void)
{
	struct chaos_seat *seat = &chaos->seat[own_body][1];
	pthread_t thread;

	if (phase() == CHAOS_END || !restless() || !once_in(200) || prk_load32_acq(&seat->tid))
		return;
	prk_store32_rlx(&seat->tid, 1);
	uintptr_t seed = (uintptr_t)chaos_random(1u << 31) << 20 | chaos_random(1u << 20);
	if (pthread_create(&thread, NULL, second_thread, (void *)seed) == 0)
		pthread_detach(thread);
	else
		prk_store32_rel(&seat->tid, 0);
}

void chaos_child(uint32_t child, uint32_t body, enum chaos_role role, uint64_t seed)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpriority(PRIO_PROCESS, 0, 0);
	own_child = child;
	own_body = body;
	own_role = role;
	work(&chaos->seat[body][0], seed, start_second);
	while (prk_load32_acq(&chaos->seat[body][1].tid))
		usleep(100);
	exit(0);
}
