"""What holds for the first picture holds for all, or the video is refused with position and reason."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.video.support.as_ffmpeg import SHORT, Make, service
from tests.video.support.clips import RECIPES, ClipStore, run_ffmpeg
from tests.video.support.joins import in_band_sets, join, packets_of
from tests.video.support.mp4_edits import Movie
from tests.video.support.oracle import ALL, found, one_chunk, truth
from tests.video.support.recordings import ENCODERS, Recording, recordings_in
from vbench.video.codecs.bits import escaped
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk
from vbench.video.index.decoder_state import StateScan
from vbench.video.index.display_metadata import picture_format
from vbench.video.index.picture_changes import PictureChangeScan
from vbench.video.probe import probe
from vbench.video.types import FrameGeometry

FULL = "-color_range pc"
BT709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recordings_in(tmp_path_factory.mktemp("recordings"))


def joined(first: Path, second: Path, out: Path) -> Path:
    """``second`` after ``first``, as tools join recordings that write parameter sets in-band."""
    sets = in_band_sets(second) if second.suffix == ".mp4" else b""
    count = len(packets_of(first))
    return join(first, second, out, lambda number, data: sets + data if number == count else data)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_headers_say_what_the_decoder_finds(name: str, clip: ClipStore) -> None:
    with av.open(str(clip(name))) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.codec.canonical_name
        extradata = stream.codec_context.extradata
        frame = next(container.decode(stream))
    reader = PacketReader.of(codec, extradata)
    state = StateScan(reader, extradata)
    facts = PictureChangeScan(reader, state.changes.initial)
    for place, packet in enumerate(packets_of(clip(name))):
        facts.add(place, packet, state.add(packet), after_end=False)
    known = picture_format(frame)
    assert facts.change(known) is None
    (_, said), *more = facts.formats
    assert not more
    assert facts._effective(said, known).change(known) is None


@pytest.mark.parametrize("codec", sorted(ENCODERS))
def test_a_size_that_changes_is_refused_with_its_position(
    codec: str, recording: Recording, tmp_path: Path
) -> None:
    first, second = recording(codec), recording(codec, "64x96")
    path = joined(first, second, tmp_path / f"turned{first.suffix}")
    with pytest.raises(VideoError, match="changes its picture size from 96 x 64 to 64 x 96") as error:
        probe(path)
    assert re.search(r"at (0\.999|1\.000) s \(frame 24\)", str(error.value))


@pytest.mark.parametrize("number", [12, 15], ids=["at a keyframe", "elsewhere"])
@pytest.mark.parametrize("order", ["SPS alone", "PPS before SPS", "SPS in a packet of its own"])
def test_h264_pictures_are_as_large_as_the_set_says_that_their_pps_was_read_with(
    order: str, number: int, recording: Recording, tmp_path: Path
) -> None:
    """An SPS holds for each PPS that arrives behind it, and for no other (ITU-T H.264 7.4.1.2.1)."""
    first = recording("h264")
    sps = first_units(in_band_sets(recording("h264", "64x48")))[0]
    pps = first_units(in_band_sets(first))[1]
    sets = pps + sps if order == "PPS before SPS" else sps

    def edit(at: int, data: bytes) -> bytes | list[bytes]:
        if at != number:
            return data
        return [sets, data] if order == "SPS in a packet of its own" else sets + data

    path = join(first, None, tmp_path / "sets.mp4", edit)
    known = truth(first)
    assert service(path) == known.expected(ALL)
    assert service(path, Fraction(5)) == known.expected(Fraction(5))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_sets_behind_a_picture_do_not_concern_it(codec: str, recording: Recording, tmp_path: Path) -> None:
    first, other = recording(codec), in_band_sets(recording(codec, "64x48"))
    own = in_band_sets(first)
    count = len(packets_of(first))
    last = join(first, None, tmp_path / "last.mp4", lambda at, data: data + other * (at == count - 1))
    assert service(last) == truth(first).expected(ALL)

    before = {11: lambda data: data + other, 12: lambda data: own + data}
    path = join(first, None, tmp_path / "sets.mp4", lambda at, data: before.get(at, bytes)(data))
    assert service(path) == truth(first).expected(ALL)


def test_a_size_that_changes_behind_a_picture_is_refused_at_the_next(
    recording: Recording, tmp_path: Path
) -> None:
    first, second = recording("h264"), recording("h264", "64x96")
    sets, count = in_band_sets(second), len(packets_of(first))
    path = join(first, second, tmp_path / "turned.mp4", lambda at, data: data + sets * (at == count - 1))
    with pytest.raises(VideoError, match=r"from 96 x 64 to 64 x 96 at 1\.000 s \(frame 24\)"):
        probe(path)


def test_a_size_that_changes_with_the_sample_description_is_refused_with_its_position(
    recording: Recording, tmp_path: Path
) -> None:
    movie, other = Movie(recording("h264")), Movie(recording("h264", "64x96"))
    movie.put_samples(movie.samples()[:12] + other.samples()[12:], per_chunk=12, descriptions=[1, 2])
    movie.describe(movie.entry(), other.entry())
    with pytest.raises(VideoError, match=r"from 96 x 64 to 64 x 96 at 0\.500 s \(frame 12\)"):
        probe(movie.write(tmp_path / "described.mp4"))


def first_units(sets: bytes) -> list[bytes]:
    """NAL units with their lengths of 4 bytes."""
    found, at = [], 0
    while at < len(sets):
        end = at + 4 + int.from_bytes(sets[at : at + 4], "big")
        found.append(sets[at:end])
        at = end
    return found


@pytest.mark.parametrize(
    ("codec", "before", "after", "reason"),
    [
        ("h264", "", "-pix_fmt yuv444p", "pixel format from 4:2:0 with 8 bits to 4:4:4 with 8 bits"),
        ("h264", "", BT709, "colour matrix from 2 to 1"),
        ("h264", BT709, f"{BT709} {FULL}", "colour range from limited to full"),
        ("hevc", "", "-pix_fmt yuv420p10le", "pixel format from 4:2:0 with 8 bits to 4:2:0 with 10 bits"),
        ("hevc", BT709, "", "colour matrix from 1 to none"),
        ("vp9", "", BT709, "colour matrix from 2 to 1"),
        ("vp9", "", "-pix_fmt yuv444p", "pixel format from 4:2:0 with 8 bits to 4:4:4 with 8 bits"),
        ("av1", "", "-pix_fmt yuv420p10le", "pixel format from 4:2:0 with 8 bits to 4:2:0 with 10 bits"),
        ("av1", f"{BT709}", f"{BT709} {FULL}", "colour range from limited to full"),
    ],
)
def test_a_format_that_changes_is_refused(
    codec: str, before: str, after: str, reason: str, recording: Recording, tmp_path: Path
) -> None:
    first, second = recording(codec, options=before), recording(codec, options=after)
    with pytest.raises(VideoError, match=re.escape(f"changes its {reason}")):
        probe(joined(first, second, tmp_path / f"changed{first.suffix}"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BT709, ""),  # H.264 that says nothing leaves colours as they were
        ("", "-colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m"),  # what no word means
        (
            BT709,
            "-colorspace bt709 -color_primaries bt2020 -color_trc smpte2084",
        ),  # of which no pixel depends
        ("-vf setsar=1", "-vf setsar=2"),
    ],
)
def test_what_changes_no_pixel_is_no_change(
    before: str, after: str, recording: Recording, tmp_path: Path
) -> None:
    first, second = recording("h264", options=before), recording("h264", options=after)
    path = joined(first, second, tmp_path / "same.mp4")
    chunk = one_chunk(path)
    assert chunk.info.frames == 48
    frames = decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=30)
    assert found([frames]) == truth(path).expected(ALL)


@pytest.mark.parametrize("stream", ["", f"{BT709} -color_range tv"])
@pytest.mark.parametrize("codec", sorted(ENCODERS))
def test_colours_that_a_container_declares_otherwise_count_as_for_ffmpeg(
    codec: str, stream: str, recording: Recording, tmp_path: Path
) -> None:
    path = tmp_path / f"declared.{'mp4' if codec in ('h264', 'hevc') else 'mkv'}"
    other = "-colorspace bt2020nc -color_primaries bt2020 -color_trc bt2020-10 -color_range pc"
    run_ffmpeg("-i", str(recording(codec, options=stream)), "-c", "copy", *other.split(), str(path))
    chunk = one_chunk(path)
    frames = decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=30)
    assert found([frames]) == truth(path).expected(ALL)


def turned_by_90(codec: str) -> bytes:
    """A display orientation SEI message (ITU-T H.264 D.1.26), as it stands in a packet."""
    message = bytes([47, 3]) + int(f"000{16384:016b}10000", 2).to_bytes(3, "big") + b"\x80"
    unit = (b"\x06" if codec == "h264" else bytes([39 << 1, 1])) + escaped(message)
    return len(unit).to_bytes(4, "big") + unit


@pytest.mark.parametrize(
    ("codec", "packets", "change"),
    [
        ("h264", range(24), None),
        ("h264", range(1), r"from 90 degrees to 0 degrees at 0\.042 s \(frame 1\)"),
        ("hevc", range(1), None),  # of which decoders keep it
        ("hevc", range(12, 13), r"from 0 degrees to 90 degrees at 0\.500 s \(frame 12\)"),
    ],
)
def test_an_orientation_in_the_stream_holds_for_all_pictures_or_is_refused(
    codec: str, packets: range, change: str | None, recording: Recording, tmp_path: Path
) -> None:
    message = turned_by_90(codec)
    path = join(
        recording(codec), None, tmp_path / "turned.mp4",
        lambda number, data: message + data if number in packets else data,
    )  # fmt: skip
    if change is None:
        assert probe(path).rotation == 270
        with av.open(str(path)) as container:
            assert {frame.rotation for frame in container.decode(video=0)} == {90}
    else:
        with pytest.raises(VideoError, match=f"changes its orientation {change}"):
            probe(path)


def test_a_change_is_named_of_the_first_changed_frame_as_shown(make: Make, tmp_path: Path) -> None:
    """The second packet is frame 3; frames 1 and 2, which follow it, are B pictures."""
    path = join(
        make("with_b.mp4", SHORT), None, tmp_path / "turned.mp4",
        lambda number, data: data if number else turned_by_90("h264") + data,
    )  # fmt: skip

    with av.open(str(path)) as container:
        assert [frame.rotation for frame in container.decode(video=0)][:3] == [90, 0, 0]
    with pytest.raises(VideoError, match=r"from 90 degrees to 0 degrees at 0\.042 s \(frame 1\)"):
        probe(path)


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ({"coded_width": 64, "coded_height": 96}, "differs in size"),
        ({"coded_width": 95}, "differs in size"),
        ({"coded_height": 63}, "differs in size"),
        ({"pixel_format": "yuv420p10le"}, "differs in pixel format"),
        ({"pixel_format": "yuv422p"}, "differs in pixel format"),
        ({"color_matrix": "bt601"}, "differs in pixel format or colours"),
        ({"color_range": "pc"}, "differs in pixel format or colours"),
    ],
)
@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_the_decoder_fails_on_pictures_other_than_announced(
    codec: str, claim: dict[str, object], reason: str, recording: Recording
) -> None:
    """Whatever a check of headers may miss: FFmpeg must not scale or convert it silently."""
    chunk = one_chunk(recording(codec, options=f"{BT709} -color_range tv"))
    info = replace(chunk.info, **claim)
    with pytest.raises(VideoError, match=reason):
        decode_chunk(replace(chunk, info=info), FrameGeometry.native(info), threads=1, timeout_s=30)
