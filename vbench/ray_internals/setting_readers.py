"""Which of Ray's processes read which setting, by the start of its name.

A setting that is not in the table may be read anywhere, and is looked for in every process.
"""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """A kind of process that reads settings."""

    RAYLET = "raylet"
    GCS = "GCS server"
    CONTROLLER = "Serve controller"
    PROXY = "Serve proxy"
    REPLICA = "replica"
    WORKER = "worker"
    """An actor or task beside Serve's."""
    DRIVER = "driver"
    """The process that deploys the application and sends the load."""


SERVE = (Role.CONTROLLER, Role.PROXY, Role.REPLICA, Role.DRIVER)
CORE_WORKERS = (Role.CONTROLLER, Role.PROXY, Role.REPLICA, Role.WORKER, Role.DRIVER)
"""Processes that call Ray's core worker."""

READERS: Mapping[str, tuple[Role, ...]] = {
    "RAY_object_manager_": (Role.RAYLET,),
    "RAY_experimental_object_manager_": (Role.RAYLET,),
    "RAY_object_spilling_": (Role.RAYLET,),
    "RAY_object_store_full_": (Role.RAYLET, *CORE_WORKERS),
    "RAY_min_spilling_size": (Role.RAYLET,),
    "RAY_max_spilling_file_size_bytes": (Role.RAYLET,),
    "RAY_max_io_workers": (Role.RAYLET,),
    "RAY_local_fs_": (Role.RAYLET,),
    "RAY_scheduler_": (Role.RAYLET, Role.GCS),
    "RAY_worker_": (Role.RAYLET,),
    "RAY_max_direct_call_object_size": CORE_WORKERS,
    "RAY_task_rpc_inlined_bytes_limit": CORE_WORKERS,
    "RAY_SERVE_HAPROXY_": (Role.CONTROLLER, Role.PROXY),
    "RAY_SERVE_": SERVE,
}
"""Start of a name -> its readers; the longest start that fits counts."""


def readers(name: str) -> tuple[Role, ...]:
    """The processes in which this setting must be found."""
    starts = [start for start in READERS if name.startswith(start)]
    return READERS[max(starts, key=len)] if starts else tuple(Role)
