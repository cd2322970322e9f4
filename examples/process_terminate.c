/* SPDX-License-Identifier: MIT */
/* 52: name and number, terminate, and what is so just after it and a little later. */
#include <prusik.h>
#include <stdio.h>
#include <unistd.h>

static int sleep_long(void *unused)
{
	(void)unused;
	sleep(1000);
	return 0;
}

int main(void)
{
	const struct prusik_process_options options = { .name = "sleeper" };
	struct prusik_process *process;
	int code;

	if (prusik_process_start(sleep_long, NULL, &options, &process) < 0)
		return 1;
	printf("%s has %s\n", prusik_process_name(process), prusik_process_pid(process) > 0 ? "a number" : "no number");
	printf("alive: %d\n", prusik_process_is_alive(process));
	if (prusik_process_terminate(process) < 0)
		return 1;
	/* The signal is on its way: for a moment it may still be alive. */
	if (prusik_process_join(process, prusik_in_s(30), &code) < 0)
		return 1;
	printf("alive: %d, exit code %d\n", prusik_process_is_alive(process), code);
	prusik_process_free(process);
	return 0;
}
