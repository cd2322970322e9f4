/* SPDX-License-Identifier: MIT */
/* array: the verbs for one item and for slices */
#include "data/array.h"
#include "data/heap.h"

#include <string.h>

/* Items are read so often before the lock is taken for them. */
#define TRIES 100

static char *item_at(const struct prusik_array *a, uint64_t offset)
{
	return (char *)a->body->words + offset;
}

/* Of an item's first byte. 0, -ENOENT. */
static int find(const struct prusik_array *a, int64_t position, uint64_t *ret_offset)
{
	if (position < 0)
		position += (int64_t)a->length;
	if (position < 0 || (uint64_t)position >= a->length)
		return -ENOENT;
	*ret_offset = (uint64_t)position * a->item_size;
	return 0;
}

/* ---- reading ---- */

/* Copy bytes that somebody may be writing to. */
static void peek(const struct prusik_array *a, uint64_t offset, char *to, uint64_t bytes)
{
	const uint64_t *from = a->body->words + offset / 8;
	uint64_t skip = offset % 8;

	if (skip) {
		uint64_t word = prk_peek64(from++), n = 8 - skip < bytes ? 8 - skip : bytes;
		memcpy(to, (const char *)&word + skip, n);
		to += n;
		bytes -= n;
	}
	prk_peek(to, from, bytes);
}

/* False: somebody is at it, or writers leave no gap. */
static bool read_free(const struct prusik_array *a, uint64_t offset, char *to, uint64_t bytes)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t version = prk_load64_acq(&a->body->version); /* acq [array.version] */
		if (version % 2)
			return false;
		peek(a, offset, to, bytes);
		if (prk_load64_acq(&a->body->version) == version) /* acq [array.version] */
			return true;
	}
	return false;
}

static int read_locked(struct prusik_array *a, uint64_t offset, char *to, uint64_t bytes)
{
	bool mine = prk_lock_mine(&a->body->section.lock);
	int entered = mine ? PRK_SECTION_MINE : prk_array_enter(a, PRUSIK_FOREVER);

	if (entered < 0)
		return entered;
	memcpy(to, item_at(a, offset), bytes);
	prk_array_leave(a, entered);
	return 0;
}

static int read_items(struct prusik_array *a, uint64_t offset, void *to, uint64_t bytes)
{
	return read_free(a, offset, to, bytes) ? 0 : read_locked(a, offset, to, bytes);
}

int prusik_array_get(struct prusik_array *array, int64_t position, void *ret_item)
{
	uint64_t offset;
	int r = array && ret_item ? find(array, position, &offset) : -EINVAL;

	return r < 0 ? r : read_items(array, offset, ret_item, array->item_size);
}

/* As Python cuts a slice: its first position, and how many follow. */
static uint64_t cut(const struct prusik_array *a, int64_t begin, int64_t end, uint64_t *ret_first)
{
	int64_t length = (int64_t)a->length;

	begin += begin < 0 ? length : 0;
	end += end < 0 ? length : 0;
	begin = begin < 0 ? 0 : begin;
	end = end > length ? length : end;
	*ret_first = (uint64_t)begin;
	return begin < end ? (uint64_t)(end - begin) : 0;
}

int64_t prusik_array_slice(struct prusik_array *array, int64_t begin, int64_t end, void *items, uint64_t count)
{
	uint64_t first;

	if (!array || (!items && count))
		return -EINVAL;
	uint64_t n = cut(array, begin, end, &first);
	n = n < count ? n : count;
	int r = n ? read_items(array, first * array->item_size, items, n * array->item_size) : 0;
	return r < 0 ? r : (int64_t)n;
}

/* ---- writing; the lock is held ---- */

/* Most items are numbers, and a call for so few bytes takes longer than they do. */
static inline void copy_item(void *to, const void *from, uint64_t bytes)
{
	if (bytes == 8)
		memcpy(to, from, 8);
	else if (bytes == 4)
		memcpy(to, from, 4);
	else
		memcpy(to, from, bytes);
}

static void write_within_word(struct prusik_array *a, uint64_t offset, const void *from, uint64_t bytes, int entered)
{
	uint64_t word = prk_load64_rlx(&a->body->words[offset / 8]);

	copy_item((char *)&word + offset % 8, from, bytes);
	prk_array_store_word(a, offset / 8, word, entered);
}

static void write_items(struct prusik_array *a, uint64_t offset, const void *from, uint64_t bytes, int entered)
{
	struct prk_span span = prk_array_span(offset, bytes);
	const struct prk_span last = { span.first + span.count - 1, 1 };

	if (span.count == 1) {
		write_within_word(a, offset, from, bytes, entered);
		return;
	}
	/* What is beside them in the first word and the last one. */
	prk_array_load(a, (struct prk_span){ span.first, 1 });
	prk_array_load(a, last);
	memcpy((char *)a->next + offset, from, bytes);
	prk_array_store(a, span, entered);
}

static void fill_items(struct prusik_array *a, uint64_t offset, const void *item, uint64_t count, int entered)
{
	struct prk_span span = prk_array_span(offset, count * a->item_size);
	char *to = (char *)a->next + offset;

	prk_array_load(a, (struct prk_span){ span.first, 1 });
	prk_array_load(a, (struct prk_span){ span.first + span.count - 1, 1 });
	for (uint64_t i = 0; i < count; i++)
		memcpy(to + i * a->item_size, item, a->item_size);
	prk_array_store(a, span, entered);
}

/* ---- one item ---- */

/* expected NULL: whatever it is. */
static int change(struct prusik_array *a, int64_t position, const void *expected, const void *item)
{
	uint64_t offset;
	int r = find(a, position, &offset);

	if (r < 0)
		return r;
	int entered = prk_array_enter(a, PRUSIK_FOREVER);
	if (entered < 0)
		return entered;
	if (expected && memcmp(item_at(a, offset), expected, a->item_size) != 0)
		r = -ESTALE;
	if (r == 0)
		write_items(a, offset, item, a->item_size, entered);
	prk_array_leave(a, entered);
	return r;
}

int prusik_array_set(struct prusik_array *array, int64_t position, const void *item)
{
	return array && item ? change(array, position, NULL, item) : -EINVAL;
}

int prusik_array_cas(struct prusik_array *array, int64_t position, const void *expected, const void *item)
{
	return array && expected && item ? change(array, position, expected, item) : -EINVAL;
}

/* ---- adding ---- */

union number {
	int8_t i8;
	int16_t i16;
	int32_t i32;
	int64_t i64;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	float f;
	double d;
};

#define SUM(member, out_type)                                                                                          \
	if (__builtin_add_overflow(n->member, delta, &n->member))                                                      \
		return -EOVERFLOW;                                                                                     \
	*ret_sum = (out_type)n->member;                                                                                \
	return 0

/* The number becomes more by delta. */
static int add_whole(uint32_t kind, union number *n, int64_t delta, int64_t *ret_sum)
{
	switch (kind) {
	case PRUSIK_ARRAY_INT8:
		SUM(i8, int64_t);
	case PRUSIK_ARRAY_INT16:
		SUM(i16, int64_t);
	case PRUSIK_ARRAY_INT32:
		SUM(i32, int64_t);
	case PRUSIK_ARRAY_INT64:
		SUM(i64, int64_t);
	case PRUSIK_ARRAY_UINT8:
		SUM(u8, int64_t);
	case PRUSIK_ARRAY_UINT16:
		SUM(u16, int64_t);
	case PRUSIK_ARRAY_UINT32:
		SUM(u32, int64_t);
	default:
		SUM(u64, int64_t);
	}
}

static int add_real(uint32_t kind, union number *n, double delta, double *ret_sum)
{
	if (kind == PRUSIK_ARRAY_FLOAT) {
		n->f = (float)((double)n->f + delta);
		*ret_sum = (double)n->f;
	} else {
		n->d += delta;
		*ret_sum = n->d;
	}
	return 0;
}

/* Either whole or real is told the sum; the other is NULL. */
struct sum {
	int64_t delta, whole;
	double real_delta, real;
	bool is_real;
};

static int add(struct prusik_array *a, int64_t position, struct sum *s)
{
	union number n = { .u64 = 0 };
	uint64_t offset;
	int r = find(a, position, &offset);

	if (r < 0)
		return r;
	int entered = prk_array_enter(a, PRUSIK_FOREVER);
	if (entered < 0)
		return entered;
	copy_item(&n, item_at(a, offset), a->item_size);
	r = s->is_real ? add_real(a->kind, &n, s->real_delta, &s->real) : add_whole(a->kind, &n, s->delta, &s->whole);
	if (r == 0)
		write_items(a, offset, &n, a->item_size, entered);
	prk_array_leave(a, entered);
	return r;
}

int prusik_array_add(struct prusik_array *array, int64_t position, int64_t delta, int64_t *ret_sum)
{
	struct sum s = { .delta = delta };

	if (!array)
		return -EINVAL;
	if (array->kind > PRUSIK_ARRAY_UINT64)
		return -EPROTOTYPE;
	int r = add(array, position, &s);
	if (r == 0 && ret_sum)
		*ret_sum = s.whole;
	return r;
}

int prusik_array_add_double(struct prusik_array *array, int64_t position, double delta, double *ret_sum)
{
	struct sum s = { .real_delta = delta, .is_real = true };

	if (!array)
		return -EINVAL;
	if (array->kind != PRUSIK_ARRAY_FLOAT && array->kind != PRUSIK_ARRAY_DOUBLE)
		return -EPROTOTYPE;
	int r = add(array, position, &s);
	if (r == 0 && ret_sum)
		*ret_sum = s.real;
	return r;
}

/* ---- slices ---- */

int prusik_array_set_slice(struct prusik_array *array, int64_t position, const void *items, uint64_t count)
{
	if (!array || (!items && count))
		return -EINVAL;
	if (position < 0)
		position += (int64_t)array->length;
	if (position < 0 || (uint64_t)position > array->length || count > array->length - (uint64_t)position)
		return -ENOENT;
	if (count == 0)
		return 0;
	int entered = prk_array_enter(array, PRUSIK_FOREVER);
	if (entered < 0)
		return entered;
	write_items(array, (uint64_t)position * array->item_size, items, count * array->item_size, entered);
	prk_array_leave(array, entered);
	return 0;
}

int64_t prusik_array_fill(struct prusik_array *array, int64_t begin, int64_t end, const void *item)
{
	uint64_t first;

	if (!array || !item)
		return -EINVAL;
	uint64_t n = cut(array, begin, end, &first);
	if (n == 0)
		return 0;
	int entered = prk_array_enter(array, PRUSIK_FOREVER);
	if (entered < 0)
		return entered;
	fill_items(array, first * array->item_size, item, n, entered);
	prk_array_leave(array, entered);
	return (int64_t)n;
}
