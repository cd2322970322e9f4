// SPDX-License-Identifier: MIT
// Boost.Interprocess's message_queue in the queue workloads. It has no batches.
#include "queue.h"

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cerrno>
#include <string>
#include <unistd.h>

namespace ipc = boost::interprocess;

namespace {

ipc::message_queue *queue_of(const queue_end *end)
{
	return static_cast<ipc::message_queue *>(end->line);
}

// Its name is gone as soon as it is open: the children have the parent's mapping.
int open_boost(const queue_shape *shape, void **ret_line)
{
	const std::string name = "prusik-bench-" + std::to_string(getpid());

	try {
		ipc::message_queue::remove(name.c_str());
		*ret_line = new ipc::message_queue(ipc::create_only, name.c_str(), shape->capacity, shape->size);
		ipc::message_queue::remove(name.c_str());
	} catch (const std::exception &) {
		return -ENOMEM;
	}
	return 0;
}

void close_boost(void *line)
{
	delete static_cast<ipc::message_queue *>(line);
}

int put_boost(queue_end *end, uint32_t n)
{
	try {
		for (uint32_t i = 0; i < n; i++)
			queue_of(end)->send(end->items[i].iov_base, end->items[i].iov_len, 0);
	} catch (const std::exception &) {
		return -EIO;
	}
	return 0;
}

int get_boost(queue_end *end, uint32_t)
{
	ipc::message_queue::size_type length;
	unsigned priority;

	try {
		queue_of(end)->receive(end->items[0].iov_base, end->items[0].iov_len, length, priority);
	} catch (const std::exception &) {
		return -EIO;
	}
	end->items[0].iov_len = length;
	return 1;
}

} // namespace

extern "C" const queue_peer queue_boost = {
	nullptr, open_boost, close_boost, nullptr, nullptr, put_boost, get_boost, nullptr, 0,
};
