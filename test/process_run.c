/* SPDX-License-Identifier: MIT */
#include "process_kit.h"
TEST(x) { ck_assert_int_eq(open_files() > 0, 1); assert_childless(); (void)finish; (void)start_with; }
