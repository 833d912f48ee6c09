"""Frames are cropped as FFmpeg crops them, whether container or stream says so, and are not stretched."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.support.as_ffmpeg import service
from tests.video.support.clean_aperture import with_clean_aperture
from tests.video.support.clips import run_ffmpeg
from tests.video.support.mp4_edits import Movie, box, with_own_boxes
from tests.video.support.oracle import ALL, found, one_chunk, truth
from tests.video.support.recordings import Recording, recordings_in
from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.probe import probe
from vbench.video.types import FrameGeometry


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recordings_in(tmp_path_factory.mktemp("recordings"))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("size", "options", "aperture"),
    [
        ("96x64", "", (80, 50, -6, 4)),
        ("97x65", "-pix_fmt yuv444p", (75, 39, 3, -2)),
        ("96x64", "", (75, 41, -5, 3)),  # not whole chroma samples
    ],
)
def test_what_a_container_crops_is_no_part_of_the_frames(
    size: str,
    options: str,
    aperture: tuple[int, int, int, int],
    suffix: str,
    recording: Recording,
    tmp_path: Path,
) -> None:
    path = with_clean_aperture(recording("h264", size, options), tmp_path / "cropped.mp4", *aperture)
    if suffix == "mkv":
        run_ffmpeg("-i", str(path), "-c", "copy", str(tmp_path / "cropped.mkv"))
        path = tmp_path / "cropped.mkv"
    known = truth(path).expected(ALL)
    assert found(list(decode_video(path, fps=ALL, threads=1, timeout_s=30))) == known
    chunk = one_chunk(path)
    assert (chunk.info.width, chunk.info.height) != (chunk.info.decoded_width, chunk.info.decoded_height)
    assert found([decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=30)]) == known


@pytest.mark.parametrize("size", [(128, 64), (96, 80), (80, 50), (90, 60)])
def test_a_container_crops_pictures_of_the_size_that_it_says_itself(
    size: tuple[int, int], recording: Recording, tmp_path: Path
) -> None:
    path = with_clean_aperture(recording("h264", "96x64", ""), tmp_path / "cropped.mp4", 60, 40, 6, -4)
    data = bytearray(path.read_bytes())
    entry = data.index(b"avc1", data.index(b"stsd")) - 4
    data[entry + 32 : entry + 36] = struct.pack(">HH", *size)
    path.write_bytes(data)
    known = truth(path).expected(ALL)
    assert found(list(decode_video(path, fps=ALL, threads=1, timeout_s=30))) == known
    chunk = one_chunk(path)
    assert found([decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=30)]) == known


def clap(across: int, down: int, *, right_by: int = 0, below: int = 1) -> bytes:
    """A clean aperture of a width and height; its centre is moved to the right."""
    return box(b"clap", struct.pack(">8i", across, below, down, below, right_by, 1, 0, 1))


def with_boxes_of_its_own(path: Path, copy: Path, *entries: tuple[bytes, ...]) -> Path:
    """A clip with a sample description for each of ``entries``, which has these boxes more."""
    movie = Movie(path)
    movie.describe(*(with_own_boxes(movie.entry(), *boxes) for boxes in entries))
    return movie.write(copy)


@pytest.mark.parametrize(
    ("entries", "size"),
    [
        ([(clap(80, 50), clap(60, 40))], (60, 40)),
        ([(clap(80, 50), clap(96, 64))], (80, 50)),  # one that leaves all is no crop
        ([(clap(80, 50), clap(-80, 50), clap(80, -50), clap(8, 8, below=-1))], (80, 50)),  # invalid ones
        ([(clap(60, 40), clap(0, 40), clap(200, 40), clap(80, 50, right_by=20))], (60, 40)),
        ([(clap(-10, 64),)], (96, 64)),
        ([(clap(80, 50),), (clap(60, 40),)], (60, 40)),  # in a description that no sample has
        ([(clap(80, 50),), ()], (80, 50)),
    ],
)
def test_of_several_clean_apertures_the_one_holds_that_ffmpeg_takes(
    entries: list[tuple[bytes, ...]], size: tuple[int, int], recording: Recording, tmp_path: Path
) -> None:
    path = with_boxes_of_its_own(recording("h264"), tmp_path / "clap.mp4", *entries)
    info = probe(path)
    assert (info.width, info.height) == size
    assert service(path) == truth(path).expected(ALL)


def test_a_crop_that_leaves_less_than_a_chroma_sample_is_refused(
    recording: Recording, tmp_path: Path
) -> None:
    path = with_boxes_of_its_own(recording("h264"), tmp_path / "tiny.mp4", (clap(1, 1),))
    with pytest.raises(
        VideoError, match="its container crops it to 1 x 1 pixels, less than one chroma sample"
    ):
        probe(path)


def test_non_square_pixels_are_left_as_they_are(recording: Recording, tmp_path: Path) -> None:
    """A player stretches such a picture; frames and boxes stay in the pixels that are stored."""
    clip = recording("h264")
    wide = tmp_path / "wide.mp4"
    run_ffmpeg("-i", str(clip), "-c", "copy", "-aspect", "3:1", str(wide))
    with av.open(str(wide)) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
    info = probe(wide)
    assert (info.width, info.height) == (96, 64)
    chunk = one_chunk(wide)
    frames = decode_chunk(chunk, FrameGeometry.native(info), threads=1, timeout_s=30)
    assert found([frames]) == truth(clip).expected(ALL)
    assert truth(wide).expected(ALL) == truth(clip).expected(ALL)
    whole = np.array(
        [[0, 0, 640, 427]], np.float32
    )  # letterboxed into 640 x 640 as 96 x 64 are, not 192 x 64
    fitted = FrameGeometry.fitted(info.width, info.height, 640, 640, "letterbox")
    assert (fitted.inner_width, fitted.inner_height) == (640, 427)
    boxes = fitted.to_source(whole + np.float32([0, fitted.pad_y, 0, fitted.pad_y]))
    assert np.allclose(boxes, [[0, 0, 96, 64]], atol=1e-4)


@pytest.mark.parametrize(
    ("codec", "options"),
    [("h264", ""), ("h264", "-pix_fmt yuv420p10le"), ("hevc", ""), ("hevc", "-pix_fmt yuv444p")],
)
def test_what_a_stream_crops_at_the_left_is_cropped_exactly(
    codec: str, options: str, recording: Recording, tmp_path: Path
) -> None:
    path = tmp_path / "cropped.mp4"
    crop = f"{codec}_metadata=crop_left=4:crop_right=6:crop_top=2:crop_bottom=8"
    run_ffmpeg("-i", str(recording(codec, options=options)), "-c", "copy", "-bsf:v", crop, str(path))
    info = probe(path)
    assert (info.width, info.height) == (86, 54)
    frames = list(decode_video(path, fps=ALL, threads=1, timeout_s=30))
    assert found(frames) == truth(path).expected(ALL)
