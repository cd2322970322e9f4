/* SPDX-License-Identifier: MIT */
/*
 * sentinel - how everybody who waits hears of every death, without a time-out
 *
 * The kernel marks a dead thread's life word and wakes one sleeper on it. That
 * must become: the epoch is raised and all who wait look again (prk_bury). A
 * process that waits for others runs one small thread to see to it, started when
 * it first waits. This thread, the sentinel, sleeps on life words, with a value
 * for each that the kernel compares as it goes to sleep: so a death just before
 * the sleep is not missed either. (The kernel could also ring one fixed word at
 * each death, through list_op_pending. But when nobody sleeps on that word yet,
 * such a ring is lost, and it leaves no trace to compare with.)
 *
 * Who watches whom. Think of the slots as a circle.
 *
 *   W1  A sentinel watches the slots after its own, up to and including the next
 *       sentinel's; of those in between, the ones whose process has no sentinel.
 *   W2  Each process with a sentinel is thus watched by the sentinel before it.
 *       When it dies, the watcher sweeps all slots; the dead process's slots that
 *       the kernel has not marked yet have no living guard now, so W1 makes them
 *       watched until they are.
 *   W3  A newcomer without a sentinel rings the bell, on which all sentinels
 *       sleep too; so does every burial. A thread that joins a guarded process
 *       does not: it dies with its process.
 *   W4  A sentinel that dies with a death in its hands has not buried it: it is
 *       still LIVE and DIED, and the sentinel before it sweeps.
 *   W5  W1 needs no more words than the kernel takes: processes without a
 *       sentinel live in slots below PRK_SLOTS_UNGUARDED only.
 *
 * So as long as anybody waits anywhere, his process's sentinel closes the circle.
 *
 * The belt: once a second a sentinel sweeps all the same, and asks the kernel
 * after each thread of its PID namespace. That catches what the kernel does not
 * mark (a thread other than the first one calls execve; a node lost from the
 * robust list by a foreign mutex on unmapped memory) and a watcher that was
 * stopped with SIGSTOP. Nothing else depends on it.
 */
#include "base/sentinel.h"

#include "base/life.h"
#include "base/process.h"
#include "base/sys.h"

#include <errno.h>
#include <prusik/common.h>
#include <stddef.h>

_Static_assert(PRK_SLOTS_UNGUARDED + 2 <= PRK_WAITV_MAX, "W5");

int64_t prk_sentinel_belt = INT64_C(1000000000);

static bool same_namespace(const struct prk_slot *a, const struct prk_slot *b)
{
	return prk_load64_rlx(&a->pid_namespace) == prk_load64_rlx(&b->pid_namespace);
}

static bool same_process(const struct prk_slot *a, const struct prk_slot *b)
{
	return same_namespace(a, b) && prk_load32_rlx(&a->pid) == prk_load32_rlx(&b->pid);
}

/*
 * By a living sentinel of its own process: one that wrote its name here just as
 * the slot changed hands guards a slot that is no longer its own.
 */
static bool guarded(const struct prk_slot *slot)
{
	uint32_t guard = prk_load32_rlx(&slot->guard);

	return guard != 0 && !prk_dead(guard) && same_process(slot, prk_slot_of(guard));
}

/*
 * Make the kernel wake us when the occupant dies, and note the word. False: it has
 * died or left by now, look again.
 */
static bool watch(struct prk_slot *slot, uint32_t tag, struct prk_futex *ret_word)
{
	uint32_t life = prk_load32_acq(&slot->life); /* acq [slot.life] */

	if (prk_load32_acq(&slot->tag) != tag || (life & PRK_LIFE_DIED))
		return false;
	uint32_t with = life | PRK_LIFE_WAITERS;
	if (life != with && !prk_cas32_acqrel(&slot->life, &life, with))
		return false;
	*ret_word = (struct prk_futex){ &slot->life, with };
	return true;
}

/* W1. The number of words, or -1: look again. */
static int choose(uint32_t own, struct prk_futex *words)
{
	uint32_t top = prk_load32_acq(&prk_life->top); /* acq [life.top] */
	int n = 0;

	for (uint32_t step = 1; step < top; step++) {
		uint32_t i = own + step < top ? own + step : own + step - top + 1;
		struct prk_slot *slot = &prk_life->slot[i];
		uint32_t tag = prk_load32_acq(&slot->tag); /* acq [slot.tag] */
		if (i == own || !(tag & PRK_TAG_LIVE))
			continue;
		bool last = prk_load32_rlx(&slot->kind) == PRK_SLOT_SENTINEL;
		if (!last && guarded(slot))
			continue;
		if (n == PRK_WAITV_MAX - 1)
			break; /* only while a dead process's slots wait for their marks */
		if (!watch(slot, tag, &words[n++]))
			return -1;
		if (last)
			break;
	}
	return n;
}

/* The belt: mark those whose thread the kernel no longer knows. */
static void ask_kernel(const struct prk_slot *self)
{
	uint32_t top = prk_load32_acq(&prk_life->top); /* acq [life.top] */

	for (uint32_t i = 1; i < top; i++) {
		struct prk_slot *slot = &prk_life->slot[i];
		uint32_t tag = prk_load32_acq(&slot->tag); /* acq [slot.tag] */
		uint32_t life = prk_load32_acq(&slot->life);
		uint32_t pid = prk_load32_rlx(&slot->pid), tid = prk_load32_rlx(&slot->tid);
		if (!(tag & PRK_TAG_LIVE) || !same_namespace(slot, self) || (life & PRK_LIFE_TID) != tid)
			continue;
		if (prk_sys_tgkill((pid_t)pid, (pid_t)tid, 0) != -ESRCH)
			continue;
		uint64_t seen = prk_life_and_tag(life, tag);
		prk_cas64_acqrel(&slot->life_and_tag, &seen, prk_life_and_tag(PRK_LIFE_DIED, tag));
	}
}

static int64_t belt(void)
{
	return prk_sentinel_belt == PRUSIK_FOREVER ? PRUSIK_FOREVER : prusik_in_ns(prk_sentinel_belt);
}

static void stand_guard(const struct prk_self *self)
{
	struct prk_futex words[PRK_WAITV_MAX];
	uint32_t own = self->id & PRK_SLOT_MASK;

	for (;;) {
		uint32_t bell = prk_load32_acq(&prk_life->bell); /* acq [life.bell]: prk_ring */
		prk_sweep();
		int n = choose(own, words);
		if (n < 0)
			continue;
		words[n] = (struct prk_futex){ &prk_life->bell, bell };
		int r = prk_sys_futex_waitv(words, (unsigned int)n + 1, belt());
		if (r == -ETIMEDOUT)
			ask_kernel(self->slot);
		else if (r < 0 && r != -EAGAIN && r != -EINTR)
			return; /* no futex_waitv: those who wait find out the same way */
	}
}

/* From now on the process's threads die with me, for all that others can tell. */
static void become_guard(const struct prk_self *self)
{
	uint32_t top = prk_load32_acq(&prk_life->top); /* acq [life.top] */

	prk_store32_rlx(&prk_process_here()->sentinel_id, self->id);
	for (uint32_t i = 1; i < top; i++) {
		struct prk_slot *slot = &prk_life->slot[i];
		if ((prk_load32_acq(&slot->tag) & PRK_TAG_LIVE) && same_process(slot, self->slot))
			prk_store32_rlx(&slot->guard, self->id);
	}
	prk_ring(); /* whoever found no room for all the words has fewer to watch now */
}

static void *sentinel(void *unused)
{
	(void)unused;
	if (prk_join_as(PRK_SLOT_SENTINEL) == 0) {
		become_guard(prk_self());
		stand_guard(prk_self());
		prk_store32_rlx(&prk_process_here()->sentinel_id, 0);
		prk_self()->held++; /* loudly: one who watched up to here must watch farther now */
		prk_leave();
	}
	/* Those who wait already rely on this thread: they must look, and go on by themselves. */
	prk_store32_rel(&prk_process_here()->sentinel, PRK_SENTINEL_FAILED); /* rel [process.sentinel] */
	prk_raise_epoch();
	return NULL;
}

bool prk_sentinel_start(void)
{
	uint32_t state = prk_load32_acq(&prk_process_here()->sentinel); /* acq [process.sentinel] */

	if (state != PRK_SENTINEL_NONE)
		return state == PRK_SENTINEL_STARTED;
	if (!prk_cas32_acqrel(&prk_process_here()->sentinel, &state, PRK_SENTINEL_STARTED))
		return true;
	if (prk_sys_helper_thread(sentinel, NULL, "prusik") == 0)
		return true;
	prk_store32_rel(&prk_process_here()->sentinel, PRK_SENTINEL_NONE); /* no thread now: perhaps later */
	return false;
}
