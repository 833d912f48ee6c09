"""Refuses packets that are damaged, or framed differently than the stream's header says."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

from fractions import Fraction
from pathlib import Path

from av.packet import Packet
from av.video.stream import VideoStream

from vbench.video.codecs.packet_reader import PacketReader
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
