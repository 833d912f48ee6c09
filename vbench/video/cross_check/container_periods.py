"""Counts, by the PTS in a video's container, the sampling periods that have a picture; decodes nothing."""

from array import array
from fractions import Fraction
from pathlib import Path

import av

from vbench.video.addresses import media_url
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.random_access import is_random_access
from vbench.video.errors import VideoError
from vbench.video.ffmpeg.executable import CODECS, file_options


def periods_filled(path: Path, fps: Fraction) -> int:
    """Periods of 1/``fps`` s, from the first picture's PTS on, in which at least one picture is presented.

    Reads the container without the splitter's index: pictures that the container marks as discarded, and
    those before the first keyframe, do not count. The result can be off by a few pictures, which only a
    decoder knows (hidden pictures, an open GOP at a cut).

    Raises:
        VideoError: the file has no video that can be read.
    """
    times = array("q")
    try:
        with av.open(
            media_url(path), container_options=file_options(), metadata_errors="replace"
        ) as container:
            stream = container.streams.best("video")
            if stream is None or stream.time_base is None:
                raise VideoError(f"{path} has no video stream: it contains only sound, pictures or data")
            context, started = stream.codec_context, False
            codec = context.codec.canonical_name
            reader = PacketReader.of(codec, context.extradata) if codec in CODECS else None
            for packet in container.demux(stream):
                # A file may lack the flag of its first keyframe.
                if not started:
                    started = packet.is_keyframe or (
                        reader is not None and is_random_access(reader, bytes(packet))
                    )
                time = packet.dts if packet.pts is None else packet.pts
                if packet.size and started and not packet.is_discard and time is not None:
                    times.append(time)
            per_tick = Fraction(stream.time_base) * fps
    except av.FFmpegError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}") from error
    first = min(times, default=0)
    return len({(time - first) * per_tick.numerator // per_tick.denominator for time in times})
