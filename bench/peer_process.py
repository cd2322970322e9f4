# SPDX-License-Identifier: MIT
"""Starting and joining processes with Python's multiprocessing.

peer_process.py METHOD COUNT

Prints "ok NANOSECONDS", for all of them, after the first, which starts helpers.
"""
import multiprocessing
import sys
import time


def nothing():
    pass


def once(context):
    process = context.Process(target=nothing)
    process.start()
    process.join()
    return process.exitcode


def main():
    context = multiprocessing.get_context(sys.argv[1])
    once(context)
    began = time.monotonic_ns()
    codes = [once(context) for _ in range(int(sys.argv[2]))]
    if not any(codes):
        print("ok", time.monotonic_ns() - began)


if __name__ == "__main__":
    main()
