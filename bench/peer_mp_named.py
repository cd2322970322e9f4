# SPDX-License-Identifier: MIT
"""The named workload on multiprocessing.shared_memory.

peer_mp_named.py COUNT

Prints "ok NANOSECONDS" for so many times of opening one by name and closing it;
"missing" when it cannot be done.
"""
import signal
import sys
import time

LIMIT_S = 18  # less than the bench allows


def main():
    count = int(sys.argv[1])
    signal.alarm(LIMIT_S)
    made = SharedMemory(create=True, size=65536)
    try:
        began = time.monotonic_ns()
        for _ in range(count):
            SharedMemory(made.name).close()
        print("ok", time.monotonic_ns() - began)
    finally:
        made.close()
        made.unlink()


try:
    from multiprocessing.shared_memory import SharedMemory
except ImportError:
    print("missing")
else:
    if __name__ == "__main__":
        main()
