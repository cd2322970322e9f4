/* SPDX-License-Identifier: MIT */
/*
 * process: the handle, the family, and what goes on between a parent and a child that is
 * not yet under way
 *
 *	process.c              handles: join, signals, questions
 *	process_family.c       all children of this process, and its end
 *	process_child.c        the child's first and last steps
 *	process_start.c        fork, and what all methods share
 *	process_letter.c       what a child needs that has not our memory
 *	process_spawn.c        spawn, and prusik_process_main
 *	process_server.c       the forkserver
 *	process_guard.c        the process that ends daemons
 *	process_tree.c         a process and all its descendants
 *	process_run.c          other programs
 *	process_communicate.c  their input and output
 */
#ifndef PRK_TASK_PROCESS_H
#define PRK_TASK_PROCESS_H

#include "base/atomic.h"

#include <prusik/process.h>
#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

enum prk_process_state {
	PRK_PROCESS_RUNNING,
	PRK_PROCESS_ENDED,
};

enum prk_process_kind {
	PRK_PROCESS_CHILD,
	PRK_PROCESS_SELF,
	PRK_PROCESS_PARENT,
};

/* What communicate has done so far. */
struct prk_capture {
	char *data;
	size_t length, room;
};

/*
 * struct prusik_process - a handle, in private memory
 *
 * lock guards state and result, and is held while the kernel is asked for the
 * child's code, which it tells only once. listed, next, back: under the family's lock. refs:
 * whoever has one; the list has one. written and captures: communicate's caller. stream: -1 when
 * there is none; who closes one says that nobody else uses it. All else is fixed after the start.
 *
 * In a forked child a handle of the parent's answers questions, and is not in the list.
 */
struct prusik_process {
	pthread_mutex_t lock;
	enum prk_process_state state;
	enum prk_process_kind kind;
	int result; /* once it has ended: its code, or PRK_PROCESS_LOST */
	int pidfd;
	pid_t pid;
	pid_t parent;
	uint32_t refs;
	uint32_t daemon;
	uint32_t listed;
	struct prusik_process *next, **back;
	int stream[3];
	uint32_t pipes; /* bit i: stream[i] is one */
	uint64_t written;
	struct prk_capture capture[2];
	char name[PRUSIK_PROCESS_NAME_MAX + 1];
};

/* Outside of -64..255. */
#define PRK_PROCESS_LOST 256

/* A handle with one reference. NULL: out of memory. */
struct prusik_process *prk_process_new(const char *name, enum prk_process_kind kind);
void prk_process_drop(struct prusik_process *process);
/* Ask the kernel for its code, unless it is known. -EAGAIN: it has none yet. */
int prk_process_read_code(struct prusik_process *process, int *ret_code);
/* Wait for one that was told to end, whatever the caller's token says. */
void prk_process_bury(struct prusik_process *process);

/* ---- process_family.c ---- */

/* A helper process: the forkserver, the guard. */
struct prk_helper {
	uint32_t open;
	int socket;
	int pidfd;
};

/*
 * struct prk_family - this process's children and helpers; zeros in a forked child
 *
 * lock guards all but gate, gate_number (gate_lock, which is held during a start by fork) and the
 * forkserver (server_lock, which is held while it is asked; both, while there is none). lock is
 * taken last.
 */
struct prk_family {
	uint32_t lock; /* 0 free, 1 held, 2 held and somebody may be asleep on it */
	uint32_t server_lock;
	uint32_t gate_lock;
	uint32_t gate_number; /* of the last start by fork */
	uint32_t *gate; /* shared with forked children */
	uint32_t children; /* that ever were */
	uint32_t ends; /* what its end has to do is registered */
	uint32_t self_open;
	int self; /* our own pidfd */
	struct prusik_process *first;
	struct prk_helper guard, server;
	struct prk_note *server_note;
	uint32_t server_taken; /* of its answers */
	pid_t server_told; /* the last of its copies that we know of */
};

/* Makes it, if need be, with our own pidfd. 0, or -errno. */
int prk_family_open(struct prk_family **ret_family);
void prk_futex_lock(uint32_t *lock);
void prk_futex_unlock(uint32_t *lock);

/* Room on the list: a reference for it. */
void prk_family_add(struct prk_family *family, struct prusik_process *process);
/* It has ended, or is not to be. */
void prk_family_remove(struct prusik_process *process);
/*
 * Memory of freed handles is used again: after a fork the allocator's every page would
 * have to be copied anew. NULL: none; false: enough of it.
 */
struct prusik_process *prk_family_spare(void);
bool prk_family_keep_spare(struct prusik_process *process);

bool prk_helper_lives(const struct prk_helper *helper);
/* Kill and reap it, if there is one. */
void prk_helper_end(struct prk_helper *helper);

/* What this process knows of its own start. pid: of whom that is said. */
struct prk_me {
	pid_t pid;
	pid_t parent;
	int parent_pidfd;
	uint32_t daemon;
	char name[PRUSIK_PROCESS_NAME_MAX + 1];
	char parent_name[PRUSIK_PROCESS_NAME_MAX + 1];
};
void prk_me_set(const struct prk_me *me);
const char *prk_me_name(void);
/* Known from now on, and so inherited by those forked. 0, or -errno. */
int prk_authkey_make(void);
/* The parent's, in a child that has one thread yet. */
void prk_authkey_adopt(const unsigned char *key);
/* Kill the daemons, join the others. Again: nothing is left to do. */
void prk_family_end(void);

/* ---- process_child.c ---- */

/*
 * The gate, a word in memory that parent and child share.
 *
 * WORD     bits 31..2 the number of the start, 1..0 enum prk_gate
 * WRITES   the parent, who holds gate_lock: the next number CLOSED, then GO or AWAY
 * ALWAYS   G1 GO => the parent has the child's pidfd, and the guard too if it is a daemon
 *          G2 a number that is over was GO for a child that is still there: one sent AWAY
 *          is waited for
 * MAY LIE  CLOSED, when the parent is no more
 * KILLED   before GO: the child sees that its parent has ended, looks at the gate for a last
 *          time, and ends; after: it runs
 */
enum prk_gate {
	PRK_GATE_CLOSED,
	PRK_GATE_GO,
	PRK_GATE_AWAY,
};
#define PRK_GATE_STATE UINT32_C(3)
#define PRK_GATE_ONE UINT32_C(4)
void prk_gate_open(uint32_t *gate, enum prk_gate state);
/* Returns when it says GO for that number; else the child ends. */
void prk_gate_pass(const uint32_t *gate, uint32_t number, int parent_pidfd);

/* The child's first steps; no exit handler of the parent's will run. name NULL: the kernel keeps its own. */
void prk_child_begin(const struct prk_me *me, const char *kernel_name);
void prk_child_end(int code) __attribute__((noreturn));

void prk_flush_stdio(void);

/* ---- process_start.c ---- */

struct prk_start {
	int (*function)(void *);
	void *argument;
	const struct prusik_process_options *options;
	struct prusik_process *process;
	struct prk_family *family;
};

/* Open the gate for a child whose pidfd is in the handle, or send it away. 0, or why. */
int prk_start_finish(struct prk_start *start, uint32_t *gate, pid_t pid, int pidfd);
/* It waits at the gate and for nothing else, so this does not last. */
void prk_send_away(pid_t pid, uint32_t *gate);

/* ---- process_letter.c ---- */

#define PRK_DESCRIPTORS_MAX 200u
#define PRK_LETTER_MAGIC UINT32_C(0x706b7274)
#define PRK_LETTER_BYTES 4096u

/* A file of memory: this, then the argument. The gate has its own headings; all else is fixed. */
struct prk_letter {
	uint32_t magic;
	uint32_t gate;
	int32_t parent;
	int32_t group;
	uint32_t daemon;
	uint32_t named;
	uint32_t descriptor_count;
	uint32_t reserved;
	uint64_t argument_length;
	char function[PRUSIK_PROCESS_NAME_MAX + 1];
	char name[PRUSIK_PROCESS_NAME_MAX + 1];
	char parent_name[PRUSIK_PROCESS_NAME_MAX + 1];
	unsigned char authkey[PRUSIK_AUTHKEY_BYTES];
	sigset_t mask;
	int32_t descriptors[PRK_DESCRIPTORS_MAX];
};

/* Write one: its descriptor; *ret_letter is its first page. */
int prk_letter_write(const struct prk_start *start, struct prk_letter **ret_letter);
void prk_letter_close(struct prk_letter *letter, int fd);
/* 0 with its first page mapped; -EPROTO: that is no letter. */
int prk_letter_open(int fd, struct prk_letter **ret_letter);
/* Wait at the gate, then do as it says. */
void prk_letter_obey(struct prk_letter *letter, int fd, int parent_pidfd) __attribute__((noreturn));

/* May FORKSERVER and SPAWN be used for this function? 0, -ENOENT, -EOPNOTSUPP. */
int prk_registered(int (*function)(void *), const char **ret_name);

/* ---- process_spawn.c ---- */

int prk_start_spawn(struct prk_start *start);
/* Start this program anew, to do what "WHAT" says with two descriptors. */
pid_t prk_image_start(const char *what, const int *fds, unsigned int count, const int streams[3], int *ret_pidfd);
bool prk_image_prepared(void);

/* ---- process_server.c ---- */

/*
 * struct prk_note - a page that the forkserver and its program share
 *
 * WORD     made: the number of the last copy that the server has made of itself; 0: none yet
 * WRITES   the kernel, for the server, in clone, before the copy runs
 * ALWAYS   of all its copies only the one that is named here can be unknown to the program,
 *          which is told of each before the next is made
 * MAY LIE  the one that is named may have ended, and been reaped
 * KILLED   N1 the server, before it has told: the program finds a number that it was not told, and
 *          waits for that copy, whose socket ended with the server
 */
struct prk_note {
	uint32_t made;
};
#define PRK_NOTE_BYTES 4096u

int prk_start_by_server(struct prk_start *start);
/* End it and its spare, if they are there. */
void prk_server_end_locked(struct prk_family *family);
void prk_serve(int socket, int parent_pidfd) __attribute__((noreturn));

/* ---- process_guard.c ---- */

/* See that there is a guard. 0, or -errno. */
int prk_guard_ensure(struct prk_family *family);
int prk_guard_enlist(struct prk_family *family, int pidfd);

/* ---- process_tree.c ---- */

/* SIGKILL those processes and their descendants; wait until that is done, if it is soon. */
int prk_trees_kill(const int *pidfds, uint32_t count);

#endif
