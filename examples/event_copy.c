/* SPDX-License-Identifier: MIT */
/*
 * 2: Two processes want to copy a file that their parent is still writing. One waits for the
 * event however long it takes; the other gives up after a while.
 *
 *	event_copy FILE DIRECTORY [TAKES-MS [PATIENCE-MS]]
 *
 * The parent copies FILE to DIRECTORY/first, which takes it so long; then the patient
 * child copies that to DIRECTORY/second.
 */
#include <errno.h>
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>

struct work {
	struct prusik_event *written; /* in shared memory */
	int64_t patience_ms;
	const char *file;
	char first[4096], second[4096];
};

static int copy(const char *from, const char *to)
{
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	char piece[4096];
	size_t n;

	if (!in || !out) {
		perror(in ? to : from);
		return 1;
	}
	while ((n = fread(piece, 1, sizeof piece, in)) > 0 && fwrite(piece, 1, n, out) == n)
		;
	int bad = ferror(in) | ferror(out);
	fclose(in);
	return fclose(out) != 0 || bad;
}

static int wait_and_copy(void *arg)
{
	struct work *work = arg;

	if (prusik_event_wait(work->written, PRUSIK_FOREVER) < 0 || copy(work->first, work->second) != 0)
		return 1;
	printf("the patient one: copied\n");
	return 0;
}

static int wait_a_while(void *arg)
{
	struct work *work = arg;
	int r = prusik_event_wait(work->written, prusik_in_ms(work->patience_ms));

	printf("the impatient one: %s\n", r == 0 ? "it is there" : prusik_strerror(r));
	return 0;
}

static int write_slowly(struct work *work, int64_t takes_ms)
{
	struct prusik_event never = { 0 };

	if (prusik_event_wait(&never, prusik_in_ms(takes_ms)) != -ETIMEDOUT || copy(work->file, work->first) != 0)
		return 1;
	printf("the parent: written\n");
	fflush(stdout);
	return prusik_event_set(work->written);
}

static int run(struct work *work, int64_t takes_ms)
{
	struct prusik_process *patient, *impatient;
	int code = 1, other = 1;

	if (prusik_process_start(wait_and_copy, work, NULL, &patient) < 0)
		return 1;
	int r = prusik_process_start(wait_a_while, work, NULL, &impatient);
	if (write_slowly(work, takes_ms) != 0)
		prusik_process_terminate(patient); /* else it would wait for ever */
	prusik_process_join(patient, PRUSIK_FOREVER, &code);
	prusik_process_free(patient);
	if (r < 0)
		return 1;
	prusik_process_join(impatient, PRUSIK_FOREVER, &other);
	prusik_process_free(impatient);
	return code != 0 || other != 0;
}

int main(int argc, char **argv)
{
	struct prusik_arena *arena;
	struct work work;
	uint64_t *link;

	if (argc < 3) {
		fprintf(stderr, "usage: event_copy FILE DIRECTORY [TAKES-MS [PATIENCE-MS]]\n");
		return 2;
	}
	work.file = argv[1];
	work.patience_ms = argc > 4 ? atoi(argv[4]) : 50;
	snprintf(work.first, sizeof work.first, "%s/first", argv[2]);
	snprintf(work.second, sizeof work.second, "%s/second", argv[2]);
	if (prusik_arena_create(NULL, 0, &arena) < 0 || prusik_arena_root(arena, "written", &link) < 0 ||
	    prusik_arena_alloc(arena, sizeof *work.written, link) < 0)
		return 1;
	work.written = prusik_arena_pointer(arena, *link);
	int code = run(&work, argc > 3 ? atoi(argv[3]) : 200);
	prusik_arena_close(arena);
	return code;
}
