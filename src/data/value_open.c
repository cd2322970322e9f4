/* SPDX-License-Identifier: MIT */
/* value: making, opening, destroying */
#include "base/sys.h"
#include "data/heap.h"
#include "data/value.h"

#include <string.h>

#define LINE 64u

_Static_assert(offsetof(struct prk_value_body, word) == LINE && sizeof(struct prk_value_body) == 2 * LINE, "shared layout");

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

/* ---- handles ---- */

static int make_handle(const struct prusik_value *view, struct prusik_value **ret_value)
{
	struct prusik_value *v = prk_sys_calloc(sizeof *v);

	if (v) {
		*v = *view;
		*ret_value = v;
		return 0;
	}
	prk_sys_free(view->memory);
	if (view->own_arena)
		prusik_arena_close(view->arena);
	return -ENOMEM;
}

/* A look at a body of so many bytes: is it what was expected? */
static int view_of(struct prusik_arena *arena, void *body, uint64_t bytes, const struct plan *plan,
		   struct prusik_value *ret_view)
{
	*ret_view = prk_value_view(body);
	ret_view->arena = arena;
	if (!is_sound(ret_view->kind, ret_view->size) || bytes < bytes_of(ret_view->kind, ret_view->size))
		return -EPROTO;
	if (plan->kind && plan->kind != ret_view->kind)
		return -EPROTOTYPE;
	return plan->size && plan->size != ret_view->size ? -EMSGSIZE : 0;
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
	.magic = PRK_VALUE_MAGIC,
	.version = PRK_VALUE_VERSION,
	.signature = (uint32_t)(sizeof(struct prk_value_body) << 16 ^ sizeof(struct prk_section) << 4 ^
				offsetof(struct prk_value_body, changes)),
	.bytes = sizeof(struct prk_value_body),
	.fixed = true,
	.set_up = set_up,
	.drop = drop,
};

int prusik_value_destroy(struct prusik_arena *arena, uint64_t *link)
{
	return prk_made_destroy(&sort, arena, link);
}

static int make_private(const struct plan *plan, struct prusik_value **ret_value)
{
	void *memory = prk_sys_calloc(bytes_of(plan->kind, plan->size) + LINE);

	if (!memory)
		return -ENOMEM;
	struct prk_value_body *body = (struct prk_value_body *)(((uintptr_t)memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
	set_up(NULL, body, plan);
	struct prusik_value view = prk_value_view(body);
	view.memory = memory;
	return make_handle(&view, ret_value);
}

/* r: what the making of body came to. */
static int made(int r, struct prusik_arena *arena, void *body, struct prusik_value **ret_value)
{
	if (r < 0)
		return r;
	struct prusik_value view = prk_value_view(body);
	view.arena = arena;
	return make_handle(&view, ret_value);
}

int prusik_value_create(struct prusik_arena *arena, const char *name, const struct prusik_value_options *options,
			struct prusik_value **ret_value)
{
	struct plan plan;
	void *body = NULL;
	int r = ret_value && !arena == !name ? settle(options, &plan) : -EINVAL;

	if (r == 0)
		r = prk_joined();
	if (r < 0)
		return r;
	if (!arena)
		return make_private(&plan, ret_value);
	r = prk_made_create_named(&sort, arena, name, bytes_of(plan.kind, plan.size), &plan, &body);
	return made(r, arena, body, ret_value);
}

int prusik_value_create_at(struct prusik_arena *arena, uint64_t *link, const struct prusik_value_options *options,
			   struct prusik_value **ret_value)
{
	struct plan plan;
	void *body = NULL;
	int r = ret_value ? settle(options, &plan) : -EINVAL;

	if (r == 0)
		r = prk_made_create(&sort, arena, link, bytes_of(plan.kind, plan.size), &plan, &body);
	return made(r, arena, body, ret_value);
}

/* ---- opening ---- */

/* r: what the finding of body came to. */
static int found(int r, struct prusik_arena *arena, void *body, uint64_t bytes, const struct plan *plan,
		 struct prusik_value **ret_value)
{
	struct prusik_value view;

	if (r == 0)
		r = view_of(arena, body, bytes, plan, &view);
	return r < 0 ? r : make_handle(&view, ret_value);
}

int prusik_value_open(struct prusik_arena *arena, const char *name, const struct prusik_value_options *options,
		      struct prusik_value **ret_value)
{
	struct plan plan;
	void *body = NULL;
	uint64_t bytes = 0;
	int r = ret_value && arena ? expect(options, &plan) : -EINVAL;

	if (r == 0)
		r = prk_made_open(&sort, arena, name, &body, &bytes);
	return found(r, arena, body, bytes, &plan, ret_value);
}

int prusik_value_at(struct prusik_arena *arena, uint64_t reference, const struct prusik_value_options *options,
		    struct prusik_value **ret_value)
{
	struct plan plan;
	void *body = NULL;
	uint64_t bytes = 0;
	int r = ret_value ? expect(options, &plan) : -EINVAL;

	if (r == 0)
		r = prk_made_at(&sort, arena, reference, &body, &bytes);
	return found(r, arena, body, bytes, &plan, ret_value);
}

int prusik_value_open_named(const char *name, const struct prusik_value_options *options,
			    struct prusik_value **ret_value)
{
	struct plan plan;
	struct prusik_arena *arena;
	struct prusik_value view;
	void *body;
	uint64_t bytes;
	bool existing = options && (options->flags & PRUSIK_EXISTING);
	int r = ret_value ? (existing ? expect : settle)(options, &plan) : -EINVAL;

	if (r < 0)
		return r;
	uint64_t room = existing ? 0 : bytes_of(plan.kind, plan.size);
	r = prk_made_join(&sort, name, "value", plan.flags, PRK_ARENA_FIRST + room + 4 * LINE, room, &plan, &arena,
			  &body, &bytes);
	if (r < 0)
		return r;
	r = view_of(arena, body, bytes, &plan, &view);
	if (r < 0) {
		prusik_arena_close(arena);
		return r;
	}
	view.own_arena = 1;
	return make_handle(&view, ret_value);
}

void prusik_value_free(struct prusik_value *value)
{
	if (!value)
		return;
	if (value->own_arena)
		prusik_arena_close(value->arena);
	prk_sys_free(value->memory);
	prk_sys_free(value);
}

uint64_t prusik_value_reference(const struct prusik_value *value)
{
	return value && value->arena ? prk_made_reference(value->arena, value->body) : 0;
}

int prusik_value_kind(const struct prusik_value *value)
{
	return value ? (int)value->kind : -EINVAL;
}

int64_t prusik_value_size(const struct prusik_value *value)
{
	return value ? (int64_t)value->size : -EINVAL;
}
