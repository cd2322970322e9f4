/* SPDX-License-Identifier: MIT */
/* Python's multiprocessing: peer_mp.py does all of the queue workloads, peer_mp_NOUN.py those of NOUN. */
#include "bench.h"
#include "map.h"
#include "named.h"
#include "queue.h"
#include "team.h"
#include "value.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* BENCH_SCRIPTS: the folder of the scripts, from the build. */
#define QUEUE_SCRIPT BENCH_SCRIPTS "/peer_mp.py"
#define DICT_SCRIPT BENCH_SCRIPTS "/peer_mp_dict.py"
#define LIST_SCRIPT BENCH_SCRIPTS "/peer_mp_list.py"
#define NAMED_SCRIPT BENCH_SCRIPTS "/peer_mp_named.py"
#define VALUE_SCRIPT BENCH_SCRIPTS "/peer_mp_value.py"

#define NUMBERS_MAX 5

/* Never returns: becomes python, with its output going to fd. */
static _Noreturn void become_python(const char *script, const uint64_t *numbers, int count, int fd)
{
	char text[NUMBERS_MAX][24];
	char *argv[NUMBERS_MAX + 3] = { (char[]){ "python3" }, (char *)(uintptr_t)script };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd, STDOUT_FILENO);
	for (int i = 0; i < count; i++) {
		snprintf(text[i], sizeof(text[i]), "%" PRIu64, numbers[i]);
		argv[2 + i] = text[i];
	}
	execvp("python3", argv);
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

static int run_script(const char *script, const uint64_t *numbers, int count, int64_t *ret_ns)
{
	int ends[2], pid, result;

	if (pipe(ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become_python(script, numbers, count, ends[1]);
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

int queue_python(const struct queue_shape *shape, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { shape->size, shape->producers, shape->consumers, shape->capacity, count };

	return run_script(QUEUE_SCRIPT, numbers, 5, ret_ns);
}

int map_python(const struct map_shape *shape, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { shape->operation, shape->processes, shape->keys, count };

	return run_script(DICT_SCRIPT, numbers, 4, ret_ns);
}

int list_python(const struct map_shape *shape, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { shape->operation, shape->processes, shape->keys, count };

	return run_script(LIST_SCRIPT, numbers, 4, ret_ns);
}

int named_python(uint64_t count, int64_t *ret_ns)
{
	return run_script(NAMED_SCRIPT, &count, 1, ret_ns);
}

int value_python(enum value_operation operation, uint32_t processes, uint64_t count, int64_t *ret_ns)
{
	const uint64_t numbers[] = { operation, processes, count };

	return run_script(VALUE_SCRIPT, numbers, 3, ret_ns);
}
