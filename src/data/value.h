/* SPDX-License-Identifier: MIT */
/*
 * value.h - a number that is one word, and a lock that moves it out of everybody's way
 *
 * Who writes a number without the lock does so by one CAS on the word. Who has the lock
 * must be alone: so its holder first puts the pattern AWAY into the word, by CAS, after
 * he has put the number into held; whoever finds AWAY there takes the lock, or, to read,
 * looks at held. That AWAY is also a number does no harm: a number that happens to be
 * that pattern stays in held.
 *
 * A record has two copies, of which one is the record and the other the next one: a
 * writer, with the lock, fills that and then makes it the record with one store.
 */
#ifndef PRK_DATA_VALUE_H
#define PRK_DATA_VALUE_H

#include "data/made.h"
#include "data/section.h"

#include <prusik/value.h>

#define PRK_VALUE_MAGIC UINT64_C(0x65756c6176737270) /* "prsvalue" */
#define PRK_VALUE_VERSION 1u

/* A NaN that no operation gives; as an int64_t about -2^51. */
#define PRK_VALUE_AWAY UINT64_C(0xfff7c0de5eed4b1d)

/*
 * struct prk_value_body - the shared part; in an arena, or in private memory
 *
 * WORD     word: of a number, the number, or AWAY: it is in held. Of a record: turn,
 *          how often it has changed; copy turn % 2 is the record. changes: bits 31..1
 *          raised for sleepers | bit 0 somebody may be asleep on it.
 * WRITES   kind, size: once. word: anyone, by CAS, while it is not AWAY; the holder of
 *          section.lock stores to it while it is AWAY, and to the turn. held, and the
 *          copy that is not the record: the holder of the lock. changes: anyone, by CAS.
 * ALWAYS   V1 word is AWAY => held is the number
 *          V2 the lock is held by a living one in a verb or a section, and he is past
 *          V-A => word is AWAY
 *          V3 the copy of turn is not written to until turn has changed
 *          V4 somebody sleeps on changes => bit 0 is set, or he has been woken and
 *          not looked yet
 * MAY LIE  held while word is not AWAY. The other copy. Bit 0 of changes with no
 *          sleeper: costs a system call.
 * KILLED   without the lock: before the CAS (V-C) nothing, after it all has happened.
 *          With it: after held is filled (V-H), before the CAS to AWAY (V-A): held
 *          means nothing. From there on until the number is put back (V-B): the number
 *          is in held, of which each store (V-S) is a whole change; who reads finds it,
 *          who writes takes the lock over and goes on from there. A record: V-T is the
 *          one store. After the change, before changes is raised: who sleeps is woken
 *          by the epoch and looks at the value itself; therefore all who write take part.
 */
struct prk_value_body {
	struct prk_made made;

	/* 64 */
	uint64_t word;
	uint64_t held;
	struct prk_section section;
	uint32_t changes;
	uint32_t kind;
	uint32_t size;
	uint32_t reserved[5];
	uint64_t copies[]; /* of a record: two, each so many words */
};

/* This process's view. What is checked at opening is kept here. */
struct prusik_value {
	struct prk_value_body *body;
	uint32_t kind;
	uint32_t size;
	struct prk_home home;
};

static inline uint64_t prk_value_words(uint32_t size)
{
	return (size + UINT64_C(7)) / 8;
}

/* The copy of that turn. */
static inline uint64_t *prk_value_copy(const struct prusik_value *v, uint64_t turn)
{
	return v->body->copies + (turn & 1) * prk_value_words(v->size);
}

/* A handle of a body; what it says is to be looked at. */
static inline struct prusik_value prk_value_view(struct prk_value_body *body)
{
	return (struct prusik_value){
		.body = body,
		.kind = prk_load32_rlx(&body->kind),
		.size = prk_load32_rlx(&body->size),
	};
}

#endif
