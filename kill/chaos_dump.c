/* SPDX-License-Identifier: MIT */
/* chaos_dump - who stands where, when nothing moves any more */
#include "chaos.h"

#include "base/life.h"
#include "data/queue.h"
#include "sync/lock.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static const char *const places[CHAOS_PLACES] = {
	[CHAOS_STARTING] = "starting",
	[CHAOS_PAUSING] = "pausing",
	[CHAOS_NUMBERING] = "numbering",
	[CHAOS_PUTTING] = "putting",
	[CHAOS_TAKING] = "taking",
	[CHAOS_GETTING] = "getting",
	[CHAOS_WORKING] = "working",
	[CHAOS_HOLDING] = "holding",
	[CHAOS_FINISHING] = "done",
	[CHAOS_LOCKING] = "in the lock",
	[CHAOS_WAITING] = "in the condition",
};

static void dump_lock(const char *name, const struct prusik_lock *lock)
{
	uint32_t word = lock->word, owner = word & PRK_ID_MASK;

	printf("  %s: %08x", name, word);
	if (owner)
		printf(", slot %u, thread %u, %s", owner & PRK_SLOT_MASK, prk_slot_of(owner)->tid,
		       prk_dead(owner) ? "dead" : "alive");
	printf("\n");
}

static void dump_queue(uint32_t number)
{
	const struct prusik_queue *q = chaos_queue[number];
	const struct prk_queue_body *b = q->body;
	struct prk_cursors c = prk_queue_cursors(b->cursors);

	printf("queue %u: frees %u gets %u puts %u, getters %u filled %u, putters %u emptied %u, "
	       "epoch seen %u, closed %u, undo %u\n",
	       number, c.frees, c.gets, (uint32_t)b->puts, b->getters, b->filled, b->putters, b->emptied, b->epoch_seen,
	       b->closed, b->undo.count);
	dump_lock("put_lock", &b->put_lock);
	dump_lock("get_lock", &b->get_lock);
	for (uint32_t p = c.frees; p != c.gets && p - c.frees <= q->mask; p++) {
		const struct prk_node *node = prk_queue_node(q, prk_queue_node_at(q, p));
		printf("  leased %lu to slot %u, %s\n", node->number, node->owner & PRK_SLOT_MASK,
		       prk_dead(node->owner) ? "dead" : "alive");
	}
}

static void dump_slots(void)
{
	printf("life: epoch %u, bell %u, top %u\n", prk_life->epoch, prk_life->bell, prk_life->top);
	for (uint32_t i = 1; i < prk_life->top; i++) {
		const struct prk_slot *slot = &prk_life->slot[i];
		if (!(slot->tag & PRK_TAG_LIVE) && (slot->life == 0 || slot->life & PRK_LIFE_DIED))
			continue;
		printf("  slot %u: life %08x tag %x pid %u tid %u %s", i, slot->life, slot->tag, slot->pid, slot->tid,
		       slot->kind == PRK_SLOT_SENTINEL ? "sentinel" : "participant");
		if (slot->guard)
			printf(", guard %u %s", slot->guard & PRK_SLOT_MASK, prk_dead(slot->guard) ? "dead" : "alive");
		printf("\n");
	}
}

static void print_file(pid_t pid, const char *thread, const char *name)
{
	char path[320], line[256] = "";

	snprintf(path, sizeof path, "/proc/%d/task/%s/%s", pid, thread, name);
	FILE *file = fopen(path, "r");
	if (!file)
		return;
	if (fgets(line, sizeof line, file))
		line[strcspn(line, "\n")] = '\0';
	fclose(file);
	printf(" %s", line);
}

static void dump_threads(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		printf("  thread %s:", entry->d_name);
		print_file(pid, entry->d_name, "comm");
		print_file(pid, entry->d_name, "wchan");
		print_file(pid, entry->d_name, "syscall");
		printf("\n");
	}
	if (dir)
		closedir(dir);
}

void chaos_dump(bool with_children)
{
	printf("phase %u, calm %u, permits %u\n", chaos->phase, chaos->calm, chaos->permits);
	dump_slots();
	for (uint32_t i = 0; i < CHAOS_QUEUES; i++)
		dump_queue(i);
	dump_lock("the account's lock", &chaos->account.lock);
	printf("  count %u, more %08x, less %08x\n", chaos->account.count, chaos->account.more.word,
	       chaos->account.less.word);
	for (uint32_t i = 0; with_children && i < CHAOS_BODIES_MAX; i++) {
		pid_t pid = chaos_body(i);
		if (pid == 0)
			continue;
		printf("body %u, pid %d\n", i, pid);
		for (uint32_t t = 0; t < CHAOS_THREADS; t++) {
			const struct chaos_seat *seat = &chaos->seat[i][t];
			if (seat->tid)
				printf("  seat %u: thread %u, step %lu, %s\n", t, seat->tid, seat->steps,
				       places[seat->place % CHAOS_PLACES]);
		}
		dump_threads(pid);
	}
	fflush(stdout);
}
