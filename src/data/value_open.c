/* SPDX-License-Identifier: MIT */
/* value: making, opening, destroying */
#include "data/heap.h"
#include "data/value.h"

#include <string.h>

#define LINE 64u

_Static_assert(offsetof(struct prk_value_body, word) == LINE && sizeof(struct prk_value_body) == 2 * LINE,
	       "shared layout");

/* What a value is, or is to be. */
struct plan {
	uint32_t kind; /* 0: any */
	uint32_t size;
	uint32_t flags;
	const void *initial;
};

static uint64_t bytes_of(uint32_t kind, uint32_t size)
{
	uint64_t copies = kind == PRUSIK_VALUE_BYTES ? 2 * prk_value_words(size) : 0;

	return sizeof(struct prk_value_body) + copies * sizeof(uint64_t);
}

static bool is_sound(uint32_t kind, uint32_t size)
{
	if (kind == PRUSIK_VALUE_BYTES)
		return size > 0 && size <= PRUSIK_VALUE_BYTES_MAX;
	return kind >= PRUSIK_VALUE_INT && kind < PRUSIK_VALUE_BYTES && size == 8;
}

/* Of one that may be there: what is not said is 0. */
static int expect(const struct prusik_value_options *options, struct plan *ret_plan)
{
	static const struct prusik_value_options none;
	const struct prusik_value_options *o = options ? options : &none;
	bool number = o->kind && o->kind != PRUSIK_VALUE_BYTES;

	*ret_plan = (struct plan){ o->kind, number && o->size == 0 ? 8 : o->size, o->flags, o->initial };
	if (o->reserved || (o->kind && !is_sound(o->kind, ret_plan->size ? ret_plan->size : 1)))
		return -EINVAL;
	return 0;
}

/* Of one that is to be made. */
static int settle(const struct prusik_value_options *options, struct plan *ret_plan)
{
	int r = expect(options, ret_plan);

	if (ret_plan->kind == 0)
		ret_plan->kind = PRUSIK_VALUE_INT;
	if (ret_plan->kind != PRUSIK_VALUE_BYTES && ret_plan->size == 0)
		ret_plan->size = 8;
	return r == 0 && !is_sound(ret_plan->kind, ret_plan->size) ? -EINVAL : r;
}

/* Is it what was wished for? */
static int look(const struct prk_home *home, void *body, uint64_t bytes, const void *wish, void *handle)
{
	const struct plan *plan = wish;
	struct prusik_value *v = handle;

	*v = prk_value_view(body);
	v->home = *home;
	if (!is_sound(v->kind, v->size) || bytes < bytes_of(v->kind, v->size))
		return -EPROTO;
	if (plan->kind && plan->kind != v->kind)
		return -EPROTOTYPE;
	return plan->size && plan->size != v->size ? -EMSGSIZE : 0;
}

/* ---- making and destroying ---- */

static int set_up(struct prusik_arena *arena, void *made, const void *options)
{
	const struct plan *plan = options;
	struct prk_value_body *b = made;

	(void)arena;
	b->kind = plan->kind;
	b->size = plan->size;
	if (!plan->initial)
		return 0;
	if (plan->kind == PRUSIK_VALUE_BYTES) {
		prk_heap_fill(b->copies, plan->initial, plan->size);
	} else {
		memcpy(&b->held, plan->initial, sizeof b->held);
		b->word = b->held; /* if that is AWAY, it is in held */
	}
	return 0;
}

static int drop(struct prusik_arena *arena, void *body)
{
	(void)arena;
	(void)body;
	return 0; /* it owns nothing */
}

static const struct prk_sort sort = {
	.noun = "value",
	.magic = PRK_VALUE_MAGIC,
	.version = PRK_VALUE_VERSION,
	.signature = (uint32_t)(sizeof(struct prk_value_body) << 16 ^ sizeof(struct prk_section) << 4 ^
				offsetof(struct prk_value_body, changes)),
	.bytes = sizeof(struct prk_value_body),
	.fixed = true,
	.set_up = set_up,
	.drop = drop,
	.handle_bytes = sizeof(struct prusik_value),
	.look = look,
};

int prusik_value_destroy(struct prusik_arena *arena, uint64_t *link)
{
	return prk_made_destroy(&sort, arena, link);
}

int prusik_value_create(struct prusik_arena *arena, const char *name, const struct prusik_value_options *options,
			struct prusik_value **ret_value)
{
	struct plan plan;
	int r = settle(options, &plan);

	return r < 0 ? r : prk_handle_create(&sort, arena, name, 0, bytes_of(plan.kind, plan.size), &plan, ret_value);
}

int prusik_value_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_value_options *options,
			   struct prusik_value **ret_value)
{
	struct plan plan;
	int r = settle(options, &plan);

	return r < 0 ? r : prk_handle_create_at(&sort, arena, link, bytes_of(plan.kind, plan.size), &plan, ret_value);
}

/* ---- opening ---- */

int prusik_value_open(struct prusik_arena *arena, const char *name, const struct prusik_value_options *options,
		      struct prusik_value **ret_value)
{
	struct plan plan;
	int r = expect(options, &plan);

	return r < 0 ? r : prk_handle_open(&sort, arena, name, &plan, ret_value);
}

int prusik_value_at(struct prusik_arena *arena, uint64_t reference, const struct prusik_value_options *options,
		    struct prusik_value **ret_value)
{
	struct plan plan;
	int r = expect(options, &plan);

	return r < 0 ? r : prk_handle_at(&sort, arena, reference, &plan, ret_value);
}

int prusik_value_open_named(const char *name, const struct prusik_value_options *options,
			    struct prusik_value **ret_value)
{
	struct plan plan;
	bool existing = options && (options->flags & PRUSIK_EXISTING);
	int r = (existing ? expect : settle)(options, &plan);

	return r < 0 ? r :
		       prk_handle_open_named(&sort, name, plan.flags, 0, existing ? 0 : bytes_of(plan.kind, plan.size),
					     &plan, ret_value);
}

void prusik_value_free(struct prusik_value *value)
{
	if (value)
		prk_handle_free(value, &value->home);
}

uint64_t prusik_value_reference(const struct prusik_value *value)
{
	return value && value->home.arena ? prk_made_reference(value->home.arena, value->body) : 0;
}

int prusik_value_kind(const struct prusik_value *value)
{
	return value ? (int)value->kind : -EINVAL;
}

int64_t prusik_value_size(const struct prusik_value *value)
{
	return value ? (int64_t)value->size : -EINVAL;
}
