"""Tracks the state that a decoder carries from packet to packet, so that a chunk can start with it.

A decoder that reads a file from the start knows the parameter sets of all earlier packets; later keyframes
need not repeat them. A chunk starts in mid-stream and leaves packets out, so it gets what those packets would
have told the decoder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vbench.video.codecs.av1_obu import sequence_header_obu
from vbench.video.codecs.nal_types import HEVC_END, HEVC_PICTURES
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.state_units import (
    Key,
    StateUnit,
    extradata_units,
    state_units,
    units_ahead_of_picture,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """A unit, when it arrived, and what it was parsed with."""

    number: int
    """Position among the units that changed something."""
    unit: StateUnit
    parent: "_Arrival | None"
    """What was active under the key ``unit.parent`` when the unit arrived."""


class ActiveState:
    """The active units, in the order in which they arrived.

    Decoders parse a PPS with the SPS that is active when the PPS arrives, so a replaced unit is kept as long
    as an active one was parsed with it. They ignore a PPS that arrives before its SPS.
    """

    def __init__(self, units: Iterable[StateUnit] = ()) -> None:
        self._latest: dict[Key, _Arrival] = {}
        self._arrived = 0
        for unit in units:
            self.add(unit)

    @property
    def units(self) -> list[StateUnit]:
        """What a decoder that starts now needs, in order."""
        needed: dict[int, StateUnit] = {}
        for arrival in self._latest.values():
            ancestor: _Arrival | None = arrival
            while ancestor is not None and ancestor.number not in needed:
                needed[ancestor.number] = ancestor.unit
                ancestor = ancestor.parent
        return [needed[number] for number in sorted(needed)]

    def add(self, unit: StateUnit) -> bool:
        """Add a unit; whether it changed anything."""
        if not unit.lasting:
            return True
        parent = None if unit.parent is None else self._latest.get(unit.parent)
        if parent is None and unit.key[0] == "PPS":
            return False
        last = self._latest.get(unit.key)
        if last is not None and last.unit.data == unit.data and last.parent is parent:
            return False
        self._latest[unit.key] = _Arrival(number=self._arrived, unit=unit, parent=parent)
        self._arrived += 1
        return True


@dataclass(slots=True, kw_only=True)
class StateChanges:
    """What changes in a stream after its extradata, packet by packet; complete after the last packet."""

    reader: PacketReader
    initial: tuple[StateUnit, ...]
    """What the extradata says; every chunk has the same extradata."""
    packets: list[int] = field(default_factory=list)
    """Indices, in decoding order and increasing, of the packets that change something."""
    units: list[tuple[StateUnit, ...]] = field(default_factory=list)
    """What each of these changes, in the packet's order."""
    from_container: dict[int, tuple[StateUnit, ...]] = field(default_factory=dict)
    """By packet index: which of its units are not in its own data, but in the container ahead of it."""

    def prefixes(self, chunks: Sequence[npt.NDArray[np.int64]]) -> list[dict[int, bytes]]:
        """For each chunk, the bytes to write before the data of which packet.

        Args:
            chunks: int64[P] for each chunk, increasing: indices of its packets in decoding order.

        Returns:
            Bytes by packet index: before the first packet, all active units that the extradata lacks; before
            each later packet, what changed in the packets that were left out before it.
        """
        out: list[dict[int, bytes]] = [{} for _ in chunks]
        if not self.packets:
            return out
        active, read = ActiveState(self.initial), 0
        starts = sorted((int(packets[0]), number) for number, packets in enumerate(chunks) if len(packets))
        for start, number in starts:
            while read < len(self.packets) and self.packets[read] < start:
                for unit in self.units[read]:
                    active.add(unit)
                read += 1
            prefix = self.framed_beyond_extradata(active) + self._framed(self.from_container.get(start, ()))
            out[number] = ({start: prefix} if prefix else {}) | self._between(chunks[number])
        return out

    def sequence_ends(self) -> npt.NDArray[np.int64]:
        """int64[K], increasing: indices of packets with an end of sequence or of bitstream (HEVC)."""
        packets = [
            packet
            for packet, units in zip(self.packets, self.units, strict=True)
            if any(not unit.lasting for unit in units)
        ]
        return np.array(packets, np.int64)

    def framed_beyond_extradata(self, active: ActiveState) -> bytes:
        """The active units that the extradata lacks, as they stand in a packet."""
        units, count = active.units, len(self.initial)
        return self._framed(units[count:] if tuple(units[:count]) == self.initial else units)

    def _between(self, packets: npt.NDArray[np.int64]) -> dict[int, bytes]:
        """What changes in packets that are left out, by the next packet that is not, or in the container."""
        first = np.searchsorted(self.packets, packets[0], "right")
        last = np.searchsorted(self.packets, packets[-1], "right")
        left_out: dict[int, list[StateUnit]] = {}
        for at in range(int(first), int(last)):
            following = int(packets[np.searchsorted(packets, self.packets[at])])
            is_kept = following == self.packets[at]
            units = self.from_container.get(following, ()) if is_kept else self.units[at]
            left_out.setdefault(following, []).extend(units)
        framed = {packet: self._framed(units) for packet, units in left_out.items()}
        return {packet: data for packet, data in framed.items() if data}

    def _framed(self, units: Iterable[StateUnit]) -> bytes:
        frame = sequence_header_obu if self.reader.codec == "av1" else self.reader.framed
        return b"".join(frame(unit.data) for unit in units if unit.framed)


class StateScan:
    """Records what each packet of a stream, in decoding order, changes in a decoder's state."""

    def __init__(self, reader: PacketReader, extradata: bytes | None) -> None:
        self._reader = reader
        initial = ActiveState(extradata_units(reader, extradata)).units
        self._active = ActiveState(initial)
        self.changes = StateChanges(reader=reader, initial=tuple(initial))
        self._packets = 0
        self._ended = False
        self.after_end = False
        """Whether the last packet's picture is the first after an end of sequence (HEVC)."""
        self.units_after_slice: tuple[StateUnit, ...] = ()
        """The last packet's changes that follow its first slice: they concern later pictures."""

    def add(self, packet: bytes, from_container: bytes = b"") -> tuple[StateUnit, ...]:
        """Add one packet; the units in it that change the state of a decoder.

        Args:
            packet: its data.
            from_container: NAL units that the container gives a decoder ahead of it.
        """
        given = list(state_units(self._reader, from_container)) if from_container else []
        units = given + list(state_units(self._reader, packet))
        has_effect = [self._active.add(unit) for unit in units]
        changed = tuple(unit for unit, effect in zip(units, has_effect, strict=True) if effect)
        self.units_after_slice = ()
        if changed:
            self.changes.packets.append(self._packets)
            self.changes.units.append(changed)
            count = units_ahead_of_picture(self._reader, packet, len(units) - len(given))
            self.units_after_slice = changed[sum(has_effect[: len(given) + count]) :]
            if any(has_effect[: len(given)]):
                self.changes.from_container[self._packets] = changed[: sum(has_effect[: len(given)])]
        self._packets += 1
        if self._reader.codec == "hevc":
            self._note_end(packet, changed)
        return changed

    def later_sets(self) -> bytes:
        """The active units that the extradata lacks, as they stand in a packet."""
        return self.changes.framed_beyond_extradata(self._active)

    def _note_end(self, packet: bytes, changed: tuple[StateUnit, ...]) -> None:
        self.after_end = False
        if self._ended or any(not unit.lasting for unit in changed):
            for kind in self._reader.types(packet):
                if kind in HEVC_END:
                    self._ended = True
                elif kind in HEVC_PICTURES:
                    self.after_end, self._ended = self.after_end or self._ended, False
