/* SPDX-License-Identifier: MIT */
/*
 * rwlock - a lock among writers, and a table of readers by name
 *
 * struct prusik_rwlock - 256 bytes; private or shared memory; zero = free
 *
 * WORD     writer: sync/lock.c; held by the writer who looks whether the readers have
 *          left, is inside, or lets the next ones in. reader: 0, or an id that is
 *          inside, or an id with WAITS that waits for its turn. inside: the id of the
 *          writer that is inside, or has died there. waiting: ASLEEP, a reader may be
 *          asleep on turn; OVERDUE, and one has waited for so long that the holder of
 *          writer has to let it in. turn: counted up after writer was freed. left: bit
 *          0 WANTED: somebody may be asleep on it; above, counted up when a reader
 *          leaves. taken: 0, nobody stands in reader. vain: so many writers in a row
 *          have found nobody there though taken was 1.
 * WRITES   reader: claimed by anyone, by CAS from 0 or a dead id to his own; then its
 *          owner; WAITS is also cleared by the holder of writer, by CAS, and dead ids.
 *          inside: the holder of writer. waiting: set by readers, cleared by the holder
 *          of writer. turn, left: anyone, by addition and CAS. taken: set by readers
 *          after their claim, cleared by the holder of writer; vain: he too.
 * ALWAYS   W1 a writer is inside => no living id stands in reader without WAITS, but
 *          for a moment: that of a newcomer who will find writer held and step back
 *          W2 a reader sleeps on turn => the holder of writer was alive when he looked,
 *          and waiting is set, or was cleared by the holder, who counts turn up later
 *          W3 somebody sleeps on left => WANTED is set, or left was counted up
 *          W4 taken is 0, and a living id stands in reader => it has not looked at
 *          taken yet, or writer is held by the one who cleared taken, who will look
 *          at reader and set it, or by one who took writer over from him, dead
 * MAY LIE  waiting, WANTED with no sleeper: cost one wake. inside: a reader who finds
 *          it not 0 may enter all the same: it only says that the data need mending.
 *          taken set with nobody there: costs a look at the readers. vain: any number.
 * KILLED   a reader, anywhere: his id is dead, and a dead id is nobody; a writer who
 *          waits for him is woken by the epoch and looks. A writer before inside is
 *          set, or after it is 0 again: writer is taken over by the next writer, or by
 *          a reader, who sets taken, lets readers in and frees it; both are woken by
 *          the epoch. While inside is set: the same, and inside tells all who enter,
 *          until a writer has put his own id there and then 0. A writer who has given
 *          writer back and sleeps on left: he is nobody, and nobody waits for him.
 *
 * A reader claims, then looks at taken, then whether writer is held; a writer takes
 * writer, then looks at taken, then at the claims; who clears taken does so before he
 * looks at the claims once more: all sc (base/atomic.h). Likewise, in the other
 * direction, "waiting, then writer" and "writer freed, then waiting"; "claim given up,
 * then left" and "WANTED, then the claims".
 *
 * Who is in time goes first, so that nobody who sleeps or has lost his processor is
 * waited for as a rule: a writer who finds readers inside gives writer back and sleeps
 * until one leaves, a writer who leaves only wakes readers. PATIENCE later that has an
 * end, and from then on it is phase fair (Brandenburg and Anderson, "Reader-writer
 * synchronization for shared-memory multiprocessor real-time systems", 2009), but with
 * the readers of a phase named instead of counted: the writer keeps writer while it
 * waits, so that no more readers come in; the writer who leaves takes WAITS off all who
 * wait before it frees writer, so that they are inside, whatever writer comes next.
 */
#ifndef PRK_SYNC_RWLOCK_H
#define PRK_SYNC_RWLOCK_H

#include "base/wait.h"
#include "sync/lock.h"

#include <prusik/common.h>
#include <prusik/rwlock.h>

#define WAITS UINT32_C(0x80000000)
#define WANTED UINT32_C(1)
#define ONE_LEFT UINT32_C(2)

/* In waiting. */
#define ASLEEP 1u
#define OVERDUE 2u

#define PATIENCE INT64_C(1000000)
/*
 * So often a reader who finds it closed pauses before it looks, and twice as often before
 * it looks again: some 3 us, 6 us, about what a sleep costs. A writer is inside for a
 * moment; but who comes in right behind it takes its lines from it, and is taken his own,
 * visit by visit, and two then get less done than one alone.
 */
#define PRK_RWLOCK_PAUSE PRK_SPINS

/* sc [rwlock.writer]: pairs with the CAS in take_writer */
static inline bool prk_rwlock_open(const struct prusik_rwlock *rwlock)
{
	return (prk_load32_sc(&rwlock->writer.word) & PRK_ID_MASK) == 0;
}

/* What one who is inside is told: 0 or PRUSIK_RECOVERED. */
static inline int prk_rwlock_told(const struct prusik_rwlock *rwlock)
{
	return prk_load32_rlx(&rwlock->inside) != 0;
}

/* Whose patience ends when, and when he gives up. */
struct prk_patience {
	int64_t until, deadline;
};

static inline struct prk_patience prk_patience(int64_t deadline)
{
	return (struct prk_patience){ .until = prusik_in_ns(PATIENCE), .deadline = deadline };
}

static inline bool prk_patience_over(const struct prk_patience *p)
{
	return prusik_now() >= p->until;
}

/* As prk_wait; but 0 when patience ends, unless its owner has found it over, and has said so to those who can help. */
int prk_rwlock_sleep_on(uint32_t *word, uint32_t value, uint32_t epoch, const struct prk_patience *p, bool over);

/* To be made before a look at the claims: what to sleep on if that says wait. */
struct prk_watch {
	uint32_t epoch, left;
};
struct prk_watch prk_rwlock_watch(struct prusik_rwlock *rwlock);

/* From now on the thread may go the fast way. */
void prk_rwlock_note_home(struct prk_self *self);

/* The calling thread's claim, or NULL. One that is not at home is counted in strays. */
uint32_t *prk_rwlock_my_claim(struct prusik_rwlock *rwlock);

/* ---- rwlock_write.c ---- */

/* Who takes it over from a dead one does not know what that one was about (W4). */
int prk_rwlock_take_writer(struct prusik_rwlock *rwlock, int64_t deadline);

/* Who claims meanwhile, and finds writer held, is woken and looks again. */
void prk_rwlock_free_writer(struct prusik_rwlock *rwlock);

/* The calling thread is inside, as the writer. 0. */
int prk_rwlock_leave_writing(struct prusik_rwlock *rwlock);

#endif
