"""Tells which pictures cannot be decoded because the pictures that they refer to are not in the file."""

from vbench.video.codecs.nal_types import HEVC_BLA, HEVC_CRA, HEVC_LEADING, HEVC_RASL
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.random_access import is_idr


class LeadingPictures:
    """Follows the packets of a stream in decoding order.

    Leading pictures precede their random access point in output order and may refer to pictures before it.
    Those pictures are missing if the point starts the file without being an IDR picture (a file cut out of a
    longer one), or is a BLA picture, HEVC's mark of a cut (ITU-T H.265 3.12 and 8.1.3). No player shows such
    leading pictures.
    """

    def __init__(self, reader: PacketReader) -> None:
        self._reader = reader
        self.has_started = False
        """Whether a random access point has come."""
        self._skip_below_pts: int | None = None
        """H.264: pictures with a lower PTS are leading pictures without their references."""
        self._skips_rasl = False
        """HEVC: whether the leading pictures that now come lack their references."""

    def lacks_references(self, packet: bytes, pts: int, *, random_access: bool, after_end: bool) -> bool:
        """Whether the packet's picture is a leading picture whose references are missing.

        Args:
            packet: its data.
            pts: its PTS in ticks.
            random_access: whether decoding can start at it.
            after_end: whether it is the first after an end of sequence (HEVC).
        """
        codec = self._reader.codec
        if random_access:
            is_first, self.has_started = not self.has_started, True
            if codec == "h264" and is_first and not is_idr(self._reader, packet):
                self._skip_below_pts = pts
            elif codec == "hevc":
                kind = self._reader.hevc_type(packet)
                starts_sequence = is_first or after_end
                self._skips_rasl = kind in HEVC_BLA or (starts_sequence and kind == HEVC_CRA)
            return False
        if self._skips_rasl:
            kind = self._reader.hevc_type(packet)
            self._skips_rasl = kind in HEVC_LEADING  # all leading pictures precede the trailing ones
            return kind in HEVC_RASL
        return self._skip_below_pts is not None and pts < self._skip_below_pts
