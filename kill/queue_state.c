/* SPDX-License-Identifier: MIT */
#include "queue_state.h"

#include "others.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACTORS 4
#define ITEMS_MAX 64
#define QUEUE_DELAY_US 300

/* kill_run->note from here on: how many were taken out or got, then their values. */
enum { TAKEN_OUT = 4, GOT = 10, PLACES = 5 };

/* What the script has left; in every process forked after it has run. */
static struct {
	uint64_t line[ITEMS_MAX]; /* the dead's leases, then what is ready */
	uint32_t length;
	uint64_t next; /* value */
	uint64_t buried[ITEMS_MAX];
	uint32_t buried_count;
	struct actor {
		int other;
		bool dead;
		uint64_t value[ITEMS_MAX];
		uint32_t count;
	} actor[ACTORS];
} state;

/* The next step of the script, for the process that is forked to do it. */
static struct {
	uint32_t n;
	uint64_t first_value;
	int actor;
} act;

static const struct queue_plan *plan(void)
{
	return kill_now_case->data;
}

/* ---- items and handles ---- */

struct queue_item queue_item(uint64_t value)
{
	return (struct queue_item){ value, value * UINT64_C(0x9e3779b97f4a7c15) };
}

static uint64_t value_of(const void *data)
{
	struct queue_item item;

	memcpy(&item, data, sizeof item);
	return item.proof == queue_item(item.value).proof ? item.value : 0;
}

/* The handle of the queue in the image, kept behind it. */
static struct prusik_queue *shape(void)
{
	return (struct prusik_queue *)(void *)(kill_run->image + QUEUE_BYTES);
}

static struct prusik_queue *moved(struct prusik_queue *to, const struct prusik_queue *from, void *body)
{
	ptrdiff_t by = (char *)body - (char *)from->body;

	*to = *from;
	to->body = body;
	to->cells = (uint32_t *)(void *)((char *)from->cells + by);
	to->index = (struct prk_queue_entry *)(void *)((char *)from->index + by);
	to->nodes = from->nodes + by;
	return to;
}

struct prusik_queue *queue_at(void *object)
{
	static struct prusik_queue view[3];
	static uint32_t turn;

	return moved(&view[turn++ % 3], shape(), object);
}

static int put_value(struct prusik_queue *q, uint64_t value, int64_t not_before, int64_t deadline)
{
	struct queue_item item = queue_item(value);
	struct prusik_queue_put_options options = { .not_before = not_before, .priority = (int32_t)(value % 2) };

	if (q->kind == PRUSIK_QUEUE_FIFO && not_before == 0)
		return prusik_queue_put(q, &item, sizeof item, deadline);
	return prusik_queue_put_with(q, &item, sizeof item, &options, deadline);
}

int queue_put_value(struct prusik_queue *q, uint64_t value, int64_t deadline)
{
	struct queue_item item = queue_item(value);

	/* Where neither a priority nor a time matters: the call that has a shorter way. */
	if (plan()->kind == PRUSIK_QUEUE_FIFO && !plan()->delays)
		return prusik_queue_put(q, &item, sizeof item, deadline);
	return put_value(q, value, plan()->delays ? prusik_in_us(QUEUE_DELAY_US) : 0, deadline);
}

/* Where in line a value belongs, by kind alone. */
static uint64_t place(uint64_t value)
{
	if (plan()->kind == PRUSIK_QUEUE_LIFO)
		return 10000 - value;
	return plan()->kind == PRUSIK_QUEUE_PRIORITY ? value % 2 * 10000 + value : value;
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = place(*(const uint64_t *)a), y = place(*(const uint64_t *)b);

	return x < y ? -1 : x > y;
}

static void line_up(void)
{
	qsort(state.line, state.length, sizeof state.line[0], by_place);
}

static void note_value(uint32_t where, uint64_t value)
{
	uint32_t *note = &kill_run->note[where];
	uint32_t n = prk_add32_acqrel(&note[0], 1);

	if (n < PLACES)
		note[1 + n] = (uint32_t)value;
}

/* Noted before it is done: whoever is killed between has left it in the queue, which no case here does. */
int queue_take_out(struct prusik_queue *q, int64_t deadline)
{
	struct prusik_lease lease;
	int r = prusik_queue_take(q, &lease, deadline);

	if (r < 0)
		return r;
	note_value(TAKEN_OUT, value_of(lease.data));
	return prusik_queue_done(q, &lease);
}

void queue_got(const void *data)
{
	note_value(GOT, value_of(data));
}

/* ---- the script ---- */

static bool make(void *image)
{
	const struct prusik_queue_options options = { .capacity = QUEUE_CAPACITY,
						      .item_max = sizeof(struct queue_item),
						      .kind = plan()->kind,
						      .attempts_max = plan()->attempts_max,
						      .ends_with_producers = plan()->ends };
	struct prusik_queue *q;

	if (prusik_queue_size(&options) > QUEUE_BYTES || prusik_queue_create(NULL, NULL, &options, &q) < 0)
		return false;
	memcpy(image, q->body, prusik_queue_size(&options));
	moved(shape(), q, image);
	return true;
}

static bool put_items(void *image)
{
	for (uint32_t i = 0; i < act.n; i++)
		if (put_value(queue_at(image), act.first_value + i, 0, PRUSIK_NOW) < 0)
			return false;
	return true;
}

static bool get_items(void *image)
{
	struct queue_item item;

	for (uint32_t i = 0; i < act.n; i++)
		if (prusik_queue_get(queue_at(image), &item, sizeof item, PRUSIK_NOW) < 0)
			return false;
	return true;
}

static bool take_items_out_of_order(void *image)
{
	struct prusik_lease lease[ITEMS_MAX];
	struct prusik_queue *q = queue_at(image);

	if (prusik_queue_take_many(q, lease, act.n, PRUSIK_NOW) != act.n)
		return false;
	for (uint32_t i = 0; i < act.n; i++)
		if (prusik_queue_done(q, &lease[(i + act.n / 2) % act.n]) < 0)
			return false;
	return true;
}

static bool bury_items(void *image)
{
	struct prusik_lease lease;

	for (uint32_t i = 0; i < act.n; i++)
		if (prusik_queue_take(queue_at(image), &lease, PRUSIK_NOW) < 0 ||
		    prusik_queue_bury(queue_at(image), &lease) < 0)
			return false;
	return true;
}

static bool put_late_items(void *image)
{
	struct prusik_queue *q = queue_at(image);
	int64_t due = prusik_in_ms(20);
	struct queue_item item;

	for (uint32_t i = 0; i < act.n; i++)
		if (put_value(q, act.first_value + i, due, PRUSIK_NOW) < 0)
			return false;
	(void)!prusik_queue_peek(q, &item, sizeof item, PRUSIK_NOW);
	while (prusik_now() < due)
		usleep(1000);
	return true;
}

static bool take_and_stay(void *object)
{
	struct prusik_lease *kept = &kill_run->kept[act.actor * (16 / ACTORS)];

	(void)object;
	if (prusik_queue_take_many(queue_at(kill_run->image), kept, act.n, PRUSIK_NOW) != act.n)
		return false;
	kill_await_go(UINT32_MAX);
	return true;
}

static void drop_from_line(uint32_t n)
{
	state.length -= n;
	memmove(state.line, state.line + n, state.length * sizeof state.line[0]);
}

static void actor_takes(int number, uint32_t n)
{
	struct actor *a = &state.actor[number];

	a->count = n;
	memcpy(a->value, state.line, n * sizeof a->value[0]);
	drop_from_line(n);
	a->other = kill_asleep(take_and_stay, KILL_STAYS);
}

/* Its leases return to the front of the line. */
static void bury_actor(struct actor *a)
{
	a->dead = true;
	memmove(state.line + a->count, state.line, state.length * sizeof state.line[0]);
	memcpy(state.line, a->value, a->count * sizeof a->value[0]);
	state.length += a->count;
	line_up();
}

static void actor_dies(int number)
{
	kill_now(state.actor[number].other);
	prk_sweep(); /* or a taker would not look for the dead while there are items */
	bury_actor(&state.actor[number]);
}

static bool run_step(char what, char with, void *image)
{
	act.n = (uint32_t)(with - '0');
	act.actor = what - 'a';
	switch (what) {
	case '+':
		act.first_value = state.next;
		for (uint32_t i = 0; i < act.n; i++)
			state.line[state.length++] = state.next++;
		line_up();
		return kill_newcomer(put_items, image) == KILL_FINE;
	case 'l':
		act.first_value = state.next;
		for (uint32_t i = 0; i < act.n; i++)
			state.line[state.length++] = state.next++;
		line_up();
		return kill_newcomer(put_late_items, image) == KILL_FINE;
	case 'x':
		memcpy(state.buried + state.buried_count, state.line, act.n * sizeof state.line[0]);
		state.buried_count += act.n;
		drop_from_line(act.n);
		return kill_newcomer(bury_items, image) == KILL_FINE;
	case '-':
		drop_from_line(act.n);
		return kill_newcomer(get_items, image) == KILL_FINE;
	case '~':
		drop_from_line(act.n);
		return kill_newcomer(take_items_out_of_order, image) == KILL_FINE;
	case '!':
		actor_dies(with - 'a');
		return true;
	default:
		actor_takes(act.actor, act.n);
		return kill_lives(state.actor[act.actor].other);
	}
}

void queue_begin(void *image)
{
	memset(&state, 0, sizeof state);
	state.next = 1;
	memset(kill_run->kept, 0, sizeof kill_run->kept);
	bool ok = kill_newcomer(make, image) == KILL_FINE;
	for (const char *s = plan()->script; ok && *s; s += 2)
		ok = run_step(s[0], s[1], image);
	if (!ok) {
		fprintf(stderr, "cannot make the state %s\n", plan()->script);
		exit(2);
	}
}

void queue_setup(void *object)
{
	memcpy(object, kill_run->image, QUEUE_BYTES);
}

void queue_victim_takes(void *object)
{
	const struct queue_plan *p = plan();

	if (p->victim_takes &&
	    prusik_queue_take_many(queue_at(object), kill_run->lease, p->victim_takes, PRUSIK_NOW) != p->victim_takes)
		abort();
}

const struct prusik_lease *queue_lease(uint64_t value)
{
	for (uint32_t i = 0; i < 16; i++)
		if (kill_run->lease[i].ticket + 1 == value && kill_run->lease[i].data)
			return &kill_run->lease[i];
	for (uint32_t i = 0; i < 16; i++)
		if (kill_run->kept[i].ticket + 1 == value && kill_run->kept[i].data)
			return &kill_run->kept[i];
	abort();
}

/* ---- the account ---- */

/* Where each value was found: in the queue, taken out beside, got by the victim. */
struct account {
	uint64_t drained[ITEMS_MAX];
	uint32_t attempt[ITEMS_MAX];
	uint32_t length;
	uint64_t held[ITEMS_MAX]; /* by those who live */
	uint32_t held_count;
	bool ok;
};

static void must(struct account *a, bool ok, const char *what)
{
	if (a->ok && !kill_claim(ok, what))
		a->ok = false;
}

static bool noted(uint32_t where, uint64_t value)
{
	for (uint32_t i = 0; i < kill_run->note[where] && i < PLACES; i++)
		if (kill_run->note[where + 1 + i] == value)
			return true;
	return false;
}

static uint32_t times_drained(const struct account *a, uint64_t value)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->length; i++)
		n += a->drained[i] == value;
	return n;
}

static bool present(const struct account *a, uint64_t value)
{
	for (uint32_t i = 0; i < a->held_count; i++)
		if (a->held[i] == value)
			return true;
	return times_drained(a, value) > 0 || noted(TAKEN_OUT, value);
}

static bool given_back_by_victim(uint64_t value)
{
	const uint64_t *done = plan()->done;

	return done[0] == value || done[1] == value || done[2] == value;
}

/* Take everything there is, all on lease at once, then give it back in another order. */
static void drain(struct account *a, struct prusik_queue *q)
{
	struct prusik_lease lease[ITEMS_MAX];
	uint32_t n = 0;

	while (n < ITEMS_MAX && prusik_queue_take(q, &lease[n], PRUSIK_NOW) == 0) {
		must(a, lease[n].length == sizeof(struct queue_item), "an item has its length");
		a->drained[n] = value_of(lease[n].data);
		a->attempt[n] = lease[n].attempt;
		must(a, a->drained[n] != 0, "an item is whole");
		n++;
	}
	a->length = n;
	must(a, n <= QUEUE_CAPACITY, "no more than the capacity");
	for (uint32_t i = 0; i < n; i++)
		must(a, prusik_queue_done(q, &lease[(i + n / 2) % n]) == 0, "a lease of ours is given back");
}

/* Each item once; those that nobody may have taken out are there. */
static void count_line(struct account *a)
{
	const struct queue_plan *p = plan();
	uint32_t absent = 0, got = 0;

	for (uint32_t i = 0; i < state.length; i++) {
		uint64_t v = state.line[i];
		uint32_t beside = kill_run->everybody_died ? 0 : noted(TAKEN_OUT, v);
		got += noted(GOT, v);
		absent += !present(a, v) && !given_back_by_victim(v);
		must(a, times_drained(a, v) + beside + noted(GOT, v) <= 1, "an item is there once");
	}
	if (p->closes == 1 + PRUSIK_QUEUE_DISCARD)
		return;
	must(a, absent <= p->takes_out, "no item is lost");
	if (kill_run->finished && p->takes_out)
		must(a, absent == got, "what the victim got is gone, nothing else");
}

/* What the victim puts, and gives back: the first so many. */
static void count_changes(struct account *a)
{
	const struct queue_plan *p = plan();
	bool more = true;

	for (uint32_t i = 0; i < p->adds; i++) {
		bool there = present(a, QUEUE_VICTIM_ADDS + i);
		must(a, !there || more, "put in order");
		must(a, times_drained(a, QUEUE_VICTIM_ADDS + i) <= 1, "put once");
		more = there;
	}
	must(a, !kill_run->finished || more || p->adds == 0, "all is put when put has returned");
	more = true;
	for (int i = 0; i < 3 && p->done[i]; i++) {
		bool gone = !present(a, p->done[i]);
		must(a, !gone || more, "given back in order");
		more = gone;
	}
	must(a, !kill_run->finished || more, "given back when done has returned");
}

static const struct actor *taker_of(uint64_t value)
{
	for (const struct actor *one = state.actor; one < state.actor + ACTORS; one++)
		for (uint32_t i = 0; i < one->count; i++)
			if (one->value[i] == value)
				return one;
	return NULL;
}

/*
 * Where in line a value belongs; UINT64_MAX: anywhere. When all died at once there
 * were two returns, of those who were dead before and of the rest, the latter in front.
 */
static uint64_t rank(uint64_t value)
{
	if ((kill_run->everybody_died && taker_of(value)) || value >= QUEUE_BESIDE_ADDS)
		return UINT64_MAX;
	if (plan()->kind != PRUSIK_QUEUE_FIFO)
		return place(value);
	for (uint32_t i = 0; i < state.length; i++)
		if (state.line[i] == value)
			return i;
	return value;
}

/* Attempts count hand-outs: of the start state, by the victim, and by who recovered and died. */
static void check_attempts(struct account *a)
{
	const struct queue_plan *p = plan();
	uint32_t more = 0, allowed = p->victim_takes + p->lent + p->takes_out + (kill_run->second_id != 0);

	for (const struct actor *one = state.actor; one < state.actor + ACTORS; one++)
		allowed += one->dead ? one->count : 0;
	for (uint32_t i = 0; i < a->length; i++) {
		must(a, !taker_of(a->drained[i]) || a->attempt[i] > 1 || p->attempts_max,
		     "an item that came back says so");
		more += a->attempt[i] - 1;
	}
	must(a, more <= allowed, "no attempt is counted that was none");
}

static void check_order(struct account *a)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < a->length && !plan()->delays; i++) {
		uint64_t r = rank(a->drained[i]);
		if (r == UINT64_MAX)
			continue; /* put beside: before or after the victim's */
		must(a, r >= last, "the line is in order");
		last = r;
	}
}

/* The leases of those who live are as they were; then they are given back. */
static void check_living(struct account *a, struct prusik_queue *q)
{
	for (struct actor *one = state.actor; one < state.actor + ACTORS; one++)
		for (uint32_t j = 0; !one->dead && j < one->count; j++) {
			uint64_t v = one->value[j];
			const struct prusik_lease *l = queue_lease(v);
			bool whole = value_of(prk_queue_node(q, l->node) + 1) == v;
			bool valid = prusik_queue_done(q, l) == 0;
			must(a, valid || given_back_by_victim(v), "a living one's lease is valid");
			must(a, whole || !valid, "a living one's item is untouched");
			if (valid)
				a->held[a->held_count++] = v;
		}
}

static bool is_closed(const struct prusik_queue *q)
{
	return prk_load32_acq(&q->body->closed) != 0;
}

/* Empty by now: it holds as much as ever, in order. */
static void refill(struct account *a, struct prusik_queue *q)
{
	uint64_t expected[QUEUE_CAPACITY];
	struct queue_item item;

	for (uint32_t i = 0; i < QUEUE_CAPACITY; i++) {
		expected[i] = 500 + i;
		must(a, put_value(q, 500 + i, 0, PRUSIK_NOW) == 0, "there is room for the capacity");
	}
	qsort(expected, QUEUE_CAPACITY, sizeof expected[0], by_place);
	must(a, put_value(q, 599, 0, PRUSIK_NOW) == -ETIMEDOUT, "and not for more");
	for (uint32_t i = 0; i < QUEUE_CAPACITY; i++)
		must(a,
		     prusik_queue_get(q, &item, sizeof item, PRUSIK_NOW) == sizeof item &&
			     value_of(&item) == expected[i],
		     "what is put comes out in order");
}

/* What is dead, or late, is there all the same. */
static void unbury(struct prusik_queue *q)
{
	struct prusik_lease lease;

	if (prusik_queue_take(q, &lease, PRUSIK_NOW) == 0) /* the dead ones' leases first */
		prusik_queue_release(q, &lease);
	prusik_queue_dead_requeue(q, UINT64_MAX);
	memcpy(state.line + state.length, state.buried, state.buried_count * sizeof state.line[0]);
	state.length += state.buried_count;
	state.buried_count = 0;
	line_up();
	if (plan()->delays)
		usleep(2 * QUEUE_DELAY_US);
}

bool queue_check(void *object)
{
	struct prusik_queue *q = queue_at(object);
	struct prusik_queue_stats stats;
	struct account a = { .ok = true };
	bool closed = is_closed(q);

	/* While there are items, the dead's leases come to the front only once the deaths are known. */
	prk_sweep();
	for (struct actor *one = state.actor; kill_run->everybody_died && one < state.actor + ACTORS; one++)
		if (!one->dead)
			bury_actor(one);
	unbury(q);
	drain(&a, q);
	check_living(&a, q);
	count_line(&a);
	count_changes(&a);
	check_order(&a);
	check_attempts(&a);
	must(&a, !closed || plan()->closes, "it is closed only by closing");
	must(&a, closed || !plan()->closes || !kill_run->finished, "it is closed when close has returned");
	if (!closed)
		refill(&a, q);
	must(&a, prusik_queue_stats(q, &stats) == 0 && stats.ready == 0 && stats.leased == 0, "nothing is left");
	must(&a, prk_queue_valid(q), "the queue is valid");
	return a.ok;
}
