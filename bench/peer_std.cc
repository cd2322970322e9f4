// SPDX-License-Identifier: MIT
// std::counting_semaphore, for threads only.
#include "peer_std.h"

#include <new>
#include <semaphore>

using std_semaphore = std::counting_semaphore<>;
static_assert(sizeof(std_semaphore) <= 64, "it fits");

int semaphore_std_init(void *semaphore, unsigned int value, int shared)
{
	(void)shared;
	new (semaphore) std_semaphore(value);
	return 0;
}

int semaphore_std_pairs(void *semaphore, uint64_t count)
{
	auto *s = static_cast<std_semaphore *>(semaphore);

	for (uint64_t i = 0; i < count; i++) {
		s->acquire();
		s->release();
	}
	return 0;
}
