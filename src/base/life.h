/* SPDX-License-Identifier: MIT */
/*
 * life - who takes part, and who has died
 *
 * Every thread that uses a prusik object has a slot in its domain's life table,
 * a file that all processes of the domain map. The slot's life word is on the
 * kernel's robust list, so the kernel itself marks it when the thread ends in any
 * way, SIGKILL included. An id names one occupation of one slot, and ids are what
 * lock words and leases hold. From that follow the two questions that the rest of
 * the library asks:
 *
 *   prk_dead(id)   has this holder died? A look at two words, no system call.
 *   prk_epoch()    a number that changes after every death. Read it, look at the
 *                  truth (a word, an owner's life), and if that says wait, sleep
 *                  in prk_wait (wait.h) on {the word, the epoch}: no death between
 *                  the look and the sleep, or during it, goes unheard.
 *
 * sentinel.c tells how the epoch comes to change.
 */
#ifndef PRK_BASE_LIFE_H
#define PRK_BASE_LIFE_H

#include "base/atomic.h"

#include <stddef.h>

/* An id: bits 29..14 generation, 13..0 slot number; never 0. */
#define PRK_SLOT_BITS 14
#define PRK_SLOTS_MAX (1u << PRK_SLOT_BITS)
#define PRK_SLOT_MASK (PRK_SLOTS_MAX - 1)
#define PRK_ID_MASK UINT32_C(0x3fffffff)

/*
 * A process in a slot beyond these has a sentinel from the start, so that one
 * sentinel never has to watch more words than the kernel takes (sentinel.c).
 */
#define PRK_SLOTS_UNGUARDED 112u

/* In prk_slot.life; the kernel's bits. */
#define PRK_LIFE_WAITERS UINT32_C(0x80000000)
#define PRK_LIFE_DIED UINT32_C(0x40000000)
#define PRK_LIFE_TID UINT32_C(0x3fffffff)

/* In prk_slot.tag. */
#define PRK_TAG_LIVE 1u

enum prk_slot_kind {
	PRK_SLOT_PARTICIPANT,
	PRK_SLOT_SENTINEL,
};

/*
 * struct prk_slot - one participant; 64 bytes of the life table
 *
 * WORD     life: 0 nobody | the occupant's thread number | WAITERS a sentinel may
 *          be asleep on it | DIED the occupant has ended.
 *          tag: generation << 1 | LIVE. id = (generation, slot number).
 * WRITES   life: claimed from 0 or DIED, by a CAS on it and the tag at once, while
 *          nobody is LIVE; the kernel sets DIED; sentinels
 *          set WAITERS by CAS; the occupant swaps it away when it leaves.
 *          tag: the occupant sets LIVE, anyone who finds the occupant dead clears
 *          it and raises the generation, by CAS. The rest: the occupant, before
 *          LIVE; guard: later too, by the sentinel it names.
 *          prev, next: robust list links, pointers of the occupant's process only.
 * ALWAYS   S1 LIVE and life names a thread => that thread may act under the id
 *          S2 a generation that was LIVE is never LIVE again (for 2^16 occupations)
 *          S3 LIVE is cleared for a dead occupant only after the epoch was raised
 * MAY LIE  WAITERS without a sleeper: costs one wake. pid, tid: other PID
 *          namespaces number differently, so they decide nothing but the belt.
 *          guard: may name a dead sentinel, or that of the slot's last occupant;
 *          then the process counts as unguarded.
 * KILLED   after A1 (claim) before A2 (LIVE): life says DIED, tag says free: the
 *          next claimant takes it. After A2: found DIED and LIVE by any sweep,
 *          which raises the epoch, then clears LIVE. The sweeper killed between
 *          the two: the next sweep does both again.
 */
struct prk_slot {
	union {
		struct {
			uint32_t life;
			uint32_t tag;
		};
		uint64_t life_and_tag;
	};
	uint32_t pid;
	uint32_t tid;
	uint32_t guard;
	uint32_t kind;
	void *prev;
	void *next;
	uint64_t pid_namespace;
	uint64_t reserved[2];
};

/* The two words as one, to be changed while neither has changed. */
static inline uint64_t prk_life_and_tag(uint32_t life, uint32_t tag)
{
	const struct prk_slot slot = { .life = life, .tag = tag };

	return slot.life_and_tag;
}

#define PRK_LIFE_MAGIC UINT64_C(0x6566696c6b737270) /* "prsklife" */
#define PRK_LIFE_VERSION 1u

/*
 * struct prk_life - the life table: a header page, then the slots
 *
 * WORD     epoch: raised after a participant's death was seen. bell: raised when
 *          the sentinels have to look again. top: slots that the file holds, slot
 *          0 not used. cursor: where to look for a free slot next. boot: the kernel's
 *          number for this run of the machine; of another run, the table is of no use,
 *          since nobody has marked those who lived then.
 * WRITES   epoch, bell, cursor: anyone, by addition. top: anyone, by CAS, after
 *          the file was made long enough. The rest is fixed before the file has
 *          a name.
 * ALWAYS   the file is long enough for top slots, all of its memory set aside
 * MAY LIE  cursor is a hint. epoch and bell may be raised without cause.
 * KILLED   each change is one store; what it leaves undone is sentinel.c's matter
 */
struct prk_life {
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
	uint64_t domain;
	uint64_t boot[2];
	uint32_t fixed_reserved[6];
	uint32_t epoch;
	uint32_t epoch_reserved[15];
	uint32_t bell;
	uint32_t bell_reserved[15];
	uint32_t cursor;
	uint32_t top;
	uint32_t header_reserved[974];
	struct prk_slot slot[];
};

/*
 * struct prk_self - a participant's own notes, in private memory that is all
 * zeros again in a forked child (MADV_WIPEONFORK), so that a child never acts
 * under its parent's id, however it was forked.
 */
struct prk_self {
	uint32_t id; /* 0: not taking part (yet, or after fork) */
	uint32_t held; /* things this thread may still hold; 0 = surely none */
	struct prk_slot *slot;
	struct prk_self *next_free;
	uint32_t reader_home; /* sync/rwlock.c: its place in tables of readers; 0: see there */
	uint32_t strays; /* the same: how often it reads away from home */
	uint32_t reserved[8];
};

extern __thread struct prk_self *prk_self_here __attribute__((tls_model("initial-exec")));
extern struct prk_life *prk_life;

/* The calling thread's notes; id may be 0. */
static inline struct prk_self *prk_self(void)
{
	return prk_self_here;
}

/* Take part: sets prk_self()->id. 0, or why the domain could not be joined. */
int prk_join(void);

/* prk_join, where that has not happened yet. */
static inline int prk_joined(void)
{
	return __builtin_expect(prk_self()->id != 0, 1) ? 0 : prk_join();
}

/*
 * The calling thread's occupation of its slot ends here. Silent when it holds
 * nothing; else as if it had been killed. A thread does this by itself when it
 * ends.
 */
void prk_leave(void);

/* Has the participant of that id died, or was there never one? The table must be open. */
bool prk_dead(uint32_t id);

/* acq [life.epoch]: pairs with the raise in bury() */
static inline uint32_t prk_epoch(void)
{
	return prk_load32_acq(&prk_life->epoch);
}

/* Bury every participant that has died and is not buried yet; how many. Never blocks. */
int prk_sweep(void);

/* The occupant of a slot, LIVE with that tag, is dead: raise the epoch, free the slot. */
void prk_bury(struct prk_slot *slot, uint32_t tag);

/* Make everybody who waits look again. */
void prk_raise_epoch(void);

/* Make the sentinels look again. */
void prk_ring(void);

/* Join as a sentinel; used by sentinel.c alone. */
int prk_join_as(enum prk_slot_kind kind);

/* The number of the domain, to refuse shared memory of another one. The table must be open. */
uint64_t prk_domain(void);

/* Open the life table without taking part. 0, or why it could not be. */
int prk_life_open(void);

/* Make room for more than top slots. 0, or -ENOSPC and other causes of fallocate. */
int prk_life_grow(uint32_t top);

/* The domain's directory, as a descriptor that the caller closes; or -errno. */
int prk_domain_directory(void);

static inline struct prk_slot *prk_slot_of(uint32_t id)
{
	return &prk_life->slot[id & PRK_SLOT_MASK];
}

static inline uint32_t prk_id_of(uint32_t tag, uint32_t number)
{
	return ((tag >> 1) << PRK_SLOT_BITS & PRK_ID_MASK) | number;
}

#endif
