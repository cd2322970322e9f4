/* SPDX-License-Identifier: MIT */
/*
 * domain - find and open the directory and the life table of this user
 *
 * The table is made as a nameless file and gets its name when it is whole, so
 * nobody ever sees half of one, and a maker that is killed leaves nothing. One that
 * an earlier run of the machine left behind, in a directory that outlives it, is
 * replaced; killed in between, there is none, or the next one replaces it.
 */
#include "base/life.h"
#include "base/process.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define LIFE_FILE "life"
#define LIFE_BYTES(slots) (sizeof(struct prk_life) + (size_t)(slots) * sizeof(struct prk_slot))

_Static_assert(sizeof(struct prk_slot) == 64, "a slot is one cache line");
_Static_assert(offsetof(struct prk_slot, life) == 0 && offsetof(struct prk_slot, prev) == 24 &&
		       offsetof(struct prk_slot, next) == 32,
	       "as in glibc's mutex: the word 32 bytes before the link, prev just before it");
_Static_assert(sizeof(struct prk_life) == 4096, "slots begin on a page");
_Static_assert(offsetof(struct prk_life, epoch) == 64 && offsetof(struct prk_life, bell) == 128,
	       "epoch and bell have cache lines of their own");

struct prk_life *prk_life;
static int life_file = -1; /* its descriptor */

static uint32_t life_signature(void)
{
	return (uint32_t)(sizeof(struct prk_slot) | offsetof(struct prk_slot, prev) << 8 |
			  offsetof(struct prk_life, bell) << 16) ^
	       PRK_SLOT_BITS << 26;
}

/* The number of this run of the machine; zeros: the kernel does not tell. */
static void read_boot(uint64_t boot[2])
{
	char text[40] = "";
	int fd = prk_sys_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0), digits = 0;

	boot[0] = boot[1] = 0;
	if (fd < 0)
		return;
	if (prk_sys_pread(fd, text, sizeof text - 1, 0) < 0)
		text[0] = 0;
	prk_sys_close(fd);
	for (const char *c = text; *c && digits < 32; c++) {
		int digit = *c >= '0' && *c <= '9' ? *c - '0' : *c >= 'a' && *c <= 'f' ? *c - 'a' + 10 : -1;
		if (digit < 0)
			continue;
		boot[digits / 16] = boot[digits / 16] << 4 | (uint64_t)digit;
		digits++;
	}
}

static bool of_another_run(const struct prk_life *life)
{
	uint64_t now[2];

	read_boot(now);
	return (now[0] | now[1]) != 0 && (life->boot[0] | life->boot[1]) != 0 &&
	       (now[0] != life->boot[0] || now[1] != life->boot[1]);
}

static int check_directory(int fd)
{
	struct stat st;
	int r = prk_sys_fstat(fd, &st);

	if (r < 0)
		return r;
	return st.st_uid == geteuid() && (st.st_mode & 077) == 0 ? 0 : -EPERM;
}

static int open_directory(const char *path)
{
	return prk_sys_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

int prk_domain_directory(void)
{
	const char *given = getenv("PRUSIK_DIR");
	char standard[64];

	if (!given || !*given) {
		snprintf(standard, sizeof standard, "/dev/shm/prusik-%u", (unsigned int)geteuid());
		given = standard;
	}
	int fd = open_directory(given);
	if (fd == -ENOENT) {
		int made = prk_sys_mkdir(given, 0700);
		fd = made < 0 && made != -EEXIST ? made : open_directory(given);
	}
	if (fd < 0)
		return fd;
	int r = check_directory(fd);
	if (r == 0)
		return fd;
	prk_sys_close(fd);
	return r;
}

/* A whole life table in a nameless file. Returns its descriptor. */
static int make_file(int dir)
{
	int fd = prk_sys_openat(dir, ".", O_RDWR | O_TMPFILE, 0600);
	if (fd < 0)
		return fd;
	struct prk_life fresh = {
		.magic = PRK_LIFE_MAGIC,
		.version = PRK_LIFE_VERSION,
		.signature = life_signature(),
		.cursor = 1,
		.top = PRK_SLOTS_UNGUARDED,
	};
	read_boot(fresh.boot);
	int r = prk_sys_fallocate(fd, 0, LIFE_BYTES(PRK_SLOTS_UNGUARDED));
	if (r == 0 && getrandom(&fresh.domain, sizeof fresh.domain, 0) != sizeof fresh.domain)
		r = -EIO;
	if (r == 0 && pwrite(fd, &fresh, sizeof fresh, 0) != sizeof fresh)
		r = -EIO;
	if (r == 0)
		r = prk_sys_link_fd(fd, dir, LIFE_FILE);
	if (r == 0)
		return fd;
	prk_sys_close(fd);
	return r;
}

static int check_file(int fd)
{
	struct prk_life head;
	struct stat st;
	int r = prk_sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof head)
		return -EPROTO;
	if (st.st_uid != geteuid())
		return -EPERM;
	ssize_t n = prk_sys_pread(fd, &head, sizeof head, 0);
	if (n < 0)
		return (int)n;
	/* Once more, after top was read: the table may have grown since, file first. */
	r = prk_sys_fstat(fd, &st);
	if (r < 0)
		return r;
	bool ours = n == sizeof head && head.magic == PRK_LIFE_MAGIC && head.version == PRK_LIFE_VERSION &&
		    head.signature == life_signature() && head.top >= PRK_SLOTS_UNGUARDED &&
		    head.top <= PRK_SLOTS_MAX && st.st_size >= (off_t)LIFE_BYTES(head.top);
	if (!ours)
		return -EPROTO;
	return of_another_run(&head) ? -ESTALE : 0;
}

/* Remove that file's name, unless it is another's by now; names are removed under the directory's flock. */
static int remove_file(int dir, int fd)
{
	struct stat named, own;
	int r = prk_sys_flock(dir, LOCK_EX);

	if (r < 0)
		return r;
	r = prk_sys_fstatat(dir, LIFE_FILE, &named);
	if (r == 0)
		r = prk_sys_fstat(fd, &own);
	if (r == 0 && named.st_dev == own.st_dev && named.st_ino == own.st_ino)
		r = prk_sys_unlinkat(dir, LIFE_FILE);
	(void)prk_sys_flock(dir, LOCK_UN);
	return r == -ENOENT ? 0 : r;
}

static int open_file(int dir)
{
	for (;;) {
		int fd = prk_sys_openat(dir, LIFE_FILE, O_RDWR | O_NOFOLLOW, 0);
		if (fd == -ENOENT) {
			fd = make_file(dir);
			if (fd == -EEXIST) /* somebody was faster */
				continue;
		}
		if (fd < 0)
			return fd;
		int r = check_file(fd);
		if (r == 0)
			return fd;
		bool gone = r == -ESTALE;
		if (gone)
			r = remove_file(dir, fd);
		prk_sys_close(fd);
		if (!gone || r < 0)
			return r;
	}
}

static int map_file(int fd)
{
	void *mapping;
	int r = prk_sys_mmap(&mapping, LIFE_BYTES(PRK_SLOTS_MAX), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (r < 0)
		return r;
	life_file = fd;
	prk_store_ptr_rel((void **)&prk_life, mapping); /* rel [prk_life]: the table is whole */
	return 0;
}

static int open_table(void)
{
	int dir = prk_domain_directory();
	if (dir < 0)
		return dir;
	int fd = open_file(dir);
	prk_sys_close(dir);
	if (fd < 0)
		return fd;
	int r = map_file(fd);
	if (r < 0)
		prk_sys_close(fd);
	return r;
}

static bool is_open(void)
{
	return prk_load_ptr_acq((void *const *)&prk_life) != NULL; /* acq [prk_life] */
}

int prk_life_open(void)
{
	if (is_open())
		return 0;
	int r = prk_process_open();
	if (r < 0)
		return r;
	prk_process_lock();
	r = is_open() ? 0 : open_table();
	prk_process_unlock();
	return r;
}

uint64_t prk_domain(void)
{
	return prk_life->domain;
}

int prk_life_grow(uint32_t top)
{
	if (top >= PRK_SLOTS_MAX)
		return -ENOSPC;
	uint32_t wanted = top * 2 < PRK_SLOTS_MAX ? top * 2 : PRK_SLOTS_MAX;
	int r = prk_sys_fallocate(life_file, 0, LIFE_BYTES(wanted));

	/* rel [life.top]: the memory is there; pairs with the acq in prk_dead and prk_sweep */
	if (r == 0)
		prk_cas32_acqrel(&prk_life->top, &top, wanted);
	return r;
}
