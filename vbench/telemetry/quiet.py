"""Waiting until the links are quiet: what was sent before must not delay what is measured.

Ray repeats a pull that takes more than 10 s, so bytes of a request can be on the links after its answer.
"""

import time
from collections.abc import Mapping, Sequence

from vbench.errors import TrialError
from vbench.links import MOVING
from vbench.network import Link
from vbench.telemetry.nics import nic_bytes

QUIET_S = 1.0
"""For so long no link may carry anything worth the name."""

POLL_S = 0.25


def wait_until_quiet(links: Sequence[Link], pids: Mapping[str, int], timeout_s: float) -> float:
    """Return once every link has carried less than ``links.MOVING`` of its cap for ``QUIET_S``; the seconds
    that took, ``QUIET_S`` included.

    ``pids``: node -> a process on it. TrialError where they are not quiet within ``timeout_s``.
    """
    began_s = busy_s = time.monotonic()
    before, looked_s = _carried(pids), began_s
    while looked_s - busy_s < QUIET_S:
        if looked_s - began_s > timeout_s:
            raise TrialError(
                f"the links still carried bytes {timeout_s:g} s after the last warm-up request was answered:"
                " something sends that no request asked for; see ray.log"
            )
        time.sleep(POLL_S)
        now, now_s = _carried(pids), time.monotonic()
        for link in links:
            moved = max(
                after - earlier for earlier, after in zip(before[link.node], now[link.node], strict=True)
            )
            if 8e-6 * moved >= MOVING * link.nic_mbps * (now_s - looked_s):
                busy_s = now_s
        before, looked_s = now, now_s
    return looked_s - began_s


def _carried(pids: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Node -> bytes sent and received so far."""
    found = {}
    for node, pid in pids.items():
        nic = nic_bytes(pid)
        found[node] = (nic.sent, nic.received)
    return found
