"""What FFmpeg decodes without an error gives the same frames, whatever the container; or a true refusal."""

import random
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.video.support.as_ffmpeg import SHORT, X264, Make, assert_as_ffmpeg, service
from tests.video.support.clips import ClipStore, run_ffmpeg, source
from tests.video.support.edit_lists import EMPTY, Segment, with_edit_list
from tests.video.support.fields import Packing, field_coded
from tests.video.support.mp4_edits import Movie
from tests.video.support.oracle import truth
from tests.video.support.vfw import as_vfw
from vbench.video.errors import VideoError
from vbench.video.probe import probe, read_index

EDITS: dict[str, tuple[list[Segment], int]] = {
    "two": ([(0.3, 0.5), (1.2, 0.5)], 24),
    "backwards": ([(1.2, 0.5), (0.3, 0.5)], 24),
    "repeated": ([(0.3, 0.25), (0.3, 0.25), (0.3, 0.25)], 18),
    "adjacent": ([(0.25, 0.5), (0.75, 0.5)], 24),
    "an empty one first": ([(EMPTY, 0.5), (0.3, 0.5), (1.2, 0.5)], 24),
    # FFmpeg shows two frames beyond the second segment.
    "empty ones between": ([(EMPTY, 0.4), (0.5, 0.5), (EMPTY, 0.25), (1.5, 0.4)], 26),
    "slow": ([(0.3, 0.5), (1.2, 0.5)], 24),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_list_of_several_segments_is_read_as_ffmpeg_does(
    name: str, make: Make, tmp_path: Path
) -> None:
    segments, count = EDITS[name]
    rate = 0.5 if name == "slow" else 1
    path = with_edit_list(make("short.mp4", SHORT), tmp_path / "edited.mp4", segments, rate=rate)

    assert_as_ffmpeg(path, count)


def shuffled(path: Path, copy: Path, *, seed: int) -> Path:
    """Write ``copy``: ``path``, whose chunks of two samples lie in the file in another order."""
    movie = Movie(path)
    samples = movie.samples()
    count = len(samples) // 2
    order = random.Random(seed).sample(range(count), count) if seed else range(count)[::-1]
    movie.put_samples(samples, per_chunk=2, order=order)
    return movie.write(copy)


@pytest.mark.parametrize("seed", [0, 1], ids=["reversed", "shuffled"])
@pytest.mark.parametrize(
    "codec",
    [X264, "-c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1:keyint=12:bframes=2"],
    ids=["H.264", "HEVC"],
)
def test_chunks_may_lie_in_the_file_in_any_order(codec: str, seed: int, make: Make, tmp_path: Path) -> None:
    clip = make(f"chunks{len(codec)}.mp4", f"{source(seconds=2, rate='24')} {codec}")

    assert_as_ffmpeg(shuffled(clip, tmp_path / "moved.mp4", seed=seed), 48, truth(clip))


@pytest.mark.parametrize("name", ["two", "backwards", "repeated"])
def test_an_edit_list_applies_to_chunks_in_any_order(name: str, make: Make, tmp_path: Path) -> None:
    segments, count = EDITS[name]
    clip = with_edit_list(make("short.mp4", SHORT), tmp_path / "edited.mp4", segments)

    assert_as_ffmpeg(shuffled(clip, tmp_path / "moved.mp4", seed=1), count)


@pytest.mark.parametrize(
    "codec",
    [
        f"{X264}:open-gop=1",
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1:keyint=12:bframes=2:open-gop=0",
        "-c:v libvpx-vp9 -auto-alt-ref 1 -lag-in-frames 16 -deadline good -cpu-used 8 -g 12 -threads 1",
    ],
    ids=["open H.264", "HEVC", "VP9"],
)
def test_pictures_before_a_segment_are_decoded_and_not_shown(codec: str, make: Make, tmp_path: Path) -> None:
    clip = make(f"{codec.split(maxsplit=2)[1]}-{len(codec)}.mp4", f"{source(seconds=2, rate='24')} {codec}")
    path = with_edit_list(clip, tmp_path / "edited.mp4", [(0.3, 0.5), (1.2, 0.5)])

    assert_as_ffmpeg(path, 24)


def test_a_jump_at_which_hevc_decoders_lose_pictures_is_named(clip: ClipStore, tmp_path: Path) -> None:
    path = with_edit_list(clip("hevc"), tmp_path / "edited.mp4", [(0.5, 1), (1.2, 1)])

    assert len(truth(path).pixels) == 46
    with pytest.raises(
        VideoError, match=r"jumps, after 0\.967 s, to the middle .* lose 14 of its 60 pictures"
    ):
        probe(path)


def test_a_jump_at_which_hevc_decoders_lose_nothing_is_as_good_as_any(
    clip: ClipStore, tmp_path: Path
) -> None:
    path = with_edit_list(clip("hevc"), tmp_path / "edited.mp4", [(0.5, 1), (2.5, 1)])

    assert_as_ffmpeg(path, 60)


INTRA_REFRESH = "-c:v libx264 -preset ultrafast -threads 1 -x264-params intra-refresh=1:keyint=12:bframes=0"


def test_what_begins_before_any_picture_is_exact_is_refused(make: Make) -> None:
    whole = make("refresh.mkv", f"{source(seconds=2, rate='24')} {INTRA_REFRESH}")
    cut = make("refresh-cut.mp4", f"-ss 1 -i {whole} -c copy")

    assert_as_ffmpeg(whole, 48)
    with pytest.raises(VideoError, match=r"starts in the middle of a coded sequence \(intra refresh\)"):
        probe(cut)


def test_decoding_times_that_stand_for_presentation_times_are_refused(make: Make) -> None:
    path = make("swapped.mkv", f"-i {make('short.mp4', SHORT)} -c copy -bsf:v setts=pts=DTS")

    with pytest.raises(
        VideoError, match=r"another order than its pictures are presented .*: ffmpeg -r 24 -i"
    ):
        probe(path)


def test_pictures_that_are_not_reordered_though_the_stream_says_so_are_read(make: Make) -> None:
    coder = X264.replace("-bf 2", "-bf 2 -b_strategy 1")
    still = "-f lavfi -i color=size=96x64:rate=24:duration=2,geq=lum='mod(N*97\\,255)'"
    path = make("unordered.mp4", f"{still} {coder}")

    with av.open(path) as file:
        assert file.streams.video[0].codec_context.has_b_frames
    assert_as_ffmpeg(path, 48)


def test_times_that_only_the_demuxer_knows_are_no_time_stamps(make: Make, tmp_path: Path) -> None:
    path = as_vfw(make("short.mkv", SHORT), tmp_path / "vfw.mkv")

    with pytest.raises(VideoError, match=r"without a PTS.*: ffmpeg -r 24 -i"):
        probe(path)


def test_pictures_that_nobody_shows_need_no_time_stamp(make: Make, tmp_path: Path) -> None:
    clip = make("open.mkv", f"{source(seconds=2, rate='24')} {X264}:open-gop=1")
    path = tmp_path / "cut.mkv"
    run_ffmpeg("-ss", "0.8", "-i", str(clip), "-c", "copy", "-live", "1", str(path))
    with av.open(str(path)) as opened:
        opened.flags &= ~1  # AVFMT_FLAG_GENPTS
        assert None in [packet.pts for packet in opened.demux(video=0) if packet.size]

    assert_as_ffmpeg(path, 36)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("packing", ["together", "apart", "apart_without_times"])
def test_two_fields_are_one_frame(packing: Packing, container: str, tmp_path: Path) -> None:
    path = field_coded(tmp_path / f"fields.{container}", packing=packing, seconds=1)

    assert_as_ffmpeg(path, 24)


def test_a_field_without_a_second_is_named(tmp_path: Path) -> None:
    whole = field_coded(tmp_path / "fields.mkv", packing="apart", seconds=1)
    path = tmp_path / "lone.mkv"
    _remux(whole, path, lambda packets: packets[:21] + packets[22:])

    with pytest.raises(VideoError, match=r"a field without its second field at 0\.4\d\d s"):
        probe(path)


@pytest.mark.parametrize(
    "codec",
    [
        "libx264 -preset ultrafast -bf 0",
        "libx265 -preset ultrafast -x265-params log-level=error:pools=1:bframes=0",
    ],
)
def test_a_packet_of_two_pictures_is_named(codec: str, make: Make, tmp_path: Path) -> None:
    clip = make(f"{codec.split(maxsplit=1)[0]}.mkv", f"{source(seconds=1, rate='24')} -c:v {codec}")
    path = tmp_path / "pair.mkv"
    _remux(clip, path, lambda packets: [*packets[:12], packets[12] + packets[13], *packets[14:]])

    with pytest.raises(VideoError, match=r"a packet with several pictures at 0\.5\d* s"):
        probe(path)


def _remux(path: Path, copy: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Copy a video of 24 frames or 48 fields per second with other packets, timed as the first ones."""
    with av.open(str(path)) as read, av.open(str(copy), "w") as written:
        stream = read.streams.video[0]
        target = written.add_stream_from_template(stream, opaque=True)
        packets = [packet for packet in read.demux(stream) if packet.size]
        contents = change([bytes(packet) for packet in packets])
        for packet, content in zip(packets, contents, strict=False):
            changed = av.Packet(content)
            changed.pts, changed.dts, changed.time_base = packet.pts, packet.pts, packet.time_base
            changed.is_keyframe, changed.stream = packet.is_keyframe, target
            written.mux_one(changed)


BEHIND = {
    "ID3v1": b"TAG" + b"song" * 31 + b"x",
    "XML": b'<?xml version="1.0"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>' * 9,
    "text that names boxes": b"moov, moof and mdat are what it is made of\n" * 40,
    "zeros": bytes(5000),
    "three bytes": b"end",
    "a text that begins as an element of 1901 bytes": b"TAGmade by",
    "a text that begins as a packet": b"Good bye",
    "a letter, again and again": b"G" * 400,
    "boxes": struct.pack(">I4s16x", 24, b"uuid") + struct.pack(">I4sQ16x", 1, b"free", 32),
    "an unknown box": struct.pack(">I4s8x", 16, b"zzzz"),
}


@pytest.mark.parametrize("name", BEHIND)
@pytest.mark.parametrize("container", ["mp4", "frag.mp4", "mkv", "ts", "live.webm"])
def test_bytes_behind_the_end_change_nothing(name: str, container: str, make: Make, tmp_path: Path) -> None:
    clip = _plain(container, make)
    path = tmp_path / clip.name
    path.write_bytes(clip.read_bytes() + BEHIND[name])

    info, index = read_index(path)

    before = read_index(clip)
    assert info.frames == before[0].frames == 48
    assert index.pts.tolist() == before[1].pts.tolist()


def _plain(container: str, make: Make) -> Path:
    if container == "frag.mp4":
        return make("frag.mp4", f"{SHORT} -movflags +frag_keyframe+empty_moov")
    if container == "live.webm":
        video = source(seconds=2, rate="24")
        return make("live.webm", f"{video} -c:v libvpx -deadline good -cpu-used 8 -g 12 -threads 1 -live 1")
    return make(f"short.{container}", SHORT)


@pytest.mark.parametrize("offset", [0, 8, 88])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_fragment_that_was_overwritten_is_damage(
    number: int, offset: int, make: Make, tmp_path: Path
) -> None:
    content = bytearray(_plain("frag.mp4", make).read_bytes())
    at = [start for kind, start, _ in _mp4_boxes(bytes(content)) if kind == b"moof"][number] + offset
    content[at : at + 64] = bytes(64)
    path = tmp_path / "overwritten.mp4"
    path.write_bytes(content)

    with pytest.raises(VideoError, match=f"damaged at byte {at}: no box"):
        probe(path)


def test_a_fragment_that_was_cut_out_is_named(make: Make, tmp_path: Path) -> None:
    content = _plain("frag.mp4", make).read_bytes()
    boxes = _mp4_boxes(content)
    starts = [start for kind, start, _ in boxes if kind == b"moof"]
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: starts[1]] + content[starts[2] :])

    with pytest.raises(VideoError, match=f"damaged before byte {starts[1]}: its movie fragment 2 is missing"):
        probe(path)


def _mp4_boxes(content: bytes) -> list[tuple[bytes, int, int]]:
    boxes, at = [], 0
    while at + 8 <= len(content):
        end = at + int.from_bytes(content[at : at + 4], "big")
        boxes.append((content[at + 4 : at + 8], at, end))
        at = end
    return boxes


def test_a_live_recording_that_breaks_off_within_a_block_is_truncated(make: Make, tmp_path: Path) -> None:
    content = _plain("live.webm", make).read_bytes()
    path = tmp_path / "broken.webm"
    path.write_bytes(content[:-20])

    with pytest.raises(VideoError, match=r"is truncated: it has \d+ of the \d+ bytes"):
        probe(path)


@pytest.mark.parametrize("matrix", [0, 3])
def test_ycbcr_of_a_matrix_that_cannot_be_meant_is_converted_as_if_untagged(
    matrix: int, make: Make, tmp_path: Path
) -> None:
    clip, path = make("short.mp4", SHORT), tmp_path / "tagged.mp4"
    run_ffmpeg(
        "-i", str(clip), "-c", "copy", "-bsf:v", f"h264_metadata=matrix_coefficients={matrix}", str(path)
    )

    assert (
        service(path, Fraction(2)) == truth(path).expected(Fraction(2)) == truth(clip).expected(Fraction(2))
    )


def _beside(make: Make, path: Path, other: str, *options: str) -> None:
    """Write another video stream of one second, and the plain clip as the second stream."""
    run_ffmpeg(*source(1, rate="1").split(), "-i", str(make("short.mp4", SHORT)), "-map", "0", "-map", "1",
               *other.split(), "-c:v:1", "copy", *options, str(path))  # fmt: skip


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("other", ["-c:v:0 mjpeg -pix_fmt:v:0 yuvj420p", "-c:v:0 png"])
def test_a_thumbnail_before_the_video_is_left_out(
    other: str, container: str, make: Make, tmp_path: Path
) -> None:
    path = tmp_path / f"thumbnail.{container}"
    _beside(make, path, other)

    info, index = read_index(path)

    assert (info.codec, info.frames, index.stream) == ("h264", 48, 1)


def test_of_two_videos_the_one_that_ffmpeg_takes_is_read(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    streams = {}
    for disposition in ("default", "0"):
        _beside(make, path, "-c:v:0 libx264", "-disposition:v:0", disposition, "-disposition:v:1", "default")
        streams[disposition] = read_index(path)[1].stream

    assert streams == {"default": 0, "0": 1}


@pytest.mark.parametrize(
    "codec", ["libx264", "libx265", "libaom-av1 -cpu-used 8", "libvpx-vp9 -deadline realtime"]
)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_larger_video_that_starts_late_is_left_out_as_ffmpeg_does(
    container: str, codec: str, make: Make, tmp_path: Path
) -> None:
    """FFmpeg prefers streams that have packets where it probes the file, which is its first five seconds."""
    path = tmp_path / f"late.{container}"
    picture = "-f lavfi -i testsrc2=size=640x360:rate=5:duration=1"
    larger = make(f"{codec.split(maxsplit=1)[0]}.mkv", f"{picture} -c:v {codec}")
    small = make("long.mp4", "-f lavfi -i testsrc2=size=160x90:rate=5:duration=20 -c:v libx264")
    run_ffmpeg("-itsoffset", "15", "-i", str(larger), "-i", str(small), "-map", "0", "-map", "1",
               "-c", "copy", str(path))  # fmt: skip

    info, index = read_index(path)

    assert (info.width, info.height, index.stream) == (160, 90, 1)


def test_a_stream_that_cannot_be_read_matters_only_if_ffmpeg_would_take_it(
    make: Make, tmp_path: Path
) -> None:
    path = tmp_path / "two.mkv"
    _beside(make, path, "-c:v:0 mpeg4", "-disposition:v:0", "0", "-disposition:v:1", "default")
    assert probe(path).frames == 48

    _beside(make, path, "-c:v:0 mpeg4", "-disposition:v:0", "default", "-disposition:v:1", "0")
    with pytest.raises(VideoError, match="is coded as mpeg4"):
        probe(path)
