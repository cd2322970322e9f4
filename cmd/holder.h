/* SPDX-License-Identifier: MIT */
/*
 * holder - who runs a command while holding something, and what happens when he dies
 *
 * struct cmd_holder - a place for one who holds; in the extra bytes of a named object
 *
 * WORD     lock: whose place it is. pid, start: his command, 0 = none runs; start is
 *          its start time as the kernel tells it, so that a number that has come round
 *          is not taken for it. group: it leads a process group of its own. space:
 *          the PID namespace that pid belongs to. prusik, since, token, text: for
 *          whoever asks who holds it.
 * WRITES   who holds lock
 * ALWAYS   a command runs only after its pid and start were written: it waits at a
 *          gate until then, and ends there when its prusik does
 * MAY LIE  pid of a command that has ended: start tells
 * KILLED   the prusik, at any moment: lock names the dead, and the next one who gets
 *          it, PRUSIK_RECOVERED, ends the command and waits for that before he goes on.
 *          He in turn: the same for the one after him, since the place is cleared last.
 */
#ifndef CMD_HOLDER_H
#define CMD_HOLDER_H

#include <prusik/lock.h>

struct cmd_holder {
	struct prusik_lock lock;
	int32_t pid;
	int32_t prusik;
	uint64_t start;
	uint64_t space;
	uint64_t token;
	int64_t since; /* nanoseconds since 1970 */
	uint32_t group;
	uint32_t reserved;
	char text[72]; /* the beginning of the command */
};

/* Take the place: 0 or as of prusik_lock_acquire. What a dead one left running has ended then. */
int cmd_holder_take(struct cmd_holder *holder, int64_t deadline);
void cmd_holder_give(struct cmd_holder *holder);

/*
 * Run the command in the place that is ours, with PRUSIK_TOKEN in its environment, and
 * wait for it: the exit code for main.
 */
int cmd_holder_run(struct cmd_holder *holder, uint64_t token, char **command);

/* Does a command that this place tells of run? */
int cmd_holder_runs(const struct cmd_holder *holder);

/* Print who has the place: a line, or a JSON object. */
void cmd_holder_print(const struct cmd_holder *holder, const char *how, int json);

#endif
