/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "data/queue.h"

#include <errno.h>
#include <prusik/queue.h>

/* A queue that the parties of that kind share: in private memory, or in an arena. */
static struct prusik_queue *new_queue(enum party_kind kind, uint64_t capacity, uint64_t item_max)
{
	struct prusik_queue_options options = { .capacity = capacity, .item_max = item_max };
	struct prusik_queue *queue = NULL;
	struct prusik_arena *arena = NULL;

	if (kind == PROCESSES)
		ck_assert_int_eq(prusik_arena_create(NULL, prusik_queue_size(&options) + 65536, &arena), 0);
	ck_assert_int_eq(prusik_queue_create(arena, arena ? "items" : NULL, &options, &queue), 0);
	party_keep(arena);
	return party_keep(queue);
}

static void put(struct prusik_queue *queue, const char *text)
{
	ck_assert_int_eq(prusik_queue_put(queue, text, strlen(text), PRUSIK_NOW), 0);
}

static void get(struct prusik_queue *queue, const char *expected)
{
	char text[64] = "";

	ck_assert_int_eq(prusik_queue_get(queue, text, sizeof text - 1, PRUSIK_NOW), (int)strlen(expected));
	ck_assert_str_eq(text, expected);
}

static void in_order_and_bounded(enum party_kind kind)
{
	struct prusik_queue *queue = new_queue(kind, 3, 10);
	char text[16];

	for (int lap = 0; lap < 5; lap++) {
		ck_assert_int_eq(prusik_queue_length(queue), 0);
		ck_assert_int_eq(prusik_queue_get(queue, text, sizeof text, PRUSIK_NOW), -ETIMEDOUT);
		put(queue, "a");
		put(queue, "");
		put(queue, "0123456789");
		ck_assert_int_eq(prusik_queue_length(queue), 3);
		ck_assert_int_eq(prusik_queue_put(queue, "d", 1, PRUSIK_NOW), -ETIMEDOUT);
		ck_assert_int_eq(prusik_queue_put(queue, "d", 1, prusik_in_ms(5)), -ETIMEDOUT);
		get(queue, "a");
		put(queue, "d");
		get(queue, "");
		get(queue, "0123456789");
		get(queue, "d");
	}
	ck_assert(prk_queue_valid(queue));
}
BOTH(in_order_and_bounded)

TEST(misuse)
{
	struct prusik_queue_options huge = { .capacity = UINT64_MAX }, wide = { .item_max = UINT64_MAX };
	struct prusik_queue *queue = NULL;
	struct prusik_lease lease;
	char text[8];

	ck_assert_int_eq(prusik_queue_create(NULL, NULL, &huge, &queue), -EINVAL);
	ck_assert_int_eq(prusik_queue_create(NULL, NULL, &wide, &queue), -EINVAL);
	ck_assert_int_eq(prusik_queue_create(NULL, "name", NULL, &queue), -EINVAL);
	ck_assert_int_eq(prusik_queue_create(NULL, NULL, NULL, NULL), -EINVAL);
	ck_assert_ptr_null(queue);
	ck_assert_uint_eq(prusik_queue_size(&huge), 0);
	ck_assert_int_eq(prusik_queue_create(NULL, NULL, NULL, &queue), 0);
	ck_assert_int_eq(prusik_queue_put(NULL, "a", 1, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_queue_put(queue, NULL, 1, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_queue_put(queue, text, 257, PRUSIK_NOW), -EMSGSIZE);
	ck_assert_int_eq(prusik_queue_put_many(queue, NULL, 1, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_queue_get(NULL, text, 8, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_queue_get(queue, NULL, 8, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_queue_take(queue, NULL, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_queue_take(NULL, &lease, PRUSIK_NOW), -EINVAL);
	ck_assert_int_eq(prusik_queue_done(queue, NULL), -EINVAL);
	ck_assert_int_eq(prusik_queue_close(queue, (enum prusik_queue_close)7), -EINVAL);
	ck_assert_int_eq(prusik_queue_length(NULL), -EINVAL);
	prusik_queue_free(queue);
	prusik_queue_free(NULL);
}

TEST(too_small_a_buffer_leaves_it_first)
{
	struct prusik_queue *queue = new_queue(THREADS, 4, 100);
	char text[4];

	put(queue, "long one");
	put(queue, "b");
	ck_assert_int_eq(prusik_queue_get(queue, text, sizeof text, PRUSIK_NOW), -EMSGSIZE);
	ck_assert_int_eq(prusik_queue_get(queue, NULL, 0, PRUSIK_NOW), -EMSGSIZE);
	get(queue, "long one");
	get(queue, "b");
}

TEST(batches)
{
	struct prusik_queue *queue = new_queue(THREADS, 4, 8);
	static char letters[] = "abcdef";
	char out[6][8];
	struct iovec in[6], to[6];

	for (int i = 0; i < 6; i++) {
		in[i] = (struct iovec){ &letters[i], 1 };
		to[i] = (struct iovec){ out[i], 8 };
	}
	ck_assert_int_eq(prusik_queue_put_many(queue, in, 6, PRUSIK_NOW), 4);
	ck_assert_int_eq(prusik_queue_put_many(queue, in, 6, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_get_many(queue, to, 3, PRUSIK_NOW), 3);
	ck_assert(to[0].iov_len == 1 && out[0][0] == 'a' && out[2][0] == 'c');
	to[0].iov_len = 8;
	to[1].iov_len = 0;
	ck_assert_int_eq(prusik_queue_put_many(queue, in + 4, 2, PRUSIK_NOW), 2);
	ck_assert_int_eq(prusik_queue_get_many(queue, to, 6, PRUSIK_NOW), 1); /* the second does not fit */
	ck_assert_int_eq(out[0][0], 'd');
	in[5].iov_len = 9;
	ck_assert_int_eq(prusik_queue_put_many(queue, in, 6, PRUSIK_NOW), -EMSGSIZE);
	ck_assert_int_eq(prusik_queue_length(queue), 2);
}

TEST(leases)
{
	struct prusik_queue *queue = new_queue(THREADS, 4, 8);
	struct prusik_lease lease[4], none;
	struct prusik_queue_stats stats;

	put(queue, "a");
	put(queue, "b");
	put(queue, "c");
	put(queue, "d");
	ck_assert_int_eq(prusik_queue_take(queue, &lease[0], PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_take_many(queue, &lease[1], 3, PRUSIK_NOW), 3);
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(lease[i].length, 1);
		ck_assert_int_eq(*(char *)lease[i].data, 'a' + i);
		ck_assert_uint_eq(lease[i].attempt, 1);
	}
	ck_assert_int_eq(prusik_queue_take(queue, &none, PRUSIK_NOW), -ETIMEDOUT);
	ck_assert_int_eq(prusik_queue_put(queue, "e", 1, PRUSIK_NOW), -ETIMEDOUT); /* lent is not free */

	/* Done in another order; each once. */
	ck_assert_int_eq(prusik_queue_done(queue, &lease[2]), 0);
	ck_assert_int_eq(prusik_queue_done(queue, &lease[2]), -ESTALE);
	put(queue, "e");
	ck_assert_int_eq(prusik_queue_done(queue, &lease[2]), -ESTALE);
	get(queue, "e"); /* with leases about */
	ck_assert_int_eq(prusik_queue_done_many(queue, lease, 4), 3);
	ck_assert_int_eq(prusik_queue_stats(queue, &stats), 0);
	ck_assert_uint_eq(stats.leased, 0);
	ck_assert_uint_eq(stats.ready, 0);
	ck_assert_uint_eq(stats.put, 5);
	ck_assert(prk_queue_valid(queue));
}

struct share {
	struct prusik_queue *queue;
	int step;
	long sum;
	unsigned char seen[40000];
};

static struct share *new_share(enum party_kind kind, uint64_t capacity)
{
	struct share *share = party_memory(kind, sizeof *share);

	share->queue = new_queue(kind, capacity, 64);
	return share;
}

static int producer(void *shared, int index)
{
	struct share *share = shared;

	for (int i = index; i < 40000; i += 4)
		PARTY_CHECK(prusik_queue_put(share->queue, &i, sizeof i, PRUSIK_FOREVER) == 0);
	return 0;
}

static int getter(void *shared, int index)
{
	struct share *share = shared;
	int item;
	int64_t r;

	(void)index;
	while ((r = prusik_queue_get(share->queue, &item, sizeof item, PRUSIK_FOREVER)) == sizeof item)
		share->seen[item]++;
	PARTY_CHECK(r == -EPIPE);
	return 0;
}

static int taker(void *shared, int index)
{
	struct share *share = shared;
	struct prusik_lease lease[5];
	int64_t n;

	(void)index;
	while ((n = prusik_queue_take_many(share->queue, lease, 5, PRUSIK_FOREVER)) > 0)
		for (int64_t i = n; i-- > 0;) { /* the other way round: cells are swapped */
			share->seen[*(int *)lease[i].data]++;
			PARTY_CHECK(prusik_queue_done(share->queue, &lease[i]) == 0);
		}
	PARTY_CHECK(n == -EPIPE);
	return 0;
}

static void every_item_once(enum party_kind kind)
{
	struct share *share = new_share(kind, 20);
	struct party *all[8];

	for (int i = 0; i < 4; i++) {
		all[i] = party_start(kind, producer, share, i);
		all[4 + i] = party_start(kind, i % 2 ? getter : taker, share, i);
	}
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	ck_assert_int_eq(prusik_queue_close(share->queue, PRUSIK_QUEUE_DRAIN), 0);
	for (int i = 4; i < 8; i++)
		ck_assert_int_eq(party_join(all[i]), 0);
	for (int i = 0; i < 40000; i++)
		ck_assert_int_eq(share->seen[i], 1);
	ck_assert(prk_queue_valid(share->queue));
	ck_assert_int_eq(prusik_queue_length(share->queue), 0);
}
BOTH(every_item_once)

static int take_two_and_end(void *shared, int index)
{
	struct share *share = shared;
	struct prusik_lease lease[3];

	PARTY_CHECK(prusik_queue_take_many(share->queue, lease, 3, PRUSIK_NOW) == 3);
	PARTY_CHECK(prusik_queue_done(share->queue, &lease[0]) == 0);
	party_say(&share->step, 1);
	while (index) /* to be killed */
		pause_ms(1000);
	return 0;
}

static void check_returned(struct prusik_queue *queue)
{
	struct prusik_lease lease;

	for (int i = 1; i < 5; i++) {
		ck_assert_int_eq(prusik_queue_take(queue, &lease, PRUSIK_NOW), 0);
		ck_assert_int_eq(*(char *)lease.data, 'a' + i); /* first in line, in order */
		ck_assert_uint_eq(lease.attempt, i < 3 ? 2 : 1);
		ck_assert_int_eq(prusik_queue_done(queue, &lease), 0);
	}
	ck_assert(prk_queue_valid(queue));
}

static void leases_return(enum party_kind kind)
{
	struct share *share = new_share(kind, 5);

	for (char c = 'a'; c < 'f'; c++)
		ck_assert_int_eq(prusik_queue_put(share->queue, &c, 1, PRUSIK_NOW), 0);
	party_run(kind, 1, take_two_and_end, share);
	check_returned(share->queue);
}
BOTH(leases_return)

static int wait_for_returned(void *shared, int index)
{
	struct share *share = shared;
	struct prusik_lease lease;

	party_say(&share->step, 2 + index);
	PARTY_CHECK(prusik_queue_take(share->queue, &lease, PRUSIK_FOREVER) == 0);
	PARTY_CHECK(lease.attempt == 2);
	PARTY_CHECK(prusik_queue_done(share->queue, &lease) == 0);
	return 0;
}

TEST(leases_of_the_killed_reach_those_who_sleep)
{
	struct share *share = new_share(PROCESSES, 5);

	for (char c = 'a'; c < 'd'; c++)
		ck_assert_int_eq(prusik_queue_put(share->queue, &c, 1, PRUSIK_NOW), 0);
	struct party *victim = party_start(PROCESSES, take_two_and_end, share, 1);
	party_await(&share->step, 1);
	struct party *first = party_start(PROCESSES, wait_for_returned, share, 0);
	party_await(&share->step, 2);
	struct party *second = party_start(PROCESSES, wait_for_returned, share, 1);
	party_await(&share->step, 3);
	pause_ms(30);
	ck_assert_int_eq(kill(victim->pid, SIGKILL), 0);
	ck_assert_int_eq(party_join(victim), -SIGKILL);
	ck_assert_int_eq(party_join(first), 0);
	ck_assert_int_eq(party_join(second), 0);
	ck_assert_int_eq(prusik_queue_length(share->queue), 0);
}

/* A lease that was lost cannot be done: another has it now. */
TEST(a_lost_lease_is_stale)
{
	struct share *share = new_share(PROCESSES, 5);
	struct prusik_lease *lost = party_memory(PROCESSES, sizeof *lost), mine;

	put(share->queue, "a");
	pid_t pid = fork();
	if (pid == 0)
		_exit(prusik_queue_take(share->queue, lost, PRUSIK_NOW) == 0 ? 0 : 1);
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(prusik_queue_take(share->queue, &mine, PRUSIK_NOW), 0);
	ck_assert_uint_eq(mine.attempt, 2);
	ck_assert_int_eq(prusik_queue_done(share->queue, lost), -ESTALE);
	ck_assert_int_eq(prusik_queue_done(share->queue, &mine), 0);
}

static int put_one_more(void *shared, int index)
{
	struct share *share = shared;

	(void)index;
	PARTY_CHECK(prusik_queue_put(share->queue, "x", 1, PRUSIK_FOREVER) == -EPIPE);
	return 0;
}

static void close_wakes_all(enum party_kind kind)
{
	struct share *full = new_share(kind, 2), *empty = new_share(kind, 2);

	put(full->queue, "a");
	put(full->queue, "b");
	struct party *p[4];
	for (int i = 0; i < 2; i++) {
		p[i] = party_start(kind, put_one_more, full, i);
		p[2 + i] = party_start(kind, getter, empty, i);
	}
	pause_ms(50);
	ck_assert_int_eq(prusik_queue_close(full->queue, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(prusik_queue_close(empty->queue, PRUSIK_QUEUE_DRAIN), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(party_join(p[i]), 0);
	ck_assert_int_eq(prusik_queue_put(full->queue, "x", 1, PRUSIK_NOW), -EPIPE);
	get(full->queue, "a");
	ck_assert_int_eq(prusik_queue_close(full->queue, PRUSIK_QUEUE_DISCARD), 0);
	ck_assert_int_eq(prusik_queue_length(full->queue), 0);
	char text[4];
	ck_assert_int_eq(prusik_queue_get(full->queue, text, sizeof text, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(prusik_queue_close(full->queue, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(prusik_queue_get(full->queue, text, sizeof text, PRUSIK_FOREVER), -EPIPE);
}
BOTH(close_wakes_all)

static int hold_then_finish(void *shared, int index)
{
	struct share *share = shared;
	struct prusik_lease lease;

	PARTY_CHECK(prusik_queue_take(share->queue, &lease, PRUSIK_NOW) == 0);
	party_say(&share->step, 1);
	pause_ms(60);
	if (index)
		return 0; /* ends with the lease */
	PARTY_CHECK(prusik_queue_done(share->queue, &lease) == 0);
	return 0;
}

/* Closed and empty, but an item is on lease: it may come back, so takers wait for that. */
static void closed_waits_for_leases(enum party_kind kind)
{
	for (int returns = 0; returns < 2; returns++) {
		struct share *share = new_share(kind, 4);
		struct prusik_lease lease;

		put(share->queue, "a");
		struct party *p = party_start(kind, hold_then_finish, share, returns);
		party_await(&share->step, 1);
		ck_assert_int_eq(prusik_queue_close(share->queue, PRUSIK_QUEUE_DRAIN), 0);
		ck_assert_int_eq(prusik_queue_take(share->queue, &lease, PRUSIK_NOW), -ETIMEDOUT);
		int r = prusik_queue_take(share->queue, &lease, PRUSIK_FOREVER);
		ck_assert_int_eq(r, returns ? 0 : -EPIPE);
		ck_assert_int_eq(party_join(p), 0);
	}
}
BOTH(closed_waits_for_leases)

/* One's own lease does not keep one waiting for ever. */
TEST(own_lease_does_not_hold_up_the_end)
{
	struct prusik_queue *queue = new_queue(THREADS, 4, 8);
	struct prusik_lease lease, next;

	put(queue, "a");
	ck_assert_int_eq(prusik_queue_take(queue, &lease, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_queue_close(queue, PRUSIK_QUEUE_DRAIN), 0);
	ck_assert_int_eq(prusik_queue_take(queue, &next, PRUSIK_FOREVER), -EPIPE);
	ck_assert_int_eq(prusik_queue_done(queue, &lease), 0);
}

TEST(by_name)
{
	struct prusik_arena *arena;
	struct prusik_queue *queue = NULL, *same = NULL;
	struct prusik_arena_stats before, after;
	uint64_t *link;

	ck_assert_int_eq(prusik_arena_create(NULL, 1 << 20, &arena), 0);
	ck_assert_int_eq(prusik_queue_open(arena, "jobs", &queue), -ENOENT);
	struct prusik_queue_options options = { .capacity = 10, .item_max = 100 };
	ck_assert_int_eq(prusik_queue_create(arena, "jobs", &options, &queue), 0);
	ck_assert_int_eq(prusik_queue_create(arena, "jobs", &options, &same), -EEXIST);
	ck_assert_int_eq(prusik_queue_open(arena, "jobs", &same), 0);
	put(queue, "hello");
	get(same, "hello");
	prusik_queue_free(same);

	/* Something else by that name; a maker that died half-way. */
	ck_assert_int_eq(prusik_arena_root(arena, "block", &link), 0);
	ck_assert_int_eq(prusik_arena_alloc(arena, 4096, link), 0);
	ck_assert_int_eq(prusik_queue_open(arena, "block", &same), -ENOENT);
	memset(prusik_arena_pointer(arena, *link), 0x55, 4096);
	ck_assert_int_eq(prusik_queue_open(arena, "block", &same), -EPROTO);
	ck_assert_int_eq(prusik_queue_create(arena, "block", &options, &same), -EEXIST);
	memset(prusik_arena_pointer(arena, *link), 0, 4096);
	ck_assert_int_eq(prusik_arena_stats(arena, &before), 0);
	ck_assert_int_eq(prusik_queue_create(arena, "block", &options, &same), 0);
	ck_assert_int_eq(prusik_arena_stats(arena, &after), 0);
	ck_assert_uint_eq(after.blocks, before.blocks);

	options.capacity = 1 << 20;
	ck_assert_int_eq(prusik_queue_create(arena, "large", &options, &same), -ENOSPC);
	ck_assert_int_eq(prusik_queue_open(arena, "large", &same), -ENOENT);
	prusik_queue_free(queue);
	prusik_queue_free(same);
	prusik_arena_close(arena);
}

/* Any bytes in the shared body: no crash, no endless loop. */
TEST(hostile_bytes)
{
	struct prusik_queue *queue = new_queue(PROCESSES, 8, 64);
	struct prk_queue_body *body = queue->body;
	struct prk_queue_body whole = *body;
	unsigned char *bytes = (unsigned char *)body;
	char text[64];
	struct prusik_lease lease;

	for (size_t i = offsetof(struct prk_queue_body, puts); i < sizeof *body; i++) {
		*body = whole;
		bytes[i] = 0xff;
		body->put_lock.word = body->get_lock.word = 0x3fff;
		prk_queue_valid(queue);
		ck_assert_int_le(prusik_queue_put(queue, "x", 1, PRUSIK_NOW), 0);
		ck_assert_int_le(prusik_queue_get(queue, text, sizeof text, PRUSIK_NOW), 64);
		if (prusik_queue_take(queue, &lease, PRUSIK_NOW) == 0)
			(void)prusik_queue_done(queue, &lease);
		lease = (struct prusik_lease){ .node = UINT32_MAX, .ticket = 5, .attempt = 1 };
		(void)prusik_queue_done(queue, &lease);
		ck_assert_int_ge(prusik_queue_length(queue), 0);
	}
}

static int end_in_a_change(void *shared, int index)
{
	struct share *share = shared;
	struct prusik_queue *queue = share->queue;

	(void)index;
	PARTY_CHECK(prk_queue_lock_gets(queue) == 0);
	prk_undo_set32(&queue->body->undo, &prk_queue_node(queue, queue->mask)->failures, 7);
	prk_undo_set32(&queue->body->undo, prk_queue_cell(queue, queue->mask), 1);
	return 0;
}

/* The last node is as much within reach of the log as the cells are. */
TEST(an_unfinished_change_of_a_node_is_undone)
{
	struct share *share = new_share(PROCESSES, 8);
	struct prusik_queue_stats stats;

	ck_assert_int_eq(party_join(party_start(PROCESSES, end_in_a_change, share, 0)), 0);
	ck_assert_int_eq(prusik_queue_stats(share->queue, &stats), 0);
	ck_assert_uint_eq(stats.recovered, 1);
	ck_assert_uint_eq(prk_queue_node(share->queue, share->queue->mask)->failures, 0);
	ck_assert(prk_queue_valid(share->queue));
}

static int get_into(void *shared, int index)
{
	struct share *share = shared;
	char text[16];

	return prusik_queue_get(share->queue, text, (uint64_t)index, PRUSIK_FOREVER) == -EMSGSIZE ? 1 : 0;
}

/* One put wakes one getter; when the item does not fit him, another one must get it. */
TEST(too_small_a_buffer_passes_the_wake_on)
{
	struct share *share = new_share(PROCESSES, 8);
	struct party *small = party_start(PROCESSES, get_into, share, 1), *large;

	usleep(50000); /* asleep first, and so woken first */
	large = party_start(PROCESSES, get_into, share, 16);
	usleep(50000);
	put(share->queue, "long");
	ck_assert_int_eq(party_join(small), 1);
	ck_assert_int_eq(party_join(large), 0);
}
