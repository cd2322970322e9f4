/* SPDX-License-Identifier: MIT */
/* GHashTable under a mutex, in one process: what a program uses that does not share. */
#include "map.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static const char *unfit(const struct map_shape *shape)
{
	return shape->processes > 1 ? "it is for one process" : NULL;
}

static guint hash(gconstpointer key)
{
	uint64_t a, b;

	memcpy(&a, key, 8);
	memcpy(&b, (const char *)key + 8, 8);
	a = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	return (guint)(a >> 32);
}

static gboolean equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, MAP_KEY) == 0;
}

static void *sleep_for_ever(void *unused)
{
	for (;;)
		g_usleep(1000000000);
	return unused;
}

/* A second thread: libc omits atomic operations from mutexes of a process that has one. */
static int join(struct map_end *end)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleep_for_ever, NULL) != 0)
		return -EAGAIN;
	end->own = g_hash_table_new_full(hash, equal, g_free, g_free);
	return 0;
}

static void leave(struct map_end *end)
{
	g_hash_table_destroy(end->own);
}

static int set(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	pthread_mutex_lock(&mutex);
	g_hash_table_insert(end->own, g_memdup2(key, MAP_KEY), g_memdup2(value, MAP_VALUE));
	pthread_mutex_unlock(&mutex);
	return 0;
}

static int fill(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	const char number[MAP_VALUE] = { 0 };

	return set(end, key, end->shape->operation == MAP_ADD ? number : value);
}

static int get(struct map_end *end, const char key[MAP_KEY], char value[MAP_VALUE])
{
	pthread_mutex_lock(&mutex);
	const void *found = g_hash_table_lookup(end->own, key);
	if (found)
		memcpy(value, found, MAP_VALUE);
	pthread_mutex_unlock(&mutex);
	return found ? 0 : -ENOENT;
}

static int add(struct map_end *end, const char key[MAP_KEY])
{
	pthread_mutex_lock(&mutex);
	int64_t *found = g_hash_table_lookup(end->own, key);
	if (found)
		++*found;
	pthread_mutex_unlock(&mutex);
	return found ? 0 : -ENOENT;
}

/* ---- lists: what has fast ends, and what has fast positions ---- */

static int join_queue(struct map_end *end)
{
	int r = join(end);

	leave(end);
	end->own = g_queue_new();
	return r;
}

static void leave_queue(struct map_end *end)
{
	g_queue_free_full(end->own, g_free);
}

static int push(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	(void)key;
	pthread_mutex_lock(&mutex);
	g_queue_push_tail(end->own, g_memdup2(value, MAP_VALUE));
	pthread_mutex_unlock(&mutex);
	return 0;
}

static int push_and_pop(struct map_end *end, uint64_t number)
{
	char value[MAP_VALUE];

	memset(value, 'v', sizeof value);
	memcpy(value, &number, sizeof number);
	push(end, NULL, value);
	pthread_mutex_lock(&mutex);
	char *first = g_queue_pop_head(end->own);
	pthread_mutex_unlock(&mutex);
	memcpy(value, first, sizeof value);
	g_free(first);
	return 0;
}

static const char *unfit_queue(const struct map_shape *shape)
{
	return shape->operation == MAP_GET ? "its positions are slow" : unfit(shape);
}

const struct map_peer list_gqueue = {
	.unfit = unfit_queue,
	.join = join_queue,
	.leave = leave_queue,
	.fill = push,
	.once = push_and_pop,
};

static int join_array(struct map_end *end)
{
	int r = join(end);

	leave(end);
	end->own = g_ptr_array_new_with_free_func(g_free);
	return r;
}

static void leave_array(struct map_end *end)
{
	g_ptr_array_free(end->own, TRUE);
}

static int append(struct map_end *end, const char key[MAP_KEY], const char value[MAP_VALUE])
{
	(void)key;
	pthread_mutex_lock(&mutex);
	g_ptr_array_add(end->own, g_memdup2(value, MAP_VALUE));
	pthread_mutex_unlock(&mutex);
	return 0;
}

static int get_item(struct map_end *end, uint64_t number)
{
	char value[MAP_VALUE];
	uint64_t word;

	pthread_mutex_lock(&mutex);
	memcpy(value, g_ptr_array_index((GPtrArray *)end->own, number), MAP_VALUE);
	pthread_mutex_unlock(&mutex);
	memcpy(&word, value, sizeof word);
	return word == number ? 0 : -EBADMSG;
}

static const char *unfit_array(const struct map_shape *shape)
{
	return shape->operation == MAP_GET ? unfit(shape) : "its beginning is slow";
}

const struct map_peer list_gptrarray = {
	.unfit = unfit_array,
	.join = join_array,
	.leave = leave_array,
	.fill = append,
	.once = get_item,
};

const struct map_peer map_glib = {
	.unfit = unfit,
	.join = join,
	.leave = leave,
	.fill = fill,
	.get = get,
	.set = set,
	.add = add,
};
