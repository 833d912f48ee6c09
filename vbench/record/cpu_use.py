"""CPU utilisation by a trial's samples: of the machine, of the trial, and of other programs."""

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.record.samples import MachineSample


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """Shares of the machines' CPU time between their first samples and their last, in percent."""

    busy: float
    """Of programs, without interrupts."""
    trial: float
    """Of the trial's processes."""
    foreign: float
    """Of other programs and other virtual machines: all time that was not idle, less the trial's and the
    kernel threads'.

    Interrupts are in it where the kernel accounts them apart (IRQ_TIME_ACCOUNTING) and not where it books
    them on whom they hit, the trial most of all: leaving them out of the one side would hide as much foreign
    time as the trial's packets cost. The two sides are rounded to ticks apart, so it can come out a little
    below 0."""
    stolen: float
    """Of other virtual machines, a part of ``foreign``."""


def by_machine(samples: Sequence[MachineSample]) -> dict[str, list[MachineSample]]:
    """The samples of each machine, in their order."""
    of_machine: dict[str, list[MachineSample]] = {}
    for sample in samples:
        of_machine.setdefault(sample.machine, []).append(sample)
    return of_machine


def cpu_use(samples: Sequence[MachineSample]) -> CpuUse | None:
    """Of all machines together, over the time that their samples span; None if one has fewer than two."""
    passed_s = busy_s = trial_s = kernel_s = used_s = stolen_s = 0.0
    for own in by_machine(samples).values():
        first, last = own[0], own[-1]
        its_s = last.cpu_all_s - first.cpu_all_s
        if its_s <= 0:
            return None
        passed_s += its_s
        busy_s += last.cpu_busy_s - first.cpu_busy_s
        trial_s += last.cpu_trial_s - first.cpu_trial_s
        kernel_s += last.cpu_kernel_s - first.cpu_kernel_s
        stolen_s += last.cpu_stolen_s - first.cpu_stolen_s
        used_s += its_s - (last.cpu_idle_s - first.cpu_idle_s)
    if passed_s <= 0:
        return None
    return CpuUse(
        busy=100 * busy_s / passed_s,
        trial=100 * trial_s / passed_s,
        foreign=100 * (used_s - trial_s - kernel_s) / passed_s,
        stolen=100 * stolen_s / passed_s,
    )
