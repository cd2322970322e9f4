/* SPDX-License-Identifier: MIT */
/*
 * Starts by every method, with a death at each boundary of a system call
 *
 * Somebody who has to do with a start (the starter, its child from its first instruction on, the
 * forkserver, the guard) is led from one system call to the next, and stops before and after each; at the
 * stop whose number is the point he, or the starter, is killed. The others then go on by
 * themselves, and all is counted: nobody is left who should have ended, no zombie, no descriptor, no
 * slot of the life table; the joins of those who live have ended, with one code; a lock that the
 * child may have held is to be had.
 *
 * Why system calls are enough. Who starts a process and who is started share with others the
 * kernel's objects (processes, descriptors, sockets, letters), which system calls alone change; and two kinds
 * of words in memory. The gate is stored to at most once between two calls (its opening, and then the
 * wake), so each of its states is seen at some stop. The words of locks and of the life table are stored to
 * instruction by instruction; but that is the same code as everywhere, which the kill matrix leads
 * through instruction by instruction (life/, lock/). All else lies in memory that dies with the process; but
 * for a child that shares it until it execs (run, spawn), and there the caller stands still.
 * (process_steps.c kills at instructions all the same, where that is quick.)
 */
#include "process_calls.h"

#include "process_steps.h"

#include "base/life.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <prusik/lock.h>
#include <prusik/process.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE 7
#define RUN 3u /* a method more: prusik_process_run */

/* All who take part have this page under this number, images of the program too. */
#define PAGE_FD 100
static struct calls {
	uint32_t returned; /* the start has */
	int32_t result;
	uint32_t ran, ended; /* the child's function */
	uint32_t go; /* from the engine: the guard is dead */
	uint32_t done; /* the starter is content, or waits to be killed */
	int32_t joined[2], code[2];
	int32_t lock_result;
	int32_t left_over; /* descriptors */
	int32_t zombies;
	struct prusik_lock lock;
} * calls;

/* Who is led. */
enum role { STARTER, CHILD, SERVER, GUARD };

static const struct way {
	const char *name;
	uint32_t method;
	uint32_t daemon;
	enum role led;
	int starter_dies; /* not the one who is led */
	int guard_held; /* SIGSTOP, before the starter dies: as if the news had not come to it yet */
} ways[] = {
	{ "starter, fork", PRUSIK_PROCESS_FORK, 0, STARTER, 0, 0 },
	{ "starter, fork, daemon", PRUSIK_PROCESS_FORK, 1, STARTER, 0, 0 },
	{ "starter, forkserver", PRUSIK_PROCESS_FORKSERVER, 0, STARTER, 0, 0 },
	{ "starter, forkserver, daemon", PRUSIK_PROCESS_FORKSERVER, 1, STARTER, 0, 0 },
	{ "starter, spawn", PRUSIK_PROCESS_SPAWN, 0, STARTER, 0, 0 },
	{ "starter, spawn, daemon", PRUSIK_PROCESS_SPAWN, 1, STARTER, 0, 0 },
	{ "starter, run", RUN, 0, STARTER, 0, 0 },
	{ "starter, run, daemon", RUN, 1, STARTER, 0, 0 },
	{ "child, fork", PRUSIK_PROCESS_FORK, 0, CHILD, 0, 0 },
	{ "child, fork, daemon", PRUSIK_PROCESS_FORK, 1, CHILD, 0, 0 },
	{ "child, forkserver", PRUSIK_PROCESS_FORKSERVER, 0, CHILD, 0, 0 },
	{ "child, forkserver, daemon", PRUSIK_PROCESS_FORKSERVER, 1, CHILD, 0, 0 },
	{ "child, spawn", PRUSIK_PROCESS_SPAWN, 0, CHILD, 0, 0 },
	{ "child, spawn, daemon", PRUSIK_PROCESS_SPAWN, 1, CHILD, 0, 0 },
	{ "child, run", RUN, 0, CHILD, 0, 0 },
	{ "child, run, daemon", RUN, 1, CHILD, 0, 0 },
	{ "starter, by its child's, fork", PRUSIK_PROCESS_FORK, 0, CHILD, 1, 0 },
	{ "starter, by its child's, fork, daemon", PRUSIK_PROCESS_FORK, 1, CHILD, 1, 0 },
	{ "starter, by its child's, forkserver", PRUSIK_PROCESS_FORKSERVER, 0, CHILD, 1, 0 },
	{ "starter, by its child's, forkserver, daemon", PRUSIK_PROCESS_FORKSERVER, 1, CHILD, 1, 0 },
	{ "starter, by its child's, spawn", PRUSIK_PROCESS_SPAWN, 0, CHILD, 1, 0 },
	{ "starter, by its child's, spawn, daemon", PRUSIK_PROCESS_SPAWN, 1, CHILD, 1, 0 },
	{ "starter, by its child's, run", RUN, 0, CHILD, 1, 0 },
	{ "starter, by its child's, run, daemon", RUN, 1, CHILD, 1, 0 },
	{ "server", PRUSIK_PROCESS_FORKSERVER, 0, SERVER, 0, 0 },
	{ "starter, by the server's", PRUSIK_PROCESS_FORKSERVER, 1, SERVER, 1, 0 },
	{ "guard", PRUSIK_PROCESS_FORK, 1, GUARD, 0, 0 },
	{ "starter, by the guard's", PRUSIK_PROCESS_FORK, 1, GUARD, 1, 0 },
	{ "starter, by its child's, run, daemon, the guard held", RUN, 1, CHILD, 1, 1 },
};

static int starter_is_killed(const struct way *way)
{
	return way->led == STARTER || way->starter_dies;
}

/* Then it must run until somebody ends it. */
static int runs_for_ever(const struct way *way)
{
	return way->daemon && (starter_is_killed(way) || way->led == GUARD);
}

/* Who is led sleeps in the end, until somebody else ends. The others come to an end of their own. */
static int may_sleep(const struct way *way)
{
	return way->led == GUARD || runs_for_ever(way);
}

/* ---- the child ---- */

static void open_page(void)
{
	void *page = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE_FD, 0);

	if (page == MAP_FAILED)
		_exit(99);
	calls = page;
}

int calls_work(void *unused)
{
	(void)unused;
	if (!calls)
		open_page();
	prk_add32_acqrel(&calls->ran, 1);
	if (prusik_lock_acquire(&calls->lock, PRUSIK_FOREVER) < 0)
		return 98;
	sched_yield();
	prusik_lock_release(&calls->lock);
	prk_add32_acqrel(&calls->ended, 1);
	return CODE;
}

/* ---- the starter ---- */

static int start_function(const struct way *way, struct prusik_process **ret_process)
{
	static const int page = PAGE_FD;
	const struct prusik_process_options options = {
		.method = way->method, .daemon = way->daemon, .descriptors = &page, .descriptor_count = 1
	};

	return prusik_process_start(runs_for_ever(way) ? sleep_for_ever : calls_work, NULL, &options, ret_process);
}

static int start_program(const struct way *way, struct prusik_process **ret_process)
{
	const char *const argv[] = { "/bin/sh", "-c", runs_for_ever(way) ? "sleep 1000; :" : "exit 7", NULL };
	const struct prusik_run_options options = { .daemon = way->daemon };

	return prusik_process_run(argv, &options, ret_process);
}

static int start_one(const struct way *way, struct prusik_process **ret_process)
{
	return way->method == RUN ? start_program(way, ret_process) : start_function(way, ret_process);
}

static void join_as(struct prusik_process *child, int who)
{
	calls->code[who] = 1000;
	calls->joined[who] = prusik_process_join(child, PRUSIK_FOREVER, &calls->code[who]) == 0;
}

static void *join_too(void *child)
{
	join_as(child, 1);
	return NULL;
}

static void join_twice(struct prusik_process *child)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, join_too, child) != 0)
		return;
	join_as(child, 0);
	pthread_join(thread, NULL);
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* The one that lives on, whoever else is killed. */
static void start_and_join(const struct way *way)
{
	unsigned char key[PRUSIK_AUTHKEY_BYTES];
	struct prusik_process *child;

	prusik_process_authkey(key); /* what the family keeps open is open now */
	int before = count_descriptors() + (way->daemon ? 2 : 0); /* the guard's */
	calls->result = start_one(way, &child);
	prk_store32_rel(&calls->returned, 1);
	if (calls->result < 0)
		return;
	join_twice(child);
	prusik_process_free(child);
	prusik_process_forkserver_stop();
	calls->left_over = count_descriptors() - before;
	calls->zombies = waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
	calls->lock_result = prusik_lock_acquire(&calls->lock, PRUSIK_FOREVER);
	if (calls->lock_result >= 0)
		prusik_lock_release(&calls->lock);
}

/* Whose guard is killed meanwhile: the next start makes good for it. */
static void start_two(const struct way *way)
{
	struct prusik_process *child;

	calls->result = start_one(way, &child);
	prk_store32_rel(&calls->returned, 1);
	while (!prk_load32_acq(&calls->go))
		usleep(100);
	if (calls->result == 0)
		calls->result = start_one(way, &child);
}

static void start_and_be_killed(const struct way *way)
{
	struct prusik_process *child;

	calls->result = start_one(way, &child);
	prk_store32_rel(&calls->returned, 1);
	if (calls->result == 0)
		prusik_process_join(child, PRUSIK_FOREVER, NULL);
}

__attribute__((noreturn)) static void be_starter(const struct way *way)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	if (starter_is_killed(way))
		start_and_be_killed(way);
	else if (way->led == GUARD)
		start_two(way);
	else
		start_and_join(way);
	prk_store32_rel(&calls->done, 1);
	if (way->led == GUARD && !way->starter_dies)
		sleep_for_ever(NULL);
	exit(0);
}

static pid_t start_starter(const struct way *way)
{
	int status;

	memset(calls, 0, sizeof *calls);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		be_starter(way);
	waitpid(pid, &status, 0);
	return pid;
}

/* ---- leading ---- */

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC)

/* Let tracee go on until it has made the process that the event tells of, which has stopped. */
static pid_t catch (pid_t tracee, long option, int event)
{
	unsigned long made = 0;
	int status = 0;

	ptrace(PTRACE_SETOPTIONS, tracee, 0, OPTIONS | option);
	while (status >> 16 != event) {
		ptrace(PTRACE_CONT, tracee, 0, 0);
		if (waitpid(tracee, &status, __WALL) < 0 || !WIFSTOPPED(status))
			return -1;
	}
	ptrace(PTRACE_GETEVENTMSG, tracee, 0, &made);
	waitpid((pid_t)made, &status, __WALL);
	ptrace(PTRACE_SETOPTIONS, tracee, 0, OPTIONS); /* not the next one, too */
	ptrace(PTRACE_SETOPTIONS, (pid_t)made, 0, OPTIONS);
	ptrace(PTRACE_DETACH, tracee, 0, 0);
	return (pid_t)made;
}

/* The one who is led, stopped at his beginning. */
static pid_t find_led(const struct way *way, pid_t starter)
{
	if (way->led == STARTER) {
		ptrace(PTRACE_SETOPTIONS, starter, 0, OPTIONS);
		return starter;
	}
	if (way->led == GUARD)
		return catch (starter, PTRACE_O_TRACECLONE, PTRACE_EVENT_CLONE);
	if (way->led == CHILD && way->method == PRUSIK_PROCESS_FORK)
		return catch (starter, PTRACE_O_TRACEFORK, PTRACE_EVENT_FORK);
	pid_t image = catch (starter, PTRACE_O_TRACEVFORK, PTRACE_EVENT_VFORK);
	if (way->led == SERVER || way->method != PRUSIK_PROCESS_FORKSERVER)
		return image;
	return catch (image, PTRACE_O_TRACECLONE, PTRACE_EVENT_CLONE); /* the spare */
}

/* In a call, for good? The start has returned: so nothing that it waits for is on the way to it. */
static int sleeps_on(pid_t led)
{
	char path[32], line[256] = "";

	if (!prk_load32_acq(&calls->returned))
		return 0;
	snprintf(path, sizeof path, "/proc/%d/stat", led);
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(line, 1, sizeof line - 1, file) : 0;
	if (file)
		fclose(file);
	line[n] = 0;
	const char *end = strrchr(line, ')');
	return end && end[1] == ' ' && end[2] == 'S';
}

enum end { STOPPED, ASLEEP, GONE };

/* Has the program-to-be looked whether its starter lives, as it does last before it execs? */
static int has_looked;
static uint64_t last_call;

static void watch_its_look(pid_t led)
{
	struct __ptrace_syscall_info info = { .op = PTRACE_SYSCALL_INFO_NONE };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, led, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT &&
	    last_call == SYS_ppoll)
		has_looked = 1;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		last_call = info.entry.nr;
}

/* On to the next stop. *signal: to be given on, and come. */
static enum end lead_on(const struct way *way, pid_t led, int *signal)
{
	int status = 0;

	if (ptrace(PTRACE_SYSCALL, led, 0, *signal) < 0)
		return GONE;
	int flags = may_sleep(way) ? __WALL | WNOHANG : __WALL;
	for (int looks = 0;; looks++) {
		pid_t pid = waitpid(led, &status, flags);
		if (pid != 0)
			break;
		if (looks % 16 == 15 && sleeps_on(led))
			return ASLEEP;
		looks < 16 ? sched_yield() : usleep(50);
	}
	if (!WIFSTOPPED(status))
		return GONE;
	int stop = WSTOPSIG(status);
	watch_its_look(led);
	*signal = status >> 16 || stop == (SIGTRAP | 0x80) || stop == SIGSTOP ? 0 : stop;
	return STOPPED;
}

/* Asleep, it cannot be detached; awake, it would see what is done next. */
static void stop_sleeper(pid_t led)
{
	int status;

	kill(led, SIGSTOP);
	while (waitpid(led, &status, __WALL) == led && WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP)
		ptrace(PTRACE_CONT, led, 0, 0);
}

/* A child of the starter that no plain wait sees. */
static pid_t find_guard(pid_t starter)
{
	char command[64];
	int pid = 0;

	snprintf(command, sizeof command, "pgrep -P %d -x prusik-guard", starter);
	FILE *answer = popen(command, "r");
	int fields = answer ? fscanf(answer, "%d", &pid) : 0;
	if (answer)
		pclose(answer);
	return fields == 1 ? pid : 0;
}

static int has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0;
}

static int ends_soon(pid_t pid)
{
	int64_t deadline = prusik_in_s(20);

	while (!has_ended(pid) && prusik_now() < deadline)
		usleep(100);
	return has_ended(pid);
}

static int wrongly_alive; /* a program that began though its starter had ended */

static void kill_starter(const struct way *way, pid_t starter, pid_t led, enum end end)
{
	pid_t guard = way->guard_held ? find_guard(starter) : 0;

	if (end == ASLEEP)
		stop_sleeper(led);
	if (guard)
		kill(guard, SIGSTOP);
	kill(starter, SIGKILL);
	if (guard)
		ends_soon(starter);
	if (end != GONE)
		ptrace(PTRACE_DETACH, led, 0, 0);
	if (guard && !has_looked)
		wrongly_alive = !ends_soon(led);
	if (guard)
		kill(guard, SIGCONT);
}

/* How many stops there were before the death: fewer than wanted when the way is shorter. */
static long lead_and_kill(const struct way *way, pid_t starter, pid_t led, long wanted)
{
	enum end end = STOPPED;
	int signal = 0;
	long n = 0;

	has_looked = wrongly_alive = 0;
	while (n < wanted && end == STOPPED) {
		end = lead_on(way, led, &signal);
		n += end == STOPPED;
	}
	if (way->starter_dies) {
		kill_starter(way, starter, led, end);
	} else if (end != GONE) {
		kill(led, SIGKILL);
		waitpid(led, NULL, __WALL);
	}
	return n;
}

/* ---- judging ---- */

static int claim(int ok, const struct way *way, long point, const char *what)
{
	if (!ok)
		printf("         %s, stop %ld: not so: %s\n", way->name, point, what);
	return !ok;
}

static int living_slots(void)
{
	int n = 0;

	while (prk_sweep() > 0)
		;
	for (uint32_t i = 1; i < prk_load32_acq(&prk_life->top); i++)
		n += (prk_load32_acq(&prk_life->slot[i].tag) & PRK_TAG_LIVE) != 0;
	return n;
}

static int judge_starter(const struct way *way, long point)
{
	const int code = calls->code[0];
	int wrong = 0;

	wrong += claim(prk_load32_acq(&calls->done), way, point, "the starter came to its end");
	wrong += claim(calls->result == 0, way, point, "the start succeeded");
	if (wrong || way->led == GUARD)
		return wrong;
	wrong += claim(calls->joined[0] && calls->joined[1], way, point, "both joins ended with a code");
	wrong += claim(code == calls->code[1], way, point, "they agree");
	wrong += claim(code == CODE || (code == -SIGKILL && way->led == CHILD), way, point, "it is the child's");
	wrong += claim(code != CODE || way->method == RUN || calls->ended, way, point, "the function came to its end");
	wrong += claim(calls->left_over == 0, way, point, "no descriptor is left");
	wrong += claim(calls->zombies == 0, way, point, "no child is left");
	wrong += claim(calls->lock_result >= 0, way, point, "the lock was to be had");
	return wrong;
}

static int judge_all(const struct way *way, long point)
{
	int wrong = 0;

	if (starter_is_killed(way)) {
		wrong += claim(!wrongly_alive, way, point, "no program begins when its starter has ended");
		wrong += claim(calls->ran == calls->ended, way, point, "all of the child ran, or nothing");
		wrong += claim(!calls->returned || calls->result == 0, way, point, "the start succeeded");
		wrong += claim(!calls->returned || way->method == RUN || way->daemon || calls->ran, way, point,
			       "it ran if the start had returned");
	}
	int r = prusik_lock_acquire(&calls->lock, prusik_in_s(30));
	wrong += claim(r >= 0, way, point, "others get the lock");
	if (r >= 0)
		prusik_lock_release(&calls->lock);
	wrong += claim(living_slots() == 1, way, point, "no slot of the life table is left but the engine's");
	return wrong;
}

static int one_point(const struct way *way, long point, long *ret_did)
{
	pid_t starter = start_starter(way), led = find_led(way, starter);
	int wrong = claim(led > 0, way, point, "there was somebody to be led");

	if (led > 0)
		*ret_did = lead_and_kill(way, starter, led, point);
	if (way->led == GUARD && !way->starter_dies) {
		prk_store32_rel(&calls->go, 1);
		while (!prk_load32_acq(&calls->done) && !has_ended(starter))
			usleep(100);
		kill(starter, SIGKILL);
	}
	int left = reap_all();
	wrong += claim(left == 0, way, point, "all have ended");
	if (left)
		kill_everybody();
	else if (!starter_is_killed(way))
		wrong += judge_starter(way, point);
	return wrong + judge_all(way, point);
}

static int go_way(const struct way *way, int points, int *count)
{
	long length = 0, did, step;
	int wrong = one_point(way, LONG_MAX, &length) != 0;

	step = points < length ? length / points : 1;
	for (long at = 0; at <= length; at += step, ++*count)
		wrong += one_point(way, at, &did) != 0;
	printf("         %s: %ld stops, wrong %d\n", way->name, length, wrong);
	fflush(stdout);
	return wrong;
}

/* ---- all ways ---- */

static char domain[] = "/dev/shm/prusik-process-XXXXXX";

static int begin(void)
{
	int fd = memfd_create("calls", 0);

	if (fd < 0 || ftruncate(fd, 4096) < 0 || dup2(fd, PAGE_FD) < 0 || !mkdtemp(domain))
		return -1;
	close(fd);
	open_page();
	setenv("PRUSIK_DIR", domain, 1);
	return prk_joined();
}

static void end(void)
{
	DIR *dir = opendir(domain);
	struct dirent *entry;

	prk_leave();
	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(domain);
	unsetenv("PRUSIK_DIR");
	close(PAGE_FD);
}

int process_calls(int points, int *ret_count)
{
	int wrong = 0;

	*ret_count = 0;
	if (begin() < 0) {
		perror(domain);
		return 1;
	}
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
		wrong += go_way(&ways[i], points, ret_count);
	end();
	return wrong;
}
