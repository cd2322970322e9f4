/* SPDX-License-Identifier: MIT */
/* queue: making, opening, checking, counting */
#include "base/life.h"
#include "base/sys.h"
#include "data/queue.h"
#include "shm/arena.h"
#include "shm/named.h"

#include <errno.h>

#define CAPACITY_DEFAULT 1024u
#define CAPACITY_MAX (1u << 24)
#define ITEM_MAX_DEFAULT 256u
#define ITEM_MAX_MAX (1u << 30)
#define LEASE_MAX (UINT64_C(1) << 42) /* ms; some 139 years */
#define NAMED_ROOM (64u << 10) /* of an arena, beside the queue */
#define LINE 64u

_Static_assert(offsetof(struct prk_queue_body, put_lock) == 64 && offsetof(struct prk_queue_body, get_lock) == 128 &&
		       offsetof(struct prk_queue_body, undo) == 192 - 8 &&
		       offsetof(struct prk_queue_body, ordered) == 704 && sizeof(struct prk_queue_body) == 1024,
	       "putters and takers have cache lines of their own");
_Static_assert(sizeof(struct prk_queue_body) % LINE == 0, "cells begin on a line");
_Static_assert(sizeof(struct prk_node) == 48 && sizeof(struct prk_queue_entry) == 16, "shared layout");

static uint32_t signature(void)
{
	return (uint32_t)(sizeof(struct prk_queue_body) | sizeof(struct prk_node) << 16);
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static uint64_t stride(uint64_t item_max)
{
	return round_up(sizeof(struct prk_node) + item_max, LINE);
}

static uint64_t cells_bytes(uint32_t size)
{
	return round_up((uint64_t)size * sizeof(uint32_t), LINE);
}

static uint64_t index_bytes(uint32_t size)
{
	return round_up((uint64_t)size * sizeof(struct prk_queue_entry), LINE);
}

static uint64_t body_bytes(uint32_t size, uint64_t item_max)
{
	return sizeof(struct prk_queue_body) + cells_bytes(size) + index_bytes(size) + size * stride(item_max);
}

/* 0: defaults filled in and all in range. */
static int settle(const struct prusik_queue_options *options, struct prusik_queue_options *ret_settled)
{
	struct prusik_queue_options o = { 0 };

	if (options)
		o = *options;
	if (o.capacity == 0)
		o.capacity = CAPACITY_DEFAULT;
	if (o.item_max == 0)
		o.item_max = ITEM_MAX_DEFAULT;
	*ret_settled = o;
	return o.capacity <= CAPACITY_MAX && o.item_max <= ITEM_MAX_MAX && o.kind <= PRUSIK_QUEUE_PRIORITY &&
			       o.lease_ms <= LEASE_MAX ?
		       0 :
		       -EINVAL;
}

uint64_t prusik_queue_size(const struct prusik_queue_options *options)
{
	struct prusik_queue_options o;

	if (settle(options, &o) < 0)
		return 0;
	return body_bytes(power_of_two((uint32_t)o.capacity), o.item_max);
}

/* A zeroed body becomes a queue with its last store, magic. */
static void set_up(struct prk_queue_body *body, const struct prusik_queue_options *o)
{
	body->version = PRK_QUEUE_VERSION;
	body->signature = signature();
	body->item_max = o->item_max;
	body->capacity = (uint32_t)o->capacity;
	body->size = power_of_two((uint32_t)o->capacity);
	body->kind = o->kind;
	body->attempts_max = o->attempts_max;
	body->ends = o->ends_with_producers != 0;
	body->lease = (int64_t)o->lease_ms * 1000000;
	prk_store64_rel(&body->magic, PRK_QUEUE_MAGIC); /* rel [queue.magic]: it is whole */
}

/* Is this a queue of ours, within so many bytes? */
static bool is_queue(const struct prk_queue_body *b, uint64_t bytes)
{
	return prk_load64_acq(&b->magic) == PRK_QUEUE_MAGIC && /* acq [queue.magic] */
	       b->version == PRK_QUEUE_VERSION && b->signature == signature() && b->capacity > 0 &&
	       b->capacity <= CAPACITY_MAX && b->size == power_of_two(b->capacity) && b->item_max > 0 &&
	       b->item_max <= ITEM_MAX_MAX && b->undo.damaged == 0 && b->kind <= PRUSIK_QUEUE_PRIORITY &&
	       b->lease >= 0 && body_bytes(b->size, b->item_max) <= bytes;
}

static int make_handle(struct prk_queue_body *body, bool private_memory, struct prusik_queue **ret_queue)
{
	struct prusik_queue *q = prk_sys_calloc(sizeof *q);

	if (!q)
		return -ENOMEM;
	q->body = body;
	q->cells = (uint32_t *)(void *)(body + 1);
	q->index = (struct prk_queue_entry *)(void *)((char *)(body + 1) + cells_bytes(body->size));
	q->nodes = (char *)q->index + index_bytes(body->size);
	q->stride = stride(body->item_max);
	q->item_max = body->item_max;
	q->capacity = body->capacity;
	q->mask = body->size - 1;
	q->kind = body->kind;
	q->plain = body->kind == PRUSIK_QUEUE_FIFO && body->lease == 0;
	q->private_memory = private_memory;
	*ret_queue = q;
	return 0;
}

static int create_private(const struct prusik_queue_options *o, struct prusik_queue **ret_queue)
{
	void *body;
	int r = prk_sys_zeroed(&body, prusik_queue_size(o));

	if (r < 0)
		return r;
	set_up(body, o);
	r = make_handle(body, true, ret_queue);
	if (r < 0)
		prk_sys_zeroed_free(body, prusik_queue_size(o));
	return r;
}

static struct prk_queue_body *body_at(struct prusik_arena *arena, uint64_t link)
{
	return prusik_arena_pointer(arena, link);
}

/*
 * With the arena's naming lock held no living creator is between linking the
 * block and setting magic, so a block without magic was left by a dead one: it is
 * freed and made anew.
 */
static int create_named(struct prusik_arena *arena, const char *name, const struct prusik_queue_options *o,
			struct prk_queue_body **ret_body)
{
	uint64_t *link;
	int r = prusik_arena_root(arena, name, &link);

	if (r < 0)
		return r;
	if (*link) {
		struct prk_queue_body *left = body_at(arena, *link);
		if (!left || prk_load64_acq(&left->magic) != 0) /* acq [queue.magic] */
			return -EEXIST;
		prusik_arena_free(arena, link);
	}
	r = prusik_arena_alloc(arena, prusik_queue_size(o), link);
	if (r < 0)
		return r;
	*ret_body = body_at(arena, *link);
	set_up(*ret_body, o);
	return 0;
}

static int create_shared(struct prusik_arena *arena, const char *name, const struct prusik_queue_options *o,
			 struct prusik_queue **ret_queue)
{
	struct prk_queue_body *body = NULL;
	int r = prk_arena_name_lock(arena);

	if (r < 0)
		return r;
	r = create_named(arena, name, o, &body);
	prk_arena_name_unlock(arena);
	return r < 0 ? r : make_handle(body, false, ret_queue);
}

int prusik_queue_create(struct prusik_arena *arena, const char *name, const struct prusik_queue_options *options,
			struct prusik_queue **ret_queue)
{
	struct prusik_queue_options o;
	int r = settle(options, &o);

	if (r < 0 || !ret_queue || !arena != !name)
		return -EINVAL;
	r = prk_joined();
	if (r < 0)
		return r;
	return arena ? create_shared(arena, name, &o, ret_queue) : create_private(&o, ret_queue);
}

int prusik_queue_open(struct prusik_arena *arena, const char *name, struct prusik_queue **ret_queue)
{
	uint64_t *link;

	if (!arena || !ret_queue)
		return -EINVAL;
	int r = prk_arena_find_root(arena, name, &link);
	if (r < 0)
		return r;
	uint64_t offset = prk_load64_acq(link);
	struct prk_queue_body *body = body_at(arena, offset);
	uint64_t bytes = body ? prk_arena_bytes_from(arena, offset) : 0;
	if (offset == 0 || (body && bytes >= sizeof *body && prk_load64_acq(&body->magic) == 0))
		return -ENOENT; /* not made yet, or its maker died */
	if (bytes < sizeof *body || !is_queue(body, bytes))
		return -EPROTO;
	return make_handle(body, false, ret_queue);
}

void prusik_queue_free(struct prusik_queue *queue)
{
	if (!queue)
		return;
	if (queue->private_memory)
		prk_sys_zeroed_free(queue->body, body_bytes(queue->mask + 1, queue->item_max));
	prusik_arena_close(queue->own_arena);
	prk_sys_free(queue);
}

/* ---- by name, in an arena of its own ---- */

static int make_named(struct prusik_arena *arena, void *context)
{
	const struct prusik_queue_options *o = context;
	void *body;
	int r = prk_named_make(arena, prusik_queue_size(o), &body);

	if (r == 0)
		set_up(body, o);
	return r;
}

/* The handle of what that arena holds. */
static int attach(struct prusik_arena *arena, struct prusik_queue **ret_queue)
{
	void *body;
	int r = prk_named_find(arena, sizeof(struct prk_queue_body), &body);

	if (r < 0)
		return r;
	if (!is_queue(body, prk_arena_bytes_from(arena, prusik_arena_offset(arena, body))))
		return -EPROTO;
	r = make_handle(body, false, ret_queue);
	if (r == 0)
		(*ret_queue)->own_arena = arena;
	return r;
}

int prusik_queue_open_named(const char *name, const struct prusik_queue_options *options, uint32_t flags,
			    struct prusik_queue **ret_queue)
{
	struct prusik_queue_options o;
	struct prusik_arena *arena;

	if (settle(options, &o) < 0 || !ret_queue)
		return -EINVAL;
	int r = prk_joined();
	if (r < 0)
		return r;
	r = prk_named_open(name, "queue", flags, prusik_queue_size(&o) + NAMED_ROOM, make_named, &o, &arena);
	if (r < 0)
		return r;
	r = attach(arena, ret_queue);
	if (r < 0)
		prusik_arena_close(arena);
	return r;
}

/* ---- counting ---- */

/*
 * Cursors first: an item that was ready then and is not in ordered when that is looked
 * at has been taken since.
 */
int64_t prusik_queue_length(const struct prusik_queue *queue)
{
	if (!queue)
		return -EINVAL;
	const struct prk_queue_body *b = queue->body;
	uint32_t gets = prk_queue_cursors(prk_load64_acq(&b->cursors)).gets; /* acq [queue.cursors] */
	uint64_t n = (uint32_t)prk_load64_acq(&b->puts) - gets; /* acq [queue.puts] */
	n += prk_load32_acq(&b->ordered); /* acq [queue.ordered] */
	if (prk_queue_discarded(queue))
		return 0;
	return n <= queue->capacity ? (int64_t)n : queue->capacity; /* puts may have gone on since */
}

int prusik_queue_is_empty(const struct prusik_queue *queue)
{
	int64_t n = prusik_queue_length(queue);

	return n < 0 ? (int)n : n == 0;
}

int prusik_queue_is_full(const struct prusik_queue *queue)
{
	if (!queue)
		return -EINVAL;
	uint32_t frees = prk_queue_cursors(prk_load64_acq(&queue->body->cursors)).frees;
	return (uint32_t)prk_load64_acq(&queue->body->puts) - frees >= queue->capacity;
}

static uint32_t count_state(const struct prusik_queue *q, uint32_t state)
{
	uint32_t p = prk_queue_cursors(q->body->cursors).frees, end = prk_queue_leased_end(q), n = 0;

	for (; p != end && end - p <= q->mask + 1; p++)
		n += prk_queue_node(q, prk_queue_node_at(q, p))->state == state;
	return n;
}

static uint32_t count_producers(const struct prk_queue_body *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PRK_QUEUE_PRODUCERS; i++)
		n += b->producer[i] != 0 && !prk_dead(b->producer[i]);
	return n;
}

static void count(const struct prusik_queue *q, struct prusik_queue_stats *s)
{
	const struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);
	uint32_t leased = count_state(q, PRK_NODE_LEASED), reserved = count_state(q, PRK_NODE_RESERVED);

	*s = (struct prusik_queue_stats){
		.capacity = q->capacity,
		.item_max = q->item_max,
		.ready = (uint64_t)prusik_queue_length(q),
		.delayed = b->delayed,
		.leased = leased,
		.dead = b->dead,
		.reserved = reserved,
		.put = b->puts,
		.done = b->puts - ((uint32_t)b->puts - c.frees - reserved),
		.returned = b->returned,
		.retried = b->retried,
		.buried = b->buried,
		.recovered = (uint64_t)b->put_recovered + b->get_recovered,
		.closed = b->closed != 0,
		.kind = b->kind,
		.lease_ms = (uint64_t)b->lease / 1000000,
		.attempts_max = b->attempts_max,
		.producers = count_producers(b),
		.put_waits = b->put_waits,
		.take_waits = b->take_waits,
	};
}

int prusik_queue_stats(struct prusik_queue *queue, struct prusik_queue_stats *ret_stats)
{
	if (!queue || !ret_stats)
		return -EINVAL;
	int r = prk_queue_lock_both(queue);
	if (r < 0)
		return r;
	count(queue, ret_stats);
	prk_queue_unlock_both(queue);
	return 0;
}

bool prk_queue_valid(const struct prusik_queue *q)
{
	const struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);
	uint32_t size = q->mask + 1, held = c.gets - c.frees, ready = (uint32_t)b->puts - c.gets;
	char *seen = prk_sys_calloc(size), *indexed = prk_sys_calloc(size);
	bool ok = seen && indexed && held <= q->capacity && b->parked <= held && ready <= q->capacity - held &&
		  prk_undo_sound(&b->undo) && prk_queue_index_valid(q, indexed);

	for (uint32_t i = 0; ok && i < size; i++) {
		uint32_t node = prk_queue_node_at(q, c.frees + i);
		ok = !seen[node]++; /* Q1 */
		if (i < held + ready)
			ok = ok && prk_queue_node(q, node)->length <= q->item_max;
	}
	prk_sys_free(seen);
	prk_sys_free(indexed);
	return ok;
}
