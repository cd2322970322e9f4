/* SPDX-License-Identifier: MIT */
/*
 * process: a process and all its descendants, with nobody getting away
 *
 * A child of ours is the parent of its descendants' orphans. It is stopped first: so it starts nothing
 * more, and waits for nobody, whence its children's numbers stay theirs. Then its children are
 * killed. Each that dies leaves it its own children, which are killed in the next round;
 * whoever forks meanwhile only makes more such children. When two rounds in a row found nobody alive
 * it is killed itself. What it leaves are zombies, for whoever adopts them; if that is the caller,
 * he reaps them.
 *
 * Nothing here allocates: the guard's heap is not to be used.
 */
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernel's highest process number. */
#define PIDS (UINT32_C(1) << 22)
#define SET_BYTES (PIDS / 8)
/*
 * So long is waited for those who do not die (before a disk answers, say). Those who only need a
 * processor for it are waited for until they get one: to give them up would let their
 * children get away.
 */
#define PATIENCE INT64_C(10000000000)
/* Between rounds: twice as long each time that nobody new was found, up to the last. */
#define ROUND_PAUSE INT64_C(200000)
#define ROUND_PAUSE_MAX INT64_C(12800000)
#define ORPHANS_MAX 4096
/*
 * Room for two entries of /proc. Were they listed by the hundred, one that forks and ends, and
 * forks and ends, could be dead when its turn comes, and its child younger than the list.
 * So each is listed after its predecessor was looked at; and numbers go upwards, as the list does.
 */
#define LISTED_BYTES 64

struct hunt {
	const int *pidfds;
	uint32_t count;
	uint64_t *roots; /* a set of numbers */
	uint32_t alive; /* in this round: descendants, and roots that have not stopped yet */
	uint32_t dying; /* of them those who will die, or stop, as soon as they get a processor */
	uint64_t who; /* tells this round's from another's */
	int denied;
	uint32_t orphan_count;
	pid_t *orphans;
};

static void include(struct hunt *hunt, pid_t pid)
{
	if (pid > 0 && (uint32_t)pid < PIDS)
		hunt->roots[pid / 64] |= UINT64_C(1) << pid % 64;
}

static bool included(const struct hunt *hunt, pid_t pid)
{
	return pid > 0 && (uint32_t)pid < PIDS && (hunt->roots[pid / 64] >> pid % 64 & 1);
}

/* ---- one look at all processes ---- */

struct stat_line {
	char state;
	int parent;
	int threads;
};

/* "pid (name) state ppid ... threads": the name may hold anything, the rest holds no ')'. */
static int parse_stat(const char *text, struct stat_line *ret_line)
{
	const char *from = strrchr(text, ')');

	if (!from || sscanf(from + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d",
			    &ret_line->state, &ret_line->parent, &ret_line->threads) != 3)
		return -EPROTO;
	return 0;
}

static int read_stat(int proc, const char *pid, struct stat_line *ret_line)
{
	char path[32], text[1024];
	snprintf(path, sizeof path, "%.16s/stat", pid);
	int fd = prk_sys_openat(proc, path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	ssize_t n = prk_sys_read(fd, text, sizeof text - 1);
	prk_sys_close(fd);
	if (n <= 0)
		return -ESRCH;
	text[n] = 0;
	return parse_stat(text, ret_line);
}

static bool is_dead(const struct stat_line *line)
{
	return (line->state == 'Z' || line->state == 'X') && line->threads <= 1;
}

static bool is_settled(const struct stat_line *line)
{
	return line->state == 'T' || line->state == 't' || is_dead(line);
}

/* Who was told to end runs, or wants to, unless something holds him. */
static void count(struct hunt *hunt, pid_t pid, const struct stat_line *line)
{
	hunt->alive++;
	hunt->dying += line->state == 'R';
	hunt->who = hunt->who * 31 + (uint64_t)pid;
}

static void note_orphan(struct hunt *hunt, pid_t pid)
{
	if (hunt->orphans && hunt->orphan_count < ORPHANS_MAX)
		hunt->orphans[hunt->orphan_count++] = pid;
}

static void visit(struct hunt *hunt, int proc, const char *name)
{
	struct stat_line line;
	pid_t pid = atoi(name);

	if (pid <= 0 || read_stat(proc, name, &line) < 0)
		return;
	if (included(hunt, pid)) {
		if (!is_settled(&line))
			count(hunt, pid, &line);
		return;
	}
	if (!included(hunt, line.parent))
		return;
	note_orphan(hunt, pid);
	if (is_dead(&line))
		return;
	if (prk_sys_kill(pid, SIGKILL) == -EPERM)
		hunt->denied = 1;
	else
		count(hunt, pid, &line);
}

struct directory_entry {
	uint64_t inode, offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static int look_around(struct hunt *hunt, int proc)
{
	_Alignas(8) char buffer[LISTED_BYTES];
	ssize_t n;

	hunt->alive = hunt->dying = hunt->orphan_count = 0;
	hunt->who = 0;
	if (lseek(proc, 0, SEEK_SET) < 0)
		return -EIO;
	while ((n = prk_sys_getdents(proc, buffer, sizeof buffer)) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct directory_entry *entry = (const void *)(buffer + at);
			if (entry->name[0] >= '1' && entry->name[0] <= '9')
				visit(hunt, proc, entry->name);
			at += entry->length;
		}
	}
	return (int)n;
}

/* ---- the hunt ---- */

static void signal_roots(const struct hunt *hunt, int signal)
{
	for (uint32_t i = 0; i < hunt->count; i++)
		prk_sys_pidfd_signal(hunt->pidfds[i], signal);
}

static void pause_for(int64_t duration)
{
	uint32_t never_woken = 0;

	prk_sys_futex_wait(&never_woken, 0, prusik_in_ns(duration));
}

/* Two rounds in which nobody was alive: whoever was born during the first was seen by the second. */
static int go_round(struct hunt *hunt, int proc)
{
	int64_t until = prusik_in_ns(PATIENCE), pause = ROUND_PAUSE;
	uint64_t who = 0;
	int r;

	for (int quiet = 0; quiet < 2 && prusik_now() < until; who = hunt->who) {
		if ((r = look_around(hunt, proc)) < 0)
			return r;
		quiet = hunt->alive ? 0 : quiet + 1;
		if (!hunt->alive)
			continue;
		pause = hunt->who != who ? ROUND_PAUSE : pause < ROUND_PAUSE_MAX ? 2 * pause : pause;
		if (hunt->who != who || hunt->dying)
			until = prusik_in_ns(PATIENCE);
		pause_for(pause);
	}
	return 0;
}

static int hunt_down(struct hunt *hunt)
{
	int proc = prk_sys_open("/proc", O_RDONLY | O_DIRECTORY, 0);

	if (proc < 0)
		return proc;
	int r = go_round(hunt, proc);
	prk_sys_close(proc);
	return r;
}

/* The roots' children are the caller's now, if it is he who adopts orphans. */
static void reap_orphans(const struct hunt *hunt)
{
	siginfo_t info;

	for (uint32_t i = 0; i < hunt->count; i++)
		prk_sys_poll_readable(hunt->pidfds[i], prusik_in_ns(PATIENCE));
	for (uint32_t i = 0; i < hunt->orphan_count; i++)
		prk_sys_waitid(P_PID, (id_t)hunt->orphans[i], &info, WEXITED | WNOHANG | __WALL);
}

static int find_roots(struct hunt *hunt)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < hunt->count; i++) {
		if (prk_sys_pidfd_signal(hunt->pidfds[i], SIGSTOP) == -EPERM)
			hunt->denied = 1;
		pid_t pid = prk_sys_pidfd_pid(hunt->pidfds[i]);
		include(hunt, pid);
		found += pid > 0;
	}
	return found > 0 ? 0 : -ESRCH;
}

static int hunt_and_kill(struct hunt *hunt)
{
	int r = find_roots(hunt);

	if (r < 0) {
		signal_roots(hunt, SIGKILL); /* where there is no /proc */
		return r;
	}
	r = hunt_down(hunt);
	signal_roots(hunt, SIGKILL);
	if (hunt->orphans)
		reap_orphans(hunt);
	return r < 0 ? r : hunt->denied ? -EPERM : 0;
}

int prk_trees_kill(const int *pidfds, uint32_t count)
{
	struct hunt hunt = { .pidfds = pidfds, .count = count };
	size_t orphan_bytes = prk_sys_adopts_orphans() ? ORPHANS_MAX * sizeof(pid_t) : 0;
	void *memory;
	int r = prk_sys_zeroed(&memory, SET_BYTES + orphan_bytes);

	if (r < 0)
		return r;
	hunt.roots = memory;
	if (orphan_bytes)
		hunt.orphans = (pid_t *)(void *)((char *)memory + SET_BYTES);
	r = hunt_and_kill(&hunt);
	prk_sys_zeroed_free(memory, SET_BYTES + orphan_bytes);
	return r;
}
