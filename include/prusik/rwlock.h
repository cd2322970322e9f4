/* SPDX-License-Identifier: MIT */
/*
 * rwlock - many readers or one writer
 *
 * All zero is a free one. Private or shared memory. A waiting writer is preferred:
 * readers who come after it wait until it has been and gone; readers that waited
 * while a writer was inside all go before the next writer. So neither side is
 * passed over for ever. Not recursive, no upgrade: a thread that holds it in either
 * way gets -EDEADLK when it asks again.
 *
 * kill -9: readers and the writer are recorded by name. A dead reader does not count
 * any more; after a dead writer the next one, reader or writer, is told
 * PRUSIK_RECOVERED (each of the readers who enter together, until a writer has
 * released it).
 */
#ifndef PRUSIK_RWLOCK_H
#define PRUSIK_RWLOCK_H

#include <prusik/lock.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* So many readers at once; more wait for one of them to leave. */
#define PRUSIK_RWLOCK_READERS 56

/* 256 bytes, private. */
struct prusik_rwlock {
	uint32_t word[8];
	uint32_t reader[PRUSIK_RWLOCK_READERS];
};

/*
 * Enter as a reader, as the writer. Returns 0, PRUSIK_RECOVERED, or -ETIMEDOUT,
 * -ECANCELED, -EDEADLK (held by the calling thread in either way), -EINVAL.
 */
int prusik_rwlock_read(struct prusik_rwlock *rwlock, int64_t deadline) PRUSIK_MUST_USE;
int prusik_rwlock_write(struct prusik_rwlock *rwlock, int64_t deadline) PRUSIK_MUST_USE;

/* Leave, as whichever the calling thread is. 0; -EPERM: neither; -EINVAL. */
int prusik_rwlock_release(struct prusik_rwlock *rwlock);

/* How many living readers are inside; whether a living writer is. -EINVAL. Old before it is read. */
int prusik_rwlock_readers(const struct prusik_rwlock *rwlock);
int prusik_rwlock_written(const struct prusik_rwlock *rwlock);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
