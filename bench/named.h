/* SPDX-License-Identifier: MIT */
/* named - what Python's SharedMemory does in the named workload (peer_mp_named.py) */
#ifndef BENCH_NAMED_H
#define BENCH_NAMED_H

#include <stdint.h>

/* Open and close one so often; as queue_python (queue.h). */
int named_python(uint64_t count, int64_t *ret_ns);

#endif
