/* SPDX-License-Identifier: MIT */
/*
 * rwlock - many readers or one writer
 *
 *	r = prusik_rwlock_read(&table->rwlock, PRUSIK_FOREVER);
 *	if (r == 0)
 *		found = look_up(table, key);
 *	if (r >= 0)
 *		prusik_rwlock_release(&table->rwlock);   // r == PRUSIK_RECOVERED: a writer must mend it
 *
 * All zero is a free one. Private or shared memory; best at a multiple of 64 bytes.
 * Who finds it free goes in. A writer that has waited for a millisecond for readers to
 * leave is preferred: readers who come after that wait until it has been and gone. Readers
 * that have waited for a millisecond, and all who wait with them, go before the next
 * writer. So neither side is passed over for ever. Not recursive, no upgrade: a thread
 * that holds it in either way gets -EDEADLK when it asks again.
 *
 * kill -9: readers and the writer are recorded by name. A dead reader does not count
 * any more; after a writer that died inside the next one, reader or writer, is told
 * PRUSIK_RECOVERED (each reader who enters, until a writer has released it).
 *
 * Async-signal-safe: none.
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

/*
 * 256 bytes, private. For debuggers: writer is held by the one who is inside, or keeps
 * readers out; inside is the id of the writer that is inside, or died there; reader holds
 * the readers' ids, with bit 31 of those who wait for the writer.
 */
struct prusik_rwlock {
	struct prusik_lock writer;
	uint32_t inside;
	uint32_t waiting;
	uint32_t turn;
	uint32_t left;
	uint32_t taken;
	uint32_t vain;
	uint32_t reader[PRUSIK_RWLOCK_READERS];
};

/*
 * prusik_rwlock_read, prusik_rwlock_write - enter as a reader, as the writer
 *
 * Returns 0 or PRUSIK_RECOVERED: you are inside; or
 *   -ETIMEDOUT  not yet at deadline (PRUSIK_NOW: one would have to wait)
 *   -ECANCELED  the token that the thread heeds is set (prusik/cancel.h)
 *   -EDEADLK    the calling thread is inside, in either way
 *   -EINVAL     NULL or misaligned (4 bytes)
 *   or a cause for which the domain could not be joined (prusik/common.h)
 *
 * Killed inside: as a reader, nothing is left; as the writer, the next is told.
 * Context: threads; not signal handlers. Not ended by a signal.
 */
int prusik_rwlock_read(struct prusik_rwlock *rwlock, int64_t deadline) PRUSIK_MUST_USE;
int prusik_rwlock_write(struct prusik_rwlock *rwlock, int64_t deadline) PRUSIK_MUST_USE;

/*
 * Leave, as whichever the calling thread is, and wake those whose turn it is. 0;
 * -EPERM: neither; -EINVAL.
 */
int prusik_rwlock_release(struct prusik_rwlock *rwlock);

/* How many living readers are inside; whether a living writer is. -EINVAL. Old before it is read. */
int prusik_rwlock_readers(const struct prusik_rwlock *rwlock);
int prusik_rwlock_written(const struct prusik_rwlock *rwlock);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
