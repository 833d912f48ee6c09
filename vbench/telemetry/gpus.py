"""The GPUs of this machine as NVIDIA's management library (NVML) sees them."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pynvml

from vbench.record import GpuSample


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
    """Looks at all GPUs of this machine; at none where there is no driver that works."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = handles

    def gpus(self) -> list[Gpu]:
        """What they are, by index."""
        return [
            Gpu(
                name=_told(pynvml.nvmlDeviceGetName, handle) or "a GPU without a name",
                memory_mb=_memory_mb(handle, "total"),
                driver=_told(pynvml.nvmlSystemGetDriverVersion),
            )
            for handle in self._handles
        ]

    def look(self) -> list[GpuSample]:
        """How they are now, by index."""
        return [_sample(index, handle) for index, handle in enumerate(self._handles)]


def _sample(index: int, handle: Any) -> GpuSample:
    use = _told(pynvml.nvmlDeviceGetUtilizationRates, handle)
    millijoules = _told(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    return GpuSample(
        gpu=index,
        busy_percent=None if use is None else use.gpu,
        memory_used_mb=_memory_mb(handle, "used"),
        energy_j=None if millijoules is None else millijoules / 1000,
        sm_mhz=_told(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
    )


def _memory_mb(handle: Any, which: str) -> float | None:
    memory = _told(pynvml.nvmlDeviceGetMemoryInfo, handle)
    return None if memory is None else getattr(memory, which) / 1e6


def _told(question: Callable[..., Any], *of: Any) -> Any:
    """None where this GPU does not tell: one cut into instances has no use of its own, an old one counts no
    energy, and one that has fallen off the bus tells nothing. That is no reason to lose a trial."""
    try:
        return question(*of)
    except pynvml.NVMLError:
        return None


@contextmanager
def watching() -> Iterator[GpuWatch]:
    """The library is open while the block runs; a machine without it, or whose driver does not work, has no
    GPUs to look at."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield GpuWatch(())
        return
    try:
        count = _told(pynvml.nvmlDeviceGetCount) or 0
        handles = [_told(pynvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
        yield GpuWatch(tuple(handle for handle in handles if handle is not None))
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def gpus() -> list[Gpu]:
    """The GPUs of this machine."""
    with watching() as watch:
        return watch.gpus()
