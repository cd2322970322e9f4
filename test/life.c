/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "base/life.h"
#include "base/process.h"
#include "base/sentinel.h"
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <prusik/lock.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct box {
	struct prusik_lock lock;
	uint32_t id;
	int step;
};

static uint32_t my_id(void)
{
	ck_assert_int_eq(prk_joined(), 0);
	return prk_self()->id;
}

static int live_slots(void)
{
	int n = 0;

	for (uint32_t i = 1; i < prk_life->top; i++)
		n += prk_life->slot[i].tag & PRK_TAG_LIVE;
	return n;
}

TEST(ids_tell_the_living_from_the_dead)
{
	uint32_t id = my_id();

	ck_assert(!prk_dead(id));
	ck_assert(prk_dead(0));
	ck_assert(prk_dead(PRK_ID_MASK));
	ck_assert(prk_dead(id ^ 1u << PRK_SLOT_BITS)); /* another generation */
	prk_leave();
	ck_assert(prk_dead(id));
	ck_assert_uint_ne(my_id(), id);
}

static int join_and_end(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(prk_joined() == 0);
	box->id = prk_self()->id;
	if (index)
		kill(getpid(), SIGKILL);
	return 0;
}

static void silent_unless_it_holds_something(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_quiet();
	uint32_t epoch = prk_epoch();
	party_run(kind, 1, join_and_end, box);
	if (kind == THREADS)
		ck_assert_uint_eq(prk_epoch(), epoch);
	ck_assert(prk_dead(box->id));
	prk_sweep();
	ck_assert_int_eq(live_slots(), 1);
}
BOTH(silent_unless_it_holds_something)

TEST(killed_is_buried)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	party_quiet();
	uint32_t epoch = prk_epoch();
	ck_assert_int_eq(party_join(party_start(PROCESSES, join_and_end, box, 1)), -SIGKILL);
	ck_assert(prk_dead(box->id));
	ck_assert_int_eq(prk_sweep(), 1);
	ck_assert_uint_ne(prk_epoch(), epoch);
	ck_assert_int_eq(prk_sweep(), 0);
	ck_assert(prk_dead(box->id));
}

/* More participants at once than the table was made for. */
static int join_and_stay(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prk_joined() == 0);
	prk_add32_acqrel((uint32_t *)&box->step, 1);
	party_await(&box->step, 1000);
	return 0;
}

TEST(table_grows)
{
	struct box *box = party_memory(THREADS, sizeof *box);
	pthread_t thread[400];
	struct party p = { .function = join_and_stay, .shared = box };

	my_id();
	for (int i = 0; i < 400; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, party_thread, &p), 0);
	party_await(&box->step, 400);
	ck_assert_uint_gt(prk_life->top, 400);
	party_say(&box->step, 1000);
	for (int i = 0; i < 400; i++) {
		void *r;
		ck_assert_int_eq(pthread_join(thread[i], &r), 0);
		ck_assert_ptr_null(r);
	}
}

static int hold(void *shared, int index)
{
	struct box *box = shared;

	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) >= 0);
	party_say(&box->step, 1);
	if (index)
		syscall(SYS_exit, 0); /* this thread only, past libc */
	for (;;)
		pause_ms(1000);
}

static int wait_recovered(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	prk_sentinel_belt = PRUSIK_FOREVER;
	party_say(&box->step, 2);
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) == PRUSIK_RECOVERED);
	return 0;
}

/* Hundreds of processes that never wait, and one that does: it hears of each one's death. */
TEST(a_crowd_that_never_waits)
{
	struct box *box = party_memory(PROCESSES, 200 * sizeof *box);
	struct party *crowd[200];

	for (int i = 0; i < 200; i++)
		crowd[i] = party_start(PROCESSES, hold, &box[i], 0);
	for (int i = 0; i < 200; i++)
		party_await(&box[i].step, 1);
	for (int i = 0; i < 200; i += 37) {
		struct party *waiter = party_start(PROCESSES, wait_recovered, &box[i], 0);
		party_await(&box[i].step, 2);
		pause_ms(10);
		ck_assert_int_eq(kill(crowd[i]->pid, SIGKILL), 0);
		ck_assert_int_eq(party_join(waiter), 0);
	}
	for (int i = 0; i < 200; i++) {
		kill(crowd[i]->pid, SIGKILL);
		ck_assert_int_eq(party_join(crowd[i]), -SIGKILL);
	}
}

static int exec_from_a_thread(void *shared, int index)
{
	struct party p = { .function = hold, .shared = shared, .index = 0 };
	pthread_t thread;

	(void)index;
	PARTY_CHECK(pthread_create(&thread, NULL, party_thread, &p) == 0);
	party_await(&((struct box *)shared)->step, 1);
	p.index = 0;
	pause_ms(1);
	execl("/bin/sleep", "sleep", "5", (char *)NULL);
	return 1;
}

static void *exec_sleep(void *unused)
{
	execl("/bin/sleep", "sleep", "20", (char *)NULL);
	return unused;
}

static int hold_then_exec_elsewhere(void *shared, int index)
{
	struct box *box = shared;
	pthread_t thread;

	(void)index;
	PARTY_CHECK(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) >= 0);
	party_say(&box->step, 1);
	pause_ms(50);
	PARTY_CHECK(pthread_create(&thread, NULL, exec_sleep, NULL) == 0);
	pthread_join(thread, NULL);
	return 1;
}

/* execve by another thread than the holder, and by the holder as a side thread: the program is another. */
TEST(exec_counts_as_death)
{
	party_fn *ways[] = { hold_then_exec_elsewhere, exec_from_a_thread };

	for (int i = 0; i < 2; i++) {
		struct box *box = party_memory(PROCESSES, sizeof *box);
		struct party *p = party_start(PROCESSES, ways[i], box, 0);
		party_await(&box->step, 1);
		ck_assert_int_eq(prusik_lock_acquire(&box->lock, prusik_in_s(15)), PRUSIK_RECOVERED);
		kill(p->pid, SIGKILL);
		party_join(p);
	}
}

/* A fork that libc does not know of: the child must not act under its parent's id. */
TEST(raw_fork)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);

	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), 0);
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(prk_self()->id == 0 && prusik_lock_acquire(&box->lock, PRUSIK_NOW) == -ETIMEDOUT ? 0 : 1);
	int status;
	ck_assert_int_eq(waitpid((pid_t)pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(prusik_lock_release(&box->lock), 0);
}

/* ---- the domain ---- */

static int acquire_result(void)
{
	struct prusik_lock lock = { 0 };

	return -prusik_lock_acquire(&lock, PRUSIK_NOW);
}

/* In a child, as a process joins once: the errno that the first acquire gave. */
static int joining_gives(const char *dir)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		setenv("PRUSIK_DIR", dir, 1);
		_exit(acquire_result());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static char *in_dir(const char *name)
{
	static char path[300];

	snprintf(path, sizeof path, "%s/%s", getenv("PRUSIK_DIR"), name);
	return path;
}

TEST(domain_is_made_private)
{
	struct stat st;
	char *dir = in_dir("new");

	ck_assert_int_eq(joining_gives(dir), 0);
	ck_assert_int_eq(stat(dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(joining_gives(in_dir("new")), EPERM);
	ck_assert_int_eq(joining_gives(in_dir("no/such")), ENOENT);
	ck_assert_int_eq(symlink(".", in_dir("link")), 0);
	ck_assert_int_ne(joining_gives(in_dir("link")), 0);
}

static void write_life(const void *bytes, size_t length)
{
	int fd = open(in_dir("d/life"), O_CREAT | O_TRUNC | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, length), (int)length);
	close(fd);
}

TEST(foreign_life_tables_are_refused)
{
	static char bytes[65536];

	ck_assert_int_eq(joining_gives(in_dir("d")), 0);
	int fd = open(in_dir("d/life"), O_RDONLY);
	ssize_t length = read(fd, bytes, sizeof bytes);
	close(fd);
	ck_assert_int_gt(length, 4096);
	ck_assert_int_eq(joining_gives(in_dir("d")), 0);

	write_life("", 0);
	ck_assert_int_eq(joining_gives(in_dir("d")), EPROTO);
	write_life(bytes, 4096); /* truncated */
	ck_assert_int_eq(joining_gives(in_dir("d")), EPROTO);
	for (size_t i = 0; i < offsetof(struct prk_life, domain); i++) {
		bytes[i] ^= 0x40;
		write_life(bytes, (size_t)length);
		ck_assert_int_eq(joining_gives(in_dir("d")), EPROTO);
		bytes[i] ^= 0x40;
	}
	write_life(bytes, (size_t)length);
	ck_assert_int_eq(joining_gives(in_dir("d")), 0);
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* Whatever system call fails, joining says so, leaves nothing, and works the next time. */
TEST(each_system_call_may_fail)
{
	int failures = 0;

	for (uint32_t nth = 1; nth < 100; nth++) {
		char name[16];
		snprintf(name, sizeof name, "fail%u", nth);
		char *dir = strdup(in_dir(name));
		pid_t pid = fork();
		if (pid == 0) {
			setenv("PRUSIK_DIR", dir, 1);
			int fds = entries("/proc/self/fd");
			prk_sys_fail(PRK_SYS_ANY, nth, EIO);
			int r = acquire_result();
			prk_sys_fail(PRK_SYS_ANY, 0, 0);
			if (r != 0 && (r != EIO && r != ENOENT))
				_exit(100);
			if (entries("/proc/self/fd") != fds + (prk_life != NULL)) /* the table stays open */
				_exit(101);
			_exit(acquire_result() != 0 ? 102 : r != 0);
		}
		int status;
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFEXITED(status));
		ck_assert_int_le(WEXITSTATUS(status), 1);
		ck_assert_int_eq(entries(dir), 3); /* ., .., life */
		free(dir);
		if (WEXITSTATUS(status) == 0)
			break;
		failures++;
	}
	ck_assert_int_gt(failures, 5);
}

TEST(no_room_and_no_descriptors)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct rlimit none = { 3, 3 };
		setrlimit(RLIMIT_NOFILE, &none);
		setenv("PRUSIK_DIR", in_dir("few"), 1);
		_exit(acquire_result());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), EMFILE);
}

/* Without futex_waitv, or without a thread to spare, waiting still works and deaths are still heard of. */
static void without(enum prk_sys call, int error)
{
	struct box *box = party_memory(PROCESSES, sizeof *box);
	struct party *holder = party_start(PROCESSES, hold, box, 0);

	party_await(&box->step, 1);
	my_id();
	prk_sys_fail(call, 1, error);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, prusik_in_ms(30)), -ETIMEDOUT);
	kill(holder->pid, SIGKILL);
	ck_assert_int_eq(prusik_lock_acquire(&box->lock, PRUSIK_FOREVER), PRUSIK_RECOVERED);
	party_join(holder);
}

TEST(without_futex_waitv)
{
	without(PRK_SYS_FUTEX_WAITV, ENOSYS);
}

TEST(without_a_sentinel)
{
	without(PRK_SYS_THREAD, EAGAIN);
}

static struct {
	pthread_mutex_t before, after;
	struct prusik_lock lock;
} * pi;

/* The thread joins and ends between two robust mutexes whose links glibc marks in bit 0. */
static void *join_among_pi(void *unused)
{
	(void)unused;
	ck_assert_int_eq(pthread_mutex_lock(&pi->before), 0);
	ck_assert_int_eq(prusik_lock_acquire(&pi->lock, PRUSIK_FOREVER), 0);
	ck_assert_int_eq(pthread_mutex_lock(&pi->after), 0);
	ck_assert_int_eq(pthread_mutex_unlock(&pi->before), 0); /* walks the links around it */
	/* Not lock: in the other order it would look like a deadlock to come. */
	ck_assert_int_eq(pthread_mutex_trylock(&pi->before), 0);
	return NULL;
}

TEST(beside_robust_mutexes_with_priority_inheritance)
{
	pthread_mutexattr_t attr;
	pthread_t thread;

	pi = party_memory(PROCESSES, sizeof *pi);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&pi->before, &attr);
	pthread_mutex_init(&pi->after, &attr);
	pthread_create(&thread, NULL, join_among_pi, NULL);
	pthread_join(thread, NULL);
	ck_assert_int_eq(pthread_mutex_lock(&pi->before), EOWNERDEAD);
	ck_assert_int_eq(pthread_mutex_lock(&pi->after), EOWNERDEAD);
	ck_assert_int_eq(prusik_lock_acquire(&pi->lock, PRUSIK_FOREVER), PRUSIK_RECOVERED);
}
