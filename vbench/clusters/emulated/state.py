"""Where emulated clusters that are no trial's are found: a folder for each, by its name.

The folder has a lock, which the cluster's keeper and its guard hold: it is free once all of the cluster has
ended, however that happened. What is left in a folder with a free lock is removed by whoever finds it.
"""

import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vbench.errors import InputError

DEFAULT = "default"
"""Name of the cluster if none is given."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")

LOCK = "lock"
STATE = "cluster.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """One host of a running cluster."""

    name: str
    ip: str
    pid: int
    """A process in its namespaces."""
    cpus: int
    object_store_mb: int
    nic_mbps: float
    """Set in the kernel: divided by ``cluster.scale`` already, as is the next."""
    flow_mbps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """A cluster, as its keeper leaves it for the commands."""

    name: str
    keeper: int
    """Process id."""
    started_unix_s: float
    temp_dir: str
    """Ray's."""
    log: str
    """Ray's output."""
    runtime: str
    """Its name and connections, as text."""
    scale: float
    is_ready: bool = False
    """Whether the fields below are known."""
    took_s: float = 0.0
    """From the command to a cluster that is ready."""
    address: str = ""
    """``IP:PORT`` of the control store, for its hosts."""
    dashboard: str = ""
    """URL of the dashboard and the Jobs API, for this machine; ``host_dashboard`` for the hosts."""
    host_dashboard: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of Ray with which the hosts run, the token among them."""
    hosts: tuple[HostState, ...] = ()
    """Head first."""

    def host(self, name: str) -> HostState | None:
        """The host of that name, if there is one."""
        return next((host for host in self.hosts if host.name == name), None)


def folder_of(name: str) -> Path:
    """The folder of the cluster of that name; InputError if it cannot be a name."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"--name {name!r} cannot be the name of a cluster: take up to 32 letters, digits, - and _, such"
            f" as --name {DEFAULT}"
        )
    return Path(tempfile.gettempdir()) / f"{_prefix()}{name}"


def _prefix() -> str:
    return f"vbench-cluster-{os.geteuid()}-"


def names() -> list[str]:
    """Names of this user's clusters, in order, without those that have ended."""
    found = sorted(Path(tempfile.gettempdir()).glob(f"{_prefix()}*"))
    each = [path.name.removeprefix(_prefix()) for path in found]
    return [name for name in each if NAME.fullmatch(name) and is_held(name)]


@contextmanager
def claimed(name: str) -> Iterator[tuple[Path, int]]:
    """The folder of a new cluster, and the descriptor of its lock; both are removed on leaving.

    InputError if a cluster of that name is there.
    """
    folder = folder_of(name)
    lock = _locked(folder)
    if lock is None:
        raise already_there(name)
    try:
        yield folder, lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def already_there(name: str) -> InputError:
    """The error for a name that is taken."""
    return InputError(
        f"the cluster '{name}' is already there: stop it with 'vbench cluster down{option(name)}', or give"
        " this one another name with --name"
    )


def is_held(name: str) -> bool:
    """Whether a cluster of that name runs, starts or ends. Removes what a killed one has left."""
    folder = folder_of(name)
    if not folder.exists():
        return False
    lock = _locked(folder)
    if lock is None:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
    return False


def _locked(folder: Path) -> int | None:
    """Make the folder if need be and lock it; None if somebody else holds it. Empties it of what is stale.

    InputError if the folder is another user's.
    """
    while True:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        _check_owner(folder)
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # just removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        # The file that was locked may be one that has just been removed.
        with suppress(FileNotFoundError):
            if (folder / LOCK).stat().st_ino == os.fstat(lock).st_ino:
                _remove_stale(folder)
                return lock
        os.close(lock)


def _check_owner(folder: Path) -> None:
    """InputError for a folder or a link that somebody else has put there."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise InputError(f"{folder} is not a folder of yours: give the cluster another name with --name")


def _remove_stale(folder: Path) -> None:
    """Remove Ray's temp dir of a cluster whose processes were all killed, and its state."""
    state = _read(folder)
    if state is not None:
        shutil.rmtree(state.temp_dir, ignore_errors=True)
        (folder / STATE).unlink(missing_ok=True)


def write(folder: Path, state: ClusterState) -> None:
    """Write the state into the cluster's folder, completely or not at all; only its owner may read it."""
    new = folder / f"{STATE}.new"
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(state), file)
    new.replace(folder / STATE)


def _read(folder: Path) -> ClusterState | None:
    try:
        data: dict[str, Any] = json.loads((folder / STATE).read_text())
    except FileNotFoundError:
        return None
    return from_plain(data)


def from_plain(data: Mapping[str, Any]) -> ClusterState:
    """What ``dataclasses.asdict`` and JSON made of a state."""
    return ClusterState(**{**data, "hosts": tuple(HostState(**host) for host in data["hosts"])})


def find(name: str) -> ClusterState | None:
    """The state of a cluster that is there; None if there is none of that name, or it has only begun."""
    return _read(folder_of(name)) if is_held(name) else None


def running(name: str) -> ClusterState:
    """The state of a cluster that is ready; InputError if there is none of that name."""
    state = find(name)
    if state is not None and state.is_ready:
        return state
    if is_held(name):
        raise InputError(f"the cluster '{name}' is not ready yet: 'vbench cluster status' says when it is")
    others = [f"'{other}'" for other in names()]
    remedy = f"there are {', '.join(others)}; choose one with --name" if others else "start one with"
    command = "" if others else f" 'vbench cluster up{option(name)}'"
    raise InputError(f"there is no cluster '{name}': {remedy}{command}")


def option(name: str) -> str:
    """What a command needs to mean the cluster of that name, as text to append."""
    return "" if name == DEFAULT else f" --name {name}"
