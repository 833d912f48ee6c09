"""Refuses packets that are damaged, or framed differently than the stream's header says."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

from fractions import Fraction
from pathlib import Path

from av.packet import Packet
from av.video.stream import VideoStream

from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.random_access import refreshes_gradually, unexpected_unit_type
from vbench.video.codecs.state_units import framed_parameter_sets
from vbench.video.errors import VideoError
from vbench.video.index.packet_index import NO_PTS
from vbench.video.remedies import reencode


class PacketChecks:
    """Checks the packets of one stream, whose numbers in messages count from 1 in decoding order."""

    def __init__(self, path: Path, reader: PacketReader, time_base: Fraction) -> None:
        self._path, self._reader, self._time_base = path, reader, time_base

    def damaged(self, number: int, pts: int, what: str) -> VideoError:
        """The error of a damaged packet; ``what``: what is wrong with it, starting with a verb."""
        return VideoError(f"{self._path} is damaged: packet {number}{self._at(pts)} {what}")

    def check_framing(self, number: int, pts: int, packet: bytes) -> None:
        """Check that the lengths of an H.264 or HEVC packet's NAL units add up to the packet's size.

        Raises:
            VideoError: they do not, or the packet has start codes instead.
        """
        if self._reader.has_start_codes(packet):
            raise VideoError(
                f"{self._path} has a start code where its header (avcC) announces a NAL unit length, in "
                f"packet {number}{self._at(pts)}; re-encode it: {reencode(self._path)}"
            )
        fault = self._reader.length_fault(packet)
        if fault is not None:
            length, room = fault
            raise self.damaged(
                number, pts, f"has a NAL unit of {length} bytes, but only {room} bytes are left"
            )

    def check_stray_unit(self, number: int, pts: int, packet: bytes, *, pictureless: bool) -> None:
        """Check that a packet without a picture contains only NAL units that may accompany one.

        Raises:
            VideoError: it contains another.
        """
        if pictureless and (kind := unexpected_unit_type(self._reader, packet)) is not None:
            raise self.damaged(
                number, pts, f"has no picture, but a NAL unit of type {kind}, which decoders ignore"
            )

    def inexact_start(self, number: int, pts: int, packet: bytes) -> VideoError:
        """The error of a stream whose first keyframe is not a random access point."""
        if refreshes_gradually(self._reader, packet):
            return VideoError(
                f"{self._path} starts in the middle of a coded sequence (intra refresh), where no picture is "
                f"exact yet; re-encode what players show of it: {reencode(self._path)}"
            )
        return self.damaged(number, pts, "starts the video as a keyframe, but is not coded as one")

    def new_parameter_sets(self, number: int, pts: int, packet: Packet[VideoStream]) -> bytes:
        """The parameter sets of another sample description that applies from this packet on, framed like the
        packet's own NAL units; empty if there is none.

        Raises:
            VideoError: NAL unit lengths have another size from there on.
        """
        if not packet.has_sidedata("new_extradata"):
            return b""
        extradata = bytes(packet.get_sidedata("new_extradata"))
        before = self._reader.length_bytes
        after = PacketReader.of(self._reader.codec, extradata).length_bytes
        if after != before:
            raise VideoError(
                f"{self._path} changes the size of its NAL unit lengths from {before} to {after} bytes at "
                f"packet {number}{self._at(pts)}, but only videos whose format stays the same can be read; "
                f"re-encode it: {reencode(self._path)}"
            )
        return framed_parameter_sets(self._reader, extradata)

    def _at(self, pts: int) -> str:
        return "" if pts == NO_PTS else f" (PTS {float(pts * self._time_base):.3f} s)"
