"""A container's marks of keyframes do not decide which frames a video has: its pictures do."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.video.support.as_ffmpeg import Make, assert_as_ffmpeg
from tests.video.support.clips import source
from vbench.video.cross_check.container_periods import periods_filled

ENCODERS = {
    "h264": "-c:v libx264 -preset ultrafast -bf 2 -threads 1 -x264-params keyint=12:scenecut=0",
    "hevc": "-c:v libx265 -preset ultrafast "
    "-x265-params log-level=none:keyint=12:min-keyint=12:scenecut=0:bframes=2:open-gop=0:pools=1",
    "hevc_open": "-c:v libx265 -preset ultrafast "
    "-x265-params log-level=none:keyint=12:min-keyint=12:scenecut=0:bframes=2:open-gop=1:pools=1",
    "vp8": "-c:v libvpx -deadline realtime -cpu-used -8 -g 12",
    "vp9": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12",
    "av1": "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 12",
}
MARKS: dict[str, Callable[[int], bool]] = {
    "not the first": lambda place: place > 0 and place % 12 == 0,
    "none": lambda _: False,
    "one too late": lambda place: place % 12 == 1,
    "every one": lambda _: True,
}
FRAGMENTS = {"movflags": "empty_moov+default_base_moof+frag_every_frame"}


def marked(path: Path, copy: Path, is_marked: Callable[[int], bool], options: dict[str, str]) -> Path:
    """Write ``copy``: the packets of ``path``, those marked as keyframes for whose place ``is_marked``."""
    with av.open(str(path)) as whole, av.open(str(copy), "w", options=options) as target:
        stream = whole.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        copied.time_base = stream.time_base
        for place, packet in enumerate(packet for packet in whole.demux(stream) if packet.size):
            packet.is_keyframe, packet.stream = is_marked(place), copied
            target.mux_one(packet)
    return copy


def marks(path: Path) -> list[bool]:
    """What libavformat says of each packet."""
    with av.open(str(path)) as container:
        return [packet.is_keyframe for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        *[("hevc", name) for name in MARKS],
        ("hevc_open", "not the first"),
        # Of these codecs libavformat itself looks at the first pictures.
        ("h264", "none"),
        ("vp9", "none"),
        ("av1", "not the first"),
    ],
)
def test_wrong_marks_cost_no_frame_of_an_mp4(codec: str, name: str, make: Make, tmp_path: Path) -> None:
    whole = make(f"{codec}.mp4", f"{source(2, '24', '96x64')} {ENCODERS[codec]}")
    path = marked(whole, tmp_path / "marked.mp4", MARKS[name], {})

    assert marks(path) != marks(whole) or not codec.startswith("hevc")
    assert_as_ffmpeg(path, 48)


def test_a_first_fragment_without_a_mark_costs_no_frame(make: Make, tmp_path: Path) -> None:
    whole = make("hevc.mp4", f"{source(2, '24', '96x64')} {ENCODERS['hevc']}")
    path = marked(whole, tmp_path / "marked.mp4", MARKS["not the first"], FRAGMENTS)

    assert not marks(path)[0]
    assert_as_ffmpeg(path, 48)
    assert periods_filled(path, Fraction(24)) == 48


@pytest.mark.parametrize("codec", ["hevc", "vp8"])
def test_a_first_block_without_a_mark_costs_no_frame(codec: str, make: Make, tmp_path: Path) -> None:
    whole = make(f"{codec}.mkv", f"{source(2, '24', '96x64')} {ENCODERS[codec]}")
    path = marked(whole, tmp_path / "marked.mkv", MARKS["not the first"], {})

    assert_as_ffmpeg(path, 48)
