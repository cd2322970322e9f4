# SPDX-License-Identifier: MIT
"""The list workloads on Manager().list.

peer_mp_list.py OPERATION PROCESSES ITEMS COUNT      (operation: 0 get, 1 append and pop, 3 sort)

Prints "ok NANOSECONDS", from the common start to the last one's end; "missing" when it
cannot be done.
"""
import operator
import os
import random
import signal
import sys
import time

KEYS = [operator.itemgetter(slice(0, 8)), operator.itemgetter(slice(8, 16))]
LIMIT_S = 18  # less than the bench allows: no child outlives it


def work(shared, start, operation, items, share, answers):
    signal.alarm(LIMIT_S)
    item = b"v" * 64
    chosen = [random.randrange(items) for _ in range(min(share, 10000))]
    start.wait()
    began = time.monotonic_ns()
    for i in range(share):
        if operation == 0:
            shared[chosen[i % len(chosen)]]
        elif operation == 3:
            shared.sort(key=KEYS[i % 2])
        else:
            shared.append(item)
            shared.pop(0)
    answers.put((began, time.monotonic_ns()))


def main():
    operation, processes, items, count = map(int, sys.argv[1:])
    signal.alarm(LIMIT_S)
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        shared = manager.list([os.urandom(64) for _ in range(items)])
        answers = context.SimpleQueue()
        start = context.Barrier(processes)
        team = [context.Process(target=work, args=(shared, start, operation, items, count // processes, answers))
                for _ in range(processes)]
        for member in team:
            member.start()
        times = [answers.get() for _ in team]
        for member in team:
            member.join()
    print("ok", max(end for _, end in times) - min(began for began, _ in times))


try:
    import multiprocessing
except ImportError:
    print("missing")
else:
    if __name__ == "__main__":
        main()
