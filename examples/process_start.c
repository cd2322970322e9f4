/* SPDX-License-Identifier: MIT */
/*
 * 24, 26, 27, 47, 48: a process, ten of them, who is whose parent; by a function, and by a struct of
 * one's own; by each of the three methods.
 *
 *	process_start [SECONDS]     how long each takes (default 0.05)
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct greeting {
	int expected_parent;
	double seconds;
};

static int greet(void *argument)
{
	const struct greeting *greeting = argument;
	struct prusik_process *me = prusik_process_current();

	usleep((useconds_t)(greeting->seconds * 1e6));
	printf("%s: my parent is %s\n", prusik_process_name(me),
	       getppid() == greeting->expected_parent ? "who started me" : "somebody else");
	prusik_process_free(me);
	return 0;
}

/* The second way. */
struct greeter {
	struct prusik_process_own process;
	struct greeting greeting;
};

static int greet_own(struct prusik_process_own *own)
{
	return greet(&((struct greeter *)own)->greeting);
}

static int start(struct greeting *greeting, const char *name, uint32_t method, struct prusik_process **ret)
{
	const struct prusik_process_options options = { .name = name,
							.method = method,
							.argument_length = sizeof *greeting };

	return prusik_process_start(greet, greeting, &options, ret);
}

static int join(struct prusik_process *process)
{
	int code = 1, r = prusik_process_join(process, PRUSIK_FOREVER, &code);

	prusik_process_free(process);
	return r < 0 ? r : -code;
}

static int one_by_each_method(struct greeting *greeting)
{
	static const char *const names[] = { "by fork", "by forkserver", "by spawn" };
	struct prusik_process *process;

	for (uint32_t method = 0; method < 3; method++)
		if (start(greeting, names[method], method, &process) < 0 || join(process) < 0)
			return -1;
	return 0;
}

static int ten(struct greeting *greeting)
{
	struct prusik_process *processes[10];

	for (int i = 0; i < 10; i++)
		if (start(greeting, "one of ten", PRUSIK_PROCESS_FORK, &processes[i]) < 0)
			return -1;
	printf("active: %d\n", (int)prusik_process_active_children(NULL, 0));
	fflush(stdout);
	for (int i = 0; i < 10; i++)
		if (join(processes[i]) < 0)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	prusik_process_register("greet", greet);
	prusik_process_main(); /* children by forkserver and spawn come no further */

	struct greeting greeting = { getpid(), argc > 1 ? atof(argv[1]) : 0.05 };
	struct greeter greeter = { { greet_own }, greeting };
	struct prusik_process *process;
	printf("%s: I am not a child of anybody here\n", prusik_process_parent() ? "?" : "MainProcess");
	if (one_by_each_method(&greeting) < 0)
		return 1;
	const struct prusik_process_options options = { .name = "own struct" };
	if (prusik_process_start_own(&greeter.process, &options, &process) < 0 || join(process) < 0)
		return 1;
	return ten(&greeting) < 0;
}
