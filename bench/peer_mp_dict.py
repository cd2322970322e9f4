# SPDX-License-Identifier: MIT
"""The dict workloads on Manager().dict.

peer_mp_dict.py OPERATION PROCESSES KEYS COUNT      (operation: 0 get, 1 set, 2 add)

Prints "ok NANOSECONDS", from the common start to the last one's end; "missing" when it
cannot be done. Adding takes the Manager's lock: without it numbers would be lost.
"""
import random
import signal
import sys
import time

LIMIT_S = 18  # less than the bench allows: no child outlives it


def work(shared, lock, start, operation, keys, share, answers):
    signal.alarm(LIMIT_S)
    value = b"v" * 64
    chosen = ["%016x" % random.randrange(keys) for _ in range(min(share, 10000))]
    start.wait()
    began = time.monotonic_ns()
    for i in range(share):
        key = chosen[i % len(chosen)]
        if operation == 0:
            shared[key]
        elif operation == 1:
            shared[key] = value
        else:
            with lock:
                shared[key] += 1
    answers.put((began, time.monotonic_ns()))


def main():
    operation, processes, keys, count = map(int, sys.argv[1:])
    signal.alarm(LIMIT_S)
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        first = 0 if operation == 2 else b"v" * 64
        shared = manager.dict({"%016x" % i: first for i in range(keys)})
        lock = manager.Lock()
        answers = context.SimpleQueue()
        start = context.Barrier(processes)
        team = [context.Process(target=work, args=(shared, lock, start, operation, keys, count // processes, answers))
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
