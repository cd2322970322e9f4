/* SPDX-License-Identifier: MIT */
/*
 * kill: the same scenes with prusik and with glibc's process-shared primitives
 *
 * For comparison only: what glibc does is no failure of ours. Its mutex is robust; the
 * others have nothing of that kind. A scene's functions call what kill_now_case->data
 * names; "hung" is a survivor who sleeps for good although what he waits for is there,
 * or would be if the dead one's share had come back.
 */
#include "beside.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <prusik/barrier.h>
#include <prusik/condition.h>
#include <prusik/rwlock.h>
#include <prusik/semaphore.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#define PARTIES 3

struct box {
	struct prusik_lock lock;
	struct prusik_condition filled;
	struct prusik_semaphore count;
	struct {
		struct prusik_permits permits;
		uint32_t room[1];
	} place;
	struct {
		struct prusik_barrier barrier;
		uint32_t room[PARTIES];
	} step;
	_Alignas(64) struct prusik_rwlock rwlock;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_rwlock_t pthread_rwlock;
	pthread_barrier_t pthread_barrier;
	sem_t sem, sem_place;
	uint32_t items, arrived;
};

/* One library. Each is true when the call has done its work, and the caller goes on. */
struct library {
	void (*init)(struct box *box);
	bool (*enter)(struct box *box), (*leave)(struct box *box);
	bool (*wait)(struct box *box), (*notify)(struct box *box);
	bool (*read)(struct box *box), (*write)(struct box *box), (*release)(struct box *box);
	bool (*down)(struct box *box), (*up)(struct box *box);
	int64_t (*value)(struct box *box);
	bool (*occupy)(struct box *box), (*vacate)(struct box *box);
	bool (*arrive)(struct box *box);
};

static const struct library *library(void)
{
	return kill_now_case->data;
}

/* ---- prusik ---- */

static void our_init(struct box *box)
{
	prusik_permits_init(&box->place.permits, 1);
	prusik_barrier_init(&box->step.barrier, PARTIES);
}

static bool our_enter(struct box *box)
{
	return prusik_lock_acquire(&box->lock, PRUSIK_FOREVER) >= 0;
}

static bool our_leave(struct box *box)
{
	return prusik_lock_release(&box->lock) == 0;
}

static bool our_wait(struct box *box)
{
	return prusik_condition_wait(&box->filled, &box->lock, PRUSIK_FOREVER) >= 0;
}

static bool our_notify(struct box *box)
{
	return prusik_condition_notify(&box->filled, &box->lock, 1) == 0;
}

static bool our_read(struct box *box)
{
	return prusik_rwlock_read(&box->rwlock, PRUSIK_FOREVER) >= 0;
}

static bool our_write(struct box *box)
{
	return prusik_rwlock_write(&box->rwlock, PRUSIK_FOREVER) >= 0;
}

static bool our_release(struct box *box)
{
	return prusik_rwlock_release(&box->rwlock) == 0;
}

static bool our_down(struct box *box)
{
	return prusik_semaphore_acquire(&box->count, PRUSIK_FOREVER) == 0;
}

static bool our_up(struct box *box)
{
	return prusik_semaphore_release(&box->count, 1) == 0;
}

static int64_t our_value(struct box *box)
{
	return prusik_semaphore_value(&box->count);
}

static bool our_occupy(struct box *box)
{
	return prusik_permits_acquire(&box->place.permits, PRUSIK_FOREVER) >= 0;
}

static bool our_vacate(struct box *box)
{
	return prusik_permits_release(&box->place.permits) == 0;
}

static bool our_arrive(struct box *box)
{
	int64_t r = prusik_barrier_wait(&box->step.barrier, NULL, NULL, PRUSIK_FOREVER);

	return r >= 0 || r == -EPIPE;
}

static const struct library ours = {
	our_init,    our_enter, our_leave, our_wait,  our_notify, our_read,   our_write,
	our_release, our_down,	our_up,	   our_value, our_occupy, our_vacate, our_arrive,
};

/* ---- glibc ---- */

static void its_init(struct box *box)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_rwlockattr_t rwlock;
	pthread_barrierattr_t barrier;

	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&box->mutex, &mutex);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&box->cond, &cond);
	pthread_rwlockattr_init(&rwlock);
	pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
	pthread_rwlock_init(&box->pthread_rwlock, &rwlock);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&box->pthread_barrier, &barrier, PARTIES);
	sem_init(&box->sem, 1, 0);
	sem_init(&box->sem_place, 1, 1);
}

static bool mended(struct box *box, int r)
{
	return r == 0 || (r == EOWNERDEAD && pthread_mutex_consistent(&box->mutex) == 0);
}

static bool its_enter(struct box *box)
{
	return mended(box, pthread_mutex_lock(&box->mutex));
}

static bool its_leave(struct box *box)
{
	return pthread_mutex_unlock(&box->mutex) == 0;
}

static bool its_wait(struct box *box)
{
	return mended(box, pthread_cond_wait(&box->cond, &box->mutex));
}

static bool its_notify(struct box *box)
{
	return pthread_cond_signal(&box->cond) == 0;
}

static bool its_read(struct box *box)
{
	return pthread_rwlock_rdlock(&box->pthread_rwlock) == 0;
}

static bool its_write(struct box *box)
{
	return pthread_rwlock_wrlock(&box->pthread_rwlock) == 0;
}

static bool its_release(struct box *box)
{
	return pthread_rwlock_unlock(&box->pthread_rwlock) == 0;
}

static bool its_down(struct box *box)
{
	return sem_wait(&box->sem) == 0;
}

static bool its_up(struct box *box)
{
	return sem_post(&box->sem) == 0;
}

static int64_t its_value(struct box *box)
{
	int value = 0;

	sem_getvalue(&box->sem, &value);
	return value;
}

static bool its_occupy(struct box *box)
{
	return sem_wait(&box->sem_place) == 0;
}

static bool its_vacate(struct box *box)
{
	return sem_post(&box->sem_place) == 0;
}

static bool its_arrive(struct box *box)
{
	int r = pthread_barrier_wait(&box->pthread_barrier);

	return r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD;
}

static const struct library glibcs = {
	its_init,    its_enter, its_leave, its_wait,  its_notify, its_read,   its_write,
	its_release, its_down,	its_up,	   its_value, its_occupy, its_vacate, its_arrive,
};

/* ---- scenes ---- */

enum { BEHIND, SECOND };

static void init(void *object)
{
	library()->init(object);
}

static bool lives(int note)
{
	return kill_lives((int)kill_run->note[note]);
}

static bool take_item(void *object)
{
	struct box *box = object;
	bool ok = library()->enter(box);

	kill_hello();
	while (ok && prk_load32_rlx(&box->items) == 0)
		ok = library()->wait(box);
	if (!ok)
		return false;
	box->items--;
	return library()->leave(box);
}

static bool put_item(void *object)
{
	struct box *box = object;

	kill_hello();
	if (!library()->enter(box))
		return false;
	box->items++;
	return library()->notify(box) && library()->leave(box);
}

static void a_taker(void *object)
{
	(void)object;
	kill_run->note[BEHIND] = (uint32_t)kill_asleep(take_item, KILL_FINISHES);
}

static void init_and_a_taker(void *object)
{
	init(object);
	a_taker(object);
}

static void one_behind_and_an_item(void *object, int times)
{
	if (times > 0)
		return;
	a_taker(object);
	kill_asleep(put_item, KILL_FINISHES);
}

/* What the dead one took with it, or never made, comes now. */
static void another_item(void *object)
{
	struct box *box = object;

	kill_settle((int)kill_run->note[BEHIND]);
	if (lives(BEHIND) && prk_load32_acq(&box->items) == 0)
		kill_start(put_item, KILL_FINISHES);
}

static void victim_puts(void *object)
{
	(void)!put_item(object);
}

static void victim_takes(void *object)
{
	(void)!take_item(object);
}

static bool go_down(void *object)
{
	kill_hello();
	return library()->down(object);
}

static bool go_up(void *object)
{
	kill_hello();
	return library()->up(object);
}

static void one_waits_for_a_permit(void *object)
{
	init(object);
	kill_run->note[BEHIND] = (uint32_t)kill_asleep(go_down, KILL_FINISHES);
}

static void one_behind_and_a_permit(void *object, int times)
{
	(void)object;
	if (times > 0)
		return;
	kill_run->note[BEHIND] = (uint32_t)kill_asleep(go_down, KILL_FINISHES);
	kill_asleep(go_up, KILL_FINISHES);
}

static void another_permit(void *object)
{
	kill_settle((int)kill_run->note[BEHIND]);
	if (lives(BEHIND) && library()->value(object) == 0)
		kill_start(go_up, KILL_FINISHES);
}

static void victim_goes_up(void *object)
{
	(void)!library()->up(object);
}

static void victim_goes_down(void *object)
{
	(void)!library()->down(object);
}

static void victim_occupies(void *object)
{
	(void)!(library()->occupy(object) && library()->vacate(object));
}

static bool place_is_free(void *object)
{
	return library()->occupy(object) && library()->vacate(object);
}

static void victim_reads(void *object)
{
	(void)!(library()->read(object) && library()->release(object));
}

static void victim_writes(void *object)
{
	(void)!(library()->write(object) && library()->release(object));
}

static bool can_write(void *object)
{
	return library()->write(object) && library()->release(object);
}

static bool can_read(void *object)
{
	return library()->read(object) && library()->release(object);
}

static bool come(void *object)
{
	kill_hello();
	return library()->arrive(object);
}

static void two_wait(void *object)
{
	init(object);
	kill_run->note[BEHIND] = (uint32_t)kill_asleep(come, KILL_FINISHES);
	kill_run->note[SECOND] = (uint32_t)kill_asleep(come, KILL_FINISHES);
}

static void victim_arrives(void *object)
{
	(void)!library()->arrive(object);
}

/* As far as it can be seen the dead one has not arrived: somebody comes in its place. */
static void another_party(void *object)
{
	(void)object;
	kill_settle((int)kill_run->note[BEHIND]);
	kill_settle((int)kill_run->note[SECOND]);
	if (lives(BEHIND) && lives(SECOND))
		kill_start(come, KILL_STAYS);
}

#define SCENE(noun_, state_)                                                                                           \
	.noun = noun_, .operation = "killed", .state = state_, .size = sizeof(struct box), .is = KILL_NO_SNAPSHOT

static const struct kill_case scenes[] = {
	{ SCENE("condition", "a notifier"), .setup = init_and_a_taker, .victim = victim_puts, .killed = another_item },
	{ SCENE("condition", "a woken waiter, one behind"), .setup = init, .victim = victim_takes,
	  .unblock = one_behind_and_an_item, .killed = another_item },
	{ SCENE("rwlock", "a reader, then a writer comes"), .setup = init, .victim = victim_reads, .check = can_write },
	{ SCENE("rwlock", "a writer, then a reader comes"), .setup = init, .victim = victim_writes, .check = can_read },
	{ SCENE("semaphore", "a holder of the only permit"), .setup = init, .victim = victim_occupies,
	  .check = place_is_free },
	{ SCENE("semaphore", "a poster"), .setup = one_waits_for_a_permit, .victim = victim_goes_up,
	  .killed = another_permit },
	{ SCENE("semaphore", "a woken waiter, one behind"), .setup = init, .victim = victim_goes_down,
	  .unblock = one_behind_and_a_permit, .killed = another_permit },
	{ SCENE("barrier", "the last party"), .setup = two_wait, .victim = victim_arrives, .killed = another_party },
};

/* Asleep for so long, all of them: for good. */
#define PATIENCE INT64_C(200000000)

static struct kill_tally run(const struct kill_case *scene, const struct library *which, uint32_t stride)
{
	struct kill_case c = *scene;
	struct kill_options options = { .stride = stride, .quiet = which == &glibcs };
	struct kill_tally tally;

	c.data = which;
	c.is |= which == &ours ? KILL_WARM : KILL_UNJOINED;
	kill_now_case = &c;
	kill_patience = which == &ours ? KILL_LIMIT : PATIENCE;
	kill_form_run(KILL_KILL, &options, &tally);
	kill_patience = KILL_LIMIT;
	kill_now_case = NULL;
	return tally;
}

bool kill_beside_knows(const char *noun)
{
	for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
		if (!noun || strcmp(noun, scenes[i].noun) == 0)
			return true;
	fprintf(stderr, "prusik-kill: no scene beside glibc's is of the noun '%s'\n", noun);
	return false;
}

bool kill_beside_glibc(const char *noun, uint32_t stride)
{
	bool good = true;

	printf("\nkilled at an instruction, and somebody sleeps for good or fails:\n"
	       "%-44s %22s %15s %s\n",
	       "", "prusik", "glibc", gnu_get_libc_version());
	for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
		if (noun && strcmp(noun, scenes[i].noun) != 0)
			continue;
		struct kill_tally a = run(&scenes[i], &ours, stride), b = run(&scenes[i], &glibcs, stride);
		printf("%-12s %-31s %9llu of %5llu points %9llu of %5llu\n", scenes[i].noun, scenes[i].state,
		       (unsigned long long)(a.hung + a.broken), (unsigned long long)a.points,
		       (unsigned long long)(b.hung + b.broken), (unsigned long long)b.points);
		fflush(stdout);
		good = good && a.hung + a.broken == 0;
	}
	return good;
}
