/* SPDX-License-Identifier: MIT */
/*
 * main - runs the cases of one test program (test.h)
 *
 * Three processes: the keeper makes the temporary directory and removes it
 * whatever happens to the others; the runner is Check; each case is a child of
 * the runner with a directory of its own for its domain.
 */
#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ThreadSanitizer asks for its options here: cases fork while threads run. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0 second_deadlock_stack=1 atexit_sleep_ms=0";
}

/*
 * LeakSanitizer follows the stacks of the threads that it finds alive. What Check keeps
 * hangs on the first thread's, which is no thread's in a child that another thread
 * forks, or after pthread_exit.
 */
void __lsan_register_root_region(const void *begin, size_t length) __attribute__((weak));
extern char **environ;

/* The registers that a case saves lie below its caller. */
#define BELOW 65536

static void keep_first_stack(void)
{
	const char *here = (const char *)__builtin_frame_address(0) - BELOW;

	if (__lsan_register_root_region)
		__lsan_register_root_region(here, (size_t)((const char *)environ - here));
}

/* LeakSanitizer asks before it looks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
static int leaks_ignored;

int __lsan_is_turned_off(void)
{
	return leaks_ignored;
}

void test_ignore_leaks(void)
{
	leaks_ignored = 1;
}

static struct test_case *first, **last = &first;
static char directory[] = "/dev/shm/prusik-test-XXXXXX";
static pid_t keeper;

void test_add(struct test_case *entry)
{
	*last = entry;
	last = &entry->next;
}

pid_t test_fork(int (*function)(void *), void *argument)
{
	fflush(NULL);
	pid_t child = fork();

	ck_assert_msg(child >= 0, "fork: %s", strerror(errno));
	if (child > 0)
		return child;
	int code = function(argument);
	fflush(NULL);
	_exit(code);
}

int test_join(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		ck_assert_msg(errno == EINTR, "waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void test_kill(pid_t child)
{
	kill(child, SIGKILL);
	ck_assert_int_eq(test_join(child), -SIGKILL);
}

static void *map_shared(size_t length)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void *test_shared(size_t length)
{
	void *memory = map_shared(length);

	ck_assert_msg(memory != MAP_FAILED, "mmap: %s", strerror(errno));
	return memory;
}

/* At the start of each case, in its process: a domain nobody has been in. */
void test_enter(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	if (mkdir(path, 0700) < 0)
		ck_abort_msg("%s: %s", path, strerror(errno));
	keep_first_stack();
	setenv("PRUSIK_DIR", path, 1);
}

/* At its end: so that a stray exit(0) does not pass for success. */
void test_leave(const struct test_case *entry)
{
	*entry->finished = 1;
}

static void add_case(Suite *suite, struct test_case *entry)
{
	TCase *tcase = tcase_create(entry->check->name);

	tcase_set_timeout(tcase, entry->seconds);
	tcase_add_test(tcase, entry->check);
	suite_add_tcase(suite, tcase);
}

/* No names: all cases. */
static int is_named(const struct test_case *entry, char *const *names)
{
	if (!*names)
		return 1;
	for (; *names; names++)
		if (strcmp(*names, entry->check->name) == 0)
			return 1;
	return 0;
}

static void print_result(int number, const char *name, TestResult *result, int finished)
{
	int passed = tr_rtype(result) == CK_PASS && finished;

	printf("%s %d - %s\n", passed ? "ok" : "not ok", number, name);
	if (passed)
		return;
	printf("# %s:%d: ", tr_lfile(result), tr_lno(result));
	for (const char *p = tr_rtype(result) == CK_PASS ? "exit before the end" : tr_msg(result); *p; p++)
		printf(*p == '\n' ? "\n# " : "%c", *p);
	putchar('\n');
}

/* One TAP line for each case that was run, in their order; how many failed. */
static int print_results(SRunner *runner, char **names)
{
	TestResult **results = srunner_results(runner);
	int number = 0, failed = 0;

	for (struct test_case *entry = first; entry; entry = entry->next) {
		if (!is_named(entry, names))
			continue;
		TestResult *result = results[number++];
		print_result(number, entry->check->name, result, *entry->finished);
		failed += tr_rtype(result) != CK_PASS || !*entry->finished;
	}
	printf("1..%d\n", number);
	free(results);
	return failed;
}

/* Make a suite of the cases; how many, or -1. */
static int fill_suite(Suite *suite, char **names)
{
	int count = 0;

	for (struct test_case *entry = first; entry; entry = entry->next) {
		if (!is_named(entry, names))
			continue;
		entry->finished = map_shared(1);
		if (entry->finished == MAP_FAILED)
			return -1;
		add_case(suite, entry);
		count++;
	}
	return count;
}

/* One of the names that no case has, or NULL. */
static const char *find_unknown(char **names)
{
	for (; *names; names++) {
		char *const one[] = { *names, NULL };
		struct test_case *entry = first;
		while (entry && !is_named(entry, one))
			entry = entry->next;
		if (!entry)
			return *names;
	}
	return NULL;
}

static int run(char **names)
{
	const char *unknown = find_unknown(names);

	if (unknown) {
		fprintf(stderr, "no such case: '%s'; --list prints them\n", unknown);
		return 2;
	}
	Suite *suite = suite_create("prusik");
	SRunner *runner = srunner_create(suite);
	int count = fill_suite(suite, names);

	if (count <= 0) {
		fprintf(stderr, count ? "out of memory\n" : "there is no case\n");
		srunner_free(runner);
		return EXIT_FAILURE;
	}
	if (*names)
		srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_SILENT);
	int failed = print_results(runner, names);
	srunner_free(runner);
	return failed > 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_directory(void)
{
	if (getpid() == keeper)
		nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static volatile sig_atomic_t runner_pid;

static void pass_on(int signal)
{
	if (runner_pid > 0)
		kill(runner_pid, signal);
}

/* Run all cases in a child, so that somebody is left to clean up. */
static int keep(char **names)
{
	signal(SIGTERM, pass_on);
	signal(SIGINT, pass_on);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t child = fork();
	if (child < 0)
		return EXIT_FAILURE;
	if (child == 0) {
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		exit(run(names));
	}
	runner_pid = child;
	int status;
	for (pid_t ended = 0; ended != child;) {
		ended = waitpid(-1, &status, 0); /* orphans of the cases come here too */
		if (ended < 0 && errno != EINTR)
			return EXIT_FAILURE;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static int list(void)
{
	for (struct test_case *entry = first; entry; entry = entry->next)
		puts(entry->check->name);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (test_begin)
		test_begin();
	if (argc > 1 && strcmp(argv[1], "--list") == 0)
		return list();
	if (!mkdtemp(directory)) {
		perror(directory);
		return EXIT_FAILURE;
	}
	keeper = getpid();
	atexit(remove_directory);
	return argc > 1 ? run(argv + 1) : keep(argv + 1);
}
