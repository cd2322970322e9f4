/* SPDX-License-Identifier: MIT */
/* What the files of "prusik queue" share. */
#ifndef CMD_QUEUE_H
#define CMD_QUEUE_H

#include "cmd.h"

#include <prusik/queue.h>
#include <stdbool.h>
#include <stdint.h>

/* The command line. */
struct queue_call {
	const char *verb, *name;
	int argc; /* what follows the name: items, lease ids, or the command after -- */
	char **argv;
	char **command; /* NULL: none */
	struct prusik_queue_options options;
	struct prusik_queue_put_options put;
	double delay; /* seconds; of what is put, or given back */
	double lease; /* seconds that a lease lasts which is handed to the shell */
	int64_t deadline;
	bool waits; /* for a limited time, so that running out of it is 124 */
	uint64_t count; /* 0: not given */
	int no_code; /* exit code for no; 1 unless -E says otherwise */
	char end; /* of an item, on stdin and stdout */
	bool loop, dead, discard, json, quiet, give_lease, help;
	struct prusik_queue *queue;
};

/* Say what is wrong; the exit code for it. */
int queue_trouble(const struct queue_call *call, int64_t result);

/* The verbs: the exit code. */
int queue_put(struct queue_call *call);
int queue_get(struct queue_call *call);
int queue_drain(struct queue_call *call);
int queue_finish(struct queue_call *call); /* done, fail */

/* get -- CMD: queue_run.c */
int queue_get_for_command(struct queue_call *call);

/* A lease as the shell has it. */
#define QUEUE_ID_MAX 40
void queue_id_print(char id[QUEUE_ID_MAX], const struct prusik_lease *lease);
bool queue_id_read(const char *id, struct prusik_lease *ret_lease);

#endif
