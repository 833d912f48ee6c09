"""Which bytes had to cross between nodes follows from the spans, and none is lost or made on the way."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import records
from vbench.record.requests import SpanLine
from vbench.record.transfers import frame_bytes_by_route, inter_node_transfers, transfers

SERVICE = "VideoProcessingService#s"
NODES = ("head", "chunk1", "chunk2", "decode", "gpu")


def spans_of(
    request: int,
    *,
    service: str,
    decoders: Sequence[str],
    model: str,
    combined: bool,
    relay: bool,
    ahead: bool = False,
    packets: Sequence[int],
    frames: Sequence[int],
) -> list[SpanLine]:
    """What the pipeline leaves for one request, of the spans that matter here.

    ``ahead``: frames of a combined call were fetched before it.
    """

    def span(stage: str, kind: str, node: str, replica: str, nbytes: int, chunk: int | None) -> SpanLine:
        return records.span(
            stage, kind, nbytes=nbytes, request=request, node=node, replica=replica, chunk=chunk
        )

    spans = [span("chunk", "compute", service, SERVICE, 0, None)]
    for chunk, decoder in enumerate(decoders):
        spans.append(span("decode", "transfer", decoder, "VideoDecoder#d", packets[chunk], chunk))
        spans.append(span("decode", "compute", decoder, "VideoDecoder#d", 0, chunk))
        if relay:
            spans.append(span("infer", "transfer", service, SERVICE, frames[chunk], chunk))
    if combined:
        nbytes = 0 if ahead else sum(frames)
        spans.append(span("infer", "transfer", model, "ModelInference#m", nbytes, None))
    if ahead or not combined:
        for chunk, nbytes in enumerate(frames):
            spans.append(span("infer", "transfer", model, "ModelInference#m", nbytes, chunk))
    return spans


nodes = st.sampled_from(NODES)


@st.composite
def requests(draw: st.DrawFn) -> list[SpanLine]:
    chunks = draw(st.integers(1, 5))
    sizes = st.lists(st.integers(1, 10**9), min_size=chunks, max_size=chunks)
    relay = draw(st.booleans())
    spans = spans_of(
        draw(st.integers(0, 3)),
        service=draw(nodes),
        decoders=draw(st.lists(nodes, min_size=chunks, max_size=chunks)),
        model=draw(nodes),
        combined=draw(st.booleans()),
        relay=relay,
        ahead=not relay and draw(st.booleans()),
        packets=draw(sizes),
        frames=draw(sizes),
    )
    return draw(st.permutations(spans))


def moved_frames(spans: list[SpanLine]) -> dict[tuple[str, str], int]:
    return frame_bytes_by_route(inter_node_transfers(spans))


@given(requests())
def test_every_byte_of_a_transfer_is_handed_over_once(spans: list[SpanLine]) -> None:
    expected = sum(span.bytes for span in spans if span.kind == "transfer")
    assert sum(one.bytes for one in transfers(spans)) == expected


@given(requests())
def test_what_leaves_the_decoders_and_what_the_model_gets_is_the_same(spans: list[SpanLine]) -> None:
    frames = [one for one in transfers(spans) if one.what == "frames"]
    model = {span.node for span in spans if span.replica.startswith("ModelInference")}
    assert {one.receiver for one in frames} <= model | {
        span.node for span in spans if span.replica == SERVICE
    }
    arrived = sum(span.bytes for span in spans if span.replica.startswith("ModelInference"))
    hops = len({span.replica for span in spans if (span.stage, span.kind) == ("infer", "transfer")})
    assert sum(one.bytes for one in frames) == hops * arrived


@given(requests())
def test_only_what_goes_to_another_node_crosses(spans: list[SpanLine]) -> None:
    stay = sum(one.bytes for one in transfers(spans) if one.sender == one.receiver)
    crossed = inter_node_transfers(spans)
    assert all(one.sender != one.receiver for one in crossed)
    assert stay + sum(one.bytes for one in crossed) == sum(s.bytes for s in spans if s.kind == "transfer")
    assert sum(moved_frames(spans).values()) == sum(one.bytes for one in crossed if one.what == "frames")


@pytest.mark.parametrize("combined", [False, True])
def test_frames_go_straight_or_by_way_of_the_service(combined: bool) -> None:
    common: dict[str, Any] = {
        "service": "chunk1",
        "decoders": ["decode", "decode"],
        "model": "gpu",
        "combined": combined,
        "packets": [10, 20],
        "frames": [300, 400],
    }
    direct = spans_of(0, relay=False, **common)
    relay = spans_of(0, relay=True, **common)
    assert moved_frames(direct) == {("decode", "gpu"): 700}
    assert moved_frames(relay) == {
        ("decode", "chunk1"): 700,
        ("chunk1", "gpu"): 700,
    }
    packets = {
        (one.sender, one.receiver, one.bytes) for one in inter_node_transfers(direct) if one.what == "chunk"
    }
    assert packets == {("chunk1", "decode", 10), ("chunk1", "decode", 20)}


def test_a_relays_frames_keep_their_sizes_in_a_call_of_all_of_them() -> None:
    spans = spans_of(
        0,
        service="chunk1",
        decoders=["decode", "chunk1"],
        model="gpu",
        combined=True,
        relay=True,
        packets=[1, 1],
        frames=[300, 100],
    )
    assert moved_frames(spans) == {
        ("decode", "chunk1"): 300,
        ("chunk1", "gpu"): 400,
    }


def test_frames_of_unknown_sizes_are_taken_as_equal_parts() -> None:
    spans = spans_of(
        0,
        service="chunk1",
        decoders=["decode", "head", "decode"],
        model="gpu",
        combined=True,
        relay=False,
        packets=[1, 1, 1],
        frames=[300, 300, 101],
    )
    assert moved_frames(spans) == {
        ("decode", "gpu"): 234 + 233,
        ("head", "gpu"): 234,
    }


def test_clocks_that_are_apart_do_not_turn_the_way_around() -> None:
    early = records.span(
        "infer", "transfer", nbytes=5, node="gpu", replica="ModelInference#m", start_s=1.0, end_s=1.0
    )
    hops = spans_of(
        0,
        service="chunk1",
        decoders=["decode"],
        model="gpu",
        combined=False,
        relay=True,
        packets=[1],
        frames=[5],
    )
    assert moved_frames([early, *hops[:-1]]) == {
        ("decode", "chunk1"): 5,
        ("chunk1", "gpu"): 5,
    }


def test_spans_of_half_a_request_are_refused() -> None:
    with pytest.raises(ValueError, match="which no decoder had"):
        inter_node_transfers([records.span("infer", "transfer", nbytes=5)])
    with pytest.raises(ValueError, match="was split on"):
        inter_node_transfers([records.span("decode", "transfer", nbytes=5)])
    with pytest.raises(ValueError, match="no chunk was decoded"):
        inter_node_transfers([records.span("infer", "transfer", nbytes=5, chunk=None)])
