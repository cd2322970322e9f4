/* SPDX-License-Identifier: MIT */
/* kill: queue */
#include "queue_state.h"

#include <errno.h>
#include <stdlib.h>

static const struct queue_plan *plan(void)
{
	return kill_now_case->data;
}

/* ---- victims ---- */

static void put(void *object)
{
	if (queue_put_value(queue_at(object), QUEUE_VICTIM_ADDS, PRUSIK_NOW) == 0 && plan()->fails)
		abort();
}

static void put_waiting(void *object)
{
	int r = queue_put_value(queue_at(object), QUEUE_VICTIM_ADDS, PRUSIK_FOREVER);

	if (r != 0 && !(plan()->closes && r == -EPIPE))
		abort();
}

void queue_put_many(void *object)
{
	struct queue_item item[QUEUE_MANY];
	struct iovec v[QUEUE_MANY];

	for (uint32_t i = 0; i < QUEUE_MANY; i++) {
		item[i] = queue_item(QUEUE_VICTIM_ADDS + i);
		v[i] = (struct iovec){ &item[i], sizeof item[i] };
	}
	if (prusik_queue_put_many(queue_at(object), v, QUEUE_MANY, PRUSIK_NOW) < 0 && !plan()->fails)
		abort();
}

static void get(void *object)
{
	struct queue_item item;
	int64_t r = prusik_queue_get(queue_at(object), &item, sizeof item, PRUSIK_NOW);

	if (r == sizeof item)
		queue_got(&item);
}

static void get_waiting(void *object)
{
	struct queue_item item;

	if (prusik_queue_get(queue_at(object), &item, sizeof item, PRUSIK_FOREVER) != sizeof item)
		abort();
	queue_got(&item);
}

static void get_many(void *object)
{
	struct queue_item item[QUEUE_MANY];
	struct iovec v[QUEUE_MANY];

	for (uint32_t i = 0; i < QUEUE_MANY; i++)
		v[i] = (struct iovec){ &item[i], sizeof item[i] };
	int64_t n = prusik_queue_get_many(queue_at(object), v, QUEUE_MANY, PRUSIK_NOW);
	for (int64_t i = 0; i < n; i++)
		queue_got(&item[i]);
}

static void take(void *object)
{
	struct prusik_lease lease;

	if (prusik_queue_take(queue_at(object), &lease, PRUSIK_NOW) == 0 && plan()->fails)
		abort();
}

static void take_waiting(void *object)
{
	struct prusik_lease lease;
	int r = prusik_queue_take(queue_at(object), &lease, PRUSIK_FOREVER);

	if (r != 0 && !(plan()->closes && r == -EPIPE))
		abort();
}

static void take_many(void *object)
{
	struct prusik_lease lease[QUEUE_MANY];

	if (prusik_queue_take_many(queue_at(object), lease, QUEUE_MANY, PRUSIK_NOW) < 0 && !plan()->fails)
		abort();
}

static void done(void *object)
{
	if (prusik_queue_done(queue_at(object), queue_lease(plan()->done[0])) != 0)
		abort();
}

void queue_done_many(void *object)
{
	struct prusik_lease lease[3];
	uint32_t n = 0;

	for (; n < 3 && plan()->done[n]; n++)
		lease[n] = *queue_lease(plan()->done[n]);
	if (prusik_queue_done_many(queue_at(object), lease, n) != n)
		abort();
}

void queue_close(void *object)
{
	if (prusik_queue_close(queue_at(object), (enum prusik_queue_close)(plan()->closes - 1)) != 0)
		abort();
}

/* ---- beside them ---- */

static bool take_one_out(void *object)
{
	kill_hello();
	int r = queue_take_out(queue_at(object), PRUSIK_NOW);

	return r == 0 || r == -ETIMEDOUT || r == -EPIPE;
}

static bool put_one(void *object)
{
	kill_hello();
	int r = queue_put_value(queue_at(object), QUEUE_BESIDE_ADDS, PRUSIK_NOW);

	return r == 0 || r == -ETIMEDOUT || r == -EPIPE;
}

static bool put_another(void *object)
{
	kill_hello();
	return queue_put_value(queue_at(object), QUEUE_BESIDE_ADDS + 1, PRUSIK_NOW) == 0;
}

static bool close_it(void *object)
{
	kill_hello();
	queue_close(object);
	return true;
}

static bool wait_to_take(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	int r = queue_take_out(queue_at(object), PRUSIK_FOREVER);
	return r == 0 || (r == -EPIPE && plan()->closes);
}

static bool wait_to_put(void *object)
{
	if (prk_joined() < 0)
		return false;
	kill_hello();
	int r = queue_put_value(queue_at(object), QUEUE_BESIDE_ADDS + 2, PRUSIK_FOREVER);
	return r == 0 || (r == -EPIPE && plan()->closes);
}

static bool take_and_stay(void *object)
{
	struct prusik_lease lease;
	int r = prusik_queue_take(queue_at(object), &lease, PRUSIK_FOREVER);

	kill_await_go(1);
	return r == 0 && prusik_queue_done(queue_at(object), &lease) == 0;
}

/* In the engine's process. What they need may be held by the paused victim. */
void queue_one_out_one_in(void *object)
{
	(void)object;
	kill_asleep(take_one_out, KILL_FINISHES);
	kill_asleep(put_one, KILL_FINISHES);
}

void queue_one_in(void *object)
{
	(void)object;
	kill_asleep(put_one, KILL_FINISHES);
}

void queue_one_out(void *object)
{
	(void)object;
	kill_asleep(take_one_out, KILL_FINISHES);
}

/* As many as wait. */
static void two_in(void *object)
{
	queue_one_in(object);
	kill_asleep(put_another, KILL_FINISHES);
}

static void a_close(void *object)
{
	(void)object;
	kill_asleep(close_it, KILL_FINISHES);
}

static void a_close_at_last(void *object, int times)
{
	if (times == 0)
		a_close(object);
}

static void one_in_at_last(void *object, int times)
{
	if (times == 0)
		queue_one_in(object);
}

void queue_one_out_at_last(void *object, int times)
{
	if (times == 0)
		queue_one_out(object);
}

static void one_behind_and_one_in(void *object, int times)
{
	if (times > 0)
		return;
	kill_asleep(wait_to_take, KILL_FINISHES);
	queue_one_in(object);
}

static void one_behind_and_two_in(void *object, int times)
{
	if (times > 0)
		return;
	kill_asleep(wait_to_take, KILL_FINISHES);
	queue_one_in(object);
	kill_asleep(put_another, KILL_FINISHES);
}

/* The one behind is remembered, for when the victim has used up the room. */
static void one_behind_and_one_out(void *object, int times)
{
	if (times > 0)
		return;
	kill_run->note[0] = (uint32_t)kill_asleep(wait_to_put, KILL_FINISHES);
	queue_one_out(object);
}

static void one_out_if_full(void *object)
{
	const struct prk_queue_body *b = queue_at(object)->body;

	kill_settle((int)kill_run->note[0]);
	if ((uint32_t)b->puts - prk_queue_cursors(b->cursors).frees == b->capacity)
		queue_one_out(object);
}

static void queue_with_waiting_takers(void *object)
{
	queue_setup(object);
	kill_asleep(wait_to_take, KILL_FINISHES);
	kill_asleep(wait_to_take, KILL_FINISHES);
}

static void queue_with_waiting_putters(void *object)
{
	queue_setup(object);
	kill_asleep(wait_to_put, KILL_FINISHES);
}

static void queue_with_a_taker_gone(void *object)
{
	queue_setup(object);
	kill_run->note[0] = (uint32_t)kill_asleep(take_and_stay, KILL_STAYS);
}

static void taker_dies(void *object)
{
	(void)object;
	kill_and_bury((int)kill_run->note[0]);
}

static void taker_dies_at_last(void *object, int times)
{
	if (times == 0)
		taker_dies(object);
}

/* ---- recovering ---- */

void queue_recover(void *object)
{
	struct prusik_queue_stats stats;
	struct prusik_lease lease;

	(void)!prusik_queue_stats(queue_at(object), &stats);
	(void)!prusik_queue_take(queue_at(object), &lease, PRUSIK_NOW);
}

/* ---- the cases ---- */

#define CASE QUEUE_CASE
#define ALONE QUEUE_ALONE
#define WAITING QUEUE_WAITING

static const struct kill_case queue_cases[] = {
	{ CASE("put", "empty", "", .adds = 1), ALONE, .victim = put },
	{ CASE("put", "one", "+1", .adds = 1), ALONE, .victim = put },
	{ CASE("put", "wrapped around", "+6-6+4", .adds = 1), ALONE, .victim = put },
	{ CASE("put", "full", "+6", .fails = true), .setup = queue_setup, .recover = queue_recover, .victim = put },
	{ CASE("put", "leased, cells out of order", "+6~3+2a2", .adds = 1), ALONE, .victim = put },
	{ CASE("put", "leased by a dead one", "+5a2!a", .adds = 1), ALONE, .victim = put },
	{ CASE("put", "two takers wait", "", .adds = 1), WAITING, .setup = queue_with_waiting_takers, .victim = put,
	  .killed = two_in },
	{ CASE("put_many", "empty", "", .adds = 3), ALONE, .victim = queue_put_many },
	{ CASE("put_many", "wrapped around", "+6-6+2", .adds = 3), ALONE, .victim = queue_put_many },
	{ CASE("put_many", "full", "+6", .fails = true), .setup = queue_setup, .recover = queue_recover,
	  .victim = queue_put_many },
	{ CASE("put", "full, room beside", "+6", .adds = 1), WAITING | KILL_ENOUGH, .setup = queue_setup,
	  .victim = put_waiting, .unblock = queue_one_out_at_last, .beside = queue_one_out },
	{ CASE("put", "full, one waits behind it", "+6", .adds = 1), WAITING, .setup = queue_setup,
	  .victim = put_waiting, .unblock = one_behind_and_one_out, .killed = one_out_if_full },
	{ CASE("put", "full, closed beside", "+6", .closes = 1), WAITING | KILL_ENOUGH, .setup = queue_setup,
	  .victim = put_waiting, .unblock = a_close_at_last, .beside = a_close },

	{ CASE("get", "empty", "", .fails = true), ALONE, .victim = get },
	{ CASE("get", "one", "+1", .takes_out = 1), ALONE, .victim = get },
	{ CASE("get", "full", "+6", .takes_out = 1), ALONE, .victim = get },
	{ CASE("get", "full, one waits to put", "+6", .takes_out = 1), WAITING, .setup = queue_with_waiting_putters,
	  .victim = get, .killed = queue_one_out },
	{ CASE("get", "wrapped around", "+6-6+4", .takes_out = 1), ALONE, .victim = get },
	{ CASE("get", "leased", "+4a2", .takes_out = 1), ALONE, .victim = get },
	{ CASE("get", "leased, full", "+6a2", .takes_out = 1), ALONE, .victim = get },
	{ CASE("get", "leased, cells out of order", "+6~3+2a2", .takes_out = 1), ALONE, .victim = get },
	{ CASE("get", "leased by a dead one", "+4a2!a", .takes_out = 1), ALONE, .victim = get },
	{ CASE("get_many", "full", "+6", .takes_out = 3), ALONE, .victim = get_many },
	{ CASE("get_many", "leased", "+6a2", .takes_out = 3), ALONE, .victim = get_many },
	{ CASE("get", "empty, an item beside", "", .takes_out = 1), WAITING | KILL_ENOUGH, .setup = queue_setup,
	  .victim = get_waiting, .unblock = one_in_at_last, .beside = queue_one_in },
	{ CASE("get", "empty, one waits behind it", "", .takes_out = 1), WAITING, .setup = queue_setup,
	  .victim = get_waiting, .unblock = one_behind_and_two_in },

	{ CASE("take", "one", "+1", .lent = 1), ALONE, .victim = take },
	{ CASE("take", "full", "+6", .lent = 1), ALONE, .victim = take },
	{ CASE("take", "wrapped around", "+6-6+4", .lent = 1), ALONE, .victim = take },
	{ CASE("take", "leased", "+4a2", .lent = 1), ALONE, .victim = take },
	{ CASE("take", "leased by a dead one", "+4a3!a", .lent = 1), ALONE, .victim = take },
	{ CASE("take", "all leased by a dead one", "+4a4!a", .lent = 1), ALONE, .victim = take },
	{ CASE("take", "leased by the dead and the living", "+6a1b2c1d1!a!c", .lent = 1), ALONE, .victim = take },
	{ CASE("take", "leased by the dead, out of order", "+6~3+2a2b1c2!a!c", .lent = 1), ALONE, .victim = take },
	{ CASE("take_many", "full", "+6", .lent = 3), ALONE, .victim = take_many },
	{ CASE("take_many", "leased by the dead and the living", "+6a2b1c2!a!c", .lent = 3), ALONE,
	  .victim = take_many },
	{ CASE("take", "empty, an item beside", "", .lent = 1), WAITING | KILL_ENOUGH, .setup = queue_setup,
	  .victim = take_waiting, .unblock = one_in_at_last, .beside = queue_one_in },
	{ CASE("take", "empty, one waits behind it", "", .lent = 1), WAITING, .setup = queue_setup,
	  .victim = take_waiting, .unblock = one_behind_and_one_in },
	{ CASE("take", "empty, closed beside", "", .lent = 1, .closes = 1), WAITING | KILL_ENOUGH, .setup = queue_setup,
	  .victim = take_waiting, .unblock = a_close_at_last, .beside = a_close },
	{ CASE("take", "all leased by one who dies", "+1", .lent = 2), WAITING | KILL_ENOUGH,
	  .setup = queue_with_a_taker_gone, .victim = take_waiting, .unblock = taker_dies_at_last,
	  .beside = taker_dies },

	{ CASE("done", "its own", "+4", .victim_takes = 1, .done = { 1 }), ALONE, .victim = done },
	{ CASE("done", "its own, full", "+6", .victim_takes = 2, .done = { 2 }), ALONE, .victim = done },
	{ CASE("done", "its own, full, one put beside", "+6", .victim_takes = 2, .done = { 2 }), .setup = queue_setup,
	  .recover = queue_recover, .victim = done, .beside = queue_one_in },
	{ CASE("done", "its own, the last of three", "+5", .victim_takes = 3, .done = { 3 }), ALONE, .victim = done },
	{ CASE("done", "others' in between", "+6a1b2", .victim_takes = 2, .done = { 5 }), ALONE, .victim = done },
	{ CASE("done", "another's", "+6a2b2", .done = { 4 }), ALONE, .victim = done },
	{ CASE("done", "full, one waits to put", "+6", .victim_takes = 2, .done = { 2 }), WAITING,
	  .setup = queue_with_waiting_putters, .victim = done, .killed = queue_one_out },
	{ CASE("done_many", "its own, out of order", "+5", .victim_takes = 3, .done = { 3, 1, 2 }), ALONE,
	  .victim = queue_done_many },

	{ CASE("close", "drain, empty", "", .closes = 1), .setup = queue_setup, .recover = queue_recover,
	  .victim = queue_close },
	{ CASE("close", "drain, some", "+4a1", .closes = 1), .setup = queue_setup, .recover = queue_recover,
	  .victim = queue_close, .beside = queue_one_out },
	{ CASE("close", "discard, some", "+4a1", .closes = 2), .setup = queue_setup, .recover = queue_recover,
	  .victim = queue_close, .beside = queue_one_out },
	{ CASE("close", "drain, takers wait", "", .closes = 1), WAITING, .setup = queue_with_waiting_takers,
	  .victim = queue_close, .killed = a_close },
	{ CASE("close", "drain, a putter waits", "+6", .closes = 1), WAITING, .setup = queue_with_waiting_putters,
	  .victim = queue_close, .killed = a_close },
};

const struct kill_table kill_queue_table = KILL_TABLE(queue_cases);
