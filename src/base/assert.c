/* SPDX-License-Identifier: MIT */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void prk_assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "prusik: bug: %s, at %s:%d\n", condition, file, line);
	abort();
}
