/* SPDX-License-Identifier: MIT */
/* thread - the ways to start a thread that thread.c compares, and the peers' in files of their own */
#ifndef BENCH_THREAD_H
#define BENCH_THREAD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Start a thread that adds 1 to *counter; wait for its end, and forget it. 0: done. */
struct thread_kind {
	int (*start)(void **ret_thread, uint64_t *counter);
	int (*join)(void *thread);
};

/* peer_std.cc */
int start_std(void **ret_thread, uint64_t *counter);
int join_std(void *thread);

/* peer_glib.c */
int start_glib(void **ret_thread, uint64_t *counter);
int join_glib(void *thread);

#ifdef __cplusplus
}
#endif
#endif
