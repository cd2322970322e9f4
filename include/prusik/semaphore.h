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
 * All zero is a semaphore of 0 permits without a limit, and a prusik_permits of none.
 *
 * kill -9: a release is one step: the count is raised and one is woken. No permit
 * is held back by a waiter that dies, and no waiter is passed over.
 */
#ifndef PRUSIK_SEMAPHORE_H
#define PRUSIK_SEMAPHORE_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Most permits a semaphore can count. */
#define PRUSIK_SEMAPHORE_MAX 0x7fffffffu

/* 8 bytes, private: bit 31 somebody may be asleep, bits 30..0 permits; limit 0: none. */
struct prusik_semaphore {
	uint32_t word;
	uint32_t limit;
};

/*
 * value permits now, at most limit later (0: no limit but PRUSIK_SEMAPHORE_MAX).
 * Before anyone uses it. 0; -EINVAL: NULL, misaligned, value above limit or MAX.
 */
int prusik_semaphore_init(struct prusik_semaphore *semaphore, uint32_t value, uint32_t limit);

/* Take one permit. 0, -ETIMEDOUT, -ECANCELED, -EINVAL, or the domain could not be joined. */
int prusik_semaphore_acquire(struct prusik_semaphore *semaphore, int64_t deadline) PRUSIK_MUST_USE;

/*
 * Add count permits and wake as many. 0; -EOVERFLOW: it would be more than the
 * limit, nothing was added; -EINVAL: count 0, NULL, misaligned.
 * Async-signal-safe; the caller need not be a participant.
 */
int prusik_semaphore_release(struct prusik_semaphore *semaphore, uint32_t count);

/* Permits now; -EINVAL. Async-signal-safe. */
int64_t prusik_semaphore_value(const struct prusik_semaphore *semaphore);

/* count permits, each with its holder's name: prusik_permits_size(count) bytes. */
struct prusik_permits {
	uint32_t count;
	uint32_t word; /* bit 0 somebody may be asleep; the rest counts releases */
	uint32_t holder[]; /* private */
};

/* Bytes that so many permits need; 0 for count 0 or above 65536. */
size_t prusik_permits_size(uint32_t count);

/* Make count free permits, before anyone uses them. 0, -EINVAL. */
int prusik_permits_init(struct prusik_permits *permits, uint32_t count);

/*
 * Take one permit for the calling thread. Returns 0; PRUSIK_RECOVERED: yours, and
 * its previous holder died with it; -ETIMEDOUT, -ECANCELED, -EINVAL, or the domain
 * could not be joined.
 */
int prusik_permits_acquire(struct prusik_permits *permits, int64_t deadline) PRUSIK_MUST_USE;

/* Give one of the calling thread's permits back. 0; -EPERM: it has none; -EINVAL. */
int prusik_permits_release(struct prusik_permits *permits);

/* How many can be acquired now, the dead's included; -EINVAL. */
int64_t prusik_permits_value(const struct prusik_permits *permits);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
