/* SPDX-License-Identifier: MIT */
/*
 * ground - what the fuzz targets stand on: a domain, and a file in it of bytes that are
 * an object in order with the input laid over it
 *
 * What says that the file is one of ours (magic, version, signature, domain) is put right
 * afterwards, or nothing would be reached; so is a lock that names a living thread, which
 * would rightly be waited for; and how far it may grow, since memory is no find.
 */
#ifndef FUZZ_GROUND_H
#define FUZZ_GROUND_H

#include "base/life.h"
#include "shm/alloc.h"
#include "shm/named.h"
#include "shm/segment.h"

#include <fcntl.h>
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES (UINT64_C(128) << 10)
#define LIMIT (UINT64_C(1) << 20)
#define NAME "fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An object in order, length bytes long, and what becomes of it. */
struct whole {
	char bytes[BYTES];
	uint64_t length;
};

static char file_bytes[BYTES];
static char path[4096];

static void must(int ok)
{
	if (!ok)
		abort();
}

/* ---- a domain of our own ---- */

static char directory[] = "/dev/shm/prusik-fuzz-XXXXXX";

static void tidy_up(void)
{
	static const char *const files[] = { "life", (NAME PRK_SEGMENT_SUFFIX), ("whole" PRK_SEGMENT_SUFFIX) };

	for (unsigned int i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, files[i]);
		unlink(path);
	}
	rmdir(directory);
}

static void begin_domain(void)
{
	must(mkdtemp(directory) != NULL && setenv("PRUSIK_DIR", directory, 1) == 0);
	must(atexit(tidy_up) == 0);
	for (uint32_t i = 0; i < 3 * PRK_SLOTS_UNGUARDED; i++) {
		must(prk_joined() == 0);
		prk_leave(); /* so that our id is no number that means something else in the file */
	}
	must(prk_joined() == 0);
	snprintf(path, sizeof path, "%s/%s%s", directory, NAME, PRK_SEGMENT_SUFFIX);
}

/* Keep the bytes of the arena, which goes by the name "whole"; the name goes. */
static void keep_whole(struct whole *whole, struct prusik_arena *arena)
{
	must(prk_arena_valid(arena) && arena->size <= BYTES);
	whole->length = arena->size;
	memcpy(whole->bytes, arena->shm, whole->length);
	must(prusik_named_remove("whole", 0) == 0);
}

/* ---- its bytes ---- */

/* What is compared here, a thousand times over, is no news to the fuzzer. */
#ifdef __clang__
__attribute__((no_sanitize("coverage")))
#endif
static void
free_of_living(void)
{
	uint32_t *words = (uint32_t *)(void *)file_bytes;

	for (uint64_t i = 0; i < BYTES / sizeof *words; i++)
		if ((words[i] & PRK_ID_MASK) != 0 && !prk_dead(words[i] & PRK_ID_MASK))
			words[i] = 0;
}

static void put_right(const struct whole *whole)
{
	struct prk_arena_shm *head = (void *)file_bytes;
	const struct prk_arena_shm *ours = (const void *)whole->bytes;

	head->magic = ours->magic;
	head->version = ours->version;
	head->signature = ours->signature;
	head->domain = ours->domain;
	if (head->limit > LIMIT)
		head->limit = LIMIT;
	free_of_living();
}

static void write_file(void)
{
	uint64_t size = ((const struct prk_arena_shm *)(const void *)file_bytes)->reach;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (size > BYTES)
		size = BYTES;
	must(fd >= 0 && pwrite(fd, file_bytes, size, 0) == (ssize_t)size);
	close(fd);
}

#endif
