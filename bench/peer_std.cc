// SPDX-License-Identifier: MIT
// The C++ library's semaphore, reader-writer lock and thread, for threads only.
#include "peer_std.h"
#include "thread.h"

#include <barrier>
#include <mutex>
#include <new>
#include <semaphore>
#include <shared_mutex>
#include <system_error>
#include <thread>

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

int semaphore_std_acquire(void *semaphore)
{
	static_cast<std_semaphore *>(semaphore)->acquire();
	return 0;
}

int semaphore_std_release(void *semaphore)
{
	static_cast<std_semaphore *>(semaphore)->release();
	return 0;
}

// Counts the rounds that it ends.
struct round_counter {
	uint64_t *rounds;
	void operator()() noexcept { ++*rounds; }
};

struct counted_barrier {
	uint64_t rounds = 0;
	std::barrier<round_counter> barrier;
	explicit counted_barrier(uint32_t parties) : barrier(parties, round_counter{&rounds}) {}
};
static_assert(sizeof(counted_barrier) <= 512, "it fits");

int barrier_std_init(void *barrier, uint32_t parties)
{
	new (barrier) counted_barrier(parties);
	return 0;
}

int barrier_std_rounds(void *barrier, uint64_t count, uint64_t *ret_done)
{
	auto *b = static_cast<counted_barrier *>(barrier);
	uint64_t first = __atomic_load_n(&b->rounds, __ATOMIC_RELAXED), done = 0;

	for (; done < count; done += 16)
		for (int i = 0; i < 16; i++)
			b->barrier.arrive_and_wait();
	*ret_done = done;
	return __atomic_load_n(&b->rounds, __ATOMIC_RELAXED) - first != done;
}

static_assert(sizeof(std::once_flag) <= 64, "it fits");

int once_std_init(void *once)
{
	new (once) std::once_flag;
	return 0;
}

int once_std_calls(void *once, uint64_t count, uint64_t *ret_done)
{
	auto &flag = *static_cast<std::once_flag *>(once);
	static uint32_t times_made;
	int bad = 0;

	for (*ret_done = 0; *ret_done < count; *ret_done += 16)
		for (int i = 0; i < 16; i++) {
			std::call_once(flag, [] { times_made++; });
			bad |= times_made != 1;
		}
	return bad;
}

static_assert(sizeof(std::shared_mutex) <= 64, "it fits");

int rwlock_std_init(void *mutex)
{
	new (mutex) std::shared_mutex;
	return 0;
}

// Sixteen visits at a time, as all others are counted.
template <typename Visit>
static int visits(uint64_t count, uint32_t *stop, uint64_t *ret_done, Visit visit)
{
	uint64_t done = 0;

	for (; done < count && !__atomic_load_n(stop, __ATOMIC_RELAXED); done += 16)
		for (int i = 0; i < 16; i++)
			visit(i);
	*ret_done = done;
	return 0;
}

static inline void read(std::shared_mutex *mutex)
{
	mutex->lock_shared();
	mutex->unlock_shared();
}

static inline void write(std::shared_mutex *mutex, volatile uint64_t *counter)
{
	mutex->lock();
	*counter = *counter + 1;
	mutex->unlock();
}

int rwlock_std_read(void *object, uint64_t count, uint32_t *stop, uint64_t *ret_done)
{
	auto *mutex = static_cast<std::shared_mutex *>(object);

	return visits(count, stop, ret_done, [=](int) { read(mutex); });
}

int rwlock_std_write(void *object, uint64_t count, uint32_t *stop, uint64_t *ret_done, volatile uint64_t *counter)
{
	auto *mutex = static_cast<std::shared_mutex *>(object);

	return visits(count, stop, ret_done, [=](int) { write(mutex, counter); });
}

int rwlock_std_mixed(void *object, uint64_t count, uint32_t *stop, uint64_t *ret_done, volatile uint64_t *counter)
{
	auto *mutex = static_cast<std::shared_mutex *>(object);

	return visits(count, stop, ret_done, [=](int i) { i ? read(mutex) : write(mutex, counter); });
}

int start_std(void **ret_thread, uint64_t *counter)
{
	try {
		*ret_thread = new std::thread([counter] { ++*counter; });
	} catch (const std::system_error &) {
		return -1;
	}
	return 0;
}

int join_std(void *thread)
{
	auto *joined = static_cast<std::thread *>(thread);

	joined->join();
	delete joined;
	return 0;
}
