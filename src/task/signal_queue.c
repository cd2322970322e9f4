/* SPDX-License-Identifier: MIT */
/*
 * signal: the list of what has arrived
 *
 * Handlers fill it, in any thread, at any moment, several at once; they cannot wait for
 * a lock that the very thread may hold. So what they share is three words, each changed by
 * one CAS.
 *
 * WORD     newest, spare: bits 31..0 the number of the first node, 0 none; bits 63..32 raised by
 *          each change. unused: the number of the first node that never was in use.
 *          chunks: how many chunks of nodes there are. count: nodes in use, or nearly.
 * WRITES   all by CAS or addition, by handlers and by who holds the lock; but "newest" is
 *          emptied by the latter only. A node: who took it from spare or unused, until it is
 *          in newest; then who holds the lock, until it is in spare.
 * ALWAYS   N1 a node is in newest, in oldest..last, in spare, above unused, or in
 *          one handler's or lock holder's hands
 *          N2 nodes are never unmapped: who looks at a number that is no longer first
 *          reads a stale next, and his CAS fails
 * MAY LIE  count, by as many as are in somebody's hands
 * KILLED   all that could see it are killed too. fork: what was in the hands of other
 *          threads is not there; the child begins with nothing in use.
 *
 * newest is a stack, since a handler can add to one with a single CAS; who takes moves all
 * of it, turned round, to the end of the row oldest..last.
 */
#include "task/signal.h"

#include "base/sys.h"

#include <stddef.h>
#include <sys/mman.h>

#define CHUNK 4096u
#define CHUNKS_MAX 1024u
/* So many that have not been handled are enough; then those who bring more are slowed down. */
#define ENOUGH 65536u
#define NAP INT64_C(1000000)

struct node {
	struct prusik_signal_info info;
	uint32_t next;
	uint32_t half;
};

uint32_t prk_signal_bell;
uint32_t prk_signal_open[2], prk_signal_half;

static uint64_t newest, spare;
static uint32_t unused, chunks, count;
static struct node *chunk[CHUNKS_MAX];
static uint32_t oldest, last; /* under the lock */

static struct node *node_of(uint32_t number)
{
	struct node **place = &chunk[(number - 1) / CHUNK];

	/* acq [signal.chunk] */
	return (struct node *)prk_load_ptr_acq((void *const *)place) + (number - 1) % CHUNK;
}

/* ---- stacks ---- */

static uint64_t changed(uint64_t head, uint32_t first)
{
	return ((head >> 32) + 1) << 32 | first;
}

static void push(uint64_t *stack, uint32_t number)
{
	uint64_t head = prk_load64_rlx(stack);

	do
		prk_store32_rlx(&node_of(number)->next, (uint32_t)head);
	while (!prk_cas64_rel(stack, &head, changed(head, number))); /* rel [signal.stack] */
}

static uint32_t pop(uint64_t *stack)
{
	uint64_t head = prk_load64_acq(stack); /* acq [signal.stack] */
	uint32_t first, next;

	do {
		first = (uint32_t)head;
		if (first == 0)
			return 0;
		next = prk_load32_rlx(&node_of(first)->next);
	} while (!prk_cas64_acqrel(stack, &head, changed(head, next))); /* acqrel [signal.stack] */
	return first;
}

/* All of it; the first one's number. */
static uint32_t pop_all(uint64_t *stack)
{
	uint64_t head = prk_load64_acq(stack); /* acq [signal.stack] */

	while ((uint32_t)head != 0 && !prk_cas64_acqrel(stack, &head, changed(head, 0)))
		;
	return (uint32_t)head;
}

/* ---- nodes ---- */

/* Make another chunk, or find that somebody else has. False: no memory, or no room for more. */
static bool grow(uint32_t seen)
{
	void *memory, *none = NULL;

	if (seen == CHUNKS_MAX || prk_sys_mmap(&memory, CHUNK * sizeof(struct node), PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) < 0)
		return false;
	/* rel [signal.chunk]: the memory is zeroed */
	if (!prk_cas_ptr_acqrel((void **)&chunk[seen], &none, memory))
		prk_sys_munmap(memory, CHUNK * sizeof(struct node));
	prk_cas32_acqrel(&chunks, &seen, seen + 1);
	return true;
}

/* 0: there is none, and no memory. */
static uint32_t new_node(void)
{
	uint32_t number = pop(&spare);

	while (number == 0) {
		uint32_t made = prk_load32_acq(&chunks); /* acq [signal.chunk] */
		uint32_t next = prk_load32_rlx(&unused);
		if (next >= made * CHUNK && !grow(made))
			return pop(&spare);
		if (next < made * CHUNK && prk_cas32_acqrel(&unused, &next, next + 1))
			number = next + 1;
	}
	return number;
}

static void nap(void)
{
	uint32_t never_woken = 0;

	prk_sys_futex_wait(&never_woken, 0, prusik_in_ns(NAP));
}

void prk_signal_arrive(const struct prusik_signal_info *info)
{
	uint32_t number;

	if (prk_add32_rlx(&count, 1) >= ENOUGH)
		nap();
	while ((number = new_node()) == 0)
		nap(); /* until others have been handled */
	node_of(number)->info = *info;
	push(&newest, number);
	prk_bell_ring(&prk_signal_bell);
}

/* ---- taking ---- */

/* Put a node before those that have been turned round, which are younger. */
static uint32_t turn(uint32_t first)
{
	uint32_t turned = 0;

	while (first) {
		struct node *node = node_of(first);
		uint32_t next = prk_load32_rlx(&node->next);
		prk_store32_rlx(&node->next, turned);
		node->half = prk_signal_half;
		prk_signal_open[prk_signal_half]++;
		turned = first;
		first = next;
	}
	return turned;
}

void prk_signal_collect_locked(void)
{
	uint32_t end = pop_all(&newest);

	if (end == 0)
		return;
	uint32_t begin = turn(end);
	if (oldest)
		prk_store32_rlx(&node_of(last)->next, begin);
	else
		oldest = begin;
	last = end;
}

bool prk_signal_take_locked(struct prk_signal_taken *ret_taken)
{
	if (!oldest)
		prk_signal_collect_locked();
	if (!oldest)
		return false;
	uint32_t number = oldest;
	struct node *node = node_of(number);
	oldest = prk_load32_rlx(&node->next);
	*ret_taken = (struct prk_signal_taken){ node->info, node->half };
	push(&spare, number);
	prk_add32_rlx(&count, (uint32_t)-1);
	return true;
}

/* One thread, and signals are blocked. Who was interrupted by the fork must find his CAS fail. */
void prk_signal_queue_forget(void)
{
	newest = changed(newest, 0);
	spare = changed(spare, 0);
	unused = count = 0;
	oldest = last = 0;
	prk_signal_open[0] = prk_signal_open[1] = 0;
}
