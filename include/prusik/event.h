/* SPDX-License-Identifier: MIT */
/*
 * event - a flag to wait for
 *
 *	prusik_event_wait(&copied, PRUSIK_FOREVER);        // any number of these
 *	prusik_event_set(&copied);                         // lets all of them go
 *
 * All zero is an event that is not set. Private or shared memory.
 *
 * kill -9: setting is one step in which the flag is set and all are woken; it
 * never waits for anyone, and a killed waiter costs nothing.
 *
 * Async-signal-safe: prusik_event_set, prusik_event_clear, prusik_event_is_set. The
 * others: not.
 */
#ifndef PRUSIK_EVENT_H
#define PRUSIK_EVENT_H

#include <prusik/common.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * 8 bytes, private. For debuggers, word is: bit 0 set, bit 1 somebody may be asleep
 * on it, bits 31..2 how often it was cleared.
 */
struct prusik_event {
	uint32_t word;
	uint32_t reserved;
};

/*
 * Set the flag and wake all who wait. 0, also when it was set; -EINVAL for NULL or
 * misaligned (4 bytes). Async-signal-safe; the caller need not be a participant.
 * What was stored before is seen by whoever is let go by the set, and by whoever
 * clears the flag after it: clear, look whether there is work, wait loses none.
 */
int prusik_event_set(struct prusik_event *event);

/*
 * Clear the flag: later waits wait. Who was waiting when it was set before goes all
 * the same. 0, also when it was not set; -EINVAL. Async-signal-safe.
 */
int prusik_event_clear(struct prusik_event *event);

/* 1 when set, else 0; -EINVAL. Async-signal-safe. */
int prusik_event_is_set(const struct prusik_event *event);

/*
 * prusik_event_wait - wait until it is set
 *
 * Returns 0, -ETIMEDOUT, -ECANCELED (prusik/cancel.h), -EINVAL, or why the domain
 * could not be joined. One that is set and cleared again at once lets all go who
 * were waiting when it was set. While it is set this is a look at one word, and the
 * caller need not be a participant.
 * Killed inside: nothing has changed for the others.
 * Context: threads; not signal handlers.
 */
int prusik_event_wait(struct prusik_event *event, int64_t deadline) PRUSIK_MUST_USE;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
