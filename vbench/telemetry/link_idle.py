"""Waits until the links are idle: earlier traffic must not delay the first measured request, and traffic
after the last response is counted.

Ray repeats a pull that takes more than 10 s, so bytes of a request can be on the links after its response.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vbench.errors import TrialError
from vbench.linux.nics import NicBytes, nic_bytes
from vbench.record.link_use import least_mbps
from vbench.record.network import Link
from vbench.telemetry.raylet_end import raylet_end_reported

IDLE_S = 1.0
"""Links are idle once they have carried next to nothing for this long."""

POLL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIdle:
    """The links have been idle for ``IDLE_S``."""

    after_s: float
    """Since the first sample, ``IDLE_S`` included."""
    sent_bytes: Mapping[str, int]
    """Node -> bytes that its NIC has sent meanwhile."""


def wait_until_idle(links: Sequence[Link], pids: Mapping[str, int], timeout_s: float) -> LinkIdle:
    """Return once every link has carried less than ``links.least_mbps`` for ``IDLE_S``.

    ``pids``: node -> process id of its raylet. TrialError if they are not idle within ``timeout_s``, or if a
    raylet ends.
    """
    with raylet_end_reported(pids):
        return _wait(links, pids, timeout_s)


def _wait(links: Sequence[Link], pids: Mapping[str, int], timeout_s: float) -> LinkIdle:
    first = before = {link.node: nic_bytes(pids[link.node]) for link in links}
    began_s = looked_s = busy_s = time.monotonic()
    while looked_s - busy_s < IDLE_S:
        if looked_s - began_s > timeout_s:
            raise TrialError(
                f"the links were still busy {timeout_s:g} s after the last response: something other than"
                " the requests is sending; find it with ray.log in the record's folder, stop it, and run the"
                " trial again"
            )
        time.sleep(POLL_S)
        now = {link.node: nic_bytes(pids[link.node]) for link in links}
        now_s = time.monotonic()
        for link in links:
            if _moved(before[link.node], now[link.node]) * 8e-6 >= least_mbps(link) * (now_s - looked_s):
                busy_s = now_s
        before, looked_s = now, now_s
    sent = {node: nic.sent - first[node].sent for node, nic in before.items()}
    return LinkIdle(after_s=looked_s - began_s, sent_bytes=sent)


def _moved(before: NicBytes, after: NicBytes) -> int:
    """Bytes of the busier direction."""
    return max(after.sent - before.sent, after.received - before.received)
