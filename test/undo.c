/* SPDX-License-Identifier: MIT */
/*
 * The undo log, and what all that have one do when strangers have written to it: an
 * error or nonsense, for ever -EPROTO where it shows; never a crash.
 */
#include "party.h"

#include "data/dict.h"
#include "data/list.h"
#include "data/queue.h"
#include "shm/arena.h"

#include <prusik/dict.h>
#include <prusik/list.h>

#define BYTES (UINT64_C(256) << 10)
#define NOBODY 0x3fffffffu /* an id that nobody has */

/* An arena with a queue, a dict and a list, some of each in use. */
struct stage {
	struct prusik_arena *arena;
	struct prusik_queue *queue;
	struct prusik_dict *dict;
	struct prusik_list *list;
	char *whole;
	uint64_t *link;
};

static struct stage *new_stage(enum prusik_queue_kind kind)
{
	struct prusik_arena_options fixed = { .size = BYTES, .limit = BYTES };
	struct prusik_queue_options options = { .capacity = 8, .item_max = 8, .kind = kind, .attempts_max = 2 };
	struct stage *s = party_keep(calloc(1, sizeof *s));

	ck_assert_int_eq(prusik_arena_create_with(NULL, &fixed, &s->arena), 0);
	ck_assert_int_eq(prusik_queue_create(s->arena, "queue", &options, &s->queue), 0);
	ck_assert_int_eq(prusik_dict_create(s->arena, "dict", NULL, &s->dict), 0);
	ck_assert_int_eq(prusik_list_create(s->arena, "list", NULL, &s->list), 0);
	ck_assert_int_eq(prusik_arena_root(s->arena, "block", &s->link), 0);
	for (int i = 0; i < 4; i++) {
		struct prusik_queue_put_options later = { .priority = -i, .not_before = i == 2 ? prusik_in_s(900) : 0 };
		ck_assert_int_eq(prusik_queue_put_with(s->queue, &i, sizeof i, &later, PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_dict_set(s->dict, &i, sizeof i, "value", 5), 1);
		ck_assert_int_eq(prusik_list_append(s->list, "item", 4), 0);
	}
	s->whole = party_keep(malloc(s->arena->size));
	memcpy(s->whole, s->arena->shm, s->arena->size);
	return s;
}

static void make_whole(struct stage *s)
{
	memcpy(s->arena->shm, s->whole, s->arena->size);
}

/* ---- each of them: where its log and lock are, and a call that changes something ---- */

static int use_queue(struct stage *s)
{
	struct prusik_lease lease[2];
	char text[8];
	uint64_t number = 0;
	int64_t r = prusik_queue_take_many(s->queue, lease, 2, PRUSIK_NOW);

	if (r == 2) {
		(void)prusik_queue_done(s->queue, &lease[1]);
		(void)prusik_queue_retry(s->queue, &lease[0], PRUSIK_NOW);
	}
	(void)!prusik_queue_put(s->queue, "x", 1, PRUSIK_NOW);
	(void)!prusik_queue_get(s->queue, text, sizeof text, PRUSIK_NOW);
	(void)!prusik_queue_dead_peek(s->queue, &number, text, sizeof text, NULL);
	(void)!prusik_queue_dead_requeue(s->queue, 2);
	(void)!prusik_queue_join(s->queue, PRUSIK_NOW);
	return (int)r;
}

static int use_dict(struct stage *s)
{
	int key = 2, r = prusik_dict_set(s->dict, &key, sizeof key, "another value", 13);

	for (key = 0; key < 40; key++)
		(void)!prusik_dict_set(s->dict, &key, sizeof key, "more", 4);
	(void)!prusik_dict_delete(s->dict, &key, sizeof key);
	(void)!prusik_dict_clear(s->dict);
	return r;
}

static int use_list(struct stage *s)
{
	int r = prusik_list_insert(s->list, 1, "between", 7);

	for (int i = 0; i < 40; i++)
		(void)!prusik_list_insert(s->list, i / 2, "more", 4);
	(void)!prusik_list_pop(s->list, 0, NULL, 0);
	(void)!prusik_list_clear(s->list);
	return r;
}

static int use_arena(struct stage *s)
{
	int r = prusik_arena_alloc(s->arena, 100, s->link);
	struct prusik_arena_stats stats;

	(void)!prusik_arena_stats(s->arena, &stats);
	(void)!prusik_arena_free(s->arena, s->link);
	return r;
}

struct owner {
	struct prk_undo *log;
	struct prusik_lock *lock;
	int (*use)(struct stage *s);
};

static uint32_t owners_of(struct stage *s, struct owner owner[4])
{
	owner[0] = (struct owner){ &s->queue->body->undo, &s->queue->body->get_lock, use_queue };
	owner[1] = (struct owner){ &s->dict->view.heap->undo, &s->dict->view.heap->lock, use_dict };
	owner[2] = (struct owner){ &s->list->view.heap->undo, &s->list->view.heap->lock, use_list };
	owner[3] = (struct owner){ &s->arena->shm->undo, &s->arena->shm->lock, use_arena };
	return 4;
}

static const uint32_t counts[] = { 1, 2, 31, 32, 33, 0x7fffffff, 0x80000000, UINT32_MAX };
#define COUNTS (sizeof counts / sizeof counts[0])

/* ---- the cases ---- */

/* Nobody died, so there is nothing to undo: refused, and not obeyed by anyone later. */
static void a_count_without_a_death(enum prusik_queue_kind kind)
{
	struct stage *s = new_stage(kind);
	struct owner owner[4];
	int r;

	for (uint32_t i = owners_of(s, owner); i-- > 0;)
		for (uint32_t c = 0; c < COUNTS; c++) {
			make_whole(s);
			owner[i].log->count = counts[c];
			ck_assert_msg((r = owner[i].use(s)) == -EPROTO, "owner %u, count %x: %d", i, counts[c], r);
			ck_assert_msg((r = owner[i].use(s)) == -EPROTO, "owner %u, count %x: %d", i, counts[c], r);
			owner[i].lock->word = NOBODY;
			ck_assert_msg((r = owner[i].use(s)) == -EPROTO, "owner %u, count %x: %d", i, counts[c], r);
		}
	make_whole(s);
	for (uint32_t i = owners_of(s, owner); i-- > 0;)
		ck_assert_int_ge(owner[i].use(s), 0);
}

TEST(a_count_without_a_death_fifo)
{
	a_count_without_a_death(PRUSIK_QUEUE_FIFO);
}

TEST(a_count_without_a_death_priority)
{
	a_count_without_a_death(PRUSIK_QUEUE_PRIORITY);
}

/* More entries than there is room for, where the last holder died. */
TEST(a_dead_ones_count_out_of_range)
{
	struct stage *s = new_stage(PRUSIK_QUEUE_FIFO);
	struct owner owner[4];
	int r;

	for (uint32_t i = owners_of(s, owner); i-- > 0;)
		for (uint32_t c = 0; c < COUNTS; c++) {
			if (counts[c] <= PRK_UNDO_MAX)
				continue;
			make_whole(s);
			owner[i].log->count = counts[c];
			owner[i].lock->word = NOBODY;
			ck_assert_msg((r = owner[i].use(s)) == -EPROTO, "owner %u, count %x: %d", i, counts[c], r);
			ck_assert_msg((r = owner[i].use(s)) == -EPROTO, "owner %u, count %x: %d", i, counts[c], r);
		}
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 16;
}

/* Near the log, anywhere in the arena, or anywhere at all. */
static int64_t random_distance(uint64_t *state)
{
	uint64_t n = next_random(state);

	switch (next_random(state) % 4) {
	case 0:
		return (int64_t)(n % 4096) - 2048;
	case 1:
		return (int64_t)(n % (2 * BYTES) - BYTES) & ~INT64_C(7);
	case 2:
		return (int64_t)(n << 20);
	default:
		return INT64_MIN + (int64_t)(n % 64);
	}
}

/* A dead one's entries of nonsense: obeyed as far as they name words of ours, or refused. */
static void entries_of_nonsense(enum prusik_queue_kind kind)
{
	struct stage *s = new_stage(kind);
	struct owner owner[4];
	uint64_t random = 1;

	for (int lap = 0; lap < 300; lap++)
		for (uint32_t i = owners_of(s, owner); i-- > 0;) {
			make_whole(s);
			owner[i].log->count = lap % 3 ? 1 + (uint32_t)next_random(&random) % PRK_UNDO_MAX : 1;
			for (uint32_t e = 0; e < PRK_UNDO_MAX; e++) {
				owner[i].log->entry[e].distance = random_distance(&random);
				owner[i].log->entry[e].old = next_random(&random) >> next_random(&random) % 48;
			}
			owner[i].lock->word = NOBODY;
			/* A lock that names a living thread would rightly be waited for. */
			ck_assert_uint_gt(NOBODY, prk_self()->id);
			int r = owner[i].use(s);
			ck_assert(r >= 0 || r == -EPROTO || r == -ETIMEDOUT || r == -EPIPE || r == -ENOSPC ||
				  r == -EINVAL || r == -EEXIST);
		}
}

TEST_WITHIN(entries_of_nonsense_fifo, 60)
{
	entries_of_nonsense(PRUSIK_QUEUE_FIFO);
}

TEST_WITHIN(entries_of_nonsense_lifo, 60)
{
	entries_of_nonsense(PRUSIK_QUEUE_LIFO);
}

TEST_WITHIN(entries_of_nonsense_priority, 60)
{
	entries_of_nonsense(PRUSIK_QUEUE_PRIORITY);
}

/* Somebody writes to it in the midst of a change. */
TEST(a_count_that_changes_under_a_change)
{
	struct {
		struct prk_undo log;
		uint64_t word;
	} m = { 0 };

	for (uint32_t c = 0; c < COUNTS; c++) {
		m.log.count = counts[c];
		m.log.damaged = 0;
		prk_undo_set64(&m.log, &m.word, c);
		prk_undo_set32(&m.log, (uint32_t *)&m.word, c + 1);
		ck_assert_uint_eq(m.log.damaged, counts[c] >= PRK_UNDO_MAX - 1);
		prk_undo_commit(&m.log);
		ck_assert(prk_undo_sound(&m.log) == (counts[c] < PRK_UNDO_MAX - 1));
	}
}

/* What is damaged stays so, also for who opens it. */
TEST(a_damaged_queue_is_not_opened)
{
	struct stage *s = new_stage(PRUSIK_QUEUE_FIFO);
	struct prusik_queue *other;

	s->queue->body->undo.count = 7;
	ck_assert_int_eq(use_queue(s), -EPROTO);
	ck_assert_int_eq(prusik_queue_open(s->arena, "queue", &other), -EPROTO);
	ck_assert(!prk_queue_valid(s->queue));
}
