"""Emulated clusters in tests: small settings, whose processes are whose, and what the machine has of them."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import came_true
from vbench.linux import procfs

NODES = ("head", "gpu", "chunk1", "chunk2", "decode")
CHUNKERS = {"chunk1", "chunk2"}

SCALE = 400
"""Flows of 25 Mbit/s, NICs of 31 to 125: a machine that does other things too moves that much."""


def of(*names: str, store_mb: int = 200) -> tuple[str, ...]:
    """Overrides by which a cluster has these of ``NODES``, with small stores, and no others."""
    return (
        *(f"cluster.nodes.{name}.object_store_mb={store_mb}" for name in names),
        *(f"~cluster.nodes.{name}" for name in NODES if name not in names),
    )


BOUNDS = (
    f"cluster.scale={SCALE}",
    "cluster.start_timeout_s=180",
    "load.sample_period_s=0.5",
    "tracking=off",
    # What else runs on the machine that tests is not what they are about.
    "load.max_machine_cpu_percent=100",
    "load.max_foreign_cpu_percent=100",
    "load.max_stall_ms=30000",
    "load.max_speed_change_percent=100",
    "load.max_late_ms=10000",
)

EMULATED = ("cluster=emulated", *of(*NODES), *BOUNDS)

OBJECTS = ("load=transfer", "load.warmup=1", "load.object_mb=8")

TRANSFER = (*EMULATED, *OBJECTS)
"""Objects and no video: the cluster is the same, and what is on it is up sooner."""

ENDS = ("head", "gpu", "decode")

BETWEEN_ENDS = ("cluster=emulated", *of(*ENDS), *BOUNDS, *OBJECTS)
"""The same on the head and the two nodes that objects move between: each node takes seconds to start."""

CONNECTIONS = 4

WHOLE = (
    "video.scene.width=320",
    "video.scene.height=180",
    "video.scene.length_s=8",
    "video.scene.unique_s=4",
    "pipeline.chunk_s=2",
    # 3.5 MB a chunk: a piece each, over the next of the connections.
    "pipeline.fps=10",
    "pipeline.frame_size=native",
    "load.requests=3",
    "load.concurrency=2",
    "load.warmup=2",
    f"runtime.connections={CONNECTIONS}",
)
"""A short video whose frames open all connections."""

INIT = "vbench.clusters.emulated.init"


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The harness's own processes of an emulated trial, as far as they are there."""

    main: int
    guard: int | None
    launcher: int | None
    init: int | None
    hosts: list[int]
    load_guard: int | None


def processes(main: int) -> Processes:
    """Of the run that ``main`` is the first process of, told apart by arguments and descent."""
    below = procfs.process_tree("of no guard", main)
    arguments = {pid: procfs.command(pid) for pid in below}
    parents = {pid: line.parent for pid in below if (line := procfs.stat(pid))}
    guards = [pid for pid in below if arguments[pid][1:3] == ["-m", "vbench.linux.guard"]]
    launched = [pid for pid in below if arguments[pid][1:3] == ["-m", INIT]]

    def first(of: list[int], parent: int | None) -> int | None:
        return next((pid for pid in of if parents.get(pid) == parent), None) if parent else None

    guard = next((pid for pid in guards if INIT in arguments[pid]), None)
    launcher = first(launched, guard)
    init = first(launched, launcher)
    return Processes(
        main=main,
        guard=guard,
        launcher=launcher,
        init=init,
        hosts=[pid for pid in launched if init is not None and parents.get(pid) == init],
        load_guard=next((pid for pid in guards if "vbench.load" in arguments[pid]), None),
    )


def namespaces_of(pids: list[int]) -> set[str]:
    """Network, mount and PID namespaces that these processes are in."""
    found = set()
    for pid in pids:
        for kind in ("net", "mnt", "pid"):
            try:
                found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
            except OSError:
                continue
    return found


@dataclass(frozen=True)
class Machine:
    """What a trial could leave on a machine beside processes and files in its temp dir."""

    mounts: list[str]
    shared_memory: set[str]
    namespaces: set[str]
    """Of this process: those are nobody's to remove."""

    @classmethod
    def now(cls) -> "Machine":
        return cls(
            Path("/proc/self/mountinfo").read_text().splitlines(),
            {path.name for path in Path("/dev/shm").iterdir()},
            namespaces_of([os.getpid()]),
        )

    def left(self, namespaces: set[str] | None = None, members: Collection[int] | None = None) -> list[str]:
        """What is there now and was not then, and which of ``namespaces`` still have somebody in them; waits
        for what is just ending.

        ``members``: the processes that may be in them; all by default. The kernel gives the number of a
        namespace that has ended to the next, which may be another test's.
        """
        found: list[str] = []

        def here() -> list[int]:
            return [pid for pid in procfs.pids() if members is None or pid in members]

        def look() -> bool:
            now = Machine.now()
            found[:] = [line for line in now.mounts if line not in self.mounts]
            found.extend(sorted(now.shared_memory - self.shared_memory))
            found.extend(sorted((namespaces or set()) & namespaces_of(here()) - self.namespaces))
            return not found

        came_true(look, 15)
        return found
