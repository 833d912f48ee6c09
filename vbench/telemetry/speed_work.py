"""A fixed piece of CPU work, repeated for a fixed time: ``python -I -S speed_work.py SECONDS``.

Hashing (the core's arithmetic), a loop of the interpreter (branches), and a copy larger than most caches
(memory). Prints the units of work per second of its best part: what else runs for a moment does not count;
what slows the CPU for good (a lower clock, a quota, fewer CPUs) does. Imports the standard library alone.
"""

import hashlib
import sys
import time

HASHED = bytes(1 << 16)
COPIED = bytearray(1 << 22)
LOOP = range(2000)

PARTS = 5
"""A part lasts 100 ms at 0.5 s: a whole period of a control group's quota."""


def unit() -> int:
    """One unit of work, about 1 ms."""
    total = 0
    for number in LOOP:
        total = (total * 31 + number) & 0xFFFFFFFF
    digest = hashlib.blake2b(HASHED).digest()
    copy = bytes(COPIED)
    return total + digest[0] + copy[0]


def units_per_s(seconds: float) -> float:
    """Of the best of ``PARTS`` parts of the time."""
    best = 0.0
    for _ in range(PARTS):
        began_s = now_s = time.perf_counter()
        done = 0
        while now_s - began_s < seconds / PARTS:
            unit()
            done += 1
            now_s = time.perf_counter()
        best = max(best, done / (now_s - began_s))
    return best


if __name__ == "__main__":
    # All processes that measure together are up before any begins.
    print(flush=True)
    sys.stdin.readline()
    print(units_per_s(float(sys.argv[1])))
