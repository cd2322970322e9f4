/* SPDX-License-Identifier: MIT */
/*
 * semaphore - a count of permits, and permits that know their holder
 *
 *	struct prusik_semaphore free_places;
 *	prusik_semaphore_init(&free_places, 5, 5);          // 5 now, never more than 5
 *	prusik_semaphore_acquire(&free_places, PRUSIK_FOREVER);
 *	prusik_semaphore_release(&free_places, 1);
 *
 * Two kinds. prusik_semaphore is a bare count: anyone may release, one may release
 * what another acquired; good for signalling. A permit acquired by a process that is
 * then killed is gone with it. prusik_permits names the holder of each permit: when
 * a holder dies its permits come back at once; good for limiting.
 *
 * All zero is a semaphore of 0 permits without a limit. A prusik_permits must be
 * initialised. Private or shared memory.
 *
 * Fairness: those who wait are woken in the order in which they went to sleep. One
 * who comes just then, or has not gone to sleep yet, may take the permit first; the
 * one who was woken then sleeps again, behind the others. How often that can happen to
 * one has no bound but chance; while permits are released, everybody's turn comes.
 *
 * kill -9: a release is one step: the count is raised and as many are woken. A waiter
 * that dies, even one that has been woken, takes nothing with it: the permit goes to
 * the next one.
 *
 * Async-signal-safe: prusik_semaphore_release, prusik_semaphore_value. The others: not.
 */
#ifndef PRUSIK_SEMAPHORE_H
#define PRUSIK_SEMAPHORE_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Most permits a semaphore can count. */
#define PRUSIK_SEMAPHORE_MAX 0x3fffffffu

/*
 * 8 bytes, private. For debuggers, word is: bit 31 somebody may be asleep on it,
 * bits 30..0 permits; limit 0 is none.
 */
struct prusik_semaphore {
	uint32_t word;
	uint32_t limit;
};

/*
 * value permits now, at most limit later (0: no limit but PRUSIK_SEMAPHORE_MAX).
 * Before anyone uses it. 0; -EINVAL, and nothing has changed: NULL, misaligned, value above
 * limit, either above MAX. That it was initialised before is not noticed: it is made anew,
 * and whoever sleeps on it is not woken for that.
 */
int prusik_semaphore_init(struct prusik_semaphore *semaphore, uint32_t value, uint32_t limit);

/*
 * prusik_semaphore_acquire - take one permit
 *
 * Returns 0, -ETIMEDOUT, -ECANCELED (prusik/cancel.h), -EINVAL, or why the domain
 * could not be joined; that is needed only to wait.
 * Killed inside: the permit was taken, and is gone with the caller, or was not.
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_semaphore_acquire(struct prusik_semaphore *semaphore, int64_t deadline) PRUSIK_MUST_USE;

/*
 * prusik_semaphore_release - add count permits, and wake as many waiters
 *
 * Returns 0; -EOVERFLOW: it would be more than the limit, nothing was added (nor with a
 * negative count: it is a large one); -EINVAL: count 0, NULL, misaligned. There are never more permits than the limit; but when
 * several release at once, with somebody asleep, and only all of them together
 * exceed it, the surplus is dropped and each may be told 0.
 * Killed inside: all were added or none; of more than 2047, with somebody asleep,
 * perhaps the first ones. As many waiters are awake as permits were added.
 * Async-signal-safe; the caller need not be a participant.
 */
int prusik_semaphore_release(struct prusik_semaphore *semaphore, uint32_t count);

/* Permits now, old before it is read; -EINVAL. Async-signal-safe. */
int64_t prusik_semaphore_value(const struct prusik_semaphore *semaphore);

/* Most permits that a prusik_permits can have. */
#define PRUSIK_PERMITS_MAX 65536u

/*
 * prusik_permits_size(count) bytes, private: these, and a word for each permit with
 * its holder's id, 0 = free. For debuggers, word is: bit 0 somebody may be asleep on
 * it, bits 31..1 count releases and waiters.
 */
struct prusik_permits {
	uint32_t count;
	uint32_t word;
};

/* Bytes that so many permits need: 8 + 4 * count; 0 for count 0 or above the most. */
size_t prusik_permits_size(uint32_t count);

/*
 * Make count free permits, before anyone uses them. 0; -EINVAL, and nothing has changed: NULL,
 * misaligned, count. As above when they were initialised before: their holders have none.
 */
int prusik_permits_init(struct prusik_permits *permits, uint32_t count);

/*
 * prusik_permits_acquire - take one permit for the calling thread
 *
 * A thread may hold several. Returns 0; PRUSIK_RECOVERED: yours, and its previous
 * holder died with it (a thread that ends holding one has died, too); -ETIMEDOUT,
 * -ECANCELED, -EINVAL (also when not initialised), or the domain could not be joined.
 * Killed inside, or holding it: the next one who asks gets it.
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_permits_acquire(struct prusik_permits *permits, int64_t deadline) PRUSIK_MUST_USE;

/*
 * Give one of the calling thread's permits back, and wake one waiter. 0; -EPERM: it
 * has none; -EINVAL. Context: threads; not signal handlers.
 */
int prusik_permits_release(struct prusik_permits *permits);

/* How many can be acquired now, the dead's included; -EINVAL, or a cause of the domain's. */
int64_t prusik_permits_value(const struct prusik_permits *permits);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
