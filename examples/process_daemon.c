/* SPDX-License-Identifier: MIT */
/*
 * 5, 20: a daemon is cut short. The emperor's companion lives as long as he does: she is a daemon, so
 * she ends with the program, whatever she was about. (She does so too when it is kill -9ed.)
 *
 *	process_daemon [SECONDS]     how long the emperor lives (default 0.3)
 */
#include <prusik.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int accompany(void *unused)
{
	(void)unused;
	printf("the companion: I stay for ever\n");
	fflush(stdout);
	sleep(1000);
	printf("the companion: for ever is over\n"); /* never */
	return 0;
}

int main(int argc, char **argv)
{
	const struct prusik_process_options options = { .name = "companion", .daemon = 1 };
	double seconds = argc > 1 ? atof(argv[1]) : 0.3;
	struct prusik_process *companion;

	if (prusik_process_start(accompany, NULL, &options, &companion) < 0)
		return 1;
	usleep((useconds_t)(seconds * 1e6));
	printf("the emperor: end\n");
	prusik_process_free(companion);
	return 0;
}
