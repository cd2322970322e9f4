/* SPDX-License-Identifier: MIT */
/*
 * process: starting a child, by fork
 *
 * The child must not run a single line of the caller's before its pidfd is there, and before
 * the guard knows of it if it is a daemon; else a start that fails (-EMFILE) has had effects.
 * So it waits at a gate, a word in memory that the two share, until the parent says GO or AWAY.
 * A parent that is killed meanwhile says nothing, which the child sees. (A pipe would
 * do, if no other thread of the parent could fork at that moment and keep its
 * writing end open.)
 */
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Page size: what a gate takes. */
#define GATE_BYTES 4096

/* ---- what all methods share ---- */

void prk_send_away(pid_t pid, uint32_t *gate)
{
	siginfo_t info;
	int r;

	prk_gate_open(gate, PRK_GATE_AWAY);
	do
		r = prk_sys_waitid(P_PID, (id_t)pid, &info, WEXITED);
	while (r < 0 && r != -ECHILD);
}

int prk_start_finish(struct prk_start *start, uint32_t *gate, pid_t pid, int pidfd)
{
	int r = start->process->daemon ? prk_guard_enlist(start->family, pidfd) : 0;

	if (r < 0) {
		prk_send_away(pid, gate);
		prk_sys_close(pidfd);
		return r;
	}
	start->process->pid = pid;
	start->process->pidfd = pidfd;
	prk_family_add(start->family, start->process);
	prk_gate_open(gate, PRK_GATE_GO);
	return 0;
}

/* ---- the child ---- */

/* Numbers, copied before the fork: the family is not there after it. */
struct fork_call {
	struct prk_start *start;
	uint32_t *gate;
	uint32_t gate_number;
	struct prk_helper guard, server;
	struct prk_me me;
};

static void close_helper(const struct prk_helper *helper)
{
	if (!helper->open)
		return;
	prk_sys_close(helper->socket);
	prk_sys_close(helper->pidfd);
}

__attribute__((noreturn)) static void be_child(const struct fork_call *call)
{
	const struct prk_start *start = call->start;

	prk_gate_pass(call->gate, call->gate_number, call->me.parent_pidfd);
	close_helper(&call->guard);
	close_helper(&call->server);
	prk_child_begin(&call->me, start->options->name);
	prk_child_end(start->function(start->argument));
}

static void describe(struct fork_call *call)
{
	struct prk_start *start = call->start;
	struct prk_me *me = &call->me;

	prk_futex_lock(&start->family->lock);
	call->guard = start->family->guard;
	call->server = start->family->server;
	prk_futex_unlock(&start->family->lock);
	me->parent = getpid();
	me->parent_pidfd = start->family->self;
	me->daemon = start->process->daemon;
	memcpy(me->name, start->process->name, sizeof me->name);
	memcpy(me->parent_name, prk_me_name(), strlen(prk_me_name()) + 1);
}

/* ---- fork ---- */

static int fork_locked(struct prk_start *start)
{
	uint32_t *gate = start->family->gate;
	struct fork_call call = { .start = start, .gate = gate };

	call.gate_number = ++start->family->gate_number & (UINT32_MAX / PRK_GATE_ONE);
	prk_store32_rlx(gate, call.gate_number * PRK_GATE_ONE | PRK_GATE_CLOSED);
	describe(&call);
	pid_t pid = prk_sys_fork();
	if (pid == 0) {
		call.me.pid = getpid();
		be_child(&call);
	}
	if (pid < 0)
		return pid;
	int pidfd = prk_sys_pidfd_open(pid);
	if (pidfd >= 0)
		return prk_start_finish(start, gate, pid, pidfd);
	prk_send_away(pid, gate);
	return pidfd;
}

static int make_gate_locked(struct prk_family *family)
{
	void *page;
	int r = prk_sys_mmap(&page, GATE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (r == 0)
		family->gate = page;
	return r;
}

static int start_by_fork(struct prk_start *start)
{
	struct prk_family *family = start->family;

	prk_futex_lock(&family->gate_lock);
	int r = family->gate ? 0 : make_gate_locked(family);
	if (r == 0)
		r = fork_locked(start);
	prk_futex_unlock(&family->gate_lock);
	return r;
}

/* ---- any method ---- */

static int check(const struct prk_start *start)
{
	const struct prusik_process_options *options = start->options;

	if (!start->function || options->method > PRUSIK_PROCESS_SPAWN)
		return -EINVAL;
	if (options->name && strnlen(options->name, PRUSIK_PROCESS_NAME_MAX + 1) > PRUSIK_PROCESS_NAME_MAX)
		return -ENAMETOOLONG;
	if ((options->argument_length && !start->argument) || (options->descriptor_count && !options->descriptors) ||
	    options->descriptor_count > PRK_DESCRIPTORS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < options->descriptor_count; i++)
		if (!prk_sys_is_open(options->descriptors[i]))
			return -EBADF;
	if (options->method == PRUSIK_PROCESS_FORK)
		return 0;
	if (start->argument && !options->argument_length)
		return -EINVAL;
	return 0;
}

/* (printf's deep stack is one more page to be copied after each fork.) */
static void append(char *name, uint32_t number)
{
	char digits[12];
	int n = 0;

	for (; number > 0; number /= 10)
		digits[n++] = (char)('0' + number % 10);
	name += strlen(name);
	while (n > 0)
		*name++ = digits[--n];
}

static struct prusik_process *new_process(struct prk_family *family, const struct prusik_process_options *options)
{
	struct prusik_process *process = prk_process_new(options->name ? options->name : "Process-", PRK_PROCESS_CHILD);

	if (!process)
		return NULL;
	process->daemon = options->daemon != 0;
	if (!options->name)
		append(process->name, prk_add32_rlx(&family->children, 1) + 1);
	return process;
}

static int start_by_method(struct prk_start *start)
{
	prk_flush_stdio();
	switch (start->options->method) {
	case PRUSIK_PROCESS_FORKSERVER:
		return prk_start_by_server(start);
	case PRUSIK_PROCESS_SPAWN:
		return prk_start_spawn(start);
	default:
		return start_by_fork(start);
	}
}

static int start_child(struct prk_start *start)
{
	int r = prk_family_open(&start->family);

	if (r == 0)
		r = prk_authkey_make();
	if (r == 0 && start->options->daemon)
		r = prk_guard_ensure(start->family);
	if (r < 0)
		return r;
	start->process = new_process(start->family, start->options);
	return start->process ? start_by_method(start) : -ENOMEM;
}

static int start_any(struct prk_start *start, int (*identity)(void *), struct prusik_process **ret_process)
{
	static const struct prusik_process_options defaults;
	const char *unused;

	if (!start->options)
		start->options = &defaults;
	int r = ret_process ? check(start) : -EINVAL;
	if (r == 0 && start->options->method != PRUSIK_PROCESS_FORK)
		r = prk_registered(identity, &unused);
	if (r == 0)
		r = start_child(start);
	if (r == 0)
		*ret_process = start->process;
	else if (start->process)
		prk_process_drop(start->process);
	return r;
}

int prusik_process_start(int (*function)(void *), void *argument, const struct prusik_process_options *options,
			 struct prusik_process **ret_process)
{
	struct prk_start start = { .function = function, .argument = argument, .options = options };

	return start_any(&start, function, ret_process);
}

static int run_own(void *own)
{
	return ((struct prusik_process_own *)own)->run(own);
}

int prusik_process_start_own(struct prusik_process_own *own, const struct prusik_process_options *options,
			     struct prusik_process **ret_process)
{
	if (!own || !own->run)
		return -EINVAL;
	struct prk_start start = { .function = run_own, .argument = own, .options = options };
	if (!options || options->method == PRUSIK_PROCESS_FORK)
		return start_any(&start, run_own, ret_process);
	if (options->argument_length < sizeof *own)
		return -EINVAL;
	start.function = (int (*)(void *))own->run;
	return start_any(&start, start.function, ret_process);
}
