/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <glib.h>

static gpointer run(gpointer counter)
{
	++*(uint64_t *)counter;
	return NULL;
}

int start_glib(void **ret_thread, uint64_t *counter)
{
	*ret_thread = g_thread_try_new("bench", run, counter, NULL);
	return *ret_thread ? 0 : -1;
}

int join_glib(void *thread)
{
	return g_thread_join(thread) ? -1 : 0;
}
