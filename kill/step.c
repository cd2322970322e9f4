/* SPDX-License-Identifier: MIT */
#include "step.h"

#include "base/ghost.h"
#include "base/process.h"
#include "base/sentinel.h"
#include "others.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* So often a step is looked at before waiting for it in earnest, */
#define STEP_LOOKS 2
/* and so often it is then asked whether it sleeps. */
#define TICK_US 500

/* In place of the steps that are done at the end of a leap: all. */
#define TO_THE_END UINT32_MAX

static struct kill_path victims_path, recoverers_path;

void kill_paths_forget(void)
{
	victims_path.known = recoverers_path.known = 0;
}

/* ---- in the victim ---- */

static void warm_up(void)
{
	prk_ghost(kill_run->object[0], 0); /* now it knows that memory for shared; slot 0 is nobody's */
	prk_sentinel_start();
	/* Its thread sets this once it is about to stand guard. */
	while (prk_load32_acq(&prk_process_here()->sentinel_id) == 0)
		prk_pause();
}

static void announce(uint32_t *phase, enum kill_phase to)
{
	prk_store32_rel(phase, to);
}

/* Where the operation has returned: a leap that misses its place ends here. */
static void announce_end(uint32_t *phase)
{
	announce(phase, KILL_ENDED);
}

/* Called by its address: a copy that a compiler made would be passed unseen. */
static void (*volatile ended)(uint32_t *) = announce_end;

static _Noreturn void be_stepped(kill_fn *function, void *object, uint32_t *phase)
{
	kill_pin(true);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	announce(phase, KILL_RUNS);
	function(object);
	ended(phase);
	prk_leave();
	_exit(0);
}

static _Noreturn void be_victim(void)
{
	const struct kill_case *c = kill_now_case;
	void *object = kill_run->object[0];

	if (!(c->is & KILL_UNJOINED) && prk_joined() < 0)
		_exit(2);
	if (c->is & (KILL_WARM | KILL_SENTINEL | KILL_FREEZE))
		warm_up();
	if (c->prepare)
		c->prepare(object);
	prk_store32_rel(&kill_run->victim_id, prk_self()->id);
	if (!(c->is & KILL_SENTINEL))
		be_stepped(c->victim, object, &kill_run->phase);
	announce(&kill_run->phase, KILL_RUNS);
	for (;;)
		pause();
}

/* ---- starting ---- */

static bool stopped_first(struct kill_victim *v)
{
	int status;

	v->tid = v->pid;
	if (waitpid(v->pid, &status, 0) != v->pid || !WIFSTOPPED(status))
		return false;
	ptrace(PTRACE_SETOPTIONS, v->pid, NULL, PTRACE_O_EXITKILL);
	v->stopped = true;
	return true;
}

static bool all_sleep(pid_t pid, pid_t apart)
{
	int64_t end = kill_clock() + KILL_LIMIT;

	for (unsigned int round = 0; kill_clock() < end; round++) {
		if (kill_sleeps(pid, apart))
			return true;
		kill_rest(round);
	}
	return false;
}

/* The thread of the process that is not its first. */
static pid_t second_thread(pid_t pid)
{
	char path[32];
	struct dirent *entry;
	pid_t found = 0;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != pid)
			found = atoi(entry->d_name);
	if (tasks)
		closedir(tasks);
	return found;
}

/* Stop the process's second thread, which sleeps. Its number, or 0. */
static pid_t catch_second_thread(pid_t pid)
{
	pid_t tid = second_thread(pid);
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_EXITKILL) < 0 || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ||
	    waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
		return 0;
	return tid;
}

/* The sentinel is caught in its sleep; unblock gives it something to do. */
static bool catch_sentinel(struct kill_victim *v)
{
	while (prk_load32_acq(v->phase) != KILL_RUNS)
		kill_rest(0);
	if (!all_sleep(v->pid, 0))
		return false;
	v->tid = catch_second_thread(v->pid);
	v->stopped = v->tid != 0;
	return v->stopped;
}

static bool freeze_sentinel(struct kill_victim *v)
{
	v->frozen = catch_second_thread(v->pid);
	return v->frozen != 0;
}

/* Up to the store that says the operation begins. */
static bool step_in(struct kill_victim *v)
{
	while (prk_load32_acq(v->phase) == KILL_PREPARES)
		if (kill_step(v) != KILL_STEPPED)
			return false;
	v->steps = 0;
	return true;
}

bool kill_victim_start(struct kill_victim *v)
{
	*v = (struct kill_victim){ .phase = &kill_run->phase, .path = &victims_path };
	v->pid = kill_fork();
	if (v->pid == 0)
		be_victim();
	if (kill_now_case->is & KILL_SENTINEL)
		return catch_sentinel(v);
	if (!stopped_first(v) || !all_sleep(v->pid, v->pid))
		return false;
	if ((kill_now_case->is & KILL_FREEZE) && !freeze_sentinel(v))
		return false;
	return step_in(v);
}

bool kill_recoverer_start(struct kill_victim *v, kill_fn *function, void *object)
{
	*v = (struct kill_victim){ .phase = &kill_run->second_phase, .path = &recoverers_path };
	*v->phase = KILL_PREPARES;
	v->pid = kill_fork();
	if (v->pid == 0) {
		if (prk_joined() < 0)
			_exit(2);
		prk_store32_rel(&kill_run->second_id, prk_self()->id);
		be_stepped(function, object, v->phase);
	}
	return stopped_first(v) && step_in(v);
}

/* ---- stepping ---- */

/* A leap has ended: where it should, or at the operation's end. */
static void land(struct kill_victim *v)
{
	kill_path_unbreak(v->tid);
	if (kill_path_address(v->tid) != v->leap_address)
		v->strayed = true;
	else if (v->leap != TO_THE_END)
		v->steps = v->leap;
	v->leap = 0;
}

static enum kill_step after_stop(struct kill_victim *v, int status)
{
	v->stopped = WIFSTOPPED(status);
	if (!v->stopped || WSTOPSIG(status) != SIGTRAP) {
		printf("        instead of stepping: wait status %x\n", (unsigned int)status);
		return KILL_GONE;
	}
	if (v->leap)
		land(v);
	else
		v->steps++;
	v->returned = prk_load32_acq(v->phase) == KILL_ENDED;
	return v->returned ? KILL_RETURNED : KILL_STEPPED;
}

/* A tick does no more than interrupt waitpid, so that somebody asks whether the step sleeps. */
static void tick(int unused)
{
	(void)unused;
}

static void ticks_begin(void)
{
	const struct sigaction action = { .sa_handler = tick }; /* no SA_RESTART */
	const struct timeval every = { .tv_usec = TICK_US };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){ every, every }, NULL);
}

static void ticks_end(void)
{
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
}

/* Has it fallen asleep, in this step, or in this leap since it was last found so? */
static bool sleeps_anew(struct kill_victim *v, bool even_asleep)
{
	if (!kill_thread_sleeps(v->pid, v->tid))
		return false;
	if (!v->leap)
		return !even_asleep;
	uint64_t before = v->naps;
	v->naps = kill_thread_naps(v->pid, v->tid);
	return !even_asleep || v->naps != before;
}

/* Is that stop one that the leap does not end with? It is under way again. */
static bool passes_by(struct kill_victim *v, int status)
{
	if (!v->leap || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP || v->leap_times == 1 ||
	    kill_path_address(v->tid) != v->leap_address)
		return false;
	v->leap_times--;
	return ptrace(PTRACE_CONT, v->tid, NULL, NULL) == 0;
}

static enum kill_step wait_ticking(struct kill_victim *v, bool even_asleep)
{
	int64_t end = kill_clock() + KILL_LIMIT;
	int status;

	for (;;) {
		pid_t r = waitpid(v->tid, &status, __WALL);
		if (r == v->tid && passes_by(v, status))
			continue;
		if (r == v->tid)
			return after_stop(v, status);
		if (errno != EINTR)
			return KILL_GONE;
		if (sleeps_anew(v, even_asleep))
			return KILL_SLEEPS;
		if (kill_clock() > end)
			return KILL_STUCK;
	}
}

/* Nearly every step is over within microseconds; the ticks are for those that are not. */
static enum kill_step wait_for_step(struct kill_victim *v, bool even_asleep)
{
	int status;

	for (int looks = 0; looks < STEP_LOOKS; looks++)
		if (waitpid(v->tid, &status, __WALL | WNOHANG) == v->tid && !passes_by(v, status))
			return after_stop(v, status);
	ticks_begin();
	enum kill_step r = wait_ticking(v, even_asleep);
	ticks_end();
	return r;
}

enum kill_step kill_step(struct kill_victim *v)
{
	v->stopped = false;
	if (ptrace(PTRACE_SINGLESTEP, v->tid, NULL, NULL) < 0)
		return KILL_GONE;
	return wait_for_step(v, false);
}

enum kill_step kill_step_on(struct kill_victim *v)
{
	return wait_for_step(v, true);
}

static uint64_t end_address(void)
{
	return (uint64_t)(uintptr_t)ended;
}

/* Run to that place, where it comes by so often. */
static bool leap(struct kill_victim *v, uint32_t steps, uint64_t address, uint32_t times)
{
	if (!kill_path_break(v->tid, address, end_address()))
		return false;
	v->stopped = false;
	v->leap = steps;
	v->leap_address = address;
	v->leap_times = times;
	return ptrace(PTRACE_CONT, v->tid, NULL, NULL) == 0;
}

enum kill_step kill_step_towards(struct kill_victim *v, uint32_t n)
{
	if (!v->path)
		return kill_step(v);
	uint32_t times, to = kill_path_leap(v->path, v->steps, n, &times);
	if (to && leap(v, to, v->path->place[to].address, times))
		return wait_for_step(v, false);
	kill_path_note(v->path, v->steps, kill_path_address(v->tid));
	return kill_step(v);
}

enum kill_step kill_run_on(struct kill_victim *v)
{
	if (kill_path_address(v->tid) != end_address() && leap(v, TO_THE_END, end_address(), 1))
		return wait_for_step(v, false);
	return kill_step(v);
}

/* ---- ending ---- */

static void reap(pid_t tid)
{
	while (waitpid(tid, NULL, __WALL) == tid)
		;
}

void kill_victim_kill(struct kill_victim *v)
{
	if (v->pid == 0)
		return;
	kill(v->pid, SIGKILL);
	/* A traced thread that is not the first has to be waited for by itself, and before it. */
	if (v->tid && v->tid != v->pid)
		reap(v->tid);
	if (v->frozen)
		reap(v->frozen);
	reap(v->pid);
	v->pid = 0;
}

bool kill_victim_release(struct kill_victim *v)
{
	int64_t end = kill_clock() + KILL_LIMIT;
	int status;

	if (ptrace(PTRACE_DETACH, v->tid, NULL, NULL) < 0)
		return false;
	for (unsigned int round = 0; kill_clock() < end; round++) {
		if (waitpid(v->pid, &status, WNOHANG) == v->pid) {
			v->pid = 0;
			return WIFEXITED(status) && WEXITSTATUS(status) == 0;
		}
		kill_rest(round);
	}
	return false;
}
