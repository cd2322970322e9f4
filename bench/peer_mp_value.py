# SPDX-License-Identifier: MIT
"""The value workloads on multiprocessing.Value and Array, each with its lock.

peer_mp_value.py OPERATION PROCESSES COUNT
(operation: 0 get, 1 set, 2 add, 3 get of an item, 4 add to an item)

Prints "ok NANOSECONDS", from the common start to the last one's end; "wrong" when the
sum is; "missing" when it cannot be done.
"""
import signal
import time

LIMIT_S = 18  # less than the bench allows: no child outlives it


def work(value, array, start, operation, count, answers):
    signal.alarm(LIMIT_S)
    start.wait()
    began = time.monotonic_ns()
    if operation == 0:
        for _ in range(count):
            value.value
    elif operation == 1:
        for i in range(count):
            value.value = i
    elif operation == 2:
        for _ in range(count):
            with value.get_lock():
                value.value += 1
    elif operation == 3:
        for i in range(count):
            array[i & 15]
    else:
        for i in range(count):
            with array.get_lock():
                array[i & 15] += 1
    answers.put((began, time.monotonic_ns()))


def main():
    operation, processes, count = map(int, sys.argv[1:])
    signal.alarm(LIMIT_S)
    context = multiprocessing.get_context("fork")
    value, array = context.Value("q", 0), context.Array("q", 16)
    answers = context.SimpleQueue()
    start = context.Barrier(processes)
    team = [context.Process(target=work, args=(value, array, start, operation, count, answers))
            for _ in range(processes)]
    for member in team:
        member.start()
    times = [answers.get() for _ in team]
    for member in team:
        member.join()
    total = value.value if operation == 2 else sum(array) if operation == 4 else None
    if total not in (None, processes * count):
        print("wrong")
        return
    print("ok", max(end for _, end in times) - min(began for began, _ in times))


try:
    import multiprocessing
    import sys
except ImportError:
    print("missing")
else:
    if __name__ == "__main__":
        main()
