/* SPDX-License-Identifier: MIT */
/*
 * kill: value
 *
 * The object is a body alone. After a kill the value is what it was, or what it becomes
 * (in a section also what was written first), whoever reads it first sees so without
 * waiting, that is never taken back, and who opens a section next is told of a death in
 * the last one, and only then. Somebody beside adds BESIDE: what lies below it tells.
 */
#include "kill.h"
#include "others.h"
#include "section.h"

#include "data/value.h"

#include <stdio.h>
#include <string.h>

#define BESIDE INT64_C(1048576)
#define RECORD_BYTES 40u

/* In kill_run->note. */
enum { RESULT, BLOCKED, ACTED };

struct plan {
	struct section_plan held;
	uint32_t kind; /* 0: signed numbers */
	int64_t before, after;
	int64_t between; /* of a section; 0: it is none */
	int (*act)(struct prusik_value *v, const struct plan *plan);
	int expects;
};

struct record {
	int64_t number;
	int64_t twin; /* ~number, as all the rest */
	int64_t rest[RECORD_BYTES / 8 - 2];
};

/* A body and its copies. */
struct box {
	_Alignas(64) char bytes[sizeof(struct prk_value_body) + 2 * RECORD_BYTES];
};

static const struct plan *plan(void)
{
	return kill_now_case->data;
}

static struct prusik_value view_of(void *object)
{
	return prk_value_view(object);
}

/* ---- reading and writing, whatever its kind ---- */

static struct record record_of(int64_t number)
{
	return (struct record){ number, ~number, { ~number, ~number, ~number } };
}

/* False: torn, or it cannot be read. */
static bool read_number(struct prusik_value *v, int64_t *ret_number)
{
	struct record record;
	double d;
	int r;

	if (v->kind == PRUSIK_VALUE_BYTES) {
		int64_t n = prusik_value_get_bytes(v, &record, sizeof record);
		struct record whole = record_of(record.number);
		*ret_number = record.number;
		return n == (int64_t)sizeof record && memcmp(&record, &whole, sizeof record) == 0;
	}
	if (v->kind == PRUSIK_VALUE_DOUBLE) {
		r = prusik_value_get_double(v, &d);
		*ret_number = (int64_t)d;
		return r == 0;
	}
	return prusik_value_get(v, ret_number) == 0;
}

static int write_number(struct prusik_value *v, int64_t number)
{
	struct record record = record_of(number);

	if (v->kind == PRUSIK_VALUE_BYTES)
		return prusik_value_set_bytes(v, &record, sizeof record);
	if (v->kind == PRUSIK_VALUE_DOUBLE)
		return prusik_value_set_double(v, (double)number);
	return prusik_value_set(v, number);
}

/* A function for modify: more by *context. */
static int more(void *context, void *data, uint64_t size)
{
	const int64_t *delta = context;
	struct record *record = data;

	if (size == sizeof *record)
		*record = record_of(record->number + *delta);
	else if (plan()->kind == PRUSIK_VALUE_DOUBLE)
		*(double *)data += (double)*delta;
	else
		*(int64_t *)data += *delta;
	return 3;
}

static int add_to(struct prusik_value *v, int64_t delta)
{
	if (v->kind == PRUSIK_VALUE_BYTES)
		return prusik_value_modify(v, more, &delta) == 3 ? 0 : -1;
	if (v->kind == PRUSIK_VALUE_DOUBLE)
		return prusik_value_add_double(v, (double)delta, NULL);
	return prusik_value_add(v, delta, NULL);
}

/* ---- operations ---- */

static int set(struct prusik_value *v, const struct plan *p)
{
	return write_number(v, p->after);
}

static int add(struct prusik_value *v, const struct plan *p)
{
	return add_to(v, p->after - p->before);
}

static int cas(struct prusik_value *v, const struct plan *p)
{
	struct record from = record_of(p->before), to = record_of(p->after);

	if (v->kind == PRUSIK_VALUE_BYTES)
		return prusik_value_cas_bytes(v, &from, &to, sizeof to);
	if (v->kind == PRUSIK_VALUE_DOUBLE)
		return prusik_value_cas_double(v, (double)p->before, (double)p->after);
	return prusik_value_cas(v, p->before, p->after);
}

static int cas_another(struct prusik_value *v, const struct plan *p)
{
	return prusik_value_cas(v, p->before + 1, 0);
}

static int modify(struct prusik_value *v, const struct plan *p)
{
	int64_t delta = p->after - p->before;

	return prusik_value_modify(v, more, &delta);
}

static int section(struct prusik_value *v, const struct plan *p)
{
	int r = prusik_value_lock(v, PRUSIK_FOREVER);

	if (r < 0 || write_number(v, p->between) != 0 || add_to(v, p->after - p->between) != 0)
		return -1;
	return prusik_value_unlock(v) == 0 ? r : -1;
}

static int get(struct prusik_value *v, const struct plan *p)
{
	int64_t n;

	return read_number(v, &n) && n % BESIDE == p->before % BESIDE ? 0 : -1;
}

static int wait_in_vain(struct prusik_value *v, const struct plan *p)
{
	const struct record seen = record_of(p->before);

	return prusik_value_wait(v, &seen, prusik_in_us(100));
}

static int wait_for_it(struct prusik_value *v, const struct plan *p)
{
	const struct record seen = record_of(p->before);

	return prusik_value_wait(v, &seen, PRUSIK_FOREVER);
}

/* ---- the start ---- */

static void setup(void *object)
{
	struct prk_value_body *b = object;
	double d = (double)plan()->before;

	b->kind = plan()->kind ? plan()->kind : PRUSIK_VALUE_INT;
	b->size = b->kind == PRUSIK_VALUE_BYTES ? RECORD_BYTES : 8;
	if (b->kind == PRUSIK_VALUE_BYTES) {
		struct record record = record_of(plan()->before);
		memcpy(b->copies, &record, sizeof record);
		return;
	}
	memcpy(&b->held, b->kind == PRUSIK_VALUE_DOUBLE ? (void *)&d : (void *)(uintptr_t)&plan()->before, 8);
	b->word = b->held;
	if (b->word != PRK_VALUE_AWAY)
		b->held = 0x3333; /* which means nothing then */
}

static int open_section(void *object, int64_t deadline)
{
	struct prusik_value v = view_of(object);

	return prusik_value_lock(&v, deadline);
}

static int close_section(void *object)
{
	struct prusik_value v = view_of(object);

	return prusik_value_unlock(&v);
}

static const struct section_verbs verbs = { setup, open_section, close_section };

/* ---- those beside the victim ---- */

static bool is_allowed(int64_t n)
{
	const struct plan *p = plan();
	int64_t low = (int64_t)((uint64_t)n % (uint64_t)BESIDE), mask = BESIDE - 1;

	return low == (p->before & mask) || low == (p->after & mask) || (p->between && low == (p->between & mask));
}

static bool reads_beside(void *object)
{
	struct prusik_value v = view_of(object);
	int64_t n;

	kill_hello();
	return kill_claim(read_number(&v, &n), "somebody beside can read") &&
	       kill_claim(is_allowed(n), "and what he reads is so before or after");
}

static bool adds_beside(void *object)
{
	struct prusik_value v = view_of(object);

	if (prk_joined() < 0)
		return false;
	kill_hello();
	return kill_claim(add_to(&v, BESIDE) == 0, "somebody beside can add");
}

static void beside(void *object)
{
	(void)object;
	kill_run->note[ACTED] = 1;
	if (kill_lives(kill_asleep(reads_beside, KILL_FINISHES)))
		kill_run->note[BLOCKED] = 1;
	kill_asleep(adds_beside, KILL_FINISHES);
}

/* One who waits for a change, whoever makes it. */
static bool waiter(void *object)
{
	struct prusik_value v = view_of(object);
	const struct record seen = record_of(plan()->before);

	if (prk_joined() < 0)
		return false;
	kill_hello();
	return kill_claim(prusik_value_wait(&v, &seen, PRUSIK_FOREVER) == 0, "the wait ends");
}

static void two_waiters(void *object)
{
	setup(object);
	kill_asleep(waiter, KILL_FINISHES);
	kill_asleep(waiter, KILL_FINISHES);
}

static void changed_by_another(void *object)
{
	(void)object;
	kill_asleep(adds_beside, KILL_FINISHES);
}

/* The victim has not changed it: somebody else does. If it has, nobody is woken by this. */
static void changed_unless_it_is(void *object)
{
	struct prusik_value v = view_of(object);
	int64_t n;

	if (read_number(&v, &n) && n == plan()->before)
		changed_by_another(object);
}

static void is_changed_now(void *object, int times)
{
	if (times == 0)
		changed_by_another(object);
}

static void nothing(void *object, int times)
{
	(void)object;
	(void)times;
}

/* ---- acting and checking ---- */

static void victim(void *object)
{
	struct prusik_value v = view_of(object);

	kill_run->note[RESULT] = (uint32_t)plan()->act(&v, plan());
}

static int keep(void *context, void *data, uint64_t size)
{
	(void)context;
	(void)data;
	(void)size;
	return -EAGAIN;
}

static void recover(void *object)
{
	struct prusik_value v = view_of(object);

	prusik_value_modify(&v, keep, NULL);
}

/* Of a victim that has come to its end. */
static bool as_promised(int64_t n)
{
	int r = (int)kill_run->note[RESULT];

	if (r == -ESTALE && kill_run->note[ACTED]) /* it came too late */
		return kill_claim(((n ^ plan()->before) & (BESIDE - 1)) == 0, "the value has not changed");
	return kill_claim(r == plan()->expects, "the operation returns what it should") &&
	       kill_claim(((n ^ plan()->after) & (BESIDE - 1)) == 0, "the value is as after");
}

/* Is the one who opens a section told what he is to be told? */
static bool tells(void *object, int64_t n)
{
	const struct plan *p = plan();
	int r = section_told(object);

	if (r < 0)
		return false;
	if (p->between && ((n ^ p->between) & (BESIDE - 1)) == 0 &&
	    !kill_claim(r == PRUSIK_RECOVERED, "told of a death"))
		return false;
	/* If all have died, so has an owner who was to live. */
	if (!p->between && !kill_run->everybody_died &&
	    !kill_claim(r == (p->held.orphan ? PRUSIK_RECOVERED : 0), "told of a death, if of one in a section"))
		return false;
	return !p->between || !kill_run->finished || kill_claim(r == 0, "a section that is over is not told of");
}

static bool serves(struct prusik_value *v)
{
	int64_t n = 0;

	return kill_claim(write_number(v, 70) == 0, "a newcomer can set") && kill_claim(add_to(v, 5) == 0, "and add") &&
	       kill_claim(read_number(v, &n) && n == 75, "and read that") &&
	       kill_claim(prusik_value_modify(v, more, &(int64_t){ 4 }) == 3, "and change it by a function") &&
	       kill_claim(read_number(v, &n) && n == 79, "and read that too");
}

static bool check(void *object)
{
	struct prusik_value v = view_of(object);
	int64_t n, again;

	if (!kill_claim(kill_run->note[BLOCKED] == 0, "a reader waits for nobody") ||
	    !kill_claim(read_number(&v, &n), "it can be read") ||
	    !kill_claim(is_allowed(n), "the value is as before, or as after"))
		return false;
	if (kill_run->finished && !as_promised(n))
		return false;
	recover(object);
	return kill_claim(read_number(&v, &again) && again == n, "what was read is not taken back") &&
	       tells(object, n) && serves(&v);
}

/* Whatever has become of it. */
static bool serves_on(void *object)
{
	struct prusik_value v = view_of(object);

	return serves(&v);
}

#define VALUE(operation_, state_, ...)                                                                                 \
	.noun = "value", .operation = operation_, .state = state_, .size = sizeof(struct box),                         \
	.data = &(const struct plan){ .held.verbs = &verbs, __VA_ARGS__ }, .victim = victim, .recover = recover
#define CASE(operation_, state_, ...) VALUE(operation_, state_, __VA_ARGS__), .setup = setup, .check = check
#define HELD(operation_, state_, ...)                                                                                  \
	VALUE(operation_, state_, __VA_ARGS__), .is = KILL_WARM | KILL_NO_SNAPSHOT, .check = check
#define BESIDE_IT .beside = beside
#define AWAY ((int64_t)PRK_VALUE_AWAY)
#define RECORD .kind = PRUSIK_VALUE_BYTES
#define REAL .kind = PRUSIK_VALUE_DOUBLE

static const struct kill_case value_cases[] = {
	{ CASE("set", "free", .before = 5, .after = 9, .act = set), BESIDE_IT },
	{ CASE("set", "a double", REAL, .before = 5, .after = 9, .act = set), BESIDE_IT },
	{ CASE("set", "a record", RECORD, .before = 5, .after = 9, .act = set), BESIDE_IT },
	{ CASE("set", "the pattern becomes a number", .before = AWAY, .after = 9, .act = set), BESIDE_IT },
	{ CASE("set", "a number becomes the pattern", .before = 9, .after = AWAY, .act = set), BESIDE_IT },
	{ CASE("add", "free", .before = 5, .after = 6, .act = add), BESIDE_IT },
	{ CASE("add", "a double", REAL, .before = 5, .after = 6, .act = add), BESIDE_IT },
	{ CASE("add", "the sum is the pattern", .before = AWAY - 2, .after = AWAY, .act = add), BESIDE_IT },
	{ CASE("add", "from the pattern on", .before = AWAY, .after = AWAY + 1, .act = add), BESIDE_IT },
	{ CASE("cas", "free", .before = 5, .after = 6, .act = cas), BESIDE_IT },
	{ CASE("cas", "a double", REAL, .before = 5, .after = 6, .act = cas) },
	{ CASE("cas", "a record", RECORD, .before = 5, .after = 6, .act = cas), BESIDE_IT },
	{ CASE("cas", "different", .before = 5, .after = 5, .act = cas_another, .expects = -ESTALE) },
	{ CASE("modify", "free", .before = 5, .after = 8, .act = modify, .expects = 3), BESIDE_IT },
	{ CASE("modify", "a double", REAL, .before = 5, .after = 8, .act = modify, .expects = 3) },
	{ CASE("modify", "a record", RECORD, .before = 5, .after = 8, .act = modify, .expects = 3), BESIDE_IT },
	{ CASE("modify", "the pattern", .before = AWAY, .after = AWAY + 3, .act = modify, .expects = 3) },
	{ CASE("lock to unlock", "free", .before = 5, .between = 60, .after = 8, .act = section), BESIDE_IT },
	{ CASE("lock to unlock", "a record", RECORD, .before = 5, .between = 60, .after = 8, .act = section),
	  BESIDE_IT },
	{ CASE("lock to unlock", "through the pattern", .before = 5, .between = AWAY, .after = 8, .act = section),
	  BESIDE_IT },
	{ CASE("get", "free", .before = 5, .after = 5, .act = get), BESIDE_IT },
	{ CASE("get", "a record", RECORD, .before = 5, .after = 5, .act = get), BESIDE_IT },
	{ CASE("wait until", "nothing changes until the deadline", .before = 5, .after = 5, .act = wait_in_vain,
	       .expects = -ETIMEDOUT),
	  .is = KILL_WARM, .unblock = nothing },
	{ VALUE("wait", "it is changed", .before = 5, .after = 5, .act = wait_for_it), .setup = setup,
	  .is = KILL_WARM | KILL_NO_SNAPSHOT, .unblock = is_changed_now, .beside = changed_by_another,
	  .check = serves_on },
	{ VALUE("add", "two wait for a change", .before = 5, .after = 6, .act = add), .setup = two_waiters,
	  .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL, .killed = changed_unless_it_is, .check = serves_on },
	{ VALUE("set", "two wait for a record to change", RECORD, .before = 5, .after = 6, .act = set),
	  .setup = two_waiters, .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL, .killed = changed_unless_it_is,
	  .check = serves_on },
	{ VALUE("modify", "two wait for a change", .before = 5, .after = 6, .act = modify), .setup = two_waiters,
	  .is = KILL_WARM | KILL_NO_SNAPSHOT | KILL_NO_ALL, .killed = changed_unless_it_is, .check = serves_on },
	{ VALUE("add", "a dead one has the lock", .before = 5, .after = 6, .act = add, .held.orphan = true),
	  .setup = section_orphaned, .check = check, BESIDE_IT },
	{ VALUE("set", "a dead one has a record's lock", RECORD, .before = 5, .after = 6, .act = set,
		.held.orphan = true),
	  .setup = section_orphaned, .check = check, BESIDE_IT },
	{ VALUE("modify", "a dead one has the lock", .before = 5, .after = 6, .act = modify, .expects = 3,
		.held.orphan = true),
	  .setup = section_orphaned, .check = check },
	{ VALUE("lock to unlock", "a dead one has it", .before = 5, .between = 60, .after = 8, .act = section,
		.expects = PRUSIK_RECOVERED),
	  .setup = section_orphaned, .check = check, BESIDE_IT },
	{ HELD("add", "somebody has the lock", .before = 5, .after = 6, .act = add), .setup = section_had,
	  .unblock = section_let_go },
	{ HELD("add", "who has the lock dies", .before = 5, .after = 6, .act = add, .held.orphan = true),
	  .setup = section_kept, .unblock = section_owner_dies },
	{ HELD("modify", "somebody has a record's lock", RECORD, .before = 5, .after = 6, .act = modify, .expects = 3),
	  .setup = section_had, .unblock = section_let_go },
};

const struct kill_table kill_value_table = KILL_TABLE(value_cases);
