/* SPDX-License-Identifier: MIT */
/*
 * 1: A program that goes on with its work, whatever it is told: when the alarm goes off it
 * says so, and at Ctrl+C it says that it will not quit. The functions are called in
 * ordinary context, so they may print.
 *
 *	signal_wont_quit [ALARM-MS [EVERY-MS [TIMES]]]
 */
#include <errno.h>
#include <prusik.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define MS INT64_C(1000000)

static void wake_up(const struct prusik_signal_info *info, void *unused)
{
	(void)unused;
	printf("%s: time is up\n", prusik_signal_name(info->signal));
}

static void refuse(const struct prusik_signal_info *info, void *times)
{
	printf("%s from %d: no, I won't quit (%d)\n", prusik_signal_name(info->signal), info->pid, ++*(int *)times);
}

int main(int argc, char **argv)
{
	int64_t alarm_ms = argc > 1 ? atoi(argv[1]) : 50;
	int64_t every_ms = argc > 2 ? atoi(argv[2]) : 20;
	int times = argc > 3 ? atoi(argv[3]) : 10, refused = 0;
	struct prusik_event never = { 0 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (prusik_signal_on(SIGALRM, wake_up, NULL) < 0 || prusik_signal_on(SIGINT, refuse, &refused) < 0)
		return 1;
	prusik_signal_alarm(alarm_ms * MS);
	for (int i = 1; i <= times; i++) {
		printf("at work, %d\n", i);
		/* A signal does not cut it short. */
		if (prusik_event_wait(&never, prusik_in_ms(every_ms)) != -ETIMEDOUT)
			return 1;
	}
	return 0;
}
