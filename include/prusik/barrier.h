/* SPDX-License-Identifier: MIT */
/*
 * barrier - so many parties wait for one another, again and again
 *
 *	static struct {
 *		struct prusik_barrier barrier;
 *		uint32_t room[4];                        // a word for each party, right behind
 *	} step;
 *
 *	prusik_barrier_init(&step.barrier, 4);           // once
 *
 *	work();                                          // each of the four
 *	if (prusik_barrier_wait(&step.barrier, NULL, NULL, PRUSIK_FOREVER) < 0)
 *		return;                                  // one of us is gone
 *	use_what_the_others_did();
 *
 * A round ends for all in the same way: either it was full, and each living party
 * is told which one it was, or it was broken, and each is told that. Only who is
 * later than 32 rounds and a break to look may take a full round for a broken one.
 *
 * kill -9: who has arrived is recorded by name. When one of those who wait dies, or
 * the one who runs the action, the barrier is broken for all at once; the dead is
 * never counted as arrived. Who dies before it has arrived was never there: nobody
 * can tell it from one who is late, so give a deadline, or call abort when you learn
 * of the death.
 *
 * Async-signal-safe: none.
 */
#ifndef PRUSIK_BARRIER_H
#define PRUSIK_BARRIER_H

#include <prusik/lock.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * 32 bytes, private, and 4 for each party right behind it: prusik_barrier_size bytes.
 * Zeroed memory must be initialised first. For debuggers: word is twice the number of
 * the round, and bit 0 when it is broken; bits 16..0 of arrivals count who has arrived,
 * in the round whose lowest bits stand above them.
 */
struct prusik_barrier {
	struct prusik_lock lock;
	uint32_t parties;
	uint32_t word;
	uint32_t arrivals;
	uint32_t full;
	uint32_t broken;
	uint32_t looked;
};

/* More cannot be. */
#define PRUSIK_BARRIER_PARTIES_MAX 65536

/* Bytes for so many parties; 0 for 0 or above PRUSIK_BARRIER_PARTIES_MAX. */
size_t prusik_barrier_size(uint32_t parties);

/*
 * Before anyone uses it. 0; -EINVAL, and nothing has changed: NULL, misaligned (4 bytes),
 * parties out of range. That it was initialised before is not noticed: it is made anew,
 * and whoever still waits in it is lost. To send them away there is prusik_barrier_reset.
 */
int prusik_barrier_init(struct prusik_barrier *barrier, uint32_t parties);

/*
 * prusik_barrier_wait - arrive, and wait until all parties have
 *
 * The last one to arrive runs action(arg) (NULL: none) while the others still wait;
 * if it returns less than 0 the barrier is broken, and that is this caller's result.
 *
 * Returns which one this was, 0 (the last to arrive) to parties - 1, each number
 * once; or
 *   -EPIPE      the barrier is broken, or this round was: a party died, timed out,
 *               was canceled, its action failed, or somebody called abort or reset
 *   -ETIMEDOUT  deadline passed first; the barrier is broken for the others
 *   -ECANCELED  the token that the thread heeds is set; likewise
 *   -EDEADLK    called by the action of this barrier
 *   -EINVAL     NULL, misaligned or not initialised
 *   or a cause for which the domain could not be joined (prusik/common.h)
 *
 * More threads than parties may use it. Who comes while all are there and the action
 * runs waits for the next round; when it gives up, nothing is broken.
 *
 * Killed inside: not yet arrived, or arrived and dead; or the round is full.
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int64_t prusik_barrier_wait(struct prusik_barrier *barrier, int (*action)(void *), void *arg,
			    int64_t deadline) PRUSIK_MUST_USE;

/* Make it whole and empty; who waits gets -EPIPE. 0, -EINVAL, or not joined. */
int prusik_barrier_reset(struct prusik_barrier *barrier);

/* Break it: who waits, and who comes until a reset, gets -EPIPE. 0, -EINVAL, or not joined. */
int prusik_barrier_abort(struct prusik_barrier *barrier);

/* Parties; how many wait now; 1 when broken, else 0. -EINVAL. Old before it is read. */
int64_t prusik_barrier_parties(const struct prusik_barrier *barrier);
int64_t prusik_barrier_waiting(const struct prusik_barrier *barrier);
int prusik_barrier_broken(const struct prusik_barrier *barrier);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
