// SPDX-License-Identifier: MIT
// oneTBB's concurrent_bounded_queue, between threads. It has no batches.
#include "queue.h"

#include <cstring>
#include <oneapi/tbb/concurrent_queue.h>

namespace {

using line_type = oneapi::tbb::concurrent_bounded_queue<uint64_t>;

int open_tbb(const queue_shape *shape, void **ret_line)
{
	auto *line = new line_type;

	line->set_capacity(shape->capacity);
	*ret_line = line;
	return 0;
}

void close_tbb(void *line)
{
	delete static_cast<line_type *>(line);
}

int put_tbb(queue_end *end, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t word;
		std::memcpy(&word, end->items[i].iov_base, sizeof word);
		static_cast<line_type *>(end->line)->push(word);
	}
	return 0;
}

int get_tbb(queue_end *end, uint32_t)
{
	uint64_t word;

	static_cast<line_type *>(end->line)->pop(word);
	std::memcpy(end->items[0].iov_base, &word, sizeof word);
	return 1;
}

} // namespace

extern "C" const queue_peer queue_tbb = {
	nullptr, open_tbb, close_tbb, nullptr, nullptr, put_tbb, get_tbb, nullptr, 0,
};
