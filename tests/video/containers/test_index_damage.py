"""A damaged index of an MP4 file is an error: FFmpeg reads on with what it still gives."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.video.support.clips import RECIPES, ClipStore, run_ffmpeg, source
from tests.video.support.mp4_edits import Movie
from tests.video.support.oracle import ALL, found, truth
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.frames import decode_video
from vbench.video.probe import probe
from vbench.video.types import VideoLimits

Table = Callable[[bytes], int]


@pytest.fixture(scope="module")
def clip_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An MP4 file of 48 pictures in many chunks, since it has sound too."""
    path = tmp_path_factory.mktemp("index") / "clip.mp4"
    run_ffmpeg(
        *f"{source(2, '24', '96x64')} -f lavfi -i sine=duration=2 -c:a aac -c:v libx264 -preset fast "
        "-threads 1 -g 24 -bf 2".split(),
        str(path),
    )
    return path.read_bytes()


def table(data: bytes, kind: bytes) -> int:
    """Where the content of the video track's box of this kind begins."""
    return data.index(kind, data.index(b"vide")) + 4


def changed(data: bytes, kind: bytes, at: int, value: int) -> bytes:
    """The file with another number, ``at`` bytes into a table."""
    start = table(data, kind) + at
    return data[:start] + value.to_bytes(4, "big") + data[start + 4 :]


@pytest.mark.parametrize(
    ("kind", "at", "value", "reason"),
    [
        (b"stsc", 12, 7, r"chunks \(stsc, stco\) have \d+ samples, its table of sizes has 48"),
        (b"stsc", 8, 2, "samples per chunk .* does not increase"),
        (b"stsc", 12, 0, "chunk without samples"),
        (b"stsc", 16, 2, "description outside 1 to 1"),
        (b"stts", 8, 47, r"durations \(stts\) has 47 samples, its table of sizes has 48"),
        (b"ctts", 8, 9, r"time offsets \(ctts\) has \d+ samples"),
        (b"stss", 8, 0, "keyframes"),
        (b"stss", 12, 1000, "keyframes"),
        (b"stco", 8, 1 << 30, r"sample 1 of its video \(bytes 1073741824 to \d+\) is outside its data"),
        (b"stco", 8, 8, "sample 1 of its video .* is outside its data"),
        (b"stsz", 12, 1 << 20, "sample 1 of its video .* is outside its data"),
    ],
)
def test_tables_that_disagree_are_an_error(
    kind: bytes, at: int, value: int, reason: str, clip_bytes: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(changed(clip_bytes, kind, at, value))
    with pytest.raises(VideoError, match=f"has a damaged index: .*{reason}"):
        probe(path)


def test_chunks_that_overlap_are_an_error(clip_bytes: bytes, tmp_path: Path) -> None:
    first = int.from_bytes(clip_bytes[table(clip_bytes, b"stco") + 8 :][:4], "big")
    path = tmp_path / "overlapping.mp4"
    path.write_bytes(changed(clip_bytes, b"stco", 12, first + 8))
    with pytest.raises(VideoError, match=r"has a damaged index: samples \d+ and \d+ of its video overlap"):
        probe(path)


@pytest.mark.parametrize("kind", [b"stco", b"stsc", b"stsz"])
def test_of_two_tables_the_one_is_checked_that_ffmpeg_takes(
    kind: bytes, clip_bytes: bytes, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clip_bytes)
    content = Movie(clip).table(kind)
    other = content[:8] + bytes(len(content) - 8)
    right = (
        [content, other] if kind != b"stsz" else [other, content]
    )  # the first table of chunks, else the last

    for tables in (right, right[::-1]):
        movie = Movie(clip)
        movie.replace(kind, *tables)
        path = movie.write(tmp_path / "twice.mp4")
        if tables == right:
            frames = found(list(decode_video(path, fps=ALL, threads=1, timeout_s=30)))
            assert frames == truth(path).expected(ALL) == truth(clip).expected(ALL)
        else:
            with pytest.raises(VideoError):
                probe(path)


def test_a_table_of_more_samples_than_allowed_is_refused_before_it_is_read(
    clip_bytes: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "many.mp4"
    path.write_bytes(clip_bytes)
    with pytest.raises(VideoTooLargeError, match="more than 40 packets"):
        probe(path, VideoLimits(max_packets=40))


def test_no_damage_to_the_chunks_table_gives_other_frames_or_fewer(clip_bytes: bytes, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    whole.write_bytes(clip_bytes)
    known = truth(whole).expected(ALL)
    start = table(clip_bytes, b"stsc") + 4
    length = 4 + 12 * int.from_bytes(clip_bytes[start : start + 4], "big")
    path = tmp_path / "damaged.mp4"
    refused, draw = 0, random.Random(7)
    for _ in range(40):
        data = bytearray(clip_bytes)
        data[start + draw.randrange(length)] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        try:
            frames = found(list(decode_video(path, fps=ALL, threads=1, timeout_s=30)))
        except VideoError:
            refused += 1
        else:
            assert frames == known
    assert refused > 30


@pytest.mark.parametrize("name", [name for name, (suffix, _) in RECIPES.items() if suffix in ("mp4", "mov")])
def test_sound_tables_pass(name: str, clip: ClipStore) -> None:
    assert probe(clip(name)).frames > 0


def test_a_sample_whose_lengths_do_not_add_up_is_an_error(clip_bytes: bytes, tmp_path: Path) -> None:
    chunk = int.from_bytes(clip_bytes[table(clip_bytes, b"stco") + 8 :][:4], "big")
    sizes = np.frombuffer(clip_bytes, ">u4", 48, table(clip_bytes, b"stsz") + 12)
    data = bytearray(clip_bytes)
    second = chunk + int(sizes[0])
    data[second : second + 4] = (int(sizes[1]) + 5).to_bytes(4, "big")
    path = tmp_path / "lengths.mp4"
    path.write_bytes(data)
    with pytest.raises(VideoError, match=rf"packet 2.* has a NAL unit of {sizes[1] + 5} bytes, but only"):
        probe(path)


@pytest.mark.parametrize(
    ("packet", "fault"),
    [
        (b"\0\0\0\2ab\0\0\0\1c", None),
        (b"\0\0\0\2ab\0\0", None),  # padding
        (b"\0\0\0\2ab\0\0\0\3cd", (3, 2)),
        (b"\0\0\0\1\x65abcd", None),  # a start code
        (b"", None),
    ],
)
def test_lengths_are_added_up(packet: bytes, fault: tuple[int, int] | None) -> None:
    assert PacketReader(codec="h264", length_bytes=4).length_fault(packet) == fault
    assert PacketReader(codec="h264", length_bytes=0).length_fault(packet) is None


def test_start_codes_in_place_of_lengths_are_named(clip_bytes: bytes, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clip_bytes)
    movie = Movie(clip)
    reader = PacketReader(codec="h264", length_bytes=4)
    samples = [
        b"".join(b"\0\0\0\1" + unit for _, unit in reader.units_of_types(sample, range(32)))
        for sample in movie.samples()
    ]
    movie.put_samples(samples, per_chunk=len(samples))
    path = movie.write(tmp_path / "annexb.mp4")

    with pytest.raises(VideoError, match=r"start code where .* a NAL unit length, in packet 1 \(PTS 0\.000"):
        probe(path)
