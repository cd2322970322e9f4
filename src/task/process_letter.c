/* SPDX-License-Identifier: MIT */
/*
 * process: what a child is told that has not our memory
 *
 * It is written into a file of memory, whose descriptor the child gets: nobody waits for the
 * other to read, however long the argument. A function is named; the names are kept here.
 */
#include "base/sys.h"
#include "base/sys_process.h"
#include "task/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert(sizeof(struct prk_letter) <= PRK_LETTER_BYTES, "a letter's first page");

/* ---- names of functions ---- */

struct registered {
	struct registered *next;
	int (*function)(void *);
	int (*own)(struct prusik_process_own *);
	char name[PRUSIK_PROCESS_NAME_MAX + 1];
};

/* Only ever longer. */
static struct registered *registry;

static struct registered *first_registered(void)
{
	return prk_load_ptr_acq((void *const *)&registry); /* acq [registry] */
}

static const struct registered *find(const char *name)
{
	for (const struct registered *entry = first_registered(); entry; entry = entry->next)
		if (strcmp(entry->name, name) == 0)
			return entry;
	return NULL;
}

static int add(const struct registered *what)
{
	const struct registered *found = find(what->name);

	if (found)
		return found->function == what->function && found->own == what->own ? 0 : -EEXIST;
	struct registered *entry = prk_sys_calloc(sizeof *entry);
	if (!entry)
		return -ENOMEM;
	*entry = *what;
	void *seen = first_registered();
	do
		entry->next = seen;
	while (!prk_cas_ptr_acqrel((void **)&registry, &seen, entry)); /* rel [registry] */
	return 0;
}

static int registrable(const char *name, struct registered *what)
{
	if (!name || !name[0] || (!what->function && !what->own))
		return -EINVAL;
	size_t length = strnlen(name, sizeof what->name);
	if (length >= sizeof what->name)
		return -ENAMETOOLONG;
	memcpy(what->name, name, length + 1);
	return add(what);
}

int prusik_process_register(const char *name, int (*function)(void *))
{
	return registrable(name, &(struct registered){ .function = function });
}

int prusik_process_register_own(const char *name, int (*run)(struct prusik_process_own *own))
{
	return registrable(name, &(struct registered){ .own = run });
}

int prk_registered(int (*function)(void *), const char **ret_name)
{
	if (!prk_image_prepared())
		return -EOPNOTSUPP;
	for (const struct registered *entry = first_registered(); entry; entry = entry->next) {
		if (entry->function != function && (int (*)(void *))entry->own != function)
			continue;
		*ret_name = entry->name;
		return 0;
	}
	return -ENOENT;
}

/* ---- writing ---- */

static void fill(const struct prk_start *start, struct prk_letter *letter)
{
	const struct prusik_process_options *options = start->options;
	const char *function;

	*letter = (struct prk_letter){
		.magic = PRK_LETTER_MAGIC,
		.parent = getpid(),
		.group = getpgrp(),
		.daemon = start->process->daemon,
		.named = options->name != NULL,
		.descriptor_count = options->descriptor_count,
		.argument_length = options->argument_length,
	};
	if (prk_registered(start->function, &function) == 0)
		memcpy(letter->function, function, strlen(function) + 1);
	memcpy(letter->name, start->process->name, sizeof letter->name);
	memcpy(letter->parent_name, prk_me_name(), strlen(prk_me_name()) + 1);
	prusik_process_authkey(letter->authkey);
	pthread_sigmask(SIG_SETMASK, NULL, &letter->mask);
	if (options->descriptor_count)
		memcpy(letter->descriptors, options->descriptors,
		       options->descriptor_count * sizeof letter->descriptors[0]);
}

static int write_file(const struct prk_start *start, int fd)
{
	union {
		struct prk_letter letter;
		char page[PRK_LETTER_BYTES];
	} first = { .page = { 0 } };

	fill(start, &first.letter);
	int r = prk_sys_write_all(fd, &first, sizeof first);
	return r < 0 ? r : prk_sys_write_all(fd, start->argument, start->options->argument_length);
}

static int map_first(int fd, struct prk_letter **ret_letter)
{
	void *page;
	int r = prk_sys_mmap(&page, PRK_LETTER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (r == 0)
		*ret_letter = page;
	return r;
}

int prk_letter_write(const struct prk_start *start, struct prk_letter **ret_letter)
{
	int fd = prk_sys_memfd("prusik-start");

	if (fd < 0)
		return fd;
	int r = write_file(start, fd);
	if (r == 0)
		r = map_first(fd, ret_letter);
	if (r == 0)
		return fd;
	prk_sys_close(fd);
	return r;
}

void prk_letter_close(struct prk_letter *letter, int fd)
{
	prk_sys_munmap(letter, PRK_LETTER_BYTES);
	prk_sys_close(fd);
}

/* ---- reading ---- */

int prk_letter_open(int fd, struct prk_letter **ret_letter)
{
	struct stat st;
	int r = prk_sys_fstat(fd, &st);

	if (r < 0 || st.st_size < (off_t)PRK_LETTER_BYTES)
		return -EPROTO;
	r = map_first(fd, ret_letter);
	if (r < 0)
		return r;
	if ((*ret_letter)->magic == PRK_LETTER_MAGIC && (*ret_letter)->descriptor_count <= PRK_DESCRIPTORS_MAX &&
	    (*ret_letter)->argument_length <= (uint64_t)st.st_size - PRK_LETTER_BYTES)
		return 0;
	prk_sys_munmap(*ret_letter, PRK_LETTER_BYTES);
	return -EPROTO;
}

/* A copy of our own, which stays. */
static void *read_argument(const struct prk_letter *letter, int fd)
{
	void *argument;

	if (letter->argument_length == 0)
		return NULL;
	if (prk_sys_mmap(&argument, letter->argument_length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
			 PRK_LETTER_BYTES) < 0)
		_exit(127);
	return argument;
}

static int call(const struct registered *entry, void *argument)
{
	if (!entry->own)
		return entry->function(argument);
	struct prusik_process_own *own = argument;
	own->run = entry->own;
	return own->run(own);
}

static void begin(const struct prk_letter *letter, int parent_pidfd)
{
	struct prk_me me = {
		.pid = getpid(),
		.parent = letter->parent,
		.parent_pidfd = parent_pidfd,
		.daemon = letter->daemon,
	};

	memcpy(me.name, letter->name, sizeof me.name);
	memcpy(me.parent_name, letter->parent_name, sizeof me.parent_name);
	prk_authkey_adopt(letter->authkey);
	prk_sys_set_signals(&letter->mask);
	prk_child_begin(&me, letter->named ? letter->name : program_invocation_short_name);
}

void prk_letter_obey(struct prk_letter *letter, int fd, int parent_pidfd)
{
	prk_gate_pass(&letter->gate, 0, parent_pidfd);
	const struct registered *entry = find(letter->function);
	void *argument = read_argument(letter, fd);
	if (!entry || (entry->own && !argument))
		_exit(127);
	if (getpgrp() != letter->group)
		setpgid(0, letter->group);
	begin(letter, parent_pidfd);
	prk_letter_close(letter, fd);
	prk_child_end(call(entry, argument));
}
