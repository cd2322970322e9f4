/* SPDX-License-Identifier: MIT */
#include "holder.h"

#include "cmd.h"
#include "line.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif

/* Exit codes of our own while running a command, as of timeout(1). */
#define CANNOT 125
#define NOT_EXECUTABLE 126
#define NOT_FOUND 127

/* ---- processes ---- */

struct process {
	char state;
	int group;
	unsigned long long start; /* in ticks since the machine was started */
};

/* What the kernel tells of it; false: there is none, or only its remains. */
static bool look_at(pid_t pid, struct process *p)
{
	char path[64], line[1024];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	ssize_t n = read(file, line, sizeof line - 1);
	close(file);
	line[n < 0 ? 0 : n] = 0;
	const char *after = strrchr(line, ')'); /* the name may have anything in it */
	if (!after ||
	    sscanf(after + 1, " %c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &p->state, &p->group, &p->start) != 3)
		return false;
	return p->state != 'Z' && p->state != 'X';
}

static uint64_t start_of(pid_t pid)
{
	struct process p;

	return look_at(pid, &p) ? p.start : 0;
}

static uint64_t own_space(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

int cmd_holder_runs(const struct cmd_holder *holder)
{
	return holder->pid > 0 && holder->space == own_space() && start_of(holder->pid) == holder->start;
}

static bool group_runs(pid_t group)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;
	struct process p;

	while (proc && !found && (entry = readdir(proc)))
		found = atoi(entry->d_name) > 0 && look_at(atoi(entry->d_name), &p) && p.group == group;
	if (proc)
		closedir(proc);
	return found;
}

/* Killed, they end soon. Remains that nobody reaps do not count. */
static void await_group(pid_t group)
{
	for (int ms = 0; ms < 10000 && kill(-group, 0) == 0 && group_runs(group); ms++)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}

/* End what a dead one has left running in this place. 0, or -errno: that cannot be done. */
static int end_command(const struct cmd_holder *holder)
{
	pid_t pid = holder->pid;

	if (pid <= 1)
		return 0;
	if (holder->space != own_space())
		return -EXDEV;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	/* fd is of whoever has the number now, and keeps it from going round again. */
	if (start_of(pid) == holder->start) {
		if (holder->group)
			kill(-pid, SIGKILL);
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		while (poll(&p, 1, -1) < 0 && errno == EINTR)
			continue;
		if (holder->group)
			await_group(pid);
	}
	close(fd);
	return 0;
}

/* ---- places ---- */

/*
 * In which order the fields become so does not matter: the command runs only after all
 * of them are, and has ended before pid is cleared. The calls before and after see to that.
 */
static void set_pid(struct cmd_holder *holder, pid_t pid)
{
	*(volatile int32_t *)&holder->pid = pid;
}

int cmd_holder_take(struct cmd_holder *holder, int64_t deadline)
{
	int r = prusik_lock_acquire(&holder->lock, deadline);

	if (r != PRUSIK_RECOVERED)
		return r;
	r = end_command(holder);
	if (r < 0) {
		/* Who ends holding it leaves it as he found it: recovered, for the next one. */
		cmd_say(": cannot end process %d, whose prusik was killed: %s", (int)holder->pid,
			r == -EXDEV ? "it is of another PID namespace" : strerror(-r));
		exit(CMD_OBJECT);
	}
	set_pid(holder, 0);
	return 0;
}

void cmd_holder_give(struct cmd_holder *holder)
{
	prusik_lock_release(&holder->lock);
}

static void write_text(struct cmd_holder *holder, char **command)
{
	size_t at = 0;

	memset(holder->text, 0, sizeof holder->text);
	for (; *command && at < sizeof holder->text - 1; command++)
		at += (size_t)snprintf(holder->text + at, sizeof holder->text - at, "%s%s", at ? " " : "", *command);
}

/* What is known before the command's process is there. */
static void describe(struct cmd_holder *holder, uint64_t token, bool group, char **command)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	write_text(holder, command);
	holder->since = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	holder->prusik = getpid();
	holder->token = token;
	holder->space = own_space();
	holder->group = group;
}

/* Who runs, before it does; pid last, since it says that the rest is so. */
static void write_down(struct cmd_holder *holder, pid_t pid)
{
	holder->start = start_of(pid);
	set_pid(holder, pid);
}

/* ---- running ---- */

static volatile sig_atomic_t forward_to, keyboard_reaches_it;

static void forward(int signal)
{
	int error = errno;
	bool has_it = keyboard_reaches_it && (signal == SIGINT || signal == SIGQUIT);

	if (forward_to && !has_it)
		kill((pid_t)forward_to, signal);
	errno = error;
}

static const int forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };
#define FORWARDED (sizeof forwarded / sizeof forwarded[0])

static void catch (struct sigaction old[FORWARDED])
{
	struct sigaction action = { .sa_handler = forward };

	for (size_t i = 0; i < FORWARDED; i++) {
		sigaction(forwarded[i], NULL, &old[i]);
		if (old[i].sa_handler != SIG_IGN)
			sigaction(forwarded[i], &action, NULL);
	}
}

static void uncatch(const struct sigaction old[FORWARDED])
{
	for (size_t i = 0; i < FORWARDED; i++)
		sigaction(forwarded[i], &old[i], NULL);
}

/*
 * At a terminal the command stays in our process group, so that the keyboard reaches
 * it; else it gets one of its own, so that all of it can be ended.
 */
static bool at_terminal(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (isatty(fd) && tcgetpgrp(fd) == getpgrp())
			return true;
	return false;
}

static int failed(const char *what)
{
	cmd_say(": %s: %s", what, strerror(errno));
	return CANNOT;
}

/*
 * struct start - what the command's process needs to become the command
 *
 * It shares our memory, errno included, until it is the command: so nothing is copied.
 * What could change errno in its hands is a call of ours that a signal has ended; but
 * that signal is passed on, and ends the process before it is the command. A sanitizer
 * would take the two for one: there they have copies.
 */
struct start {
	struct sigaction old[FORWARDED];
	sigset_t mask; /* as it was: all are blocked until the signals' ways are laid */
	int gate[2];
	bool group;
	char **command;
};

#ifdef SANITIZED
#define SHARED 0
#else
#define SHARED CLONE_VM
#endif

/* execvp copies the arguments, for a script without #!; that and paths. */
static size_t stack_for(char **command)
{
	size_t count = 0;

	while (command[count])
		count++;
	return ((size_t)128 << 10) + (count * sizeof *command + 4095) / 4096 * 4096;
}

/* In the child: wait at the gate; then be the command. Only exec can fail. */
static int be_command(void *argument)
{
	const struct start *start = argument;
	char go;

	uncatch(start->old);
	sigprocmask(SIG_SETMASK, &start->mask, NULL);
	close(start->gate[1]);
	if (start->group)
		setpgid(0, 0);
	if (read(start->gate[0], &go, 1) != 1)
		_exit(CANNOT); /* our prusik is dead */
	execvp(start->command[0], start->command);
	int error = errno;
	cmd_say(": %s: %s", start->command[0], strerror(error));
	_exit(error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}

static pid_t start_command(struct start *start)
{
	size_t size = stack_for(start->command);
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE,
			   -1, 0);

	if (stack == MAP_FAILED)
		return -1;
	return clone(be_command, stack + size, SHARED | SIGCHLD, start);
}

/* Only a signal ends the wait before that: SIGCHLD is not ignored, and nobody else waits. */
static int exit_code_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		continue;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The process is there, at the gate. */
static int let_it_run(struct cmd_holder *holder, const struct start *start, pid_t pid)
{
	if (start->group)
		setpgid(pid, pid);
	write_down(holder, pid);
	forward_to = pid;
	sigprocmask(SIG_SETMASK, &start->mask, NULL);
	bool open = write(start->gate[1], "g", 1) == 1;
	close(start->gate[1]); /* if that failed, it ends at the gate */
	int code = exit_code_of(pid);
	forward_to = 0;
	set_pid(holder, 0);
	return open ? code : CANNOT;
}

int cmd_holder_run(struct cmd_holder *holder, uint64_t token, char **command)
{
	struct start start = { .group = !at_terminal(), .command = command };
	sigset_t all;
	char number[24];

	snprintf(number, sizeof number, "%llu", (unsigned long long)token);
	if (setenv("PRUSIK_TOKEN", number, 1) < 0 || pipe2(start.gate, O_CLOEXEC) < 0)
		return failed("gate");
	signal(SIGCHLD, SIG_DFL); /* inherited as ignored, the exit status would be lost */
	keyboard_reaches_it = !start.group;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &start.mask);
	catch (start.old);
	describe(holder, token, start.group, command); /* now: the child is not to wait for it */
	pid_t pid = start_command(&start);
	if (pid > 0)
		return let_it_run(holder, &start, pid);
	int r = failed("fork");
	sigprocmask(SIG_SETMASK, &start.mask, NULL);
	return r;
}

/* ---- telling ---- */

static void iso_time(int64_t since, char *text, size_t room)
{
	time_t seconds = (time_t)(since / INT64_C(1000000000));
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || strftime(text, room, "%Y-%m-%dT%H:%M:%S%z", &tm) == 0)
		snprintf(text, room, "?");
}

void cmd_holder_print(const struct cmd_holder *holder, const char *how, int json)
{
	char since[64], text[sizeof holder->text + 1];

	iso_time(holder->since, since, sizeof since);
	memcpy(text, holder->text, sizeof holder->text);
	text[sizeof holder->text] = 0;
	if (!json) {
		printf("%d\t%d\t%llu\t%s\t%s\t%s\n", (int)holder->pid, (int)holder->prusik,
		       (unsigned long long)holder->token, how, since, text);
		return;
	}
	printf("{\"pid\":%d,\"prusik\":%d,\"token\":%llu,\"how\":", (int)holder->pid, (int)holder->prusik,
	       (unsigned long long)holder->token);
	cmd_json(how);
	printf(",\"since\":\"%s\",\"command\":", since);
	cmd_json(text);
	printf("}\n");
}
