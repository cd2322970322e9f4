/* SPDX-License-Identifier: MIT */
/*
 * Opening what is there by its name, and closing it again. One stays attached meanwhile, so
 * that it lives.
 */
#include "named.h"

#include "bench.h"
#include "team.h"

#include <errno.h>
#include <fcntl.h>
#include <prusik/dict.h>
#include <prusik/named.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "prusik-bench-named"
#define BYTES 65536

/* ---- prusik ---- */

static struct prusik_named *lock;
static struct prusik_dict *dict;

static int make_lock(void)
{
	return prusik_named_open(NAME "-lock", PRUSIK_KIND_LOCK, NULL, &lock);
}

static int open_lock(void)
{
	struct prusik_named *handle;
	int r = prusik_named_open(NAME "-lock", PRUSIK_KIND_LOCK, NULL, &handle);

	if (r < 0)
		return r;
	prusik_named_close(handle);
	return 0;
}

static void drop_lock(void)
{
	prusik_named_close(lock);
	prusik_named_remove(NAME "-lock", 0);
}

static int make_dict(void)
{
	return prusik_dict_open_named(NAME "-dict", NULL, &dict);
}

static int open_dict(void)
{
	struct prusik_dict *handle;
	int r = prusik_dict_open_named(NAME "-dict", NULL, &handle);

	if (r < 0)
		return r;
	prusik_dict_free(handle);
	return 0;
}

static void drop_dict(void)
{
	prusik_dict_free(dict);
	prusik_named_remove(NAME "-dict", 0);
}

/* ---- POSIX ---- */

/* Closed before the loop: libc gives out again what is open in the process. */
static int make_sem(void)
{
	sem_t *sem = sem_open("/" NAME, O_CREAT, 0600, 1);

	return sem == SEM_FAILED ? -errno : sem_close(sem);
}

static int open_sem(void)
{
	sem_t *sem = sem_open("/" NAME, 0);

	return sem == SEM_FAILED ? -errno : sem_close(sem);
}

static void drop_sem(void)
{
	sem_unlink("/" NAME);
}

static int make_shm(void)
{
	int fd = shm_open("/" NAME, O_RDWR | O_CREAT, 0600);
	int r = fd < 0 ? -errno : ftruncate(fd, BYTES);

	if (fd >= 0)
		close(fd);
	return r;
}

/* How large it is has to be asked for, as one who did not make it does. */
static int open_shm(void)
{
	int fd = shm_open("/" NAME, O_RDWR, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	void *memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return memory == MAP_FAILED ? -errno : munmap(memory, (size_t)st.st_size);
}

static void drop_shm(void)
{
	shm_unlink("/" NAME);
}

/* ---- pieces ---- */

struct way {
	int (*make)(void);
	int (*open)(void);
	void (*drop)(void);
};

static int setup(struct bench_piece *piece)
{
	const struct way *way = piece->subject->peer;

	return way ? way->make() : 0;
}

static int run(struct bench_piece *piece)
{
	const struct way *way = piece->subject->peer;
	int64_t start = team_now();
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < piece->count; i++)
		r = way->open();
	piece->ns = team_now() - start;
	piece->value = (double)piece->ns / (double)piece->count / 1000;
	return r;
}

static int run_python(struct bench_piece *piece)
{
	int r = named_python(piece->count, &piece->ns);

	piece->value = (double)piece->ns / (double)piece->count / 1000;
	if (r == BENCH_LEFT_OUT)
		bench_note(piece, "left out: no python3 with multiprocessing");
	return r;
}

static void teardown(struct bench_piece *piece)
{
	const struct way *way = piece->subject->peer;

	if (way)
		way->drop();
}

#define SUBJECT(shown, is_ours, noun)                                                                                  \
	{                                                                                                              \
		.name = shown, .ours = is_ours, .setup = setup, .run = run, .teardown = teardown,                      \
		.peer = &(const struct way)                                                                            \
		{                                                                                                      \
			make_##noun, open_##noun, drop_##noun                                                          \
		}                                                                                                      \
	}

static const struct bench_subject subjects[] = {
	SUBJECT("prusik-lock", 1, lock),
	SUBJECT("prusik-dict", 1, dict),
	SUBJECT("sem_open", 0, sem),
	SUBJECT("shm_open", 0, shm),
	{ .name = "python", .setup = setup, .run = run_python, .teardown = teardown },
	{ .name = NULL },
};

const struct bench_workload bench_named[] = {
	{ .name = "named-open", .unit = "us", .counted = 1, .subjects = subjects },
	{ .name = NULL },
};
