"""What was measured while a trial ran, with what follows from it: transfers between nodes, use of the
links."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vbench.record.calls import Call
from vbench.record.files import read_calls, read_machines, read_requests, read_samples, read_spans
from vbench.record.link_fidelity import LinkFidelity, link_fidelity
from vbench.record.network import Network
from vbench.record.requests import Request, SpanLine
from vbench.record.samples import MachineSample, NodeSample
from vbench.record.transfers import Transfer, inter_node_transfers


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """The lines of a trial's record. What is derived from them is computed once, when it is first needed."""

    requests: Sequence[Request] = ()
    spans: Sequence[SpanLine] = ()
    calls: Sequence[Call] = ()
    """Of an application's deployments."""
    nodes: Sequence[NodeSample] = ()
    machines: Sequence[MachineSample] = ()
    network: Network | None = None
    """The emulated network; None for a cluster that has a real one, or none."""

    @cached_property
    def transfers(self) -> Sequence[Transfer]:
        """Bytes that had to cross between nodes. ValueError if the spans are not those of whole requests."""
        return inter_node_transfers(self.spans)

    @cached_property
    def transferred_bytes(self) -> int:
        """All bytes that had to cross between nodes. ValueError as for ``transfers``."""
        return sum(transfer.bytes for transfer in self.transfers)

    @cached_property
    def link_fidelity(self) -> LinkFidelity | None:
        """How the emulated links were used; None without an emulated network."""
        if self.network is None:
            return None
        return link_fidelity(self.network, self.nodes, self.machines)


def read_measurements(folder: Path, network: Network | None) -> Measurements:
    """The lines of the record in ``folder``; RecordError if they cannot be read."""
    return Measurements(
        requests=read_requests(folder),
        spans=read_spans(folder),
        calls=read_calls(folder),
        nodes=read_samples(folder),
        machines=read_machines(folder),
        network=network,
    )
