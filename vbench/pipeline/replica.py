"""Which replica this code runs in, and what it says of itself: for spans and for the answer."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ray
from ray import serve

from vbench.pipeline.resources import resources_text
from vbench.pipeline.spans import ReplicaId

Setting = str | int | float | bool | None


def place() -> ReplicaId:
    """This replica and its Ray node. Only inside a Serve replica."""
    replica_id = serve.get_replica_context().replica_id
    return ReplicaId(
        node=ray.get_runtime_context().get_node_id(),
        replica=f"{replica_id.deployment_id.name}#{replica_id.unique_id}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What was seen of the work on one call, where it was done and whatever is configured."""

    passes: Sequence[tuple[int, int]] = ()
    """Of each forward pass with frames of the call: its number among the network's passes, and the frames in
    the network's input."""
    pass_cpu_ms: float | None = None
    """The least CPU milliseconds per frame of one of these passes, of the thread that ran it."""
    decoder_cpu_ms: float | None = None
    """CPU milliseconds of the FFmpeg process that decoded the chunk, as the kernel counted them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a replica says of itself with its reply to one call."""

    place: ReplicaId
    deployment_id: str
    settings: Mapping[str, Setting]
    """How it works, from the objects that do the work where they know it."""
    number: int
    """Of the call, among all calls to this replica, from 1."""
    frames: int = 0
    """That came with the call."""
    batches: int = 0
    """Batches in which these frames were, other calls' beside them."""
    work: Work | None = None
    """None for a stage of which nothing is seen."""


def merged(settings: Sequence[Mapping[str, Setting]]) -> dict[str, Setting]:
    """Settings that were seen several times: the value if all agree, else all values in one text."""
    values: dict[str, list[Setting]] = {}
    for one in settings:
        for name, value in one.items():
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
        self.place = place()
        self._deployment_id = deployment_id
        reserved = resources_text(ray.get_runtime_context().get_assigned_resources())
        self._settings = {**settings, "resources": reserved}
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """The number of a call that begins; safe from any thread."""
        return next(self._numbers)

    def report(
        self,
        number: int,
        *,
        frames: int = 0,
        batches: int = 0,
        seen: Mapping[str, Setting] | None = None,
        work: Work | None = None,
    ) -> Report:
        """The report on the call that was given ``number``.

        ``seen``: settings that were read where the work was done. They take the place of those configured.
        """
        return Report(
            place=self.place,
            deployment_id=self._deployment_id,
            settings={**self._settings, **(seen or {})},
            number=number,
            frames=frames,
            batches=batches,
            work=work,
        )
