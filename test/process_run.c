/* SPDX-License-Identifier: MIT */
/* Other programs: their streams, their surroundings, and why they could not be started. */
#include "program_kit.h"

#include "base/sys.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Run it to its end; its output, to be freed. */
static struct prusik_output talk(const char *const *argv, const struct prusik_run_options *options, const char *input,
				 int expected)
{
	struct prusik_process *process = run(argv, options);
	struct prusik_output out = { 0 };

	ck_assert_int_eq(
		prusik_process_communicate(process, input, input ? strlen(input) : 0, prusik_in_s(15), &out, NULL), 0);
	ck_assert_int_eq(finish(process), expected);
	return out;
}

static void assert_says(const char *const *argv, const struct prusik_run_options *options, const char *input,
			const char *expected)
{
	struct prusik_output out = talk(argv, options, input, 0);

	ck_assert_str_eq(out.data, expected);
	ck_assert_uint_eq(out.length, strlen(expected));
	prusik_output_free(&out);
	ck_assert_ptr_null(out.data);
}

/* ---- ends ---- */

TEST(codes)
{
	ck_assert_int_eq(finish(run(SH("exit 0"), NULL)), 0);
	ck_assert_int_eq(finish(run(SH("exit 7"), NULL)), 7);
	ck_assert_int_eq(finish(run(SH("kill -KILL $$"), NULL)), -9);
	struct prusik_process *sleeper = run(SH("exec sleep 100"), NULL);
	ck_assert_int_eq(prusik_process_join(sleeper, prusik_in_ms(10), NULL), -ETIMEDOUT);
	ck_assert_str_eq(prusik_process_name(sleeper), "sh");
	ck_assert_int_eq(prusik_process_terminate(sleeper), 0);
	ck_assert_int_eq(finish(sleeper), -15);
	assert_childless();
}

/* ---- streams ---- */

TEST(pipes)
{
	struct prusik_run_options options = { PIPED };

	assert_says(SH("tr a-z A-Z"), &options, "upper", "UPPER");
	assert_says(SH("cat; echo more >&2"), &options, "", "");
	assert_says(SH("exec <&-; echo closed"), &options, "nobody reads this", "closed\n");
}

TEST(both_outputs)
{
	struct prusik_run_options options = { PIPED };
	struct prusik_process *process = run(SH("echo out; echo err >&2; echo out"), &options);
	struct prusik_output out, err;

	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, prusik_in_s(15), &out, &err), 0);
	ck_assert_str_eq(out.data, "out\nout\n");
	ck_assert_str_eq(err.data, "err\n");
	prusik_output_free(&out);
	prusik_output_free(&err);
	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, prusik_in_s(15), &out, &err), 0);
	ck_assert_uint_eq(out.length, 0); /* it was handed over */
	prusik_output_free(&out);
	prusik_output_free(&err);
	ck_assert_int_eq(finish(process), 0);
}

#define BIG (8u << 20)

static char *big_input(void)
{
	char *input = malloc(BIG);

	ck_assert_ptr_nonnull(input);
	for (unsigned int i = 0; i < BIG; i++)
		input[i] = (char)(i * 2654435761u >> 24);
	return input;
}

/* Larger than all pipes on the way, in both directions, and on both outputs. */
TEST_WITHIN(big_input_and_output, 60)
{
	struct prusik_run_options options = { PIPED };
	char *input = big_input();
	struct prusik_process *process = run(SH("tee /dev/stderr"), &options);
	struct prusik_output out, err;

	ck_assert_int_eq(prusik_process_communicate(process, input, BIG, prusik_in_s(50), &out, &err), 0);
	ck_assert_uint_eq(out.length, BIG);
	ck_assert_uint_eq(err.length, BIG);
	ck_assert_int_eq(memcmp(out.data, input, BIG), 0);
	ck_assert_int_eq(memcmp(err.data, input, BIG), 0);
	prusik_output_free(&out);
	prusik_output_free(&err);
	ck_assert_int_eq(finish(process), 0);
	free(input);
}

/* More than the pipe holds, for one who reads none of it, or some. */
TEST_WITHIN(input_that_nobody_reads, 60)
{
	static const char *const scripts[] = { "exec <&-; echo enough", "head -c 9 >/dev/null; echo enough" };
	struct prusik_run_options options = { PIPED };
	char *input = big_input();

	for (int i = 0; i < 2; i++) {
		struct prusik_process *process = run(SH(scripts[i]), &options);
		struct prusik_output out;
		ck_assert_int_eq(prusik_process_communicate(process, input, BIG, prusik_in_s(25), &out, NULL), 0);
		ck_assert_str_eq(out.data, "enough\n");
		prusik_output_free(&out);
		ck_assert_int_eq(finish(process), 0);
	}
	free(input);
}

TEST(memory)
{
	struct prusik_run_options options = {
		.in = { .kind = PRUSIK_STREAM_MEMORY, .data = "remembered", .length = 10 },
		.out.kind = PRUSIK_STREAM_MEMORY,
		.err.kind = PRUSIK_STREAM_OUT,
	};

	assert_says(SH("cat; echo '!' >&2"), &options, NULL, "remembered!\n");
}

TEST(memory_of_any_size)
{
	char *input = big_input();
	struct prusik_run_options options = {
		.in = { .kind = PRUSIK_STREAM_MEMORY, .data = input, .length = BIG },
		.out.kind = PRUSIK_STREAM_MEMORY,
	};
	struct prusik_process *process = run(SH("cat"), &options);
	struct prusik_output out;

	ck_assert_int_eq(prusik_process_join(process, prusik_in_s(15), NULL), 0); /* needs no reader */
	ck_assert_int_eq(prusik_process_communicate(process, NULL, 0, PRUSIK_NOW, &out, NULL), 0);
	ck_assert_uint_eq(out.length, BIG);
	ck_assert_int_eq(memcmp(out.data, input, BIG), 0);
	prusik_output_free(&out);
	prusik_process_free(process);
	free(input);
}

TEST(files)
{
	char path[64] = "/tmp/prusik-test-XXXXXX";
	int fd = mkstemp(path);
	struct prusik_run_options options = { .out = { .kind = PRUSIK_STREAM_FILE, .path = path } };

	ck_assert_int_eq(write(fd, "what was there", 14), 14);
	ck_assert_int_eq(finish(run(SH("echo one"), &options)), 0);
	options.out.kind = PRUSIK_STREAM_APPEND;
	ck_assert_int_eq(finish(run(SH("echo two"), &options)), 0);
	options = (struct prusik_run_options){ .in = { .kind = PRUSIK_STREAM_FILE, .path = path },
					       .out.kind = PRUSIK_STREAM_PIPE };
	assert_says(SH("cat"), &options, NULL, "one\ntwo\n");
	options.in = (struct prusik_stream){ .kind = PRUSIK_STREAM_NULL };
	assert_says(SH("cat"), &options, NULL, "");
	options.in = (struct prusik_stream){ .kind = PRUSIK_STREAM_DESCRIPTOR, .descriptor = fd };
	lseek(fd, 4, SEEK_SET);
	assert_says(SH("cat"), &options, NULL, "two\n");
	unlink(path);
	close(fd);
}

/* 0, 1 and 2 may be mixed up, or closed in the first place. */
TEST(streams_that_change_places)
{
	int saved[3], ends[2];
	char text[16] = "";
	struct prusik_run_options options = {
		.out = { .kind = PRUSIK_STREAM_DESCRIPTOR, .descriptor = 2 },
		.err = { .kind = PRUSIK_STREAM_DESCRIPTOR, .descriptor = 1 },
	};

	for (int i = 0; i < 3; i++)
		saved[i] = fcntl(i, F_DUPFD, 10);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], 2);
	struct prusik_process *process = run(SH("echo '# not seen' >&2; echo seen"), &options);
	int code = finish(process);
	for (int i = 0; i < 3; i++)
		close(i);
	options = (struct prusik_run_options){ PIPED };
	struct prusik_output out = talk(SH("cat"), &options, "closed", 0);
	for (int i = 0; i < 3; i++)
		dup2(saved[i], i);
	ck_assert_int_eq(code, 0);
	ck_assert_int_eq(read(ends[0], text, sizeof text - 1), 5);
	ck_assert_str_eq(text, "seen\n");
	ck_assert_str_eq(out.data, "closed");
	prusik_output_free(&out);
}

TEST(our_ends)
{
	struct prusik_run_options options = { .in.kind = PRUSIK_STREAM_PIPE, .out.kind = PRUSIK_STREAM_PIPE };
	struct prusik_process *process = run(SH("cat"), &options);
	char text[8] = "";

	ck_assert_int_eq(prusik_process_stream(process, 2), -ENOENT);
	ck_assert_int_eq(prusik_process_stream(process, 3), -EINVAL);
	ck_assert_int_eq(write(prusik_process_stream(process, 0), "by hand", 7), 7);
	ck_assert_int_eq(prusik_process_close_stream(process, 0), 0);
	ck_assert_int_eq(prusik_process_close_stream(process, 0), -ENOENT);
	ck_assert_int_eq(prusik_process_join(process, prusik_in_s(15), NULL), 0);
	ck_assert_int_eq(read(prusik_process_stream(process, 1), text, sizeof text), 7);
	ck_assert_str_eq(text, "by hand");
	prusik_process_free(process);
}

/* ---- surroundings ---- */

TEST(environment_directory_and_groups)
{
	static const char *const environment[] = { "COLOUR=green", "PATH=/bin:/usr/bin", NULL };
	struct prusik_run_options options = { .out.kind = PRUSIK_STREAM_PIPE, .environment = environment };
	char expected[32];

	assert_says(SH("echo $COLOUR $HOME"), &options, NULL, "green\n");
	options = (struct prusik_run_options){ .out.kind = PRUSIK_STREAM_PIPE, .directory = "/usr" };
	assert_says(SH("pwd"), &options, NULL, "/usr\n");
	options = (struct prusik_run_options){ .out.kind = PRUSIK_STREAM_PIPE, .group = 1 };
	assert_says(SH("[ $(ps -o pgid= $$) = $$ ] && echo own"), &options, NULL, "own\n");
	options.group = 0;
	snprintf(expected, sizeof expected, "%d\n", getpgrp());
	assert_says(SH("echo $(ps -o pgid= $$)"), &options, NULL, expected);
	options.new_session = 1;
	assert_says(SH("[ $(ps -o sid= $$) = $$ ] && echo own"), &options, NULL, "own\n");
}

TEST(descriptors_are_closed_unless_named)
{
	int fd = open("/dev/null", O_RDONLY), other = dup(fd); /* neither is close-on-exec */
	struct prusik_run_options options = { .out.kind = PRUSIK_STREAM_PIPE,
					      .descriptors = &fd,
					      .descriptor_count = 1 };
	char script[128];

	snprintf(script, sizeof script, "[ -e /dev/fd/%d ] && [ ! -e /dev/fd/%d ] && echo right", fd, other);
	assert_says(SH(script), &options, NULL, "right\n");
	close(fd);
	close(other);
}

static void handler(int signal)
{
	(void)signal;
}

/* The signals that this process ignores and nobody can set: those of libc's own. */
static uint64_t inherited_ignored(void)
{
	char line[128];
	uint64_t mask = 0;
	FILE *file = fopen("/proc/self/status", "r");

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "SigIgn: %" SCNx64, &mask) == 1)
			break;
	fclose(file);
	return mask & UINT64_C(0x180000000);
}

TEST(signals_of_a_program)
{
	struct prusik_run_options options = { .out.kind = PRUSIK_STREAM_PIPE };
	char expected[128];
	sigset_t some;

	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &some, NULL);
	for (int i = 1; i <= SIGRTMAX; i++) /* what whoever started us ignores stays ignored */
		signal(i, SIG_DFL);
	signal(SIGUSR2, handler);
	signal(SIGHUP, SIG_IGN);
	snprintf(expected, sizeof expected,
		 "SigBlk:\t0000000000000200\nSigIgn:\t%016" PRIx64 "\nSigCgt:\t0000000000000000\n",
		 inherited_ignored() | 1);
	assert_says(SH("cat /proc/self/status | grep -E 'Sig(Blk|Ign|Cgt)'"), &options, NULL, expected);
}

/* ---- failures ---- */

static int try(const char *program, const struct prusik_run_options *options)
{
	const char *const argv[] = { program, NULL };
	struct prusik_process *process = NULL;
	int r = prusik_process_run(argv, options, &process);

	if (r == 0)
		return finish(process);
	ck_assert_ptr_null(process);
	assert_childless();
	ck_assert_int_eq(prusik_process_active_children(NULL, 0), 0);
	return r;
}

TEST(programs_that_cannot_be_started)
{
	char path[64] = "/tmp/prusik-test-XXXXXX";
	int fd = mkstemp(path);
	struct prusik_run_options options = { .directory = "/nowhere/at/all" };

	ck_assert_int_eq(try("true", NULL), 0);
	int before = open_files();
	ck_assert_int_eq(try("no-such-program-anywhere", NULL), -ENOENT);
	ck_assert_int_eq(try("/no/such/program", NULL), -ENOENT);
	ck_assert_int_eq(try("/etc/passwd/program", NULL), -ENOTDIR);
	ck_assert_int_eq(try("/etc", NULL), -EACCES);
	ck_assert_int_eq(try(path, NULL), -EACCES); /* not executable */
	ck_assert_int_eq(try("true", &options), -ENOENT);
	options.directory = path;
	ck_assert_int_eq(try("true", &options), -ENOTDIR);
	options = (struct prusik_run_options){ .in = { .kind = PRUSIK_STREAM_FILE, .path = "/nowhere" } };
	ck_assert_int_eq(try("true", &options), -ENOENT);
	options.in.path = NULL;
	ck_assert_int_eq(try("true", &options), -EINVAL);
	options = (struct prusik_run_options){ .out = { .kind = PRUSIK_STREAM_OUT } };
	ck_assert_int_eq(try("true", &options), -EINVAL);
	options.out = (struct prusik_stream){ .kind = PRUSIK_STREAM_DESCRIPTOR, .descriptor = 876 };
	ck_assert_int_eq(try("true", &options), -EBADF);
	options = (struct prusik_run_options){ .descriptors = &(int){ 875 }, .descriptor_count = 1 };
	ck_assert_int_eq(try("true", &options), -EBADF);
	options = (struct prusik_run_options){ .group = 999999 };
	ck_assert_int_eq(try("true", &options), -EPERM);
	ck_assert_int_eq(try(NULL, NULL), -EINVAL);
	ck_assert_int_eq(open_files(), before);
	close(fd);
	unlink(path);
}

/* A file without "#!" is the shell's, as for execvp. */
TEST(a_script_without_a_first_line)
{
	char path[64] = "/tmp/prusik-test-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, "exit 5\n", 7), 7);
	fchmod(fd, 0700);
	close(fd);
	ck_assert_int_eq(try(path, NULL), 5);
	unlink(path);
}

static int too_many(void *unused)
{
	struct prusik_process *process = NULL;
	struct rlimit none = { 0, 0 };
	const char *const argv[] = { "true", NULL };
	int code = 0;

	(void)unused;
	if (setgid(65534) < 0 || setuid(65534) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0)
		return 77;
	if (prusik_process_run(argv, NULL, &process) != -EAGAIN || process)
		return 1;
	if (prusik_process_start(too_many, &code, NULL, &process) != -EAGAIN || process)
		return 2;
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : 3;
}

TEST(too_many_processes)
{
	int code = test_join(test_fork(too_many, NULL));

	ck_assert(code == 0 || code == 77); /* 77: not root, who alone can become nobody */
}

static int fail_run(uint32_t nth, uint32_t daemon)
{
	struct prusik_run_options options = {
		.daemon = daemon,
		.in = { .kind = PRUSIK_STREAM_MEMORY, .data = "x", .length = 1 },
		.out.kind = PRUSIK_STREAM_PIPE,
		.err.kind = PRUSIK_STREAM_NULL,
	};
	struct prusik_process *process = NULL;

	prk_sys_fail(PRK_SYS_ANY, nth, ENOMEM);
	int r = prusik_process_run(SH("exit 3"), &options, &process);
	prk_sys_fail(PRK_SYS_ANY, 0, 0);
	if (r == 0)
		ck_assert_int_eq(finish(process), 3);
	else
		ck_assert_int_eq(r, -ENOMEM);
	assert_childless();
	return r;
}

TEST(runs_that_fail_leave_nothing)
{
	for (uint32_t daemon = 0; daemon < 2; daemon++) {
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		ck_assert_int_eq(fail_run(0, daemon), 0);
		int before = open_files();
		uint32_t nth = 1, successes = 0;
		/* Some failures are made good by another try: three in a row are the end. */
		for (; successes < 3; nth++) {
			successes = fail_run(nth, daemon) < 0 ? 0 : successes + 1;
			ck_assert_int_eq(open_files(), before);
		}
		ck_assert_uint_ge(nth, 9);
	}
}

/* Each call that communicate makes fails once, and another call of it goes on. */
TEST(communication_that_fails_goes_on)
{
	for (uint32_t nth = 1; nth < 12; nth++) {
		struct prusik_run_options options = { PIPED };
		struct prusik_process *process = run(SH("cat; echo end"), &options);
		struct prusik_output out = { 0 };
		prk_sys_fail(PRK_SYS_ANY, nth, ENOMEM);
		int r = prusik_process_communicate(process, "begin", 5, prusik_in_s(15), &out, NULL);
		prk_sys_fail(PRK_SYS_ANY, 0, 0);
		if (r < 0)
			r = prusik_process_communicate(process, "begin", 5, prusik_in_s(15), &out, NULL);
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(out.data, "beginend\n");
		prusik_output_free(&out);
		ck_assert_int_eq(finish(process), 0);
	}
}
