/* SPDX-License-Identifier: MIT */
/* program_kit - what the tests of other programs share */
#ifndef TEST_PROGRAM_KIT_H
#define TEST_PROGRAM_KIT_H

#include "process_kit.h"

static inline struct prusik_process *run(const char *const *argv, const struct prusik_run_options *options)
{
	struct prusik_process *process = NULL;

	ck_assert_int_eq(prusik_process_run(argv, options, &process), 0);
	ck_assert_ptr_nonnull(process);
	return process;
}

#define SH(script) ((const char *const[]){ "sh", "-c", script, NULL })
#define PIPED .in.kind = PRUSIK_STREAM_PIPE, .out.kind = PRUSIK_STREAM_PIPE, .err.kind = PRUSIK_STREAM_PIPE

#endif
