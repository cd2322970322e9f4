/* SPDX-License-Identifier: MIT */
/* What becomes of items between take and done; delays, the dead, reservations, names. */
#include "party.h"

#include "data/queue.h"

#include <prusik/named.h>
#include <prusik/queue.h>

static struct prusik_queue *new_queue(enum party_kind kind, struct prusik_queue_options options)
{
	struct prusik_queue *queue = NULL;
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, prusik_queue_size(&options) + 65536, &arena), 0);
	ck_assert_int_eq(prusik_queue_create(arena, arena ? "items" : NULL, &options, &queue), 0);
	party_keep(arena);
	return party_keep(queue);
}

static void put(struct prusik_queue *q, const char *text)
{
	ck_assert_int_eq(prusik_queue_put(q, text, strlen(text) + 1, PRUSIK_NOW), 0);
}

static void put_later(struct prusik_queue *q, const char *text, int64_t not_before)
{
	struct prusik_queue_put_options options = { .not_before = not_before };

	ck_assert_int_eq(prusik_queue_put_with(q, text, strlen(text) + 1, &options, PRUSIK_NOW), 0);
}

/* What comes next, taken out; "" when nothing does. */
static const char *get(struct prusik_queue *q, int64_t deadline)
{
	static char text[64];

	text[0] = '\0';
	int64_t r = prusik_queue_get(q, text, sizeof text, deadline);
	ck_assert(r > 0 || r == -ETIMEDOUT);
	return text;
}

static struct prusik_lease take(struct prusik_queue *q, const char *expected, uint32_t attempt)
{
	struct prusik_lease lease;

	ck_assert_int_eq(prusik_queue_take(q, &lease, PRUSIK_NOW), 0);
	ck_assert_str_eq(lease.data, expected);
	ck_assert_uint_eq(lease.attempt, attempt);
	return lease;
}

static struct prusik_queue_stats stats(struct prusik_queue *q)
{
	struct prusik_queue_stats s;

	ck_assert_int_eq(prusik_queue_stats(q, &s), 0);
	ck_assert(prk_queue_valid(q));
	return s;
}

/* ---- giving back ---- */

static void retry_at_once(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 4 });

	put(q, "a");
	put(q, "b");
	struct prusik_lease lease = take(q, "a", 1);
	ck_assert_int_eq(prusik_queue_retry(q, &lease, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_done(q, &lease), -ESTALE);
	ck_assert_int_eq(prusik_queue_retry(q, &lease, PRUSIK_NOW), -ESTALE);
	ck_assert_uint_eq(stats(q).retried, 1);
	lease = take(q, "a", 2); /* the front of the line */
	ck_assert_int_eq(prusik_queue_done(q, &lease), 0);
	ck_assert_str_eq(get(q, PRUSIK_NOW), "b");
	ck_assert_uint_eq(stats(q).done, 2);
}
BOTH(retry_at_once)

static void release_does_not_count(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 4, .attempts_max = 1 });

	put(q, "a");
	for (int i = 0; i < 3; i++) {
		struct prusik_lease lease = take(q, "a", 1), old = lease;
		ck_assert_int_eq(prusik_queue_release(q, &lease), 0);
		ck_assert_int_eq(prusik_queue_done(q, &old), -ESTALE);
		struct prusik_lease again = take(q, "a", 1);
		ck_assert_int_eq(prusik_queue_done(q, &old), -ESTALE); /* though the attempt is the same */
		ck_assert_int_eq(prusik_queue_release(q, &again), 0);
	}
	ck_assert_uint_eq(stats(q).dead, 0);
}
BOTH(release_does_not_count)

static void retry_later(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 4 });

	put(q, "a");
	put(q, "b");
	struct prusik_lease lease = take(q, "a", 1);
	ck_assert_int_eq(prusik_queue_retry(q, &lease, prusik_in_s(1000)), 0);
	ck_assert_uint_eq(stats(q).delayed, 1);
	ck_assert_str_eq(get(q, PRUSIK_NOW), "b");
	ck_assert_str_eq(get(q, PRUSIK_NOW), "");
	ck_assert_int_eq(prusik_queue_join(q, PRUSIK_NOW), -ETIMEDOUT);

	put(q, "c");
	lease = take(q, "c", 1);
	int64_t due = prusik_in_ms(60);
	ck_assert_int_eq(prusik_queue_retry(q, &lease, due), 0);
	ck_assert_str_eq(get(q, PRUSIK_FOREVER), "c");
	ck_assert_int_ge(prusik_now(), due);
	ck_assert_uint_eq(stats(q).done, 2);
}
BOTH(retry_later)

/* ---- delays ---- */

static void delayed_items_come_when_due(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 8 });
	int64_t begin = prusik_now(), due[3] = { begin + 60000000, begin + 30000000, begin + 90000000 };
	char name[2] = "x";
	uint32_t seen = 0;

	for (int i = 0; i < 3; i++, name[0]++)
		put_later(q, name, due[i]);
	for (int i = 0; i < 3; i++) { /* in this order, unless we are so late that several are due */
		if (i == 2) /* closing does not lose it */
			ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DRAIN), 0);
		int which = get(q, PRUSIK_FOREVER)[0] - 'x';
		ck_assert(which >= 0 && which < 3 && prusik_now() >= due[which]);
		seen |= 1u << which;
	}
	ck_assert_uint_eq(seen, 7);
	ck_assert_int_eq(prusik_queue_take(q, &(struct prusik_lease){ 0 }, PRUSIK_FOREVER), -EPIPE);
}
BOTH(delayed_items_come_when_due)

static void what_is_not_due_stays(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 8 });

	put_later(q, "z", prusik_in_s(1000));
	put_later(q, "y", prusik_in_s(900));
	put(q, "a");
	ck_assert_str_eq(get(q, PRUSIK_NOW), "a");
	ck_assert_str_eq(get(q, PRUSIK_NOW), "");
	ck_assert_str_eq(get(q, prusik_in_ms(5)), "");
	ck_assert_int_eq(prusik_queue_length(q), 0);
	ck_assert_uint_eq(stats(q).delayed, 2);
}
BOTH(what_is_not_due_stays)

struct share {
	struct prusik_queue *queue;
	int step;
	struct prusik_lease lease;
	char text[16];
};

static struct share *new_share(enum party_kind kind, struct prusik_queue_options options)
{
	struct share *share = party_memory(kind, sizeof *share);

	share->queue = new_queue(kind, options);
	return share;
}

static int wait_for_one(void *shared, int index)
{
	struct share *share = shared;

	prk_add32_acqrel((uint32_t *)&share->step, 1);
	int64_t r = prusik_queue_get(share->queue, share->text + 4 * index, 4, PRUSIK_FOREVER);
	PARTY_CHECK(r == 2);
	return 0;
}

/* Those asleep know of a nearer time, whoever sorts it in. */
static void sleepers_learn_of_delays(enum party_kind kind)
{
	struct share *share = new_share(kind, (struct prusik_queue_options){ .capacity = 8 });
	struct party *p[3];

	for (int i = 0; i < 3; i++)
		p[i] = party_start(kind, wait_for_one, share, i);
	party_await(&share->step, 3);
	pause_ms(20);
	put_later(share->queue, "x", prusik_in_ms(80));
	put_later(share->queue, "y", prusik_in_ms(40));
	put_later(share->queue, "z", prusik_in_ms(40));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(party_join(p[i]), 0);
	ck_assert_uint_eq(stats(share->queue).done, 3);
}
BOTH(sleepers_learn_of_delays)

/* ---- the dead ---- */

static void dies_after_the_last_attempt(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 4, .attempts_max = 2 });
	char text[8];
	uint64_t number = 0;
	uint32_t attempts;

	put(q, "a");
	put(q, "b");
	put(q, "c");
	struct prusik_lease lease = take(q, "a", 1);
	ck_assert_int_eq(prusik_queue_retry(q, &lease, PRUSIK_NOW), 0);
	lease = take(q, "a", 2);
	ck_assert_int_eq(prusik_queue_retry(q, &lease, PRUSIK_NOW), 1); /* told that it is dead */
	lease = take(q, "b", 1);
	ck_assert_int_eq(prusik_queue_bury(q, &lease), 0);
	lease = take(q, "c", 1);
	ck_assert_int_eq(prusik_queue_done(q, &lease), 0);
	ck_assert_int_eq(prusik_queue_join(q, PRUSIK_NOW), 0); /* nobody will do them */
	ck_assert_uint_eq(stats(q).dead, 2);
	ck_assert_uint_eq(stats(q).buried, 2);

	ck_assert_int_eq(prusik_queue_dead_peek(q, &number, text, 1, &attempts), -EMSGSIZE);
	ck_assert_int_eq(prusik_queue_dead_peek(q, &number, text, sizeof text, &attempts), 2);
	ck_assert(strcmp(text, "a") == 0 && attempts == 2);
	ck_assert_int_eq(prusik_queue_dead_peek(q, &number, text, sizeof text, &attempts), 2);
	ck_assert(strcmp(text, "b") == 0 && attempts == 0);
	ck_assert_int_eq(prusik_queue_dead_peek(q, &number, text, sizeof text, &attempts), -ETIMEDOUT);

	ck_assert_int_eq(prusik_queue_dead_requeue(q, 1), 1);
	lease = take(q, "a", 1);
	ck_assert_int_eq(prusik_queue_done(q, &lease), 0);
	ck_assert_int_eq(prusik_queue_dead_get(q, text, sizeof text), 2);
	ck_assert_str_eq(text, "b");
	ck_assert_int_eq(prusik_queue_dead_get(q, text, sizeof text), -ETIMEDOUT);
	ck_assert_uint_eq(stats(q).done, 3);
	ck_assert_uint_eq(stats(q).dead, 0);
}
BOTH(dies_after_the_last_attempt)

static int take_and_die(void *shared)
{
	struct share *share = shared;

	if (prusik_queue_take(share->queue, &share->lease, PRUSIK_NOW) < 0)
		return 1;
	raise(SIGKILL);
	return 1;
}

/* A poison item does not kill workers for ever. */
static void poison(enum prusik_queue_kind kind)
{
	struct share *share =
		new_share(PROCESSES, (struct prusik_queue_options){ .capacity = 8, .attempts_max = 3, .kind = kind });

	put(share->queue, "a");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(test_join(test_fork(take_and_die, share)), -SIGKILL);
	put(share->queue, "b");
	ck_assert_str_eq(get(share->queue, PRUSIK_NOW), "b");
	struct prusik_queue_stats s = stats(share->queue);
	ck_assert(s.dead == 1 && s.returned == 3 && s.ready == 0 && s.leased == 0);
	ck_assert_int_eq(prusik_queue_dead_requeue(share->queue, 9), 1);
	ck_assert_str_eq(get(share->queue, PRUSIK_NOW), "a");
}

TEST(poison_fifo)
{
	poison(PRUSIK_QUEUE_FIFO);
}

TEST(poison_lifo)
{
	poison(PRUSIK_QUEUE_LIFO);
}

TEST(poison_priority)
{
	poison(PRUSIK_QUEUE_PRIORITY);
}

/* The one who joins is told when the last item has died with its worker. */
static int join_it(void *shared, int index)
{
	struct share *share = shared;

	(void)index;
	party_say(&share->step, 1);
	PARTY_CHECK(prusik_queue_join(share->queue, PRUSIK_FOREVER) == 0);
	return 0;
}

TEST(join_ends_when_the_last_item_dies)
{
	struct share *share = new_share(PROCESSES, (struct prusik_queue_options){ .capacity = 8, .attempts_max = 1 });

	put(share->queue, "a");
	struct party *p = party_start(PROCESSES, join_it, share, 0);
	party_await(&share->step, 1);
	pause_ms(10);
	ck_assert_int_eq(test_join(test_fork(take_and_die, share)), -SIGKILL);
	ck_assert_str_eq(get(share->queue, PRUSIK_NOW), ""); /* a taker's look is what returns leases */
	ck_assert_int_eq(party_join(p), 0);
}

/* ---- leases with a limit ---- */

static void a_lease_ends_by_time(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 4, .lease_ms = 60 });

	put(q, "a");
	int64_t taken = prusik_now();
	struct prusik_lease lease = take(q, "a", 1), second;
	uint32_t attempt = 1;
	do { /* again, if we are so late that this one is over, too */
		ck_assert_int_eq(prusik_queue_take(q, &second, PRUSIK_FOREVER), 0);
		ck_assert_int_ge(prusik_now(), taken + attempt * INT64_C(60000000));
		ck_assert_str_eq(second.data, "a");
		ck_assert_uint_eq(second.attempt, ++attempt);
		ck_assert_int_eq(prusik_queue_done(q, &lease), -ESTALE);
		ck_assert_int_eq(prusik_queue_extend(q, &lease, prusik_in_s(9)), -ESTALE);
	} while (prusik_queue_extend(q, &second, prusik_in_s(1000)) == -ESTALE);
	ck_assert_str_eq(get(q, prusik_in_ms(120)), ""); /* longer than the first limit */
	ck_assert_int_eq(prusik_queue_done(q, &second), 0);
	ck_assert_uint_eq(stats(q).returned, attempt - 1);
}
BOTH(a_lease_ends_by_time)

static void without_limit_there_is_nothing_to_extend(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 4 });

	put(q, "a");
	struct prusik_lease lease = take(q, "a", 1);
	ck_assert_int_eq(prusik_queue_extend(q, &lease, prusik_in_ms(1)), 0);
	pause_ms(5);
	ck_assert_str_eq(get(q, PRUSIK_NOW), "");
	ck_assert_int_eq(prusik_queue_done(q, &lease), 0);
	ck_assert_int_eq(prusik_queue_extend(q, &lease, prusik_in_ms(1)), -ESTALE);
	ck_assert_int_eq(prusik_queue_extend(q, &lease, 0), -EINVAL);
}
BOTH(without_limit_there_is_nothing_to_extend)

static int take_detach_and_end(void *shared)
{
	struct share *share = shared;
	int64_t until = share->step ? prusik_in_ms(share->step) : PRUSIK_FOREVER;

	if (prusik_queue_take(share->queue, &share->lease, PRUSIK_NOW) < 0)
		return 1;
	return prusik_queue_detach(share->queue, &share->lease, until) == 0 ? 0 : 2;
}

static void a_detached_lease_outlives_its_taker(enum prusik_queue_kind kind)
{
	struct share *share = new_share(PROCESSES, (struct prusik_queue_options){ .capacity = 4, .kind = kind });

	put(share->queue, "a");
	ck_assert_int_eq(test_join(test_fork(take_detach_and_end, share)), 0);
	ck_assert_str_eq(get(share->queue, prusik_in_ms(20)), "");
	ck_assert_int_eq(prusik_queue_done(share->queue, &share->lease), 0);

	put(share->queue, "b");
	share->step = 50;
	ck_assert_int_eq(test_join(test_fork(take_detach_and_end, share)), 0);
	ck_assert_str_eq(get(share->queue, PRUSIK_FOREVER), "b");
	ck_assert_int_eq(prusik_queue_done(share->queue, &share->lease), -ESTALE);
	ck_assert_uint_eq(stats(share->queue).done, 2);
}

TEST(a_detached_lease_fifo)
{
	a_detached_lease_outlives_its_taker(PRUSIK_QUEUE_FIFO);
}

TEST(a_detached_lease_priority)
{
	a_detached_lease_outlives_its_taker(PRUSIK_QUEUE_PRIORITY);
}

/* ---- reservations ---- */

static void reserve_and_commit(enum party_kind kind)
{
	struct prusik_queue *q = new_queue(kind, (struct prusik_queue_options){ .capacity = 3, .item_max = 16 });
	struct prusik_reservation r[4];

	ck_assert_int_eq(prusik_queue_reserve(q, 17, &r[0], PRUSIK_NOW), -EMSGSIZE);
	for (int lap = 0; lap < 9; lap++) {
		put(q, "first");
		ck_assert_int_eq(prusik_queue_reserve(q, 16, &r[0], PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_queue_reserve(q, 4, &r[1], PRUSIK_NOW), 0);
		ck_assert_int_eq(prusik_queue_reserve(q, 4, &r[2], prusik_in_ms(2)), -ETIMEDOUT);
		ck_assert_int_eq(prusik_queue_put(q, "x", 2, PRUSIK_NOW), -ETIMEDOUT);
		ck_assert_int_eq(prusik_queue_length(q), 1);
		ck_assert_uint_eq(stats(q).reserved, 2);
		strcpy(r[0].data, "third");
		strcpy(r[1].data, "2nd");
		ck_assert_int_eq(prusik_queue_commit(q, &r[1], 5, NULL), -EMSGSIZE);
		ck_assert_int_eq(prusik_queue_commit(q, &r[1], 4, NULL), 0);
		ck_assert_int_eq(prusik_queue_commit(q, &r[1], 4, NULL), -ESTALE);
		if (lap % 3 == 0) {
			ck_assert_int_eq(prusik_queue_abandon(q, &r[0]), 0);
			ck_assert_int_eq(prusik_queue_abandon(q, &r[0]), -ESTALE);
			put(q, "third");
		} else {
			ck_assert_int_eq(prusik_queue_commit(q, &r[0], 6, NULL), 0);
		}
		ck_assert_str_eq(get(q, PRUSIK_NOW), "first");
		ck_assert_str_eq(get(q, PRUSIK_NOW), "2nd");
		ck_assert_str_eq(get(q, PRUSIK_NOW), "third");
		ck_assert_int_eq(prusik_queue_join(q, PRUSIK_NOW), 0);
		ck_assert_uint_eq(stats(q).reserved, 0);
	}
	ck_assert_int_eq(prusik_queue_reserve(q, 4, &r[0], PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_close(q, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(prusik_queue_commit(q, &r[0], 4, NULL), -EPIPE);
	ck_assert_int_eq(prusik_queue_abandon(q, &r[0]), 0);
	ck_assert_int_eq(prusik_queue_reserve(q, 4, &r[0], PRUSIK_NOW), -EPIPE);
}
BOTH(reserve_and_commit)

static int reserve_and_die(void *shared)
{
	struct share *share = shared;
	struct prusik_reservation r;

	for (int i = 0; i < 3; i++)
		if (prusik_queue_reserve(share->queue, 4, &r, PRUSIK_NOW) < 0)
			return 1;
	strcpy(r.data, "no");
	raise(SIGKILL);
	return 1;
}

/* Its room is free again; also for one who waits for nothing but room. */
TEST(a_dead_ones_reservations_are_freed)
{
	struct share *share = new_share(PROCESSES, (struct prusik_queue_options){ .capacity = 3 });

	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(test_join(test_fork(reserve_and_die, share)), -SIGKILL);
		ck_assert_int_eq(prusik_queue_put(share->queue, "a", 2, prusik_in_s(10)), 0);
		ck_assert_str_eq(get(share->queue, PRUSIK_NOW), "a");
		ck_assert_str_eq(get(share->queue, PRUSIK_NOW), "");
	}
	ck_assert_uint_eq(stats(share->queue).reserved, 0);
}

/* ---- names ---- */

static int put_by_name(void *unused)
{
	struct prusik_queue *q;

	(void)unused;
	if (prusik_queue_open_named("jobs", NULL, PRUSIK_EXISTING, &q) < 0)
		return 1;
	int r = prusik_queue_put(q, "hello", 6, PRUSIK_NOW);
	prusik_queue_free(q);
	return r < 0 ? 2 : 0;
}

TEST(by_name)
{
	struct prusik_queue_options options = { .capacity = 5, .kind = PRUSIK_QUEUE_LIFO };
	struct prusik_queue *q = NULL, *other = NULL;

	ck_assert_int_eq(prusik_queue_open_named("jobs", &options, PRUSIK_EXISTING, &q), -ENOENT);
	ck_assert_int_eq(prusik_queue_open_named("jobs", &options, 0, &q), 0);
	ck_assert_int_eq(prusik_queue_open_named("jobs", NULL, PRUSIK_NEW, &other), -EEXIST);
	ck_assert_int_eq(prusik_queue_open_named("jobs", NULL, 0, &other), 0);
	ck_assert_uint_eq(stats(other).kind, PRUSIK_QUEUE_LIFO);
	ck_assert_int_eq(test_join(test_fork(put_by_name, NULL)), 0);
	ck_assert_str_eq(get(other, PRUSIK_NOW), "hello");
	ck_assert_int_eq(prusik_queue_open_named("jobs", &(struct prusik_queue_options){ .kind = 3 }, 0, &other),
			 -EINVAL);
	prusik_queue_free(other);
	prusik_queue_free(q);
	ck_assert_int_eq(prusik_queue_open_named("jobs", NULL, PRUSIK_EXISTING, &q), -ENOENT);
}

/* ---- whatever the bytes are ---- */

/* Every word of the body and the heaps becomes nonsense, in turn: calls give errors or items, and return. */
TEST(hostile_bytes_in_the_order)
{
	struct prusik_queue_options options = {
		.capacity = 8, .item_max = 8, .kind = PRUSIK_QUEUE_PRIORITY, .attempts_max = 2
	};
	static const uint32_t nonsense[] = { 0, 1, 7, 9, 0x7fffffff, 0xffffffff, 0x80000000 };
	struct prusik_queue *q = new_queue(THREADS, options);
	size_t bytes = prusik_queue_size(&options), from = offsetof(struct prk_queue_body, puts);
	char *good = malloc(bytes), text[16];
	struct prusik_lease lease;

	put(q, "a");
	put_later(q, "b", prusik_in_s(100));
	put(q, "c");
	ck_assert_int_eq(prusik_queue_take(q, &lease, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_bury(q, &lease), 0);
	memcpy(good, q->body, bytes);
	for (size_t at = from; at < (size_t)((char *)q->nodes - (char *)q->body) + 64; at += 4) {
		if (at >= offsetof(struct prk_queue_body, get_lock) &&
		    at < offsetof(struct prk_queue_body, get_lock) + 8)
			continue;
		for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
			uint64_t number = 0;
			memcpy(q->body, good, bytes);
			memcpy((char *)q->body + at, &nonsense[i], 4);
			(void)!prusik_queue_put(q, "z", 1, PRUSIK_NOW);
			if (prusik_queue_take(q, &lease, PRUSIK_NOW) == 0)
				(void)!prusik_queue_retry(q, &lease, PRUSIK_NOW);
			(void)!prusik_queue_dead_peek(q, &number, text, sizeof text, NULL);
			(void)!prusik_queue_dead_requeue(q, 2);
			(void)!prusik_queue_get(q, text, sizeof text, PRUSIK_NOW);
			(void)!prusik_queue_join(q, PRUSIK_NOW);
		}
	}
	memcpy(q->body, good, bytes);
	ck_assert(prk_queue_valid(q));
	free(good);
}
