/* SPDX-License-Identifier: MIT */
/*
 * segment - the file that an arena lies in: making, finding, naming, proving dead
 *
 * A segment is a file in the domain's directory that begins without a name
 * (O_TMPFILE), is filled, and then is given its name: so it is born whole, and a
 * maker that is killed leaves nothing. An anonymous arena is one that never gets
 * a name; its memory counts against the same file system, which refuses what it
 * has no room for, where a memfd would call for the out-of-memory killer.
 *
 * Who is attached holds a shared flock on the file. The mapping keeps it, so no
 * descriptor need stay open, forked children have it too, and the kernel drops it
 * when the last of them ends, in any way. From that follows who has died:
 *
 *   N1 a segment has its maker's shared flock before it has its name
 *   N2 who gets the exclusive flock of a named segment that is not persistent has
 *      proved it dead, and removes it. Nobody takes it for anything else.
 *   N3 who has got a shared flock looks whether the file still has a name; if not,
 *      he was too late, and begins anew
 *   N4 names are removed under the exclusive flock of the directory, after a look
 *      whether the name still is this file's; names are given without, by link,
 *      which replaces nothing
 *   N5 both flocks of the file are taken under the directory's, too, so that who looks
 *      whether it is dead is not taken for somebody who is attached. One who is killed
 *      there may lose the directory's first: then neither flock of the file can be
 *      had, and the next one begins anew.
 *
 * Killed after any of these steps: the kernel drops the flocks; the file is there,
 * dead, for the next one who wants the name and for prusik_named_gc, or it is not.
 */
#ifndef PRK_SHM_SEGMENT_H
#define PRK_SHM_SEGMENT_H

#include "shm/arena.h"

#include <sys/stat.h>

#define PRK_SEGMENT_SUFFIX ".arena"
#define PRK_SEGMENT_NAME (PRUSIK_NAME_MAX + sizeof PRK_SEGMENT_SUFFIX)

/* What a new segment is to be. */
struct prk_segment_plan {
	const char *kind; /* at most PRK_KIND_MAX bytes */
	uint64_t size; /* at least; PRK_ARENA_LEAST at the least */
	uint64_t limit; /* how far it may grow; 0: not at all */
	bool modest; /* with little address space less will do for limit */
	uint32_t flags;
	int (*make)(struct prusik_arena *arena, void *context); /* before it has its name; or NULL */
	void *context;
};

/* name's file. 0, -EINVAL, -ENAMETOOLONG. */
int prk_segment_file(const char *name, char file[PRK_SEGMENT_NAME]);

/*
 * Make a segment, with that name unless file is NULL. 0, -EEXIST (also when a dead
 * one has the name), what make returned, or causes of the file system's.
 */
int prk_segment_create(const char *file, const struct prk_segment_plan *plan, struct prusik_arena **ret_arena);

/*
 * Attach. A dead one is removed first: -ENOENT. kind NULL: any, else -EPROTOTYPE. Other
 * causes as of prusik_arena_open.
 */
int prk_segment_open(const char *file, const char *kind, struct prusik_arena **ret_arena);

/* Remove the name if a dead segment has it: 1, or 0: it is alive or absent. */
int prk_segment_bury(const char *file);

/* Remove the name, whoever is attached; with unused only, -EBUSY if somebody is. */
int prk_segment_unlink(const char *file, bool unused);

/*
 * Look at a file without attaching: 0, and the header as it was a moment ago; -ESTALE:
 * the same, of a domain that is gone; -EPROTO, -EPERM and so on: *ret_stat may be all
 * there is, st_nlink 0: not even that.
 */
int prk_segment_look(int dir, const char *file, struct prk_arena_shm *ret_head, struct stat *ret_stat);

/* The domain's directory, for the caller to close; the life table is open, too. */
int prk_segment_directory(void);

/* How long the arena's file is; 0: that is not known, since its descriptor is not there. */
uint64_t prk_segment_bytes(const struct prusik_arena *arena);

/* Detach. */
void prk_segment_close(struct prusik_arena *arena);

#endif
