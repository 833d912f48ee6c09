"""What a trial's samples say about the CPU: how busy the machine was, and with whom."""

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.record import MachineSample


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """Shares of the machine's CPU time between its first sample and its last, in percent."""

    busy: float
    """Of programs, interrupts left out."""
    trial: float
    """Of the trial's processes."""
    foreign: float
    """Of other programs and other virtual machines: all time that was not idle, less the trial's and the
    kernel threads'.

    Interrupts are in it where the kernel accounts them apart (IRQ_TIME_ACCOUNTING) and not where it books
    them on whom they hit, the trial most of all: leaving them out of the one side would hide as much foreign
    time as the trial's packets cost. The two sides are rounded to ticks apart, so it can come out a little
    below 0."""


def cpu_use(samples: Sequence[MachineSample]) -> CpuUse | None:
    """Over the time that the samples span; None for fewer than two."""
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    passed_s = last.cpu_all_s - first.cpu_all_s
    if passed_s <= 0:
        return None
    busy_s = last.cpu_busy_s - first.cpu_busy_s
    trial_s = last.cpu_trial_s - first.cpu_trial_s
    kernel_s = last.cpu_kernel_s - first.cpu_kernel_s
    used_s = passed_s - (last.cpu_idle_s - first.cpu_idle_s)
    return CpuUse(
        busy=100 * busy_s / passed_s,
        trial=100 * trial_s / passed_s,
        foreign=100 * (used_s - trial_s - kernel_s) / passed_s,
    )
