"""The GPUs of this machine as NVIDIA's management library (NVML) sees them."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pynvml

from vbench.record import GpuSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What does not change about a GPU."""

    index: int
    name: str
    memory_mb: int
    driver: str

    def __str__(self) -> str:
        return f"{self.name}, {self.memory_mb} MB, driver {self.driver}"


class GpuWatch:
    """Looks at all GPUs of this machine; at none where there is no driver."""

    def __init__(self, handles: list[Any]) -> None:
        self._handles = handles

    def gpus(self) -> list[Gpu]:
        """What they are, by index."""
        return [
            Gpu(
                index=index,
                name=pynvml.nvmlDeviceGetName(handle),
                memory_mb=pynvml.nvmlDeviceGetMemoryInfo(handle).total // 10**6,
                driver=pynvml.nvmlSystemGetDriverVersion(),
            )
            for index, handle in enumerate(self._handles)
        ]

    def look(self) -> list[GpuSample]:
        """How they are now, by index."""
        return [self._sample(index, handle) for index, handle in enumerate(self._handles)]

    def _sample(self, index: int, handle: Any) -> GpuSample:
        use = pynvml.nvmlDeviceGetUtilizationRates(handle)
        return GpuSample(
            gpu=index,
            busy_percent=use.gpu,
            memory_used_mb=pynvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6,
            energy_j=_energy_j(handle),
            sm_mhz=pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        )


def _energy_j(handle: Any) -> float | None:
    """Joules since the driver was loaded; None for GPUs before Volta, which do not count them."""
    try:
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except pynvml.NVMLError_NotSupported:
        return None


@contextmanager
def watching() -> Iterator[GpuWatch]:
    """The library is open while the block runs; a machine without it, or without its driver, has no GPUs."""
    try:
        pynvml.nvmlInit()
    except (
        pynvml.NVMLError_LibraryNotFound,
        pynvml.NVMLError_DriverNotLoaded,
        pynvml.NVMLError_NoPermission,
    ):
        yield GpuWatch([])
        return
    try:
        yield GpuWatch(
            [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        )
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def gpus() -> list[Gpu]:
    """The GPUs of this machine."""
    with watching() as watch:
        return watch.gpus()
