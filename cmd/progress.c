/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <prusik/common.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 30
#define EVERY_MS 100

int progress_due(struct progress *progress)
{
	int64_t now = prusik_now();

	if (now < progress->next)
		return 0;
	progress->next = isatty(STDERR_FILENO) ? prusik_in_ms(EVERY_MS) : PRUSIK_FOREVER;
	return progress->next != PRUSIK_FOREVER;
}

void progress_draw(struct progress *progress, double done, const char *text)
{
	char bar[WIDTH + 1];
	int full = done < 0 ? 0 : done > 1 ? WIDTH : (int)(done * WIDTH);

	memset(bar, '.', WIDTH);
	memset(bar, '#', (size_t)full);
	bar[WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %s\033[K", bar, text);
	fflush(stderr);
	progress->drawn = 1;
}

void progress_clear(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = 0;
}
