/* SPDX-License-Identifier: MIT */
/* named_list - all names of the domain: looking, removing, collecting the dead */
#include "shm/named.h"

#include "base/sys.h"
#include "shm/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

/* ---- who is attached: the kernel's list of file locks ---- */

struct holder {
	uint64_t device, inode;
};

/* All flocks of the machine, or as many as there was memory for. */
struct holders {
	struct holder *holder;
	uint32_t count, room;
	bool unknown;
};

static void holders_add(struct holders *h, struct holder holder)
{
	if (h->count == h->room) {
		struct holder *more = prk_sys_calloc((h->room * 2 + 64) * sizeof *more);
		if (!more) {
			h->unknown = true;
			return;
		}
		if (h->count)
			memcpy(more, h->holder, h->count * sizeof *more);
		prk_sys_free(h->holder);
		h->holder = more;
		h->room = h->room * 2 + 64;
	}
	h->holder[h->count++] = holder;
}

static void holders_read(struct holders *h)
{
	FILE *file = fopen("/proc/locks", "re");
	unsigned int major_number, minor_number;
	unsigned long inode;
	char line[256];

	h->unknown = !file;
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "%*u: FLOCK %*s %*s %*d %x:%x:%lu", &major_number, &minor_number, &inode) == 3)
			holders_add(h, (struct holder){ makedev(major_number, minor_number), inode });
	if (file)
		fclose(file);
}

static int64_t holders_of(const struct holders *h, const struct stat *st)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < h->count; i++)
		n += h->holder[i].device == st->st_dev && h->holder[i].inode == st->st_ino;
	return h->unknown ? -1 : n;
}

/* ---- the directory ---- */

/* Is the file one of an object? Then ret_name is the object's name. */
static bool name_of(const char *file, char ret_name[PRUSIK_NAME_MAX + 1])
{
	size_t length = strlen(file), suffix = strlen(PRK_SEGMENT_SUFFIX);

	if (length <= suffix || length - suffix > PRUSIK_NAME_MAX ||
	    strcmp(file + length - suffix, PRK_SEGMENT_SUFFIX) != 0)
		return false;
	memcpy(ret_name, file, length - suffix);
	ret_name[length - suffix] = 0;
	return prk_arena_name(ret_name) == 0;
}

/* visit each object's file; the directory is dir's. */
static int each_file(int dir, int (*visit)(int dir, const char *file, const char *name, void *context), void *context)
{
	char name[PRUSIK_NAME_MAX + 1];
	struct dirent *entry;
	int r = 0, again = prk_sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);

	if (again < 0)
		return again;
	DIR *stream = fdopendir(again);
	if (!stream) {
		prk_sys_close(again);
		return -ENOMEM;
	}
	while (r == 0 && (entry = readdir(stream)))
		if (name_of(entry->d_name, name))
			r = visit(dir, entry->d_name, name, context);
	closedir(stream);
	return r;
}

static int in_domain(int (*visit)(int dir, const char *file, const char *name, void *context), void *context)
{
	int dir = prk_segment_directory();

	if (dir < 0)
		return dir;
	int r = each_file(dir, visit, context);
	prk_sys_close(dir);
	return r;
}

/* ---- the calls ---- */

struct listing {
	int (*visit)(const struct prusik_named_info *info, void *context);
	void *context;
	struct holders holders;
};

static int tell(int dir, const char *file, const char *name, void *context)
{
	struct listing *listing = context;
	struct prusik_named_info info = { 0 };
	struct prk_arena_shm head;
	struct stat st;
	int r = prk_segment_look(dir, file, &head, &st);

	if (r == -ENOENT)
		return 0; /* removed just now */
	memcpy(info.name, name, strlen(name));
	if (r == 0 || r == -ESTALE) {
		memcpy(info.kind, head.kind, sizeof info.kind);
		info.persistent = head.flags & PRK_ARENA_PERSISTENT ? 1 : 0;
		info.made = head.made;
	}
	info.problem = r == -ESTALE ? -EPROTO : r;
	info.attached = holders_of(&listing->holders, &st);
	info.size = (uint64_t)st.st_size;
	return listing->visit(&info, listing->context);
}

int prusik_named_each(int (*visit)(const struct prusik_named_info *info, void *context), void *context)
{
	struct listing listing = { .visit = visit, .context = context };

	if (!visit)
		return -EINVAL;
	holders_read(&listing.holders);
	int r = in_domain(tell, &listing);
	prk_sys_free(listing.holders.holder);
	return r;
}

int prusik_named_remove(const char *name, uint32_t flags)
{
	char file[PRK_SEGMENT_NAME];
	int r = prk_segment_file(name, file);

	if (r < 0 || (flags & ~PRUSIK_UNUSED))
		return r < 0 ? r : -EINVAL;
	return prk_segment_unlink(file, flags & PRUSIK_UNUSED);
}

/* What cannot be judged stays. */
static int collect(int dir, const char *file, const char *name, void *context)
{
	int64_t *count = context;

	(void)dir;
	(void)name;
	if (prk_segment_bury(file) > 0)
		++*count;
	return 0;
}

int64_t prusik_named_gc(void)
{
	int64_t count = 0;
	int r = in_domain(collect, &count);

	return r < 0 ? r : count;
}
