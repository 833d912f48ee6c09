"""What a replica reports of the work that it did for a request: in the response, and in a trial's record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWork:
    """The work on one call, measured where it was done and independent of the configuration."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "use_attribute_docstrings": True}

    call: int
    """The call's number among all calls to the replica, from 1."""
    passes: Sequence[tuple[int, int]] = ()
    """One entry per forward pass with frames of the call: its number among all passes of the replica's
    network, and the frames in the network's input."""
    pass_cpu_ms: float | None = None
    """The least CPU milliseconds per frame of one of these passes, of the thread that ran it; null for
    decoders and on a GPU."""
    decoder_cpu_ms: float | None = None
    """CPU milliseconds of the FFmpeg process that decoded the chunk; null for models, and if none ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaReport:
    """What one replica that worked on a request reports about itself."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "use_attribute_docstrings": True}

    replica: str
    """Its name, as in spans: ``VideoDecoder#k3x9...``."""
    node: str
    deployment_id: str
    """The id that its deployment was given; empty if none."""
    settings: Mapping[str, Setting]
    """How it works: threads, batch size, precision, ..."""
    calls: Sequence[tuple[int, int, int]]
    """One entry per call for this request: its number among all calls to the replica, from 1; the frames in
    it; and the batches that these were in (0 for other stages)."""
    work: Sequence[CallWork] = ()
    """One entry per call to a decoder or a model; empty in records of earlier versions."""

    @property
    def deployment(self) -> str:
        """The deployment that it is a replica of."""
        return self.replica.partition("#")[0]
