/* SPDX-License-Identifier: MIT */
/* array: the lock, and how a change is made (array.h says how); sections, and functions of the user's */
#include "data/array.h"

#include <string.h>

/* ---- the version ---- */

/* What is stored from here on is seen after this. */
static void make_odd(struct prk_array_body *b)
{
	if (prk_load64_rlx(&b->version) % 2 == 0)
		prk_add64_acqrel(&b->version, 1); /* acqrel [array.version] */
}

static void make_even(struct prk_array_body *b)
{
	prk_store64_rel(&b->version, (prk_load64_rlx(&b->version) | 1) + 1); /* A-V, rel [array.version] */
}

/* From begin to end it stays odd. */
static void end_change(struct prk_array_body *b, int entered)
{
	if (entered != PRK_SECTION_MINE)
		make_even(b);
}

/* ---- changes; the lock is held ---- */

static void copy(struct prusik_array *a, struct prk_span span)
{
	/* rel [array.version]: seen after it became odd */
	for (uint64_t i = span.first; i < span.first + span.count; i++)
		prk_store64_rel(&a->body->words[i], a->next[i]);
}

void prk_array_load(struct prusik_array *a, struct prk_span span)
{
	memcpy(a->next + span.first, a->body->words + span.first, span.count * sizeof a->next[0]);
}

void prk_array_store_word(struct prusik_array *a, uint64_t number, uint64_t word, int entered)
{
	prk_store64_rel(&a->body->words[number], word); /* A-W, rel [array.version] */
	prk_barrier();
	end_change(a->body, entered);
}

void prk_array_store(struct prusik_array *a, struct prk_span span, int entered)
{
	struct prk_array_body *b = a->body;

	if (span.count == 1) {
		prk_array_store_word(a, span.first, a->next[span.first], entered);
		return;
	}
	prk_store64_rlx(&b->first, span.first);
	make_odd(b); /* before: nobody may see the old items once it is so */
	prk_barrier();
	prk_store64_rlx(&b->count, span.count); /* A-C */
	prk_barrier();
	copy(a, span);
	end_change(b, entered);
	prk_barrier();
	prk_store64_rlx(&b->count, 0); /* A-E */
}

/* ---- the lock ---- */

void prk_array_recover(struct prusik_array *a)
{
	struct prk_array_body *b = a->body;
	struct prk_span span = { prk_load64_rlx(&b->first), prk_load64_rlx(&b->count) };

	if (span.count && span.count <= a->words && span.first <= a->words - span.count) {
		make_odd(b);
		copy(a, span);
	}
	make_even(b);
	prk_barrier();
	prk_store64_rlx(&b->count, 0); /* A-E */
}

int prusik_array_begin(struct prusik_array *array, int64_t deadline, void **ret_items)
{
	int r = array ? prk_array_enter(array, deadline) : -EINVAL;

	if (r < 0)
		return r;
	if (r == PRK_SECTION_MINE)
		return -EDEADLK;
	r = prk_section_open(&array->body->section);
	make_odd(array->body);
	if (ret_items)
		*ret_items = array->body->words;
	return r;
}

int prusik_array_end(struct prusik_array *array)
{
	int r = array ? prk_section_may_close(&array->body->section) : -EINVAL;

	if (r < 0)
		return r;
	prk_section_close(&array->body->section);
	make_even(array->body);
	prk_array_leave(array, 0);
	return 0;
}

/* ---- functions of the user's ---- */

/* The lock is held; the items are in next. */
static int call(struct prusik_array *a, prusik_array_modify_fn function, void *context, uint64_t offset, uint64_t count)
{
	prk_section_inside(&a->body->section, true);
	int r = function(context, (char *)a->next + offset, count);
	prk_section_inside(&a->body->section, false);
	return r;
}

static int modify(struct prusik_array *a, uint64_t position, uint64_t count, prusik_array_modify_fn function,
		  void *context)
{
	uint64_t offset = position * a->item_size;
	struct prk_span span = prk_array_span(offset, count * a->item_size);
	int entered = prk_array_enter(a, PRUSIK_FOREVER);

	if (entered < 0)
		return entered;
	prk_array_load(a, span);
	int r = call(a, function, context, offset, count);
	if (r >= 0)
		prk_array_store(a, span, entered);
	prk_array_leave(a, entered);
	return r;
}

int prusik_array_modify(struct prusik_array *array, int64_t position, prusik_array_modify_fn function, void *context)
{
	if (!array || !function)
		return -EINVAL;
	if (position < 0)
		position += (int64_t)array->length;
	if (position < 0 || (uint64_t)position >= array->length)
		return -ENOENT;
	return modify(array, (uint64_t)position, 1, function, context);
}

int prusik_array_modify_all(struct prusik_array *array, prusik_array_modify_fn function, void *context)
{
	return array && function ? modify(array, 0, array->length, function, context) : -EINVAL;
}
