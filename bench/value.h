/* SPDX-License-Identifier: MIT */
/* value - what Python's multiprocessing.Value and Array do in the value workloads (peer_mp_value.py) */
#ifndef BENCH_VALUE_H
#define BENCH_VALUE_H

#include <stdint.h>

enum value_operation { VALUE_GET, VALUE_SET, VALUE_ADD, VALUE_GET_ITEM, VALUE_ADD_ITEM };

/* count operations by each of the processes; as queue_python (queue.h). */
int value_python(enum value_operation operation, uint32_t processes, uint64_t count, int64_t *ret_ns);

#endif
