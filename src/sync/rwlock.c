/* SPDX-License-Identifier: MIT */
/* rwlock: claims, and readers */
#include "sync/rwlock.h"

#include "base/ghost.h"

#include <errno.h>
#include <limits.h>

#define LINE_WORDS 16u
#define HEAD_WORDS 8u /* before reader, on the first line */

_Static_assert(sizeof(struct prusik_rwlock) == 256, "shared layout");
_Static_assert(offsetof(struct prusik_rwlock, reader) == HEAD_WORDS * 4, "shared layout");
_Static_assert(PRUSIK_RECOVERED == 1, "told");

/*
 * Where an id looks first: neighbours on different lines, none on the one whose words
 * all readers look at. The rest is for those whose home is taken.
 */
static uint32_t home(uint32_t id)
{
	uint32_t slot = id & PRK_SLOT_MASK;

	return HEAD_WORDS + slot % 3 * LINE_WORDS + slot / 3 % LINE_WORDS;
}

/* The caller has claimed: writers are to look at the claims, from now on. */
static inline void say_taken(struct prusik_rwlock *rwlock)
{
	/* sc [rwlock.taken]: pairs with forget_readers */
	if (__builtin_expect(prk_load32_sc(&rwlock->taken) == 0, 0))
		prk_store32_sc(&rwlock->taken, 1);
}

/* ---- claims ---- */

/*
 * prk_self()->reader_home is the way to go fast: it is 0, never a home, until the thread
 * has once gone the slow way, and while it has claims away from home.
 */
void prk_rwlock_note_home(struct prk_self *self)
{
	self->reader_home = self->strays ? 0 : home(self->id);
}

uint32_t *prk_rwlock_my_claim(struct prusik_rwlock *rwlock)
{
	const struct prk_self *self = prk_self();
	uint32_t *claim = &rwlock->reader[home(self->id)];

	if (self->id == 0)
		return NULL;
	if ((prk_load32_rlx(claim) & PRK_ID_MASK) == self->id)
		return claim;
	for (uint32_t i = 0; self->strays && i < PRUSIK_RWLOCK_READERS; i++)
		if ((prk_load32_rlx(&rwlock->reader[i]) & PRK_ID_MASK) == self->id)
			return &rwlock->reader[i];
	return NULL;
}

/* A place that is free, or whose reader has died; NULL: all are taken. */
static uint32_t *claim_any(struct prusik_rwlock *rwlock)
{
	struct prk_self *self = prk_self();
	uint32_t first = home(self->id);

	for (uint32_t step = 0; step < PRUSIK_RWLOCK_READERS; step++) {
		uint32_t *claim = &rwlock->reader[(first + step) % PRUSIK_RWLOCK_READERS];
		uint32_t seen = prk_load32_sc(claim); /* sc [rwlock.reader]: give_up */
		if (seen != 0 && !prk_gone(rwlock, seen & PRK_ID_MASK))
			continue;
		/* sc [rwlock.reader]: pairs with the look in empty */
		if (!prk_cas32_sc(claim, &seen, self->id))
			continue;
		self->held++;
		self->strays += step > 0;
		prk_rwlock_note_home(self);
		return claim;
	}
	return NULL;
}

static void tell_now(struct prusik_rwlock *rwlock, uint32_t left)
{
	if (prk_cas32_sc(&rwlock->left, &left, (left & ~WANTED) + ONE_LEFT))
		prk_wake(&rwlock->left, INT_MAX);
}

/* A claim was given up, or waits: tell those who wait for that. */
static inline void tell(struct prusik_rwlock *rwlock)
{
	uint32_t left = prk_load32_sc(&rwlock->left); /* sc [rwlock.left]: until_left */

	if (__builtin_expect(left & WANTED, 0))
		tell_now(rwlock, left);
}

static inline void vacate(struct prusik_rwlock *rwlock, uint32_t *claim)
{
	prk_store32_sc(claim, 0); /* sc [rwlock.reader], rel: what was read was read before */
	prk_self()->held--;
	tell(rwlock);
}

static void give_up(struct prusik_rwlock *rwlock, uint32_t *claim)
{
	struct prk_self *self = prk_self();

	self->strays -= claim != &rwlock->reader[home(self->id)];
	prk_rwlock_note_home(self);
	vacate(rwlock, claim);
}

/* ---- waiting, patiently at first ---- */

int prk_rwlock_sleep_on(uint32_t *word, uint32_t value, uint32_t epoch, const struct prk_patience *p, bool over)
{
	bool patient = !over && p->until < p->deadline;
	int r = prk_wait(word, value, epoch, patient ? p->until : p->deadline);

	return r == -ETIMEDOUT && patient ? 0 : r;
}

struct prk_watch prk_rwlock_watch(struct prusik_rwlock *rwlock)
{
	struct prk_watch w = { .epoch = prk_epoch(), .left = prk_load32_sc(&rwlock->left) };

	while (!(w.left & WANTED)) /* sc [rwlock.left]: tell */
		if (prk_cas32_sc(&rwlock->left, &w.left, w.left | WANTED))
			w.left |= WANTED;
	return w;
}

static int claim_until(struct prusik_rwlock *rwlock, uint32_t **ret_claim, int64_t deadline)
{
	int r = 0;

	*ret_claim = claim_any(rwlock);
	if (!*ret_claim && deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	while (r == 0 && !*ret_claim) {
		struct prk_watch w = prk_rwlock_watch(rwlock);
		*ret_claim = claim_any(rwlock);
		if (!*ret_claim)
			r = prk_wait(&rwlock->left, w.left, w.epoch, deadline);
	}
	return r;
}

/* ---- readers who find it closed ---- */

static void step_back(struct prusik_rwlock *rwlock, uint32_t *claim)
{
	prk_store32_sc(claim, prk_self()->id | WAITS); /* sc [rwlock.reader]: pairs with empty */
	tell(rwlock);
}

/* Nobody holds writer: go in, unless one comes meanwhile. taken was seen to after the claim. */
static bool step_in(struct prusik_rwlock *rwlock, uint32_t *claim)
{
	uint32_t id = prk_self()->id, waiting = id | WAITS;

	if (!prk_cas32_sc(claim, &waiting, id) || prk_rwlock_open(rwlock))
		return true; /* let in, or free */
	step_back(rwlock, claim);
	return false;
}

/* The writer has died: free it in his place. */
static void pass_on(struct prusik_rwlock *rwlock)
{
	if (prk_rwlock_take_writer(rwlock, PRUSIK_NOW) >= 0)
		prk_rwlock_free_writer(rwlock);
}

static bool inside(const uint32_t *claim)
{
	return !(prk_load32_acq(claim) & WAITS); /* acq [rwlock.reader]: let_in */
}

/* sc [rwlock.waiting]: pairs with free_writer */
static void say_waiting(struct prusik_rwlock *rwlock, bool overdue)
{
	uint32_t none = 0;

	if (overdue)
		prk_store32_sc(&rwlock->waiting, OVERDUE);
	else
		prk_cas32_sc(&rwlock->waiting, &none, ASLEEP);
}

/* 0: inside; 1: look again; or why not. */
static int next_turn(struct prusik_rwlock *rwlock, uint32_t *claim, const struct prk_patience *p)
{
	uint32_t epoch = prk_epoch();
	uint32_t turn = prk_load32_acq(&rwlock->turn); /* acq [rwlock.turn]: free_writer */

	if (inside(claim))
		return 0;
	bool over = prk_patience_over(p); /* looked at once: who has not said so must not sleep for long */
	say_waiting(rwlock, over);
	uint32_t writer = prk_load32_sc(&rwlock->writer.word) & PRK_ID_MASK;
	if (writer == 0)
		return !step_in(rwlock, claim);
	if (prk_gone(rwlock, writer)) {
		pass_on(rwlock);
		return 1;
	}
	int r = p->deadline == PRUSIK_NOW ? -ETIMEDOUT : prk_rwlock_sleep_on(&rwlock->turn, turn, epoch, p, over);
	return r < 0 ? r : 1;
}

/* A writer is as a rule inside for a moment only. True: I am inside now. */
static bool spin(struct prusik_rwlock *rwlock, uint32_t *claim)
{
	for (int i = PRK_RWLOCK_PAUSE; i <= 2 * PRK_RWLOCK_PAUSE; i += i) {
		prk_pause_for(i);
		if (inside(claim) || (prk_rwlock_open(rwlock) && step_in(rwlock, claim)))
			return true;
	}
	return false;
}

static int sleep_until_turn(struct prusik_rwlock *rwlock, uint32_t *claim, int64_t deadline)
{
	const struct prk_patience p = prk_patience(deadline);
	int r;

	while ((r = next_turn(rwlock, claim, &p)) > 0)
		;
	return r;
}

/* I have claimed, and it is closed. */
static int wait_for_turn(struct prusik_rwlock *rwlock, uint32_t *claim, int64_t deadline)
{
	int r = 0;

	step_back(rwlock, claim);
	if (deadline == PRUSIK_NOW || !spin(rwlock, claim))
		r = sleep_until_turn(rwlock, claim, deadline);
	if (r == 0 || inside(claim))
		return prk_rwlock_told(rwlock);
	give_up(rwlock, claim);
	return r;
}

static __attribute__((noinline)) int read_elsewhere(struct prusik_rwlock *rwlock, int64_t deadline)
{
	uint32_t *claim = NULL;
	int r = prk_joined();

	if (r < 0)
		return r;
	if (prk_rwlock_my_claim(rwlock) || prk_lock_mine(&rwlock->writer))
		return -EDEADLK;
	r = claim_until(rwlock, &claim, deadline);
	if (r < 0)
		return r;
	say_taken(rwlock);
	return prk_rwlock_open(rwlock) ? prk_rwlock_told(rwlock) : wait_for_turn(rwlock, claim, deadline);
}

/* I have claimed at home, and it is closed. */
static __attribute__((noinline)) int read_later(struct prusik_rwlock *rwlock, uint32_t *claim, int64_t deadline)
{
	if (!prk_lock_mine(&rwlock->writer))
		return wait_for_turn(rwlock, claim, deadline);
	give_up(rwlock, claim);
	return -EDEADLK;
}

int prusik_rwlock_read(struct prusik_rwlock *rwlock, int64_t deadline)
{
	struct prk_self *self = prk_self();
	uint32_t nobody = 0, place = self->reader_home;

	if (prk_misplaced(rwlock))
		return -EINVAL;
	/* sc [rwlock.reader]: pairs with the look in empty */
	if (__builtin_expect(place == 0 || !prk_cas32_sc(&rwlock->reader[place], &nobody, self->id), 0))
		return read_elsewhere(rwlock, deadline);
	self->held++;
	say_taken(rwlock);
	if (__builtin_expect(prk_rwlock_open(rwlock), 1))
		return prk_rwlock_told(rwlock);
	return read_later(rwlock, &rwlock->reader[place], deadline);
}

static __attribute__((noinline)) int release_otherwise(struct prusik_rwlock *rwlock)
{
	uint32_t *claim = prk_rwlock_my_claim(rwlock);

	if (claim) {
		give_up(rwlock, claim);
		return 0;
	}
	return prk_lock_mine(&rwlock->writer) ? prk_rwlock_leave_writing(rwlock) : -EPERM;
}

int prusik_rwlock_release(struct prusik_rwlock *rwlock)
{
	const struct prk_self *self = prk_self();
	uint32_t place = self->reader_home;

	if (prk_misplaced(rwlock))
		return -EINVAL;
	if (place == 0)
		return release_otherwise(rwlock);
	if (prk_load32_rlx(&rwlock->reader[place]) == self->id) {
		vacate(rwlock, &rwlock->reader[place]);
		return 0;
	}
	return prk_lock_mine(&rwlock->writer) ? prk_rwlock_leave_writing(rwlock) : -EPERM;
}

int prusik_rwlock_readers(const struct prusik_rwlock *rwlock)
{
	int n = 0;

	if (prk_misplaced(rwlock))
		return -EINVAL;
	for (uint32_t i = 0; i < PRUSIK_RWLOCK_READERS; i++) {
		uint32_t seen = prk_load32_rlx(&rwlock->reader[i]);
		n += seen != 0 && !(seen & WAITS) && prk_life_open() == 0 && !prk_gone(rwlock, seen);
	}
	return n;
}

int prusik_rwlock_written(const struct prusik_rwlock *rwlock)
{
	if (prk_misplaced(rwlock))
		return -EINVAL;
	uint32_t writer = prk_load32_rlx(&rwlock->inside);
	return writer != 0 && prk_life_open() == 0 && !prk_gone(rwlock, writer);
}
