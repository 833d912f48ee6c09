"""A second recording whose HEVC parameter sets were lost when it was joined is refused."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.video.support.clips import run_ffmpeg, source
from tests.video.support.joins import join, packets_of
from tests.video.support.oracle import ALL, found, truth
from vbench.video.codecs.nal_types import HEVC_CRA, HEVC_LEADING
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk
from vbench.video.probe import probe
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry

Recording = Callable[..., Path]
X265 = "log-level=error:pools=1:frame-threads=1:keyint=12:scenecut=0:bframes=3"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Gives the path of a recording with these pixels, further options of x265, size and length."""
    folder = tmp_path_factory.mktemp("recordings")

    def make(pixels: str, options: str = "open-gop=1", size: str = "256x144", seconds: float = 1) -> Path:
        path = folder / f"{pixels}_{options}_{size}_{seconds}.mp4"
        if not path.exists():
            coder = f"-c:v libx265 -preset ultrafast -pix_fmt {pixels} -x265-params {X265}:{options}"
            run_ffmpeg(*source(seconds, rate="24", size=size).split(), *coder.split(), str(path))
        return path

    return make


def joined(out: Path, *parts: Path) -> Path:
    """The recordings one after another, their packets copied."""
    listed = out.with_suffix(".txt")
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    run_ffmpeg("-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(out))
    return out


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
@pytest.mark.parametrize(
    ("first", "second"),
    [("yuv444p", "yuv420p"), ("yuv420p", "yuv444p"), ("yuv422p10le", "yuv420p10le")],
)
def test_other_pixels_are_refused(
    first: str, second: str, suffix: str, recording: Recording, tmp_path: Path
) -> None:
    path = joined(tmp_path / f"joined.{suffix}", recording(first), recording(second))

    with pytest.raises(VideoError) as refused:
        probe(path)

    sentence = str(refused.value)
    assert sentence.startswith(f"{path} has a picture at 1.")
    assert "its recording was joined to the one before without its parameter sets" in sentence
    assert sentence.endswith(
        "encode recordings that you join: "
        "ffmpeg -i FIRST -i SECOND -filter_complex '[0:v:0][1:v:0]concat' -c:v libx264 fixed.mp4"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("open-gop=1:ctu=64", "open-gop=1:ctu=32"),
        ("open-gop=1:signhide=1", "open-gop=1:signhide=0"),
    ],
)
def test_other_coding_tools_are_refused(
    first: str, second: str, recording: Recording, tmp_path: Path
) -> None:
    parts = [recording("yuv420p", options) for options in (first, second)]

    with pytest.raises(VideoError):
        chunked(joined(tmp_path / "joined.mp4", *parts))


def chunked(path: Path) -> list[tuple[int, str]]:
    """(pts, md5) of the frames of chunks of half a second."""
    with Splitter(path, fps=ALL, chunk_s=Fraction(1, 2)) as splitter:
        geometry = FrameGeometry.native(splitter.info)
        return found([decode_chunk(chunk, geometry, threads=1, timeout_s=60) for chunk in splitter])


@pytest.mark.parametrize("options", ["open-gop=1", "open-gop=0"])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "gray"])
def test_recordings_with_the_same_parameter_sets_are_read(
    pixels: str, options: str, recording: Recording, tmp_path: Path
) -> None:
    part = recording(pixels, options)
    path = joined(tmp_path / "joined.mp4", part, part, part)

    assert chunked(path) == truth(path).expected(ALL)


@pytest.mark.parametrize("lasting_s", [1, 4])
def test_a_recording_at_the_end_of_a_long_video_is_refused(
    lasting_s: int, recording: Recording, tmp_path: Path
) -> None:
    """Of a video of this size, few pictures are checked, among them those after the last possible join."""
    size, options = "320x176", "open-gop=0:ctu=16"
    parts = [recording("yuv444p", options, size, 6), recording("yuv420p", options, size, lasting_s)]

    with pytest.raises(VideoError, match="cannot decode completely"):
        probe(joined(tmp_path / "joined.mp4", *parts))


def test_a_recording_that_starts_with_a_cra_picture_is_refused(recording: Recording, tmp_path: Path) -> None:
    first, second = recording("yuv444p", seconds=0.5), recording("yuv420p", seconds=3)
    reader = PacketReader(codec="hevc", length_bytes=4)
    count = len(packets_of(first))
    kinds = [reader.hevc_type(packet) for packet in packets_of(second)]
    start = max(number for number, kind in enumerate(kinds) if kind == HEVC_CRA)
    kept = {number for number, kind in enumerate(kinds) if number >= start and kind not in HEVC_LEADING}

    def edit(number: int, data: bytes) -> bytes:
        return data if number < count or number - count in kept else b""

    with pytest.raises(VideoError, match="cannot decode completely"):
        probe(join(first, second, tmp_path / "joined.mp4", edit))


def test_a_damaged_picture_is_refused(recording: Recording, tmp_path: Path) -> None:
    part = recording("yuv420p", "open-gop=0")
    data = bytearray(part.read_bytes())
    start = data.index(b"mdat") + 4
    middle = (start + len(data)) // 2
    data[middle : middle + 200] = bytes(byte ^ 0x55 for byte in data[middle : middle + 200])
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)

    with pytest.raises(VideoError):
        chunked(path)
