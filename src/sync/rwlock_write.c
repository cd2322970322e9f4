/* SPDX-License-Identifier: MIT */
/* rwlock: the writer's place, and writers */
#include "sync/rwlock.h"

#include "base/ghost.h"

#include <errno.h>
#include <limits.h>

/* So many looks in vain, and readers have to say again that they are there. */
#define VAIN_LOOKS 64u

_Static_assert(PRUSIK_RWLOCK_READERS % 4 == 0, "some");

/* Not 0 when one of these four is not. A writer looks at all: four at a time is faster. */
static uint32_t some(const uint32_t *four)
{
	return prk_load32_sc(four) | prk_load32_sc(four + 1) | prk_load32_sc(four + 2) | prk_load32_sc(four + 3);
}

/* Is he of that place inside, and alive? The dead leave. */
static bool reads(struct prusik_rwlock *rwlock, uint32_t place)
{
	uint32_t seen = prk_load32_sc(&rwlock->reader[place]);

	if (seen == 0 || (seen & WAITS))
		return false;
	if (!prk_gone(rwlock, seen))
		return true;
	prk_cas32_sc(&rwlock->reader[place], &seen, 0);
	return false;
}

static bool none_reads(struct prusik_rwlock *rwlock, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		if (reads(rwlock, i))
			return false;
	return true;
}

/* sc [rwlock.reader]: pairs with the claims; acq: the readers have read */
static bool empty(struct prusik_rwlock *rwlock)
{
	for (uint32_t i = 0; i < PRUSIK_RWLOCK_READERS; i += 4) {
		if (__builtin_expect(some(&rwlock->reader[i]) == 0, 1))
			continue;
		if (!none_reads(rwlock, i, i + 4))
			return false;
	}
	return true;
}

/* They are as a rule inside for a moment only. Who looks takes the words from those who write them. */
static bool soon_empty(struct prusik_rwlock *rwlock)
{
	for (int i = 1; i < PRK_SPINS; i += i) {
		prk_pause_for(i);
		if (empty(rwlock))
			return true;
	}
	return false;
}

/* ---- the writer's place ---- */

/* All who wait are inside now. */
static void let_in(struct prusik_rwlock *rwlock)
{
	for (uint32_t i = 0; i < PRUSIK_RWLOCK_READERS; i++) {
		uint32_t seen = prk_load32_sc(&rwlock->reader[i]);
		if (seen & WAITS) /* rel [rwlock.reader]: publishes what the writer did */
			prk_cas32_sc(&rwlock->reader[i], &seen, seen & ~WAITS);
	}
}

/* True: somebody may be asleep on turn. */
static bool let_in_overdue(struct prusik_rwlock *rwlock)
{
	uint32_t waiting = prk_load32_sc(&rwlock->waiting);

	if (waiting == 0)
		return false;
	/* acqrel [rwlock.waiting]: whoever is overdue has claimed before he said so */
	if (prk_swap32_acqrel(&rwlock->waiting, 0) == OVERDUE)
		let_in(rwlock);
	return true;
}

void prk_rwlock_free_writer(struct prusik_rwlock *rwlock)
{
	struct prk_self *self = prk_self();
	bool waited = let_in_overdue(rwlock);
	uint32_t mine = self->id;

	/* sc [rwlock.writer]: pairs with the look in next_turn; rel: what the writer did */
	if (prk_cas32_sc(&rwlock->writer.word, &mine, 0)) {
		self->held--;
	} else {
		prk_lock_release_slow(&rwlock->writer);
		waited = true; /* perhaps: that was not sc */
	}
	if (waited || prk_load32_sc(&rwlock->waiting)) {
		prk_add32_acqrel(&rwlock->turn, 1);
		prk_wake(&rwlock->turn, INT_MAX);
	}
}

int prk_rwlock_take_writer(struct prusik_rwlock *rwlock, int64_t deadline)
{
	/* sc [rwlock.writer]: pairs with prk_rwlock_open */
	int r = prk_lock_acquire_slow(&rwlock->writer, deadline);

	if (r == PRUSIK_RECOVERED)
		prk_store32_sc(&rwlock->taken, 1);
	return r;
}

/* ---- writers ---- */

/* Has everybody left reader, those who wait and the dead too? */
static bool bare(struct prusik_rwlock *rwlock)
{
	for (uint32_t i = 0; i < PRUSIK_RWLOCK_READERS; i++) {
		uint32_t seen = prk_load32_sc(&rwlock->reader[i]);
		if (seen == 0)
			continue;
		if (!prk_gone(rwlock, seen & PRK_ID_MASK))
			return false;
		prk_cas32_sc(&rwlock->reader[i], &seen, 0);
	}
	return true;
}

/*
 * I hold writer. A reader who has seen taken set before I clear it, and me not, has
 * claimed before I look at the claims. Killed before I set it again: take_writer.
 */
static void forget_readers(struct prusik_rwlock *rwlock)
{
	prk_store32_sc(&rwlock->taken, 0); /* sc [rwlock.taken]: pairs with say_taken */
	if (!bare(rwlock))
		prk_store32_sc(&rwlock->taken, 1);
}

static void look_in_vain(struct prusik_rwlock *rwlock)
{
	uint32_t vain = prk_load32_rlx(&rwlock->vain) + 1;

	prk_store32_rlx(&rwlock->vain, vain % VAIN_LOOKS);
	if (vain >= VAIN_LOOKS)
		forget_readers(rwlock);
}

/* I hold writer, and nobody reads. */
static inline int go_in(struct prusik_rwlock *rwlock)
{
	int r = prk_rwlock_told(rwlock);

	prk_store32_rlx(&rwlock->inside, prk_self()->id);
	prk_barrier(); /* before anything that the caller writes */
	return r;
}

/* I hold writer, and keep it while I wait: no more readers come in. */
static int outwait_readers(struct prusik_rwlock *rwlock, int64_t deadline)
{
	for (;;) {
		struct prk_watch w = prk_rwlock_watch(rwlock);
		if (empty(rwlock))
			return 0;
		int r = prk_wait(&rwlock->left, w.left, w.epoch, deadline);
		if (r < 0) {
			prk_rwlock_free_writer(rwlock);
			return r;
		}
	}
}

/* I hold writer, and readers are inside: go away until one of them has left. < 0: it is not held. */
static int stand_aside(struct prusik_rwlock *rwlock, const struct prk_watch *w, const struct prk_patience *p)
{
	prk_rwlock_free_writer(rwlock);
	int r = prk_rwlock_sleep_on(&rwlock->left, w->left, w->epoch, p, false);
	return r < 0 ? r : prk_rwlock_take_writer(rwlock, p->deadline);
}

/* I hold writer, and readers are inside. 0: they have left; < 0: it is not held any more. */
static int until_empty(struct prusik_rwlock *rwlock, int64_t deadline)
{
	const struct prk_patience p = prk_patience(deadline);
	int r = 0;

	while (r >= 0 && !soon_empty(rwlock)) {
		struct prk_watch w = prk_rwlock_watch(rwlock);
		if (empty(rwlock))
			return 0;
		if (prk_patience_over(&p))
			return outwait_readers(rwlock, deadline);
		r = stand_aside(rwlock, &w, &p);
	}
	return r < 0 ? r : 0;
}

/* I hold writer, and somebody may stand in reader. */
static __attribute__((noinline)) int write_among_readers(struct prusik_rwlock *rwlock, int64_t deadline)
{
	int r = 0;

	if (empty(rwlock)) {
		look_in_vain(rwlock);
		return go_in(rwlock);
	}
	prk_store32_rlx(&rwlock->vain, 0);
	if (deadline != PRUSIK_NOW) {
		r = until_empty(rwlock, deadline);
	} else {
		prk_rwlock_free_writer(rwlock);
		r = -ETIMEDOUT;
	}
	return r < 0 ? r : go_in(rwlock);
}

static int write_alone(struct prusik_rwlock *rwlock, int64_t deadline)
{
	/* sc [rwlock.taken]: pairs with say_taken */
	if (__builtin_expect(prk_load32_sc(&rwlock->taken) == 0, 1))
		return go_in(rwlock);
	return write_among_readers(rwlock, deadline);
}

static __attribute__((noinline)) int write_otherwise(struct prusik_rwlock *rwlock, int64_t deadline)
{
	int r = prk_joined();

	if (r < 0)
		return r;
	if (prk_rwlock_my_claim(rwlock))
		return -EDEADLK;
	prk_rwlock_note_home(prk_self());
	r = prk_rwlock_take_writer(rwlock, deadline);
	return r < 0 ? r : write_alone(rwlock, deadline);
}

int prusik_rwlock_write(struct prusik_rwlock *rwlock, int64_t deadline)
{
	struct prk_self *self = prk_self();
	uint32_t nobody = 0, place = self->reader_home;

	if (prk_misplaced(rwlock))
		return -EINVAL;
	/* sc [rwlock.writer]: pairs with prk_rwlock_open */
	if (__builtin_expect(place == 0 || prk_load32_rlx(&rwlock->reader[place]) == self->id ||
				     !prk_cas32_sc(&rwlock->writer.word, &nobody, self->id),
			     0))
		return write_otherwise(rwlock, deadline);
	self->held++;
	return write_alone(rwlock, deadline);
}

int prk_rwlock_leave_writing(struct prusik_rwlock *rwlock)
{
	prk_store32_rel(&rwlock->inside, 0); /* after all that the caller wrote */
	prk_rwlock_free_writer(rwlock);
	return 0;
}
