"""Whatever is not a sound video ends as one clear error, soon, and never as fewer frames."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest

from tests.video.support.clips import ClipStore, run_ffmpeg, source
from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.probe import probe
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry, VideoLimits

ALL = Fraction(1000)
DAMAGED = ["faststart", "constant", "fragmented", "hevc", "av1", "variable_mkv", "vp9", "vp8", "open_gop_ts"]


def by_chunks(path: Path) -> int:
    """Frames that the chunks give together."""
    with Splitter(path, fps=ALL, chunk_s=Fraction(1)) as splitter:
        geometry = FrameGeometry.native(splitter.info)
        return sum(len(decode_chunk(c, geometry, threads=1, timeout_s=60).pts) for c in splitter)


def in_one_pass(path: Path) -> int:
    """Frames that one pass over the whole gives."""
    return sum(len(frames.pts) for frames in decode_video(path, fps=ALL, threads=1, timeout_s=60))


TS_PACKET = 188
"""Bytes."""

both_ways = pytest.mark.parametrize("decode", [by_chunks, in_one_pass])


@pytest.mark.parametrize("content", [b"just some text\n" * 200, Random(0).randbytes(50_000), b"\0" * 9000])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_text_and_noise_are_no_video(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"noise.{suffix}"
    path.write_bytes(content)

    with pytest.raises(VideoError, match="noise") as caught:
        probe(path)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()

    with pytest.raises(VideoError, match=r"empty.mp4 is empty"):
        probe(path)


@pytest.mark.parametrize(
    "playlist", ["ffconcat version 1.0\nfile {name}\n", "#EXTM3U\n#EXTINF:4,\nfile://{path}\n"]
)
@both_ways
def test_a_playlist_dressed_as_a_video_opens_no_other_file(
    playlist: str, decode: Callable[[Path], int], clip: ClipStore, tmp_path: Path
) -> None:
    neighbour = tmp_path / "neighbour.mp4"
    neighbour.write_bytes(clip("constant").read_bytes())
    path = tmp_path / "playlist.mp4"
    path.write_text(playlist.format(name=neighbour.name, path=neighbour))

    with pytest.raises(VideoError, match="cannot be opened as a video"):
        decode(path)


@pytest.mark.parametrize(
    "name",
    ["subfile,,start,0,end,0,,:{path}", "concat:{path}|{path}", "cache:{path}", "file,{path}", "data:,x"],
)
def test_a_protocol_in_the_name_is_just_a_name(name: str, clip: ClipStore) -> None:
    with pytest.raises(VideoError, match=r"cannot be read: (No such file|File name too long)"):
        probe(name.format(path=clip("constant")))


def test_a_file_of_an_odd_name_is_read_as_that_file(clip: ClipStore, tmp_path: Path) -> None:
    path = tmp_path / "subfile,,start,9,end,0,,:é %d 'x'.mp4"
    path.write_bytes(clip("constant").read_bytes())

    assert probe(path).frames == 120
    assert in_one_pass(path) == 120
    assert by_chunks(path) == 120


@both_ways
@pytest.mark.parametrize("name", DAMAGED)
def test_a_truncated_file_is_an_error(
    name: str, decode: Callable[[Path], int], clip: ClipStore, tmp_path: Path
) -> None:
    whole = clip(name)
    path = tmp_path / f"cut{whole.suffix}"
    # Two thirds, within a packet of MPEG-TS: it has no length, so at a packet's border nothing is amiss.
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3 // TS_PACKET * TS_PACKET + 100])

    with pytest.raises(VideoError, match="cut"):
        decode(path)


@both_ways
@pytest.mark.parametrize("name", DAMAGED)
def test_a_zeroed_range_is_an_error(
    name: str, decode: Callable[[Path], int], clip: ClipStore, tmp_path: Path
) -> None:
    content = bytearray(clip(name).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6000] = bytes(6000)
    path = tmp_path / f"zeroed{clip(name).suffix}"
    path.write_bytes(content)

    with pytest.raises(VideoError, match="zeroed"):
        decode(path)


@both_ways
@pytest.mark.parametrize("name", ["faststart", "hevc", "av1", "variable_mkv", "open_gop_ts"])
def test_flipped_bits_are_an_error(
    name: str, decode: Callable[[Path], int], clip: ClipStore, tmp_path: Path
) -> None:
    content = bytearray(clip(name).read_bytes())
    random = Random(1)
    for _ in range(40):
        content[random.randrange(len(content) // 4, len(content) * 3 // 4)] ^= 1 << random.randrange(8)
    path = tmp_path / f"flipped{clip(name).suffix}"
    path.write_bytes(content)

    with pytest.raises(VideoError, match="flipped"):
        decode(path)


@pytest.mark.parametrize("name", ["vp8", "vp9"])
def test_flipped_bits_that_few_decoders_can_see_never_cost_a_frame(
    name: str, clip: ClipStore, tmp_path: Path
) -> None:
    """VP8 and VP9 carry no checksum: most damage decodes to other pixels, the same for chunk and whole.

    Where it hits a length or a start code it is seen, and then both ways see it.
    """
    whole = clip(name).read_bytes()
    path = tmp_path / "flipped.webm"
    unseen = 0
    for seed in range(8):
        content, random = bytearray(whole), Random(seed)
        for _ in range(10):
            content[random.randrange(len(content) // 4, len(content) * 3 // 4)] ^= 1 << random.randrange(8)
        path.write_bytes(content)

        chunks, one_pass = _frames_or_none(by_chunks, path), _frames_or_none(in_one_pass, path)
        assert chunks == one_pass
        assert chunks in {None, 120}
        unseen += chunks is not None
    assert unseen > 0


def _frames_or_none(decode: Callable[[Path], int], path: Path) -> int | None:
    try:
        return decode(path)
    except VideoError:
        return None


def test_a_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "picture.mp4"
    run_ffmpeg(*source(1).split(), "-frames:v", "1", "-f", "image2", "-c:v", "png", str(path))

    with pytest.raises(VideoError, match="cannot be opened as a video"):
        probe(path)


def test_sound_alone_and_sound_with_a_cover_are_no_video(tmp_path: Path) -> None:
    sound, cover, both = (tmp_path / name for name in ("sound.m4a", "cover.png", "both.mp4"))
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", str(sound))
    run_ffmpeg(*source(1).split(), "-frames:v", "1", str(cover))
    run_ffmpeg("-i", str(sound), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy",
               "-disposition:v:0", "attached_pic", str(both))  # fmt: skip

    for path in (sound, both):
        with pytest.raises(VideoError, match="has no video stream"):
            probe(path)


def test_a_cover_beside_the_video_is_left_out(clip: ClipStore, tmp_path: Path) -> None:
    cover, path = tmp_path / "cover.png", tmp_path / "video.mp4"
    run_ffmpeg(*source(1).split(), "-frames:v", "1", str(cover))
    run_ffmpeg("-i", str(cover), "-i", str(clip("constant")), "-map", "0", "-map", "1", "-c", "copy",
               "-disposition:v:0", "attached_pic", "-disposition:v:1", "default", str(path))  # fmt: skip

    assert probe(path).frames == 120
    assert in_one_pass(path) == 120
    assert by_chunks(path) == 120


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "libx264"), ("mp4", "mpeg4"), ("flv", "flv")])
def test_containers_and_codecs_that_are_not_on_the_list_are_refused(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    path = tmp_path / f"other.{suffix}"
    run_ffmpeg(*source(1).split(), "-c:v", codec, "-pix_fmt", "yuv420p", str(path))

    with pytest.raises(VideoError, match=r"cannot be opened as a video|is coded as mpeg4"):
        probe(path)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.mp4"
    os.mkfifo(fifo)

    for path, reason in (
        (tmp_path / "missing.mp4", "No such file"),
        (tmp_path, "is a directory"),
        (fifo, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
    ):
        with pytest.raises(VideoError, match=reason) as caught:
            probe(path)
        assert str(path) in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(clip: ClipStore, tmp_path: Path) -> None:
    path = tmp_path / "secret.mp4"
    path.write_bytes(clip("constant").read_bytes())
    path.chmod(0)

    with pytest.raises(VideoError, match="permission denied"):
        probe(path)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://127.0.0.1:9/clip.mp4", "http is not supported"),
        ("s3://bucket/clip.mp4", "s3 is not supported"),
        ("file://elsewhere/clip.mp4", "only local files"),
        ("file:///clip.mp4?x=1", "not a plain file URI"),
        ("", "no video given"),
        ("a\0b.mp4", "cannot be read"),
    ],
)
def test_uris_of_other_places_are_refused(uri: str, reason: str) -> None:
    with pytest.raises(VideoError, match=reason):
        probe(uri)


def test_a_file_uri_is_a_path(clip: ClipStore, tmp_path: Path) -> None:
    path = tmp_path / "a name with 100%.mp4"
    path.write_bytes(clip("constant").read_bytes())

    assert probe(path.as_uri()).path == str(path)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mp4"
    run_ffmpeg(
        "-f", "lavfi", "-i", "color=s=4096x4096:r=1:d=2", "-c:v", "libx264", "-preset", "ultrafast", str(path)
    )

    with pytest.raises(VideoTooLargeError, match=r"4096 x 4096 pixels: 2073600 pixels are allowed"):
        probe(path, VideoLimits(max_pixels=1920 * 1080))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (VideoLimits(max_duration_s=2), "too long: 2 s"),
        (VideoLimits(max_packets=50), "more than 50 packets"),
        (VideoLimits(max_size_bytes=1000), "1000 are allowed"),
    ],
)
def test_limits_end_the_reading(limits: VideoLimits, reason: str, clip: ClipStore) -> None:
    with pytest.raises(VideoTooLargeError, match=reason):
        Splitter(clip("constant"), fps=Fraction(1), chunk_s=Fraction(1), limits=limits)


def test_a_last_frame_that_lasts_too_long_passes_the_limit_of_the_duration(
    clip: ClipStore, tmp_path: Path
) -> None:
    """120 frames at 30 frames/s, of which the last is shown from 3.97 s on."""
    path = clip("constant")
    assert probe(path, VideoLimits(max_duration_s=4.0)).duration_s == pytest.approx(4.0)
    with pytest.raises(VideoTooLargeError, match=r"too long: 3.98 s are allowed"):
        probe(path, VideoLimits(max_duration_s=3.98))


@pytest.mark.parametrize("matrix", ["YCgCo", "bt2020c"])
def test_colours_that_ffmpeg_cannot_convert_are_an_error(matrix: str, tmp_path: Path) -> None:
    path = tmp_path / "colours.mp4"
    run_ffmpeg(*source(1).split(), "-c:v", "libx264", "-x264-params", f"colormatrix={matrix}", str(path))

    with pytest.raises(VideoError, match="colours that cannot be converted"):
        probe(path)


def test_two_pictures_at_the_same_time_are_an_error(clip: ClipStore, tmp_path: Path) -> None:
    path = tmp_path / "twice.mkv"
    run_ffmpeg(*source(1).split(), "-vf", "setpts=if(eq(N\\,5)\\,4\\,N)/30/TB", "-fps_mode", "passthrough",
               "-enc_time_base", "1/1000", "-c:v", "libvpx", "-lag-in-frames", "0", str(path))  # fmt: skip

    with pytest.raises(VideoError, match="two frames with the same timestamp"):
        in_one_pass(path)
