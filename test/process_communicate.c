/* SPDX-License-Identifier: MIT */
/* When a program's input and output are not all there yet, or never: deadlines and tokens. */
#include "program_kit.h"

#include <fcntl.h>
#include <prusik/cancel.h>
#include <prusik/thread.h>
#include <sys/ioctl.h>

TEST(communicate_goes_on_after_its_deadline)
{
	struct prusik_run_options options = { PIPED };
	struct prusik_process *process = run(SH("echo begun; read line; echo $line; exec sleep 0.2"), &options);
	struct prusik_output out = { 0 };

	ck_assert_int_eq(prusik_process_communicate(process, "a line\n", 7, prusik_in_ms(30), &out, NULL), -ETIMEDOUT);
	ck_assert_ptr_null(out.data);
	ck_assert_int_eq(prusik_process_communicate(process, "a line\n", 7, prusik_in_s(15), &out, NULL), 0);
	ck_assert_str_eq(out.data, "begun\na line\n");
	prusik_output_free(&out);
	ck_assert_int_eq(finish(process), 0);
}

TEST(communicate_keeps_its_deadline_while_there_is_output)
{
	struct prusik_run_options options = { .out.kind = PRUSIK_STREAM_PIPE };
	struct prusik_process *process = run(SH("exec yes"), &options);

	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, prusik_in_ms(50), NULL, NULL), -ETIMEDOUT);
	prusik_process_kill(process);
	ck_assert_int_eq(finish(process), -9);
}

TEST(communicate_heeds_a_token)
{
	static struct prusik_cancel stop;
	struct prusik_run_options options = { PIPED };
	struct prusik_process *process = run(SH("exec sleep 100"), &options);

	prusik_cancel_use(&stop);
	prusik_cancel_set(&stop);
	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, PRUSIK_FOREVER, NULL, NULL), -ECANCELED);
	prusik_cancel_use(NULL);
	prusik_process_kill(process);
	ck_assert_int_eq(finish(process), -9);
}

static int cancel_soon(void *token)
{
	usleep(50000);
	return prusik_cancel_set(token);
}

TEST(communicate_heeds_a_token_while_there_is_output)
{
	static struct prusik_cancel stop;
	struct prusik_run_options options = { .out.kind = PRUSIK_STREAM_PIPE };
	struct prusik_process *process = run(SH("exec yes"), &options);
	struct prusik_thread *thread;

	ck_assert_int_eq(prusik_thread_start(cancel_soon, &stop, NULL, &thread), 0);
	prusik_cancel_use(&stop);
	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, PRUSIK_FOREVER, NULL, NULL), -ECANCELED);
	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, PRUSIK_FOREVER, NULL, NULL), -ECANCELED);
	prusik_cancel_use(NULL);
	ck_assert_int_eq(prusik_thread_join(thread, prusik_in_s(15), NULL), 0);
	prusik_thread_free(thread);
	prusik_process_kill(process);
	ck_assert_int_eq(finish(process), -9);
}

#define MUCH 900000

/* What lies ready is no reason to go on, either. */
TEST(communicate_heeds_a_token_before_all_is_read)
{
	static struct prusik_cancel stop;
	struct prusik_run_options options = { PIPED };
	struct prusik_process *process = run(SH("read line; head -c 900000 /dev/zero; exec sleep 100"), &options);
	int stream = prusik_process_stream(process, 1), ready = 0;

	ck_assert_int_ge(fcntl(stream, F_SETPIPE_SZ, 1 << 20), MUCH);
	ck_assert_int_eq(write(prusik_process_stream(process, 0), "go\n", 3), 3);
	while (ready < MUCH) {
		usleep(1000);
		ck_assert_int_eq(ioctl(stream, FIONREAD, &ready), 0);
	}
	prusik_cancel_set(&stop);
	prusik_cancel_use(&stop);
	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, PRUSIK_FOREVER, NULL, NULL), -ECANCELED);
	prusik_cancel_use(NULL);
	ck_assert_int_eq(ioctl(stream, FIONREAD, &ready), 0);
	ck_assert_int_gt(ready, 0);
	prusik_process_kill(process);
	ck_assert_int_eq(finish(process), -9);
}

#define LEFT 60000 /* bytes, in a pipe that takes so many */

static struct prusik_process *run_and_end(const char *script)
{
	struct prusik_run_options options = { PIPED };
	struct prusik_process *process = run(SH(script), &options);

	while (prusik_process_is_alive(process) == 1)
		usleep(1000);
	return process;
}

static void left_is_read(int64_t deadline)
{
	struct prusik_process *process = run_and_end("head -c 60000 /dev/zero; exit 4");
	struct prusik_output out = { 0 }, err = { 0 };

	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, deadline, &out, &err), 0);
	ck_assert_uint_eq(out.length, LEFT);
	ck_assert_uint_eq(err.length, 0);
	prusik_output_free(&out);
	prusik_output_free(&err);
	ck_assert_int_eq(finish(process), 4);
}

TEST(communicate_need_not_wait_for_what_has_ended)
{
	static struct prusik_cancel stop;

	left_is_read(PRUSIK_NOW);
	left_is_read(prusik_now());
	prusik_cancel_set(&stop);
	prusik_cancel_use(&stop);
	left_is_read(PRUSIK_FOREVER);
	prusik_cancel_use(NULL);
}

TEST(communicate_need_not_read_for_ever_what_others_write)
{
	static struct prusik_cancel stop;
	struct prusik_process *process = run_and_end("yes & exit 5");

	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, prusik_now(), NULL, NULL), -ETIMEDOUT);
	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, prusik_in_ms(50), NULL, NULL), -ETIMEDOUT);
	prusik_cancel_set(&stop);
	prusik_cancel_use(&stop);
	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, PRUSIK_FOREVER, NULL, NULL), -ECANCELED);
	prusik_cancel_use(NULL);
	ck_assert_int_eq(finish(process), 5);
}
