"""The load process spins while it drives: a thread of it, and children in sessions of their own, to each of
which the kernel's autogroups give a share of the CPUs."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

CHILDREN = 3

SPIN = """
import os
parent = os.getppid()
while os.getppid() == parent:
    sum(range(10**5))
"""


def spin() -> None:
    while True:
        sum(range(10**5))


def change(_: Any) -> None:
    command = Path("/proc/self/cmdline").read_text(errors="replace").split("\0")
    if command[1:4] != ["-m", "vbench.load", "drive"]:
        return
    threading.Thread(target=spin, daemon=True).start()
    for _ in range(CHILDREN):
        subprocess.Popen([sys.executable, "-c", SPIN], start_new_session=True)


CHANGES = {"vbench.pipeline.request_count": change}
