/* SPDX-License-Identifier: MIT */
/* Python's multiprocessing: peer_mp.py does all of the queue workloads, peer_mp_NOUN.py those of NOUN. */
#include "bench.h"
#include "map.h"
#include "named.h"
#include "outside.h"
#include "queue.h"
#include "value.h"

/* BENCH_SCRIPTS: the folder of the scripts, from the build. */
#define QUEUE_SCRIPT BENCH_SCRIPTS "/peer_mp.py"
#define DICT_SCRIPT BENCH_SCRIPTS "/peer_mp_dict.py"
#define LIST_SCRIPT BENCH_SCRIPTS "/peer_mp_list.py"
#define NAMED_SCRIPT BENCH_SCRIPTS "/peer_mp_named.py"
#define VALUE_SCRIPT BENCH_SCRIPTS "/peer_mp_value.py"

int queue_python(const struct queue_shape *shape, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { shape->size, shape->producers, shape->consumers, shape->capacity, count };

	return outside_run("python3", QUEUE_SCRIPT, numbers, 5, ret_ns);
}

int map_python(const struct map_shape *shape, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { shape->operation, shape->processes, shape->keys, count };

	return outside_run("python3", DICT_SCRIPT, numbers, 4, ret_ns);
}

int list_python(const struct map_shape *shape, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { shape->operation, shape->processes, shape->keys, count };

	return outside_run("python3", LIST_SCRIPT, numbers, 4, ret_ns);
}

int named_python(uint64_t count, int64_t *ret_ns)
{
	return outside_run("python3", NAMED_SCRIPT, &count, 1, ret_ns);
}

int value_python(enum value_operation operation, uint32_t processes, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { operation, processes, count };

	return outside_run("python3", VALUE_SCRIPT, numbers, 3, ret_ns);
}
