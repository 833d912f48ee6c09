"""The plain pass gives the frames that are right, without the code of the service's that could be wrong."""

import ast
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.video.support.clips import ClipStore, run_ffmpeg, source
from tests.video.support.oracle import ALL, Truth, found
from vbench.video.cross_check import ffmpeg_run, frame_times, one_pass, ts_continuity
from vbench.video.cross_check.one_pass import plain_pass
from vbench.video.errors import VideoError, VideoTimeoutError
from vbench.video.frames import decode_chunk
from vbench.video.probe import probe
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry, VideoInfo

CLIPS = ["open_gop", "variable", "edit_list", "open_gop_edited", "late_ts", "hevc_cut", "vp8_two_pass", "av1"]


def passed(
    path: Path, info: VideoInfo, geometry: FrameGeometry, fps: Fraction, *, keyframes_only: bool = False
) -> list[tuple[int, str]]:
    frames = plain_pass(
        path,
        fps=fps,
        geometry=geometry,
        rotation=info.rotation,
        flipped=info.flipped,
        threads=2,
        timeout_s=60,
        keyframes_only=keyframes_only,
    )
    return found(list(frames))


def served(
    path: Path, geometry: FrameGeometry, fps: Fraction, *, keyframes_only: bool = False
) -> list[tuple[int, str]]:
    with Splitter(path, fps=fps, chunk_s=Fraction(1), prune=True, keyframes_only=keyframes_only) as splitter:
        return found([decode_chunk(chunk, geometry, threads=1, timeout_s=60) for chunk in splitter])


@pytest.mark.parametrize("fps", [Fraction(7, 3), ALL])
@pytest.mark.parametrize("name", CLIPS)
def test_the_frames_and_times_are_those_of_the_video(
    name: str, fps: Fraction, clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    info = probe(clip(name))

    frames = passed(clip(name), info, FrameGeometry.native(info), fps)

    if "edit" in name:  # the truth holds what the edit list leaves out
        assert frames == served(clip(name), FrameGeometry.native(info), fps)
    else:
        assert frames == truth_of(name).expected(fps)


@pytest.mark.parametrize("name", ["rotated_90", "mirrored", "full_range", "hdr", "colour_in_container"])
def test_pixels_are_those_of_the_service_to_the_bit(name: str, clip: ClipStore) -> None:
    info = probe(clip(name))
    geometry = FrameGeometry.fitted(info.width, info.height, 96, 64, "letterbox", "yuv420p")

    for shape in (geometry, FrameGeometry.fitted(info.width, info.height, 64, 64, "stretch")):
        frames = passed(clip(name), info, shape, Fraction(3))

        assert len(frames) > 1
        assert frames == served(clip(name), shape, Fraction(3))


@pytest.mark.parametrize("name", ["open_gop", "intra_refresh", "hevc", "vp9", "gap", "open_gop_edited"])
def test_keyframes_stand_for_the_frames_after_them(name: str, clip: ClipStore) -> None:
    info = probe(clip(name))
    geometry = FrameGeometry.native(info)

    frames = passed(clip(name), info, geometry, Fraction(3), keyframes_only=True)

    assert frames == served(clip(name), geometry, Fraction(3), keyframes_only=True)


@pytest.mark.parametrize(("rotation", "flipped"), [(0, False), (270, False), (90, True), (180, False)])
def test_a_wrong_way_up_is_noticed(rotation: int, flipped: bool, clip: ClipStore) -> None:
    geometry = FrameGeometry.fitted(90, 160, 64, 64, "stretch")

    with pytest.raises(VideoError, match="another orientation"):
        next(
            plain_pass(
                clip("rotated_90"),
                fps=Fraction(1),
                geometry=geometry,
                rotation=rotation,
                flipped=flipped,
                threads=1,
                timeout_s=60,
            )
        )


def test_a_wrong_size_is_noticed(clip: ClipStore) -> None:
    geometry = FrameGeometry.fitted(164, 90, 64, 64, "stretch")

    with pytest.raises(VideoError, match="has 160 x 90 pixels in FFmpeg but 164 x 90 in vbench"):
        next(plain_pass(clip("constant"), fps=Fraction(1), geometry=geometry, threads=1, timeout_s=60))


def test_damage_anywhere_is_an_error_even_if_few_frames_are_asked_for(
    clip: ClipStore, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.ts"
    data = bytearray(clip("late_ts").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    damaged.write_bytes(data)
    info = probe(clip("late_ts"))
    frames = plain_pass(
        damaged, fps=Fraction(1), geometry=FrameGeometry.native(info), threads=1, timeout_s=60
    )

    with pytest.raises(VideoError, match="cannot be decoded"):
        list(frames)


def test_pictures_of_another_size_in_mid_stream_are_an_error(tmp_path: Path) -> None:
    for name, size in (("wide", "96x64"), ("tall", "64x96")):
        coder = "-c:v libvpx -deadline realtime -cpu-used -8 -g 12"
        run_ffmpeg(*f"{source(1, '12', size)} {coder} {tmp_path / name}.webm".split())
    listed, joined = tmp_path / "list.txt", tmp_path / "joined.webm"
    listed.write_text("file wide.webm\nfile tall.webm\n")
    run_ffmpeg("-f", "concat", "-i", str(listed), "-c", "copy", str(joined))
    geometry = FrameGeometry.fitted(96, 64, 96, 64, "stretch")

    with pytest.raises(VideoError):
        list(plain_pass(joined, fps=ALL, geometry=geometry, threads=1, timeout_s=60))


def test_a_file_that_names_others_is_not_opened(clip: ClipStore, tmp_path: Path) -> None:
    listed = tmp_path / "listed.mp4"
    listed.write_text(f"ffconcat version 1.0\nfile {clip('constant')}\n")
    geometry = FrameGeometry.native(probe(clip("constant")))

    with pytest.raises(VideoError):
        next(plain_pass(listed, fps=Fraction(1), geometry=geometry, threads=1, timeout_s=60))


def test_the_time_is_bounded(clip: ClipStore) -> None:
    geometry = FrameGeometry.native(probe(clip("constant")))

    with pytest.raises(VideoTimeoutError):
        list(plain_pass(clip("constant"), fps=ALL, geometry=geometry, threads=1, timeout_s=0.001))


def test_the_largest_stream_is_the_video_as_ffmpeg_chooses(clip: ClipStore, tmp_path: Path) -> None:
    both = tmp_path / "both.mp4"
    picture = "-f lavfi -i testsrc2=size=32x24:rate=1:duration=1"
    options = "-map 0 -map 1 -c:v:0 mjpeg -c:v:1 copy -pix_fmt:v:0 yuvj420p"
    run_ffmpeg(*picture.split(), "-i", str(clip("constant")), *options.split(), str(both))
    info = probe(clip("constant"))
    geometry = FrameGeometry.native(info)

    assert passed(both, info, geometry, ALL) == passed(clip("constant"), info, geometry, ALL)


def test_segments_joined_by_cat_are_decoded_whole(clip: ClipStore, tmp_path: Path) -> None:
    parts = []
    for number in range(3):
        part = tmp_path / f"{number}.ts"
        # Above 0, or FFmpeg would move the first segment alone, so that its decoding times are not negative.
        cut = ["-output_ts_offset", str(1 + 4 * number), "-muxdelay", "0", "-c", "copy"]
        run_ffmpeg("-i", str(clip("closed_gop")), *cut, str(part))
        parts.append(part)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    geometry = FrameGeometry.fitted(160, 90, 160, 90, "stretch")

    frames = [
        found(list(plain_pass(path, fps=ALL, geometry=geometry, threads=1, timeout_s=60)))
        for path in (*parts, joined)
    ]

    assert [len(each) for each in frames] == [120, 120, 120, 360]
    assert frames[3] == frames[0] + frames[1] + frames[2]


def test_a_packet_that_is_lost_is_still_an_error(clip: ClipStore, tmp_path: Path) -> None:
    data = clip("late_ts").read_bytes()
    lossy = tmp_path / "lossy.ts"
    at = len(data) // 188 // 2 * 188
    lossy.write_bytes(data[:at] + data[at + 4 * 188 :])
    geometry = FrameGeometry.native(probe(clip("late_ts")))

    with pytest.raises(VideoError):
        list(plain_pass(lossy, fps=ALL, geometry=geometry, threads=1, timeout_s=60))


def test_nothing_is_imported_that_the_service_could_be_wrong_by() -> None:
    shared = {
        "addresses",
        "cross_check.ffmpeg_run",
        "cross_check.frame_times",
        "cross_check.ts_continuity",
        "errors",
        "ffmpeg.executable",
        "ffmpeg.filters",
        "ffmpeg.process",
        "remedies",
        "types",
    }

    for each in (one_pass, ffmpeg_run, frame_times, ts_continuity):
        assert each.__file__ is not None
        for node in ast.walk(ast.parse(Path(each.__file__).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vbench"):
                assert (node.module or "").removeprefix("vbench.video.") in shared
