"""Measures the speed of this machine's CPUs by a fixed piece of work, about one second in all."""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from vbench.config.sizing import machine_cpus
from vbench.record.harness import Speed
from vbench.record.speed_change import differs

WORK = Path(__file__).with_name("speed_work.py")

MEASURE_S = 0.5
"""Of one process, and again of all together."""

PROCESS_TIMEOUT_S = 60.0

TRIES = 3


def measure() -> Speed:
    """The speed of one process, and of one for each usable core at a time; about 1.2 s."""
    processes = machine_cpus()
    return Speed(
        single_per_s=sum(_units_per_s(1)), all_per_s=sum(_units_per_s(processes)), processes=processes
    )


def measure_again(before: Speed, percent: float) -> Speed:
    """The speed once more, and again, up to ``TRIES`` times, while it differs by more than ``percent`` from
    ``before``: a program that ran for a second is not what slowed a trial. The best of each figure counts."""
    measured = measure()
    for tries in range(2, TRIES + 1):
        if not differs(before, measured, percent):
            break
        more = measure()
        measured = replace(
            measured,
            single_per_s=max(measured.single_per_s, more.single_per_s),
            all_per_s=max(measured.all_per_s, more.all_per_s),
            tries=tries,
        )
    return measured


def _units_per_s(processes: int) -> list[float]:
    command = [sys.executable, "-I", "-S", str(WORK), str(MEASURE_S)]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(processes)
        ]
        for process in running:
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [float(process.communicate(timeout=PROCESS_TIMEOUT_S)[0]) for process in running]
