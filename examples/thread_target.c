/* SPDX-License-Identifier: MIT */
/*
 * 4, 38: A struct of your own that is told what to do from outside: it carries a function
 * and what the function needs, and so serves any number of jobs. One plays a song
 * twice, another counts down. A compound literal is enough to make one.
 */
#include "options.h"

#include <prusik.h>

struct player {
	struct prusik_thread_own own; /* first: run gets a pointer to it */
	int (*target)(const char *what, long number, long ms);
	const char *what;
	long number, ms;
};

static int run_target(struct prusik_thread_own *own)
{
	const struct player *player = (const struct player *)own;

	return player->target(player->what, player->number, player->ms);
}

static int play(const char *song, long times, long ms)
{
	for (long i = 0; i < times; i++) {
		printf("playing %s\n", song);
		sleep_ms(ms);
	}
	return 0;
}

static int count_down(const char *name, long from, long ms)
{
	for (; from > 0; from--) {
		printf("%s = %ld\n", name, from);
		sleep_ms(ms);
	}
	return 0;
}

/* Start it, and wait until it has ended. */
static int perform(struct player *player, const char *name)
{
	const struct prusik_thread_options options = { .name = name };
	struct prusik_thread *thread;
	int result, r = prusik_thread_start_own(&player->own, &options, &thread);

	if (r < 0)
		return r;
	r = prusik_thread_join(thread, PRUSIK_FOREVER, &result);
	prusik_thread_free(thread);
	return r < 0 ? r : result;
}

int main(int argc, char **argv)
{
	long ms = milliseconds(argc, argv, 10);
	struct player song = { { run_target }, play, "Calorie", 2, ms };
	struct player counter = { { run_target }, count_down, "counter", 10, ms };
	int r = perform(&song, "player");

	if (r == 0)
		r = perform(&counter, "counter");
	if (r < 0)
		fprintf(stderr, "%s\n", prusik_strerror(r));
	return r < 0;
}
