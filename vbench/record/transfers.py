"""Which bytes had to go from which node to which, as the spans of the requests tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from vbench.record.types import SpanLine

Way = tuple[str, str]
"""Sender and receiver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Array bytes that were handed from a process on one node to a process on another."""

    request: int
    what: Literal["chunk", "frames"]
    """A chunk's packets on their way to a decoder, or frames on their way to the model."""
    sender: str
    receiver: str
    bytes: int
    took_s: float = field(default=0.0, compare=False)
    """Seconds of the transfer that they were part of."""


def handovers(spans: Iterable[SpanLine]) -> list[Crossing]:
    """All hand-overs, those within one node included; together they have the bytes of all transfer spans of
    stages decode and infer: what a service fetches comes from outside.
    ValueError for spans that are not those of whole requests.

    A chunk's packets go from the node of its service (where all spans of stage ``chunk`` end) to that of its
    decoder. Frames begin at the decoder and go to where each transfer of stage ``infer`` ended: in relay the
    service first, then the model. A transfer of the whole request (combined mode) takes each chunk's frames
    from where they were, which is the model's own node where they were fetched ahead. How many bytes of it
    are each chunk's is told by the relay's transfers before it, and where there are none (direct) equal parts
    are taken, which is exact where all decoders are on one node, and else but for a last chunk that is
    shorter.
    """
    found: list[Crossing] = []
    ordered = sorted(spans, key=lambda span: span.request)
    for request, lines in groupby(ordered, key=lambda span: span.request):
        found += _of_request(request, list(lines))
    return found


def _of_request(request: int, spans: Sequence[SpanLine]) -> list[Crossing]:
    services = {span.replica: span.node for span in spans if span.stage == "chunk"}
    holders = {span.chunk: span.node for span in spans if span.stage == "decode" and span.chunk is not None}
    held_bytes: dict[int, int] = {}
    found: list[Crossing] = []

    def add(what: Literal["chunk", "frames"], sender: str, span: SpanLine, nbytes: int) -> None:
        took_s = span.end_s - span.start_s
        found.append(
            Crossing(
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
                raise ValueError(f"request {request} was split on {sorted(set(services.values()))}")
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
    return found


def _parts(nbytes: int, chunks: Sequence[int], known: Mapping[int, int]) -> dict[int, int]:
    """Bytes of each chunk in a transfer of all of them; ValueError where there is no chunk."""
    if not chunks:
        raise ValueError(f"{nbytes} bytes of frames were handed over, and no chunk was decoded")
    if set(chunks) == set(known) and sum(known.values()) == nbytes:
        return {chunk: known[chunk] for chunk in chunks}
    each, rest = divmod(nbytes, len(chunks))
    return {chunk: each + (position < rest) for position, chunk in enumerate(chunks)}


def crossings(spans: Iterable[SpanLine]) -> list[Crossing]:
    """The hand-overs between two nodes: their bytes HAD to cross a network."""
    return [one for one in handovers(spans) if one.sender != one.receiver]


def by_way(each: Iterable[Crossing]) -> dict[Way, int]:
    """Bytes that had to go each way."""
    moved: dict[Way, int] = {}
    for one in each:
        way = (one.sender, one.receiver)
        moved[way] = moved.get(way, 0) + one.bytes
    return moved


def crossed(spans: Iterable[SpanLine]) -> dict[str, int]:
    """``sender>receiver`` -> bytes of chunks and frames that had to go this way between nodes."""
    return {f"{sender}>{receiver}": nbytes for (sender, receiver), nbytes in by_way(crossings(spans)).items()}


def frames_moved(spans: Iterable[SpanLine]) -> dict[Way, int]:
    """Bytes of frames that had to go each way between nodes."""
    return by_way(one for one in crossings(spans) if one.what == "frames")
