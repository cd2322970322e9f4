/* SPDX-License-Identifier: MIT */
/*
 * Two programs that know nothing of each other but a name: one waits for an event, the other
 * sets it. This one forks, and plays both.
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int meet(const char *who, int sets)
{
	struct prusik_named *handle;
	int r = prusik_named_open("meeting", PRUSIK_KIND_EVENT, NULL, &handle);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", who, prusik_strerror(r));
		return 1;
	}
	struct prusik_event *event = prusik_named_object(handle);
	r = sets ? prusik_event_set(event) : prusik_event_wait(event, prusik_in_s(20));
	printf("%s: %s\n", who, prusik_strerror(r));
	fflush(stdout);
	if (sets)
		wait(NULL); /* it lives as long as somebody is attached: the other must have come */
	prusik_named_close(handle);
	return r < 0;
}

int main(void)
{
	pid_t other = fork();

	if (other == 0)
		exit(meet("waits", 0));
	return other < 0 || meet("sets", 1);
}
