/* SPDX-License-Identifier: MIT */
#include "test.h"

#include <prusik/common.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

/* The deadline was made between before and now, this far ahead. */
static void assert_ahead(int64_t deadline, int64_t before, int64_t nanoseconds)
{
	ck_assert_int_ge(deadline, before + nanoseconds);
	ck_assert_int_le(deadline, prusik_now() + nanoseconds);
}

TEST(now_never_goes_back)
{
	int64_t before = prusik_now();

	ck_assert_int_gt(before, 0);
	for (int i = 0; i < 1000; i++) {
		int64_t now = prusik_now();
		ck_assert_int_ge(now, before);
		before = now;
	}
}

TEST(deadline_lies_the_amount_ahead)
{
	int64_t before = prusik_now();

	assert_ahead(prusik_in_ns(7), before, 7);
	assert_ahead(prusik_in_us(7), before, 7000);
	assert_ahead(prusik_in_ms(7), before, 7000000);
	assert_ahead(prusik_in_s(7), before, 7 * NS_PER_S);
}

TEST(deadline_of_nothing_is_now_and_not_a_try)
{
	int64_t before = prusik_now();

	assert_ahead(prusik_in_ns(0), before, 0);
	assert_ahead(prusik_in_us(0), before, 0);
	assert_ahead(prusik_in_ms(0), before, 0);
	assert_ahead(prusik_in_s(0), before, 0);
	ck_assert_int_ne(prusik_in_ms(0), PRUSIK_NOW);
}

TEST(negative_amount_counts_as_zero)
{
	int64_t before = prusik_now();

	assert_ahead(prusik_in_ns(-1), before, 0);
	assert_ahead(prusik_in_us(-1), before, 0);
	assert_ahead(prusik_in_ms(-1), before, 0);
	assert_ahead(prusik_in_s(-1), before, 0);
	assert_ahead(prusik_in_ns(INT64_MIN), before, 0);
	assert_ahead(prusik_in_us(INT64_MIN), before, 0);
	assert_ahead(prusik_in_ms(INT64_MIN), before, 0);
	assert_ahead(prusik_in_s(INT64_MIN), before, 0);
}

TEST(too_large_an_amount_is_forever)
{
	ck_assert_int_eq(prusik_in_ns(INT64_MAX), PRUSIK_FOREVER);
	ck_assert_int_eq(prusik_in_us(INT64_MAX), PRUSIK_FOREVER);
	ck_assert_int_eq(prusik_in_ms(INT64_MAX), PRUSIK_FOREVER);
	ck_assert_int_eq(prusik_in_s(INT64_MAX), PRUSIK_FOREVER);

	/* The first amounts whose product no longer fits. */
	ck_assert_int_eq(prusik_in_us(INT64_MAX / 1000 + 1), PRUSIK_FOREVER);
	ck_assert_int_eq(prusik_in_ms(INT64_MAX / 1000000 + 1), PRUSIK_FOREVER);
	ck_assert_int_eq(prusik_in_s(INT64_MAX / NS_PER_S + 1), PRUSIK_FOREVER);

	/* The product fits, the sum does not. */
	ck_assert_int_eq(prusik_in_us(INT64_MAX / 1000), PRUSIK_FOREVER);
	ck_assert_int_eq(prusik_in_s(INT64_MAX / NS_PER_S), PRUSIK_FOREVER);
}

TEST(a_century_is_not_forever)
{
	int64_t before = prusik_now();
	int64_t century = INT64_C(100) * 365 * 24 * 3600;

	assert_ahead(prusik_in_s(century), before, century * NS_PER_S);
	assert_ahead(prusik_in_ms(century * 1000), before, century * NS_PER_S);
}

TEST(strerror_has_words_for_every_number)
{
	for (int r = -5000; r <= 5000; r++) {
		ck_assert_ptr_nonnull(prusik_strerror(r));
		ck_assert_int_gt(strlen(prusik_strerror(r)), 0);
	}
	ck_assert_ptr_nonnull(prusik_strerror(INT32_MIN));
	ck_assert_ptr_nonnull(prusik_strerror(INT32_MAX));
}

TEST(strerror_knows_the_causes)
{
	ck_assert_str_eq(prusik_strerror(0), "done");
	ck_assert_str_eq(prusik_strerror(2), "done");
	ck_assert_ptr_nonnull(strstr(prusik_strerror(PRUSIK_RECOVERED), "recovered"));
	ck_assert_str_eq(prusik_strerror(-EINVAL), "bad argument");
	ck_assert_str_eq(prusik_strerror(-EPERM), "not yours");
	ck_assert_str_eq(prusik_strerror(-EPIPE), "closed");
	ck_assert_str_eq(prusik_strerror(-ETIMEDOUT), "deadline passed");
	ck_assert_str_eq(prusik_strerror(-ESTALE), "lease lost");
	ck_assert_str_eq(prusik_strerror(-9999), "unknown error");
}

TEST(strerror_tells_the_causes_apart)
{
	static const int causes[] = { EINVAL, EPERM,  EPIPE,  ETIMEDOUT, ECANCELED, EDEADLK,  EMSGSIZE,
				      ENOSPC, EPROTO, ESTALE, EEXIST,	 ENOENT,    EOVERFLOW };
	enum { COUNT = sizeof causes / sizeof causes[0] };

	for (int i = 0; i < COUNT; i++) {
		ck_assert_str_ne(prusik_strerror(-causes[i]), "unknown error");
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(prusik_strerror(-causes[i]), prusik_strerror(-causes[j]));
	}
}

TEST(errno_is_left_alone)
{
	errno = 4711;
	prusik_now();
	prusik_in_ms(5);
	prusik_strerror(-EINVAL);
	prusik_version();
	ck_assert_int_eq(errno, 4711);
}

TEST(version_is_that_of_the_header)
{
	ck_assert_str_eq(prusik_version(), PRUSIK_VERSION);
}
