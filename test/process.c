/* SPDX-License-Identifier: MIT */
#include "process_kit.h"

#include "base/atomic.h"
#include "base/sys.h"

#include <fcntl.h>
#include <poll.h>
#include <prusik/lock.h>
#include <prusik/signal.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static int sleep_ms(void *ms)
{
	usleep((useconds_t) * (int *)ms * 1000);
	return 7;
}

static int signal_itself(void *number)
{
	signal(*(int *)number, SIG_DFL);
	/* No core files from the tests. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	kill(getpid(), *(int *)number);
	sleep(20);
	return 0;
}

/* ---- codes ---- */

TEST(every_code_is_told)
{
	for (int code = 0; code < 256; code++)
		ck_assert_int_eq(finish(start(return_it, &code)), code);
	assert_childless();
}

TEST(of_the_result_the_low_8_bits_count)
{
	int results[] = { 256, 257, -1, -256, 0x7fffff42 };

	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		ck_assert_int_eq(finish(start(return_it, &results[i])), results[i] & 0xff);
}

TEST(signals_are_told_as_negative_numbers)
{
	int numbers[] = { SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGABRT, SIGSEGV, SIGPIPE, SIGUSR1, SIGRTMAX };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		ck_assert_int_eq(finish(start(signal_itself, &numbers[i])), -numbers[i]);
}

static int exit_with_9(void *unused)
{
	(void)unused;
	exit(9);
}

TEST(a_child_may_call_exit)
{
	ck_assert_int_eq(finish(start(exit_with_9, NULL)), 9);
}

static int exec_sh(void *unused)
{
	(void)unused;
	execl("/bin/sh", "sh", "-c", "exit 23", (char *)NULL);
	return 1;
}

TEST(a_child_may_exec)
{
	struct prusik_process_options options = { .daemon = 1 };

	ck_assert_int_eq(finish(start_with(exec_sh, NULL, &options)), 23);
}

/* ---- joining ---- */

TEST(join_keeps_its_deadline)
{
	struct prusik_process *process = start(sleep_for_ever, NULL);
	int code = 1000;

	ck_assert_int_eq(prusik_process_join(process, PRUSIK_NOW, &code), -ETIMEDOUT);
	ck_assert_int_eq(prusik_process_join(process, INT64_MIN, NULL), -ETIMEDOUT);
	ck_assert_int_eq(prusik_process_join(process, -1, NULL), -ETIMEDOUT);
	int64_t before = prusik_now();
	ck_assert_int_eq(prusik_process_join(process, prusik_in_ms(50), &code), -ETIMEDOUT);
	int64_t took = prusik_now() - before;
	ck_assert_int_ge(took, 50 * 1000000);
	ck_assert_int_lt(took, 10000 * 1000000LL);
	ck_assert_int_eq(prusik_process_join(process, prusik_now() - 1, NULL), -ETIMEDOUT);
	ck_assert_int_eq(prusik_process_join(process, -5, NULL), -ETIMEDOUT);
	ck_assert_int_eq(prusik_process_is_alive(process), 1);
	ck_assert_int_eq(code, 1000);
	ck_assert_int_eq(prusik_process_kill(process), 0);
	ck_assert_int_eq(prusik_process_join(process, PRUSIK_FOREVER, NULL), 0);
	ck_assert_int_eq(prusik_process_join(process, PRUSIK_NOW, &code), 0); /* again, later */
	ck_assert_int_eq(code, -SIGKILL);
	ck_assert_int_eq(prusik_process_is_alive(process), 0);
	ck_assert_int_eq(prusik_process_kill(process), -ESRCH);
	prusik_process_free(process);
}

static void ignore_it(int number)
{
	(void)number;
}

TEST(join_is_not_ended_by_a_signal)
{
	struct sigaction action = { .sa_handler = ignore_it }; /* no SA_RESTART */
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	int ms = 100;
	struct prusik_process *process = start(sleep_ms, &ms);

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	int64_t before = prusik_now();
	ck_assert_int_eq(prusik_process_join(process, prusik_in_ms(20), NULL), -ETIMEDOUT);
	ck_assert_int_ge(prusik_now() - before, 20 * 1000000);
	ck_assert_int_eq(finish(process), 7);
}

struct joiner {
	struct prusik_process *process;
	pthread_t thread;
	int result, code;
};

static void *join_it(void *argument)
{
	struct joiner *joiner = argument;

	joiner->result = prusik_process_join(joiner->process, PRUSIK_FOREVER, &joiner->code);
	return NULL;
}

static void join_by_many(struct prusik_process *process, int expected)
{
	struct joiner joiners[16];

	for (int i = 0; i < 16; i++) {
		joiners[i] = (struct joiner){ .process = process, .result = 1, .code = 1000 };
		ck_assert_int_eq(pthread_create(&joiners[i].thread, NULL, join_it, &joiners[i]), 0);
	}
	for (int i = 0; i < 16; i++) {
		pthread_join(joiners[i].thread, NULL);
		ck_assert_int_eq(joiners[i].result, 0);
		ck_assert_int_eq(joiners[i].code, expected);
	}
}

TEST(many_threads_may_join_one_child)
{
	for (int round = 0; round < 30; round++) {
		int ms = round % 5;
		struct prusik_process *process = start(sleep_ms, &ms);
		join_by_many(process, 7);
		prusik_process_free(process);
	}
	assert_childless();
}

/* Since 6.15 it tells the code of one that nobody reaped, too. */
static bool kernel_keeps_codes(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	ck_assert_int_eq(uname(&name), 0);
	ck_assert_int_eq(sscanf(name.release, "%d.%d", &major, &minor), 2);
	return major > 6 || (major == 6 && minor >= 15);
}

/* An error: what the kernel says when it is asked for the code afterwards; 0: it is to answer. */
static void join_with_codes_dropped(int error)
{
	int ms = 50;
	struct prusik_process *process = start(sleep_ms, &ms);
	ck_assert_int_eq(prusik_process_join(process, PRUSIK_NOW, NULL), -ETIMEDOUT);
	if (error)
		prk_sys_fail(PRK_SYS_PIDFD_INFO, 1, error);
	int code = 1000, r = prusik_process_join(process, prusik_in_s(60), &code);
	ck_assert_int_eq(r, error || !kernel_keeps_codes() ? -ECHILD : 0);
	ck_assert_int_eq(code, r == 0 ? 7 : 1000);
	ck_assert_int_eq(prusik_process_join(process, PRUSIK_NOW, NULL), r);
	ck_assert_int_eq(prusik_process_is_alive(process), 0);
	ck_assert_int_eq(prusik_process_kill(process), -ESRCH);
	prusik_process_free(process);
}

TEST(join_with_sigchld_ignored)
{
	signal(SIGCHLD, SIG_IGN);
	join_with_codes_dropped(0);
	join_with_codes_dropped(ENOTTY); /* before 6.13 */
	join_with_codes_dropped(ENODATA);
}

TEST(join_without_zombies)
{
	const struct sigaction action = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };

	sigaction(SIGCHLD, &action, NULL);
	join_with_codes_dropped(0);
	join_with_codes_dropped(ENOTTY);
}

TEST(join_of_one_reaped_elsewhere)
{
	int code = 5;
	struct prusik_process *process = start(return_it, &code);

	ck_assert_int_eq(waitpid(prusik_process_pid(process), NULL, 0), prusik_process_pid(process));
	ck_assert_int_eq(prusik_process_join(process, PRUSIK_FOREVER, &code), -ECHILD);
	ck_assert_int_eq(code, 5);
	prusik_process_free(process);
}

/* The one that is asked is a child of the test, but not of the one that asks. */
static int join_sibling(void *sibling)
{
	int code;

	if (prusik_process_is_alive(sibling) != 1)
		return 1;
	if (prusik_process_join(sibling, PRUSIK_NOW, &code) != -EPERM)
		return 2;
	if (prusik_process_kill(sibling) != 0)
		return 3;
	prusik_process_free(sibling);
	return 0;
}

TEST(only_the_parent_joins)
{
	struct prusik_process *sleeper = start(sleep_for_ever, NULL);

	ck_assert_int_eq(finish(start(join_sibling, sleeper)), 0);
	ck_assert_int_eq(finish(sleeper), -SIGKILL);
}

/* While a tracer has the child, its end is seen and its code is not. */
static int trace(void *pid)
{
	if (syscall(SYS_ptrace, 0x4206 /* PTRACE_SEIZE */, *(int *)pid, 0, 0) != 0)
		return 1;
	raise(SIGSTOP);
	return 0;
}

TEST(join_of_a_traced_child)
{
	struct prusik_process *process = start(sleep_for_ever, NULL);
	int code, pid = prusik_process_pid(process);
	struct prusik_process *tracer = start(trace, &pid);

	ck_assert_int_eq(waitpid(prusik_process_pid(tracer), NULL, WUNTRACED), prusik_process_pid(tracer));
	prusik_process_kill(process);
	ck_assert_int_eq(prusik_process_join(process, prusik_in_ms(50), &code), -ETIMEDOUT);
	prusik_process_signal(tracer, SIGCONT);
	ck_assert_int_eq(finish(tracer), 0);
	ck_assert_int_eq(finish(process), -SIGKILL);
}

/* ---- handles ---- */

TEST(bad_arguments)
{
	struct prusik_process *process = NULL;
	int code = 3;

	ck_assert_int_eq(prusik_process_start(NULL, NULL, NULL, &process), -EINVAL);
	ck_assert_int_eq(prusik_process_start(return_it, NULL, NULL, NULL), -EINVAL);
	ck_assert_ptr_null(process);
	ck_assert_int_eq(prusik_process_join(NULL, PRUSIK_NOW, &code), -EINVAL);
	ck_assert_int_eq(prusik_process_is_alive(NULL), -EINVAL);
	ck_assert_int_eq(prusik_process_kill(NULL), -EINVAL);
	ck_assert_int_eq(prusik_process_terminate(NULL), -EINVAL);
	ck_assert_int_eq(prusik_process_pid(NULL), -EINVAL);
	ck_assert_int_eq(prusik_process_sentinel(NULL), -EINVAL);
	ck_assert_ptr_null(prusik_process_name(NULL));
	prusik_process_free(NULL);
	signal(SIGTERM, SIG_DFL); /* Check's own handler would be the child's too */
	process = start(sleep_for_ever, NULL);
	static const int bad[] = { 12345, -1, 65, 32, 33, INT32_MIN };
	for (int i = 0; i < 6; i++) /* 32 and 33, which libc has for itself, would kill it */
		ck_assert_int_eq(prusik_process_signal(process, bad[i]), -EINVAL);
	ck_assert_int_eq(prusik_process_signal(process, 0), 0);
	ck_assert_int_eq(prusik_process_terminate(process), 0);
	ck_assert_int_eq(finish(process), -SIGTERM);
}

/* Who asks for more than one thing at a time polls: the sentinel is readable from the end on. */
TEST(sentinel_tells_of_the_end)
{
	int ms = 50;
	struct prusik_process *process = start(sleep_ms, &ms);
	struct pollfd fd = { .fd = prusik_process_sentinel(process), .events = POLLIN };

	ck_assert_int_ge(fd.fd, 0);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	ck_assert_int_eq(poll(&fd, 1, 15000), 1);
	ck_assert_int_eq(fd.revents & POLLIN, POLLIN);
	ck_assert_int_eq(prusik_process_is_alive(process), 0);
	ck_assert_int_eq(prusik_process_join(process, PRUSIK_NOW, NULL), 0);
	ck_assert_int_eq(poll(&fd, 1, 0), 1); /* as long as the handle lives */
	ck_assert_int_eq(finish(process), 7);
	ck_assert_int_eq(fcntl(fd.fd, F_GETFD), -1);
}

TEST(parents_numbers)
{
	int code = 0;
	struct prusik_process *child = start(return_it, &code), *me = prusik_process_current();

	ck_assert_int_eq(prusik_process_ppid(child), getpid());
	ck_assert_int_eq(prusik_process_ppid(me), getppid());
	ck_assert_int_eq(prusik_process_pid(me), getpid());
	ck_assert_int_eq(prusik_process_ppid(NULL), -EINVAL);
	ck_assert_str_eq(prusik_process_name(me), "MainProcess");
	ck_assert_int_eq(prusik_process_is_daemon(me), 0);
	ck_assert_int_eq(prusik_process_is_daemon(NULL), -EINVAL);
	ck_assert_ptr_null(prusik_process_parent());
	prusik_process_free(me);
	ck_assert_int_eq(finish(child), 0);
}

/* Root's child as nobody, who may not signal his parent, nor anybody of root's. */
static int signal_the_parent(void *unused)
{
	struct prusik_process *parent = prusik_process_parent();

	(void)unused;
	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 77;
	if (prusik_process_signal(parent, 0) != -EPERM || prusik_process_terminate(parent) != -EPERM ||
	    prusik_process_kill(parent) != -EPERM)
		return 1;
	if (prusik_signal_kill(getppid(), 0) != -EPERM || prusik_signal_queue(getppid(), SIGTERM, 0) != -EPERM)
		return 2;
	return prusik_process_kill_tree(parent) == -EINVAL ? 0 : 3;
}

TEST(signals_that_are_not_allowed)
{
	int code = finish(start(signal_the_parent, NULL));

	ck_assert(code == 0 || code == 77); /* 77: not root, who alone can become nobody */
}

static int name_is(void *expected)
{
	char name[16];

	prctl(PR_GET_NAME, name);
	return strcmp(name, expected) != 0;
}

TEST(names)
{
	struct prusik_process_options options = { .name = "a rather long name" };
	char seen[] = "a rather long n";
	struct prusik_process *process = start_with(name_is, seen, &options);

	ck_assert_str_eq(prusik_process_name(process), "a rather long name");
	ck_assert_int_eq(finish(process), 0);
	char parents[16];
	prctl(PR_GET_NAME, parents);
	process = start(name_is, parents);
	ck_assert_str_eq(prusik_process_name(process), "Process-1");
	ck_assert_int_eq(finish(process), 0);
}

TEST(nothing_is_left_after_free)
{
	int code = 1;
	finish(start(return_it, &code));
	int before = open_files();

	for (int i = 0; i < 100; i++) {
		struct prusik_process *process = start(return_it, &code);
		if (i % 2)
			prusik_process_join(process, PRUSIK_FOREVER, NULL);
		else
			while (prusik_process_is_alive(process))
				;
		prusik_process_free(process);
	}
	ck_assert_int_eq(open_files(), before);
	assert_childless();
}

static int write_line(void *fd)
{
	return write(*(int *)fd, "x", 1) == 1 ? 0 : 1;
}

TEST(a_freed_child_runs_on)
{
	int ends[2];
	char byte;

	ck_assert_int_eq(pipe(ends), 0);
	prusik_process_free(start(write_line, &ends[1]));
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
}

/* ---- stdio ---- */

static int print_more(void *file)
{
	fputs("child\n", file);
	return 0;
}

static void assert_content(const char *path, const char *expected)
{
	char buffer[256] = "";
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_gt(fread(buffer, 1, sizeof buffer - 1, file), 0);
	fclose(file);
	ck_assert_str_eq(buffer, expected);
}

TEST(stdio_is_neither_lost_nor_doubled)
{
	char path[] = "/tmp/prusik-test-XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	FILE *file = fdopen(fd, "w");

	fputs("parent before\n", file);
	ck_assert_int_eq(finish(start(print_more, file)), 0);
	fputs("parent after\n", file);
	fclose(file);
	assert_content(path, "parent before\nchild\nparent after\n");
	unlink(path);
}

static void *read_line(void *unused)
{
	char line[16];

	(void)unused;
	return fgets(line, sizeof line, stdin);
}

/* A thread that waits for input holds the lock of stdin. */
TEST(start_while_a_thread_reads_stdin)
{
	int ends[2], code = 6;
	pthread_t thread;

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[0], STDIN_FILENO);
	pthread_create(&thread, NULL, read_line, NULL);
	usleep(50000);
	ck_assert_int_eq(finish(start(return_it, &code)), 6);
	ck_assert_int_eq(write(ends[1], "\n", 1), 1);
	pthread_join(thread, NULL);
}

/* ---- threads ---- */

/*
 * Not with ThreadSanitizer: its own locks, which it also takes to allocate and to
 * start a thread, may be held in the child by a thread that is not there.
 */
#if !TEST_THREAD_SANITIZER
struct busy {
	struct prusik_lock lock;
	uint32_t stop;
	uint32_t failures;
};

static void *be_busy(void *argument)
{
	struct busy *busy = argument;

	while (!prk_load32_rlx(&busy->stop)) {
		free(malloc(100));
		/* No assertion of Check's: it writes to a stream, which the children would flush too. */
		if (prusik_lock_acquire(&busy->lock, PRUSIK_FOREVER) < 0 || prusik_lock_release(&busy->lock) < 0)
			prk_add32_rlx(&busy->failures, 1);
	}
	return NULL;
}

static int use_everything(void *lock)
{
	free(malloc(1000));
	if (prusik_lock_acquire(lock, prusik_in_s(10)) < 0)
		return 1;
	return prusik_lock_release(lock) == 0 ? 42 : 2;
}

TEST_WITHIN(fork_among_busy_threads, 120)
{
	struct busy *busy = test_shared(sizeof *busy);
	pthread_t threads[4];

	ck_assert_int_eq(prusik_lock_acquire(&busy->lock, PRUSIK_NOW), 0);
	ck_assert_int_eq(prusik_lock_release(&busy->lock), 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, be_busy, busy);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(finish(start(use_everything, &busy->lock)), 42);
	prk_store32_rlx(&busy->stop, 1);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(busy->failures, 0);
	assert_childless();
}
#endif

static void *start_many(void *ret_failures)
{
	int code = 11;

	for (int i = 0; i < 25; i++) {
		struct prusik_process *process;
		int got = 1000;
		if (prusik_process_start(return_it, &code, NULL, &process) < 0 ||
		    prusik_process_join(process, prusik_in_s(15), &got) < 0 || got != 11)
			++*(int *)ret_failures;
		prusik_process_free(process);
	}
	return NULL;
}

TEST(threads_start_children_at_once)
{
	pthread_t threads[8];
	int failures[8] = { 0 };

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, start_many, &failures[i]);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(failures[i], 0);
	}
	assert_childless();
}
