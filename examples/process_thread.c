/* SPDX-License-Identifier: MIT */
/* 25: a process that starts a thread. Its end waits for the thread, and the program's for the process. */
#include <prusik.h>
#include <stdio.h>
#include <unistd.h>

static int in_thread(void *unused)
{
	(void)unused;
	usleep(50000);
	printf("a thread of the child\n");
	return 0;
}

static int in_process(void *unused)
{
	(void)unused;
	printf("the child\n");
	return prusik_thread_start(in_thread, NULL, NULL, NULL) < 0;
}

int main(void)
{
	struct prusik_process *process;

	if (prusik_process_start(in_process, NULL, NULL, &process) < 0)
		return 1;
	prusik_process_free(process);
	return 0;
}
