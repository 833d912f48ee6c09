"""Finds HEVC pictures that FFmpeg cannot decode completely, where recordings may have been joined.

A picture that was coded with other parameter sets than those in the file, such as one of a second recording
whose packets were copied behind those of the first, decodes to arbitrary samples and mostly ends too early.
FFmpeg's HEVC decoder mostly reports nothing, and the rest of the picture shows what was in memory, so that no
two passes need agree. Decoders of H.264 report such a picture; those of VP8, VP9 and AV1 need no parameter
sets from elsewhere.
"""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

from collections.abc import Callable

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vbench.video.codecs.nal_types import HEVC_BLA, HEVC_CRA, HEVC_IDR
from vbench.video.codecs.packet_reader import PacketReader

_PIXELS_AT_FIRST = 1_800_000
"""Pixels of the pictures that are decoded from the first possible join on: all those of a short, small video,
one of 1280 x 720."""
_LATER_PICTURES = 2
"""Pictures that are decoded at each possible join that is checked after that."""
_SPACING = 4
"""Ratio between the numbers of two of these joins."""
_FURTHEST_ORDER = 32
"""A CRA picture that continues its sequence is output at most this far after all earlier pictures."""
_BLOCK = 8
"""Luma samples per side of the smallest coding block, of which all pictures are made."""
_SEED = 20


class PartialPictures:
    """Decodes pictures where another recording may have been joined.

    A recording starts with a picture that resets the picture order. A stream may have one every second, and
    to decode at all of them would take longer than to read the file. So all pictures are decoded from the
    first one on until ``_PIXELS_AT_FIRST`` is reached, and then ``_LATER_PICTURES`` at the 4th, 16th, 64th
    and so on, and at the last: most of all that follow a join are found, at a bounded cost.

    Args:
        stream: the open stream.
        reader: of its packets.
        max_pixels: most pixels that a picture may have.
    """

    def __init__(self, stream: VideoStream, reader: PacketReader, max_pixels: int) -> None:
        self._stream, self._reader, self._max_pixels = stream, reader, max_pixels
        self._pixels = max(1, stream.codec_context.width * stream.codec_context.height)
        self._decoder: _NoiseDecoder | None = None
        self._packets: list[Packet[VideoStream]] = []
        """The first packets from the last possible join on."""
        self._joins, self._next_checked, self._decoded = 0, 1, 0
        self._highest_order: int | None = None

    def add(
        self, packet: Packet[VideoStream], order: int, sets: Callable[[], bytes], *, random_access: bool
    ) -> int | None:
        """Add the next packet, which contains a picture.

        Args:
            packet: in decoding order.
            order: the picture's ``PacketIndex.output_order``.
            sets: returns the active parameter sets that the extradata lacks, framed like NAL units of the
                packet.
            random_access: whether decoding can start at the packet, and its picture is output.

        Returns:
            PTS of the first picture of those checked so far that is not decoded completely; None if there is
            none.
        """
        if self._reader.codec != "hevc":
            return None
        partial = None
        if random_access and self._may_start_recording(packet, order):
            partial = self._check_last(is_final=False)
            self._joins += 1
            self._packets = [_with_prefix(packet, sets())]
        elif self._packets and len(self._packets) < self._count:
            self._packets.append(packet)
        self._highest_order = order if self._highest_order is None else max(self._highest_order, order)
        return partial

    def finish(self) -> int | None:
        """Check the last possible join; returns what ``add`` does."""
        return self._check_last(is_final=True)

    def _may_start_recording(self, packet: Packet[VideoStream], order: int) -> bool:
        if self._highest_order is None:
            return False
        kind = self._reader.hevc_type(bytes(packet))
        if kind == HEVC_CRA:
            return not 0 < order - self._highest_order <= _FURTHEST_ORDER
        return kind in HEVC_IDR or kind in HEVC_BLA

    @property
    def _count(self) -> int:
        """How many pictures to decode at a possible join."""
        return max(_LATER_PICTURES, (_PIXELS_AT_FIRST - self._decoded) // self._pixels)

    def _check_last(self, *, is_final: bool) -> int | None:
        is_due = self._decoded < _PIXELS_AT_FIRST or self._joins == self._next_checked
        if self._joins == self._next_checked:
            self._next_checked *= _SPACING
        if not self._packets or not (is_due or is_final):
            return None
        self._decoder = self._decoder or _NoiseDecoder(self._stream.codec_context, self._max_pixels)
        self._decoded += len(self._packets) * self._pixels
        return self._decoder.first_partial(self._packets)


class _UndecodableError(Exception):
    """The decoder reports that it cannot decode the picture with this PTS."""

    def __init__(self, pts: int | None) -> None:
        super().__init__(pts)
        self.pts = pts


class _NoiseDecoder:
    """Decodes pictures into memory that contains noise, so that what remains of the noise is not decoded.

    libavcodec uses the memory of released pictures again for the next ones.
    """

    def __init__(self, template: VideoCodecContext, max_pixels: int) -> None:
        self._context: VideoCodecContext = av.CodecContext.create("hevc", "r")
        self._context.extradata, self._context.thread_count = template.extradata, 1
        self._context.options = {
            "max_pixels": str(max_pixels),
            "apply_cropping": "0",
            "skip_loop_filter": "all",
            "export_side_data": "film_grain",
        }
        self._noise: npt.NDArray[np.uint8 | np.uint16] | None = None
        self._noisy = 0
        """How many pictures' memory contains noise."""

    def first_partial(self, packets: list[Packet[VideoStream]]) -> int | None:
        """PTS of the first picture with a block that is not decoded; None if there is none."""
        try:
            if self._noisy < len(packets):
                self._fill_with_noise(self._decode(packets))
            frames = self._decode(packets)
        except _UndecodableError as error:
            return error.pts
        partial = [frame.pts for frame in frames if self._is_partial(frame) and frame.pts is not None]
        start = packets[0].pts
        if start is not None and all(frame.pts != start for frame in frames):
            partial.append(start)  # FFmpeg ignores slices whose headers it cannot read
        self._fill_with_noise(frames)
        self._noisy = max(self._noisy, len(packets))
        return min(partial, default=None)

    def _decode(self, packets: list[Packet[VideoStream]]) -> list[VideoFrame]:
        """All frames, which must stay in memory together for each to have its own."""
        frames: list[VideoFrame] = []
        for packet in (*packets, None):
            try:
                frames += self._context.decode(packet)
            except av.FFmpegError as error:
                self._context.flush_buffers()
                raise _UndecodableError((packet or packets[-1]).pts) from error
        self._context.flush_buffers()
        return frames

    def _is_partial(self, frame: VideoFrame) -> bool:
        luma = _luma(frame)
        if self._noise is None or self._noise.shape != luma.shape or self._noise.dtype != luma.dtype:
            return False
        row = slice(_BLOCK // 2, None, _BLOCK)
        same = luma[row] == self._noise[row]
        width = same.shape[1] // _BLOCK * _BLOCK
        return bool(same[:, :width].reshape(len(same), -1, _BLOCK).all(axis=2).any())

    def _fill_with_noise(self, frames: list[VideoFrame]) -> None:
        while frames:
            frame = frames.pop()
            luma = _luma(frame)
            if self._noise is None or self._noise.shape != luma.shape or self._noise.dtype != luma.dtype:
                depth = frame.format.components[0].bits
                self._noise = np.random.default_rng(_SEED).integers(0, 1 << depth, luma.shape, luma.dtype)
            luma[:] = self._noise


def _luma(frame: VideoFrame) -> npt.NDArray[np.uint8 | np.uint16]:
    """[height, width] in the frame's own memory."""
    plane, deep = frame.planes[0], frame.format.components[0].bits > 8
    samples: npt.NDArray[np.uint8 | np.uint16] = np.asarray(memoryview(plane)).view(
        np.uint16 if deep else np.uint8
    )
    return samples.reshape(plane.height, -1)[:, : plane.width]


def _with_prefix(packet: Packet[VideoStream], prefix: bytes) -> Packet[VideoStream]:
    if not prefix:
        return packet
    longer: Packet[VideoStream] = Packet(prefix + bytes(packet))  # type: ignore[assignment]
    longer.pts, longer.dts, longer.time_base = packet.pts, packet.dts, packet.time_base
    return longer
