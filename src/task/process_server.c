/* SPDX-License-Identifier: MIT */
/*
 * process: the forkserver
 *
 * A new image of this program, stopped in prusik_process_main, with one thread and little memory. It makes
 * copies of itself whose parent is not it but its own parent (CLONE_PARENT): so they are
 * the program's own children, whom it waits for, and who get it for a parent, as if it
 * had forked them.
 *
 * One copy, the spare, is made before it is needed. The program has its pidfd and a socket to it, which
 * lie in the socket between program and server; it takes them out, sends the spare a letter
 * and the descriptors it gets, and tells the server to make another. So nobody waits for
 * the server but who starts children faster than it can copy itself.
 *
 * Server and spare end when the program has ended, or has closed their socket. Signals are blocked
 * in them: what the terminal sends to the group is for the others.
 */
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server may take to end by itself. */
#define SERVER_PATIENCE INT64_C(10000000000)
#define SPARES_TRIED 3

/* From the program to the server. The first one carries the note's file. */
struct order {
	uint32_t taken; /* answers so far */
	uint32_t waits; /* there must be an answer, even if it is an error */
};

/* From the server; with the pidfd of a spare, and the socket to it. */
struct answer {
	int32_t pid; /* or -errno */
};

/* To the spare: which of the descriptors that follow the letter are 0, 1 and 2; the rest is in the letter. */
struct request {
	uint32_t streams;
};

/* ---- the spare ---- */

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
	if (*fd >= above)
		return 0;
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
		if (next >= delivery->count || prk_sys_dup_to(delivery->fds[next++], letter->descriptors[i]) < 0)
			return -EBADF;
	while (next > 1)
		prk_sys_close(delivery->fds[--next]);
	return 0;
}

/* False: the program has ended, or does not want it any more. */
static bool receive_letter(struct delivery *delivery, int socket, int parent_pidfd)
{
	struct pollfd fds[] = { { .fd = socket, .events = POLLIN }, { .fd = parent_pidfd, .events = POLLIN } };

	while (prk_sys_poll(fds, 2, PRUSIK_FOREVER) < 0)
		;
	if (!fds[0].revents)
		return false;
	delivery->count = PRK_SYS_FDS_MAX;
	return prk_sys_receive(socket, &delivery->request, sizeof delivery->request, delivery->fds, &delivery->count,
			       0) == sizeof delivery->request;
}

__attribute__((noreturn)) static void be_spare(int socket, int parent_pidfd)
{
	struct delivery delivery;
	struct prk_letter *letter;

	prk_sys_set_name("prusik-spare");
	if (!receive_letter(&delivery, socket, parent_pidfd))
		_exit(0);
	prk_sys_close(socket);
	if (delivery.count < 1 || prk_letter_open(delivery.fds[0], &letter) < 0)
		_exit(127);
	int above = clear_of(letter), r = move_up(&parent_pidfd, above);
	for (unsigned int i = 0; r == 0 && i < delivery.count; i++)
		r = move_up(&delivery.fds[i], above);
	if (r < 0 || place(&delivery, letter) < 0)
		_exit(127);
	prk_letter_obey(letter, delivery.fds[0], parent_pidfd);
}

/* ---- the server ---- */

struct server {
	int socket, parent_pidfd;
	uint32_t told; /* answers so far */
	struct prk_note *note;
};

/* Its number is in the note before it runs. */
static int copy_self(struct server *server, int *ret_pidfd, int *ret_socket)
{
	int ends[2];
	int r = prk_sys_socketpair(ends);

	if (r < 0)
		return r;
	pid_t pid = prk_sys_clone_sibling(ret_pidfd, (pid_t *)(void *)&server->note->made); /* N1 */
	if (pid == 0) {
		prk_sys_close(server->socket);
		prk_sys_close(ends[0]);
		be_spare(ends[1], server->parent_pidfd);
	}
	prk_sys_close(ends[1]);
	if (pid < 0)
		prk_sys_close(ends[0]);
	else
		*ret_socket = ends[0];
	return pid;
}

static void make_spare(struct server *server, bool tell_errors)
{
	int fds[2] = { -1, -1 };
	struct answer answer = { .pid = copy_self(server, &fds[0], &fds[1]) };

	if (answer.pid < 0 && !tell_errors)
		return;
	prk_sys_send(server->socket, &answer, sizeof answer, fds, answer.pid > 0 ? 2 : 0);
	server->told++;
	for (int i = 0; i < 2 && fds[i] >= 0; i++)
		prk_sys_close(fds[i]);
}

static bool next_order(const struct server *server, struct order *order, int *ret_fd)
{
	struct pollfd fds[] = { { .fd = server->socket, .events = POLLIN },
				{ .fd = server->parent_pidfd, .events = POLLIN } };
	unsigned int count = ret_fd != NULL;

	while (prk_sys_poll(fds, 2, PRUSIK_FOREVER) < 0)
		;
	if (!fds[0].revents)
		return false;
	return prk_sys_receive(server->socket, order, sizeof *order, ret_fd, &count, 0) == sizeof *order &&
	       count == (ret_fd != NULL);
}

void prk_serve(int socket, int parent_pidfd)
{
	struct server server = { .socket = socket, .parent_pidfd = parent_pidfd };
	struct order order;
	void *note;
	int fd;

	prk_sys_block_signals(NULL);
	prk_sys_set_name("prusik-fork");
	if (!next_order(&server, &order, &fd) ||
	    prk_sys_mmap(&note, PRK_NOTE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) < 0)
		_exit(127);
	prk_sys_close(fd);
	server.note = note;
	do
		if (order.taken == server.told)
			make_spare(&server, order.waits);
	while (next_order(&server, &order, NULL));
	_exit(0);
}

/* ---- the program: the server's beginning and end ---- */

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

/* The children of this process have nothing to do with it. */
static int make_note(void **ret_note)
{
	int fd = prk_sys_memfd("prusik-fork");

	if (fd < 0)
		return fd;
	int r = prk_sys_ftruncate(fd, PRK_NOTE_BYTES);
	if (r == 0)
		r = prk_sys_mmap(ret_note, PRK_NOTE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r == 0)
		prk_sys_madvise(*ret_note, PRK_NOTE_BYTES, MADV_DONTFORK);
	if (r == 0)
		return fd;
	prk_sys_close(fd);
	return r;
}

static int set_up_server(struct prk_family *family, int note_fd)
{
	const struct order first = { 0 };
	int ends[2];
	int r = prk_sys_socketpair(ends);

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
	return prk_sys_send(ends[0], &first, sizeof first, &note_fd, 1);
}

static int renew_server_locked(struct prk_family *family)
{
	void *note;

	prk_server_end_locked(family);
	int fd = make_note(&note);
	if (fd < 0)
		return fd;
	family->server_note = note;
	family->server_taken = 0;
	family->server_told = 0;
	int r = set_up_server(family, fd);
	prk_sys_close(fd);
	if (r < 0)
		prk_server_end_locked(family);
	return r;
}

static int ensure_server(struct prk_family *family)
{
	prk_futex_lock(&family->lock);
	int r = prk_helper_lives(&family->server) ? 0 : renew_server_locked(family);
	prk_futex_unlock(&family->lock);
	return r;
}

/* ---- the program: spares ---- */

struct spare {
	pid_t pid;
	int fds[2]; /* its pidfd, and the socket to it */
};

static void discard(const struct spare *spare)
{
	siginfo_t info;

	prk_sys_close(spare->fds[1]);
	prk_sys_pidfd_signal(spare->fds[0], SIGKILL);
	prk_sys_waitid(P_PIDFD, (id_t)spare->fds[0], &info, WEXITED);
	prk_sys_close(spare->fds[0]);
}

/* It has no socket any more, and so it ends. */
static void await_end(pid_t pid)
{
	siginfo_t info;
	int r;

	do
		r = prk_sys_waitid(P_PID, (id_t)pid, &info, WEXITED);
	while (r < 0 && r != -ECHILD);
}

/* -ECONNRESET: the server has ended. -EAGAIN, with MSG_DONTWAIT: there is no spare. */
static int hear(struct prk_family *family, struct spare *ret_spare, int flags)
{
	struct answer answer = { 0 };
	unsigned int count = 2;
	ssize_t n = prk_sys_receive(family->server.socket, &answer, sizeof answer, ret_spare->fds, &count, flags);

	if (n == 0)
		return -ECONNRESET;
	if (answer.pid != 0)
		family->server_taken++;
	if (answer.pid > 0)
		ret_spare->pid = family->server_told = answer.pid;
	if (n < 0 && answer.pid > 0)
		await_end(answer.pid); /* no room for its descriptors */
	if (n < 0)
		return (int)n;
	return answer.pid > 0 ? 0 : flags ? -EAGAIN : answer.pid;
}

static int order(struct prk_family *family, uint32_t waits)
{
	const struct order order = { .taken = family->server_taken, .waits = waits };

	return prk_sys_send(family->server.socket, &order, sizeof order, NULL, 0);
}

static int take_spare(struct prk_family *family, struct spare *ret_spare)
{
	int r = hear(family, ret_spare, MSG_DONTWAIT);

	if (r != -EAGAIN)
		return r;
	r = order(family, 1);
	return r < 0 ? r : hear(family, ret_spare, 0);
}

/* First it is to end by itself, so that it has told of all its copies. */
void prk_server_end_locked(struct prk_family *family)
{
	struct spare spare;

	if (family->server.open) {
		prk_sys_shutdown(family->server.socket);
		if (prk_sys_poll_readable(family->server.pidfd, prusik_in_ns(SERVER_PATIENCE)) < 0)
			prk_sys_pidfd_signal(family->server.pidfd, SIGKILL);
		prk_sys_poll_readable(family->server.pidfd, PRUSIK_FOREVER);
		while (hear(family, &spare, MSG_DONTWAIT) == 0)
			discard(&spare);
		/* acq [note.made]: the server has ended */
		pid_t made = (pid_t)prk_load32_acq(&family->server_note->made);
		if (made != family->server_told)
			await_end(made);
		prk_helper_end(&family->server);
	}
	if (family->server_note)
		prk_sys_munmap(family->server_note, PRK_NOTE_BYTES);
	family->server_note = NULL;
}

/* ---- the program: starting through it ---- */

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

static bool is_gone(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

/* -ESRCH: this spare was killed. */
static int start_with(struct prk_start *start, struct prk_letter *letter, int letter_fd)
{
	struct spare spare;
	int r = take_spare(start->family, &spare);

	if (r < 0)
		return r;
	r = ask(start, spare.fds[1], letter_fd);
	order(start->family, 0); /* should it not hear that, the next start will wait a little */
	if (r < 0) {
		discard(&spare);
		return is_gone(r) ? -ESRCH : r;
	}
	prk_sys_close(spare.fds[1]);
	return prk_start_finish(start, &letter->gate, spare.pid, spare.fds[0]);
}

static int start_once(struct prk_start *start)
{
	struct prk_letter *letter;
	int r = ensure_server(start->family);

	if (r < 0)
		return r;
	int fd = prk_letter_write(start, &letter);
	if (fd < 0)
		return fd;
	r = -ESRCH;
	for (int i = 0; i < SPARES_TRIED && r == -ESRCH; i++)
		r = start_with(start, letter, fd);
	prk_letter_close(letter, fd);
	return r;
}

static void forget_server(struct prk_family *family)
{
	prk_futex_lock(&family->lock);
	prk_server_end_locked(family);
	prk_futex_unlock(&family->lock);
}

int prk_start_by_server(struct prk_start *start)
{
	prk_futex_lock(&start->family->server_lock);
	int r = start_once(start);
	if (is_gone(r)) { /* it was killed; a new one will do */
		forget_server(start->family);
		r = start_once(start);
	}
	prk_futex_unlock(&start->family->server_lock);
	return is_gone(r) || r == -ESRCH ? -EAGAIN : r;
}

int prusik_process_forkserver(void)
{
	struct prk_family *family;
	int r = prk_image_prepared() ? prk_family_open(&family) : -EOPNOTSUPP;

	if (r < 0)
		return r;
	prk_futex_lock(&family->server_lock);
	r = ensure_server(family);
	prk_futex_unlock(&family->server_lock);
	return r;
}

void prusik_process_forkserver_stop(void)
{
	struct prk_family *family;

	if (prk_family_open(&family) < 0)
		return;
	prk_futex_lock(&family->server_lock);
	forget_server(family);
	prk_futex_unlock(&family->server_lock);
}
