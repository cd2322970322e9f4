/* SPDX-License-Identifier: MIT */
/*
 * fuzz: arena - a file of arbitrary bytes in the domain's directory, and all who read it
 *
 * The input is laid over an arena that is in order: its first byte says how.
 *   0  from the beginning on
 *   1  patches, each: 3 bytes of offset, 1 of length, and so many bytes
 *   2  from where the header's words begin that change, on
 */
#include "ground.h"

static struct whole whole;

/* ---- an arena in order ---- */

static int make_whole(struct prusik_arena *arena, void *context)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	struct prusik_queue *queue;
	uint64_t *link;
	void *object;

	(void)context;
	must(prk_named_make(arena, 64, &object) == 0);
	for (unsigned int i = 0; i < 6; i++) {
		must(prusik_arena_root(arena, names[i], &link) == 0);
		must(prusik_arena_alloc(arena, 100 + 300 * i, link) == 0);
	}
	for (unsigned int i = 0; i < 6; i += 2) {
		must(prusik_arena_root(arena, names[i], &link) == 0);
		must(prusik_arena_free(arena, link) == 0);
	}
	must(prusik_queue_create(arena, "queue", &(struct prusik_queue_options){ .capacity = 8, .item_max = 16 },
				 &queue) == 0);
	for (int i = 0; i < 5; i++)
		must(prusik_queue_put(queue, &i, sizeof i, PRUSIK_NOW) == 0);
	prusik_queue_free(queue);
	return 0;
}

static void begin(void)
{
	struct prusik_arena *arena;

	if (whole.length)
		return;
	begin_domain();
	must(prk_named_open_within("whole", "arena", PRUSIK_PERSISTENT, PRK_ARENA_LEAST, BYTES, make_whole, NULL,
				   &arena) == 0);
	keep_whole(&whole, arena);
	prusik_arena_close(arena);
}

/* ---- its bytes ---- */

static void lay_over(uint64_t at, const uint8_t *data, size_t size)
{
	if (at < BYTES)
		memcpy(file_bytes + at, data, size < BYTES - at ? size : BYTES - at);
}

static void patch(const uint8_t *data, size_t size)
{
	while (size > 4) {
		uint64_t at = data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16;
		size_t length = data[3] < size - 4 ? data[3] : size - 4;
		lay_over(at, data + 4, length);
		data += 4 + length;
		size -= 4 + length;
	}
}

/* ---- all who read it ---- */

static void use_blocks(struct prusik_arena *arena, const char *name)
{
	uint64_t *link;

	if (prusik_arena_root(arena, name, &link) < 0)
		return;
	uint64_t length = prk_arena_bytes_from(arena, *link);
	char *block = prusik_arena_pointer(arena, *link);
	if (block && length)
		memset(block, 1, length);
	(void)prusik_arena_free(arena, link);
	(void)!prusik_arena_alloc(arena, 500, link);
	(void)!prusik_arena_alloc(arena, 30000, link);
}

static void use_queue(struct prusik_arena *arena)
{
	struct prusik_queue_stats stats;
	struct prusik_queue *queue;
	struct prusik_lease lease;
	char item[64];

	if (prusik_queue_open(arena, "queue", &queue) < 0)
		return;
	(void)prusik_queue_length(queue);
	(void)prusik_queue_stats(queue, &stats);
	if (prusik_queue_take(queue, &lease, PRUSIK_NOW) >= 0)
		(void)prusik_queue_done(queue, &lease);
	for (int i = 0; i < 3; i++) {
		(void)!prusik_queue_put(queue, item, 8, PRUSIK_NOW);
		(void)!prusik_queue_get(queue, item, sizeof item, PRUSIK_NOW);
	}
	(void)prusik_queue_close(queue, PRUSIK_QUEUE_DISCARD);
	prusik_queue_free(queue);
}

static void use_arena(void)
{
	struct prusik_arena_stats stats;
	struct prusik_arena *arena;

	if (prusik_arena_open(NAME, &arena) < 0)
		return;
	(void)prk_arena_valid(arena);
	(void)prusik_arena_stats(arena, &stats);
	use_queue(arena);
	use_blocks(arena, "b");
	use_blocks(arena, "e");
	use_blocks(arena, "new");
	(void)prk_arena_valid(arena);
	prusik_arena_close(arena);
}

static void use_object(enum prusik_kind kind, struct prusik_named *handle)
{
	void *object = prusik_named_object(handle);
	uint64_t length;
	char *extra = prusik_named_extra(handle, &length);

	if (extra)
		memset(extra, 1, length);
	if (kind == PRUSIK_KIND_PERMITS && prusik_permits_acquire(object, PRUSIK_NOW) >= 0)
		(void)prusik_permits_release(object);
	if (kind == PRUSIK_KIND_BARRIER)
		(void)!prusik_barrier_wait(object, NULL, NULL, PRUSIK_NOW);
	if (kind == PRUSIK_KIND_LOCK && prusik_lock_acquire(object, PRUSIK_NOW) >= 0)
		(void)prusik_lock_release(object);
}

static void use_names(void)
{
	struct prusik_named *handle;

	for (int kind = PRUSIK_KIND_LOCK; kind <= PRUSIK_KIND_CONDITION; kind++)
		if (prusik_named_open(NAME, (enum prusik_kind)kind,
				      &(struct prusik_named_options){ .flags = PRUSIK_EXISTING }, &handle) == 0) {
			use_object((enum prusik_kind)kind, handle);
			prusik_named_close(handle);
		}
}

static int look(const struct prusik_named_info *info, void *context)
{
	(void)context;
	return info->name[0] == 0; /* never */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin();
	if (size == 0)
		return 0;
	memcpy(file_bytes, whole.bytes, BYTES);
	if (data[0] % 3 == 1)
		patch(data + 1, size - 1);
	else
		lay_over(data[0] % 3 ? offsetof(struct prk_arena_shm, lock) : 0, data + 1, size - 1);
	put_right(&whole);
	write_file();
	use_arena();
	use_names();
	must(prusik_named_each(look, NULL) == 0);
	must(prusik_named_gc() >= 0);
	return 0;
}
