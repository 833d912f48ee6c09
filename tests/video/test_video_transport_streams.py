"""Transport streams: joined, cut, with bytes around or between packets; as FFmpeg reads them, or named."""

from fractions import Fraction
from pathlib import Path

import pytest
from as_ffmpeg import SHORT, Make, assert_as_ffmpeg
from oracle import found, truth

from vbench.video.errors import VideoError
from vbench.video.frames import decode_video
from vbench.video.probe import probe

TS_PACKET = 188
SEGMENTED = "-f segment -segment_time 0.5 -segment_format mpegts"


@pytest.fixture(scope="session")
def joined(make: Make) -> Path:
    """Three transport-stream segments, whose continuity counters begin anew, one behind the other."""
    first = make("part%d.ts", f"{SHORT} {SEGMENTED}")
    path = first.with_name("joined.ts")
    path.write_bytes(b"".join(first.with_name(f"part{number}.ts").read_bytes() for number in range(3)))
    return path


def test_segments_joined_byte_by_byte_lose_no_frame(joined: Path) -> None:
    assert_as_ffmpeg(joined, 36)
    whole = decode_video(joined, fps=Fraction(5), threads=1, timeout_s=60)
    assert found(list(whole)) == truth(joined).expected(Fraction(5))


def test_a_lost_packet_is_no_join(joined: Path, tmp_path: Path) -> None:
    packets = _ts_packets(joined.read_bytes())
    video = [at for at, packet in enumerate(packets) if packet[1] & 31 == 1 and packet[2] == 0]
    path = tmp_path / "lost.ts"
    path.write_bytes(b"".join(packet for at, packet in enumerate(packets) if at != video[len(video) // 2]))

    with pytest.raises(VideoError, match="transport-stream packets of its video are missing or repeated"):
        probe(path)


def test_a_recording_behind_a_later_one_is_named(make: Make, tmp_path: Path) -> None:
    clip = make("short.ts", SHORT)
    path = tmp_path / "again.ts"
    path.write_bytes(clip.read_bytes() * 2)

    with pytest.raises(VideoError, match=r"time stamps that go back after 1\.958 s, as joined recordings"):
        probe(path)


@pytest.mark.parametrize(("before", "behind"), [(0, 0), (4, 0), (0, 16)], ids=["plain", "M2TS", "DVB"])
def test_packets_of_a_transport_stream_may_have_bytes_around_them(
    before: int, behind: int, make: Make, tmp_path: Path
) -> None:
    clip = make("short.ts", SHORT)
    path = tmp_path / "wide.ts"
    path.write_bytes(b"".join(bytes(before) + p + bytes(behind) for p in _ts_packets(clip.read_bytes())))

    assert_as_ffmpeg(path, 48)

    path.write_bytes(path.read_bytes()[: -100 - behind])
    with pytest.raises(VideoError, match="last transport-stream packet has 88 bytes of 188"):
        probe(path)


def test_bytes_between_transport_stream_packets_are_damage(make: Make, tmp_path: Path) -> None:
    content = make("short.ts", SHORT).read_bytes()
    path = tmp_path / "gap.ts"
    path.write_bytes(content[: 50 * TS_PACKET + 77] + content[100 * TS_PACKET :])

    with pytest.raises(VideoError, match=f"damaged at byte {51 * TS_PACKET}: no transport-stream packet"):
        probe(path)


def test_a_transport_stream_may_start_in_the_middle_of_a_gop(make: Make, tmp_path: Path) -> None:
    packets = _ts_packets(make("short.ts", SHORT).read_bytes())
    path = tmp_path / "middle.ts"
    path.write_bytes(b"".join(packets[len(packets) // 3 :]))

    assert_as_ffmpeg(path, 24)


def _ts_packets(content: bytes) -> list[bytes]:
    return [content[at : at + TS_PACKET] for at in range(0, len(content), TS_PACKET)]
