/* SPDX-License-Identifier: MIT */
/* fork, forkserver and spawn give the same results. */
#include "process_kit.h"

#include "base/sys.h"

#include <fcntl.h>
#include <prusik/arena.h>
#include <prusik/thread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* What a child is to do, and with what. */
struct order {
	int code;
	int fd;
	char text[5000];
};

static const uint32_t methods[] = { PRUSIK_PROCESS_FORK, PRUSIK_PROCESS_FORKSERVER, PRUSIK_PROCESS_SPAWN };

#define FOR_EACH_METHOD(m) for (const uint32_t *m = methods; m < methods + 3; m++)

static struct prusik_process *start_order(int (*function)(void *), struct order *order, uint32_t method,
					  const char *name)
{
	struct prusik_process_options options = { .name = name,
						  .method = method,
						  .argument_length = sizeof *order,
						  .descriptors = &order->fd,
						  .descriptor_count = order->fd > 2 };

	return start_with(function, order, &options);
}

static int run_order(int (*function)(void *), struct order *order, uint32_t method)
{
	return finish(start_order(function, order, method, NULL));
}

/* ---- functions that the children run ---- */

static int return_code(void *argument)
{
	struct order *order = argument;

	return strcmp(order->text, "a text") ? 99 : order->code;
}

static int kill_itself(void *argument)
{
	struct order *order = argument;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	signal(order->code, SIG_DFL);
	raise(order->code);
	return 0;
}

static int answer(const struct order *order, const void *data, size_t length)
{
	return write(order->fd, data, length) == (ssize_t)length ? 0 : 98;
}

struct facts {
	int parent, pid, reaper, main_thread;
	char name[64], parent_name[64], kernel_name[16];
	unsigned char key[PRUSIK_AUTHKEY_BYTES];
	int64_t children;
	int group, blocked;
};

static int tell_facts(void *argument)
{
	struct facts facts = { .parent = getppid(), .pid = getpid(), .group = getpgrp() };
	struct prusik_process *me = prusik_process_current(), *parent = prusik_process_parent();
	sigset_t mask;

	if (!me || !parent || prusik_process_pid(parent) != getppid() || prusik_process_pid(me) != getpid() ||
	    prusik_process_is_alive(parent) != 1 || prusik_process_join(parent, PRUSIK_NOW, NULL) != -ETIMEDOUT ||
	    prusik_process_join(me, PRUSIK_NOW, NULL) != -EDEADLK)
		return 97;
	snprintf(facts.name, sizeof facts.name, "%s", prusik_process_name(me));
	snprintf(facts.parent_name, sizeof facts.parent_name, "%s", prusik_process_name(parent));
	prctl(PR_GET_NAME, facts.kernel_name);
	prctl(PR_GET_CHILD_SUBREAPER, &facts.reaper);
	prusik_process_authkey(facts.key);
	facts.children = prusik_process_active_children(NULL, 0);
	facts.main_thread = gettid() == getpid();
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	facts.blocked = sigismember(&mask, SIGUSR2) && !sigismember(&mask, SIGUSR1);
	prusik_process_free(me);
	prusik_process_free(parent);
	return answer(argument, &facts, sizeof facts);
}

static int sleep_long(void *unused)
{
	(void)unused;
	sleep(1000);
	return 90;
}

static int handler_fd;

static void first_handler(void)
{
	handler_fd = write(handler_fd, "1", 1) == 1 ? handler_fd : -1;
}

static void second_handler(void)
{
	handler_fd = write(handler_fd, "2", 1) == 1 ? handler_fd : -1;
}

static int add_a_handler(void *unused)
{
	usleep(20000);
	(void)unused;
	return atexit(second_handler);
}

static int leave_work(void *argument)
{
	struct order *order = argument;

	handler_fd = order->fd;
	atexit(first_handler);
	if (prusik_thread_start(add_a_handler, NULL, NULL, NULL) < 0)
		return 96;
	fprintf(fdopen(dup(order->fd), "w"), "buffered ");
	printf("on stdout");
	return order->code;
}

static int increment(void *argument)
{
	struct order *order = argument;
	struct prusik_arena *arena;
	uint64_t *link;

	if (prusik_arena_open(order->text, &arena) < 0 || prusik_arena_root(arena, "count", &link) < 0)
		return 95;
	++*(uint64_t *)prusik_arena_pointer(arena, *link);
	prusik_arena_close(arena);
	return 0;
}

static int start_grandchild(void *argument)
{
	struct order *order = argument;
	struct order own = { .code = order->code, .text = "a text" };
	struct prusik_process_options options = { .method = (uint32_t)order->fd, .argument_length = sizeof own };
	struct prusik_process *process;
	int code = 0;

	/* (No assertion: Check is not running here.) */
	if (prusik_process_start(return_code, &own, &options, &process) < 0)
		return 94;
	if (prusik_process_join(process, prusik_in_s(15), &code) < 0)
		return 93;
	prusik_process_free(process);
	return code;
}

/* A daemon starts another one by the method that fd names, tells its number, and sleeps. */
static int be_nested_daemon(void *argument)
{
	struct order *order = argument;
	struct prusik_process *me = prusik_process_current(), *inner;
	struct order own = { .text = "a text" };
	const struct prusik_process_options options = { .method = (uint32_t)order->code,
							.daemon = 1,
							.argument_length = sizeof own };

	if (prusik_process_is_daemon(me) != 1 || prusik_process_start(sleep_long, &own, &options, &inner) < 0)
		return 92;
	int32_t pid = prusik_process_pid(inner);
	prusik_process_free(me);
	return answer(order, &pid, sizeof pid) ? 91 : sleep_long(NULL);
}

struct player {
	struct prusik_process_own process;
	int code;
};

static int play(struct prusik_process_own *own)
{
	return ((struct player *)own)->code;
}

static int unregistered(void *unused)
{
	(void)unused;
	return 0;
}

void test_begin(void)
{
	prusik_process_register("return_code", return_code);
	prusik_process_register("kill_itself", kill_itself);
	prusik_process_register("tell_facts", tell_facts);
	prusik_process_register("leave_work", leave_work);
	prusik_process_register("increment", increment);
	prusik_process_register("start_grandchild", start_grandchild);
	prusik_process_register("be_nested_daemon", be_nested_daemon);
	prusik_process_register("sleep_long", sleep_long);
	prusik_process_register_own("play", play);
	prusik_process_main();
}

/* ---- the same results ---- */

TEST(codes_and_arguments)
{
	struct order order = { .text = "a text" };

	FOR_EACH_METHOD(m)
	for (order.code = 0; order.code < 256; order.code += *m == PRUSIK_PROCESS_SPAWN ? 51 : 17)
		ck_assert_int_eq(run_order(return_code, &order, *m), order.code);
	prusik_process_forkserver_stop();
	assert_childless();
}

TEST(signals)
{
	int numbers[] = { SIGKILL, SIGTERM, SIGSEGV, SIGRTMAX };

	FOR_EACH_METHOD(m)
	for (int i = 0; i < 4; i++) {
		struct order order = { .code = numbers[i] };
		ck_assert_int_eq(run_order(kill_itself, &order, *m), -numbers[i]);
	}
}

static void ask_facts(uint32_t method, const char *name, struct facts *ret_facts)
{
	struct order order = { 0 };
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	order.fd = ends[1];
	struct prusik_process *process = start_order(tell_facts, &order, method, name);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], ret_facts, sizeof *ret_facts), sizeof *ret_facts);
	ck_assert_int_eq(ret_facts->pid, prusik_process_pid(process));
	ck_assert_int_eq(finish(process), 0);
	close(ends[0]);
}

TEST(what_a_child_finds)
{
	unsigned char key[PRUSIK_AUTHKEY_BYTES];
	sigset_t some;

	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &some, NULL);
	ck_assert_int_eq(prusik_process_authkey(key), 0);
	ck_assert_int_eq(prusik_process_authkey(NULL), -EINVAL);
	ck_assert_int_eq(prusik_process_set_authkey(NULL), -EINVAL);
	FOR_EACH_METHOD(m)
	{
		struct facts facts;
		if (*m == PRUSIK_PROCESS_SPAWN) { /* from now on another one */
			key[0] ^= 1;
			ck_assert_int_eq(prusik_process_set_authkey(key), 0);
		}
		ask_facts(*m, "a child with a name", &facts);
		ck_assert_int_eq(facts.parent, getpid());
		ck_assert_int_eq(facts.group, getpgrp());
		ck_assert_str_eq(facts.name, "a child with a name");
		ck_assert_str_eq(facts.parent_name, "MainProcess");
		ck_assert_str_eq(facts.kernel_name, "a child with a ");
		ck_assert_mem_eq(facts.key, key, sizeof key);
		ck_assert_int_eq(facts.children, 0);
		ck_assert_int_eq(facts.reaper, 1);
		ck_assert_int_eq(facts.main_thread, 1);
		ck_assert_int_eq(facts.blocked, 1);
	}
}

static const char *read_all(int fd, char *buffer, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, buffer + have, size - 1 - have)) > 0)
		have += (size_t)n;
	buffer[have] = 0;
	return buffer;
}

/* Threads are waited for, then handlers are run, last to first, then buffers are written. */
TEST(the_end_of_a_child)
{
	char path[] = "/tmp/prusik-test-XXXXXX", text[64];
	int out = mkstemp(path), saved = dup(STDOUT_FILENO);

	unlink(path);
	fputs("# parent\n", stdout);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	FOR_EACH_METHOD(m)
	{
		struct order order = { .code = 5 };
		int ends[2];
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		order.fd = ends[1];
		struct prusik_process *process = start_order(leave_work, &order, *m, NULL);
		close(ends[1]);
		ck_assert_str_eq(read_all(ends[0], text, sizeof text), "21buffered ");
		ck_assert_int_eq(finish(process), 5);
		close(ends[0]);
	}
	dup2(saved, STDOUT_FILENO);
	ck_assert_int_ge(pread(out, text, sizeof text, 0), 27);
	ck_assert_mem_eq(text, "on stdouton stdouton stdout", 27);
}

TEST(they_meet_in_named_arenas)
{
	struct order order = { .text = "meeting" };
	struct prusik_arena *arena;
	uint64_t *link;

	ck_assert_int_eq(prusik_arena_create("meeting", 0, &arena), 0);
	ck_assert_int_ge(prusik_arena_root(arena, "count", &link), 0);
	ck_assert_int_ge(prusik_arena_alloc(arena, 8, link), 0);
	FOR_EACH_METHOD(m)
	ck_assert_int_eq(run_order(increment, &order, *m), 0);
	ck_assert_uint_eq(*(uint64_t *)prusik_arena_pointer(arena, *link), 3);
	prusik_arena_close(arena);
}

TEST(children_of_children)
{
	struct order order = { .code = 77 };

	FOR_EACH_METHOD(m)
	for (order.fd = 0; order.fd <= 2; order.fd++) /* the grandchild's method */
		ck_assert_int_eq(run_order(start_grandchild, &order, *m), 77);
}

/* Its number, once its child has told it. */
static int32_t start_nested(uint32_t outer, uint32_t inner, struct prusik_process **ret_process)
{
	struct order order = { .code = (int)inner };
	const struct prusik_process_options options = { .method = outer,
							.daemon = 1,
							.argument_length = sizeof order,
							.descriptors = &order.fd,
							.descriptor_count = 1 };
	int32_t pid = 0;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	order.fd = ends[1];
	*ret_process = start_with(be_nested_daemon, &order, &options);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &pid, sizeof pid), sizeof pid);
	close(ends[0]);
	return pid;
}

TEST_WITHIN(daemons_of_daemons, 60)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	FOR_EACH_METHOD(outer)
	FOR_EACH_METHOD(inner)
	{
		struct prusik_process *process;
		int32_t pid = start_nested(*outer, *inner, &process);
		ck_assert_int_eq(kill(pid, 0), 0);
		ck_assert_int_eq(prusik_process_kill(process), 0);
		ck_assert_int_eq(finish(process), -SIGKILL);
		int64_t deadline = prusik_in_s(15);
		while (waitpid(pid, NULL, WNOHANG) != pid && kill(pid, 0) == 0) {
			ck_assert_int_lt(prusik_now(), deadline);
			usleep(1000);
		}
	}
}

TEST(own_structs)
{
	FOR_EACH_METHOD(m)
	{
		struct player player = { { play }, 31 };
		struct prusik_process_options options = { .method = *m, .argument_length = sizeof player };
		struct prusik_process *process;
		ck_assert_int_eq(prusik_process_start_own(&player.process, &options, &process), 0);
		ck_assert_int_eq(finish(process), 31);
	}
}

TEST(out_of_order_descriptors)
{
	/* A child's descriptor has its number there, whatever else has it meanwhile. */
	for (int target = 3; target < 60; target += 7)
		FOR_EACH_METHOD(m)
		{
			struct order order = { 0 };
			struct facts facts;
			int ends[2];
			ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
			order.fd = fcntl(ends[1], F_DUPFD_CLOEXEC, target);
			close(ends[1]);
			struct prusik_process *process = start_order(tell_facts, &order, *m, NULL);
			close(order.fd);
			ck_assert_int_eq(read(ends[0], &facts, sizeof facts), sizeof facts);
			ck_assert_int_eq(finish(process), 0);
			close(ends[0]);
			if (target > 20 && *m == PRUSIK_PROCESS_FORKSERVER)
				break;
		}
}

/* ---- refusals and failures ---- */

TEST(what_is_refused)
{
	struct prusik_process *process = NULL;
	struct prusik_process_options options = { .method = 3 };
	char long_name[65];

	memset(long_name, 'n', 64);
	long_name[64] = 0;
	ck_assert_int_eq(prusik_process_start(return_code, NULL, &options, &process), -EINVAL);
	options.method = PRUSIK_PROCESS_SPAWN;
	ck_assert_int_eq(prusik_process_start(unregistered, NULL, &options, &process), -ENOENT);
	ck_assert_int_eq(prusik_process_start(return_code, &process, &options, &process), -EINVAL);
	options.argument_length = 5;
	ck_assert_int_eq(prusik_process_start(return_code, NULL, &options, &process), -EINVAL);
	options = (struct prusik_process_options){ .name = long_name };
	ck_assert_int_eq(prusik_process_start(return_code, NULL, &options, &process), -ENAMETOOLONG);
	options = (struct prusik_process_options){ .descriptors = &(int){ 987 }, .descriptor_count = 1 };
	ck_assert_int_eq(prusik_process_start(return_code, NULL, &options, &process), -EBADF);
	options.descriptors = NULL;
	ck_assert_int_eq(prusik_process_start(return_code, NULL, &options, &process), -EINVAL);
	ck_assert_int_eq(prusik_process_register("return_code", kill_itself), -EEXIST);
	ck_assert_int_eq(prusik_process_register("return_code", return_code), 0);
	ck_assert_int_eq(prusik_process_register("", return_code), -EINVAL);
	ck_assert_int_eq(prusik_process_register(NULL, return_code), -EINVAL);
	ck_assert_int_eq(prusik_process_register("x", NULL), -EINVAL);
	ck_assert_int_eq(prusik_process_register(long_name, return_code), -ENAMETOOLONG);
	ck_assert_ptr_null(process);
	assert_childless();
}

/* Each call that can fail does, once. Zombies of a server that was given up may be there until we end. */
static int fail_start(void *argument)
{
	uint32_t *arguments = argument;
	struct order order = { .code = 9, .text = "a text" };
	struct prusik_process_options options = { .method = arguments[0],
						  .argument_length = sizeof order,
						  .daemon = arguments[2] };
	struct prusik_process *process = NULL;

	prk_sys_fail(PRK_SYS_ANY, arguments[1], ENOMEM);
	int r = prusik_process_start(return_code, &order, &options, &process);
	prk_sys_fail(PRK_SYS_ANY, 0, 0);
	if (r < 0)
		return process || prusik_process_active_children(NULL, 0) != 0 ? 2 : 1;
	int code = 0;
	if (prusik_process_join(process, prusik_in_s(15), &code) != 0 || code != 9)
		return 3;
	prusik_process_free(process);
	return 0;
}

TEST_WITHIN(starts_that_fail, 60)
{
	uint32_t *arguments = test_shared(3 * sizeof *arguments);

	FOR_EACH_METHOD(m)
	for (arguments[2] = 0; arguments[2] < 2; arguments[2]++) {
		int r = 1, successes = 0;
		arguments[0] = *m;
		/* Some failures are made good by another try: three in a row are the end. */
		for (arguments[1] = 1; successes < 3; arguments[1]++) {
			r = test_join(test_fork(fail_start, arguments));
			ck_assert_msg(r == 0 || r == 1, "method %u, call %u: %d", *m, arguments[1], r);
			successes = r == 0 ? successes + 1 : 0;
		}
		ck_assert_uint_ge(arguments[1], 9);
	}
}

/* Its number; 0: it is not there (yet). */
static int find_child(const char *name)
{
	char command[64];
	int pid = 0;

	snprintf(command, sizeof command, "pgrep -P %d -x %s", getpid(), name);
	FILE *answer = popen(command, "r");
	int fields = fscanf(answer, "%d", &pid);
	pclose(answer);
	return fields == 1 ? pid : 0;
}

/* It is dead then, and not reaped. */
static void kill_child(int pid)
{
	siginfo_t info;

	if (pid == 0)
		return;
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

TEST_WITHIN(a_spare_that_was_killed_is_replaced, 120)
{
	struct order order = { .code = 4, .text = "a text" };

	ck_assert_int_eq(prusik_process_forkserver(), 0);
	for (int i = 0; i < 20; i++) {
		usleep(i % 4 * 1000);
		kill_child(find_child("prusik-spare"));
		ck_assert_int_eq(run_order(return_code, &order, PRUSIK_PROCESS_FORKSERVER), 4);
	}
	prusik_process_forkserver_stop();
	assert_childless();
}

/* Whatever the server was about to do: it makes its next copy at that time. */
TEST_WITHIN(a_forkserver_killed_at_any_moment_leaves_nothing, 120)
{
	struct order order = { .code = 4, .text = "a text" };

	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(prusik_process_forkserver(), 0);
		int server = find_child("prusik-fork");
		ck_assert_int_eq(run_order(return_code, &order, PRUSIK_PROCESS_FORKSERVER), 4);
		for (volatile int turn = 0; turn < i * 10000; turn++)
			;
		kill_child(server);
	}
	prusik_process_forkserver_stop();
	assert_childless();
}

TEST(a_forkserver_that_was_killed_is_replaced)
{
	struct order order = { .code = 4, .text = "a text" };

	ck_assert_int_eq(prusik_process_forkserver(), 0);
	for (int i = 0; i < 5; i++) {
		siginfo_t info;
		ck_assert_int_eq(run_order(return_code, &order, PRUSIK_PROCESS_FORKSERVER), 4);
		ck_assert_int_eq(waitid(P_ALL, 0, &info, WEXITED | WNOHANG), 0); /* the server alone */
		kill_child(find_child("prusik-fork"));
	}
	ck_assert_int_eq(run_order(return_code, &order, PRUSIK_PROCESS_FORKSERVER), 4);
	prusik_process_forkserver_stop();
	assert_childless();
}

static int start_some(void *method)
{
	struct order order = { .code = 12, .text = "a text" };
	struct prusik_process_options options = { .method = *(uint32_t *)method, .argument_length = sizeof order };

	for (int i = 0; i < 10; i++) {
		struct prusik_process *process;
		int code = 0;
		if (prusik_process_start(return_code, &order, &options, &process) < 0)
			return 1;
		if (prusik_process_join(process, prusik_in_s(30), &code) < 0 || code != 12)
			return 1;
		prusik_process_free(process);
	}
	return 0;
}

TEST_WITHIN(threads_start_by_all_methods_at_once, 60)
{
	struct prusik_thread *threads[6];
	int result;

	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(prusik_thread_start(start_some, (void *)(uintptr_t)&methods[i % 3], NULL, &threads[i]),
				 0);
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(prusik_thread_join(threads[i], PRUSIK_FOREVER, &result), 0);
		ck_assert_int_eq(result, 0);
		prusik_thread_free(threads[i]);
	}
}
