/* SPDX-License-Identifier: MIT */
/*
 * bench - prusik beside what people would use instead, in one run
 *
 * A workload is something to be done and a unit to measure it in; its subjects
 * do it, prusik's and the peers'. The harness runs them in turn, A B C A B C ...,
 * round after round, so that whatever disturbs the machine disturbs all of them
 * alike, and prints the median of the rounds.
 *
 * Each file of workloads has one table, named bench_NOUN, which bench.c lists.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

/* What setup and run return besides 0 and -errno. */
enum {
	BENCH_LEFT_OUT = 1, /* this subject cannot do this here, and said why on stderr */
	BENCH_WRONG = 2, /* the answer was wrong: the whole bench ends */
};

struct bench_workload;
struct bench_subject;

/* One timed piece of work: one subject in one round. */
struct bench_piece {
	const struct bench_workload *workload;
	const struct bench_subject *subject;
	int64_t wanted_ns; /* how long it should take */
	uint64_t count; /* how many operations that is; 0 unless the workload is counted */
	void *state; /* setup's, until teardown */

	/* what run tells */
	int64_t ns; /* how long it took */
	double value; /* in the workload's unit */
};

/* One way to do a workload. */
struct bench_subject {
	const char *name;
	int ours; /* 1: prusik's; BENCH_FLOOR: nobody's rival */
	int (*setup)(struct bench_piece *piece);
	int (*run)(struct bench_piece *piece);
	void (*teardown)(struct bench_piece *piece); /* after every setup that returned 0 */
	const void *peer; /* whatever these three want to know */
};

#define BENCH_FLOOR 2
#define BENCH_SUBJECTS_MAX 8

/* The table of subjects ends with a NULL name. */
struct bench_workload {
	const char *name;
	const char *unit;
	int higher_is_better;
	int counted; /* 1: pieces do piece->count operations, found out before round one */
	const struct bench_subject *subjects;
	const void *shape; /* whatever the subjects want to know */
};

/* The tables, each ending with a NULL name. */
extern const struct bench_workload bench_lock[];
extern const struct bench_workload bench_lock_command[];
extern const struct bench_workload bench_event[];
extern const struct bench_workload bench_semaphore[];
extern const struct bench_workload bench_rlock[];
extern const struct bench_workload bench_rwlock[];
extern const struct bench_workload bench_barrier[];
extern const struct bench_workload bench_once[];
extern const struct bench_workload bench_cancel[];
extern const struct bench_workload bench_thread[];
extern const struct bench_workload bench_wake[];
extern const struct bench_workload bench_condition[];
extern const struct bench_workload bench_queue[];
extern const struct bench_workload bench_queue_trip[];
extern const struct bench_workload bench_queue_memory[];
extern const struct bench_workload bench_signal[];
extern const struct bench_workload bench_process[];

/* To be called first in main. */
void bench_process_begin(void);
extern const struct bench_workload bench_arena[];
extern const struct bench_workload bench_dict[];
extern const struct bench_workload bench_dict_scale[];
extern const struct bench_workload bench_list[];
extern const struct bench_workload bench_list_sort[];
extern const struct bench_workload bench_named[];
extern const struct bench_workload bench_value[];

/* A line on stderr: "prusik-bench: workload subject: ...". */
void bench_note(const struct bench_piece *piece, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
