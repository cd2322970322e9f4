/* SPDX-License-Identifier: MIT */
/*
 * life - joining, leaving, dying
 *
 * Joining, and what a kill after each store leaves:
 *
 *   A0  list_op_pending = my slot's node: from here the kernel looks at the slot
 *   A1  life: 0 or DIED -> my thread number, by CAS,       killed: DIED, tag free
 *       if the tag is free
 *   A2  node pushed on the robust list, pending = NULL     killed: DIED, tag free
 *   A3  tag: generation g, LIVE                            killed: DIED and LIVE
 *   A4  the bell is rung, if nobody would watch me         killed: DIED and LIVE
 *
 * A participant holds nothing before A4 is over, so one that dies before is
 * missed by nobody; its slot is taken again by a claimant (tag free) or buried by
 * the next sweep (LIVE).
 *
 * The robust list is shared with glibc, which keeps its own robust mutexes on it:
 * a node has glibc's layout, and glibc leaves list_op_pending NULL between its
 * operations, as do we.
 */
#include "base/life.h"

#include "base/process.h"
#include "base/sentinel.h"
#include "base/sys.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
/* Between the link and the life word, as glibc tells the kernel (see domain.c's assertion). */
#define ROBUST_OFFSET (-32)

_Static_assert(PAGE % sizeof(struct prk_self) == 0 && sizeof(struct prk_self) == 64,
	       "a page holds a whole number of selves");

static struct prk_self nobody;
__thread struct prk_self *prk_self_here __attribute__((tls_model("initial-exec"))) = &nobody;

/* Where the next prk_self comes from; a multiple of PAGE: the page is used up. Not wiped. */
static struct prk_self *fresh_self;

/* ---- the process's own notes ---- */

/*
 * A self is never handed out again in a forked child while the forking thread's
 * old pointer may still point to it: the free list is wiped, fresh_self is not.
 */
static int self_new_locked(struct prk_self **ret_self)
{
	struct prk_self *self = prk_process_here()->free_selves;

	if (self) {
		prk_process_here()->free_selves = self->next_free;
		*ret_self = self;
		return 0;
	}
	if ((uintptr_t)fresh_self % PAGE == 0) {
		void *page;
		int r = prk_wiped_pages(&page, PAGE);
		if (r < 0)
			return r;
		fresh_self = page;
	}
	*ret_self = fresh_self++;
	return 0;
}

static int self_new(struct prk_self **ret_self)
{
	prk_process_lock();
	int r = self_new_locked(ret_self);
	prk_process_unlock();
	return r;
}

static void self_free(struct prk_self *self)
{
	prk_process_lock();
	*self = (struct prk_self){ .next_free = prk_process_here()->free_selves };
	prk_process_here()->free_selves = self;
	prk_process_unlock();
}

/* ---- the robust list ---- */

static struct robust_list *link_of(struct prk_slot *slot)
{
	return (struct robust_list *)&slot->next;
}

/* The link itself: glibc and the kernel set bit 0 in pointers to priority-inheriting mutexes. */
static struct robust_list *plain(struct robust_list *link)
{
	return (struct robust_list *)((uintptr_t)link & ~(uintptr_t)1);
}

/* Where glibc keeps the way back: just before the link. The head has it there too. */
static void **back_of(struct robust_list *link)
{
	return (void **)plain(link) - 1;
}

/* For a thread whose libc has given the kernel no list: a child of a bare clone(). */
static __thread struct {
	void *back;
	struct robust_list_head head;
} own_list;

static struct robust_list_head *own_head(void)
{
	struct robust_list_head *head = &own_list.head;

	head->list.next = &head->list;
	own_list.back = &head->list;
	head->futex_offset = ROBUST_OFFSET;
	head->list_op_pending = NULL;
	return prk_sys_set_robust_head(head) == 0 ? head : NULL;
}

static struct robust_list_head *robust_head(void)
{
	struct robust_list_head *head = prk_sys_robust_head();

	if (!head)
		return own_head();
	return head->futex_offset == ROBUST_OFFSET ? head : NULL;
}

static void set_pending(struct robust_list_head *head, struct prk_slot *slot)
{
	*(struct robust_list *volatile *)&head->list_op_pending = slot ? link_of(slot) : NULL;
	prk_barrier();
}

static void robust_push(struct robust_list_head *head, struct prk_slot *slot)
{
	struct robust_list *first = head->list.next;

	slot->next = first;
	slot->prev = &head->list;
	prk_barrier();
	*back_of(first) = link_of(slot);
	prk_barrier();
	*(struct robust_list *volatile *)&head->list.next = link_of(slot);
	prk_barrier();
}

static void robust_pop(struct prk_slot *slot)
{
	struct robust_list *next = slot->next, *prev = slot->prev;

	*back_of(next) = prev;
	prk_barrier();
	*(struct robust_list *volatile *)&plain(prev)->next = next;
	prk_barrier();
}

/* ---- slots ---- */

/*
 * Tag and life are looked at as one. Were they not: he is dead, and the epoch raised, but
 * LIVE not cleared yet (B1, B4); I read the epoch, then his tag; LIVE is cleared, a
 * newcomer claims the slot (A1), and in life I find no mark. I would take him for alive,
 * and sleep, with an epoch that knows of his death.
 */
bool prk_dead(uint32_t id)
{
	uint32_t number = id & PRK_SLOT_MASK;

	/* acq [life.top]: the file is long enough to look */
	if (number == 0 || number >= prk_load32_acq(&prk_life->top))
		return true; /* an id nobody ever had: hostile or corrupt memory */
	/* acq [slot]: A3, and whoever sees the mark sees all that the dead one stored */
	const struct prk_slot seen = {
		.life_and_tag = prk_load64_acq(&prk_life->slot[number].life_and_tag),
	};
	if (!(seen.tag & PRK_TAG_LIVE) || prk_id_of(seen.tag, number) != id)
		return true;
	return (seen.life & PRK_LIFE_DIED) != 0;
}

void prk_ring(void)
{
	prk_add32_acqrel(&prk_life->bell, 1); /* rel [life.bell]: pairs with the sentinel's load */
	prk_sys_futex_wake(&prk_life->bell, INT_MAX);
}

void prk_raise_epoch(void)
{
	prk_add32_acqrel(&prk_life->epoch, 1); /* B1, rel [life.epoch]: pairs with prk_epoch */
	prk_sys_futex_wake(&prk_life->epoch, INT_MAX); /* B2 */
}

/*
 * B1 epoch raised, B2 sleepers woken, B3 bell rung, B4 LIVE cleared. Killed before
 * B4: the slot is still DIED and LIVE, the next sweep does it all again. Were the bell
 * rung last, one killed just before it, who need not take part yet, would leave nothing
 * to be seen. A sentinel's own death concerns the sentinels only: it holds nothing.
 */
void prk_bury(struct prk_slot *slot, uint32_t tag)
{
	if (prk_load32_rlx(&slot->kind) != PRK_SLOT_SENTINEL)
		prk_raise_epoch();
	prk_ring(); /* B3 */
	/* B4, rel [slot.tag]: pairs with prk_dead and claim */
	prk_cas32_acqrel(&slot->tag, &tag, (tag & ~PRK_TAG_LIVE) + 2);
}

int prk_sweep(void)
{
	uint32_t top = prk_load32_acq(&prk_life->top); /* acq [life.top] */
	int buried = 0;

	for (uint32_t i = 1; i < top; i++) {
		struct prk_slot *slot = &prk_life->slot[i];
		uint32_t tag = prk_load32_acq(&slot->tag); /* acq [slot.tag] */
		if (!(tag & PRK_TAG_LIVE) || !(prk_load32_acq(&slot->life) & PRK_LIFE_DIED))
			continue;
		prk_bury(slot, tag);
		buried++;
	}
	return buried;
}

/*
 * A0 to A2 for one slot; false: somebody else has it. A1 compares the tag too:
 * were somebody to live and die here between the look and the claim, his DIED
 * would be overwritten while he is still LIVE, and he would seem to be alive.
 */
static bool claim(struct robust_list_head *head, struct prk_slot *slot, uint32_t tid)
{
	uint32_t tag = prk_load32_acq(&slot->tag); /* acq [slot.tag] */
	uint32_t life = prk_load32_rlx(&slot->life);

	if ((tag & PRK_TAG_LIVE) || (life != 0 && !(life & PRK_LIFE_DIED)))
		return false;
	uint64_t seen = prk_life_and_tag(life, tag);
	set_pending(head, slot); /* A0 */
	bool mine = prk_cas64_acqrel(&slot->life_and_tag, &seen, prk_life_and_tag(tid, tag)); /* A1 */
	if (mine)
		robust_push(head, slot); /* A2 */
	set_pending(head, NULL);
	return mine;
}

static int claim_any(struct robust_list_head *head, uint32_t tid, uint32_t *ret_number)
{
	for (;;) {
		uint32_t top = prk_load32_acq(&prk_life->top); /* acq [life.top] */
		for (uint32_t n = 1; n < top; n++) {
			uint32_t i = 1 + prk_add32_rlx(&prk_life->cursor, 1) % (top - 1);
			if (claim(head, &prk_life->slot[i], tid)) {
				*ret_number = i;
				return 0;
			}
		}
		if (prk_sweep() > 0)
			continue;
		int r = prk_life_grow(top);
		if (r < 0)
			return r;
	}
}

/* Asked once in a process's life: it cannot move to another. */
static uint64_t pid_namespace(void)
{
	struct prk_process *process = prk_process_here();
	uint64_t known = prk_load64_rlx(&process->pid_namespace);
	struct stat st;

	if (known == 0 && stat("/proc/self/ns/pid", &st) == 0) {
		known = st.st_ino;
		prk_store64_rlx(&process->pid_namespace, known);
	}
	return known;
}

/* A0 to A4. */
static int occupy(struct prk_self *self, enum prk_slot_kind kind)
{
	struct robust_list_head *head = robust_head();
	uint32_t number, tid = (uint32_t)prk_sys_gettid();

	if (!head)
		return -ENOSYS; /* not glibc's threads */
	int r = claim_any(head, tid, &number);
	if (r < 0)
		return r;
	struct prk_slot *slot = &prk_life->slot[number];
	prk_store32_rlx(&slot->pid, (uint32_t)getpid());
	prk_store32_rlx(&slot->tid, tid);
	prk_store32_rlx(&slot->kind, kind);
	prk_store64_rlx(&slot->pid_namespace, pid_namespace());
	uint32_t guard = prk_load32_rlx(&prk_process_here()->sentinel_id);
	prk_store32_rlx(&slot->guard, guard);
	uint32_t tag = prk_load32_rlx(&slot->tag) | PRK_TAG_LIVE;
	prk_store32_rel(&slot->tag, tag); /* A3, rel [slot.tag]: publishes the fields above */
	if (guard == 0)
		prk_ring(); /* A4 */
	self->slot = slot;
	self->held = 0;
	self->id = prk_id_of(tag, number);
	return 0;
}

/* ---- joining and leaving ---- */

static pthread_key_t leave_key;
static int leave_key_error;
static pthread_once_t leave_once = PTHREAD_ONCE_INIT;

static void thread_ends(void *unused)
{
	(void)unused;
	prk_leave();
}

static void leave_key_make(void)
{
	leave_key_error = -pthread_key_create(&leave_key, thread_ends);
}

static int leave_at_thread_end(struct prk_self *self)
{
	pthread_once(&leave_once, leave_key_make);
	return leave_key_error ? leave_key_error : -pthread_setspecific(leave_key, self);
}

int prk_join_as(enum prk_slot_kind kind)
{
	struct prk_self *self = NULL;
	int r = prk_life_open();

	if (r == 0)
		r = self_new(&self);
	if (r < 0)
		return r;
	r = leave_at_thread_end(self);
	if (r == 0)
		r = occupy(self, kind);
	if (r < 0) {
		self_free(self);
		return r;
	}
	prk_self_here = self;
	return 0;
}

int prk_join(void)
{
	int r = prk_join_as(PRK_SLOT_PARTICIPANT);

	if (r == 0 && (prk_self()->id & PRK_SLOT_MASK) >= PRK_SLOTS_UNGUARDED)
		prk_sentinel_start();
	return r;
}

/*
 * Before the thread number, which stays: killed from here on, the thread is marked by
 * the kernel too, which wakes a sentinel. The life word as it was.
 */
static uint32_t mark_myself(struct prk_slot *slot)
{
	uint32_t seen = prk_load32_rlx(&slot->life);

	/* rel [slot.life]: publishes all that was stored before the end */
	while (!prk_cas32_acqrel(&slot->life, &seen, seen | PRK_LIFE_DIED))
		;
	return seen;
}

/*
 * L1 life says DIED (something may be held: burying tells the others), or LIVE is
 * cleared (nothing held). L2 node off the list, under pending. L3 life = 0, and
 * sentinels that slept on it look again. Killed in between: as in joining.
 */
void prk_leave(void)
{
	struct prk_self *self = prk_self();
	struct robust_list_head *head = self->id ? robust_head() : NULL;

	if (!head)
		return;
	struct prk_slot *slot = self->slot;
	uint32_t tag = prk_load32_rlx(&slot->tag);
	prk_self_here = &nobody;
	uint32_t life = 0;
	set_pending(head, slot);
	robust_pop(slot);
	if (self->held) {
		life = mark_myself(slot); /* L1 */
		prk_bury(slot, tag);
	} else {
		prk_cas32_acqrel(&slot->tag, &tag, (tag & ~PRK_TAG_LIVE) + 2); /* L1, rel [slot.tag] */
		life = prk_swap32_acqrel(&slot->life, 0); /* L3 */
	}
	set_pending(head, NULL);
	if (life & PRK_LIFE_WAITERS)
		prk_sys_futex_wake(&slot->life, INT_MAX);
	self_free(self);
}

/* exit() runs no thread's destructors; without this each program's end would look like a death. */
__attribute__((destructor)) static void program_ends(void)
{
	prk_leave();
}
