/* SPDX-License-Identifier: MIT */
/* dict: reading, without the lock (dict.h tells why that is sound) */
#include "data/dict.h"
#include "data/siphash.h"
#include "sync/lock.h"

#include <errno.h>

/* So often is a read tried before it takes the lock: then somebody changes that bucket all the time. */
#define TRIES 100

/* Tables of fewer buckets are in the processor's cache anyway. */
#define FETCH_LEAST 1024u

/* ---- keys ---- */

static uint64_t hash_bytes(const struct prusik_dict *d, const char *bytes, uint64_t length)
{
	struct prk_sip sip = prk_sip_begin(d->key0, d->key1);
	uint64_t i = 0;

	for (; i + 8 <= length; i += 8)
		prk_sip_word(&sip, prk_word_of(bytes + i, 8));
	return prk_sip_end(&sip, prk_word_of(bytes + i, length - i), length);
}

uint64_t prk_dict_hash_entry(const struct prusik_dict *d, const struct prk_entry *entry, uint64_t key_length)
{
	struct prk_sip sip = prk_sip_begin(d->key0, d->key1);
	uint64_t i = 0;

	for (; i < key_length / 8; i++)
		prk_sip_word(&sip, prk_peek64(&entry->data[i]));
	uint64_t rest = key_length % 8 ? prk_peek64(&entry->data[i]) : 0;
	return prk_sip_end(&sip, rest, key_length);
}

int prk_dict_key(const struct prusik_dict *d, const void *bytes, uint64_t length, struct prk_key *ret_key)
{
	if (!d || (!bytes && length))
		return -EINVAL;
	if (length > PRUSIK_DICT_KEY_MAX)
		return -EMSGSIZE;
	*ret_key = (struct prk_key){ bytes ? bytes : "", length, 0 };
	ret_key->hash = hash_bytes(d, ret_key->bytes, length);
	return 0;
}

/* ---- buckets ---- */

static struct prk_bucket *bucket_in(const struct prusik_dict *d, uint64_t segment, uint32_t index)
{
	uint64_t inside = (uint64_t)index * sizeof(struct prk_bucket);

	if (segment == 0 || segment % sizeof(struct prk_bucket) || segment > PRK_ARENA_MAX)
		return NULL;
	return prk_heap_at(&d->view, segment + inside, sizeof(struct prk_bucket));
}

static struct prk_bucket *bucket_by_directory(const struct prusik_dict *d, const struct prk_dict_half *half,
					      uint32_t number)
{
	uint32_t segment = (number >> PRK_DICT_SEGMENT_LOG2) - 2;
	uint32_t index = segment & ((1u << PRK_DICT_DIRECTORY_LOG2) - 1);
	uint64_t directory = prk_load64_rlx(&half->directory[segment >> PRK_DICT_DIRECTORY_LOG2]);
	const uint64_t *links = prk_heap_at(&d->view, directory, sizeof *links << PRK_DICT_DIRECTORY_LOG2);

	if (!links || directory % sizeof *links)
		return NULL;
	return bucket_in(d, prk_peek64(&links[index]), number & ((1u << PRK_DICT_SEGMENT_LOG2) - 1));
}

struct prk_bucket *prk_dict_bucket(const struct prusik_dict *d, const struct prk_dict_half *half, uint32_t number)
{
	uint32_t log2 = prk_log2(number | (PRK_DICT_BUCKETS_MIN - 1)), k = log2 - 2;

	if (k >= PRK_DICT_SEGMENTS)
		return bucket_by_directory(d, half, number);
	return bucket_in(d, prk_load64_rlx(&half->segment[k]), k ? number - (1u << log2) : number);
}

/* The bucket of a hash in a table of that shape; NULL: nonsense. */
static struct prk_bucket *bucket_for(const struct prusik_dict *d, uint64_t shape, uint64_t hash)
{
	uint32_t n = prk_shape_buckets(shape);

	if (n < PRK_DICT_BUCKETS_MIN || n > PRK_DICT_BUCKETS_MAX)
		return NULL;
	return prk_dict_bucket(d, &d->body->half[prk_shape_half(shape)], prk_bucket_of(hash, n));
}

/* The next bucket of a chain: 1; 0: there is none; -EPROTO. */
static int next_bucket(const struct prusik_dict *d, struct prk_bucket **bucket)
{
	uint64_t next = prk_peek64(&(*bucket)->next);

	if (next == 0)
		return 0;
	struct prk_bucket *b = prk_heap_at(&d->view, next, sizeof *b);
	if (!b || next % PRK_HEAP_GRANULE)
		return -EPROTO;
	*bucket = b;
	return 1;
}

/* An entry lies in two lines as a rule: have both come at once. */
static void fetch_entry(const struct prusik_dict *d, uint64_t word)
{
	const char *entry = (const char *)d->view.arena->shm + prk_slot_offset(word);

	__builtin_prefetch(entry);
	__builtin_prefetch(entry + 64);
}

/* Is the key the one of the entry that a slot names? */
static bool is_it(const struct prusik_dict *d, uint64_t word, const struct prk_key *key, struct prk_found *f)
{
	uint64_t lengths;
	fetch_entry(d, word);
	struct prk_entry *entry = prk_entry_at(&d->view, word, &lengths);

	if (!entry || prk_peek64(&entry->word) >> 16 != (key->hash & (UINT64_MAX >> 16)) ||
	    prk_entry_key_length(lengths) != key->length || !prk_peek_equal(entry->data, key->bytes, key->length))
		return false;
	f->entry = entry;
	f->value_length = prk_entry_value_length(lengths);
	return true;
}

/* One bucket of a chain. */
static bool look_in(const struct prusik_dict *d, struct prk_bucket *b, const struct prk_key *key, uint64_t tag,
		    struct prk_found *f)
{
	for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++) {
		uint64_t word = prk_peek64(&b->slot[i]); /* acq [heap]: pairs with H-P */
		if (word == 0) {
			if (!f->slot)
				f->slot = &b->slot[i];
		} else if (((word ^ tag) & ~PRK_SLOT_OFFSET) == 0 && is_it(d, word, key, f)) {
			f->slot = &b->slot[i];
			return true;
		}
	}
	return false;
}

static int look_along(const struct prusik_dict *d, struct prk_bucket *bucket, const struct prk_key *key,
		      struct prk_found *f)
{
	uint64_t tag = prk_slot_tag(key->hash);
	int r = 1;

	f->bucket = bucket;
	f->slot = NULL;
	for (uint32_t hops = 0; r > 0; hops++) {
		if (hops == PRK_DICT_CHAIN_MAX)
			return -EPROTO;
		if (look_in(d, bucket, key, tag, f))
			return 1;
		f->last = bucket;
		r = next_bucket(d, &bucket);
	}
	return r;
}

int prk_dict_look(const struct prusik_dict *d, uint64_t shape, const struct prk_key *key, struct prk_found *ret_found)
{
	struct prk_bucket *bucket = bucket_for(d, shape, key->hash);

	return bucket ? look_along(d, bucket, key, ret_found) : -EPROTO;
}

/* ---- having memory come, before it is needed ---- */

static void fetch_entries(const struct prusik_dict *d, const struct prk_bucket *b, uint64_t tag)
{
	for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++) {
		uint64_t word = prk_peek64(&b->slot[i]);
		if (word && ((word ^ tag) & ~PRK_SLOT_OFFSET) == 0)
			fetch_entry(d, word);
	}
}

void prk_dict_fetch(const struct prusik_dict *d, const struct prk_key *keys, uint64_t count)
{
	uint64_t shape = prk_load64_acq(&d->body->shape); /* acq [dict.shape] */
	struct prk_bucket *bucket[PRK_DICT_GROUP];

	if (prk_shape_buckets(shape) < FETCH_LEAST)
		return;
	for (uint64_t i = 0; i < count; i++) {
		bucket[i] = bucket_for(d, shape, keys[i].hash);
		__builtin_prefetch(bucket[i]);
	}
	for (uint64_t i = 0; i < count; i++)
		if (bucket[i])
			fetch_entries(d, bucket[i], prk_slot_tag(keys[i].hash));
}

/* ---- looking until it is sure ---- */

/* Look at the chain of a bucket, whose bytes may change; what it returns counts if they have not. */
typedef int64_t look_fn(const struct prusik_dict *d, uint64_t shape, struct prk_bucket *bucket, void *context);

/* Under the lock, or in a function that the holder of the lock has called. */
static int64_t look_locked(struct prusik_dict *d, uint64_t hash, look_fn *look, void *context)
{
	int locked = prk_dict_lock(d);

	if (locked < 0 && locked != -EDEADLK)
		return locked;
	uint64_t shape = prk_load64_rlx(&d->body->shape);
	struct prk_bucket *bucket = bucket_for(d, shape, hash);
	int64_t r = bucket ? look(d, shape, bucket, context) : -EPROTO;
	if (locked == 0)
		prk_dict_unlock(d, 0);
	return r;
}

/* 1: the look counts. acq in both, so that neither is older than what was looked at. */
static bool still(const struct prusik_dict *d, uint64_t shape, const struct prk_bucket *bucket, uint64_t version)
{
	return (!bucket || prk_peek64(&bucket->version) == version) && /* acq [bucket.version] */
	       prk_load64_acq(&d->body->shape) == shape; /* acq [dict.shape] */
}

static inline int64_t look_until_sure(struct prusik_dict *d, uint64_t hash, look_fn *look, void *context)
{
	for (int tries = 0; tries < TRIES; tries++) {
		uint64_t shape = prk_load64_acq(&d->body->shape), version = 0; /* acq [dict.shape] */
		struct prk_bucket *bucket = bucket_for(d, shape, hash);
		int64_t r = -EPROTO;
		if (bucket) {
			version = prk_peek64(&bucket->version); /* acq [bucket.version] */
			r = look(d, shape, bucket, context);
		}
		if (still(d, shape, bucket, version))
			return r;
		prk_pause_for(tries);
	}
	return look_locked(d, hash, look, context);
}

/* ---- get, contains ---- */

struct wanted {
	const struct prk_key *key;
	void *buffer;
	uint64_t capacity;
};

static inline int64_t look_for_value(const struct prusik_dict *d, uint64_t shape, struct prk_bucket *bucket,
				     void *context)
{
	const struct wanted *w = context;
	struct prk_found f;
	int r = look_along(d, bucket, w->key, &f);

	(void)shape;
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (w->buffer && f.value_length > w->capacity)
		return -EMSGSIZE;
	if (w->buffer)
		prk_peek(w->buffer, prk_entry_value(f.entry, w->key->length), f.value_length);
	return (int64_t)f.value_length;
}

int64_t prusik_dict_get(struct prusik_dict *dict, const void *key, uint64_t key_length, void *buffer, uint64_t capacity)
{
	struct prk_key k;
	int r = prk_dict_key(dict, key, key_length, &k);

	if (r < 0)
		return r == -EMSGSIZE ? -ENOENT : r;
	struct wanted w = { &k, buffer, capacity };
	return look_until_sure(dict, k.hash, look_for_value, &w);
}

/* Up to PRK_DICT_GROUP keys. How many were found. */
static int64_t get_group(struct prusik_dict *d, struct prusik_dict_wanted *wanted, uint64_t count)
{
	struct prk_key keys[PRK_DICT_GROUP];
	int64_t found = 0;

	for (uint64_t i = 0; i < count; i++) {
		keys[i].hash = 0;
		wanted[i].result = prk_dict_key(d, wanted[i].key, wanted[i].key_length, &keys[i]);
	}
	prk_dict_fetch(d, keys, count);
	for (uint64_t i = 0; i < count; i++) {
		struct wanted w = { &keys[i], wanted[i].buffer, wanted[i].capacity };
		if (wanted[i].result == 0)
			wanted[i].result = look_until_sure(d, keys[i].hash, look_for_value, &w);
		else if (wanted[i].result == -EMSGSIZE)
			wanted[i].result = -ENOENT;
		found += wanted[i].result >= 0;
	}
	return found;
}

int64_t prusik_dict_get_many(struct prusik_dict *dict, struct prusik_dict_wanted *wanted, uint64_t count)
{
	int64_t found = 0;

	if (!dict || (!wanted && count) || count > INT64_MAX)
		return -EINVAL;
	for (uint64_t i = 0; i < count; i += PRK_DICT_GROUP)
		found += get_group(dict, wanted + i, count - i < PRK_DICT_GROUP ? count - i : PRK_DICT_GROUP);
	return found;
}

int prusik_dict_contains(struct prusik_dict *dict, const void *key, uint64_t key_length)
{
	int64_t r = prusik_dict_get(dict, key, key_length, NULL, 0);

	if (r >= 0)
		return 1;
	return r == -ENOENT ? 0 : (int)r;
}

/* ---- iterating ---- */

/* What to copy, and, of the entries looked at so far, the first one in order. */
struct search {
	const struct prusik_dict_cursor *cursor;
	struct iovec *key, *value;
	const struct prk_entry *entry;
	const struct prk_entry *told; /* the last of those to skip */
	uint64_t position, lengths;
	uint32_t skip; /* how many at the cursor's very position have been told */
	uint32_t bits; /* of the hash that the bucket is chosen by */
};

static uint64_t reversed(uint64_t x)
{
	x = (x >> 1 & UINT64_C(0x5555555555555555)) | (x & UINT64_C(0x5555555555555555)) << 1;
	x = (x >> 2 & UINT64_C(0x3333333333333333)) | (x & UINT64_C(0x3333333333333333)) << 2;
	x = (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
	return __builtin_bswap64(x);
}

static void consider(const struct prusik_dict *d, uint64_t word, struct search *s)
{
	uint64_t lengths;
	const struct prk_entry *entry = prk_entry_at(&d->view, word, &lengths);

	/* While a slot is moved within its chain it is there twice. */
	if (!entry || entry == s->told || reversed(prk_peek64(&entry->word) >> 16) >> 16 < s->cursor->position >> 16)
		return;
	uint64_t position = reversed(prk_dict_hash_entry(d, entry, prk_entry_key_length(lengths)));
	/* While a bucket is split or merged it has slots that belong to another one besides. */
	if ((position ^ s->cursor->position) >> (64 - s->bits) != 0)
		return;
	if (position < s->cursor->position || (s->entry && position >= s->position))
		return;
	if (position == s->cursor->position && s->skip > 0) {
		s->skip--;
		s->told = entry;
		return;
	}
	s->entry = entry;
	s->position = position;
	s->lengths = lengths;
}

/* By how many bits of the hash a bucket is chosen among n. */
static uint32_t bits_of(uint32_t n, uint32_t number)
{
	uint32_t log2 = prk_log2(n), half = UINT32_C(1) << log2;

	return number >= half || number + half < n ? log2 + 1 : log2;
}

/* Copy to where it says; true if there is no room. */
static bool no_room(const struct iovec *to, const uint64_t *from, uint64_t length)
{
	if (!to || !to->iov_base)
		return false;
	if (length > to->iov_len)
		return true;
	prk_peek(to->iov_base, from, length);
	return false;
}

/* 1, 0: no more in this bucket, -EMSGSIZE, -EPROTO. */
static int64_t look_for_next(const struct prusik_dict *d, uint64_t shape, struct prk_bucket *bucket, void *context)
{
	struct search *s = context;
	uint32_t n = prk_shape_buckets(shape);
	int r = 1;

	s->entry = s->told = NULL;
	s->skip = s->cursor->equal;
	s->bits = bits_of(n, prk_bucket_of(reversed(s->cursor->position), n));
	for (uint32_t hops = 0; r > 0; hops++) {
		if (hops == PRK_DICT_CHAIN_MAX)
			return -EPROTO;
		for (uint32_t i = 0; i < PRK_DICT_SLOTS; i++) {
			uint64_t word = prk_peek64(&bucket->slot[i]); /* acq [heap]: pairs with H-P */
			if (word)
				consider(d, word, s);
		}
		r = next_bucket(d, &bucket);
	}
	if (r < 0 || !s->entry)
		return r;
	uint64_t key_length = prk_entry_key_length(s->lengths);
	bool no_key = no_room(s->key, s->entry->data, key_length);
	bool no_value = no_room(s->value, s->entry->data + prk_words(key_length), prk_entry_value_length(s->lengths));
	return no_key || no_value ? -EMSGSIZE : 1;
}

/* Go on behind the bucket. False: it was the last one. */
static bool skip_bucket(struct prusik_dict_cursor *cursor, uint32_t bits)
{
	uint64_t number = (cursor->position >> (64 - bits)) + 1;

	cursor->position = number << (64 - bits);
	cursor->equal = 0;
	cursor->ended = number >> bits != 0;
	return !cursor->ended;
}

static void tell_lengths(const struct search *s)
{
	if (s->key)
		s->key->iov_len = prk_entry_key_length(s->lengths);
	if (s->value)
		s->value->iov_len = prk_entry_value_length(s->lengths);
}

int prusik_dict_next(struct prusik_dict *dict, struct prusik_dict_cursor *cursor, struct iovec *key,
		     struct iovec *value)
{
	if (!dict || !cursor)
		return -EINVAL;
	struct search s = { .cursor = cursor, .key = key, .value = value };
	int64_t r = 0;
	if (cursor->ended)
		return 0;
	do
		r = look_until_sure(dict, reversed(cursor->position), look_for_next, &s);
	while (r == 0 && skip_bucket(cursor, s.bits));
	if (r == 1 || r == -EMSGSIZE)
		tell_lengths(&s);
	if (r == 1) {
		cursor->equal = s.position == cursor->position ? cursor->equal + 1 : 1;
		cursor->position = s.position;
	}
	return (int)r;
}
