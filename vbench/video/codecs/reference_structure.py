"""Reads which H.264 and HEVC pictures no other refers to, and where references to earlier pictures end."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vbench.video.codecs.h264_parameter_sets import has_frames_only
from vbench.video.codecs.nal_types import (
    H264_IDR,
    H264_PICTURES,
    H264_SPS,
    HEVC_BLA,
    HEVC_IDR,
    HEVC_PICTURES,
    HEVC_SUB_LAYER_NON_REFERENCE,
)
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.state_units import configured_units


class ReferenceStructure:
    """Follows the packets of a stream in decoding order; complete after the last packet.

    Unknown pictures count as referenced: those of other codecs, and of H.264 streams that may contain fields,
    in which a frame can be two packets.
    """

    def __init__(self, reader: PacketReader, extradata: bytes | None) -> None:
        self._reader = reader
        self._levels = bytearray()
        """Per packet 0: others refer to it; 1 + its temporal id: none of its temporal sub-layer or below
        does."""
        self._resets = bytearray()
        self._concealed: list[int] = []
        """H.264: indices of pictures before which references are missing."""
        self._highest = 0
        self._fields = False
        self._seen_parameters = False
        if reader.codec == "h264" and extradata:
            self._add_parameter_sets(_parameter_sets(reader, extradata))

    def add(self, packet: bytes, *, keyframe: bool) -> None:
        """Add the next packet.

        Args:
            packet: its data.
            keyframe: whether to look for parameter sets in it.
        """
        level = reset = 0
        if self._reader.codec == "h264":
            if keyframe:
                self._add_parameter_sets(self._reader.units_of_type(packet, H264_SPS))
            header = self._reader.picture_header(packet, H264_PICTURES)
            level = int(header is not None and header[0] >> 5 & 3 == 0)
            reset = int(header is not None and header[0] & 31 == H264_IDR)
        elif self._reader.codec == "hevc":
            header = self._reader.picture_header(packet, HEVC_PICTURES)
            if header is not None and len(header) > 1:
                kind, temporal_id = header[0] >> 1 & 63, (header[1] & 7) - 1
                self._highest = max(self._highest, temporal_id)
                level = 1 + temporal_id if kind in HEVC_SUB_LAYER_NON_REFERENCE else 0
                reset = int(kind in HEVC_IDR or kind in HEVC_BLA)
        self._levels.append(level)
        self._resets.append(reset)

    def note_missing(self) -> None:
        """Record that reference pictures are missing before the last packet.

        Decoders conceal them, using whichever pictures came before.
        """
        self._concealed.append(len(self._levels) - 1)

    def unreferenced(self) -> npt.NDArray[np.bool_]:
        """bool[N]: pictures that no other is predicted from.

        H.264: ``nal_ref_idc`` 0, one value for all slices of a picture (ITU-T H.264 7.4.1). HEVC: sub-layer
        non-reference pictures (ITU-T H.265 table 7-1) of the stream's highest sub-layer: only pictures of a
        higher one could refer to them. None between two IDR pictures if references are missing there.
        """
        levels = np.frombuffer(bytes(self._levels), np.uint8)
        if self._reader.codec == "h264" and (self._fields or not self._seen_parameters):
            return np.zeros(len(levels), np.bool_)
        unreferenced: npt.NDArray[np.bool_] = levels == 1 + self._highest
        sequence = np.cumsum(self.resets())
        return unreferenced & ~np.isin(sequence, sequence[self._concealed])

    def resets(self) -> npt.NDArray[np.bool_]:
        """bool[N]: IDR and BLA pictures: from them on, in decoding order, none refers to an earlier
        picture."""
        return np.frombuffer(bytes(self._resets), np.bool_)

    def _add_parameter_sets(self, parameter_sets: Iterator[bytes]) -> None:
        for unit in parameter_sets:
            self._seen_parameters = True
            self._fields = self._fields or not has_frames_only(unit[1:])


def _parameter_sets(reader: PacketReader, extradata: bytes) -> Iterator[bytes]:
    """The H.264 sequence parameter sets in a stream's extradata: ``avcC`` (ISO/IEC 14496-15) or annex B."""
    if not reader.length_bytes:
        yield from reader.units_of_type(extradata, H264_SPS)
        return
    for unit in configured_units("h264", extradata):
        if unit and reader.type_of(unit) == H264_SPS:
            yield unit
