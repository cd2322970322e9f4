/* SPDX-License-Identifier: MIT */
/* Go's channels, between goroutines: peer_go.go does all of the work. BENCH_GO: where its program is, from the build. */
#include "outside.h"
#include "queue.h"

#include <stddef.h>

int queue_go(const struct queue_shape *shape, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { shape->producers, shape->consumers, shape->batch, shape->capacity, count };

	return outside_run(BENCH_GO, NULL, numbers, 5, ret_ns);
}
