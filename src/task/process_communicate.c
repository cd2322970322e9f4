/* SPDX-License-Identifier: MIT */
/*
 * process: a program's input and output, at once
 *
 * Our ends of pipes do not block. What has been done is in the handle, so that a call that was cut short
 * can be followed by another. A stream of memory is read when the program has ended.
 */
#include "base/flag.h"
#include "base/sys.h"
#include "base/sys_process.h"
#include "base/wait.h"
#include "base/wait_fd.h"
#include "task/process.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)

/*
 * When the time is over, and the program has ended too, what it wrote lies in pipes: so often some of it
 * is still fetched. (They hold less; but a child of the program's may write on and on.)
 */
#define LAST_ROUNDS 64

struct talk {
	struct prusik_process *process;
	const char *input;
	uint64_t length;
	int64_t deadline;
	uint32_t began; /* the token's value */
	int rounds_left; /* after its end */
};

/* ---- output ---- */

static int make_room(struct prk_capture *capture, size_t more)
{
	if (capture->room - capture->length > more)
		return 0;
	size_t room = capture->room * 2 + more + 1;
	void *data = prk_sys_gate(PRK_SYS_MALLOC) ? NULL : realloc(capture->data, room);
	if (!data)
		return -ENOMEM;
	capture->data = data;
	capture->room = room;
	return 0;
}

static int read_some(struct prusik_process *process, int which)
{
	struct prk_capture *capture = &process->capture[which - 1];
	int r = make_room(capture, CHUNK);

	if (r < 0)
		return r;
	ssize_t n = prk_sys_read(process->stream[which], capture->data + capture->length, CHUNK);
	if (n == 0)
		prusik_process_close_stream(process, which);
	else if (n > 0)
		capture->length += (size_t)n;
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}

static int read_memory(struct prusik_process *process, int which)
{
	struct prk_capture *capture = &process->capture[which - 1];
	ssize_t n = 1;

	while (n > 0) {
		int r = make_room(capture, CHUNK);
		if (r < 0)
			return r;
		n = prk_sys_pread(process->stream[which], capture->data + capture->length, CHUNK,
				  (off_t)capture->length);
		if (n > 0)
			capture->length += (size_t)n;
	}
	if (n == 0)
		prusik_process_close_stream(process, which);
	return (int)n;
}

static int hand_over(struct prk_capture *capture, struct prusik_output *ret_output)
{
	int r = ret_output ? make_room(capture, 1) : 0;

	if (r < 0)
		return r;
	if (ret_output) {
		capture->data[capture->length] = 0;
		*ret_output = (struct prusik_output){ capture->data, capture->length };
	} else {
		prk_sys_free(capture->data);
	}
	*capture = (struct prk_capture){ 0 };
	return 0;
}

void prusik_output_free(struct prusik_output *output)
{
	if (!output)
		return;
	prk_sys_free(output->data);
	*output = (struct prusik_output){ 0 };
}

/* ---- input ---- */

/* Nobody reads it any more: then that was all of it. */
static int write_some(struct talk *talk)
{
	struct prusik_process *process = talk->process;
	uint64_t left = talk->length - process->written;
	ssize_t n = left ? prk_sys_write(process->stream[0], talk->input + process->written,
					 left < INT32_MAX ? left : INT32_MAX) :
			   0;

	if (n > 0)
		process->written += (uint64_t)n;
	if (n == -EPIPE || process->written >= talk->length)
		prusik_process_close_stream(process, 0);
	return n < 0 && n != -EPIPE && n != -EAGAIN ? (int)n : 0;
}

/* ---- both ---- */

static int serve(struct talk *talk, const struct pollfd *fds)
{
	int r = fds[0].revents ? write_some(talk) : 0;

	for (int which = 1; r == 0 && which < 3; which++)
		if (fds[which].revents)
			r = read_some(talk->process, which);
	return r;
}

/* 0, or why it is over. One who writes on and on never lets the wait come to that. */
static int time_is_over(const struct talk *talk)
{
	const uint32_t *token = prk_cancel_here;

	if (token && prk_flag_passed(token, talk->began))
		return -ECANCELED;
	return talk->deadline != PRUSIK_FOREVER && prusik_now() >= talk->deadline ? -ETIMEDOUT : 0;
}

/* As long as the program runs, there is something to wait for: its end. */
static int go_on(struct talk *talk)
{
	int r = time_is_over(talk);

	if (r < 0 && prusik_process_is_alive(talk->process) != 1 && talk->rounds_left-- > 0)
		r = 0;
	return r;
}

static int exchange(struct talk *talk)
{
	const int *stream = talk->process->stream;

	for (;;) {
		struct pollfd fds[3];
		int open = 0;
		for (int i = 0; i < 3; i++) {
			fds[i] = (struct pollfd){ .fd = talk->process->pipes & 1u << i ? stream[i] : -1,
						  .events = i ? POLLIN : POLLOUT };
			open += fds[i].fd >= 0;
		}
		if (!open)
			return 0;
		int r = prk_wait_fds(fds, 3, talk->deadline);
		if (r > 0)
			r = serve(talk, fds);
		if (r == 0)
			r = go_on(talk);
		if (r < 0)
			return r;
	}
}

static int take_outputs(struct prusik_process *process, struct prusik_output *ret_out, struct prusik_output *ret_err)
{
	for (int which = 1; which < 3; which++) {
		int r = process->stream[which] >= 0 ? read_memory(process, which) : 0;
		if (r < 0)
			return r;
	}
	/* Room for both, before either is given away. */
	for (int i = 0; i < 2; i++) {
		int r = make_room(&process->capture[i], 1);
		if (r < 0)
			return r;
	}
	hand_over(&process->capture[0], ret_out);
	hand_over(&process->capture[1], ret_err);
	return 0;
}

int prusik_process_communicate(struct prusik_process *process, const void *input, uint64_t length, int64_t deadline,
			       struct prusik_output *ret_out, struct prusik_output *ret_err)
{
	struct talk talk = {
		.process = process,
		.input = input,
		.length = length,
		.deadline = deadline,
		.began = prk_cancel_here ? prk_load32_acq(prk_cancel_here) & ~PRK_FLAG_SET : 0, /* acq [flag]: F-S */
		.rounds_left = LAST_ROUNDS,
	};

	if (!process || (length && !input))
		return -EINVAL;
	if (process->kind != PRK_PROCESS_CHILD || process->parent != getpid())
		return -EPERM;
	int r = exchange(&talk);
	if (r == 0)
		r = prusik_process_join(process, deadline, NULL);
	if (r == -ECHILD)
		r = 0; /* its output is known, and join tells that its code is not */
	return r < 0 ? r : take_outputs(process, ret_out, ret_err);
}
