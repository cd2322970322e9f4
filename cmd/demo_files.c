/* SPDX-License-Identifier: MIT */
/*
 * The walk has one directory open at a time, however deep the tree is: the names
 * of directories not yet read wait in a list.
 */
#include "demo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not repeated for each file of a tree that is closed to us. */
#define COMPLAINTS_MAX 10

/* Directories to be read: where their names begin in names. */
struct walk {
	struct demo_files *files;
	size_t *directory;
	size_t count, room, next;
	dev_t device;
};

/* Room for one more element. 0 or -ENOMEM. */
static int make_room(void **array, size_t *room, size_t count, size_t size)
{
	if (count < *room)
		return 0;
	size_t wanted = *room ? *room * 2 : 64;
	void *larger = realloc(*array, wanted * size);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	*room = wanted;
	return 0;
}

/* Keep the name "directory/name", or directory itself. */
static int keep_name(struct demo_files *files, size_t directory, const char *name, size_t *ret_path)
{
	size_t head = strlen(files->names + directory), tail = strlen(name);

	while (files->names_length + head + tail + 2 > files->names_room) {
		int r = make_room((void **)&files->names, &files->names_room, files->names_room, 1);
		if (r < 0)
			return r;
	}
	char *path = files->names + files->names_length;
	memcpy(path, files->names + directory, head);
	if (head == 0 || path[head - 1] != '/')
		path[head++] = '/';
	memcpy(path + head, name, tail + 1);
	*ret_path = files->names_length;
	files->names_length += head + tail + 1;
	return 0;
}

static int add_directory(struct walk *walk, size_t path)
{
	int r = make_room((void **)&walk->directory, &walk->room, walk->count, sizeof *walk->directory);

	if (r == 0)
		walk->directory[walk->count++] = path;
	return r;
}

static int add_file(struct demo_files *files, size_t path, const struct stat *st)
{
	int r = make_room((void **)&files->file, &files->room, files->count, sizeof *files->file);

	if (r == 0)
		files->file[files->count++] = (struct demo_file){
			.path = path,
			.device = st->st_dev,
			.inode = st->st_ino,
			.size = (uint64_t)st->st_size,
			.modified = st->st_mtim,
			.changed = st->st_ctim,
		};
	return r;
}

static void cannot_read(struct demo_files *files, const char *path, int error)
{
	if (++files->unreadable <= COMPLAINTS_MAX)
		demo_complain("cannot read %s: %s", demo_shown(path), strerror(error));
}

static int is_entered(const struct walk *walk, const char *name, const struct stat *st)
{
	return S_ISDIR(st->st_mode) && st->st_dev == walk->device && strcmp(name, ".git") != 0;
}

static int look_at(struct walk *walk, int dir, size_t directory, const char *name)
{
	struct demo_files *files = walk->files;
	struct stat st;
	size_t path;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	int error = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? errno : 0;
	if (!error && !S_ISREG(st.st_mode) && !is_entered(walk, name, &st))
		return 0;
	int r = keep_name(files, directory, name, &path);
	if (r < 0)
		return r;
	if (!error && S_ISDIR(st.st_mode))
		return add_directory(walk, path);
	if (!error && faccessat(dir, name, R_OK, AT_EACCESS) < 0)
		error = errno;
	if (!error)
		return add_file(files, path, &st);
	cannot_read(files, files->names + path, error);
	return 0;
}

/* errno of a failure to open or read the directory goes to *ret_error. */
static int read_directory(struct walk *walk, size_t path, int flags, int *ret_error)
{
	int fd = open(walk->files->names + path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;
	int r = 0;

	*ret_error = dir ? 0 : errno;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	if (walk->next == 0 && fstat(fd, &st) == 0)
		walk->device = st.st_dev;
	while (r == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		r = look_at(walk, fd, path, entry->d_name);
	if (r == 0)
		*ret_error = errno;
	closedir(dir);
	return r;
}

static int walk_all(struct walk *walk)
{
	struct demo_files *files = walk->files;
	int error, r = read_directory(walk, 0, 0, &error);

	if (r == 0 && error)
		r = -error;
	for (walk->next = 1; r == 0 && walk->next <= walk->count; walk->next++) {
		size_t path = walk->directory[walk->next - 1];
		r = read_directory(walk, path, O_NOFOLLOW, &error);
		if (r == 0 && error)
			cannot_read(files, files->names + path, error);
	}
	return r;
}

int demo_files_find(struct demo_files *files, const char *directory)
{
	struct walk walk = { .files = files };

	*files = (struct demo_files){ .names_length = strlen(directory) + 1 };
	files->names_room = files->names_length + 4096;
	files->names = malloc(files->names_room);
	int r = -ENOMEM;
	if (files->names) {
		memcpy(files->names, directory, files->names_length);
		r = walk_all(&walk);
	}
	if (r < 0)
		demo_complain("cannot read %s: %s", demo_shown(directory), strerror(-r));
	else if (files->unreadable > COMPLAINTS_MAX)
		demo_complain("cannot read %zu more", files->unreadable - COMPLAINTS_MAX);
	free(walk.directory);
	return r;
}

void demo_files_free(struct demo_files *files)
{
	free(files->file);
	free(files->names);
}

const char *demo_path(const struct demo_files *files, size_t index)
{
	return files->names + files->file[index].path;
}

static int same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

int demo_same(const struct demo_file *file, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_dev == file->device && st->st_ino == file->inode &&
	       (uint64_t)st->st_size == file->size && same_time(st->st_mtim, file->modified) &&
	       same_time(st->st_ctim, file->changed);
}
