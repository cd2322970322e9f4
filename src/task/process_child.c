/* SPDX-License-Identifier: MIT */
/*
 * process: the child's first and last steps
 *
 * Exit handlers are called last to first. The child puts one of its own before it does anything
 * else: so what it registers later is run, then this one, which ends the process; and of what the
 * parent had registered nothing is.
 */
#include "base/life.h"
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"
#include "task/thread.h"

#include <prusik/thread.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <unistd.h>

/* How often a child at the gate looks whether it still has its parent. */
#define GATE_SLICE INT64_C(10000000)
#define GATE_SPINS 200

/* libc's list of streams; those opened last come first. Reading costs no copies of pages after a fork. */
extern FILE *_IO_list_all __attribute__((weak));

static void flush_if_needed(FILE *stream)
{
	if (__fpending(stream) > 0)
		fflush(stream);
}

static bool standard_streams_only(void)
{
	return &_IO_list_all && _IO_list_all == stderr;
}

/*
 * fflush(NULL) waits for each stream's lock, and a thread that waits for a line on
 * stdin holds that one for as long as it waits.
 */
void prk_flush_stdio(void)
{
	if (standard_streams_only()) {
		flush_if_needed(stdout);
		flush_if_needed(stderr);
	} else if (ftrylockfile(stdin) == 0) {
		fflush(NULL);
		funlockfile(stdin);
	} else {
		fflush(stdout);
		fflush(stderr);
	}
}

void prk_gate_open(uint32_t *gate, enum prk_gate state)
{
	/* rel [process.gate] */
	prk_store32_rel(gate, (prk_load32_rlx(gate) & ~PRK_GATE_STATE) | state);
	prk_sys_futex_wake(gate, 1);
}

/* Most parents are through before their child comes here. */
static enum prk_gate look_at(const uint32_t *gate, uint32_t number)
{
	uint32_t closed = number * PRK_GATE_ONE | PRK_GATE_CLOSED, word = closed;

	for (int i = 0; i < GATE_SPINS && word == closed; i++) {
		word = prk_load32_acq(gate); /* acq [process.gate] */
		prk_pause();
	}
	if (word / PRK_GATE_ONE != number)
		return PRK_GATE_GO; /* G2 */
	return (enum prk_gate)(word & PRK_GATE_STATE);
}

void prk_gate_pass(const uint32_t *gate, uint32_t number, int parent_pidfd)
{
	enum prk_gate state;

	while ((state = look_at(gate, number)) == PRK_GATE_CLOSED) {
		if (prk_sys_poll_readable(parent_pidfd, PRUSIK_NOW) == 0) {
			state = look_at(gate, number); /* it may have opened it since, and then ended */
			break;
		}
		prk_sys_futex_wait((uint32_t *)(uintptr_t)gate, number * PRK_GATE_ONE | PRK_GATE_CLOSED,
				   prusik_in_ns(GATE_SLICE));
	}
	if (state != PRK_GATE_GO)
		_exit(0);
}

static void leave(int code, void *unused)
{
	(void)unused;
	prk_family_end();
	prk_flush_stdio();
	prk_leave();
	_exit(code & 0xff);
}

void prk_child_begin(const struct prk_me *me, const char *kernel_name)
{
	if (kernel_name)
		prk_sys_set_name(kernel_name);
	prk_sys_adopt_orphans();
	prk_me_set(me);
	on_exit(leave, NULL);
}

void prk_child_end(int code)
{
	if (prk_threads_known())
		prusik_exit(code & 0xff);
	exit(code & 0xff);
}
