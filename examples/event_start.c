/* SPDX-License-Identifier: MIT */
/*
 * 18: Ten threads wait for one event. A line of input decides: "True" sets the event, and
 * all of them go at once; anything else, or the end of the input, sets a token that
 * all of them heed, and they give up. Nobody is left waiting for ever.
 */
#include <prusik.h>
#include <stdio.h>
#include <string.h>

#define RUNNERS 10

static struct prusik_event go;
static struct prusik_cancel race_is_off;

static int run(void *unused)
{
	(void)unused;
	prusik_cancel_use(&race_is_off);
	printf("start...\n");
	int r = prusik_event_wait(&go, PRUSIK_FOREVER);
	printf("%s\n", r < 0 ? prusik_strerror(r) : "end...");
	return r;
}

/* 1: the word was True. */
static int ask(void)
{
	char answer[16];

	printf("True/False?>>\n");
	fflush(stdout);
	return fgets(answer, sizeof answer, stdin) != NULL && strcmp(answer, "True\n") == 0;
}

int main(void)
{
	struct prusik_thread *runners[RUNNERS];
	int started = 0, ended = 0, result;

	for (; started < RUNNERS; started++)
		if (prusik_thread_start(run, NULL, NULL, &runners[started]) < 0)
			break;
	if (started == RUNNERS && ask())
		prusik_event_set(&go);
	else
		prusik_cancel_set(&race_is_off);
	for (int i = 0; i < started; i++) {
		ended += prusik_thread_join(runners[i], PRUSIK_FOREVER, &result) == 0 && result == 0;
		prusik_thread_free(runners[i]);
	}
	printf("%d of %d ran, the event is %s\n", ended, started, prusik_event_is_set(&go) ? "set" : "not set");
	return started < RUNNERS;
}
