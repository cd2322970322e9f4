/* SPDX-License-Identifier: MIT */
#ifndef PRK_BASE_ASSERT_H
#define PRK_BASE_ASSERT_H

/*
 * prk_assert - what must be so unless prusik itself is wrong; always compiled in
 *
 * Not for what a caller or a hostile arena can cause: that gets an error.
 */
#define prk_assert(condition)                                                                                          \
	do {                                                                                                           \
		if (__builtin_expect(!(condition), 0))                                                                 \
			prk_assert_failed(#condition, __FILE__, __LINE__);                                             \
	} while (0)

void prk_assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn, cold));

#endif
