/* SPDX-License-Identifier: MIT */
/* dict: telling those who watch. A key has one of 64 words, and the dict has one. */
#include "base/wait.h"
#include "data/dict.h"
#include "sync/lock.h"

#include <errno.h>
#include <limits.h>

#define ASLEEP UINT32_C(1)
#define ONE_CHANGE UINT32_C(2)

static uint32_t *word_for(struct prusik_dict *d, uint64_t hash)
{
	return &d->body->changes[1 + (hash >> 42) % PRK_DICT_STRIPES];
}

/* Only the holder of the lock counts up; others set bit 0 meanwhile. */
static void ring(uint32_t *word)
{
	uint32_t next = (prk_load32_rlx(word) | ASLEEP) + ASLEEP;

	/* rel [dict.changes]: the key has changed already */
	if (prk_swap32_acqrel(word, next) & ASLEEP)
		prk_wake(word, INT_MAX);
}

void prk_dict_tell(struct prusik_dict *d, uint64_t hash)
{
	if (!prk_load32_rlx(&d->body->watched))
		return;
	ring(&d->body->changes[0]);
	ring(word_for(d, hash));
}

void prk_dict_tell_all(struct prusik_dict *d)
{
	if (!prk_load32_rlx(&d->body->watched))
		return;
	for (uint32_t i = 0; i <= PRK_DICT_STRIPES; i++)
		ring(&d->body->changes[i]);
}

/* The word to watch for a key, or for all. */
static int watched_word(struct prusik_dict *d, const void *key, uint64_t key_length, uint32_t **ret_word)
{
	struct prk_key k;
	int r = d ? prk_joined() : -EINVAL;

	if (r < 0)
		return r;
	*ret_word = &d->body->changes[0];
	if (!key && !key_length)
		return 0;
	r = prk_dict_key(d, key, key_length, &k);
	if (r == 0)
		*ret_word = word_for(d, k.hash);
	return r;
}

/* From now on writers tell: the first one to ask waits until no writer is under way who does not know. */
static int begin_watching(struct prusik_dict *d)
{
	if (prk_load32_acq(&d->body->watched)) /* acq [dict.watched] */
		return 0;
	int r = prk_dict_lock(d);
	if (r < 0)
		return r == -EDEADLK ? 0 : r;
	prk_store32_rel(&d->body->watched, 1); /* rel [dict.watched] */
	return prk_dict_unlock(d, 0);
}

int64_t prusik_dict_seen(struct prusik_dict *dict, const void *key, uint64_t key_length)
{
	uint32_t *word;
	int r = watched_word(dict, key, key_length, &word);

	if (r == 0)
		r = begin_watching(dict);
	if (r < 0)
		return r;
	return prk_load32_acq(word) / ONE_CHANGE; /* acq [dict.changes]: what is looked at later is not older */
}

/* A writer may have died between his change and telling it. */
static bool writer_died(const struct prusik_dict *d)
{
	uint32_t owner = prk_load32_rlx(&d->body->heap.lock.word) & PRK_ID_MASK;

	return owner != 0 && prk_dead(owner);
}

/* One sleep. 1: changed; 0: look again. */
static int wait_once(struct prusik_dict *d, uint32_t *word, int64_t seen, int64_t deadline)
{
	uint32_t epoch = prk_epoch();
	uint32_t now = prk_load32_acq(word); /* acq [dict.changes] */

	if (now / ONE_CHANGE != seen)
		return 1;
	if (writer_died(d)) {
		int r = prk_dict_lock(d);
		return r < 0 ? r : prk_dict_unlock(d, 0);
	}
	if (deadline == PRUSIK_NOW)
		return -ETIMEDOUT;
	if (!(now & ASLEEP) && !prk_cas32_rlx(word, &now, now | ASLEEP))
		return 0;
	return prk_wait(word, now | ASLEEP, epoch, deadline);
}

int prusik_dict_wait(struct prusik_dict *dict, const void *key, uint64_t key_length, int64_t seen, int64_t deadline)
{
	uint32_t *word;
	int r = watched_word(dict, key, key_length, &word);

	while (r == 0)
		r = wait_once(dict, word, seen, deadline);
	return r > 0 ? 0 : r;
}
