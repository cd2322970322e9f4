/* SPDX-License-Identifier: MIT */
/*
 * A file that was removed, replaced, written to or touched since the table was
 * made is DEMO_CHANGED, also when that is noticed at the end of the count only.
 */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BUFFER ((size_t)64 << 10)

struct counter {
	struct demo_count count;
	unsigned int in_word; /* the byte before was part of a word */
};

/* isspace in the C locale: blank, and 9 to 13. */
static unsigned int is_space(unsigned char byte)
{
	return (unsigned int)(byte == ' ') | (unsigned int)((unsigned char)(byte - 9) < 5);
}

static void count_bytes(struct counter *counter, const unsigned char *bytes, size_t length)
{
	uint64_t lines = 0, words = 0;
	unsigned int in_word = counter->in_word;

	for (size_t i = 0; i < length; i++) {
		unsigned int word = is_space(bytes[i]) ^ 1;
		words += word & ~in_word;
		lines += bytes[i] == '\n';
		in_word = word;
	}
	counter->count.lines += lines;
	counter->count.words += words;
	counter->count.bytes += length;
	counter->in_word = in_word;
}

static int check(const struct demo_file *file, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return demo_same(file, &st) ? 0 : DEMO_CHANGED;
}

/* Not blocking, for it may be a pipe by now. Its descriptor in *ret_fd. */
static int open_file(const struct demo_file *file, const char *path, int *ret_fd)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == ENXIO ? DEMO_CHANGED : -errno;
	int r = check(file, fd);
	if (r == 0)
		*ret_fd = fd;
	else
		close(fd);
	return r;
}

static ssize_t read_at(int fd, unsigned char *buffer, uint64_t length, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, buffer, length < BUFFER ? (size_t)length : BUFFER, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Count all bytes in [offset, end), which must be there. */
static int count_range(struct counter *counter, int fd, uint64_t offset, uint64_t end)
{
	static unsigned char buffer[BUFFER];

	while (offset < end) {
		ssize_t n = read_at(fd, buffer, end - offset, offset);
		if (n <= 0)
			return n < 0 ? (int)n : DEMO_CHANGED;
		count_bytes(counter, buffer, (size_t)n);
		offset += (uint64_t)n;
	}
	return 0;
}

/* Nothing may follow its last byte: in some file systems the size says nothing. */
static int check_end(const struct demo_file *file, int fd)
{
	unsigned char byte;
	ssize_t n = read_at(fd, &byte, 1, file->size);

	return n == 0 ? 0 : n < 0 ? (int)n : DEMO_CHANGED;
}

/* Does a word that began before offset reach it? */
static int look_back(struct counter *counter, int fd, uint64_t offset)
{
	struct counter before = { 0 };
	int r = offset ? count_range(&before, fd, offset - 1, offset) : 0;

	counter->in_word = before.in_word;
	return r;
}

int demo_count_piece(const struct demo_file *file, const char *path, uint64_t offset, uint64_t length,
		     struct demo_count *ret_count)
{
	struct counter counter = { 0 };
	int fd, r = open_file(file, path, &fd);

	if (r != 0)
		return r;
	r = look_back(&counter, fd, offset);
	if (r == 0)
		r = count_range(&counter, fd, offset, offset + length);
	if (r == 0 && offset + length == file->size)
		r = check_end(file, fd);
	if (r == 0)
		r = check(file, fd);
	close(fd);
	if (r == 0)
		*ret_count = counter.count;
	return r;
}

int demo_count_file(const struct demo_file *file, const char *path, struct demo_count *ret_count)
{
	static unsigned char buffer[BUFFER];
	struct counter counter = { 0 };
	ssize_t n = 0;
	int fd, r = open_file(file, path, &fd);

	if (r != 0)
		return r;
	while ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			count_bytes(&counter, buffer, (size_t)n);
	r = n < 0 ? -errno : check(file, fd);
	close(fd);
	if (r == 0 && counter.count.bytes != file->size)
		r = DEMO_CHANGED;
	if (r == 0)
		*ret_count = counter.count;
	return r;
}
