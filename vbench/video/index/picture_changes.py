"""Checks that every picture of a stream is of one size, pixel format, colour and orientation."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vbench.video.codecs.av1_frame_sizes import FrameSizes
from vbench.video.codecs.bits import Bits, unescaped
from vbench.video.codecs.bitstream import H264_PICTURES, HEVC_CRA, HEVC_IRAP, HEVC_PICTURES, PacketReader
from vbench.video.codecs.picture_format import PictureFacts, h264_facts, hevc_facts
from vbench.video.codecs.vpx_headers import vp8_facts, vp9_facts
from vbench.video.index.decoder_state import Key, StateUnit, state_units

_SLICE_HEAD_BYTES = 24
"""Enough for a slice header up to its picture parameter set's id."""
UPRIGHT = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that does not stay as it was."""

    place: int
    """The first packet of which it is true, by its place in decoding order."""
    until: int | None = None
    """The first packet after it of which it is no longer true; None: it is to the end."""
    what: str
    """What the stream does, e.g. ``changes its picture size from 640 x 368 to 368 x 640``."""


class FactsScan:
    """Notes each packet of a stream, in decoding order; knows what changed after the last."""

    def __init__(self, reader: PacketReader, initial: tuple[StateUnit, ...]) -> None:
        self._reader = reader
        self._sets: dict[Key, PictureFacts | None] = {}
        """What the sequence parameter sets say."""
        self._by_picture_set: dict[int, tuple[Key, PictureFacts | None]] = {}
        """By the id of a picture parameter set: the set that it was read with, and what this says."""
        self._any: PictureFacts | None = None
        self._alike = False
        """Whether the sets that pictures may name all say the same, as ``_any``."""
        self._av1 = FrameSizes()
        self._orientation = UPRIGHT
        self._is_oriented = False
        """Whether a header ever said how pictures are to be turned."""
        self._seen: list[tuple[int, PictureFacts]] = []
        """What pictures are like, from which packet on."""
        self._largest = 0, 0
        self._turned: list[tuple[int, tuple[int, int, int]]] = []
        self._dropped: int | None = None
        self._note(initial)

    def add(self, place: int, packet: bytes, changed: tuple[StateUnit, ...], *, after_end: bool) -> None:
        """Note a packet that holds a picture and can be decoded.

        Args:
            place: in decoding order.
            packet: its data.
            changed: the units that arrived since the first slice of the picture before it.
            after_end: whether the picture is the first after an end of sequence.
        """
        if changed:
            self._note(changed)
        for facts in self._facts(packet):
            if not self._seen or (self._seen[-1][1] is not facts and self._seen[-1][1] != facts):
                self._seen.append((place, facts))
                self._largest = max(self._largest, (facts.width, facts.height), key=math.prod)
        if self._is_oriented and self._reader.codec == "h264":
            self._orientation = self._own_orientation(packet)
        if not self._turned or self._turned[-1][1] != self._orientation:
            self._turned.append((place, self._orientation))
        if (
            self._reader.codec == "hevc"
            and self._dropped is None
            and len(self._seen)
            and place > self._seen[0][0]
        ):
            self._dropped = place if self._drops_pictures(packet, after_end) else None

    @property
    def largest(self) -> tuple[int, int]:
        """Width and height of the largest picture so far, as headers say, whether it is shown or not."""
        return max(self._largest, self._av1.largest, key=math.prod)

    def change(self, first: PictureFacts) -> Change | None:
        """The first change, with the facts of the first decoded picture for what no header says."""
        if self._dropped is not None:
            return Change(
                place=self._dropped,
                until=self._dropped + 1,
                what="drops pictures before they are shown, as its sequence ends,",
            )
        before: PictureFacts | None = None
        for number, (place, facts) in enumerate(self._seen, start=1):
            now = self._effective(facts, before or first)
            what = before.change(now) if before is not None else None
            if what is not None:
                return Change(place=place, until=_place_at(self._seen, number), what=f"changes its {what}")
            before = now
        if len(self._turned) > 1:
            (_, before_turn), (place, turn) = self._turned[:2]
            return Change(
                place=place,
                until=_place_at(self._turned, 2),
                what=f"changes its orientation from {_turn(before_turn)} to {_turn(turn)}",
            )
        return None

    def _effective(self, facts: PictureFacts, before: PictureFacts) -> PictureFacts:
        """What a decoder says of these pictures, the ones before being as they were.

        An H.264 header that says nothing of colours leaves them as the one before, or the container, said. A
        VP9 frame that only changes its size has the format of the frames before.
        """
        if facts.chroma < 0:
            return replace(before, width=facts.width, height=facts.height)
        if self._reader.codec != "h264":
            return facts
        return replace(
            facts,
            matrix=before.matrix if facts.matrix is None else facts.matrix,
            full_range=before.full_range if facts.full_range is None else facts.full_range,
        )

    def _note(self, units: tuple[StateUnit, ...]) -> None:
        h264 = self._reader.codec == "h264"
        header = 1 if h264 else 2
        for unit in units:
            kind, number = unit.key
            if kind == "SPS":
                self._sets[unit.key] = _read(h264_facts if h264 else hevc_facts, unit.data[header:])
                if not h264:
                    self._forget_picture_sets(unit.key)
            elif kind == "PPS" and unit.parent is not None:
                self._by_picture_set[number] = unit.parent, self._sets.get(unit.parent)
            elif kind == "sequence header":
                self._av1.see(unit.data)
            elif kind == "orientation":
                self._orientation, self._is_oriented = _orientation(unit.data), True
        known = {facts for _, facts in self._by_picture_set.values()}
        self._any, self._alike = next(iter(known), None), len(known) == 1

    def _forget_picture_sets(self, sps: Key) -> None:
        """A new SPS of HEVC ends those PPS that were read with the one before; H.264's keep theirs."""
        for number in [at for at, (key, _) in self._by_picture_set.items() if key == sps]:
            del self._by_picture_set[number]

    def _own_orientation(self, packet: bytes) -> tuple[int, int, int]:
        """What an H.264 packet itself says: decoders forget it after the picture, unlike those of HEVC."""
        units = [unit for unit in state_units(self._reader, packet) if unit.key[0] == "orientation"]
        return _orientation(units[-1].data) if units else UPRIGHT

    def _facts(self, packet: bytes) -> Iterator[PictureFacts]:
        if self._reader.codec == "vp8":
            facts = vp8_facts(packet)
        elif self._reader.codec in ("vp9", "av1"):
            yield from vp9_facts(packet) if self._reader.codec == "vp9" else self._av1.facts(packet)
            return
        elif self._alike:  # whichever the picture names
            facts = self._any
        else:
            facts = self._named_facts(packet)
        if facts is not None:
            yield facts

    def _named_facts(self, packet: bytes) -> PictureFacts | None:
        """What the sequence parameter set of the packet's first slice says; None without one."""
        h264 = self._reader.codec == "h264"
        head = self._reader.picture_head(packet, H264_PICTURES if h264 else HEVC_PICTURES, _SLICE_HEAD_BYTES)
        if head is None:
            return None
        bits = Bits(unescaped(head[1 if h264 else 2 :]))
        try:
            if h264:
                bits.unsigned()  # first_mb_in_slice
                bits.unsigned()  # slice_type
            else:
                bits.take(2 if head[0] >> 1 & 63 in HEVC_IRAP else 1)
            _, facts = self._by_picture_set.get(bits.unsigned(), (None, None))
        except EOFError:
            return None
        return facts

    def _drops_pictures(self, packet: bytes, after_end: bool) -> bool:
        """Whether decoders drop pictures that are decoded and not yet shown (ITU-T H.265 C.5.2.2).

        They do if a sequence begins with ``no_output_of_prior_pics_flag``, which a CRA picture after an end
        of sequence implies.
        """
        head = self._reader.picture_head(packet, HEVC_PICTURES, 3)
        if head is None or len(head) < 3:
            return False
        kind = head[0] >> 1 & 63
        if kind not in HEVC_IRAP or (kind == HEVC_CRA and not after_end):
            return False
        return (kind == HEVC_CRA or head[2] >> 6 & 1 == 1) and self._seen[-1][1].reordered > 0


def _place_at(noted: Sequence[tuple[int, object]], number: int) -> int | None:
    return noted[number][0] if number < len(noted) else None


def _read(facts: Callable[[bytes], PictureFacts], data: bytes) -> PictureFacts | None:
    try:
        return facts(data)
    except EOFError:
        return None  # decoders cannot read it either


def _orientation(payload: bytes) -> tuple[int, int, int]:
    """Mirrored, upside down, turn in 1/65536 of a circle: a display orientation SEI message (D.2.26)."""
    bits = Bits(payload)
    try:
        if bits.take(1):  # display_orientation_cancel_flag
            return UPRIGHT
        return bits.take(1), bits.take(1), bits.take(16)
    except EOFError:
        return UPRIGHT


def _turn(orientation: tuple[int, int, int]) -> str:
    mirrored, flipped, turn = orientation
    words = [f"{turn * 360 / 65536:.0f} degrees"]
    return " ".join(words + ["mirrored"] * mirrored + ["upside down"] * flipped)
