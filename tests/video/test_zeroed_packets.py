"""Packets that a disk or a transfer has overwritten by zeros never cost a frame without an error."""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.video.support.clips import run_ffmpeg, source
from vbench.video.errors import VideoError
from vbench.video.ffmpeg.executable import ffmpeg_path
from vbench.video.frames import decode_chunk
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry

ENCODERS = {
    "h264": "-c:v libx264 -preset fast -bf 2 -g 10",
    "hevc": "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=10",
    "vp8": "-c:v libvpx -deadline realtime -cpu-used -8 -g 10",
    "vp9": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 10",
    "av1": "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 10",
}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "all of it": lambda data: bytes(len(data)),
    "its second half": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "its first bytes": lambda data: bytes(8) + data[8:],
    "zeros behind it": lambda data: data + bytes(4),
    "bits of its header": lambda data: data[:4] + bytes(byte ^ 0x10 for byte in data[4:6]) + data[6:],
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("whole")

    def clip(codec: str) -> Path:
        path = folder / f"{codec}.mkv"
        if not path.exists():
            run_ffmpeg(*f"{source(2, '10', '96x64')} {ENCODERS[codec]} -threads 1".split(), str(path))
        return path

    return clip


def overwritten(clip: Path, path: Path, number: int, damage: Callable[[bytes], bytes]) -> None:
    """A copy of ``clip`` in which one packet is damaged."""
    with av.open(str(clip)) as whole, av.open(str(path), "w") as copy:
        stream = whole.streams.video[0]
        target = copy.add_stream_from_template(stream, opaque=True)
        target.time_base = stream.time_base
        for index, packet in enumerate(packet for packet in whole.demux(stream) if packet.size):
            data = damage(bytes(packet)) if index == number else bytes(packet)
            changed = av.Packet(data)
            changed.pts, changed.dts, changed.duration = packet.pts, packet.dts, packet.duration
            changed.is_keyframe, changed.time_base = packet.is_keyframe, stream.time_base
            changed.stream = target
            copy.mux_one(changed)


def frames_of_ffmpeg(path: Path) -> int | None:
    """Frames of one plain pass; None if FFmpeg finds an error."""
    command = [ffmpeg_path(), "-v", "error", "-xerror", "-i", str(path), "-f", "framehash", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return None if done.returncode else sum(not line.startswith("#") for line in done.stdout.splitlines())


def frames_of_the_service(path: Path) -> int | None:
    """Frames of all chunks; None if vbench refuses the video."""
    try:
        with Splitter(path, fps=Fraction(10), chunk_s=Fraction(1), prune=True) as splitter:
            geometry = FrameGeometry.native(splitter.info)
            return sum(len(decode_chunk(chunk, geometry, threads=1, timeout_s=60).pts) for chunk in splitter)
    except VideoError:
        return None


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ENCODERS)
def test_a_packet_of_zeros_is_an_error_or_costs_what_it_costs_ffmpeg(
    codec: str, container: str, damage: str, clips: Callable[[str], Path], tmp_path: Path
) -> None:
    if (codec, container) == ("vp8", "mp4"):
        pytest.skip("MP4 holds no VP8")
    for number in (0, 4, 12):
        path = tmp_path / f"{number}.{container}"
        overwritten(clips(codec), path, number, DAMAGES[damage])
        served = frames_of_the_service(path)
        assert served is None or served == frames_of_ffmpeg(path), f"packet {number}"
