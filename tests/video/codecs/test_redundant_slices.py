"""H.264 redundant slices code a picture again; decoders leave them out, and they are no further pictures."""

from pathlib import Path

import pytest

from tests.video.support.as_ffmpeg import assert_as_ffmpeg
from tests.video.support.redundant import with_redundant_slices
from vbench.video.codecs.h264_slices import Field, H264SliceReader, Slice
from vbench.video.errors import VideoError
from vbench.video.probe import probe


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("options", ["bframes=2", "bframes=0"])
def test_redundant_slices_are_no_further_pictures(container: str, options: str, tmp_path: Path) -> None:
    path = with_redundant_slices(tmp_path / f"twice.{container}", packing="together", options=options)

    assert_as_ffmpeg(path, 48)


@pytest.mark.parametrize("container", ["mp4", "ts"])
def test_a_packet_of_redundant_slices_alone_is_named(container: str, tmp_path: Path) -> None:
    """FFmpeg reports an error for it. From a transport stream libavformat makes such packets itself."""
    packing = "together" if container == "ts" else "apart"
    path = with_redundant_slices(tmp_path / f"alone.{container}", packing=packing)

    with pytest.raises(VideoError, match=r"packet that contains only redundant slices, .* at 0\.000 s"):
        probe(path)


ORDER_TYPE_0, ORDER_TYPE_1, ORDER_TYPE_2 = "1 00101", "010 0 1 1 1 1", "011"
"""``pic_order_cnt_type`` and what follows: 8 bits of the count; deltas in slices; nothing."""


def unit(header: int, bits: str) -> bytes:
    """A NAL unit with these bits and rbsp_trailing_bits."""
    bits = f"{header:08b}{bits}1".replace(" ", "")
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def sps(order: str, *, frames_only: bool = True) -> bytes:
    """Baseline profile, 4 bits of ``frame_num``, 10 x 6 macroblocks."""
    size = "0001010 00110" if frames_only else "0001010 011"
    return unit(0x67, f"01000010 {0:08b} {30:08b} 1 1 {order} 010 0 {size} {int(frames_only)}")


def pps(*, bottom_order: bool = False, redundancy: bool = True) -> bytes:
    """One slice group."""
    return unit(0x68, f"1 1 0 {int(bottom_order)} 1 1 1 000 1 1 1 10 {int(redundancy)}")


COUNT_8_BITS = "11111111"


@pytest.mark.parametrize(
    ("sets", "header", "before"),
    [
        ([sps(ORDER_TYPE_0), pps()], 0x65, f"0000 1 {COUNT_8_BITS}"),
        ([sps(ORDER_TYPE_0), pps()], 0x41, f"0001 {COUNT_8_BITS}"),
        ([sps(ORDER_TYPE_0), pps(bottom_order=True)], 0x41, f"0001 {COUNT_8_BITS} 00101"),
        ([sps(ORDER_TYPE_1), pps()], 0x41, "0001 00101"),
        ([sps(ORDER_TYPE_1), pps(bottom_order=True)], 0x65, "0000 00101 010 011"),
        ([sps(ORDER_TYPE_2), pps(bottom_order=True)], 0x65, "0000 00101"),
    ],
    ids=["IDR", "order count", "bottom field's", "deltas", "both deltas", "no order count"],
)
@pytest.mark.parametrize(("count", "redundant"), [("1", False), ("010", True), ("00100", True)])
def test_what_stands_before_the_count_of_codings_is_skipped(
    sets: list[bytes], header: int, before: str, count: str, redundant: bool
) -> None:
    reader = H264SliceReader()
    reader.add_parameter_sets(sets)

    assert reader.slice(unit(header, f"1 00110 1 {before} {count}")) == Slice(redundant=redundant)


def test_a_field_may_be_coded_again(reader: H264SliceReader) -> None:
    first, again = (unit(0x41, f"1 00110 1 0011 1 1 {COUNT_8_BITS} {count}") for count in ("1", "010"))

    assert reader.slice(first) == Slice(field=Field(frame_num=3, bottom=True))
    assert reader.slice(again) == Slice(field=Field(frame_num=3, bottom=True), redundant=True)


def test_without_redundancy_in_its_parameter_set_no_slice_is_redundant(reader: H264SliceReader) -> None:
    reader.add_parameter_sets([pps(redundancy=False)])

    assert not reader.slice(unit(0x41, f"1 00110 1 0011 0 {COUNT_8_BITS} 010")).redundant


@pytest.fixture
def reader() -> H264SliceReader:
    """Of a stream whose pictures may be fields, and coded again."""
    reader = H264SliceReader()
    reader.add_parameter_sets([sps(ORDER_TYPE_0, frames_only=False), pps(bottom_order=True)])
    return reader
