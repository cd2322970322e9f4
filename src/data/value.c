/* SPDX-License-Identifier: MIT */
/* value: reading, writing and waiting (value.h says how) */
#include "data/value.h"

#include "base/wait.h"
#include "data/heap.h"

#include <limits.h>
#include <string.h>

#define AWAY PRK_VALUE_AWAY
#define ASLEEP UINT32_C(1)

/* A record is read so often before the lock is taken for it. */
#define TRIES 1000

union number {
	int64_t i;
	uint64_t u;
	double d;
};

_Static_assert(sizeof(union number) == 8, "one word");

/* ---- telling those who wait ---- */

/* Returns 0, as tell. */
static __attribute__((noinline)) int ring(struct prk_value_body *b, uint32_t seen)
{
	while (seen & ASLEEP) {
		/* sc [value.changes]: pairs with announce; the value has changed already */
		if (prk_cas32_sc(&b->changes, &seen, (seen | ASLEEP) + ASLEEP)) {
			prk_wake(&b->changes, INT_MAX);
			break;
		}
	}
	return 0;
}

/* The value has changed, by an sc store or CAS, before this. Returns 0: the end of a verb. */
static inline int tell(struct prk_value_body *b)
{
	uint32_t seen = prk_load32_sc(&b->changes); /* sc [value.changes]: pairs with announce */

	return __builtin_expect(seen & ASLEEP, 0) ? ring(b, seen) : 0;
}

/* ---- the lock ---- */

/* The number is in held from here on. The lock is held. */
static void take_away(struct prk_value_body *b)
{
	uint64_t seen = prk_load64_acq(&b->word); /* acq [value.word] */

	while (seen != AWAY) {
		prk_store64_rel(&b->held, seen); /* V-H, rel [value.held] */
		prk_barrier();
		/* V-A, sc [value.word]: publishes held */
		if (prk_cas64_sc(&b->word, &seen, AWAY))
			return;
	}
}

static inline bool is_number(const struct prusik_value *v)
{
	return v->kind != PRUSIK_VALUE_BYTES;
}

/* For a verb or a section; results as of prk_section_enter. */
static int enter(struct prusik_value *v, int64_t deadline)
{
	int r = prk_section_enter(&v->body->section, deadline);

	if (r >= 0 && is_number(v))
		take_away(v->body);
	return r;
}

static void leave(struct prusik_value *v, int entered)
{
	struct prk_value_body *b = v->body;

	if (entered != PRK_SECTION_MINE && is_number(v))
		prk_store64_rel(&b->word, prk_load64_rlx(&b->held)); /* V-B, rel [value.word] */
	prk_section_leave(&b->section, entered);
}

int prusik_value_lock(struct prusik_value *value, int64_t deadline)
{
	int r = value ? enter(value, deadline) : -EINVAL;

	if (r < 0)
		return r;
	return r == PRK_SECTION_MINE ? -EDEADLK : prk_section_open(&value->body->section);
}

int prusik_value_unlock(struct prusik_value *value)
{
	int r = value ? prk_section_may_close(&value->body->section) : -EINVAL;

	if (r < 0)
		return r;
	prk_section_close(&value->body->section);
	leave(value, 0);
	return 0;
}

/* ---- numbers ---- */

/* Now, wherever it is. No older than what the caller has read before. */
static inline uint64_t number_now(const struct prk_value_body *b)
{
	uint64_t word = prk_load64_sc(&b->word); /* sc [value.word]: pairs with the CAS in change, and with tell */

	/* acq [value.held]: what is stored there by now has been the number since word was looked at */
	return word == AWAY ? prk_load64_acq(&b->held) : word;
}

enum verb { SET, ADD, CAS };

static inline double real(uint64_t bits)
{
	return ((union number){ .u = bits }).d;
}

/* What a verb makes of a number, all of them as bits: 0, -EOVERFLOW, -ESTALE. */
static inline int step(uint32_t kind, enum verb verb, uint64_t old, uint64_t a, uint64_t b, uint64_t *ret_new)
{
	int64_t sum = 0;
	bool over = false;

	*ret_new = verb == CAS ? b : a;
	if (verb == CAS)
		return old == a ? 0 : -ESTALE;
	if (verb == SET)
		return 0;
	if (kind == PRUSIK_VALUE_DOUBLE) {
		*ret_new = ((union number){ .d = real(old) + real(a) }).u;
		return 0;
	}
	if (kind == PRUSIK_VALUE_UNSIGNED)
		over = __builtin_add_overflow(old, (int64_t)a, ret_new);
	else if (!(over = __builtin_add_overflow((int64_t)old, (int64_t)a, &sum)))
		*ret_new = (uint64_t)sum;
	return over ? -EOVERFLOW : 0;
}

/*
 * Somebody has the lock, or had it when he died, or the number is, or becomes, AWAY; or
 * the caller takes no part yet. ret_new, unless NULL, gets its bits.
 */
static __attribute__((noinline)) int change_held(struct prusik_value *v, enum verb verb, uint64_t a, uint64_t b,
						 void *ret_new)
{
	uint64_t new;
	int entered = enter(v, PRUSIK_FOREVER);

	if (entered < 0)
		return entered;
	int r = step(v->kind, verb, prk_load64_rlx(&v->body->held), a, b, &new);
	if (r == 0)
		prk_store64_sc(&v->body->held, new); /* V-S, sc [value.held]: as the CAS in change */
	leave(v, entered);
	if (r < 0)
		return r;
	if (ret_new)
		memcpy(ret_new, &new, sizeof new);
	return tell(v->body);
}

/* Nothing but registers on the fast way, and no call that must come back. */
static inline __attribute__((always_inline)) int change(struct prusik_value *v, uint32_t kind, enum verb verb,
							uint64_t a, uint64_t b, void *ret_new)
{
	struct prk_value_body *body = v->body;
	uint64_t old = prk_load64_rlx(&body->word), new;

	/* Who takes no part must not change it: nobody would hear of his death (prk_value_body). */
	if (__builtin_expect(prk_self()->id == 0, 0))
		return change_held(v, verb, a, b, ret_new);
	do {
		if (__builtin_expect(old == AWAY, 0))
			return change_held(v, verb, a, b, ret_new);
		int r = step(kind, verb, old, a, b, &new);
		if (r < 0)
			return r;
		if (__builtin_expect(new == AWAY, 0))
			return change_held(v, verb, a, b, ret_new);
		/* V-C, sc [value.word]: publishes what was done before; then tell looks for sleepers */
	} while (!prk_cas64_sc(&body->word, &old, new));
	if (ret_new)
		memcpy(ret_new, &new, sizeof new);
	return tell(body);
}

static inline int is_of(const struct prusik_value *v, uint32_t kind)
{
	if (__builtin_expect(v && v->kind == kind, 1))
		return 0;
	return v ? -EPROTOTYPE : -EINVAL;
}

#define BITS(name, value) ((union number){ .name = (value) }).u

/* get, set, add and cas of a kind: suffix of the names, its type, the member of union number, delta's type and member. */
#define NUMBER_VERBS(suffix, its_kind, type, member, delta_type, delta_member)                                         \
	int prusik_value_get##suffix(const struct prusik_value *value, type *ret_number)                               \
	{                                                                                                              \
		int r = ret_number ? is_of(value, its_kind) : -EINVAL;                                                 \
                                                                                                                       \
		if (r == 0)                                                                                            \
			*ret_number = ((union number){ .u = number_now(value->body) }).member;                         \
		return r;                                                                                              \
	}                                                                                                              \
	int prusik_value_set##suffix(struct prusik_value *value, type number)                                          \
	{                                                                                                              \
		int r = is_of(value, its_kind);                                                                        \
                                                                                                                       \
		return r < 0 ? r : change(value, its_kind, SET, BITS(member, number), 0, NULL);                        \
	}                                                                                                              \
	int prusik_value_add##suffix(struct prusik_value *value, delta_type delta, type *ret_number)                   \
	{                                                                                                              \
		int r = is_of(value, its_kind);                                                                        \
                                                                                                                       \
		return r < 0 ? r : change(value, its_kind, ADD, BITS(delta_member, delta), 0, ret_number);             \
	}                                                                                                              \
	int prusik_value_cas##suffix(struct prusik_value *value, type expected, type number)                           \
	{                                                                                                              \
		int r = is_of(value, its_kind);                                                                        \
                                                                                                                       \
		return r < 0 ? r : change(value, its_kind, CAS, BITS(member, expected), BITS(member, number), NULL);   \
	}

NUMBER_VERBS(, PRUSIK_VALUE_INT, int64_t, i, int64_t, i)
NUMBER_VERBS(_unsigned, PRUSIK_VALUE_UNSIGNED, uint64_t, u, int64_t, i)
NUMBER_VERBS(_double, PRUSIK_VALUE_DOUBLE, double, d, double, d)

/* ---- records ---- */

/* Read until nobody has written to it meanwhile: 0; 1: writers leave no gap. */
static int read_record(const struct prusik_value *v, void *buffer)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t turn = prk_load64_sc(&v->body->word); /* sc [value.turn]: pairs with V-T, and with tell */
		prk_peek(buffer, prk_value_copy(v, turn), v->size);
		if (prk_load64_acq(&v->body->word) == turn) /* acq [value.turn] */
			return 0;
	}
	return 1;
}

static int copy_record(struct prusik_value *v, void *buffer)
{
	if (read_record(v, buffer) == 0)
		return 0;
	int entered = enter(v, PRUSIK_FOREVER);
	if (entered < 0)
		return entered;
	prk_peek(buffer, prk_value_copy(v, prk_load64_rlx(&v->body->word)), v->size);
	leave(v, entered);
	return 0;
}

/* The record becomes these bytes. The lock is held. */
static void write_record(struct prusik_value *v, const void *bytes)
{
	uint64_t turn = prk_load64_rlx(&v->body->word);

	/* rel [value.turn]: who peeks at it as at the record of a turn ago sees that turn has changed */
	prk_heap_fill(prk_value_copy(v, turn + 1), bytes, v->size);
	prk_barrier();
	prk_store64_sc(&v->body->word, turn + 1); /* V-T, sc [value.turn]: publishes the copy; then tell looks */
}

int64_t prusik_value_get_bytes(struct prusik_value *value, void *buffer, uint64_t capacity)
{
	int r = buffer ? is_of(value, PRUSIK_VALUE_BYTES) : -EINVAL;

	if (r < 0)
		return r;
	if (capacity < value->size)
		return -EMSGSIZE;
	r = copy_record(value, buffer);
	return r < 0 ? r : (int64_t)value->size;
}

static int check_record(const struct prusik_value *v, const void *bytes, uint64_t length)
{
	int r = bytes ? is_of(v, PRUSIK_VALUE_BYTES) : -EINVAL;

	if (r < 0)
		return r;
	return length == v->size ? 0 : -EMSGSIZE;
}

/* expected NULL: whatever it is. */
static int change_record(struct prusik_value *v, const void *expected, const void *bytes)
{
	int entered = enter(v, PRUSIK_FOREVER);

	if (entered < 0)
		return entered;
	const uint64_t *now = prk_value_copy(v, prk_load64_rlx(&v->body->word));
	int r = !expected || prk_peek_equal(now, expected, v->size) ? 0 : -ESTALE;
	if (r == 0)
		write_record(v, bytes);
	leave(v, entered);
	if (r == 0)
		tell(v->body);
	return r;
}

int prusik_value_set_bytes(struct prusik_value *value, const void *bytes, uint64_t length)
{
	int r = check_record(value, bytes, length);

	return r < 0 ? r : change_record(value, NULL, bytes);
}

int prusik_value_cas_bytes(struct prusik_value *value, const void *expected, const void *bytes, uint64_t length)
{
	int r = expected ? check_record(value, bytes, length) : -EINVAL;

	return r < 0 ? r : change_record(value, expected, bytes);
}

/* ---- several steps ---- */

/* Any value, as the function of modify has it. */
union scratch {
	union number number;
	uint64_t words[PRUSIK_VALUE_BYTES_MAX / 8];
};

static void load(const struct prusik_value *v, union scratch *scratch)
{
	if (is_number(v))
		scratch->number.u = prk_load64_rlx(&v->body->held);
	else
		prk_peek(scratch->words, prk_value_copy(v, prk_load64_rlx(&v->body->word)), v->size);
}

static void store(struct prusik_value *v, const union scratch *scratch)
{
	if (is_number(v))
		prk_store64_sc(&v->body->held, scratch->number.u); /* V-S, sc [value.held] */
	else
		write_record(v, scratch->words);
}

int prusik_value_modify(struct prusik_value *value, prusik_value_modify_fn function, void *context)
{
	union scratch scratch;
	int entered = value && function ? enter(value, PRUSIK_FOREVER) : -EINVAL;

	if (entered < 0)
		return entered;
	load(value, &scratch);
	prk_section_inside(&value->body->section, true);
	int r = function(context, &scratch, value->size);
	prk_section_inside(&value->body->section, false);
	if (r >= 0)
		store(value, &scratch);
	leave(value, entered);
	if (r >= 0)
		tell(value->body);
	return r;
}

/* ---- waiting ---- */

/* Is it something else than seen? 1, 0, or why it could not be looked at. */
static int differs(struct prusik_value *v, const void *seen, union scratch *scratch)
{
	if (is_number(v))
		scratch->number.u = number_now(v->body);
	int r = is_number(v) ? 0 : copy_record(v, scratch);
	return r < 0 ? r : memcmp(scratch, seen, v->size) != 0;
}

/* Before looking at the value: the word to sleep on. */
static uint32_t announce(struct prk_value_body *b)
{
	uint32_t seen = prk_load32_rlx(&b->changes);

	/* sc [value.changes]: pairs with tell: he sees it, or we see what he has changed */
	while (!(seen & ASLEEP) && !prk_cas32_sc(&b->changes, &seen, seen | ASLEEP))
		;
	return seen | ASLEEP;
}

int prusik_value_wait(struct prusik_value *value, const void *seen, int64_t deadline)
{
	union scratch scratch;
	int r = value && seen ? prk_joined() : -EINVAL;

	if (r == 0)
		r = differs(value, seen, &scratch);
	if (r == 0 && deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	while (r == 0) {
		uint32_t epoch = prk_epoch();
		uint32_t word = announce(value->body);
		r = differs(value, seen, &scratch);
		if (r == 0)
			r = prk_wait(&value->body->changes, word, epoch, deadline);
	}
	return r < 0 ? r : 0;
}
