"""Which bytes had to move from which node to which, derived from the spans of the requests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from vbench.record.requests import SpanLine

Route = tuple[str, str]
"""Sender and receiver: names of nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Array bytes that one process handed to another, on the same node or on another."""

    request: int
    what: Literal["chunk", "frames"]
    """A chunk's packets on their way to a decoder, or frames on their way to the model."""
    sender: str
    receiver: str
    bytes: int
    took_s: float = field(default=0.0, compare=False)
    """Seconds of the transfer that they were part of."""


def transfers(spans: Iterable[SpanLine]) -> list[Transfer]:
    """All transfers, including those within a node. Their bytes are those of all transfer spans of the stages
    decode and infer: what a service fetches comes from outside.
    ValueError for spans that are not those of whole requests.

    A chunk's packets go from the node of its service (where all spans of stage ``chunk`` end) to that of its
    decoder. Frames begin at the decoder and go to where each transfer of stage ``infer`` ended: in relay the
    service first, then the model. A transfer of the whole request (combined mode) takes each chunk's frames
    from where they were, which is the model's own node if they were fetched ahead. The relay's transfers
    before it say how many of its bytes belong to each chunk. Without these (direct), equal parts are assumed.
    That is exact if all decoders are on one node, and otherwise except for a last chunk that is shorter.
    """
    all_transfers: list[Transfer] = []
    ordered = sorted(spans, key=lambda span: span.request)
    for request, lines in groupby(ordered, key=lambda span: span.request):
        all_transfers += _of_request(request, list(lines))
    return all_transfers


def _of_request(request: int, spans: Sequence[SpanLine]) -> list[Transfer]:
    services = {span.replica: span.node for span in spans if span.stage == "chunk"}
    holders = {span.chunk: span.node for span in spans if span.stage == "decode" and span.chunk is not None}
    held_bytes: dict[int, int] = {}
    of_request: list[Transfer] = []

    def add(what: Literal["chunk", "frames"], sender: str, span: SpanLine, nbytes: int) -> None:
        took_s = span.end_s - span.start_s
        of_request.append(
            Transfer(
                request=request, what=what, sender=sender, receiver=span.node, bytes=nbytes, took_s=took_s
            )
        )

    def first(span: SpanLine) -> int:
        if span.stage == "decode":
            return 0
        return 1 if span.replica in services else 2 if span.chunk is not None else 3

    moved = [span for span in spans if span.kind == "transfer" and span.stage != "chunk"]
    for span in sorted(moved, key=first):
        if span.stage == "decode":
            if len(set(services.values())) != 1:
                nodes = ", ".join(sorted(set(services.values()))) or "no node"
                raise ValueError(f"request {request} was split on {nodes} instead of one node")
            add("chunk", next(iter(services.values())), span, span.bytes)
            continue
        if span.chunk is None:
            parts = _parts(span.bytes, sorted(holders), held_bytes)
        else:
            parts = {span.chunk: span.bytes}
        for chunk, nbytes in parts.items():
            if chunk not in holders:
                raise ValueError(f"request {request} has frames of chunk {chunk}, which no decoder had")
            add("frames", holders[chunk], span, nbytes)
            holders[chunk] = span.node
            held_bytes[chunk] = nbytes
    return of_request


def _parts(nbytes: int, chunks: Sequence[int], known: Mapping[int, int]) -> dict[int, int]:
    """Bytes of each chunk in a transfer of all of them; ValueError if there is no chunk."""
    if not chunks:
        raise ValueError(f"{nbytes} bytes of frames were handed over, and no chunk was decoded")
    if set(chunks) == set(known) and sum(known.values()) == nbytes:
        return {chunk: known[chunk] for chunk in chunks}
    share, rest = divmod(nbytes, len(chunks))
    return {chunk: share + (position < rest) for position, chunk in enumerate(chunks)}


def inter_node_transfers(spans: Iterable[SpanLine]) -> list[Transfer]:
    """The transfers between two nodes: their bytes had to cross a network. ValueError as for
    ``transfers``."""
    return [transfer for transfer in transfers(spans) if transfer.sender != transfer.receiver]


def bytes_by_route(transfers: Iterable[Transfer]) -> dict[Route, int]:
    """Bytes that had to move on each route."""
    moved: dict[Route, int] = {}
    for transfer in transfers:
        route = (transfer.sender, transfer.receiver)
        moved[route] = moved.get(route, 0) + transfer.bytes
    return moved


def frame_bytes_by_route(transfers: Iterable[Transfer]) -> dict[Route, int]:
    """Bytes of frames, without packets, that had to move on each route."""
    return bytes_by_route(transfer for transfer in transfers if transfer.what == "frames")
