/* SPDX-License-Identifier: MIT */
/*
 * process: new images of this program, and prusik_process_main, where they leave main
 *
 * What an image is for stands in its environment: PRUSIK_PROCESS=WHAT,FD,PIDFD. It is
 * taken out at once, so that programs started from there do not see it. Only a program
 * that has been in prusik_process_main itself starts images: one that never calls it would run main
 * once more, and again, and again.
 */
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "PRUSIK_PROCESS"

static uint32_t prepared;

bool prk_image_prepared(void)
{
	return prk_load32_acq(&prepared) != 0; /* acq [prepared] */
}

/* ---- starting one ---- */

static size_t environment_length(void)
{
	size_t n = 0;

	while (environ && environ[n])
		n++;
	return n;
}

/* Ours, and the variable. The pointers are free's; the strings are not. */
static char **environment_with(char *variable)
{
	size_t n = environment_length();
	char **environment = prk_sys_calloc((n + 2) * sizeof *environment);

	if (!environment)
		return NULL;
	if (n > 0)
		memcpy(environment, environ, n * sizeof *environment);
	environment[n] = variable;
	return environment;
}

pid_t prk_image_start(const char *what, const int *fds, unsigned int count, const int streams[3], int *ret_pidfd)
{
	char variable[80];
	char *argv[] = { program_invocation_name, NULL };
	snprintf(variable, sizeof variable, VARIABLE "=%s,%d,%d", what, fds[0], fds[1]);
	char **environment = environment_with(variable);
	struct prk_exec exec = {
		.file = "/proc/self/exe",
		.argv = argv,
		.environment = environment,
		.streams = { streams[0], streams[1], streams[2] },
		.keep = fds,
		.keep_count = count,
		.group = -1,
		.guard = -1,
		.parent = -1,
	};
	if (!environment)
		return -ENOMEM;
	pid_t pid = prk_sys_exec(&exec, ret_pidfd);
	prk_sys_free(environment);
	return pid;
}

static int spawn(struct prk_start *start, int letter_fd, struct prk_letter *letter)
{
	static const int inherit[3] = { -1, -1, -1 };
	const struct prusik_process_options *options = start->options;
	int keep[2 + PRK_DESCRIPTORS_MAX] = { letter_fd, start->family->self };
	int pidfd;

	if (options->descriptor_count)
		memcpy(keep + 2, options->descriptors, options->descriptor_count * sizeof *keep);
	pid_t pid = prk_image_start("spawn", keep, 2 + options->descriptor_count, inherit, &pidfd);
	return pid < 0 ? pid : prk_start_finish(start, &letter->gate, pid, pidfd);
}

int prk_start_spawn(struct prk_start *start)
{
	struct prk_letter *letter;
	int fd = prk_letter_write(start, &letter);

	if (fd < 0)
		return fd;
	int r = spawn(start, fd, letter);
	prk_letter_close(letter, fd);
	return r;
}

/* ---- being one ---- */

/* A letter that is not one was not for us. */
static void be_spawned(int fd, int parent_pidfd)
{
	struct prk_letter *letter;

	if (prk_letter_open(fd, &letter) == 0)
		prk_letter_obey(letter, fd, parent_pidfd);
}

void prusik_process_main(void)
{
	const char *value = secure_getenv(VARIABLE);
	int fd = -1, pidfd = -1;
	char what[8] = "";

	prk_store32_rel(&prepared, 1); /* rel [prepared] */
	if (!value)
		return;
	int fields = sscanf(value, "%7[a-z],%d,%d", what, &fd, &pidfd);
	unsetenv(VARIABLE);
	if (fields != 3 || prk_sys_set_cloexec(fd, 1) < 0 || prk_sys_set_cloexec(pidfd, 1) < 0)
		return;
	if (strcmp(what, "server") == 0)
		prk_serve(fd, pidfd);
	if (strcmp(what, "spawn") == 0)
		be_spawned(fd, pidfd);
}
