"""Pruning leaves out just the pictures that no wanted frame needs, as the coded pictures themselves say."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.video.support.clips import ClipStore
from vbench.video.codecs.h264_parameter_sets import has_frames_only
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.reference_structure import ReferenceStructure
from vbench.video.probe import read_index
from vbench.video.split import Splitter
from vbench.video.types import Chunk


def chunks(clip: ClipStore, name: str, fps: int, chunk_s: int, *, prune: bool) -> list[Chunk]:
    with Splitter(clip(name), fps=Fraction(fps), chunk_s=Fraction(chunk_s), prune=prune) as splitter:
        return list(splitter)


def packets(clip: ClipStore, name: str, fps: int, *, prune: bool) -> int:
    return sum(chunk.packets for chunk in chunks(clip, name, fps, 2, prune=prune))


def test_half_of_the_pictures_of_a_plain_stream_are_left_out(clip: ClipStore) -> None:
    # GOPs of 30 frames, two B pictures between references, a target at the start of each GOP.
    assert packets(clip, "constant", 1, prune=False) == 62
    assert packets(clip, "constant", 1, prune=True) == 4


@pytest.mark.parametrize("name", ["b_pyramid", "open_gop", "open_gop_ts", "hevc", "hevc_layers", "long_gop"])
def test_fewer_packets_are_sent_where_few_frames_are_asked_for(name: str, clip: ClipStore) -> None:
    whole, pruned = (packets(clip, name, 1, prune=prune) for prune in (False, True))

    assert 0 < pruned < 0.75 * whole


@pytest.mark.parametrize("name", ["constant", "open_gop", "hevc"])
def test_nothing_is_left_out_where_every_frame_is_asked_for(name: str, clip: ClipStore) -> None:
    (whole,) = chunks(clip, name, 1000, 60, prune=True)

    assert whole.packets == len(whole.sampled_pts) == 120


@pytest.mark.parametrize("name", ["interlaced", "vp8", "vp9", "av1"])
def test_nothing_is_left_out_where_it_cannot_be_told(name: str, clip: ClipStore) -> None:
    _, index = read_index(clip(name))

    assert not index.unreferenced.any()
    if name != "interlaced":
        assert packets(clip, name, 1, prune=True) == packets(clip, name, 1, prune=False)


def test_pictures_that_b_pictures_refer_to_are_not_among_the_unreferenced(clip: ClipStore) -> None:
    _, index = read_index(clip("b_pyramid"))
    with av.open(str(clip("b_pyramid"))) as container:
        kinds = {
            frame.pts: av.video.frame.PictureType(frame.pict_type).name for frame in container.decode(video=0)
        }
    is_b = np.array([kinds[int(pts)] == "B" for pts in index.pts])

    assert index.unreferenced.any()
    assert not index.unreferenced[~is_b].any()
    assert 0 < index.unreferenced.sum() < is_b.sum()


def test_only_the_highest_temporal_layer_of_hevc_is_unreferenced(clip: ClipStore) -> None:
    flat, layered = (read_index(clip(name))[1].unreferenced.mean() for name in ("hevc", "hevc_layers"))

    assert 0 < layered <= 0.5
    assert flat > 0


@pytest.mark.parametrize(
    ("nal_type", "temporal_id", "unreferenced"),
    [
        (0, 1, True),  # TRAIL_N of the highest layer
        (1, 1, False),  # TRAIL_R
        (0, 0, False),  # TRAIL_N of a lower layer: the higher one may refer to it
        (8, 1, True),  # RASL_N
        (9, 1, False),  # RASL_R
        (16, 0, False),  # BLA_W_LP
        (19, 0, False),  # IDR_W_RADL
        (21, 0, False),  # CRA
        (40, 0, False),  # SEI only: no picture
    ],
)
def test_hevc_says_by_type_and_layer_what_is_referred_to(
    nal_type: int, temporal_id: int, unreferenced: bool
) -> None:
    references = ReferenceStructure(PacketReader(codec="hevc", length_bytes=0), None)
    for kind, layer in ((nal_type, temporal_id), (1, 1)):
        references.add(b"\0\0\1" + bytes([kind << 1, layer + 1]) + b"\xaa", keyframe=False)

    assert references.unreferenced().tolist() == [unreferenced, False]
    assert references.resets().tolist() == [nal_type in (16, 19), False]


def test_h264_streams_that_may_hold_fields_are_left_whole() -> None:
    unreferenced = b"\0\0\1\x01\x9a"
    fields = b"\0\0\1\x67" + sps(frames_only=0)
    frames = b"\0\0\1\x67" + sps(frames_only=1)
    for extradata, keyframe, expected in (
        (frames, b"", True),
        (fields, b"", False),
        (None, b"", False),
        (None, frames, True),
        (frames, fields, False),
    ):
        references = ReferenceStructure(PacketReader(codec="h264", length_bytes=0), extradata)
        references.add(keyframe + b"\0\0\1\x65\x88", keyframe=True)
        references.add(unreferenced, keyframe=False)

        assert references.unreferenced().tolist() == [False, expected]
        assert references.resets().tolist() == [True, False]


@given(
    profile=st.sampled_from([66, 77, 88, 100, 110, 122, 244]),
    chroma=st.integers(0, 3),
    scaling=st.lists(st.lists(st.integers(-128, 127), max_size=16), max_size=12),
    order_count=st.integers(0, 2),
    cycle=st.lists(st.integers(-500, 500), max_size=5),
    size=st.tuples(st.integers(0, 400), st.integers(0, 400)),
    frames_only=st.integers(0, 1),
)
def test_the_flag_of_frames_is_found_behind_everything_that_may_stand_before_it(
    profile: int,
    chroma: int,
    scaling: list[list[int]],
    order_count: int,
    cycle: list[int],
    size: tuple[int, int],
    frames_only: int,
) -> None:
    written = sps(
        profile=profile,
        chroma=chroma,
        scaling=scaling,
        order_count=order_count,
        cycle=cycle,
        size=size,
        frames_only=frames_only,
    )

    assert has_frames_only(written) is bool(frames_only)


def test_a_parameter_set_that_ends_too_early_may_hold_fields() -> None:
    whole = sps(frames_only=1)

    assert has_frames_only(whole)
    assert not any(has_frames_only(whole[:length]) for length in range(5))


@pytest.mark.parametrize("name", ["constant", "variable_mkv", "open_gop_ts", "fragmented", "odd_444"])
def test_parameter_sets_are_found_in_every_container(name: str, clip: ClipStore) -> None:
    _, index = read_index(clip(name))

    assert index.unreferenced.any()


def sps(
    *,
    profile: int = 66,
    chroma: int = 1,
    scaling: list[list[int]] | None = None,
    order_count: int = 0,
    cycle: list[int] | None = None,
    size: tuple[int, int] = (39, 22),
    frames_only: int,
) -> bytes:
    """A sequence parameter set, written field by field as ITU-T H.264 7.3.2.1.1 lists them."""
    bits = f"{profile:08b}" + "0" * 8 + f"{30:08b}" + ue(0)
    if profile >= 100:
        bits += ue(chroma) + ("0" if chroma == 3 else "") + ue(0) + ue(0) + "0"
        lists = scaling or []
        bits += "1" if lists else "0"
        if lists:
            for number in range(12 if chroma == 3 else 8):
                bits += scaling_list(lists[number], 16 if number < 6 else 64) if number < len(lists) else "0"
    bits += ue(4) + ue(order_count)
    if order_count == 0:
        bits += ue(2)
    elif order_count == 1:
        bits += "0" + se(-3) + se(2) + ue(len(cycle or [])) + "".join(map(se, cycle or []))
    bits += ue(3) + "0" + ue(size[0]) + ue(size[1]) + str(frames_only) + "1"
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    return escaped(data)


def scaling_list(deltas: list[int], size: int) -> str:
    """Present, with these differences, then what ends it: the difference that makes the next scale 0."""
    bits, scale = "1", 8
    for number in range(size):
        delta = deltas[number] if number < len(deltas) else -scale
        scale = (scale + delta) % 256
        bits += se(delta)
        if scale == 0:
            break
    return bits


def ue(number: int) -> str:
    """Exp-Golomb code, 9.1."""
    binary = f"{number + 1:b}"
    return "0" * (len(binary) - 1) + binary


def se(number: int) -> str:
    """Signed Exp-Golomb code, 9.1.1."""
    return ue(2 * number - 1 if number > 0 else -2 * number)


def escaped(data: bytes) -> bytes:
    """With emulation prevention bytes, 7.4.1."""
    out = bytearray()
    for byte in data:
        if byte <= 3 and out[-2:] == b"\0\0":
            out.append(3)
        out.append(byte)
    return bytes(out)
