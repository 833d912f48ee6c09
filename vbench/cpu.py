"""What a trial's samples say about the CPU: how busy the machine was, and with whom."""

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.record import MachineSample


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """Shares of the machine's CPU time between its first sample and its last, in percent."""

    busy: float
    """Of programs."""
    trial: float
    """Of the trial's processes."""
    foreign: float
    """Of other programs and other virtual machines: busy and stolen time, less the trial's and the kernel
    threads'. The two sides are counted by different clocks of the kernel, so it can come out a little
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
    stolen_s = last.cpu_stolen_s - first.cpu_stolen_s
    return CpuUse(
        busy=100 * busy_s / passed_s,
        trial=100 * trial_s / passed_s,
        foreign=100 * (busy_s + stolen_s - trial_s - kernel_s) / passed_s,
    )
