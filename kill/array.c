/* SPDX-License-Identifier: MIT */
/*
 * kill: array
 *
 * The object is a body with its words. All items are equal before, and what an operation
 * changes becomes equal to another number: so after a kill the items are as before, or as
 * after, all of them; what was read is never taken back; and who begins next is told of a
 * death between begin and end, and only then.
 */
#include "kill.h"
#include "others.h"
#include "section.h"

#include "data/array.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 16u
#define ITEMS_MAX 64u
#define OLD 0x11
#define NEW 0x77
#define BETWEEN 0x33

/* In kill_run->note. */
enum { RESULT };

struct plan {
	struct section_plan held;
	uint32_t kind, item_size, length;
	uint32_t from, to; /* the items that are changed */
	int64_t (*act)(struct prusik_array *a, const struct plan *plan);
	int64_t expects;
	bool section;
};

/* A body and its words. */
struct box {
	_Alignas(64) char bytes[sizeof(struct prk_array_body) + 2 * WORDS_MAX * 8];
};

static const struct plan *plan(void)
{
	return kill_now_case->data;
}

static struct prusik_array view_of(void *object)
{
	const struct plan *p = plan();

	return prk_array_view(object, p->kind, p->item_size, p->length);
}

/* ---- operations: items are bytes that are all the same ---- */

static const char *all(int byte)
{
	static char items[WORDS_MAX * 8];

	return memset(items, byte, sizeof items);
}

static int64_t set(struct prusik_array *a, const struct plan *p)
{
	return prusik_array_set(a, p->from, all(NEW));
}

static int64_t cas(struct prusik_array *a, const struct plan *p)
{
	char old[WORDS_MAX * 8];

	memset(old, OLD, sizeof old);
	return prusik_array_cas(a, p->from, old, all(NEW));
}

static int64_t add(struct prusik_array *a, const struct plan *p)
{
	int64_t old = 0, new = 0;

	memset(&old, OLD, p->item_size);
	memset(&new, NEW, p->item_size);
	return prusik_array_add(a, p->from, new - old, NULL);
}

static int64_t set_slice(struct prusik_array *a, const struct plan *p)
{
	return prusik_array_set_slice(a, p->from, all(NEW), p->to - p->from);
}

static int64_t fill(struct prusik_array *a, const struct plan *p)
{
	return prusik_array_fill(a, p->from, p->to, all(NEW));
}

static int renew(void *context, void *items, uint64_t count)
{
	const struct plan *p = context;

	memset(items, NEW, count * p->item_size);
	return (int)count;
}

static int64_t modify(struct prusik_array *a, const struct plan *p)
{
	return prusik_array_modify(a, p->from, renew, (void *)(uintptr_t)p);
}

static int64_t modify_all(struct prusik_array *a, const struct plan *p)
{
	return prusik_array_modify_all(a, renew, (void *)(uintptr_t)p);
}

/* Through the pointer and by verbs; the items in between are another's business only once it has ended. */
static int64_t section(struct prusik_array *a, const struct plan *p)
{
	char *items;
	int r = prusik_array_begin(a, PRUSIK_FOREVER, (void **)&items);

	if (r < 0)
		return r;
	memset(items, BETWEEN, p->item_size);
	if (fill(a, p) != p->to - p->from)
		return -1;
	return prusik_array_end(a) == 0 ? r : -1;
}

static int64_t slice(struct prusik_array *a, const struct plan *p)
{
	char items[WORDS_MAX * 8];

	return prusik_array_slice(a, 0, p->length, items, p->length);
}

/* ---- reading ---- */

static bool read_all(struct prusik_array *a, unsigned char items[WORDS_MAX * 8])
{
	return prusik_array_slice(a, 0, INT64_MAX, items, a->length) == (int64_t)a->length;
}

/* Are all these bytes as before (or after)? */
static bool is_so(const unsigned char *items, bool after)
{
	const struct plan *p = plan();

	for (uint32_t i = 0; i < p->length; i++) {
		int byte = after && i >= p->from && i < p->to ? NEW : OLD;
		for (uint32_t k = 0; k < p->item_size; k++)
			if (items[i * p->item_size + k] != byte)
				return false;
	}
	return true;
}

/* ---- the start ---- */

static void setup(void *object)
{
	struct prk_array_body *b = object;

	b->kind = plan()->kind;
	b->item_size = plan()->item_size;
	b->length = plan()->length;
	memset(b->words, OLD, b->length * b->item_size);
}

static int open_section(void *object, int64_t deadline)
{
	struct prusik_array a = view_of(object);

	return prusik_array_begin(&a, deadline, NULL);
}

static int close_section(void *object)
{
	struct prusik_array a = view_of(object);

	return prusik_array_end(&a);
}

static const struct section_verbs verbs = { setup, open_section, close_section };

/* ---- beside the victim: reads, and writes what is there already ---- */

static bool passes_by(void *object)
{
	struct prusik_array a = view_of(object);
	unsigned char items[WORDS_MAX * 8];

	if (prk_joined() < 0)
		return false;
	kill_hello();
	if (!kill_claim(read_all(&a, items), "somebody beside can read"))
		return false;
	if (!plan()->section && !kill_claim(is_so(items, false) || is_so(items, true), "what he reads is whole"))
		return false;
	return kill_claim(prusik_array_cas(&a, 0, items, items) >= -ESTALE, "and write");
}

static void beside(void *object)
{
	(void)object;
	kill_asleep(passes_by, KILL_FINISHES);
}

/* ---- acting and checking ---- */

static void victim(void *object)
{
	struct prusik_array a = view_of(object);

	kill_run->note[RESULT] = (uint32_t)plan()->act(&a, plan());
}

static void recover(void *object)
{
	struct prusik_array a = view_of(object);
	int entered = prk_array_enter(&a, PRUSIK_FOREVER);

	if (entered >= 0)
		prk_array_leave(&a, entered);
}

static bool as_promised(const unsigned char *items)
{
	bool before = is_so(items, false), after = is_so(items, true);

	if (kill_run->finished)
		return kill_claim((int)kill_run->note[RESULT] == plan()->expects,
				  "the operation returns what it should") &&
		       kill_claim(after || plan()->section, "the items are as after");
	return kill_claim(before || after || plan()->section, "the items are as before, or as after");
}

static bool tells(void *object, const unsigned char *items)
{
	const struct plan *p = plan();
	int r = section_told(object);

	if (r < 0)
		return false;
	/* If all have died, so has an owner who was to live. */
	if (!p->section && !kill_run->everybody_died &&
	    !kill_claim(r == (p->held.orphan ? PRUSIK_RECOVERED : 0), "told of a death, if of one in between"))
		return false;
	if (p->section && kill_run->finished && !kill_claim(r == 0, "what is over is not told of"))
		return false;
	return !p->section || r != 0 ||
	       kill_claim(is_so(items, false) || kill_run->finished || items[0] != OLD,
			  "not told of a death: nothing has been written, or it had ended");
}

static bool serves(struct prusik_array *a)
{
	unsigned char items[WORDS_MAX * 8];
	bool ok = kill_claim(prusik_array_fill(a, 0, INT64_MAX, all(5)) == plan()->length, "a newcomer can fill") &&
		  kill_claim(read_all(a, items) && items[0] == 5 && items[a->length * a->item_size - 1] == 5,
			     "and read") &&
		  kill_claim(prusik_array_set(a, -1, all(6)) == 0, "and set") &&
		  kill_claim(read_all(a, items) && items[a->length * a->item_size - 1] == 6, "and read that");

	return ok && kill_claim(a->body->count == 0 && a->body->version % 2 == 0, "nothing is left to be done");
}

static bool check(void *object)
{
	struct prusik_array a = view_of(object);
	unsigned char items[WORDS_MAX * 8], again[WORDS_MAX * 8];

	if (!kill_claim(read_all(&a, items), "it can be read") || !as_promised(items))
		return false;
	recover(object);
	return kill_claim(read_all(&a, again) && memcmp(items, again, a.length * a.item_size) == 0,
			  "what was read is not taken back") &&
	       tells(object, items) && serves(&a);
}

#define ARRAY(operation_, state_, ...)                                                                                 \
	.noun = "array", .operation = operation_, .state = state_, .size = sizeof(struct box),                         \
	.data = &(const struct plan){ .held.verbs = &verbs, __VA_ARGS__ }, .victim = victim, .recover = recover,       \
	.check = check
#define CASE(operation_, state_, ...) ARRAY(operation_, state_, __VA_ARGS__), .setup = setup
#define HELD(operation_, state_, ...) ARRAY(operation_, state_, __VA_ARGS__), .is = KILL_WARM | KILL_NO_SNAPSHOT
#define BESIDE .beside = beside
#define INT64(n) .kind = PRUSIK_ARRAY_INT64, .item_size = 8, .length = n
#define INT16(n) .kind = PRUSIK_ARRAY_INT16, .item_size = 2, .length = n
#define RECORDS(n) .kind = PRUSIK_ARRAY_BYTES, .item_size = 21, .length = n

static const struct kill_case array_cases[] = {
	{ CASE("set", "one", INT64(1), .to = 1, .act = set), BESIDE },
	{ CASE("set", "within a word", INT16(10), .from = 5, .to = 6, .act = set), BESIDE },
	{ CASE("set", "a record", RECORDS(4), .from = 1, .to = 2, .act = set), BESIDE },
	{ CASE("cas", "many", INT64(5), .from = 2, .to = 3, .act = cas), BESIDE },
	{ CASE("cas", "a record", RECORDS(4), .from = 3, .to = 4, .act = cas) },
	{ CASE("add", "many", INT64(5), .from = 4, .to = 5, .act = add), BESIDE },
	{ CASE("add", "within a word", INT16(10), .from = 5, .to = 6, .act = add), BESIDE },
	{ CASE("set_slice", "within a word", INT16(10), .from = 1, .to = 3, .act = set_slice) },
	{ CASE("set_slice", "across words", INT16(20), .from = 3, .to = 14, .act = set_slice), BESIDE },
	{ CASE("set_slice", "records", RECORDS(4), .from = 1, .to = 4, .act = set_slice), BESIDE },
	{ CASE("fill", "all", INT64(12), .to = 12, .act = fill, .expects = 12), BESIDE },
	{ CASE("fill", "some", INT16(30), .from = 1, .to = 29, .act = fill, .expects = 28) },
	{ CASE("modify", "many", INT64(5), .from = 2, .to = 3, .act = modify, .expects = 1), BESIDE },
	{ CASE("modify", "a record", RECORDS(4), .from = 2, .to = 3, .act = modify, .expects = 1), BESIDE },
	{ CASE("modify_all", "one", INT64(1), .to = 1, .act = modify_all, .expects = 1) },
	{ CASE("modify_all", "many", INT64(8), .to = 8, .act = modify_all, .expects = 8), BESIDE },
	{ CASE("begin to end", "many", INT64(8), .to = 8, .act = section, .section = true), BESIDE },
	{ CASE("get slice", "many", INT64(8), .act = slice, .expects = 8), BESIDE },
	{ ARRAY("set", "a dead one has it", INT64(5), .from = 1, .to = 2, .act = set, .held.orphan = true),
	  .setup = section_orphaned, BESIDE },
	{ ARRAY("fill", "a dead one has it", INT64(8), .to = 8, .act = fill, .expects = 8, .held.orphan = true),
	  .setup = section_orphaned, BESIDE },
	{ ARRAY("begin to end", "a dead one has it", INT64(8), .to = 8, .act = section, .section = true,
		.expects = PRUSIK_RECOVERED),
	  .setup = section_orphaned },
	{ ARRAY("get slice", "a dead one has it", INT64(8), .act = slice, .expects = 8, .held.orphan = true),
	  .setup = section_orphaned },
	{ HELD("fill", "somebody has it", INT64(8), .to = 8, .act = fill, .expects = 8), .setup = section_had,
	  .unblock = section_let_go },
	{ HELD("get slice", "somebody has it", INT64(8), .act = slice, .expects = 8), .setup = section_had,
	  .unblock = section_let_go },
	{ HELD("fill", "who has it dies", INT64(8), .to = 8, .act = fill, .expects = 8, .held.orphan = true),
	  .setup = section_kept, .unblock = section_owner_dies },
};

const struct kill_table kill_array_table = KILL_TABLE(array_cases);
