"""The index knows where decoding can start, and what a player shows; the facts are those of the file."""

from fractions import Fraction

import numpy as np
import pytest

from tests.video.support.clips import ClipStore
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.random_access import is_hidden, is_random_access
from vbench.video.probe import probe, read_index

ANNEX_B = PacketReader(codec="h264", length_bytes=0)
START = b"\0\0\0\1"


@pytest.mark.parametrize(
    ("name", "packets", "shown", "entries"),
    [
        ("constant", 120, 120, 4),
        ("open_gop", 120, 120, 5),
        ("open_gop_ts", 120, 120, 5),
        ("long_gop", 120, 120, 1),
        ("intra_refresh", 120, 120, 1),
        ("intra_refresh_ts", 120, 120, 1),
        ("hevc", 120, 120, 5),
        ("edit_list", 90, 78, 3),
    ],
)
def test_entries_are_where_decoding_is_exact(
    name: str, packets: int, shown: int, entries: int, clip: ClipStore
) -> None:
    _, index = read_index(clip(name))

    assert (len(index.pts), int(index.presented.sum()), int(index.random_access.sum())) == (
        packets,
        shown,
        entries,
    )


def test_pictures_that_only_serve_as_references_are_not_shown(clip: ClipStore) -> None:
    _, index = read_index(clip("vp8_two_pass"))

    assert int(index.presented.sum()) == 120 < len(index.pts)
    assert not index.presented[index.hidden].any()


def test_pictures_whose_references_were_cut_off_are_not_shown(clip: ClipStore) -> None:
    hevc, h264 = read_index(clip("hevc_cut"))[1], read_index(clip("open_gop_cut"))[1]

    assert int(hevc.undecodable.sum()) == 3
    assert not hevc.presented[hevc.undecodable].any()
    assert (h264.pts[h264.presented] >= h264.pts[0]).all()


@pytest.mark.parametrize(
    ("sei", "clean"),
    [
        (b"\x06\x01\xc4\x80", True),  # recovery_frame_cnt 0, exact_match_flag 1
        (b"\x06\x01\x84\x80", False),  # exact_match_flag 0
        (b"\x06\x01\x58\x80", False),  # recovery_frame_cnt 1
        (b"\x05\x02\xaa\xbb\x06\x01\xc4\x80", True),  # behind another message
        (b"\x05\x04\0\0\x03\x01\xaa\x06\x01\xc4\x80", True),  # behind one with an emulation prevention byte
        (b"\x04\xff\x01\x06\x01\xc4\x80", False),  # a long message that the data ends in
        (b"\x06", False),
        (b"", False),
    ],
)
def test_a_recovery_point_is_clean_only_if_exact_at_once(sei: bytes, clean: bool) -> None:
    packet = START + b"\x09\xf0" + START + b"\x06" + sei + START + b"\x41\x9a\x00\x10"
    units = packet.split(START)[1:]
    lengths = PacketReader(codec="h264", length_bytes=4)

    assert is_random_access(ANNEX_B, packet) is clean
    assert is_random_access(lengths, b"".join(len(u).to_bytes(4, "big") + u for u in units)) is clean


def test_an_idr_picture_is_clean_and_a_plain_i_picture_is_not() -> None:
    assert is_random_access(ANNEX_B, START + b"\x67\x42" + START + b"\x68\xce" + b"\0\0\1\x65\x88")
    assert not is_random_access(ANNEX_B, START + b"\x41\x88" + START + b"\x65\x88"[:1])


def test_the_length_of_nal_lengths_is_read_from_the_extradata() -> None:
    avcc = b"\x01\x64\x00\x1f\xfd\xe1\x00\x00"
    assert PacketReader.of("h264", avcc).length_bytes == 2
    assert PacketReader.of("h264", b"\0\0\0\1\x67").length_bytes == 0
    assert PacketReader.of("h264", None).length_bytes == 0
    assert PacketReader.of("hevc", b"\x01" + bytes(20) + b"\xff").length_bytes == 4


@pytest.mark.parametrize(
    ("header", "hidden"),
    [
        (b"\x86\x00", False),  # profile 0, inter picture, shown
        (b"\x84\x00", True),  # profile 0, inter picture, not shown
        (b"\x88\x00", False),  # profile 0, shows an existing picture
        (b"\xb2\x00", True),  # profile 3, inter picture, not shown
        (b"\xb3\x00", False),  # profile 3, inter picture, shown
        (b"\x84\xc1\x05\x00\xc1", False),  # a superframe
    ],
)
def test_hidden_vp9_pictures_are_told_by_their_header(header: bytes, hidden: bool) -> None:
    assert is_hidden(PacketReader(codec="vp9", length_bytes=0), header) is hidden


def test_facts_are_those_of_the_file(clip: ClipStore) -> None:
    info = probe(clip("rotated_90"))

    assert (info.codec, info.pixel_format, info.frames) == ("h264", "yuv420p", 120)
    assert (info.coded_width, info.coded_height, info.width, info.height) == (160, 90, 90, 160)
    assert (info.rotation, info.flipped) == (90, False)
    assert "mp4" in info.container
    assert info.duration_s == 4.0
    assert info.size_bytes == clip("rotated_90").stat().st_size


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("rate_29_97", 120 * Fraction(1001, 30000)),
        ("one_frame", Fraction(1, 30)),
        ("short", Fraction(1, 2)),
        ("delayed_start", Fraction(4)),
        ("late_ts", Fraction(4)),
        ("with_sound", Fraction(4)),
    ],
)
def test_the_duration_is_that_of_the_pictures(name: str, seconds: Fraction, clip: ClipStore) -> None:
    assert np.isclose(probe(clip(name)).duration_s, float(seconds), atol=0.0011)


def test_a_delayed_start_is_no_part_of_the_timeline(clip: ClipStore) -> None:
    info = probe(clip("delayed_start"))

    assert info.first_pts > 0
    assert info.time_s(info.first_pts) == 0.0
