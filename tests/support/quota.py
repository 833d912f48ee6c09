"""A real control group with a CPU quota, of cgroup v1 or v2."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import until

V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
PERIOD_US = 100_000


@contextmanager
def cpu_quota(cpus: float) -> Iterator[Path | None]:
    """A group that gets so many CPUs; None if this machine lets nobody make one here. Its processes must end
    before the block does."""
    group = None
    for root in (V1, V2):
        made = root / f"vbench-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            quota_us = round(cpus * PERIOD_US)
            if root == V1:
                (made / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (made / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (made / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
        except OSError:
            made.rmdir()
            continue
        group = made
        break
    try:
        yield group
    finally:
        if group is not None:
            until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
            group.rmdir()


def joining(group: Path) -> tuple[str, ...]:
    """What stands before a command that runs in a group."""
    return ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group))
