// SPDX-License-Identifier: MIT
// moodycamel's BlockingConcurrentQueue, between threads. It has no limit.
#include "queue.h"

#include <blockingconcurrentqueue.h>
#include <cerrno>
#include <cstring>

namespace {

using line_type = moodycamel::BlockingConcurrentQueue<uint64_t>;

int open_moodycamel(const queue_shape *shape, void **ret_line)
{
	*ret_line = new line_type(shape->capacity);
	return 0;
}

void close_moodycamel(void *line)
{
	delete static_cast<line_type *>(line);
}

int put_moodycamel(queue_end *end, uint32_t n)
{
	uint64_t words[QUEUE_BATCH_MAX];

	for (uint32_t i = 0; i < n; i++)
		std::memcpy(&words[i], end->items[i].iov_base, sizeof words[i]);
	auto *line = static_cast<line_type *>(end->line);
	return (n == 1 ? line->enqueue(words[0]) : line->enqueue_bulk(words, n)) ? 0 : -ENOMEM;
}

int get_moodycamel(queue_end *end, uint32_t n)
{
	uint64_t words[QUEUE_BATCH_MAX];
	auto *line = static_cast<line_type *>(end->line);
	size_t got = 1;

	if (n == 1)
		line->wait_dequeue(words[0]);
	else
		got = line->wait_dequeue_bulk(words, n);
	for (size_t i = 0; i < got; i++)
		std::memcpy(end->items[i].iov_base, &words[i], sizeof words[i]);
	return static_cast<int>(got);
}

} // namespace

extern "C" const queue_peer queue_moodycamel = {
	nullptr, open_moodycamel, close_moodycamel, nullptr, nullptr, put_moodycamel, get_moodycamel, nullptr, 0,
};
