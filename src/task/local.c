/* SPDX-License-Identifier: MIT */
/*
 * local - a pthread key that is made when it is first needed
 *
 * WORD     prusik_local.state: 0 no key yet, else the key + 1
 * WRITES   anyone, by CAS, once; who is too late deletes his own key again
 */
#include "base/atomic.h"

#include <errno.h>
#include <prusik/thread.h>
#include <pthread.h>

static int make_key(struct prusik_local *local, uint64_t *ret_state)
{
	pthread_key_t key;
	uint64_t seen = 0;
	int r = pthread_key_create(&key, local->destructor);

	if (r)
		return -r;
	*ret_state = (uint64_t)key + 1;
	if (prk_cas64_acqrel(&local->state, &seen, *ret_state)) /* acqrel [local.state] */
		return 0;
	pthread_key_delete(key);
	*ret_state = seen;
	return 0;
}

int prusik_local_set(struct prusik_local *local, void *value)
{
	if (!local)
		return -EINVAL;
	uint64_t state = prk_load64_acq(&local->state); /* acq [local.state] */
	int r = state == 0 && value ? make_key(local, &state) : 0;
	if (r < 0 || state == 0)
		return r;
	return -pthread_setspecific((pthread_key_t)(state - 1), value);
}

void *prusik_local_get(struct prusik_local *local)
{
	uint64_t state = local ? prk_load64_acq(&local->state) : 0; /* acq [local.state] */

	return state ? pthread_getspecific((pthread_key_t)(state - 1)) : NULL;
}
