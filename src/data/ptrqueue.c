/* SPDX-License-Identifier: MIT */
/*
 * ptrqueue - a ring with two locks, one for each end
 *
 * struct prusik_ptrqueue - private memory; its sides lie in pages that the kernel zeroes in
 * a forked child
 *
 * WORD     side.lock: FREE, HELD, CONTENDED: held, and somebody may be asleep on it.
 *          side.sleepers: how many sleep, or are about to, until this side brings what
 *          they need: getters at the putters' side, putters at the getters'.
 *          side.called: one of them was woken and has not come back yet.
 *          side.changed: what they sleep on, raised to wake them.
 *          tail, head: pointers put, and got, since it was made. Pointer n lies in
 *          cell[n & mask]. head_seen, tail_seen: the other side's, as last looked at.
 * WRITES   side.lock: anyone, by CAS and swap. The rest of a side, and tail and head_seen,
 *          or head and tail_seen: who holds that side's lock. closed: who holds both.
 * ALWAYS   P1 head <= tail <= head + capacity
 *          P2 cells head to tail - 1 hold what was put; the others are the putters'
 *          P3 called => one of the sleepers is awake, or will find changed changed; he
 *          clears called, looks again, and if he leaves anything behind calls the next
 *          P4 somebody sleeps, and there is what he sleeps for => called
 * MAY LIE  head_seen and tail_seen are old: there is at least so much room, so many
 *          pointers. called while the one called is slow to run: others who come take
 *          what he was called for; who sleeps, sleeps until he has come.
 * KILLED   all who use it end together. In the copy that fork makes nobody holds a lock,
 *          sleeps or is called, since the sides are zeroes there. What another thread
 *          of the parent was doing has happened when tail, or head, was stored (P-P,
 *          P-G); each is the last store of its operation, so P1 and P2 hold.
 *
 * That one store decides is why there are two locks and a ring, rather than a ring of
 * cells each with a sequence number (Vyukov, "Bounded MPMC queue", 1024cores.net), which
 * needs no lock: there a cell is claimed before it is filled, so a pointer that has been
 * put cannot be got while one before it has not, and in a child it never will be.
 *
 * What makes it fast is what is not done. The two ends share no word but the cursors, and
 * look at each other's only when what they saw of it last is used up. Nobody wakes
 * anybody while one who was woken is still on his way: by the time he runs there is a
 * heap of work for him. And who finds nothing gives the other side some time before he
 * looks again, since each look takes a cache line away from it.
 */
#include <prusik/ptrqueue.h>

#include "base/atomic.h"
#include "base/process.h"
#include "base/sys.h"
#include "base/wait.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define DEFAULT_CAPACITY 1024u
#define PAGE 4096u

/* Pauses before the other side's cursor is looked at for the first time, and at most. */
#define SPINS_FIRST ((PRK_SPINS + 7) / 8)
#define SPINS_MOST (PRK_SPINS * 2)

/* Two cache lines: processors fetch them in pairs. */
#define APART _Alignas(128)

enum { FREE, HELD, CONTENDED };

struct side {
	APART uint32_t lock;
	uint32_t sleepers;
	uint32_t called;
	uint32_t changed;
};

struct sides {
	struct side puts, gets;
};

struct prusik_ptrqueue {
	struct sides *sides;
	uint64_t capacity, mask, size;
	APART uint64_t tail;
	uint64_t head_seen;
	APART uint64_t head;
	uint64_t tail_seen;
	APART uint32_t closed;
	APART void *cell[];
};

_Static_assert(sizeof(struct sides) <= PAGE, "one page");

/* ---- the lock of a side ---- */

/* As prk_wait_private, but neither a token nor time ends it: a lock is held for a moment. */
static void sleep_on_lock(uint32_t *lock)
{
	uint32_t *cancel = prk_cancel_here;

	prk_cancel_here = NULL;
	(void)prk_wait_private(lock, CONTENDED, PRUSIK_FOREVER);
	prk_cancel_here = cancel;
}

static bool try_lock(struct side *side)
{
	uint32_t free = FREE;

	/* acq [side.lock]: pairs with unlock */
	return prk_cas32_acq(&side->lock, &free, HELD);
}

static void lock_slow(struct side *side)
{
	for (int i = 1; i < PRK_SPINS; i += i) {
		prk_pause_for(i);
		if (prk_load32_rlx(&side->lock) == FREE && try_lock(side))
			return;
	}
	/* acq [side.lock]; CONTENDED, as others may sleep still */
	while (prk_swap32_acqrel(&side->lock, CONTENDED) != FREE)
		sleep_on_lock(&side->lock);
}

static inline void lock(struct side *side)
{
	if (__builtin_expect(!try_lock(side), 0))
		lock_slow(side);
}

static inline void unlock(struct side *side)
{
	/* rel [side.lock]: publishes what was done under the lock */
	if (__builtin_expect(prk_swap32_acqrel(&side->lock, FREE) == CONTENDED, 0))
		prk_wake(&side->lock, 1);
}

/* ---- who sleeps ---- */

/* There is something for those who sleep: shall one be woken, once the lock is free? */
static inline bool call_locked(struct side *side)
{
	if (__builtin_expect(side->sleepers == 0 || side->called, 1))
		return false;
	side->called = 1;
	prk_store32_rlx(&side->changed, side->changed + 1);
	return true;
}

static inline void unlock_and_wake(struct side *side, bool wake)
{
	unlock(side);
	if (wake)
		prk_wake(&side->changed, 1);
}

/* The side is locked, and has nothing for the caller: sleep until it may have. Unlocks it. */
static int sleep_at(struct side *side, int64_t deadline)
{
	uint32_t seen = side->changed;

	side->sleepers++;
	unlock(side);
	int r = prk_wait_private(&side->changed, seen, deadline);
	lock(side);
	side->sleepers--;
	side->called = 0;
	unlock(side);
	return r;
}

/* ---- putting ---- */

static inline uint64_t head_now(const struct prusik_ptrqueue *q)
{
	return prk_load64_acq(&q->head); /* acq [ptrqueue.head]: the cells are free */
}

static inline uint64_t tail_now(const struct prusik_ptrqueue *q)
{
	return prk_load64_acq(&q->tail); /* acq [ptrqueue.tail]: the cells are filled */
}

static uint32_t smaller(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

/* How many of n cells from number on lie before the ring's seam. */
static inline uint32_t before_seam(const struct prusik_ptrqueue *q, uint64_t number, uint32_t n)
{
	return smaller(q->mask + 1 - (number & q->mask), n);
}

static inline void copy_in(struct prusik_ptrqueue *q, uint64_t tail, void *const *pointers, uint32_t n)
{
	if (n <= 1) {
		if (n)
			q->cell[tail & q->mask] = *pointers;
		return;
	}
	uint32_t first = before_seam(q, tail, n);
	memcpy(&q->cell[tail & q->mask], pointers, first * sizeof *pointers);
	memcpy(q->cell, pointers + first, (n - first) * sizeof *pointers);
}

static inline void copy_out(const struct prusik_ptrqueue *q, uint64_t head, void **ret_pointers, uint32_t n)
{
	if (n <= 1) {
		if (n)
			*ret_pointers = q->cell[head & q->mask];
		return;
	}
	uint32_t first = before_seam(q, head, n);
	memcpy(ret_pointers, &q->cell[head & q->mask], first * sizeof *ret_pointers);
	memcpy(ret_pointers + first, q->cell, (n - first) * sizeof *ret_pointers);
}

/* How many of the pointers there was room for. */
static inline int64_t fill_locked(struct prusik_ptrqueue *q, void *const *pointers, uint32_t count)
{
	uint64_t tail = q->tail;

	if (q->capacity - (tail - q->head_seen) < count)
		q->head_seen = head_now(q);
	uint32_t n = smaller(q->capacity - (tail - q->head_seen), count);
	copy_in(q, tail, pointers, n);
	if (n > 0)
		prk_store64_rel(&q->tail, tail + n); /* P-P, rel [ptrqueue.tail] */
	return n;
}

/* How many were put; -EAGAIN: full; -EPIPE. */
static inline int64_t try_put(struct prusik_ptrqueue *q, void *const *pointers, uint32_t count)
{
	struct side *puts = &q->sides->puts;
	int64_t r = -EPIPE;
	bool wake = false;

	lock(puts);
	if (__builtin_expect(!q->closed, 1)) {
		int64_t n = fill_locked(q, pointers, count);
		wake = n > 0 && call_locked(puts);
		r = n > 0 ? n : -EAGAIN;
	}
	unlock_and_wake(puts, wake);
	return r;
}

static uint64_t room_now(const struct prusik_ptrqueue *q)
{
	uint64_t head = head_now(q), used = tail_now(q) - head;

	return used < q->capacity ? q->capacity - used : 0;
}

/*
 * Look whether there comes room, or pointers (now), before going to sleep. While there
 * comes more from look to look it is worth waiting until there is enough: the more there
 * is, the longer both sides can go on without another look. One that comes alone is
 * taken at the second look.
 */
static bool spin(const struct prusik_ptrqueue *q, uint64_t (*now)(const struct prusik_ptrqueue *))
{
	uint64_t enough = q->capacity / 8 + 1, before = 0;

	for (int i = SPINS_FIRST; i < SPINS_MOST; i += i) {
		prk_pause_for(i);
		uint64_t seen = now(q);
		if (seen >= enough || (seen > 0 && seen == before))
			return true;
		before = seen;
	}
	return before > 0;
}

static int wait_for_room(struct prusik_ptrqueue *q, int64_t deadline)
{
	struct side *gets = &q->sides->gets;

	lock(gets);
	if (room_now(q) == 0 && !q->closed)
		return sleep_at(gets, deadline);
	unlock(gets);
	return 0;
}

/* The caller was called, perhaps, and has what he came for: is there something for the next? */
static void pass_on_room(struct prusik_ptrqueue *q)
{
	struct side *gets = &q->sides->gets;

	lock(gets);
	unlock_and_wake(gets, room_now(q) > 0 && call_locked(gets));
}

static int64_t put_slow(struct prusik_ptrqueue *q, void *const *pointers, uint32_t count, int64_t deadline)
{
	int64_t r = -EAGAIN;
	int waited;

	if (deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	if (spin(q, room_now))
		r = try_put(q, pointers, count);
	if (r != -EAGAIN)
		return r;
	do {
		waited = wait_for_room(q, deadline);
		r = try_put(q, pointers, count);
	} while (r == -EAGAIN && waited == 0);
	if (r == -EAGAIN)
		return waited;
	pass_on_room(q);
	return r;
}

static inline int64_t put_some(struct prusik_ptrqueue *q, void *const *pointers, uint32_t count, int64_t deadline)
{
	int64_t r = try_put(q, pointers, count);

	return __builtin_expect(r == -EAGAIN, 0) ? put_slow(q, pointers, count, deadline) : r;
}

int prusik_ptrqueue_put(struct prusik_ptrqueue *queue, void *pointer, int64_t deadline)
{
	if (!queue || !pointer)
		return -EINVAL;
	int64_t r = put_some(queue, &pointer, 1, deadline);
	return r < 0 ? (int)r : 0;
}

/* No branch for each. */
static bool any_null(void *const *pointers, uint32_t count)
{
	bool found = false;

	for (uint32_t i = 0; i < count; i++)
		found |= !pointers[i];
	return found;
}

int64_t prusik_ptrqueue_put_many(struct prusik_ptrqueue *queue, void *const *pointers, uint32_t count, int64_t deadline)
{
	uint32_t done = 0;

	if (!queue || !pointers || count == 0)
		return -EINVAL;
	if (any_null(pointers, count))
		return -EINVAL;
	while (done < count) {
		int64_t r = put_some(queue, pointers + done, count - done, deadline);
		if (r < 0)
			return done ? done : r;
		done += (uint32_t)r;
	}
	return done;
}

/* ---- getting ---- */

/* How many there were, up to count. */
static inline int64_t drain_locked(struct prusik_ptrqueue *q, void **ret_pointers, uint32_t count)
{
	uint64_t head = q->head;

	if (q->tail_seen - head < count)
		q->tail_seen = tail_now(q);
	uint32_t n = smaller(q->tail_seen - head, count);
	copy_out(q, head, ret_pointers, n);
	if (n > 0)
		prk_store64_rel(&q->head, head + n); /* P-G, rel [ptrqueue.head] */
	return n;
}

/* How many were got; -EAGAIN: empty; -EPIPE. */
static inline int64_t try_get(struct prusik_ptrqueue *q, void **ret_pointers, uint32_t count)
{
	struct side *gets = &q->sides->gets;

	lock(gets);
	int64_t n = drain_locked(q, ret_pointers, count);
	int64_t r = n > 0 ? n : q->closed ? -EPIPE : -EAGAIN;
	unlock_and_wake(gets, n > 0 && call_locked(gets));
	return r;
}

static uint64_t pointers_now(const struct prusik_ptrqueue *q)
{
	uint64_t head = head_now(q);

	return tail_now(q) - head;
}

/* True or false of one moment: head, looked at first, cannot have passed tail. */
static bool is_empty(const struct prusik_ptrqueue *q)
{
	return pointers_now(q) == 0;
}

static int wait_for_pointers(struct prusik_ptrqueue *q, int64_t deadline)
{
	struct side *puts = &q->sides->puts;

	lock(puts);
	if (is_empty(q) && !q->closed)
		return sleep_at(puts, deadline);
	unlock(puts);
	return 0;
}

static void pass_on_pointers(struct prusik_ptrqueue *q)
{
	struct side *puts = &q->sides->puts;

	lock(puts);
	unlock_and_wake(puts, !is_empty(q) && call_locked(puts));
}

static int64_t get_slow(struct prusik_ptrqueue *q, void **ret_pointers, uint32_t count, int64_t deadline)
{
	int64_t r = -EAGAIN;
	int waited;

	if (deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	if (spin(q, pointers_now))
		r = try_get(q, ret_pointers, count);
	if (r != -EAGAIN)
		return r;
	do {
		waited = wait_for_pointers(q, deadline);
		r = try_get(q, ret_pointers, count);
	} while (r == -EAGAIN && waited == 0);
	if (r == -EAGAIN)
		return waited;
	pass_on_pointers(q);
	return r;
}

static inline int64_t get_some(struct prusik_ptrqueue *q, void **ret_pointers, uint32_t count, int64_t deadline)
{
	int64_t r = try_get(q, ret_pointers, count);

	return __builtin_expect(r == -EAGAIN, 0) ? get_slow(q, ret_pointers, count, deadline) : r;
}

int prusik_ptrqueue_get(struct prusik_ptrqueue *queue, void **ret_pointer, int64_t deadline)
{
	if (!queue || !ret_pointer)
		return -EINVAL;
	int64_t r = get_some(queue, ret_pointer, 1, deadline);
	return r < 0 ? (int)r : 0;
}

int64_t prusik_ptrqueue_get_many(struct prusik_ptrqueue *queue, void **ret_pointers, uint32_t count, int64_t deadline)
{
	if (!queue || !ret_pointers || count == 0)
		return -EINVAL;
	return get_some(queue, ret_pointers, count, deadline);
}

/* ---- the whole ---- */

static uint64_t cells_for(uint64_t capacity)
{
	uint64_t n = 1;

	while (n < capacity)
		n += n;
	return n;
}

int prusik_ptrqueue_create(uint64_t capacity, struct prusik_ptrqueue **ret_queue)
{
	struct prusik_ptrqueue *q;
	void *sides, *memory;

	if (!ret_queue || capacity > PRUSIK_PTRQUEUE_MAX)
		return -EINVAL;
	capacity = capacity ? capacity : DEFAULT_CAPACITY;
	uint64_t cells = cells_for(capacity), size = sizeof *q + cells * sizeof q->cell[0];
	int r = prk_wiped_pages(&sides, PAGE);
	if (r < 0)
		return r;
	r = prk_sys_zeroed(&memory, size);
	if (r < 0) {
		prk_sys_munmap(sides, PAGE);
		return r;
	}
	q = memory;
	q->sides = sides;
	q->capacity = capacity;
	q->mask = cells - 1;
	q->size = size;
	*ret_queue = q;
	return 0;
}

void prusik_ptrqueue_free(struct prusik_ptrqueue *queue)
{
	if (!queue)
		return;
	prk_sys_munmap(queue->sides, PAGE);
	prk_sys_zeroed_free(queue, queue->size);
}

static void change_locked(struct side *side)
{
	prk_store32_rlx(&side->changed, side->changed + 1);
}

int prusik_ptrqueue_close(struct prusik_ptrqueue *queue, enum prusik_queue_close how)
{
	if (!queue || (how != PRUSIK_QUEUE_DRAIN && how != PRUSIK_QUEUE_DISCARD))
		return -EINVAL;
	struct side *puts = &queue->sides->puts, *gets = &queue->sides->gets;
	lock(puts);
	lock(gets);
	queue->closed = 1;
	if (how == PRUSIK_QUEUE_DISCARD) {
		queue->tail_seen = queue->tail;
		prk_store64_rel(&queue->head, queue->tail); /* P-G, rel [ptrqueue.head] */
	}
	change_locked(puts);
	change_locked(gets);
	unlock(gets);
	unlock(puts);
	prk_wake(&puts->changed, INT_MAX);
	prk_wake(&gets->changed, INT_MAX);
	return 0;
}

/* At one moment: that of the look at tail, since head was the same before and after it. */
static uint64_t length_now(const struct prusik_ptrqueue *q)
{
	uint64_t head, tail;

	do {
		head = head_now(q);
		tail = tail_now(q);
	} while (head_now(q) != head);
	return tail - head;
}

int64_t prusik_ptrqueue_length(const struct prusik_ptrqueue *queue)
{
	return queue ? (int64_t)length_now(queue) : -EINVAL;
}

int prusik_ptrqueue_is_empty(const struct prusik_ptrqueue *queue)
{
	return queue ? is_empty(queue) : -EINVAL;
}

int prusik_ptrqueue_is_full(const struct prusik_ptrqueue *queue)
{
	return queue ? length_now(queue) == queue->capacity : -EINVAL;
}
