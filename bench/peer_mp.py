# SPDX-License-Identifier: MIT
"""The queue workloads' items through Python's multiprocessing.Queue.

peer_mp.py SIZE PRODUCERS CONSUMERS CAPACITY COUNT

Prints "ok NANOSECONDS", from the common start to the last consumer's end;
"wrong" when what was got is not what was put; "missing" when it cannot be done.
"""
import signal
import struct
import sys
import time

LINE = 64
MASK = (1 << 64) - 1
LIMIT_S = 18  # less than the bench allows: no child outlives it


def write_item(size, word):
    words = [word + i & MASK for i in range(size // LINE)]
    return struct.pack("<" + "Q56x" * len(words), *words), sum(words)


def read_item(item):
    return sum(struct.unpack("<" + "Q56x" * (len(item) // LINE), item))


def produce(queue, start, index, share, size, answers):
    signal.alarm(LIMIT_S)
    start.wait()
    began = time.monotonic_ns()
    total = 0
    for number in range(share):
        item, words = write_item(size, (index << 56 | number) * 0x9E3779B97F4A7C15 & MASK)
        queue.put(item)
        total += words
    answers.put((began, 0, share, total))


def consume(queue, start, share, answers):
    signal.alarm(LIMIT_S)
    start.wait()
    began = time.monotonic_ns()
    total = 0
    for _ in range(share):
        total += read_item(queue.get())
    answers.put((began, time.monotonic_ns(), -share, -total))


def main():
    size, producers, consumers, capacity, count = map(int, sys.argv[1:])
    signal.alarm(LIMIT_S)
    context = multiprocessing.get_context("fork")
    queue = context.Queue(capacity)
    answers = context.SimpleQueue()
    start = context.Barrier(producers + consumers)
    team = [context.Process(target=produce, args=(queue, start, i, count // producers, size, answers))
            for i in range(producers)]
    team += [context.Process(target=consume, args=(queue, start, count // consumers, answers))
             for _ in range(consumers)]
    for member in team:
        member.start()
    told = [answers.get() for _ in team]
    for member in team:
        member.join()
    began, ended, items, words = zip(*told)
    if sum(items) != 0 or sum(words) != 0:
        print("wrong")
    else:
        print("ok", max(ended) - min(began))


try:
    import multiprocessing
    import multiprocessing.synchronize  # not everywhere
except ImportError:
    print("missing")
else:
    main()
