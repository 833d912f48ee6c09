"""Builds the index of a video packet by packet, and refuses what cannot be decoded exactly."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

import math
from array import array
from fractions import Fraction
from typing import NoReturn

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vbench.video.codecs.packet_pictures import PictureCounter
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.random_access import has_no_picture, is_random_access
from vbench.video.codecs.reference_structure import ReferenceStructure
from vbench.video.codecs.state_units import StateUnit
from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.index.decoder_state import StateScan
from vbench.video.index.demux import OpenVideo
from vbench.video.index.display_metadata import picture_format
from vbench.video.index.edit_list import EditListJumps, check_edit_list_jumps
from vbench.video.index.leading_pictures import LeadingPictures
from vbench.video.index.packet_checks import PacketChecks
from vbench.video.index.packet_index import NO_PTS, UNKNOWN_ORDER, PacketIndex
from vbench.video.index.partial_pictures import PartialPictures
from vbench.video.index.picture_changes import PictureChangeScan
from vbench.video.index.timestamps import check_output_order, check_pts_order, check_reordering
from vbench.video.index.video_info import video_info
from vbench.video.remedies import join_reencoded, reencode
from vbench.video.types import VideoInfo, VideoLimits

_RANDOM_ACCESS = {"h264": " (IDR picture or exact recovery point)", "hevc": " (IDR, BLA or CRA picture)"}
"""Which pictures are random access points, for codecs in which the word keyframe leaves that open."""


class IndexBuilder:
    """Builds the index of one video; decodes from the first random access point until a frame comes out.

    Args:
        video: the open file.
        limits: what to refuse.
        sample_offsets: int64[S]: first byte of each sample in an MP4's sample table, in decoding order; None
            if there is no table.
    """

    def __init__(
        self, video: OpenVideo, limits: VideoLimits, *, sample_offsets: npt.NDArray[np.int64] | None
    ) -> None:
        self._video, self._limits = video, limits
        extradata = video.stream.codec_context.extradata
        assert video.stream.time_base is not None
        self._time_base: Fraction = video.stream.time_base
        self._max_ticks = math.floor(limits.max_duration_s / self._time_base)
        self._reader = PacketReader.of(video.codec, extradata)
        self._checks = PacketChecks(video.path, self._reader, self._time_base)
        self._references = ReferenceStructure(self._reader, extradata)
        self._state = StateScan(self._reader, extradata)
        initial = self._state.changes.initial
        self._changes = PictureChangeScan(self._reader, initial)
        self._pictures = PictureCounter(self._reader, [unit.data for unit in initial])
        self._leading = LeadingPictures(self._reader)
        self._partial = PartialPictures(video.stream, self._reader, limits.max_pixels)
        self._jumps = EditListJumps(video.container.format.name, sample_offsets)
        self._pts, self._sizes, self._durations = array("q"), array("q"), array("q")
        self._flags, self._edit_segments = bytearray(), array("i")
        self._completed_at, self._output_order = array("q"), array("q")
        self._frame_started_at = 0
        self._joined = False
        self._pending_units: tuple[StateUnit, ...] = ()
        """Units that arrived since the last decodable picture."""
        self._units_after_slice: tuple[StateUnit, ...] = ()
        """Units of the last packet that follow its first slice."""
        self._first_frame: VideoFrame | None = None
        self._low, self._high = 2**63, NO_PTS

    def add(self, packet: Packet[VideoStream]) -> None:
        """Add the next packet in decoding order.

        Raises:
            VideoError: it is damaged, or cannot be decoded exactly.
            VideoTooLargeError: the video exceeds a limit with it.
        """
        index = len(self._pts)
        if index >= self._limits.max_packets:
            raise VideoTooLargeError(
                f"{self._video.path} is too long: it has more than {self._limits.max_packets} packets, the "
                "most that are allowed; cut it into parts"
            )
        pts = NO_PTS if packet.pts is None else packet.pts
        self._joined = self._joined or packet.is_corrupt
        data = bytes(packet)
        self._checks.check_framing(index + 1, pts, data)
        new_sets = self._checks.new_parameter_sets(index + 1, pts, packet)
        changed = self._state.add(data, new_sets)
        data = new_sets + data
        self._references.add(data, keyframe=packet.is_keyframe or bool(changed))
        # The container's keyframe flags do not count: files lack them, and set them at the wrong packets.
        random_access = is_random_access(self._reader, data)
        pictureless = has_no_picture(self._reader, data)
        self._checks.check_stray_unit(index + 1, pts, data, pictureless=pictureless)
        if packet.is_keyframe and not (random_access or self._leading.has_started or pictureless):
            raise self._checks.inexact_start(index + 1, pts, data)
        lacks_references = self._leading.lacks_references(
            bytes(packet), pts, random_access=random_access, after_end=self._state.after_end
        )
        undecodable = (
            not self._leading.has_started or (lacks_references and self._video.codec == "hevc") or pictureless
        )
        after_slice = self._state.units_after_slice
        arriving = self._units_after_slice + changed[: len(changed) - len(after_slice)]
        self._units_after_slice = after_slice
        hidden = not self._starts_frame(data, arriving, pts, checked=not undecodable)
        presented = not (undecodable or lacks_references or packet.is_discard or hidden)
        self._pending_units += arriving
        if not undecodable:
            units, self._pending_units = self._pending_units, ()
            self._changes.add(index, data, units, after_end=self._state.after_end)
        self._pts.append(pts)
        self._sizes.append(packet.size)
        self._durations.append(packet.duration or 0)
        self._flags.append(
            presented | random_access << 1 | undecodable << 2 | hidden << 3 | packet.is_discard << 4
        )
        self._edit_segments.append(self._jumps.segment_of(packet))
        if presented:
            self._check_pts(pts)
        self._check_picture_size()
        if not undecodable:
            if self._first_frame is None:
                self._decode(packet)
            order, sets = self._output_order[index], self._state.later_sets
            starts = random_access and presented
            self._check_complete(self._partial.add(packet, order, sets, random_access=starts))

    def finish(self) -> tuple[VideoInfo, PacketIndex]:
        """The facts and the index, after the last packet.

        Raises:
            VideoError: the video cannot be decoded exactly.
        """
        path = self._video.path
        if not self._pts:
            raise VideoError(f"{path} has a {self._video.codec} stream without pictures")
        if not self._leading.has_started:
            raise VideoError(
                f"{path} has no keyframe from which decoding is exact"
                f"{_RANDOM_ACCESS.get(self._video.codec, '')}; re-encode what players show of it: "
                f"{reencode(path)}"
            )
        if self._pictures.has_open_field:
            self._refuse("a field without its second field", self._pts[self._frame_started_at])
        if self._first_frame is None:
            self._decode(None)
        index = self._index()
        if self._first_frame is None or not index.presented.any():
            raise VideoError(f"{path} has no picture that players show")
        self._check_unchanged(self._first_frame, index)
        self._check_complete(self._partial.finish())
        info = video_info(self._video, self._first_frame, index, self._durations)
        self._check_duration(info.end_pts - info.first_pts)
        check_edit_list_jumps(info, index, self._limits)
        check_pts_order(info, index)
        if self._video.stream.codec_context.has_b_frames:
            check_reordering(info, index, self._limits, self._rate)
        check_output_order(info, index, self._limits, self._pictures.reorder_depth)
        return info, index

    def _index(self) -> PacketIndex:
        flags = np.frombuffer(bytes(self._flags), np.uint8)
        return PacketIndex(
            stream=self._video.stream.index,
            pts=np.frombuffer(self._pts.tobytes(), np.int64),
            sizes=np.frombuffer(self._sizes.tobytes(), np.int64),
            presented=flags & 1 > 0,
            random_access=flags & 2 > 0,
            undecodable=flags & 4 > 0,
            hidden=flags & 8 > 0,
            discarded=flags & 16 > 0,
            output_order=np.frombuffer(self._output_order.tobytes(), np.int64),
            joined=self._joined,
            completed_at=np.frombuffer(self._completed_at.tobytes(), np.int64),
            edit_segment=np.frombuffer(self._edit_segments.tobytes(), np.int32),
            unreferenced=self._references.unreferenced(),
            resets=self._references.resets(),
            state=self._state.changes,
        )

    def _starts_frame(self, data: bytes, arriving: tuple[StateUnit, ...], pts: int, *, checked: bool) -> bool:
        """Whether decoders output a frame for the packet; notes where frames of two fields are complete."""
        index = len(self._pts)
        pictures = self._pictures.count(
            data, [unit.data for unit in arriving], after_end=self._state.after_end
        )
        self._completed_at.append(index)
        self._output_order.append(UNKNOWN_ORDER if pictures.output_order is None else pictures.output_order)
        if pictures.completes_frame:
            self._completed_at[self._frame_started_at] = index
        if pictures.frames:
            self._frame_started_at = index
        if pictures.lacks_reference:
            self._references.note_missing()
        if pictures.only_redundant:
            self._refuse("a packet that contains only redundant slices, which FFmpeg cannot decode,", pts)
        if checked and pictures.frames > 1:
            self._refuse("a packet with several pictures", pts)
        if checked and pictures.has_unpaired_field:
            self._refuse("a field without its second field", pts)
        return pictures.frames > 0

    def _refuse(self, what: str, pts: int) -> NoReturn:
        path = self._video.path
        raise VideoError(f"{path} has {what} at {self._seconds(pts):.3f} s; re-encode it: {reencode(path)}")

    def _seconds(self, pts: int) -> float:
        """From the first picture so far; 0 if either has no PTS."""
        return max(0.0, 0.0 if NO_PTS in (pts, self._high) else float((pts - self._low) * self._time_base))

    def _check_unchanged(self, first: VideoFrame, index: PacketIndex) -> None:
        change = self._changes.change(picture_format(first))
        if change is None:
            return
        path, before = self._video.path, index.pts[: change.first_packet + 1]
        pts = int(np.append(self._low, before[before != NO_PTS])[-1])
        earlier = index.pts[: change.first_packet][index.presented[: change.first_packet]]
        if len(earlier) and pts < earlier.max():  # no timestamp says where it changes
            check_pts_order(video_info(self._video, first, index, self._durations), index)
        span = slice(change.first_packet, change.end_packet)
        changed = index.pts[span][index.presented[span]]
        pts = int(changed.min()) if len(changed) else pts
        frame = int(np.searchsorted(index.presented_pts(), pts))
        seconds = float((pts - self._low) * self._time_base)
        raise VideoError(
            f"{path} {change.what} at {seconds:.3f} s (frame {frame}), but only videos whose format stays "
            f"the same can be read; re-encode it: {reencode(path)}"
        )

    @property
    def _rate(self) -> Fraction:
        """Frames per second, as libavformat guesses them."""
        return self._video.stream.guessed_rate or Fraction(25)

    def _check_pts(self, pts: int) -> None:
        path = self._video.path
        if pts == NO_PTS:
            raise VideoError(
                f"{path} has pictures without a PTS, like files remuxed from AVI; re-encode it at its frame "
                f"rate: {reencode(path, rate=self._rate)}"
            )
        self._low, self._high = min(self._low, pts), max(self._high, pts)
        self._check_duration(self._high - self._low)

    def _check_duration(self, ticks: int) -> None:
        if ticks > self._max_ticks:
            raise VideoTooLargeError(
                f"{self._video.path} is too long: {self._limits.max_duration_s:g} s are allowed; cut it into"
                " parts"
            )

    def _check_picture_size(self) -> None:
        """Check the pictures themselves: containers and AV1's sequence headers may announce a larger size."""
        width, height = self._changes.largest
        if width * height > self._limits.max_pixels:
            raise VideoTooLargeError(
                f"{self._video.path} has pictures of {width} x {height} pixels: "
                f"{self._limits.max_pixels} pixels are allowed; scale it down"
            )

    def _check_complete(self, partial_pts: int | None) -> None:
        if partial_pts is not None:
            raise VideoError(
                f"{self._video.path} has a picture at {self._seconds(partial_pts):.3f} s that decoders "
                "cannot decode completely: it is damaged, or its recording was joined to the one before "
                f"without its parameter sets; encode recordings that you join: {join_reencoded()}"
            )

    def _decode(self, packet: Packet[VideoStream] | None) -> None:
        try:
            frames = self._video.stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            raise VideoError(
                f"{self._video.path} cannot be decoded from its first picture on: {error.strerror}"
            ) from error
        if frames:
            self._first_frame = frames[0]
