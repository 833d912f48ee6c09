"""Transport streams: joined, cut, with bytes around or between packets; as FFmpeg reads them, or named."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.video.support.as_ffmpeg import SHORT, X264, Make, assert_as_ffmpeg
from tests.video.support.clips import source
from tests.video.support.oracle import ALL, found, truth
from tests.video.support.ts_packets import (
    NULL_PACKET,
    TS_PACKET,
    VIDEO_PID,
    clock_reference,
    counted_from,
    first_of_video,
    last_counter,
    packets_of,
    pid,
    with_clock_reference,
)
from tests.video.support.ts_packets import joined as join_packets
from vbench.video.cross_check.one_pass import plain_pass
from vbench.video.errors import VideoError
from vbench.video.frames import decode_video
from vbench.video.probe import probe
from vbench.video.types import FrameGeometry

SEGMENTED = "-f segment -segment_time 0.5 -segment_format mpegts"


@pytest.fixture(scope="session")
def parts(make: Make) -> list[list[bytes]]:
    """The packets of three transport-stream segments of 12 frames, which all count from 0."""
    first = make("part%d.ts", f"{SHORT} {SEGMENTED}")
    return [packets_of(first.with_name(f"part{number}.ts")) for number in range(3)]


@pytest.fixture(scope="session")
def joined(parts: list[list[bytes]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three segments, one behind the other."""
    return join_packets(tmp_path_factory.mktemp("joined") / "joined.ts", parts)


def test_segments_joined_byte_by_byte_lose_no_frame(joined: Path) -> None:
    assert_as_ffmpeg(joined, 36)
    whole = decode_video(joined, fps=Fraction(5), threads=1, timeout_s=60)
    assert found(list(whole)) == truth(joined).expected(Fraction(5))


@pytest.mark.parametrize("announced", [False, True], ids=["silent", "announced"])
@pytest.mark.parametrize("counter", [15, 7])
def test_a_segment_may_begin_with_a_clock_reference_alone(
    counter: int, announced: bool, parts: list[list[bytes]], tmp_path: Path
) -> None:
    path = join_packets(
        tmp_path / "clocks.ts",
        [with_clock_reference(part, counter, announced=announced) for part in parts],
    )

    assert_as_ffmpeg(path, 36)
    assert reference(path) == truth(path).expected(ALL)


def test_the_counters_of_clock_references_say_nothing_of_lost_packets(
    parts: list[list[bytes]], tmp_path: Path
) -> None:
    packets = parts[0]
    clock = clock_reference(packets[first_of_video(packets)], 0)
    clock = clock[:5] + b"\0" + b"\xff" * 182  # without its time, which would be wrong in the middle
    path = join_packets(
        tmp_path / "odd.ts",
        [[packet, clock, NULL_PACKET] if at % 9 == 8 else [packet] for at, packet in enumerate(packets)],
    )

    assert_as_ffmpeg(path, 12)
    assert reference(path) == truth(path).expected(ALL)


def test_tables_may_be_repeated_within_pictures(parts: list[list[bytes]], tmp_path: Path) -> None:
    tables = parts[0][: first_of_video(parts[0])]
    path = join_packets(
        tmp_path / "tables.ts",
        [[packet, *tables] if at % 7 == 6 else [packet] for part in parts for at, packet in enumerate(part)],
    )

    assert_as_ffmpeg(path, 36)
    assert reference(path) == truth(path).expected(ALL)


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_the_reference_pass_reads_joins_whatever_the_second_counts_from(
    ahead: int, parts: list[list[bytes]], tmp_path: Path
) -> None:
    second = counted_from(parts[1], last_counter(parts[0]) + ahead)
    path = join_packets(tmp_path / "chance.ts", [parts[0], second])

    assert_as_ffmpeg(path, 24)
    assert reference(path) == truth(path).expected(ALL)


@pytest.mark.parametrize(("before", "behind"), [(4, 0), (0, 16)], ids=["M2TS", "DVB"])
def test_joined_packets_may_have_bytes_around_them(
    before: int, behind: int, parts: list[list[bytes]], tmp_path: Path
) -> None:
    path = join_packets(
        tmp_path / "wide.ts", [[bytes(before), p, bytes(behind)] for part in parts for p in part]
    )

    assert_as_ffmpeg(path, 36)
    assert reference(path) == truth(path).expected(ALL)


def test_a_packet_lost_beside_a_clock_reference_is_noticed(parts: list[list[bytes]], tmp_path: Path) -> None:
    packets = parts[0]
    video = [at for at, packet in enumerate(packets) if pid(packet) == VIDEO_PID]
    lost = video[len(video) // 2]
    clock = clock_reference(packets[video[0]], packets[lost][3] & 15)
    path = join_packets(tmp_path / "lost.ts", [packets[:lost], [clock], packets[lost + 1 :]])

    with pytest.raises(VideoError, match="transport-stream packets of its video are missing or repeated"):
        probe(path)


def test_a_segment_without_tables_cannot_be_told_from_a_loss(
    parts: list[list[bytes]], tmp_path: Path
) -> None:
    path = join_packets(tmp_path / "bare.ts", [parts[0], [p for p in parts[1] if pid(p) == VIDEO_PID]])

    with pytest.raises(VideoError, match="missing or repeated, or a segment without a program association"):
        probe(path)


def test_a_smaller_recording_behind_a_later_one_is_named_by_its_times(make: Make, tmp_path: Path) -> None:
    small = make("small.ts", f"{source(seconds=2, rate='24', size='96x64')} {X264}")
    path = tmp_path / "again.ts"
    path.write_bytes(make("short.ts", SHORT).read_bytes() + small.read_bytes())

    with pytest.raises(VideoError, match=r"timestamps that go back after 1\.958 s"):
        probe(path)


def test_a_packet_that_is_sent_twice_is_named(parts: list[list[bytes]], tmp_path: Path) -> None:
    """FFmpeg takes its payload twice, too."""
    packets = parts[0]
    begins = [at for at, packet in enumerate(packets) if pid(packet) == VIDEO_PID and packet[1] & 0x40]
    last = max(at for at in range(begins[3]) if pid(packets[at]) == VIDEO_PID)
    path = join_packets(tmp_path / "twice.ts", [packets[: last + 1], packets[last:]])

    with pytest.raises(VideoError, match="transport-stream packets of its video are missing or repeated"):
        probe(path)


def test_a_lost_packet_is_no_join(joined: Path, tmp_path: Path) -> None:
    packets = packets_of(joined)
    video = [at for at, packet in enumerate(packets) if packet[1] & 31 == 1 and packet[2] == 0]
    path = tmp_path / "lost.ts"
    path.write_bytes(b"".join(packet for at, packet in enumerate(packets) if at != video[len(video) // 2]))

    with pytest.raises(VideoError, match="transport-stream packets of its video are missing or repeated"):
        probe(path)


def test_a_recording_behind_a_later_one_is_named(make: Make, tmp_path: Path) -> None:
    clip = make("short.ts", SHORT)
    path = tmp_path / "again.ts"
    path.write_bytes(clip.read_bytes() * 2)

    with pytest.raises(VideoError, match=r"timestamps that go back after 1\.958 s, like joined recordings"):
        probe(path)


@pytest.mark.parametrize(("before", "behind"), [(0, 0), (4, 0), (0, 16)], ids=["plain", "M2TS", "DVB"])
def test_packets_of_a_transport_stream_may_have_bytes_around_them(
    before: int, behind: int, make: Make, tmp_path: Path
) -> None:
    clip = make("short.ts", SHORT)
    path = tmp_path / "wide.ts"
    path.write_bytes(b"".join(bytes(before) + p + bytes(behind) for p in packets_of(clip)))

    assert_as_ffmpeg(path, 48)

    path.write_bytes(path.read_bytes()[: -100 - behind])
    with pytest.raises(VideoError, match="last transport-stream packet has 88 of 188 bytes"):
        probe(path)


def test_bytes_between_transport_stream_packets_are_damage(make: Make, tmp_path: Path) -> None:
    content = make("short.ts", SHORT).read_bytes()
    path = tmp_path / "gap.ts"
    path.write_bytes(content[: 50 * TS_PACKET + 77] + content[100 * TS_PACKET :])

    with pytest.raises(VideoError, match=f"damaged at byte {51 * TS_PACKET}: no transport-stream packet"):
        probe(path)


def test_a_transport_stream_may_start_in_the_middle_of_a_gop(make: Make, tmp_path: Path) -> None:
    packets = packets_of(make("short.ts", SHORT))
    path = tmp_path / "middle.ts"
    path.write_bytes(b"".join(packets[len(packets) // 3 :]))

    assert_as_ffmpeg(path, 24)


def reference(path: Path) -> list[tuple[int, str]]:
    """(pts, md5) of all frames that the reference pass gives."""
    geometry = FrameGeometry.native(probe(path))
    return found(list(plain_pass(path, fps=ALL, geometry=geometry, threads=1, timeout_s=60)))


@pytest.mark.parametrize("stride", [188, 192, 204])
@pytest.mark.parametrize("left", [4, 5, 187])
def test_a_packet_that_breaks_off_is_told_from_a_text(
    left: int, stride: int, parts: list[list[bytes]], tmp_path: Path
) -> None:
    packets = [packet for part in parts[:1] for packet in part]
    ahead, behind = (bytes(4), b"") if stride == 192 else (b"", bytes(stride - TS_PACKET))
    whole = b"".join(ahead + packet + behind for packet in packets[:-1])
    path = tmp_path / "cut.ts"

    path.write_bytes(whole + ahead + packets[-1][:left])
    with pytest.raises(VideoError, match=rf"is truncated: .* has {left} of 188 bytes"):
        probe(path)

    path.write_bytes(whole + ahead + b"Good"[:left] + packets[-1][4:left])
    assert "truncated" not in said_of(path)


def said_of(path: Path) -> str:
    """What ``probe`` says against a file; nothing if it can be read."""
    try:
        probe(path)
    except VideoError as error:
        return str(error)
    return ""
