/* SPDX-License-Identifier: MIT */
/* signal_kit - what the tests of signals share */
#ifndef TEST_SIGNAL_KIT_H
#define TEST_SIGNAL_KIT_H

#include "party.h"

#include <prusik/signal.h>

/*
 * ThreadSanitizer keeps a signal back until the thread calls something that it knows, keeps one of each
 * number only, and has no children that share memory or start threads.
 */
#define SIGNALS_ARE_REAL (!TEST_THREAD_SANITIZER)

#define LOG_MAX 200000

/* What the functions have seen; one thread writes. The pages of what was not seen are untouched. */
struct record {
	uint32_t count;
	struct prusik_signal_info info[LOG_MAX];
};

static inline struct record *new_record(void)
{
	return test_shared(sizeof(struct record));
}

static inline void note(const struct prusik_signal_info *info, void *context)
{
	struct record *to = context;
	uint32_t n = prk_load32_rlx(&to->count);

	to->info[n % LOG_MAX] = *info;
	prk_store32_rel(&to->count, n + 1);
}

static inline void count_up(const struct prusik_signal_info *info, void *context)
{
	(void)info;
	prk_add32_acqrel(context, 1);
}

static inline void await(const uint32_t *word, uint32_t at_least)
{
	int64_t deadline = prusik_in_s(15);

	while (prk_load32_acq(word) < at_least) {
		ck_assert_msg(prusik_now() < deadline, "%u of %u", prk_load32_acq(word), at_least);
		pause_ms(1);
	}
}

static inline void on(int signal, prusik_signal_function function, void *context)
{
	ck_assert_int_eq(prusik_signal_on(signal, function, context), 0);
}

#endif
