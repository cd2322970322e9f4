/* SPDX-License-Identifier: MIT */
/*
 * rwlock - a lock among writers, and a table of readers by name
 *
 * struct prusik_rwlock - 256 bytes; private or shared memory; zero = free
 *
 * WORD     writer: sync/lock.c; held by the writer who waits for the readers to leave,
 *          is inside, or lets the next ones in. reader: 0, or an id that is inside, or
 *          an id with WAITS that waits for its turn. inside: the id of the writer that
 *          is inside, or has died there. waiting: a reader may be asleep on turn.
 *          turn: counted up after writer was freed. left: bit 0 WANTED: somebody may be
 *          asleep on it; above, counted up when a reader leaves.
 * WRITES   reader: claimed by anyone, by CAS from 0 or a dead id to his own; then its
 *          owner; WAITS is also cleared by the holder of writer, by CAS, and dead ids.
 *          inside: the holder of writer. waiting: set by readers, cleared by the holder
 *          of writer. turn, left: anyone, by addition and CAS.
 * ALWAYS   W1 a writer is inside => no living id stands in reader without WAITS, but
 *          for a moment: that of a newcomer who will find writer held and step back
 *          W2 a reader sleeps on turn => the holder of writer was alive when he looked,
 *          and waiting is set, or was cleared by the holder, who counts turn up later
 *          W3 somebody sleeps on left => WANTED is set, or left was counted up
 * MAY LIE  waiting, WANTED with no sleeper: cost one wake. inside: a reader who finds
 *          it not 0 may enter all the same: it only says that the data need mending.
 * KILLED   a reader, anywhere: his id is dead, and a dead id is nobody; a writer who
 *          waits for him is woken by the epoch and looks. A writer before inside is
 *          set, or after it is 0 again: writer is taken over by the next writer, or by
 *          a reader, who lets all the readers in and frees it; both are woken by the
 *          epoch. While inside is set: the same, and inside tells all who enter, until
 *          a writer has put his own id there and then 0.
 *
 * A reader claims, then looks whether writer is held; a writer takes writer, then
 * looks at the claims: all four sc (base/atomic.h). Likewise, in the other direction,
 * "waiting, then writer" and "writer freed, then waiting"; "claim given up, then
 * left" and "WANTED, then the claims".
 *
 * Phase fair (Brandenburg and Anderson, "Reader-writer synchronization for shared-
 * memory multiprocessor real-time systems", 2009), but with the readers of a phase
 * named instead of counted: before a writer frees the lock it takes WAITS off all who
 * wait, so that they are inside, whatever writer comes next.
 */
#include <prusik/rwlock.h>

#include "base/ghost.h"
#include "base/wait.h"
#include "sync/lock.h"

#include <errno.h>
#include <limits.h>

#define WAITS UINT32_C(0x80000000)
#define WANTED UINT32_C(1)
#define ONE_LEFT UINT32_C(2)

#define LINE_WORDS 16u
#define HEAD_WORDS 8u /* before reader, on the first line */

_Static_assert(sizeof(struct prusik_rwlock) == 256, "shared layout");
_Static_assert(offsetof(struct prusik_rwlock, reader) == HEAD_WORDS * 4, "shared layout");
_Static_assert(PRUSIK_RWLOCK_READERS % 4 == 0, "some");
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

/* sc [rwlock.writer]: pairs with the CAS in take_writer */
static bool open_to_readers(const struct prusik_rwlock *rwlock)
{
	return (prk_load32_sc(&rwlock->writer.word) & PRK_ID_MASK) == 0;
}

/* What one who is inside is told: 0 or PRUSIK_RECOVERED. */
static int told(const struct prusik_rwlock *rwlock)
{
	return prk_load32_rlx(&rwlock->inside) != 0;
}

/* ---- claims ---- */

/*
 * prk_self()->reader_home is the way to go fast: it is 0, never a home, until the thread
 * has once gone the slow way, and while it has claims away from home.
 */
static void note_home(struct prk_self *self)
{
	self->reader_home = self->strays ? 0 : home(self->id);
}

/* The calling thread's claim, or NULL. One that is not at home is counted in strays. */
static uint32_t *my_claim(struct prusik_rwlock *rwlock)
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
		note_home(self);
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
	note_home(self);
	vacate(rwlock, claim);
}

/* Not 0 when one of these four is not. A writer looks at all: four at a time is faster. */
static uint32_t some(const uint32_t *four)
{
	return prk_load32_sc(four) | prk_load32_sc(four + 1) | prk_load32_sc(four + 2) |
	       prk_load32_sc(four + 3);
}

/* sc [rwlock.reader]: pairs with the claims; acq: the readers have read */
static bool empty(struct prusik_rwlock *rwlock)
{
	uint32_t any = 0;

	for (uint32_t i = 0; i < PRUSIK_RWLOCK_READERS; i += 4)
		any |= some(&rwlock->reader[i]);
	if (any == 0)
		return true;
	for (uint32_t i = 0; i < PRUSIK_RWLOCK_READERS; i++) {
		uint32_t seen = prk_load32_sc(&rwlock->reader[i]);
		if (seen == 0 || (seen & WAITS))
			continue;
		if (!prk_gone(rwlock, seen))
			return false;
		prk_cas32_sc(&rwlock->reader[i], &seen, 0);
	}
	return true;
}

/* Sleep until a reader has left since left was seen; WANTED is not set yet: look once more. */
static int until_left(struct prusik_rwlock *rwlock, uint32_t left, uint32_t epoch, int64_t deadline)
{
	if (deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	if (left & WANTED)
		return prk_wait(&rwlock->left, left, epoch, deadline);
	prk_cas32_sc(&rwlock->left, &left, left | WANTED); /* sc [rwlock.left]: tell */
	return 0;
}

static int claim_until(struct prusik_rwlock *rwlock, uint32_t **ret_claim, int64_t deadline)
{
	int r = 0;

	while (r == 0) {
		uint32_t epoch = prk_epoch();
		uint32_t left = prk_load32_sc(&rwlock->left);
		*ret_claim = claim_any(rwlock);
		if (*ret_claim)
			return 0;
		r = until_left(rwlock, left, epoch, deadline);
	}
	return r;
}

static int empty_until(struct prusik_rwlock *rwlock, int64_t deadline)
{
	int r = 0;

	for (int i = 0; i < PRK_SPINS / 4; i++) {
		if (empty(rwlock))
			return 0;
		if (deadline == PRUSIK_NOW)
			return -ETIMEDOUT;
		prk_pause_for(4);
	}
	while (r == 0) {
		uint32_t epoch = prk_epoch();
		uint32_t left = prk_load32_sc(&rwlock->left);
		if (empty(rwlock))
			return 0;
		r = until_left(rwlock, left, epoch, deadline);
	}
	return r;
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

/* Who claims after let_in, and finds writer held, is woken and looks again. */
static void free_writer(struct prusik_rwlock *rwlock)
{
	struct prk_self *self = prk_self();
	bool waited = prk_load32_sc(&rwlock->waiting) != 0;
	uint32_t mine = self->id;

	if (waited) {
		prk_store32_sc(&rwlock->waiting, 0);
		let_in(rwlock);
	}
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

static int take_writer(struct prusik_rwlock *rwlock, int64_t deadline)
{
	struct prk_self *self = prk_self();
	uint32_t nobody = 0;

	/* sc [rwlock.writer]: pairs with open_to_readers */
	if (!prk_cas32_sc(&rwlock->writer.word, &nobody, self->id))
		return prk_lock_acquire_slow(&rwlock->writer, deadline); /* sc too */
	self->held++;
	return 0;
}

/* ---- readers who find it closed ---- */

static void step_back(struct prusik_rwlock *rwlock, uint32_t *claim)
{
	prk_store32_sc(claim, prk_self()->id | WAITS); /* sc [rwlock.reader]: pairs with empty */
	tell(rwlock);
}

/* Nobody holds writer: go in, unless one comes meanwhile. */
static bool step_in(struct prusik_rwlock *rwlock, uint32_t *claim)
{
	uint32_t id = prk_self()->id, waiting = id | WAITS;

	if (!prk_cas32_sc(claim, &waiting, id) || open_to_readers(rwlock))
		return true; /* let in, or free */
	step_back(rwlock, claim);
	return false;
}

/* The writer has died: let all readers in, me among them. */
static void pass_on(struct prusik_rwlock *rwlock)
{
	if (prk_lock_acquire(&rwlock->writer, PRUSIK_NOW) >= 0)
		free_writer(rwlock);
}

static bool inside(const uint32_t *claim)
{
	return !(prk_load32_acq(claim) & WAITS); /* acq [rwlock.reader]: let_in */
}

/* 0: inside; 1: look again; or why not. */
static int next_turn(struct prusik_rwlock *rwlock, uint32_t *claim, int64_t deadline)
{
	uint32_t epoch = prk_epoch();
	uint32_t turn = prk_load32_acq(&rwlock->turn); /* acq [rwlock.turn]: free_writer */

	if (inside(claim))
		return 0;
	prk_store32_sc(&rwlock->waiting, 1); /* sc [rwlock.waiting]: pairs with free_writer */
	uint32_t writer = prk_load32_sc(&rwlock->writer.word) & PRK_ID_MASK;
	if (writer == 0)
		return !step_in(rwlock, claim);
	if (prk_gone(rwlock, writer)) {
		pass_on(rwlock);
		return 1;
	}
	int r = deadline == PRUSIK_NOW ? -ETIMEDOUT : prk_wait(&rwlock->turn, turn, epoch, deadline);
	return r < 0 ? r : 1;
}

static void spin(const struct prusik_rwlock *rwlock, const uint32_t *claim)
{
	for (int i = 0; i < PRK_SPINS && !inside(claim) && !open_to_readers(rwlock); i++)
		prk_pause();
}

/* I have claimed, and it is closed. */
static int wait_for_turn(struct prusik_rwlock *rwlock, uint32_t *claim, int64_t deadline)
{
	int r = 1;

	step_back(rwlock, claim);
	if (deadline != PRUSIK_NOW)
		spin(rwlock, claim);
	while (r > 0)
		r = next_turn(rwlock, claim, deadline);
	if (r == 0 || inside(claim))
		return told(rwlock);
	give_up(rwlock, claim);
	return r;
}

static __attribute__((noinline)) int read_elsewhere(struct prusik_rwlock *rwlock, int64_t deadline)
{
	uint32_t *claim = NULL;
	int r = prk_joined();

	if (r < 0)
		return r;
	if (my_claim(rwlock) || prk_lock_mine(&rwlock->writer))
		return -EDEADLK;
	r = claim_until(rwlock, &claim, deadline);
	if (r < 0)
		return r;
	return open_to_readers(rwlock) ? told(rwlock) : wait_for_turn(rwlock, claim, deadline);
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
	if (__builtin_expect(open_to_readers(rwlock), 1))
		return told(rwlock);
	return read_later(rwlock, &rwlock->reader[place], deadline);
}

int prusik_rwlock_write(struct prusik_rwlock *rwlock, int64_t deadline)
{
	int r = prk_misplaced(rwlock) ? -EINVAL : prk_joined();

	if (r < 0)
		return r;
	if (my_claim(rwlock))
		return -EDEADLK;
	r = take_writer(rwlock, deadline);
	if (r < 0)
		return r;
	r = empty_until(rwlock, deadline);
	if (r < 0) {
		free_writer(rwlock);
		return r;
	}
	r = told(rwlock);
	prk_store32_rlx(&rwlock->inside, prk_self()->id);
	prk_barrier(); /* before anything that the caller writes */
	return r;
}

static __attribute__((noinline)) int release_otherwise(struct prusik_rwlock *rwlock)
{
	uint32_t *claim = my_claim(rwlock);

	if (claim) {
		give_up(rwlock, claim);
		return 0;
	}
	if (!prk_lock_mine(&rwlock->writer))
		return -EPERM;
	prk_store32_rel(&rwlock->inside, 0); /* after all that the caller wrote */
	free_writer(rwlock);
	return 0;
}

int prusik_rwlock_release(struct prusik_rwlock *rwlock)
{
	const struct prk_self *self = prk_self();
	uint32_t place = self->reader_home;

	if (prk_misplaced(rwlock))
		return -EINVAL;
	if (place == 0 || prk_load32_rlx(&rwlock->reader[place]) != self->id)
		return release_otherwise(rwlock);
	vacate(rwlock, &rwlock->reader[place]);
	return 0;
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
