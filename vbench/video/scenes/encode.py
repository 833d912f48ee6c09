"""Encodes rendered pictures as H.264 and tones as AAC, and repeats both packet by packet in an MP4."""

import heapq
import math
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import numpy.typing as npt

from vbench.video.child_environment import child_environment
from vbench.video.errors import VideoError
from vbench.video.ffmpeg.executable import ffmpeg_path
from vbench.video.scenes.settings import SceneSettings

AnyPacket: TypeAlias = "av.Packet[av.VideoStream] | av.Packet[av.AudioStream]"

THREADS = 2
"""Threads of x264: its output depends on their number, so it is fixed."""
AUDIO_RATE_HZ = 48_000
AUDIO_FRAME = 1024
"""Samples per AAC frame."""


def encode_video(settings: SceneSettings, pictures: Iterable[npt.NDArray[np.uint8]], out: Path) -> None:
    """Encode uint8[H, W, 3] rgb24 pictures as H.264 yuv420p, BT.709, into an MP4 without sound.

    Raises:
        VideoError: FFmpeg failed, with its last messages.
    """
    gop = {
        "keyint": settings.gop_frames,
        "min-keyint": settings.gop_frames,
        "open-gop": int(settings.open_gop),
    }
    x264 = {**gop, "scenecut": 0, "bframes": settings.bframes, "b-adapt": 0, "threads": THREADS}
    command = [
        *(ffmpeg_path(), "-v", "error", "-y", "-threads", "1"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{settings.width}x{settings.height}"),
        *("-r", str(settings.rate), "-i", "pipe:0"),
        *("-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-fps_mode", "passthrough"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", str(settings.crf)),
        *("-x264-params", ":".join(f"{key}={value}" for key, value in x264.items())),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", f"file:{out}"),
    ]
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=errors, env=child_environment()
        ) as process:
            assert process.stdin is not None
            try:
                for picture in pictures:
                    process.stdin.write(np.ascontiguousarray(picture).data)
                process.stdin.close()
            except BrokenPipeError:
                pass  # FFmpeg has ended early; its exit status, checked below, says why
            except BaseException:
                process.kill()
                raise
        errors.seek(0)
        _require_success("the scene", process.returncode, errors.read())


def encode_audio(settings: SceneSettings, out: Path) -> None:
    """Encode tones as AAC, as long as the scene's unique part, in whole AAC frames.

    Raises:
        VideoError: FFmpeg failed, with its last messages.
    """
    samples = math.ceil(settings.unique_frames * AUDIO_RATE_HZ / settings.rate / AUDIO_FRAME) * AUDIO_FRAME
    command = [
        *(ffmpeg_path(), "-v", "error", "-nostdin", "-y"),
        *("-f", "lavfi", "-i", f"sine=frequency=220:beep_factor=4:sample_rate={AUDIO_RATE_HZ}"),
        *("-af", f"atrim=end_sample={samples}", "-c:a", "aac", "-b:a", "96k", "-threads", "1"),
        *("-fflags", "+bitexact", "-flags:a", "+bitexact", f"file:{out}"),
    ]
    done = subprocess.run(command, capture_output=True, check=False, env=child_environment())
    _require_success("the scene's sound", done.returncode, done.stderr)


def join(settings: SceneSettings, pieces: list[tuple[Path, int]], audio: Path | None, out: Path) -> None:
    """Join encoded pieces (path, frames) and repeat the sound to their end, without re-encoding.

    Every timestamp is a whole number of frames, which concatenating by seconds would not achieve.
    """
    options = {"movflags": "faststart", "fflags": "bitexact"}
    with av.open(str(out), "w", format="mp4", options=options) as output:
        with av.open(str(pieces[0][0])) as first:
            video = output.add_stream_from_template(first.streams.video[0])
        video.time_base = 1 / settings.rate
        tracks: list[Iterator[AnyPacket]] = [_video_packets(pieces, settings.rate, video)]
        if audio:
            with av.open(str(audio)) as first:
                sound = output.add_stream_from_template(first.streams.audio[0])
            tracks.append(_audio_packets(audio, float(settings.frames / settings.rate), sound))
        for packet in heapq.merge(*tracks, key=_dts_s):
            output.mux(packet)


def _dts_s(packet: AnyPacket) -> float:
    assert packet.dts is not None
    return float(packet.dts * packet.time_base)


def _video_packets(
    pieces: list[tuple[Path, int]], rate: Fraction, stream: av.VideoStream
) -> "Iterator[av.Packet[av.VideoStream]]":
    """Yield each piece's packets, with timestamps in frames from the first piece's start."""
    start = 0
    for path, frames in pieces:
        with av.open(str(path)) as piece:
            for packet in piece.demux(piece.streams.video[0]):
                if packet.size == 0:
                    continue
                assert packet.pts is not None
                assert packet.dts is not None
                ticks = packet.time_base * rate
                packet.pts = start + round(packet.pts * ticks)
                packet.dts = start + round(packet.dts * ticks)
                packet.duration = 1
                packet.time_base = 1 / rate
                packet.stream = stream
                yield packet
        start += frames


def _audio_packets(
    path: Path, length_s: float, stream: av.AudioStream
) -> "Iterator[av.Packet[av.AudioStream]]":
    """Yield the file's packets again and again, for ``length_s`` seconds."""
    start = 0
    while True:
        with av.open(str(path)) as piece:
            for packet in piece.demux(piece.streams.audio[0]):
                if packet.size == 0:
                    continue
                if start >= length_s * AUDIO_RATE_HZ:
                    return
                packet.pts = packet.dts = start
                packet.duration = AUDIO_FRAME
                packet.time_base = Fraction(1, AUDIO_RATE_HZ)
                packet.stream = stream
                yield packet
                start += AUDIO_FRAME


def _require_success(what: str, status: int, messages: bytes) -> None:
    if status != 0:
        tail = messages.decode(errors="replace").strip()[-500:]
        raise VideoError(f"FFmpeg could not encode {what} (exit status {status}): {tail}")
