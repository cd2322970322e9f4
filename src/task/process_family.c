/* SPDX-License-Identifier: MIT */
/*
 * process: all children of this process, what this process is itself, and its end
 *
 * The list lies in memory that is zeros in a forked child, so that the child has no children
 * and no helpers, and finds the lock free. It takes what it has to be told from elsewhere.
 */
#include "base/process.h"
#include "base/sys.h"
#include "base/sys_process.h"
#include "base/wait.h"
#include "task/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u

static struct prk_family *family;
static pid_t ends_of; /* the process for which prk_family_end is registered */

/* ---- the lock ---- */

/* The mutex of Drepper, "Futexes are tricky". */
void prk_futex_lock(uint32_t *lock)
{
	uint32_t free = 0;

	if (!prk_cas32_acq(lock, &free, 1)) /* acq [family.lock] */
		while (prk_swap32_acqrel(lock, 2) != 0)
			prk_sys_futex_wait(lock, 2, PRUSIK_FOREVER);
}

void prk_futex_unlock(uint32_t *lock)
{
	if (prk_swap32_acqrel(lock, 0) == 2) /* rel [family.lock] */
		prk_sys_futex_wake(lock, 1);
}

/* ---- the list ---- */

static struct prk_family *here(void)
{
	return prk_load_ptr_acq((void *const *)&family); /* acq [family] */
}

static void reap_forgotten_locked(struct prk_family *own)
{
	struct prusik_process *next;

	for (struct prusik_process *process = own->first; process; process = next) {
		next = process->next;
		if (prk_load32_acq(&process->refs) > 1) /* acq [process.refs] */
			continue;
		int r = prk_process_read_code(process, NULL);
		if (r != 0 && r != -ECHILD)
			continue;
		if (next)
			next->back = process->back;
		*process->back = next;
		process->listed = 0;
		prk_process_drop(process);
	}
}

void prk_family_add(struct prk_family *own, struct prusik_process *process)
{
	prk_futex_lock(&own->lock);
	reap_forgotten_locked(own);
	prk_add32_rlx(&process->refs, 1);
	process->listed = 1;
	process->next = own->first;
	process->back = &own->first;
	if (own->first)
		own->first->back = &process->next;
	own->first = process;
	prk_futex_unlock(&own->lock);
}

void prk_family_remove(struct prusik_process *process)
{
	struct prk_family *own = here();

	if (!own || process->parent != getpid())
		return;
	prk_futex_lock(&own->lock);
	bool listed = process->listed;
	if (listed) {
		if (process->next)
			process->next->back = process->back;
		*process->back = process->next;
		process->listed = 0;
	}
	prk_futex_unlock(&own->lock);
	if (listed)
		prk_process_drop(process);
}

static struct prusik_process *reference(struct prusik_process *process)
{
	if (process)
		prk_add32_rlx(&process->refs, 1);
	return process;
}

int64_t prusik_process_active_children(struct prusik_process **ret_processes, uint32_t count)
{
	struct prk_family *own = here();
	uint32_t n = 0;

	if (!ret_processes && count)
		return -EINVAL;
	if (!own)
		return 0;
	prk_futex_lock(&own->lock);
	reap_forgotten_locked(own);
	for (struct prusik_process *process = own->first; process; process = process->next) {
		if (prk_process_read_code(process, NULL) != -EAGAIN)
			continue;
		if (n < count)
			ret_processes[n] = reference(process);
		n++;
	}
	prk_futex_unlock(&own->lock);
	return n;
}

#define SPARE_MAX 64u

/*
 * Under the family's lock; not wiped: a forked child uses what its parent had to spare,
 * and leak checkers see it. Each change is one store, so the list is whole in a child
 * whatever another thread did when it was forked; the count may then be wrong by one.
 */
static struct prusik_process *spare;
static uint32_t spare_count;

struct prusik_process *prk_family_spare(void)
{
	struct prk_family *own = here();

	if (!own)
		return NULL;
	prk_futex_lock(&own->lock);
	struct prusik_process *process = spare;
	if (process) {
		spare = process->next;
		spare_count--;
	}
	prk_futex_unlock(&own->lock);
	if (process)
		memset(process, 0, sizeof *process);
	return process;
}

/* The lock may be held by the caller, who drops what he takes off the list: no more than a try. */
bool prk_family_keep_spare(struct prusik_process *process)
{
	struct prk_family *own = here();
	uint32_t free = 0;

	if (!own || !prk_cas32_acq(&own->lock, &free, 1)) /* acq [family.lock] */
		return false;
	bool kept = spare_count < SPARE_MAX;
	if (kept) {
		process->next = spare;
		prk_barrier();
		spare = process;
		spare_count++;
	}
	prk_futex_unlock(&own->lock);
	return kept;
}

/* ---- helpers ---- */

bool prk_helper_lives(const struct prk_helper *helper)
{
	return helper->open && prk_sys_poll_readable(helper->pidfd, PRUSIK_NOW) == -ETIMEDOUT;
}

void prk_helper_end(struct prk_helper *helper)
{
	siginfo_t info;

	if (!helper->open)
		return;
	helper->open = 0;
	prk_sys_pidfd_signal(helper->pidfd, SIGKILL);
	prk_sys_waitid(P_PIDFD, (id_t)helper->pidfd, &info, WEXITED | __WALL);
	prk_sys_close(helper->pidfd);
	prk_sys_close(helper->socket);
}

/* ---- the end of the program ---- */

/* A reference; NULL: there is none (any more). */
static struct prusik_process *one_of_them(struct prk_family *own, uint32_t daemon)
{
	prk_futex_lock(&own->lock);
	struct prusik_process *process = own->first;
	while (process && process->daemon != daemon)
		process = process->next;
	reference(process);
	prk_futex_unlock(&own->lock);
	return process;
}

static void end_all(struct prk_family *own, uint32_t daemon)
{
	struct prusik_process *process;

	while ((process = one_of_them(own, daemon)) != NULL) {
		if (daemon && prk_process_read_code(process, NULL) == -EAGAIN)
			prk_trees_kill(&process->pidfd, 1);
		prk_process_bury(process);
		prk_family_remove(process);
		prk_process_drop(process);
	}
}

void prk_family_end(void)
{
	struct prk_family *own = here();

	if (ends_of != getpid())
		return; /* nothing was ever started here; perhaps by the process that forked this one */
	end_all(own, 1);
	end_all(own, 0);
	end_all(own, 1); /* started meanwhile */
	prk_futex_lock(&own->lock);
	prk_server_end_locked(own);
	prk_helper_end(&own->guard);
	prk_futex_unlock(&own->lock);
}

/* ---- making it ---- */

static int make_family(void)
{
	void *page, *none = NULL;
	int r = prk_wiped_pages(&page, PAGE);

	if (r < 0)
		return r;
	/* rel [family]: the page is zeroed */
	if (!prk_cas_ptr_acqrel((void **)&family, &none, page))
		prk_sys_munmap(page, PAGE);
	return 0;
}

static int complete_locked(struct prk_family *own)
{
	if (!own->self_open) {
		int fd = prk_sys_pidfd_open(getpid());
		if (fd < 0)
			return fd;
		own->self = fd;
		own->self_open = 1;
	}
	if (atexit(prk_family_end) != 0)
		return -ENOMEM;
	ends_of = getpid();
	prk_store32_rel(&own->ends, 1); /* rel [family.ends] */
	return 0;
}

int prk_family_open(struct prk_family **ret_family)
{
	int r = here() ? 0 : make_family();

	if (r < 0)
		return r;
	struct prk_family *own = here();
	*ret_family = own;
	if (prk_load32_acq(&own->ends)) /* acq [family.ends] */
		return 0;
	prk_futex_lock(&own->lock);
	r = own->ends ? 0 : complete_locked(own);
	prk_futex_unlock(&own->lock);
	return r;
}

/* ---- ourselves ---- */

static struct prk_me me;

void prk_me_set(const struct prk_me *known)
{
	/* The fork's copy of its parent's own. */
	if (me.pid == known->parent && me.pid != 0)
		prk_sys_close(me.parent_pidfd);
	me = *known;
}

static bool is_child(void)
{
	return me.pid == getpid();
}

const char *prk_me_name(void)
{
	return is_child() ? me.name : "MainProcess";
}

struct prusik_process *prusik_process_current(void)
{
	struct prusik_process *process = prk_process_new(prk_me_name(), PRK_PROCESS_SELF);

	if (!process)
		return NULL;
	process->pid = getpid();
	process->parent = getppid();
	process->daemon = is_child() && me.daemon;
	process->pidfd = prk_sys_pidfd_open(getpid());
	if (process->pidfd >= 0)
		return process;
	prk_process_drop(process);
	return NULL;
}

struct prusik_process *prusik_process_parent(void)
{
	if (!is_child())
		return NULL;
	struct prusik_process *process = prk_process_new(me.parent_name, PRK_PROCESS_PARENT);
	if (!process)
		return NULL;
	process->pid = me.parent;
	process->pidfd = prk_sys_dup(me.parent_pidfd, 3);
	if (process->pidfd >= 0)
		return process;
	prk_process_drop(process);
	return NULL;
}

/* ---- authkey ---- */

/* Not wiped: a forked child has its parent's. */
static unsigned char authkey[PRUSIK_AUTHKEY_BYTES];
static uint32_t authkey_known;

static int make_authkey_locked(void)
{
	if (prk_load32_rlx(&authkey_known))
		return 0;
	int r = prk_sys_random(authkey, sizeof authkey);
	if (r == 0)
		prk_store32_rel(&authkey_known, 1); /* rel [authkey] */
	return r;
}

int prk_authkey_make(void)
{
	if (prk_load32_acq(&authkey_known)) /* acq [authkey] */
		return 0;
	prk_futex_lock(&here()->lock);
	int r = make_authkey_locked();
	prk_futex_unlock(&here()->lock);
	return r;
}

void prk_authkey_adopt(const unsigned char *key)
{
	memcpy(authkey, key, sizeof authkey);
	prk_store32_rlx(&authkey_known, 1);
}

int prusik_process_authkey(unsigned char *ret_key)
{
	struct prk_family *own;
	int r = ret_key ? prk_family_open(&own) : -EINVAL;

	if (r == 0)
		r = prk_authkey_make();
	if (r < 0)
		return r;
	prk_futex_lock(&own->lock);
	memcpy(ret_key, authkey, sizeof authkey);
	prk_futex_unlock(&own->lock);
	return 0;
}

int prusik_process_set_authkey(const unsigned char *key)
{
	struct prk_family *own;
	int r = key ? prk_family_open(&own) : -EINVAL;

	if (r < 0)
		return r;
	prk_futex_lock(&own->lock);
	memcpy(authkey, key, sizeof authkey);
	prk_store32_rel(&authkey_known, 1); /* rel [authkey] */
	prk_futex_unlock(&own->lock);
	return 0;
}
