/* SPDX-License-Identifier: MIT */
/* dict: writing, with the lock held. A change of a key ends with one store to its slot (heap.h). */
#include "data/dict.h"
#include "sync/lock.h"

#include <errno.h>
#include <string.h>

#define VALUE_MAX ((UINT64_C(1) << 40) - 1)

/* Each writer throws so many pages of litter away; who clears, so many with the lock held. */
#define SWEEPS 2
#define SWEEPS_AT_ONCE 64

/* ---- the lock ---- */

/* Somebody died inside. The change that was under way is done or undone already. */
static void repair(struct prusik_dict *d)
{
	uint64_t shape = prk_load64_rlx(&d->body->shape);

	/* rel [dict.shape]: who has looked meanwhile looks again */
	prk_store64_rel(&d->body->shape, prk_shape_next(shape, prk_shape_half(shape), prk_shape_buckets(shape)));
	prk_dict_sort(d);
	prk_dict_tell_all(d);
}

/* Up to count pages. Whether there may be more. */
static bool sweep(struct prusik_dict *d, int count)
{
	uint32_t other = !prk_shape_half(prk_load64_rlx(&d->body->shape));
	int r = 1;

	while (r > 0 && count-- > 0)
		r = prk_dict_sweep(d, other);
	if (r <= 0)
		prk_store32_rlx(&d->body->litter, 0);
	return r > 0;
}

static bool is_sane(const struct prusik_dict *d)
{
	uint32_t n = prk_shape_buckets(prk_load64_rlx(&d->body->shape));

	return n >= PRK_DICT_BUCKETS_MIN && n <= PRK_DICT_BUCKETS_MAX;
}

int prk_dict_lock(struct prusik_dict *d)
{
	int r = prk_heap_lock(&d->view);

	if (r < 0)
		return r;
	if (!is_sane(d)) {
		prk_heap_unlock(&d->view);
		return -EPROTO;
	}
	if (r == PRUSIK_RECOVERED)
		repair(d);
	if (prk_load32_rlx(&d->body->litter))
		sweep(d, SWEEPS);
	return 0;
}

int prk_dict_unlock(struct prusik_dict *d, int result)
{
	prk_heap_unlock(&d->view);
	return result;
}

/* ---- one key ---- */

/* rel [bucket.version]: before what was given away is used for something else */
static void raise_version(struct prk_bucket *bucket)
{
	prk_store64_rel(&bucket->version, prk_load64_rlx(&bucket->version) + 1);
}

/* Take and fill an entry, within a change; the word for its slot. */
static int make_entry(struct prusik_dict *d, const struct prk_key *key, const void *value, uint64_t length,
		      uint64_t *ret_word)
{
	struct prk_shelf *shelf = &prk_dict_table(d)->shelf;
	uint64_t offset, distance, bytes = prk_entry_bytes(key->length, length);
	int r = prk_heap_take(&d->view, shelf, bytes, &offset, &distance);
	struct prk_entry *entry = r < 0 ? NULL : prk_heap_at(&d->view, offset, bytes);

	if (!entry)
		return r < 0 ? r : -EPROTO;
	/* rel [object]: see prk_heap_fill */
	prk_store64_rel(&entry->word, key->hash << 16 | distance);
	prk_store64_rel(&entry->lengths, key->length << 40 | length);
	prk_heap_fill(entry->data, key->bytes, key->length);
	prk_heap_fill(prk_entry_value(entry, key->length), value, length);
	*ret_word = prk_slot_word(key->hash, offset);
	return 0;
}

static int give_entry(struct prusik_dict *d, const struct prk_found *f)
{
	return prk_heap_give(&d->view, &prk_dict_table(d)->shelf, prk_heap_offset(&d->view, f->entry),
			     prk_load64_rlx(&f->entry->word));
}

/* It fits into the word that is there. */
static bool store_in_place(struct prk_found *f, const struct prk_key *key, const void *value, uint64_t length)
{
	if (length != f->value_length || length > 8)
		return false;
	if (length)
		/* rel [object]: the key's value, as a whole */
		prk_store64_rel(prk_entry_value(f->entry, key->length), prk_word_of(value, length));
	return true;
}

static int replace(struct prusik_dict *d, const struct prk_key *key, struct prk_found *f, const void *value,
		   uint64_t length)
{
	struct prk_shelf *shelf = &prk_dict_table(d)->shelf;
	uint64_t word;

	if (!store_in_place(f, key, value, length)) {
		prk_heap_fetch_page(&d->view, prk_heap_offset(&d->view, f->entry), prk_load64_rlx(&f->entry->word));
		int r = prk_heap_reserve(&d->view, shelf, prk_entry_bytes(key->length, length));
		if (r < 0)
			return r;
		prk_heap_begin(&d->view);
		r = make_entry(d, key, value, length, &word);
		if (r == 0)
			r = give_entry(d, f);
		if (r < 0)
			return prk_heap_undo(&d->view, r);
		prk_heap_publish(&d->view, f->slot, word);
		raise_version(f->bucket);
	}
	prk_dict_tell(d, key->hash);
	return 0;
}

static int insert(struct prusik_dict *d, const struct prk_key *key, struct prk_found *f, const void *value,
		  uint64_t length)
{
	struct prk_dict_half *table = prk_dict_table(d);
	uint64_t word;
	int r = f->slot ? 0 : prk_dict_extend(d, table, f->last, &f->slot);

	if (r == 0)
		r = prk_heap_reserve(&d->view, &table->shelf, prk_entry_bytes(key->length, length));
	if (r < 0)
		return r;
	prk_heap_begin(&d->view);
	r = make_entry(d, key, value, length, &word);
	if (r < 0)
		return prk_heap_undo(&d->view, r);
	prk_heap_set(&d->view, &table->keys, table->keys + 1);
	prk_heap_publish(&d->view, f->slot, word);
	prk_dict_tell(d, key->hash);
	prk_dict_resize(d);
	return 1;
}

static int discard(struct prusik_dict *d, const struct prk_key *key, struct prk_found *f)
{
	struct prk_dict_half *table = prk_dict_table(d);

	prk_heap_begin(&d->view);
	int r = give_entry(d, f);
	if (r < 0)
		return prk_heap_undo(&d->view, r);
	prk_heap_set(&d->view, &table->keys, table->keys - 1);
	prk_heap_publish(&d->view, f->slot, 0);
	raise_version(f->bucket);
	prk_dict_tell(d, key->hash);
	prk_dict_close_gaps(d, table, f->bucket);
	prk_dict_resize(d);
	return 0;
}

/* ---- a call ---- */

/* What a call is about. found: 1 or 0. */
struct call {
	struct prk_key key;
	struct prk_found f;
	int found;
};

/* Take the lock and look the key up. 0: locked. */
static int begin(struct prusik_dict *d, const void *key, uint64_t key_length, struct call *c)
{
	int r = prk_dict_key(d, key, key_length, &c->key);

	if (r < 0)
		return r;
	prk_dict_fetch(d, &c->key, 1);
	r = prk_dict_lock(d);
	if (r < 0)
		return r;
	c->found = prk_dict_look(d, prk_load64_rlx(&d->body->shape), &c->key, &c->f);
	return c->found < 0 ? prk_dict_unlock(d, c->found) : 0;
}

static int put(struct prusik_dict *d, struct call *c, const void *value, uint64_t length)
{
	if (c->found)
		return replace(d, &c->key, &c->f, value, length);
	return insert(d, &c->key, &c->f, value, length);
}

static int check_value(const void *value, uint64_t length)
{
	if (length > VALUE_MAX)
		return -EMSGSIZE;
	return value || !length ? 0 : -EINVAL;
}

static const void *value_at(const struct call *c)
{
	return prk_entry_value(c->f.entry, c->key.length);
}

static int64_t copy_value(const struct call *c, void *buffer, uint64_t capacity)
{
	if (buffer && c->f.value_length > capacity)
		return -EMSGSIZE;
	if (buffer)
		memcpy(buffer, value_at(c), c->f.value_length);
	return (int64_t)c->f.value_length;
}

/* ---- the public calls ---- */

int prusik_dict_set(struct prusik_dict *dict, const void *key, uint64_t key_length, const void *value, uint64_t length)
{
	struct call c;
	int r = check_value(value, length);

	if (r == 0)
		r = begin(dict, key, key_length, &c);
	return r < 0 ? r : prk_dict_unlock(dict, put(dict, &c, value, length));
}

int prusik_dict_insert(struct prusik_dict *dict, const void *key, uint64_t key_length, const void *value,
		       uint64_t length)
{
	struct call c;
	int r = check_value(value, length);

	if (r == 0)
		r = begin(dict, key, key_length, &c);
	if (r < 0)
		return r;
	r = c.found ? -EEXIST : put(dict, &c, value, length);
	return prk_dict_unlock(dict, r > 0 ? 0 : r);
}

int64_t prusik_dict_setdefault(struct prusik_dict *dict, const void *key, uint64_t key_length, const void *value,
			       uint64_t length, void *buffer, uint64_t capacity)
{
	struct call c;
	int64_t r = check_value(value, length);

	if (r == 0)
		r = begin(dict, key, key_length, &c);
	if (r < 0)
		return r;
	if (c.found)
		r = copy_value(&c, buffer, capacity);
	else if (buffer && length > capacity)
		r = -EMSGSIZE;
	else
		r = put(dict, &c, value, length);
	prk_dict_unlock(dict, 0);
	if (r < 0 || c.found)
		return r;
	if (buffer && length)
		memcpy(buffer, value, length);
	return (int64_t)length;
}

int prusik_dict_delete(struct prusik_dict *dict, const void *key, uint64_t key_length)
{
	struct call c;
	int r = begin(dict, key, key_length, &c);

	if (r < 0)
		return r == -EMSGSIZE ? -ENOENT : r;
	return prk_dict_unlock(dict, c.found ? discard(dict, &c.key, &c.f) : -ENOENT);
}

int64_t prusik_dict_pop(struct prusik_dict *dict, const void *key, uint64_t key_length, void *buffer, uint64_t capacity)
{
	struct call c;
	int r = begin(dict, key, key_length, &c);

	if (r < 0)
		return r == -EMSGSIZE ? -ENOENT : r;
	int64_t length = c.found ? copy_value(&c, buffer, capacity) : -ENOENT;
	if (length >= 0)
		r = discard(dict, &c.key, &c.f);
	prk_dict_unlock(dict, 0);
	return r < 0 ? r : length;
}

static int set_locked(struct prusik_dict *d, const struct prk_key *key, const struct prusik_dict_item *item)
{
	struct call c = { .key = *key };

	c.found = prk_dict_look(d, prk_load64_rlx(&d->body->shape), &c.key, &c.f);
	return c.found < 0 ? c.found : put(d, &c, item->value, item->length);
}

/* Up to PRK_DICT_GROUP items, which were checked: how many were set; *ret_why: why no more. */
static uint64_t set_group(struct prusik_dict *d, const struct prusik_dict_item *items, uint64_t count, int *ret_why)
{
	struct prk_key keys[PRK_DICT_GROUP];
	uint64_t done = 0;

	for (uint64_t i = 0; i < count; i++)
		(void)prk_dict_key(d, items[i].key, items[i].key_length, &keys[i]);
	prk_dict_fetch(d, keys, count);
	while (done < count && (*ret_why = set_locked(d, &keys[done], &items[done])) >= 0)
		done++;
	return done;
}

static int check_item(const struct prusik_dict_item *item)
{
	if (item->key_length > PRUSIK_DICT_KEY_MAX)
		return -EMSGSIZE;
	if (!item->key && item->key_length)
		return -EINVAL;
	return check_value(item->value, item->length);
}

int64_t prusik_dict_update(struct prusik_dict *dict, const struct prusik_dict_item *items, uint64_t count)
{
	int r = dict && (items || !count) && count <= INT64_MAX ? 0 : -EINVAL;
	uint64_t done = 0;

	for (uint64_t i = 0; i < count && r == 0; i++)
		r = check_item(&items[i]);
	if (r == 0)
		r = prk_dict_lock(dict);
	if (r < 0)
		return r;
	while (done < count && r >= 0) {
		uint64_t n = count - done < PRK_DICT_GROUP ? count - done : PRK_DICT_GROUP;
		done += set_group(dict, &items[done], n, &r);
	}
	prk_dict_unlock(dict, 0);
	return done > 0 || r >= 0 ? (int64_t)done : r;
}

static int apply(struct prusik_dict *d, struct call *c, int what, const struct iovec *value)
{
	int r;

	switch (what) {
	case PRUSIK_DICT_SET:
		r = check_value(value->iov_base, value->iov_len);
		if (r == 0)
			r = put(d, c, value->iov_base, value->iov_len);
		break;
	case PRUSIK_DICT_DELETE:
		r = c->found ? discard(d, &c->key, &c->f) : 0;
		break;
	default:
		return what < 0 || what == PRUSIK_DICT_KEEP ? what : -EINVAL;
	}
	return r < 0 ? r : what;
}

int prusik_dict_modify(struct prusik_dict *dict, const void *key, uint64_t key_length, prusik_dict_modify_fn function,
		       void *context)
{
	struct iovec value = { 0 };
	struct call c;
	int r = function ? begin(dict, key, key_length, &c) : -EINVAL;

	if (r < 0)
		return r;
	r = function(context, c.found ? value_at(&c) : NULL, c.found ? c.f.value_length : 0, &value);
	return prk_dict_unlock(dict, apply(dict, &c, r, &value));
}

static int add_locked(struct prusik_dict *d, struct call *c, int64_t delta, int64_t *ret_value)
{
	int64_t old = 0;

	if (c->found && c->f.value_length != sizeof old)
		return -EINVAL;
	if (c->found)
		old = (int64_t)prk_load64_rlx(value_at(c));
	if (__builtin_add_overflow(old, delta, &old))
		return -EOVERFLOW;
	*ret_value = old;
	return put(d, c, &old, sizeof old);
}

int prusik_dict_add(struct prusik_dict *dict, const void *key, uint64_t key_length, int64_t delta, int64_t *ret_value)
{
	int64_t sum;
	struct call c;
	int r = begin(dict, key, key_length, &c);

	if (r < 0)
		return r;
	r = prk_dict_unlock(dict, add_locked(dict, &c, delta, &sum));
	if (r >= 0 && ret_value)
		*ret_value = sum;
	return r;
}

static bool is_expected(const struct call *c, const void *expected, uint64_t length)
{
	if (!expected)
		return !c->found;
	return c->found && c->f.value_length == length && memcmp(value_at(c), expected, length) == 0;
}

int prusik_dict_cas(struct prusik_dict *dict, const void *key, uint64_t key_length, const void *expected,
		    uint64_t expected_length, const void *value, uint64_t length)
{
	struct iovec wanted = { .iov_base = (void *)(uintptr_t)value, .iov_len = length };
	struct call c;
	int r = value ? check_value(value, length) : 0;

	if (r == 0)
		r = begin(dict, key, key_length, &c);
	if (r < 0)
		return r;
	if (!is_expected(&c, expected, expected_length))
		return prk_dict_unlock(dict, -ESTALE);
	r = prk_dict_unlock(dict, apply(dict, &c, value ? PRUSIK_DICT_SET : PRUSIK_DICT_DELETE, &wanted));
	return r > 0 ? 0 : r;
}

/* The lock is held. The other half becomes the table; it is empty. */
static void turn_over(struct prusik_dict *d)
{
	struct prk_dict_body *b = d->body;

	while (prk_load32_rlx(&b->litter) && sweep(d, SWEEPS_AT_ONCE))
		;
	uint64_t shape = prk_load64_rlx(&b->shape);
	prk_store32_rlx(&b->litter, 1);
	prk_barrier();
	/* C1, rel [dict.shape] */
	prk_store64_rel(&b->shape, prk_shape_next(shape, !prk_shape_half(shape), PRK_DICT_BUCKETS_MIN));
	prk_dict_tell_all(d);
}

int prusik_dict_clear(struct prusik_dict *dict)
{
	if (!dict)
		return -EINVAL;
	int r = prk_dict_lock(dict);
	if (r < 0)
		return r;
	turn_over(dict);
	prk_dict_unlock(dict, 0);
	for (bool more = true; more && prk_dict_lock(dict) == 0;) {
		more = prk_load32_rlx(&dict->body->litter) && sweep(dict, SWEEPS_AT_ONCE);
		prk_dict_unlock(dict, 0);
	}
	return 0;
}

int64_t prusik_dict_length(struct prusik_dict *dict)
{
	if (!dict)
		return -EINVAL;
	int r = prk_dict_lock(dict);
	if (r < 0)
		return r;
	int64_t keys = (int64_t)prk_dict_table(dict)->keys;
	prk_dict_unlock(dict, 0);
	return keys;
}
