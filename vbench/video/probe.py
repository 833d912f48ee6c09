"""Reads facts and an index of a video: when each picture is shown, where decoding can start."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

import math
import shlex
from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vbench.video.addresses import local_video
from vbench.video.codecs.bitstream import HEVC_BLA, HEVC_CRA, HEVC_LEADING, HEVC_RASL, PacketReader
from vbench.video.codecs.packet_pictures import PictureCounter
from vbench.video.codecs.reference_structure import References
from vbench.video.containers.completeness import check_complete
from vbench.video.containers.crop import Crop, container_crop
from vbench.video.containers.sample_table import check_sample_table
from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.index.decoder_state import StateScan, StateUnit, framed_sets
from vbench.video.index.demux import OpenVideo, open_video
from vbench.video.index.display_metadata import (
    color_matrix,
    color_range,
    orientation,
    picture_facts,
    whole_chroma,
)
from vbench.video.index.edit_list import NO_PTS, Jumps, check_jumps
from vbench.video.index.packet_index import Index
from vbench.video.index.picture_changes import FactsScan
from vbench.video.index.timestamps import (
    NO_ORDER,
    check_order,
    check_output_order,
    check_reordering,
)
from vbench.video.types import VideoInfo, VideoLimits


def probe(source: str | Path, limits: VideoLimits | None = None) -> VideoInfo:
    """Facts about a video; reads its packets once and decodes one picture.

    Raises:
        VideoError: it cannot be read, or is no sound video.
        VideoTooLargeError: it passes one of ``limits``.
    """
    return read_index(source, limits)[0]


def read_index(
    source: str | Path, limits: VideoLimits | None = None, got_on: Callable[[], None] | None = None
) -> tuple[VideoInfo, Index]:
    """Facts about a video, and the index of its packets.

    ``got_on`` is called every ``STEP_PACKETS`` packets, and at the end.

    Raises:
        VideoError: it cannot be read, or is no sound video.
        VideoTooLargeError: it passes one of ``limits``; reading stops there.
    """
    limits = limits or VideoLimits()
    path = local_video(source, limits)
    fragments = check_complete(path)
    with open_video(path, limits) as video:
        if fragments is not None:
            fragments.check(video.stream.id)
        scan = _Scan(video, limits, samples=check_sample_table(path, video.stream.id, limits))
        for number, packet in enumerate(video.packets(), start=1):
            scan.add(packet)
            if got_on is not None and number % STEP_PACKETS == 0:
                got_on()
        if got_on is not None:
            got_on()
        return scan.finish()


_ENTRIES = {"h264": " (IDR picture or exact recovery point)", "hevc": " (IDR, BLA or CRA picture)"}
"""What a video that can be decoded has at least one of, where the word keyframe leaves it open."""

STEP_PACKETS = 10_000
"""After so many packets whoever reads an index has got on."""


class _Scan:
    """Builds the index packet by packet; decodes from the first clean entry until a frame comes out."""

    def __init__(
        self, video: OpenVideo, limits: VideoLimits, *, samples: npt.NDArray[np.int64] | None
    ) -> None:
        self._video, self._limits = video, limits
        extradata = video.stream.codec_context.extradata
        self._reader = PacketReader.of(video.codec, extradata)
        self._references = References(self._reader, extradata)
        self._state = StateScan(self._reader, extradata)
        self._facts = FactsScan(self._reader, self._state.changes.initial)
        self._pictures = PictureCounter(self._reader, [unit.data for unit in self._state.changes.initial])
        self._begun_at, self._completed_at = 0, array("q")
        self._orders = array("q")
        self._joined = False
        self._arrived: tuple[StateUnit, ...] = ()
        """What arrived since the last picture."""
        self._behind: tuple[StateUnit, ...] = ()
        """What arrived behind the first slice of the last packet."""
        self._pts, self._durations, self._flags = array("q"), array("q"), bytearray()
        self._sizes = array("q")
        self._jumps, self._runs = Jumps(video.container.format.name, samples), array("i")
        self._entered = False
        self._lead_below: int | None = None
        self._cut = False
        self._first_frame: VideoFrame | None = None
        assert video.stream.time_base is not None
        self._time_base: Fraction = video.stream.time_base
        self._max_ticks = math.floor(limits.max_duration_s / self._time_base)
        self._low, self._high = 2**63, NO_PTS

    def add(self, packet: Packet[VideoStream]) -> None:
        """Note one packet."""
        if len(self._pts) >= self._limits.max_packets:
            raise VideoTooLargeError(
                f"{self._video.path} has more than the {self._limits.max_packets} packets that are allowed"
            )
        pts = NO_PTS if packet.pts is None else packet.pts
        self._joined = self._joined or packet.is_corrupt
        data = bytes(packet)
        self._check_lengths(data, pts)
        described = self._description(packet, pts)
        changed = self._state.add(data, described)
        data = described + data
        self._references.add(data, keyframe=packet.is_keyframe or bool(changed))
        # Not by the container's mark: files lack marks, and have them at the wrong packets.
        clean = self._reader.is_clean_entry(data)
        pictureless = self._reader.is_pictureless(data)
        if pictureless and (stray := self._reader.stray_type(data)) is not None:
            raise self._damaged(
                pts, f"has no picture, and a NAL unit of type {stray}, which decoders leave out"
            )
        if packet.is_keyframe and not (clean or self._entered or pictureless):
            if self._reader.refreshes_gradually(data):
                raise VideoError(
                    f"{self._video.path} begins in the middle of a coded sequence (intra refresh), where no "
                    "picture is exact yet: encode what players show of it, with "
                    "'ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4'"
                )
            raise self._damaged(pts, "begins the video as a keyframe and is not coded as one")
        leads = self._leads(packet, pts, clean)
        needless = not self._entered or (leads and self._video.codec == "hevc")
        needless = needless or pictureless
        behind = self._state.behind_picture
        arriving = self._behind + changed[: len(changed) - len(behind)]
        self._behind = behind
        hidden = not self._begins_picture(data, arriving, pts, checked=not needless)
        shown = not (needless or leads or packet.is_discard or hidden)
        self._arrived += arriving
        if not needless:
            arrived, self._arrived = self._arrived, ()
            self._facts.add(len(self._pts), data, arrived, after_end=self._state.after_end)
        self._pts.append(pts)
        self._sizes.append(packet.size)
        self._durations.append(packet.duration or 0)
        self._flags.append(shown | clean << 1 | needless << 2 | hidden << 3 | packet.is_discard << 4)
        self._runs.append(self._jumps.run_of(packet))
        if shown:
            self._check_time(pts)
        self._check_size()
        if self._first_frame is None and not needless:
            self._decode(packet)

    def _begins_picture(
        self, data: bytes, arriving: tuple[StateUnit, ...], pts: int, *, checked: bool
    ) -> bool:
        """Whether a decoder hands out a frame for the packet; notes where frames of two fields end."""
        place = len(self._pts)
        pictures = self._pictures.count(data, [unit.data for unit in arriving], opens=self._state.after_end)
        self._completed_at.append(place)
        self._orders.append(NO_ORDER if pictures.order is None else pictures.order)
        if pictures.completes:
            self._completed_at[self._begun_at] = place
        if pictures.begun:
            self._begun_at = place
        if pictures.lacks_reference:
            self._references.note_missing()
        if pictures.redundant:
            self._refuse_pictures("a packet of redundant slices alone, which FFmpeg cannot decode,", pts)
        if checked and (pictures.begun > 1 or pictures.unpaired):
            what = "a packet with several pictures" if pictures.begun > 1 else "a field without a second"
            self._refuse_pictures(what, pts)
        return pictures.begun > 0

    def _refuse_pictures(self, what: str, pts: int) -> NoReturn:
        at_s = 0.0 if NO_PTS in (pts, self._high) else float((pts - self._low) * self._time_base)
        raise VideoError(
            f"{self._video.path} has {what} at {max(at_s, 0.0):.3f} s: encode it again, for example with "
            "'ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4'"
        )

    def finish(self) -> tuple[VideoInfo, Index]:
        """The whole index, once every packet was noted."""
        path = self._video.path
        if not self._pts:
            raise VideoError(f"{path} has a {self._video.codec} stream without pictures")
        if not self._entered:
            raise VideoError(
                f"{path} has no keyframe from which decoding is exact{_ENTRIES.get(self._video.codec, '')}: "
                "encode what players show of it, with 'ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4'"
            )
        if self._pictures.is_open:
            self._refuse_pictures("a field without a second", self._pts[self._begun_at])
        if self._first_frame is None:
            self._decode(None)
        flags = np.frombuffer(bytes(self._flags), np.uint8)
        index = Index(
            stream=self._video.stream.index,
            pts=np.frombuffer(self._pts.tobytes(), np.int64),
            sizes=np.frombuffer(self._sizes.tobytes(), np.int64),
            shown=flags & 1 > 0,
            clean=flags & 2 > 0,
            needless=flags & 4 > 0,
            hidden=flags & 8 > 0,
            discarded=flags & 16 > 0,
            orders=np.frombuffer(self._orders.tobytes(), np.int64),
            joined=self._joined,
            completed_at=np.frombuffer(self._completed_at.tobytes(), np.int64),
            runs=np.frombuffer(self._runs.tobytes(), np.int32),
            unreferenced=self._references.unreferenced(),
            resets=self._references.resets(),
            state=self._state.changes,
        )
        if self._first_frame is None or not index.shown.any():
            raise VideoError(f"{path} has no picture that can be shown")
        self._check_unchanged(self._first_frame, index)
        info = self._info(self._first_frame, index)
        self._check_span(info.end_pts - info.first_pts)
        check_jumps(info, index, self._limits)
        check_order(info, index)
        if self._video.stream.codec_context.has_b_frames:
            check_reordering(info, index, self._limits, self._rate)
        check_output_order(info, index, self._limits, self._pictures.held_back)
        return info, index

    def _check_unchanged(self, first: VideoFrame, index: Index) -> None:
        change = self._facts.change(picture_facts(first))
        if change is not None:
            path, before = self._video.path, index.pts[: change.place + 1]
            pts = int(np.append(self._low, before[before != NO_PTS])[-1])
            earlier = index.pts[: change.place][index.shown[: change.place]]
            if len(earlier) and pts < earlier.max():  # no time tells where it changes
                check_order(self._info(first, index), index)
            span = slice(change.place, change.until)
            changed = index.pts[span][index.shown[span]]
            pts = int(changed.min()) if len(changed) else pts
            number = int(np.searchsorted(index.shown_pts(), pts))
            seconds = float((pts - self._low) * self._time_base)
            raise VideoError(
                f"{path} {change.what} at {seconds:.3f} s (frame {number}): only videos that stay as they "
                f"begin can be read, so encode it as one with: ffmpeg -i {shlex.quote(str(path))} one.mp4"
            )

    def _leads(self, packet: Packet[VideoStream], pts: int, clean: bool) -> bool:
        """Whether the picture refers to pictures before the entry that it follows, and those are not there.

        So it is with the leading pictures of an entry that opens the file without being an IDR picture (a
        file cut out of a longer one), and of a BLA picture, HEVC's mark of a cut. No player shows them.
        """
        if clean:
            opens, self._entered = not self._entered, True
            if self._video.codec == "h264":
                if opens and not self._reader.is_idr(bytes(packet)):
                    self._lead_below = pts
            elif self._video.codec == "hevc":
                kind = self._reader.hevc_type(bytes(packet))
                opens = opens or self._state.after_end
                self._cut = kind in HEVC_BLA or (opens and kind == HEVC_CRA)
            return False
        if self._cut:
            kind = self._reader.hevc_type(bytes(packet))
            self._cut = kind in HEVC_LEADING  # all leading pictures come before the others
            return kind in HEVC_RASL
        return self._lead_below is not None and pts < self._lead_below

    def _description(self, packet: Packet[VideoStream], pts: int) -> bytes:
        """The parameter sets of another sample description, which holds from this packet on."""
        if not packet.has_sidedata("new_extradata"):
            return b""
        extradata = bytes(packet.get_sidedata("new_extradata"))
        before, now = self._reader.length_bytes, PacketReader.of(self._video.codec, extradata).length_bytes
        if now != before:
            path = self._video.path
            raise VideoError(
                f"{path} changes the bytes of its NAL unit lengths from {before} to {now} at packet "
                f"{len(self._pts) + 1}{self._at(pts)}: only videos that stay as they begin can be read, so "
                f"encode it as one with: ffmpeg -i {shlex.quote(str(path))} one.mp4"
            )
        return framed_sets(self._reader, extradata)

    def _check_lengths(self, packet: bytes, pts: int) -> None:
        if self._reader.has_start_codes(packet):
            raise VideoError(
                f"{self._video.path} has a start code in place of a length, which its header (avcC) "
                f"announces, in packet {len(self._pts) + 1}{self._at(pts)}: encode it again, for example "
                "with 'ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4'"
            )
        fault = self._reader.length_fault(packet)
        if fault is not None:
            length, room = fault
            raise self._damaged(pts, f"has a NAL unit of {length} bytes and room for {room}")

    def _damaged(self, pts: int, what: str) -> VideoError:
        number = len(self._pts) + 1
        return VideoError(f"{self._video.path} is damaged: its packet {number}{self._at(pts)} {what}")

    def _at(self, pts: int) -> str:
        return "" if pts == NO_PTS else f" (time stamp {float(pts * self._time_base):.3f} s)"

    @property
    def _rate(self) -> Fraction:
        """Frames a second, as libavformat guesses them."""
        return self._video.stream.guessed_rate or Fraction(25)

    def _check_time(self, pts: int) -> None:
        if pts == NO_PTS:
            raise VideoError(
                f"{self._video.path} has pictures without a presentation time stamp, as files remuxed from "
                "AVI have: encode it again at its frame rate, for example with "
                f"'ffmpeg -r {self._rate} -i INPUT -c:v libx264 OUTPUT.mp4'"
            )
        self._low, self._high = min(self._low, pts), max(self._high, pts)
        self._check_span(self._high - self._low)

    def _check_span(self, ticks: int) -> None:
        if ticks > self._max_ticks:
            raise VideoTooLargeError(
                f"{self._video.path} is longer than the {self._limits.max_duration_s:g} s that are allowed"
            )

    def _check_size(self) -> None:
        """Check the pictures themselves: containers, and AV1's sequence headers, may name a larger size."""
        width, height = self._facts.largest
        if width * height > self._limits.max_pixels:
            raise VideoTooLargeError(
                f"{self._video.path} has pictures of {width} x {height} pixels: "
                f"{self._limits.max_pixels} pixels are allowed"
            )

    def _decode(self, packet: Packet[VideoStream] | None) -> None:
        try:
            frames = self._video.stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            raise VideoError(
                f"{self._video.path}: the first picture cannot be decoded: {error.strerror}"
            ) from error
        if frames:
            self._first_frame = frames[0]

    def _info(self, frame: VideoFrame, index: Index) -> VideoInfo:
        path, container = self._video.path, self._video.container
        last = int(np.argmax(np.where(index.shown, index.pts, NO_PTS)))
        rotation, flipped = orientation(path, frame)
        crop = whole_chroma(path, self._container_crop(frame), frame)
        return VideoInfo(
            path=str(path),
            container=container.format.name,
            codec=self._video.codec,
            pixel_format=frame.format.name,
            coded_width=frame.width - crop[0] - crop[2],
            coded_height=frame.height - crop[1] - crop[3],
            crop=crop,
            rotation=rotation,
            flipped=flipped,
            color_matrix=color_matrix(path, frame),
            color_range=color_range(frame),
            time_base=self._time_base,
            first_pts=self._low,
            end_pts=self._high + (self._durations[last] or self._usual_duration(index)),
            frames=int(index.shown.sum()),
            size_bytes=path.stat().st_size,
            announced_pixels=self._video.announced_pixels,
        )

    def _container_crop(self, frame: VideoFrame) -> Crop:
        stream = self._video.stream
        return container_crop(
            self._video.path,
            stream_index=stream.index,
            stream_id=stream.id,
            width=frame.width,
            height=frame.height,
        )

    def _usual_duration(self, index: Index) -> int:
        """Ticks from one frame to the next: the median over the video, else by its stated rate, else one."""
        gaps = np.diff(index.shown_pts())
        if len(gaps):
            return max(1, int(np.median(gaps)))
        rate = self._video.stream.guessed_rate
        return max(1, round(1 / (rate * self._time_base))) if rate else 1
