/* SPDX-License-Identifier: MIT */
/*
 * chaos_book - every item's number, bytes and fate
 *
 * Each item has a mark, a word that is changed by CAS:
 *
 *	bits 7..0 how often it was seen | 15..8 the highest attempt it was handed
 *	out with | PUT | WITHDRAWN | REMOVED | FINISHING
 *
 * A producer that is killed in a put leaves an item that is neither PUT nor
 * WITHDRAWN: it may turn up, whole, or not. A worker that is killed as it says that it
 * is done leaves an item that is FINISHING: it may be handed out again, or not. All other
 * items of the first queue that were put, or seen, are REMOVED in the end.
 */
#include "chaos.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PUT (1u << 16)
#define WITHDRAWN (1u << 17)
#define REMOVED (1u << 18)
#define FINISHING (1u << 19)

#define SEEN(mark) ((mark)&255u)
#define ATTEMPT(mark) ((mark) >> 8 & 255u)

/* An item; those shorter than this are blanks, bytes of 0xa5 without a number. */
struct item {
	uint64_t name; /* lane << 48 | number */
	uint64_t sum;
	unsigned char rest[CHAOS_ITEM_MAX - 16];
};
#define NAMED ((uint32_t)offsetof(struct item, rest))
#define BLANK 0xa5

struct chaos_totals chaos_totals;
uint32_t chaos_lanes;

static uint32_t *mark_of(uint32_t lane, uint64_t number)
{
	return &chaos->mark[lane][number % CHAOS_MARKS].word;
}

static enum chaos_queue queue_of(uint32_t lane)
{
	return lane % CHAOS_QUEUES;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t sum_of(const struct item *item, uint32_t length)
{
	uint64_t sum = mix(item->name + length);

	for (uint32_t i = 0; i < length - NAMED; i++)
		sum = (sum ^ item->rest[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* ---- putting ---- */

uint64_t chaos_number(uint32_t lane, uint32_t count)
{
	struct chaos_lane *l = &chaos->lane[lane];
	uint64_t first = l->next;

	while (first + count - prk_load64_acq(&l->old) > CHAOS_MARKS)
		usleep(100);
	prk_store64_rel(&l->next, first + count);
	return first;
}

uint32_t chaos_write(void *to, uint32_t lane, uint64_t number)
{
	struct item *item = to;
	uint32_t length = NAMED + chaos_random(CHAOS_ITEM_MAX - NAMED + 1);

	item->name = (uint64_t)lane << 48 | number;
	memset(item->rest, (int)(number + length), length - NAMED);
	item->sum = sum_of(item, length);
	return length;
}

uint32_t chaos_priority(uint32_t lane)
{
	return chaos_options.kind == PRUSIK_QUEUE_PRIORITY ? lane / CHAOS_QUEUES % 2 : 0;
}

uint32_t chaos_write_blank(void *to)
{
	uint32_t length = chaos_random(NAMED);

	memset(to, BLANK, length);
	return length;
}

static void set(uint32_t *mark, uint32_t bits)
{
	uint32_t seen = prk_load32_rlx(mark);

	while (!prk_cas32_acqrel(mark, &seen, seen | bits))
		;
}

void chaos_put(uint32_t lane, uint64_t first, uint32_t count, uint32_t put)
{
	for (uint32_t i = 0; i < count; i++)
		set(mark_of(lane, first + i), i < put ? PUT : WITHDRAWN);
	chaos_seat->moved += put;
}

/* ---- taking ---- */

void chaos_look(struct chaos_view *view)
{
	for (uint32_t i = 0; i < chaos_lanes; i++)
		view->first[i] = prk_load64_acq(&chaos->lane[i].first);
}

/* Is it whole? False: it is a blank. */
static bool check(const void *data, uint64_t length, enum chaos_queue queue)
{
	const struct item *item = data;
	const unsigned char *bytes = data;

	CHAOS_CHECK(length <= CHAOS_ITEM_MAX, "an item of %lu bytes", length);
	if (length >= NAMED) {
		uint32_t lane = (uint32_t)(item->name >> 48);
		CHAOS_CHECK(item->sum == sum_of(item, (uint32_t)length), "an item is damaged");
		CHAOS_CHECK(lane < chaos_lanes && queue_of(lane) == queue, "an item of the other queue");
		return true;
	}
	CHAOS_CHECK(queue == CHAOS_MIXED, "a blank in the first queue");
	for (uint64_t i = 0; i < length; i++)
		CHAOS_CHECK(bytes[i] == BLANK, "a blank is damaged");
	return false;
}

static uint32_t lane_of(const struct item *item)
{
	return (uint32_t)(item->name >> 48);
}

static uint64_t number_of(const struct item *item)
{
	return item->name << 16 >> 16;
}

/* The item's mark. An item far too late may find another one's: fail rather than that. */
static uint32_t *mark_in_time(const struct item *item)
{
	const struct chaos_lane *l = &chaos->lane[lane_of(item)];
	uint64_t number = number_of(item);

	CHAOS_CHECK(number < prk_load64_acq(&l->next), "lane %u: item %lu was never numbered", lane_of(item), number);
	CHAOS_CHECK(number >= prk_load64_acq(&l->old), "lane %u: item %lu is %lu items late", lane_of(item), number,
		    l->next - number);
	return mark_of(lane_of(item), number);
}

/* Handed out for the first time: was it due? Whoever went before it had a lower number. */
static void check_order(const struct chaos_view *view, const struct item *item, bool surely_first)
{
	uint32_t lane = lane_of(item);
	uint64_t number = number_of(item), *first = &chaos->lane[lane].first;

	if (chaos_options.kind == PRUSIK_QUEUE_LIFO)
		return;
	if (number < view->first[lane]) {
		CHAOS_CHECK(!surely_first, "lane %u: item %lu came after item %lu", lane, number,
			    view->first[lane] - 1);
		prk_add64_rlx(&chaos->inversions, 1);
	}
	uint64_t before = prk_load64_rlx(first);
	while (before < number + 1 && !prk_cas64_acqrel(first, &before, number + 1))
		;
}

/* attempt 0: taken by get, which does not tell. */
static void see(const struct item *item, uint32_t attempt, uint32_t bits)
{
	uint32_t *mark = mark_in_time(item), old = prk_load32_acq(mark), new;

	do {
		CHAOS_CHECK(!(old & WITHDRAWN), "lane %u: item %lu was not put", lane_of(item), number_of(item));
		CHAOS_CHECK(!(old & REMOVED), "lane %u: item %lu left the queue before (%x)", lane_of(item),
			    number_of(item), old);
		CHAOS_CHECK(attempt == 0 || SEEN(old) < attempt,
			    "lane %u: item %lu, attempt %u, was seen %u times before", lane_of(item), number_of(item),
			    attempt, SEEN(old));
		new = (old & (PUT | WITHDRAWN | REMOVED)) | bits | (SEEN(old) + 1);
		new |= (attempt > ATTEMPT(old) ? attempt : ATTEMPT(old)) << 8;
	} while (!prk_cas32_acqrel(mark, &old, new));
	if (attempt > 1)
		chaos_seat->redelivered++;
}

uint64_t chaos_taken(const struct chaos_view *view, enum chaos_queue queue, const struct prusik_lease *lease)
{
	const struct item *item = lease->data;

	if (!check(item, lease->length, queue))
		return CHAOS_BLANK;
	if (lease->attempt == 1)
		check_order(view, item, true);
	see(item, lease->attempt, 0);
	return item->name;
}

void chaos_got(const struct chaos_view *view, const void *item, uint64_t length)
{
	if (!check(item, length, CHAOS_MIXED))
		return;
	check_order(view, item, false);
	see(item, 0, REMOVED);
	chaos_seat->moved++;
}

void chaos_remember(struct chaos_ledger *ledger, uint64_t name, const struct prusik_lease *lease)
{
	uint64_t words[CHAOS_LEASE_WORDS];

	memcpy(words, lease, sizeof words);
	prk_store64_rlx(&ledger->name, 0);
	for (uint32_t i = 0; i < CHAOS_LEASE_WORDS; i++)
		prk_store64_rel(&ledger->lease[i], words[i]); /* rel: after name */
	prk_store64_rel(&ledger->name, name + 1); /* rel [ledger.name]: it is whole */
}

/* False: it is another item's, or changes right now. */
static bool recall(struct chaos_ledger *ledger, uint64_t name, struct prusik_lease *ret_lease)
{
	uint64_t words[CHAOS_LEASE_WORDS];

	if (prk_load64_acq(&ledger->name) != name + 1) /* acq [ledger.name] */
		return false;
	for (uint32_t i = 0; i < CHAOS_LEASE_WORDS; i++)
		words[i] = prk_load64_acq(&ledger->lease[i]);
	memcpy(ret_lease, words, sizeof words);
	return prk_load64_rlx(&ledger->name) == name + 1;
}

void chaos_try_lost(uint64_t name, const struct prusik_lease *lease)
{
	struct prusik_lease lost;

	for (uint32_t i = 0; i < CHAOS_BODIES_MAX * CHAOS_THREADS; i++) {
		struct chaos_ledger *ledger = &chaos->ledger[i / CHAOS_THREADS][i % CHAOS_THREADS];
		if (!recall(ledger, name, &lost) || lost.turn == lease->turn)
			continue;
		int r = prusik_queue_done(chaos_queue[CHAOS_LEASED], &lost);
		CHAOS_CHECK(r == -ESTALE, "done of a lost lease: %d", r);
		prk_add64_rlx(&chaos->refused, 1);
	}
}

void chaos_finish(uint64_t name)
{
	const struct item item = { .name = name };

	if (name != CHAOS_BLANK)
		set(mark_in_time(&item), FINISHING);
}

void chaos_done(uint64_t name)
{
	const struct item item = { .name = name };

	chaos_seat->moved++;
	if (name != CHAOS_BLANK)
		set(mark_in_time(&item), REMOVED);
}

/* ---- the end of the story ---- */

static void settle(uint32_t lane, uint64_t number)
{
	struct chaos_totals *t = &chaos_totals;
	uint32_t mark = prk_load32_acq(mark_of(lane, number)), times = SEEN(mark);

	t->items += (mark & PUT) != 0;
	t->twice += times > 1;
	if (queue_of(lane) == CHAOS_LEASED) {
		t->entered += times > 0;
		t->returns += times > 0 ? ATTEMPT(mark) - 1 : 0;
		t->lost += ((mark & PUT) || times > 0) && !(mark & (REMOVED | FINISHING));
	} else if ((mark & PUT) && times == 0) {
		t->gone++;
	}
	prk_store32_rel(mark_of(lane, number), 0);
}

void chaos_balance(bool all)
{
	for (uint32_t i = 0; i < chaos_lanes; i++) {
		struct chaos_lane *l = &chaos->lane[i];
		uint64_t next = prk_load64_acq(&l->next), old = l->old;
		uint64_t until = all ? next : next > CHAOS_MARKS / 2 ? next - CHAOS_MARKS / 2 : 0;
		while (old < until)
			settle(i, old++);
		prk_store64_rel(&l->old, old);
	}
}
