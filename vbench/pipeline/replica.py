"""The replica that this code runs in: its identity, and the report that it adds to each of its replies."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ray
from ray import serve

from vbench.pipeline.reports import CallWork, ReplicaReport, Setting
from vbench.pipeline.resources import resources_text
from vbench.pipeline.spans import ReplicaId


def current_replica() -> ReplicaId:
    """This replica and its Ray node. Works only inside a Serve replica."""
    replica_id = serve.get_replica_context().replica_id
    return ReplicaId(
        node=ray.get_runtime_context().get_node_id(),
        replica=f"{replica_id.deployment_id.name}#{replica_id.unique_id}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """What a replica reports with its reply to one call."""

    sender: ReplicaId
    deployment_id: str
    settings: Mapping[str, Setting]
    """How it works, read from the objects that do the work if they know it."""
    number: int
    """Of the call, among all calls to this replica, from 1."""
    frames: int = 0
    """Frames in the call."""
    batches: int = 0
    """Batches that these frames were in, together with frames of other calls."""
    work: CallWork | None = None
    """None for a stage whose work is not measured."""


def by_replica(reports: Sequence[CallReport]) -> list[ReplicaReport]:
    """One report per replica, in the order in which the replicas took up the request."""
    of_replica: dict[str, list[CallReport]] = {}
    for report in reports:
        of_replica.setdefault(report.sender.replica, []).append(report)
    return [
        ReplicaReport(
            replica=name,
            node=calls[-1].sender.node,
            deployment_id=calls[-1].deployment_id,
            settings=merge_settings([call.settings for call in calls]),
            calls=[(call.number, call.frames, call.batches) for call in calls],
            work=[call.work for call in calls if call.work is not None],
        )
        for name, calls in of_replica.items()
    ]


def merge_settings(settings: Sequence[Mapping[str, Setting]]) -> dict[str, Setting]:
    """Settings that were read several times: the value if all agree, else all values in one text."""
    values: dict[str, list[Setting]] = {}
    for reading in settings:
        for name, value in reading.items():
            known = values.setdefault(name, [])
            if value not in known:
                known.append(value)
    return {
        name: known[0] if len(known) == 1 else ", ".join(map(str, known)) for name, known in values.items()
    }


class Reporter:
    """Numbers the calls to this replica, and writes its reports."""

    def __init__(self, deployment_id: str, settings: Mapping[str, Setting]) -> None:
        """To ``settings`` it adds what Ray has reserved for the replica, which decides where it may run."""
        self.replica = current_replica()
        self._deployment_id = deployment_id
        reserved = resources_text(ray.get_runtime_context().get_assigned_resources())
        self._settings = {**settings, "resources": reserved}
        self._numbers = itertools.count(1)

    def next_number(self) -> int:
        """The number of a call that starts; safe from any thread."""
        return next(self._numbers)

    def report(
        self,
        number: int,
        *,
        frames: int = 0,
        batches: int = 0,
        load_report: Mapping[str, Setting] | None = None,
        work: CallWork | None = None,
    ) -> CallReport:
        """The report on the call that was given ``number``.

        ``observed``: settings that were read where the work was done. They replace the configured ones.
        """
        return CallReport(
            sender=self.replica,
            deployment_id=self._deployment_id,
            settings={**self._settings, **(load_report or {})},
            number=number,
            frames=frames,
            batches=batches,
            work=work,
        )
