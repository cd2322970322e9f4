/* SPDX-License-Identifier: MIT */
/*
 * process: other programs
 *
 * Everything that can be prepared is prepared here, before there is a child; what has to be done in the
 * child is done while the caller stands still and shares his memory with it (prk_sys_exec), and
 * either all of it succeeds, or he has the error and there is no child.
 */
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct plumbing {
	int theirs[3]; /* to become the program's 0, 1, 2; -1: ours */
	int ours[3]; /* our ends; -1: none */
	uint32_t pipes; /* bit i: ours[i] is the end of one */
	int given[3]; /* not 0: theirs is the caller's own, or another one's; not to be closed */
};

/* ---- streams ---- */

static int open_file(const struct prusik_stream *stream, int which)
{
	int how = stream->kind == PRUSIK_STREAM_APPEND ? O_APPEND : O_TRUNC;

	if (!stream->path)
		return -EINVAL;
	if (which == 0)
		return prk_sys_open(stream->path, O_RDONLY, 0);
	return prk_sys_open(stream->path, O_WRONLY | O_CREAT | how, 0666);
}

static int open_pipe(struct plumbing *plumbing, int which)
{
	int ends[2];
	int r = prk_sys_pipe(ends);

	if (r < 0)
		return r;
	plumbing->theirs[which] = ends[which != 0];
	plumbing->ours[which] = ends[which == 0];
	plumbing->pipes |= 1u << which;
	return prk_sys_set_nonblocking(plumbing->ours[which]);
}

static int open_memory(struct plumbing *plumbing, int which, const struct prusik_stream *stream)
{
	int fd = prk_sys_memfd("prusik-stream");

	if (fd < 0)
		return fd;
	plumbing->theirs[which] = fd;
	if (which > 0) {
		int own = prk_sys_dup(fd, 3);
		plumbing->ours[which] = own;
		return own < 0 ? own : 0;
	}
	int r = prk_sys_write_all(fd, stream->data, stream->length);
	return r == 0 && lseek(fd, 0, SEEK_SET) != 0 ? -EIO : r;
}

static int use_descriptor(struct plumbing *plumbing, int which, int fd)
{
	plumbing->theirs[which] = fd;
	plumbing->given[which] = 1;
	return fd >= 0 && prk_sys_is_open(fd) ? 0 : -EBADF;
}

static int keep_opened(struct plumbing *plumbing, int which, int fd)
{
	plumbing->theirs[which] = fd;
	return fd < 0 ? fd : 0;
}

static int lay(struct plumbing *plumbing, int which, const struct prusik_stream *stream)
{
	switch (stream->kind) {
	case PRUSIK_STREAM_INHERIT:
		return 0;
	case PRUSIK_STREAM_NULL:
		return keep_opened(plumbing, which, prk_sys_open("/dev/null", O_RDWR, 0));
	case PRUSIK_STREAM_PIPE:
		return open_pipe(plumbing, which);
	case PRUSIK_STREAM_FILE:
	case PRUSIK_STREAM_APPEND:
		return keep_opened(plumbing, which, open_file(stream, which));
	case PRUSIK_STREAM_DESCRIPTOR:
		return use_descriptor(plumbing, which, stream->descriptor);
	case PRUSIK_STREAM_MEMORY:
		if (which == 0 && stream->length && !stream->data)
			return -EINVAL;
		return open_memory(plumbing, which, stream);
	case PRUSIK_STREAM_OUT:
		if (which != 2)
			return -EINVAL;
		return use_descriptor(plumbing, 2, plumbing->theirs[1] >= 0 ? plumbing->theirs[1] : 1);
	default:
		return -EINVAL;
	}
}

static int lay_all(struct plumbing *plumbing, const struct prusik_run_options *options)
{
	const struct prusik_stream *streams[3] = { &options->in, &options->out, &options->err };
	int r = 0;

	for (int i = 0; i < 3; i++) {
		plumbing->theirs[i] = plumbing->ours[i] = -1;
		plumbing->given[i] = 0;
	}
	for (int i = 0; r >= 0 && i < 3; i++)
		r = lay(plumbing, i, streams[i]);
	return r;
}

static void close_theirs(struct plumbing *plumbing)
{
	for (int i = 0; i < 3; i++)
		if (plumbing->theirs[i] >= 0 && !plumbing->given[i])
			prk_sys_close(plumbing->theirs[i]);
}

static void close_ours(struct plumbing *plumbing)
{
	for (int i = 0; i < 3; i++)
		if (plumbing->ours[i] >= 0)
			prk_sys_close(plumbing->ours[i]);
}

/* ---- running ---- */

struct run {
	const char *const *argv;
	const struct prusik_run_options *options;
	struct prk_family *family;
	struct prusik_process *process;
	struct plumbing plumbing;
};

static int execute(struct run *run)
{
	const struct prusik_run_options *options = run->options;
	const char *const *environment = options->environment;
	struct prk_exec exec = {
		.file = run->argv[0],
		.argv = (char *const *)(uintptr_t)run->argv,
		.environment = environment ? (char *const *)(uintptr_t)environment : environ,
		.directory = options->directory,
		.keep = options->descriptors,
		.keep_count = options->descriptor_count,
		.group = options->group == 0 ? -1 :
			 options->group == 1 ? 0 :
					       (int)options->group,
		.session = options->new_session != 0,
		.guard = options->daemon ? run->family->guard.socket : -1,
		.parent = run->family->self,
	};

	memcpy(exec.streams, run->plumbing.theirs, sizeof exec.streams);
	pid_t pid = prk_sys_exec(&exec, &run->process->pidfd);
	if (pid < 0) {
		run->process->pidfd = -1;
		return pid;
	}
	run->process->pid = pid;
	run->process->pipes = run->plumbing.pipes;
	memcpy(run->process->stream, run->plumbing.ours, sizeof run->process->stream);
	prk_family_add(run->family, run->process);
	return 0;
}

static int execute_plumbed(struct run *run)
{
	int r = lay_all(&run->plumbing, run->options);

	if (r >= 0)
		r = execute(run);
	close_theirs(&run->plumbing);
	if (r < 0)
		close_ours(&run->plumbing);
	return r;
}

static int run_program(struct run *run)
{
	const char *name = run->options->name ? run->options->name : run->argv[0];
	int r = prk_family_open(&run->family);

	if (r == 0 && run->options->daemon)
		r = prk_guard_ensure(run->family);
	if (r < 0)
		return r;
	run->process = prk_process_new(name, PRK_PROCESS_CHILD);
	if (!run->process)
		return -ENOMEM;
	run->process->daemon = run->options->daemon != 0;
	return execute_plumbed(run);
}

int prusik_process_run(const char *const *argv, const struct prusik_run_options *options,
		       struct prusik_process **ret_process)
{
	static const struct prusik_run_options defaults;
	struct run run = { .argv = argv, .options = options ? options : &defaults };

	if (!argv || !argv[0] || !ret_process || (run.options->descriptor_count && !run.options->descriptors))
		return -EINVAL;
	int r = run_program(&run);
	if (r == 0)
		*ret_process = run.process;
	else if (run.process)
		prk_process_drop(run.process);
	return r;
}

/* ---- our ends ---- */

int prusik_process_stream(const struct prusik_process *process, int which)
{
	if (!process || which < 0 || which > 2)
		return -EINVAL;
	return process->stream[which] >= 0 ? process->stream[which] : -ENOENT;
}

int prusik_process_close_stream(struct prusik_process *process, int which)
{
	int fd = prusik_process_stream(process, which);

	if (fd < 0)
		return fd;
	process->stream[which] = -1;
	prk_sys_close(fd);
	return 0;
}
