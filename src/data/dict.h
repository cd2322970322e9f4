/* SPDX-License-Identifier: MIT */
/*
 * dict - a hash table by linear hashing, read without a lock
 *
 * Litwin, "Linear hashing" (1980): there are n buckets, n any number. Growing by one
 * splits one bucket in two, shrinking merges two, so no step takes long and after each
 * the table is whole. Bucket b holds the keys whose hash ends in the bits of b, so in
 * the order of hashes read backwards a bucket's keys lie together whatever n is: that is
 * the order of iteration, and a place in it needs no memory of n.
 *
 * A bucket is a line: six slots, and a link to another bucket when they do not do. A
 * slot is one word, 22 bits of the hash and the offset of an entry, which does not
 * change once it can be reached (short values apart). So every change to a key is
 * one store to one slot.
 *
 * Readers take no lock. They read the bucket's version, look, copy, and look whether
 * the version and the shape are still what they were; whatever an entry's memory has
 * become meanwhile, they have then read nonsense within bounds, and try again.
 */
#ifndef PRK_DATA_DICT_H
#define PRK_DATA_DICT_H

#include "data/heap.h"
#include "data/made.h"

#include <prusik/dict.h>

#define PRK_DICT_MAGIC UINT64_C(0x7463696b73757270) /* "pruskict" */
#define PRK_DICT_VERSION 1u

#define PRK_DICT_SLOTS 6u
/* Buckets longer than this come only with corrupt bytes. */
#define PRK_DICT_CHAIN_MAX 65536u

/* Segments of buckets: 8, 8, 16, 32 and so on up to 8192 in the body; then each of 8192, in directories. */
#define PRK_DICT_FIRST_LOG2 3u
#define PRK_DICT_SEGMENT_LOG2 13u
#define PRK_DICT_SEGMENTS 12u
#define PRK_DICT_DIRECTORY_LOG2 12u
#define PRK_DICT_DIRECTORIES 32u
#define PRK_DICT_BUCKETS_MIN (1u << PRK_DICT_FIRST_LOG2)
#define PRK_DICT_BUCKETS_MAX (1u << 30)

#define PRK_DICT_STRIPES 64u

/*
 * struct prk_bucket - 64 bytes
 *
 * WORD     version: raised when memory that a slot led to is about to be used for
 *          something else, or a slot has moved. In a bucket that another links to: the
 *          first word of an object (heap.h).
 *          slot: bits 63..42 bits 33..12 of the hash | 41..0 the entry's offset / 16;
 *          0 = empty. next: another bucket of the same, 0 = none.
 * WRITES   the holder of the dict's lock
 * ALWAYS   B1 in the table, an entry is in one slot; while body.sorting names a bucket,
 *          it may have slots in there besides
 *          B2 a key has one entry
 * MAY LIE  a bucket at and beyond the table's n holds anything
 * KILLED   a slot is changed by publish (heap.h). A move is in the undo log. A split or
 *          merge: see prk_dict_body.sorting.
 */
struct prk_bucket {
	uint64_t version;
	uint64_t slot[PRK_DICT_SLOTS];
	uint64_t next;
};

/*
 * struct prk_entry - a key and its value; 16-aligned
 *
 * WORD     word: bits 63..16 bits 47..0 of the hash | 15..0 heap.h. lengths: bits 63..40
 *          the key's | 39..0 the value's. Then the key, padded to 8 bytes with zeros,
 *          then the value, likewise.
 * WRITES   who makes it; the holder of the lock: a value of up to 8 bytes
 * ALWAYS   E fixed from when it can be reached until it is given away; but a value of
 *          up to 8 bytes, one word, may change as long as its length does not
 * MAY LIE  an object that is free holds anything
 * KILLED   before it can be reached: its object is free
 */
struct prk_entry {
	uint64_t word;
	uint64_t lengths;
	uint64_t data[];
};

/*
 * struct prk_dict_half - a table and its memory
 *
 * WORD     keys: how many. segment: links to buckets 0..7, 8..15, 16..31 and so on.
 *          directory: links to 4096 links to 8192 buckets each.
 * WRITES   the holder of the lock; the links: arena.h
 * ALWAYS   D1 segment[0] is there. D2 the segments of all n buckets are there.
 * MAY LIE  there may be segments beyond n
 * KILLED   see prk_heap, prk_dict_body
 */
struct prk_dict_half {
	uint64_t keys;
	uint64_t segment[PRK_DICT_SEGMENTS];
	uint64_t directory[PRK_DICT_DIRECTORIES];
	struct prk_shelf shelf;
};

/*
 * struct prk_dict_body - the shared part; in an arena, at any address
 *
 * WORD     shape: bits 63..33 raised at every change of it | 32 which half is the table
 *          | 31..0 n, its buckets. sorting: bucket + 1 that may have slots of entries
 *          that do not belong there, 0 = none. litter: 1 = the other half may have
 *          memory. prepared: buckets to link to, for the next split.
 *          watched: 1 = somebody has asked for a number to watch. changes[64], and
 *          changes[i] for the keys of stripe i: bit 0 somebody may be asleep on it |
 *          31..1 counts changes.
 * WRITES   the first line: made.h.
 *          The rest: the holder of the lock; but bit 0 of changes: anyone, by CAS.
 * ALWAYS   S1 the table's n buckets hold each key in the bucket of its hash
 *          S2 somebody sleeps on changes[i] => bit 0 is set, or he has been woken and
 *          not looked yet
 *          S3 the other half has no keys that count
 * MAY LIE  litter without cause; bit 0 of changes without a sleeper
 * KILLED   a change of a key: prk_heap. After publish, before changes is raised: the next
 *          holder, told by RECOVERED, raises all. Who watches is woken by the epoch, and
 *          if he finds the lock held by a dead one takes it.
 *          Split: before the store of shape (G1) all is as before, but for slots in an
 *          unreachable bucket. After it: the slots that have moved are in the old bucket
 *          too, which sorting names: the next holder clears them (G2).
 *          Merge: before the store of shape (G3) the slots of the last bucket are in the
 *          other one too: the same. After it: done.
 *          Clear: one store of shape (C1). What it leaves in the other half is thrown
 *          away page by page by whoever writes.
 */
struct prk_dict_body {
	uint64_t magic;
	uint32_t version;
	uint32_t signature;
	uint64_t key0, key1;
	uint64_t fixed_reserved[3];
	uint64_t serial;

	/* 64: what readers need */
	uint64_t shape;
	uint64_t shape_reserved[7];

	/* 128 */
	struct prk_heap heap;
	uint64_t sorting;
	uint64_t prepared;
	uint32_t litter;
	uint32_t watched;
	uint32_t changes[PRK_DICT_STRIPES + 2];
	struct prk_dict_half half[2];
};

/* This process's view. */
struct prusik_dict {
	struct prk_heap_view view;
	struct prk_dict_body *body;
	uint64_t key0, key1;
	struct prk_home home;
};

struct prk_key {
	const void *bytes;
	uint64_t length;
	uint64_t hash;
};

/* Where a key was found, or could go. */
struct prk_found {
	struct prk_bucket *bucket; /* the first of its chain */
	uint64_t *slot; /* the key's; without the key: an empty one, or NULL */
	struct prk_bucket *last; /* without the key: the chain's last bucket */
	struct prk_entry *entry;
	uint64_t value_length;
};

/* ---- the shape ---- */

static inline uint32_t prk_shape_buckets(uint64_t shape)
{
	return (uint32_t)shape;
}

static inline uint32_t prk_shape_half(uint64_t shape)
{
	return shape >> 32 & 1;
}

/* The shape that follows. */
static inline uint64_t prk_shape_next(uint64_t shape, uint32_t half, uint32_t buckets)
{
	return ((shape >> 33) + 1) << 33 | (uint64_t)half << 32 | buckets;
}

static inline uint32_t prk_log2(uint32_t n)
{
	return 31 - (uint32_t)__builtin_clz(n);
}

/* The bucket of a hash among n. */
static inline uint32_t prk_bucket_of(uint64_t hash, uint32_t n)
{
	uint32_t mask = (UINT32_C(2) << prk_log2(n)) - 1, b = (uint32_t)hash & mask;

	return b < n ? b : b & mask >> 1;
}

static inline struct prk_dict_half *prk_dict_table(const struct prusik_dict *d)
{
	return &d->body->half[prk_shape_half(prk_load64_rlx(&d->body->shape))];
}

/* ---- slots and entries ---- */

#define PRK_SLOT_OFFSET ((UINT64_C(1) << 42) - 1)
#define PRK_SLOT_TAG_FROM 12u

static inline uint64_t prk_slot_tag(uint64_t hash)
{
	return hash >> PRK_SLOT_TAG_FROM << 42;
}

static inline uint64_t prk_slot_word(uint64_t hash, uint64_t offset)
{
	return prk_slot_tag(hash) | offset / 16;
}

static inline uint64_t prk_slot_offset(uint64_t word)
{
	return (word & PRK_SLOT_OFFSET) * 16;
}

static inline uint64_t prk_entry_key_length(uint64_t lengths)
{
	return lengths >> 40;
}

static inline uint64_t prk_entry_value_length(uint64_t lengths)
{
	return lengths & ((UINT64_C(1) << 40) - 1);
}

/* In words. */
static inline uint64_t prk_words(uint64_t bytes)
{
	return (bytes + 7) / 8;
}

static inline uint64_t prk_entry_bytes(uint64_t key_length, uint64_t value_length)
{
	return sizeof(struct prk_entry) + 8 * (prk_words(key_length) + prk_words(value_length));
}

static inline uint64_t *prk_entry_value(struct prk_entry *entry, uint64_t key_length)
{
	return entry->data + prk_words(key_length);
}

/* The entry that a slot names; *ret_lengths are its lengths, with which it lies within bounds. NULL: none can be. */
static inline struct prk_entry *prk_entry_at(const struct prk_heap_view *v, uint64_t word, uint64_t *ret_lengths)
{
	uint64_t offset = prk_slot_offset(word);
	struct prk_entry *entry = prk_heap_at(v, offset, sizeof *entry);

	if (!entry)
		return NULL;
	uint64_t l = prk_peek64(&entry->lengths);
	*ret_lengths = l;
	uint64_t bytes = prk_entry_bytes(prk_entry_key_length(l), prk_entry_value_length(l));
	return prk_arena_within(v->arena, offset, bytes) ? entry : NULL;
}

/* ---- dict_look.c ---- */

/* The bucket of that number in a half. NULL: its segment is not there. */
struct prk_bucket *prk_dict_bucket(const struct prusik_dict *d, const struct prk_dict_half *half, uint32_t number);

/* -EMSGSIZE, -EINVAL, or 0 with the key hashed. */
int prk_dict_key(const struct prusik_dict *d, const void *bytes, uint64_t length, struct prk_key *ret_key);

/* The hash of the key of an entry that may be gone; its length is within bounds. */
uint64_t prk_dict_hash_entry(const struct prusik_dict *d, const struct prk_entry *entry, uint64_t key_length);

/*
 * Look for a key in a table of that shape. 1: found; 0: not there; -EPROTO: nonsense. All
 * of that only holds if bucket's version and the shape are still what they were before,
 * or with the lock held.
 */
int prk_dict_look(const struct prusik_dict *d, uint64_t shape, const struct prk_key *key, struct prk_found *ret_found);

/*
 * So many keys are looked up at a time: the memory of all of them is on its way before
 * the first is needed. Hints, nothing else.
 */
#define PRK_DICT_GROUP 16u
void prk_dict_fetch(const struct prusik_dict *d, const struct prk_key *keys, uint64_t count);

/* ---- dict.c ---- */

/* 0, or why not. Results as of prk_heap_lock, but that 0 stands for PRUSIK_RECOVERED too. */
int prk_dict_lock(struct prusik_dict *d) PRUSIK_MUST_USE;
/* Returns result. */
int prk_dict_unlock(struct prusik_dict *d, int result);

/* ---- dict_grow.c: all with the lock held ---- */

/* The table has a key more, or one less, than before: grow or shrink by a bucket if it is time. */
void prk_dict_resize(struct prusik_dict *d);
/* An empty slot in the chain, which ends with last: a bucket more. 0, -ENOSPC, -EPROTO. */
int prk_dict_extend(struct prusik_dict *d, struct prk_dict_half *half, struct prk_bucket *last, uint64_t **ret_slot);
/* A slot of the chain has become empty: move the chain's last one there, and drop empty buckets. */
void prk_dict_close_gaps(struct prusik_dict *d, struct prk_dict_half *half, struct prk_bucket *first);
/* After a death: clear what is twice in the bucket that sorting names. */
void prk_dict_sort(struct prusik_dict *d);
/* Throw some of the other half's memory away. 1: there may be more; 0; -EPROTO. */
int prk_dict_sweep(struct prusik_dict *d, uint32_t half);

/* ---- dict_watch.c ---- */

/* The keys of that hash have changed; all: any key may have. The lock is held. */
void prk_dict_tell(struct prusik_dict *d, uint64_t hash);
void prk_dict_tell_all(struct prusik_dict *d);

/* ---- dict_open.c ---- */

/* Bytes of the arena that are the dict's: blocks and bytes with their heads. False: something ALWAYS is not so. */
struct prk_dict_tally {
	uint64_t blocks, keys;
};
bool prk_dict_valid(struct prusik_dict *d, struct prk_dict_tally *ret_tally);

#endif
