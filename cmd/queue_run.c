/* SPDX-License-Identifier: MIT */
/*
 * prusik queue get ... -- CMD: run a command for each item
 *
 * The item is lent to this process while the command runs. The command dies with
 * this process (PR_SET_PDEATHSIG), so that when the item is handed out again nobody
 * works on it any more; what the command itself starts is its own affair.
 */
#include "line.h"
#include "queue.h"

#include <errno.h>
#include <prusik/common.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every {} of the argument becomes the item; NULL: out of memory. */
static char *replace(const char *argument, const char *item)
{
	size_t length = strlen(item), count = 0;

	for (const char *at = argument; (at = strstr(at, "{}")); at += 2)
		count++;
	char *made = malloc(strlen(argument) + count * length + 1), *to = made;
	if (!made)
		return NULL;
	for (const char *next; (next = strstr(argument, "{}")); argument = next + 2) {
		to = mempcpy(to, argument, (size_t)(next - argument));
		to = mempcpy(to, item, length);
	}
	strcpy(to, argument);
	return made;
}

static char **arguments_for(char **command, const char *item)
{
	size_t n = 0;

	while (command[n])
		n++;
	char **made = calloc(n + 1, sizeof *made);
	for (size_t i = 0; made && i < n; i++)
		if (!(made[i] = replace(command[i], item)))
			return NULL; /* in a child that is about to end */
	return made;
}

/* In the child. */
static void become(struct queue_call *call, const char *item, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125); /* it ended before that */
	char **arguments = arguments_for(call->command, item);
	if (!arguments || setenv("PRUSIK_ITEM", item, 1) != 0)
		_exit(125);
	execvp(arguments[0], arguments);
	int cause = errno;
	cmd_say(": cannot run %s: %s", arguments[0], strerror(cause));
	_exit(cause == ENOENT ? 127 : 126);
}

/* The exit code of the command, 128 + signal, or 125. */
static int run(struct queue_call *call, const char *item)
{
	pid_t parent = getpid(), child = fork();
	int status;

	if (child < 0)
		return 125;
	if (child == 0)
		become(call, item, parent);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_for(struct queue_call *call, const struct prusik_lease *lease)
{
	char *item = strndup(lease->data, lease->length);
	int code = 125;

	if (item && strlen(item) == lease->length)
		code = run(call, item);
	else
		cmd_say(": queue '%s': an item with a NUL byte cannot be given to a command", call->name);
	free(item);
	return code;
}

static int one(struct queue_call *call, int *ret_code)
{
	struct prusik_lease lease;
	int r = prusik_queue_take(call->queue, &lease, call->deadline);

	if (r < 0)
		return r;
	*ret_code = run_for(call, &lease);
	if (*ret_code == 0)
		return prusik_queue_done(call->queue, &lease);
	int64_t later = call->delay > 0 ? prusik_in_ns((int64_t)(call->delay * 1e9)) : PRUSIK_NOW;
	r = prusik_queue_retry(call->queue, &lease, later);
	return r < 0 ? r : 0;
}

/* A command that cannot be run at all would be tried for ever. */
static bool hopeless(int code)
{
	return code == 126 || code == 127;
}

int queue_get_for_command(struct queue_call *call)
{
	uint64_t left = call->loop ? UINT64_MAX : call->count ? call->count : 1;
	int code = CMD_OK, last = CMD_OK;

	for (; left > 0; left--) {
		int r = one(call, &last);
		if (r == -EPIPE && call->loop)
			return code;
		if (r == -ESTALE && call->loop) {
			queue_trouble(call, r); /* its time was over; go on */
			continue;
		}
		if (r < 0)
			return queue_trouble(call, r);
		if (last != 0)
			code = last;
		if (hopeless(last))
			break;
	}
	return code;
}
