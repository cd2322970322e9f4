/* SPDX-License-Identifier: MIT */
/*
 * cancel - end the waits of a thread, or of many, from elsewhere
 *
 *	static struct prusik_cancel stop;                  // one for as many threads as you like
 *
 *	prusik_cancel_use(&stop);                          // this thread's waits heed it
 *	r = prusik_queue_get(jobs, buffer, sizeof buffer, PRUSIK_FOREVER);
 *	if (r == -ECANCELED) ...
 *
 *	static void on_sigterm(int signal) { prusik_cancel_set(&stop); }
 *
 * A thread heeds at most one token at a time. Once the token is set, every call of
 * this thread that would have to wait returns -ECANCELED instead, with nothing
 * changed; calls that need not wait go on as ever. All zero is a token that is not
 * set. It may lie in private or in shared memory, and must stay there while a
 * thread heeds it.
 *
 * kill -9: whoever sets it is killed before the set, and nothing has happened, or
 * after it, and all waits end.
 *
 * Async-signal-safe: prusik_cancel_set, prusik_cancel_clear, prusik_cancel_is_set. The
 * others: not.
 */
#ifndef PRUSIK_CANCEL_H
#define PRUSIK_CANCEL_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * 8 bytes, private. For debuggers, word is: bit 0 set, bit 1 somebody may be asleep
 * on it, bits 31..2 how often it was cleared.
 */
struct prusik_cancel {
	uint32_t word;
	uint32_t reserved;
};

/*
 * Set it: 0, also when it was set; -EINVAL for NULL or misaligned (4 bytes).
 * Async-signal-safe; the caller need not be a participant.
 */
int prusik_cancel_set(struct prusik_cancel *cancel);

/*
 * Unset it, for later waits. 0, also when it was not set; -EINVAL. Async-signal-safe.
 * Who was asleep when it was set ends his wait all the same, except one who at that
 * moment was also woken by what he waits for and was not quick enough to get it.
 */
int prusik_cancel_clear(struct prusik_cancel *cancel);

/* 1 when it is set, else 0; -EINVAL. Async-signal-safe. */
int prusik_cancel_is_set(const struct prusik_cancel *cancel);

/*
 * From now on the calling thread's waits heed this token; NULL or misaligned: none.
 * Returns the one it heeded before. A new thread heeds none; a forked child's goes on heeding it.
 */
struct prusik_cancel *prusik_cancel_use(struct prusik_cancel *cancel);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
