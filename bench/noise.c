/* SPDX-License-Identifier: MIT */
#include "noise.h"

#include <stdio.h>
#include <sys/times.h>

/* In clock ticks. */
struct usage {
	double all; /* of every processor, idle or not */
	double busy; /* of them, by anybody, a hypervisor's other guests included */
	double ours; /* by this process and its children */
};

static struct usage before;

static int look(struct usage *ret_usage)
{
	double user, nice, system, idle, iowait, irq, softirq, steal;
	FILE *stream = fopen("/proc/stat", "re");
	struct tms ours;
	int fields = 0;

	if (stream) {
		fields = fscanf(stream, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &iowait,
				&irq, &softirq, &steal);
		fclose(stream);
	}
	if (fields != 8)
		return -1;
	times(&ours);
	ret_usage->busy = user + nice + system + irq + softirq + steal;
	ret_usage->all = ret_usage->busy + idle + iowait;
	ret_usage->ours = (double)(ours.tms_utime + ours.tms_stime + ours.tms_cutime + ours.tms_cstime);
	return 0;
}

void noise_start(void)
{
	if (look(&before) < 0)
		before.all = -1;
}

double noise_share(void)
{
	struct usage now;
	double others;

	if (before.all < 0 || look(&now) < 0 || now.all <= before.all)
		return -1;
	others = (now.busy - before.busy) - (now.ours - before.ours);
	return others < 0 ? 0 : others / (now.all - before.all);
}
