"""Changes the rates of an emulated cluster's links at the planned times of a trial."""

import time
from collections.abc import Sequence
from dataclasses import replace

from vbench.clusters.emulated.host import RunningHost, request_all
from vbench.clusters.emulated.shaping import change_port
from vbench.record.link_caps import changed
from vbench.record.network import LinkEvent


class RateEvents:
    """The events of a trial, those that have taken place and those to come."""

    def __init__(self, hosts: Sequence[RunningHost], planned: Sequence[LinkEvent]) -> None:
        """``planned``: in the order of their times."""
        self._hosts = hosts
        self._waiting = list(planned)
        self._done: list[LinkEvent] = []
        self._began_s: float | None = None

    def begin(self, at_s: float) -> None:
        """The measured phase began at this monotonic time."""
        self._began_s = at_s

    def end(self) -> list[LinkEvent]:
        """No further event takes place; all of them, as they took place."""
        self._began_s = None
        return [*self._done, *self._waiting]

    def due_in_s(self, otherwise_s: float) -> float:
        """Seconds until the next event is due, ``otherwise_s`` at most."""
        if self._began_s is None or not self._waiting:
            return otherwise_s
        return min(otherwise_s, max(0.0, self._began_s + self._waiting[0].at_s - time.monotonic()))

    def apply_due(self) -> None:
        """Make the changes that are due, each at both ends of the link."""
        while self._waiting and self._began_s is not None and self.due_in_s(1.0) <= 0:
            event = self._waiting.pop(0)
            index = next(i for i, host in enumerate(self._hosts) if host.host.name == event.node)
            running = self._hosts[index]
            link = changed(running.host.link, event)
            began_s = time.monotonic()
            if event.nic_mbps is not None:
                change_port(index, link.nic_mbps)
            request_all([running], "change", nic_mbps=link.nic_mbps, flow_mbps=link.flow_mbps)
            ended_s = time.monotonic()
            running.host = replace(running.host, nic_mbps=link.nic_mbps, flow_mbps=link.flow_mbps)
            self._done.append(
                replace(event, began_s=began_s, ended_s=ended_s, in_force_s=ended_s - self._began_s)
            )
