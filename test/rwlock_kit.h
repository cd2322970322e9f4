/* SPDX-License-Identifier: MIT */
/* rwlock_kit - what tests of rwlocks begin with */
#ifndef TEST_RWLOCK_KIT_H
#define TEST_RWLOCK_KIT_H

#include "party.h"

#include <errno.h>
#include <prusik/cancel.h>
#include <prusik/rwlock.h>

struct box {
	_Alignas(64) struct prusik_rwlock rwlock;
	struct prusik_cancel stop;
	int64_t a, b; /* a + b == 0 outside writers */
	int started, inside, go, entered, end;
	int order[8], ordered;
	long reads, writes;
};

static inline struct box *new_box(enum party_kind kind)
{
	struct box *box = party_memory(kind, sizeof *box);

	party_quiet();
	return box;
}

static inline int add(int *word, int n)
{
	return (int)prk_add32_acqrel((uint32_t *)word, (uint32_t)n) + n;
}

static inline void await_waiting_reader(const struct box *box, int n)
{
	for (int found = -1; found != n;) {
		pause_ms(1);
		found = 0;
		for (int i = 0; i < PRUSIK_RWLOCK_READERS; i++)
			found += prk_load32_rlx(&box->rwlock.reader[i]) >> 31;
	}
	pause_ms(10);
}

/* A writer keeps the place, though it is not inside: not only for a look, as in its first millisecond. */
static inline void await_waiting_writer(const struct box *box)
{
	for (int looks = 0; looks < 50; looks++) {
		if (prk_load32_rlx(&box->rwlock.writer.word) == 0)
			looks = 0;
		pause_ms(1);
	}
}

/* So many readers wait, and one of them has for a millisecond. */
static inline void await_overdue_reader(const struct box *box, int n)
{
	while (prk_load32_rlx(&box->rwlock.waiting) != 2)
		pause_ms(1);
	await_waiting_reader(box, n);
}

static inline int read_told(void *shared, int index)
{
	struct box *box = shared;

	add(&box->started, 1);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) == index);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	return 0;
}

static inline int find_it_written(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_written(&box->rwlock) == 1);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW) == -ETIMEDOUT);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 60000000);
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == -EPERM);
	PARTY_CHECK(prk_self()->held == 0);
	return 0;
}

static inline int find_it_read(void *shared, int index)
{
	struct box *box = shared;

	(void)index;
	PARTY_CHECK(prusik_rwlock_readers(&box->rwlock) == 1);
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, PRUSIK_NOW) == -ETIMEDOUT);
	int64_t begin = prusik_now();
	PARTY_CHECK(prusik_rwlock_write(&box->rwlock, prusik_in_ms(30)) == -ETIMEDOUT);
	PARTY_CHECK(prusik_now() - begin >= 30000000);
	PARTY_CHECK(prusik_rwlock_written(&box->rwlock) == 0);
	PARTY_CHECK(prusik_rwlock_read(&box->rwlock, PRUSIK_NOW) == 0); /* it has given up */
	PARTY_CHECK(prusik_rwlock_release(&box->rwlock) == 0);
	PARTY_CHECK(prk_self()->held == 0);
	return 0;
}

#endif
