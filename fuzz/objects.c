/* SPDX-License-Identifier: MIT */
/*
 * fuzz: objects - a named object of arbitrary bytes, and all that is done with one
 *
 * The input's first byte says of which kind it is. The rest are changes to the words of
 * one that is in order: 2 bytes say which word, 1 what happens to it, 1 is for that, and
 * 2 or 8 more may follow. So an input reaches deep, and its neighbours do too.
 */
#include "ground.h"

#include "data/dict.h"
#include "data/list.h"

#define KINDS (PRUSIK_KIND_CONDITION + 1)
enum { QUEUE = KINDS, DICT, LIST, SORTS };

static struct whole wholes[SORTS];

/* ---- objects in order ---- */

static void fill_queue(void)
{
	struct prusik_queue *queue;
	struct prusik_lease lease;

	must(prusik_queue_open_named(
		     "whole",
		     &(struct prusik_queue_options){ .capacity = 8, .item_max = 16, .kind = PRUSIK_QUEUE_PRIORITY },
		     PRUSIK_PERSISTENT, &queue) == 0);
	for (int i = 0; i < 6; i++)
		must(prusik_queue_put_with(queue, &i, sizeof i, &(struct prusik_queue_put_options){ .priority = i % 3 },
					   PRUSIK_NOW) == 0);
	must(prusik_queue_take(queue, &lease, PRUSIK_NOW) >= 0 && prusik_queue_bury(queue, &lease) == 0);
	prusik_queue_free(queue);
}

static void fill_dict(void)
{
	static const char value[300];
	struct prusik_dict *dict;

	must(prusik_dict_open_named("whole", &(struct prusik_dict_options){ .flags = PRUSIK_PERSISTENT }, &dict) == 0);
	for (uint32_t i = 0; i < 60; i++)
		must(prusik_dict_set(dict, &i, 1 + i % 4, value, i < 3 ? 300 : i % 20) >= 0);
	must(prusik_dict_add(dict, "n", 1, 5, NULL) >= 0);
	prusik_dict_free(dict);
}

static void fill_list(void)
{
	static const char value[300];
	struct prusik_list *list;

	must(prusik_list_open_named("whole", &(struct prusik_list_options){ .flags = PRUSIK_PERSISTENT }, &list) == 0);
	for (uint32_t i = 0; i < 60; i++)
		must(prusik_list_append(list, value, i < 3 ? 300 : i % 20) == 0);
	prusik_list_free(list);
}

static void fill_kind(enum prusik_kind kind)
{
	const struct prusik_named_options o = { .flags = PRUSIK_PERSISTENT, .value = 3, .extra = 100 };
	struct prusik_named *handle;

	must(prusik_named_open("whole", kind, &o, &handle) == 0);
	prusik_named_close(handle);
}

static const char *const nouns[SORTS] = { "lock",    "rlock", "rwlock",	   "semaphore", "permits", "event",
					  "barrier", "once",  "condition", "queue",	"dict",	   "list" };

static void make(unsigned int sort)
{
	struct prusik_arena *arena;

	if (sort == QUEUE)
		fill_queue();
	else if (sort == DICT)
		fill_dict();
	else if (sort == LIST)
		fill_list();
	else
		fill_kind((enum prusik_kind)sort);
	must(prk_segment_open("whole" PRK_SEGMENT_SUFFIX, nouns[sort], &arena) == 0);
	keep_whole(&wholes[sort], arena);
	prusik_arena_close(arena);
}

static void begin(void)
{
	if (wholes[0].length)
		return;
	begin_domain();
	for (unsigned int sort = 0; sort < SORTS; sort++)
		make(sort);
}

/* ---- changes ---- */

static uint64_t take(const uint8_t **data, size_t *size, size_t n)
{
	uint64_t value = 0;

	if (*size < n)
		n = *size;
	memcpy(&value, *data, n);
	*data += n;
	*size -= n;
	return value;
}

static void change_words(const uint8_t *data, size_t size)
{
	uint64_t *words = (uint64_t *)(void *)file_bytes;
	const uint64_t n = BYTES / sizeof *words;

	while (size >= 4) {
		uint64_t *word = &words[take(&data, &size, 2) % n];
		uint64_t how = take(&data, &size, 1), more = take(&data, &size, 1);
		if (how % 5 == 0)
			*word = take(&data, &size, 8);
		else if (how % 5 == 1)
			*word = words[take(&data, &size, 2) % n];
		else if (how % 5 == 2)
			*word += (uint64_t)(int64_t)(int8_t)more;
		else if (how % 5 == 3)
			*word ^= UINT64_C(1) << more % 64;
		else
			*word = 0;
	}
}

/* ---- all that is done with a queue, a dict, a list ---- */

static void use_leases(struct prusik_queue *queue)
{
	struct prusik_lease lease;

	if (prusik_queue_take(queue, &lease, PRUSIK_NOW) >= 0)
		(void)prusik_queue_retry(queue, &lease, PRUSIK_NOW);
	if (prusik_queue_take(queue, &lease, PRUSIK_NOW) >= 0)
		(void)prusik_queue_bury(queue, &lease);
	if (prusik_queue_take(queue, &lease, PRUSIK_NOW) >= 0)
		(void)prusik_queue_done(queue, &lease);
}

static void use_queue(void)
{
	struct prusik_queue_stats stats;
	struct prusik_queue *queue;
	uint64_t number = 0;
	uint32_t attempts;
	char item[64] = "";

	if (prusik_queue_open_named(NAME, NULL, PRUSIK_EXISTING, &queue) < 0)
		return;
	(void)prusik_queue_length(queue);
	(void)prusik_queue_is_empty(queue);
	(void)prusik_queue_is_full(queue);
	(void)prusik_queue_stats(queue, &stats);
	(void)!prusik_queue_peek(queue, item, sizeof item, PRUSIK_NOW);
	for (int i = 0; i < 20 && prusik_queue_dead_peek(queue, &number, item, sizeof item, &attempts) >= 0; i++)
		;
	use_leases(queue);
	for (int i = 0; i < 3; i++) {
		(void)!prusik_queue_put(queue, item, 8, PRUSIK_NOW);
		(void)!prusik_queue_get(queue, item, sizeof item, PRUSIK_NOW);
	}
	(void)prusik_queue_dead_requeue(queue, 10);
	(void)prusik_queue_join(queue, PRUSIK_NOW);
	(void)prusik_queue_close(queue, PRUSIK_QUEUE_DISCARD);
	prusik_queue_free(queue);
}

static void read_dict(struct prusik_dict *dict)
{
	struct prusik_dict_cursor cursor = { 0 };
	struct prusik_dict_wanted wanted[60] = { { 0 } };
	struct prusik_dict_stats stats;
	struct prk_dict_tally tally;
	uint32_t keys[60];

	for (uint32_t i = 0; i < 60; i++) {
		keys[i] = i;
		wanted[i] = (struct prusik_dict_wanted){ &keys[i], 1 + i % 4, NULL, 0, 0 };
		(void)prusik_dict_contains(dict, &keys[i], 1 + i % 4);
	}
	(void)prusik_dict_get_many(dict, wanted, 60);
	for (int i = 0; i < 100; i++) {
		char key[16], value[400];
		struct iovec k = { key, sizeof key }, v = { value, sizeof value };
		if (prusik_dict_next(dict, &cursor, &k, i % 2 ? &v : NULL) != 1)
			break;
	}
	(void)prusik_dict_length(dict);
	(void)prusik_dict_stats(dict, &stats);
	(void)prk_dict_valid(dict, &tally);
}

static void write_dict(struct prusik_dict *dict)
{
	char value[500] = "";

	for (uint32_t i = 0; i < 60; i += 3) {
		(void)prusik_dict_set(dict, &i, 1 + i % 4, value, i * 7);
		(void)prusik_dict_delete(dict, &(uint32_t){ i + 1 }, 1 + (i + 1) % 4);
		(void)prusik_dict_pop(dict, &(uint32_t){ i + 2 }, 1 + (i + 2) % 4, value, 40);
	}
	(void)prusik_dict_add(dict, "n", 1, 5, NULL);
	(void)prusik_dict_seen(dict, "n", 1);
	(void)prusik_dict_clear(dict);
	(void)prusik_dict_set(dict, "x", 1, value, sizeof value);
}

static void use_dict(void)
{
	struct prusik_dict *dict;

	if (prusik_dict_open_named(NAME, &(struct prusik_dict_options){ .flags = PRUSIK_EXISTING }, &dict) < 0)
		return;
	read_dict(dict);
	write_dict(dict);
	read_dict(dict);
	prusik_dict_free(dict);
}

static void read_list(struct prusik_list *list)
{
	struct prk_list_tally tally;
	char item[64];

	(void)prusik_list_length(list);
	for (int i = -3; i < 60; i++)
		(void)prusik_list_get(list, i, item, sizeof item);
	(void)prusik_list_slice(list, 10, 30, (struct iovec[20]){ { 0 } }, 20);
	(void)prusik_list_index(list, "none", 4, 0);
	(void)prusik_list_count(list, "none", 4);
	(void)prk_list_valid(list, &tally);
}

static void write_list(struct prusik_list *list)
{
	char item[500] = "";

	for (int i = 0; i < 20; i++) {
		(void)prusik_list_insert(list, i * 3, item, (uint64_t)i * 20);
		(void)prusik_list_set(list, i, item, (uint64_t)i);
		(void)prusik_list_pop(list, i % 2 ? -1 : i, item, 30);
	}
	(void)prusik_list_remove(list, item, 3);
	(void)prusik_list_sort(list, NULL, NULL);
	(void)prusik_list_reverse(list);
	(void)prusik_list_clear(list);
	(void)prusik_list_append(list, item, sizeof item);
}

static void use_list(void)
{
	struct prusik_list *list;

	if (prusik_list_open_named(NAME, &(struct prusik_list_options){ .flags = PRUSIK_EXISTING }, &list) < 0)
		return;
	read_list(list);
	write_list(list);
	read_list(list);
	prusik_list_free(list);
}

/* ---- and with the rest ---- */

static void use_lock(void *object)
{
	struct prusik_owner owner;

	(void)prusik_lock_locked(object);
	(void)prusik_lock_owner(object, &owner);
	if (prusik_lock_acquire(object, PRUSIK_NOW) >= 0)
		(void)prusik_lock_release(object);
}

static void use_rlock(void *object)
{
	struct prusik_owner owner;

	(void)prusik_rlock_locked(object);
	(void)prusik_rlock_depth(object);
	(void)prusik_rlock_owner(object, &owner);
	if (prusik_rlock_acquire(object, PRUSIK_NOW) >= 0)
		(void)prusik_rlock_release(object);
}

static void use_rwlock(void *object)
{
	(void)prusik_rwlock_readers(object);
	(void)prusik_rwlock_written(object);
	if (prusik_rwlock_read(object, PRUSIK_NOW) >= 0)
		(void)prusik_rwlock_release(object);
	if (prusik_rwlock_write(object, PRUSIK_NOW) >= 0)
		(void)prusik_rwlock_release(object);
}

static void use_semaphore(void *object)
{
	(void)prusik_semaphore_value(object);
	(void)!prusik_semaphore_acquire(object, PRUSIK_NOW);
	(void)prusik_semaphore_release(object, 1);
}

static void use_permits(void *object)
{
	(void)prusik_permits_value(object);
	if (prusik_permits_acquire(object, PRUSIK_NOW) >= 0)
		(void)prusik_permits_release(object);
}

static void use_event(void *object)
{
	(void)prusik_event_is_set(object);
	(void)!prusik_event_wait(object, PRUSIK_NOW);
	(void)prusik_event_clear(object);
	(void)prusik_event_set(object);
}

static void use_barrier(void *object)
{
	(void)prusik_barrier_parties(object);
	(void)prusik_barrier_waiting(object);
	(void)prusik_barrier_broken(object);
	(void)!prusik_barrier_wait(object, NULL, NULL, PRUSIK_NOW);
	(void)prusik_barrier_reset(object);
	(void)prusik_barrier_abort(object);
}

static int nothing(void *arg, int recovered)
{
	(void)arg;
	return recovered < 0;
}

static void use_once(void *object)
{
	(void)prusik_once_done(object);
	(void)!prusik_once(object, nothing, NULL, PRUSIK_NOW);
}

static void use_condition(void *object)
{
	struct prusik_named_condition *c = object;

	if (prusik_lock_acquire(&c->lock, PRUSIK_NOW) < 0)
		return;
	(void)prusik_condition_notify(&c->condition, &c->lock, 1);
	(void)!prusik_condition_wait(&c->condition, &c->lock, PRUSIK_NOW);
	(void)prusik_condition_notify_all(&c->condition, &c->lock);
	(void)prusik_lock_release(&c->lock);
}

static void (*const uses[KINDS])(void *object) = {
	use_lock, use_rlock, use_rwlock, use_semaphore, use_permits, use_event, use_barrier, use_once, use_condition,
};

static void use_kind(enum prusik_kind kind)
{
	const struct prusik_named_options o = { .flags = PRUSIK_EXISTING };
	struct prusik_named *handle;
	uint64_t length;

	if (prusik_named_open(NAME, kind, &o, &handle) < 0)
		return;
	char *extra = prusik_named_extra(handle, &length);
	if (extra)
		memset(extra, 1, length);
	uses[kind](prusik_named_object(handle));
	prusik_named_close(handle);
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
	unsigned int sort = data[0] % SORTS;
	memcpy(file_bytes, wholes[sort].bytes, BYTES);
	change_words(data + 1, size - 1);
	put_right(&wholes[sort]);
	write_file();
	if (sort == QUEUE)
		use_queue();
	else if (sort == DICT)
		use_dict();
	else if (sort == LIST)
		use_list();
	else
		use_kind((enum prusik_kind)sort);
	must(prusik_named_each(look, NULL) == 0); /* what the tool's ls and doctor do */
	must(prusik_named_gc() >= 0);
	return 0;
}
