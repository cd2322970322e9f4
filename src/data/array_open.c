/* SPDX-License-Identifier: MIT */
/* array: making, opening, destroying */
#include "data/array.h"

#include <string.h>

#define LINE 64u

_Static_assert(offsetof(struct prk_array_body, version) == LINE && offsetof(struct prk_array_body, words) == 2 * LINE,
	       "shared layout");

/* What an array is, or is to be; 0: any. */
struct plan {
	uint32_t kind;
	uint32_t item_size;
	uint64_t length;
	uint32_t flags;
	const void *initial;
};

static uint32_t size_of(uint32_t kind)
{
	static const uint8_t sizes[] = {
		[PRUSIK_ARRAY_INT8] = 1,
		[PRUSIK_ARRAY_INT16] = 2,
		[PRUSIK_ARRAY_INT32] = 4,
		[PRUSIK_ARRAY_INT64] = 8,
		[PRUSIK_ARRAY_UINT8] = 1,
		[PRUSIK_ARRAY_UINT16] = 2,
		[PRUSIK_ARRAY_UINT32] = 4,
		[PRUSIK_ARRAY_UINT64] = 8,
		[PRUSIK_ARRAY_FLOAT] = sizeof(float),
		[PRUSIK_ARRAY_DOUBLE] = sizeof(double),
	};

	return kind < sizeof sizes ? sizes[kind] : 0;
}

static bool is_item(uint32_t kind, uint32_t item_size)
{
	if (kind == PRUSIK_ARRAY_BYTES)
		return item_size > 0 && item_size <= PRUSIK_ARRAY_ITEM_MAX;
	return item_size && size_of(kind) == item_size;
}

static uint64_t bytes_of(uint64_t words)
{
	return sizeof(struct prk_array_body) + 2 * words * sizeof(uint64_t);
}

/* Of one that may be there. */
static int expect(const struct prusik_array_options *options, struct plan *ret_plan)
{
	static const struct prusik_array_options none;
	const struct prusik_array_options *o = options ? options : &none;
	uint32_t size = o->item_size ? o->item_size : size_of(o->kind);

	*ret_plan = (struct plan){ o->kind, size, o->length, o->flags, o->initial };
	return o->reserved || (o->kind && !is_item(o->kind, size ? size : 1)) ? -EINVAL : 0;
}

/* Of one that is to be made. */
static int settle(const struct prusik_array_options *options, struct plan *ret_plan)
{
	int r = expect(options, ret_plan);

	if (r == 0 && (!is_item(ret_plan->kind, ret_plan->item_size) || ret_plan->length == 0))
		return -EINVAL;
	if (r == 0 && prk_array_words(ret_plan->length, ret_plan->item_size) == 0)
		return -ENOSPC;
	return r;
}

/* Is it what was wished for? */
static int look(const struct prk_home *home, void *found, uint64_t bytes, const void *wish, void *handle)
{
	const struct plan *plan = wish;
	struct prk_array_body *body = found;
	/* Once: what was looked at is what is used, whatever happens to the bytes. */
	uint32_t kind = prk_load32_rlx(&body->kind), item_size = prk_load32_rlx(&body->item_size);
	uint64_t length = prk_load64_rlx(&body->length);
	uint64_t words = is_item(kind, item_size) ? prk_array_words(length, item_size) : 0;

	if (words == 0 || bytes < bytes_of(words))
		return -EPROTO;
	struct prusik_array *a = handle;
	*a = prk_array_view(body, kind, item_size, length);
	a->home = *home;
	if (plan->kind && plan->kind != kind)
		return -EPROTOTYPE;
	bool same_size = plan->item_size == 0 || plan->item_size == item_size;
	return same_size && (plan->length == 0 || plan->length == length) ? 0 : -EMSGSIZE;
}

/* ---- making and destroying ---- */

static int set_up(struct prusik_arena *arena, void *made, const void *options)
{
	const struct plan *plan = options;
	struct prk_array_body *b = made;

	(void)arena;
	b->kind = plan->kind;
	b->item_size = plan->item_size;
	b->length = plan->length;
	if (plan->initial)
		memcpy(b->words, plan->initial, plan->length * plan->item_size);
	return 0;
}

static int drop(struct prusik_arena *arena, void *body)
{
	(void)arena;
	(void)body;
	return 0; /* it owns nothing */
}

static const struct prk_sort sort = {
	.noun = "array",
	.magic = PRK_ARRAY_MAGIC,
	.version = PRK_ARRAY_VERSION,
	.signature = (uint32_t)(sizeof(struct prk_array_body) << 16 ^ sizeof(struct prk_section) << 4 ^
				offsetof(struct prk_array_body, kind)),
	.bytes = sizeof(struct prk_array_body),
	.fixed = true,
	.set_up = set_up,
	.drop = drop,
	.handle_bytes = sizeof(struct prusik_array),
	.look = look,
};

static uint64_t bytes_for(const struct plan *plan)
{
	return bytes_of(prk_array_words(plan->length, plan->item_size));
}

int prusik_array_destroy(struct prusik_arena *arena, uint64_t *link)
{
	return prk_made_destroy(&sort, arena, link);
}

int prusik_array_create(struct prusik_arena *arena, const char *name, const struct prusik_array_options *options,
			struct prusik_array **ret_array)
{
	struct plan plan;
	int r = settle(options, &plan);

	return r < 0 ? r : prk_handle_create(&sort, arena, name, 0, bytes_for(&plan), &plan, ret_array);
}

int prusik_array_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_array_options *options,
			   struct prusik_array **ret_array)
{
	struct plan plan;
	int r = settle(options, &plan);

	return r < 0 ? r : prk_handle_create_at(&sort, arena, link, bytes_for(&plan), &plan, ret_array);
}

/* ---- opening ---- */

int prusik_array_open(struct prusik_arena *arena, const char *name, const struct prusik_array_options *options,
		      struct prusik_array **ret_array)
{
	struct plan plan;
	int r = expect(options, &plan);

	return r < 0 ? r : prk_handle_open(&sort, arena, name, &plan, ret_array);
}

int prusik_array_at(struct prusik_arena *arena, uint64_t reference, const struct prusik_array_options *options,
		    struct prusik_array **ret_array)
{
	struct plan plan;
	int r = expect(options, &plan);

	return r < 0 ? r : prk_handle_at(&sort, arena, reference, &plan, ret_array);
}

int prusik_array_open_named(const char *name, const struct prusik_array_options *options,
			    struct prusik_array **ret_array)
{
	struct plan plan;
	bool existing = options && (options->flags & PRUSIK_EXISTING);
	int r = (existing ? expect : settle)(options, &plan);

	return r < 0 ? r :
		       prk_handle_open_named(&sort, name, plan.flags, 0, existing ? 0 : bytes_for(&plan), &plan,
					     ret_array);
}

void prusik_array_free(struct prusik_array *array)
{
	if (array)
		prk_handle_free(array, &array->home);
}

uint64_t prusik_array_reference(const struct prusik_array *array)
{
	return array && array->home.arena ? prk_made_reference(array->home.arena, array->body) : 0;
}

int64_t prusik_array_length(const struct prusik_array *array)
{
	return array ? (int64_t)array->length : -EINVAL;
}

int prusik_array_kind(const struct prusik_array *array)
{
	return array ? (int)array->kind : -EINVAL;
}

int64_t prusik_array_item_size(const struct prusik_array *array)
{
	return array ? (int64_t)array->item_size : -EINVAL;
}
