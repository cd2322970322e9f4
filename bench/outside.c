/* SPDX-License-Identifier: MIT */
/* Programs of other languages: started, timed out, and their answer read. */
#include "outside.h"

#include "bench.h"
#include "team.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Never returns: becomes the program, with its output going to fd. */
static _Noreturn void become(const char *program, const char *script, const uint64_t *numbers, int count, int fd)
{
	char text[OUTSIDE_NUMBERS_MAX][24];
	char *argv[OUTSIDE_NUMBERS_MAX + 3] = { (char *)(uintptr_t)program };
	int n = 1;

	if (script)
		argv[n++] = (char *)(uintptr_t)script;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd, STDOUT_FILENO);
	for (int i = 0; i < count; i++) {
		snprintf(text[i], sizeof(text[i]), "%" PRIu64, numbers[i]);
		argv[n++] = text[i];
	}
	execvp(program, argv);
	_exit(write(fd, "missing\n", 8) != 8);
}

static int read_answer(int fd, int64_t *ret_ns)
{
	FILE *stream = fdopen(fd, "r");
	char word[16] = "";
	int fields;

	if (!stream) {
		close(fd);
		return -ENOMEM;
	}
	fields = fscanf(stream, "%15s %" SCNd64, word, ret_ns);
	fclose(stream);
	if (fields == 2)
		return 0;
	if (strcmp(word, "missing") == 0)
		return BENCH_LEFT_OUT;
	return strcmp(word, "wrong") == 0 ? BENCH_WRONG : -EPROTO;
}

int outside_run(const char *program, const char *script, const uint64_t *numbers, int count, int64_t *ret_ns)
{
	int ends[2], pid, result;

	if (pipe(ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become(program, script, numbers, count, ends[1]);
	close(ends[1]);
	result = pid < 0 ? -errno : team_wait(&pid, 1, TEAM_LIMIT_NS);
	if (result == -ECHILD)
		result = 0; /* its answer, or that there is none, says more */
	if (result < 0) {
		close(ends[0]);
		return result;
	}
	return read_answer(ends[0], ret_ns);
}
