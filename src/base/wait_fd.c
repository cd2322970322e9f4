/* SPDX-License-Identifier: MIT */
/*
 * wait_fd - sleeping on descriptors, and on a token beside them
 *
 * The kernel cannot sleep on a descriptor and on a word. Who heeds a token looks at it for some
 * milliseconds himself; if it takes longer he starts a thread, the lookout, that sleeps on the token
 * in his place and tells him by a descriptor (an eventfd). When he goes on he calls it off, and waits until
 * it is gone, since both the token and the struct below may be gone afterwards. Without memory
 * for a lookout he goes on looking himself.
 *
 * struct lookout
 *
 * WORD     over: 1: called off; gone: 1: the lookout does not look at the struct any more
 * WRITES   over: who waits; gone: the lookout; all else who waits, before the lookout begins
 * ALWAYS   the lookout runs => who waits has not returned
 * MAY LIE  nothing
 * KILLED   both are threads of one process
 */
#include "base/wait_fd.h"

#include "base/flag.h"
#include "base/sys.h"
#include "base/sys_process.h"
#include "base/wait.h"

#include <errno.h>
#include <limits.h>
#include <prusik/common.h>
#include <string.h>

#define SLICE INT64_C(4000000)
/* How many descriptors can be waited for together with a lookout. */
#define TOGETHER 8u

static int poll_once(struct pollfd *fds, unsigned int count, int64_t deadline)
{
	int r = prk_sys_poll(fds, count, deadline);

	return r == -EINTR ? 0 : r;
}

/* ---- the lookout ---- */

struct lookout {
	uint32_t *token;
	uint32_t began; /* the token's value before anybody looked whether it is set */
	int event;
	uint32_t over, gone;
};

static bool called_off(const struct lookout *lookout)
{
	return prk_load32_acq(&lookout->over) != 0; /* acq [lookout.over] */
}

static void *look_out(void *argument)
{
	struct lookout *lookout = argument;
	int r = 0;

	prk_cancel_here = lookout->token;
	while (r == 0 && !called_off(lookout))
		r = prk_flag_passed(lookout->token, lookout->began) ?
			    -ECANCELED :
			    prk_wait_private(&lookout->over, 0, PRUSIK_FOREVER);
	prk_cancel_here = NULL;
	if (r == -ECANCELED)
		prk_sys_event_raise(lookout->event);
	uint32_t *gone = &lookout->gone;
	prk_store32_rel(gone, 1); /* rel [lookout.gone] */
	prk_wake(gone, INT_MAX);
	return NULL;
}

static int post(struct lookout *lookout)
{
	lookout->event = prk_sys_event();
	if (lookout->event < 0)
		return lookout->event;
	int r = prk_sys_helper_thread(look_out, lookout, "prusik-lookout");
	if (r < 0)
		prk_sys_close(lookout->event);
	return r;
}

static void call_off(void *argument)
{
	struct lookout *lookout = argument;

	prk_store32_rel(&lookout->over, 1); /* rel [lookout.over] */
	prk_wake(&lookout->over, 1);
	while (!prk_load32_acq(&lookout->gone)) /* acq [lookout.gone] */
		prk_sys_futex_wait(&lookout->gone, 0, PRUSIK_FOREVER);
	prk_sys_close(lookout->event);
}

/* ---- waiting ---- */

/* Until deadline, or until somebody else is to be asked: as prk_sys_poll, and -ECANCELED. */
static int poll_with(const struct lookout *lookout, struct pollfd *fds, unsigned int count, int64_t deadline)
{
	struct pollfd all[TOGETHER + 1];

	memcpy(all, fds, count * sizeof *fds);
	all[count] = (struct pollfd){ .fd = lookout->event, .events = POLLIN };
	int r = poll_once(all, count + 1, deadline);
	memcpy(fds, all, count * sizeof *fds);
	if (r <= 0)
		return r;
	int ready = r - (all[count].revents != 0);
	return ready > 0 ? ready : -ECANCELED;
}

static bool passed(int64_t deadline)
{
	return deadline != PRUSIK_FOREVER && prusik_now() >= deadline;
}

/* It is called off, too, when the waiting thread is ended by pthread_cancel. */
static int wait_with_lookout(struct lookout *lookout, struct pollfd *fds, unsigned int count, int64_t deadline)
{
	int r;

	pthread_cleanup_push(call_off, lookout);
	do
		r = poll_with(lookout, fds, count, deadline);
	while (r == 0 && !passed(deadline));
	pthread_cleanup_pop(1);
	return r == 0 ? -ETIMEDOUT : r;
}

/* The same, looking at the token from time to time; 0: for one slice nothing has happened. */
static int wait_a_slice(const struct lookout *lookout, struct pollfd *fds, unsigned int count, int64_t deadline)
{
	int64_t slice = prusik_in_ns(SLICE);

	if (prk_flag_passed(lookout->token, lookout->began))
		return -ECANCELED;
	int r = poll_once(fds, count, slice < deadline ? slice : deadline);
	return r == 0 && passed(deadline) ? -ETIMEDOUT : r;
}

static int wait_heeding(uint32_t *token, uint32_t began, struct pollfd *fds, unsigned int count, int64_t deadline)
{
	struct lookout lookout = { .token = token, .began = began };
	int r = wait_a_slice(&lookout, fds, count, deadline);

	if (r == 0 && count <= TOGETHER && post(&lookout) == 0)
		return wait_with_lookout(&lookout, fds, count, deadline);
	while (r == 0)
		r = wait_a_slice(&lookout, fds, count, deadline);
	return r;
}

int prk_wait_fds(struct pollfd *fds, unsigned int count, int64_t deadline)
{
	uint32_t *token = prk_cancel_here;
	uint32_t began = token ? prk_load32_acq(token) & ~PRK_FLAG_SET : 0; /* acq [flag]: F-S */
	int r = poll_once(fds, count, deadline == PRUSIK_NOW || token ? PRUSIK_NOW : deadline);

	if (r == 0 && deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	if (r == 0 && token)
		return wait_heeding(token, began, fds, count, deadline);
	while (r == 0 && !passed(deadline))
		r = poll_once(fds, count, deadline);
	return r == 0 ? -ETIMEDOUT : r;
}

int prk_wait_readable(int fd, int64_t deadline)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	int r = prk_wait_fds(&one, 1, deadline);

	if (r < 0)
		return r;
	return one.revents & POLLNVAL ? -EBADF : 0;
}
