/* SPDX-License-Identifier: MIT */
/*
 * process: the forkserver
 *
 * A new image of this program, stopped in prusik_process_main, with one thread and little memory. Asked
 * over a socket, it makes copies of itself whose parent is not it but its own parent
 * (CLONE_PARENT): so they are the program's own children, whom it waits for, and who get it
 * for a parent, as if it had forked them. The request carries the descriptors that a child gets,
 * and the answer its pidfd.
 *
 * It ends when its parent has ended, or has closed the socket. Signals are blocked in it: what
 * the terminal sends to the group is for the others.
 */
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Which of the descriptors that follow the letter are 0, 1 and 2; the rest is in the letter. */
struct request {
	uint32_t streams;
};

struct answer {
	int32_t pid; /* or -errno */
};

/* ---- the server ---- */

struct delivery {
	int fds[PRK_SYS_FDS_MAX];
	unsigned int count;
	struct request request;
};

/* Above all targets, so that none is overwritten before it is in its place. */
static int clear_of(const struct prk_letter *letter)
{
	int highest = 2;

	for (uint32_t i = 0; i < letter->descriptor_count; i++)
		if (letter->descriptors[i] > highest)
			highest = letter->descriptors[i];
	return highest + 1;
}

static int move_up(int *fd, int above)
{
	int moved = prk_sys_dup(*fd, above);

	if (moved < 0)
		return moved;
	prk_sys_close(*fd);
	*fd = moved;
	return 0;
}

static int place(struct delivery *delivery, const struct prk_letter *letter)
{
	unsigned int next = 1;

	for (int i = 0; i < 3; i++) {
		if (!(delivery->request.streams & 1u << i))
			prk_sys_close(i);
		else if (next >= delivery->count || prk_sys_dup_to(delivery->fds[next++], i) < 0)
			return -EBADF;
	}
	for (uint32_t i = 0; i < letter->descriptor_count; i++)
		if (next >= delivery->count ||
		    prk_sys_dup_to(delivery->fds[next++], letter->descriptors[i]) < 0)
			return -EBADF;
	while (next > 1)
		prk_sys_close(delivery->fds[--next]);
	return 0;
}

__attribute__((noreturn)) static void be_child(struct delivery *delivery, int socket, int parent_pidfd)
{
	struct prk_letter *letter;

	prk_sys_close(socket);
	if (delivery->count < 1 || prk_letter_open(delivery->fds[0], &letter) < 0)
		_exit(127);
	int above = clear_of(letter), r = move_up(&parent_pidfd, above);
	for (unsigned int i = 0; r == 0 && i < delivery->count; i++)
		r = move_up(&delivery->fds[i], above);
	if (r < 0 || place(delivery, letter) < 0)
		_exit(127);
	prk_letter_obey(letter, delivery->fds[0], parent_pidfd);
}

static void serve_one(struct delivery *delivery, int socket, int parent_pidfd)
{
	int pidfd = -1;
	struct answer answer = { .pid = prk_sys_clone_sibling(&pidfd) };

	if (answer.pid == 0)
		be_child(delivery, socket, parent_pidfd);
	prk_sys_send(socket, &answer, sizeof answer, &pidfd, answer.pid > 0);
	if (pidfd >= 0)
		prk_sys_close(pidfd);
	for (unsigned int i = 0; i < delivery->count; i++)
		prk_sys_close(delivery->fds[i]);
}

static bool next_request(struct delivery *delivery, int socket, int parent_pidfd)
{
	struct pollfd fds[] = { { .fd = socket, .events = POLLIN },
				{ .fd = parent_pidfd, .events = POLLIN } };

	while (prk_sys_poll(fds, 2, PRUSIK_FOREVER) < 0)
		;
	if (!fds[0].revents)
		return false;
	delivery->count = PRK_SYS_FDS_MAX;
	return prk_sys_receive(socket, &delivery->request, sizeof delivery->request, delivery->fds,
			       &delivery->count, 0) == sizeof delivery->request;
}

void prk_serve(int socket, int parent_pidfd)
{
	struct delivery delivery;

	prk_sys_block_signals(NULL);
	prk_sys_set_name("prusik-fork");
	while (next_request(&delivery, socket, parent_pidfd))
		serve_one(&delivery, socket, parent_pidfd);
	_exit(0);
}

/* ---- its parent ---- */

static int start_server(struct prk_family *family, int theirs, int *ret_pidfd)
{
	int null = prk_sys_open("/dev/null", O_RDWR, 0);
	const int streams[3] = { null, null, null }, keep[2] = { theirs, family->self };

	if (null < 0)
		return null;
	pid_t pid = prk_image_start("server", keep, 2, streams, ret_pidfd);
	prk_sys_close(null);
	return pid < 0 ? pid : 0;
}

static int renew_server_locked(struct prk_family *family)
{
	int ends[2];
	int r = prk_sys_socketpair(ends);

	prk_helper_end(&family->server);
	if (r < 0)
		return r;
	r = start_server(family, ends[1], &family->server.pidfd);
	prk_sys_close(ends[1]);
	if (r < 0) {
		prk_sys_close(ends[0]);
		return r;
	}
	family->server.socket = ends[0];
	family->server.open = 1;
	return 0;
}

static int ensure_server(struct prk_family *family, int *ret_socket)
{
	prk_futex_lock(&family->lock);
	int r = prk_helper_lives(&family->server) ? 0 : renew_server_locked(family);
	*ret_socket = family->server.socket;
	prk_futex_unlock(&family->lock);
	return r;
}

static int ask(const struct prk_start *start, int socket, int letter)
{
	const struct prusik_process_options *options = start->options;
	int fds[4 + PRK_DESCRIPTORS_MAX] = { letter };
	struct request request = { 0 };
	unsigned int n = 1;

	for (int i = 0; i < 3; i++) {
		if (!prk_sys_is_open(i))
			continue;
		request.streams |= 1u << i;
		fds[n++] = i;
	}
	if (options->descriptor_count)
		memcpy(fds + n, options->descriptors, options->descriptor_count * sizeof *fds);
	return prk_sys_send(socket, &request, sizeof request, fds, n + options->descriptor_count);
}

/* An answer must be taken, or the next one who asks gets it. */
static int hear(int socket, struct answer *answer, int *ret_pidfd)
{
	unsigned int count = 1;
	ssize_t n = -EINTR;

	for (int tries = 0; tries < 3 && n < 0 && n != -EMFILE; tries++)
		n = prk_sys_receive(socket, answer, sizeof *answer, ret_pidfd, &count, 0);
	if (n == 0)
		return -ECONNRESET;
	return n < 0 ? (int)n : 0;
}

static int start_through(struct prk_start *start, int socket, struct prk_letter *letter, int letter_fd)
{
	struct answer answer = { 0 };
	int pidfd = -1;
	int r = ask(start, socket, letter_fd);

	if (r == 0)
		r = hear(socket, &answer, &pidfd);
	if (r < 0) {
		prk_gate_open(&letter->gate, PRK_GATE_AWAY);
		if (answer.pid > 0)
			prk_send_away(answer.pid, &letter->gate);
		return r;
	}
	return answer.pid < 0 ? answer.pid : prk_start_finish(start, &letter->gate, answer.pid, pidfd);
}

static int start_once(struct prk_start *start)
{
	struct prk_letter *letter;
	int socket, r = ensure_server(start->family, &socket);

	if (r < 0)
		return r;
	int fd = prk_letter_write(start, &letter);
	if (fd < 0)
		return fd;
	r = start_through(start, socket, letter, fd);
	prk_letter_close(letter, fd);
	return r;
}

static bool server_is_gone(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

/* One that is being killed closes its socket before its pidfd tells. */
static void forget_server(struct prk_family *family)
{
	prk_futex_lock(&family->lock);
	prk_helper_end(&family->server);
	prk_futex_unlock(&family->lock);
}

int prk_start_by_server(struct prk_start *start)
{
	prk_futex_lock(&start->family->server_lock);
	int r = start_once(start);
	if (server_is_gone(r)) { /* it was killed; a new one will do */
		forget_server(start->family);
		r = start_once(start);
	}
	prk_futex_unlock(&start->family->server_lock);
	return server_is_gone(r) ? -EAGAIN : r;
}

int prusik_process_forkserver(void)
{
	struct prk_family *family;
	int socket, r = prk_image_prepared() ? prk_family_open(&family) : -EOPNOTSUPP;

	return r < 0 ? r : ensure_server(family, &socket);
}

void prusik_process_forkserver_stop(void)
{
	struct prk_family *family;

	if (prk_family_open(&family) < 0)
		return;
	prk_futex_lock(&family->server_lock);
	prk_futex_lock(&family->lock);
	prk_helper_end(&family->server);
	prk_futex_unlock(&family->lock);
	prk_futex_unlock(&family->server_lock);
}
