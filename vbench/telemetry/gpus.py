"""Samples of this machine's GPUs by NVIDIA's management library (NVML)."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pynvml

from vbench.linux import procfs
from vbench.record.samples import GpuSample

MOST_PERCENT = 100
"""Larger values are not a share: NVML gives a process that it has not sampled yet any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What does not change about a GPU."""

    name: str
    memory_mb: float | None
    driver: str | None

    def __str__(self) -> str:
        memory = "memory unknown" if self.memory_mb is None else f"{self.memory_mb:.0f} MB"
        return f"{self.name}, {memory}, driver {self.driver or 'unknown'}"


class GpuWatch:
    """Samples all GPUs of this machine; none if there is no working driver."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = handles
        self._seen_us: dict[int, int] = {}
        """GPU -> time of the last sample of processes' use that was read, in NVML's microseconds."""

    def gpus(self) -> list[Gpu]:
        """What they are, by index."""
        return [
            Gpu(
                name=_or_none(pynvml.nvmlDeviceGetName, handle) or "a GPU without a name",
                memory_mb=_memory_mb(handle, "total"),
                driver=_or_none(pynvml.nvmlSystemGetDriverVersion),
            )
            for handle in self._handles
        ]

    def sample(self, ours: Collection[int] = ()) -> list[GpuSample]:
        """One sample per GPU, by index; ``ours``: process ids of the trial, all others being foreign."""
        return [self._sample(index, handle, ours) for index, handle in enumerate(self._handles)]

    def _sample(self, index: int, handle: Any, ours: Collection[int]) -> GpuSample:
        foreign_percent, foreign = self._foreign(index, handle, ours)
        return replace(_sample(index, handle), foreign_percent=foreign_percent, foreign_processes=foreign)

    def _foreign(
        self, index: int, handle: Any, ours: Collection[int]
    ) -> tuple[float | None, tuple[str, ...]]:
        """Percent of the time since the sample before, and the processes.

        NVML names processes by the machine's own ids: from within a PID namespace nobody can say whose they
        are. It keeps samples of the last second or so of each process's use, each with its time.
        """
        if not _sees_the_machines_processes():
            return None, ()
        there = _or_none(pynvml.nvmlDeviceGetComputeRunningProcesses, handle)
        others = {process.pid for process in there or () if process.pid not in ours}
        since = self._seen_us.get(index, 0)
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(handle, since)
        except pynvml.NVMLError as error:
            # Nobody has used it since. Any other error: this GPU does not report it.
            none = error.value in (pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_SUCCESS)
            return (0.0 if none else None), _named(others)
        self._seen_us[index] = max([since, *(sample.timeStamp for sample in samples)])
        by_process: dict[int, list[int]] = {}
        for sample in samples:
            if sample.pid not in ours and sample.timeStamp > since and sample.smUtil <= MOST_PERCENT:
                by_process.setdefault(sample.pid, []).append(sample.smUtil)
        percent = sum(sum(percents) / len(percents) for percents in by_process.values())
        return percent, _named(others | {pid for pid, percents in by_process.items() if any(percents)})


def _sees_the_machines_processes() -> bool:
    """Whether this process is in the machine's own PID namespace, in which kernel threads are seen."""
    line = procfs.stat(2)
    return line is not None and line.name == "kthreadd"


def _named(pids: Collection[int]) -> tuple[str, ...]:
    lines = {pid: procfs.stat(pid) for pid in sorted(pids)}
    return tuple(f"{line.name if line else 'a process that ended'} ({pid})" for pid, line in lines.items())


def _sample(index: int, handle: Any) -> GpuSample:
    use = _or_none(pynvml.nvmlDeviceGetUtilizationRates, handle)
    millijoules = _or_none(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    return GpuSample(
        gpu=index,
        busy_percent=None if use is None else use.gpu,
        memory_used_mb=_memory_mb(handle, "used"),
        energy_j=None if millijoules is None else millijoules / 1000,
        sm_mhz=_or_none(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
    )


def _memory_mb(handle: Any, which: str) -> float | None:
    memory = _or_none(pynvml.nvmlDeviceGetMemoryInfo, handle)
    return None if memory is None else getattr(memory, which) / 1e6


def _or_none(question: Callable[..., Any], *of: Any) -> Any:
    """The result of an NVML call; None if this GPU does not support it.

    One cut into instances has no utilisation of its own, an old one counts no energy, and one that has fallen
    off the bus reports nothing. That is no reason to lose a trial.
    """
    try:
        return question(*of)
    except pynvml.NVMLError:
        return None


@contextmanager
def watching() -> Iterator[GpuWatch]:
    """Keep the library open while the block runs. A machine without it, or without a working driver, has no
    GPUs to sample."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield GpuWatch(())
        return
    try:
        count = _or_none(pynvml.nvmlDeviceGetCount) or 0
        handles = [_or_none(pynvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
        yield GpuWatch(tuple(handle for handle in handles if handle is not None))
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def gpus() -> list[Gpu]:
    """The GPUs of this machine."""
    with watching() as watch:
        return watch.gpus()
