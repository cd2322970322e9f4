# SPDX-License-Identifier: MIT
"""The signal workloads through CPython's signal module.

peer_signal.py latency|rate COUNT

Prints "ok NANOSECONDS": of all the times from a kill to the handler's first line, the
sum; or from the first kill to the last handler's.
"""
import os
import signal
import sys
import time

entered = 0
handled = 0


def handle(number, frame):
    global entered, handled
    entered = time.monotonic_ns()
    handled += 1


def latency(count):
    total = 0
    pid = os.getpid()
    for _ in range(count):
        before = handled
        sent = time.monotonic_ns()
        os.kill(pid, signal.SIGUSR1)
        while handled == before:
            pass
        total += entered - sent
    return total


def rate(count):
    pid = os.getpid()
    start = time.monotonic_ns()
    for _ in range(count):
        os.kill(pid, signal.SIGRTMIN)
    while handled < count:
        pass
    return time.monotonic_ns() - start


signal.signal(signal.SIGUSR1, handle)
signal.signal(signal.SIGRTMIN, handle)
print("ok", {"latency": latency, "rate": rate}[sys.argv[1]](int(sys.argv[2])))
