/* SPDX-License-Identifier: MIT */
/* Python's multiprocessing.Queue in the queue workloads: peer_mp.py does all of it. */
#include "bench.h"
#include "queue.h"
#include "team.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* BENCH_SCRIPTS: the folder of peer_mp.py, from the build. */
#define SCRIPT BENCH_SCRIPTS "/peer_mp.py"

/* Never returns: becomes python, with its output going to fd. */
static _Noreturn void become_python(const struct queue_shape *shape, uint64_t count, int fd)
{
	char size[16], producers[16], consumers[16], capacity[16], items[24];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd, STDOUT_FILENO);
	snprintf(size, sizeof(size), "%" PRIu32, shape->size);
	snprintf(producers, sizeof(producers), "%" PRIu32, shape->producers);
	snprintf(consumers, sizeof(consumers), "%" PRIu32, shape->consumers);
	snprintf(capacity, sizeof(capacity), "%" PRIu32, shape->capacity);
	snprintf(items, sizeof(items), "%" PRIu64, count);
	execlp("python3", "python3", SCRIPT, size, producers, consumers, capacity, items, (char *)NULL);
	_exit(write(fd, "missing\n", 8) != 8);
}

/* The script's one line: "ok NANOSECONDS", "wrong", or "missing". */
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

int queue_python(const struct queue_shape *shape, uint64_t count, int64_t *ret_ns)
{
	int ends[2], pid, result;

	if (pipe(ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become_python(shape, count, ends[1]);
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
