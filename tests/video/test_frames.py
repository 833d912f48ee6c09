"""Frames lie upright and in place, in the right colours, in bounded time, and are all there or an error."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from tests.video.support.clips import ClipStore, run_ffmpeg, source
from tests.video.support.oracle import ALL, PLAIN, Truth, found, one_chunk, pixel_md5, truth
from vbench.video.digest import combine, frame_digests
from vbench.video.errors import ToolMissingError, VideoError, VideoTimeoutError
from vbench.video.ffmpeg.executable import ffmpeg_path, require_hwaccel
from vbench.video.ffmpeg.filters import select_expression
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.probe import probe
from vbench.video.split import Splitter
from vbench.video.types import Fit, FrameGeometry, Frames


def ffmpegs() -> list[int]:
    """Ids of the FFmpegs (scripts in its place included) that this process started and did not reap.

    Other tests of the same process may have a Ray cluster among its children.
    """
    started = []
    for child in psutil.Process().children():
        command = [child.name()] if child.status() == psutil.STATUS_ZOMBIE else child.cmdline()[:2]
        if any("ffmpeg" in part for part in command):
            started.append(child.pid)
    return started


def plain_rgb(path: Path, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The first frame as FFmpeg shows it: turned by itself, default scaler."""
    command = [ffmpeg_path(), "-loglevel", "error", "-i", str(path), "-frames:v", "1", "-pix_fmt", "rgb24"]
    done = subprocess.run([*command, "-f", "rawvideo", "pipe:1"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(height, width, 3)


@pytest.mark.parametrize(
    ("name", "size", "turn"),
    [
        ("rotated_90", (90, 160), lambda picture: np.rot90(picture, -1)),
        ("rotated_180", (160, 90), lambda picture: np.rot90(picture, 2)),
        ("rotated_270", (90, 160), lambda picture: np.rot90(picture, 1)),
        ("mirrored", (160, 90), np.fliplr),
    ],
)
def test_turned_videos_come_out_upright(
    name: str,
    size: tuple[int, int],
    turn: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]],
    clip: ClipStore,
) -> None:
    chunk, as_coded = one_chunk(clip(name), Fraction(1)), one_chunk(clip("constant"), Fraction(1))
    info = chunk.info
    coded = decode_chunk(as_coded, FrameGeometry.native(as_coded.info), threads=1, timeout_s=60)

    frames = decode_chunk(chunk, FrameGeometry.native(info), threads=1, timeout_s=60)
    whole = list(decode_video(clip(name), fps=Fraction(1), threads=1, timeout_s=60))

    assert (info.width, info.height) == size
    assert found([frames]) == found(whole)
    assert found([frames]) == [
        (int(pts), pixel_md5(turn(picture))) for pts, picture in zip(coded.pts, coded.pixels, strict=True)
    ]
    shown = plain_rgb(clip(name), *size).astype(np.int16)  # its chroma is interpolated before it is turned
    assert np.abs(shown - frames.pixels[0]).mean() < 10
    assert np.abs(shown - np.rot90(frames.pixels[0], 2)).mean() > 40


@pytest.mark.parametrize("name", ["rotated_90", "odd_444", "constant", "ten_bit"])
@pytest.mark.parametrize(
    ("fit", "size"), [("letterbox", (96, 96)), ("letterbox", (33, 57)), ("stretch", (97, 41))]
)
def test_chunk_and_whole_agree_at_any_size(
    name: str, fit: Fit, size: tuple[int, int], clip: ClipStore
) -> None:
    chunk = one_chunk(clip(name), Fraction(5))
    geometry = FrameGeometry.fitted(chunk.info.width, chunk.info.height, *size, fit)

    frames = decode_chunk(chunk, geometry, threads=2, timeout_s=60)
    whole = decode_video(clip(name), fps=Fraction(5), geometry=lambda _: geometry, threads=1, timeout_s=60)

    assert frames.pixels.shape[1:] == (size[1], size[0], 3)
    assert found([frames]) == found(list(whole))


@pytest.mark.parametrize("name", ["constant", "odd_444", "ten_bit", "full_range"])
@pytest.mark.parametrize("instructions", ["all", "none"])
def test_frames_are_those_of_one_plain_step_whatever_the_cpu_can(
    name: str, instructions: str, clip: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a scaler that goes to packed RGB at once; with vector code and without."""
    chunk = one_chunk(clip(name))
    expected = truth(clip(name), PLAIN.replace("scale=", "scale=97:41:")).expected(ALL)
    if instructions == "none":
        slow = tmp_path / "ffmpeg"
        slow.write_text(f'#!/bin/sh\nexec "{ffmpeg_path()}" -cpuflags 0 "$@"\n')
        slow.chmod(0o755)
        monkeypatch.setenv("VBENCH_FFMPEG", str(slow))

    geometry = FrameGeometry.fitted(chunk.info.width, chunk.info.height, 97, 41, "stretch")
    frames = decode_chunk(chunk, geometry, threads=1, timeout_s=60)

    assert found([frames]) == expected


def test_what_the_picture_does_not_cover_is_grey_and_nothing_else_is(clip: ClipStore) -> None:
    chunk = one_chunk(clip("constant"), Fraction(1))
    geometry = FrameGeometry.fitted(160, 90, 64, 64, "letterbox")
    inner = FrameGeometry.fitted(160, 90, 64, 36, "stretch")

    padded = decode_chunk(chunk, geometry, threads=1, timeout_s=60).pixels
    alone = decode_chunk(chunk, inner, threads=1, timeout_s=60).pixels

    assert (geometry.pad_y, geometry.inner_height) == (14, 36)
    assert np.array_equal(padded[:, 14:50], alone)
    assert (np.delete(padded, np.s_[14:50], axis=1) == 114).all()


def test_colours_that_only_the_container_tells_reach_the_chunks(
    clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    chunk = one_chunk(clip("colour_in_container"))

    frames = decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=60)

    assert (chunk.info.color_matrix, chunk.info.color_range) == ("bt709", "pc")
    assert found([frames]) == truth_of("colour_in_container").expected(ALL)
    assert found([frames])[0][1] != truth_of("constant").expected(ALL)[0][1]


def test_known_colours_come_out_as_they_are(tmp_path: Path) -> None:
    for matrix in ("bt709", "smpte170m"):
        path = tmp_path / f"{matrix}.mp4"
        run_ffmpeg("-f", "lavfi", "-i", "color=c=0xC81E3C:s=64x64:r=5:d=1,format=rgb24", "-vf",
                   f"scale=out_color_matrix={matrix}:out_range=tv", "-c:v", "libx264", "-qp", "1",
                   "-pix_fmt", "yuv444p", "-colorspace", matrix, "-color_range", "tv", str(path))  # fmt: skip
        chunk = one_chunk(path)
        frames = decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=60)
        assert np.abs(frames.pixels.astype(int) - (0xC8, 0x1E, 0x3C)).max() <= 3


def test_batches_hold_the_frames_in_order_and_are_as_large_as_asked(clip: ClipStore) -> None:
    batches = list(decode_video(clip("constant"), fps=ALL, threads=1, timeout_s=60, batch_frames=50))
    single = list(decode_video(clip("constant"), fps=ALL, threads=1, timeout_s=60))

    assert [len(batch.pts) for batch in batches] == [50, 50, 20]
    assert [len(batch.pts) for batch in single] == [120]
    assert found(batches) == found(single)
    assert all(batch.pixels.flags.c_contiguous for batch in batches)


def test_a_filter_longer_than_an_argument_may_be_goes_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "many.mp4"
    run_ffmpeg(*source(100, rate="60", size="32x32", filters="null").split(), "-c:v", "libx264",
               "-preset", "ultrafast", "-g", "60", str(path))  # fmt: skip
    known = truth(path)

    frames = decode_chunk(one_chunk(path), FrameGeometry.native(probe(path)), threads=2, timeout_s=60)
    whole = list(decode_video(path, fps=ALL, threads=2, timeout_s=60))

    assert len(select_expression(frames.pts.tolist())) > 128 * 1024
    assert found([frames]) == found(whole) == known.expected(ALL)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_the_select_expression_names_every_pts_once(count: int) -> None:
    pts = [10 * number for number in range(count)]

    assert [select_expression(pts).count(f"eq(pts,{one})") for one in pts] == [1] * count


def test_a_chunk_without_a_packet_it_needs_is_an_error(clip: ClipStore) -> None:
    chunk = one_chunk(clip("long_gop"), Fraction(2))
    payload = chunk.payload

    for broken in (payload[: len(payload) // 2], np.delete(payload, np.s_[20_000:30_000]), payload[:100]):
        with pytest.raises(VideoError, match=r"chunk 0 of .*long_gop"):
            decode_chunk(
                replace(chunk, payload=broken), FrameGeometry.native(chunk.info), threads=1, timeout_s=60
            )


def test_targets_that_the_payload_does_not_show_are_an_error(clip: ClipStore) -> None:
    chunk = one_chunk(clip("constant"), Fraction(1))
    geometry = FrameGeometry.native(chunk.info)

    for sampled_pts, gives in (
        (chunk.sampled_pts + 1, "0 of 4"),
        (np.append(chunk.sampled_pts, 10**9), "4 of 5"),
    ):
        with pytest.raises(VideoError, match=f"yielded {gives} sampled frames"):
            decode_chunk(replace(chunk, sampled_pts=sampled_pts), geometry, threads=1, timeout_s=60)


def test_time_is_bounded_and_ffmpeg_is_gone_afterwards(clip: ClipStore) -> None:
    chunk = one_chunk(clip("constant"))
    geometry = FrameGeometry.native(chunk.info)

    with pytest.raises(VideoTimeoutError, match=r"was not decoded within 0.001 s"):
        decode_chunk(chunk, geometry, threads=1, timeout_s=0.001)
    with pytest.raises(VideoTimeoutError):
        list(decode_video(clip("constant"), fps=ALL, threads=1, timeout_s=0.001))
    assert ffmpegs() == []


def test_an_ffmpeg_that_hangs_is_killed(
    clip: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "ffmpeg"
    hanging.write_text('#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg version 9.0" || exec sleep 1000\n')
    hanging.chmod(0o755)
    monkeypatch.setenv("VBENCH_FFMPEG", str(hanging))
    chunk = one_chunk(clip("constant"))

    with pytest.raises(VideoTimeoutError, match="chunk 0"):
        decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=0.3)
    assert ffmpegs() == []


def test_a_pass_that_is_left_early_leaves_no_ffmpeg_behind(clip: ClipStore) -> None:
    frames = decode_video(clip("constant"), fps=ALL, threads=1, timeout_s=60, batch_frames=1)
    next(frames)
    running = ffmpegs()

    frames.close()

    assert len(running) == 1
    assert ffmpegs() == []


def test_several_threads_can_decode_at_once(clip: ClipStore, truth_of: Callable[[str], Truth]) -> None:
    with Splitter(clip("open_gop"), fps=ALL, chunk_s=Fraction(1, 2)) as splitter:
        chunks = list(splitter)
    geometry = FrameGeometry.native(splitter.info)

    with ThreadPoolExecutor(6) as pool:
        frames = list(
            pool.map(lambda chunk: decode_chunk(chunk, geometry, threads=2, timeout_s=60), chunks * 2)
        )

    expected = truth_of("open_gop").expected(ALL)
    assert found(frames) == expected * 2


def test_many_decoder_threads_fit_the_memory_limit_and_change_no_pixel(
    clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    chunk = one_chunk(clip("open_gop"))

    frames = decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=16, timeout_s=60)

    assert found([frames]) == truth_of("open_gop").expected(ALL)


def test_digests_tell_pts_and_pixels_apart_and_do_not_depend_on_batches(clip: ClipStore) -> None:
    chunk = one_chunk(clip("constant"), Fraction(3))
    frames = decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=60)
    digests = frame_digests(frames)
    changed = frames.pixels.copy()
    changed[2, 5, 7, 1] ^= 1
    later = Frames(pts=frames.pts + 1, pixels=frames.pixels, geometry=frames.geometry)
    other = Frames(pts=frames.pts, pixels=changed, geometry=frames.geometry)
    batches = decode_video(clip("constant"), fps=Fraction(3), threads=1, timeout_s=60, batch_frames=5)

    assert digests == [digest for batch in batches for digest in frame_digests(batch)]
    assert len(set(digests)) == len(digests) == 12
    assert not set(digests) & set(frame_digests(later))
    assert [a == b for a, b in zip(digests, frame_digests(other), strict=True)].count(False) == 1
    assert combine(digests) != combine(digests[::-1])
    assert len(combine(digests)) == len(digests[0]) == 32


def test_a_digest_is_the_same_on_every_machine() -> None:
    geometry = FrameGeometry.fitted(2, 1, 2, 1, "stretch")
    frames = Frames(
        pts=np.array([-5, 7], np.int64),
        pixels=np.arange(12, dtype=np.uint8).reshape(2, 1, 2, 3),
        geometry=geometry,
    )

    assert frame_digests(frames) == [
        "22d7a3e0b7fbf7665a59926269b00263",
        "a8a7d1881716dd95515db878fea1fb0f",
    ]
    assert combine(frame_digests(frames)) == "0d5add469e769ad63e4a6bc8885c2ef6"


def test_reading_video_loads_neither_ray_nor_torch_nor_the_rest_of_vbench() -> None:
    program = (
        "import sys, vbench.video.split, vbench.video.frames, vbench.video.digest\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('ray', 'torch', 'hydra', 'mlflow')"
        " or m.startswith('vbench.') and not m.startswith('vbench.video')])\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["constant", "hevc"])
def test_hardware_decodes_to_the_same_frames_or_says_that_it_cannot(name: str, clip: ClipStore) -> None:
    chunk = one_chunk(clip(name), Fraction(5))
    geometry = FrameGeometry.native(chunk.info)
    try:
        require_hwaccel("cuda")
    except ToolMissingError:  # what cannot be had must not be done by the CPU instead, unseen
        with pytest.raises(VideoError, match="cannot be decoded"):
            decode_chunk(chunk, geometry, threads=1, timeout_s=60, hwaccel="cuda")
        return
    frames = decode_chunk(chunk, geometry, threads=1, timeout_s=60, hwaccel="cuda")
    assert found([frames]) == found([decode_chunk(chunk, geometry, threads=1, timeout_s=60)])
