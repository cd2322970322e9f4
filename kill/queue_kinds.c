/* SPDX-License-Identifier: MIT */
/* kill: queue, in other orders than that of putting, and what becomes of leases */
#include "queue_state.h"

#include <errno.h>
#include <stdlib.h>

static const struct queue_plan *plan(void)
{
	return kill_now_case->data;
}

static void want(bool ok)
{
	if (!ok)
		abort();
}

/* ---- victims ---- */

static void put(void *object)
{
	int r = queue_put_value(queue_at(object), QUEUE_VICTIM_ADDS, PRUSIK_NOW);

	want(r == 0 || (r == -ETIMEDOUT && plan()->fails));
}

static void get(void *object)
{
	struct queue_item item;
	int64_t r = prusik_queue_get(queue_at(object), &item, sizeof item, PRUSIK_NOW);

	if (r == sizeof item)
		queue_got(&item);
	else
		want(r == -ETIMEDOUT && plan()->fails);
}

static void get_many(void *object)
{
	struct queue_item item[QUEUE_MANY];
	struct iovec v[QUEUE_MANY];

	for (uint32_t i = 0; i < QUEUE_MANY; i++)
		v[i] = (struct iovec){ &item[i], sizeof item[i] };
	int64_t n = prusik_queue_get_many(queue_at(object), v, QUEUE_MANY, PRUSIK_NOW);
	want(n > 0 || plan()->fails);
	for (int64_t i = 0; i < n; i++)
		queue_got(&item[i]);
}

static void peek(void *object)
{
	struct queue_item item;

	want(prusik_queue_peek(queue_at(object), &item, sizeof item, PRUSIK_NOW) == sizeof item || plan()->fails);
}

static void take(void *object)
{
	struct prusik_lease lease;

	want(prusik_queue_take(queue_at(object), &lease, PRUSIK_NOW) == 0 || plan()->fails);
}

static void take_many(void *object)
{
	struct prusik_lease lease[QUEUE_MANY];

	want(prusik_queue_take_many(queue_at(object), lease, QUEUE_MANY, PRUSIK_NOW) > 0 || plan()->fails);
}

static void done(void *object)
{
	want(prusik_queue_done(queue_at(object), &kill_run->lease[0]) == 0);
}

static void retry(void *object)
{
	want(prusik_queue_retry(queue_at(object), &kill_run->lease[0], PRUSIK_NOW) >= 0);
}

static void retry_later(void *object)
{
	want(prusik_queue_retry(queue_at(object), &kill_run->lease[0], prusik_in_us(200)) >= 0);
}

static void release(void *object)
{
	want(prusik_queue_release(queue_at(object), &kill_run->lease[0]) == 0);
}

static void bury(void *object)
{
	want(prusik_queue_bury(queue_at(object), &kill_run->lease[0]) == 0);
}

static void requeue(void *object)
{
	want(prusik_queue_dead_requeue(queue_at(object), 1) == 1);
}

static void dead_get(void *object)
{
	struct queue_item item;

	want(prusik_queue_dead_get(queue_at(object), &item, sizeof item) == sizeof item);
	queue_got(&item);
}

static void reserve(void *object)
{
	struct prusik_reservation r;

	want(prusik_queue_reserve(queue_at(object), 1, &r, PRUSIK_NOW) == 0 || plan()->fails);
}

static void reserve_and_commit(void *object)
{
	struct queue_item item = queue_item(QUEUE_VICTIM_ADDS);
	struct prusik_reservation r;

	want(prusik_queue_reserve(queue_at(object), sizeof item, &r, PRUSIK_NOW) == 0);
	*(struct queue_item *)r.data = item;
	want(prusik_queue_commit(queue_at(object), &r, sizeof item, NULL) == 0);
}

static void reserve_and_abandon(void *object)
{
	struct prusik_reservation r;

	want(prusik_queue_reserve(queue_at(object), 1, &r, PRUSIK_NOW) == 0);
	want(prusik_queue_abandon(queue_at(object), &r) == 0);
}

/* Everybody's death must leave leases that end, or this would never come back. */
static void detach(void *object)
{
	want(prusik_queue_detach(queue_at(object), &kill_run->lease[0], prusik_in_us(200)) == 0);
}

/* The first limit may have passed when the second is set. */
static void detach_and_extend(void *object)
{
	detach(object);
	int r = prusik_queue_extend(queue_at(object), &kill_run->lease[0], prusik_in_us(300));
	want(r == 0 || r == -ESTALE);
}

static void join_now(void *object)
{
	struct prusik_queue *queue = queue_at(object);
	int r = prusik_queue_join(queue, PRUSIK_NOW);

	/* Somebody beside us may have put an item, and taken it, while we looked. */
	struct prusik_queue_stats stats;
	want(prusik_queue_stats(queue, &stats) == 0);
	want(r == (plan()->fails ? -ETIMEDOUT : 0) || (r == -ETIMEDOUT && stats.put > 0));
}

static void join_waiting(void *object)
{
	want(prusik_queue_join(queue_at(object), PRUSIK_FOREVER) == 0);
}

static void attach(void *object)
{
	want(prusik_queue_attach_producer(queue_at(object)) == 0);
}

static void attach_and_detach(void *object)
{
	want(prusik_queue_attach_producer(queue_at(object)) == 0);
	want(prusik_queue_detach_producer(queue_at(object)) == 0);
}

/* ---- beside them ---- */

static bool wait_to_join(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	return prusik_queue_join(queue_at(object), PRUSIK_FOREVER) == 0;
}

/* Producers that come and go, so that one is attached at each moment. */
static bool produce_until(uint32_t go)
{
	struct prusik_queue *q = queue_at(kill_run->object[0]);

	kill_hello();
	if (prusik_queue_attach_producer(q) != 0)
		return false;
	kill_await_go(go);
	return prusik_queue_detach_producer(q) == 0;
}

static bool produce_first(void *object)
{
	(void)object;
	return produce_until(1);
}

static bool produce_second(void *object)
{
	(void)object;
	return produce_until(2);
}

static bool produce_on(void *object)
{
	(void)object;
	return produce_until(UINT32_MAX);
}

/* The second one has the second entry; the first one is free again. */
static void queue_with_a_producer(void *object)
{
	queue_setup(object);
	int first = kill_asleep(produce_first, KILL_FINISHES);
	kill_run->note[0] = (uint32_t)kill_asleep(produce_second, KILL_STAYS);
	kill_go();
	kill_settle(first);
}

/* The third one comes, to the first entry, then the second one goes. */
static void producers_change(void *object)
{
	(void)object;
	kill_asleep(produce_on, KILL_STAYS);
	kill_go();
	kill_settle((int)kill_run->note[0]);
}

static void queue_with_a_joiner(void *object)
{
	queue_setup(object);
	kill_asleep(wait_to_join, KILL_FINISHES);
}

/* ---- afterwards ---- */

/* Others use up all the room that they see: at each item of theirs the queue is whole, what is lent is not theirs. */
static bool fill_and_check(void *object)
{
	struct prusik_queue *q = queue_at(object);
	struct prusik_queue_stats stats;

	prk_sweep();
	bool ok = prusik_queue_stats(q, &stats) == 0; /* and so both sides are recovered */
	for (uint32_t i = 0; ok && queue_put_value(q, QUEUE_BESIDE_ADDS + 10 + i, PRUSIK_NOW) == 0; i++)
		ok = kill_claim(prk_queue_valid(q), "what is lent is no room");
	return ok && queue_check(object);
}

/* Others take what there is, one after the other, while the dead stay dead: the index names no item twice. */
static bool take_all_and_check(void *object)
{
	struct prusik_queue *q = queue_at(object);
	struct prusik_lease lease[QUEUE_CAPACITY];
	uint32_t n = 0;
	bool ok = true;

	prk_sweep();
	while (ok && n < QUEUE_CAPACITY && prusik_queue_take(q, &lease[n], PRUSIK_NOW) == 0) {
		ok = kill_claim(prk_queue_valid(q), "the index holds each parked item once");
		n++;
	}
	while (n-- > 0)
		ok &= kill_claim(prusik_queue_release(q, &lease[n]) == 0, "a lease of ours is released");
	return ok && queue_check(object);
}

/* ---- the cases ---- */

#define CASE QUEUE_CASE
#define ALONE QUEUE_ALONE
#define WAITING QUEUE_WAITING

#define ONE(kind_, name, operation, state, script, victim_, ...)                                                       \
	{                                                                                                              \
		CASE(operation, name ", " state, script, .kind = kind_, __VA_ARGS__), ALONE, .victim = victim_         \
	}
#define LONG(kind_, name, operation, state, script, victim_, ...)                                                      \
	{                                                                                                              \
		CASE(operation, name ", " state, script, .kind = kind_, __VA_ARGS__), ALONE, .victim = victim_,        \
											     .is = KILL_LONG           \
	}

/* With a check of its own. */
#define THEN(check_, operation_, state_, victim_, ...)                                                                 \
	{                                                                                                              \
		.noun = "queue", .operation = operation_, .state = state_, .size = QUEUE_BYTES,                        \
		.data = &(const struct queue_plan){ __VA_ARGS__ }, .begin = queue_begin,                               \
		.prepare = queue_victim_takes, .setup = queue_setup, .recover = queue_recover, .victim = victim_,      \
		.check = check_                                                                                        \
	}

/* In each order. */
#define EACH(operation, state, script, victim_, ...)                                                                   \
	LONG(PRUSIK_QUEUE_FIFO, "fifo", operation, state, script, victim_, __VA_ARGS__),                               \
		LONG(PRUSIK_QUEUE_LIFO, "lifo", operation, state, script, victim_, __VA_ARGS__),                       \
		ONE(PRUSIK_QUEUE_PRIORITY, "priority", operation, state, script, victim_, __VA_ARGS__)

/* The same, ending the queue: others may take beside it, but not put. */
#define CLOSE(kind_, name, state, script, how)                                                                         \
	{                                                                                                              \
		CASE("close", name ", " state, script, .kind = kind_, .closes = 1 + (how)),                            \
			.setup = queue_setup, .recover = queue_recover, .beside = queue_one_out,                       \
			.victim = queue_close, .is = KILL_LONG                                                         \
	}
#define CLOSE_EACH(state, script)                                                                                      \
	CLOSE(PRUSIK_QUEUE_FIFO, "fifo, drain", state, script, PRUSIK_QUEUE_DRAIN),                                    \
		CLOSE(PRUSIK_QUEUE_LIFO, "lifo, drain", state, script, PRUSIK_QUEUE_DRAIN),                            \
		CLOSE(PRUSIK_QUEUE_PRIORITY, "priority, drain", state, script, PRUSIK_QUEUE_DRAIN),                    \
		CLOSE(PRUSIK_QUEUE_FIFO, "fifo, discard", state, script, PRUSIK_QUEUE_DISCARD),                        \
		CLOSE(PRUSIK_QUEUE_LIFO, "lifo, discard", state, script, PRUSIK_QUEUE_DISCARD),                        \
		CLOSE(PRUSIK_QUEUE_PRIORITY, "priority, discard", state, script, PRUSIK_QUEUE_DISCARD)

/* Batches are put without priorities, whatever their values: in what order they come out then is not looked at. */
#define EACH_PUT(operation, state, script, victim_, ...)                                                               \
	LONG(PRUSIK_QUEUE_FIFO, "fifo", operation, state, script, victim_, __VA_ARGS__),                               \
		LONG(PRUSIK_QUEUE_LIFO, "lifo", operation, state, script, victim_, __VA_ARGS__),                       \
		ONE(PRUSIK_QUEUE_PRIORITY, "priority", operation, state, script, victim_, .delays = true, __VA_ARGS__)

/* From each state in which there is something to take. */
#define EACH_FILLED(operation, victim_, ...)                                                                           \
	EACH(operation, "one", "+1", victim_, __VA_ARGS__), EACH(operation, "full", "+6", victim_, __VA_ARGS__),       \
		EACH(operation, "wrapped around", "+6-6+4", victim_, __VA_ARGS__),                                     \
		EACH(operation, "half of it sorted", "+3-1+3", victim_, __VA_ARGS__),                                  \
		EACH(operation, "leased", "+5a2", victim_, __VA_ARGS__),                                               \
		EACH(operation, "leased by a dead one", "+5a2!a", victim_, __VA_ARGS__),                               \
		EACH(operation, "one dead", "+4x1", victim_, __VA_ARGS__),                                             \
		EACH(operation, "some become due", "l2+2", victim_, __VA_ARGS__)

/* Its own lease, which stays in the queue in the end. */
#define EACH_LEASED(operation, victim_, ...)                                                                           \
	EACH(operation, "one", "+1", victim_, .victim_takes = 1, __VA_ARGS__),                                         \
		EACH(operation, "full", "+6", victim_, .victim_takes = 1, __VA_ARGS__),                                \
		EACH(operation, "wrapped around", "+6-6+4", victim_, .victim_takes = 1, __VA_ARGS__),                  \
		EACH(operation, "leased", "+6a1", victim_, .victim_takes = 1, __VA_ARGS__),                            \
		EACH(operation, "one dead", "+4x1", victim_, .victim_takes = 1, __VA_ARGS__)

static const struct kill_case queue_kinds_cases[] = {
	EACH("put", "empty", "", put, .adds = 1),
	EACH("put", "one", "+1", put, .adds = 1),
	EACH("put", "full", "+6", put, .fails = true),
	EACH("put", "wrapped around", "+6-6+4", put, .adds = 1),
	EACH("put", "leased", "+5a2", put, .adds = 1),
	EACH("put, delayed", "one", "+1", put, .adds = 1, .delays = true),

	EACH("get", "empty", "", get, .fails = true),
	EACH_FILLED("get", get, .takes_out = 1),
	EACH_PUT("put_many", "empty", "", queue_put_many, .adds = 3),
	EACH_PUT("put_many", "one", "+1", queue_put_many, .adds = 3),
	EACH_PUT("put_many", "full", "+6", queue_put_many, .fails = true),
	EACH_PUT("put_many", "wrapped around", "+6-6+2", queue_put_many, .adds = 3),
	EACH_PUT("put_many", "leased", "+3a2", queue_put_many, .adds = 3),

	EACH("get_many", "empty", "", get_many, .fails = true),
	EACH("get_many", "one", "+1", get_many, .takes_out = 1),
	EACH("get_many", "full", "+6", get_many, .takes_out = 3),
	EACH("get_many", "wrapped around", "+6-6+4", get_many, .takes_out = 3),
	EACH("get_many", "leased", "+6a2", get_many, .takes_out = 3),
	EACH("get_many", "some become due", "l2+2", get_many, .takes_out = 3),
	EACH_FILLED("take", take, .lent = 1),
	THEN(take_all_and_check, "take", "lifo, one dead, all taken afterwards", take, .script = "+4x1", .lent = 1,
	     .kind = PRUSIK_QUEUE_LIFO),
	THEN(take_all_and_check, "take", "priority, one dead, all taken afterwards", take, .script = "+4x1", .lent = 1,
	     .kind = PRUSIK_QUEUE_PRIORITY),
	EACH("take", "empty", "", take, .lent = 1, .fails = true),
	EACH("take_many", "empty", "", take_many, .lent = 1, .fails = true),
	EACH("take_many", "one", "+1", take_many, .lent = 2),
	EACH("take_many", "full", "+6", take_many, .lent = 3),
	EACH("take_many", "wrapped around", "+6-6+4", take_many, .lent = 3),
	EACH("take_many", "leased", "+6a2", take_many, .lent = 3),
	EACH("take", "spent by a dead one", "+4a2!a", take, .lent = 1, .attempts_max = 1),
	EACH("peek", "empty", "", peek, .fails = true),
	EACH_FILLED("peek", peek, .takes_out = 0),

	ONE(PRUSIK_QUEUE_FIFO, "fifo", "done", "one", "+1", done, .victim_takes = 1, .done = { 1 }),
	ONE(PRUSIK_QUEUE_FIFO, "fifo", "done", "one dead", "+4x1", done, .victim_takes = 1, .done = { 2 }),
	LONG(PRUSIK_QUEUE_FIFO, "fifo", "done", "wrapped around", "+6-6+4", done, .victim_takes = 1, .done = { 7 }),
	LONG(PRUSIK_QUEUE_LIFO, "lifo", "done", "wrapped around", "+6-6+4", done, .victim_takes = 1, .done = { 10 }),
	LONG(PRUSIK_QUEUE_PRIORITY, "priority", "done", "wrapped around", "+6-6+4", done, .victim_takes = 1,
	     .done = { 8 }),
	LONG(PRUSIK_QUEUE_LIFO, "lifo", "done_many", "full", "+6", queue_done_many, .victim_takes = 3,
	     .done = { 4, 6, 5 }),
	LONG(PRUSIK_QUEUE_PRIORITY, "priority", "done_many", "full", "+6", queue_done_many, .victim_takes = 3,
	     .done = { 6, 2, 4 }),
	ONE(PRUSIK_QUEUE_LIFO, "lifo", "done", "one", "+1", done, .victim_takes = 1, .done = { 1 }),
	ONE(PRUSIK_QUEUE_LIFO, "lifo", "done", "full", "+6", done, .victim_takes = 2, .done = { 6 }),
	ONE(PRUSIK_QUEUE_LIFO, "lifo", "done", "leased", "+6a2", done, .victim_takes = 1, .done = { 4 }),
	ONE(PRUSIK_QUEUE_PRIORITY, "priority", "done", "one", "+1", done, .victim_takes = 1, .done = { 1 }),
	ONE(PRUSIK_QUEUE_PRIORITY, "priority", "done", "full", "+6", done, .victim_takes = 2, .done = { 2 }),
	ONE(PRUSIK_QUEUE_PRIORITY, "priority", "done", "leased", "+6a2", done, .victim_takes = 1, .done = { 6 }),

	EACH_LEASED("retry", retry, .lent = 1),
	EACH("retry", "the last attempt", "+4", retry, .victim_takes = 1, .lent = 1, .attempts_max = 1),
	EACH_LEASED("retry later", retry_later, .lent = 1, .delays = true),
	EACH_LEASED("release", release, .lent = 1),
	EACH_LEASED("bury", bury, .lent = 1),
	EACH_LEASED("detach", detach, .lent = 1, .delays = true),
	EACH("extend", "one", "+1", detach_and_extend, .victim_takes = 1, .lent = 1, .delays = true),
	EACH("extend", "full, leased", "+6a1", detach_and_extend, .victim_takes = 1, .lent = 1, .delays = true),

	EACH("dead_requeue", "one dead", "+4x1", requeue, .lent = 0),
	EACH("dead_requeue", "two dead, leased", "+5x2a2", requeue, .lent = 0),
	EACH("dead_get", "one dead", "+4x1", dead_get, .takes_out = 1),
	EACH("dead_get", "two dead, leased", "+5x2a2", dead_get, .takes_out = 1),

	EACH("reserve", "empty", "", reserve, .lent = 0),
	EACH("reserve", "one", "+1", reserve, .lent = 0),
	EACH("reserve", "leased, wrapped around", "+6-6+4a2", reserve, .lent = 0),
	EACH("reserve", "full", "+6", reserve, .fails = true),
	THEN(fill_and_check, "reserve", "fifo, filled afterwards", reserve, .script = "+2"),
	THEN(fill_and_check, "reserve", "priority, filled afterwards", reserve, .script = "+2",
	     .kind = PRUSIK_QUEUE_PRIORITY),
	EACH("commit", "empty", "", reserve_and_commit, .adds = 1),
	EACH("commit", "one", "+1", reserve_and_commit, .adds = 1),
	EACH("commit", "wrapped around", "+6-6+4", reserve_and_commit, .adds = 1),
	EACH("commit", "leased, out of order", "+6~3+2a2", reserve_and_commit, .adds = 1),
	EACH("commit", "leased by a dead one", "+5a2!a", reserve_and_commit, .adds = 1),
	EACH("commit", "one dead", "+4x1", reserve_and_commit, .adds = 1),
	EACH("abandon", "empty", "", reserve_and_abandon, .lent = 0),
	EACH("abandon", "wrapped around", "+6-6+4", reserve_and_abandon, .lent = 0),
	EACH("abandon", "leased", "+5a2", reserve_and_abandon, .lent = 0),

	EACH("join", "empty", "", join_now, .lent = 0),
	EACH("join", "one", "+1", join_now, .fails = true),
	EACH("join", "full, wrapped around", "+6-6+6", join_now, .fails = true),
	EACH("join", "leased", "+1a1", join_now, .fails = true),
	{ CASE("join", "one, done beside", "+1"), WAITING | KILL_ENOUGH, .setup = queue_setup, .victim = join_waiting,
	  .unblock = queue_one_out_at_last, .beside = queue_one_out },
	{ CASE("done", "the last, one waits to join", "+1", .victim_takes = 1, .done = { 1 }), WAITING | KILL_NO_RESUME,
	  .setup = queue_with_a_joiner, .victim = done, .killed = queue_one_out },
	{ CASE("bury", "the last, one waits to join", "+1", .victim_takes = 1, .lent = 1), WAITING | KILL_NO_RESUME,
	  .setup = queue_with_a_joiner, .victim = bury, .killed = queue_one_out },

	{ CASE("take", "empty, producers change beside", "", .ends = true, .fails = true),
	  .is = KILL_WARM | KILL_NO_ALL | KILL_LONG, .setup = queue_with_a_producer, .victim = take,
	  .beside = producers_change },

	CLOSE_EACH("empty", ""),
	CLOSE_EACH("one", "+1"),
	CLOSE_EACH("full", "+6"),
	CLOSE_EACH("wrapped around", "+6-6+4"),
	CLOSE_EACH("leased", "+4a1"),

	ONE(PRUSIK_QUEUE_FIFO, "fifo", "attach_producer", "one", "+1", attach, .lent = 0),
	ONE(PRUSIK_QUEUE_FIFO, "fifo", "detach_producer", "one", "+1", attach_and_detach, .lent = 0),
};

const struct kill_table kill_queue_kinds_table = KILL_TABLE(queue_kinds_cases);
