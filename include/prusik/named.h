/* SPDX-License-Identifier: MIT */
/*
 * named - objects that any process of the user finds by name
 *
 *	struct prusik_named *handle;
 *	if (prusik_named_open("nightly", PRUSIK_KIND_LOCK, NULL, &handle) < 0) ...
 *	struct prusik_lock *lock = prusik_named_object(handle);
 *	if (prusik_lock_acquire(lock, PRUSIK_FOREVER) < 0) ...
 *	...
 *	prusik_lock_release(lock);
 *	prusik_named_close(handle);
 *
 * A name belongs to one object, whatever its kind: a file in the domain's directory,
 * an arena of its own (prusik/arena.h). Whoever opens it joins the object, or makes
 * it if there is none; two who do so at once get the same one. This header is for
 * the primitives of fixed size; queues and whatever else is larger have an
 * _open_named of their own, with the same flags, names and causes.
 *
 * Lifetime: an object lives as long as somebody is attached: a process that has it
 * open, or a child forked by one. When the last of them has closed it or has ended, in
 * any way, it is dead: whoever opens the name then gets a new one, and
 * prusik_named_gc gives its memory back. With PRUSIK_PERSISTENT it lives until its
 * name is removed.
 *
 * kill -9: a maker that is killed leaves no object or a whole one. Nobody's end
 * takes an object from those who still use it. What the dead leave behind is
 * memory in the domain's file system, until the name is opened again or gc is called.
 */
#ifndef PRUSIK_NAMED_H
#define PRUSIK_NAMED_H

#include <prusik/arena.h>
#include <prusik/condition.h>
#include <prusik/lock.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What a name can stand for here, and what prusik_named_object points to. */
enum prusik_kind {
	PRUSIK_KIND_LOCK, /* struct prusik_lock */
	PRUSIK_KIND_RLOCK, /* struct prusik_rlock */
	PRUSIK_KIND_RWLOCK, /* struct prusik_rwlock */
	PRUSIK_KIND_SEMAPHORE, /* struct prusik_semaphore: value permits, at most limit */
	PRUSIK_KIND_PERMITS, /* struct prusik_permits: value of them */
	PRUSIK_KIND_EVENT, /* struct prusik_event: set if value is not 0 */
	PRUSIK_KIND_BARRIER, /* struct prusik_barrier: value parties */
	PRUSIK_KIND_ONCE, /* struct prusik_once */
	PRUSIK_KIND_CONDITION, /* struct prusik_named_condition */
};

/* A condition and the lock that it goes with. */
struct prusik_named_condition {
	struct prusik_lock lock;
	struct prusik_condition condition;
};

/* Zero means default. All but flags count when the object is made. */
struct prusik_named_options {
	uint32_t flags; /* PRUSIK_EXISTING, NEW, PERSISTENT: prusik/arena.h */
	uint32_t value; /* default 0; 1 for permits and barriers */
	uint32_t limit; /* of a semaphore; default: none */
	uint32_t extra; /* bytes of the user's own beside the object; default: none */
};

/* The handle: this process's view. May be used by all its threads, and by children. */
struct prusik_named;

/*
 * prusik_named_open - join the object of that name, or make it
 *
 * options NULL means all defaults. Names are as of prusik_arena_create.
 *
 * Returns 0 with *ret_handle set, or
 *   -ENOENT      PRUSIK_EXISTING, and there is none
 *   -EEXIST      PRUSIK_NEW, and there is one
 *   -EPROTOTYPE  an object of another kind has that name
 *   -EPROTO      the file is none of prusik's, damaged, of another domain, or of another
 *                layout or version than this library's
 *   -EPERM       the file belongs to another user
 *   -EINVAL      no ret_handle, no such kind or flag, EXISTING and NEW together, a bad
 *                name, or value or limit out of the kind's range
 *   -ENAMETOOLONG, -ENOSPC, -EMFILE, -ENFILE, -ENOMEM, -EACCES, or the domain could
 *   not be joined (common.h)
 * Killed inside: no object, or a whole one.
 * Context: threads; not signal handlers.
 */
int prusik_named_open(const char *name, enum prusik_kind kind, const struct prusik_named_options *options,
		      struct prusik_named **ret_handle) PRUSIK_MUST_USE;

/* The object; valid until the handle is closed. NULL for NULL. */
void *prusik_named_object(const struct prusik_named *handle);

/*
 * The user's own bytes beside the object, which begin as zeros; NULL: it was made
 * without. *ret_bytes, unless NULL: how many.
 */
void *prusik_named_extra(const struct prusik_named *handle, uint64_t *ret_bytes);

/*
 * prusik_named_close - detach
 *
 * Accepts NULL. No thread of the process may hold or wait for anything in it. The
 * process stays attached while children that it forked meanwhile do.
 */
void prusik_named_close(struct prusik_named *handle);

/*
 * prusik_named_remove - remove a name, of an object of any kind
 *
 * Those attached go on; who opens the name then gets another object. PRUSIK_UNUSED
 * in flags: only if nobody is attached.
 *
 * Returns 0, -ENOENT, -EBUSY (PRUSIK_UNUSED, and somebody is attached), -EINVAL,
 * -ENAMETOOLONG, -EACCES. Killed inside: removed or not.
 */
#define PRUSIK_UNUSED 1u
int prusik_named_remove(const char *name, uint32_t flags);

/*
 * prusik_named_gc - remove what is proved dead
 *
 * Objects that are not persistent and have no attacher; persistent ones, too, of a
 * domain that is no more (its life table was removed, or the machine was started
 * again). Any number of processes may call it at any time, beside everybody else.
 *
 * Returns how many names were removed; or why the domain could not be looked at.
 * Killed inside: some are removed, the rest is there for the next call.
 */
int64_t prusik_named_gc(void);

/* What prusik_named_each tells of a name. */
struct prusik_named_info {
	char name[PRUSIK_NAME_MAX + 1];
	char kind[16]; /* the noun; empty when problem is -EPROTO or -EPERM */
	int32_t problem; /* 0, or what opening it would return: -EPROTO, -EPERM, ... */
	uint32_t persistent; /* 0 or 1 */
	int64_t attached; /* how often it is open, forked children not counted; -1: unknown */
	int64_t made; /* when, in seconds since 1970 */
	uint64_t size; /* bytes that it takes now */
};

/*
 * prusik_named_each - call visit with each name of the domain, in no order
 *
 * Ends early when visit returns other than 0, and returns that; else 0, or why the
 * domain could not be looked at. What is told may be old before it is read.
 */
int prusik_named_each(int (*visit)(const struct prusik_named_info *info, void *context), void *context);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
