/* SPDX-License-Identifier: MIT */
/* Many at once on one dict. */
#include "party.h"

#include "data/dict.h"

#include <prusik/dict.h>

#define PARTIES 4

struct share {
	struct prusik_dict *dict;
	struct prusik_arena *arena;
	int stop;
	int ready;
};

static struct share *new_share(enum party_kind kind, uint64_t bytes)
{
	struct prusik_dict_options options = { .room = bytes };
	struct share *s = party_memory(kind, sizeof *s);

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, bytes, &s->arena), 0);
	ck_assert_int_eq(prusik_dict_create(s->arena, s->arena ? "pairs" : NULL, &options, &s->dict), 0);
	party_keep(s->arena);
	party_keep(s->dict);
	return s;
}

static void must_be_sound(struct share *s)
{
	struct prk_dict_tally tally;
	struct prusik_arena_stats stats;

	ck_assert(prk_dict_valid(s->dict, &tally));
	if (s->arena) {
		ck_assert_int_eq(prusik_arena_stats(s->arena, &stats), 0);
		ck_assert_uint_eq(stats.blocks, tally.blocks);
	}
}

/* ---- many at once ---- */

#define ASKED 700

/* Every third key is there; its value is its number, so many times as the number says, modulo 9. */
static void fill_thirds(struct prusik_dict *d)
{
	struct prusik_dict_item items[ASKED];
	static uint32_t numbers[ASKED][10];

	for (uint32_t i = 0; i < ASKED; i++) {
		for (uint32_t k = 0; k < 10; k++)
			numbers[i][k] = 3 * i;
		items[i] = (struct prusik_dict_item){ numbers[i], 4, numbers[i], 4 * (3 * i % 9) };
	}
	ck_assert_int_eq(prusik_dict_update(d, items, ASKED), ASKED);
}

static void ask_many(enum party_kind kind)
{
	struct prusik_dict *d = new_share(kind, 1 << 20)->dict;
	struct prusik_dict_wanted wanted[ASKED];
	static uint32_t keys[ASKED], values[ASKED][10];

	fill_thirds(d);
	for (uint32_t i = 0; i < ASKED; i++) {
		keys[i] = i;
		wanted[i] = (struct prusik_dict_wanted){ &keys[i], 4, values[i], 12, 77 };
	}
	wanted[1] = (struct prusik_dict_wanted){ NULL, 4, NULL, 0, 77 };
	wanted[2] = (struct prusik_dict_wanted){ keys, PRUSIK_DICT_KEY_MAX + 1, NULL, 0, 77 };
	ck_assert_int_eq(prusik_dict_get_many(d, wanted, ASKED), 78 * 2);
	ck_assert_int_eq(wanted[1].result, -EINVAL);
	for (uint32_t i = 2; i < ASKED; i++) {
		uint32_t length = 4 * (i % 9);
		ck_assert_int_eq(wanted[i].result, i % 3 ? -ENOENT : length > 12 ? -EMSGSIZE : (int64_t)length);
		if (wanted[i].result > 0)
			ck_assert_uint_eq(values[i][2], i);
	}
	ck_assert_int_eq(prusik_dict_get_many(d, NULL, 0), 0);
	ck_assert_int_eq(prusik_dict_get_many(d, NULL, 1), -EINVAL);
	ck_assert_int_eq(prusik_dict_get_many(NULL, wanted, 1), -EINVAL);
}

TEST(many_keys_at_once)
{
	ask_many(THREADS);
	ask_many(PROCESSES);
}

/* ---- a number ---- */

#define ADDS 20000

static int bump(void *context, const void *old, uint64_t old_length, struct iovec *ret_value)
{
	int64_t *n = context;

	if (old && old_length != sizeof *n)
		return -EINVAL;
	*n = old ? *(const int64_t *)old + 1 : 1;
	*ret_value = (struct iovec){ n, sizeof *n };
	return PRUSIK_DICT_SET;
}

static int count_up(void *shared, int index)
{
	struct share *s = shared;
	int64_t n;

	for (int i = 0; i < ADDS; i++) {
		PARTY_CHECK(prusik_dict_add(s->dict, "sum", 3, index, NULL) >= 0);
		PARTY_CHECK(prusik_dict_modify(s->dict, "count", 5, bump, &n) == PRUSIK_DICT_SET);
		int64_t old = 0, len = prusik_dict_get(s->dict, "cas", 3, &old, sizeof old);
		int64_t new = old + 1;
		int r = prusik_dict_cas(s->dict, "cas", 3, len < 0 ? NULL : &old, sizeof old, &new, sizeof new);
		PARTY_CHECK(r == 0 || r == -ESTALE);
		if (r == 0)
			PARTY_CHECK(prusik_dict_add(s->dict, "won", 3, 1, NULL) >= 0);
	}
	return 0;
}

static int64_t number(struct share *s, const char *key)
{
	int64_t n = 0;

	ck_assert_int_eq(prusik_dict_get(s->dict, key, strlen(key), &n, sizeof n), sizeof n);
	return n;
}

static void no_change_is_lost(enum party_kind kind)
{
	struct share *s = new_share(kind, 1 << 20);

	party_run(kind, PARTIES, count_up, s);
	ck_assert_int_eq(number(s, "sum"), ADDS * (0 + 1 + 2 + 3));
	ck_assert_int_eq(number(s, "count"), ADDS * PARTIES);
	ck_assert_int_eq(number(s, "cas"), number(s, "won"));
	must_be_sound(s);
}
BOTH(no_change_is_lost)

/* ---- whole values ---- */

#define KEYS 300
#define ROUNDS 15000

/* A value says which key it is of, and all of its words agree. */
static uint64_t write_value(uint64_t *words, uint32_t key, uint64_t salt)
{
	uint64_t n = 1 + salt % 50;

	if (salt % 97 == 0)
		n = 700;
	for (uint64_t i = 0; i < n; i++)
		words[i] = (uint64_t)key << 32 | (salt & 0xffff) << 16 | n;
	return n * sizeof *words;
}

static bool is_value(const uint64_t *words, uint32_t key, int64_t length)
{
	uint64_t n = (uint64_t)length / sizeof *words;

	if (length <= 0 || length % 8 || words[0] >> 32 != key || (words[0] & 0xffff) != n)
		return false;
	for (uint64_t i = 1; i < n; i++)
		if (words[i] != words[0])
			return false;
	return true;
}

static int write_many(void *shared, int index)
{
	struct share *s = shared;
	static __thread uint64_t words[700];
	uint32_t state = (uint32_t)index * 7919 + 1;

	for (int i = 0; i < ROUNDS; i++) {
		state = state * 1103515245 + 12345;
		uint32_t key = (state >> 8) % KEYS;
		if (state >> 28 == 0)
			prusik_dict_delete(s->dict, &key, sizeof key);
		else
			PARTY_CHECK(prusik_dict_set(s->dict, &key, sizeof key, words,
						    write_value(words, key, state >> 4)) >= 0);
		if (i % 5000 == 4999 && index == 0)
			PARTY_CHECK(prusik_dict_clear(s->dict) == 0);
	}
	prk_store32_rel((uint32_t *)&s->stop, 1);
	return 0;
}

static int read_many(void *shared, int index)
{
	struct share *s = shared;
	static __thread uint64_t words[700];
	uint32_t state = (uint32_t)index;

	while (!party_word(&s->stop)) {
		state = state * 1103515245 + 12345;
		uint32_t key = (state >> 8) % KEYS, k;
		int64_t r = prusik_dict_get(s->dict, &key, sizeof key, words, sizeof words);
		PARTY_CHECK(r == -ENOENT || is_value(words, key, r));
		if (state >> 24 != 0)
			continue;
		struct prusik_dict_cursor cursor = { 0 };
		char seen[KEYS] = "";
		struct iovec key_to = { &k, sizeof k }, value = { words, sizeof words };
		while ((r = prusik_dict_next(s->dict, &cursor, &key_to, &value)) == 1) {
			PARTY_CHECK(k < KEYS && seen[k]++ == 0);
			PARTY_CHECK(is_value(words, k, (int64_t)value.iov_len));
			value.iov_len = sizeof words;
		}
		PARTY_CHECK(r == 0);
	}
	return 0;
}

static int read_or_write(void *shared, int index)
{
	return index % 2 ? read_many(shared, index) : write_many(shared, index);
}

static void readers_see_whole_values(enum party_kind kind)
{
	struct share *s = new_share(kind, UINT64_C(32) << 20);

	party_run(kind, PARTIES, read_or_write, s);
	must_be_sound(s);
}
BOTH(readers_see_whole_values)

/* ---- growing under readers ---- */

#define MANY 40000

static int grow_and_shrink(void *shared, int index)
{
	struct share *s = shared;

	for (uint32_t i = (uint32_t)index; i < MANY; i += 2)
		PARTY_CHECK(prusik_dict_set(s->dict, &i, sizeof i, &i, sizeof i) >= 0);
	for (uint32_t i = 100 + (uint32_t)index; i < MANY; i += 2)
		PARTY_CHECK(prusik_dict_delete(s->dict, &i, sizeof i) == 0);
	prk_add32_acqrel((uint32_t *)&s->stop, 1);
	return 0;
}

/* The first hundred keys were there from the start, and stay. */
static int look_for_what_stays(void *shared, int index)
{
	struct share *s = shared;
	uint32_t found;

	while (party_word(&s->stop) < 2) {
		for (uint32_t i = 0; i < 100; i++) {
			PARTY_CHECK(prusik_dict_get(s->dict, &i, sizeof i, &found, sizeof found) == sizeof found);
			PARTY_CHECK(found == i);
		}
		if (index % 2)
			continue;
		struct prusik_dict_cursor cursor = { 0 };
		struct iovec key = { &found, sizeof found };
		int seen = 0;
		while (prusik_dict_next(s->dict, &cursor, &key, NULL) == 1)
			seen += found < 100;
		PARTY_CHECK(seen == 100);
	}
	return 0;
}

static int grow_or_look(void *shared, int index)
{
	return index < 2 ? grow_and_shrink(shared, index) : look_for_what_stays(shared, index);
}

static void what_stays_is_always_found(enum party_kind kind)
{
	struct share *s = new_share(kind, UINT64_C(32) << 20);

	for (uint32_t i = 0; i < 100; i++)
		ck_assert_int_eq(prusik_dict_set(s->dict, &i, sizeof i, &i, sizeof i), 1);
	party_run(kind, PARTIES, grow_or_look, s);
	ck_assert_int_eq(prusik_dict_length(s->dict), 100);
	must_be_sound(s);
}
BOTH(what_stays_is_always_found)

/* ---- killed writers ---- */

static int write_for_ever(void *shared)
{
	struct share *s = shared;
	uint64_t words[700];
	uint32_t state = (uint32_t)getpid();

	for (;;) {
		state = state * 1103515245 + 12345;
		uint32_t key = (state >> 8) % KEYS;
		if (state >> 30 == 0)
			prusik_dict_delete(s->dict, &key, sizeof key);
		else if (prusik_dict_set(s->dict, &key, sizeof key, words, write_value(words, key, state >> 4)) < 0)
			return 1;
		if (prusik_dict_add(s->dict, "n", 1, 1, NULL) < 0)
			return 2;
		if (state >> 20 == 0)
			prusik_dict_clear(s->dict);
	}
}

TEST_WITHIN(writers_are_killed, 60)
{
	struct share *s = new_share(PROCESSES, UINT64_C(32) << 20);
	struct prusik_dict_stats stats;
	uint64_t words[700];

	for (int round = 0; round < 100; round++) {
		pid_t one = test_fork(write_for_ever, s), other = test_fork(write_for_ever, s);
		pause_ms(round % 7);
		test_kill(one);
		for (uint32_t key = 0; key < KEYS; key++) {
			int64_t r = prusik_dict_get(s->dict, &key, sizeof key, words, sizeof words);
			ck_assert(r == -ENOENT || is_value(words, key, r));
		}
		test_kill(other);
		must_be_sound(s);
	}
	ck_assert_int_eq(prusik_dict_stats(s->dict, &stats), 0);
	ck_assert_uint_ge(stats.keys, 0);
}

/* ---- watching one who dies ---- */

static int change_and_die(void *shared)
{
	struct share *s = shared;

	prusik_dict_set(s->dict, "k", 1, "v", 1);
	/* As if killed between the change and telling it. */
	s->dict->body->heap.lock.word = prk_self()->id;
	raise(SIGKILL);
	return 0;
}

TEST(a_watcher_hears_of_a_dead_ones_change)
{
	struct share *s = new_share(PROCESSES, 1 << 20);
	int64_t seen = prusik_dict_seen(s->dict, "k", 1);

	ck_assert_int_eq(test_join(test_fork(change_and_die, s)), -SIGKILL);
	seen = prk_load32_acq(&s->dict->body->changes[0]) / 2;
	ck_assert_int_eq(prusik_dict_wait(s->dict, NULL, 0, seen, PRUSIK_FOREVER), 0);
}

/* ---- hostile bytes ---- */

/* Every call, on an arena whose bytes are arbitrary: an error or nonsense, no crash, no end of it. */
static void use_all(struct prusik_dict *d, uint32_t key)
{
	char buffer[256];
	struct prusik_dict_cursor cursor = { 0 };
	struct prusik_dict_stats stats;
	struct iovec k = { buffer, 128 }, v = { buffer + 128, 128 };

	prusik_dict_get(d, &key, sizeof key, buffer, sizeof buffer);
	for (int i = 0; i < 200 && prusik_dict_next(d, &cursor, &k, &v) > 0; i++)
		k.iov_len = v.iov_len = 128;
	prusik_dict_set(d, &key, sizeof key, buffer, key % 256);
	prusik_dict_add(d, "n", 1, 1, NULL);
	prusik_dict_delete(d, &key, sizeof key);
	prusik_dict_pop(d, "n", 1, buffer, sizeof buffer);
	prusik_dict_length(d);
	prusik_dict_stats(d, &stats);
	prusik_dict_seen(d, &key, sizeof key);
	prusik_dict_clear(d);
}

static int survive(void *shared)
{
	struct share *s = shared;
	struct prusik_dict *d = s->dict;
	uint32_t state = (uint32_t)s->ready;
	char *bytes = (char *)d->body;
	uint64_t size = 16 << 10;

	/* Some bytes, or many; in the dict's body, or anywhere. */
	for (uint32_t n = 1 + state % 50 * (state % 3 == 0 ? 100 : 1); n > 0; n--) {
		state = state * 1103515245 + 12345;
		uint64_t at = (state >> 4) % size;
		if (at >= 64 || state % 2) {
			state = state * 1103515245 + 12345;
			bytes[at] = (char)(state >> 16);
		}
	}
	/* What names an owner of a lock may name one who lives; that is no business of ours here. */
	d->body->heap.lock = (struct prusik_lock){ 0 };
	for (uint32_t i = 0; i < 30; i++)
		use_all(d, i);
	return 0;
}

TEST_WITHIN(arbitrary_bytes, 120)
{
	for (int i = 0; i < 300; i++) {
		struct share *s = new_share(PROCESSES, 1 << 20);
		char value[300] = "";
		s->ready = i;
		for (uint32_t k = 0; k < 200; k++)
			ck_assert_int_eq(prusik_dict_set(s->dict, &k, sizeof k, value, k), 1);
		ck_assert_int_eq(test_join(test_fork(survive, s)), 0);
		prusik_arena_close(s->arena);
	}
}
