/* SPDX-License-Identifier: MIT */
#include "shm/undo.h"

static bool inside(const char *word, uint64_t size, const char *low, const char *high)
{
	return word >= low && word <= high && (uint64_t)(high - word) >= size && (uintptr_t)word % size == 0;
}

void prk_undo_damage(struct prk_undo *log)
{
	prk_store32_rlx(&log->damaged, 1);
	prk_barrier();
}

/* 0, or how many entries remain when one that cannot be obeyed was met. */
static uint32_t take_back(struct prk_undo *log, const char *low, const char *high)
{
	uint32_t n = prk_load32_rlx(&log->count);

	for (; n > 0 && n <= PRK_UNDO_MAX; n--) {
		int64_t distance = log->entry[n - 1].distance;
		int64_t narrow = distance & 1;
		/* As a number: a hostile distance must not be pointer arithmetic. */
		char *word = (char *)((uintptr_t)log + (uintptr_t)(distance - narrow));
		if (!inside(word, narrow ? 4 : 8, low, high))
			break;
		if (narrow)
			prk_store32_rlx((uint32_t *)(void *)word, (uint32_t)log->entry[n - 1].old); /* R1 */
		else
			prk_store64_rlx((uint64_t *)(void *)word, log->entry[n - 1].old); /* R1 */
		prk_barrier();
		prk_store32_rlx(&log->count, n - 1); /* R2 */
		prk_barrier();
	}
	return n;
}

bool prk_undo_rollback(struct prk_undo *log, void *low, void *high)
{
	if (prk_load32_rlx(&log->damaged) || take_back(log, low, high) > 0)
		prk_undo_damage(log); /* before count: killed between, it is damaged all the same */
	prk_undo_commit(log);
	return prk_load32_rlx(&log->damaged) == 0;
}
